//! What the guide shows of configurations: Kubernetes' against its schemas, containerd's by containerd itself.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};

use super::options::Options;
use super::tally::Tally;
use crate::{process, project, python};

/// Schemas of all kinds of objects, and what looks at them.
const VALIDATOR: (&str, &str) = ("kubernetes-validate", "1.37.0");

pub fn run(options: &Options, tally: &mut Tally) {
    let mut check = |name: &str, result: fn(&str) -> Result<()>| {
        if options.wants(name) {
            let page = fs::read_to_string(project::root().join("docs/guide/fleet.md")).map_err(anyhow::Error::from);
            tally.check(name, page.and_then(|page| result(&page)).map_err(|error| format!("{error:#}")));
        }
    };
    check("guide/fleet: objects of Kubernetes are valid", objects);
    if process::find("containerd").is_some() {
        check("guide/fleet: containerd reads its configuration", containerd);
    } else if options.wants("guide/fleet") {
        tally.skip("guide/fleet: containerd reads its configuration", "there is no containerd");
    }
}

fn objects(page: &str) -> Result<()> {
    let objects = blocks(page, "yaml");
    ensure!(objects.len() == 3, "{} objects", objects.len());
    let file = project::target().join("fleet.yaml");
    fs::write(&file, objects.join("---\n"))?;
    let python = python::venv_with_dependencies(VALIDATOR.0, VALIDATOR.1)?;
    let validate = python.with_file_name("kubernetes-validate");
    process::capture(Command::new(validate).arg("--strict").arg(file)).map(drop)
}

fn containerd(page: &str) -> Result<()> {
    let blocks = [blocks(page, "toml"), blocks(page, "toml.tmpl")].concat();
    ensure!(blocks.len() == 2, "{} blocks", blocks.len());
    for block in blocks {
        // Of k3s' template, what is added.
        let text = block.replace("{{ template \"base\" . }}", "version = 2");
        let file = project::target().join("fleet.toml");
        fs::write(&file, text)?;
        let read = process::capture(Command::new("containerd").arg("-c").arg(file).args(["config", "dump"]))?;
        let ours = "runtime_type = \"io.containerd.ampoule.v1\"";
        ensure!(read.contains("containerd.runtimes.ampoule]") && read.contains(ours), "it reads {read}");
    }
    Ok(())
}

/// The blocks of a language on a page.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let parts = page.split("\n```").filter_map(|part| part.strip_prefix(language)?.strip_prefix('\n'));
    parts.map(|block| format!("{block}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_by_their_language() {
        let page = "a\n```yaml\nx: 1\n```\n\n```toml.tmpl\ny\n```\n\n```yaml\nz: 2\n```\n";
        assert_eq!(blocks(page, "yaml"), ["x: 1\n", "z: 2\n"]);
        assert_eq!(blocks(page, "toml.tmpl"), ["y\n"]);
        assert_eq!(blocks(page, "toml").len(), 0);
    }
}
