//! The tests that `docs/security.md` names: a rule is held by tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::project;

const PAGE: &str = "docs/security.md";

/// Where tests are.
const FOLDERS: [&str; 11] =
    ["core", "compiler", "machine", "ampoule", "component", "wasi", "runner", "shim", "c-api/src", "cli", "tests"];

/// What is wrong with the page.
pub fn problems() -> Result<Vec<String>> {
    let page = fs::read_to_string(project::root().join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    let mut defined = BTreeSet::new();
    for folder in FOLDERS {
        functions_below(&project::root().join(folder), &mut defined)?;
    }
    let missing = tests_named(&page).into_iter().filter(|name| !defined.contains(*name));
    Ok(missing.map(|name| format!("{PAGE}: there is no test {name}")).collect())
}

/// Words in backquotes of at least three parts, as the names of tests are, in the last column of a table.
fn tests_named(page: &str) -> BTreeSet<&str> {
    let cells = page
        .lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let is_name = |text: &&str| {
        text.matches('_').count() >= 2 && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    quoted.filter(is_name).filter(|name| !name.starts_with("wasm")).collect()
}

/// The names of functions in Rust's and C's sources.
fn functions_below(folder: &Path, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            functions_below(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| ["rs", "c", "cc", "h"].iter().any(|known| extension == *known))
        {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            for before in text.split('(') {
                let start = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
                let is_definition = ["fn ", "void "].iter().any(|word| before[..start].ends_with(word));
                if is_definition {
                    found.insert(before[start..].to_owned());
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_named_in_the_last_column() {
        let page = "`not_a_row`\n| 1 | `not_the_last` | `a_claim_holds`, `file.rs`: `another_claim_holds` |\n| `x` | y | review |\n";
        assert_eq!(tests_named(page), BTreeSet::from(["a_claim_holds", "another_claim_holds"]));
    }

    #[test]
    fn every_test_that_holds_a_rule_exists() {
        assert_eq!(problems().unwrap(), Vec::<String>::new());
    }
}
