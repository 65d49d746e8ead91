//! A network of one machine, behind the trait that embedders implement.

#![allow(dead_code)] // Each test uses its part.

use ampoule_wasi::NetworkProvider;
use ampoule_wasi::host::Error;
use ampoule_wasi::host::net::Family;
use ampoule_wasi::host::net::provided::SocketId;
use rustix::io::Errno;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Default)]
pub struct Socket {
    bound: Option<SocketAddr>,
    listens: bool,
    /// Connections to it that nobody has accepted.
    waiting: VecDeque<SocketId>,
    peer: Option<(SocketId, SocketAddr)>,
    bytes: VecDeque<u8>,
    datagrams: VecDeque<(Vec<u8>, SocketAddr)>,
    ended: bool,
    attempts: usize,
}

#[derive(Default)]
pub struct Sockets {
    pub open: HashMap<SocketId, Socket>,
    last: SocketId,
    names: usize,
}

/// A network of one machine, which takes two attempts for whatever may have to wait.
#[derive(Clone, Default)]
pub struct Loopback(Arc<Mutex<Sockets>>);

impl Loopback {
    pub fn all(&self) -> MutexGuard<'_, Sockets> {
        self.0.lock().unwrap()
    }
}

impl Sockets {
    fn new_socket(&mut self) -> SocketId {
        self.last += 1;
        self.open.insert(self.last, Socket::default());
        self.last
    }

    fn of(&mut self, socket: SocketId) -> &mut Socket {
        self.open.get_mut(&socket).expect("it is open")
    }

    fn bound_to(&self, address: &SocketAddr) -> Option<SocketId> {
        self.open.iter().find(|(_, socket)| socket.bound.as_ref() == Some(address)).map(|(id, _)| *id)
    }

    /// Whether this is an attempt that has to wait.
    fn waits(&mut self, socket: SocketId) -> Result<(), Error> {
        let attempts = &mut self.of(socket).attempts;
        *attempts += 1;
        if attempts.is_multiple_of(2) { Ok(()) } else { Err(Errno::AGAIN.into()) }
    }
}

impl NetworkProvider for Loopback {
    fn open(&self, _: bool, family: Family) -> Result<SocketId, Error> {
        if family == Family::Ipv6 { Err(Errno::AFNOSUPPORT.into()) } else { Ok(self.all().new_socket()) }
    }

    fn close(&self, socket: SocketId) {
        let mut all = self.all();
        let closed = all.open.remove(&socket).expect("closed once");
        if let Some(peer) = closed.peer.and_then(|(peer, _)| all.open.get_mut(&peer)) {
            peer.ended = true;
        }
    }

    fn bind(&self, socket: SocketId, address: &SocketAddr) -> Result<(), Error> {
        let mut all = self.all();
        let port = if address.port() == 0 { 1000 + socket as u16 } else { address.port() };
        let address = SocketAddr::new(address.ip(), port);
        if all.bound_to(&address).is_some() {
            return Err(Errno::ADDRINUSE.into());
        }
        all.of(socket).bound = Some(address);
        Ok(())
    }

    fn connect(&self, socket: SocketId, address: Option<&SocketAddr>) -> Result<(), Error> {
        let mut all = self.all();
        let Some(address) = address else {
            all.of(socket).peer = None;
            return Ok(());
        };
        let server = all.bound_to(address).ok_or(Errno::CONNREFUSED)?;
        if !all.of(server).listens {
            all.of(socket).peer = Some((server, *address));
            return Ok(());
        }
        all.waits(socket)?;
        let accepted = all.new_socket();
        let own = SocketAddr::new(address.ip(), 1000 + socket as u16);
        all.of(socket).bound = Some(own);
        all.of(socket).peer = Some((accepted, *address));
        all.of(accepted).peer = Some((socket, own));
        all.of(server).waiting.push_back(accepted);
        Ok(())
    }

    fn listen(&self, socket: SocketId, _: u32) -> Result<(), Error> {
        self.all().of(socket).listens = true;
        Ok(())
    }

    fn accept(&self, socket: SocketId) -> Result<SocketId, Error> {
        Ok(self.all().of(socket).waiting.pop_front().ok_or(Errno::AGAIN)?)
    }

    fn address(&self, socket: SocketId, remote: bool) -> Result<SocketAddr, Error> {
        let mut all = self.all();
        let socket = all.of(socket);
        let address = if remote { socket.peer.map(|(_, address)| address) } else { socket.bound };
        Ok(address.ok_or(Errno::NOTCONN)?)
    }

    fn receive(&self, socket: SocketId, out: &mut [u8]) -> Result<(usize, Option<SocketAddr>), Error> {
        let mut all = self.all();
        let socket = all.of(socket);
        if let Some((bytes, from)) = socket.datagrams.pop_front() {
            out[..bytes.len()].copy_from_slice(&bytes);
            return Ok((bytes.len(), Some(from)));
        }
        let count = out.len().min(socket.bytes.len());
        if count == 0 && !socket.ended {
            return Err(Errno::AGAIN.into());
        }
        for (to, byte) in out.iter_mut().zip(socket.bytes.drain(..count)) {
            *to = byte;
        }
        Ok((count, None))
    }

    fn send(&self, socket: SocketId, bytes: &[u8], to: Option<&SocketAddr>) -> Result<usize, Error> {
        let mut all = self.all();
        all.waits(socket)?;
        let peer = all.of(socket).peer;
        if let (Some(own), Some(to)) = (all.of(socket).bound, to.copied().or(peer.map(|(_, address)| address)))
            && let Some(receiver) = all.bound_to(&to)
            && !all.of(receiver).listens
        {
            all.of(receiver).datagrams.push_back((bytes.to_vec(), own));
            return Ok(bytes.len());
        }
        let (peer, _) = peer.ok_or(Errno::NOTCONN)?;
        all.open.get_mut(&peer).ok_or(Errno::CONNRESET)?.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn shutdown(&self, socket: SocketId, _: bool, send: bool) -> Result<(), Error> {
        let mut all = self.all();
        if send && let Some((peer, _)) = all.of(socket).peer {
            all.of(peer).ended = true;
        }
        Ok(())
    }

    fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, Error> {
        let mut all = self.all();
        all.names += 1;
        match name {
            "home" if all.names == 1 => Err(Errno::AGAIN.into()),
            "home" => Ok(vec![IpAddr::from([127, 0, 0, 1]); 3]),
            _ => Err(Errno::NOENT.into()),
        }
    }
}
