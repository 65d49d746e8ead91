//! Downstream programs of the C API, compiled unchanged against our headers: `tests/downstream/README.md` lists them.
//!
//! Their sources come as packages of cargo, in the versions and with the checksums of `tests/downstream/Cargo.lock`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::c;
use super::options::Options;
use super::tally::Tally;
use crate::library::{Library, Linkage, compiler_of};
use crate::{guests, process, project};

const LIMIT: Duration = Duration::from_secs(180);

/// What the parser reads: Python, and something else, in which it has to recover from errors.
const TEXTS: [&str; 3] = ["tests/bindings/core.py", "benches/run.py", "tests/downstream/tree_sitter.c"];

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    let name = |linkage: Linkage| format!("downstream: tree-sitter with {}", linkage.file_name());
    let mut linkages = vec![Linkage::Shared, Linkage::Static];
    linkages.retain(|&linkage| options.wants(&name(linkage)));
    if linkages.is_empty() {
        return;
    }
    if options.quick && options.filters.is_empty() {
        return tally.skip("downstream: tree-sitter", "--quick");
    }
    let (parser, logs) = match Parser::compile(library).and_then(|parser| Ok((parser, c::logs(library)?))) {
        Ok(compiled) => compiled,
        Err(error) => return tally.check("downstream: tree-sitter", Err(format!("{error:#}"))),
    };
    for linkage in linkages {
        match parser.program(library, linkage) {
            Ok(program) => {
                let mut command = Command::new(program);
                command.arg(&parser.guest).args(TEXTS).current_dir(project::root());
                tally.check_program(&name(linkage), &mut command, &logs, LIMIT);
            }
            Err(error) => tally.check(&name(linkage), Err(format!("{error:#}"))),
        }
    }
}

/// The parser, with one grammar twice: as machine code and as a guest.
struct Parser {
    folder: PathBuf,
    includes: Vec<String>,
    objects: Vec<PathBuf>,
    guest: PathBuf,
}

impl Parser {
    fn compile(library: &Library) -> Result<Parser> {
        let packages = packages()?;
        let (parser, grammar) = (packages.join("tree-sitter"), packages.join("tree-sitter-python/src"));
        let folder = library.folder.with_file_name("downstream");
        fs::create_dir_all(&folder)?;
        let includes = [&parser.join("include"), &parser.join("src"), &grammar, &library.include];
        let includes = includes.map(|folder| format!("-I{}", folder.display())).to_vec();
        let mut objects = Vec::new();
        for (source, name) in [
            (parser.join("src/lib.c"), "lib.o"),
            (grammar.join("parser.c"), "parser.o"),
            (grammar.join("scanner.c"), "scanner.o"),
        ] {
            let object = folder.join(name);
            let mut compile = compiler_of(&source);
            // The definitions are those of the parser's own build.
            compile.args(["-w", "-O1", "-D_DEFAULT_SOURCE", "-DTREE_SITTER_FEATURE_WASM", "-Dstatic_assert(...)="]);
            compile.args(&includes).arg("-c").arg(&source).arg("-o").arg(&object);
            process::capture(&mut compile).with_context(|| format!("{} does not compile", project::short(&source)))?;
            objects.push(object);
        }
        Ok(Parser { folder, includes, objects, guest: guest(&grammar)? })
    }

    /// Our program that compares what the two make of a text.
    fn program(&self, library: &Library, linkage: Linkage) -> Result<PathBuf> {
        let source = project::root().join("tests/downstream/tree_sitter.c");
        let program = self.folder.join(format!("tree-sitter-{}", linkage.file_name()));
        let mut compile = compiler_of(&source);
        compile.args(["-Wall", "-Wextra", "-Werror", "-g"]).args(&self.includes).arg(&source).args(&self.objects);
        library.link(&mut compile, linkage);
        process::capture(compile.arg("-o").arg(&program)).context("the program does not compile")?;
        Ok(program)
    }
}

/// The grammar as a module that takes another's memory and table, which is the kind that the parser loads.
fn guest(grammar: &Path) -> Result<PathBuf> {
    let target = project::cache().join("downstream/python-grammar.wasm");
    let source = grammar.join("parser.c");
    if guests::is_older(&target, &source)? {
        let unfinished = target.with_extension("unfinished");
        let mut compile = guests::zig_cc()?;
        compile.args(["-target", "wasm32-wasi", "-shared", "-fPIC", "-Os", "-mexec-model=reactor", "-I"]).arg(grammar);
        compile.arg(source).arg(grammar.join("scanner.c")).arg("-o").arg(&unfinished);
        process::capture(&mut compile).context("the grammar does not compile")?;
        fs::rename(unfinished, &target)?;
    }
    Ok(target)
}

/// The folder with the unpacked packages, fetched when they aren't there yet.
fn packages() -> Result<PathBuf> {
    let (ours, folder) = (project::root().join("tests/downstream"), project::cache().join("downstream"));
    let packages = folder.join("packages");
    let lock = fs::read(ours.join("Cargo.lock"))?;
    if packages.is_dir() && fs::read(folder.join("Cargo.lock")).is_ok_and(|found| found == lock) {
        return Ok(packages);
    }
    println!("fetching the sources of other programs");
    fs::create_dir_all(&folder)?;
    fs::copy(ours.join("Cargo.toml"), folder.join("Cargo.toml"))?;
    fs::write(folder.join("none.rs"), "")?;
    // The copy of the lock says that all is there, so it comes last.
    fs::write(folder.join("Cargo.lock"), &lock)?;
    let fetched = process::capture(
        process::cargo().args(["vendor", "--locked", "--manifest-path"]).arg(folder.join("Cargo.toml")).arg(&packages),
    );
    if let Err(error) = fetched {
        fs::remove_file(folder.join("Cargo.lock"))?;
        return Err(error);
    }
    Ok(packages)
}
