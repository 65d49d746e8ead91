//! Traps. `crate::trap` has their codes.

use super::bytes::wasm_message_t;
use super::frame::{wasm_frame_t, wasm_frame_vec_t};
use super::hostinfo::HostInfo;
use super::reference::{Object, wasm_ref_t};
use super::store::wasm_store_t;
use crate::boundary::{give_trap, misuse};
use crate::foreign::{Finalizer, Foreign};
use ampoule::Error;
use std::ffi::c_void;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;
use std::sync::OnceLock;

/// Why a guest ended: an error of the engine's. A pointer to one that a host function returns goes through compiled code to
/// the engine as it is, so this is nothing but the error.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_trap_t(pub(crate) Error);

/// What is kept with a trap, for as long as there is a handle to it.
#[derive(Default)]
pub(crate) struct TrapExtras {
    pub(crate) info: HostInfo,
    view: OnceLock<TrapView>,
}

/// The reference that a trap can be seen as. It is kept with the trap, so it doesn't count as a handle to it: that would keep the
/// trap alive for ever.
struct TrapView(ManuallyDrop<wasm_ref_t>);

impl wasm_trap_t {
    pub(crate) fn extras(&self) -> &TrapExtras {
        self.0.attached(TrapExtras::default)
    }

    fn view(&self) -> &wasm_ref_t {
        let view = self.extras().view.get_or_init(|| {
            // SAFETY: a second handle that isn't counted. It is never dropped, and is gone with the trap, whose last counted
            // handle is dropped later than any use of the view; copies of the view are counted.
            let uncounted = unsafe { ptr::read(&self.0) };
            TrapView(ManuallyDrop::new(wasm_ref_t { object: Object::Trap(wasm_trap_t(uncounted)) }))
        });
        &view.0
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_delete(_trap: Box<wasm_trap_t>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_copy(trap: &wasm_trap_t) -> Box<wasm_trap_t> {
    Box::new(trap.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_same(a: &wasm_trap_t, b: &wasm_trap_t) -> bool {
    a.0.same(&b.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_get_host_info(trap: &wasm_trap_t) -> *mut c_void {
    trap.extras().info.get()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_set_host_info(trap: &wasm_trap_t, info: *mut c_void) {
    trap.extras().info.set(Foreign::new(info, None));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_set_host_info_with_finalizer(trap: &wasm_trap_t, info: *mut c_void, finalizer: Finalizer) {
    trap.extras().info.set(Foreign::new(info, finalizer));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_as_ref(trap: &wasm_trap_t) -> &wasm_ref_t {
    trap.view()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_trap(r: Option<&wasm_ref_t>) -> Option<&wasm_trap_t> {
    if let Object::Trap(trap) = &r?.object { Some(trap) } else { None }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_as_ref_const(trap: &wasm_trap_t) -> &wasm_ref_t {
    trap.view()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_trap_const(r: Option<&wasm_ref_t>) -> Option<&wasm_trap_t> {
    wasm_ref_as_trap(r)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_new(_store: *const wasm_store_t, message: &wasm_message_t) -> Box<wasm_trap_t> {
    let Some((0, text)) = message.as_slice().split_last() else {
        misuse("wasm_trap_new", "the message must end in a NUL");
    };
    give_trap(Error::host(String::from_utf8_lossy(text)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_message(trap: &wasm_trap_t, out: &mut MaybeUninit<wasm_message_t>) {
    let mut text = format!("{:?}", trap.0).into_bytes();
    text.push(0);
    wasm_message_t::from(text).give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_origin(trap: &wasm_trap_t) -> Option<Box<wasm_frame_t>> {
    trap.0.backtrace()?.frames().first().map(wasm_frame_t::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_trace(trap: &wasm_trap_t, out: &mut MaybeUninit<wasm_frame_vec_t>) {
    frames_of(&trap.0).give(out);
}

/// The frames of an error.
pub(crate) fn frames_of(error: &Error) -> wasm_frame_vec_t {
    let frames = error.backtrace().map_or(&[][..], |backtrace| backtrace.frames());
    frames.iter().map(|frame| Some(wasm_frame_t::new(frame))).collect()
}
