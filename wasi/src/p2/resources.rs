//! The resources of 0.2: their types, as one table, and what one guest has of each.
//!
//! A guest's handle stands for a number in the table of its store, which the guest never sees. Entries are bounded, and those that hold
//! a descriptor of the host by the budget of descriptors besides.

use super::call::{Cx, Error, unless_lost};
use super::filesystem::{Descriptor, DirectoryEntryStream};
use super::http::bodies::{FutureTrailers, IncomingBodyEntry, OutgoingBodyEntry};
use super::http::fields::FieldsEntry;
use super::http::outgoing::{FutureIncomingResponse, IncomingResponse, OutgoingRequest, RequestOptions};
use super::http::serving::{IncomingRequest, OutgoingResponse, ResponseOutparam};
use super::io::{IoError, Pollable};
use super::sockets::{
    IncomingDatagramStream, Network, OutgoingDatagramStream, ResolveAddressStream, TcpSocket, UdpSocketEntry,
};
use crate::host::Host;
use crate::host::input::InputStream;
use crate::host::net::lookup::Lookups;
use crate::host::output::OutputStream;
use crate::host::table::Table;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Entries that one guest may have.
pub const MAX_RESOURCES: usize = 1 << 16;

/// The number of the first resource type of 0.2; embedders count theirs from zero, mostly.
const FIRST_TYPE: u32 = 0x5741_5300;

/// A kind of entry: a resource type.
pub trait Entry: Sized {
    /// Its number.
    const TYPE: u32;
    /// Its name.
    const NAME: &'static str;
    /// As any entry.
    fn wrap(self) -> AnyEntry;
    /// If it is one.
    fn of(entry: &AnyEntry) -> Option<&Self>;
    /// If it is one, to change it.
    fn of_mut(entry: &mut AnyEntry) -> Option<&mut Self>;
    /// Itself, if it is one.
    fn unwrap(entry: AnyEntry) -> Option<Self>;
}

/// A resource type, for the linker.
#[derive(Clone, Copy, Debug)]
pub struct ResourceType {
    /// The package and interface, without version.
    pub interface: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// Its number.
    pub ty: u32,
}

macro_rules! resources {
    ($($kind:ident = $interface:literal $name:literal,)*) => {
        /// Any entry of the table.
        #[allow(missing_docs)] // The names say it.
        pub enum AnyEntry {
            $($kind($kind),)*
        }

        #[repr(u32)]
        enum Number {
            $($kind,)*
        }

        $(
            impl Entry for $kind {
                const TYPE: u32 = FIRST_TYPE + Number::$kind as u32;
                const NAME: &'static str = $name;

                fn wrap(self) -> AnyEntry {
                    AnyEntry::$kind(self)
                }

                fn of(entry: &AnyEntry) -> Option<&Self> {
                    match entry {
                        AnyEntry::$kind(entry) => Some(entry),
                        #[allow(unreachable_patterns)] // Of the others.
                        _ => None,
                    }
                }

                fn of_mut(entry: &mut AnyEntry) -> Option<&mut Self> {
                    match entry {
                        AnyEntry::$kind(entry) => Some(entry),
                        #[allow(unreachable_patterns)] // Of the others.
                        _ => None,
                    }
                }

                fn unwrap(entry: AnyEntry) -> Option<Self> {
                    match entry {
                        AnyEntry::$kind(entry) => Some(entry),
                        #[allow(unreachable_patterns)] // Of the others.
                        _ => None,
                    }
                }
            }
        )*

        /// Every resource type of 0.2.
        pub static RESOURCES: &[ResourceType] = &[
            $(ResourceType { interface: $interface, name: $name, ty: <$kind as Entry>::TYPE },)*
        ];
    };
}

resources! {
    IoError = "wasi:io/error" "error",
    Pollable = "wasi:io/poll" "pollable",
    InputStream = "wasi:io/streams" "input-stream",
    OutputStream = "wasi:io/streams" "output-stream",
    Descriptor = "wasi:filesystem/types" "descriptor",
    DirectoryEntryStream = "wasi:filesystem/types" "directory-entry-stream",
    Network = "wasi:sockets/network" "network",
    ResolveAddressStream = "wasi:sockets/ip-name-lookup" "resolve-address-stream",
    TcpSocket = "wasi:sockets/tcp" "tcp-socket",
    UdpSocketEntry = "wasi:sockets/udp" "udp-socket",
    IncomingDatagramStream = "wasi:sockets/udp" "incoming-datagram-stream",
    OutgoingDatagramStream = "wasi:sockets/udp" "outgoing-datagram-stream",
    TerminalInput = "wasi:cli/terminal-input" "terminal-input",
    TerminalOutput = "wasi:cli/terminal-output" "terminal-output",
    FieldsEntry = "wasi:http/types" "fields",
    IncomingRequest = "wasi:http/types" "incoming-request",
    OutgoingRequest = "wasi:http/types" "outgoing-request",
    RequestOptions = "wasi:http/types" "request-options",
    ResponseOutparam = "wasi:http/types" "response-outparam",
    IncomingResponse = "wasi:http/types" "incoming-response",
    IncomingBodyEntry = "wasi:http/types" "incoming-body",
    FutureTrailers = "wasi:http/types" "future-trailers",
    OutgoingResponse = "wasi:http/types" "outgoing-response",
    OutgoingBodyEntry = "wasi:http/types" "outgoing-body",
    FutureIncomingResponse = "wasi:http/types" "future-incoming-response",
}

/// That standard input is a terminal.
#[derive(Debug)]
pub struct TerminalInput;

/// That standard output or error is a terminal.
#[derive(Debug)]
pub struct TerminalOutput;

/// A number in the table, of an entry of this kind.
pub struct Handle<T> {
    rep: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rep.fmt(f)
    }
}

impl<T> Handle<T> {
    pub(super) fn new(rep: u32) -> Self {
        Self { rep, kind: PhantomData }
    }

    /// The number.
    pub fn rep(self) -> u32 {
        self.rep
    }
}

/// An entry that the guest has given away.
#[derive(Debug)]
pub struct Taken<T>(pub T);

/// The right to one descriptor of the host, shared by the entries that hold the same.
pub type Token = Arc<()>;

/// An entry on its way to the guest.
pub struct Own<T> {
    entry: T,
    parent: Option<u32>,
    token: Option<Token>,
}

impl<T> Own<T> {
    /// An entry that stands by itself.
    pub fn new(entry: T) -> Self {
        Self { entry, parent: None, token: None }
    }

    /// An entry that must go before another does.
    pub fn child_of(entry: T, parent: u32) -> Self {
        Self { parent: Some(parent), ..Self::new(entry) }
    }

    /// An entry that holds a descriptor of the host.
    pub fn holding(entry: T, token: Option<Token>) -> Self {
        Self { token, ..Self::new(entry) }
    }
}

struct Slot {
    entry: AnyEntry,
    parent: Option<u32>,
    children: u32,
    token: Option<Token>,
}

/// What one guest has.
pub struct Resources {
    table: Table<Slot>,
    /// Each descriptor that is open has a clone of it.
    descriptors: Token,
    max_descriptors: usize,
    /// The lookups of names that run.
    pub lookups: Lookups,
}

impl Resources {
    /// Nothing yet.
    pub fn new(host: &Host) -> Self {
        Self {
            table: Table::new(MAX_RESOURCES),
            descriptors: Arc::new(()),
            max_descriptors: host.max_fds,
            lookups: Lookups::default(),
        }
    }

    /// Adds an entry, and gives its number.
    ///
    /// # Errors
    /// The table is full.
    pub fn insert<T: Entry>(&mut self, own: Own<T>) -> Result<u32, Error> {
        let slot = Slot { entry: own.entry.wrap(), parent: own.parent, children: 0, token: own.token };
        let rep = self.table.insert(slot).map_err(|_| Error::message("resource table has no free keys"))?;
        if let Some(parent) = own.parent {
            self.slot_mut(parent)?.children += 1;
        }
        Ok(rep)
    }

    fn slot_mut(&mut self, rep: u32) -> Result<&mut Slot, Error> {
        self.table.get_mut(rep).map_err(|_| unknown())
    }

    /// An entry.
    ///
    /// # Errors
    /// There is none, or another.
    pub fn get<T: Entry>(&self, handle: Handle<T>) -> Result<&T, Error> {
        let slot = self.table.get(handle.rep).map_err(|_| unknown())?;
        T::of(&slot.entry).ok_or_else(unknown)
    }

    /// An entry, to change it.
    ///
    /// # Errors
    /// There is none, or another.
    pub fn get_mut<T: Entry>(&mut self, handle: Handle<T>) -> Result<&mut T, Error> {
        T::of_mut(&mut self.slot_mut(handle.rep)?.entry).ok_or_else(unknown)
    }

    /// Takes an entry out.
    ///
    /// # Errors
    /// There is none, or one that others depend on.
    pub fn remove(&mut self, rep: u32) -> Result<AnyEntry, Error> {
        if self.slot_mut(rep)?.children > 0 {
            return Err(Error::message("resource has children"));
        }
        let slot = self.table.remove(rep).map_err(|_| unknown())?;
        if let Some(parent) = slot.parent {
            self.slot_mut(parent)?.children -= 1;
        }
        Ok(slot.entry)
    }

    /// Takes an entry of this kind out.
    ///
    /// # Errors
    /// There is none, or another, or one that others depend on.
    pub fn take<T: Entry>(&mut self, handle: Handle<T>) -> Result<Taken<T>, Error> {
        self.get(handle)?;
        T::unwrap(self.remove(handle.rep)?).map(Taken).ok_or_else(unknown)
    }

    /// The right to one descriptor more; `None` where the budget is used up.
    pub fn descriptor(&self) -> Option<Token> {
        if Arc::strong_count(&self.descriptors) > self.max_descriptors {
            return None;
        }
        Some(self.descriptors.clone())
    }

    /// The right that an entry has.
    pub fn token(&self, rep: u32) -> Option<Token> {
        self.table.get(rep).ok()?.token.clone()
    }
}

/// What happens when a guest drops a resource. Bytes that an output stream has taken are written before it goes.
pub fn drop_resource(cx: &mut Cx<'_>, rep: u32) -> Result<(), Error> {
    if let AnyEntry::OutputStream(mut stream) = cx.parts().1.remove(rep)? {
        cx.retry(|cx| unless_lost(stream.flush(cx.host())))?;
    }
    Ok(())
}

#[cold]
fn unknown() -> Error {
    Error::message("the host doesn't have this resource")
}
