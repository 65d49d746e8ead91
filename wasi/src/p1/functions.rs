//! The functions of preview 1, as one table: name, type and code of each.

use super::call::{Call, Function, ValType, ValType::I32, ValType::I64};
use super::{args, clock, fd, path, poll, proc, random, sock};

/// The module that guests import these functions from.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// The name of the memory that a caller must export for its pointers to mean something.
pub const MEMORY_EXPORT: &str = "memory";

/// The message of the trap when it doesn't. Embedders match on it.
pub const MISSING_MEMORY: &str = "missing required memory export";

const fn function(name: &'static str, params: &'static [ValType], call: Call) -> Function {
    Function { name, params, results: &[I32], call }
}

/// Every function of preview 1, in the order of the witx text.
#[rustfmt::skip] // One function, one line.
pub static FUNCTIONS: [Function; 46] = [
    function("args_get", &[I32, I32], args::args_get),
    function("args_sizes_get", &[I32, I32], args::args_sizes_get),
    function("environ_get", &[I32, I32], args::environ_get),
    function("environ_sizes_get", &[I32, I32], args::environ_sizes_get),
    function("clock_res_get", &[I32, I32], clock::clock_res_get),
    function("clock_time_get", &[I32, I64, I32], clock::clock_time_get),
    function("fd_advise", &[I32, I64, I64, I32], fd::fd_advise),
    function("fd_allocate", &[I32, I64, I64], fd::fd_allocate),
    function("fd_close", &[I32], fd::fd_close),
    function("fd_datasync", &[I32], fd::fd_datasync),
    function("fd_fdstat_get", &[I32, I32], fd::fd_fdstat_get),
    function("fd_fdstat_set_flags", &[I32, I32], fd::fd_fdstat_set_flags),
    function("fd_fdstat_set_rights", &[I32, I64, I64], fd::fd_fdstat_set_rights),
    function("fd_filestat_get", &[I32, I32], fd::fd_filestat_get),
    function("fd_filestat_set_size", &[I32, I64], fd::fd_filestat_set_size),
    function("fd_filestat_set_times", &[I32, I64, I64, I32], fd::fd_filestat_set_times),
    function("fd_pread", &[I32, I32, I32, I64, I32], fd::fd_pread),
    function("fd_prestat_get", &[I32, I32], fd::fd_prestat_get),
    function("fd_prestat_dir_name", &[I32, I32, I32], fd::fd_prestat_dir_name),
    function("fd_pwrite", &[I32, I32, I32, I64, I32], fd::fd_pwrite),
    function("fd_read", &[I32, I32, I32, I32], fd::fd_read),
    function("fd_readdir", &[I32, I32, I32, I64, I32], fd::fd_readdir),
    function("fd_renumber", &[I32, I32], fd::fd_renumber),
    function("fd_seek", &[I32, I64, I32, I32], fd::fd_seek),
    function("fd_sync", &[I32], fd::fd_sync),
    function("fd_tell", &[I32, I32], fd::fd_tell),
    function("fd_write", &[I32, I32, I32, I32], fd::fd_write),
    function("path_create_directory", &[I32, I32, I32], path::path_create_directory),
    function("path_filestat_get", &[I32, I32, I32, I32, I32], path::path_filestat_get),
    function("path_filestat_set_times", &[I32, I32, I32, I32, I64, I64, I32], path::path_filestat_set_times),
    function("path_link", &[I32, I32, I32, I32, I32, I32, I32], path::path_link),
    function("path_open", &[I32, I32, I32, I32, I32, I64, I64, I32, I32], path::path_open),
    function("path_readlink", &[I32, I32, I32, I32, I32, I32], path::path_readlink),
    function("path_remove_directory", &[I32, I32, I32], path::path_remove_directory),
    function("path_rename", &[I32, I32, I32, I32, I32, I32], path::path_rename),
    function("path_symlink", &[I32, I32, I32, I32, I32], path::path_symlink),
    function("path_unlink_file", &[I32, I32, I32], path::path_unlink_file),
    function("poll_oneoff", &[I32, I32, I32, I32], poll::poll_oneoff),
    Function { name: "proc_exit", params: &[I32], results: &[], call: proc::proc_exit },
    function("proc_raise", &[I32], proc::proc_raise),
    function("sched_yield", &[], proc::sched_yield),
    function("random_get", &[I32, I32], random::random_get),
    function("sock_accept", &[I32, I32, I32], sock::sock_accept),
    function("sock_recv", &[I32, I32, I32, I32, I32, I32], sock::sock_recv),
    function("sock_send", &[I32, I32, I32, I32, I32], sock::sock_send),
    function("sock_shutdown", &[I32, I32], sock::sock_shutdown),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_table_once() {
        let mut names: Vec<_> = FUNCTIONS.iter().map(|function| function.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn only_the_exit_has_no_result() {
        for function in FUNCTIONS {
            assert_eq!(function.results.is_empty(), function.name == "proc_exit");
        }
    }
}
