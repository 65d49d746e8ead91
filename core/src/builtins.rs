//! The functions of the runtime that machine code calls: one list, which the runtime implements exhaustively.
//!
//! A call reaches a builtin through a jump in the head of the module's code region (`Builtin::ALL` order), which leads to
//! a trampoline of the runtime. The trampoline makes a frame, notes it in `VmStoreContext::exit_fp`, calls the Rust
//! function, and unwinds the guest if that function set `VmStoreContext::unwinding`. So machine code never checks for a
//! trap after a call: a builtin returns only on success.
//!
//! All builtins but those of kind [`Convention::PreserveAll`] use the C convention.

use serde::{Deserialize, Serialize};

/// The type of a builtin's parameter or result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BuiltinType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer; addresses, lengths and deltas are zero-extended to it.
    I64,
    /// An address.
    Pointer,
    /// An `f32`.
    F32,
    /// An `f64`.
    F64,
}

/// How a builtin is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Convention {
    /// The platform's C convention.
    C,
    /// Every register survives the call; no result.
    PreserveAll,
    /// The C convention, but it never returns: the guest is unwound.
    NoReturn,
}

macro_rules! builtins {
    ($($(#[$doc:meta])* $name:ident ($text:literal): $convention:ident ($($param:ident),*) $(-> $result:ident)?;)*) => {
        /// A function of the runtime that machine code calls.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[repr(u32)]
        pub enum Builtin {
            $($(#[$doc])* $name,)*
        }

        impl Builtin {
            /// Every builtin, in the order of their numbers.
            pub const ALL: &'static [Builtin] = &[$(Builtin::$name),*];

            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name, for listings and errors.
            pub fn name(self) -> &'static str {
                match self { $(Builtin::$name => $text,)* }
            }

            /// How it is called.
            pub fn convention(self) -> Convention {
                match self { $(Builtin::$name => Convention::$convention,)* }
            }

            /// Parameter types.
            pub fn params(self) -> &'static [BuiltinType] {
                match self { $(Builtin::$name => &[$(BuiltinType::$param),*],)* }
            }

            /// The result type, if there is one.
            pub fn result(self) -> Option<BuiltinType> {
                match self { $(Builtin::$name => builtins!(@result $($result)?),)* }
            }
        }
    };
    (@result) => { None };
    (@result $result:ident) => { Some(BuiltinType::$result) };
}

builtins! {
    /// `(trap code)`: stops the guest. Takes no context, so that nothing is kept alive for it: the runtime finds the
    /// store from the frames.
    Trap("trap"): NoReturn(I32);
    /// `(vmctx)`: stops the guest with `StackOverflow`, from a function's entry, without walking its frames.
    StackOverflow("stack_overflow"): NoReturn(Pointer);
    /// `(store context, error)`: stops the guest with the error that a host function returned (`Box<ampoule::Error>`).
    HostError("host_error"): NoReturn(Pointer, Pointer);
    /// `(store context, host function, results)`: stops the guest because a host function answered a value that is not of the result's
    /// type, or not of this store. The references among the results are given back.
    HostResultMismatch("host_result_mismatch"): NoReturn(Pointer, Pointer, Pointer);
    /// `(store context, values, count)`: makes a handle of each raw reference, but for functions, among values that the host is to get. This and the next two
    /// are called by thunks, fail never and leave the guest's references alone: none is collected meanwhile.
    RootRefs("root_refs"): C(Pointer, Pointer, I64);
    /// `(store context, value) -> raw`: the reference in a value, which tells its kind, as guest code holds it, zero-extended; -1 where it
    /// isn't one of this store that the host still has.
    RawRef("raw_ref"): C(Pointer, Pointer) -> I64;
    /// `(store context, reference, type of a function, position) -> raw`: as [`Builtin::RawRef`], and -1 too where the reference isn't of the
    /// type that the value at this position of the function's parameters and results has.
    RawRefOf("raw_ref_of"): C(Pointer, Pointer, Pointer, I32) -> I64;
    /// `(store context, function, type of a function, position) -> reference`: the same for a reference to a function, which has the
    /// layout of `VmFunc`.
    RawFuncOf("raw_func_of"): C(Pointer, Pointer, Pointer, I32) -> I64;
    /// `(values, count)`: gives back the references among values that the host has no use for any more.
    UnrootRefs("unroot_refs"): C(Pointer, I64);
    /// `(store context)`: stops the guest with the error that a plain C function has left in the store.
    HostRaised("host_raised"): NoReturn(Pointer);
    /// `(vmctx)`: the epoch deadline passed. Traps, or moves `VmStoreContext::epoch_deadline` and returns.
    EpochReached("epoch_reached"): PreserveAll(Pointer);
    /// `(vmctx)`: the fuel counter, just written to `VmStoreContext::fuel`, is not negative. Traps, or refills it and
    /// returns.
    FuelExhausted("fuel_exhausted"): PreserveAll(Pointer);
    /// Not called by name: where a function's stub leads until it is compiled, and the stub of references to it once it has code that it keeps. `eax`
    /// is the number of the function, `r11` its `ModuleCode`; all argument registers survive.
    CompileFunction("compile_function"): PreserveAll(Pointer);
    /// Called by baseline code alone, whose counter of calls and turns is below zero: `rdi` is the `VmContext`, `eax` the number of the function
    /// and `r11d` that of the loop, or `u32::MAX` at the function's entry. Every register is kept but `rax`, which is zero where the code is to go
    /// on, or the address of code that does so in its place, from that loop: to which the caller goes as it was called itself, with its frame gone.
    /// All that this code reads of the frame, the caller has brought there before. Never fails, and collects nothing.
    BecomeHot("become_hot"): PreserveAll(Pointer);
    /// `(vmctx, memory, delta in pages) -> pages before, or -1`.
    MemoryGrow("memory_grow"): C(Pointer, I32, I64) -> I64;
    /// `(vmctx, memory, address, byte, length)`.
    MemoryFill("memory_fill"): C(Pointer, I32, I64, I32, I64);
    /// `(vmctx, destination memory, source memory, destination, source, length)`.
    MemoryCopy("memory_copy"): C(Pointer, I32, I32, I64, I64, I64);
    /// `(vmctx, memory, segment, destination, source, length)`.
    MemoryInit("memory_init"): C(Pointer, I32, I32, I64, I64, I64);
    /// `(vmctx, segment)`.
    DataDrop("data_drop"): C(Pointer, I32);
    /// `(vmctx, memory, address, count) -> woken`. The address includes the instruction's offset.
    MemoryAtomicNotify("memory_atomic_notify"): C(Pointer, I32, I64, I32) -> I32;
    /// `(vmctx, memory, address, expected, timeout in ns) -> 0 woken, 1 not equal, 2 timed out`.
    MemoryAtomicWait32("memory_atomic_wait32"): C(Pointer, I32, I64, I32, I64) -> I32;
    /// As [`Builtin::MemoryAtomicWait32`], on 64 bits.
    MemoryAtomicWait64("memory_atomic_wait64"): C(Pointer, I32, I64, I64, I64) -> I32;
    /// `(vmctx, table, delta, initial element) -> elements before, or -1`. Elements travel as guest values: null is zero.
    TableGrow("table_grow"): C(Pointer, I32, I64, I64) -> I64;
    /// `(vmctx, table, index, element, length)`.
    TableFill("table_fill"): C(Pointer, I32, I64, I64, I64);
    /// `(vmctx, destination table, source table, destination, source, length)`.
    TableCopy("table_copy"): C(Pointer, I32, I32, I64, I64, I64);
    /// `(vmctx, table, segment, destination, source, length)`.
    TableInit("table_init"): C(Pointer, I32, I32, I64, I64, I64);
    /// `(vmctx, segment)`.
    ElemDrop("elem_drop"): C(Pointer, I32);
    /// `(vmctx, table, index in bounds) -> reference, null is zero`: reads an element of a `funcref` table that is lazy or
    /// null, making the reference where needed.
    TableGetFuncRef("table_get_func_ref"): C(Pointer, I32, I64) -> Pointer;
    /// As [`Builtin::TableGetFuncRef`], for a call: null stops the guest with `IndirectCallToNull`.
    TableGetCallee("table_get_callee"): C(Pointer, I32, I64) -> Pointer;
    /// `(type of a function, type of functions) -> whether`: whether a function's type, given as `VmFuncRef::signature` has it, is declared as a
    /// sub-type of another.
    IsSubtype("is_subtype"): C(Pointer, Pointer) -> I32;
    /// `(vmctx, function) -> reference`: the reference to a function, made where needed.
    RefFunc("ref_func"): C(Pointer, I32) -> Pointer;
    /// `(vmctx, exception)`: throws an exception that isn't null, to the callers of the function that calls this.
    Throw("throw"): NoReturn(Pointer, I32);
    /// `(vmctx, type word, bytes) -> reference`: a new object, in which nothing but the type word is filled in. May collect, as do the following
    /// that make arrays.
    Allocate("allocate"): C(Pointer, I32, I32) -> I32;
    /// `(vmctx, type, value, upper half of the value, length) -> reference`: an array of one value.
    ArrayNew("array_new"): C(Pointer, I32, I64, I64, I32) -> I32;
    /// `(vmctx, type, segment, offset, length) -> reference`: an array of bytes from a data segment.
    ArrayNewData("array_new_data"): C(Pointer, I32, I32, I32, I32) -> I32;
    /// The same from an element segment.
    ArrayNewElem("array_new_elem"): C(Pointer, I32, I32, I32, I32) -> I32;
    /// `(vmctx, type, array and index, value, upper half of the value, length)`. Pairs have the first in the lower half.
    ArrayFill("array_fill"): C(Pointer, I32, I64, I64, I64, I32);
    /// `(vmctx, destination's type, destination and index, source and index, length)`.
    ArrayCopy("array_copy"): C(Pointer, I32, I64, I64, I32);
    /// `(vmctx, type, destination and index, segment and offset, length)`, from a data segment.
    ArrayInitData("array_init_data"): C(Pointer, I32, I64, I64, I32);
    /// The same from an element segment.
    ArrayInitElem("array_init_elem"): C(Pointer, I32, I64, I64, I32);
    /// Rounds up; used where the CPU has no such instruction, as are the following.
    CeilF32("ceil_f32"): C(F32) -> F32;
    /// Rounds up.
    CeilF64("ceil_f64"): C(F64) -> F64;
    /// Rounds down.
    FloorF32("floor_f32"): C(F32) -> F32;
    /// Rounds down.
    FloorF64("floor_f64"): C(F64) -> F64;
    /// Rounds towards zero.
    TruncF32("trunc_f32"): C(F32) -> F32;
    /// Rounds towards zero.
    TruncF64("trunc_f64"): C(F64) -> F64;
    /// Rounds to nearest, ties to even.
    NearestF32("nearest_f32"): C(F32) -> F32;
    /// Rounds to nearest, ties to even.
    NearestF64("nearest_f64"): C(F64) -> F64;
    /// Multiplies and adds with one rounding.
    FmaF32("fma_f32"): C(F32, F32, F32) -> F32;
    /// Multiplies and adds with one rounding.
    FmaF64("fma_f64"): C(F64, F64, F64) -> F64;
}

impl Builtin {
    /// The builtin with this number.
    pub fn from_index(index: u32) -> Option<Self> {
        Self::ALL.get(index as usize).copied()
    }
}
