//! Makes components of C programs, in two steps around the C compiler:
//!
//! - `componentizer bindings WIT_FOLDER WORLD_FILE WORLD OUT [SYNC…]` writes `guest.h`, `guest.c` and `guest_component_type.o` to the
//!   folder OUT: what a program of this world calls and defines. `wasi:io/streams` is `streams` there, and the interfaces that are
//!   named `types` have the name of their package. Asynchronous functions named by SYNC (`import:wasi:…#…`, `export:…`, or `all`) wait
//!   until they are done.
//! - `componentizer new CORE_MODULE ADAPTER COMPONENT` makes a component of what the compiler made. Imports of
//!   `wasi_snapshot_preview1` go to the adapter.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use wit_bindgen_core::wit_parser::{Resolve, WorldId, WorldKey};
use wit_bindgen_core::{AsyncFilterSet, Files};
use wit_component::ComponentEncoder;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["bindings", wit, file, world, out, sync @ ..] => {
            bindings(wit.as_ref(), file.as_ref(), world, out.as_ref(), sync)
        }
        ["new", core, adapter, out] => component(core.as_ref(), adapter.as_ref(), out.as_ref()),
        _ => bail!("see the head of src/main.rs"),
    }
}

/// Writes the C side of a world of `file`, which may name the packages of `wit`.
fn bindings(wit: &Path, file: &Path, world: &str, out: &Path, sync: &[&str]) -> Result<()> {
    let mut resolve = Resolve::default();
    resolve.push_path(wit).with_context(|| format!("cannot read {}", wit.display()))?;
    let (package, _) = resolve.push_path(file).with_context(|| format!("cannot read {}", file.display()))?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut filter = AsyncFilterSet::default();
    for function in sync {
        filter.push(function);
    }
    let options = wit_bindgen_c::Opts {
        rename: short_names(&resolve, world),
        rename_world: Some("guest".to_owned()),
        async_: filter,
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    fs::create_dir_all(out)?;
    for (name, contents) in files.iter() {
        fs::write(out.join(name), contents)?;
    }
    Ok(())
}

/// What C calls the interfaces of a world.
fn short_names(resolve: &Resolve, world: WorldId) -> Vec<(String, String)> {
    let world = &resolve.worlds[world];
    let mut names = Vec::new();
    for key in world.imports.keys().chain(world.exports.keys()) {
        let WorldKey::Interface(interface) = key else { continue };
        let interface = &resolve.interfaces[*interface];
        let (Some(name), Some(package)) = (&interface.name, interface.package) else { continue };
        let short = if name == "types" { &resolve.packages[package].name.name } else { name };
        names.push((resolve.name_world_key(key), short.replace('-', "_")));
    }
    names
}

/// Makes a component of a core module. Whoever runs it validates it.
fn component(core: &Path, adapter: &Path, out: &Path) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut encoder = ComponentEncoder::default();
    encoder.validate(false);
    encoder.module(&read(core)?)?;
    encoder.adapter("wasi_snapshot_preview1", &read(adapter)?)?;
    fs::write(out, encoder.encode()?)?;
    Ok(())
}
