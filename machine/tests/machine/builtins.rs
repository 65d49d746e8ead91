//! Builtins that note how they were called in the [`Log`] of the store, and do what a test asks for.

use ampoule_core::artifact::KeptRegisters;
use ampoule_core::vm::{VmContext, VmFuncRef, VmHostFunc, VmStoreContext, VmVal};
use ampoule_machine::arch::entry::{GuestFrame, GuestFrames, Kept, Landing};
use ampoule_machine::arch::native::SavedArgs;
use ampoule_machine::arch::switch::{Link, Pause, Wake};
use ampoule_machine::builtins::{Builtins, Code};
use std::arch::asm;
use std::ffi::c_void;

/// A store: the words that machine code reads, and the log. A pointer to the first is one to the whole.
#[repr(C)]
pub struct Store {
    pub vm: VmStoreContext,
    pub log: Log,
}

/// What builtins did on behalf of one store.
pub struct Log {
    /// Why the guest was stopped.
    pub stops: Vec<Stop>,
    /// What `memory_grow` does.
    pub grow: fn(*mut VmContext, u32, u64) -> u64,
    /// What `epoch_reached` asks for.
    pub epoch_unwinds: bool,
    /// The fiber that `epoch_reached` and `fuel_exhausted` pause, if any.
    pub pauses_on: *const Link,
    /// Where what is thrown is caught: a return address, and the handler.
    pub handler: Option<(usize, usize)>,
    /// For tests to leave things.
    pub notes: Vec<u64>,
    /// Where they were left from.
    pub frames: Vec<Vec<GuestFrame>>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Stop {
    Trap { code: u32, pc: usize },
    StackOverflow { pc: usize },
    Fault { pc: usize, address: usize, signal: i32 },
    HostError(usize),
    Epoch,
    CompileFailed(String),
}

impl Log {
    /// The log of a store.
    pub fn of<'a>(store: *mut VmStoreContext) -> &'a mut Log {
        // SAFETY: tests' stores are `Store`s, used from one thread.
        unsafe { &mut (*store.cast::<Store>()).log }
    }
}

fn stop(store: *mut VmStoreContext, why: Stop) {
    Log::of(store).stops.push(why);
    // SAFETY: the guest waits for us.
    unsafe { (*store).unwinding = 1 };
}

fn store_of(vmctx: *mut VmContext) -> *mut VmStoreContext {
    // SAFETY: guest code passes its own context.
    unsafe { (*vmctx).store }
}

/// Leaves nothing of what was in the registers that a C function may change.
pub fn clobber_registers() {
    // SAFETY: changes what it declares.
    unsafe {
        asm!(
            ".irp r, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11",
            "mov \\r, 0x5a5a5a5a",
            ".endr",
            ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
            "pcmpeqd xmm\\n, xmm\\n",
            ".endr",
            clobber_abi("C"),
        )
    }
}

pub unsafe fn trap(store: *mut VmStoreContext, code: u32, pc: usize, fp: usize) {
    // SAFETY: the guest at this frame waits.
    let frames = unsafe { GuestFrames::from(GuestFrame { pc, fp, is_return_address: true }) };
    Log::of(store).frames.push(frames.collect());
    stop(store, Stop::Trap { code, pc });
}

pub unsafe fn stack_overflow(vmctx: *mut VmContext, pc: usize, _fp: usize) {
    stop(store_of(vmctx), Stop::StackOverflow { pc });
}

pub unsafe fn fault(store: *mut VmStoreContext, pc: usize, fp: usize, address: usize, signal: i32) {
    // SAFETY: the guest at this frame will not go on.
    let frames = unsafe { GuestFrames::from(GuestFrame { pc, fp, is_return_address: false }) };
    Log::of(store).frames.push(frames.collect());
    stop(store, Stop::Fault { pc, address, signal });
}

/// For the function that compiles, where there is one.
#[allow(dead_code, reason = "this file is part of two test programs, one of which compiles nothing")]
pub fn compile_failed(vmctx: *mut VmContext, message: String) {
    stop(store_of(vmctx), Stop::CompileFailed(message));
}

pub unsafe extern "C" fn host_error(store: *mut VmStoreContext, error: *mut c_void) {
    stop(store, Stop::HostError(error.addr()));
}

pub unsafe extern "C" fn throw(vmctx: *mut VmContext, exn: u32) {
    let store = store_of(vmctx);
    Log::of(store).notes.push(exn.into());
    // SAFETY: the guest waits for us.
    unsafe { (*store).unwinding = VmStoreContext::THROWING };
}

/// The handler at the return address that the log tells. Functions below it keep `rbx` and `r14`.
pub unsafe fn find_handler(store: *mut VmStoreContext, exit_fp: usize, mut kept: Kept) -> Option<Landing> {
    let (at, handler) = Log::of(store).handler?;
    // SAFETY: the guest below the exit waits.
    for frame in unsafe { GuestFrames::below_exit(exit_fp) } {
        if frame.pc == at {
            clobber_registers();
            return Some(Landing { pc: handler, sp: frame.fp - 64, fp: frame.fp, payload: 42, kept });
        }
        // SAFETY: as said.
        unsafe { kept.leave(frame, KeptRegisters::below_frame_pointer(0b1001)) };
    }
    None
}

pub unsafe fn given_up(store: *mut VmStoreContext) {
    // Who turned the guest back unwinds it.
    Log::of(store).notes.push(0x61fe);
}

pub unsafe extern "C" fn host_result_mismatch(store: *mut VmStoreContext, _host: *mut c_void, results: *mut VmVal) {
    stop(store, Stop::HostError(results.addr()));
}

/// What thunks call for references, of which no thunk here has any.
pub extern "C" fn no_refs() {
    unreachable!("no signature of these tests has an `externref`");
}

pub unsafe extern "C" fn epoch_reached(vmctx: *mut VmContext) -> Pause {
    let store = store_of(vmctx);
    let log = Log::of(store);
    log.notes.push(0xe90c4);
    if log.epoch_unwinds {
        stop(store, Stop::Epoch);
    }
    let link = log.pauses_on;
    clobber_registers();
    Pause { link, ticks: 0x71c5 }
}

/// Notes what it was told, and does the rest of what is asked for.
pub unsafe extern "C" fn epoch_resumed(store: *mut VmStoreContext, wake: Wake, ticks: u64) {
    Log::of(store).notes.extend([wake as u64, ticks]);
    if wake == Wake::GiveUp {
        stop(store, Stop::Epoch);
    }
    clobber_registers();
}

pub unsafe extern "C" fn fuel_exhausted(vmctx: *mut VmContext) -> Pause {
    let log = Log::of(store_of(vmctx));
    log.notes.push(0xf0e1);
    let link = log.pauses_on;
    clobber_registers();
    Pause { link, ticks: 0xf0e1 }
}

pub unsafe extern "C" fn fuel_resumed(store: *mut VmStoreContext, wake: Wake, ticks: u64) {
    // SAFETY: as there.
    unsafe { epoch_resumed(store, wake, ticks) }
}

pub unsafe extern "C" fn memory_grow(vmctx: *mut VmContext, memory: u32, delta: u64) -> u64 {
    let log = Log::of(store_of(vmctx));
    (log.grow)(vmctx, memory, delta)
}

/// The other builtins of six words or fewer: their arguments are noted.
macro_rules! noted {
    ($($name:ident)*) => {
        $(pub unsafe extern "C" fn $name(vmctx: *mut VmContext, a: u64, b: u64, c: u64, d: u64, e: u64) -> u64 {
            Log::of(store_of(vmctx)).notes.extend([a, b, c, d, e]);
            a
        })*
    };
}

noted! {
    memory_fill memory_copy memory_init data_drop memory_atomic_notify memory_atomic_wait32 memory_atomic_wait64
    table_grow table_fill table_copy table_init elem_drop table_get_func_ref table_get_callee ref_func
    allocate array_new array_new_data array_new_elem array_fill array_copy array_init_data array_init_elem
}

macro_rules! rounding {
    ($($name:ident: $ty:ty = $method:ident;)*) => {
        $(pub extern "C" fn $name(value: $ty) -> $ty {
            value.$method()
        })*
    };
}

rounding! {
    ceil_f32: f32 = ceil;
    ceil_f64: f64 = ceil;
    floor_f32: f32 = floor;
    floor_f64: f64 = floor;
    trunc_f32: f32 = trunc;
    trunc_f64: f64 = trunc;
    nearest_f32: f32 = round_ties_even;
    nearest_f64: f64 = round_ties_even;
}

pub extern "C" fn fma_f32(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

pub extern "C" fn fma_f64(a: f64, b: f64, c: f64) -> f64 {
    a.mul_add(b, c)
}

pub extern "C" fn resolve_exit_thunk(_host: *mut VmHostFunc) -> *const u8 {
    unreachable!("no host function here is without its thunk")
}

unsafe extern "C" fn native_call(_: *mut VmStoreContext, _: *mut VmFuncRef, _: *mut SavedArgs, _: *const u64) {
    unreachable!("nothing here enters guest code by a native call")
}

unsafe extern "C" fn native_unwound(_: *mut VmStoreContext) {
    unreachable!("nothing here enters guest code by a native call")
}

/// Answers what `eax` had, and notes what `r11` had.
unsafe extern "C" fn become_hot(vmctx: *mut VmContext, number: u32, func: u32) -> usize {
    Log::of(store_of(vmctx)).notes.push(number.into());
    clobber_registers();
    func as usize
}

/// Makes these the functions that guest code reaches, with `compile_function` at the end of stubs.
pub fn install(compile_function: Code) {
    ampoule_machine::builtins::install(Builtins {
        trap,
        stack_overflow,
        fault,
        find_handler,
        given_up,
        native_call,
        native_unwound,
        compile_function,
        become_hot: become_hot as Code,
        resolve_exit_thunk: resolve_exit_thunk as Code,
        host_error: host_error as Code,
        host_result_mismatch: host_result_mismatch as Code,
        root_refs: no_refs as Code,
        raw_ref: no_refs as Code,
        raw_ref_of: no_refs as Code,
        is_subtype: no_refs as Code,
        raw_func_of: no_refs as Code,
        unroot_refs: no_refs as Code,
        memory_grow: memory_grow as Code,
        memory_fill: memory_fill as Code,
        memory_copy: memory_copy as Code,
        memory_init: memory_init as Code,
        data_drop: data_drop as Code,
        memory_atomic_notify: memory_atomic_notify as Code,
        memory_atomic_wait32: memory_atomic_wait32 as Code,
        memory_atomic_wait64: memory_atomic_wait64 as Code,
        table_grow: table_grow as Code,
        table_fill: table_fill as Code,
        table_copy: table_copy as Code,
        table_init: table_init as Code,
        elem_drop: elem_drop as Code,
        table_get_func_ref: table_get_func_ref as Code,
        table_get_callee: table_get_callee as Code,
        ref_func: ref_func as Code,
        throw: throw as Code,
        allocate: allocate as Code,
        array_new: array_new as Code,
        array_new_data: array_new_data as Code,
        array_new_elem: array_new_elem as Code,
        array_fill: array_fill as Code,
        array_copy: array_copy as Code,
        array_init_data: array_init_data as Code,
        array_init_elem: array_init_elem as Code,
        ceil_f32: ceil_f32 as Code,
        ceil_f64: ceil_f64 as Code,
        floor_f32: floor_f32 as Code,
        floor_f64: floor_f64 as Code,
        trunc_f32: trunc_f32 as Code,
        trunc_f64: trunc_f64 as Code,
        nearest_f32: nearest_f32 as Code,
        nearest_f64: nearest_f64 as Code,
        fma_f32: fma_f32 as Code,
        fma_f64: fma_f64 as Code,
        epoch_reached: epoch_reached as Code,
        epoch_resumed: epoch_resumed as Code,
        fuel_exhausted: fuel_exhausted as Code,
        fuel_resumed: fuel_resumed as Code,
    });
}
