//! Addresses of names. An IPv4 address is never written as an IPv6 one.
//!
//! The system's own resolver can't be asked without waiting, nor be interrupted: each lookup has a thread, and there are only so many
//! of them at a time, for one guest and in all.

use super::Network;
use crate::host::error::Error;
use crate::host::poll::Readiness;
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::io::PipeReader;
use std::net::{IpAddr, ToSocketAddrs};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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

type Answer = Result<Vec<IpAddr>, LookupError>;

/// A lookup that runs, or its result.
#[derive(Debug)]
pub struct Lookup {
    state: State,
}

#[derive(Debug)]
enum State {
    Running {
        /// Closed at the other end when there is an answer.
        ended: PipeReader,
        answer: Arc<Mutex<Option<Answer>>>,
    },
    Ended(std::vec::IntoIter<IpAddr>),
    Failed(LookupError),
}

impl Lookup {
    /// Looks up a name, or an address that is written as one.
    ///
    /// # Errors
    /// `NotPermitted`; `INVAL` for what can't be a name; what the host says where it has no thread for it.
    pub fn start(network: Network, name: &str, lookups: &Lookups) -> Result<Self, Error> {
        if !network.name_lookup {
            return Err(Error::NotPermitted);
        }
        if let Ok(address) =
            IpAddr::from_str(name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name))
        {
            return Ok(Self { state: State::Ended(vec![address.to_canonical()].into_iter()) });
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_name) {
            return Err(Errno::INVAL.into());
        }
        let Some(running) = Running::count(lookups) else {
            return Ok(Self { state: State::Failed(LookupError::Temporary) });
        };
        let (ended, at_end) = std::io::pipe()?;
        let answer = Arc::new(Mutex::new(None));
        let state = State::Running { ended, answer: answer.clone() };
        let name = name.to_owned();
        std::thread::Builder::new().name("name lookup".to_owned()).spawn(move || {
            let found = look_up(&name);
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            drop((running, at_end));
        })?;
        Ok(Self { state })
    }

    /// The next address, until there is none.
    ///
    /// # Errors
    /// `None` while there is no answer yet, or why there is none.
    pub fn next_address(&mut self) -> Result<Option<IpAddr>, Option<LookupError>> {
        if let State::Running { answer, .. } = &self.state {
            let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.state = match answer.ok_or(None)? {
                Ok(addresses) => State::Ended(addresses.into_iter()),
                Err(error) => State::Failed(error),
            };
        }
        match &mut self.state {
            State::Ended(addresses) => Ok(addresses.next()),
            State::Failed(error) => Err(Some(*error)),
            State::Running { .. } => Err(None),
        }
    }

    /// When there is an answer.
    pub fn readiness(&self) -> Readiness<'_> {
        match &self.state {
            State::Running { ended, .. } => Readiness::When(ended.as_fd()),
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

fn look_up(name: &str) -> Answer {
    match (name, 0).to_socket_addrs() {
        Ok(found) => {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in found.map(|address| address.ip().to_canonical()) {
                if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            Ok(addresses)
        }
        // Only its words tell one answer of the resolver from another.
        Err(error) if error.to_string().contains("Temporary") => Err(LookupError::Temporary),
        Err(_) => Err(LookupError::NotFound),
    }
}
