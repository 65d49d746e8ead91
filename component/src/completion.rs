//! Host functions that begin something and are told later that it is done, by whatever thread: [`Completion`].

use crate::records::HostFuture;
use crate::val::Val;
use ampoule::Error;
use ampoule::sync::Mutex;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The answer of one call, which is yet to come; see [`crate::LinkerInstanceMut::func_completed`]. Any thread may give it, once, also after
/// the store has gone. Whoever drops it without an answer stops the guest.
pub struct Completion(Arc<Shared>);

/// What both sides have. Nothing is dropped or called with the lock held: it may be anybody's code.
#[derive(Default)]
struct Shared(Mutex<State>);

/// What cancellation does.
type OnCancel = Box<dyn FnOnce() + Send>;

enum State {
    Open {
        waker: Option<Waker>,
        on_cancel: Option<OnCancel>,
    },
    Answered(Result<Option<Val>, Error>),
    /// The caller has the answer, or doesn't want it any more.
    Over {
        is_cancelled: bool,
    },
}

impl Default for State {
    fn default() -> Self {
        State::Open { waker: None, on_cancel: None }
    }
}

impl Completion {
    /// The answer of a call, and the future that the caller waits for.
    pub(crate) fn new() -> (Completion, HostFuture) {
        let shared = Arc::new(Shared::default());
        (Completion(shared.clone()), Box::pin(Answer(shared)))
    }

    /// Gives the answer: the result, `None` of a function that has none. False where there was one already, or the caller doesn't want any;
    /// it is dropped then.
    pub fn complete(&self, answer: Result<Option<Val>, Error>) -> bool {
        let mut state = self.0.0.lock();
        let State::Open { .. } = *state else {
            drop(state);
            return false;
        };
        let before = mem::replace(&mut *state, State::Answered(answer));
        drop(state);
        let State::Open { waker, on_cancel } = before else { unreachable!("it was seen to be open") };
        drop(on_cancel);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Whether the caller has gone without an answer: it was cancelled, or its store has ended.
    pub fn is_cancelled(&self) -> bool {
        matches!(*self.0.0.lock(), State::Over { is_cancelled: true })
    }

    /// Has something done when the caller goes without an answer, on the thread that uses the store; at once, where it has gone. It must not use
    /// the store. What was to be done before is not.
    pub fn on_cancel(&self, what: impl FnOnce() + Send + 'static) {
        let what: OnCancel = Box::new(what);
        let mut state = self.0.0.lock();
        match &mut *state {
            State::Open { on_cancel, .. } => {
                let before = on_cancel.replace(what);
                drop(state);
                drop(before);
            }
            State::Over { is_cancelled: true } => {
                drop(state);
                what();
            }
            State::Answered(_) | State::Over { .. } => drop(state),
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.complete(Err(Error::message("a host function's completion was dropped without an answer")));
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").finish_non_exhaustive()
    }
}

/// What the caller waits for.
struct Answer(Arc<Shared>);

impl Future for Answer {
    type Output = Result<Option<Val>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.0.lock();
        if let State::Open { waker, .. } = &mut *state {
            let before = waker.replace(cx.waker().clone());
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        match mem::replace(&mut *state, State::Over { is_cancelled: false }) {
            State::Answered(answer) => Poll::Ready(answer),
            _ => unreachable!("a future is not polled after it was ready"),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        if matches!(*state, State::Over { .. }) {
            return;
        }
        let is_cancelled = matches!(*state, State::Open { .. });
        let before = mem::replace(&mut *state, State::Over { is_cancelled });
        drop(state);
        if let State::Open { on_cancel: Some(on_cancel), .. } = before {
            on_cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn poll(future: &mut HostFuture) -> Poll<Result<Option<Val>, Error>> {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_first_answer_is_the_answer() {
        let (completion, mut answer) = Completion::new();
        assert!(poll(&mut answer).is_pending());
        assert!(completion.complete(Ok(Some(Val::from(1u8)))) && !completion.complete(Ok(None)));
        assert!(!completion.is_cancelled());
        assert!(matches!(poll(&mut answer), Poll::Ready(Ok(Some(val))) if val == Val::from(1u8)));
        drop(answer);
        assert!(!completion.complete(Ok(None)) && !completion.is_cancelled());
    }

    #[test]
    fn a_completion_that_is_dropped_is_an_error() {
        let (completion, mut answer) = Completion::new();
        drop(completion);
        let Poll::Ready(Err(error)) = poll(&mut answer) else { panic!("it is over") };
        assert!(error.to_string().contains("dropped without an answer"), "{error}");
    }

    #[test]
    fn cancellation_is_told_once_and_only_where_it_happened() {
        let told = Arc::new(AtomicU32::new(0));
        let tell = || {
            let told = told.clone();
            move || _ = told.fetch_add(1, Ordering::Relaxed)
        };
        let (completion, answer) = Completion::new();
        completion.on_cancel(|| panic!("it is replaced"));
        completion.on_cancel(tell());
        drop(answer);
        assert_eq!(told.load(Ordering::Relaxed), 1);
        assert!(completion.is_cancelled() && !completion.complete(Ok(None)));
        completion.on_cancel(tell());
        assert_eq!(told.load(Ordering::Relaxed), 2, "at once");
        let (completion, answer) = Completion::new();
        completion.on_cancel(tell());
        assert!(completion.complete(Ok(None)));
        drop(answer);
        completion.on_cancel(tell());
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }
}
