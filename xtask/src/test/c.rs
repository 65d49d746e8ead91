//! The C tests: each file in `tests/c` is a program, run with the shared library, with the archive, and under valgrind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, Result};

use super::{Options, Tally};
use crate::library::{Library, Linkage};
use crate::{project, tools};

const LIMIT: Duration = Duration::from_secs(180);
/// Valgrind runs a program some fifty times slower.
const VALGRIND_LIMIT: Duration = Duration::from_secs(900);

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    let shared = run_with(library, Linkage::Shared, |_| true, options, tally);
    run_with(library, Linkage::Static, |_| true, options, tally);
    if options.quick {
        tally.skip("valgrind", "--quick");
    } else {
        under_valgrind(library, &shared, tally);
    }
}

/// The same programs with the shared library alone, one that need not be ours: without those that name our extensions.
pub fn run_shared(library: &Library, options: &Options, tally: &mut Tally) {
    run_with(library, Linkage::Shared, |source| !source.starts_with("ampoule_"), options, tally);
}

/// Where programs leave what they print.
pub fn logs(library: &Library) -> io::Result<PathBuf> {
    let folder = library.folder.with_file_name("logs");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Compiles and runs each test whose file name is chosen; returns those that compiled, source and program.
fn run_with(
    library: &Library,
    linkage: Linkage,
    chosen: impl Fn(&str) -> bool,
    options: &Options,
    tally: &mut Tally,
) -> Vec<(PathBuf, PathBuf)> {
    let (sources, logs) = match sources().and_then(|sources| Ok((sources, logs(library)?))) {
        Ok(found) => found,
        Err(error) => {
            tally.check("c", Err(format!("{error:#}")));
            return Vec::new();
        }
    };
    let mut compiled = Vec::new();
    for source in sources {
        let name = format!("c/{} with {}", project::stem(&source), linkage.file_name());
        if !options.wants(&name) || !chosen(&project::stem(&source)) {
            continue;
        }
        match library.compile(&source, linkage) {
            Ok(program) => {
                tally.check_program(&name, &mut test_command(library, &program), &logs, LIMIT);
                compiled.push((source, program));
            }
            Err(error) => tally.check(&name, Err(format!("{error:#}"))),
        }
    }
    compiled
}

fn under_valgrind(library: &Library, programs: &[(PathBuf, PathBuf)], tally: &mut Tally) {
    if programs.is_empty() {
        return;
    }
    let valgrind = match tools::valgrind() {
        Ok(path) => path,
        Err(error) => return tally.skip("valgrind", &format!("{error:#}")),
    };
    let logs = match logs(library) {
        Ok(folder) => folder,
        Err(error) => return tally.check("valgrind", Err(error.to_string())),
    };
    let suppressions = project::root().join("tests/c/valgrind.supp");
    for (source, program) in programs {
        let name = format!("c/{} under valgrind", project::stem(source));
        match skip_reason(source) {
            Ok(None) => {}
            Ok(Some(reason)) => {
                tally.skip(&name, &reason);
                continue;
            }
            Err(error) => {
                tally.check(&name, Err(format!("{error:#}")));
                continue;
            }
        }
        let mut command = Command::new(&valgrind);
        command.args([
            "--quiet",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite",
        ]);
        // Compiled code comes and goes at the same addresses.
        command.args(["--error-exitcode=99", "--smc-check=all"]);
        if suppressions.is_file() {
            command.arg(format!("--suppressions={}", suppressions.display()));
        }
        tally.check_program(&name, in_root(command.arg(program)).env("AMPOULE_VALGRIND", "1"), &logs, VALGRIND_LIMIT);
    }
}

fn test_command(library: &Library, program: &Path) -> Command {
    let mut command = Command::new(program);
    in_root(&mut command);
    if library.is_stand_in() {
        // Some claims are about what another library answers by ending the process.
        command.env("AMPOULE_AGAINST", "1");
    }
    command
}

/// Tests find files of the clone by relative paths.
fn in_root(command: &mut Command) -> &mut Command {
    command.current_dir(project::root())
}

fn sources() -> Result<Vec<PathBuf>> {
    let folder = project::root().join("tests/c");
    let mut sources = project::files(&folder, "c")?;
    sources.extend(project::files(&folder, "cpp")?);
    Ok(sources)
}

/// What stands after `valgrind: skip` in a comment among the first ten lines.
fn skip_reason(source: &Path) -> Result<Option<String>> {
    let text = fs::read_to_string(source).with_context(|| format!("cannot read {}", source.display()))?;
    let mut lines = text.lines().take(10);
    Ok(lines.find_map(|line| Some(line.split_once("valgrind: skip")?.1.trim_end_matches("*/").trim().to_owned())))
}
