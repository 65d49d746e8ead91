//! Where things are in this clone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// What is fetched or compiled once, and kept until the folder is deleted.
pub fn cache() -> PathBuf {
    root().join(".cache")
}

/// What cargo and the tests make.
pub fn target() -> PathBuf {
    root().join("target")
}

/// The compiled guest programs.
pub fn guests() -> PathBuf {
    cache().join("guests")
}

/// The public headers.
pub fn include() -> PathBuf {
    root().join("c-api/include")
}

/// The files in `folder` whose name ends in `.extension`, sorted by name. A folder that doesn't exist has none.
pub fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_file() && path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The names in the workspace's own folder, but for those of the folders that everything fetched and built goes to.
pub fn files_in_root() -> Result<BTreeSet<String>> {
    let entries = root().read_dir().context("cannot list the workspace")?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let ours = |name: &Result<String>| !matches!(name.as_deref(), Ok("target" | ".cache"));
    names.filter(ours).collect()
}

/// `path` as seen from the workspace, for messages.
pub fn short(path: &Path) -> std::path::Display<'_> {
    path.strip_prefix(root()).unwrap_or(path).display()
}

/// The file's name without folder and extension.
pub fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
