//! `containerd-shim-ampoule-v1`: containers whose entry point is a WebAssembly module or component.
//!
//! containerd starts one process of this for each pod, and speaks with it; `containerd-shim-wasm` does that part, and makes each container's
//! namespaces, cgroups and root by `libcontainer`, in a process that becomes the container's first one. There, in a container that is
//! finished, it calls [`guest`], which loads the program when the container is created, and runs it when it is started. What the container
//! gives to its guest is read in [`container`]; [`memory`] keeps a guest within the container's limit, [`signals`] ends it, and
//! [`artifact`] is what containerd keeps of programs that were compiled before, in the shim's own process, and [`start_once`] of those that were
//! started before.

mod artifact;
mod container;
mod guest;
mod memory;
mod signals;
mod start_once;

use std::process::ExitCode;

use containerd_shim_wasm::shim::{Cli, Compiler, Config, Shim, Version, version};

struct Ampoule;

impl Shim for Ampoule {
    type Sandbox = guest::Guest;

    fn name() -> &'static str {
        "ampoule"
    }

    fn version() -> Version {
        version!()
    }

    async fn compiler() -> Option<impl Compiler> {
        Some(artifact::Precompiler::new())
    }

    fn supported_layers_types() -> &'static [&'static str] {
        &[
            "application/wasm",
            "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
            "application/vnd.bytecodealliance.wasm.module.layer.v0+wasm",
        ]
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(start_once::COMMAND) {
        return start_once::maker(args);
    }
    // Before anything is forked off, and before any container has a root of its own.
    container::keep_host();
    Ampoule::run(Config { default_log_level: "warn".to_owned(), ..Config::default() });
    ExitCode::SUCCESS
}
