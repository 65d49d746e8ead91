//! The C and C++ tests: each file in `tests/c` and `tests/cpp` is a program, run with the shared library, with the
//! archive, and under valgrind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, Result};

use super::options::Options;
use super::tally::{Ended, Tally};
use crate::library::{Library, Linkage};
use crate::parallel::on_all_cores;
use crate::{project, tools};

const LIMIT: Duration = Duration::from_secs(180);
/// Valgrind runs a program some fifty times slower.
const VALGRIND_LIMIT: Duration = Duration::from_secs(900);

/// A folder of programs in one language.
pub struct Suite {
    /// The folder's name under `tests`, with which the names of its tests begin.
    folder: &'static str,
    extension: &'static str,
    /// The versions of the language that programs are run in with the shared library.
    standards: &'static [&'static str],
    /// The one for the archive and valgrind.
    standard: &'static str,
}

pub const C: Suite = Suite { folder: "c", extension: "c", standards: &["c11"], standard: "c11" };

pub const CPP: Suite = Suite { folder: "cpp", extension: "cc", standards: &["c++17", "c++20"], standard: "c++17" };

pub fn run(suite: &Suite, library: &Library, options: &Options, tally: &mut Tally) {
    let mut shared = Vec::new();
    for standard in suite.standards {
        let compiled = run_with(suite, library, Linkage::Shared, standard, |_| true, options, tally);
        if *standard == suite.standard {
            shared = compiled;
        }
    }
    run_with(suite, library, Linkage::Static, suite.standard, |_| true, options, tally);
    if options.quick {
        tally.skip("valgrind", "--quick");
    } else {
        under_valgrind(suite, library, &shared, tally);
    }
}

/// The same programs with the shared library alone, one that need not be ours: without those that name our extensions.
pub fn run_shared(suite: &Suite, library: &Library, options: &Options, tally: &mut Tally) {
    let portable = |source: &str| !source.starts_with("ampoule_");
    for standard in suite.standards {
        run_with(suite, library, Linkage::Shared, standard, portable, options, tally);
    }
}

/// Where programs leave what they print.
pub fn logs(library: &Library) -> io::Result<PathBuf> {
    let folder = library.folder.with_file_name("logs");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Compiles and runs each test whose file name is chosen; returns those that compiled, source and program.
fn run_with(
    suite: &Suite,
    library: &Library,
    linkage: Linkage,
    standard: &str,
    chosen: impl Fn(&str) -> bool,
    options: &Options,
    tally: &mut Tally,
) -> Vec<(PathBuf, PathBuf)> {
    let (sources, logs) = match sources(suite).and_then(|sources| Ok((sources, logs(library)?))) {
        Ok(found) => found,
        Err(error) => {
            tally.check(suite.folder, Err(format!("{error:#}")));
            return Vec::new();
        }
    };
    let version = if suite.standards.len() > 1 { format!(" as {standard}") } else { String::new() };
    let name =
        |source: &Path| format!("{}/{}{version} with {}", suite.folder, project::stem(source), linkage.file_name());
    let wanted = sources.into_iter().filter(|source| options.wants(&name(source)) && chosen(&project::stem(source)));
    let compile = |source: PathBuf| {
        let program = library.compile_as(&source, linkage, standard);
        (source, program)
    };
    let mut made = Vec::new();
    on_all_cores(wanted.collect::<Vec<_>>(), compile, |one| made.push(one));
    made.sort_by(|one, other| one.0.cmp(&other.0));
    let mut compiled = Vec::new();
    // One at a time: some look at how long something takes.
    for (source, program) in made {
        match program {
            Ok(program) => {
                tally.check_program(&name(&source), &mut test_command(library, &program), &logs, LIMIT);
                compiled.push((source, program));
            }
            Err(error) => tally.check(&name(&source), Err(format!("{error:#}"))),
        }
    }
    compiled
}

fn under_valgrind(suite: &Suite, library: &Library, programs: &[(PathBuf, PathBuf)], tally: &mut Tally) {
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
    let mut commands = Vec::new();
    for (source, program) in programs {
        let name = format!("{}/{} under valgrind", suite.folder, project::stem(source));
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
        // Its threads take turns only when asked to; a guest that spins would keep them all waiting.
        command.args(["--error-exitcode=99", "--smc-check=all", "--fair-sched=try"]);
        if suppressions.is_file() {
            command.arg(format!("--suppressions={}", suppressions.display()));
        }
        in_root(command.arg(program)).env("AMPOULE_VALGRIND", "1");
        commands.push((name, command));
    }
    // Valgrind runs one thread at a time.
    let run = |(name, mut command): (String, Command)| Ended::of(&name, &mut command, &logs, VALGRIND_LIMIT);
    on_all_cores(commands, run, |ended| tally.add_ended(&ended));
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

fn sources(suite: &Suite) -> Result<Vec<PathBuf>> {
    project::files(&project::root().join("tests").join(suite.folder), suite.extension)
}

/// What stands after `valgrind: skip` in a comment among the first ten lines.
fn skip_reason(source: &Path) -> Result<Option<String>> {
    let text = fs::read_to_string(source).with_context(|| format!("cannot read {}", source.display()))?;
    let mut lines = text.lines().take(10);
    Ok(lines.find_map(|line| Some(line.split_once("valgrind: skip")?.1.trim_end_matches("*/").trim().to_owned())))
}
