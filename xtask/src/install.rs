//! `cargo xtask install`: the library, its headers and its command, where other programs find them.
//!
//! Programs written for Wasmtime's C API find the library under that name too: `libwasmtime.so`, `libwasmtime.a`, and packages for
//! pkg-config and CMake stand beside ours. An installation may be moved: nothing in it names its own place.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::library::{Library, Linkage, SYSTEM_LIBRARIES};
use crate::project;

#[derive(Args)]
pub struct Options {
    /// The folder that gets `lib`, `include` and `bin`.
    #[arg(long, value_name = "DIR")]
    pub prefix: PathBuf,
    /// The cargo profile to build with.
    #[arg(long, default_value = "release", conflicts_with = "min")]
    pub profile: String,
    /// The small library without the compiler: it runs modules that were compiled before. Without the command, which compiles.
    #[arg(long)]
    pub min: bool,
}

/// The packages: their folder below the prefix, template, name, and what stands for the version.
const PACKAGES: [(&str, &str, &str, &str); 6] = [
    ("lib/pkgconfig", "ampoule.pc", "ampoule.pc", OUR_VERSION),
    ("lib/pkgconfig", "wasmtime.pc", "wasmtime.pc", API_VERSION),
    ("lib/cmake/ampoule", "ampoule-config.cmake", "ampoule-config.cmake", OUR_VERSION),
    ("lib/cmake/ampoule", "config-version.cmake", "ampoule-config-version.cmake", OUR_VERSION),
    ("lib/cmake/wasmtime", "wasmtime-config.cmake", "wasmtime-config.cmake", API_VERSION),
    ("lib/cmake/wasmtime", "config-version.cmake", "wasmtime-config-version.cmake", API_VERSION),
];

const OUR_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of the interface.
const API_VERSION: &str = "44.0.0";

/// What `conf.h` doesn't have for the `min` build.
const NOT_IN_MIN: [&str; 8] =
    ["CACHE", "CRANELIFT", "DEMANGLE", "LOGGING", "PARALLEL_COMPILATION", "WASI_HTTP", "WAT", "WINCH"];

pub fn run(options: &Options) -> Result<()> {
    let library = Library::build(if options.min { "min" } else { &options.profile })?;
    install(&library, &options.prefix)?;
    println!("installed to {}", options.prefix.display());
    Ok(())
}

/// Installs what was built to `prefix`.
pub fn install(library: &Library, prefix: &Path) -> Result<()> {
    let lib = prefix.join("lib");
    fs::create_dir_all(&lib)?;
    for (linkage, other_name) in [(Linkage::Shared, "libwasmtime.so"), (Linkage::Static, "libwasmtime.a")] {
        replace(&lib.join(linkage.file_name()), |path| fs::copy(library.file(linkage), path).map(drop))?;
        replace(&lib.join(other_name), |path| symlink(linkage.file_name(), path))?;
    }
    for (folder, template, name, version) in PACKAGES {
        let template = project::root().join("c-api/package").join(format!("{template}.in"));
        let text = fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
        fs::create_dir_all(prefix.join(folder))?;
        fs::write(prefix.join(folder).join(name), fill_in(&text, version))?;
    }
    let include = prefix.join("include");
    copy_folder(&project::include(), &include)?;
    if !library.compiles {
        let conf = include.join("wasmtime/conf.h");
        fs::write(&conf, conf_of_min(&fs::read_to_string(&conf)?))?;
    }
    if let Some(command) = &library.command {
        fs::create_dir_all(prefix.join("bin"))?;
        replace(&prefix.join("bin/ampoule"), |path| fs::copy(command, path).map(drop))?;
    }
    Ok(())
}

/// A template with its placeholders replaced.
fn fill_in(template: &str, version: &str) -> String {
    let names: Vec<&str> = SYSTEM_LIBRARIES.iter().map(|flag| &flag[2..]).collect();
    template
        .replace("@VERSION@", version)
        .replace("@PACKAGE_VERSION@", version)
        .replace("@SYSTEM_LIBRARIES@", &SYSTEM_LIBRARIES.join(" "))
        .replace("@SYSTEM_LIBRARIES_CMAKE@", &names.join(";"))
}

/// `conf.h` as it is for the `min` build.
fn conf_of_min(conf: &str) -> String {
    let mut text = String::new();
    for line in conf.lines() {
        let feature = line.strip_prefix("#define WASMTIME_FEATURE_").map(str::trim);
        if feature.is_some_and(|feature| NOT_IN_MIN.contains(&feature)) {
            text.push_str("// ");
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Removes `path` first: programs that have the old file mapped keep it, and a link is not followed.
fn replace(path: &Path, make: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path)?;
    }
    make(path).with_context(|| format!("cannot make {}", path.display()))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in from.read_dir().with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_compiler_its_features_are_off() {
        let conf = "#define WASMTIME_FEATURE_WAT\n#define WASMTIME_FEATURE_WASI\n// #define WASMTIME_FEATURE_WINCH\n";
        let min = "// #define WASMTIME_FEATURE_WAT\n#define WASMTIME_FEATURE_WASI\n// #define WASMTIME_FEATURE_WINCH\n";
        assert_eq!(conf_of_min(conf), min);
    }
}
