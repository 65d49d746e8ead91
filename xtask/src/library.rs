//! The C library, and C programs that use it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{artifacts, process, project};

/// What a program needs beside `libampoule.a`, which names no libraries itself.
pub const SYSTEM_LIBRARIES: [&str; 4] = ["-lpthread", "-ldl", "-lm", "-lrt"];

/// A built library, under the names that programs look for.
pub struct Library {
    /// Holds `libampoule.so`, a link to what cargo built, and `libampoule.a`, made from it.
    pub folder: PathBuf,
    /// The headers that programs are compiled with.
    pub include: PathBuf,
    /// Whether it has the compiler.
    pub compiles: bool,
    /// The `ampoule` command of the same build.
    pub command: Option<PathBuf>,
}

/// How a program takes the library in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Linkage {
    Shared,
    Static,
}

impl Linkage {
    /// The library's file name.
    pub fn file_name(self) -> &'static str {
        match self {
            Linkage::Shared => "libampoule.so",
            Linkage::Static => "libampoule.a",
        }
    }
}

impl Library {
    /// Builds the library and the command with a cargo profile: `dev`, `release`, or `min`, which is without compiler and command.
    pub fn build(profile: &str) -> Result<Library> {
        let mut build = process::cargo();
        build.args(["build", "--profile", profile]);
        let compiles = profile != "min";
        if !compiles {
            build.args(["--package", "ampoule-c-api", "--no-default-features"]);
        } else if profile == "dev" {
            // With the features that the whole workspace asks of its dependencies, as in the Rust tests: another
            // selection would compile many of them again.
            build.args(["--workspace", "--lib", "--bins"]);
        } else {
            build.args(["--package", "ampoule-c-api", "--package", "ampoule-cli"]);
        }
        let (mut shared, mut archive, mut command) = (None, None, None);
        for artifact in artifacts::build(&mut build).context("the library does not build")? {
            if artifact.target.name == "ampoule_c" {
                let find = |extension: &str| {
                    artifact.filenames.iter().find(|path| path.extension().is_some_and(|e| e == extension)).cloned()
                };
                shared = find("so");
                archive = find("a");
            } else if artifact.target.name == "ampoule" && artifact.executable.is_some() {
                command = artifact.executable;
            }
        }
        let (shared, archive) =
            (shared.context("no shared library came out")?, archive.context("no archive came out")?);
        let folder = shared.with_file_name("c-library").join("lib");
        link(&shared, &folder, Linkage::Shared.file_name())?;
        hide_internal_names(&archive, &shared, &folder.join(Linkage::Static.file_name()))?;
        Ok(Library { folder, include: project::include(), compiles, command })
    }

    /// Another shared library with the same interface, to stand in for ours.
    pub fn stand_in(shared: &Path) -> Result<Library> {
        let shared = shared.canonicalize().with_context(|| format!("no library at {}", shared.display()))?;
        let folder = target_folder()?.join("against/lib");
        link(&shared, &folder, Linkage::Shared.file_name())?;
        // The name that is asked for when the program runs, if the library has one of its own.
        link(&shared, &folder, "libwasmtime.so")?;
        Ok(Library { folder, include: project::include(), compiles: true, command: None })
    }

    /// Whether it is another library, in ours' place.
    pub fn is_stand_in(&self) -> bool {
        self.command.is_none()
    }

    /// The file of one linkage.
    pub fn file(&self, linkage: Linkage) -> PathBuf {
        self.folder.join(linkage.file_name())
    }

    /// Compiles a C or C++ program against our headers, links it with this library, and returns the executable.
    pub fn compile(&self, source: &Path, linkage: Linkage) -> Result<PathBuf> {
        self.compile_as(source, linkage, standard_of(source))
    }

    /// The same in a given version of its language.
    pub fn compile_as(&self, source: &Path, linkage: Linkage, standard: &str) -> Result<PathBuf> {
        let programs = self.folder.with_file_name("programs");
        fs::create_dir_all(&programs)?;
        let suffix = if linkage == Linkage::Shared { "shared" } else { "static" };
        let executable = programs.join(format!("{}-{standard}-{suffix}", project::stem(source)));
        let mut compile = compiler(standard);
        compile.args(["-g", "-Wall", "-Wextra", "-Werror", "-I"]).arg(&self.include).arg(source);
        if self.is_stand_in() {
            compile.arg("-DAMPOULE_AGAINST");
        }
        self.link(&mut compile, linkage);
        process::capture(compile.arg("-o").arg(&executable))
            .with_context(|| format!("{} does not compile", project::short(source)))?;
        Ok(executable)
    }

    /// Adds what links this library to a compiler's arguments, after the sources and objects that need it.
    pub fn link(&self, compile: &mut Command, linkage: Linkage) {
        match linkage {
            Linkage::Shared => {
                compile.arg("-L").arg(&self.folder).arg("-lampoule");
                compile.arg(format!("-Wl,-rpath,{}", self.folder.display()));
                compile.args(["-lpthread", "-lm"]);
            }
            Linkage::Static => {
                compile.arg("-Wl,--gc-sections").arg(self.file(linkage)).args(SYSTEM_LIBRARIES);
            }
        }
    }
}

/// The system's compiler for a source; CC and CXX choose another one.
pub fn compiler_of(source: &Path) -> Command {
    compiler(standard_of(source))
}

/// C11, or C++17 when the source ends in `.cc` or `.cpp`.
fn standard_of(source: &Path) -> &'static str {
    let plus_plus = source.extension().is_some_and(|extension| extension == "cc" || extension == "cpp");
    if plus_plus { "c++17" } else { "c11" }
}

/// The system's compiler for a version of C or C++; CC and CXX choose another one.
pub fn compiler(standard: &str) -> Command {
    let (variable, default) = if standard.starts_with("c++") { ("CXX", "c++") } else { ("CC", "cc") };
    let mut command = Command::new(std::env::var_os(variable).unwrap_or_else(|| default.into()));
    command.arg(format!("-std={standard}"));
    command
}

/// The folder in which cargo builds.
pub fn target_folder() -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let json = process::capture(process::cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    Ok(serde_json::from_str::<Metadata>(&json)?.target_directory)
}

/// Makes `to` an archive of the one object that all of `archive` is linked to, in which only what the shared library exports can be
/// seen from outside. An embedder may then link other Rust libraries, or have functions of any name that we use inside.
///
/// Nothing is done where `to` is newer than both.
fn hide_internal_names(archive: &Path, shared: &Path, to: &Path) -> Result<()> {
    let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    if let (Ok(made), true) = (changed(to), to.is_file() && !to.is_symlink())
        && made > changed(archive)?.max(changed(shared)?)
    {
        return Ok(());
    }
    let (object, names) = (to.with_extension("o"), to.with_extension("names"));
    let exported = exported_names(shared)?;
    fs::write(&names, exported.join("\n"))?;
    process::capture(Command::new("ld").args(["-r", "--whole-archive"]).arg(archive).arg("-o").arg(&object))?;
    // The standard library's objects hold a second form of themselves, for link-time optimization, which doesn't bear being joined.
    let mut hide = Command::new("objcopy");
    hide.args(["--remove-section=.llvmbc", "--remove-section=.llvmcmd"]);
    process::capture(hide.arg(format!("--keep-global-symbols={}", names.display())).arg(&object))?;
    if to.symlink_metadata().is_ok() {
        fs::remove_file(to)?;
    }
    process::capture(Command::new("ar").arg("crs").arg(to).arg(&object))?;
    fs::remove_file(&object)?;
    Ok(())
}

/// The names of the interface that a shared library exports.
pub fn exported_names(shared: &Path) -> Result<Vec<String>> {
    let listing = process::capture(Command::new("nm").args(["-D", "--defined-only"]).arg(shared))?;
    let names = listing.lines().filter_map(|line| line.split(' ').nth(2));
    Ok(names.filter(|name| is_ours(name)).map(str::to_owned).collect())
}

/// Whether a name is of the interface.
pub fn is_ours(name: &str) -> bool {
    ["wasm", "wasi", "ampoule_"].iter().any(|prefix| name.starts_with(prefix))
}

/// Makes `folder/name` a link to `target`, whatever was there before.
fn link(target: &Path, folder: &Path, name: &str) -> Result<()> {
    if !target.is_file() {
        bail!("{} is missing", target.display());
    }
    fs::create_dir_all(folder)?;
    let path = folder.join(name);
    if path.symlink_metadata().is_ok() {
        fs::remove_file(&path)?;
    }
    symlink(target, &path).with_context(|| format!("cannot make {}", path.display()))
}
