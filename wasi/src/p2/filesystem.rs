//! `wasi:filesystem`: streams of files and directories, times, errors. What else descriptors can do is the same in all versions.

use super::clocks::Datetime;
use super::io::{IoError, Origin};
use crate::component::filesystem::{
    self as files, Descriptor, DescriptorType, ErrorCode, Listing, Timestamp, Version, opened_for, with_file,
};
use crate::component::resources::entries;
use crate::component::{Bytes, Cx, Error, Fail, Handle, IntoVal, Own};
use crate::host;
use crate::host::buffers::IoVecs;
use crate::host::input::{InputStream, MAX_READ, Source};
use crate::host::output::{OutputStream, Sink};
use crate::host::stat::FileType;
use ampoule_component::Val;

entries! {
    DirectoryEntryStream = 5 "directory-entry-stream",
}

type FileResult<T> = Result<T, Fail<ErrorCode>>;

type This = Handle<Descriptor>;

impl Timestamp for Datetime {
    fn of_nanoseconds(nanoseconds: u64) -> Self {
        Self::of_nanoseconds(nanoseconds)
    }

    fn nanoseconds(self) -> Option<u64> {
        self.nanoseconds()
    }
}

/// How 0.2 writes what versions differ in.
#[derive(Debug)]
pub enum V2 {}

impl Version for V2 {
    type Time = Datetime;
    type ErrorCode = ErrorCode;
    type DescriptorType = DescriptorType;

    fn descriptor_type(filetype: FileType) -> DescriptorType {
        filetype.into()
    }
}

/// `descriptor.read-via-stream`
pub fn read_via_stream(cx: &mut Cx<'_>, this: This, offset: u64) -> FileResult<Own<InputStream>> {
    let file = opened_for(cx, this, |file| file.readable)?.at(offset);
    Ok(Own::holding(InputStream::new(Source::File(file)), cx.parts().1.token(this.rep())))
}

/// `descriptor.write-via-stream`
pub fn write_via_stream(cx: &mut Cx<'_>, this: This, offset: u64) -> FileResult<Own<OutputStream>> {
    let file = opened_for(cx, this, |file| file.writable)?.at(offset);
    Ok(Own::holding(OutputStream::new(Sink::File(file)), cx.parts().1.token(this.rep())))
}

/// `descriptor.append-via-stream`
pub fn append_via_stream(cx: &mut Cx<'_>, this: This) -> FileResult<Own<OutputStream>> {
    let file = opened_for(cx, this, |file| file.writable)?.at_end();
    Ok(Own::holding(OutputStream::new(Sink::File(file)), cx.parts().1.token(this.rep())))
}

/// `descriptor.read`: what was read, and whether there is no more.
pub fn read(cx: &mut Cx<'_>, this: This, length: u64, offset: u64) -> FileResult<(Bytes, bool)> {
    with_file(cx, this, |file, host| {
        // Fits: it is no more than `MAX_READ`.
        let mut bytes = vec![0; length.min(MAX_READ as u64) as usize];
        let count = file.read_at(&mut IoVecs::over(&mut bytes), offset, &mut host.waiter)?;
        bytes.truncate(count);
        Ok((Bytes(bytes), count == 0 && length > 0))
    })
}

/// `descriptor.write`
pub fn write(cx: &mut Cx<'_>, this: This, Bytes(mut bytes): Bytes, offset: u64) -> FileResult<u64> {
    with_file(cx, this, |file, host| Ok(file.write_at(&mut IoVecs::over(&mut bytes), offset, &mut host.waiter)? as u64))
}

/// `directory-entry-stream`
#[derive(Debug)]
pub struct DirectoryEntryStream(Listing);

/// `directory-entry`
#[derive(Debug)]
pub struct DirectoryEntry(files::Listed);

impl IntoVal for DirectoryEntry {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let filetype = DescriptorType::from(self.0.filetype).name();
        Ok(Some(Val::record([("type", Val::enumeration(filetype)), ("name", Val::from(self.0.name))])))
    }
}

/// `descriptor.read-directory`
pub fn read_directory(cx: &mut Cx<'_>, this: This) -> FileResult<Own<DirectoryEntryStream>> {
    let resources = cx.parts().1;
    let listing = Listing::new(resources.get(this)?.dir()?)?;
    Ok(Own::holding(DirectoryEntryStream(listing), resources.token(this.rep())))
}

/// `directory-entry-stream.read-directory-entry`
pub fn read_directory_entry(cx: &mut Cx<'_>, this: Handle<DirectoryEntryStream>) -> FileResult<Option<DirectoryEntry>> {
    let (host, DirectoryEntryStream(listing)) = cx.entry(this)?;
    Ok(listing.next(host)?.map(DirectoryEntry))
}

/// `filesystem-error-code`
pub fn filesystem_error_code(cx: &mut Cx<'_>, error: Handle<IoError>) -> Result<Option<ErrorCode>, Error> {
    let error = cx.entry(error)?.1;
    Ok(match (error.origin, error.error) {
        (Origin::Socket, _) | (_, host::Error::Interrupted | host::Error::MustWait | host::Error::Http(_)) => None,
        (Origin::File, host::Error::Os(errno)) => Some(errno.into()),
        (Origin::File, host::Error::NotPermitted) => Some(ErrorCode::NotPermitted),
    })
}
