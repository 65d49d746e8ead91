//! What a store knows of components: their instances, resource types, and the calls between them that are running.

use crate::concurrency::Concurrency;
use crate::concurrency::arena::{Arena, NONE};
use crate::concurrency::instance::InstanceTasks;
use crate::definition::Definition;
use crate::found::FoundImports;
use crate::handle::{Dtor, Handle, HandleTable, HostDtor, Resource, wrong_kind};
use crate::items::Item;
use crate::kept::Kept;
use crate::on_demand::OnDemand;
use crate::records::{BuiltinData, FuncData, HandleBuiltin, Lowered};
use crate::room::Room;
use crate::types::ResourceType;
use ampoule::store::stable_list::StableList;
use ampoule::{Budget, Error, Store, TrapCode};
use smallvec::SmallVec;
use std::sync::Arc;

/// The slot of a store.
pub(crate) struct ComponentState {
    /// Component instances, by the order in which they were made. Their places don't change.
    pub(crate) instances: StableList<InstanceData>,
    /// Functions that components export and import. Their places don't change.
    pub(crate) funcs: StableList<FuncData>,
    /// Resource types that handles are of.
    pub(crate) resources: Vec<Resource>,
    /// What core functions that components make are called with. Their places don't change.
    pub(crate) lowered: StableList<Lowered>,
    pub(crate) builtins: StableList<HandleBuiltin>,
    pub(crate) task_builtins: StableList<BuiltinData>,
    /// The host's handles.
    pub(crate) host: HandleTable,
    /// The calls that aren't over and may lend.
    scopes: Arena<Scope>,
    /// The one that runs, innermost; [`NONE`] outside of any.
    pub(crate) scope: u32,
    /// Whether there may be calls beside one another: entries from the host run on stacks of their own then, as tasks.
    pub(crate) is_concurrent: bool,
    pub(crate) concurrency: OnDemand<Concurrency>,
    /// A guest was stopped: no instance may be entered any more.
    pub(crate) poisoned: bool,
    /// Where handles count, once there is an instance.
    budget: Option<Budget>,
}

impl Default for ComponentState {
    fn default() -> Self {
        Self {
            instances: StableList::default(),
            funcs: StableList::default(),
            resources: Vec::new(),
            lowered: StableList::default(),
            builtins: StableList::default(),
            task_builtins: StableList::default(),
            host: HandleTable::default(),
            scopes: Arena::with_more("calls", MAX_SCOPES, UNCOUNTED_LENDERS * size_of::<(Owner, u32)>()),
            scope: NONE,
            is_concurrent: false,
            concurrency: OnDemand::default(),
            poisoned: false,
            budget: None,
        }
    }
}

/// A component instance.
pub(crate) struct InstanceData {
    pub(crate) definition: Kept<Definition>,
    /// The instance that contains it.
    pub(crate) parent: Option<u32>,
    /// What the store counts for it and those in it; of an instance that is in no other.
    _root: Option<Root>,
    /// The core instances that it was made of, in their order; those of the instances in it are theirs.
    pub(crate) core: SmallVec<[ampoule::Instance; 2]>,
    /// By slot of the definition, the place in the store's list of resource types; `u32::MAX` where it isn't known yet.
    pub(crate) resources: Box<[u32]>,
    pub(crate) handles: HandleTable,
    /// Off while the guest allocates or cleans up for the canonical ABI.
    pub(crate) may_leave: bool,
    /// Whether one of its core modules has tags. Without any, nothing in it throws, for exceptions don't pass from instance to instance.
    pub(crate) may_throw: bool,
    /// How many calls from other components are inside.
    pub(crate) entered: u32,
    /// What it exports, by the names that its definition has, once it is made.
    pub(crate) exports: Option<SmallVec<[Item; 2]>>,
    /// Which of its tasks may run.
    pub(crate) tasks: OnDemand<InstanceTasks>,
}

/// What an instance is made of: all that [`Kept`] leads to in a store is in these.
pub(crate) struct Root {
    pub(crate) _definition: Arc<Definition>,
    pub(crate) _found: Option<Arc<FoundImports>>,
}

/// A call that takes or gives handles.
struct Scope {
    /// The call in which it was made, where that waits for it.
    outer: u32,
    /// Owned handles that the call has borrowed: whose, and which.
    lenders: Vec<(Owner, u32)>,
    lenders_room: Room,
    /// Borrowed handles that it has given out and that weren't dropped yet.
    borrows: u32,
    /// Borrowed handles in the host's table, which end with the call.
    host_borrows: Vec<u32>,
}

impl Scope {
    /// Notes whose handle is lent to the call.
    ///
    /// # Errors
    /// Where too many are, or the store's budget is used up.
    #[inline]
    fn note_lender(&mut self, owner: Owner, index: u32, budget: Option<&Budget>) -> Result<(), Error> {
        let Scope { lenders, lenders_room, .. } = self;
        if lenders.len() >= MAX_LENT {
            return Err(Error::message("too many handles are lent to one call"));
        }
        // Few are, mostly.
        if let Some(budget) = budget.filter(|_| lenders.len() == UNCOUNTED_LENDERS) {
            lenders_room.count_in(budget, lenders, size_of::<(Owner, u32)>());
        }
        lenders_room.make(lenders, size_of::<(Owner, u32)>())?;
        lenders.push((owner, index));
        Ok(())
    }
}

/// Whose handle table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    Host,
    Instance(u32),
}

/// No resource type is known for a slot yet.
pub(crate) const UNKNOWN: u32 = u32::MAX;

/// Calls with handles that one store may have at a time: nested, or beside one another.
const MAX_SCOPES: usize = 1 << 19;

/// Handles that one call may borrow: a list may have the same one any number of times.
const MAX_LENT: usize = 1 << 20;

/// Of them, those that don't count in the store's budget but for its record.
const UNCOUNTED_LENDERS: usize = 4;

/// Component instances that one store may have.
const MAX_INSTANCES: usize = 10_000;

impl ComponentState {
    /// The store's, made when first asked for.
    #[inline]
    pub(crate) fn of(store: &mut Store) -> &mut ComponentState {
        store.slots_mut().get_or_default()
    }

    /// As [`ComponentState::of`], where handles count in the store's budget from now on.
    pub(crate) fn counted(store: &mut Store) -> &mut ComponentState {
        if ComponentState::of(store).budget.is_none() {
            let budget = store.budget();
            let state = ComponentState::of(store);
            state.host.count_in(&budget);
            state.scopes.count_in(&budget);
            state.budget = Some(budget);
        }
        ComponentState::of(store)
    }

    /// Calls may be beside one another from now on.
    pub(crate) fn become_concurrent(&mut self) {
        if !self.is_concurrent {
            self.is_concurrent = true;
            if let Some(budget) = &self.budget {
                self.concurrency.count_in(budget);
            }
        }
    }

    /// Adds an instance that has nothing yet.
    ///
    /// # Errors
    /// Where there are too many.
    pub(crate) fn add_instance(
        &mut self,
        definition: Kept<Definition>,
        parent: Option<u32>,
        root: Option<Root>,
    ) -> Result<u32, Error> {
        if self.instances.len() >= MAX_INSTANCES {
            let count = MAX_INSTANCES + 1;
            return Err(Error::message(format!(
                "resource limit exceeded: component instance count too high at {count}"
            )));
        }
        self.instances.push_with(|| InstanceData {
            definition,
            parent,
            _root: root,
            core: SmallVec::new(),
            resources: vec![UNKNOWN; definition.slots as usize].into(),
            handles: self.budget.as_ref().map_or_else(HandleTable::default, HandleTable::counted_in),
            may_leave: true,
            may_throw: false,
            entered: 0,
            exports: None,
            tasks: OnDemand::default(),
        });
        Ok(self.instances.len() as u32 - 1)
    }

    /// Adds a function: gives its place.
    #[inline]
    pub(crate) fn add_func(&mut self, make: impl FnOnce() -> FuncData) -> u32 {
        self.funcs.push_with(make);
        self.funcs.len() as u32 - 1
    }

    /// Whether one of two instances is the other or contains it.
    pub(crate) fn are_kin(&self, one: u32, other: u32) -> bool {
        let contains = |outer: u32, inner: u32| {
            std::iter::successors(Some(inner), |&index| self.instances[index as usize].parent)
                .any(|index| index == outer)
        };
        contains(one, other) || contains(other, one)
    }

    pub(crate) fn instance(&mut self, index: u32) -> &mut InstanceData {
        &mut self.instances[index as usize]
    }

    /// Adds a resource type that an instance defines.
    pub(crate) fn add_guest_resource(&mut self, store: u64, dtor: Dtor) -> u32 {
        let index = self.resources.len() as u32;
        self.resources.push(Resource { ty: ResourceType::Guest { store, index }, dtor });
        index
    }

    /// The embedder's resource type of this number, without a destructor.
    pub(crate) fn host_resource(&mut self, ty: ResourceType) -> u32 {
        self.find_resource(|resource| resource.ty == ty && matches!(resource.dtor, Dtor::None), ty, || Dtor::None)
    }

    /// The embedder's resource type of this number, as a linker defines it.
    pub(crate) fn linked_resource(&mut self, ty: ResourceType, dtor: &Arc<HostDtor>) -> u32 {
        let same = |resource: &Resource| {
            resource.ty == ty && matches!(&resource.dtor, Dtor::Host(have) if Arc::ptr_eq(have, dtor))
        };
        self.find_resource(same, ty, || Dtor::Host(dtor.clone()))
    }

    fn find_resource(&mut self, is: impl Fn(&Resource) -> bool, ty: ResourceType, dtor: impl FnOnce() -> Dtor) -> u32 {
        if let Some(index) = self.resources.iter().position(is) {
            return index as u32;
        }
        self.resources.push(Resource { ty, dtor: dtor() });
        self.resources.len() as u32 - 1
    }

    /// The place of the resource type in a slot of an instance.
    ///
    /// # Errors
    /// Where the instance doesn't know it.
    pub(crate) fn resource_in(&self, instance: u32, slot: ResourceType) -> Result<u32, Error> {
        let ResourceType::Abstract { slot, .. } = slot else { unreachable!("types in definitions have slots") };
        self.resource_at(instance, slot)
    }

    /// As [`ComponentState::resource_in`], by the slot's number.
    ///
    /// # Errors
    /// Where the instance doesn't know it.
    pub(crate) fn resource_at(&self, instance: u32, slot: u32) -> Result<u32, Error> {
        match self.instances[instance as usize].resources[slot as usize] {
            UNKNOWN => Err(Error::message("a resource type is used before it is defined")),
            index => Ok(index),
        }
    }

    /// The type in a slot of an instance, as the embedder sees it.
    pub(crate) fn public_type(&self, instance: u32, slot: ResourceType) -> ResourceType {
        self.resource_in(instance, slot).map_or(slot, |index| self.resources[index as usize].ty)
    }

    /// Whether an instance may be entered from outside.
    ///
    /// # Errors
    /// The trap, where it may not.
    #[inline]
    pub(crate) fn check_enterable(&self, instance: u32) -> Result<(), Error> {
        if self.poisoned || self.instances[instance as usize].entered > 0 { Err(cannot_enter()) } else { Ok(()) }
    }

    pub(crate) fn handles(&mut self, owner: Owner) -> &mut HandleTable {
        match owner {
            Owner::Host => &mut self.host,
            Owner::Instance(index) => &mut self.instances[index as usize].handles,
        }
    }

    /// A call begins whose values may be handles.
    ///
    /// # Errors
    /// Where too many run.
    pub(crate) fn push_scope(&mut self) -> Result<(), Error> {
        self.scope = self.new_scope(self.scope)?;
        Ok(())
    }

    /// What a call that begins beside others is counted by.
    ///
    /// # Errors
    /// Where there are too many.
    pub(crate) fn new_scope(&mut self, outer: u32) -> Result<u32, Error> {
        let (lenders, lenders_room) = (Vec::new(), Room::default());
        self.scopes.insert(Scope { outer, lenders, lenders_room, borrows: 0, host_borrows: Vec::new() })
    }

    /// Whether there are calls with handles that aren't over.
    pub(crate) fn has_scopes(&self) -> bool {
        !self.scopes.is_empty()
    }

    /// The innermost call ends: what it borrowed is its owners' again.
    ///
    /// # Errors
    /// Where the callee has kept what it was lent.
    pub(crate) fn pop_scope(&mut self) -> Result<(), Error> {
        let scope = self.scope;
        self.scope = self.scopes[scope].outer;
        let returned = self.end_borrows(scope);
        self.end_lends(scope);
        returned
    }

    /// The callee of a call is done with what it was lent.
    ///
    /// # Errors
    /// Where it has kept some of that.
    pub(crate) fn end_borrows(&mut self, scope: u32) -> Result<(), Error> {
        let Some(found) = self.scopes.get(scope) else { return Ok(()) };
        let host_borrows = std::mem::take(&mut found.host_borrows);
        let mut borrows = found.borrows;
        for index in host_borrows {
            if matches!(self.host.get(index), Ok(Handle::Borrow { .. })) && self.host.remove(index).is_ok() {
                borrows = borrows.saturating_sub(1);
            }
        }
        self.scopes[scope].borrows = borrows;
        if borrows > 0 {
            return Err(Error::message("borrow handles still remain at the end of the call"));
        }
        Ok(())
    }

    /// The caller of a call knows that it is over: what it lent is its own again. The call is forgotten.
    pub(crate) fn end_lends(&mut self, scope: u32) {
        let Some(scope) = self.scopes.remove(scope) else { return };
        for (owner, index) in scope.lenders {
            if let Ok(Handle::Own { lent, .. }) = self.handles(owner).get(index) {
                *lent = lent.saturating_sub(1);
            }
        }
    }

    /// Ends calls that were given up, until this is the innermost.
    pub(crate) fn unwind_scopes(&mut self, outer: u32) {
        while self.scope != outer && self.scopes.get(self.scope).is_some() {
            // What they kept doesn't matter any more.
            let _ = self.pop_scope();
        }
        self.scope = outer;
    }

    /// Counts a handle that is borrowed for the innermost call, which it gives.
    pub(crate) fn begin_borrow(&mut self) -> Option<u32> {
        let scope = self.scopes.get(self.scope)?;
        scope.borrows += 1;
        Some(self.scope)
    }

    /// A borrowed handle is dropped.
    pub(crate) fn end_borrow(&mut self, scope: u32) {
        // A handle may outlive the call that it was for, where that was given up.
        if let Some(scope) = self.scopes.get(scope) {
            scope.borrows = scope.borrows.saturating_sub(1);
        }
    }

    /// Lends a handle to the innermost call: gives its resource and what stands behind it.
    ///
    /// # Errors
    /// Where there is no such handle, or it is of another type.
    pub(crate) fn lend(&mut self, owner: Owner, index: u32, resource: u32) -> Result<u32, Error> {
        self.check_type(owner, index, resource)?;
        let handle = self.handles(owner).get(index)?;
        let (rep, is_owned) = (handle.rep(), matches!(handle, Handle::Own { .. }));
        if is_owned {
            self.scopes[self.scope].note_lender(owner, index, self.budget.as_ref())?;
            if let Handle::Own { lent, .. } = self.handles(owner).get(index)? {
                *lent += 1;
            }
        }
        Ok(rep)
    }

    /// Takes an owned handle away from its owner: gives its resource and what stands behind it.
    ///
    /// # Errors
    /// Where there is no such handle, it is borrowed or lent, or of another type.
    pub(crate) fn take(&mut self, owner: Owner, index: u32, resource: u32) -> Result<(u32, u32), Error> {
        self.check_type(owner, index, resource)?;
        let table = self.handles(owner);
        if let Handle::Borrow { .. } = table.get(index)? {
            return Err(Error::message("cannot lift own resource from a borrow"));
        }
        match table.remove(index)? {
            Handle::Own { resource, rep, .. } => Ok((resource, rep)),
            _ => unreachable!("it was seen that it is owned"),
        }
    }

    fn check_type(&mut self, owner: Owner, index: u32, resource: u32) -> Result<(), Error> {
        let Some(have) = self.handles(owner).get(index)?.resource() else {
            return Err(wrong_kind(index, "a resource"));
        };
        if have == resource || self.resources[have as usize].ty == self.resources[resource as usize].ty {
            return Ok(());
        }
        let Owner::Instance(_) = owner else { return Err(Error::message("mismatched resource types")) };
        let [found, expected] = [have, resource].map(|index| match self.resources[index as usize].ty {
            ResourceType::Host(_) => "host-defined resource",
            _ => "guest-defined resource",
        });
        let different = if found == expected { "a different " } else { "" };
        Err(Error::message(format!(
            "handle index {index} used with the wrong type, expected {expected} but found {different}{found}"
        )))
    }

    /// Gives an owned handle to somebody.
    ///
    /// # Errors
    /// Where there are too many.
    pub(crate) fn give(&mut self, owner: Owner, resource: u32, rep: u32) -> Result<u32, Error> {
        self.handles(owner).insert(Handle::Own { resource, rep, lent: 0 })
    }

    /// Lends what stands behind a handle to a callee for the innermost call: gives what the callee gets for it.
    ///
    /// # Errors
    /// Where it has too many.
    pub(crate) fn give_borrow(&mut self, owner: Owner, resource: u32, rep: u32) -> Result<u32, Error> {
        // Who defines a resource gets what it has put there itself.
        if let (Owner::Instance(index), Dtor::Guest { instance, .. }) = (owner, &self.resources[resource as usize].dtor)
            && index == *instance
        {
            return Ok(rep);
        }
        let scope = self.begin_borrow().expect("a call that takes handles has a scope");
        let index = self.handles(owner).insert(Handle::Borrow { resource, rep, scope })?;
        if owner == Owner::Host {
            self.scopes[scope].host_borrows.push(index);
        }
        Ok(index)
    }
}

impl ComponentState {
    /// What stands behind a handle.
    ///
    /// # Errors
    /// Where there is no such handle, or it is of another type.
    pub(crate) fn look(&mut self, owner: Owner, index: u32, resource: u32) -> Result<u32, Error> {
        self.check_type(owner, index, resource)?;
        Ok(self.handles(owner).get(index)?.rep())
    }

    /// Drops a handle: gives the resource to be destroyed, where it was owned.
    ///
    /// # Errors
    /// Where there is no such handle, it is lent, or of another type.
    pub(crate) fn drop_handle(&mut self, owner: Owner, index: u32, resource: u32) -> Result<Option<(u32, u32)>, Error> {
        self.check_type(owner, index, resource)?;
        match self.handles(owner).remove(index)? {
            Handle::Own { resource, rep, .. } => Ok(Some((resource, rep))),
            Handle::Borrow { scope, .. } => {
                self.end_borrow(scope);
                Ok(None)
            }
            Handle::Waitable(_) | Handle::Set(_) | Handle::ErrorContext(_) => {
                unreachable!("it was seen that it is for a resource")
            }
        }
    }
}

/// A component instance that may not be entered now.
#[cold]
pub(crate) fn cannot_enter() -> Error {
    Error::trap(TrapCode::CannotEnterComponent)
}
