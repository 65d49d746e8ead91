//! Connections that are kept for further requests, where the embedder asks for it.
//!
//! A request gets a kept connection that goes to its host and port with its trust, and to an address that its filter permits. One
//! connection has one request at a time. What is kept is nobody's: it has no budget but the pool's own bound.

use super::process::OfProcess;
use super::runtime;
use super::sender::Sender;
use crate::host::net::Filter;
use ampoule::sync::Mutex;
use rustls::ClientConfig;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Connections of any number of stores.
///
/// Requests of all these stores share them: a server that binds a permission to a connection, as with NTLM, gives it to all.
pub struct HttpPool {
    max_idle: usize,
    idle_timeout: Duration,
    kept: Mutex<OfProcess<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// The one that has been idle for longest comes first.
    idle: Vec<Idle>,
    /// Whether a task looks for those that are too old.
    is_watched: bool,
}

/// What connections have in common that may take each other's requests.
#[derive(Clone)]
pub struct Origin {
    /// Without brackets, in lower case.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whom it trusts, where there is TLS.
    pub tls: Option<Arc<ClientConfig>>,
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        let same_trust = match (&self.tls, &other.tls) {
            (Some(tls), Some(other)) => Arc::ptr_eq(tls, other),
            (None, None) => true,
            _ => false,
        };
        same_trust && self.port == other.port && self.host == other.host
    }
}

/// A connection without a request.
pub struct Idle {
    pub(super) origin: Origin,
    pub(super) address: SocketAddr,
    pub(super) sender: Sender,
    pub(super) since: Instant,
}

impl HttpPool {
    /// Keeps so many connections at most, each for so long.
    pub fn new(max_idle: usize, idle_timeout: Duration) -> Arc<Self> {
        Arc::new(Self { max_idle, idle_timeout, kept: Mutex::new(OfProcess::new(Kept::default())) })
    }

    /// How many connections are kept.
    pub fn idle(&self) -> usize {
        self.kept.lock().get().map_or(0, |kept| kept.idle.len())
    }

    /// Takes one that a request may have.
    pub(super) fn take(&self, origin: &Origin, filter: Option<&Filter>) -> Option<Idle> {
        loop {
            let found = {
                let mut kept = self.kept.lock();
                let idle = &mut kept.get_mut()?.idle;
                let permitted = |idle: &Idle| {
                    filter.is_none_or(|filter| {
                        // What a look-up would say, which has been made for another request.
                        filter.found(&origin.host, vec![idle.address.ip()]);
                        filter.permits(&idle.address)
                    })
                };
                // The last that was used is the likeliest to be open still.
                let at = idle.iter().rposition(|idle| idle.origin == *origin && permitted(idle))?;
                idle.remove(at)
            };
            // Not under our lock, as with all that has to do with connections: see `OfProcess`.
            if found.sender.is_ready() && found.since.elapsed() < self.idle_timeout {
                return Some(found);
            }
        }
    }

    /// Keeps a connection that is ready for a request.
    pub(super) fn put(self: &Arc<Self>, idle: Idle) {
        if self.max_idle == 0 {
            return;
        }
        let (too_many, is_watched) = {
            let mut kept = self.kept.lock();
            if kept.get().is_none() {
                // Those of the process that this was forked from are left alone.
                *kept = OfProcess::new(Kept::default());
            }
            let kept = kept.get_mut().expect("it is of this process");
            let too_many = (kept.idle.len() >= self.max_idle).then(|| kept.idle.remove(0));
            kept.idle.push(idle);
            (too_many, std::mem::replace(&mut kept.is_watched, true))
        };
        drop(too_many);
        if !is_watched && let Ok(runtime) = runtime::handle() {
            runtime.spawn(watch(Arc::downgrade(self), self.idle_timeout));
        }
    }

    /// Closes what is too old, or by now closed by the other side. Whether there is something left to be watched.
    fn look(&self) -> bool {
        let (left, over) = {
            let mut kept = self.kept.lock();
            let Some(kept) = kept.get_mut() else { return false };
            let is_over = |idle: &mut Idle| idle.since.elapsed() >= self.idle_timeout || idle.sender.is_over();
            let over: Vec<Idle> = kept.idle.extract_if(.., is_over).collect();
            kept.is_watched = !kept.idle.is_empty();
            (kept.is_watched, over)
        };
        drop(over);
        left
    }
}

/// Looks now and then, while there is something.
async fn watch(pool: Weak<HttpPool>, idle_timeout: Duration) {
    loop {
        tokio::time::sleep(idle_timeout.clamp(MIN_LOOK, MAX_LOOK)).await;
        if !pool.upgrade().is_some_and(|pool| pool.look()) {
            return;
        }
    }
}

/// How often connections are looked at.
const MIN_LOOK: Duration = Duration::from_millis(10);
const MAX_LOOK: Duration = Duration::from_secs(5);

impl fmt::Debug for HttpPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpPool").field("max_idle", &self.max_idle).finish_non_exhaustive()
    }
}
