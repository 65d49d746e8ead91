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

            /// The message of a trap with this code; programs match on these words.
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
    /// A call into a component instance that may not be entered now.
    CannotEnterComponent = 17, "cannot enter component instance";
    /// An async component function ended without a result.
    NoAsyncResult = 18, "async-lifted export failed to produce a result";
    /// A suspension that nobody handles.
    UnhandledTag = 19, "unhandled tag";
    /// A continuation resumed twice.
    ContinuationAlreadyConsumed = 20, "continuation already consumed";
    /// An instruction that the configuration has turned off.
    DisabledOpcode = 21, "pulley opcode disabled at compile time was executed";
    /// All tasks of an async component call wait.
    AsyncDeadlock = 22, "deadlock detected: event loop cannot make further progress";
    /// A call out of a component instance that may not be left now.
    CannotLeaveComponent = 23, "cannot leave component instance";
    /// A synchronous task would have to wait.
    CannotBlockSyncTask = 24, "cannot block a synchronous task before returning";
    /// A number that is no character.
    InvalidChar = 25, "invalid `char` bit pattern";
    /// A check: a string was not transcoded to its end.
    StringEncodingFinished = 26, "should have finished string encoding";
    /// A check: two counts of code units differ.
    EqualCodeUnits = 27, "code units should be equal";
    /// A check: a pointer is not aligned.
    PointerAligned = 28, "pointer should be aligned";
    /// A check: the upper bits of a 64-bit value are not zero.
    UpperBitsUnset = 29, "upper bits should be unset";
    /// A component's string beyond the end of its memory.
    StringOutOfBounds = 30, "string content out-of-bounds";
    /// A component's list beyond the end of its memory.
    ListOutOfBounds = 31, "list content out-of-bounds";
    /// A variant with an unknown case.
    InvalidDiscriminant = 32, "invalid variant discriminant";
    /// A component's pointer that is not aligned.
    UnalignedPointer = 33, "unaligned pointer";
    /// A task that nobody has cancelled answers that it is.
    TaskCancelNotCancelled = 34, "`task.cancel` called by task which has not been cancelled";
    /// A task that ends twice.
    TaskCancelOrReturnTwice = 35, "`task.return` or `task.cancel` called more than once for current task";
    /// A subtask cancelled after its end.
    SubtaskCancelAfterTerminal = 36, "`subtask.cancel` called after terminal status delivered";
    /// A task that returns by another type.
    TaskReturnInvalid = 37, "invalid `task.return` signature and/or options for current task";
    /// A waitable set dropped while a task waits on it.
    WaitableSetDropHasWaiters = 38, "cannot drop waitable set with waiters";
    /// A subtask dropped before it was resolved.
    SubtaskDropNotResolved = 39, "cannot drop a subtask which has not yet resolved";
    /// A thread of a function of another type.
    ThreadNewIndirectInvalidType = 40, "start function does not match expected type (currently only `(i32) -> ()` is supported)";
    /// A thread of a null function.
    ThreadNewIndirectUninitialized = 41, "the start function index points to an uninitialized function";
    /// A backpressure counter beyond its range.
    BackpressureOverflow = 42, "backpressure counter overflow";
    /// An answer of an async callback that means nothing.
    UnsupportedCallbackCode = 43, "unsupported callback code";
    /// A thread that can't be resumed.
    CannotResumeThread = 44, "cannot resume thread which is not suspended";
    /// A second operation on a future or stream.
    ConcurrentFutureStreamOp = 45, "cannot have concurrent operations active on a future/stream";
}

impl fmt::Display for TrapCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for TrapCode {}
