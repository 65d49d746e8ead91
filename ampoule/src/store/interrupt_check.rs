//! A question to the embedder while its store waits: whether the guest is to be stopped. For embedders that learn that neither from another
//! thread nor by an epoch: where a signal handler has set a flag, say, that is to be looked at by the thread that waits.

use super::Store;
use std::sync::Arc;
use std::time::Duration;

/// Whether the guest is to be stopped that waits. Asked on the thread that waits.
pub type InterruptCheck = Arc<dyn Fn() -> bool + Send + Sync>;

/// The longest time between two questions.
pub const INTERVAL: Duration = Duration::from_millis(10);

impl Store {
    /// Sets what is asked whenever this store waits for the host, before it does and every [`INTERVAL`] meanwhile, and when a signal has come:
    /// in a call of WASI's that sleeps, and where a call of a component waits for something of the host's. `true` stops the guest with
    /// [`crate::TrapCode::Interrupt`]. `None` removes it; without one, a store sleeps until it is woken.
    ///
    /// A guest that runs is not asked about: see [`Store::epoch_deadline_callback`].
    pub fn set_interrupt_check(&mut self, check: Option<InterruptCheck>) {
        let before = std::mem::replace(&mut self.interrupt_check, check.map(Box::new));
        self.finalize(before);
    }

    /// What is asked while this store waits, for what waits without it.
    #[inline]
    pub fn interrupt_check(&self) -> Option<&InterruptCheck> {
        self.interrupt_check.as_deref()
    }
}
