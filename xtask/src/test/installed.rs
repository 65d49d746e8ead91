//! An installation serves programs that know nothing but pkg-config or CMake, under our name and under Wasmtime's, wherever it lies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::options::Options;
use super::tally::Tally;
use crate::library::{self, Library, Linkage, compiler_of};
use crate::{install, process, project, python};

const EXPECTED: &str = "7 * 6 = 42\n";

/// The CMake that is used where the machine has none.
const CMAKE: &str = "3.31.6";

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    // Spaces in paths are where flags break, and an installation may be moved.
    let (made, prefix) =
        (library.folder.with_file_name("installing"), library.folder.with_file_name("an installation"));
    let installed = install::install(library, &made).and_then(|()| {
        if prefix.exists() {
            fs::remove_dir_all(&prefix)?;
        }
        Ok(fs::rename(&made, &prefix)?)
    });
    let mut check = |name: &str, result: &dyn Fn() -> Result<()>| {
        if options.wants(name) {
            tally.check(name, result().map_err(|error| format!("{error:#}")));
        }
    };
    check("install: files", &|| installed.as_ref().copied().map_err(|error| anyhow::anyhow!("{error:#}")));
    if installed.is_err() {
        return;
    }
    let hello = project::root().join("examples/c/hello.c");
    let hello_in_cpp = project::root().join("examples/cpp/hello.cc");
    for package in ["ampoule", "wasmtime"] {
        for (how, linkage) in [("statically", Linkage::Static), ("dynamically", Linkage::Shared)] {
            let name = format!("install: a C program links {package} {how}, by pkg-config");
            check(&name, &|| link_and_run(&prefix, package, linkage, &hello));
            let name = format!("install: a C++ program links {package} {how}, by pkg-config");
            check(&name, &|| link_and_run(&prefix, package, linkage, &hello_in_cpp));
        }
        check(&format!("install: C and C++ programs link {package}, by CMake"), &|| {
            cmake(&prefix, package, &hello, &hello_in_cpp)
        });
    }
    check("install: other names stay inside of the archive", &|| names_in(library));
    check("install: the archive and another Rust library in one program", &|| beside_rust(&prefix, &hello));
    check("install: what crun's handler calls runs a module", &|| as_crun(&prefix));
    if library.command.is_some() {
        check("install: the command runs", &|| {
            process::capture(Command::new(prefix.join("bin/ampoule")).arg("--version")).map(drop)
        });
    }
}

fn link_and_run(prefix: &Path, package: &str, linkage: Linkage, source: &Path) -> Result<()> {
    let program = prefix.join(format!("hello-{package}"));
    let flags = pkg_config(prefix, package, linkage)?;
    compile(prefix, &program, source, &flags)?;
    expect_hello(&program)
}

fn expect_hello(program: &Path) -> Result<()> {
    let said = process::capture(&mut Command::new(program))?;
    ensure!(said == EXPECTED, "it printed {said:?}");
    Ok(())
}

/// Compiles as a makefile would: the flags are words for the shell.
fn compile(prefix: &Path, program: &Path, source: &Path, flags: &str) -> Result<()> {
    let compiler = compiler_of(source);
    let mut words: Vec<String> = vec![quoted(Path::new(compiler.get_program()))];
    words.extend(compiler.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.push(quoted(source));
    words.push(flags.to_owned());
    words.push(format!(
        "{} -o {}",
        quoted(Path::new(&format!("-Wl,-rpath,{}/lib", prefix.display()))),
        quoted(program)
    ));
    process::capture(Command::new("sh").arg("-c").arg(words.join(" "))).map(drop)
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

/// The compiler's and linker's flags for a package of this prefix, as words for the shell.
fn pkg_config(prefix: &Path, package: &str, linkage: Linkage) -> Result<String> {
    let folder = prefix.join("lib/pkgconfig");
    let is_static = linkage == Linkage::Static;
    let flags = if process::find("pkg-config").is_none() {
        let path = folder.join(package).with_extension("pc");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        flags_in(&text, &folder, is_static).join(" ")
    } else {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_PATH", folder).args(["--cflags", "--libs"]);
        if is_static {
            command.arg("--static");
        }
        process::capture(command.arg(package))?.trim().to_owned()
    };
    // Both kinds are there, and -l alone prefers the shared one.
    let (by_name, by_file) = (format!("-l{package}"), format!("-l:lib{package}.a"));
    Ok(if is_static { flags.replace(&by_name, &by_file) } else { flags })
}

/// What pkg-config would read in a .pc file, for machines without it.
fn flags_in(text: &str, folder: &Path, linked_statically: bool) -> Vec<String> {
    let place = folder.to_string_lossy().replace(' ', "\\ ");
    let mut variables: Vec<(String, String)> = vec![("pcfiledir".to_owned(), place)];
    let mut flags = Vec::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        for (name, value) in &variables {
            line = line.replace(&format!("${{{name}}}"), value);
        }
        let wanted = ["Cflags:", "Libs:"].into_iter().chain(linked_statically.then_some("Libs.private:"));
        if let Some(values) = wanted.into_iter().find_map(|field| line.strip_prefix(field)) {
            flags.push(values.trim().to_owned());
        } else if let Some((name, value)) = line.split_once('=') {
            variables.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    flags
}

/// Builds a project of a C and a C++ program with both libraries, and runs them.
fn cmake(prefix: &Path, package: &str, hello: &Path, hello_in_cpp: &Path) -> Result<()> {
    let cmake = match process::find("cmake") {
        Some(found) => found,
        None => python::venv_with("cmake", CMAKE)?.with_file_name("cmake"),
    };
    let (project, build) = (prefix.join(format!("project-{package}")), prefix.join(format!("build-{package}")));
    fs::create_dir_all(&project)?;
    fs::copy(hello, project.join("hello.c"))?;
    fs::copy(hello_in_cpp, project.join("hello.cc"))?;
    fs::write(project.join("CMakeLists.txt"), lists_of(package))?;
    let configure = |command: &mut Command| -> Result<()> {
        process::capture(command.arg("-S").arg(&project).arg("-B").arg(&build)).map(drop)
    };
    configure(Command::new(&cmake).arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())))?;
    process::capture(Command::new(&cmake).arg("--build").arg(&build))?;
    ["shared", "static", "plus"].iter().try_for_each(|program| expect_hello(&build.join(program)))
}

fn lists_of(package: &str) -> String {
    let version = if package == "wasmtime" { "44.0" } else { "" };
    format!(
        "cmake_minimum_required(VERSION 3.13)
project(hello C CXX)
find_package({package} {version} REQUIRED)
add_executable(shared hello.c)
target_link_libraries(shared PRIVATE {package}::{package})
add_executable(static hello.c)
target_link_libraries(static PRIVATE {package}::static)
set(CMAKE_CXX_STANDARD 17)
add_executable(plus hello.cc)
target_link_libraries(plus PRIVATE {package}::{package})
"
    )
}

/// The archive defines the names that the shared library exports, for others to see, and no further.
fn names_in(library: &Library) -> Result<()> {
    let archive =
        process::capture(Command::new("nm").args(["-g", "--defined-only"]).arg(library.file(Linkage::Static)))?;
    let mut visible: Vec<&str> = archive.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    let mut exported = library::exported_names(&library.file(Linkage::Shared))?;
    visible.sort_unstable();
    exported.sort_unstable();
    ensure!(!exported.is_empty() && visible == exported, "it shows {} names for {}", visible.len(), exported.len());
    Ok(())
}

/// Two Rust libraries bring the same standard library along, under the same names.
fn beside_rust(prefix: &Path, hello: &Path) -> Result<()> {
    let (source, archive) = (prefix.join("other.rs"), prefix.join("libother.a"));
    fs::write(
        &source,
        "#[unsafe(no_mangle)]\npub extern \"C\" fn other() -> usize {\n    format!(\"{:?}\", std::thread::current()).len()\n}\n",
    )?;
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition", "2024", "--crate-type", "staticlib", "-o"]).arg(&archive).arg(&source);
    process::capture(&mut rustc)?;
    let caller = prefix.join("beside.c");
    let main = fs::read_to_string(hello)?
        .replace("int main(void) {", "size_t other(void);\nint main(void) {\n  if (other() == 0) return 1;");
    ensure!(main.contains("other()"), "the example's main function is not where it was");
    fs::write(&caller, main)?;
    let flags = pkg_config(prefix, "ampoule", Linkage::Static)?;
    let both = format!("-Wl,--whole-archive {} -Wl,--no-whole-archive {flags}", quoted(&archive));
    let program: PathBuf = prefix.join("beside");
    compile(prefix, &program, &caller, &both)?;
    expect_hello(&program)
}

/// The program finds the library by its other name when it runs, and all functions by theirs.
fn as_crun(prefix: &Path) -> Result<()> {
    let (source, program) = (project::root().join("tests/downstream/crun.c"), prefix.join("crun"));
    let mut compile = compiler_of(&source);
    compile.args(["-Wall", "-Wextra", "-Werror", "-D_DEFAULT_SOURCE"]).arg(&source).arg("-o").arg(&program).arg("-ldl");
    process::capture(&mut compile)?;
    let probe = project::root().join("shim/tests/containerd/probe.wat");
    let run = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.env("LD_LIBRARY_PATH", prefix.join("lib")).env("A", "b").current_dir(prefix);
        process::capture(command.arg(&probe).args(args))
    };
    let said = run(&["args", "two words"])?;
    ensure!(said == format!("{}\nargs\ntwo words\n", probe.display()), "it printed {said:?}");
    ensure!(run(&["env"])?.lines().any(|line| line == "A=b"), "it has no environment");
    fs::write(prefix.join("file"), "a line\n")?;
    ensure!(run(&["read", ".", "file"])? == "a line\n", "it has no directory");
    ensure!(run(&["trap"]).is_err(), "a trap is no failure");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_in_a_pc_file() {
        let text = "prefix=${pcfiledir}/../..\nlibdir=${prefix}/lib\n\nName: X\nLibs: -L${libdir} -lx\nLibs.private: -lm\nCflags: -I/i\n";
        let folder = Path::new("/a b/lib/pkgconfig");
        assert_eq!(flags_in(text, folder, false), ["-L/a\\ b/lib/pkgconfig/../../lib -lx", "-I/i"]);
        assert_eq!(flags_in(text, folder, true), ["-L/a\\ b/lib/pkgconfig/../../lib -lx", "-lm", "-I/i"]);
    }
}
