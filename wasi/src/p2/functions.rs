//! The functions of 0.2, as one table: interface, name and code of each.

use super::call::{Function, Typed};
use super::{cli, clocks, io, random};

/// A row: the code is a Rust function whose types say those of the WIT text.
macro_rules! row {
    ($interface:literal, $name:literal, $code:path) => {
        Function { interface: $interface, name: $name, call: |cx, args| Typed::run(&$code, cx, args) }
    };
}

/// Every function of 0.2.12 that isn't unstable, in the order of the WIT texts.
#[rustfmt::skip] // One function, one line.
pub static FUNCTIONS: &[Function] = &[
    row!("wasi:io/error", "[method]error.to-debug-string", io::to_debug_string),
    row!("wasi:io/poll", "[method]pollable.ready", io::ready),
    row!("wasi:io/poll", "[method]pollable.block", io::block),
    row!("wasi:io/poll", "poll", io::poll),
    row!("wasi:io/streams", "[method]input-stream.read", io::read),
    row!("wasi:io/streams", "[method]input-stream.blocking-read", io::blocking_read),
    row!("wasi:io/streams", "[method]input-stream.skip", io::skip),
    row!("wasi:io/streams", "[method]input-stream.blocking-skip", io::blocking_skip),
    row!("wasi:io/streams", "[method]input-stream.subscribe", io::subscribe_input),
    row!("wasi:io/streams", "[method]output-stream.check-write", io::check_write),
    row!("wasi:io/streams", "[method]output-stream.write", io::write),
    row!("wasi:io/streams", "[method]output-stream.blocking-write-and-flush", io::blocking_write_and_flush),
    row!("wasi:io/streams", "[method]output-stream.flush", io::flush),
    row!("wasi:io/streams", "[method]output-stream.blocking-flush", io::blocking_flush),
    row!("wasi:io/streams", "[method]output-stream.subscribe", io::subscribe_output),
    row!("wasi:io/streams", "[method]output-stream.write-zeroes", io::write_zeroes),
    row!("wasi:io/streams", "[method]output-stream.blocking-write-zeroes-and-flush", io::blocking_write_zeroes_and_flush),
    row!("wasi:io/streams", "[method]output-stream.splice", io::splice),
    row!("wasi:io/streams", "[method]output-stream.blocking-splice", io::blocking_splice),
    row!("wasi:cli/environment", "get-environment", cli::get_environment),
    row!("wasi:cli/environment", "get-arguments", cli::get_arguments),
    row!("wasi:cli/environment", "initial-cwd", cli::initial_cwd),
    row!("wasi:cli/exit", "exit", cli::exit),
    row!("wasi:cli/exit", "exit-with-code", cli::exit_with_code),
    row!("wasi:cli/stdin", "get-stdin", cli::get_stdin),
    row!("wasi:cli/stdout", "get-stdout", cli::get_stdout),
    row!("wasi:cli/stderr", "get-stderr", cli::get_stderr),
    row!("wasi:cli/terminal-stdin", "get-terminal-stdin", cli::get_terminal_stdin),
    row!("wasi:cli/terminal-stdout", "get-terminal-stdout", cli::get_terminal_stdout),
    row!("wasi:cli/terminal-stderr", "get-terminal-stderr", cli::get_terminal_stderr),
    row!("wasi:random/random", "get-random-bytes", random::get_bytes),
    row!("wasi:random/random", "get-random-u64", random::get_u64),
    row!("wasi:random/insecure", "get-insecure-random-bytes", random::get_bytes),
    row!("wasi:random/insecure", "get-insecure-random-u64", random::get_u64),
    row!("wasi:random/insecure-seed", "insecure-seed", random::get_seed),
    row!("wasi:clocks/monotonic-clock", "now", clocks::monotonic_now),
    row!("wasi:clocks/monotonic-clock", "resolution", clocks::monotonic_resolution),
    row!("wasi:clocks/monotonic-clock", "subscribe-instant", clocks::subscribe_instant),
    row!("wasi:clocks/monotonic-clock", "subscribe-duration", clocks::subscribe_duration),
    row!("wasi:clocks/wall-clock", "now", clocks::wall_now),
    row!("wasi:clocks/wall-clock", "resolution", clocks::wall_resolution),
];
