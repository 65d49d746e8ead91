//! What is unsafe says why it isn't: read from the sources, so that a new `unsafe fn` without a contract fails here.
//!
//! An `unsafe fn`, private or not, has a section `# Safety` with what its caller owes. Exempt are functions that C calls by their names,
//! whose contract is in the headers, and the methods of traits, whose contract is the trait's. A block or `impl` that is unsafe has a
//! comment `SAFETY:` above it, or above the statement that it is part of.

use crate::sources::{files_in, root};

/// The crates of what is shipped, and the tests of them.
const CRATES: [&str; 9] = ["core", "compiler", "machine", "ampoule", "wasi", "c-api", "cli", "tests", "xtask"];

#[test]
fn every_unsafe_function_says_what_its_caller_owes() {
    let silent = in_all_files(|file, lines| {
        // Tests call what they are about, and their helpers are beside them.
        if file.starts_with("tests/") { Vec::new() } else { undocumented_functions(lines) }
    });
    assert_eq!(silent, [""; 0], "add a section `# Safety` that says what the caller owes");
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let silent = in_all_files(|_, lines| unjustified_blocks(lines));
    assert_eq!(silent, [""; 0], "add a comment `SAFETY:` that names the invariant, and who upholds it");
}

#[test]
fn what_is_missing_is_found() {
    let lines = |text: &'static str| text.lines().collect::<Vec<_>>();
    let of = |text| (undocumented_functions(&lines(text)), unjustified_blocks(&lines(text)));
    let none = (vec![], vec![]);
    assert_eq!(of("unsafe fn f() {}"), (vec![0], vec![]));
    assert_eq!(of("/// # Safety\n/// Nothing.\n#[cold]\nunsafe fn f() {}"), none);
    assert_eq!(of("/// Does.\npub(super) unsafe extern \"C\" fn f() {}"), (vec![1], vec![]));
    assert_eq!(of("#[unsafe(no_mangle)]\npub unsafe extern \"C\" fn f() {}"), none);
    assert_eq!(of("impl A for B {\n    unsafe fn f() {}\n}"), none);
    assert_eq!(of("impl B {\n    unsafe fn f() {}\n}"), (vec![1], vec![]));
    assert_eq!(of("type F = unsafe extern \"C\" fn(u32);"), none);
    assert_eq!(of("let a = 1;\nlet b = unsafe { f() };"), (vec![], vec![1]));
    assert_eq!(of("// SAFETY: so.\n// And so.\nlet b = c\n    .map(|c| unsafe { f(c) });"), none);
    assert_eq!(of("// SAFETY: so.\nlet a = 1;\nlet b = unsafe { f() };"), (vec![], vec![2]));
    assert_eq!(of("// Why not.\nunsafe impl Send for A {}"), (vec![], vec![1]));
    assert_eq!(of("let text = \"unsafe { f() }\"; // unsafe { f() }"), none);
}

/// The places that `find` tells by their line numbers, from 0, in all sources of the workspace.
fn in_all_files(find: impl Fn(&str, &[&str]) -> Vec<usize>) -> Vec<String> {
    let mut found = Vec::new();
    for name in CRATES {
        let files = files_in(&root().join(name));
        assert!(!files.is_empty(), "{name} has no sources");
        for (file, text) in files {
            let numbers = find(&file, &text.lines().collect::<Vec<_>>());
            found.extend(numbers.iter().map(|number| format!("{name}/{file}:{}", number + 1)));
        }
    }
    found
}

fn undocumented_functions(lines: &[&str]) -> Vec<usize> {
    let is_silent = |&number: &usize| {
        if !declares_unsafe_fn(&code_of(lines[number])) || is_of_trait(lines, number) {
            return false;
        }
        let above = lines[..number].iter().rev().map(|line| line.trim());
        let above: Vec<&str> = above.take_while(|line| line.starts_with("///") || line.starts_with("#[")).collect();
        let documented = above.iter().any(|line| line.contains("# Safety"));
        let exported = above.contains(&"#[unsafe(no_mangle)]") && lines[number].contains("extern \"C\"");
        !documented && !exported
    };
    (0..lines.len()).filter(is_silent).collect()
}

/// Whether a line has an `unsafe fn` with a name, which a type of functions has not.
fn declares_unsafe_fn(code: &str) -> bool {
    let Some((_, after)) = code.split_once("unsafe ") else { return false };
    let after = after.strip_prefix("extern \"\" ").unwrap_or(after);
    after.strip_prefix("fn ").is_some_and(|name| name.starts_with(|c: char| c.is_alphanumeric() || "_$".contains(c)))
}

/// Whether a function is in an `impl` of a trait.
fn is_of_trait(lines: &[&str], number: usize) -> bool {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let own = indent(lines[number]);
    let around = lines[..number].iter().rev().find(|line| !line.trim().is_empty() && indent(line) < own);
    around.is_some_and(|line| {
        let line = code_of(line);
        line.split_whitespace()
            .next()
            .is_some_and(|word| word == "impl" || word.starts_with("impl<") || word == "unsafe")
            && line.contains(" for ")
    })
}

fn unjustified_blocks(lines: &[&str]) -> Vec<usize> {
    let is_silent = |&number: &usize| {
        let code = code_of(lines[number]);
        (code.contains("unsafe {") || code.contains("unsafe impl")) && !is_justified(lines, number)
    };
    (0..lines.len()).filter(is_silent).collect()
}

/// Whether a line, or a comment above the statement that it is part of, has the word.
fn is_justified(lines: &[&str], number: usize) -> bool {
    if lines[number].contains("SAFETY:") {
        return true;
    }
    let mut above = lines[..number].iter().rev().map(|line| line.trim()).peekable();
    while let Some(line) = above.next_if(|line| !line.starts_with("//")) {
        if line.is_empty() || (!line.starts_with("#[") && code_of(line).trim_end().ends_with([';', '{', '}'])) {
            return false;
        }
    }
    above.take_while(|line| line.starts_with("//")).any(|line| line.contains("SAFETY:"))
}

/// A line without its comment and what is in its strings.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut rest = line.chars().peekable();
    let mut in_string = false;
    while let Some(character) = rest.next() {
        match character {
            '\\' if in_string => drop(rest.next()),
            '"' => {
                in_string = !in_string;
                code.push('"');
            }
            _ if in_string => {}
            '/' if rest.peek() == Some(&'/') => break,
            _ => code.push(character),
        }
    }
    code
}
