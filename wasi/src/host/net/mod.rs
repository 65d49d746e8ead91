//! The network of the host, as far as the embedder lets a guest use it.
//!
//! [`connection`] is a TCP socket and, once it is connected, a pair of streams of bytes; [`udp`] sends and receives datagrams;
//! [`lookup`] finds addresses of names; [`filter`] says which of all these. [`provided`] is what the embedder may put in place of all that. Nothing here waits: each says with [`super::poll::Readiness`] when to try again.

pub mod connection;
pub mod filter;
pub mod lookup;
pub mod provided;
pub mod udp;

pub use connection::Connection;
pub use filter::Filter;
pub use lookup::Lookup;
pub use provided::{NetworkProvider, ProvidedSocket};
pub use udp::UdpSocket;

use super::error::Error;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a guest may do with the host's network.
#[derive(Clone, Default)]
pub struct Network {
    /// Whether sockets may be opened, for all addresses.
    pub sockets: bool,
    /// Whether addresses of host names may be looked up, of all of them.
    pub name_lookup: bool,
    /// What else may be reached, by sockets that listen to nobody.
    pub filter: Filter,
    /// The embedder's own network, which takes the place of the host's: the permissions above are about that.
    pub provider: Option<Arc<dyn NetworkProvider>>,
}

impl Network {
    /// The filter, where it is all that is permitted.
    pub fn filter_of_some(&self) -> Option<Filter> {
        (!self.sockets && !self.filter.is_empty()).then(|| self.filter.clone())
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sockets, name_lookup, filter, provider } = self;
        let network = ("sockets", sockets, "name_lookup", name_lookup, filter, "provided", provider.is_some());
        write!(f, "{network:?}")
    }
}

/// Which kind of addresses a socket has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// 32 bits.
    Ipv4,
    /// 128 bits.
    Ipv6,
}

impl Family {
    /// That of an address.
    pub fn of(address: &SocketAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }
}

/// A socket of the host's, in nonblocking mode.
#[derive(Debug)]
pub struct HostSocket {
    fd: OwnedFd,
    /// What it may reach; `None` for everything.
    reach: Option<Filter>,
}

impl HostSocket {
    /// Refuses an address that it may not reach.
    fn check_remote(&self, address: &SocketAddr) -> Result<(), Error> {
        let permits = self.reach.as_ref().is_none_or(|filter| filter.permits(address));
        if permits { Ok(()) } else { Err(Error::NotPermitted) }
    }

    /// Refuses a port of the host's that others would find it at, where it may not reach everything.
    fn check_local(&self, address: &SocketAddr) -> Result<(), Error> {
        if self.reach.is_none() || address.port() == 0 { Ok(()) } else { Err(Error::NotPermitted) }
    }

    /// Refuses to listen, where it may not reach everything.
    fn check_listens(&self) -> Result<(), Error> {
        if self.reach.is_none() { Ok(()) } else { Err(Error::NotPermitted) }
    }
}

impl AsFd for HostSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn socket(network: &Network, family: Family, ty: SocketType) -> Result<HostSocket, Error> {
    if !network.sockets && network.filter.is_empty() {
        return Err(Error::NotPermitted);
    }
    let reach = (!network.sockets).then(|| network.filter.clone());
    let domain = if family == Family::Ipv4 { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(domain, ty, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if family == Family::Ipv6 {
        // An IPv4 address in an IPv6 one would be a way around what filters addresses.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(HostSocket { fd: socket, reach })
}

fn local_address(socket: impl AsFd) -> Result<SocketAddr, Error> {
    Ok(SocketAddr::try_from(rustix::net::getsockname(socket)?).map_err(|_| Errno::AFNOSUPPORT)?)
}

/// How many hops what a socket sends may take.
fn hop_limit(socket: impl AsFd, family: Family) -> Result<u8, Error> {
    Ok(match family {
        Family::Ipv4 => u8::try_from(sockopt::ip_ttl(socket)?).unwrap_or(u8::MAX),
        Family::Ipv6 => sockopt::ipv6_unicast_hops(socket)?,
    })
}

/// Sets how many hops what a socket sends may take.
fn set_hop_limit(socket: impl AsFd, family: Family, hops: u8) -> Result<(), Error> {
    if hops == 0 {
        return Err(Errno::INVAL.into());
    }
    match family {
        Family::Ipv4 => sockopt::set_ip_ttl(socket, hops.into())?,
        Family::Ipv6 => sockopt::set_ipv6_unicast_hops(socket, Some(hops))?,
    }
    Ok(())
}

/// A direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // The names say it.
pub enum Buffer {
    Receive,
    Send,
}

/// How many bytes the host buffers for a socket.
fn buffer_size(socket: impl AsFd, buffer: Buffer) -> Result<u64, Error> {
    let doubled = match buffer {
        Buffer::Receive => sockopt::socket_recv_buffer_size(socket)?,
        Buffer::Send => sockopt::socket_send_buffer_size(socket)?,
    };
    // Linux reports twice what was set, to count its own needs.
    Ok(doubled as u64 / 2)
}

/// Wishes that the host buffers so many bytes for a socket; it keeps its own bounds.
fn set_buffer_size(socket: impl AsFd, buffer: Buffer, size: u64) -> Result<(), Error> {
    if size == 0 {
        return Err(Errno::INVAL.into());
    }
    // Twice that fits in an `int`.
    let size = size.min(1 << 29) as usize;
    match buffer {
        Buffer::Receive => sockopt::set_socket_recv_buffer_size(socket, size)?,
        Buffer::Send => sockopt::set_socket_send_buffer_size(socket, size)?,
    }
    Ok(())
}
