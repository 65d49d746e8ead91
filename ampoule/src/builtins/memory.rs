//! Operations on memories that are not a few instructions.
//!
//! Memories may be shared with other threads, so bytes are moved through raw pointers, never through slices.

use super::interrupt::look;
use super::running;
use crate::engine::budget::BudgetKind;
use crate::error::Error;
use crate::instance::segments::{place, write_data};
use crate::memory::shared::SharedMemory;
use crate::memory::waiters::WaitOutcome;
use crate::store::Store;
use crate::store::limiter::Refused;
use crate::store::portions::{MEMORY_PORTION, in_copied_portions, in_portions};
use crate::store::records::instance::{InstanceData, MemoryLink};
use ampoule_core::index::DataIndex;
use ampoule_core::trap::TrapCode;
use ampoule_core::vm::VmContext;
use ampoule_machine::os::sleeper::{Sleep, Sleeper};
use std::ptr;
use std::time::Instant;

/// Pages before, or -1.
///
/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn memory_grow(vmctx: *mut VmContext, memory: u32, delta: u64) -> u64 {
    // SAFETY: as above.
    let (store, instance) = unsafe { running(vmctx) };
    // SAFETY: the record is live, and nothing here adds an instance.
    let link = unsafe { &(&(*instance).memories)[memory as usize] };
    let before = match link {
        MemoryLink::Store(position) => crate::memory::grow(store, *position, delta),
        MemoryLink::Shared(memory) => grow_shared(store, &memory.clone(), delta),
    };
    // A 32-bit memory's answer is truncated by the code that asked: -1 stays -1.
    store.or_unwind(before).and_then(Result::ok).unwrap_or(u64::MAX)
}

/// As `crate::memory::grow`. Other threads may grow the memory meanwhile; limits are asked by the length that this one has seen.
fn grow_shared(store: &mut Store, memory: &SharedMemory, delta: u64) -> Result<Result<u64, Refused>, Error> {
    if delta == 0 {
        return Ok(Ok(memory.pages()));
    }
    let request = crate::memory::growth(memory.ty(), memory.byte_len() as u64, delta)?;
    store.grow(&request, BudgetKind::Memory, memory.ty().max_byte_len(), |store| {
        let before = memory.grow(delta).ok()?;
        store.instances.rare.get_or_insert_default().shared_memory_bytes += delta << memory.ty().page_size_log2;
        Some(before)
    })
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn memory_fill(vmctx: *mut VmContext, memory: u32, address: u64, byte: u32, len: u64) {
    // SAFETY: as above; the range is checked.
    unsafe {
        let (store, instance) = running(vmctx);
        let filled = place(instance, memory, address, len).map_err(Error::from).and_then(|_| {
            in_portions(store, len, MEMORY_PORTION, look, |_, part| {
                let at = place(instance, memory, address + part.start, part.end - part.start)?;
                ptr::write_bytes(at, byte as u8, (part.end - part.start) as usize);
                Ok(())
            })
        });
        store.or_unwind(filled);
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn memory_copy(
    vmctx: *mut VmContext,
    to_memory: u32,
    from_memory: u32,
    to: u64,
    from: u64,
    len: u64,
) {
    // SAFETY: as above; both ranges are checked.
    unsafe {
        let (store, instance) = running(vmctx);
        let places =
            place(instance, from_memory, from, len).and_then(|from| Ok((from, place(instance, to_memory, to, len)?)));
        let copied = places.map_err(Error::from).and_then(|(source, target)| {
            in_copied_portions(store, (target, source, len), MEMORY_PORTION, look, |_, part| {
                let part_len = part.end - part.start;
                let source = place(instance, from_memory, from + part.start, part_len)?;
                let target = place(instance, to_memory, to + part.start, part_len)?;
                ptr::copy(source, target, part_len as usize);
                Ok(())
            })
        });
        store.or_unwind(copied);
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn memory_init(
    vmctx: *mut VmContext,
    memory: u32,
    segment: u32,
    to: u64,
    from: u64,
    len: u64,
) {
    // SAFETY: as above.
    unsafe {
        let (store, instance) = running(vmctx);
        let written = write_data(store, instance, memory, DataIndex(segment), to, from, len, look);
        store.or_unwind(written);
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn data_drop(vmctx: *mut VmContext, segment: u32) {
    // SAFETY: as above.
    unsafe {
        let (_, instance) = running(vmctx);
        (&mut (*instance).dropped_datas)[segment as usize] = true;
    }
}

/// The number of threads woken.
///
/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn memory_atomic_notify(
    vmctx: *mut VmContext,
    memory: u32,
    address: u64,
    count: u32,
) -> u32 {
    // SAFETY: as above.
    unsafe {
        let (store, instance) = running(vmctx);
        let answer = match &(&(*instance).memories)[memory as usize] {
            // Nobody can wait on a memory that isn't shared.
            MemoryLink::Store(_) => check_atomic(instance, memory, address, 4).map(|()| 0),
            MemoryLink::Shared(memory) => memory.notify(address, count).map_err(Error::from),
        };
        store.or_unwind(answer).unwrap_or(0)
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn memory_atomic_wait32(
    vmctx: *mut VmContext,
    memory: u32,
    address: u64,
    expected: u32,
    timeout_ns: i64,
) -> u32 {
    // SAFETY: as above.
    unsafe {
        wait(vmctx, memory, address, 4, timeout_ns, |memory, timeout, sleep| {
            memory.wait32(address, expected, timeout, sleep)
        })
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn memory_atomic_wait64(
    vmctx: *mut VmContext,
    memory: u32,
    address: u64,
    expected: u64,
    timeout_ns: i64,
) -> u32 {
    // SAFETY: as above.
    unsafe {
        wait(vmctx, memory, address, 8, timeout_ns, |memory, timeout, sleep| {
            memory.wait64(address, expected, timeout, sleep)
        })
    }
}

/// Waits as `wait` does, and deals with a cancellation or an epoch deadline that passes meanwhile as guest code would.
///
/// # Safety
/// `vmctx` is a running guest's, whose instance has this memory.
unsafe fn wait(
    vmctx: *mut VmContext,
    memory: u32,
    address: u64,
    size: u64,
    timeout_ns: i64,
    wait: impl Fn(&SharedMemory, i64, Option<&mut Sleep<'_>>) -> Result<WaitOutcome, TrapCode>,
) -> u32 {
    // SAFETY: by the callers.
    let (store, instance) = unsafe { running(vmctx) };
    // SAFETY: by the callers.
    let memory = match unsafe { &(&(*instance).memories)[memory as usize] } {
        MemoryLink::Store(_) => {
            // SAFETY: by the callers.
            let checked = unsafe { check_atomic(instance, memory, address, size) };
            store.or_unwind(checked.and(Err::<(), _>(TrapCode::AtomicWaitNonSharedMemory.into())));
            return 0;
        }
        MemoryLink::Shared(memory) => memory.clone(),
    };
    let start = Instant::now();
    loop {
        let elapsed = i64::try_from(start.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let left = if timeout_ns < 0 { timeout_ns } else { (timeout_ns - elapsed.min(timeout_ns)).max(0) };
        let interrupts = store.interrupts();
        let mut sleep = |sleeper: &Sleeper, timeout| interrupts.sleep_on(sleeper, || sleeper.sleep(timeout)).is_some();
        let waited = wait(&memory, left, if interrupts.are_possible() { Some(&mut sleep) } else { None });
        match waited {
            Ok(WaitOutcome::Interrupted) => {
                let looked = look(store);
                if store.or_unwind(looked).is_none() {
                    return 0;
                }
            }
            answer => return store.or_unwind(answer).map_or(0, |outcome| outcome as u32),
        }
    }
}

/// # Safety
/// `instance` is a live and linked record, which has this memory.
unsafe fn check_atomic(instance: *const InstanceData, memory: u32, address: u64, size: u64) -> Result<(), Error> {
    if !address.is_multiple_of(size) {
        return Err(TrapCode::HeapMisaligned.into());
    }
    // SAFETY: by the callers.
    unsafe { Ok(place(instance, memory, address, size).map(|_| ())?) }
}
