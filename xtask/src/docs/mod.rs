//! `cargo xtask docs`: the reference of the C and C++ headers, made from their comments, and the guide, as plain HTML in
//! `target/docs`.
//!
//! Fails where a public item has no comment, where a text names something that doesn't exist (the threat model names the tests of
//! its rules), and where a link leads nowhere.

mod declaration;
mod guide;
mod links;
mod markup;
mod names;
mod page;
mod scan;
mod security;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::names::Names;
use self::scan::Header;
use crate::{library, project};

/// Makes all pages.
pub fn run() -> Result<()> {
    let mut problems = Vec::new();
    let headers = headers()?;
    for header in &headers {
        if header.comment.is_none() {
            problems.push(format!("{}:1: the header has no comment with \\file", shown(header)));
        }
        for (line, name) in &header.undocumented {
            problems.push(format!("{}:{line}: {name} has no comment", shown(header)));
        }
    }
    let names = Names::of(&headers);
    let promised = fs::read_to_string(project::root().join("c-api/symbols.txt"))?;
    for name in promised.lines().filter(|line| library::is_ours(line) && !names.describes(line)) {
        problems.push(format!("c-api/symbols.txt: no header describes {name}"));
    }
    let folder = library::target_folder()?.join("docs");
    if folder.is_dir() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    write(&folder, "style.css", page::STYLE)?;
    write(&folder, "names.html", &page::all_names(&names))?;
    for header in &headers {
        let mut broken = Vec::new();
        write(&folder, &names::page(&header.name), &page::reference(header, &names, &mut broken))?;
        let complain = |(line, name)| format!("{}:{line}: there is no `{name}`", shown(header));
        problems.extend(broken.into_iter().map(complain));
    }
    let guide = guide::pages(&folder, &names, &mut problems)?;
    write(&folder, "index.html", &index(&guide, &headers, &names))?;
    problems.extend(links::broken(&folder)?);
    problems.extend(security::problems()?);
    if !problems.is_empty() {
        bail!("the documentation is incomplete:\n{}", problems.join("\n"));
    }
    println!("{} headers, {} pages of guide, {} names", headers.len(), guide.len(), names.all().count());
    println!("{}", project::short(&folder.join("index.html")));
    Ok(())
}

/// All headers, sorted: those of C first.
fn headers() -> Result<Vec<Header>> {
    let include = project::include();
    let mut paths = Vec::new();
    for extension in ["h", "hh"] {
        let mut found = Vec::new();
        collect(&include, extension, &mut found)?;
        found.sort();
        paths.append(&mut found);
    }
    let mut headers = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(&include).expect("found below it").to_string_lossy().into_owned();
        headers.push(scan::header(&name, &text));
    }
    Ok(headers)
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    found.extend(project::files(folder, extension)?);
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, extension, found)?;
        }
    }
    Ok(())
}

fn index(guide: &[guide::Page], headers: &[Header], names: &Names) -> String {
    let mut body =
        String::from("<h1>Ampoule</h1>\n<p>A WebAssembly runtime for programs that embed one, from C and C++.\n");
    body.push_str("<h2 id=\"guide\">Guide</h2>\n<table>\n");
    for page in guide {
        let (url, title, summary) = (&page.url, markup::escape(&page.title), &page.summary);
        body.push_str(&format!("<tr><td><a href=\"{url}\">{title}</a><td>{summary}\n"));
    }
    body.push_str("</table>\n<h2 id=\"reference\">Reference</h2>\n<table>\n");
    for header in headers {
        let comment = header.comment.as_ref().map(markup::summary).unwrap_or_default();
        let summary = markup::comment(&comment, "", names, &mut Vec::new());
        let summary = summary.trim().trim_start_matches("<p>").trim_end_matches("</p>");
        let (url, name) = (names::page(&header.name), markup::escape(&header.name));
        body.push_str(&format!("<tr><td><a href=\"{url}\"><code>{name}</code></a><td>{summary}\n"));
    }
    body.push_str("</table>\n");
    page::whole("Guide and reference", &body)
}

/// The header's path as messages show it.
fn shown(header: &Header) -> String {
    project::short(&project::include().join(&header.name)).to_string()
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))
}
