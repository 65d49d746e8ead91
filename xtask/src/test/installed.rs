//! An installation serves a program that knows nothing but pkg-config, under our name and under Wasmtime's.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Options, Tally};
use crate::library::{Library, compiler_of};
use crate::{install, process, project};

const EXPECTED: &str = "7 * 6 = 42\n";

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    let prefix = library.folder.with_file_name("installed");
    let installed = install::install(library, &prefix);
    if options.wants("install: files") {
        tally.check("install: files", installed.as_ref().map(drop).map_err(|error| format!("{error:#}")));
    }
    if installed.is_err() {
        return;
    }
    for package in ["ampoule", "wasmtime"] {
        for linked_statically in [false, true] {
            let how = if linked_statically { "statically" } else { "dynamically" };
            let name = format!("install: a C program links {package} {how}");
            if options.wants(&name) {
                let result = link_and_run(&prefix, package, linked_statically);
                tally.check(&name, result.map_err(|error| format!("{error:#}")));
            }
        }
    }
    if options.wants("install: the command runs") {
        let version = process::capture(Command::new(prefix.join("bin/ampoule")).arg("--version"));
        tally.check("install: the command runs", version.map(drop).map_err(|error| format!("{error:#}")));
    }
}

fn link_and_run(prefix: &Path, package: &str, linked_statically: bool) -> Result<()> {
    let source = project::root().join("examples/c/hello.c");
    let program = prefix.join(if linked_statically { "hello-static" } else { "hello-shared" });
    let mut flags = pkg_config(prefix, package, linked_statically)?;
    if linked_statically {
        // Both kinds are there, and -l alone prefers the shared one.
        let (by_name, by_file) = (format!("-l{package}"), format!("-l:lib{package}.a"));
        flags.iter_mut().filter(|flag| **flag == by_name).for_each(|flag| flag.clone_from(&by_file));
    } else {
        flags.push(format!("-Wl,-rpath,{}", prefix.join("lib").display()));
    }
    process::capture(compiler_of(&source).arg(&source).args(flags).arg("-o").arg(&program))?;
    let said = process::capture(&mut Command::new(&program))?;
    ensure!(said == EXPECTED, "it printed {said:?}");
    Ok(())
}

/// The compiler's and linker's flags for a package of this prefix.
fn pkg_config(prefix: &Path, package: &str, linked_statically: bool) -> Result<Vec<String>> {
    let folder = prefix.join("lib/pkgconfig");
    if process::find("pkg-config").is_none() {
        let path = folder.join(package).with_extension("pc");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(flags_in(&text, linked_statically));
    }
    let mut command = Command::new("pkg-config");
    command.env("PKG_CONFIG_PATH", folder).args(["--cflags", "--libs"]);
    if linked_statically {
        command.arg("--static");
    }
    Ok(process::capture(command.arg(package))?.split_whitespace().map(str::to_owned).collect())
}

/// What pkg-config would read in a .pc file, for machines without it.
fn flags_in(text: &str, linked_statically: bool) -> Vec<String> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut flags = Vec::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        for (name, value) in &variables {
            line = line.replace(&format!("${{{name}}}"), value);
        }
        let wanted = ["Cflags:", "Libs:"].into_iter().chain(linked_statically.then_some("Libs.private:"));
        if let Some(values) = wanted.into_iter().find_map(|field| line.strip_prefix(field)) {
            flags.extend(values.split_whitespace().map(str::to_owned));
        } else if let Some((name, value)) = line.split_once('=') {
            variables.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_in_a_pc_file() {
        let text =
            "prefix=/opt\nlibdir=${prefix}/lib\n\nName: X\nLibs: -L${libdir} -lx\nLibs.private: -lm\nCflags: -I/i\n";
        assert_eq!(flags_in(text, false), ["-L/opt/lib", "-lx", "-I/i"]);
        assert_eq!(flags_in(text, true), ["-L/opt/lib", "-lx", "-lm", "-I/i"]);
    }
}
