//! Having a component answer requests: what a server calls.
//!
//! A [`Handler`] is a component that exports `wasi:http/incoming-handler`, of any version of 0.2, or `wasi:http/handler`, of any of 0.3, with
//! what it imports. It answers each request in a store of its own, as an [`Answering`], which runs while it is polled: the response can
//! be there long before the guest is done, which then goes on to write its body.
//!
//! This is above the versions, and the one place where a server doesn't know which it has before it.

use crate::component::resources::Resources;
use crate::component::{Cx, Entry, Fail, Own};
use crate::host::ctx::MISSING_CONTEXT as NO_WASI;
use crate::host::http::budget::BODY_BYTES;
use crate::host::http::ctx::MISSING_CONTEXT as NO_HTTP;
use crate::host::http::error::Message;
use crate::host::http::fields::Fields;
use crate::host::http::incoming::{BoxFrames, IncomingBody};
use crate::host::http::message::Scheme;
use crate::host::http::outgoing::Frames;
use crate::host::http::signal::Signal;
use crate::host::http::{ErrorCode, HttpCtx};
use crate::p2::http::bodies::finish_those_left;
use crate::p2::http::serving::{IncomingRequest, ResponseOutparam};
use crate::p3::http::bodies::{Body, Received};
use crate::p3::http::handling;
use crate::p3::http::messages::Request as Request3;
use crate::{WasiCtx, WasiResources};
use ampoule::store::task::{Task, Work};
use ampoule::sync::Mutex;
use ampoule::{Error, Store};
use ampoule_component::{
    Component, ComponentSnapshot, ExportIndex, Func, Instance, InstancePre, Linker, ResourceHost, Val, finish_tasks_and,
};
use hyper::header::{HOST, HeaderMap};
use hyper::{Method, Request, Response};
use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::Poll;

/// What such a component exports: of 0.2, and of 0.3.
const INTERFACES: [(Version, &str); 2] =
    [(Version::P3, "wasi:http/handler@0.3.0"), (Version::P2, "wasi:http/incoming-handler@0.2.0")];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    P2,
    P3,
}

/// A component that answers requests, for any number of stores of its engine.
#[derive(Clone)]
pub struct Handler(Arc<Prepared>);

struct Prepared {
    instances: Instances,
    version: Version,
    handle: ExportIndex,
}

/// Where the instances come from that answer.
enum Instances {
    New(Linker, Component),
    Snapshot(InstancePre, ComponentSnapshot),
}

impl Instances {
    fn next(&self, store: &mut Store) -> Result<Instance, Error> {
        match self {
            Self::New(linker, component) => linker.instantiate(store, component),
            Self::Snapshot(found, snapshot) => snapshot.instantiate(store, found, &mut WasiResources),
        }
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

impl Handler {
    /// This component, with what the linker has for it.
    ///
    /// # Errors
    /// It exports neither interface.
    pub fn new(linker: Linker, component: &Component) -> Result<Self, Error> {
        Self::of(component, Instances::New(linker, component.clone()))
    }

    /// The component of a snapshot, with what the linker has for it: each instance goes on from there. The contexts in its stores are such as have what
    /// the guest had when the snapshot was taken ([`crate::WasiConfig::build_from`]).
    ///
    /// # Errors
    /// It exports neither interface, or something that it imports is missing.
    pub fn of_snapshot(linker: &Linker, snapshot: &ComponentSnapshot) -> Result<Self, Error> {
        let found = linker.instantiate_pre(snapshot.component())?;
        Self::of(snapshot.component(), Instances::Snapshot(found, snapshot.clone()))
    }

    fn of(component: &Component, instances: Instances) -> Result<Self, Error> {
        let found = INTERFACES.into_iter().find_map(|(version, name)| {
            let interface = component.get_export_index(None, name)?;
            Some((version, component.get_export_index(Some(&interface), "handle")?))
        });
        let Some((version, handle)) = found else {
            let [(_, new), (_, old)] = INTERFACES;
            return Err(Error::message(format!("the component exports neither `{old}` nor `{new}`")));
        };
        Ok(Self(Arc::new(Prepared { instances, version, handle })))
    }

    /// Will answer a request, which has come by this scheme, in this store. The store has a [`WasiCtx`] and an [`HttpCtx`] in its slots; whatever
    /// limits the guest, it has set.
    ///
    /// # Errors
    /// The request's headers are larger than the host allows.
    pub fn answer(
        &self,
        mut store: Box<Store>,
        request: Request<BoxFrames>,
        scheme: Scheme,
    ) -> Result<Answering, AnswerError> {
        let (head, frames) = request.into_parts();
        let head = RequestHead {
            path: head.uri.path_and_query().map(|path| path.as_str().to_owned()),
            scheme: Some(scheme),
            authority: head.uri.authority().map(|authority| authority.as_str().to_owned()),
            headers: head.headers,
            method: head.method,
        };
        // SAFETY: store and exchange are one value from now on, which is used by one thread at a time; nothing moves out of the box.
        let exchange = unsafe { self.begin(&mut store, None, head, frames)? };
        Ok(Answering { exchange: ManuallyDrop::new(exchange), store: ManuallyDrop::new(store) })
    }

    /// The same in a store that isn't given away, by an instance that is there, or a new one.
    ///
    /// # Errors
    /// The request's headers are larger than the host allows; the store lacks a context; the instance is another component's.
    ///
    /// # Safety
    /// The store is used by one thread at a time, polls and the drop of the exchange included.
    pub unsafe fn begin(
        &self,
        store: &mut Store,
        instance: Option<Instance>,
        head: RequestHead,
        body: BoxFrames,
    ) -> Result<Exchange, AnswerError> {
        let func = match instance {
            Some(instance) => {
                let func = instance.get_func_at(store, &self.0.handle).map_err(AnswerError::Store)?;
                let other = || AnswerError::Store(Error::message("the instance is not one of the handler's component"));
                Some(func.ok_or_else(other)?)
            }
            None => None,
        };
        let request = incoming(store, self.0.version, head, body)?;
        let response = Arc::new(Mutex::new(None));
        let job = Job { handler: self.clone(), func, request: Some(request), response: response.clone() };
        // SAFETY: by the caller.
        let task = unsafe { Task::new(store, |slot| _ = slot.write(job)) };
        Ok(Exchange { task, response })
    }
}

/// What a request is, but for its body.
#[derive(Debug)]
pub struct RequestHead {
    /// Its method.
    pub method: Method,
    /// What it asks for.
    pub path: Option<String>,
    /// How it has come.
    pub scheme: Option<Scheme>,
    /// Whom it is for. Without, it is whom the header `host` names.
    pub authority: Option<String>,
    /// Its headers. The guest doesn't see those that are the host's own.
    pub headers: HeaderMap,
}

/// Why a request isn't even given to the guest.
#[derive(Debug)]
pub enum AnswerError {
    /// The other side is to blame.
    Request(ErrorCode),
    /// The embedder is.
    Store(Error),
}

/// A request as a version has it.
enum Incoming {
    P2(IncomingRequest),
    P3(Request3),
}

fn incoming(
    store: &mut Store,
    version: Version,
    head: RequestHead,
    frames: BoxFrames,
) -> Result<Incoming, AnswerError> {
    let http = HttpCtx::of(store);
    let slots = store.slots_mut();
    let missing = |text| move || AnswerError::Store(Error::message(text));
    let of_store = slots.get_mut::<WasiCtx>().ok_or_else(missing(NO_WASI))?.host.signal.clone();
    let budget = http.ok_or_else(missing(NO_HTTP))?.budget;
    let too_large = |_| AnswerError::Request(Message::Request.header_section_size());
    let headers = Fields::received(&head.headers, &budget).map_err(too_large)?;
    let charge = budget.charge(BODY_BYTES).map_err(|_| too_large(crate::host::http::fields::FieldsError::Full))?;
    let host = || head.headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let RequestHead { method, path, scheme, authority, .. } = head;
    let (authority, headers) = (authority.or_else(host), Arc::new(headers));
    Ok(match version {
        Version::P2 => {
            let body = Some(IncomingBody::new(Message::Request, frames, of_store, charge));
            Incoming::P2(IncomingRequest { method, path, scheme, authority, headers, body })
        }
        Version::P3 => {
            let signal = Arc::<Signal>::default();
            let body = IncomingBody::new(Message::Request, frames, signal.clone(), charge);
            let body = Body::Received(Received::new(body, signal));
            Incoming::P3(Request3 { method, path, scheme, authority, headers, times: None, body })
        }
    })
}

type Answer = Arc<Mutex<Option<Result<Response<Frames>, ErrorCode>>>>;

/// What runs in the store.
struct Job {
    handler: Handler,
    /// Of the instance that is to answer; otherwise there will be a new one.
    func: Option<Func>,
    request: Option<Incoming>,
    response: Answer,
}

impl Work for Job {
    fn run(&mut self, store: &mut Store) -> Result<(), Error> {
        let prepared = &*self.handler.0;
        let func = match self.func {
            Some(func) => func,
            None => {
                let instance = prepared.instances.next(store)?;
                let func = instance.get_func_at(store, &prepared.handle)?;
                func.ok_or_else(|| Error::message("`handle` is no function"))?
            }
        };
        match self.request.take().expect("it runs once") {
            Incoming::P2(request) => {
                let response = self.response.clone();
                let outparam = ResponseOutparam(Box::new(move |answer| *response.lock() = Some(answer)));
                let args = [argument(store, request)?, argument(store, outparam)?];
                func.call(store, &args, &mut [])?;
                if let Some(ctx) = store.slots_mut().get_mut::<WasiCtx>() {
                    finish_those_left(ctx.with_state(Resources::new).1);
                }
                Ok(())
            }
            Incoming::P3(request) => {
                let args = [argument(store, request)?];
                let mut answer = [Val::default()];
                func.call(store, &args, &mut answer)?;
                let answered = Cx::new(store, None).map_err(Fail::End);
                let (message, body) = match answered.and_then(|mut cx| handling::answered(&mut cx, &mut answer[0])) {
                    Ok((message, body)) => (Ok(message), Some(body)),
                    Err(Fail::Err(code)) => (Err(code), None),
                    Err(Fail::End(error)) => return Err(error.ending(store)),
                };
                *self.response.lock() = Some(message);
                // The guest goes on; and what it has passed on flows without it.
                finish_tasks_and(store, || body.as_ref().is_none_or(|body| body.is_over()))
            }
        }
    }
}

/// A resource that the guest is given.
fn argument<T: Entry>(store: &mut Store, entry: T) -> Result<Val, Error> {
    let ctx = store.slots_mut().get_mut::<WasiCtx>().expect("it was looked at before");
    let inserted = ctx.with_state(Resources::new).1.insert(Own::new(entry));
    let rep = inserted.map_err(|_| Error::message("resource table has no free keys"))?;
    Ok(Val::from(ResourceHost { rep, ty: T::TYPE, owned: true }.into_any(store)?))
}

/// A request that is being answered in a store that is somebody's. Dropping it ends the guest, as a trap would.
pub struct Exchange {
    task: Box<Task<Job>>,
    response: Answer,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

impl Exchange {
    /// Runs the guest until it is done or waits, or has had its share of time.
    ///
    /// # Panics
    /// Where its outcome was given, or it is being polled further out.
    ///
    /// # Safety
    /// As for [`Handler::begin`].
    pub unsafe fn poll(&mut self) -> Poll<Result<(), Error>> {
        // SAFETY: by the caller; the task stays in its box.
        unsafe { self.task.poll() }
    }

    /// Whether the outcome was given.
    pub fn is_over(&self) -> bool {
        self.task.is_over()
    }

    /// Whether it is being polled, further out.
    pub fn is_running(&self) -> bool {
        self.task.is_running()
    }

    /// The response, once the guest has one. Where the guest is over without, there will be none.
    pub fn take_response(&mut self) -> Option<Result<Response<Frames>, ErrorCode>> {
        self.response.lock().take()
    }
}

/// The same with a store of its own. Dropping it also ends a response whose body isn't complete.
///
/// 1. The exchange is of the store, and goes before it.
#[derive(Debug)]
pub struct Answering {
    exchange: ManuallyDrop<Exchange>,
    store: ManuallyDrop<Box<Store>>,
}

impl Answering {
    /// Runs the guest until it is done or waits, or has had its share of time.
    pub fn poll(&mut self) -> Poll<Result<(), Error>> {
        // SAFETY: the store is this value's, and nobody else uses it.
        unsafe { self.exchange.poll() }
    }

    /// The response, once the guest has one. Where the guest is over without, there will be none.
    pub fn take_response(&mut self) -> Option<Result<Response<Frames>, ErrorCode>> {
        self.exchange.take_response()
    }

    /// The store, between polls: to look at what it has used, or what it waits for.
    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // SAFETY: each is dropped once, here, in this order (1).
        unsafe {
            ManuallyDrop::drop(&mut self.exchange);
            ManuallyDrop::drop(&mut self.store);
        }
    }
}
