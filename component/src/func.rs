//! Functions of components: called by the host, and the host's, called by components.

use crate::canon::lift::{self, Lift};
use crate::canon::lower::Lower;
use crate::canon::options::Options;
use crate::canon::transfer::Transfer;
use crate::concurrency::arena::NONE;
use crate::concurrency::call;
use crate::concurrency::waitable::SubtaskState;
use crate::core_callback::CoreCallee;
use crate::found::FoundFunc;
use crate::records::{AsyncHostFn, Callee, FuncData, HandleBuiltin, HostCallee, HostFn, Lowered};
use crate::state::{ComponentState, Owner, cannot_enter};
use crate::types::FuncType;
use crate::types::layout::MAX_FLAT;
use crate::val::{Kind, Val};
use ampoule::{Error, Store, TrapCode, VmValRaw};
use std::sync::Arc;

/// A function of a component instance. The layout is the C interface's.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Func {
    pub(crate) store_id: u64,
    pub(crate) index: u32,
}

/// The most core values of a call: parameters, and one result or the address of it.
const SLOTS: usize = MAX_FLAT + 1;

pub(crate) const NO_VALUES: [VmValRaw; SLOTS] = [VmValRaw { v128: [0; 16] }; SLOTS];

/// Most calls have no more core values than this, which are made sooner than [`SLOTS`].
const FEW_SLOTS: usize = 4;

/// Most functions of the host have no more arguments than this, for which there is room on the stack.
const FEW_ARGS: usize = 4;

impl Func {
    /// The type.
    ///
    /// # Errors
    /// Where the function is another store's.
    pub fn ty(&self, store: &mut Store) -> Result<Arc<FuncType>, Error> {
        let data: *const FuncData = self.data(store)?;
        let state = ComponentState::of(store);
        // SAFETY: functions stay where they are as long as their store.
        Ok(match unsafe { &*data } {
            FuncData::Host { instance, func } => func.public_type(state, *instance).clone(),
            FuncData::Lifted { ty, .. } if !ty.has_handles => ty.counted(),
            FuncData::Lifted { ty, options, .. } => {
                Arc::new(ty.with_resources(&|slot| state.public_type(options.instance, slot)))
            }
        })
    }

    #[inline]
    pub(crate) fn data<'s>(&self, store: &'s mut Store) -> Result<&'s FuncData, Error> {
        if store.id() != self.store_id {
            return Err(wrong_store());
        }
        ComponentState::of(store).funcs.get(self.index as usize).ok_or_else(wrong_store)
    }

    /// Calls the function. `results` is as long as the function has results, one or none, and stays as it is on error.
    ///
    /// # Errors
    /// Arguments that don't fit the type: nothing has run. A result that can't be lifted. What stops the guest, and an error of a host
    /// function: no component of this store can be called any more.
    pub fn call(&self, store: &mut Store, args: &[Val], results: &mut [Val]) -> Result<(), Error> {
        self.call_with(store, args, results, false)
    }

    /// The same; with `compact_bytes`, each `list<u8>` is [`Val::bytes`].
    #[inline(always)]
    pub(crate) fn call_with(
        &self,
        store: &mut Store,
        args: &[Val],
        results: &mut [Val],
        compact_bytes: bool,
    ) -> Result<(), Error> {
        let data: *const FuncData = self.data(store)?;
        // SAFETY: functions stay where they are as long as their store.
        let data = unsafe { &*data };
        let ty = data.ty();
        let (params, count) = (ty.params().len(), usize::from(ty.result().is_some()));
        if args.len() != params {
            return Err(Error::message(format!("expected {params} argument(s), got {}", args.len())));
        }
        if results.len() != count {
            return Err(Error::message(format!("expected {count} result(s), got {}", results.len())));
        }
        let FuncData::Lifted { core, options, .. } = data else {
            return Err(Error::message("a function of the host is called by components only"));
        };
        if ComponentState::of(store).is_concurrent {
            let lifted = call::Lifted { func: self.index, core, ty, options };
            return call_task(store, lifted, args, results, compact_bytes);
        }
        let outer = begin(store, ty)?;
        // A value that is moved right after it was made waits for the memory that it was written to. So the result is lifted into its place,
        // where nothing can go wrong after that, and where it replaces nothing that an error would have to bring back.
        let in_place = options.post_return.is_none() && !ty.has_handles && results.iter().all(Val::is_scalar);
        let mut elsewhere = [Val::default()];
        let places = if in_place { &mut *results } else { &mut elsewhere[..count] };
        let few = ty.flat_params.as_ref().is_none_or(|flat| flat.len() <= FEW_SLOTS);
        let called = if few {
            call_lifted::<FEW_SLOTS>(store, core, ty, options, compact_bytes, args, places)
        } else {
            call_lifted::<SLOTS>(store, core, ty, options, compact_bytes, args, places)
        };
        end(store, ty, outer, called)?;
        if !in_place {
            results.swap_with_slice(&mut elsewhere[..count]);
        }
        Ok(())
    }
}

#[cold]
fn wrong_store() -> Error {
    Error::message("object used with the wrong store")
}

/// A call in a store whose calls are tasks.
#[cold]
fn call_task(
    store: &mut Store,
    lifted: call::Lifted<'_>,
    args: &[Val],
    results: &mut [Val],
    compact_bytes: bool,
) -> Result<(), Error> {
    let result = call::from_host(store, lifted, args, compact_bytes)?;
    results.iter_mut().zip(result).for_each(|(slot, result)| *slot = result);
    Ok(())
}

/// A call into a component begins, from the host.
#[inline]
fn begin(store: &mut Store, ty: &FuncType) -> Result<u32, Error> {
    let state = ComponentState::of(store);
    if state.poisoned {
        return Err(cannot_enter());
    }
    let outer = state.scope;
    if ty.has_handles {
        state.push_scope()?;
    }
    Ok(outer)
}

/// The call ends.
#[inline(always)]
fn end(store: &mut Store, ty: &FuncType, outer: u32, called: Result<(), Error>) -> Result<(), Error> {
    if !ty.has_handles && called.is_ok() {
        return Ok(());
    }
    end_scope(store, outer, called)
}

/// The call ends that may have lent or borrowed something, or was given up.
fn end_scope(store: &mut Store, outer: u32, called: Result<(), Error>) -> Result<(), Error> {
    let state = ComponentState::of(store);
    let ended = called.and_then(|()| state.pop_scope().inspect_err(|_| state.poisoned = true));
    state.unwind_scopes(outer);
    ended
}

/// A call of a function whose core values fit into `N`.
fn call_lifted<const N: usize>(
    store: &mut Store,
    core: &ampoule::Func,
    ty: &FuncType,
    options: &Options,
    compact_bytes: bool,
    args: &[Val],
    results: &mut [Val],
) -> Result<(), Error> {
    let mut values = [NO_VALUES[0]; N];
    let mut lower = Lower::new(store, options)?;
    lower.compact_bytes = compact_bytes;
    lower.params(ty, args, &mut values)?;
    run_lifted(store, core, options, &mut values, |store, values| {
        let (Some(ty_of_result), [result]) = (ty.result(), results) else { return Ok(()) };
        if let Some(kind) = Kind::of_number(ty_of_result) {
            *result = lift::number(kind, &values[0]);
            return Ok(());
        }
        let mut lift = Lift::new(store, options)?;
        lift.compact_bytes = compact_bytes;
        lift.result(ty, ty_of_result, values, result)
    })
}

/// Calls the core function, hands its results to `lift`, and has the guest clean up. Where the guest is stopped, no instance may be
/// entered any more; a result that can't be lifted is an error of this call alone.
#[inline]
pub(crate) fn run_lifted(
    store: &mut Store,
    core: &ampoule::Func,
    options: &Options,
    values: &mut [VmValRaw],
    lift: impl FnOnce(&mut Store, &[VmValRaw]) -> Result<(), Error>,
) -> Result<(), Error> {
    // SAFETY: the values are what the type flattens to, which the validator has compared with the core function's type; there is a
    // slot for each.
    let ran = unsafe { core.call_raw(store, values.as_mut_ptr()) };
    ran.inspect_err(|_| ComponentState::of(store).poisoned = true)?;
    lift(store, &values[..])?;
    let Some(post_return) = options.post_return else { return Ok(()) };
    let before = std::mem::replace(&mut ComponentState::of(store).instance(options.instance).may_leave, false);
    // SAFETY: it takes what the core function answered, and answers nothing, as the validator has seen.
    let cleaned = unsafe { post_return.call_raw(store, values.as_mut_ptr()) };
    let state = ComponentState::of(store);
    state.instance(options.instance).may_leave = before;
    cleaned.inspect_err(|_| state.poisoned = true)
}

impl CoreCallee for Lowered {
    #[inline]
    fn call(&self, store: &mut Store, values: &mut [VmValRaw]) -> Result<(), Error> {
        match &self.callee {
            Callee::Host(importer, func) => {
                let call = match &func.host.call {
                    HostCallee::Now(call) => call,
                    HostCallee::Later(later) => {
                        return self.call_host_later(store, (*importer, func), (later, false), values);
                    }
                    HostCallee::Asked(call, later) => {
                        let is_task = ComponentState::of(store).concurrency.current != NONE;
                        if is_task && self.options.is_async {
                            return self.call_host_later(store, (*importer, func), (later, true), values);
                        }
                        call
                    }
                };
                self.call_host(store, (*importer, func), &**call, values)
            }
            Callee::Component(index) => self.call_other(store, *index, values),
        }
    }
}

impl Lowered {
    /// Where the result goes that isn't passed as a core value.
    pub(crate) fn address(&self, values: &[VmValRaw]) -> u32 {
        let flat = if self.options.is_async { &self.ty.flat_async_params } else { &self.ty.flat_params };
        let last = flat.as_ref().map_or(1, |flat| flat.len());
        // SAFETY: slots of arguments are initialised.
        values.get(last).map_or(0, |value| unsafe { value.i32 } as u32)
    }

    /// Calls a function of the host's that takes a while.
    fn call_host_later(
        &self,
        store: &mut Store,
        (importer, func): (u32, &FoundFunc),
        (later, is_asked): (&Arc<AsyncHostFn>, bool),
        values: &mut [VmValRaw],
    ) -> Result<(), Error> {
        let state = ComponentState::of(store);
        check_may_leave(state, self.options.instance)?;
        let ty = func.public_type(state, importer).clone();
        self.call_later(store, (later, func.host.compact_bytes, is_asked), ty, values)
    }

    /// Calls a function of the host's that answers at once.
    #[inline]
    fn call_host(
        &self,
        store: &mut Store,
        (importer, func): (u32, &FoundFunc),
        call: &HostFn,
        values: &mut [VmValRaw],
    ) -> Result<(), Error> {
        let host = &func.host;
        let (mut few, mut many) = ([const { Val::FALSE }; FEW_ARGS], Vec::new());
        let args = match self.ty.params().len() {
            count @ 0..=FEW_ARGS => &mut few[..count],
            count => {
                many.resize_with(count, Val::default);
                &mut many[..]
            }
        };
        let mut lift = Lift::new(store, &self.options)?;
        lift.compact_bytes = host.compact_bytes;
        let state = lift.state();
        check_may_leave(state, self.options.instance)?;
        let outer = state.scope;
        if self.ty.has_handles {
            state.push_scope()?;
        }
        let lifted = lift.params(&self.ty, self.options.is_async, values, args);
        let ty = func.public_type(lift.state(), importer);
        let called = lifted.and_then(|()| {
            let mut results = [Val::FALSE];
            let count = usize::from(self.ty.result().is_some());
            call(store, ty, args, &mut results[..count])?;
            self.lower_result(store, &results[0], host.compact_bytes, values)
        });
        end(store, &self.ty, outer, called)
    }

    /// Calls a function of another component.
    fn call_other(&self, store: &mut Store, index: u32, values: &mut [VmValRaw]) -> Result<(), Error> {
        let state = ComponentState::of(store);
        check_may_leave(state, self.options.instance)?;
        let outer = state.scope;
        let data: *const FuncData = &state.funcs[index as usize];
        // SAFETY: functions stay where they are as long as their store.
        let FuncData::Lifted { core, ty, options } = (unsafe { &*data }) else {
            unreachable!("it was one of a component when it was lowered")
        };
        if state.concurrency.current != NONE {
            return self.call_task(store, call::Lifted { func: index, core, ty, options }, values);
        }
        if self.ty.has_handles {
            state.push_scope()?;
        }
        let called = self.enter_component(store, core, ty, options, values);
        end(store, &self.ty, outer, called)
    }

    #[inline]
    fn lower_result(
        &self,
        store: &mut Store,
        val: &Val,
        compact_bytes: bool,
        values: &mut [VmValRaw],
    ) -> Result<(), Error> {
        let address = self.address(values);
        if self.options.is_async {
            // The answer is that the call is over.
            values[0] = VmValRaw { i64: SubtaskState::Returned as i64 };
        }
        let Some(result) = self.ty.result() else { return Ok(()) };
        let mut lower = Lower::new(store, &self.options)?;
        lower.compact_bytes = compact_bytes;
        if self.options.is_async || self.ty.flat_result.is_none() {
            return lower.result_at(result, val, address);
        }
        clear_result(&self.ty, values);
        lower.flat_result(result, val, values)
    }

    /// A call from one component to another, of which no two are in the callee at a time.
    fn enter_component(
        &self,
        store: &mut Store,
        core: &ampoule::Func,
        ty: &FuncType,
        options: &Options,
        values: &mut [VmValRaw],
    ) -> Result<(), Error> {
        if self.is_kin {
            return Err(cannot_enter());
        }
        ComponentState::of(store).check_enterable(options.instance)?;
        ComponentState::of(store).instance(options.instance).entered += 1;
        let ran = self.call_component(store, core, ty, options, values);
        ComponentState::of(store).instance(options.instance).entered -= 1;
        ran
    }

    /// Calls a function of another component, whose values lie in another memory.
    pub(crate) fn call_component(
        &self,
        store: &mut Store,
        core: &ampoule::Func,
        ty: &FuncType,
        options: &Options,
        values: &mut [VmValRaw],
    ) -> Result<(), Error> {
        let mut callee_values = NO_VALUES;
        Transfer::new(store, &self.options, options)?.params((&self.ty, ty), values, &mut callee_values)?;
        let address = self.address(values);
        clear_result(&self.ty, values);
        let ran = run_lifted(store, core, options, &mut callee_values, |store, given| {
            let Some(types) = ty.result().zip(self.ty.result()) else { return Ok(()) };
            let is_flat = ty.flat_result.is_some();
            Transfer::new(store, options, &self.options)?.result(types, is_flat, given, address, values)
        });
        // The callee has been compiled by now.
        if let Some(adapter) = &self.adapter {
            adapter.settle();
        }
        ran
    }
}

pub(crate) fn check_may_leave(state: &mut ComponentState, instance: u32) -> Result<(), Error> {
    if state.instance(instance).may_leave { Ok(()) } else { Err(Error::trap(TrapCode::CannotLeaveComponent)) }
}

/// Makes the slot of a result that is passed as a core value zero, as those who put values there want it.
fn clear_result(ty: &FuncType, values: &mut [VmValRaw]) {
    if let (Some(_), Some(first)) = (&ty.flat_result, values.first_mut()) {
        *first = NO_VALUES[0];
    }
}

impl CoreCallee for HandleBuiltin {
    fn call(&self, store: &mut Store, values: &mut [VmValRaw]) -> Result<(), Error> {
        // SAFETY: slots of arguments are initialised; there is one.
        let arg = unsafe { values[0].i32 } as u32;
        values[0] = VmValRaw { i64: i64::from((self.does)(self, store, arg)?) };
        Ok(())
    }
}

impl HandleBuiltin {
    fn check_may_leave(&self, store: &mut Store) -> Result<(), Error> {
        check_may_leave(ComponentState::of(store), self.instance)
    }

    /// `resource.new`: a handle for what the guest keeps under a number.
    pub(crate) fn make(&self, store: &mut Store, rep: u32) -> Result<u32, Error> {
        self.check_may_leave(store)?;
        ComponentState::of(store).give(Owner::Instance(self.instance), self.resource, rep)
    }

    /// `resource.rep`: the number behind a handle.
    pub(crate) fn rep(&self, store: &mut Store, index: u32) -> Result<u32, Error> {
        ComponentState::of(store).look(Owner::Instance(self.instance), index, self.resource)
    }

    /// `resource.drop`.
    pub(crate) fn drop(&self, store: &mut Store, index: u32) -> Result<u32, Error> {
        self.check_may_leave(store)?;
        let dropped = ComponentState::of(store).drop_handle(Owner::Instance(self.instance), index, self.resource)?;
        if let Some((resource, rep)) = dropped {
            crate::resource::destroy(store, resource, rep, Some(self.instance))?;
        }
        Ok(0)
    }
}

/// Whether a type is one that a core function can be made for.
pub(crate) fn core_type(
    (params, results): (Vec<crate::types::CoreType>, Vec<crate::types::CoreType>),
) -> ampoule::FuncType {
    let types = |types: Vec<crate::types::CoreType>| types.into_iter().map(crate::types::CoreType::val_type);
    ampoule::FuncType::new(types(params), types(results))
}
