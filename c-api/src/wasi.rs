//! `wasi.h`: what a WASI program may see of the host.

use crate::boundary::{path, string};
use crate::foreign::{Finalizer, Foreign};
use crate::wasm::bytes::wasm_byte_vec_t;
use ampoule::Error;
use ampoule_wasi::host::volume::NodeId;
use ampoule_wasi::{DirPerms, FilePerms, FileSystem, OutputCallback, Volume, WasiConfig, WasiCtx};
use std::ffi::{c_char, c_void};

/// A configuration that no store has taken yet.
#[derive(Default)]
pub struct wasi_config_t {
    config: WasiConfig,
    /// Whether the arguments are those this process has when the store takes the configuration.
    inherits_args: bool,
}

impl wasi_config_t {
    /// The configuration, to grant more.
    pub(crate) fn config_mut(&mut self) -> &mut WasiConfig {
        &mut self.config
    }

    /// Shows a directory of an embedder's file system.
    ///
    /// # Errors
    /// Where the path isn't UTF-8, or a permission unknown.
    pub(crate) fn preopen_virtual_dir(
        &mut self,
        fs: impl FileSystem + 'static,
        root: NodeId,
        guest_path: Option<&str>,
        dir_perms: wasi_dir_perms,
        file_perms: wasi_file_perms,
    ) -> Result<(), Error> {
        let path = guest_path.ok_or_else(|| Error::message("the guest's path is not UTF-8"))?;
        let perms = DirPerms::from_bits(dir_perms as u64).zip(FilePerms::from_bits(file_perms as u64));
        let (dir, file) = perms.ok_or_else(|| Error::message("a permission is none of the flags"))?;
        let preopened = self.config.preopen_virtual_dir(Volume::new(fs), root, path, dir, file);
        preopened.map_err(|error| Error::message(error.to_string()))
    }

    /// The state of one store.
    ///
    /// # Errors
    /// Where the arguments of this process are too long for a guest.
    pub(crate) fn build(self) -> Result<WasiCtx, Error> {
        Ok(self.into_config()?.build())
    }

    /// The configuration as the store takes it.
    ///
    /// # Errors
    /// As for [`wasi_config_t::build`].
    pub(crate) fn into_config(mut self) -> Result<WasiConfig, Error> {
        if self.inherits_args {
            self.config.inherit_args().map_err(|error| Error::message(error.to_string()))?;
        }
        Ok(self.config)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasi_config_delete(_config: Option<Box<wasi_config_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasi_config_new() -> Box<wasi_config_t> {
    Box::default()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasi_config_set_argv(
    config: &mut wasi_config_t,
    argc: usize,
    argv: *const *const c_char,
) -> bool {
    // SAFETY: the caller passes as many strings as it says.
    let Some(args) = (unsafe { strings(argc, argv) }) else { return false };
    config.inherits_args = false;
    config.config.set_args(args).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasi_config_inherit_argv(config: &mut wasi_config_t) {
    config.inherits_args = true;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasi_config_set_env(
    config: &mut wasi_config_t,
    envc: usize,
    names: *const *const c_char,
    values: *const *const c_char,
) -> bool {
    // SAFETY: the caller passes as many strings as it says.
    let Some((names, values)) = (unsafe { strings(envc, names).zip(strings(envc, values)) }) else { return false };
    config.config.set_env(names.into_iter().zip(values)).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasi_config_inherit_env(config: &mut wasi_config_t) {
    // An environment beyond 4 GiB is more than any system lets a process have.
    let _ = config.config.inherit_env();
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasi_config_set_stdin_file(config: &mut wasi_config_t, file: *const c_char) -> bool {
    // SAFETY: the caller passes a NUL-terminated path.
    config.config.stdin_file(unsafe { path(file) }).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasi_config_set_stdin_bytes(config: &mut wasi_config_t, binary: &mut wasm_byte_vec_t) {
    config.config.stdin_bytes(binary.take().into_vec());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasi_config_inherit_stdin(config: &mut wasi_config_t) {
    config.config.inherit_stdin();
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasi_config_set_stdout_file(config: &mut wasi_config_t, file: *const c_char) -> bool {
    // SAFETY: the caller passes a NUL-terminated path.
    config.config.stdout_file(unsafe { path(file) }).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasi_config_inherit_stdout(config: &mut wasi_config_t) {
    config.config.inherit_stdout();
}

/// Takes what a program writes: how many bytes, or a negative error number.
pub type WriteCallback = extern "C" fn(data: *mut c_void, bytes: *const u8, len: usize) -> isize;

#[unsafe(no_mangle)]
pub extern "C" fn wasi_config_set_stdout_custom(
    config: &mut wasi_config_t,
    callback: WriteCallback,
    data: *mut c_void,
    finalizer: Finalizer,
) {
    config.config.stdout_callback(output(callback, Foreign::new(data, finalizer)));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasi_config_set_stderr_file(config: &mut wasi_config_t, file: *const c_char) -> bool {
    // SAFETY: the caller passes a NUL-terminated path.
    config.config.stderr_file(unsafe { path(file) }).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasi_config_inherit_stderr(config: &mut wasi_config_t) {
    config.config.inherit_stderr();
}

#[unsafe(no_mangle)]
pub extern "C" fn wasi_config_set_stderr_custom(
    config: &mut wasi_config_t,
    callback: WriteCallback,
    data: *mut c_void,
    finalizer: Finalizer,
) {
    config.config.stderr_callback(output(callback, Foreign::new(data, finalizer)));
}

fn output(callback: WriteCallback, owner: Foreign) -> OutputCallback {
    Box::new(move |bytes| callback(owner.data(), bytes.as_ptr(), bytes.len()))
}

/// A set of `WASMTIME_WASI_DIR_PERMS_…`.
pub type wasi_dir_perms = usize;
/// A set of `WASMTIME_WASI_FILE_PERMS_…`.
pub type wasi_file_perms = usize;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasi_config_preopen_dir(
    config: &mut wasi_config_t,
    host_path: *const c_char,
    guest_path: *const c_char,
    dir_perms: wasi_dir_perms,
    file_perms: wasi_file_perms,
) -> bool {
    // SAFETY: the caller passes NUL-terminated strings.
    let (host, guest) = unsafe { (path(host_path), string(guest_path)) };
    let perms = DirPerms::from_bits(dir_perms as u64).zip(FilePerms::from_bits(file_perms as u64));
    let Some((guest, (dir, file))) = guest.zip(perms) else { return false };
    config.config.preopen_dir(host, guest, dir, file).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasi_config_inherit_network(config: &mut wasi_config_t) {
    config.config.inherit_network();
}

#[unsafe(no_mangle)]
pub extern "C" fn wasi_config_allow_ip_name_lookup(config: &mut wasi_config_t, allow: bool) {
    config.config.allow_ip_name_lookup(allow);
}

/// The strings of a C array; `None` where one isn't UTF-8.
///
/// # Safety
/// `array` points to `count` NUL-terminated strings.
unsafe fn strings(count: usize, array: *const *const c_char) -> Option<Vec<String>> {
    // SAFETY: by the caller.
    (0..count).map(|index| unsafe { string(*array.add(index)) }.map(str::to_string)).collect()
}
