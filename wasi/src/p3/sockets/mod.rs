//! `wasi:sockets`: TCP, UDP, names. Addresses and options are the same in all versions.
//!
//! What the embedder doesn't let the guest do is `access-denied` where it begins: when a socket is made, a name looked up, or, where
//! only some addresses may be reached, one is to be.

pub mod names;
pub mod tcp;
pub mod udp;

use crate::component::{Cx, Error, Fail, IntoVal};
use crate::host::net::Family;
use ampoule_component::Val;
use rustix::io::Errno;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// `error-code`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The WIT text documents each.
pub enum ErrorCode {
    AccessDenied,
    NotSupported,
    InvalidArgument,
    OutOfMemory,
    Timeout,
    InvalidState,
    AddressNotBindable,
    AddressInUse,
    RemoteUnreachable,
    ConnectionRefused,
    ConnectionBroken,
    ConnectionReset,
    ConnectionAborted,
    DatagramTooLarge,
    Other,
}

impl From<Errno> for ErrorCode {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ACCESS | Errno::PERM => Self::AccessDenied,
            Errno::NOTSUP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::NOPROTOOPT => Self::NotSupported,
            Errno::INVAL | Errno::DESTADDRREQ => Self::InvalidArgument,
            Errno::NOMEM | Errno::NOBUFS => Self::OutOfMemory,
            Errno::TIMEDOUT => Self::Timeout,
            Errno::ALREADY | Errno::INPROGRESS | Errno::ISCONN | Errno::NOTCONN => Self::InvalidState,
            Errno::ADDRNOTAVAIL => Self::AddressNotBindable,
            Errno::ADDRINUSE => Self::AddressInUse,
            Errno::HOSTUNREACH | Errno::HOSTDOWN | Errno::NETUNREACH | Errno::NETDOWN | Errno::NONET => {
                Self::RemoteUnreachable
            }
            Errno::CONNREFUSED => Self::ConnectionRefused,
            Errno::PIPE => Self::ConnectionBroken,
            Errno::CONNRESET | Errno::NETRESET => Self::ConnectionReset,
            Errno::CONNABORTED => Self::ConnectionAborted,
            Errno::MSGSIZE => Self::DatagramTooLarge,
            _ => Self::Other,
        }
    }
}

impl IntoVal for ErrorCode {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let case = match self {
            Self::AccessDenied => "access-denied",
            Self::NotSupported => "not-supported",
            Self::InvalidArgument => "invalid-argument",
            Self::OutOfMemory => "out-of-memory",
            Self::Timeout => "timeout",
            Self::InvalidState => "invalid-state",
            Self::AddressNotBindable => "address-not-bindable",
            Self::AddressInUse => "address-in-use",
            Self::RemoteUnreachable => "remote-unreachable",
            Self::ConnectionRefused => "connection-refused",
            Self::ConnectionBroken => "connection-broken",
            Self::ConnectionReset => "connection-reset",
            Self::ConnectionAborted => "connection-aborted",
            Self::DatagramTooLarge => "datagram-too-large",
            Self::Other => "other",
        };
        let payload = (self == Self::Other).then(|| Val::option(None));
        Ok(Some(Val::variant(case, payload)))
    }
}

impl From<ErrorCode> for Fail<ErrorCode> {
    fn from(code: ErrorCode) -> Self {
        Self::Err(code)
    }
}

type NetResult<T> = Result<T, Fail<ErrorCode>>;

/// Where a socket is bound to that the guest hasn't bound: the host chooses.
fn anywhere(family: Family) -> SocketAddr {
    match family {
        Family::Ipv4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
        Family::Ipv6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}
