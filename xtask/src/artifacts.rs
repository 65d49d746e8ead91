//! What a `cargo build` made, and where.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// A library, a command or an example.
#[derive(Deserialize)]
pub struct Artifact {
    pub target: Target,
    pub filenames: Vec<PathBuf>,
    pub executable: Option<PathBuf>,
}

#[derive(Deserialize)]
pub struct Target {
    pub name: String,
    pub src_path: PathBuf,
}

/// One line of what `cargo build --message-format=json` prints. Other messages are of no interest.
#[derive(Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-artifact")]
    Artifact(Artifact),
    #[serde(other)]
    Other,
}

/// Runs `build`, a `cargo build` with its choice of targets.
pub fn build(build: &mut Command) -> Result<Vec<Artifact>> {
    build.args(["--message-format", "json-render-diagnostics"]);
    let output = build.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo build: {}", output.status);
    let mut artifacts = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        if let Message::Artifact(artifact) = serde_json::from_str(line).context("cargo prints JSON")? {
            artifacts.push(artifact);
        }
    }
    Ok(artifacts)
}
