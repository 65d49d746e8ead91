//! The headers compile alone, in every supported version of their language and with the warnings that strict projects turn
//! into errors: those for C with `-pedantic`, those for C++ with `-Wshadow`, and without exceptions. All of the C++ headers,
//! twice in two units, make one program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::options::Options;
use super::tally::Tally;
use crate::library::{Library, compiler};
use crate::{process, project};

/// The headers of one language.
struct Headers {
    /// The folder of its tests, with which the names of these begin.
    language: &'static str,
    extension: &'static str,
    standards: &'static [&'static str],
    /// Beside `-Wall -Wextra -Werror`.
    flags: &'static [&'static str],
}

const C: Headers = Headers { language: "c", extension: "h", standards: &["c11", "c17"], flags: &["-pedantic"] };

const CPP: Headers = Headers {
    language: "cpp",
    extension: "hh",
    standards: &["c++17", "c++20"],
    flags: &["-Wshadow", "-fno-exceptions"],
};

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    let folder = library.folder.with_file_name("headers");
    let mut check = |name: String, check: &dyn Fn() -> Result<()>| {
        if options.wants(&name) {
            tally.check(&name, check().map_err(|error| format!("{error:#}")));
        }
    };
    for headers in [&C, &CPP] {
        for standard in headers.standards {
            let name = format!("{}/headers: each alone as {standard}", headers.language);
            check(name, &|| each_alone(headers, &folder, standard));
        }
    }
    for standard in CPP.standards {
        check(format!("cpp/headers: all twice in two units as {standard}"), &|| all_twice(&folder, standard));
    }
}

/// The headers' names as programs include them, sorted.
fn names(extension: &str) -> Result<Vec<String>> {
    let include = project::include();
    let mut paths = Vec::new();
    collect(&include, extension, &mut paths)?;
    let mut names: Vec<String> =
        paths.iter().map(|path| path.strip_prefix(&include).expect("found below it").display().to_string()).collect();
    names.sort();
    Ok(names)
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    found.extend(project::files(folder, extension)?);
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, extension, found)?;
        }
    }
    Ok(())
}

/// One compiler reads one header. A unit of C has to declare something.
fn each_alone(headers: &Headers, folder: &Path, standard: &str) -> Result<()> {
    let suffix = if headers.extension == "h" { "c" } else { "cc" };
    for name in names(headers.extension)? {
        let text = format!("#include <{name}>\n#include <{name}>\nextern int declared;\n");
        let source = write(folder, &format!("alone.{suffix}"), &text)?;
        let mut command = compile(standard);
        process::capture(command.args(headers.flags).arg("-fsyntax-only").arg(source))
            .with_context(|| format!("{name} does not stand alone"))?;
    }
    Ok(())
}

fn all_twice(folder: &Path, standard: &str) -> Result<()> {
    let all: String = names("hh")?.iter().map(|name| format!("#include <{name}>\n")).collect();
    let first = write(folder, "first.cc", &format!("{all}{all}int second();\nint main() {{ return second(); }}\n"))?;
    let second = write(folder, "second.cc", &format!("{all}int second() {{ return 0; }}\n"))?;
    let program = folder.join("twice");
    process::capture(compile(standard).arg(first).arg(second).arg("-o").arg(&program))?;
    process::run(&mut Command::new(program))
}

fn compile(standard: &str) -> Command {
    let mut command = compiler(standard);
    command.args(["-Wall", "-Wextra", "-Werror", "-I"]).arg(project::include());
    command
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
