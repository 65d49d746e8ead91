//! `wasi:sockets`: addresses, TCP, UDP, names.
//!
//! Binding, connecting and listening are begun and finished by two calls, between which the host may take its time; only connecting
//! does. What the embedder doesn't let the guest do is `access-denied` where it begins: when a socket is made, a name looked up, or, where
//! only some addresses may be reached, one is to be.

use super::io::{Awaited, IoError, Origin, Pollable};
use crate::component::resources::entries;
use crate::component::sockets::{
    IpAddress, IpAddressFamily, IpSocketAddress, TcpEntry, UdpEntry, check_local, check_remote, of_connecting,
    optional_address,
};
use crate::component::values::{val_of, wit_enum, wrong_type};
use crate::component::{Bytes, Cx, Error, Fail, FromVal, Handle, IntoVal, Own};
use crate::host;
use crate::host::Host;
use crate::host::input::{InputStream, Source};
use crate::host::net::lookup::LookupError;
use crate::host::net::udp::MAX_DATAGRAM;
use crate::host::net::{Connection, Family, Lookup, UdpSocket};
use crate::host::output::{OutputStream, Sink};
use crate::host::poll::{Interest, Readiness};
use ampoule_component::{Val, ValRef};
use rustix::io::Errno;
use std::net::SocketAddr;
use std::sync::Arc;

entries! {
    Network = 6 "network",
    ResolveAddressStream = 7 "resolve-address-stream",
    TcpSocket = 8 "tcp-socket",
    UdpSocketEntry = 9 "udp-socket",
    IncomingDatagramStream = 10 "incoming-datagram-stream",
    OutgoingDatagramStream = 11 "outgoing-datagram-stream",
}

wit_enum!(
    /// `error-code`
    ErrorCode {
        Unknown = "unknown",
        AccessDenied = "access-denied",
        NotSupported = "not-supported",
        InvalidArgument = "invalid-argument",
        OutOfMemory = "out-of-memory",
        Timeout = "timeout",
        ConcurrencyConflict = "concurrency-conflict",
        NotInProgress = "not-in-progress",
        WouldBlock = "would-block",
        InvalidState = "invalid-state",
        NewSocketLimit = "new-socket-limit",
        AddressNotBindable = "address-not-bindable",
        AddressInUse = "address-in-use",
        RemoteUnreachable = "remote-unreachable",
        ConnectionRefused = "connection-refused",
        ConnectionReset = "connection-reset",
        ConnectionAborted = "connection-aborted",
        DatagramTooLarge = "datagram-too-large",
        NameUnresolvable = "name-unresolvable",
        TemporaryResolverFailure = "temporary-resolver-failure",
        PermanentResolverFailure = "permanent-resolver-failure",
    }
);

impl From<Errno> for ErrorCode {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ACCESS | Errno::PERM => Self::AccessDenied,
            Errno::NOTSUP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::NOPROTOOPT => Self::NotSupported,
            Errno::INVAL | Errno::DESTADDRREQ => Self::InvalidArgument,
            Errno::NOMEM | Errno::NOBUFS => Self::OutOfMemory,
            Errno::TIMEDOUT => Self::Timeout,
            Errno::ALREADY => Self::ConcurrencyConflict,
            Errno::AGAIN | Errno::INPROGRESS | Errno::INTR => Self::WouldBlock,
            Errno::ISCONN | Errno::NOTCONN => Self::InvalidState,
            Errno::MFILE | Errno::NFILE => Self::NewSocketLimit,
            Errno::ADDRNOTAVAIL => Self::AddressNotBindable,
            Errno::ADDRINUSE => Self::AddressInUse,
            Errno::HOSTUNREACH | Errno::HOSTDOWN | Errno::NETUNREACH | Errno::NETDOWN | Errno::NONET => {
                Self::RemoteUnreachable
            }
            Errno::CONNREFUSED => Self::ConnectionRefused,
            Errno::CONNRESET | Errno::NETRESET | Errno::PIPE => Self::ConnectionReset,
            Errno::CONNABORTED => Self::ConnectionAborted,
            Errno::MSGSIZE => Self::DatagramTooLarge,
            _ => Self::Unknown,
        }
    }
}

type NetResult<T> = Result<T, Fail<ErrorCode>>;

impl From<ErrorCode> for Fail<ErrorCode> {
    fn from(code: ErrorCode) -> Self {
        Self::Err(code)
    }
}

/// `network`: the host's. What a guest may do there is the embedder's choice, whoever has this.
#[derive(Debug)]
pub struct Network;

/// `instance-network.instance-network`
pub fn instance_network(_: &mut Cx<'_>) -> Result<Own<Network>, Error> {
    Ok(Own::new(Network))
}

/// `network.network-error-code`
pub fn network_error_code(cx: &mut Cx<'_>, error: Handle<IoError>) -> Result<Option<ErrorCode>, Error> {
    let error = cx.entry(error)?.1;
    Ok(match (error.origin, error.error) {
        (Origin::File, _) | (_, host::Error::Interrupted | host::Error::MustWait | host::Error::Http(_)) => None,
        (Origin::Socket, host::Error::Os(errno)) => Some(errno.into()),
        (Origin::Socket, host::Error::NotPermitted) => Some(ErrorCode::AccessDenied),
    })
}

/// `resolve-address-stream`
#[derive(Debug)]
pub struct ResolveAddressStream(Lookup);

impl Awaited for ResolveAddressStream {
    fn interest<'a>(&'a self, _: &'a Host) -> Interest<'a> {
        Interest::Read(self.0.readiness())
    }
}

/// `ip-name-lookup.resolve-addresses`
pub fn resolve_addresses(
    cx: &mut Cx<'_>,
    network: Handle<Network>,
    name: String,
) -> NetResult<Own<ResolveAddressStream>> {
    cx.entry(network)?;
    let (host, resources) = cx.parts();
    let lookup = Lookup::start(&host.network, &name, &resources.lookups)?;
    Ok(Own::new(ResolveAddressStream(lookup)))
}

/// `resolve-address-stream.resolve-next-address`
pub fn resolve_next_address(cx: &mut Cx<'_>, this: Handle<ResolveAddressStream>) -> NetResult<Option<IpAddress>> {
    match cx.entry(this)?.1.0.next_address() {
        Ok(address) => Ok(address.map(IpAddress)),
        Err(None) => Err(ErrorCode::WouldBlock.into()),
        Err(Some(LookupError::NotFound)) => Err(ErrorCode::NameUnresolvable.into()),
        Err(Some(LookupError::Temporary)) => Err(ErrorCode::TemporaryResolverFailure.into()),
    }
}

/// `resolve-address-stream.subscribe`
pub fn subscribe_lookup(cx: &mut Cx<'_>, this: Handle<ResolveAddressStream>) -> Result<Own<Pollable>, Error> {
    cx.entry(this)?;
    Ok(Pollable::on(this))
}

/// Where a socket is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Unbound,
    Binding,
    Bound,
    Connecting,
    Connected,
    ListenStarted,
    Listening,
    /// It couldn't be connected.
    Closed,
}

/// `tcp-socket`
#[derive(Debug)]
pub struct TcpSocket {
    connection: Arc<Connection>,
    family: Family,
    state: State,
    backlog: i32,
}

/// How many connections wait to be accepted, unless the guest wishes otherwise. The host has its own bound.
const BACKLOG: i32 = 128;

impl TcpEntry for TcpSocket {
    fn socket(&self) -> Option<(&Connection, Family)> {
        (self.state != State::Closed).then_some((&*self.connection, self.family))
    }
}

impl Awaited for TcpSocket {
    fn interest<'a>(&'a self, _: &'a Host) -> Interest<'a> {
        match self.state {
            State::Connecting => Interest::Write(self.connection.write_readiness()),
            State::Listening => Interest::Read(self.connection.read_readiness()),
            _ => Interest::Read(Readiness::Now(1)),
        }
    }
}

impl TcpSocket {
    /// Goes from one state to another, which a call begins or finishes.
    fn require(&self, states: &[State]) -> Result<(), ErrorCode> {
        if states.contains(&self.state) { Ok(()) } else { Err(ErrorCode::InvalidState) }
    }

    fn finish(&mut self, begun: State, then: State) -> Result<(), ErrorCode> {
        if self.state != begun {
            return Err(ErrorCode::NotInProgress);
        }
        self.state = then;
        Ok(())
    }

    fn streams(&self) -> (InputStream, OutputStream) {
        let connection = &self.connection;
        (
            InputStream::new(Source::Connection(connection.clone())),
            OutputStream::new(Sink::Connection(connection.clone())),
        )
    }
}

type Tcp = Handle<TcpSocket>;

/// `tcp-create-socket.create-tcp-socket`
pub fn create_tcp_socket(cx: &mut Cx<'_>, family: IpAddressFamily) -> NetResult<Own<TcpSocket>> {
    let (host, resources) = cx.parts();
    let token = resources.descriptor().ok_or(ErrorCode::NewSocketLimit)?;
    let connection = Connection::open(&host.network, family.into())?;
    let socket =
        TcpSocket { connection: connection.into(), family: family.into(), state: State::Unbound, backlog: BACKLOG };
    Ok(Own::holding(socket, Some(token)))
}

/// `tcp-socket.start-bind`
pub fn tcp_start_bind(
    cx: &mut Cx<'_>,
    this: Tcp,
    network: Handle<Network>,
    IpSocketAddress(address): IpSocketAddress,
) -> NetResult<()> {
    cx.entry(network)?;
    let socket = cx.entry(this)?.1;
    socket.require(&[State::Unbound])?;
    check_local(&address, socket.family)?;
    socket.connection.bind(&address)?;
    socket.state = State::Binding;
    Ok(())
}

/// `tcp-socket.finish-bind`
pub fn tcp_finish_bind(cx: &mut Cx<'_>, this: Tcp) -> NetResult<()> {
    Ok(cx.entry(this)?.1.finish(State::Binding, State::Bound)?)
}

/// `tcp-socket.start-connect`
pub fn tcp_start_connect(
    cx: &mut Cx<'_>,
    this: Tcp,
    network: Handle<Network>,
    IpSocketAddress(address): IpSocketAddress,
) -> NetResult<()> {
    cx.entry(network)?;
    let socket = cx.entry(this)?.1;
    socket.require(&[State::Unbound, State::Bound])?;
    check_remote(&address, socket.family)?;
    check_local(&address, socket.family)?;
    socket.state = State::Closed;
    socket.connection.start_connect(&address).map_err(of_connecting)?;
    socket.state = State::Connecting;
    Ok(())
}

/// `tcp-socket.finish-connect`
pub fn tcp_finish_connect(cx: &mut Cx<'_>, this: Tcp) -> NetResult<(Own<InputStream>, Own<OutputStream>)> {
    let socket = cx.entry(this)?.1;
    if socket.state != State::Connecting {
        return Err(ErrorCode::NotInProgress.into());
    }
    match socket.connection.connected() {
        Ok(()) => socket.state = State::Connected,
        Err(host::Error::Os(Errno::AGAIN | Errno::INTR)) => return Err(ErrorCode::WouldBlock.into()),
        Err(error) => {
            socket.state = State::Closed;
            return Err(of_connecting(error).into());
        }
    }
    let (input, output) = socket.streams();
    let token = cx.parts().1.token(this.rep());
    Ok((Own::holding(input, token.clone()), Own::holding(output, token)))
}

/// `tcp-socket.start-listen`
pub fn start_listen(cx: &mut Cx<'_>, this: Tcp) -> NetResult<()> {
    let socket = cx.entry(this)?.1;
    socket.require(&[State::Bound])?;
    socket.connection.listen(socket.backlog)?;
    socket.state = State::ListenStarted;
    Ok(())
}

/// `tcp-socket.finish-listen`
pub fn finish_listen(cx: &mut Cx<'_>, this: Tcp) -> NetResult<()> {
    Ok(cx.entry(this)?.1.finish(State::ListenStarted, State::Listening)?)
}

/// `tcp-socket.accept`
pub fn accept(cx: &mut Cx<'_>, this: Tcp) -> NetResult<(Own<TcpSocket>, Own<InputStream>, Own<OutputStream>)> {
    let token = cx.parts().1.descriptor();
    let socket = cx.entry(this)?.1;
    socket.require(&[State::Listening])?;
    let token = Some(token.ok_or(ErrorCode::NewSocketLimit)?);
    let connection = Arc::new(socket.connection.accept()?);
    let accepted = TcpSocket { connection, family: socket.family, state: State::Connected, backlog: BACKLOG };
    let (input, output) = accepted.streams();
    Ok((Own::holding(accepted, token.clone()), Own::holding(input, token.clone()), Own::holding(output, token)))
}

/// `tcp-socket.local-address`
pub fn tcp_local_address(cx: &mut Cx<'_>, this: Tcp) -> NetResult<IpSocketAddress> {
    let socket = cx.entry(this)?.1;
    if matches!(socket.state, State::Unbound | State::Binding | State::Closed) {
        return Err(ErrorCode::InvalidState.into());
    }
    Ok(IpSocketAddress(socket.connection.local_address()?))
}

/// `tcp-socket.remote-address`
pub fn tcp_remote_address(cx: &mut Cx<'_>, this: Tcp) -> NetResult<IpSocketAddress> {
    let socket = cx.entry(this)?.1;
    socket.require(&[State::Connected])?;
    Ok(IpSocketAddress(socket.connection.remote_address()?))
}

/// `tcp-socket.is-listening`
pub fn is_listening(cx: &mut Cx<'_>, this: Tcp) -> Result<bool, Error> {
    Ok(cx.entry(this)?.1.state == State::Listening)
}

/// `tcp-socket.address-family`
pub fn tcp_address_family(cx: &mut Cx<'_>, this: Tcp) -> Result<IpAddressFamily, Error> {
    Ok(cx.entry(this)?.1.family.into())
}

/// `tcp-socket.set-listen-backlog-size`
pub fn set_listen_backlog_size(cx: &mut Cx<'_>, this: Tcp, size: u64) -> NetResult<()> {
    let socket = cx.entry(this)?.1;
    if size == 0 {
        return Err(ErrorCode::InvalidArgument.into());
    }
    let size = i32::try_from(size).unwrap_or(i32::MAX);
    match socket.state {
        State::Connecting | State::Connected | State::Closed => return Err(ErrorCode::InvalidState.into()),
        State::ListenStarted | State::Listening => socket.connection.listen(size)?,
        State::Unbound | State::Binding | State::Bound => {}
    }
    socket.backlog = size;
    Ok(())
}

/// `tcp-socket.subscribe`
pub fn subscribe_tcp(cx: &mut Cx<'_>, this: Tcp) -> Result<Own<Pollable>, Error> {
    cx.entry(this)?;
    Ok(Pollable::on(this))
}

wit_enum!(
    /// `shutdown-type`
    ShutdownType {
        Receive = "receive",
        Send = "send",
        Both = "both",
    }
);

/// `tcp-socket.shutdown`
pub fn shutdown(cx: &mut Cx<'_>, this: Tcp, ty: ShutdownType) -> NetResult<()> {
    let socket = cx.entry(this)?.1;
    socket.require(&[State::Connected])?;
    match socket.connection.shutdown(ty != ShutdownType::Send, ty != ShutdownType::Receive) {
        // The other side has gone already, and with it both directions.
        Err(host::Error::Os(Errno::NOTCONN)) => Ok(()),
        result => Ok(result?),
    }
}

/// `udp-socket`
#[derive(Debug)]
pub struct UdpSocketEntry {
    socket: Arc<UdpSocket>,
    family: Family,
    state: State,
    /// The address that it was given, with the port that the host chose.
    bound: Option<SocketAddr>,
    remote: Option<SocketAddr>,
}

impl UdpEntry for UdpSocketEntry {
    fn socket(&self) -> (&UdpSocket, Family) {
        (&self.socket, self.family)
    }
}

impl Awaited for UdpSocketEntry {
    fn interest<'a>(&'a self, _: &'a Host) -> Interest<'a> {
        Interest::Write(self.socket.readiness())
    }
}

impl UdpSocketEntry {
    fn check_bound(&self) -> Result<SocketAddr, ErrorCode> {
        self.bound.filter(|_| self.state == State::Bound).ok_or(ErrorCode::InvalidState)
    }
}

type Udp = Handle<UdpSocketEntry>;

/// `udp-create-socket.create-udp-socket`
pub fn create_udp_socket(cx: &mut Cx<'_>, family: IpAddressFamily) -> NetResult<Own<UdpSocketEntry>> {
    let (host, resources) = cx.parts();
    let token = resources.descriptor().ok_or(ErrorCode::NewSocketLimit)?;
    let family = family.into();
    let socket = UdpSocket::open(&host.network, family)?.into();
    Ok(Own::holding(UdpSocketEntry { socket, family, state: State::Unbound, bound: None, remote: None }, Some(token)))
}

/// `udp-socket.start-bind`
pub fn udp_start_bind(
    cx: &mut Cx<'_>,
    this: Udp,
    network: Handle<Network>,
    IpSocketAddress(address): IpSocketAddress,
) -> NetResult<()> {
    cx.entry(network)?;
    let entry = cx.entry(this)?.1;
    if entry.state != State::Unbound {
        return Err(ErrorCode::InvalidState.into());
    }
    check_local(&address, entry.family)?;
    entry.bound = Some(entry.socket.bind(&address)?);
    entry.state = State::Binding;
    Ok(())
}

/// `udp-socket.finish-bind`
pub fn udp_finish_bind(cx: &mut Cx<'_>, this: Udp) -> NetResult<()> {
    let entry = cx.entry(this)?.1;
    if entry.state != State::Binding {
        return Err(ErrorCode::NotInProgress.into());
    }
    entry.state = State::Bound;
    Ok(())
}

/// `incoming-datagram-stream`
#[derive(Debug)]
pub struct IncomingDatagramStream {
    socket: Arc<UdpSocket>,
    remote: Option<SocketAddr>,
}

/// `outgoing-datagram-stream`
#[derive(Debug)]
pub struct OutgoingDatagramStream {
    socket: Arc<UdpSocket>,
    family: Family,
    remote: Option<SocketAddr>,
    /// How many datagrams the next call may send.
    permitted: usize,
}

impl Awaited for IncomingDatagramStream {
    fn interest<'a>(&'a self, _: &'a Host) -> Interest<'a> {
        Interest::Read(self.socket.readiness())
    }
}

impl Awaited for OutgoingDatagramStream {
    fn interest<'a>(&'a self, _: &'a Host) -> Interest<'a> {
        Interest::Write(self.socket.readiness())
    }
}

/// Datagrams that one call receives or sends.
const MAX_DATAGRAMS: usize = 16;

/// `udp-socket.stream`
pub fn stream(
    cx: &mut Cx<'_>,
    this: Udp,
    remote: Option<IpSocketAddress>,
) -> NetResult<(Own<IncomingDatagramStream>, Own<OutgoingDatagramStream>)> {
    let entry = cx.entry(this)?.1;
    let bound = entry.check_bound()?;
    let remote = remote.map(|IpSocketAddress(address)| address);
    if let Some(remote) = &remote {
        check_remote(remote, entry.family)?;
    }
    // The streams of the last time would exchange datagrams with another address than theirs.
    if Arc::strong_count(&entry.socket) > 1 {
        return Err(Error::message("the streams of a UDP socket haven't been dropped yet").into());
    }
    if remote.is_some() || entry.remote.is_some() {
        entry.socket.set_remote(remote.as_ref(), &bound).map_err(of_connecting)?;
        entry.remote = remote;
    }
    let incoming = IncomingDatagramStream { socket: entry.socket.clone(), remote };
    let outgoing = OutgoingDatagramStream { socket: entry.socket.clone(), family: entry.family, remote, permitted: 0 };
    let token = cx.parts().1.token(this.rep());
    Ok((Own::holding(incoming, token.clone()), Own::holding(outgoing, token)))
}

/// `udp-socket.local-address`
pub fn udp_local_address(cx: &mut Cx<'_>, this: Udp) -> NetResult<IpSocketAddress> {
    let entry = cx.entry(this)?.1;
    entry.check_bound()?;
    Ok(IpSocketAddress(entry.socket.local_address()?))
}

/// `udp-socket.remote-address`
pub fn udp_remote_address(cx: &mut Cx<'_>, this: Udp) -> NetResult<IpSocketAddress> {
    Ok(cx.entry(this)?.1.remote.map(IpSocketAddress).ok_or(ErrorCode::InvalidState)?)
}

/// `udp-socket.address-family`
pub fn udp_address_family(cx: &mut Cx<'_>, this: Udp) -> Result<IpAddressFamily, Error> {
    Ok(cx.entry(this)?.1.family.into())
}

/// `udp-socket.subscribe`
pub fn subscribe_udp(cx: &mut Cx<'_>, this: Udp) -> Result<Own<Pollable>, Error> {
    cx.entry(this)?;
    Ok(Pollable::on(this))
}

/// `incoming-datagram`
#[derive(Debug)]
pub struct IncomingDatagram {
    data: Vec<u8>,
    from: SocketAddr,
}

impl IntoVal for IncomingDatagram {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let from = val_of(IpSocketAddress(self.from), cx)?;
        Ok(Some(Val::record([("data", val_of(Bytes(self.data), cx)?), ("remote-address", from)])))
    }
}

/// `incoming-datagram-stream.receive`
pub fn receive(
    cx: &mut Cx<'_>,
    this: Handle<IncomingDatagramStream>,
    max_results: u64,
) -> NetResult<Vec<IncomingDatagram>> {
    let stream = cx.entry(this)?.1;
    let mut datagrams = Vec::new();
    // Those that are skipped count, too: they may come faster than they are skipped.
    for _ in 0..max_results.min(MAX_DATAGRAMS as u64) {
        match stream.socket.receive() {
            // What had arrived before the socket had a remote address may come from others.
            Ok((_, from)) if stream.remote.is_some_and(|remote| remote != from) => {}
            Ok((data, from)) => datagrams.push(IncomingDatagram { data, from }),
            Err(host::Error::Os(Errno::AGAIN | Errno::INTR)) => break,
            // Told the next time, if it is still so.
            Err(_) if !datagrams.is_empty() => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(datagrams)
}

/// `incoming-datagram-stream.subscribe`
pub fn subscribe_incoming(cx: &mut Cx<'_>, this: Handle<IncomingDatagramStream>) -> Result<Own<Pollable>, Error> {
    cx.entry(this)?;
    Ok(Pollable::on(this))
}

/// `outgoing-datagram-stream.check-send`
pub fn check_send(cx: &mut Cx<'_>, this: Handle<OutgoingDatagramStream>) -> NetResult<u64> {
    let is_ready = super::io::is_ready(cx, Pollable::of(this))?;
    let stream = cx.entry(this)?.1;
    stream.permitted = if is_ready { MAX_DATAGRAMS } else { 0 };
    Ok(stream.permitted as u64)
}

/// A list of `outgoing-datagram`.
#[derive(Debug)]
pub struct OutgoingDatagrams(Vec<(Vec<u8>, Option<IpSocketAddress>)>);

impl FromVal for OutgoingDatagrams {
    fn from_val(_: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        let datagram = |val: &Val| match val.get() {
            ValRef::Record([data, remote]) => match data.val.get() {
                // What is cut is too large anyway.
                ValRef::String(data) => {
                    Some((data[..data.len().min(MAX_DATAGRAM)].to_vec(), optional_address(&remote.val)?))
                }
                _ => None,
            },
            _ => None,
        };
        let datagrams = match val.get() {
            ValRef::List(datagrams) if datagrams.len() > MAX_DATAGRAMS => {
                return Err(too_many(datagrams.len(), MAX_DATAGRAMS));
            }
            ValRef::List(datagrams) => datagrams.iter().map(datagram).collect::<Option<Vec<_>>>(),
            _ => None,
        };
        datagrams.map(Self).ok_or_else(|| wrong_type("list<outgoing-datagram>"))
    }
}

#[cold]
fn too_many(count: usize, permitted: usize) -> Error {
    Error::message(format!("{count} datagrams exceed the permitted {permitted}"))
}

/// `outgoing-datagram-stream.send`
pub fn send(
    cx: &mut Cx<'_>,
    this: Handle<OutgoingDatagramStream>,
    OutgoingDatagrams(datagrams): OutgoingDatagrams,
) -> NetResult<u64> {
    let stream = cx.entry(this)?.1;
    if datagrams.len() > stream.permitted {
        let permitted = stream.permitted;
        return Err(too_many(datagrams.len(), permitted).into());
    }
    stream.permitted = 0;
    let mut sent = 0;
    for (data, to) in datagrams {
        match send_one(stream, &data, to.map(|IpSocketAddress(address)| address)) {
            Ok(()) => sent += 1,
            Err(Fail::Err(ErrorCode::WouldBlock)) => break,
            // Met again by the next call.
            Err(_) if sent > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

fn send_one(stream: &OutgoingDatagramStream, data: &[u8], to: Option<SocketAddr>) -> NetResult<()> {
    match (stream.remote, to) {
        (Some(remote), Some(to)) if remote != to => return Err(ErrorCode::InvalidArgument.into()),
        (None, None) => return Err(ErrorCode::InvalidArgument.into()),
        (None, Some(to)) => check_remote(&to, stream.family)?,
        (Some(_), _) => {}
    }
    let to = if stream.remote.is_some() { None } else { to.as_ref() };
    Ok(stream.socket.send(data, to)?)
}

/// `outgoing-datagram-stream.subscribe`
pub fn subscribe_outgoing(cx: &mut Cx<'_>, this: Handle<OutgoingDatagramStream>) -> Result<Own<Pollable>, Error> {
    cx.entry(this)?;
    Ok(Pollable::on(this))
}
