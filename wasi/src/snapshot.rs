//! What a guest of WASI has, as plain data: taken with a snapshot of its store, and given to the guests that are thawed from it.
//!
//! Kept are arguments, environment, the monotonic clock, and the descriptors of preview 1 by their numbers: standard streams, preopens by
//! the guest's names, files and directories beneath them by path, modes, rights and offset; and the same as resources of components. What belongs to
//! this process alone is refused, with its name: pipes and devices, files that were removed or renamed since they were opened, and of
//! components sockets, requests, pollables of clocks.
//!
//! A snapshot grants nothing: [`WasiConfig::build_from`] takes directories and streams from the configuration, by the names that the guest
//! knows. Arguments and environment are the snapshot's unless the configuration has its own; a guest that has read them, as most runtimes do when
//! they start, goes on with those.

use crate::component::resources::{Resources, is_of_wasi};
use crate::host::snapshot::HostState;
use crate::p1::descriptor::FdTable;
use crate::p1::snapshot::{self as descriptors, DescriptorState};
use crate::p2::snapshot::{self as resources, ResourceState};
use crate::{WasiConfig, WasiCtx};
use ampoule::{Error, Snapshot, Store};
use ampoule_component::{HostResources, ResourceHost};
use serde::{Deserialize, Serialize};

pub use crate::host::snapshot::SnapshotError;

/// What the state is called in a snapshot of a store.
const SECTION: &str = "wasi";

/// Of another version nothing is understood.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a guest has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasiState {
    host: HostState,
    /// None where the guest has used none yet.
    descriptors: Option<Vec<DescriptorState>>,
    /// Likewise, those of components.
    resources: Option<Vec<ResourceState>>,
}

impl WasiState {
    /// What the guest of this context has now, between two calls.
    ///
    /// # Errors
    /// What can't be kept, with its name.
    pub fn of(ctx: &WasiCtx) -> Result<Self, SnapshotError> {
        // What isn't written yet is told of first.
        let host = HostState::of(&ctx.host)?;
        let table = ctx.state::<FdTable>();
        let descriptors = table.map(|table| descriptors::descriptors(&ctx.host, table)).transpose()?;
        let resources = ctx.state::<Resources>().map(|found| resources::resources(&ctx.host, found)).transpose()?;
        Ok(Self { host, descriptors, resources })
    }

    /// Adds it to a snapshot of the store, for [`WasiState::of_snapshot`].
    pub fn attach_to(&self, snapshot: &mut Snapshot) {
        snapshot.attach(SECTION, self.to_bytes());
    }

    /// What was added to a snapshot, if anything was.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`].
    pub fn of_snapshot(snapshot: &Snapshot) -> Result<Option<Self>, SnapshotError> {
        snapshot.section(SECTION).map(Self::from_bytes).transpose()
    }

    /// The arguments that the guest had.
    pub fn args(&self) -> &[String] {
        self.host.args()
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

/// The resources of WASI in a snapshot of a component's instance: they keep their numbers. What they are is in [`WasiState`], of which the store
/// that the instance is made in has a context already.
#[derive(Clone, Copy, Debug, Default)]
pub struct WasiResources;

impl HostResources for WasiResources {
    fn save(&mut self, _: &mut Store, resources: &[ResourceHost]) -> Result<Vec<u8>, Error> {
        if resources.iter().any(|resource| !is_of_wasi(resource.ty)) {
            return Err(Error::message(
                "no snapshot can be taken: the guest has resources of the host's that WASI doesn't know",
            ));
        }
        let reps: Vec<u32> = resources.iter().map(|resource| resource.rep).collect();
        Ok(postcard::to_stdvec(&reps).expect("it is plain data, and memory grows"))
    }

    fn restore(&mut self, store: &mut Store, types: &[u32], saved: &[u8]) -> Result<Vec<u32>, Error> {
        let damaged = || Error::message("the snapshot's resources of WASI are damaged");
        let reps: Vec<u32> = postcard::from_bytes(saved).map_err(|_| damaged())?;
        if reps.len() != types.len() {
            return Err(damaged());
        }
        let known = store.slots().get::<WasiCtx>().and_then(|ctx| ctx.state::<Resources>());
        for (&rep, &ty) in reps.iter().zip(types) {
            if known.and_then(|known| known.type_of(rep)) != Some(ty) {
                return Err(Error::message("the store's WASI context doesn't have the resources of the snapshot"));
            }
        }
        Ok(reps)
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
        if let Some(kept) = &state.resources {
            let table = resources::open(&ctx.host, kept)?;
            ctx.set_state(table);
        }
        Ok(ctx)
    }
}
