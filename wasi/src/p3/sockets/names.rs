//! `ip-name-lookup`.

use crate::component::later::{Call, again};
use crate::component::sockets::IpAddress;
use crate::component::{Cx, Error, Fail, IntoVal};
use crate::host::net::Lookup;
use crate::host::net::lookup::LookupError;
use crate::host::poll::Interest;
use ampoule_component::Val;
use rustix::io::Errno;

/// `error-code`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The WIT text documents each.
pub enum ErrorCode {
    AccessDenied,
    InvalidArgument,
    NameUnresolvable,
    TemporaryResolverFailure,
    Other,
}

impl From<Errno> for ErrorCode {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ACCESS | Errno::PERM => Self::AccessDenied,
            Errno::INVAL => Self::InvalidArgument,
            _ => Self::Other,
        }
    }
}

impl From<LookupError> for Fail<ErrorCode> {
    fn from(error: LookupError) -> Self {
        Self::Err(match error {
            LookupError::NotFound => ErrorCode::NameUnresolvable,
            LookupError::Temporary => ErrorCode::TemporaryResolverFailure,
        })
    }
}

impl IntoVal for ErrorCode {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        Ok(Some(match self {
            Self::AccessDenied => Val::variant("access-denied", None),
            Self::InvalidArgument => Val::variant("invalid-argument", None),
            Self::NameUnresolvable => Val::variant("name-unresolvable", None),
            Self::TemporaryResolverFailure => Val::variant("temporary-resolver-failure", None),
            Self::Other => Val::variant("other", Some(Val::option(None))),
        }))
    }
}

/// `ip-name-lookup.resolve-addresses`
pub async fn resolve_addresses(call: Call, name: String) -> Result<Vec<IpAddress>, Fail<ErrorCode>> {
    let mut lookup = call.with(|cx| {
        let (host, resources) = cx.parts();
        Ok::<_, Fail<ErrorCode>>(Lookup::start(&host.network, &name, &resources.lookups)?)
    })?;
    let first = call
        .retry(|cx| match lookup.next_address() {
            Ok(first) => Ok::<_, Fail<ErrorCode>>(first),
            Err(Some(error)) => Err(error.into()),
            Err(None) => Ok(again(cx, Interest::Read(lookup.readiness()))?),
        })
        .await?;
    let mut addresses = Vec::from_iter(first);
    while let Ok(Some(address)) = lookup.next_address() {
        addresses.push(address);
    }
    if addresses.is_empty() {
        return Err(LookupError::NotFound.into());
    }
    Ok(addresses.into_iter().map(IpAddress).collect())
}
