//! Calls into a store from another stack than the one that its guest waits on.
//!
//! A host function may run other stores' asynchronous calls, or switch stacks in some way of its own, and call its store again from
//! there. Such a call has the limit of its own stack. And it must end before the guest outside goes on: a fiber is held while one is on
//! it, so that it can't be left. The reverse, a guest that is left on a fiber which waits, is fine as long as its store is not entered
//! until it goes on; entering it is refused.
//!
//! What the library does not see are stacks that the host itself switches. There [`ampoule_machine::arch::entry`] finds a frame that ends out of
//! order.

use super::Store;
use crate::error::Error;
use ampoule_core::vm::VmStackBounds;
use ampoule_machine::arch::switch::Link;
use ampoule_machine::fiber::link_around;
use ampoule_machine::stack;
use std::mem;

/// What is to be as before when such a call is over.
pub(crate) struct Reentry {
    stack: VmStackBounds,
    stack_limit: usize,
    /// The fiber that is held because the call is on its stack.
    on: Option<*const Link>,
    /// The store's own, which must not be left from there.
    own: Option<*const Link>,
}

impl Store {
    /// Makes the stack at `sp` the one that the store knows.
    ///
    /// # Errors
    /// Where the guest that waits was left on a fiber that waits.
    pub(crate) fn begin_reentry(&mut self, sp: usize) -> Result<Reentry, Error> {
        self.check_not_left_behind()?;
        // SAFETY: we are on the stack.
        let on = unsafe { link_around(sp) }.map(std::ptr::from_ref);
        let own = on.and_then(|_| self.running_link());
        // SAFETY: a fiber is there as long as something is on its stack, and as long as its task runs.
        on.iter().chain(&own).for_each(|&link| unsafe { (*link).hold() });
        let mut stack = VmStackBounds::default();
        let stack_limit = stack::limit_for(&mut stack, sp, self.engine.config().max_wasm_stack);
        Ok(Reentry {
            stack: mem::replace(&mut self.vm.entry.stack, stack),
            stack_limit: mem::replace(&mut self.vm.stack_limit, stack_limit),
            on,
            own,
        })
    }

    /// The call is over.
    pub(crate) fn end_reentry(&mut self, reentry: Reentry) {
        let asks = self.vm.entry.stack.is_asking();
        self.vm.entry.stack = reentry.stack;
        if asks {
            self.vm.entry.stack.keep_asking();
        }
        self.vm.stack_limit = reentry.stack_limit;
        // SAFETY: as in `begin_reentry`: neither fiber was left meanwhile, so both are still there.
        reentry.on.iter().chain(&reentry.own).for_each(|&link| unsafe { (*link).release() });
    }
}
