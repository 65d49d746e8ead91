//! `wasi:cli`: standard streams. The rest is the same in all versions.

use crate::component::{Cx, Error, Own};
use crate::host::input::{InputStream, Source};
use crate::host::output::{OutputStream, Sink};

/// `stdin.get-stdin`
pub fn get_stdin(_: &mut Cx<'_>) -> Result<Own<InputStream>, Error> {
    Ok(Own::new(InputStream::new(Source::Stdin)))
}

/// `stdout.get-stdout`
pub fn get_stdout(_: &mut Cx<'_>) -> Result<Own<OutputStream>, Error> {
    Ok(Own::new(OutputStream::new(Sink::Stdout)))
}

/// `stderr.get-stderr`
pub fn get_stderr(_: &mut Cx<'_>) -> Result<Own<OutputStream>, Error> {
    Ok(Own::new(OutputStream::new(Sink::Stderr)))
}
