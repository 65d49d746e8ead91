//! What a store gives its guest of HTTP.

use super::budget::{Budget, DEFAULT_MAX_BYTES};
use super::pool::HttpPool;
use super::provided::HttpProvider;
use super::tls;
use ampoule::Store;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

/// What the calls of `wasi:http` answer in a store that was never given an [`HttpCtx`].
pub const MISSING_CONTEXT: &str = "the store has no WASI HTTP configuration";

/// What guests will get. One configuration is for any number of stores.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    outgoing: bool,
    max_bytes: usize,
    tls: Option<Arc<ClientConfig>>,
    provider: Option<Arc<dyn HttpProvider>>,
    pool: Option<Arc<HttpPool>>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { outgoing: false, max_bytes: DEFAULT_MAX_BYTES, tls: None, provider: None, pool: None }
    }
}

impl HttpConfig {
    /// Messages and fields, and no requests of the guest's own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether the guest may send requests; at first it may not.
    pub fn allow_outgoing(&mut self, allow: bool) {
        self.outgoing = allow;
    }

    /// Lets the guest send requests, all of which this one answers: none goes to the system's network, and rules about that mean nothing.
    pub fn provider(&mut self, provider: Arc<dyn HttpProvider>) {
        self.provider = Some(provider);
    }

    /// Keeps the connections of requests in this pool, for further ones; at first each request has its own.
    pub fn pool(&mut self, pool: Arc<HttpPool>) {
        self.pool = Some(pool);
    }

    /// Sets how many bytes the host holds for one guest: headers, and for each body and connection a fixed number.
    pub fn max_bytes(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
    }

    /// Trusts these certificates besides the roots that Mozilla trusts, each in DER. Those of a call before are forgotten.
    ///
    /// # Errors
    /// What is no certificate; nothing changes.
    pub fn trust_roots(&mut self, roots: impl IntoIterator<Item = Vec<u8>>) -> Result<(), ampoule::Error> {
        let roots: Vec<CertificateDer<'_>> = roots.into_iter().map(CertificateDer::from).collect();
        let config = tls::config(&roots).map_err(|error| ampoule::Error::message(error.to_string()))?;
        self.tls = Some(config);
        Ok(())
    }

    /// The context for one store.
    pub fn build(&self) -> HttpCtx {
        HttpCtx {
            outgoing: self.outgoing,
            budget: Budget::new(self.max_bytes),
            tls: self.tls.clone(),
            provider: self.provider.clone(),
            pool: self.pool.clone(),
        }
    }
}

/// What one store's guest has of HTTP. It is kept in the store's slots, beside the [`crate::WasiCtx`].
#[derive(Clone, Debug)]
pub struct HttpCtx {
    /// Whether it may send requests.
    pub outgoing: bool,
    /// What the host may still hold for it.
    pub budget: Budget,
    tls: Option<Arc<ClientConfig>>,
    /// Who answers its requests in place of the network, where somebody does.
    pub provider: Option<Arc<dyn HttpProvider>>,
    /// Where connections are kept, if they are.
    pub pool: Option<Arc<HttpPool>>,
}

impl HttpCtx {
    /// That of a store, in whose budget counts what is held; `None` where it was given none.
    pub fn of(store: &mut Store) -> Option<HttpCtx> {
        let ctx = store.slots().get::<HttpCtx>()?.clone();
        let budget = ctx.budget.within(store.budget());
        Some(HttpCtx { budget, ..ctx })
    }

    /// Whom it trusts.
    pub fn tls(&self) -> Arc<ClientConfig> {
        self.tls.clone().unwrap_or_else(tls::default_config)
    }
}
