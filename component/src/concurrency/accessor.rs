//! Futures of host functions: how they get at the store, and how it learns that one was woken.
//!
//! A future has the store while it is polled, and only inside of [`Accessor::with`]: between two of those, the components go on. Which store
//! that is, is known to the thread that polls.

use crate::records::HostFuture;
use ampoule::{Error, Store};
use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A store that is lent to the future that is being polled.
#[derive(Clone, Copy)]
struct Lent {
    store: NonNull<Store>,
    id: u64,
}

thread_local! {
    /// What is lent on this thread now; nothing while it is in use.
    static LENT: Cell<Option<Lent>> = const { Cell::new(None) };
}

/// Access to a store for a future of [`crate::LinkerInstanceMut::func_async`], while that is polled.
#[derive(Clone)]
pub struct Accessor {
    store_id: u64,
}

impl Accessor {
    pub(crate) fn new(store: &Store) -> Accessor {
        Accessor { store_id: store.id() }
    }

    /// Does something with the store.
    ///
    /// # Errors
    /// Where the future that the accessor was given to is not being polled on this thread, or is inside of another `with`.
    pub fn with<R>(&self, work: impl FnOnce(&mut Store) -> R) -> Result<R, Error> {
        struct GiveBack(Lent);
        impl Drop for GiveBack {
            fn drop(&mut self) {
                LENT.set(Some(self.0));
            }
        }
        let lent = LENT.take().filter(|lent| lent.id == self.store_id);
        let lent = lent.ok_or_else(|| Error::message("the store is not lent to this future now"))?;
        let mut lent = GiveBack(lent);
        // SAFETY: who polls the future lends its store on this thread (`poll`), and doesn't use it meanwhile; nobody else has it from there,
        // as it was taken out.
        Ok(work(unsafe { lent.0.store.as_mut() }))
    }
}

/// A call of a host function that isn't over.
///
/// 1. `future` is only used through a reference that nobody shares.
pub(crate) struct HostTask {
    future: Option<HostFuture>,
    wakes: Arc<Wakes>,
    /// What the caller has of the call.
    pub(crate) subtask: u32,
    /// Whether each `list<u8>` is [`crate::Val::bytes`].
    pub(crate) compact_bytes: bool,
    /// Whether it tells nobody when it goes on, but has to be asked.
    pub(crate) is_asked: bool,
}

// SAFETY: by (1); the rest is shared safely.
unsafe impl Sync for HostTask {}

impl HostTask {
    /// A call that is to be polled.
    pub(super) fn new(future: HostFuture, subtask: u32, compact_bytes: bool, woken: &Arc<Woken>) -> HostTask {
        let wakes = Arc::new(Wakes { is_woken: AtomicBool::new(false), all: woken.clone() });
        HostTask { future: Some(future), wakes, subtask, compact_bytes, is_asked: false }
    }

    /// Whether it is to be polled again.
    pub(super) fn is_woken(&self) -> bool {
        self.wakes.is_woken.load(Ordering::Acquire)
    }

    /// Has it polled, where it is one that has to be asked.
    pub(super) fn ask(&self) {
        if self.is_asked {
            self.wakes.is_woken.store(true, Ordering::Release);
            self.wakes.all.any.store(true, Ordering::Release);
        }
    }

    /// Takes out what is polled.
    pub(super) fn begin_poll(&mut self) -> Option<(HostFuture, Waker)> {
        self.wakes.is_woken.store(false, Ordering::Release);
        Some((self.future.take()?, self.wakes.clone().into()))
    }

    /// Puts it back.
    pub(super) fn end_poll(&mut self, future: HostFuture) {
        self.future = Some(future);
    }
}

/// Polls a future, which has the store meanwhile.
pub(super) fn poll(store: &mut Store, future: &mut HostFuture, waker: &Waker) -> Poll<<HostFuture as Future>::Output> {
    struct Restore(Option<Lent>);
    impl Drop for Restore {
        fn drop(&mut self) {
            LENT.set(self.0);
        }
    }
    let lent = Lent { id: store.id(), store: NonNull::from(store) };
    let _restore = Restore(LENT.replace(Some(lent)));
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// Whether any future of a store was woken, and who is told.
pub(crate) struct Woken {
    any: AtomicBool,
    /// Ends the store's wait.
    store: Waker,
}

impl Woken {
    pub(super) fn new(store: Waker) -> Arc<Woken> {
        Arc::new(Woken { any: AtomicBool::new(false), store })
    }

    /// Whether some have been woken since this was asked last.
    pub(super) fn take(&self) -> bool {
        self.any.load(Ordering::Relaxed) && self.any.swap(false, Ordering::AcqRel)
    }
}

/// What wakes one future.
struct Wakes {
    is_woken: AtomicBool,
    all: Arc<Woken>,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.all.any.store(true, Ordering::Release);
        self.all.store.wake_by_ref();
    }
}

impl fmt::Debug for Accessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accessor").finish_non_exhaustive()
    }
}
