//! `tcp-socket`.

use super::{ErrorCode, NetResult, anywhere};
use crate::component::later::{Call, again};
use crate::component::resources::{Token, entries};
use crate::component::sockets::{IpAddressFamily, IpSocketAddress, TcpEntry, check_local, check_remote, of_connecting};
use crate::component::values::{val_of, wrong_type};
use crate::component::{Cx, Error, Handle, IntoVal, Own};
use crate::host;
use crate::host::available::RETRY;
use crate::host::input::{InputStream, Source};
use crate::host::net::{Connection, Family};
use crate::host::output::{OutputStream, Sink};
use crate::host::poll::Interest;
use crate::p3::streams::{self, Bytes, Ending, Filled, Line, Reads, Writes};
use ampoule_component::Val;
use ampoule_component::streams::{Destination, Flow, Producer, StreamReader};
use ampoule_component::types::ValType;
use rustix::io::Errno;
use std::sync::Arc;
use std::task::{Context, Poll};

entries! {
    TcpSocket = 25 "tcp-socket",
}

/// Where a socket is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Unbound,
    Bound,
    /// For ever, where the guest has given up to wait for it.
    Connecting,
    Connected,
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
    /// Whether `send` and `receive` have been called.
    sends: bool,
    receives: bool,
}

/// How many connections wait to be accepted, unless the guest wishes otherwise. The host has its own bound.
const BACKLOG: i32 = 128;

impl TcpSocket {
    fn new(connection: Connection, family: Family, state: State) -> Self {
        Self { connection: connection.into(), family, state, backlog: BACKLOG, sends: false, receives: false }
    }

    fn require(&self, states: &[State]) -> Result<(), ErrorCode> {
        if states.contains(&self.state) { Ok(()) } else { Err(ErrorCode::InvalidState) }
    }
}

impl TcpEntry for TcpSocket {
    fn socket(&self) -> Option<(&Connection, Family)> {
        (self.state != State::Closed).then_some((&*self.connection, self.family))
    }
}

type Tcp = Handle<TcpSocket>;

/// `tcp-socket.create`
pub fn create(cx: &mut Cx<'_>, family: IpAddressFamily) -> NetResult<Own<TcpSocket>> {
    let (host, resources) = cx.parts();
    let token = resources.descriptor().ok_or(ErrorCode::Other)?;
    let socket = TcpSocket::new(Connection::open(&host.network, family.into())?, family.into(), State::Unbound);
    Ok(Own::holding(socket, Some(token)))
}

/// `tcp-socket.bind`
pub fn bind(cx: &mut Cx<'_>, this: Tcp, IpSocketAddress(address): IpSocketAddress) -> NetResult<()> {
    let socket = cx.entry(this)?.1;
    socket.require(&[State::Unbound])?;
    check_local(&address, socket.family)?;
    socket.connection.bind(&address)?;
    socket.state = State::Bound;
    Ok(())
}

/// `tcp-socket.connect`
pub async fn connect(call: Call, this: Tcp, IpSocketAddress(address): IpSocketAddress) -> NetResult<()> {
    let connection = call.with(|cx| -> NetResult<_> {
        let socket = cx.entry(this)?.1;
        socket.require(&[State::Unbound, State::Bound])?;
        check_remote(&address, socket.family)?;
        check_local(&address, socket.family)?;
        socket.state = State::Closed;
        socket.connection.start_connect(&address).map_err(of_connecting)?;
        socket.state = State::Connecting;
        Ok(socket.connection.clone())
    })?;
    let connected = call
        .retry(|cx| -> Result<Result<(), host::Error>, Error> {
            match connection.connected() {
                Err(host::Error::Os(Errno::AGAIN | Errno::INTR)) => {
                    again(cx, Interest::Write(connection.write_readiness()))
                }
                done => Ok(done),
            }
        })
        .await?;
    call.with(|cx| -> NetResult<()> {
        cx.entry(this)?.1.state = if connected.is_ok() { State::Connected } else { State::Closed };
        Ok(connected.map_err(of_connecting)?)
    })
}

/// `tcp-socket.listen`
pub fn listen(cx: &mut Cx<'_>, this: Tcp) -> NetResult<Listening> {
    let socket = cx.entry(this)?.1;
    socket.require(&[State::Unbound, State::Bound])?;
    if socket.state == State::Unbound {
        socket.connection.bind(&anywhere(socket.family))?;
        socket.state = State::Bound;
    }
    socket.connection.listen(socket.backlog)?;
    socket.state = State::Listening;
    let (connection, family) = (socket.connection.clone(), socket.family);
    let token = cx.parts().1.token(this.rep());
    Ok(Listening(Accepts { connection, family, line: Line::new(cx, token, streams::Unheard)? }))
}

/// The connections to a socket: `stream<tcp-socket>`.
pub struct Listening(Accepts);

impl IntoVal for Listening {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let Some(ValType::Result(result)) = cx.ty()?.result() else { return Err(wrong_type("result")) };
        let Some(ValType::Stream(payload)) = result.ok() else { return Err(wrong_type("stream")) };
        Ok(Some(Val::from(StreamReader::new(cx.store(), Option::clone(payload), self.0)?)))
    }
}

/// Accepts connections for the guest, when it reads the stream: none is accepted that nobody has asked for.
struct Accepts {
    connection: Arc<Connection>,
    family: Family,
    line: Line,
}

/// Connections that one read accepts at most.
const MAX_ACCEPTED: usize = 16;

/// What came of an attempt to accept a connection.
enum Attempt {
    Accepted(Val),
    /// There may be another one.
    Failed,
    NotYet,
    /// Not before the host or the guest has closed something.
    Full,
    Over,
}

impl Accepts {
    fn attempt(&self, cx: &mut Cx<'_>) -> Result<Attempt, Error> {
        let Some(token) = cx.parts().1.descriptor() else { return Ok(Attempt::Full) };
        Ok(match self.connection.accept() {
            Ok(accepted) => Attempt::Accepted(self.accepted(cx, accepted, token)?),
            Err(host::Error::Os(Errno::AGAIN | Errno::INTR)) => Attempt::NotYet,
            Err(host::Error::Os(Errno::CONNABORTED)) => Attempt::Failed,
            Err(host::Error::Os(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS)) => Attempt::Full,
            Err(_) => Attempt::Over,
        })
    }

    fn accepted(&self, cx: &mut Cx<'_>, accepted: Connection, token: Token) -> Result<Val, Error> {
        val_of(Own::holding(TcpSocket::new(accepted, self.family, State::Connected), Some(token)), cx)
    }
}

impl Producer for Accepts {
    fn poll_produce(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Destination<'_>,
    ) -> Poll<Result<Flow, ampoule::Error>> {
        let mut given = 0;
        for _ in 0..MAX_ACCEPTED {
            if into.remaining() == 0 {
                return Poll::Ready(Ok(Flow::More));
            }
            let attempt = streams::in_poll(into.store(), |cx| self.attempt(cx))?;
            let is_full = match attempt {
                Attempt::Accepted(socket) => {
                    into.push(socket)?;
                    given += 1;
                    continue;
                }
                Attempt::Failed => continue,
                Attempt::NotYet | Attempt::Full | Attempt::Over if given > 0 => break,
                Attempt::Over => return Poll::Ready(Ok(Flow::End)),
                Attempt::NotYet => false,
                Attempt::Full => true,
            };
            let connection = &self.connection;
            let waited = self.line.wait(into.store(), context, |cx| {
                if is_full {
                    return Ok(cx.host().waiter.wait_for(None, Some(RETRY))?);
                }
                Ok(cx.wait_for(Interest::Read(connection.read_readiness()))?)
            });
            match waited {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if given > 0 {
            return Poll::Ready(Ok(Flow::More));
        }
        // Others have their turn.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// `tcp-socket.send`
pub fn send(cx: &mut Cx<'_>, this: Tcp, data: Bytes) -> Result<Ending<ErrorCode>, Error> {
    let socket = cx.entry(this)?.1;
    if socket.state != State::Connected || std::mem::replace(&mut socket.sends, true) {
        return Ok(Ending::known(Err(ErrorCode::InvalidState)));
    }
    let connection = socket.connection.clone();
    let token = cx.parts().1.token(this.rep());
    let (ends, ending) = Ending::new();
    let output = OutputStream::new(Sink::Connection(connection.clone()));
    let writes = Writes::new(cx, output, token, ends)?.then(move || match connection.shutdown(false, true) {
        // The other side has gone already, and with it both directions.
        Err(host::Error::Os(Errno::NOTCONN)) => Ok(()),
        shut => shut,
    });
    writes.begin(cx, data)?;
    Ok(ending)
}

/// `tcp-socket.receive`
pub fn receive(cx: &mut Cx<'_>, this: Tcp) -> Result<Filled<ErrorCode>, Error> {
    let socket = cx.entry(this)?.1;
    if socket.state != State::Connected || std::mem::replace(&mut socket.receives, true) {
        return Ok(Filled::failed(ErrorCode::InvalidState));
    }
    let connection = socket.connection.clone();
    let token = cx.parts().1.token(this.rep());
    let (ends, ending) = Ending::new();
    let input = InputStream::new(Source::Connection(connection.clone()));
    let reads = Reads::new(cx, input, token, ends)?;
    Ok(Filled::new(Receives { reads, connection }, ending))
}

/// Receives for the guest. That the guest drops the stream shuts the way in.
struct Receives {
    reads: Reads,
    connection: Arc<Connection>,
}

impl Producer for Receives {
    fn poll_produce(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Destination<'_>,
    ) -> Poll<Result<Flow, ampoule::Error>> {
        self.reads.poll_produce(context, into)
    }
}

impl Drop for Receives {
    fn drop(&mut self) {
        // Where it is shut or gone already, that is as well.
        let _ = self.connection.shutdown(true, false);
    }
}

/// `tcp-socket.get-local-address`
pub fn local_address(cx: &mut Cx<'_>, this: Tcp) -> NetResult<IpSocketAddress> {
    let socket = cx.entry(this)?.1;
    socket.require(&[State::Bound, State::Connecting, State::Connected, State::Listening])?;
    Ok(IpSocketAddress(socket.connection.local_address()?))
}

/// `tcp-socket.get-remote-address`
pub fn remote_address(cx: &mut Cx<'_>, this: Tcp) -> NetResult<IpSocketAddress> {
    let socket = cx.entry(this)?.1;
    socket.require(&[State::Connected])?;
    Ok(IpSocketAddress(socket.connection.remote_address()?))
}

/// `tcp-socket.get-is-listening`
pub fn is_listening(cx: &mut Cx<'_>, this: Tcp) -> Result<bool, Error> {
    Ok(cx.entry(this)?.1.state == State::Listening)
}

/// `tcp-socket.get-address-family`
pub fn address_family(cx: &mut Cx<'_>, this: Tcp) -> Result<IpAddressFamily, Error> {
    Ok(cx.entry(this)?.1.family.into())
}

/// `tcp-socket.set-listen-backlog-size`
pub fn set_listen_backlog_size(cx: &mut Cx<'_>, this: Tcp, size: u64) -> NetResult<()> {
    let socket = cx.entry(this)?.1;
    if size == 0 {
        return Err(ErrorCode::InvalidArgument.into());
    }
    let size = i32::try_from(size).unwrap_or(i32::MAX);
    socket.require(&[State::Unbound, State::Bound, State::Listening])?;
    if socket.state == State::Listening {
        socket.connection.listen(size)?;
    }
    socket.backlog = size;
    Ok(())
}
