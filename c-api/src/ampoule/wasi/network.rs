//! Networks of C's.

use super::error::{ampoule_wasi_error_t, check};
use super::{Table, availability, need};
use crate::foreign::{Finalizer, Foreign};
use ampoule::Error;
use ampoule_wasi::NetworkProvider;
use ampoule_wasi::host;
use ampoule_wasi::host::available::{Availability, Direction};
use ampoule_wasi::host::error::Errno;
use ampoule_wasi::host::net::Family;
use ampoule_wasi::host::net::provided::SocketId;
use std::ffi::{CString, c_char, c_int, c_void};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ptr;

type Answer = ampoule_wasi_error_t;
type Address = ampoule_wasi_address_t;
type Open = extern "C" fn(*mut c_void, datagrams: bool, family: u8, socket: &mut u64) -> Answer;
type WithAddress = extern "C" fn(*mut c_void, u64, address: *const Address) -> Answer;
type Receive = extern "C" fn(*mut c_void, u64, *mut u8, len: usize, count: &mut usize, from: &mut Address) -> Answer;
type Send = extern "C" fn(*mut c_void, u64, *const u8, len: usize, to: *const Address, count: &mut usize) -> Answer;
type Lookup = extern "C" fn(*mut c_void, *const c_char, usize, *mut Address, capacity: usize, &mut usize) -> Answer;

/// An address.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct ampoule_wasi_address_t {
    family: u8,
    port: u16,
    ip: [u8; 16],
    flow_info: u32,
    scope_id: u32,
}

impl From<&SocketAddr> for ampoule_wasi_address_t {
    fn from(address: &SocketAddr) -> Self {
        let mut all = Self { family: family_number(Family::of(address)), port: address.port(), ..Self::default() };
        match address {
            SocketAddr::V4(v4) => all.ip[..4].copy_from_slice(&v4.ip().octets()),
            SocketAddr::V6(v6) => {
                all.ip = v6.ip().octets();
                (all.flow_info, all.scope_id) = (v6.flowinfo(), v6.scope_id());
            }
        }
        all
    }
}

impl ampoule_wasi_address_t {
    fn ip(&self) -> Result<IpAddr, Errno> {
        match (self.family, self.ip) {
            (4, [a, b, c, d, ..]) => Ok(Ipv4Addr::new(a, b, c, d).into()),
            (6, octets) => Ok(Ipv6Addr::from(octets).into()),
            _ => Err(Errno::IO),
        }
    }

    fn address(&self) -> Result<SocketAddr, Errno> {
        Ok(match self.ip()? {
            IpAddr::V4(ip) => SocketAddr::from((ip, self.port)),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, self.port, self.flow_info, self.scope_id).into(),
        })
    }
}

fn family_number(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 4,
        Family::Ipv6 => 6,
    }
}

/// A network, as C describes it: the functions in the header's order.
#[repr(C)]
pub struct ampoule_wasi_sockets_t {
    size: usize,
    env: *mut c_void,
    finalizer: Finalizer,
    open: Option<Open>,
    close: Option<extern "C" fn(*mut c_void, u64)>,
    bind: Option<WithAddress>,
    connect: Option<WithAddress>,
    listen: Option<extern "C" fn(*mut c_void, u64, backlog: u32) -> Answer>,
    accept: Option<extern "C" fn(*mut c_void, u64, accepted: &mut u64) -> Answer>,
    address: Option<extern "C" fn(*mut c_void, u64, remote: bool, address: &mut Address) -> Answer>,
    receive: Option<Receive>,
    send: Option<Send>,
    shutdown: Option<extern "C" fn(*mut c_void, u64, receive: bool, send: bool) -> Answer>,
    ready: Option<extern "C" fn(*mut c_void, u64, write: bool, fd: &mut c_int) -> u8>,
    lookup: Option<Lookup>,
}

// SAFETY: as the trait says; null functions and pointers are zero.
unsafe impl Table for ampoule_wasi_sockets_t {}

/// As many addresses of a name as there may be.
const MAX_ADDRESSES: usize = 256;

pub struct CNetwork {
    table: ampoule_wasi_sockets_t,
    open: Open,
    env: Foreign,
}

// SAFETY: the header says that the functions are called by whatever thread uses the store; the pointer is `env`'s.
unsafe impl std::marker::Send for CNetwork {}
// SAFETY: each table is for one store, which is used by one thread at a time: the one that calls.
unsafe impl Sync for CNetwork {}

impl CNetwork {
    pub fn new(table: ampoule_wasi_sockets_t, env: Foreign) -> Result<Self, Error> {
        Ok(Self { open: need(table.open, "ampoule_wasi_sockets_t", "open")?, table, env })
    }

    fn env(&self) -> *mut c_void {
        self.env.data()
    }

    fn with_address(
        &self,
        function: Option<WithAddress>,
        socket: SocketId,
        to: Option<&SocketAddr>,
    ) -> Result<(), host::Error> {
        let function = function.ok_or(Errno::NOTSUP)?;
        let to = to.map(Address::from);
        check(function(self.env(), socket, to.as_ref().map_or(ptr::null(), ptr::from_ref)))
    }
}

impl NetworkProvider for CNetwork {
    fn open(&self, datagrams: bool, family: Family) -> Result<SocketId, host::Error> {
        let mut socket = 0;
        check((self.open)(self.env(), datagrams, family_number(family), &mut socket))?;
        Ok(socket)
    }

    fn close(&self, socket: SocketId) {
        if let Some(close) = self.table.close {
            close(self.env(), socket);
        }
    }

    fn bind(&self, socket: SocketId, address: &SocketAddr) -> Result<(), host::Error> {
        self.with_address(self.table.bind, socket, Some(address))
    }

    fn connect(&self, socket: SocketId, address: Option<&SocketAddr>) -> Result<(), host::Error> {
        self.with_address(self.table.connect, socket, address)
    }

    fn listen(&self, socket: SocketId, backlog: u32) -> Result<(), host::Error> {
        check(self.table.listen.ok_or(Errno::NOTSUP)?(self.env(), socket, backlog))
    }

    fn accept(&self, socket: SocketId) -> Result<SocketId, host::Error> {
        let mut accepted = 0;
        check(self.table.accept.ok_or(Errno::NOTSUP)?(self.env(), socket, &mut accepted))?;
        Ok(accepted)
    }

    fn address(&self, socket: SocketId, remote: bool) -> Result<SocketAddr, host::Error> {
        let mut address = Address::default();
        check(self.table.address.ok_or(Errno::NOTSUP)?(self.env(), socket, remote, &mut address))?;
        Ok(address.address()?)
    }

    fn receive(&self, socket: SocketId, out: &mut [u8]) -> Result<(usize, Option<SocketAddr>), host::Error> {
        let receive = self.table.receive.ok_or(Errno::NOTSUP)?;
        let (mut count, mut from) = (0, Address::default());
        check(receive(self.env(), socket, out.as_mut_ptr(), out.len(), &mut count, &mut from))?;
        let from = if from.family == 0 { None } else { Some(from.address()?) };
        Ok((count, from))
    }

    fn send(&self, socket: SocketId, bytes: &[u8], to: Option<&SocketAddr>) -> Result<usize, host::Error> {
        let send = self.table.send.ok_or(Errno::NOTSUP)?;
        let to = to.map(Address::from);
        let to = to.as_ref().map_or(ptr::null(), ptr::from_ref);
        let mut count = 0;
        check(send(self.env(), socket, bytes.as_ptr(), bytes.len(), to, &mut count))?;
        Ok(count)
    }

    fn shutdown(&self, socket: SocketId, receive: bool, send: bool) -> Result<(), host::Error> {
        self.table.shutdown.map_or(Ok(()), |shutdown| check(shutdown(self.env(), socket, receive, send)))
    }

    fn available(&self, socket: SocketId, direction: Direction) -> Option<Availability<'_>> {
        let mut fd = -1;
        let write = direction == Direction::Write;
        self.table.ready.map(|ready| availability(ready(self.env(), socket, write, &mut fd), fd))
    }

    fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, host::Error> {
        let lookup = self.table.lookup.ok_or(host::Error::NotPermitted)?;
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        let mut addresses = vec![Address::default(); MAX_ADDRESSES];
        let mut count = 0;
        let len = name.as_bytes().len();
        check(lookup(self.env(), name.as_ptr(), len, addresses.as_mut_ptr(), addresses.len(), &mut count))?;
        let found = addresses.get(..count).ok_or(Errno::IO)?;
        Ok(found.iter().map(Address::ip).collect::<Result<_, _>>()?)
    }
}
