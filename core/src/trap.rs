//! The reasons for which a guest is stopped. One list: the C interface's numbers, and the words embedders see.

use std::fmt;

macro_rules! trap_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $message:literal;)*) => {
        /// Why a guest was stopped. The numbers are `wasmtime_trap_code_t`'s.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum TrapCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl TrapCode {
            /// Every code.
            pub const ALL: &'static [TrapCode] = &[$(TrapCode::$name),*];

            /// The code with this number.
            pub fn from_u8(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(TrapCode::$name),)*
                    _ => None,
                }
            }

            /// The message of a trap with this code; clients match on these words.
            pub fn message(self) -> &'static str {
                match self {
                    $(TrapCode::$name => $message,)*
                }
            }
        }
    };
}

trap_codes! {
    /// The guest used more stack than it may.
    StackOverflow = 0, "call stack exhausted";
    /// A load, store or bulk operation outside of a memory.
    MemoryOutOfBounds = 1, "out of bounds memory access";
    /// An atomic access to an address that is not a multiple of its size.
    HeapMisaligned = 2, "unaligned atomic";
    /// An access outside of a table.
    TableOutOfBounds = 3, "undefined element: out of bounds table access";
    /// A call through a null table element.
    IndirectCallToNull = 4, "uninitialized element";
    /// A call through a table element of another type.
    BadSignature = 5, "indirect call type mismatch";
    /// Signed division whose result does not fit.
    IntegerOverflow = 6, "integer overflow";
    /// Integer division or remainder by zero.
    IntegerDivisionByZero = 7, "integer divide by zero";
    /// Conversion of a NaN to an integer.
    BadConversionToInteger = 8, "invalid conversion to integer";
    /// `unreachable`.
    Unreachable = 9, "wasm `unreachable` instruction executed";
    /// The epoch deadline passed.
    Interrupt = 10, "interrupt";
    /// No fuel is left.
    OutOfFuel = 11, "all fuel consumed by WebAssembly";
    /// `memory.atomic.wait` on a memory that is not shared.
    AtomicWaitNonSharedMemory = 12, "atomic wait on non-shared memory";
    /// Use of a null reference where a value is needed.
    NullReference = 13, "null reference";
    /// An access outside of a GC array.
    ArrayOutOfBounds = 14, "out of bounds array access";
    /// A GC allocation that can never succeed.
    AllocationTooLarge = 15, "allocation size too large";
    /// A reference cast that does not hold.
    CastFailure = 16, "cast failure";
}

impl fmt::Display for TrapCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for TrapCode {}
