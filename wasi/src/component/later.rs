//! Functions that may take a while, beside which the guest goes on: `async` functions of Rust.
//!
//! Such a function has the store while it is polled, and only inside of [`Call::with`] and [`Call::retry`]. What it waits for is armed in the
//! store's reactor with the waker that it is polled with; there is no thread, and no stack. Dropped, it has never been called.

use super::call::{Answer, wrong_count};
use super::cx::Cx;
use super::error::{Error, MustWait};
use super::resources::Token;
use super::values::FromVal;
use crate::host::available::RETRY;
use crate::host::poll::Interest;
use crate::host::wait::Armed;
use ampoule_component::types::FuncType;
use ampoule_component::{Accessor, HostFuture, Val};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A call of a function that may take a while.
#[derive(Clone)]
pub struct Call {
    accessor: Accessor,
    ty: Arc<FuncType>,
}

impl Call {
    /// Of a function of this type.
    pub fn new(accessor: Accessor, ty: Arc<FuncType>) -> Self {
        Self { accessor, ty }
    }

    /// Does something that doesn't wait.
    ///
    /// # Errors
    /// Its own.
    pub fn with<T, E: From<Error>>(&self, run: impl FnOnce(&mut Cx<'_>) -> Result<T, E>) -> Result<T, E> {
        let lent = self.accessor.with(|store| {
            let done = run(&mut Cx::in_poll(store, Some(&self.ty))?);
            store.check_budget().map_err(Error::from)?;
            done
        });
        lent.map_err(Error::from)?
    }

    /// Tries something until it doesn't have to wait.
    ///
    /// # Errors
    /// Its own.
    pub async fn retry<T, E: MustWait>(&self, mut attempt: impl FnMut(&mut Cx<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut waits = Waits::default();
        poll_fn(|context| {
            self.with(|cx| Ok(waits.poll(cx, context, &mut attempt))).unwrap_or_else(|error| Poll::Ready(Err(error)))
        })
        .await
    }

    fn to_the_end<T>(&self, result: Result<T, Error>) -> Result<T, ampoule::Error> {
        result.or_else(|error| Err(self.accessor.with(|store| error.ending(store))?))
    }
}

/// What something waits for that is polled, until it is polled again.
#[derive(Default)]
pub struct Waits {
    armed: Option<(Armed, Option<Token>)>,
}

impl Waits {
    /// Tries something. Where it has to wait, whoever polls is woken when it is worth trying again.
    pub fn poll<T, E: MustWait>(
        &mut self,
        cx: &mut Cx<'_>,
        context: &mut Context<'_>,
        attempt: impl FnOnce(&mut Cx<'_>) -> Result<T, E>,
    ) -> Poll<Result<T, E>> {
        // What was armed before has served its purpose.
        self.armed = None;
        match attempt(cx) {
            Err(error) if error.must_wait() => match self.arm(cx, context.waker()) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error.into())),
            },
            done => Poll::Ready(done),
        }
    }

    fn arm(&mut self, cx: &mut Cx<'_>, waker: &Waker) -> Result<(), Error> {
        let (host, resources) = cx.parts();
        let mut wait = host.waiter.take_wait().expect("what is put off says what it waits for");
        let token = if wait.has_descriptors() { resources.waiting() } else { None };
        if token.is_none() {
            // A guest may wait in as many places as it likes, and each descriptor that is waited for takes one of the host's.
            wait.give_up_descriptors(Instant::now() + RETRY);
        }
        let reactor = cx.store().reactor().map_err(Error::from)?.clone();
        let armed = wait.arm(&reactor, waker);
        let armed = armed.map_err(|error| Error::message(format!("cannot wait for the host: {error}")))?;
        self.armed = Some((armed, token));
        Ok(())
    }
}

/// The time until something is tried again that has become ready, or is only said to be.
const PAUSE: Duration = Duration::from_millis(1);

/// What has to wait in a poll, until this has happened: it is tried again then.
///
/// # Errors
/// That it is, or an interruption.
pub fn again<T>(cx: &mut Cx<'_>, until: Interest<'_>) -> Result<T, Error> {
    cx.wait_for(until)?;
    cx.host().waiter.wait_for(None, Some(PAUSE))?;
    unreachable!("a poll doesn't sleep")
}

/// An `async` function of Rust that can be the code of one of an interface: its arguments and answer are values.
pub trait TypedLater<Args>: Sized {
    /// Takes the arguments, runs, and makes the answer.
    fn begin(self, call: Call, args: Vec<Val>) -> HostFuture;
}

/// Begins a call.
pub fn run<Args>(code: impl TypedLater<Args>, call: Call, args: Vec<Val>) -> HostFuture {
    code.begin(call, args)
}

macro_rules! typed_later {
    ($($arg:ident)*) => {
        impl<F, Answered, R, $($arg),*> TypedLater<($($arg,)*)> for F
        where
            F: Fn(Call, $($arg),*) -> Answered + Send + 'static,
            Answered: Future<Output = R> + Send + 'static,
            R: Answer + Send,
            $($arg: FromVal + Send + 'static,)*
        {
            #[allow(non_snake_case, unused_mut, unused_variables)] // Of each arity, also none.
            fn begin(self, call: Call, mut args: Vec<Val>) -> HostFuture {
                Box::pin(async move {
                    let taken = call.with(|cx| {
                        let mut args = args.iter_mut();
                        $(let $arg = $arg::from_val(cx, args.next().ok_or_else(wrong_count)?)?;)*
                        if args.next().is_some() { Err(wrong_count()) } else { Ok(($($arg,)*)) }
                    });
                    let ($($arg,)*) = call.to_the_end(taken)?;
                    let answer = self(call.clone(), $($arg),*).await;
                    call.to_the_end(call.with(|cx| answer.answer(cx)))
                })
            }
        }
    };
}

typed_later!();
typed_later!(A);
typed_later!(A B);
typed_later!(A B C);
