//! `wasi:cli`, as far as versions agree: arguments, environment, terminals, the end.

use super::cx::Cx;
use super::error::{Error, unless_lost};
use super::resources::{Own, entries};
use crate::host::Host;
use crate::host::output::{OutputStream, Sink};
use crate::host::stat::FileType;

/// That standard input is a terminal.
#[derive(Debug)]
pub struct TerminalInput;

/// That standard output or error is a terminal.
#[derive(Debug)]
pub struct TerminalOutput;

entries! {
    TerminalInput = 12 "terminal-input",
    TerminalOutput = 13 "terminal-output",
}

/// `environment.get-environment`
pub fn get_environment(cx: &mut Cx<'_>) -> Result<Vec<(String, String)>, Error> {
    Ok(cx.host().env.clone())
}

/// `environment.get-arguments`
pub fn get_arguments(cx: &mut Cx<'_>) -> Result<Vec<String>, Error> {
    Ok(cx.host().args.clone())
}

/// `environment.initial-cwd`, `get-initial-cwd`
pub fn initial_cwd(cx: &mut Cx<'_>) -> Result<Option<String>, Error> {
    Ok(cx.host().initial_cwd.clone())
}

/// `exit.exit`
pub fn exit(cx: &mut Cx<'_>, status: Result<(), ()>) -> Result<(), Error> {
    exit_with_code(cx, u8::from(status.is_err()))
}

/// `exit.exit-with-code`
pub fn exit_with_code(cx: &mut Cx<'_>, code: u8) -> Result<(), Error> {
    // What was taken of the guest's output and not written yet.
    for sink in [Sink::Stdout, Sink::Stderr] {
        let mut stream = OutputStream::new(sink);
        cx.retry(|cx| unless_lost(stream.flush(cx.host())))?;
    }
    Err(ampoule::Error::exit(i32::from(code)).into())
}

/// `terminal-stdin.get-terminal-stdin`
pub fn get_terminal_stdin(cx: &mut Cx<'_>) -> Result<Option<Own<TerminalInput>>, Error> {
    Ok(is_terminal(cx, |host| host.stdin.filetype()).then(|| Own::new(TerminalInput)))
}

/// `terminal-stdout.get-terminal-stdout`
pub fn get_terminal_stdout(cx: &mut Cx<'_>) -> Result<Option<Own<TerminalOutput>>, Error> {
    Ok(is_terminal(cx, |host| host.stdout.filetype()).then(|| Own::new(TerminalOutput)))
}

/// `terminal-stderr.get-terminal-stderr`
pub fn get_terminal_stderr(cx: &mut Cx<'_>) -> Result<Option<Own<TerminalOutput>>, Error> {
    Ok(is_terminal(cx, |host| host.stderr.filetype()).then(|| Own::new(TerminalOutput)))
}

fn is_terminal(cx: &mut Cx<'_>, filetype: impl FnOnce(&Host) -> FileType) -> bool {
    filetype(cx.host()) == FileType::CharacterDevice
}
