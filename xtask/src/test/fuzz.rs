//! The C API under random use, for a while: the programs in `tests/fuzz`, each of which takes `--seconds N`.

use std::process::Command;
use std::time::Duration;

use super::options::Options;
use super::tally::Tally;
use crate::library::{Library, Linkage};
use crate::project;

/// How long all programs run together, unless the command line says otherwise.
const SECONDS: u64 = 60;
const SECONDS_IF_QUICK: u64 = 6;

/// A program, and its part of the time in tenths: the threads need less, since they do the same all the time.
const PROGRAMS: [(&str, u64); 3] = [("capi", 6), ("components", 2), ("threads", 2)];

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    let seconds = options.seconds.unwrap_or(if options.quick { SECONDS_IF_QUICK } else { SECONDS });
    for (program, tenths) in PROGRAMS {
        let name = format!("fuzz/{program}");
        if !options.wants(&name) {
            continue;
        }
        let source = project::root().join("tests/fuzz").join(program).with_extension("c");
        let compiled = library.compile(&source, Linkage::Shared).and_then(|file| Ok((file, super::c::logs(library)?)));
        match compiled {
            Ok((file, logs)) => {
                let part = (seconds * tenths / 10).max(1);
                let mut command = Command::new(file);
                command.args(["--seconds", &part.to_string()]).current_dir(project::root());
                // What it prints ends with how much it did, or with the command that shows the failure again.
                let log = logs.join(format!("fuzz-{program}.log"));
                let limit = Duration::from_secs(2 * part + 120);
                tally.check_program(&name, &mut command, &logs, limit);
                if let Ok(text) = std::fs::read_to_string(log) {
                    println!("      {}", text.lines().last().unwrap_or_default());
                }
            }
            Err(error) => tally.check(&name, Err(format!("{error:#}"))),
        }
    }
}
