//! The functions and resources of 0.3, as tables: interface, name and code of each.

use super::{cli, clocks};
use crate::component::call::{later, row};
use crate::component::{self, Function, Resource, random};

/// Every resource type of 0.3 but those of `wasi:http`.
pub static RESOURCES: &[Resource] = &[
    Resource::of::<component::cli::TerminalInput>("wasi:cli/terminal-input"),
    Resource::of::<component::cli::TerminalOutput>("wasi:cli/terminal-output"),
];

/// Every function of 0.3.2 that isn't unstable, in the order of the WIT texts.
#[rustfmt::skip] // One function, one line.
pub static FUNCTIONS: &[Function] = &[
    row!("wasi:cli/environment", "get-environment", component::cli::get_environment),
    row!("wasi:cli/environment", "get-arguments", component::cli::get_arguments),
    row!("wasi:cli/environment", "get-initial-cwd", component::cli::initial_cwd),
    row!("wasi:cli/exit", "exit", component::cli::exit),
    row!("wasi:cli/exit", "exit-with-code", component::cli::exit_with_code),
    row!("wasi:cli/stdin", "read-via-stream", cli::read_stdin),
    row!("wasi:cli/stdout", "write-via-stream", cli::write_stdout),
    row!("wasi:cli/stderr", "write-via-stream", cli::write_stderr),
    row!("wasi:cli/terminal-stdin", "get-terminal-stdin", component::cli::get_terminal_stdin),
    row!("wasi:cli/terminal-stdout", "get-terminal-stdout", component::cli::get_terminal_stdout),
    row!("wasi:cli/terminal-stderr", "get-terminal-stderr", component::cli::get_terminal_stderr),
    row!("wasi:random/insecure-seed", "get-insecure-seed", random::get_seed),
    row!("wasi:random/insecure", "get-insecure-random-bytes", random::get_some_bytes),
    row!("wasi:random/insecure", "get-insecure-random-u64", random::get_u64),
    row!("wasi:random/random", "get-random-bytes", random::get_some_bytes),
    row!("wasi:random/random", "get-random-u64", random::get_u64),
    row!("wasi:clocks/monotonic-clock", "now", clocks::monotonic_now),
    row!("wasi:clocks/monotonic-clock", "get-resolution", clocks::monotonic_resolution),
    later!("wasi:clocks/monotonic-clock", "wait-until", clocks::wait_until),
    later!("wasi:clocks/monotonic-clock", "wait-for", clocks::wait_for),
    row!("wasi:clocks/system-clock", "now", clocks::system_now),
    row!("wasi:clocks/system-clock", "get-resolution", clocks::system_resolution),
];
