//! One request, answered by the component in a store of its own.
//!
//! A guest runs where it is polled, on the thread of its connection. It is interrupted every [`TICK`], so that the others of that thread
//! have their turn; while it waits for something, it only waits for its next poll.

use super::ticker::{Ticker, Ticking};
use ampoule::{Engine, Error, Store};
use ampoule_wasi::handler::{AnswerError, Answering};
use ampoule_wasi::host::http::incoming::frames_of_request;
use ampoule_wasi::host::http::message::Scheme;
use ampoule_wasi::host::http::outgoing::Frames;
use ampoule_wasi::host::http::{ErrorCode, HttpConfig};
use ampoule_wasi::{Handler, WasiConfig, WasiState};
use hyper::body::Incoming;
use hyper::{Request, Response};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long a guest runs before others get their turn; the first time, up to twice as long.
pub const TICK: Duration = Duration::from_millis(10);

type SetUp = Box<dyn Fn(&mut Store) -> Result<(), Error> + Send + Sync>;

/// What all guests have.
pub struct Guests {
    engine: Engine,
    /// The engine's epochs.
    ticker: Ticker,
    handler: Handler,
    /// What they had of WASI when the snapshot was taken that they go on from; none where they begin anew.
    pub state: Option<WasiState>,
    /// What they have of HTTP.
    pub http: HttpConfig,
    /// Their environment.
    pub env: Vec<(String, String)>,
    /// The most bytes of a memory.
    pub max_memory: Option<u64>,
    /// The most bytes of all that one of them makes the host hold.
    pub max_total: Option<u64>,
    /// Gives a store more than these say, or something in its place.
    pub set_up: Option<SetUp>,
    /// How long each may take.
    pub timeout: Duration,
}

impl Guests {
    /// Guests of this engine, whose epochs interrupt, answering by this component; without an environment, limits of memory, and HTTP of their own,
    /// and with a minute for each request.
    pub fn new(engine: &Engine, handler: Handler) -> Self {
        Self {
            engine: engine.clone(),
            ticker: Ticker::new(engine),
            handler,
            state: None,
            http: HttpConfig::new(),
            env: Vec::new(),
            max_memory: None,
            max_total: None,
            set_up: None,
            timeout: Duration::from_mins(1),
        }
    }

    /// A guest for this request. It begins with the first poll.
    ///
    /// # Errors
    /// What the guest isn't given.
    pub(super) fn answer(&self, request: Request<Incoming>) -> Result<Guest, AnswerError> {
        let mut store = Store::new(&self.engine);
        store.limits_mut().memory_size = self.max_memory;
        if self.max_total.is_some() {
            store.budget().set_limits(None, self.max_total);
        }
        store.epoch_deadline_yield_and_update(1);
        // Of the tick that is now there may be almost nothing left.
        store.set_epoch_deadline(2);
        let mut wasi = WasiConfig::new();
        wasi.inherit_stdout();
        wasi.inherit_stderr();
        let refused = |error: &dyn fmt::Display| AnswerError::Store(Error::message(error.to_string()));
        if !self.env.is_empty() || self.state.is_none() {
            wasi.set_env(self.env.iter().cloned()).map_err(|error| refused(&error))?;
        }
        store.slots_mut().insert(match &self.state {
            Some(state) => wasi.build_from(state).map_err(|error| refused(&error))?,
            None => wasi.build(),
        });
        store.slots_mut().insert(self.http.build());
        if let Some(set_up) = &self.set_up {
            set_up(&mut store).map_err(AnswerError::Store)?;
        }
        let request = request.map(frames_of_request);
        let answering = self.handler.answer(store, request, Scheme::Http)?;
        Ok(Guest { listener: None, answering, _ticking: self.ticker.begin() })
    }
}

/// A guest that answers a request. As a future, it is over when the guest is.
pub struct Guest {
    /// Made when the guest first waits: the descriptor of its store's reactor.
    listener: Option<AsyncFd<OwnedFd>>,
    answering: Answering,
    _ticking: Ticking,
}

impl Guest {
    /// The response, once it is there.
    pub fn take_response(&mut self) -> Option<Result<Response<Frames>, ErrorCode>> {
        self.answering.take_response()
    }

    /// Sees to it that the guest is polled again: when its store has a reason to go on, or, where it has only had its share of time, after the
    /// others.
    fn listen(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(listener) = &self.listener else {
            if let Some(reactor) = self.answering.store().reactor_if_any() {
                let descriptor = rustix::io::fcntl_dupfd_cloexec(reactor.descriptor()?, 0)?;
                // SAFETY: an `OwnedFd` is open, and the same, as long as it lives; it moves into what is registered.
                let listener = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
                self.listener = Some(listener.map_err(io::Error::from)?);
            }
            // What has happened before it was listened to is found by another look.
            wake_after_others(context);
            return Ok(());
        };
        while let Poll::Ready(ready) = listener.poll_read_ready(context) {
            if is_readable(listener.get_ref())? {
                wake_after_others(context);
                break;
            }
            ready?.clear_ready();
        }
        Ok(())
    }
}

/// Has this polled again when all the others were that are ready, and when the thread has looked for what has come meanwhile. One that wakes
/// itself would go on for as many turns as the executor takes between two such looks.
fn wake_after_others(context: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(context);
}

fn is_readable(descriptor: &OwnedFd) -> io::Result<bool> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&now))? > 0)
}

impl Future for Guest {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.answering.poll();
        if polled.is_pending()
            && let Err(error) = self.listen(context)
        {
            return Poll::Ready(Err(Error::message(format!("cannot wait for the guest: {error}"))));
        }
        polled
    }
}
