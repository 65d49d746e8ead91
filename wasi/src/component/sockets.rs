//! `wasi:sockets`, as far as versions agree: addresses, and options of sockets. Error codes are each version's own, made of the host's.

use super::cx::Cx;
use super::error::{Error, Fail};
use super::resources::{Entry, Handle};
use super::values::{FromVal, IntoVal, wit_enum, wrong_type};
use crate::host;
use crate::host::net::{Buffer, Connection, Family, UdpSocket};
use ampoule_component::{Val, ValRef};
use rustix::io::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

/// What succeeds, or with an error of the host's fails, as a version calls that.
pub type NetResult<T, E> = Result<T, Fail<E>>;

wit_enum!(
    /// `ip-address-family`
    IpAddressFamily {
        Ipv4 = "ipv4",
        Ipv6 = "ipv6",
    }
);

impl From<IpAddressFamily> for Family {
    fn from(family: IpAddressFamily) -> Self {
        match family {
            IpAddressFamily::Ipv4 => Self::Ipv4,
            IpAddressFamily::Ipv6 => Self::Ipv6,
        }
    }
}

impl From<Family> for IpAddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::Ipv4,
            Family::Ipv6 => Self::Ipv6,
        }
    }
}

fn address_val(address: IpAddr) -> Val {
    Val::tuple(match address {
        IpAddr::V4(address) => address.octets().map(Val::from).to_vec(),
        IpAddr::V6(address) => address.segments().map(Val::from).to_vec(),
    })
}

/// `ip-address`
#[derive(Clone, Copy, Debug)]
pub struct IpAddress(pub IpAddr);

impl IntoVal for IpAddress {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let case = if self.0.is_ipv4() { "ipv4" } else { "ipv6" };
        Ok(Some(Val::variant(case, Some(address_val(self.0)))))
    }
}

/// `ip-socket-address`
#[derive(Clone, Copy, Debug)]
pub struct IpSocketAddress(pub SocketAddr);

impl IntoVal for IpSocketAddress {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let address = ("address", address_val(self.0.ip()));
        let port = ("port", Val::from(self.0.port()));
        Ok(Some(match self.0 {
            SocketAddr::V4(_) => Val::variant("ipv4", Some(Val::record([port, address]))),
            SocketAddr::V6(v6) => {
                let flow_info = ("flow-info", Val::from(v6.flowinfo()));
                let scope_id = ("scope-id", Val::from(v6.scope_id()));
                Val::variant("ipv6", Some(Val::record([port, flow_info, address, scope_id])))
            }
        }))
    }
}

impl IpSocketAddress {
    fn of(val: &Val) -> Option<Self> {
        let ValRef::Variant(_, Some(record)) = val.get() else { return None };
        let ValRef::Record(fields) = record.get() else { return None };
        let numbers = |val: &Val| match val.get() {
            ValRef::Tuple(parts) => parts.iter().map(number).collect::<Option<Vec<u32>>>(),
            _ => None,
        };
        // Fits: the parts are of the types that `number` takes.
        match fields {
            [port, address] => {
                let octets: [u32; 4] = numbers(&address.val)?.try_into().ok()?;
                let ip = Ipv4Addr::from(octets.map(|octet| octet as u8));
                Some(Self(SocketAddrV4::new(ip, number(&port.val)? as u16).into()))
            }
            [port, flow_info, address, scope_id] => {
                let segments: [u32; 8] = numbers(&address.val)?.try_into().ok()?;
                let ip = Ipv6Addr::from(segments.map(|segment| segment as u16));
                let port = number(&port.val)? as u16;
                Some(Self(SocketAddrV6::new(ip, port, number(&flow_info.val)?, number(&scope_id.val)?).into()))
            }
            _ => None,
        }
    }
}

fn number(val: &Val) -> Option<u32> {
    match val.get() {
        ValRef::U8(number) => Some(number.into()),
        ValRef::U16(number) => Some(number.into()),
        ValRef::U32(number) => Some(number),
        _ => None,
    }
}

impl FromVal for IpSocketAddress {
    fn from_val(_: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        Self::of(val).ok_or_else(|| wrong_type("ip-socket-address"))
    }
}

/// Of an `option<ip-socket-address>`.
pub fn optional_address(val: &Val) -> Option<Option<IpSocketAddress>> {
    match val.get() {
        ValRef::Option(None) => Some(None),
        ValRef::Option(Some(address)) => Some(Some(IpSocketAddress::of(address)?)),
        _ => None,
    }
}

/// Whether an address is one for a socket of this family, to be bound to.
///
/// # Errors
/// `INVAL` where it isn't.
pub fn check_local(address: &SocketAddr, family: Family) -> Result<(), Errno> {
    let is_fine = match address.ip() {
        IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_multicast() && ip.to_ipv4_mapped().is_none(),
    };
    if Family::of(address) == family && is_fine { Ok(()) } else { Err(Errno::INVAL) }
}

/// Whether an address is one to send to.
///
/// # Errors
/// `INVAL` where it isn't.
pub fn check_remote(address: &SocketAddr, family: Family) -> Result<(), Errno> {
    let is_fine = !address.ip().is_unspecified() && address.port() != 0;
    let is_mapped = matches!(address.ip(), IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
    if Family::of(address) == family && is_fine && !is_mapped { Ok(()) } else { Err(Errno::INVAL) }
}

/// The error of connecting, where the host had to choose an address of its own and found none.
pub fn of_connecting(error: host::Error) -> host::Error {
    match error {
        host::Error::Os(Errno::ADDRNOTAVAIL | Errno::AGAIN) => Errno::ADDRINUSE.into(),
        error => error,
    }
}

/// A TCP socket of a version.
pub trait TcpEntry: Entry {
    /// The host's, unless it couldn't be connected.
    fn socket(&self) -> Option<(&Connection, Family)>;
}

/// A UDP socket of a version.
pub trait UdpEntry: Entry {
    /// The host's.
    fn socket(&self) -> (&UdpSocket, Family);
}

/// Runs what asks or sets an option of a socket that isn't closed.
fn with_tcp<T, S: TcpEntry, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: Handle<S>,
    run: impl FnOnce(&Connection, Family) -> Result<T, host::Error>,
) -> NetResult<T, E> {
    let (socket, family) = cx.entry(this)?.1.socket().ok_or(Errno::NOTCONN)?;
    Ok(run(socket, family)?)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// `tcp-socket.keep-alive-enabled`
pub fn keep_alive_enabled<S: TcpEntry, E: From<Errno>>(cx: &mut Cx<'_>, this: Handle<S>) -> NetResult<bool, E> {
    with_tcp(cx, this, |socket, _| socket.keep_alive())
}

/// `tcp-socket.set-keep-alive-enabled`
pub fn set_keep_alive_enabled<S: TcpEntry, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: Handle<S>,
    enabled: bool,
) -> NetResult<(), E> {
    with_tcp(cx, this, |socket, _| socket.set_keep_alive(enabled))
}

/// `tcp-socket.keep-alive-idle-time`
pub fn keep_alive_idle_time<S: TcpEntry, E: From<Errno>>(cx: &mut Cx<'_>, this: Handle<S>) -> NetResult<u64, E> {
    with_tcp(cx, this, |socket, _| socket.keep_alive_idle().map(nanoseconds))
}

/// `tcp-socket.set-keep-alive-idle-time`
pub fn set_keep_alive_idle_time<S: TcpEntry, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: Handle<S>,
    time: u64,
) -> NetResult<(), E> {
    with_tcp(cx, this, |socket, _| socket.set_keep_alive_idle(Duration::from_nanos(time)))
}

/// `tcp-socket.keep-alive-interval`
pub fn keep_alive_interval<S: TcpEntry, E: From<Errno>>(cx: &mut Cx<'_>, this: Handle<S>) -> NetResult<u64, E> {
    with_tcp(cx, this, |socket, _| socket.keep_alive_interval().map(nanoseconds))
}

/// `tcp-socket.set-keep-alive-interval`
pub fn set_keep_alive_interval<S: TcpEntry, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: Handle<S>,
    time: u64,
) -> NetResult<(), E> {
    with_tcp(cx, this, |socket, _| socket.set_keep_alive_interval(Duration::from_nanos(time)))
}

/// `tcp-socket.keep-alive-count`
pub fn keep_alive_count<S: TcpEntry, E: From<Errno>>(cx: &mut Cx<'_>, this: Handle<S>) -> NetResult<u32, E> {
    with_tcp(cx, this, |socket, _| socket.keep_alive_count())
}

/// `tcp-socket.set-keep-alive-count`
pub fn set_keep_alive_count<S: TcpEntry, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: Handle<S>,
    count: u32,
) -> NetResult<(), E> {
    with_tcp(cx, this, |socket, _| socket.set_keep_alive_count(count))
}

/// `tcp-socket.hop-limit`
pub fn tcp_hop_limit<S: TcpEntry, E: From<Errno>>(cx: &mut Cx<'_>, this: Handle<S>) -> NetResult<u8, E> {
    with_tcp(cx, this, |socket, family| socket.hop_limit(family))
}

/// `tcp-socket.set-hop-limit`
pub fn set_tcp_hop_limit<S: TcpEntry, E: From<Errno>>(cx: &mut Cx<'_>, this: Handle<S>, hops: u8) -> NetResult<(), E> {
    with_tcp(cx, this, |socket, family| socket.set_hop_limit(family, hops))
}

/// `tcp-socket.receive-buffer-size`
pub fn tcp_receive_buffer_size<S: TcpEntry, E: From<Errno>>(cx: &mut Cx<'_>, this: Handle<S>) -> NetResult<u64, E> {
    with_tcp(cx, this, |socket, _| socket.buffer_size(Buffer::Receive))
}

/// `tcp-socket.set-receive-buffer-size`
pub fn set_tcp_receive_buffer_size<S: TcpEntry, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: Handle<S>,
    size: u64,
) -> NetResult<(), E> {
    with_tcp(cx, this, |socket, _| socket.set_buffer_size(Buffer::Receive, size))
}

/// `tcp-socket.send-buffer-size`
pub fn tcp_send_buffer_size<S: TcpEntry, E: From<Errno>>(cx: &mut Cx<'_>, this: Handle<S>) -> NetResult<u64, E> {
    with_tcp(cx, this, |socket, _| socket.buffer_size(Buffer::Send))
}

/// `tcp-socket.set-send-buffer-size`
pub fn set_tcp_send_buffer_size<S: TcpEntry, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: Handle<S>,
    size: u64,
) -> NetResult<(), E> {
    with_tcp(cx, this, |socket, _| socket.set_buffer_size(Buffer::Send, size))
}

fn with_udp<T, S: UdpEntry, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: Handle<S>,
    run: impl FnOnce(&UdpSocket, Family) -> Result<T, host::Error>,
) -> NetResult<T, E> {
    let (socket, family) = cx.entry(this)?.1.socket();
    Ok(run(socket, family)?)
}

/// `udp-socket.unicast-hop-limit`
pub fn unicast_hop_limit<S: UdpEntry, E: From<Errno>>(cx: &mut Cx<'_>, this: Handle<S>) -> NetResult<u8, E> {
    with_udp(cx, this, |socket, family| socket.hop_limit(family))
}

/// `udp-socket.set-unicast-hop-limit`
pub fn set_unicast_hop_limit<S: UdpEntry, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: Handle<S>,
    hops: u8,
) -> NetResult<(), E> {
    with_udp(cx, this, |socket, family| socket.set_hop_limit(family, hops))
}

/// `udp-socket.receive-buffer-size`
pub fn udp_receive_buffer_size<S: UdpEntry, E: From<Errno>>(cx: &mut Cx<'_>, this: Handle<S>) -> NetResult<u64, E> {
    with_udp(cx, this, |socket, _| socket.buffer_size(Buffer::Receive))
}

/// `udp-socket.set-receive-buffer-size`
pub fn set_udp_receive_buffer_size<S: UdpEntry, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: Handle<S>,
    size: u64,
) -> NetResult<(), E> {
    with_udp(cx, this, |socket, _| socket.set_buffer_size(Buffer::Receive, size))
}

/// `udp-socket.send-buffer-size`
pub fn udp_send_buffer_size<S: UdpEntry, E: From<Errno>>(cx: &mut Cx<'_>, this: Handle<S>) -> NetResult<u64, E> {
    with_udp(cx, this, |socket, _| socket.buffer_size(Buffer::Send))
}

/// `udp-socket.set-send-buffer-size`
pub fn set_udp_send_buffer_size<S: UdpEntry, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: Handle<S>,
    size: u64,
) -> NetResult<(), E> {
    with_udp(cx, this, |socket, _| socket.set_buffer_size(Buffer::Send, size))
}
