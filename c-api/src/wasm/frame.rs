//! Frames of a backtrace. `crate::trap` has their names.

use super::bytes::wasm_name_t;
use crate::own::{Own, Vector};
use ampoule::sync::OnceLock;
use ampoule::{Error, Frame};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// One frame, with its names as C sees them, made when they are asked for.
pub struct wasm_frame_t {
    frame: Frame,
    func_name: OnceLock<Option<wasm_name_t>>,
    module_name: OnceLock<Option<wasm_name_t>>,
}

impl wasm_frame_t {
    pub(crate) fn new(frame: &Frame) -> Box<Self> {
        Box::new(Self { frame: frame.clone(), func_name: OnceLock::new(), module_name: OnceLock::new() })
    }

    pub(crate) fn func_name(&self) -> Option<&wasm_name_t> {
        self.func_name.get_or_init(|| self.frame.func_name().map(Into::into)).as_ref()
    }

    pub(crate) fn module_name(&self) -> Option<&wasm_name_t> {
        self.module_name.get_or_init(|| self.frame.module_name().map(Into::into)).as_ref()
    }
}

impl Clone for wasm_frame_t {
    fn clone(&self) -> Self {
        *wasm_frame_t::new(&self.frame)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_frame_delete(_frame: Option<Box<wasm_frame_t>>) {}

/// A vector of frames, innermost first.
pub type wasm_frame_vec_t = Vector<Option<Box<wasm_frame_t>>>;

/// The frames of an error.
pub(crate) fn frames_of(error: &Error) -> wasm_frame_vec_t {
    let frames = error.backtrace().map_or(&[][..], |backtrace| backtrace.frames());
    frames.iter().map(|frame| Some(wasm_frame_t::new(frame))).collect()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_frame_vec_new_empty(out: &mut MaybeUninit<wasm_frame_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_frame_vec_new_uninitialized(out: &mut MaybeUninit<wasm_frame_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_frame_vec_new(
    out: &mut MaybeUninit<wasm_frame_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_frame_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_frame_vec_copy(out: &mut MaybeUninit<wasm_frame_vec_t>, src: Option<&wasm_frame_vec_t>) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_frame_vec_delete(vec: &mut wasm_frame_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_frame_copy(frame: Option<&wasm_frame_t>) -> Option<Box<wasm_frame_t>> {
    frame.cloned().map(Box::new)
}

/// Null: a frame knows its module, not its instance.
#[unsafe(no_mangle)]
pub extern "C" fn wasm_frame_instance(_frame: &wasm_frame_t) -> *mut c_void {
    ptr::null_mut()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_frame_func_index(frame: &wasm_frame_t) -> u32 {
    frame.frame.func_index()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_frame_func_offset(frame: &wasm_frame_t) -> usize {
    frame.frame.func_offset().unwrap_or(usize::MAX)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_frame_module_offset(frame: &wasm_frame_t) -> usize {
    frame.frame.module_offset().unwrap_or(usize::MAX)
}
