//! Guests that are components, made by the tool in `tests/guests/componentizer`: the programs of preview 1 once more, through the adapter
//! that other tools give such programs, and those of `tests/guests/p2` and `p3`, against the C side of WASI's interfaces.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::program::{self, Program, World};
use super::{FLAGS, is_older, zig_cc};
use crate::{process, project};

/// What of the real programs is a command; the others are called by other functions than `_start`.
const REAL_COMMANDS: [&str; 2] = ["python", "resvg"];

/// Makes every component that is missing or older than what it is made of. The core programs are in `folder` already.
pub fn run(folder: &Path) -> Result<()> {
    let tool = Tool::build()?;
    let own = project::files(&project::root().join("tests/guests"), "c")?;
    let own = own.iter().map(|source| project::stem(source));
    for name in own.chain(REAL_COMMANDS.map(str::to_owned)) {
        let core = folder.join(&name).with_extension("wasm");
        tool.component(&core, "command", &folder.join("p1").join(&name).with_extension("wasm"))?;
    }
    for program in program::all()? {
        tool.compile(&program, folder)?;
    }
    Ok(())
}

/// The folder of WASI's interfaces, as WIT: of the crate `wasip2` or `wasip3`.
pub fn wit(package: &str) -> Result<PathBuf> {
    Ok(packages()?.folder(package)?.join("wit"))
}

/// The command that makes components, and the packages that come with it.
struct Tool {
    executable: PathBuf,
    packages: Packages,
}

impl Tool {
    fn build() -> Result<Tool> {
        let target = project::cache().join("componentizer");
        let build = ["build", "--quiet", "--locked", "--manifest-path"];
        process::run(process::cargo().args(build).arg(manifest()).arg("--target-dir").arg(&target))?;
        Ok(Tool { executable: target.join("debug/componentizer"), packages: packages()? })
    }

    /// Makes `made` a component of a core module, with one of the three adapters.
    fn component(&self, core: &Path, adapter: &str, made: &Path) -> Result<()> {
        if !is_older(made, core)? && !is_older(made, &self.executable)? {
            return Ok(());
        }
        fs::create_dir_all(made.parent().expect("a component is in a folder"))?;
        let adapters = self.packages.folder("wasi-preview1-component-adapter-provider")?.join("artefacts");
        let adapter = adapters.join(format!("wasi_snapshot_preview1.{adapter}.wasm"));
        process::run(Command::new(&self.executable).arg("new").arg(core).arg(adapter).arg(made))?;
        println!("{} from {}", project::short(made), project::short(core));
        Ok(())
    }

    /// Compiles a program of 0.2 or 0.3 against its world.
    fn compile(&self, program: &Program, folder: &Path) -> Result<()> {
        let bindings = self.bindings(program, folder)?;
        let core = folder.join(format!("{}.core.wasm", program.name));
        let mut old = is_older(&core, &program.source)? || is_older(&core, &bindings.join("guest.o"))?;
        let shared = project::root().join("tests/guests");
        for header in [project::files(&shared, "h")?, project::files(&program.folder(), "h")?].concat() {
            old = old || is_older(&core, &header)?;
        }
        if old {
            let mut compile = zig_cc()?;
            compile.args(FLAGS).arg("-I").arg(&bindings).arg("-I").arg(&shared).arg(&program.source);
            compile.args(["guest.o", "guest_component_type.o"].map(|object| bindings.join(object)));
            if !program.is_command() {
                compile.arg("-mexec-model=reactor");
            }
            process::run(compile.arg("-o").arg(&core))?;
        }
        let adapter = match program.world {
            _ if program.is_command() => "command",
            World::Proxy => "proxy",
            _ => "reactor",
        };
        self.component(&core, adapter, &program.component(folder))
    }

    /// The folder with what a program of this world includes, and is linked with.
    fn bindings(&self, program: &Program, folder: &Path) -> Result<PathBuf> {
        let world = program.world.name();
        let sync = program.sync();
        // Programs of the same world that let the same functions wait share theirs.
        let name = format!("{world} {}", sync.join(" ").replace(['/', ':', '#'], "-"));
        let bindings = folder.join(program.version.folder()).join("bindings").join(name.trim());
        let (object, file) = (bindings.join("guest.o"), program.folder().join("world.wit"));
        if !is_older(&object, &file)? && !is_older(&object, &self.executable)? {
            return Ok(bindings);
        }
        let wit = wit(program.version.package())?;
        process::run(
            Command::new(&self.executable).arg("bindings").arg(wit).arg(file).arg(world).arg(&bindings).args(sync),
        )?;
        let generated = bindings.join("guest.c");
        process::run(zig_cc()?.args(FLAGS).args(["-w", "-c"]).arg(generated).arg("-o").arg(&object))?;
        Ok(bindings)
    }
}

fn manifest() -> PathBuf {
    project::root().join("tests/guests/componentizer/Cargo.toml")
}

/// Where cargo has unpacked what the tool's manifest names, the packages included that are wanted for their files only.
#[derive(Deserialize)]
struct Packages {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

fn packages() -> Result<Packages> {
    let metadata = ["metadata", "--format-version", "1", "--locked", "--manifest-path"];
    Ok(serde_json::from_str(&process::capture(process::cargo().args(metadata).arg(manifest()))?)?)
}

impl Packages {
    fn folder(&self, name: &str) -> Result<&Path> {
        let package = self.packages.iter().find(|package| package.name == name);
        let package = package.with_context(|| format!("the componentizer's manifest names no {name}"))?;
        Ok(package.manifest_path.parent().expect("a manifest is in a folder"))
    }
}
