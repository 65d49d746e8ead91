//! The library without the compiler and HTTP: that it is small, and runs what a library with a compiler has compiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::c;
use super::options::Options;
use super::tally::Tally;
use crate::library::{Library, Linkage};
use crate::{install, process, project};

const LIMIT: Duration = Duration::from_secs(60);

/// What the shared library may have.
const MOST_BYTES: u64 = 5_200_000;

/// `full` compiles the guests.
pub fn run(full: &Library, options: &Options, tally: &mut Tally) {
    if !["min: builds", "min: is small", "min: runs"].into_iter().any(|name| options.wants(name)) {
        return;
    }
    if options.quick && options.filters.is_empty() {
        return tally.skip("min", "--quick");
    }
    let made = make(full);
    tally.check("min: builds", made.as_ref().map(drop).map_err(|error| format!("{error:#}")));
    let Ok(made) = made else { return };
    println!("      size of the full build, unoptimized: libampoule.so {}", shown(size(full)));
    tally.check("min: is small", is_small(&made.library));
    for (linkage, program) in &made.programs {
        let name = format!("min: runs compiled modules with {}", linkage.file_name());
        if options.wants(&name) {
            tally.check_program(&name, Command::new(program).args(&made.modules), &made.logs, LIMIT);
        }
    }
}

struct Made {
    library: Library,
    programs: Vec<(Linkage, PathBuf)>,
    modules: [PathBuf; 2],
    logs: PathBuf,
}

fn make(full: &Library) -> Result<Made> {
    let mut library = Library::build("min")?;
    let prefix = library.folder.with_file_name("installation");
    install::install(&library, &prefix)?;
    library.include = prefix.join("include");
    let command = full.command.as_ref().context("the command that compiles")?;
    let guest = compiled(command, &project::root().join("tests/min/guest.wat"), &prefix)?;
    let hello = compiled(command, &project::guests().join("hello.wasm"), &prefix)?;
    let source = project::root().join("tests/min/run.c");
    let mut programs = Vec::new();
    for linkage in [Linkage::Shared, Linkage::Static] {
        programs.push((linkage, library.compile(&source, linkage)?));
    }
    let logs = c::logs(&library)?;
    Ok(Made { library, programs, modules: [guest, hello], logs })
}

fn compiled(command: &Path, module: &Path, folder: &Path) -> Result<PathBuf> {
    let output = folder.join(project::stem(module)).with_extension("ampoule");
    process::capture(Command::new(command).arg("compile").arg(module).arg("-o").arg(&output))?;
    Ok(output)
}

fn is_small(min: &Library) -> Result<(), String> {
    let size = size(min);
    println!("      size of the min build: libampoule.so {}", shown(size));
    if size <= MOST_BYTES { Ok(()) } else { Err(format!("more than {}", shown(MOST_BYTES))) }
}

fn size(library: &Library) -> u64 {
    fs::metadata(library.file(Linkage::Shared)).map_or(0, |metadata| metadata.len())
}

fn shown(bytes: u64) -> String {
    format!("{:.2} MB ({bytes} bytes)", bytes as f64 / 1e6)
}
