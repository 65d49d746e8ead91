//! The programs of WASI 0.2 and 0.3, each run by the `ampoule` command and by a host in C, `tests/guests/hosts/run.c`. What a program is
//! given, and what it must answer, is in its head: `guests::program` says how.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::http_server;
use super::options::Options;
use super::output::empty_folder;
use super::tally::Tally;
use crate::guests::program::{self, Program, Version, World};
use crate::library::{Library, Linkage};
use crate::process::{self, Ending};
use crate::project;

const LIMIT: Duration = Duration::from_secs(60);

/// With which our host in C says that its library can't run a program.
const NOT_HERE: i32 = 77;

/// What runs a program.
struct Host {
    name: String,
    /// What stands before the options.
    command: Vec<PathBuf>,
    /// Whether it is a library that has 0.2 only, and may differ.
    is_peer: bool,
}

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    if let Err(error) = run_all(library, options, tally) {
        tally.check("guests: programs of WASI 0.2 and 0.3", Err(format!("{error:#}")));
    }
}

fn run_all(library: &Library, options: &Options, tally: &mut Tally) -> Result<()> {
    let programs = program::all()?;
    let wanted =
        |program: &&Program| program.world == World::Command && options.wants(&format!("guests/{}", program.name));
    let programs: Vec<&Program> = programs.iter().filter(wanted).collect();
    if programs.is_empty() {
        return Ok(());
    }
    let server = http_server::start()?;
    for host in hosts(library)? {
        for program in &programs {
            if host.is_peer && program.version != Version::P2 {
                continue;
            }
            let name = format!("guests/{} with {}", program.name, host.name);
            match (host.is_peer, program.text("differs")) {
                (true, Some(reason)) => tally.skip(&name, &reason),
                _ => match run_one(program, &host, &server) {
                    Ok(Verdict::Held) => tally.check(&name, Ok(())),
                    Ok(Verdict::NotHere) => tally.skip(&name, "this library cannot give what it needs"),
                    Err(error) => tally.check(&name, Err(format!("{error:#}"))),
                },
            }
        }
    }
    Ok(())
}

/// The command and the host in C, which calls guests in two ways; and that host over the library to compare with, where there is one.
fn hosts(library: &Library) -> Result<Vec<Host>> {
    let source = project::root().join("tests/guests/hosts/run.c");
    let in_c = |library: &Library, name: &str| -> Result<Host> {
        let command = vec![library.compile(&source, Linkage::Shared)?];
        Ok(Host { name: name.to_owned(), command, is_peer: library.is_stand_in() })
    };
    let waiting = |host: &Host| {
        let command = [host.command.clone(), vec!["--async".into()]].concat();
        Host { name: format!("{} that waits by itself", host.name), command, is_peer: false }
    };
    let mut hosts = Vec::new();
    if let Some(command) = &library.command {
        let command = vec![command.clone(), "run".into()];
        hosts.push(Host { name: "ampoule run".to_owned(), command, is_peer: false });
    }
    let host = in_c(library, "a host in C")?;
    if !host.is_peer {
        hosts.push(waiting(&host));
    }
    hosts.push(host);
    if let (false, Some(peer)) = (library.is_stand_in(), std::env::var_os("AMPOULE_PEER_LIB")) {
        hosts.push(in_c(&Library::stand_in(Path::new(&peer))?, "the peer")?);
    }
    Ok(hosts)
}

enum Verdict {
    Held,
    NotHere,
}

/// Runs a program in a folder of its own, and compares what it says and how it ends with its head.
fn run_one(program: &Program, host: &Host, server: &str) -> Result<Verdict> {
    let folder = project::target().join("guest-programs").join(program.name.replace('/', "-"));
    let folder = empty_folder(&folder)?;
    let scratch = empty_folder(&folder.join("scratch"))?;
    let given = |word: &str| word.replace("SCRATCH", &scratch.to_string_lossy()).replace("SERVER", server);
    let mut command = Command::new(&host.command[0]);
    command.args(&host.command[1..]).args(program.words("options").into_iter().map(given));
    command.arg(program.component(&project::guests())).args(program.words("arguments").into_iter().map(given));
    let status = run_in(&folder, &mut command, &program.text("stdin").unwrap_or_default())?;

    let (stdout, stderr) = (read(&folder.join("stdout"))?, read(&folder.join("stderr"))?);
    let said = || format!("it said\n{stdout}{stderr}");
    let Some(code) = status.code() else { bail!("{status}; {}", said()) };
    if host.is_peer && code == NOT_HERE {
        return Ok(Verdict::NotHere);
    }
    let expected: i32 = program.text("status").map_or(Ok(0), |status| status.parse()).context("the head's status")?;
    ensure!(code == expected, "it exits with {code}, not {expected}; {}", said());
    ensure!(stdout == program.text("stdout").unwrap_or_default(), "stdout is not what its head says; {}", said());
    // What the host says about a guest that it had to stop goes there, too.
    if expected == 0 || program.text("stderr").is_some() {
        ensure!(stderr == program.text("stderr").unwrap_or_default(), "stderr is not what its head says; {}", said());
    }
    Ok(Verdict::Held)
}

/// Runs a command with `input`, what it says going to files in `folder`.
pub fn run_in(folder: &Path, command: &mut Command, input: &str) -> Result<ExitStatus> {
    fs::write(folder.join("stdin"), input)?;
    command.stdin(File::open(folder.join("stdin"))?);
    command.stdout(File::create(folder.join("stdout"))?).stderr(File::create(folder.join("stderr"))?);
    match process::run_for(command, LIMIT)? {
        Ending::Exited(status) => Ok(status),
        Ending::TimedOut(limit) => {
            bail!("still running after {} s; it said\n{}", limit.as_secs(), read(&folder.join("stdout"))?)
        }
    }
}

pub fn read(path: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}
