//! Resources: how the host holds, gives, takes and drops them.

use crate::concurrency;
use crate::handle::{Dtor, Handle, ResourceAny, ResourceHost};
use crate::state::ComponentState;
use crate::types::ResourceType;
use ampoule::{Error, Store, VmValRaw};

impl ResourceAny {
    /// Of which type.
    pub fn ty(&self) -> ResourceType {
        self.ty
    }

    /// Whether it is owned by whom has it, rather than borrowed for a call.
    pub fn owned(&self) -> bool {
        self.owned
    }

    /// Drops the resource: where it is owned, its destructor runs. Once for each resource, however many copies of the handle there are.
    ///
    /// # Errors
    /// Where it was dropped before, is another store's, or the destructor fails.
    pub fn drop(&self, store: &mut Store) -> Result<(), Error> {
        self.check(store)?;
        let handle = ComponentState::of(store).host.remove(self.index)?;
        match handle {
            Handle::Own { resource, rep, .. } => destroy(store, resource, rep, None),
            Handle::Borrow { scope, .. } => {
                ComponentState::of(store).end_borrow(scope);
                Ok(())
            }
            Handle::Waitable(_) | Handle::Set(_) | Handle::ErrorContext(_) => {
                unreachable!("the host's table has resources only")
            }
        }
    }

    pub(crate) fn check(&self, store: &Store) -> Result<(), Error> {
        if store.id() == self.store { Ok(()) } else { Err(Error::message("resource used with the wrong store")) }
    }
}

impl ResourceHost {
    /// Puts the resource into a store; each time another handle.
    ///
    /// # Errors
    /// Where it is borrowed and no call is running, or there are too many handles.
    pub fn into_any(&self, store: &mut Store) -> Result<ResourceAny, Error> {
        let id = store.id();
        let ty = ResourceType::Host(self.ty);
        let state = ComponentState::of(store);
        let resource = state.host_resource(ty);
        let handle = if self.owned {
            Handle::Own { resource, rep: self.rep, lent: 0 }
        } else {
            let scope = state.begin_borrow().ok_or_else(|| Error::message("no call is running that could borrow"))?;
            Handle::Borrow { resource, rep: self.rep, scope }
        };
        let index = state.host.insert(handle)?;
        Ok(ResourceAny { store: id, index, ty, owned: self.owned })
    }

    /// Takes a resource of the embedder's out of a store: an owned one is consumed.
    ///
    /// # Errors
    /// Where it is none of the embedder's, or was dropped or given away.
    pub fn from_any(any: &ResourceAny, store: &mut Store) -> Result<ResourceHost, Error> {
        any.check(store)?;
        let ResourceType::Host(ty) = any.ty else { return Err(Error::message("resource type mismatch")) };
        let state = ComponentState::of(store);
        let gone = |_| Error::message("host-owned resource was already de-allocated");
        let handle = if any.owned { state.host.remove(any.index) } else { state.host.get(any.index).copied() };
        Ok(ResourceHost { rep: handle.map_err(gone)?.rep(), ty, owned: any.owned })
    }
}

/// Runs the destructor of a resource that nobody has any more. `by` is the component instance that drops it, where one does.
pub(crate) fn destroy(store: &mut Store, resource: u32, rep: u32, by: Option<u32>) -> Result<(), Error> {
    let state = ComponentState::of(store);
    match state.resources[resource as usize].dtor.clone() {
        Dtor::None => Ok(()),
        Dtor::Host(dtor) => dtor(store, rep),
        Dtor::Guest { func: None, .. } => Ok(()),
        Dtor::Guest { func: Some(func), instance } if state.is_concurrent => {
            concurrency::call::destructor(store, func, instance, rep, by)
        }
        Dtor::Guest { func: Some(func), instance } => {
            if by != Some(instance) {
                state.check_enterable(instance)?;
            }
            let mut arg = [VmValRaw { i64: i64::from(rep) }];
            // SAFETY: a destructor takes one i32, as the validator has seen, and answers nothing.
            let ran = unsafe { func.call_raw(store, arg.as_mut_ptr()) };
            ran.inspect_err(|_| ComponentState::of(store).poisoned = true)
        }
    }
}
