//! A network of the embedder's, in place of the host's.
//!
//! What it answers is looked at before it is believed: counts of bytes, addresses. What can't be is `IO`.

use super::Family;
use crate::host::available::{Availability, Available, Blocked, Direction};
use crate::host::buffers::IoVecs;
use crate::host::error::Error;
use ampoule::sync::OnceLock;
use rustix::io::Errno;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What a network knows a socket by.
pub type SocketId = u64;

/// The most bytes that are sent or received by one call of a [`NetworkProvider`]: as many as a datagram may have.
pub const MAX_BYTES: usize = 64 << 10;

/// A network of the embedder's. What isn't implemented is `NOTSUP`.
///
/// Called by the thread that uses the store, which it must not use. What would have to wait answers `AGAIN`, and is tried again as
/// [`NetworkProvider::available`] says. Each socket that it gives is closed once.
#[allow(unused_variables)] // The names are for those who implement it.
pub trait NetworkProvider: Send + Sync {
    /// A new TCP socket, or one for datagrams.
    ///
    /// # Errors
    /// What is wrong.
    fn open(&self, datagrams: bool, family: Family) -> Result<SocketId, Error>;

    /// Closes a socket.
    fn close(&self, socket: SocketId);

    /// Gives it an address, of which the port may be 0 for any.
    ///
    /// # Errors
    /// What is wrong.
    fn bind(&self, socket: SocketId, address: &SocketAddr) -> Result<(), Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Connects it. One for datagrams exchanges them with this address only; with any again where there is `None`.
    ///
    /// # Errors
    /// `AGAIN` while that isn't decided: then it is called again. What is wrong.
    fn connect(&self, socket: SocketId, address: Option<&SocketAddr>) -> Result<(), Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Lets others connect to it; so many may wait for that.
    ///
    /// # Errors
    /// What is wrong.
    fn listen(&self, socket: SocketId, backlog: u32) -> Result<(), Error> {
        Err(Errno::NOTSUP.into())
    }

    /// The next connection to it.
    ///
    /// # Errors
    /// `AGAIN` where there is none yet, or what is wrong.
    fn accept(&self, socket: SocketId) -> Result<SocketId, Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Its address, or that of the other side.
    ///
    /// # Errors
    /// What is wrong.
    fn address(&self, socket: SocketId, remote: bool) -> Result<SocketAddr, Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Receives: says how many bytes of `out` it has filled, none at the end of a connection; and where a datagram comes from.
    ///
    /// # Errors
    /// `AGAIN` where there is nothing yet, or what is wrong.
    fn receive(&self, socket: SocketId, out: &mut [u8]) -> Result<(usize, Option<SocketAddr>), Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Sends: says how many bytes it has taken, at least one, of a datagram all. `to` is where a datagram goes, unless the socket is connected.
    ///
    /// # Errors
    /// `AGAIN` where nothing is taken yet, or what is wrong.
    fn send(&self, socket: SocketId, bytes: &[u8], to: Option<&SocketAddr>) -> Result<usize, Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Shuts the way in, the way out, or both.
    ///
    /// # Errors
    /// What is wrong.
    fn shutdown(&self, socket: SocketId, receive: bool, send: bool) -> Result<(), Error> {
        Ok(())
    }

    /// Whether it is worth trying again to receive or accept, or to send or connect. `None` where that isn't known: it is tried after a while.
    fn available(&self, socket: SocketId, direction: Direction) -> Option<Availability<'_>> {
        None
    }

    /// The addresses of a name: letters, digits, `-`, `.` and `_`.
    ///
    /// # Errors
    /// `AGAIN` where there is no answer yet, `NOENT` where the name has none, or what is wrong.
    fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, Error> {
        Err(Error::NotPermitted)
    }
}

/// A socket of an embedder's network, closed when this is dropped.
pub struct ProvidedSocket {
    network: Arc<dyn NetworkProvider>,
    id: SocketId,
    family: Family,
    blocked: Blocked,
    /// What it is being connected to.
    remote: OnceLock<SocketAddr>,
}

impl ProvidedSocket {
    pub(super) fn open(network: &Arc<dyn NetworkProvider>, datagrams: bool, family: Family) -> Result<Self, Error> {
        Ok(Self::new(network.clone(), network.open(datagrams, family)?, family))
    }

    fn new(network: Arc<dyn NetworkProvider>, id: SocketId, family: Family) -> Self {
        Self { network, id, family, blocked: Blocked::default(), remote: OnceLock::new() }
    }

    fn noted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        self.blocked.note(matches!(result, Err(Error::Os(Errno::AGAIN))));
        result
    }

    pub(super) fn bind(&self, address: &SocketAddr) -> Result<(), Error> {
        self.network.bind(self.id, address)
    }

    /// Begins to connect a TCP socket.
    pub(super) fn start_connect(&self, address: &SocketAddr) -> Result<(), Error> {
        // A socket is connected once.
        self.remote.set(*address).map_err(|_| Errno::ISCONN)?;
        match self.connected() {
            Err(Error::Os(Errno::AGAIN | Errno::INPROGRESS)) => Ok(()),
            result => result,
        }
    }

    pub(super) fn connected(&self) -> Result<(), Error> {
        self.noted(self.network.connect(self.id, Some(self.remote.get().ok_or(Errno::NOTCONN)?)))
    }

    /// Where a socket for datagrams exchanges them.
    pub(super) fn set_remote(&self, address: Option<&SocketAddr>) -> Result<(), Error> {
        self.network.connect(self.id, address)
    }

    pub(super) fn listen(&self, backlog: i32) -> Result<(), Error> {
        self.network.listen(self.id, u32::try_from(backlog).unwrap_or(1))
    }

    pub(super) fn accept(&self) -> Result<Self, Error> {
        let id = self.noted(self.network.accept(self.id))?;
        Ok(Self::new(self.network.clone(), id, self.family))
    }

    pub(super) fn address(&self, remote: bool) -> Result<SocketAddr, Error> {
        self.checked(self.network.address(self.id, remote)?)
    }

    fn checked(&self, address: SocketAddr) -> Result<SocketAddr, Error> {
        if Family::of(&address) == self.family { Ok(address) } else { Err(Errno::IO.into()) }
    }

    pub(super) fn receive(&self, buffers: &IoVecs<'_>) -> Result<usize, Error> {
        let len = buffers.byte_len().min(MAX_BYTES);
        if len == 0 {
            return Ok(0);
        }
        let mut piece = vec![0; len];
        let (count, _) = self.noted(self.network.receive(self.id, &mut piece))?;
        Ok(buffers.copy_in(piece.get(..count).ok_or(Errno::IO)?))
    }

    pub(super) fn send(&self, buffers: &IoVecs<'_>) -> Result<usize, Error> {
        let mut piece = vec![0; buffers.byte_len().min(MAX_BYTES)];
        buffers.copy_out(0, &mut piece);
        if piece.is_empty() {
            return Ok(0);
        }
        match self.noted(self.network.send(self.id, &piece, None))? {
            // Taking nothing for ever would be a hang.
            0 => Err(Errno::IO.into()),
            count if count > piece.len() => Err(Errno::IO.into()),
            count => Ok(count),
        }
    }

    pub(super) fn receive_datagram(&self) -> Result<(Vec<u8>, SocketAddr), Error> {
        let mut bytes = vec![0; MAX_BYTES];
        let (count, from) = self.noted(self.network.receive(self.id, &mut bytes))?;
        if count > bytes.len() {
            return Err(Errno::IO.into());
        }
        bytes.truncate(count);
        bytes.shrink_to_fit();
        Ok((bytes, self.checked(from.ok_or(Errno::IO)?)?))
    }

    pub(super) fn send_datagram(&self, bytes: &[u8], to: Option<&SocketAddr>) -> Result<(), Error> {
        let count = self.noted(self.network.send(self.id, bytes, to))?;
        if count == bytes.len() { Ok(()) } else { Err(Errno::IO.into()) }
    }

    pub(super) fn shutdown(&self, receive: bool, send: bool) -> Result<(), Error> {
        self.network.shutdown(self.id, receive, send)
    }
}

impl Available for ProvidedSocket {
    fn available(&self, direction: Direction) -> Availability<'_> {
        self.blocked.or(self.network.available(self.id, direction))
    }
}

impl Drop for ProvidedSocket {
    fn drop(&mut self) {
        self.network.close(self.id);
    }
}

impl fmt::Debug for ProvidedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvidedSocket").field("id", &self.id).field("family", &self.family).finish_non_exhaustive()
    }
}

/// A name whose addresses the embedder tells.
pub struct ProvidedLookup {
    network: Arc<dyn NetworkProvider>,
    name: String,
    blocked: Blocked,
}

impl ProvidedLookup {
    pub(super) fn new(network: &Arc<dyn NetworkProvider>, name: &str) -> Self {
        Self { network: network.clone(), name: name.to_owned(), blocked: Blocked::default() }
    }

    /// The addresses; `None` while there is no answer.
    pub(super) fn ask(&self) -> Result<Option<Vec<IpAddr>>, Error> {
        let answer = self.network.lookup(&self.name);
        self.blocked.note(answer == Err(Errno::AGAIN.into()));
        match answer {
            Err(Error::Os(Errno::AGAIN)) => Ok(None),
            answer => answer.map(Some),
        }
    }
}

impl Available for ProvidedLookup {
    fn available(&self, _: Direction) -> Availability<'_> {
        self.blocked.or(None)
    }
}

impl fmt::Debug for ProvidedLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvidedLookup").field("name", &self.name).finish_non_exhaustive()
    }
}
