//! `wasi:cli`: standard streams. The rest is the same in all versions.

use super::streams::{self, Bytes, Ending, Filled};
use crate::component::values::wit_enum;
use crate::component::{Cx, Error};
use crate::host::input::{InputStream, Source};
use crate::host::output::{OutputStream, Sink};
use rustix::io::Errno;

wit_enum!(
    /// `error-code`
    ErrorCode {
        Io = "io",
        IllegalByteSequence = "illegal-byte-sequence",
        Pipe = "pipe",
    }
);

impl From<Errno> for ErrorCode {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ILSEQ => Self::IllegalByteSequence,
            Errno::PIPE => Self::Pipe,
            _ => Self::Io,
        }
    }
}

/// `stdin.read-via-stream`
pub fn read_stdin(cx: &mut Cx<'_>) -> Result<Filled<ErrorCode>, Error> {
    streams::read(cx, InputStream::new(Source::Stdin), None)
}

/// `stdout.write-via-stream`
pub fn write_stdout(cx: &mut Cx<'_>, data: Bytes) -> Result<Ending<ErrorCode>, Error> {
    streams::write(cx, data, OutputStream::new(Sink::Stdout), None)
}

/// `stderr.write-via-stream`
pub fn write_stderr(cx: &mut Cx<'_>, data: Bytes) -> Result<Ending<ErrorCode>, Error> {
    streams::write(cx, data, OutputStream::new(Sink::Stderr), None)
}
