//! Guest programs run by C hosts: each driver in `tests/guests/drivers` loads one or more of them.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::c;
use super::options::Options;
use super::tally::Tally;
use crate::library::{Library, Linkage};
use crate::project;

const LIMIT: Duration = Duration::from_secs(300);

/// The driver of our own small programs; the others drive real ones.
const OWN: &str = "programs";

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    if let Err(error) = run_drivers(library, options, tally) {
        tally.check("guests", Err(format!("{error:#}")));
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
