//! The pages of the reference: one per header, and the list of all names.

use super::declaration::Kind;
use super::markup::{self, escape};
use super::names::Names;
use super::scan::{Header, Item};

/// A page around `body`. Readable without scripts, dark where the reader's system is.
pub fn whole(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{} · Ampoule</title>\n<link rel=\"stylesheet\" href=\"style.css\">\n<nav><a \
         href=\"index.html\">Ampoule</a> · <a href=\"index.html#guide\">Guide</a> · <a href=\"index.html#reference\">Reference</a> \
         · <a href=\"names.html\">All names</a></nav>\n<main>\n{body}</main>\n</html>\n",
        escape(title)
    )
}

pub const STYLE: &str = "\
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --link: #8ec2ff; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 56rem; padding: 1rem; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
code, pre { font: 0.9em/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: 0.6rem 0.8rem; overflow-x: auto; border-radius: 4px; }
pre.declaration { white-space: pre-wrap; padding-left: 2.4rem; text-indent: -1.6rem; margin-bottom: 0.4rem; }
section { border-top: 1px solid var(--line); margin-top: 1.2rem; }
section section { margin-left: 1.2rem; }
h3 { font: 600 1em/1.4 ui-monospace, monospace; margin: 0.8rem 0 0; overflow-wrap: anywhere; }
h3 a { color: inherit; }
table { border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: 0.2rem 0.6rem; text-align: left; vertical-align: top; }
ul.names { columns: 20rem; list-style: none; padding: 0; }
:target { background: var(--soft); }
nav { border-bottom: 1px solid var(--line); padding-bottom: 0.5rem; }
";

/// Makes a header's page. What is wrong with its comments is added to `broken`: line and name.
pub fn reference(header: &Header, names: &Names, broken: &mut Vec<(usize, String)>) -> String {
    let mut body = format!("<h1><code>&lt;{}&gt;</code></h1>\n", escape(&header.name));
    if let Some(comment) = &header.comment {
        body.push_str(&markup::comment(comment, "", names, broken));
    }
    if header.items.is_empty() {
        return whole(&header.name, &body);
    }
    body.push_str("<h2>Contents</h2>\n<table>\n");
    for item in header.items.iter().filter(|item| !same_comment_as_before(item, &header.items)) {
        let comment = item.comment.as_ref().map(markup::summary).unwrap_or_default();
        // What is wrong is told once, below.
        let summary = markup::comment(&comment, &item.name, names, &mut Vec::new());
        let summary = summary.trim().trim_start_matches("<p>").trim_end_matches("</p>").to_owned();
        let name = escape(&item.name);
        let short = name.rsplit("::").next().unwrap_or(&name);
        body.push_str(&format!("<tr><td><a href=\"#{name}\"><code>{short}</code></a><td>{summary}\n"));
    }
    body.push_str("</table>\n");
    let mut seen = Vec::new();
    for item in &header.items {
        body.push_str(&section(item, names, &mut seen, broken));
    }
    whole(&header.name, &body)
}

/// Whether an item continues a list of macros that have one comment together.
fn same_comment_as_before(item: &Item, items: &[Item]) -> bool {
    let line = item.comment.as_ref().map(|comment| comment.line);
    let first = items.iter().find(|other| other.comment.as_ref().map(|comment| comment.line) == line);
    first.is_some_and(|first| first.name != item.name)
}

fn section(item: &Item, names: &Names, seen: &mut Vec<String>, broken: &mut Vec<(usize, String)>) -> String {
    let overload = seen.iter().filter(|name| **name == item.name).count();
    seen.push(item.name.clone());
    let anchor = if overload == 0 { escape(&item.name) } else { format!("{}-{}", escape(&item.name), overload + 1) };
    let mut out = format!("<section id=\"{anchor}\">\n<h3><a href=\"#{anchor}\">{}</a></h3>\n", escape(&item.name));
    out.push_str(&format!("<pre class=\"declaration\">{}</pre>\n", linked(&item.declaration, &item.name, names)));
    if let Some(comment) = &item.comment {
        let mut missing = Vec::new();
        out.push_str(&markup::comment(comment, &item.name, names, &mut missing));
        // Parameters may look like anything.
        let declared =
            |name: &str| item.declaration.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == name);
        broken.extend(missing.into_iter().filter(|(_, name)| !declared(name)));
    }
    let (small, large): (Vec<&Item>, Vec<&Item>) =
        item.members.iter().partition(|member| matches!(member.kind, Kind::Field | Kind::Constant));
    if !small.is_empty() {
        out.push_str("<table>\n");
        for member in small {
            let (anchor, declaration) = (escape(&member.name), linked(&member.declaration, &member.name, names));
            let comment = member
                .comment
                .as_ref()
                .map(|comment| markup::comment(comment, &item.name, names, broken))
                .unwrap_or_default();
            let inner: String = member.members.iter().map(|inner| section(inner, names, seen, broken)).collect();
            out.push_str(&format!("<tr id=\"{anchor}\"><td><code>{declaration}</code><td>{comment}{inner}\n"));
        }
        out.push_str("</table>\n");
    }
    for member in large {
        out.push_str(&section(member, names, seen, broken));
    }
    out.push_str("</section>\n");
    out
}

/// A declaration whose names lead to their descriptions.
fn linked(declaration: &str, scope: &str, names: &Names) -> String {
    let mut out = String::new();
    let mut rest = declaration;
    let part = |c: char| c.is_alphanumeric() || c == '_';
    while !rest.is_empty() {
        let word = rest.find(|c| !part(c)).unwrap_or(rest.len());
        if word == 0 {
            let other = rest.find(part).unwrap_or(rest.len());
            out.push_str(&escape(&rest[..other]));
            rest = &rest[other..];
            continue;
        }
        let name = &rest[..word];
        match names.identifier(name, scope) {
            Some(place) if !scope.ends_with(name) => {
                out.push_str(&format!("<a href=\"{}\">{name}</a>", escape(&place.url)));
            }
            _ => out.push_str(name),
        }
        rest = &rest[word..];
    }
    out
}

/// The page of all names.
pub fn all_names(names: &Names) -> String {
    let mut body = String::from("<h1>All names</h1>\n");
    let mut letter = None;
    let mut sorted: Vec<_> = names.all().collect();
    sorted.sort_by_key(|(name, _)| name.to_lowercase());
    for (name, place) in sorted {
        // The prefix says what kind of name it is; the names after it are sorted.
        let prefix = name.split(['_', ':']).next().unwrap_or_default().to_owned();
        if letter.as_ref() != Some(&prefix) {
            body.push_str(if letter.is_some() { "</ul>\n" } else { "" });
            body.push_str(&format!("<h2>{}</h2>\n<ul class=\"names\">\n", escape(&prefix)));
            letter = Some(prefix);
        }
        let (url, name, header) = (escape(&place.url), escape(name), escape(&place.header));
        body.push_str(&format!("<li><a href=\"{url}\" title=\"{header}\"><code>{name}</code></a>\n"));
    }
    body.push_str("</ul>\n");
    whole("All names", &body)
}
