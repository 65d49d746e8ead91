//! `cargo xtask test`: every test of the project, and one line of totals.
//!
//! A test that fails does not stop the others. What cannot be run here (no valgrind and no right to install it, say) is
//! listed as skipped, with the reason.

pub mod abi;
mod bindings;
mod c;
mod components;
mod configurations;
mod coverage;
mod downstream;
mod examples;
mod fuzz;
mod go;
mod guests;
mod guide;
mod handlers;
mod headers;
mod http_server;
mod installed;
mod min;
mod options;
mod output;
mod rust;
mod shim;
mod tally;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

pub use self::options::Options;
use self::tally::Tally;
use crate::library::Library;
use crate::project;

pub fn run(options: &Options) -> Result<()> {
    let mut tally = Tally::default();
    let before = project::files_in_root()?;
    match &options.against {
        Some(shared) => against(shared.clone(), options, &mut tally)?,
        None => everything(options, &mut tally),
    }
    let left_behind: Vec<String> = project::files_in_root()?.difference(&before).cloned().collect();
    if !left_behind.is_empty() {
        tally.check("tests leave nothing in the repository's root", Err(left_behind.join("\n")));
    }
    tally.print();
    if tally.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

/// Each part reports an error of its own making as a failed test, so that the other parts still run.
fn everything(options: &Options, tally: &mut Tally) {
    tally.part("guest programs");
    let guests = crate::guests::run();
    tally.check("guests: fetched and compiled", guests.as_ref().map(drop).map_err(|error| format!("{error:#}")));
    slow_guests(options, tally);

    tally.part("Rust tests");
    rust::run(options, tally);
    tally.part("Rust examples");
    examples::run(options, tally);

    tally.part("the C library");
    let library = Library::build("dev");
    tally.check("library: builds", library.as_ref().map(drop).map_err(|error| format!("{error:#}")));
    let Ok(library) = library else { return };

    tally.part("C tests");
    c::run(&c::C, &library, options, tally);
    coverage::run(&library, options, tally);
    tally.part("C++ tests");
    headers::run(&library, options, tally);
    c::run(&c::CPP, &library, options, tally);
    tally.part("the guide");
    guide::run(&library, options, tally);
    tally.part("random use of the C API");
    fuzz::run(&library, options, tally);
    tally.part("the ABI");
    abi::run(&library, options, tally);
    tally.part("language bindings");
    bindings::run(&library, options, tally);
    go::run(&library, options, tally);
    tally.part("downstream programs");
    downstream::run(&library, options, tally);
    tally.part("an installed library");
    installed::run(&library, options, tally);
    tally.part("the library without the compiler");
    min::run(&library, options, tally);
    tally.part("guests, through the C API");
    guests::run(&library, options, tally);
    components::run(&library, options, tally);
    handlers::run(&library, options, tally);
    tally.part("the shim for containerd");
    shim::run(options, tally);
    configurations::run(options, tally);
}

/// Makes the guests that take long, where tests are wanted that run them.
fn slow_guests(options: &Options, tally: &mut Tally) {
    use crate::guests::{exceptions, languages, objects};
    type Make = fn(&Path) -> Result<()>;
    let kinds: [(&str, &[&str], Make); 3] = [
        ("programs with exceptions", &exceptions::IN_NAMES_OF_TESTS, exceptions::run),
        ("programs with objects", &objects::IN_NAMES_OF_TESTS, objects::run),
        ("Python and JavaScript made components", &languages::IN_NAMES_OF_TESTS, languages::run),
    ];
    for (what, names, make) in kinds {
        if options.quick && names.iter().all(|name| name.starts_with("guests/")) {
            continue;
        }
        let contains = |name: &&str| options.filters.iter().any(|filter| filter.contains(name));
        if names.iter().any(|name| options.wants(name) || contains(name)) {
            let made = make(&crate::project::guests());
            tally.check(&format!("guests: {what}"), made.map_err(|error| format!("{error:#}")));
        }
    }
}

fn against(shared: PathBuf, options: &Options, tally: &mut Tally) -> Result<()> {
    let library = Library::stand_in(&shared)?;
    crate::guests::run()?;
    slow_guests(options, tally);
    tally.part("C tests");
    c::run_shared(&c::C, &library, options, tally);
    tally.part("C++ tests");
    c::run_shared(&c::CPP, &library, options, tally);
    tally.part("guests, through the C API");
    guests::run(&library, options, tally);
    components::run(&library, options, tally);
    if tally.passed + tally.failed == 0 {
        bail!("no test matches");
    }
    Ok(())
}
