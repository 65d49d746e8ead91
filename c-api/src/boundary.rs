//! The conversions at the boundary: what C passes becomes what Rust takes, what Rust gives becomes what C expects.

use crate::error::wasmtime_error_t;
pub use crate::misuse::misuse;
use crate::wasm::object::wasm_trap_t;
use ampoule::error::ErrorKind;
use ampoule::{Error, Store};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::slice;

/// The bytes of a `(pointer, length)` pair; with length zero the pointer may be null.
///
/// # Safety
/// `data` points to `len` bytes that nobody changes while the result is in use.
pub unsafe fn bytes<'a>(data: *const u8, len: usize) -> &'a [u8] {
    // SAFETY: by the caller; a slice of no bytes needs no memory behind it.
    if len == 0 { &[] } else { unsafe { slice::from_raw_parts(data, len) } }
}

/// The text of a `(pointer, length)` pair.
///
/// # Errors
/// Where it isn't UTF-8.
///
/// # Safety
/// See [`bytes`].
pub unsafe fn text<'a>(data: *const u8, len: usize) -> Result<&'a str, Error> {
    // SAFETY: by the caller.
    str::from_utf8(unsafe { bytes(data, len) }).map_err(|_| not_utf8())
}

/// The text of a NUL-terminated string; `None` where it isn't UTF-8.
///
/// # Safety
/// `string` ends in a NUL, and nobody changes it while the result is in use.
pub unsafe fn string<'a>(string: *const std::ffi::c_char) -> Option<&'a str> {
    // SAFETY: by the caller.
    unsafe { std::ffi::CStr::from_ptr(string) }.to_str().ok()
}

/// The path in a NUL-terminated string.
///
/// # Safety
/// See [`string`].
pub unsafe fn path<'a>(string: *const std::ffi::c_char) -> &'a Path {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: by the caller.
    Path::new(std::ffi::OsStr::from_bytes(unsafe { std::ffi::CStr::from_ptr(string) }.to_bytes()))
}

fn not_utf8() -> Error {
    Error::message("input was not valid utf-8")
}

/// Gives an outcome without a value.
pub fn give_unit(result: Result<(), Error>) -> Option<Box<wasmtime_error_t>> {
    result.err().map(give_error)
}

/// Gives an outcome: the value to `out`, or the error, leaving `out` alone.
pub fn give<T>(result: Result<T, Error>, out: &mut MaybeUninit<T>) -> Option<Box<wasmtime_error_t>> {
    give_unit(result.map(|value| {
        out.write(value);
    }))
}

/// Where a function that runs guest code puts the trap; C programs may be sloppy and pass null.
pub type TrapOut<'a> = Option<&'a mut MaybeUninit<Box<wasm_trap_t>>>;

/// Gives the outcome of an instantiation: the value to `out`, or a trap to `trap`, or the error. A trap is what the engine stopped
/// the guest for; whatever a host function said, its exit included, is an error, and so is an exception, unlike in a call.
pub fn give_or_trap<T>(
    result: Result<T, Error>,
    out: &mut MaybeUninit<T>,
    trap: TrapOut<'_>,
) -> Option<Box<wasmtime_error_t>> {
    match result {
        Ok(value) => {
            out.write(value);
            None
        }
        Err(error) if matches!(error.kind(), ErrorKind::Exception) => Some(give_error(error)),
        Err(error) => give_trap_or_error(error, trap),
    }
}

/// Gives a failure of a call. A trap is what the engine or an exception stopped the guest for; whatever a host function said, its exit
/// included, is an error.
#[cold]
pub fn give_trap_or_error(error: Error, trap: TrapOut<'_>) -> Option<Box<wasmtime_error_t>> {
    match trap {
        Some(trap) if error.is_trap() => {
            trap.write(give_trap(error));
            None
        }
        // Without a place for the trap it is better told as an error than lost.
        _ => Some(give_error(error)),
    }
}

/// An error for C.
#[cold]
pub fn give_error(error: Error) -> Box<wasmtime_error_t> {
    Box::new(wasmtime_error_t(error))
}

/// A trap for C.
#[cold]
pub fn give_trap(error: Error) -> Box<wasm_trap_t> {
    Box::new(wasm_trap_t(error))
}

/// Runs what may run guest code, and turns a panic into an error. Costs nothing when there is none.
#[inline]
pub fn guarded<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // What the panic leaves behind is a store that its owner can still delete; the engine's own state is behind locks that
    // see through poison.
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err(Error::message("the engine panicked; this is a defect of it")))
}

/// The answer of a function without an error channel. An error there is misuse: the process ends, and says why.
#[inline]
pub fn expect<T>(function: &str, result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => misuse_of(function, error),
    }
}

#[cold]
fn misuse_of(function: &str, error: Error) -> ! {
    misuse(function, &error.to_string())
}

/// The error of a null function where a function is needed.
#[cold]
pub fn null_func() -> Error {
    Error::message("a null function reference was given where a function is needed")
}

/// The error of using what can only be null as an object.
pub fn null_ref(what: &str) -> Error {
    Error::message(format!("a null reference was given where {what} is needed"))
}

/// Refuses what was made for another store.
pub fn check_store(store: &Store, store_id: u64) -> Result<(), Error> {
    if store.id() == store_id { Ok(()) } else { Err(Error::message("object used with the wrong store")) }
}
