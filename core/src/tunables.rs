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
    /// Which checks an access makes.
    pub bounds: Bounds,
}

/// The checks of an access to an `index` plus a constant `offset`, of `size` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bounds {
    /// None, while `offset + size` fits in `guard`: index plus that can't leave reservation and guard. Larger offsets
    /// compare explicitly.
    Guarded,
    /// Compare `index + offset + size` with the length.
    Explicit,
}

impl MemoryPlan {
    /// The plan for memories of this type.
    pub fn new(ty: &MemoryType, tunables: &Tunables) -> Self {
        let page = 1u64 << 16;
        let max = ty.max_byte_len();
        let min = ty.min_byte_len().unwrap_or(u64::MAX);
        // A 32-bit index reaches 4 GiB: a reservation of that size makes every index land in it or in the guard.
        let covers_every_index = !ty.is_64 && tunables.memory_reservation >= 4 << 30;
        let guarded = tunables.signals_based_traps && covers_every_index && ty.page_size_log2 == 16;
        // A minimum that no host can address leaves a reservation that no host can make: creation fails, with an error.
        let minimum = min.min(max).checked_next_multiple_of(page).unwrap_or(u64::MAX);
        let reservation = tunables.memory_reservation.max(minimum);
        // A shared memory can't move: other threads hold its base. Its declared maximum is reserved at once.
        let reservation = if ty.shared { reservation.max(max.min(4 << 30).max(min)) } else { reservation };
        let may_move = !ty.shared && tunables.memory_may_move && !(guarded || max <= reservation);
        Self {
            reservation,
            guard: tunables.memory_guard_size,
            may_move,
            bounds: if guarded { Bounds::Guarded } else { Bounds::Explicit },
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
        assert_eq!((plan.bounds, plan.may_move), (Bounds::Guarded, false));
    }

    #[test]
    fn small_reservations_wide_addresses_and_no_signals_check_explicitly() {
        let small = Tunables { memory_reservation: 1 << 20, ..Tunables::default() };
        let no_signals = Tunables { signals_based_traps: false, ..Tunables::default() };
        assert_eq!(MemoryPlan::new(&memory(None, false), &small).bounds, Bounds::Explicit);
        assert_eq!(MemoryPlan::new(&memory(None, false), &no_signals).bounds, Bounds::Explicit);
        assert_eq!(MemoryPlan::new(&memory(None, true), &Tunables::default()).bounds, Bounds::Explicit);
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
