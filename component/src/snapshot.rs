//! Snapshots of component instances: of the core instances in them, and of which handles each has.
//!
//! A component instance is made of a snapshot by the steps that make any other ([`crate::instantiate`]), but that core instances come out of
//! the snapshot, and no start function runs. What the steps make besides (lowered and lifted functions, resource types) is the same for every
//! instance. Then the tables of handles are filled. What stands behind a handle to a resource of the host's, the host says ([`HostResources`]).

use crate::component::Component;
use crate::concurrency::Concurrency;
use crate::concurrency::waitable::WaitableSet;
use crate::decode::decode;
use crate::handle::{Handle, HandleTable, ResourceHost};
use crate::instance::Instance;
use crate::instantiate::Source;
use crate::linker::InstancePre;
use crate::skeleton::skeleton;
use crate::state::ComponentState;
use crate::types::ResourceType;
use ampoule::error::ErrorKind;
use ampoule::{Error, SharedBytes, Snapshot, Store};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The sections of a snapshot's file: the state, and the component's skeleton.
const STATE: &str = "component";
const BYTES: &str = "component.wasm";

/// A component instance as it was at one moment. Cheap to clone; threads and stores may share it.
#[derive(Clone)]
pub struct ComponentSnapshot {
    component: Component,
    core: Snapshot,
    state: Arc<State>,
}

/// What the host does for its own resources, to which the guest has handles. `()` is for guests that have none: it refuses them.
pub trait HostResources {
    /// What is to be known of these resources, which the guest owns, to have others in their place. They may depend on one another.
    ///
    /// # Errors
    /// Where one can't be in a snapshot: none is taken then.
    fn save(&mut self, store: &mut Store, resources: &[ResourceHost]) -> Result<Vec<u8>, Error>;

    /// Resources to stand where those did, in their order: their numbers. The guest owns them from then on.
    ///
    /// # Errors
    /// Where there is none for one of them: no instance is made then.
    fn restore(&mut self, store: &mut Store, types: &[u32], saved: &[u8]) -> Result<Vec<u32>, Error>;

    /// The guest has lost these resources, because its instance was reset. Their destructors don't run.
    fn discard(&mut self, store: &mut Store, resources: &[ResourceHost]) {
        let _ = (store, resources);
    }
}

impl HostResources for () {
    fn save(&mut self, _: &mut Store, resources: &[ResourceHost]) -> Result<Vec<u8>, Error> {
        if resources.is_empty() {
            Ok(Vec::new())
        } else {
            Err(refused("the guest has resources of the host's, and nobody keeps them"))
        }
    }

    fn restore(&mut self, _: &mut Store, types: &[u32], _: &[u8]) -> Result<Vec<u32>, Error> {
        if types.is_empty() {
            return Ok(Vec::new());
        }
        Err(Error::message("the snapshot has resources of the host's, and nobody makes them again"))
    }
}

/// All but the core instances.
#[derive(Serialize, Deserialize)]
struct State {
    /// By the order in which they are made: the instance itself, and those in it.
    instances: Vec<InstanceState>,
    /// The types of the host's resources that are owned, by the order of the handles.
    host_types: Vec<u32>,
    /// What the host keeps of them.
    host: Vec<u8>,
    /// By the component's modules, in the order of its bytes: the snapshot's of the same code.
    modules: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct InstanceState {
    handles: Vec<HandleState>,
    /// Numbers that are free, in the order in which they are used again.
    free: Vec<u32>,
    backpressure: u32,
}

/// A handle, or where there is none.
#[derive(Serialize, Deserialize)]
enum HandleState {
    Free,
    /// Of a resource whose type is known to one of the instances, in a slot of its definition.
    Own {
        instance: u32,
        slot: u32,
        rep: Rep,
    },
    /// An empty waitable set.
    Set,
}

#[derive(Serialize, Deserialize)]
enum Rep {
    Guest(u32),
    /// The next of the host's resources.
    Host,
}

impl ComponentSnapshot {
    /// A snapshot of an instance of this component, between calls.
    ///
    /// # Errors
    /// Where the instance is of another store or component, or inside of another instance; where a guest of the store runs, was stopped, or has
    /// left tasks behind; where an instance has something that no snapshot can have: a stream, a future, an error context, a resource
    /// that `resources` refuses, or what [`Snapshot::take`] refuses.
    pub fn take(
        store: &mut Store,
        component: &Component,
        instance: Instance,
        resources: &mut dyn HostResources,
    ) -> Result<ComponentSnapshot, Error> {
        let (state, members) = find(store, component, instance)?;
        state.check_idle()?;
        if state.poisoned {
            return Err(refused("a guest of the store was stopped"));
        }
        let (instances, owned) = state.handles_of(&members)?;
        state.check_closed()?;
        let core = state.core_of(&members);
        let mut core = Snapshot::take(store, &core, &mut ())?;
        core.keep_modules(&component.definition.modules);
        let host_types = owned.iter().map(|resource| resource.ty).collect();
        let host = resources.save(store, &owned)?;
        let of =
            |module: &ampoule::Module| core.modules().iter().position(|kept| kept.same(module)).expect("it was kept");
        let modules = component.definition.modules.iter().map(|module| of(module) as u32).collect();
        let state = Arc::new(State { instances, host_types, host, modules });
        Ok(ComponentSnapshot { component: component.clone(), core, state })
    }

    /// The component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Makes the instance in a store of the same engine, as it was: no start function runs. `found` is what was found for the imports of
    /// [`ComponentSnapshot::component`].
    ///
    /// # Errors
    /// Where the store is of another engine; where `found` is for another component; where a limit of the store or of its engine's pool refuses, or
    /// `resources`.
    pub fn instantiate(
        &self,
        store: &mut Store,
        found: &InstancePre,
        resources: &mut dyn HostResources,
    ) -> Result<Instance, Error> {
        if found.component().definition.scope != self.component.definition.scope {
            return Err(Error::message("the imports were found for another component than the snapshot's"));
        }
        let mut core = self.core.one_by_one(store)?;
        let instance = found.place(store, &mut Source::Snapshot(&mut core))?;
        core.finish(store, &mut ())?;
        let reps = self.restore(store, resources)?;
        ComponentState::of(store).fill_tables(instance.index, &self.state, &reps)?;
        Ok(instance)
    }

    /// Has an instance be as it was when the snapshot was taken: the one that it was taken of, one that was made of it, or another of the same component
    /// whose imports are the same. Handles of functions and of the instance keep working. Where a guest of the store was stopped, its instances can
    /// be called again; that needs that there is no other component instance in it.
    ///
    /// # Errors
    /// Where the instance is of another store or component, or inside of another instance; where a guest of the store runs, or has left tasks, streams or
    /// futures behind; where a guest was stopped, and the store has other instances; where a limit of the store refuses, or `resources`: the
    /// instance can't be called then, unless it is reset.
    pub fn reset(&self, store: &mut Store, instance: Instance, resources: &mut dyn HostResources) -> Result<(), Error> {
        let (state, members) = find(store, &self.component, instance)?;
        state.check_idle()?;
        state.check_closed()?;
        if state.poisoned && members.len() != state.instances.len() {
            return Err(Error::message("a guest of the store was stopped, and may have been another instance's"));
        }
        let core = state.core_of(&members);
        let lost = state.owned_of_host(&members);
        state.poisoned = true;
        self.core.reset(store, &core, &mut ())?;
        resources.discard(store, &lost);
        let reps = self.restore(store, resources)?;
        let state = ComponentState::of(store);
        state.fill_tables(instance.index, &self.state, &reps)?;
        for at in members {
            let instance = state.instance(at);
            instance.may_leave = true;
            instance.entered = 0;
        }
        state.poisoned = false;
        Ok(())
    }

    /// The host's resources, anew.
    fn restore(&self, store: &mut Store, resources: &mut dyn HostResources) -> Result<Vec<u32>, Error> {
        let reps = resources.restore(store, &self.state.host_types, &self.state.host)?;
        if reps.len() != self.state.host_types.len() {
            return Err(Error::message("the host has made another number of resources than the snapshot has"));
        }
        Ok(reps)
    }

    /// The snapshot with all that it takes to make its instances, for [`Snapshot::save`]; [`ComponentSnapshot::of`] is the way back.
    pub fn to_core(&self) -> Snapshot {
        let mut core = self.core.clone();
        core.attach(STATE, postcard::to_allocvec(&*self.state).expect("plain data can be written"));
        core.attach(BYTES, skeleton(self.component.bytes()));
        core
    }

    /// What [`ComponentSnapshot::to_core`] gave, also after it was saved and loaded. `None` where a snapshot is of core instances alone.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn of(mut core: Snapshot) -> Result<Option<ComponentSnapshot>, Error> {
        let (Some(state), Some(bytes)) = (core.section(STATE), core.section(BYTES)) else { return Ok(None) };
        let state: State = postcard::from_bytes(state).map_err(|_| damaged())?;
        let bytes = SharedBytes::from(bytes);
        let mut modules = state.modules.iter();
        let definition = decode(core.engine(), &bytes, &mut |_| {
            let module = modules.next().and_then(|&at| core.modules().get(at as usize));
            module.cloned().ok_or_else(damaged)
        })?;
        let component = Component::of(core.engine(), definition, bytes);
        core.detach(STATE);
        core.detach(BYTES);
        Ok(Some(ComponentSnapshot { component, core, state: Arc::new(state) }))
    }
}

impl fmt::Debug for ComponentSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentSnapshot").field("component", &self.component).finish_non_exhaustive()
    }
}

/// The state of a store, and the places there of an instance of this component and of those in it.
fn find<'s>(
    store: &'s mut Store,
    component: &Component,
    instance: Instance,
) -> Result<(&'s mut ComponentState, Vec<u32>), Error> {
    let state = instance.state(store)?;
    let found = state.instance(instance.index);
    if found.definition.scope != component.definition.scope {
        return Err(Error::message("the instance is of another component"));
    }
    if found.parent.is_some() {
        return Err(Error::message("the instance is inside of another one, which there are snapshots of"));
    }
    let members = state.members(instance.index);
    Ok((state, members))
}

impl ComponentState {
    /// An instance and those in it, which come behind it.
    fn members(&self, root: u32) -> Vec<u32> {
        let mut members = vec![root];
        for at in root + 1..self.instances.len() as u32 {
            // An instance is behind the one that contains it.
            let parent = self.instances[at as usize].parent;
            if parent.is_some_and(|parent| members.binary_search(&parent).is_ok()) {
                members.push(at);
            }
        }
        members
    }

    /// The core instances of these instances.
    fn core_of(&self, members: &[u32]) -> Vec<ampoule::Instance> {
        members.iter().flat_map(|&at| self.instances[at as usize].core.iter().copied()).collect()
    }

    /// The host's resources that these instances own.
    fn owned_of_host(&self, members: &[u32]) -> Vec<ResourceHost> {
        let handles = members.iter().flat_map(|&at| self.instances[at as usize].handles.iter().flatten());
        let owned = handles.filter_map(|handle| match *handle {
            Handle::Own { resource, rep, .. } => match self.resources[resource as usize].ty {
                ResourceType::Host(ty) => Some(ResourceHost { rep, ty, owned: true }),
                _ => None,
            },
            _ => None,
        });
        owned.collect()
    }

    /// Refuses a store in the middle of something.
    fn check_idle(&self) -> Result<(), Error> {
        if self.has_scopes() || !self.concurrency.is_idle() {
            return Err(Error::message("calls or tasks of the store's components are not over"));
        }
        Ok(())
    }

    /// Refuses a store in which something is open between calls.
    fn check_closed(&self) -> Result<(), Error> {
        if self.concurrency.waitables.is_empty() && self.concurrency.streams.is_empty() {
            return Ok(());
        }
        Err(Error::message("streams or futures of the store's components are open"))
    }

    /// The handles of these instances, and the host's resources among them.
    fn handles_of(&self, members: &[u32]) -> Result<(Vec<InstanceState>, Vec<ResourceHost>), Error> {
        let mut slots = HashMap::new();
        for (instance, &at) in (0..).zip(members) {
            for (slot, &resource) in (0..).zip(&self.instances[at as usize].resources) {
                slots.entry(resource).or_insert((instance, slot));
            }
        }
        let mut owned = Vec::new();
        let mut keep = |handle: Option<&Handle>| match handle {
            None => Ok(HandleState::Free),
            Some(&Handle::Own { resource, rep, .. }) => {
                let &(instance, slot) = slots.get(&resource).ok_or_else(|| {
                    refused("a guest has a resource of a type that no instance in the snapshot knows")
                })?;
                let rep = match self.resources[resource as usize].ty {
                    ResourceType::Host(ty) => {
                        owned.push(ResourceHost { rep, ty, owned: true });
                        Rep::Host
                    }
                    _ => Rep::Guest(rep),
                };
                Ok(HandleState::Own { instance, slot, rep })
            }
            Some(Handle::Set(set)) if self.concurrency.is_empty_set(*set) => Ok(HandleState::Set),
            Some(Handle::Set(_)) => Err(refused("a guest has a waitable set with something in it")),
            Some(Handle::Waitable(_)) => Err(refused("a guest has a stream, a future or a subtask")),
            Some(Handle::ErrorContext(_)) => Err(refused("a guest has an error context")),
            Some(Handle::Borrow { .. }) => Err(refused("a guest has a borrowed resource")),
        };
        let mut instances = Vec::with_capacity(members.len());
        for &at in members {
            let instance = &self.instances[at as usize];
            instances.push(InstanceState {
                handles: instance.handles.iter().map(&mut keep).collect::<Result<_, _>>()?,
                free: instance.handles.free_numbers(),
                backpressure: instance.tasks.backpressure,
            });
        }
        Ok((instances, owned))
    }

    /// Gives instances that were just made the handles that a snapshot has. `reps` are the host's resources, in their order.
    fn fill_tables(&mut self, root: u32, state: &State, reps: &[u32]) -> Result<(), Error> {
        let members = self.members(root);
        if members.len() != state.instances.len() {
            return Err(damaged());
        }
        let mut reps = reps.iter();
        for (&at, kept) in members.iter().zip(&state.instances) {
            let mut handles = Vec::with_capacity(kept.handles.len());
            for handle in &kept.handles {
                handles.push(match handle {
                    HandleState::Free => None,
                    HandleState::Set => Some(Handle::Set(self.concurrency.sets.insert(WaitableSet::default())?)),
                    HandleState::Own { instance, slot, rep } => {
                        let definer = members.get(*instance as usize).ok_or_else(damaged)?;
                        let resources = &self.instances[*definer as usize].resources;
                        let &resource = resources.get(*slot as usize).ok_or_else(damaged)?;
                        let known = self.resources.get(resource as usize).ok_or_else(damaged)?;
                        let rep = match (rep, known.ty) {
                            (Rep::Host, ResourceType::Host(_)) => *reps.next().ok_or_else(damaged)?,
                            (Rep::Guest(rep), ResourceType::Guest { .. }) => *rep,
                            _ => return Err(damaged()),
                        };
                        Some(Handle::Own { resource, rep, lent: 0 })
                    }
                });
            }
            let instance = &mut self.instances[at as usize];
            instance.handles.replace(HandleTable::from_parts(handles, &kept.free).ok_or_else(damaged)?);
            if kept.backpressure != instance.tasks.backpressure {
                instance.tasks.backpressure = kept.backpressure;
            }
        }
        Ok(())
    }
}

impl Concurrency {
    /// Whether nothing runs or waits.
    fn is_idle(&self) -> bool {
        let nobody = self.tasks.is_empty() && self.threads.is_empty() && self.levels.is_empty();
        nobody && self.futures.is_empty() && self.calls.is_empty()
    }

    /// Whether a waitable set has nothing in it, and nobody waits for it.
    fn is_empty_set(&self, set: u32) -> bool {
        let set = &self.sets[set];
        set.len == 0 && set.waiters.is_empty()
    }
}

/// Why no snapshot is taken.
fn refused(why: &str) -> Error {
    Error::message(format!("no snapshot can be taken: {why}"))
}

fn damaged() -> Error {
    Error::new(ErrorKind::Artifact("the snapshot of a component is damaged".to_string()))
}
