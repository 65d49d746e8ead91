//! `ampoule/error.h`: what errors and traps are about, as numbers and names.

use crate::error::wasmtime_error_t;
use crate::wasm::object::wasm_trap_t;
use ampoule::error::{ErrorKind, LinkError};
use ampoule::{Error, Frame};
use ampoule_core::decode::DecodeError;
use std::ffi::c_char;
use std::mem::offset_of;
use std::ptr;

/// `ampoule_error_kind_enum`.
#[repr(u8)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum ampoule_error_kind_t {
    #[default]
    Other,
    Trap,
    Cancelled,
    Exit,
    Host,
    Exception,
    InvalidModule,
    Text,
    Compile,
    Link,
    Type,
    Limit,
    Config,
    Artifact,
    WrongStore,
    System,
}

const HAS_TRAP_CODE: u32 = 1 << 0;
const HAS_EXIT_STATUS: u32 = 1 << 1;
const HAS_ERRNO: u32 = 1 << 2;
const HAS_FUNC: u32 = 1 << 3;
const HAS_MODULE_OFFSET: u32 = 1 << 4;
const HAS_FUNC_OFFSET: u32 = 1 << 5;
const HAS_ADDRESS: u32 = 1 << 6;

/// `ampoule_error_info_t`. Fields are only ever added at the end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ampoule_error_info_t {
    size: usize,
    has: u32,
    kind: ampoule_error_kind_t,
    trap_code: u8,
    exit_status: i32,
    system_errno: i32,
    func_index: u32,
    memory_index: u32,
    module_offset: u64,
    func_offset: u64,
    memory_address: u64,
    memory_size: u64,
    module_name: *const c_char,
    module_name_len: usize,
    func_name: *const c_char,
    func_name_len: usize,
}

/// Bytes up to the first field that can't be done without.
const SIZE_MIN: usize = offset_of!(ampoule_error_info_t, kind) + 1;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_error_info(error: &wasmtime_error_t, info: *mut ampoule_error_info_t) -> bool {
    // SAFETY: the header's contract.
    unsafe { give(&error.0, info) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_trap_info(trap: &wasm_trap_t, info: *mut ampoule_error_info_t) -> bool {
    // SAFETY: the header's contract.
    unsafe { give(&trap.0, info) }
}

/// Writes as much as the caller's structure has room for.
///
/// # Safety
/// `info` points to a structure of as many bytes as its first field says.
unsafe fn give(error: &Error, info: *mut ampoule_error_info_t) -> bool {
    // SAFETY: by the caller; a structure of an older or later version begins with the same field. What is behind the size that it
    // names is not touched.
    unsafe {
        let size = info.cast::<usize>().read().min(size_of::<ampoule_error_info_t>());
        if size < SIZE_MIN {
            return false;
        }
        let known = ampoule_error_info_t { size, ..info_of(error) };
        ptr::copy_nonoverlapping(ptr::from_ref(&known).cast::<u8>(), info.cast::<u8>(), size);
    }
    true
}

fn info_of(error: &Error) -> ampoule_error_info_t {
    let mut info = ampoule_error_info_t {
        size: 0,
        has: 0,
        kind: kind_of(error.kind()),
        trap_code: 0,
        exit_status: 0,
        system_errno: 0,
        func_index: 0,
        memory_index: 0,
        module_offset: 0,
        func_offset: 0,
        memory_address: 0,
        memory_size: 0,
        module_name: ptr::null(),
        module_name_len: 0,
        func_name: ptr::null(),
        func_name_len: 0,
    };
    if let Some(code) = error.trap_code() {
        info.has |= HAS_TRAP_CODE;
        info.trap_code = code as u8;
    }
    if let Some(status) = error.exit_status() {
        info.has |= HAS_EXIT_STATUS;
        info.exit_status = status;
    }
    match error.kind() {
        ErrorKind::System(_, error) if error.raw_os_error().is_some() => {
            info.has |= HAS_ERRNO;
            info.system_errno = error.raw_os_error().unwrap_or_default();
        }
        ErrorKind::Decode(DecodeError::Invalid { offset, .. })
        | ErrorKind::Invalid(DecodeError::Invalid { offset, .. })
        | ErrorKind::Body { error: DecodeError::Invalid { offset, .. }, .. } => {
            info.has |= HAS_MODULE_OFFSET;
            info.module_offset = *offset;
        }
        _ => {}
    }
    if let Some(fault) = error.memory_fault() {
        info.has |= HAS_ADDRESS;
        info.memory_index = fault.memory;
        info.memory_address = fault.address;
        info.memory_size = fault.byte_len;
    }
    if let Some(frame) = error.backtrace().and_then(|backtrace| backtrace.frames().first()) {
        add_frame(&mut info, frame);
    }
    info
}

/// Where the guest was. The names live in the frame's module, which the error keeps.
fn add_frame(info: &mut ampoule_error_info_t, frame: &Frame) {
    info.has |= HAS_FUNC;
    info.func_index = frame.func_index();
    if let Some(offset) = frame.module_offset() {
        info.has |= HAS_MODULE_OFFSET;
        info.module_offset = offset as u64;
    }
    if let Some(offset) = frame.func_offset() {
        info.has |= HAS_FUNC_OFFSET;
        info.func_offset = offset as u64;
    }
    if let Some(name) = frame.module().name() {
        (info.module_name, info.module_name_len) = (name.as_ptr().cast(), name.len());
    }
    if let Some(name) = frame.func_name() {
        (info.func_name, info.func_name_len) = (name.as_ptr().cast(), name.len());
    }
}

fn kind_of(kind: &ErrorKind) -> ampoule_error_kind_t {
    use ampoule_error_kind_t::*;
    match kind {
        ErrorKind::Trap(_) => Trap,
        ErrorKind::Cancelled(_) => Cancelled,
        ErrorKind::Exit(_) => Exit,
        ErrorKind::Host(_) => Host,
        ErrorKind::Exception => Exception,
        ErrorKind::Decode(_) | ErrorKind::Invalid(_) | ErrorKind::Body { .. } => InvalidModule,
        ErrorKind::Text(_) => Text,
        ErrorKind::Compile(_) => Compile,
        ErrorKind::WrongStore
        | ErrorKind::Deleted
        | ErrorKind::Link(LinkError::WrongStore | LinkError::WrongEngine { .. }) => WrongStore,
        ErrorKind::Link(_) => Link,
        ErrorKind::Type(_) => Type,
        ErrorKind::Limit(_) => Limit,
        ErrorKind::Config(_) | ErrorKind::FuelDisabled => Config,
        ErrorKind::Artifact(_) => Artifact,
        ErrorKind::System(..) => System,
        _ => Other,
    }
}
