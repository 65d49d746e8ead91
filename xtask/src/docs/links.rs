//! Whether links of finished pages lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::project;

/// The links within `folder` to pages, files or anchors that aren't there.
pub fn broken(folder: &Path) -> Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    for path in project::files(folder, "html")? {
        pages.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), fs::read_to_string(path)?);
    }
    let anchors: BTreeMap<&str, BTreeSet<&str>> =
        pages.iter().map(|(name, text)| (name.as_str(), attributes(text, " id=\"").collect())).collect();
    let mut broken = BTreeSet::new();
    for (name, text) in &pages {
        for url in attributes(text, " href=\"").filter(|url| !url.contains("://")) {
            let (page, anchor) = url.split_once('#').unwrap_or((url, ""));
            let page = if page.is_empty() { name.as_str() } else { page };
            let leads = match anchors.get(page) {
                Some(anchors) => anchor.is_empty() || anchors.contains(anchor),
                None => folder.join(page).is_file(),
            };
            if !leads {
                broken.insert(format!("{name}: the link to {url} leads nowhere"));
            }
        }
    }
    Ok(broken.into_iter().collect())
}

/// The values of an attribute, as they are written.
fn attributes<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start).skip(1).filter_map(|rest| rest.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_need_their_page_and_anchor() {
        let folder = std::env::temp_dir().join(format!("ampoule-links-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let page =
            "<a href=\"#here\"><p id=\"here\"><a href=\"a.html#gone\"><a href=\"b.html\"><a href=\"https://x/\">";
        fs::write(folder.join("a.html"), page).unwrap();
        let found = broken(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            found.unwrap(),
            ["a.html: the link to a.html#gone leads nowhere", "a.html: the link to b.html leads nowhere"]
        );
    }
}
