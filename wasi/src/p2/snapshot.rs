//! Resources of components as plain data, and a table of them again: what a guest keeps between calls of the standard streams, of files and of streams of those.
//! Directories and files are also those of guests of 0.3.

use super::io::Pollable;
use crate::component::cli::{TerminalInput, TerminalOutput};
use crate::component::filesystem::Descriptor;
use crate::component::resources::{Entry, Listed, Resources};
use crate::component::{Handle, Own};
use crate::host::Host;
use crate::host::input::{InputStream, Source};
use crate::host::output::{OutputStream, Sink};
use crate::host::snapshot::{DirState, FileState, SnapshotError};
use serde::{Deserialize, Serialize};

/// What is kept of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceState {
    rep: u32,
    kind: KindState,
    /// Whether it counts against the budget of descriptors.
    counts: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum KindState {
    Stdin,
    Stdout,
    Stderr,
    /// The stream with this number has something.
    InputPollable(u32),
    /// The stream with this number takes something.
    OutputPollable(u32),
    TerminalInput,
    TerminalOutput,
    File(FileState),
    Dir(DirState),
    /// A stream that reads a file, which has an offset of its own; and whether it has ended.
    Reader(FileState, bool),
    /// One that writes.
    Writer(FileState),
}

impl ResourceState {
    fn of(host: &Host, resources: &Resources, listed: Listed<'_>) -> Result<Self, SnapshotError> {
        let Listed { rep, kind, entry, parent, counts } = listed;
        let refused = |what: &str| SnapshotError::NotKept { name: name(rep), what: what.to_owned() };
        let kind = if let Some(descriptor) = entry.downcast_ref() {
            match descriptor {
                Descriptor::File(file) => KindState::File(FileState::of(host, file, &name(rep))?),
                Descriptor::Dir(dir) => KindState::Dir(DirState::of(host, dir, &name(rep))?),
            }
        } else if let Some(stream) = entry.downcast_ref::<InputStream>() {
            match stream.source() {
                Source::Stdin if stream.is_open() => KindState::Stdin,
                Source::Stdin => return Err(refused("a stream that has ended")),
                Source::File(file) => KindState::Reader(FileState::of(host, file, &name(rep))?, !stream.is_open()),
                Source::Connection(_) => return Err(refused("a stream of a connection")),
                Source::Http(_) => return Err(refused("the body of a request or response")),
            }
        } else if let Some(stream) = entry.downcast_ref::<OutputStream>() {
            match stream.sink() {
                Sink::Stdout if stream.is_at_rest() => KindState::Stdout,
                Sink::Stderr if stream.is_at_rest() => KindState::Stderr,
                Sink::File(file) if stream.is_at_rest() => KindState::Writer(FileState::of(host, file, &name(rep))?),
                Sink::Stdout | Sink::Stderr | Sink::File(_) => {
                    return Err(refused("a stream that has ended, or is being flushed"));
                }
                Sink::Connection(_) => return Err(refused("a stream of a connection")),
                Sink::Http(_) => return Err(refused("the body of a request or response")),
            }
        } else if entry.is::<Pollable>() {
            match parent {
                Some(stream) if resources.get(Handle::<InputStream>::new(stream)).is_ok() => {
                    KindState::InputPollable(stream)
                }
                Some(stream) if resources.get(Handle::<OutputStream>::new(stream)).is_ok() => {
                    KindState::OutputPollable(stream)
                }
                Some(_) => return Err(refused("a pollable of what is no standard stream")),
                None => return Err(refused("a pollable of a clock")),
            }
        } else if entry.is::<TerminalInput>() {
            KindState::TerminalInput
        } else if entry.is::<TerminalOutput>() {
            KindState::TerminalOutput
        } else {
            return Err(refused(&format!("`{kind}`")));
        };
        Ok(Self { rep, kind, counts })
    }

    /// Makes it again, under its number.
    fn open(&self, host: &Host, resources: &mut Resources) -> Result<(), SnapshotError> {
        let name = name(self.rep);
        let put = match &self.kind {
            KindState::Stdin => resources.put(self.rep, Own::new(InputStream::new(Source::Stdin))),
            KindState::Stdout => resources.put(self.rep, Own::new(OutputStream::new(Sink::Stdout))),
            KindState::Stderr => resources.put(self.rep, Own::new(OutputStream::new(Sink::Stderr))),
            KindState::InputPollable(stream) => {
                resources.put(self.rep, Pollable::on(Handle::<InputStream>::new(*stream)))
            }
            KindState::OutputPollable(stream) => {
                resources.put(self.rep, Pollable::on(Handle::<OutputStream>::new(*stream)))
            }
            KindState::TerminalInput => resources.put(self.rep, Own::new(TerminalInput)),
            KindState::TerminalOutput => resources.put(self.rep, Own::new(TerminalOutput)),
            KindState::File(file) => self.put(resources, Descriptor::File(file.open(host, &name)?), host)?,
            KindState::Dir(dir) => self.put(resources, Descriptor::Dir(dir.open(host, &name)?), host)?,
            KindState::Reader(file, has_ended) => {
                let source = Source::File(file.open(host, &name)?);
                let stream = if *has_ended { InputStream::ended(source) } else { InputStream::new(source) };
                self.put(resources, stream, host)?
            }
            KindState::Writer(file) => {
                self.put(resources, OutputStream::new(Sink::File(file.open(host, &name)?)), host)?
            }
        };
        put.map_err(|_| SnapshotError::Damaged("the number of a resource is taken, or what it depends on is not there"))
    }

    /// Puts what has a descriptor of the host, within the budget.
    fn put<T: Entry>(
        &self,
        resources: &mut Resources,
        entry: T,
        host: &Host,
    ) -> Result<Result<(), crate::component::Error>, SnapshotError> {
        let over = || SnapshotError::Budget { name: name(self.rep), limit: host.max_fds };
        let token = if self.counts { Some(resources.descriptor().ok_or_else(over)?) } else { None };
        Ok(resources.put(self.rep, Own::holding(entry, token)))
    }

    /// Whether it depends on another.
    fn depends(&self) -> bool {
        matches!(self.kind, KindState::InputPollable(_) | KindState::OutputPollable(_))
    }
}

/// The name of a resource in messages.
fn name(rep: u32) -> String {
    format!("resource {rep}")
}

/// What is kept of a guest's resources.
///
/// # Errors
/// [`SnapshotError`] for the first that can't be.
pub fn resources(host: &Host, resources: &Resources) -> Result<Vec<ResourceState>, SnapshotError> {
    if resources.is_busy() {
        let what = "what the host is doing for the guest".to_owned();
        return Err(SnapshotError::NotKept { name: "a stream or look-up".to_owned(), what });
    }
    resources.list().map(|listed| ResourceState::of(host, resources, listed)).collect()
}

/// The resources of a guest that had these, by their numbers.
///
/// # Errors
/// [`SnapshotError`] for the first that can't be made again.
pub fn open(host: &Host, states: &[ResourceState]) -> Result<Resources, SnapshotError> {
    let mut resources = Resources::new(host);
    for depends in [false, true] {
        let states = states.iter().filter(|state| state.depends() == depends);
        states.into_iter().try_for_each(|state| state.open(host, &mut resources))?;
    }
    Ok(resources)
}
