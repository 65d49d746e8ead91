//! The project's own commands, reached as `cargo xtask COMMAND`.
//!
//! One file per command (`demo`, `guests`, `install`, `shim`, `bench`, and the folders `docs` and
//! `test`); what they share is in `project`
//! (where things are), `process` (running programs), `library` (the C library, and C programs that use it), `python` (the
//! local virtual environment, packages from PyPI), `node` (Node.js, packages from npm), `parallel` (work on all cores) and `tools` (programs that a bare machine lacks). Whatever is
//! downloaded or built goes to `target/` and `.cache/`; nothing outside of the clone changes, except that the system's
//! package manager is asked for valgrind, for Python's venv module, and for what the shim needs, where we may do so.

mod artifacts;
mod bench;
mod demo;
mod docs;
mod guests;
mod install;
mod library;
mod node;
mod parallel;
mod process;
mod project;
mod python;
mod shim;
mod test;
mod tools;

use std::process::ExitCode;

use clap::Parser;

/// The commands of this project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Build the library and a C host, and run CPython in stores that limit, meter and interrupt it.
    Demo(demo::Options),
    /// Run every test, and print one line of totals at the end.
    Test(test::Options),
    /// Install the library, its headers, its pkg-config files and the `ampoule` command.
    Install(install::Options),
    /// Build the shim for containerd, and what it needs of the system.
    Shim(shim::Options),
    /// Measure the library against the one named by AMPOULE_PEER_LIB.
    Bench(bench::Options),
    /// Fetch and compile the guest programs of tests, demo and benchmarks into `.cache/guests`.
    Guests,
    /// Make the reference of the headers and the guide, as HTML in `target/docs`.
    Docs,
    /// Note the names that the library exports in `c-api/symbols.txt`: from then on they are promised.
    Symbols,
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Install(options) => install::run(&options),
        Command::Shim(options) => shim::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Guests => guests::run().and_then(|folder| {
            guests::exceptions::run(&folder)?;
            guests::objects::run(&folder)?;
            guests::languages::run(&folder)
        }),
        Command::Docs => docs::run(),
        Command::Symbols => test::abi::note_symbols(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the backtrace that `Debug` adds: these errors speak to the user of a command.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
