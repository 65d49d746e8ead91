//! TCP sockets, and connections over them as streams of bytes.

use super::{Buffer, Family, HostSocket, Network, ProvidedSocket, local_address, socket};
use crate::host::buffers::IoVecs;
use crate::host::error::Error;
use crate::host::poll::Readiness;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags, SocketType, sockopt};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A TCP socket, which may be connected. Its descriptor is in nonblocking mode.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    receives: AtomicBool,
    sends: AtomicBool,
}

/// A socket of the host's, or of the embedder's.
#[derive(Debug)]
enum Socket {
    Host(HostSocket),
    Provided(ProvidedSocket),
}

impl Connection {
    fn new(socket: Socket) -> Self {
        Self { socket, receives: AtomicBool::new(true), sends: AtomicBool::new(true) }
    }

    /// A socket that is nowhere yet.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn open(network: &Network, family: Family) -> Result<Self, Error> {
        Ok(Self::new(match &network.provider {
            None => Socket::Host(socket(network, family, SocketType::STREAM)?),
            Some(provider) => Socket::Provided(ProvidedSocket::open(provider, false, family)?),
        }))
    }

    /// Its descriptor, for what only a socket of the host's has.
    fn host(&self) -> Result<&HostSocket, Errno> {
        match &self.socket {
            Socket::Host(socket) => Ok(socket),
            Socket::Provided(_) => Err(Errno::NOTSUP),
        }
    }

    /// Gives it an address of the host.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn bind(&self, address: &SocketAddr) -> Result<(), Error> {
        let socket = match &self.socket {
            Socket::Host(socket) => socket,
            Socket::Provided(socket) => return socket.bind(address),
        };
        socket.check_local(address)?;
        // A connection that has ended, and whose address the kernel still keeps, is no obstacle.
        sockopt::set_socket_reuseaddr(socket, true)?;
        Ok(rustix::net::bind(socket, address)?)
    }

    /// Begins to connect it.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says, unless that is that it takes time.
    pub fn start_connect(&self, address: &SocketAddr) -> Result<(), Error> {
        match &self.socket {
            Socket::Host(socket) => {
                socket.check_remote(address)?;
                match rustix::net::connect(socket, address) {
                    Err(Errno::INPROGRESS) => Ok(()),
                    result => Ok(result?),
                }
            }
            Socket::Provided(socket) => socket.start_connect(address),
        }
    }

    /// Whether it is connected by now.
    ///
    /// # Errors
    /// `AGAIN` where it isn't decided yet, or why it couldn't be connected.
    pub fn connected(&self) -> Result<(), Error> {
        let socket = match &self.socket {
            Socket::Host(socket) => socket,
            Socket::Provided(socket) => return socket.connected(),
        };
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&now))? == 0 {
            return Err(Errno::AGAIN.into());
        }
        Ok(sockopt::socket_error(socket)??)
    }

    /// Lets others connect to it; so many may wait for that.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn listen(&self, backlog: i32) -> Result<(), Error> {
        match &self.socket {
            Socket::Host(socket) => {
                socket.check_listens()?;
                Ok(rustix::net::listen(socket, backlog)?)
            }
            Socket::Provided(socket) => socket.listen(backlog),
        }
    }

    /// The next connection to it.
    ///
    /// # Errors
    /// `AGAIN` where there is none yet, `CONNABORTED` where there is none any more, or what the host says.
    pub fn accept(&self) -> Result<Self, Error> {
        let socket = match &self.socket {
            Socket::Host(socket) => socket,
            Socket::Provided(socket) => return Ok(Self::new(Socket::Provided(socket.accept()?))),
        };
        match rustix::net::accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(accepted) => {
                let reach = socket.reach.clone();
                Ok(Self::new(Socket::Host(HostSocket { fd: accepted, reach })))
            }
            // Linux reports what has befallen the new connection.
            Err(
                Errno::NETDOWN
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH,
            ) => Err(Errno::CONNABORTED.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Its address.
    ///
    /// # Errors
    /// What the host says.
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        match &self.socket {
            Socket::Host(socket) => local_address(socket),
            Socket::Provided(socket) => socket.address(false),
        }
    }

    /// The address of the other side.
    ///
    /// # Errors
    /// What the host says.
    pub fn remote_address(&self) -> Result<SocketAddr, Error> {
        let socket = match &self.socket {
            Socket::Host(socket) => socket,
            Socket::Provided(socket) => return socket.address(true),
        };
        let address = rustix::net::getpeername(socket)?.ok_or(Errno::NOTCONN)?;
        Ok(SocketAddr::try_from(address).map_err(|_| Errno::AFNOSUPPORT)?)
    }

    /// Whether the other side is asked now and then whether it is still there.
    ///
    /// # Errors
    /// What the host says.
    pub fn keep_alive(&self) -> Result<bool, Error> {
        Ok(sockopt::socket_keepalive(self.host()?)?)
    }

    /// Has the other side asked, or not.
    ///
    /// # Errors
    /// What the host says.
    pub fn set_keep_alive(&self, enabled: bool) -> Result<(), Error> {
        Ok(sockopt::set_socket_keepalive(self.host()?, enabled)?)
    }

    /// How long there is silence before the other side is asked.
    ///
    /// # Errors
    /// What the host says.
    pub fn keep_alive_idle(&self) -> Result<Duration, Error> {
        Ok(sockopt::tcp_keepidle(self.host()?)?)
    }

    /// Sets how long there is silence before the other side is asked; in whole seconds, as far as the host counts.
    ///
    /// # Errors
    /// `INVAL` for no time, or what the host says.
    pub fn set_keep_alive_idle(&self, idle: Duration) -> Result<(), Error> {
        Ok(sockopt::set_tcp_keepidle(self.host()?, seconds(idle)?)?)
    }

    /// How long it takes until the other side is asked again.
    ///
    /// # Errors
    /// What the host says.
    pub fn keep_alive_interval(&self) -> Result<Duration, Error> {
        Ok(sockopt::tcp_keepintvl(self.host()?)?)
    }

    /// Sets how long it takes until the other side is asked again; in whole seconds, as far as the host counts.
    ///
    /// # Errors
    /// `INVAL` for no time, or what the host says.
    pub fn set_keep_alive_interval(&self, interval: Duration) -> Result<(), Error> {
        Ok(sockopt::set_tcp_keepintvl(self.host()?, seconds(interval)?)?)
    }

    /// How often the other side is asked in vain.
    ///
    /// # Errors
    /// What the host says.
    pub fn keep_alive_count(&self) -> Result<u32, Error> {
        Ok(sockopt::tcp_keepcnt(self.host()?)?)
    }

    /// Sets how often the other side is asked in vain, as far as the host counts.
    ///
    /// # Errors
    /// `INVAL` for never, or what the host says.
    pub fn set_keep_alive_count(&self, count: u32) -> Result<(), Error> {
        if count == 0 {
            return Err(Errno::INVAL.into());
        }
        Ok(sockopt::set_tcp_keepcnt(self.host()?, count.min(MAX_KEEP_ALIVE_COUNT))?)
    }

    /// Whether the way out isn't shut.
    pub fn may_send(&self) -> bool {
        self.sends.load(Ordering::Relaxed)
    }

    /// Reads what has arrived; 0 at the end, also where the way in was shut. Never waits.
    ///
    /// # Errors
    /// `AGAIN` when there is nothing yet, or what the host says.
    pub fn receive(&self, buffers: &mut IoVecs<'_>) -> Result<usize, Error> {
        if !self.receives.load(Ordering::Relaxed) {
            return Ok(0);
        }
        match &self.socket {
            Socket::Host(socket) => Ok(rustix::io::readv(socket, buffers.for_read())?),
            Socket::Provided(socket) => socket.receive(buffers),
        }
    }

    /// Writes what is taken at once, and says how much. Never waits.
    ///
    /// # Errors
    /// `AGAIN` when nothing is taken yet, `PIPE` where the way out was shut, or what the host says.
    pub fn send(&self, buffers: &IoVecs<'_>) -> Result<usize, Error> {
        if !self.may_send() {
            return Err(Errno::PIPE.into());
        }
        let socket = match &self.socket {
            Socket::Host(socket) => socket,
            Socket::Provided(socket) => return socket.send(buffers),
        };
        let mut nothing = SendAncillaryBuffer::default();
        // The embedder's process mustn't get a signal for it.
        Ok(rustix::net::sendmsg(socket, buffers.for_write(), &mut nothing, SendFlags::NOSIGNAL)?)
    }

    /// Shuts the way in, the way out, or both. What was shut before stays so.
    ///
    /// # Errors
    /// What the host says.
    pub fn shutdown(&self, receive: bool, send: bool) -> Result<(), Error> {
        let how = match (receive, send) {
            (true, true) => Shutdown::Both,
            (true, false) => Shutdown::Read,
            _ => Shutdown::Write,
        };
        match &self.socket {
            Socket::Host(socket) => rustix::net::shutdown(socket, how)?,
            Socket::Provided(socket) => socket.shutdown(receive, send)?,
        }
        if receive {
            self.receives.store(false, Ordering::Relaxed);
        }
        if send {
            self.sends.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    fn readiness(&self) -> Readiness<'_> {
        match &self.socket {
            Socket::Host(socket) => Readiness::When(socket.as_fd()),
            Socket::Provided(socket) => Readiness::Ask(socket),
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

    /// When something has arrived, or the end.
    pub fn read_readiness(&self) -> Readiness<'_> {
        if self.receives.load(Ordering::Relaxed) { self.readiness() } else { Readiness::Now(0) }
    }

    /// When something would be taken, or sending would fail.
    pub fn write_readiness(&self) -> Readiness<'_> {
        if self.may_send() { self.readiness() } else { Readiness::Now(0) }
    }
}

/// Linux's bounds.
const MAX_KEEP_ALIVE_SECONDS: u64 = 32_767;
const MAX_KEEP_ALIVE_COUNT: u32 = 127;

/// A time for Linux, which counts whole seconds.
fn seconds(time: Duration) -> Result<Duration, Errno> {
    if time.is_zero() {
        return Err(Errno::INVAL);
    }
    let rounded_up = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    Ok(Duration::from_secs(rounded_up.min(MAX_KEEP_ALIVE_SECONDS)))
}
