//! Programs that need garbage-collected objects: one program in three languages, whose compilers come from npm and PyPI.
//!
//! Kotlin's compiler needs a Java machine. MoonBit's is JavaScript, and so is `moonbit.cjs` beside the programs, which calls it. `p2w`
//! compiles Python to the text format.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::make_by_recipe;
use crate::{node, process, project, python, tools};

/// What the names of tests contain that run these guests.
pub const IN_NAMES_OF_TESTS: [&str; 1] = ["guests/objects"];

/// A package of npm.
struct Package {
    name: &'static str,
    version: &'static str,
    integrity: &'static str,
}

const KOTLIN: Package = Package {
    name: "kotlin-compiler",
    version: "2.4.20",
    integrity: "sha512-IF5IVM7LpPhA/ntHQQpaVt1yxpaaQovtEVYLyqWMuaLr0XelLPPm7/sM6HLhtcRjjjoSsK7I7lP2kzYJkMy73w==",
};

/// It has the compiler, and the sources of the core library, which `@moonbit/moonc-worker` has not.
const MOONBIT: Package = Package {
    name: "@moonbit/moonpad-monaco",
    version: "0.1.202602255",
    integrity: "sha512-RxSLivsbRy5DQCRaGMKydLZrXDl2Nk83sYHFs1ZPsZG9cyW6sTNpa4+5Sqzn8636scZDuUtwM6eWdh76fWm6BA==",
};

const P2W: &str = "0.2.3";

/// Makes every one that is missing or out of date, in `folder`.
pub fn run(folder: &Path) -> Result<()> {
    kotlin(folder)?;
    moonbit(folder)?;
    p2w(folder)
}

impl Package {
    fn folder(&self) -> Result<PathBuf> {
        node::package(self.name, self.version, self.integrity)
    }

    fn recipe(&self) -> String {
        format!("{} {}\n", self.name, self.version)
    }
}

/// A command of WASI, `kotlin.wasm`.
fn kotlin(folder: &Path) -> Result<()> {
    let source = source("objects.kt");
    make_by_recipe(&folder.join("kotlin.wasm"), &(KOTLIN.recipe() + &read(&source)?), &source, |unfinished| {
        let home = KOTLIN.folder()?;
        let library = home.join("lib/kotlin-stdlib-wasm-wasi.klib");
        let build = folder.join("kotlin-build");
        let compiler = || -> Result<Command> {
            let mut compiler = Command::new(java()?);
            compiler.arg("-cp").arg(home.join("lib/kotlin-compiler.jar"));
            compiler.args([
                "org.jetbrains.kotlin.cli.js.KotlinWasmCompiler",
                "-Xwasm-target=wasm-wasi",
                "-kotlin-home",
            ]);
            compiler.arg(&home).arg("-libraries").arg(&library);
            compiler.arg("-ir-output-dir").arg(&build).args(["-ir-output-name", "objects"]);
            Ok(compiler)
        };
        process::capture(compiler()?.arg(&source))?;
        let mut link = compiler()?;
        link.args(["-Xir-produce-js", "-Xir-dce", "-Xwasm-use-new-exception-proposal"]);
        process::capture(link.arg(format!("-Xinclude={}", build.join("objects.klib").display())))?;
        fs::copy(build.join("objects.wasm"), unfinished).context("Kotlin's compiler made no module")?;
        Ok(())
    })
}

fn java() -> Result<PathBuf> {
    if process::find("java").is_none() {
        tools::apt_install("default-jre-headless")?;
    }
    process::find("java").context("a Java machine was installed, but is not on the PATH")
}

/// `moonbit.wasm`, which imports `spectest.print_char` and prints UTF-16 by it.
fn moonbit(folder: &Path) -> Result<()> {
    let (source, script) = (source("objects.mbt"), source("moonbit.cjs"));
    let recipe = MOONBIT.recipe() + node::VERSION + &read(&script)? + &read(&source)?;
    make_by_recipe(&folder.join("moonbit.wasm"), &recipe, &source, |unfinished| {
        process::capture(node::command()?.arg(script).arg(MOONBIT.folder()?).arg(&source).arg(unfinished))?;
        Ok(())
    })
}

/// `p2w.wat`, which imports what prints from `env`, and a browser, which it does not use, from `js`.
fn p2w(folder: &Path) -> Result<()> {
    let source = source("objects.py");
    make_by_recipe(&folder.join("p2w.wat"), &format!("p2w {P2W}\n{}", read(&source)?), &source, |unfinished| {
        let mut compile = Command::new(python::venv()?);
        compile.env("PYTHONPATH", python::package("p2w", P2W)?).env("PYTHONDONTWRITEBYTECODE", "1");
        process::capture(compile.args(["-m", "p2w"]).arg(&source).arg("-o").arg(unfinished))?;
        Ok(())
    })
}

fn source(name: &str) -> PathBuf {
    project::root().join("tests/guests/objects").join(name)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
