//! UDP sockets.

use super::{Buffer, Family, HostSocket, Network, ProvidedSocket, local_address, socket};
use crate::host::error::Error;
use crate::host::poll::Readiness;
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketType};
use std::net::SocketAddr;

/// A UDP socket: of the host's, in nonblocking mode, or of the embedder's.
#[derive(Debug)]
pub enum UdpSocket {
    /// The host's.
    Host(HostSocket),
    /// The embedder's.
    Provided(ProvidedSocket),
}

/// More bytes than any datagram has.
pub const MAX_DATAGRAM: usize = 64 << 10;

/// Datagrams that one call drops.
const MAX_DROPPED: usize = 64;

impl UdpSocket {
    /// A socket that is nowhere yet.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn open(network: &Network, family: Family) -> Result<Self, Error> {
        Ok(match &network.provider {
            None => Self::Host(socket(network, family, SocketType::DGRAM)?),
            Some(provider) => Self::Provided(ProvidedSocket::open(provider, true, family)?),
        })
    }

    /// Its descriptor, for what only a socket of the host's has.
    fn host(&self) -> Result<&HostSocket, Errno> {
        match self {
            Self::Host(socket) => Ok(socket),
            Self::Provided(_) => Err(Errno::NOTSUP),
        }
    }

    /// Gives it an address of the host; tells it, with the port that the host chose.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn bind(&self, address: &SocketAddr) -> Result<SocketAddr, Error> {
        match self {
            Self::Host(socket) => {
                socket.check_local(address)?;
                rustix::net::bind(socket, address)?;
            }
            Self::Provided(socket) => socket.bind(address)?,
        }
        self.local_address()
    }

    /// Has it exchange datagrams with this address only; or with any again, where there was one, at the address that it was bound to.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn set_remote(&self, address: Option<&SocketAddr>, bound: &SocketAddr) -> Result<(), Error> {
        let socket = match self {
            Self::Host(socket) => socket,
            Self::Provided(socket) => return socket.set_remote(address),
        };
        if let Some(address) = address {
            socket.check_remote(address)?;
            return Ok(rustix::net::connect(socket, address)?);
        }
        rustix::net::connect_unspec(socket)?;
        // Linux gives up a port that it has chosen itself.
        if self.local_address()? != *bound {
            rustix::net::bind(socket, bound)?;
        }
        Ok(())
    }

    /// Its address.
    ///
    /// # Errors
    /// What the host says.
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        match self {
            Self::Host(socket) => local_address(socket),
            Self::Provided(socket) => socket.address(false),
        }
    }

    /// The next datagram, and where it comes from. Never waits. What comes from where nothing may be sent to is dropped.
    ///
    /// # Errors
    /// `AGAIN` when there is none yet, or what the host says.
    pub fn receive(&self) -> Result<(Vec<u8>, SocketAddr), Error> {
        let socket = match self {
            Self::Host(socket) => socket,
            Self::Provided(socket) => return socket.receive_datagram(),
        };
        for _ in 0..MAX_DROPPED {
            let (bytes, from) = Self::receive_any(socket)?;
            if socket.check_remote(&from).is_ok() {
                return Ok((bytes, from));
            }
        }
        Err(Errno::AGAIN.into())
    }

    fn receive_any(socket: &HostSocket) -> Result<(Vec<u8>, SocketAddr), Error> {
        let mut bytes = Vec::with_capacity(MAX_DATAGRAM);
        let buffer = rustix::buffer::spare_capacity(&mut bytes);
        let (_, _, from) = rustix::net::recvfrom(socket, buffer, RecvFlags::empty())?;
        let from = from.ok_or(Errno::AFNOSUPPORT)?;
        bytes.shrink_to_fit();
        Ok((bytes, SocketAddr::try_from(from).map_err(|_| Errno::AFNOSUPPORT)?))
    }

    /// Sends a datagram: to the address that it exchanges them with, or to this one. Never waits.
    ///
    /// # Errors
    /// `AGAIN` when it isn't taken yet, `NotPermitted`, or what the host says.
    pub fn send(&self, bytes: &[u8], to: Option<&SocketAddr>) -> Result<(), Error> {
        let socket = match self {
            Self::Host(socket) => socket,
            Self::Provided(socket) => return socket.send_datagram(bytes, to),
        };
        to.map_or(Ok(()), |to| socket.check_remote(to))?;
        match to {
            None => rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?,
            Some(to) => rustix::net::sendto(socket, bytes, SendFlags::NOSIGNAL, to)?,
        };
        Ok(())
    }

    /// When there is something, to receive or to send.
    pub fn readiness(&self) -> Readiness<'_> {
        match self {
            Self::Host(socket) => Readiness::When(socket.as_fd()),
            Self::Provided(socket) => Readiness::Ask(socket),
        }
    }

    /// How many hops what it sends may take.
    ///
    /// # Errors
    /// What the host says.
    pub fn hop_limit(&self, family: Family) -> Result<u8, Error> {
        super::hop_limit(self.host()?, family)
    }

    /// Sets how many hops what it sends may take.
    ///
    /// # Errors
    /// `INVAL` for none, or what the host says.
    pub fn set_hop_limit(&self, family: Family, hops: u8) -> Result<(), Error> {
        super::set_hop_limit(self.host()?, family, hops)
    }

    /// How many bytes the host buffers for it.
    ///
    /// # Errors
    /// What the host says.
    pub fn buffer_size(&self, buffer: Buffer) -> Result<u64, Error> {
        super::buffer_size(self.host()?, buffer)
    }

    /// Wishes that the host buffers so many bytes for it; it keeps its own bounds.
    ///
    /// # Errors
    /// `INVAL` for none, or what the host says.
    pub fn set_buffer_size(&self, buffer: Buffer, size: u64) -> Result<(), Error> {
        super::set_buffer_size(self.host()?, buffer, size)
    }
}
