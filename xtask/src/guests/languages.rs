//! Guests in Python and JavaScript: each is a script that a tool makes a component of, together with a whole CPython or SpiderMonkey.
//!
//! Making one takes half a minute, so it is only made again when something that goes into it is another: the version of its tool, or the
//! text of a file. The tools come from PyPI and npm, in fixed versions.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};

use super::components;
use crate::{node, process, project, python};

const COMPONENTIZE_PY: &str = "0.25.1";
/// What the packages of componentize-js are installed from, and the program that calls it.
const NODE_FILES: [&str; 3] = ["package.json", "package-lock.json", COMPONENTIZE_SCRIPT];
const COMPONENTIZE_SCRIPT: &str = "componentize.mjs";

/// The version of WASI that the engine of componentize-js was compiled for. It takes no other, and `wasip2` has the last one, which
/// differs in nothing that a script sees.
const JAVASCRIPT_WASI: &str = "0.2.10";
const WASIP2_WASI: &str = "0.2.12";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Python,
    JavaScript,
}

/// A script, with the world of this name, in kebab case, in the file of the same name. It becomes the guest of that name.
struct Script {
    name: &'static str,
    language: Language,
    /// The package with the interfaces that it imports.
    wasi: &'static str,
}

const SCRIPTS: [Script; 5] = [
    Script { name: "python_command", language: Language::Python, wasi: "wasip2" },
    Script { name: "python_proxy", language: Language::Python, wasi: "wasip2" },
    Script { name: "python_service", language: Language::Python, wasi: "wasip3" },
    Script { name: "js_command", language: Language::JavaScript, wasi: "wasip2" },
    Script { name: "js_proxy", language: Language::JavaScript, wasi: "wasip2" },
];

/// What the names of tests contain that run these guests.
pub const IN_NAMES_OF_TESTS: [&str; 4] = ["languages", "python", "javascript", "guests/values"];

/// The one that benchmarks measure.
pub const MEASURED: &str = "python_command";

/// Makes one.
pub fn make(folder: &Path, name: &str) -> Result<()> {
    let script = SCRIPTS.iter().find(|script| script.name == name).with_context(|| format!("no script {name}"))?;
    script.make(folder)
}

/// Makes every component that is missing or out of date, in `folder`. The two languages have nothing in common, and each is slow.
pub fn run(folder: &Path) -> Result<()> {
    // Here, so that they don't both make it.
    python::venv()?;
    let make = |language| {
        SCRIPTS.iter().filter(|script| script.language == language).try_for_each(|script| script.make(folder))
    };
    thread::scope(|scope| {
        let javascript = scope.spawn(|| make(Language::JavaScript));
        let python = make(Language::Python);
        python.and(javascript.join().expect("making a component does not panic"))
    })
}

impl Script {
    /// Makes the component, unless it was made from the same texts already.
    fn make(&self, folder: &Path) -> Result<()> {
        let wit = self.wit()?;
        let mut recipe = self.language.recipe()? + &read(&self.path())?;
        for (_, text) in &wit {
            recipe += text;
        }
        let made = folder.join(self.name).with_extension("wasm");
        super::make_by_recipe(&made, &recipe, &self.path(), |unfinished| {
            // Beside a copy of the script: Python leaves what it compiles beside its sources.
            let build = folder.join("scripts").join(self.name);
            if build.exists() {
                fs::remove_dir_all(&build)?;
            }
            let interfaces = build.join("wit");
            fs::create_dir_all(interfaces.join("deps"))?;
            for (name, text) in wit {
                fs::write(interfaces.join(name), text)?;
            }
            fs::copy(self.path(), build.join(file_name(&self.path())))?;
            process::capture(&mut self.componentize(&build, unfinished)?)?;
            Ok(())
        })
    }

    fn path(&self) -> PathBuf {
        self.language.folder().join(self.name).with_extension(match self.language {
            Language::Python => "py",
            Language::JavaScript => "js",
        })
    }

    fn world(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The interfaces that its world is made of: where they belong in a folder of such files, and their text.
    fn wit(&self) -> Result<Vec<(PathBuf, String)>> {
        let ours = [project::root().join("tests/guests/values.wit"), self.path().with_extension("wit")];
        let mut files = Vec::new();
        for path in &ours {
            files.push((PathBuf::from(file_name(path)), read(path)?));
        }
        for path in project::files(&components::wit(self.wasi)?.join("deps"), "wit")? {
            let text = match self.language {
                Language::Python => read(&path)?,
                Language::JavaScript => read(&path)?.replace(WASIP2_WASI, JAVASCRIPT_WASI),
            };
            files.push((Path::new("deps").join(file_name(&path)), text));
        }
        Ok(files)
    }

    /// The call of the tool, in the folder with the script and its interfaces.
    fn componentize(&self, build: &Path, made: &Path) -> Result<Command> {
        let (script, wit) = (build.join(file_name(&self.path())), build.join("wit"));
        match self.language {
            Language::Python => {
                let python = python::venv_with("componentize-py", COMPONENTIZE_PY)?;
                let mut command = Command::new(python.with_file_name("componentize-py"));
                command.arg("--quiet").arg("--wit-path").arg(wit).arg("--world").arg(self.world());
                command.arg("componentize").arg(self.name).arg("--python-path").arg(build).arg("--output").arg(made);
                Ok(command)
            }
            Language::JavaScript => {
                // The program finds its modules where it is.
                let program = node_modules()?.join(COMPONENTIZE_SCRIPT);
                let mut command = node::command()?;
                command.arg(program).arg(script).arg(wit).arg(self.world()).arg(made);
                Ok(command)
            }
        }
    }
}

impl Language {
    fn folder(self) -> PathBuf {
        project::root().join("tests/guests").join(match self {
            Language::Python => "python",
            Language::JavaScript => "javascript",
        })
    }

    /// What its tool is.
    fn recipe(self) -> Result<String> {
        match self {
            Language::Python => Ok(format!("componentize-py {COMPONENTIZE_PY}\n")),
            Language::JavaScript => {
                let files = NODE_FILES.map(|name| read(&self.folder().join(name)));
                Ok(format!("node {}\n", node::VERSION) + &files.into_iter().collect::<Result<String>>()?)
            }
        }
    }
}

/// The folder with the packages of `package-lock.json`, installed when they aren't there yet or are others.
fn node_modules() -> Result<PathBuf> {
    let (sources, folder) = (Language::JavaScript.folder(), project::cache().join("node"));
    let is_same = |name: &&str| fs::read(folder.join(name)).ok() == fs::read(sources.join(name)).ok();
    if NODE_FILES.iter().all(is_same) {
        return Ok(folder);
    }
    println!("installing componentize-js into {}", project::short(&folder));
    let unfinished = folder.with_extension("unfinished");
    for old in [&unfinished, &folder] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    fs::create_dir_all(&unfinished)?;
    for name in NODE_FILES {
        fs::copy(sources.join(name), unfinished.join(name))?;
    }
    let mut install = node::npm()?;
    // No package of these needs its install script.
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&unfinished);
    process::capture(&mut install)
        .with_context(|| format!("cannot install componentize-js in {}", unfinished.display()))?;
    fs::rename(unfinished, &folder)?;
    Ok(folder)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn file_name(path: &Path) -> &OsStr {
    path.file_name().expect("a file has a name")
}
