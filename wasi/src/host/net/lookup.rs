//! Addresses of names. An IPv4 address is never written as an IPv6 one.
//!
//! The system's own resolver can't be asked without waiting, nor be interrupted: each lookup has a thread, and there are only so many
//! of them at a time, for one guest and in all. What it finds comes through a pipe, which can be waited for, and which a fork can't leave locked.

use super::provided::ProvidedLookup;
use super::{Filter, Network};
use crate::host::error::Error;
use crate::host::fork;
use crate::host::poll::Readiness;
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::io::{PipeReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Lookups that run for one guest.
const MAX_OF_GUEST: usize = 8;

/// Lookups that run in this process.
const MAX_RUNNING: usize = 64;

static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// The most addresses of one name that are kept.
const MAX_ADDRESSES: usize = 256;

/// The longest name that there is.
const MAX_NAME: usize = 253;

/// Why there are no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// The name has none.
    NotFound,
    /// The resolver can't say now.
    Temporary,
}

/// The lookups of one guest.
#[derive(Clone, Debug, Default)]
pub struct Lookups(Arc<()>);

impl Lookups {
    /// Whether any runs.
    pub fn are_running(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

type Answer = Result<Vec<IpAddr>, LookupError>;

/// A lookup that runs, or its result.
#[derive(Debug)]
pub struct Lookup {
    state: State,
    /// What is to be told of the answer, and the name.
    filter: Option<(Filter, String)>,
}

#[derive(Debug)]
enum State {
    Running {
        /// Gives the answer, as [`written`] writes it.
        answer: PipeReader,
        /// What has come of it.
        read: Vec<u8>,
        /// The process that looks it up: in a child of it nobody does.
        process: Option<u64>,
    },
    /// The embedder is asked.
    Provided(ProvidedLookup),
    Ended(std::vec::IntoIter<IpAddr>),
    Failed(LookupError),
}

impl Lookup {
    /// Looks up a name, or an address that is written as one.
    ///
    /// # Errors
    /// `NotPermitted`; `INVAL` for what can't be a name; what the host says where it has no thread for it.
    pub fn start(network: &Network, name: &str, lookups: &Lookups) -> Result<Self, Error> {
        let Network { name_lookup, filter, .. } = network;
        if network.provider.is_none() && !name_lookup && filter.is_empty() {
            return Err(Error::NotPermitted);
        }
        if let Ok(address) =
            IpAddr::from_str(name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name))
        {
            return Ok(Self { state: State::Ended(vec![address.to_canonical()].into_iter()), filter: None });
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_name) {
            return Err(Errno::INVAL.into());
        }
        if let Some(provider) = &network.provider {
            let lookup = ProvidedLookup::new(provider, name);
            // What is known at once is told at once, as is that nothing may be looked up.
            let state = match lookup.ask() {
                Ok(Some(addresses)) => State::Ended(kept(addresses.into_iter()).into_iter()),
                Ok(None) => State::Provided(lookup),
                Err(Error::Os(Errno::NOENT)) => State::Failed(LookupError::NotFound),
                Err(error) => return Err(error),
            };
            return Ok(Self { state, filter: None });
        }
        let is_listed = filter.permits_name(name);
        if !name_lookup && !is_listed {
            return Err(Error::NotPermitted);
        }
        let filter = is_listed.then(|| (filter.clone(), name.to_owned()));
        let Some(running) = Running::count(lookups) else {
            return Ok(Self { state: State::Failed(LookupError::Temporary), filter });
        };
        let (answer, mut put) = std::io::pipe()?;
        rustix::io::ioctl_fionbio(&answer, true)?;
        let name = name.to_owned();
        std::thread::Builder::new().name("name lookup".to_owned()).spawn(move || {
            // Nobody reads it where the guest has given up. It is less than a pipe takes without being read.
            let _ = put.write_all(&written(look_up(&name)));
            drop(running);
        })?;
        Ok(Self { state: State::Running { answer, read: Vec::new(), process: fork::mark() }, filter })
    }

    /// The next address, until there is none.
    ///
    /// # Errors
    /// `None` while there is no answer yet, or why there is none.
    pub fn next_address(&mut self) -> Result<Option<IpAddr>, Option<LookupError>> {
        if let State::Running { answer, read, process } = &mut self.state {
            let found = if *process == fork::mark() {
                // That there is nothing more yet is an error, too.
                let _ = answer.read_to_end(read);
                read_back(read).ok_or(None)?
            } else {
                Err(LookupError::Temporary)
            };
            let found = found.and_then(|addresses| match &self.filter {
                None => Ok(addresses),
                Some((filter, name)) => match filter.found(name, addresses) {
                    reachable if reachable.is_empty() => Err(LookupError::NotFound),
                    reachable => Ok(reachable),
                },
            });
            self.state = match found {
                Ok(addresses) => State::Ended(addresses.into_iter()),
                Err(error) => State::Failed(error),
            };
        }
        if let State::Provided(lookup) = &self.state {
            self.state = match lookup.ask() {
                Ok(Some(addresses)) => State::Ended(kept(addresses.into_iter()).into_iter()),
                Ok(None) => return Err(None),
                Err(Error::Os(Errno::NOENT)) => State::Failed(LookupError::NotFound),
                Err(_) => State::Failed(LookupError::Temporary),
            };
        }
        match &mut self.state {
            State::Ended(addresses) => Ok(addresses.next()),
            State::Failed(error) => Err(Some(*error)),
            State::Running { .. } | State::Provided(_) => Err(None),
        }
    }

    /// When there is an answer.
    pub fn readiness(&self) -> Readiness<'_> {
        match &self.state {
            State::Running { answer, process, .. } if *process == fork::mark() => Readiness::When(answer.as_fd()),
            State::Provided(lookup) => Readiness::Ask(lookup),
            _ => Readiness::Now(1),
        }
    }
}

/// That a lookup runs.
struct Running {
    _of_guest: Lookups,
}

impl Running {
    fn count(lookups: &Lookups) -> Option<Self> {
        if Arc::strong_count(&lookups.0) > MAX_OF_GUEST {
            return None;
        }
        if RUNNING.fetch_add(1, Ordering::Relaxed) >= MAX_RUNNING {
            RUNNING.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self { _of_guest: lookups.clone() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer as bytes: how many addresses there are, or what is wrong; then each, behind the number of its bytes.
fn written(answer: Answer) -> Vec<u8> {
    let addresses = match answer {
        Ok(addresses) => addresses,
        Err(LookupError::NotFound) => return NOT_FOUND.to_le_bytes().to_vec(),
        Err(LookupError::Temporary) => return TEMPORARY.to_le_bytes().to_vec(),
    };
    let mut bytes = (addresses.len() as u16).to_le_bytes().to_vec();
    for address in addresses {
        match address {
            IpAddr::V4(address) => bytes.extend([&[4], &address.octets()[..]].concat()),
            IpAddr::V6(address) => bytes.extend([&[16], &address.octets()[..]].concat()),
        }
    }
    bytes
}

/// In place of a number of addresses.
const NOT_FOUND: u16 = u16::MAX;
const TEMPORARY: u16 = u16::MAX - 1;

/// The answer, once all of it is there.
fn read_back(bytes: &[u8]) -> Option<Answer> {
    let (count, mut rest) = bytes.split_first_chunk()?;
    let count = match u16::from_le_bytes(*count) {
        NOT_FOUND => return Some(Err(LookupError::NotFound)),
        TEMPORARY => return Some(Err(LookupError::Temporary)),
        count => count,
    };
    let addresses = (0..count).map(|_| {
        let (len, address) = rest.split_first()?;
        let (address, others) = address.split_at_checked(usize::from(*len))?;
        rest = others;
        match *len {
            4 => Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?))),
            _ => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?))),
        }
    });
    addresses.collect::<Option<_>>().map(Ok)
}

/// The addresses of a name that are kept: each once, and only so many.
fn kept(found: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|address| address.to_canonical()) {
        if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

fn look_up(name: &str) -> Answer {
    match (name, 0).to_socket_addrs() {
        Ok(found) => Ok(kept(found.map(|address| address.ip()))),
        // Only its words tell one answer of the resolver from another.
        Err(error) if error.to_string().contains("Temporary") => Err(LookupError::Temporary),
        Err(_) => Err(LookupError::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_through_a_pipe_whole_or_not_at_all() {
        let addresses = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
        for answer in [Ok(addresses), Ok(Vec::new()), Err(LookupError::NotFound), Err(LookupError::Temporary)] {
            let bytes = written(answer.clone());
            assert_eq!(read_back(&bytes), Some(answer));
            (0..bytes.len()).for_each(|len| assert_eq!(read_back(&bytes[..len]), None));
        }
    }
}
