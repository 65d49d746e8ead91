//! Running other programs.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Runs `command` with our streams, and fails when it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs `command` and returns what it wrote to stdout. When it fails, the beginning of what it wrote to stderr, where
/// compilers name the cause, is part of the error.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let beginning: Vec<&str> = complaint.lines().take(20).collect();
        bail!("{} failed: {}\n{}", shown(command), output.status, beginning.join("\n"));
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} did not print UTF-8", shown(command)))
}

/// Runs `command`, shows what it writes to stdout and stderr as it comes, and returns those lines too.
pub fn run_and_keep(command: &mut Command) -> Result<(ExitStatus, Vec<String>)> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let mut lines = Vec::new();
    thread::scope(|scope| {
        let err_lines = scope.spawn(move || tee(err, &mut std::io::stderr()));
        lines.extend(tee(out, &mut std::io::stdout()));
        lines.extend(err_lines.join().expect("copying lines does not panic"));
    });
    Ok((child.wait()?, lines))
}

fn tee(from: impl std::io::Read, to: &mut impl Write) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    // Test names and messages come from many programs: a line that is no UTF-8 is shown all the same.
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // A closed terminal is no reason to stop a run of tests.
        let _ = to.write_all(&line);
        lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
    lines
}

/// How a program ended that had a time limit.
pub enum Ending {
    /// By itself.
    Exited(ExitStatus),
    /// By us, after the time limit.
    TimedOut(Duration),
}

/// Runs `command` for at most `limit`, its output going to the file `log`.
pub fn run_logged(command: &mut Command, log: &Path, limit: Duration) -> Result<Ending> {
    let file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
    run_for(command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file), limit)
}

/// Runs `command`, whose streams are set, for at most `limit`.
pub fn run_for(command: &mut Command, limit: Duration) -> Result<Ending> {
    let mut child = command.spawn().with_context(|| format!("cannot start {}", shown(command)))?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ending::Exited(status));
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(Ending::TimedOut(limit));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Where a program is that can be started by `name` alone.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::project::root());
    command
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy()));
    words.join(" ")
}
