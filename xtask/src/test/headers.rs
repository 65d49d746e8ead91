//! The C++ headers compile alone, in every supported version of the language, with exceptions and without; and all of
//! them twice in two units make one program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Options, Tally};
use crate::library::{Library, compiler};
use crate::{process, project};

const STANDARDS: [&str; 2] = ["c++17", "c++20"];
const WARNINGS: [&str; 3] = ["-Wall", "-Wextra", "-Werror"];

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    for standard in STANDARDS {
        for (name, check) in
            [("each alone", each_alone as fn(&Path, &str) -> Result<()>), ("all twice in two units", all_twice)]
        {
            let name = format!("cpp/headers: {name} as {standard}");
            if options.wants(&name) {
                let folder = library.folder.with_file_name("headers");
                tally.check(&name, check(&folder, standard).map_err(|error| format!("{error:#}")));
            }
        }
    }
}

/// The headers' names as programs include them, sorted.
fn names() -> Result<Vec<String>> {
    let include = project::include();
    let mut paths = Vec::new();
    collect(&include, &mut paths)?;
    let mut names: Vec<String> =
        paths.iter().map(|path| path.strip_prefix(&include).expect("found below it").display().to_string()).collect();
    names.sort();
    Ok(names)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    found.extend(project::files(folder, "hh")?);
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        }
    }
    Ok(())
}

/// One compiler reads one header, without exceptions: what needs them must ask whether they are there.
fn each_alone(folder: &Path, standard: &str) -> Result<()> {
    for name in names()? {
        let source = write(folder, "alone.cc", &format!("#include <{name}>\n#include <{name}>\n"))?;
        let mut command = compile(standard);
        process::capture(command.args(["-fno-exceptions", "-fsyntax-only"]).arg(source))
            .with_context(|| format!("{name} does not stand alone"))?;
    }
    Ok(())
}

fn all_twice(folder: &Path, standard: &str) -> Result<()> {
    let all: String = names()?.iter().map(|name| format!("#include <{name}>\n")).collect();
    let first = write(folder, "first.cc", &format!("{all}{all}int second();\nint main() {{ return second(); }}\n"))?;
    let second = write(folder, "second.cc", &format!("{all}int second() {{ return 0; }}\n"))?;
    let program = folder.join("twice");
    process::capture(compile(standard).arg(first).arg(second).arg("-o").arg(&program))?;
    process::run(&mut Command::new(program))
}

fn compile(standard: &str) -> Command {
    let mut command = compiler(standard);
    command.args(WARNINGS).arg("-I").arg(project::include());
    command
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
