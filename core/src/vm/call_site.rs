//! What an indirect call calls, as code that counts has noted it.

use std::array;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// Callees that are noted of a call site, at most.
pub const SITE_CALLEES: usize = 4;

/// What baseline code notes of a `call_indirect` or `call_ref`: the callees that are called more often than what is not among them. Several threads
/// may write at once, and lose a count.
///
/// A call of a callee that is noted adds one to its count. A call of another adds one to `others`, and takes one from each count from the first on, up
/// to one that was zero: there the other is noted instead, with one call. So a count is short by no more than `others`.
#[repr(C)]
#[derive(Debug)]
pub struct VmCallSite {
    /// The first is what code looks at in line.
    pub callees: [VmCallee; SITE_CALLEES],
    /// How often something else was called than what was noted then.
    pub others: AtomicI32,
}

/// A callee of a call site.
#[repr(C)]
#[derive(Debug, Default)]
pub struct VmCallee {
    /// The address of the callee's reference, less that of the caller's context: a function of the instance that calls is the same number in
    /// all instances of a module. Zero where nothing was noted yet.
    pub callee: AtomicU64,
    /// See [`VmCallSite`].
    pub calls: AtomicI32,
    /// One for the last of a site, zero for the others. Constant.
    pub is_last: AtomicU32,
}

impl Default for VmCallSite {
    fn default() -> Self {
        let callees = array::from_fn(|number| VmCallee {
            is_last: u32::from(number + 1 == SITE_CALLEES).into(),
            ..VmCallee::default()
        });
        Self { callees, others: 0.into() }
    }
}

/// What an indirect call has called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callees {
    /// Nothing yet.
    None,
    /// These, and perhaps others.
    Known(KnownCallees),
    /// Too little to say.
    TooFew,
}

/// Callees, the most frequent first, as [`VmCallee::callee`] tells them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KnownCallees {
    /// Behind the last, zeros.
    callees: [u64; SITE_CALLEES],
    /// Whether others are hardly called.
    pub are_nearly_all: bool,
}

impl KnownCallees {
    /// These callees, as many as there is room for.
    pub fn new(callees: &[u64], are_nearly_all: bool) -> Self {
        let callees = array::from_fn(|number| callees.get(number).copied().unwrap_or(0));
        Self { callees, are_nearly_all }
    }

    /// The callees.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.callees.into_iter().take_while(|&callee| callee != 0)
    }
}

impl VmCallSite {
    /// What has been called, if there were at least so many calls: the callees that have a tenth of them each, if others are hardly called; otherwise
    /// all that are noted.
    pub fn callees(&self, calls_min: i32) -> Callees {
        let mut noted: Vec<(i64, u64)> = self
            .callees
            .iter()
            .map(|noted| (noted.calls.load(Ordering::Relaxed).max(0).into(), noted.callee.load(Ordering::Relaxed)))
            .filter(|&(_, callee)| callee != 0)
            .collect();
        if noted.is_empty() {
            return Callees::None;
        }
        noted.sort_by_key(|&(calls, _)| -calls);
        // The first call of each that is noted was one of another.
        let others = (i64::from(self.others.load(Ordering::Relaxed)) - noted.len() as i64).max(0);
        let counted: i64 = noted.iter().map(|&(calls, _)| calls).sum();
        // As many as there may have been: each of the others has taken one from each count.
        let all = counted + others * (1 + SITE_CALLEES as i64);
        if counted + others < i64::from(calls_min.max(1)) {
            return Callees::TooFew;
        }
        let often = noted.partition_point(|&(calls, _)| calls >= all / 10);
        let rest = others + noted[often..].iter().map(|&(calls, _)| calls).sum::<i64>();
        let are_nearly_all = rest <= all / 10;
        noted.truncate(if are_nearly_all { often } else { SITE_CALLEES });
        let callees: Vec<u64> = noted.into_iter().map(|(_, callee)| callee).collect();
        Callees::Known(KnownCallees::new(&callees, are_nearly_all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(noted: &[(u64, i32)], others: i32) -> VmCallSite {
        let site = VmCallSite { others: (others + noted.len() as i32).into(), ..VmCallSite::default() };
        for (place, &(callee, calls)) in site.callees.iter().zip(noted) {
            place.callee.store(callee, Ordering::Relaxed);
            place.calls.store(calls, Ordering::Relaxed);
        }
        site
    }

    fn known(callees: &[u64], are_nearly_all: bool) -> Callees {
        Callees::Known(KnownCallees::new(callees, are_nearly_all))
    }

    #[test]
    fn callees_that_are_called_often_are_told_most_frequent_first() {
        let callees = |noted: &[(u64, i32)], others| site(noted, others).callees(32);
        assert_eq!(callees(&[], 0), Callees::None);
        assert_eq!(callees(&[(48, 32)], 0), known(&[48], true));
        assert_eq!(callees(&[(48, 31)], 0), Callees::TooFew);
        assert_eq!(callees(&[(48, 30), (72, 50), (96, 20)], 0), known(&[72, 48, 96], true));
        assert_eq!(callees(&[(48, 9), (72, 91)], 0), known(&[72], true));
        assert_eq!(callees(&[(48, 30), (72, 20)], 10), known(&[48, 72], true));
        // What a few others are called besides.
        assert_eq!(callees(&[(48, 30), (72, 20)], 20), known(&[48, 72], false));
        assert_eq!(callees(&[(48, 9), (72, 80), (96, 9), (24, 2)], 0), known(&[72, 48, 96, 24], false));
        assert_eq!(callees(&[(48, 3), (72, 1), (96, 0), (24, 2)], 500), known(&[48, 24, 72, 96], false));
        // What threads that count at once may leave behind.
        assert_eq!(callees(&[(48, -1), (72, 100)], -8), known(&[72], true));
        assert_eq!(site(&[(48, 0)], 0).callees(0), Callees::TooFew);
    }
}
