//! `ampoule/wasi.h`: what a WASI program finds in place of the system, as tables of C functions.
//!
//! A table is copied as far as both sides know it; what it lacks is null. Outputs of its functions are only used as far as any
//! bytes there are a value: a `bool` is a byte, an enumeration a number.

mod error;
mod filesystem;
mod network;
mod sources;

use crate::boundary::give_unit;
use crate::component::linker::wasmtime_component_linker_t;
use crate::error::wasmtime_error_t;
use crate::foreign::{Finalizer, Foreign};
use crate::wasi::wasi_config_t;
use ampoule::Error;
use ampoule_wasi::host::available::Availability;
use filesystem::{CFileSystem, ampoule_wasi_filesystem_t};
use network::{CNetwork, ampoule_wasi_sockets_t};
use sources::{CClocks, CInput, ampoule_wasi_clocks_t, ampoule_wasi_random_t, ampoule_wasi_stdin_t, random_source};
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::BorrowedFd;
use std::{mem, ptr};

/// What every table begins with.
#[repr(C)]
struct Head {
    size: usize,
    env: *mut c_void,
    finalizer: Finalizer,
}

/// A structure that begins with its size, so that it may grow.
///
/// # Safety
/// It is `repr(C)`, begins with a `usize`, and is valid where all of its bytes are zero.
pub(super) unsafe trait Sizable: Sized {}

/// Copies a structure as far as it is known here, and there; the rest is zero.
///
/// # Safety
/// `given` points to a structure of the size that it says.
pub(super) unsafe fn copy<T: Sizable>(given: *const T) -> T {
    // SAFETY: by `Sizable` and the caller: it begins with its size, and all bytes that are copied are there.
    unsafe {
        let known = given.cast::<usize>().read().min(mem::size_of::<T>());
        let mut copy = mem::zeroed::<T>();
        ptr::copy_nonoverlapping(given.cast::<u8>(), (&raw mut copy).cast::<u8>(), known);
        copy
    }
}

/// A table of C functions.
///
/// # Safety
/// It is `repr(C)`, begins with a [`Head`], and is valid where all of its bytes are zero.
pub(super) unsafe trait Table: Sized {}

// SAFETY: a head begins with a size.
unsafe impl<T: Table> Sizable for T {}

/// Takes a table over: a copy of it, and its owner.
///
/// # Errors
/// Where it is smaller than what every table begins with. What has an owner then is finalized.
///
/// # Safety
/// `table` points to a table of the size that it says.
pub(super) unsafe fn take<T: Table>(name: &str, table: *const T) -> Result<(T, Foreign), Error> {
    // SAFETY: by the caller; a table begins with its size.
    let size = unsafe { table.cast::<usize>().read() };
    if size < mem::size_of::<Head>() {
        return Err(Error::message(format!("a table of {size} bytes is no {name}")));
    }
    // SAFETY: by `Table` and the caller: the first bytes are a head, and all bytes that are copied are there.
    unsafe {
        let head = table.cast::<Head>();
        let owner = Foreign::new((*head).env, (*head).finalizer);
        Ok((copy(table), owner))
    }
}

/// A function without which a table is of no use.
fn need<F>(function: Option<F>, table: &str, name: &str) -> Result<F, Error> {
    function.ok_or_else(|| Error::message(format!("the table {table} has no function `{name}`")))
}

/// What a function `ready` says: whether to try again now, or when.
fn availability<'a>(is_ready: u8, fd: c_int) -> Availability<'a> {
    match fd {
        _ if is_ready != 0 => Availability::Ready,
        // SAFETY: it isn't -1, and the header says that it stays open while it is waited for.
        0.. => Availability::When(unsafe { BorrowedFd::borrow_raw(fd) }),
        _ => Availability::Later,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_wasi_config_preopen_virtual_dir(
    config: &mut wasi_config_t,
    filesystem: *const ampoule_wasi_filesystem_t,
    guest_path: *const c_char,
    dir_perms: usize,
    file_perms: usize,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the header's contract.
    let taken = unsafe { take("ampoule_wasi_filesystem_t", filesystem) };
    // SAFETY: the caller passes a NUL-terminated string.
    let path = unsafe { crate::boundary::string(guest_path) };
    give_unit(taken.and_then(|(table, owner)| {
        let root = table.root();
        let fs = CFileSystem::new(table, owner)?;
        config.preopen_virtual_dir(fs, root, path, dir_perms, file_perms)
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_wasi_config_set_stdin(
    config: &mut wasi_config_t,
    input: *const ampoule_wasi_stdin_t,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the header's contract.
    let taken = unsafe { take("ampoule_wasi_stdin_t", input) };
    give_unit(taken.and_then(|(table, owner)| {
        config.config_mut().stdin_input(CInput::new(&table, owner)?);
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_wasi_config_set_clocks(
    config: &mut wasi_config_t,
    clocks: *const ampoule_wasi_clocks_t,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the header's contract.
    let taken = unsafe { take("ampoule_wasi_clocks_t", clocks) };
    give_unit(taken.map(|(table, owner)| config.config_mut().clocks(CClocks::new(table, owner))))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_wasi_config_allow_net(
    config: &mut wasi_config_t,
    rule: *const c_char,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes a NUL-terminated string.
    let rule = unsafe { crate::boundary::string(rule) }.ok_or_else(|| Error::message("a rule is UTF-8"));
    give_unit(
        rule.and_then(|rule| config.config_mut().allow_net(rule).map_err(|error| Error::message(error.to_string()))),
    )
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_wasi_config_set_random(
    config: &mut wasi_config_t,
    random: *const ampoule_wasi_random_t,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the header's contract.
    let taken = unsafe { take("ampoule_wasi_random_t", random) };
    give_unit(taken.and_then(|(table, owner)| {
        config.config_mut().random(random_source(&table, owner)?);
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_wasi_config_set_sockets(
    config: &mut wasi_config_t,
    sockets: *const ampoule_wasi_sockets_t,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the header's contract.
    let taken = unsafe { take("ampoule_wasi_sockets_t", sockets) };
    give_unit(taken.and_then(|(table, owner)| {
        config.config_mut().network(CNetwork::new(table, owner)?);
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_linker_add_wasip3(
    linker: &mut wasmtime_component_linker_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(ampoule_wasi::p3::add_to_linker(&mut linker.linker))
}
