//! The files of a crate, and which of them names which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The sources of one crate, without comments and tests.
pub struct Crate {
    /// By their paths from `src`.
    pub files: BTreeMap<String, String>,
}

/// For each file that a file names, what it names of it.
pub type Arrows = BTreeMap<String, String>;

/// The folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the workspace").to_owned()
}

/// Those of our crates that a crate depends on, by their folders, tests apart.
pub fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest = root().join(name).join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap_or_else(|error| panic!("{}: {error}", manifest.display()));
    let section = text.split("\n[dependencies]\n").nth(1).unwrap_or_default().split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split([' ', '=', '.']).next());
    let ours = names.filter_map(|name| if name == "ampoule" { Some(name) } else { name.strip_prefix("ampoule-") });
    ours.map(str::to_owned).collect()
}

/// Every source below a folder, by its path from there.
pub fn files_in(top: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(top).expect("found below it").to_str().expect("a plain name");
                files.insert(relative.to_owned(), fs::read_to_string(&path).expect("sources are text"));
            }
        }
    }
    files
}

impl Crate {
    /// Reads a crate of the workspace.
    pub fn read(name: &str) -> Crate {
        let source = root().join(name).join("src");
        let files: BTreeMap<String, String> =
            files_in(&source).into_iter().map(|(file, text)| (file, without_tests(&without_comments(&text)))).collect();
        assert!(!files.is_empty(), "{} has no sources", source.display());
        Crate { files }
    }

    /// Each file but the crate's root, with what it names. Files of tests are left out.
    pub fn arrows(&self) -> Vec<(String, Arrows)> {
        let modules: BTreeMap<Vec<&str>, &str> = self
            .files
            .keys()
            .filter(|file| !matches!(file.as_str(), "lib.rs" | "main.rs") && !is_test(file))
            .map(|file| (module_path(file), file.as_str()))
            .collect();
        let of = |(path, file): (&Vec<&str>, &&str)| {
            let mut arrows = Arrows::new();
            for named in paths(&self.files[*file]) {
                let named = absolute(path, &named);
                let longest = (1..=named.len()).rev().find_map(|len| {
                    let known: Vec<&str> = named[..len].iter().map(String::as_str).collect();
                    Some((len, *modules.get(&known)?))
                });
                if let Some((len, to)) = longest.filter(|(_, to)| to != file) {
                    arrows.entry(to.to_owned()).or_insert_with(|| format!("`{}`", named[len..].join("::")));
                }
            }
            ((*file).to_owned(), arrows)
        };
        modules.iter().map(of).collect()
    }

    /// The files of the longest circle, or none.
    pub fn longest_circle(&self) -> Vec<String> {
        let arrows: BTreeMap<String, Arrows> = self.arrows().into_iter().collect();
        let reached: BTreeMap<&String, BTreeSet<&String>> = arrows
            .keys()
            .map(|from| {
                let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
                while let Some(file) = next.pop() {
                    next.extend(arrows[file].keys().filter(|to| seen.insert(*to)));
                }
                (from, seen)
            })
            .collect();
        let circle_of = |file: &String| -> Vec<String> {
            let back = reached[file].iter().filter(|to| reached[**to].contains(file));
            back.map(|to| (*to).clone()).collect()
        };
        arrows.keys().map(circle_of).max_by_key(Vec::len).unwrap_or_default()
    }
}

fn is_test(file: &str) -> bool {
    file.ends_with("tests.rs") || file.contains("tests/")
}

fn module_path(file: &str) -> Vec<&str> {
    let mut path: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    path.pop_if(|last| *last == "mod");
    path
}

fn absolute(from: &[&str], named: &[String]) -> Vec<String> {
    let mut path: Vec<String> = match named[0].as_str() {
        "crate" => Vec::new(),
        _ => from.iter().map(|part| (*part).to_owned()).collect(),
    };
    let mut rest = named;
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "super" => drop(path.pop()),
            "self" | "crate" => {}
            _ => break,
        }
        rest = others;
    }
    path.extend(rest.iter().cloned());
    path
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect::<Vec<_>>().join("\n")
}

/// The text without its modules that are only there in tests.
fn without_tests(text: &str) -> String {
    let Some(start) = text.find("#[cfg(test)]").into_iter().chain(text.find("#[cfg(all(test")).min() else {
        return text.to_owned();
    };
    let (before, after) = text.split_at(start);
    let Some(open) = after.find(['{', ';']) else { return before.to_owned() };
    let mut depth = 0;
    let end = after[open..].char_indices().find_map(|(at, character)| {
        depth += match character {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        (depth == 0).then_some(open + at + character.len_utf8())
    });
    format!("{before}{}", without_tests(&after[end.unwrap_or(after.len())..]))
}

/// The paths in code that begin in this crate, a group of a `use` as several.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in text.match_indices(start) {
            let inside = text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || "_:$".contains(c));
            if !inside {
                read_path(&text[at..], &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Reads one path, or a group of paths behind `before`, and answers what follows it.
fn read_path<'a>(text: &'a str, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let depth = before.len();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            rest = group;
            while !rest.starts_with('}') && !rest.is_empty() {
                rest = read_path(rest, before, found);
                rest = rest.trim_start_matches(|c: char| c != ',' && c != '}');
                rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
            }
            rest = rest.strip_prefix('}').unwrap_or(rest);
            break;
        }
        let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if len == 0 {
            found.push(before.clone());
            break;
        }
        before.push(rest[..len].to_owned());
        rest = &rest[len..];
        match rest.strip_prefix("::") {
            Some(more) => rest = more,
            None => {
                found.push(before.clone());
                break;
            }
        }
    }
    before.truncate(depth);
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_several_paths() {
        let text = "use crate::{a::B, c::{self, D as E}};\nlet x = super::f(crate::g::H);";
        let joined: Vec<String> = paths(text).iter().map(|path| path.join("::")).collect();
        assert_eq!(joined, ["crate::a::B", "crate::c::self", "crate::c::D", "crate::g::H", "super::f"]);
    }

    #[test]
    fn comments_and_tests_name_nothing() {
        let text = "use crate::a; // crate::b\n#[cfg(test)]\nmod tests { use crate::c; fn f() { {} } }\nuse crate::d;";
        let code = without_tests(&without_comments(text));
        assert_eq!(paths(&code).iter().map(|path| path.join("::")).collect::<Vec<_>>(), ["crate::a", "crate::d"]);
    }
}
