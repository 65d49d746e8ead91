//! A language binding on top of the library: the Python package `wasmtime` from PyPI, unchanged but for the library in it. It runs our
//! claims, and the tests that come with its sources.
//!
//! The package looks every function of the whole interface up when it is imported. The version whose interface is ours has our library
//! itself. A later one looks up more: what no header of ours declares is lent to it by a small library that ends the process when such a function
//! is called; every other must be ours.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::options::Options;
use super::tally::Tally;
use super::{abi, c};
use crate::library::{Library, Linkage, compiler_of};
use crate::{process, project, python};

const PACKAGE: &str = "wasmtime";

/// A version of the package.
struct Version {
    name: &'static str,
    /// Of the archive with its sources, for the tests in it.
    sha256: &'static str,
    /// Those of its tests that cannot pass, and why.
    left_out: &'static [(&'static str, &'static str)],
}

/// The version whose interface is ours, and a later one.
const VERSIONS: [Version; 2] = [
    Version {
        name: "44.0.0",
        sha256: "1e5e7a7046136054e12f82101a9b5ce30b02d4f92946e6fbe3e2fced61a6b1a5",
        left_out: &[],
    },
    Version {
        name: "50.0.1",
        sha256: "d9a1eb530e5c4a55853784ae6bff0053db3cad89299097ad00e352e3d48c3cc1",
        left_out: &[
            ("tests.test_wasi", "wasi_config_preopen_dir has other parameters there"),
            ("tests.component.test_linker", "an instance of a linker may be opened twice there"),
            ("tests.component.test_types", "wasmtime_component_type_import_get and its kin give another object there"),
        ],
    },
];
/// The programs that the package shows itself with.
const EXAMPLES: [&str; 5] = ["gcd", "hello", "linking", "memory", "multi"];
const LIMIT: Duration = Duration::from_secs(180);

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    for version in &VERSIONS {
        let (claims, own) =
            (format!("bindings: Python {}", version.name), format!("bindings: Python {}, its own tests", version.name));
        if !options.wants(&claims) && !options.wants(&own) {
            continue;
        }
        if options.quick && options.filters.is_empty() {
            tally.skip(&claims, "--quick");
            continue;
        }
        let mut check = |name: &str, command: Result<Command>| match command.and_then(|c| Ok((c, c::logs(library)?))) {
            Ok((mut command, logs)) => tally.check_program(name, &mut command, &logs, LIMIT),
            Err(error) => tally.check(name, Err(format!("{error:#}"))),
        };
        match prepare(library, version.name) {
            Ok(root) => {
                check(&claims, our_claims(&root));
                check(&own, its_own_tests(&root, version));
                for example in EXAMPLES {
                    check(&format!("{claims}, example {example}"), its_example(&root, version, example));
                }
            }
            Err(error) => check(&claims, Err(error)),
        }
    }
}

/// Puts a copy of the package together whose library is ours, and returns the folder that it is in.
fn prepare(library: &Library, version: &str) -> Result<PathBuf> {
    let package = python::package(PACKAGE, version)?.join(PACKAGE);
    let root = library.folder.with_file_name("bindings").join(version);
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    let copy = root.join(PACKAGE);
    copy_sources(&package, &copy)?;
    let lent = names_to_lend(library, &copy)?;
    let folder = copy.join(format!("{}-{}", env::consts::OS, env::consts::ARCH));
    fs::create_dir_all(&folder)?;
    let target = folder.join("_libwasmtime.so");
    if lent.is_empty() {
        fs::copy(library.file(Linkage::Shared), &target).context("the library can't be copied")?;
    } else {
        println!("      {version}: {} functions that our headers don't declare are lent", lent.len());
        build(library, &lent, &root, &target)?;
    }
    Ok(root)
}

fn our_claims(root: &Path) -> Result<Command> {
    let mut command = with_package(root)?;
    command.arg(project::root().join("tests/bindings/core.py"));
    Ok(command)
}

/// The package's tests. Some expect to find the package in the current folder.
fn its_own_tests(root: &Path, version: &Version) -> Result<Command> {
    let tests = python::sources(PACKAGE, version.name, version.sha256)?.join("tests");
    copy_sources(&tests, &root.join("tests"))?;
    let components = tests.join("component");
    let mut command = with_package(root)?;
    command.args(["-m", "unittest", "--verbose"]).current_dir(root);
    let mut found = false;
    for (folder, package) in [(&tests, "tests"), (&components, "tests.component")] {
        for file in project::files(folder, "py")? {
            let module = project::stem(&file);
            let name = format!("{package}.{module}");
            if module.starts_with("test_") && version.left_out.iter().all(|(left_out, _)| *left_out != name) {
                command.arg(name);
                found = true;
            }
        }
    }
    if !found {
        bail!("the package has no tests: it isn't what this test was written for");
    }
    for (name, reason) in version.left_out {
        println!("      {}: {name} is left out: {reason}", version.name);
    }
    Ok(command)
}

/// One of the package's examples, which looks for its modules in `examples`.
fn its_example(root: &Path, version: &Version, name: &str) -> Result<Command> {
    let sources = python::sources(PACKAGE, version.name, version.sha256)?;
    let mut command = with_package(root)?;
    command.arg(sources.join("examples").join(name).with_extension("py")).current_dir(sources);
    Ok(command)
}

/// A Python that imports the package from `root`.
fn with_package(root: &Path) -> Result<Command> {
    let mut command = Command::new(python::venv()?);
    command.env("PYTHONPATH", root).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// Copies Python files, in folders; no libraries.
fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("no folder {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_sources(&entry.path(), &target)?;
        } else if entry.path().extension().is_some_and(|extension| extension == "py") {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The functions that the package looks up and the library lacks, all of which our headers leave out.
fn names_to_lend(library: &Library, package: &Path) -> Result<BTreeSet<String>> {
    let exported = abi::exported(&library.file(Linkage::Shared))?;
    let missing: BTreeSet<String> = names_looked_up(package)?.difference(&exported).cloned().collect();
    let declared = declared_names(package)?;
    let ours: Vec<&str> = missing.iter().filter(|name| declared.contains(*name)).map(String::as_str).collect();
    if !ours.is_empty() {
        bail!("our headers declare what the library lacks: {}", ours.join(" "));
    }
    Ok(missing)
}

/// The names after `dll.` in the package's files.
fn names_looked_up(package: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for file in project::files(package, "py")? {
        let text = fs::read_to_string(&file)?;
        names.extend(text.split("dll.").skip(1).map(first_word).filter(|name| name.starts_with("was")));
    }
    if names.is_empty() {
        bail!("the package looks nothing up: it isn't what this test was written for");
    }
    Ok(names)
}

/// The words that our headers have left when the preprocessor is through with them.
fn declared_names(scratch: &Path) -> Result<BTreeSet<String>> {
    let source = scratch.with_file_name("headers.c");
    fs::write(&source, "#include <wasmtime.h>\n")?;
    let text = process::capture(compiler_of(&source).args(["-E", "-P", "-I"]).arg(project::include()).arg(&source))?;
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    Ok(words.filter(|word| word.starts_with("was")).map(str::to_owned).collect())
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// A library that is ours, with the lent functions added.
fn build(library: &Library, lent: &BTreeSet<String>, root: &Path, target: &Path) -> Result<()> {
    let source: PathBuf = root.join("lent.c");
    let functions: String = lent.iter().map(|name| format!("void {name}(void) {{ lent(\"{name}\"); }}\n")).collect();
    let text = format!(
        "#include <stdio.h>\n#include <stdlib.h>\n\
         static void lent(const char *name) {{ fprintf(stderr, \"%s is not there yet\\n\", name); abort(); }}\n{functions}"
    );
    fs::write(&source, text)?;
    let mut compile = compiler_of(&source);
    compile.args(["-shared", "-fPIC"]).arg(&source).arg("-Wl,--no-as-needed").arg("-L").arg(&library.folder);
    compile.arg("-lampoule").arg(format!("-Wl,-rpath,{}", library.folder.display())).arg("-o").arg(target);
    process::capture(&mut compile).map(drop)
}
