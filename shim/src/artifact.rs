//! Programs compiled ahead of time, which containerd keeps as content with a label of ours.
//!
//! What is kept begins with the program itself: whoever finds that the compiled code is not whole, or not for an engine like this one, has
//! what to compile anew, in a container that can't reach containerd any more.
//!
//! ```text
//! magic      8 bytes
//! length     of the program, 8 bytes, little-endian
//! program    a module or component in binary form
//! compiled   what the engine has serialized; has a checksum of its own
//! ```

use crate::guest::{Program, engine};
use ampoule::{Engine, Module};
use ampoule_component::Component;
use anyhow::{Context, Result, ensure};
use containerd_shim_wasm::sandbox::context::WasmLayer;
use containerd_shim_wasm::shim::Compiler;
use sha2::{Digest, Sha256};
use std::hash::Hash;

/// The last byte counts layouts.
const MAGIC: [u8; 8] = *b"\x7fAMPOCI\x01";

const HEADER: usize = 16;

/// Compiles layers of images.
pub struct Precompiler {
    key: Vec<u8>,
}

impl Precompiler {
    /// For engines as containers have them.
    pub fn new() -> Self {
        // An artifact tells version, configuration and processor: that of the least module tells nothing else. Without an engine nothing is
        // found under the key, and every container says why.
        let least = || Module::from_binary(&engine()?, b"\0asm\x01\0\0\0")?.serialize();
        Self { key: least().unwrap_or_default() }
    }
}

impl Compiler for Precompiler {
    fn cache_key(&self) -> impl Hash {
        (MAGIC, self.key.clone())
    }

    async fn compile(&self, layers: &[WasmLayer]) -> Result<Vec<Option<Vec<u8>>>> {
        let engine = engine()?;
        let compiled = layers.iter().map(|layer| compile(&engine, &layer.layer));
        // One that can't be compiled is an error where it is to run.
        Ok(compiled
            .map(|compiled| compiled.inspect_err(|error| log::warn!("a layer is not compiled: {error:#}")).ok())
            .collect())
    }
}

/// What is kept of a program.
fn compile(engine: &Engine, program: &[u8]) -> Result<Vec<u8>> {
    ensure!(!program.starts_with(&MAGIC), "it is compiled already");
    let compiled = match Program::new(engine, program)? {
        Program::Module(module) => module.serialize(),
        Program::Command(component) | Program::Server(component) => component.serialize(),
    };
    let mut kept = MAGIC.to_vec();
    kept.extend((program.len() as u64).to_le_bytes());
    kept.extend(program);
    kept.extend(compiled?);
    Ok(kept)
}

/// The program that was kept, of the layer with this digest. Where the compiled code is of no use, the program is compiled anew.
///
/// # Errors
/// Where neither is whole.
pub fn load(engine: &Engine, kept: &[u8], digest: &str) -> Result<Program> {
    let whole = parts(kept).filter(|(program, _)| is_layer(digest, program));
    let (program, compiled) = whole.with_context(|| {
        format!("what containerd keeps of the layer {digest} is damaged; remove the image, and pull it again")
    })?;
    // SAFETY: containerd's content is written by whoever may run anything on this machine; what the machine did to it since, the checksums tell.
    let loaded = unsafe { deserialize(engine, compiled) };
    loaded.or_else(|error| {
        log::warn!("the compiled program is not used: {error:#}");
        Program::new(engine, program)
    })
}

fn parts(kept: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = kept.strip_prefix(&MAGIC)?;
    let (len, _) = rest.split_first_chunk()?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    kept[HEADER..].split_at_checked(len)
}

fn is_layer(digest: &str, program: &[u8]) -> bool {
    let found = Sha256::digest(program).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    digest.strip_prefix("sha256:").is_none_or(|digest| digest == found)
}

/// # Safety
/// The bytes come from `serialize`, or from somebody who may do anything.
unsafe fn deserialize(engine: &Engine, compiled: &[u8]) -> Result<Program> {
    if ampoule_component::artifact::is_artifact(compiled) {
        // SAFETY: by the caller.
        return Program::of_component(unsafe { Component::deserialize(engine, compiled)? });
    }
    // SAFETY: by the caller.
    Ok(Program::Module(unsafe { Module::deserialize(engine, compiled)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module, and what is kept of it.
    fn kept() -> (Engine, String, Vec<u8>) {
        let engine = engine().expect("an engine");
        let module = Module::binary_of_text("(module (func (export \"_start\")))").expect("text");
        let digest = Sha256::digest(&module).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let kept = compile(&engine, &module).expect("it compiles");
        (engine, format!("sha256:{digest}"), kept)
    }

    #[test]
    fn damage_anywhere_is_a_miss_or_an_error() {
        let (engine, digest, kept) = kept();
        assert!(matches!(load(&engine, &kept, &digest), Ok(Program::Module(_))));
        let (program, _) = parts(&kept).expect("both");
        let compiled_at = HEADER + program.len();
        for at in (0..kept.len()).step_by(7) {
            let mut damaged = kept.clone();
            damaged[at] ^= 0x10;
            // Behind the program all is compiled code.
            assert_eq!(load(&engine, &damaged, &digest).is_ok(), at >= compiled_at, "{at}");
        }
        for len in 0..kept.len() {
            assert_eq!(load(&engine, &kept[..len], &digest).is_ok(), len >= compiled_at, "{len}");
        }
    }

    #[test]
    fn what_another_made_is_an_error() {
        let (engine, digest, kept) = kept();
        let other = format!("sha256:{}", "0".repeat(64));
        assert!(load(&engine, &kept, &other).is_err());
        assert!(load(&engine, b"\x7fELF", &digest).is_err());
        assert!(compile(&engine, &kept).is_err());
    }
}
