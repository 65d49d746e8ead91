//! Programs of which it is written what they print.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::process::{self, Ending};

const LIMIT: Duration = Duration::from_secs(60);

/// Makes `folder`, or empties it.
pub fn empty_folder(folder: &Path) -> Result<PathBuf> {
    if folder.is_dir() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}

/// Runs a program in `folder`, where what it writes stays; it is to print `expected`.
pub fn expect(executable: &Path, folder: &Path, expected: &str) -> Result<()> {
    let log = folder.join("prints.log");
    let printed = match process::run_logged(Command::new(executable).current_dir(folder), &log, LIMIT)? {
        Ending::Exited(status) if status.success() => fs::read_to_string(&log)?,
        Ending::Exited(status) => bail!("{status}\n{}", fs::read_to_string(&log)?),
        Ending::TimedOut(limit) => bail!("still running after {} s", limit.as_secs()),
    };
    ensure!(printed.trim_end() == expected.trim_end(), "it prints\n{printed}\nand what is written is\n{expected}");
    Ok(())
}
