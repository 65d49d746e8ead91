//! The programs in `examples/rust`: each prints what the block of `text` at its head says. The guide and the README show parts of them, which
//! are compared with the programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, iter};

use anyhow::{Context, Result};

use super::options::Options;
use super::output;
use super::tally::Tally;
use crate::{artifacts, library, process, project};

const FOLDER: &str = "examples/rust";

pub fn run(options: &Options, tally: &mut Tally) {
    let sources = match project::files(&project::root().join(FOLDER), "rs") {
        Ok(sources) => sources,
        Err(error) => return tally.check(FOLDER, Err(format!("{error:#}"))),
    };
    let name = |source: &Path| format!("{FOLDER}/{}", project::stem(source));
    let wanted: Vec<&PathBuf> = sources.iter().filter(|source| options.wants(&name(source))).collect();
    if !wanted.is_empty() {
        match build() {
            Ok(executables) => {
                for source in wanted {
                    let result = check(source, &executables).map_err(|error| format!("{error:#}"));
                    tally.check(&name(source), result);
                }
            }
            Err(error) => tally.check(&format!("{FOLDER}: the examples build"), Err(format!("{error:#}"))),
        }
    }
    let in_readme = format!("{FOLDER}: excerpts in README.md");
    if options.wants(&in_readme) {
        match fs::read_to_string(project::root().join("README.md")) {
            Ok(page) => check_excerpts(&in_readme, &page, tally),
            Err(error) => tally.check(&in_readme, Err(error.to_string())),
        }
    }
}

/// The programs by their sources. All of the workspace's are built, with the features that it has in the other Rust tests: another
/// selection would compile its dependencies again.
fn build() -> Result<BTreeMap<PathBuf, PathBuf>> {
    let built = artifacts::build(process::cargo().args(["build", "--workspace", "--examples"]))?;
    let programs = built.into_iter().filter_map(|artifact| Some((artifact.target.src_path, artifact.executable?)));
    programs.map(|(source, executable)| Ok((source.canonicalize()?, executable))).collect()
}

fn check(source: &Path, executables: &BTreeMap<PathBuf, PathBuf>) -> Result<()> {
    let executable = executables.get(&source.canonicalize()?).context("no package has it as an example")?;
    let text = fs::read_to_string(source)?;
    let prints = prints(&text).context("its head has no block of text that says what it prints")?;
    let folder = library::target_folder()?.join("rust-examples").join(project::stem(source));
    output::expect(executable, &output::empty_folder(&folder)?, &prints)
}

/// The block of `text` in the comment at the head of a program.
fn prints(source: &str) -> Option<String> {
    let head: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
    blocks(&head.join("\n"), "text").pop()
}

/// The blocks of Rust of a page.
pub fn excerpts(page: &str) -> Vec<String> {
    blocks(page, "rust")
}

/// Each block of Rust of `page` stands in one of the examples, as whole lines.
pub fn check_excerpts(name: &str, page: &str, tally: &mut Tally) {
    let check = || -> Result<(), String> {
        let read = |path: PathBuf| fs::read_to_string(path).map_err(|error| error.to_string());
        let sources = project::files(&project::root().join(FOLDER), "rs").map_err(|error| format!("{error:#}"))?;
        let sources = sources.into_iter().map(read).collect::<Result<Vec<String>, String>>()?;
        let stray = excerpts(page).into_iter().find(|part| !sources.iter().any(|source| stands_in(part, source)));
        stray.map_or(Ok(()), |part| Err(format!("in no program of {FOLDER}:\n{part}")))
    };
    tally.check(name, check());
}

/// Whether the lines of `part` follow each other in `source`, wherever they are indented to.
fn stands_in(part: &str, source: &str) -> bool {
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    let (part, source) = (lines(part), lines(source));
    !part.is_empty() && source.windows(part.len()).any(|window| window == part)
}

/// The fenced blocks in `language`.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(found) = line.strip_prefix("```") else { continue };
        let inside = iter::from_fn(|| lines.next()).take_while(|line| !line.starts_with("```"));
        let block: String = inside.flat_map(|line| [line, "\n"]).collect();
        if found == language {
            blocks.push(block);
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_program_says_what_it_prints() {
        assert_eq!(prints("//! A.\n//!\n//! ```text\n//! 1\n//! 2\n//! ```\n\nfn main() {}\n").unwrap(), "1\n2\n");
        assert_eq!(prints("//! A.\n\nfn main() {}\n//! ```text\n//! 1\n//! ```\n"), None);
    }

    #[test]
    fn excerpts_are_whole_lines_in_their_order() {
        let source = "fn main() {\n    one();\n    two();\n    three();\n}\n";
        assert!(stands_in("one();\ntwo();\n", source));
        assert!(!stands_in("one();\nthree();\n", source));
        assert!(!stands_in("two()", source));
        assert!(!stands_in("", source));
        assert_eq!(excerpts("```rust\nx\n```\n```c\ny\n```\n```rust\nz\n```\n"), ["x\n", "z\n"]);
    }
}
