//! What an indirect call calls, as code that counts has noted it.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// What baseline code notes of a `call_indirect` or `call_ref`: a vote, in which the callee that has more calls than all others together is
/// always the one that is noted in the end. Several threads may write at once, and lose a count.
///
/// A call of the callee adds one to `lead`. A call of another takes one from it and adds one to `others`; where there is no lead any more, that
/// other is noted instead, with a lead of one.
#[repr(C)]
#[derive(Debug, Default)]
pub struct VmCallSite {
    /// The reference that was called last by the callee that is noted, whichever instance called: whoever calls it again need not look further.
    pub reference: AtomicU64,
    /// The address of the callee's reference, less that of the caller's context: a function of the instance that calls is the same number in
    /// all instances of a module. Zero where nothing was called yet.
    pub callee: AtomicU64,
    /// How many more calls it had than others, since it was noted.
    pub lead: AtomicI32,
    /// How many calls others had since then.
    pub others: AtomicI32,
}

/// What an indirect call has called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callees {
    /// Nothing yet.
    None,
    /// Nearly always the one that is noted like this: see [`VmCallSite::callee`].
    Mostly(u64),
    /// Several, or too little to say.
    Various,
}

impl VmCallSite {
    /// What has been called. A callee is the one that is nearly always called if it has at least nine calls in ten, and this lead.
    pub fn callees(&self, lead_min: i32) -> Callees {
        let callee = self.callee.load(Ordering::Relaxed);
        let (lead, others) = (self.lead.load(Ordering::Relaxed), self.others.load(Ordering::Relaxed));
        if callee == 0 {
            return Callees::None;
        }
        // It had `lead + others` calls of `lead + 2 * others`.
        if lead >= lead_min.max(1) && lead / 8 >= others { Callees::Mostly(callee) } else { Callees::Various }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callees(callee: u64, lead: i32, others: i32) -> Callees {
        VmCallSite { reference: 0.into(), callee: callee.into(), lead: lead.into(), others: others.into() }.callees(32)
    }

    #[test]
    fn a_callee_needs_nine_calls_in_ten_and_enough_of_them() {
        assert_eq!(callees(0, 0, 0), Callees::None);
        assert_eq!(callees(48, 32, 0), Callees::Mostly(48));
        assert_eq!(callees(48, 31, 0), Callees::Various);
        assert_eq!(callees(48, 80, 10), Callees::Mostly(48));
        assert_eq!(callees(48, 79, 10), Callees::Various);
        // What threads that count at once may leave behind.
        assert_eq!(callees(48, -1, 0), Callees::Various);
        assert_eq!(VmCallSite { callee: 48.into(), ..VmCallSite::default() }.callees(0), Callees::Various);
    }
}
