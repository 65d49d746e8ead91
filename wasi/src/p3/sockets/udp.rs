//! `udp-socket`.

use super::{ErrorCode, NetResult, anywhere};
use crate::component::later::{Call, again};
use crate::component::resources::entries;
use crate::component::sockets::{IpAddressFamily, IpSocketAddress, UdpEntry, check_local, check_remote, of_connecting};
use crate::component::{Bytes, Cx, Error, Handle, Own};
use crate::host;
use crate::host::net::udp::MAX_DATAGRAM;
use crate::host::net::{Family, UdpSocket};
use crate::host::poll::Interest;
use rustix::io::Errno;
use std::net::SocketAddr;
use std::sync::Arc;

entries! {
    Socket = 26 "udp-socket",
}

/// `udp-socket`
#[derive(Debug)]
pub struct Socket {
    socket: Arc<UdpSocket>,
    family: Family,
    /// The address that it was given, with the port that the host chose.
    bound: Option<SocketAddr>,
    remote: Option<SocketAddr>,
}

impl Socket {
    /// Where it is bound, which it is now.
    fn bind_anywhere(&mut self) -> Result<SocketAddr, host::Error> {
        if let Some(bound) = self.bound {
            return Ok(bound);
        }
        let bound = self.socket.bind(&anywhere(self.family))?;
        self.bound = Some(bound);
        Ok(bound)
    }
}

impl UdpEntry for Socket {
    fn socket(&self) -> (&UdpSocket, Family) {
        (&self.socket, self.family)
    }
}

type Udp = Handle<Socket>;

/// `udp-socket.create`
pub fn create(cx: &mut Cx<'_>, family: IpAddressFamily) -> NetResult<Own<Socket>> {
    let (host, resources) = cx.parts();
    let token = resources.descriptor().ok_or(ErrorCode::Other)?;
    let family = family.into();
    let socket = UdpSocket::open(&host.network, family)?.into();
    Ok(Own::holding(Socket { socket, family, bound: None, remote: None }, Some(token)))
}

/// `udp-socket.bind`
pub fn bind(cx: &mut Cx<'_>, this: Udp, IpSocketAddress(address): IpSocketAddress) -> NetResult<()> {
    let entry = cx.entry(this)?.1;
    if entry.bound.is_some() {
        return Err(ErrorCode::InvalidState.into());
    }
    check_local(&address, entry.family)?;
    entry.bound = Some(entry.socket.bind(&address)?);
    Ok(())
}

/// `udp-socket.connect`
pub fn connect(cx: &mut Cx<'_>, this: Udp, IpSocketAddress(address): IpSocketAddress) -> NetResult<()> {
    let entry = cx.entry(this)?.1;
    check_remote(&address, entry.family)?;
    let bound = entry.bind_anywhere()?;
    if entry.remote.take().is_some() {
        entry.socket.set_remote(None, &bound)?;
    }
    entry.socket.set_remote(Some(&address), &bound).map_err(of_connecting)?;
    entry.remote = Some(address);
    Ok(())
}

/// `udp-socket.disconnect`
pub fn disconnect(cx: &mut Cx<'_>, this: Udp) -> NetResult<()> {
    let entry = cx.entry(this)?.1;
    let (Some(bound), Some(_)) = (entry.bound, entry.remote) else { return Err(ErrorCode::InvalidState.into()) };
    entry.socket.set_remote(None, &bound)?;
    entry.remote = None;
    Ok(())
}

/// `udp-socket.send`
pub async fn send(call: Call, this: Udp, Bytes(data): Bytes, to: Option<IpSocketAddress>) -> NetResult<()> {
    let (socket, to) = call.with(|cx| -> NetResult<_> {
        let entry = cx.entry(this)?.1;
        let to = to.map(|IpSocketAddress(address)| address);
        match (entry.remote, to) {
            (Some(remote), Some(to)) if remote != to => return Err(ErrorCode::InvalidArgument.into()),
            (None, None) => return Err(ErrorCode::InvalidArgument.into()),
            (None, Some(to)) => check_remote(&to, entry.family)?,
            (Some(_), _) => {}
        }
        if data.len() > MAX_DATAGRAM {
            return Err(ErrorCode::DatagramTooLarge.into());
        }
        entry.bind_anywhere()?;
        Ok((entry.socket.clone(), to.filter(|_| entry.remote.is_none())))
    })?;
    call.retry(|cx| -> NetResult<()> {
        match socket.send(&data, to.as_ref()) {
            Err(host::Error::Os(Errno::AGAIN | Errno::INTR)) => Ok(again(cx, Interest::Write(socket.readiness()))?),
            sent => Ok(sent?),
        }
    })
    .await
}

/// Datagrams of others that are skipped before others of the guest's have their turn.
const MAX_SKIPPED: usize = 16;

/// `udp-socket.receive`
pub async fn receive(call: Call, this: Udp) -> NetResult<(Bytes, IpSocketAddress)> {
    let socket = call.with(|cx| -> NetResult<_> {
        let entry = cx.entry(this)?.1;
        entry.bound.ok_or(ErrorCode::InvalidState)?;
        Ok(entry.socket.clone())
    })?;
    call.retry(|cx| -> NetResult<_> {
        let remote = cx.entry(this)?.1.remote;
        for _ in 0..MAX_SKIPPED {
            match socket.receive() {
                // What had arrived before the socket had a remote address may come from others.
                Ok((_, from)) if remote.is_some_and(|remote| remote != from) => {}
                Ok((data, from)) => return Ok((Bytes(data), IpSocketAddress(from))),
                Err(host::Error::Os(Errno::AGAIN | Errno::INTR)) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(again(cx, Interest::Read(socket.readiness()))?)
    })
    .await
}

/// `udp-socket.get-local-address`
pub fn local_address(cx: &mut Cx<'_>, this: Udp) -> NetResult<IpSocketAddress> {
    let entry = cx.entry(this)?.1;
    entry.bound.ok_or(ErrorCode::InvalidState)?;
    Ok(IpSocketAddress(entry.socket.local_address()?))
}

/// `udp-socket.get-remote-address`
pub fn remote_address(cx: &mut Cx<'_>, this: Udp) -> NetResult<IpSocketAddress> {
    Ok(cx.entry(this)?.1.remote.map(IpSocketAddress).ok_or(ErrorCode::InvalidState)?)
}

/// `udp-socket.get-address-family`
pub fn address_family(cx: &mut Cx<'_>, this: Udp) -> Result<IpAddressFamily, Error> {
    Ok(cx.entry(this)?.1.family.into())
}
