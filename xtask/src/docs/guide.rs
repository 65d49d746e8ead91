//! The pages of the guide, from `docs/guide`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::markup;
use super::names::Names;
use super::page;
use crate::project;

/// A page that was made.
pub struct Page {
    pub url: String,
    pub title: String,
    /// Its first sentence, as HTML.
    pub summary: String,
    /// Where it stands among the pages.
    place: usize,
}

/// The index for readers of the repository. It also says in which order the pages stand.
const INDEX: &str = "README";

/// Makes the pages in `folder`. Names and files that don't exist are added to `problems`.
pub fn pages(folder: &Path, names: &Names, problems: &mut Vec<String>) -> Result<Vec<Page>> {
    let guide = project::root().join("docs/guide");
    let index = fs::read_to_string(guide.join(INDEX).with_extension("md")).context("cannot read the guide's index")?;
    let order = linked_pages(&index);
    let mut pages = Vec::new();
    for name in &order {
        if !guide.join(name).with_extension("md").is_file() {
            problems.push(format!("docs/guide/README.md: there is no page {name}"));
        }
    }
    for path in project::files(&guide, "md")? {
        let name = project::stem(&path);
        if name == INDEX {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let url = page_of(&project::stem(&path));
        let (mut links, mut missing) = (Vec::new(), Vec::new());
        let mut place_link = |to: &str| link(to, &path, folder, &mut links);
        let html = markup::render(&text, "", names, &mut place_link, &mut |offset, name| missing.push((offset, name)));
        for (offset, name) in missing {
            let line = text[..offset].matches('\n').count() + 1;
            problems.push(format!("{}:{line}: there is no `{name}`", project::short(&path)));
        }
        problems
            .extend(links.into_iter().map(|to| format!("{}: the link to {to} leads nowhere", project::short(&path))));
        let title = text.lines().next().unwrap_or_default().trim_start_matches("# ").to_owned();
        fs::write(folder.join(&url), page::whole(&title, &html))?;
        let place = order.iter().position(|listed| *listed == name).unwrap_or_else(|| {
            problems.push(format!("docs/guide/README.md: the page {name} is not listed"));
            order.len()
        });
        pages.push(Page { url, title, summary: summary(&text, names), place });
    }
    pages.sort_by_key(|page| page.place);
    Ok(pages)
}

/// The names of the pages that an index links to, in order.
fn linked_pages(index: &str) -> Vec<&str> {
    let targets = index.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter_map(|target| target.strip_suffix(".md")).filter(|name| !name.contains('/')).collect()
}

fn page_of(stem: &str) -> String {
    format!("guide-{stem}.html")
}

/// The first sentence behind the title.
fn summary(text: &str, names: &Names) -> String {
    let paragraph = text.split("\n\n").nth(1).unwrap_or_default();
    let end = paragraph.find(". ").or_else(|| paragraph.find(".\n")).map_or(paragraph.len(), |end| end + 1);
    let html = markup::render(&paragraph[..end], "", names, &mut str::to_owned, &mut |_, _| {});
    html.trim().trim_start_matches("<p>").trim_end_matches("</p>").to_owned()
}

/// Where a link of the page at `from` leads: other pages become pages; other files of the project come along, as they are.
fn link(to: &str, from: &Path, folder: &Path, broken: &mut Vec<String>) -> String {
    if to.contains("://") || to.starts_with('#') {
        return to.to_owned();
    }
    let (file, anchor) = match to.split_once('#') {
        Some((file, anchor)) => (file, format!("#{anchor}")),
        None => (to, String::new()),
    };
    let path = from.with_file_name(file);
    let Ok(path) = path.canonicalize() else {
        broken.push(to.to_owned());
        return to.to_owned();
    };
    let root = project::root().canonicalize().unwrap_or_default();
    let inside = path.strip_prefix(root).unwrap_or(&path);
    if inside.starts_with("docs/guide") && inside.extension().is_some_and(|extension| extension == "md") {
        return format!("{}{anchor}", page_of(&project::stem(&path)));
    }
    if let Ok(header) = inside.strip_prefix("c-api/include") {
        return format!("{}{anchor}", super::names::page(&header.to_string_lossy()));
    }
    let copy = folder.join("files").join(inside);
    let copied = copy.parent().map(fs::create_dir_all).transpose().and_then(|_| fs::copy(&path, &copy));
    if copied.is_err() {
        broken.push(to.to_owned());
    }
    format!("files/{}", inside.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_lists_its_pages_in_order() {
        let index = "See [b](b.md) and [`x`](../x.md), then [a](a.md).\n| [c](c.md) | [site](https://c.md/) |\n";
        assert_eq!(linked_pages(index), ["b", "a", "c"]);
    }
}
