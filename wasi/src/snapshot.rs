//! What a guest of WASI has, as plain data: taken with a snapshot of its store, and given to the guests that are thawed from it.
//!
//! Kept are arguments, environment, the monotonic clock, and the descriptors of preview 1 by their numbers: standard streams, preopens by
//! the guest's names, files and directories beneath them by path, modes, rights and offset. What belongs to this process alone is refused, with its name:
//! pipes and devices, files that were removed or renamed since they were opened, whatever a component has of 0.2 or 0.3 (streams,
//! sockets, pollables, requests).
//!
//! A snapshot grants nothing: [`WasiConfig::build_from`] takes directories and streams from the configuration, by the names that the guest
//! knows. Arguments and environment are the snapshot's unless the configuration has its own; a guest that has read them, as most runtimes do when
//! they start, goes on with those.

use crate::component::resources::Resources;
use crate::host::snapshot::HostState;
use crate::p1::descriptor::FdTable;
use crate::p1::snapshot::{self as descriptors, DescriptorState};
use crate::{WasiConfig, WasiCtx};
use serde::{Deserialize, Serialize};

pub use crate::host::snapshot::SnapshotError;

/// Of another version nothing is understood.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a guest has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasiState {
    host: HostState,
    /// None where the guest has used none yet.
    descriptors: Option<Vec<DescriptorState>>,
}

impl WasiState {
    /// What the guest of this context has now, between two calls.
    ///
    /// # Errors
    /// What can't be kept, with its name.
    pub fn of(ctx: &WasiCtx) -> Result<Self, SnapshotError> {
        let host = HostState::of(&ctx.host)?;
        if let Some(resources) = ctx.state::<Resources>() {
            if let Some((rep, kind)) = resources.first() {
                let name = format!("resource {rep}");
                return Err(SnapshotError::NotKept { name, what: format!("`{kind}`") });
            }
            if resources.is_busy() {
                let what = "what the host is doing for the guest".to_owned();
                return Err(SnapshotError::NotKept { name: "a stream or look-up".to_owned(), what });
            }
        }
        let table = ctx.state::<FdTable>();
        let descriptors = table.map(|table| descriptors::descriptors(&ctx.host, table)).transpose()?;
        Ok(Self { host, descriptors })
    }

    /// As bytes.
    ///
    /// # Panics
    /// Never: there is nothing that can't be written down.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(&(VERSION, self)).expect("it is plain data, and memory grows")
    }

    /// Out of bytes; of the same version only.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let damaged = |_| SnapshotError::Damaged("the state of WASI is damaged");
        let (version, rest): (&str, _) = postcard::take_from_bytes(bytes).map_err(damaged)?;
        if version != VERSION {
            return Err(SnapshotError::Damaged("the state of WASI is of another version"));
        }
        let (state, rest) = postcard::take_from_bytes(rest).map_err(damaged)?;
        if rest.is_empty() { Ok(state) } else { Err(SnapshotError::Damaged("the state of WASI is damaged")) }
    }
}

impl WasiConfig {
    /// The context for one store, whose guest goes on with what it had. Whatever it reaches is this configuration's.
    ///
    /// # Errors
    /// What isn't granted, or can't be opened again, with its name.
    pub fn build_from(mut self, state: &WasiState) -> Result<WasiCtx, SnapshotError> {
        state.host.configure(&mut self)?;
        let mut ctx = self.build();
        state.host.set_clocks(&mut ctx.host);
        if let Some(descriptors) = &state.descriptors {
            let table = descriptors::open(&ctx.host, &state.host, descriptors)?;
            ctx.set_state(table);
        }
        Ok(ctx)
    }
}
