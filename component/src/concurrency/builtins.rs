//! What guests call about tasks, threads and waitables (Canonical ABI, from "`canon context.get`" on).

use super::arena::{self, NONE};
use super::cancel::subtask_cancel;
use super::instance::MAX_BACKPRESSURE;
use super::resolve::{Given, resolve};
use super::run::block;
use super::thread::{Start, Wait};
use super::waitable::Event;
use super::{MAX_NEW_THREADS, error_context, stream};
use crate::builtin::Builtin;
use crate::canon::is_aligned;
use crate::canon::options::Options;
use crate::core_callback::CoreCallee;
use crate::func::check_may_leave;
use crate::records::{BuiltinData, FuncData};
use crate::state::ComponentState;
use crate::types::{CoreType, ValType};
use ampoule::{Error, Func, Store, Table, TrapCode, Val, VmValRaw};

impl CoreCallee for BuiltinData {
    fn call(&self, store: &mut Store, values: &mut [VmValRaw]) -> Result<(), Error> {
        // SAFETY: slots of arguments are initialised.
        let arg = |at: usize| values.get(at).map_or(0, |value| unsafe { value.i32 } as u32);
        let (first, second) = (arg(0), arg(1));
        let instance = self.instance;
        let state = ComponentState::of(store);
        if state.concurrency.current == NONE {
            return Err(Error::message("a built-in function of components is called outside of any task"));
        }
        match &*self.builtin {
            // These are allowed everywhere.
            Builtin::ContextGet { ty, slot } => {
                let value = state.current().storage[*slot as usize];
                values[0] = match ty {
                    CoreType::I64 => VmValRaw { i64: value as i64 },
                    _ => VmValRaw { i64: i64::from(value as u32) },
                };
                return Ok(());
            }
            Builtin::ContextSet { ty, slot } => {
                // SAFETY: as above.
                let wide = || unsafe { values[0].i64 } as u64;
                let value = if *ty == CoreType::I64 { wide() } else { u64::from(first) };
                state.current().storage[*slot as usize] = value;
                return Ok(());
            }
            Builtin::BackpressureInc => return state.change_backpressure(instance, 1),
            Builtin::BackpressureDec => return state.change_backpressure(instance, -1),
            _ => check_may_leave(state, instance)?,
        }
        let answer = match &*self.builtin {
            Builtin::TaskReturn { result, .. } => return self.task_return(store, result.as_ref(), values),
            Builtin::TaskCancel => return state.task_cancel(),
            Builtin::WaitableSetNew => state.new_set(instance)?,
            Builtin::WaitableSetWait { .. } => {
                let set = state.set_at(instance, first)?;
                let event = match state.take_event_of(set) {
                    Some(event) => event,
                    None => {
                        state.check_may_block()?;
                        block(store, Wait::Set(set))?
                    }
                };
                write_event(store, &self.options, second, event)?
            }
            Builtin::WaitableSetPoll { .. } => {
                let set = state.set_at(instance, first)?;
                let event = state.take_event_of(set).unwrap_or(Event::NONE);
                write_event(store, &self.options, second, event)?
            }
            Builtin::WaitableSetDrop => return state.drop_set(instance, first),
            Builtin::WaitableJoin => {
                let waitable = state.waitable_at(instance, first)?;
                let set = if second == 0 { NONE } else { state.set_at(instance, second)? };
                return state.join(waitable, set);
            }
            Builtin::SubtaskCancel { is_async } => subtask_cancel(store, instance, first, *is_async)?,
            Builtin::SubtaskDrop => return state.drop_subtask(instance, first),
            Builtin::ThreadYield => {
                block(store, Wait::Nothing)?;
                0
            }
            Builtin::ThreadIndex => {
                let thread = state.concurrency.current;
                state.thread_index(thread)?
            }
            Builtin::ThreadNewIndirect { .. } => {
                let table = self.table.expect("it was given one");
                new_thread(store, table, first, second)?
            }
            Builtin::ThreadResumeLater => {
                let thread = state.suspended_thread_at(instance, first)?;
                state.concurrency.threads[thread].wait = Some(Wait::Nothing);
                state.concurrency.look_at(thread);
                return Ok(());
            }
            Builtin::ThreadSuspend => {
                state.check_may_block()?;
                block(store, Wait::Resumption)?;
                0
            }
            Builtin::ThreadSuspendThenResume => {
                state.concurrency.switch_to = state.suspended_thread_at(instance, first)?;
                block(store, Wait::Resumption)?;
                0
            }
            Builtin::ThreadYieldThenResume => {
                state.concurrency.switch_to = state.suspended_thread_at(instance, first)?;
                block(store, Wait::Nothing)?;
                0
            }
            Builtin::ThreadSuspendThenPromote => {
                if !state.promote(instance, first)? {
                    state.check_may_block()?;
                }
                block(store, Wait::Resumption)?;
                0
            }
            Builtin::ThreadYieldThenPromote => {
                state.promote(instance, first)?;
                block(store, Wait::Nothing)?;
                0
            }
            Builtin::Stream { kind, payload, op, .. } => {
                return stream::builtins::run(store, self, (*kind, payload, *op), [first, second, arg(2)], values);
            }
            Builtin::ErrorContextNew { .. } => error_context::new(store, &self.options, first, second)?,
            Builtin::ErrorContextDebugMessage { .. } => {
                return error_context::debug_message(store, &self.options, first, second);
            }
            Builtin::ErrorContextDrop => return state.drop_error_context(instance, first),
            Builtin::ContextGet { .. }
            | Builtin::ContextSet { .. }
            | Builtin::BackpressureInc
            | Builtin::BackpressureDec => unreachable!("done above"),
        };
        values[0] = VmValRaw { i64: i64::from(answer) };
        Ok(())
    }
}

impl BuiltinData {
    /// `task.return`.
    fn task_return(&self, store: &mut Store, result: Option<&ValType>, values: &[VmValRaw]) -> Result<(), Error> {
        let state = ComponentState::of(store);
        let task = state.current().task;
        let invalid = || Error::trap(TrapCode::TaskReturnInvalid);
        if state.concurrency.tasks[task].func == NONE {
            return Err(invalid());
        }
        // SAFETY: functions stay where they are as long as their store.
        let FuncData::Lifted { ty, options, .. } = (unsafe { &*state.func_of(task) }) else { return Err(invalid()) };
        let same_options = options.encoding == self.options.encoding && options.memory == self.options.memory;
        let is_valid = options.is_async
            && options.instance == self.instance
            && ty.result() == result
            && (same_options || !needs_options(result, &self.options));
        if is_valid { resolve(store, task, Given::AsReturned, values) } else { Err(invalid()) }
    }
}

/// Whether it matters how `task.return` is defined: with a memory or not, for a result that has nothing in memory, is the same.
fn needs_options(result: Option<&ValType>, options: &Options) -> bool {
    result.is_some() && options.memory.is_some()
}

impl ComponentState {
    fn current(&mut self) -> &mut super::thread::Thread {
        let thread = self.concurrency.current;
        &mut self.concurrency.threads[thread]
    }

    fn change_backpressure(&mut self, instance: u32, by: i32) -> Result<(), Error> {
        let backpressure = &mut self.instance(instance).tasks.backpressure;
        let changed = backpressure.checked_add_signed(by).filter(|&changed| changed <= MAX_BACKPRESSURE);
        *backpressure = changed.ok_or_else(|| Error::trap(TrapCode::BackpressureOverflow))?;
        if *backpressure == 0 {
            self.look_at_entering(instance);
        }
        Ok(())
    }

    fn task_cancel(&mut self) -> Result<(), Error> {
        let task = self.current().task;
        let found = &self.concurrency.tasks[task];
        let is_async = found.func != NONE
            // SAFETY: functions stay where they are as long as their store.
            && matches!(unsafe { &*self.func_of(task) }, FuncData::Lifted { options, .. } if options.is_async);
        if !is_async {
            return Err(Error::trap(TrapCode::TaskCancelNotCancelled));
        }
        self.cancel(task)
    }

    fn suspended_thread_at(&mut self, instance: u32, index: u32) -> Result<u32, Error> {
        let thread = self.thread_at(instance, index)?;
        let is_suspended = self.concurrency.threads[thread].is_suspended();
        if is_suspended { Ok(thread) } else { Err(Error::trap(TrapCode::CannotResumeThread)) }
    }

    /// Has a thread run next that is ready. Whether it is.
    fn promote(&mut self, instance: u32, index: u32) -> Result<bool, Error> {
        let thread = self.thread_at(instance, index)?;
        let is_ready = self.is_ready(thread);
        if is_ready {
            self.concurrency.switch_to = thread;
        }
        Ok(is_ready)
    }
}

/// `thread.new-indirect`: a thread of the current task, suspended, that begins with a function of a table.
fn new_thread(store: &mut Store, table: Table, index: u32, arg: u32) -> Result<u32, Error> {
    let func = match table.get(store, u64::from(index))? {
        Some(Val::FuncRef(Some(func))) => func,
        Some(_) => return Err(Error::trap(TrapCode::ThreadNewIndirectUninitialized)),
        None => return Err(Error::trap(TrapCode::TableOutOfBounds)),
    };
    let ty = func.ty(store)?;
    if ty.params() != [ampoule::ValType::I32] || !ty.results().is_empty() {
        return Err(Error::trap(TrapCode::ThreadNewIndirectInvalidType));
    }
    start_func(ComponentState::of(store), func, arg)
}

fn start_func(state: &mut ComponentState, func: Func, arg: u32) -> Result<u32, Error> {
    if state.concurrency.new_threads >= MAX_NEW_THREADS {
        return Err(arena::full("threads", MAX_NEW_THREADS));
    }
    let task = state.current().task;
    let thread = state.add_thread(task, Start::Func(func, arg))?;
    state.concurrency.new_threads += 1;
    let found = &mut state.concurrency.threads[thread];
    (found.is_explicit, found.wait) = (true, Some(Wait::Resumption));
    state.thread_index(thread)
}

/// Tells a guest of an event: the numbers in memory, the code as the answer.
fn write_event(store: &mut Store, options: &Options, at: u32, event: Event) -> Result<u32, Error> {
    let (base, len) = options.memory(store)?;
    if !is_aligned(at, 4) {
        return Err(Error::trap(TrapCode::UnalignedPointer));
    }
    if at as usize + 8 > len {
        return Err(Error::trap(TrapCode::MemoryOutOfBounds));
    }
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&event.first.to_le_bytes());
    bytes[4..].copy_from_slice(&event.second.to_le_bytes());
    // SAFETY: the memory is the store's, and mapped so far, as was just compared.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), base.add(at as usize), bytes.len()) };
    Ok(event.code as u32)
}
