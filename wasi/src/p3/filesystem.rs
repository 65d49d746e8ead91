//! `wasi:filesystem`: streams of files and directories, times, errors. What else descriptors can do is the same in all versions.

use super::clocks::Instant;
use super::streams::{self, Bytes, Ending, Filled, Line};
use crate::component::filesystem::{self as files, Descriptor, Listed, Listing, Timestamp, Version, opened_for};
use crate::component::values::val_of;
use crate::component::{Cx, Error, Fail, Handle, IntoVal};
use crate::host::file::OpenFile;
use crate::host::input::{InputStream, Source};
use crate::host::output::{OutputStream, Sink};
use crate::host::stat::FileType;
use ampoule_component::Val;
use ampoule_component::streams::{Destination, Flow, Producer};
use rustix::io::Errno;
use std::task::{Context, Poll};

/// `error-code`: a variant whose cases are those of 0.2, but for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode(files::ErrorCode);

impl From<Errno> for ErrorCode {
    fn from(errno: Errno) -> Self {
        Self(errno.into())
    }
}

impl IntoVal for ErrorCode {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        Ok(Some(match self.0 {
            files::ErrorCode::WouldBlock => Val::variant("other", Some(Val::option(None))),
            code => Val::variant(code.name(), None),
        }))
    }
}

type This = Handle<Descriptor>;

/// `descriptor-type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorType(FileType);

impl IntoVal for DescriptorType {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        Ok(Some(match files::DescriptorType::from(self.0) {
            files::DescriptorType::Unknown => Val::variant("other", Some(Val::option(None))),
            ty => Val::variant(ty.name(), None),
        }))
    }
}

impl Timestamp for Instant {
    fn of_nanoseconds(nanoseconds: u64) -> Self {
        Self::of_nanoseconds(nanoseconds)
    }

    fn nanoseconds(self) -> Option<u64> {
        self.nanoseconds()
    }
}

/// How 0.3 writes what versions differ in.
#[derive(Debug)]
pub enum V3 {}

impl Version for V3 {
    type Time = Instant;
    type ErrorCode = ErrorCode;
    type DescriptorType = DescriptorType;

    fn descriptor_type(filetype: FileType) -> DescriptorType {
        DescriptorType(filetype)
    }
}

/// `descriptor.read-via-stream`
pub fn read_via_stream(cx: &mut Cx<'_>, this: This, offset: u64) -> Result<Filled<ErrorCode>, Error> {
    match opened(cx, this, |file| file.readable)? {
        Ok(file) => {
            let token = cx.parts().1.token(this.rep());
            streams::read(cx, InputStream::new(Source::File(file.at(offset))), token)
        }
        Err(code) => Ok(Filled::failed(code)),
    }
}

/// `descriptor.write-via-stream`
pub fn write_via_stream(cx: &mut Cx<'_>, this: This, data: Bytes, offset: u64) -> Result<Ending<ErrorCode>, Error> {
    write_with(cx, this, data, |file| file.at(offset))
}

/// `descriptor.append-via-stream`
pub fn append_via_stream(cx: &mut Cx<'_>, this: This, data: Bytes) -> Result<Ending<ErrorCode>, Error> {
    write_with(cx, this, data, OpenFile::at_end)
}

fn write_with(
    cx: &mut Cx<'_>,
    this: This,
    data: Bytes,
    place: impl FnOnce(&OpenFile) -> OpenFile,
) -> Result<Ending<ErrorCode>, Error> {
    match opened(cx, this, |file| file.writable)? {
        Ok(file) => {
            let token = cx.parts().1.token(this.rep());
            streams::write(cx, data, OutputStream::new(Sink::File(place(&file))), token)
        }
        // The stream goes with its end.
        Err(code) => Ok(Ending::known(Err(code))),
    }
}

/// A file that was opened so; or what is wrong, for whom reads how a stream ends.
fn opened(cx: &mut Cx<'_>, this: This, so: fn(&OpenFile) -> bool) -> Result<Result<OpenFile, ErrorCode>, Error> {
    match opened_for(cx, this, so) {
        Ok(file) => Ok(Ok(file.clone())),
        Err(Fail::Err(code)) => Ok(Err(code)),
        Err(Fail::End(error)) => Err(error),
    }
}

/// `directory-entry`
struct DirectoryEntry(Listed);

impl IntoVal for DirectoryEntry {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let ty = val_of(DescriptorType(self.0.filetype), cx)?;
        Ok(Some(Val::record([("type", ty), ("name", Val::from(self.0.name))])))
    }
}

/// `descriptor.read-directory`
pub fn read_directory(cx: &mut Cx<'_>, this: This) -> Result<Filled<ErrorCode>, Error> {
    let resources = cx.parts().1;
    let (listing, token) =
        (resources.get(this)?.dir().map_err(Into::into).and_then(Listing::new), resources.token(this.rep()));
    match listing {
        Ok(listing) => {
            let (ends, ending) = Ending::new();
            Ok(Filled::new(Entries { listing, line: Line::new(cx, token, ends)? }, ending))
        }
        Err(error) => Ok(Filled::failed(error.errno().into())),
    }
}

/// Lists a directory for the guest.
struct Entries {
    listing: Listing,
    line: Line,
}

/// The entries that one read gives at most.
const MAX_ENTRIES: usize = 64;

impl Producer for Entries {
    fn poll_produce(&mut self, _: &mut Context<'_>, into: &mut Destination<'_>) -> Poll<Result<Flow, ampoule::Error>> {
        for given in 0..MAX_ENTRIES {
            if into.remaining() == 0 {
                break;
            }
            let next = streams::in_poll(into.store(), |cx| match self.listing.next(cx.host()) {
                Ok(Some(entry)) => Ok(Ok(Some(val_of(DirectoryEntry(entry), cx)?))),
                Ok(None) => Ok(Ok(None)),
                Err(error) => Ok(Err(error)),
            })?;
            match next {
                Ok(Some(entry)) => into.push(entry)?,
                // Those before are given first; the end is met again.
                Ok(None) | Err(_) if given > 0 => break,
                Ok(None) => return self.line.end(into.store(), Ok(())),
                Err(error) => return self.line.end(into.store(), Err(error)),
            }
        }
        Poll::Ready(Ok(Flow::More))
    }
}
