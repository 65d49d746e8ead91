//! Guest programs run by C hosts: each driver in `tests/guests/drivers` loads one or more of them. Some are run by the `ampoule` command, too.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::options::Options;
use super::output::empty_folder;
use super::tally::Tally;
use super::{c, components};
use crate::library::{Library, Linkage};
use crate::project;

const LIMIT: Duration = Duration::from_secs(300);

/// The driver of our own small programs; the others drive real ones.
const OWN: &str = "programs";

/// One call of `ampoule run`, and what must come of it.
struct Run {
    name: &'static str,
    /// The options, the guest and its arguments.
    words: &'static [&'static str],
    stdout: &'static str,
    status: i32,
}

const LEGACY: [&str; 3] = ["--wasm", "legacy-exceptions", "exceptions-legacy.wasm"];

const RUNS: [Run; 5] = [
    Run { name: "exceptions-legacy", words: &LEGACY, stdout: "0 claims do not hold\n", status: 0 },
    Run {
        name: "exceptions-legacy that may not be thrown",
        words: &[LEGACY[0], LEGACY[1], LEGACY[2], "noexcept"],
        stdout: "terminated\n",
        status: 3,
    },
    Run {
        name: "exceptions-legacy and an exit",
        words: &[LEGACY[0], LEGACY[1], LEGACY[2], "exit"],
        stdout: "leaving\n",
        status: 7,
    },
    Run { name: "exceptions", words: &["exceptions.wasm"], stdout: "0 claims do not hold\n", status: 0 },
    Run {
        name: "objects",
        words: &["kotlin.wasm"],
        stdout: include_str!("../../../tests/guests/inputs/objects.expected"),
        status: 0,
    },
];

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    if let Err(error) = run_drivers(library, options, tally) {
        tally.check("guests", Err(format!("{error:#}")));
    }
    if let Some(command) = &library.command {
        for run in &RUNS {
            let name = format!("guests/{} with ampoule run", run.name);
            if options.wants(&name) && options.quick {
                tally.skip(&name, "--quick");
            } else if options.wants(&name) {
                tally.check(&name, run.holds(command).map_err(|error| format!("{error:#}")));
            }
        }
    }
}

impl Run {
    fn holds(&self, ampoule: &Path) -> Result<()> {
        let folder = empty_folder(&project::target().join("guest-programs").join(self.name.replace(' ', "-")))?;
        let mut command = Command::new(ampoule);
        command.arg("run").args(self.words).current_dir(project::guests());
        let status = components::run_in(&folder, &mut command, "")?;
        let stdout = components::read(&folder.join("stdout"))?;
        let stderr = components::read(&folder.join("stderr"))?;
        ensure!(status.code() == Some(self.status), "it ends with {status}; it said\n{stdout}{stderr}");
        ensure!(stdout == self.stdout, "stdout is not what it must be:\n{stdout}{stderr}");
        Ok(())
    }
}

fn run_drivers(library: &Library, options: &Options, tally: &mut Tally) -> Result<()> {
    let folder = project::root().join("tests/guests");
    let logs = c::logs(library)?;
    for source in project::files(&folder.join("drivers"), "c")? {
        let driver = project::stem(&source);
        let name = format!("guests/{driver}");
        if !options.wants(&name) {
            continue;
        }
        if options.quick && driver != OWN {
            tally.skip(&name, "--quick");
            continue;
        }
        if library.is_stand_in() && fs::read_to_string(&source)?.contains("ampoule_") {
            tally.skip(&name, "it is about an extension of ours");
            continue;
        }
        match library.compile(&source, Linkage::Shared) {
            Ok(program) => {
                let mut command = Command::new(program);
                command.arg(project::guests()).arg(folder.join("inputs"));
                tally.check_program(&name, &mut command, &logs, LIMIT);
            }
            Err(error) => tally.check(&name, Err(format!("{error:#}"))),
        }
    }
    Ok(())
}
