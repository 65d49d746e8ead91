//! Module files: read, told apart, and loaded; errors name the file.

use ampoule::module::artifact::is_artifact;
use ampoule::{Config, Engine, Module, Pass, Snapshot};
use ampoule_component::Component;
use ampoule_core::tunables::Tiers;
use ampoule_runner::base_config;
use anyhow::{Context, Result, anyhow, ensure};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A file's content, by its form.
enum Form {
    /// A binary module, also where the file held text.
    Binary(Vec<u8>),
    /// What `ampoule compile` wrote of a module.
    Artifact,
    /// What it wrote of a component.
    ComponentArtifact,
    /// What `ampoule snapshot` wrote.
    Snapshot,
}

/// A module file that was read.
pub struct ModuleFile {
    path: PathBuf,
    form: Form,
}

impl ModuleFile {
    /// Reads a binary, text or compiled module.
    ///
    /// # Errors
    /// Where the file can't be read, or holds text that is not a module, with line and column.
    pub fn read(path: &Path) -> Result<Self> {
        let form = Self::form(path).with_context(|| format!("{}", path.display()))?;
        let form = match form {
            Form::Binary(bytes) if !bytes.starts_with(b"\0asm") => Form::Binary(encode_text(path, &bytes)?),
            form => form,
        };
        Ok(Self { path: path.to_path_buf(), form })
    }

    /// What a file is by its first bytes. What was compiled is mapped when it is loaded; only others are read to their end.
    fn form(path: &Path) -> std::io::Result<Form> {
        const MAGIC_LEN: u64 = 8;
        let mut file = File::open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(MAGIC_LEN).read_to_end(&mut bytes)?;
        if is_artifact(&bytes) {
            return Ok(Form::Artifact);
        }
        if ampoule_component::artifact::is_artifact(&bytes) {
            return Ok(Form::ComponentArtifact);
        }
        if ampoule::snapshot::is_snapshot(&bytes) {
            return Ok(Form::Snapshot);
        }
        file.read_to_end(&mut bytes)?;
        Ok(Form::Binary(bytes))
    }

    /// The module's bytes.
    ///
    /// # Errors
    /// Where the file was compiled already.
    pub fn binary(&self) -> Result<&[u8]> {
        match &self.form {
            Form::Binary(bytes) => Ok(bytes),
            Form::Artifact | Form::ComponentArtifact => {
                Err(anyhow!("{}: is compiled already; a wasm or wat file is needed", self.path.display()))
            }
            Form::Snapshot => Err(anyhow!("{}: is a snapshot; a wasm or wat file is needed", self.path.display())),
        }
    }

    /// The module, ready to run.
    ///
    /// # Errors
    /// Where it is invalid or not for this engine; names the file.
    pub fn load(&self, engine: &Engine) -> Result<Module> {
        let module = match &self.form {
            Form::Binary(bytes) => Module::from_binary(engine, bytes),
            // SAFETY: whoever names a compiled file on the command line vouches for it, as for any program they start:
            // that it is what it claims to be, and stays as it is while it runs.
            Form::Artifact => unsafe { Module::deserialize_file(engine, &self.path) },
            Form::ComponentArtifact => return Err(anyhow!("{}: is a component, not a module", self.path.display())),
            Form::Snapshot => return Err(anyhow!("{}: is a snapshot, not a module", self.path.display())),
        };
        self.named(module)
    }

    /// The component, where it is one.
    ///
    /// # Errors
    /// Where it is invalid; names the file.
    pub fn component(&self, engine: &Engine) -> Result<Option<Component>> {
        match &self.form {
            Form::Binary(bytes) if wasmparser::Parser::is_component(bytes) => {
                self.named(Component::new(engine, bytes)).map(Some)
            }
            // SAFETY: as for modules.
            Form::ComponentArtifact => self.named(unsafe { Component::deserialize_file(engine, &self.path) }).map(Some),
            _ => Ok(None),
        }
    }

    /// The snapshot, where it is one.
    ///
    /// # Errors
    /// Where it is damaged, or not for this engine; names the file.
    pub fn snapshot(&self, engine: &Engine) -> Result<Option<Snapshot>> {
        match &self.form {
            // SAFETY: as for modules.
            Form::Snapshot => self.named(unsafe { Snapshot::load_file(engine, &self.path) }).map(Some),
            _ => Ok(None),
        }
    }

    /// Puts the file's name before an error.
    ///
    /// # Errors
    /// The error given.
    pub fn named<T>(&self, result: Result<T, impl Into<anyhow::Error>>) -> Result<T> {
        result.map_err(Into::into).with_context(|| format!("{}", self.path.display()))
    }
}

/// Which compilers make a module's machine code.
#[derive(clap::Args)]
pub struct Compilation {
    /// Which compilers make machine code. What `ampoule compile` made runs as it is.
    #[arg(long, value_enum, default_value_t = Tier::Auto)]
    tier: Tier,

    /// Leave out a pass of the optimizing compiler, to find the one by which code is slow, or wrong; after an `@`, for
    /// some functions of a module only. May be repeated
    #[arg(long, value_name = "PASS[@FIRST..END]")]
    without: Vec<WithoutPass>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tier {
    /// The baseline compiler when a function is first called, and the optimizing one when it has run often.
    Auto,
    /// The baseline compiler alone: done at once, and code that runs some third longer.
    Baseline,
    /// The optimizing compiler alone, when a function is first called.
    Optimizing,
}

impl Compilation {
    /// Sets what was chosen.
    pub fn choose(&self, config: &mut Config) {
        config.tiers(match self.tier {
            Tier::Auto => Tiers::Auto,
            Tier::Baseline => Tiers::Baseline,
            Tier::Optimizing => Tiers::Optimizing,
        });
        for WithoutPass { pass, functions } in &self.without {
            config.without_pass_for(*pass, functions.clone());
        }
    }
}

/// A pass that is left out, and for which functions.
#[derive(Clone)]
struct WithoutPass {
    pass: Pass,
    functions: Range<u32>,
}

impl FromStr for WithoutPass {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, range) = text.split_once('@').map_or((text, None), |(name, range)| (name, Some(range)));
        let pass = Pass::ALL
            .into_iter()
            .find(|pass| pass.name() == name)
            .ok_or_else(|| format!("no pass has that name; they are: {}", Pass::ALL.map(Pass::name).join(", ")))?;
        let functions = match range {
            None => 0..u32::MAX,
            Some(range) => {
                let ends = range.split_once("..").and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
                ends.ok_or_else(|| format!("`{range}` is not a range of functions, such as 3..7"))?
            }
        };
        Ok(Self { pass, functions })
    }
}

/// Proposals that are accepted where they are asked for.
#[derive(clap::Args)]
pub struct Proposals {
    /// Accept a proposal that is off otherwise. May be repeated.
    #[arg(long, value_name = "PROPOSAL", value_enum)]
    wasm: Vec<Proposal>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Proposal {
    /// Exceptions as they were encoded before they were standardized.
    LegacyExceptions,
}

impl Proposals {
    /// The configuration of [`base_config`], with these.
    pub fn config(&self) -> Config {
        let mut config = base_config();
        for proposal in &self.wasm {
            match proposal {
                Proposal::LegacyExceptions => config.features.legacy_exceptions = true,
            }
        }
        config
    }
}

fn encode_text(path: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    ensure!(!bytes.is_empty(), "{}: the file is empty", path.display());
    let neither = |offset| anyhow!("{}: neither a wasm file nor text (at offset {offset:#x})", path.display());
    let text = std::str::from_utf8(bytes).map_err(|error| neither(error.valid_up_to()))?;
    // Of other binary files, which may begin with text.
    if let Some(offset) = text.find('\0') {
        return Err(neither(offset));
    }
    Module::binary_of_text_file(path, text).map_err(|error| anyhow!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_left_out_for_all_functions_or_some() {
        let parsed = |text: &str| text.parse::<WithoutPass>().map(|without| (without.pass, without.functions));
        assert_eq!(parsed("unrolling"), Ok((Pass::Unrolling, 0..u32::MAX)));
        assert_eq!(parsed("unrolling@3..7"), Ok((Pass::Unrolling, 3..7)));
        for text in ["unroling", "", "unrolling@", "unrolling@3", "unrolling@3..", "@3..7"] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}
