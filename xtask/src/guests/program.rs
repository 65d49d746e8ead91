//! The programs of WASI 0.2 and 0.3: what the comment at the head of each says about how it is compiled and run.
//!
//! Such a line is `* KEY: VALUE`. The keys:
//!
//! - `world`: of `world.wit` in the program's folder; `command` where there is none;
//! - `sync`: asynchronous functions that wait until they are done, as the componentizer takes them;
//! - `options`: what `ampoule run` or `ampoule serve` is given. `SCRATCH` is a folder made for the run, `SERVER` the address of the test's
//!   HTTP server;
//! - `arguments`: the guest's;
//! - `stdin`, `stdout`, `stderr`: what it is given, and all that it must print, with `\n` for the end of a line; by default nothing. A
//!   program that ends with another status than 0 may have the host say anything on `stderr`;
//! - `status`: with which it exits, 0 where there is none; 134 is a trap, and 1 any other error of the host's;
//! - `differs`: why another library's verdict is another.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::project;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Version {
    P2,
    P3,
}

impl Version {
    /// In `tests/guests`, and among the compiled guests.
    pub fn folder(self) -> &'static str {
        match self {
            Version::P2 => "p2",
            Version::P3 => "p3",
        }
    }

    /// The crate that carries its interfaces.
    pub fn package(self) -> &'static str {
        match self {
            Version::P2 => "wasip2",
            Version::P3 => "wasip3",
        }
    }
}

/// What a program is called by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum World {
    Command,
    Proxy,
    Service,
    Middleware,
}

impl World {
    pub fn name(self) -> &'static str {
        match self {
            World::Command => "command",
            World::Proxy => "proxy",
            World::Service => "service",
            World::Middleware => "middleware",
        }
    }
}

pub struct Program {
    /// `p2/streams`.
    pub name: String,
    pub version: Version,
    pub world: World,
    pub source: PathBuf,
    head: BTreeMap<String, String>,
}

/// Every program of both versions.
pub fn all() -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for version in [Version::P2, Version::P3] {
        for source in project::files(&project::root().join("tests/guests").join(version.folder()), "c")? {
            programs.push(Program::read(version, source)?);
        }
    }
    Ok(programs)
}

impl Program {
    fn read(version: Version, source: PathBuf) -> Result<Program> {
        let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let head = head(&text);
        let world = match head.get("world").map_or("command", String::as_str) {
            "command" => World::Command,
            "proxy" => World::Proxy,
            "service" => World::Service,
            "middleware" => World::Middleware,
            other => bail!("{}: there is no world {other}", project::short(&source)),
        };
        let name = format!("{}/{}", version.folder(), project::stem(&source));
        Ok(Program { name, version, world, source, head })
    }

    /// The folder of its source.
    pub fn folder(&self) -> PathBuf {
        self.source.parent().expect("a source is in a folder").to_owned()
    }

    /// Its component among the compiled `guests`.
    pub fn component(&self, guests: &Path) -> PathBuf {
        guests.join(&self.name).with_extension("wasm")
    }

    /// Whether it has a `main`. Commands of 0.3 export `wasi:cli/run` by themselves.
    pub fn is_command(&self) -> bool {
        self.version == Version::P2 && self.world == World::Command
    }

    pub fn sync(&self) -> Vec<&str> {
        self.words("sync")
    }

    /// The words after a key, none where it is missing.
    pub fn words(&self, key: &str) -> Vec<&str> {
        self.head.get(key).map(|value| value.split_whitespace().collect()).unwrap_or_default()
    }

    /// The text after a key, with ends of lines.
    pub fn text(&self, key: &str) -> Option<String> {
        self.head.get(key).map(|value| value.replace("\\n", "\n"))
    }
}

/// The lines `* KEY: VALUE` of the comment that a source begins with.
fn head(text: &str) -> BTreeMap<String, String> {
    let comment = text.split("*/").next().unwrap_or_default();
    let mut head = BTreeMap::new();
    for line in comment.lines() {
        let Some((key, value)) = line.trim().trim_start_matches('*').split_once(": ") else { continue };
        if key.trim().bytes().all(|byte| byte.is_ascii_lowercase()) {
            head.insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_program_is_its_first_comment() {
        let head =
            head("/* Streams: all of them.\n *\n * options: --tcp --env A=b: c\n * status: 3 */\n/* arguments: x */");
        assert_eq!(head.get("options").map(String::as_str), Some("--tcp --env A=b: c"));
        assert_eq!(head.get("status").map(String::as_str), Some("3"));
        assert_eq!(head.len(), 2);
    }
}
