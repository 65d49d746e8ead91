//! The programs in the guide: each compiles without warnings and prints what its page says. All run with the shared library, the first
//! of each page with the archive too.
//!
//! A block of C or C++ with a `main` is a program; so is a file that a page names in a comment, `<!-- run: FILE -->`. The block of
//! `text` that follows is what it prints. Blocks of Rust are excerpts of the examples, which are run as such ([`examples`]).

use std::path::{Path, PathBuf};
use std::{fs, iter};

use anyhow::{Context, Result, ensure};

use super::options::Options;
use super::tally::Tally;
use super::{examples, output};
use crate::library::{Library, Linkage};
use crate::project;

/// Pages about finding out at run time what the library has, which takes a shared one.
const SHARED_ONLY: [&str; 1] = ["moving"];

/// A program of a page.
struct Program {
    /// In the order of the page, from 1.
    number: usize,
    source: Source,
    prints: String,
}

enum Source {
    /// A block: its language's extension and its text.
    Block(&'static str, String),
    /// A file of the project.
    File(PathBuf),
}

/// The index, and a page about configurations, which [`super::configurations`] checks.
const WITHOUT_PROGRAM: [&str; 2] = ["README", "fleet"];

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    let folder = project::root().join("docs/guide");
    let pages = match project::files(&folder, "md") {
        Ok(pages) => pages,
        Err(error) => return tally.check("guide", Err(format!("{error:#}"))),
    };
    for page in pages.into_iter().filter(|page| !WITHOUT_PROGRAM.contains(&&*project::stem(page))) {
        let name = format!("guide/{}", project::stem(&page));
        if !options.wants(&name) {
            continue;
        }
        let text = fs::read_to_string(&page).map_err(anyhow::Error::from);
        if let Ok(text) = &text
            && !examples::excerpts(text).is_empty()
        {
            examples::check_excerpts(&format!("{name} excerpts"), text, tally);
        }
        match text.and_then(|text| programs(&text)) {
            Ok(programs) => {
                for program in programs {
                    let mut check = |linkage: Linkage, suffix: &str| {
                        let result = check(library, &project::stem(&page), &program, linkage);
                        let name = format!("{name} {}{suffix}", program.number);
                        tally.check(&name, result.map_err(|error| format!("{error:#}")));
                    };
                    check(Linkage::Shared, "");
                    if program.number == 1 && !SHARED_ONLY.contains(&&*project::stem(&page)) {
                        check(Linkage::Static, " with the archive");
                    }
                }
            }
            Err(error) => tally.check(&name, Err(format!("{error:#}"))),
        }
    }
}

/// The programs of a page; at least one, unless it is about Rust.
fn programs(text: &str) -> Result<Vec<Program>> {
    let mut programs: Vec<Program> = Vec::new();
    let mut waiting: Option<Source> = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(file) = line.strip_prefix("<!-- run: ").and_then(|rest| rest.strip_suffix(" -->")) {
            ensure!(waiting.is_none(), "nothing says what the program before {file} prints");
            waiting = Some(Source::File(project::root().join(file)));
        }
        let Some(language) = line.strip_prefix("```") else { continue };
        let block: String = iter::from_fn(|| lines.next())
            .take_while(|line| !line.starts_with("```"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let extension = match language {
            "c" => "c",
            "cpp" => "cc",
            "text" => {
                if let Some(source) = waiting.take() {
                    programs.push(Program { number: programs.len() + 1, source, prints: block });
                }
                continue;
            }
            _ => continue,
        };
        ensure!(block.contains("int main"), "a fragment that no test compiles: {block}");
        ensure!(waiting.is_none(), "nothing says what a program prints");
        waiting = Some(Source::Block(extension, block));
    }
    ensure!(waiting.is_none(), "nothing says what the last program prints");
    ensure!(!programs.is_empty() || !examples::excerpts(text).is_empty(), "the page has no program");
    Ok(programs)
}

fn check(library: &Library, page: &str, program: &Program, linkage: Linkage) -> Result<()> {
    let name = format!("guide-{page}-{}", program.number);
    let folder = output::empty_folder(&library.folder.with_file_name("guide").join(&name))?;
    let executable = library.compile(&source(&folder, &name, &program.source)?, linkage)?;
    output::expect(&executable, &folder, &program.prints)
}

/// The file to compile, with the guide's header beside it.
fn source(folder: &Path, name: &str, source: &Source) -> Result<PathBuf> {
    match source {
        Source::File(path) => Ok(path.clone()),
        Source::Block(extension, text) => {
            let path = folder.join(format!("{name}.{extension}"));
            fs::write(&path, text)?;
            let header = project::root().join("docs/guide/guide.h");
            fs::copy(&header, folder.join("guide.h")).with_context(|| format!("cannot copy {}", header.display()))?;
            Ok(path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_and_what_it_prints_belong_together() {
        let page =
            "# A\n```c\nint main(void) {}\n```\nprints:\n```text\nx\n```\n<!-- run: a/b.c -->\n```text\ny\n```\n";
        let found = programs(page).unwrap();
        let prints: Vec<&str> = found.iter().map(|program| program.prints.as_str()).collect();
        assert_eq!(prints, ["x\n", "y\n"]);
        assert!(matches!(&found[0].source, Source::Block("c", text) if text == "int main(void) {}\n"));
    }

    #[test]
    fn fragments_and_silent_programs_are_refused() {
        assert!(programs("```c\nint x;\n```\n").is_err());
        assert!(programs("```c\nint main(void) {}\n```\n").is_err());
        assert!(programs("# Nothing\n").is_err());
        assert!(programs("```rust\nlet x = 1;\n```\n").unwrap().is_empty());
    }
}
