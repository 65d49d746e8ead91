//! Programs compiled ahead of time, which containerd keeps as content with a label of ours.
//!
//! What is kept begins with the program itself: whoever finds that the compiled code is not whole, or not for an engine like this one, has
//! what to compile anew, in a container that can't reach containerd any more.
//!
//! ```text
//! magic      8 bytes
//! lengths    of the program and of the calls, 8 bytes each, little-endian; of the calls all ones where there are none
//! program    a module or component in binary form
//! calls      how it is started once, by [`start_once`]
//! compiled   what the engine has serialized: the program, or its snapshot; has a checksum of its own
//! ```

use crate::guest::{Program, engine};
use crate::start_once;
use ampoule::{Engine, Module, Snapshot};
use ampoule_component::Component;
use anyhow::{Context, Result, anyhow, ensure};
use containerd_shim_wasm::sandbox::context::WasmLayer;
use containerd_shim_wasm::shim::Compiler;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::hash::Hash;
use std::time::Duration;

/// The last byte counts layouts.
const MAGIC: [u8; 8] = *b"\x7fAMPOCI\x02";

const HEADER: usize = 24;

/// In place of the calls' length.
const NO_CALLS: u64 = u64::MAX;

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
        let Some(turn) = Turn::take() else { return Ok(vec![None; layers.len()]) };
        let engine = engine()?;
        let compiled = layers.iter().map(|layer| compile_layer(&engine, layer));
        // One that can't be compiled is an error where it is to run.
        let compiled = compiled
            .map(|compiled| compiled.inspect_err(|error| log::warn!("a layer is not compiled: {error:#}")).ok())
            .collect();
        turn.end_later();
        Ok(compiled)
    }
}

/// Has one shim after another compile. The crate that writes what comes of it takes a lease of containerd's, of one name for all layers, and
/// where another has that, the container isn't made. Whoever has no turn runs the layer as it is.
struct Turn {
    /// Locked for as long as it is open.
    _file: Option<File>,
}

impl Turn {
    /// Where all shims of the machine find it.
    const PLACE: &str = "/run/containerd/ampoule-compiles";

    /// How long the crate may take to write. Where it takes longer, and another compiles, that one fails.
    const WRITING: Duration = Duration::from_secs(5);

    fn take() -> Option<Self> {
        match File::create(Self::PLACE) {
            Ok(file) => {
                flock(&file, FlockOperation::NonBlockingLockExclusive).ok().map(|()| Self { _file: Some(file) })
            }
            // Then as if it were alone.
            Err(_) => Some(Self { _file: None }),
        }
    }

    /// Ends it when what was compiled is written, or with the process.
    fn end_later(self) {
        let later = move || {
            std::thread::sleep(Self::WRITING);
            drop(self);
        };
        // Without a thread it has ended already.
        let _ = std::thread::Builder::new().name("turn".to_owned()).spawn(later);
    }
}

fn compile_layer(engine: &Engine, layer: &WasmLayer) -> Result<Vec<u8>> {
    let calls = start_once::wanted(layer);
    if !layer.precompiled {
        return compile(engine, &layer.layer, calls);
    }
    // Another image has it, too.
    let kept = Kept::of(&layer.layer, layer.config.digest().as_ref())?;
    ensure!(kept.calls != calls, "it is compiled already");
    compile(engine, kept.program, calls)
}

/// What is kept of a program.
fn compile(engine: &Engine, program: &[u8], calls: Option<&str>) -> Result<Vec<u8>> {
    let make =
        |calls| start_once::make(program, calls).inspect_err(|error| log::warn!("nothing is started once: {error:#}"));
    let compiled = match calls.and_then(|calls| make(calls).ok()) {
        Some(snapshot) => snapshot,
        None => match Program::new(engine, program)? {
            Program::Module(module) => module.serialize()?,
            Program::Command(component) | Program::Server(component) => component.serialize()?,
            Program::Started(_) => unreachable!("a program is no snapshot"),
        },
    };
    let calls_len = calls.map_or(NO_CALLS, |calls| calls.len() as u64);
    let mut kept = MAGIC.to_vec();
    kept.extend((program.len() as u64).to_le_bytes());
    kept.extend(calls_len.to_le_bytes());
    kept.extend(program);
    kept.extend(calls.unwrap_or_default().bytes());
    kept.extend(compiled);
    Ok(kept)
}

/// The program of a layer, as it was kept. Where the compiled code is of no use, the program is compiled anew.
///
/// # Errors
/// Where neither is whole.
pub fn load(engine: &Engine, layer: &WasmLayer) -> Result<Program> {
    if layer.precompiled {
        load_kept(engine, &layer.layer, layer.config.digest().as_ref(), start_once::wanted(layer))
    } else {
        Program::new(engine, &layer.layer)
    }
}

fn load_kept(engine: &Engine, kept: &[u8], digest: &str, calls: Option<&str>) -> Result<Program> {
    let Kept { program, calls: of_kept, compiled } = Kept::of(kept, digest)?;
    let loaded = if calls == of_kept {
        // SAFETY: containerd's content is written by whoever may run anything on this machine; what the machine did to it since, the checksums tell.
        unsafe { deserialize(engine, compiled) }
    } else {
        Err(anyhow!("another image wants it to be started otherwise"))
    };
    loaded.or_else(|error| {
        log::warn!("the compiled program is not used: {error:#}");
        Program::new(engine, program)
    })
}

/// The parts of what is kept.
struct Kept<'a> {
    program: &'a [u8],
    calls: Option<&'a str>,
    compiled: &'a [u8],
}

impl<'a> Kept<'a> {
    /// Of the layer with this digest.
    fn of(bytes: &'a [u8], digest: &str) -> Result<Self> {
        let whole = Self::parts(bytes).filter(|kept| is_layer(digest, kept.program));
        whole.with_context(|| {
            format!("what containerd keeps of the layer {digest} is damaged; remove the image, and pull it again")
        })
    }

    fn parts(bytes: &'a [u8]) -> Option<Self> {
        let (lengths, rest) = bytes.strip_prefix(&MAGIC)?.split_at_checked(HEADER - MAGIC.len())?;
        let (program_len, calls_len) = lengths.split_first_chunk()?;
        let (program_len, calls_len) =
            (u64::from_le_bytes(*program_len), u64::from_le_bytes(calls_len.try_into().ok()?));
        let (program, rest) = rest.split_at_checked(usize::try_from(program_len).ok()?)?;
        if calls_len == NO_CALLS {
            return Some(Self { program, calls: None, compiled: rest });
        }
        // Damage of these is one of what is compiled: the program is there.
        let whole = usize::try_from(calls_len).ok().and_then(|len| rest.split_at_checked(len));
        let (calls, compiled) = whole.unwrap_or_default();
        Some(Self { program, calls: std::str::from_utf8(calls).ok(), compiled })
    }
}

fn is_layer(digest: &str, program: &[u8]) -> bool {
    let found = Sha256::digest(program).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    digest.strip_prefix("sha256:").is_none_or(|digest| digest == found)
}

/// # Safety
/// The bytes come from `serialize` or of a snapshot, or from somebody who may do anything.
unsafe fn deserialize(engine: &Engine, compiled: &[u8]) -> Result<Program> {
    if ampoule::snapshot::is_snapshot(compiled) {
        // SAFETY: by the caller.
        return Program::of_snapshot(unsafe { Snapshot::load(engine, compiled)? });
    }
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

    /// What is kept of a module, and its digest and length.
    fn kept() -> (Engine, String, usize, Vec<u8>) {
        let engine = engine().expect("an engine");
        let module = Module::binary_of_text("(module (func (export \"_start\")))").expect("text");
        let digest = Sha256::digest(&module).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let kept = compile(&engine, &module, None).expect("it compiles");
        (engine, format!("sha256:{digest}"), module.len(), kept)
    }

    #[test]
    fn damage_anywhere_is_a_miss_or_an_error() {
        let (engine, digest, len, kept) = kept();
        let load = |kept: &[u8]| load_kept(&engine, kept, &digest, None);
        assert!(matches!(load(&kept), Ok(Program::Module(_))));
        // Of the calls' length nothing is lost, nor behind the program, where all is compiled code.
        let is_a_miss = |at: usize| (16..HEADER).contains(&at) || at >= HEADER + len;
        for at in (0..kept.len()).step_by(7) {
            let mut damaged = kept.clone();
            damaged[at] ^= 0x10;
            assert_eq!(load(&damaged).is_ok(), is_a_miss(at), "{at}");
        }
        for cut in 0..kept.len() {
            assert_eq!(load(&kept[..cut]).is_ok(), cut >= HEADER + len, "{cut}");
        }
    }

    #[test]
    fn what_another_made_is_an_error() {
        let (engine, digest, _, kept) = kept();
        let other = format!("sha256:{}", "0".repeat(64));
        assert!(load_kept(&engine, &kept, &other, None).is_err());
        assert!(load_kept(&engine, b"\x7fELF", &digest, None).is_err());
    }

    #[test]
    fn what_was_made_for_another_start_is_a_miss() {
        let (engine, digest, _, kept) = kept();
        assert!(matches!(load_kept(&engine, &kept, &digest, Some("")), Ok(Program::Module(_))));
    }
}
