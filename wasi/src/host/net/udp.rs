//! UDP sockets.

use super::{Family, Network, local_address, socket};
use crate::host::error::Error;
use crate::host::poll::Readiness;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketType};
use std::net::SocketAddr;

/// A UDP socket, in nonblocking mode.
#[derive(Debug)]
pub struct UdpSocket {
    socket: OwnedFd,
}

/// More bytes than any datagram has.
pub const MAX_DATAGRAM: usize = 64 << 10;

impl UdpSocket {
    /// A socket that is nowhere yet.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn open(network: Network, family: Family) -> Result<Self, Error> {
        Ok(Self { socket: socket(network, family, SocketType::DGRAM)? })
    }

    /// Gives it an address of the host; tells it, with the port that the host chose.
    ///
    /// # Errors
    /// What the host says.
    pub fn bind(&self, address: &SocketAddr) -> Result<SocketAddr, Error> {
        rustix::net::bind(&self.socket, address)?;
        self.local_address()
    }

    /// Has it exchange datagrams with this address only; or with any again, where there was one, at the address that it was bound to.
    ///
    /// # Errors
    /// What the host says.
    pub fn set_remote(&self, address: Option<&SocketAddr>, bound: &SocketAddr) -> Result<(), Error> {
        if let Some(address) = address {
            return Ok(rustix::net::connect(&self.socket, address)?);
        }
        rustix::net::connect_unspec(&self.socket)?;
        // Linux gives up a port that it has chosen itself.
        if self.local_address()? != *bound {
            rustix::net::bind(&self.socket, bound)?;
        }
        Ok(())
    }

    /// Its address.
    ///
    /// # Errors
    /// What the host says.
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        local_address(&self.socket)
    }

    /// The next datagram, and where it comes from. Never waits.
    ///
    /// # Errors
    /// `AGAIN` when there is none yet, or what the host says.
    pub fn receive(&self) -> Result<(Vec<u8>, SocketAddr), Error> {
        let mut bytes = Vec::with_capacity(MAX_DATAGRAM);
        let buffer = rustix::buffer::spare_capacity(&mut bytes);
        let (_, _, from) = rustix::net::recvfrom(&self.socket, buffer, RecvFlags::empty())?;
        let from = from.ok_or(Errno::AFNOSUPPORT)?;
        bytes.shrink_to_fit();
        Ok((bytes, SocketAddr::try_from(from).map_err(|_| Errno::AFNOSUPPORT)?))
    }

    /// Sends a datagram: to the address that it exchanges them with, or to this one. Never waits.
    ///
    /// # Errors
    /// `AGAIN` when it isn't taken yet, or what the host says.
    pub fn send(&self, bytes: &[u8], to: Option<&SocketAddr>) -> Result<(), Error> {
        match to {
            None => rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL)?,
            Some(to) => rustix::net::sendto(&self.socket, bytes, SendFlags::NOSIGNAL, to)?,
        };
        Ok(())
    }

    /// When there is something, to receive or to send.
    pub fn readiness(&self) -> Readiness<'_> {
        Readiness::When(self.as_fd())
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
