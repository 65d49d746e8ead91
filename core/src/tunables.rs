//! The choices that machine code and the runtime must share: how memories are laid out and which checks code makes.

use crate::types::MemoryType;
use serde::{Deserialize, Serialize};

/// Everything about a configuration that changes the machine code made under it. An artifact carries the tunables it was
/// compiled with, and loads only where they are equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Tunables {
    /// How hard the optimizing compiler works.
    pub opt_level: OptLevel,
    /// Count fuel, and trap when there is none.
    pub consume_fuel: bool,
    /// Check the epoch deadline at function entries and loop heads.
    pub epoch_interruption: bool,
    /// Look at function entries and loop heads whether the call was cancelled; implied by `epoch_interruption`.
    pub cancellation: bool,
    /// Count host calls, and the time that guests take.
    pub statistics: bool,
    /// Give every NaN result the canonical bits.
    pub nan_canonicalization: bool,
    /// Give relaxed SIMD operations the results of the deterministic profile.
    pub relaxed_simd_deterministic: bool,
    /// Let memory faults and divide errors arrive as signals. Off: every check is explicit.
    pub signals_based_traps: bool,
    /// Clamp checked addresses and indices, so that a mispredicted check can't read out of bounds.
    pub spectre_mitigation: bool,
    /// Run Cranelift's verifier over what is made.
    pub debug_verifier: bool,
    /// Compile every function as those are that are too large to be optimized.
    pub debug_least_effort: bool,
    /// Compile every function as those are that are known to run often.
    pub debug_hot: bool,
    /// Note which code every operator has become, and not only those that backtraces tell of: for listings. Code is the same.
    pub debug_positions: bool,
    /// Which compilers functions are compiled with.
    pub tiers: Tiers,
    /// Keep DWARF sections in artifacts.
    pub debug_info: bool,
    /// Keep and read DWARF sections, for backtraces with file and line.
    pub backtrace_details: bool,
    /// Address space reserved for a memory, in bytes.
    pub memory_reservation: u64,
    /// Unmapped address space behind the reservation, in bytes.
    pub memory_guard_size: u64,
    /// Whether a memory that outgrows its reservation may move.
    pub memory_may_move: bool,
}

impl Tunables {
    /// Whether code lets itself be interrupted: by a deadline of epochs, or only by a cancellation.
    pub fn interruptible(&self) -> bool {
        self.epoch_interruption || self.cancellation
    }
}

/// A compiler.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Tier {
    /// Code in one pass over a function's operators: at once.
    Baseline,
    /// Code that runs fast.
    #[default]
    Optimizing,
}

/// Which compilers functions are compiled with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Tiers {
    /// A function that is called for the first time with the baseline tier, and what is run often with the optimizing one. A module that is
    /// compiled as a whole: with the optimizing tier.
    Auto,
    /// All with the baseline tier.
    Baseline,
    /// All with the optimizing tier.
    Optimizing,
}

/// How hard the optimizing compiler works.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum OptLevel {
    /// Fast compilation.
    None,
    /// Fast code.
    Speed,
    /// Fast code, small where that costs nothing.
    SpeedAndSize,
}

impl Default for Tunables {
    fn default() -> Self {
        Self {
            opt_level: OptLevel::Speed,
            consume_fuel: false,
            epoch_interruption: false,
            cancellation: false,
            statistics: false,
            nan_canonicalization: false,
            relaxed_simd_deterministic: false,
            signals_based_traps: true,
            spectre_mitigation: true,
            debug_verifier: false,
            debug_least_effort: false,
            debug_hot: false,
            debug_positions: false,
            tiers: Tiers::Auto,
            debug_info: false,
            backtrace_details: false,
            memory_reservation: 4 << 30,
            memory_guard_size: 32 << 20,
            memory_may_move: true,
        }
    }
}

/// What one memory's shape decides: how it is mapped, and which checks accesses to it make. The runtime maps by this
/// plan and compilers elide checks by it; nobody else decides either (docs/security.md, rule 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryPlan {
    /// Address space to reserve from the base on, in bytes.
    pub reservation: u64,
    /// Unmapped bytes behind the reservation.
    pub guard: u64,
    /// Whether the base may change when the memory grows.
    pub may_move: bool,
    /// Which checks accesses may leave out.
    pub bounds: Bounds,
}

/// What the space of a memory spares its accesses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bounds {
    /// The reservation holds whatever length the memory may have, and what lies behind the length faults.
    Reserved,
    /// What lies behind the length faults, for as many bytes as the guard has at least.
    Guarded,
    /// Nothing: no fault tells that an access is out of bounds.
    Explicit,
}

/// What has to hold of the index of an access before it is made; where it doesn't, the access is out of bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexCheck {
    /// Nothing: what is out of bounds faults.
    Nothing,
    /// It is at most this; then what is out of bounds faults.
    AtMost(u64),
    /// It is at most the memory's length; then what is out of bounds faults.
    AtMostLength,
    /// The access ends within the memory's length.
    EndsWithinLength,
    /// No index will do: no memory of the type is as long.
    Never,
}

impl MemoryPlan {
    /// The plan for memories of this type.
    pub fn new(ty: &MemoryType, tunables: &Tunables) -> Self {
        let page = 1u64 << 16;
        let max = ty.max_byte_len();
        let min = ty.min_byte_len().unwrap_or(u64::MAX);
        // A minimum that no host can address leaves a reservation that no host can make: creation fails, with an error.
        let minimum = min.min(max).checked_next_multiple_of(page).unwrap_or(u64::MAX);
        let reservation = tunables.memory_reservation.max(minimum);
        // A shared memory can't move: other threads hold its base. Its declared maximum is reserved at once.
        let reservation = if ty.shared { reservation.max(max.min(4 << 30).max(min)) } else { reservation };
        let may_move = !ty.shared && tunables.memory_may_move && max > reservation;
        // Code is compiled for the type of an import, whose limits are wider than those of the memory that it is given: so it may rely
        // on no more than every memory of the engine has.
        let bounds = match tunables.signals_based_traps && ty.page_size_log2 == 16 {
            true if max <= tunables.memory_reservation => Bounds::Reserved,
            true => Bounds::Guarded,
            false => Bounds::Explicit,
        };
        Self { reservation, guard: tunables.memory_guard_size, may_move, bounds }
    }

    /// What has to hold of the index where `reach` bytes behind it an access ends, to a memory of the type that the plan is for.
    ///
    /// A fault tells the address that was missed, a comparison doesn't. So this also decides what the message of the trap says; it
    /// says as much as that of 44.0.0.
    pub fn index_check(&self, ty: &MemoryType, reach: u64) -> IndexCheck {
        let absorbs = |index: u64| index.checked_add(reach).is_some_and(|end| end <= self.reservation + self.guard);
        match self.bounds {
            _ if reach > ty.max_byte_len() => IndexCheck::Never,
            Bounds::Reserved if !ty.is_64 && absorbs(u32::MAX.into()) => IndexCheck::Nothing,
            Bounds::Reserved => IndexCheck::AtMost(self.reservation - reach),
            // For one byte both comparisons cost the same.
            Bounds::Guarded if reach > 1 && reach <= self.guard => IndexCheck::AtMostLength,
            Bounds::Guarded | Bounds::Explicit => IndexCheck::EndsWithinLength,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(max: Option<u64>, is_64: bool) -> MemoryType {
        MemoryType { min: 1, max, is_64, shared: false, page_size_log2: 16 }
    }

    #[test]
    fn a_32_bit_memory_is_guarded_and_stays_by_default() {
        let plan = MemoryPlan::new(&memory(None, false), &Tunables::default());
        assert_eq!((plan.bounds, plan.may_move), (Bounds::Reserved, false));
        assert_eq!(plan.index_check(&memory(None, false), 4), IndexCheck::Nothing);
    }

    #[test]
    fn small_reservations_and_wide_addresses_compare_with_the_length_and_without_signals_exactly() {
        let small = Tunables { memory_reservation: 1 << 20, ..Tunables::default() };
        let no_signals = Tunables { signals_based_traps: false, ..Tunables::default() };
        let check = |ty: MemoryType, tunables: &Tunables| MemoryPlan::new(&ty, tunables).index_check(&ty, 4);
        assert_eq!(check(memory(None, false), &small), IndexCheck::AtMostLength);
        assert_eq!(check(memory(None, false), &no_signals), IndexCheck::EndsWithinLength);
        assert_eq!(check(memory(None, true), &Tunables::default()), IndexCheck::AtMostLength);
        assert_eq!(check(memory(Some(1 << 16), true), &Tunables::default()), IndexCheck::AtMost((4 << 30) - 4));
        let byte_pages = MemoryType { page_size_log2: 0, ..memory(None, true) };
        assert_eq!(check(byte_pages, &Tunables::default()), IndexCheck::EndsWithinLength);
    }

    /// For every type of a memory and every type that it may be imported as: an index that passes the check of the import leads to an access
    /// that is in bounds, or ends where the memory faults; and every access in bounds passes.
    #[test]
    fn what_a_check_lets_pass_is_in_bounds_or_faults() {
        let page = 1u64 << 16;
        let maxima =
            [Some(1), Some(2), Some(16), Some(17), Some(65_535), Some(65_536), Some(65_537), Some(1 << 20), None];
        for reservation in [0, page, 1 << 20, 4 << 30, (4 << 30) + page, 8 << 30] {
            for (guard, signals) in [(0, true), (page, true), (32 << 20, true), (32 << 20, false)] {
                let tunables = Tunables {
                    memory_reservation: reservation,
                    memory_guard_size: guard,
                    signals_based_traps: signals,
                    ..Tunables::default()
                };
                for (is_64, shared) in [(false, false), (true, false), (false, true), (true, true)] {
                    let types = maxima.into_iter().flat_map(|max| [1, 2, 16].map(|min| (min, max)));
                    let types =
                        types.filter(|&(min, max)| max.is_none_or(|max| min <= max) && (max.is_some() || !shared));
                    let types: Vec<_> = types
                        .map(|(min, max)| MemoryType { min, shared, ..memory(max, is_64) })
                        .filter(|ty| is_64 || ty.max.is_none_or(|max| max <= 1 << 16))
                        .collect();
                    for (ty, import) in types.iter().flat_map(|ty| types.iter().map(move |import| (ty, import))) {
                        // As imports are matched.
                        if ty.max_byte_len() <= import.max_byte_len() {
                            check_accesses(ty, import, &tunables);
                        }
                    }
                }
            }
        }
    }

    fn check_accesses(ty: &MemoryType, import: &MemoryType, tunables: &Tunables) {
        let page = 1u64 << 16;
        let (plan, code) = (MemoryPlan::new(ty, tunables), MemoryPlan::new(import, tunables));
        // A memory may have grown, and moved then: exactly what it needs is reserved, and the guard behind.
        let (min, max) = (ty.min * page, ty.max_byte_len().min(1 << 40));
        let lengths = [min, min + page, plan.reservation, plan.reservation.saturating_add(page), max];
        for len in lengths.into_iter().filter(|&len| (min..=max).contains(&len) && len >= import.min * page) {
            let reserved = plan.reservation.max(len);
            let faults = if tunables.signals_based_traps { reserved + plan.guard } else { len };
            let widest = if ty.is_64 { u64::MAX } else { u32::MAX.into() };
            for reach in
                [1, 2, 16, page, page + 1, plan.guard, plan.guard + 1, 1 << 32, (1 << 32) + 1, 1 << 40, u64::MAX]
            {
                let reach = reach.max(1);
                let near = |at: u64| [at.saturating_sub(1), at, at.saturating_add(1)];
                let borders = [0, len - 1, len.saturating_sub(reach), reserved, faults.saturating_sub(reach), widest];
                for index in borders.into_iter().flat_map(near).filter(|&index| index <= widest) {
                    let end = index.checked_add(reach);
                    let in_bounds = end.is_some_and(|end| end <= len);
                    let passes = match code.index_check(import, reach) {
                        IndexCheck::Nothing => true,
                        IndexCheck::AtMost(last) => index <= last,
                        IndexCheck::AtMostLength => index <= len,
                        IndexCheck::EndsWithinLength => in_bounds,
                        IndexCheck::Never => false,
                    };
                    let what =
                        || format!("{ty:?} as {import:?}, {len:#x} bytes: {index:#x} + {reach:#x}, {tunables:?}");
                    assert!(passes || !in_bounds, "refused: {}", what());
                    assert!(!passes || end.is_some_and(|end| end <= faults), "beyond the guard: {}", what());
                }
            }
        }
    }

    #[test]
    fn a_minimum_beyond_all_hosts_is_no_overflow() {
        for min in [1 << 48, (1 << 48) - 1, u64::MAX] {
            let ty = MemoryType { min, ..memory(None, true) };
            assert!(MemoryPlan::new(&ty, &Tunables::default()).reservation >= u64::MAX - 0xffff);
        }
    }

    #[test]
    fn a_memory_whose_maximum_fits_its_reservation_never_moves() {
        let small = Tunables { memory_reservation: 1 << 20, ..Tunables::default() };
        assert!(!MemoryPlan::new(&memory(Some(16), false), &small).may_move);
        assert!(MemoryPlan::new(&memory(Some(17), false), &small).may_move);
    }
}
