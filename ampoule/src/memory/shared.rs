//! Linear memories that threads share (threads proposal), and sleeping on their addresses.

use crate::memory::cache::MemoryCache;
use crate::memory::linear::{MemoryError, checked_request, grown_byte_len};
use crate::memory::space::Space;
use crate::memory::waiters::{WaitOutcome, WaitQueues};
use ampoule_core::trap::TrapCode;
use ampoule_core::tunables::MemoryPlan;
use ampoule_core::types::MemoryType;
use ampoule_core::vm::VmMemory;
use ampoule_machine::os::reservation::round_up_to_pages;
use ampoule_machine::os::sleeper::Sleep;
use ampoule_machine::os::sync::Mutex;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// A shared memory. It belongs to no store: clones are the same memory, in whatever thread or store they are.
///
/// Its bytes may change at any time, so they are never lent as a slice: the host copies, or uses atomics.
#[derive(Clone, Debug)]
pub struct SharedMemory(Arc<Shared>);

/// 1. `vm.base` is the base of `space` and never changes; all that the memory may ever have is reserved from the start.
/// 2. `vm.byte_len` is written under the lock of `space` only, never shrinks, and so many bytes are accessible.
#[derive(Debug)]
struct Shared {
    vm: VmMemory,
    ty: MemoryType,
    /// `Some` until `drop`.
    space: Mutex<Option<Space>>,
    waiters: WaitQueues,
    cache: MemoryCache,
}

// SAFETY: the pointer in `vm` is to the space, which this value owns; its target is reached through atomics and raw copies.
unsafe impl Send for Shared {}
// SAFETY: as above; the rest is behind locks or never changes.
unsafe impl Sync for Shared {}

impl SharedMemory {
    /// A memory of the type's minimal length, all zeros.
    ///
    /// # Errors
    /// [`MemoryError::TooLarge`], [`MemoryError::System`].
    pub(crate) fn with_plan(ty: &MemoryType, plan: MemoryPlan, cache: &MemoryCache) -> Result<Self, MemoryError> {
        assert!(ty.shared, "other memories are `LinearMemory`s");
        assert!(!plan.may_move, "threads hold the base of a shared memory");
        let (request, byte_len) = checked_request(ty, &plan, None)?;
        let space = cache.take(request)?;
        let vm = VmMemory { base: space.reservation.base(), byte_len: AtomicUsize::new(byte_len) };
        let (waiters, cache) = (WaitQueues::default(), cache.clone());
        Ok(Self(Arc::new(Shared { vm, ty: *ty, space: Mutex::new(Some(space)), waiters, cache })))
    }

    /// The type it was made with.
    pub fn ty(&self) -> &MemoryType {
        &self.0.ty
    }

    /// The byte at address zero. Never changes.
    pub fn base(&self) -> *mut u8 {
        self.0.vm.base
    }

    /// Length in bytes. Another thread may grow the memory at any time.
    pub fn byte_len(&self) -> usize {
        self.0.vm.byte_len.load(Ordering::SeqCst)
    }

    /// Bytes of address space, with the guard.
    pub fn reserved_len(&self) -> usize {
        let space = self.0.space.lock();
        let reservation = &space.as_ref().expect("there until drop").reservation;
        reservation.reserved() + reservation.guard()
    }

    /// Length in pages of the memory's type.
    pub fn pages(&self) -> u64 {
        self.byte_len() as u64 >> self.0.ty.page_size_log2
    }

    /// Whether two handles are the same memory.
    pub fn same(&self, other: &SharedMemory) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether its pages come from this cache.
    pub(crate) fn comes_from(&self, cache: &MemoryCache) -> bool {
        self.0.cache.same(cache)
    }

    /// What machine code reads. Stays where it is until the last handle is gone; machine code and the runtime only read
    /// the base, and reach the length as an atomic.
    pub fn vm(&self) -> *mut VmMemory {
        ptr::from_ref(&self.0.vm).cast_mut()
    }

    /// Grows by `delta_pages` pages of zeros and returns the number of pages before. Threads that grow at the same time
    /// take turns.
    ///
    /// # Errors
    /// [`MemoryError`]; nothing has changed then.
    pub fn grow(&self, delta_pages: u64) -> Result<u64, MemoryError> {
        let mut space = self.0.space.lock();
        let reservation = &mut space.as_mut().expect("there until drop").reservation;
        let old_pages = self.pages();
        let byte_len = grown_byte_len(&self.0.ty, self.byte_len(), delta_pages)?;
        let accessible = round_up_to_pages(byte_len).ok_or(MemoryError::TooLarge)?;
        if accessible > reservation.reserved() {
            return Err(MemoryError::CannotMove);
        }
        if accessible > reservation.accessible() {
            reservation.set_accessible(accessible)?;
        }
        self.0.vm.byte_len.store(byte_len, Ordering::SeqCst);
        Ok(old_pages)
    }

    /// Sleeps on `address` until notified, if the 32 bits there are `expected`. See [`WaitQueues::wait`] for the rest.
    ///
    /// # Errors
    /// [`TrapCode::HeapMisaligned`], [`TrapCode::MemoryOutOfBounds`].
    pub fn wait32(
        &self,
        address: u64,
        expected: u32,
        timeout_ns: i64,
        sleep: Option<&mut Sleep<'_>>,
    ) -> Result<WaitOutcome, TrapCode> {
        let at = self.checked_address(address, 4)?;
        // SAFETY: aligned and accessible for as long as this handle lives, as was just checked; the guest's accesses to it
        // are machine code's.
        let is_expected = || unsafe { AtomicU32::from_ptr(at.cast()) }.load(Ordering::SeqCst) == expected.to_le();
        Ok(self.0.waiters.wait(address, is_expected, timeout_ns, sleep))
    }

    /// As [`SharedMemory::wait32`], for 64 bits.
    ///
    /// # Errors
    /// [`TrapCode::HeapMisaligned`], [`TrapCode::MemoryOutOfBounds`].
    pub fn wait64(
        &self,
        address: u64,
        expected: u64,
        timeout_ns: i64,
        sleep: Option<&mut Sleep<'_>>,
    ) -> Result<WaitOutcome, TrapCode> {
        let at = self.checked_address(address, 8)?;
        // SAFETY: as in `wait32`.
        let is_expected = || unsafe { AtomicU64::from_ptr(at.cast()) }.load(Ordering::SeqCst) == expected.to_le();
        Ok(self.0.waiters.wait(address, is_expected, timeout_ns, sleep))
    }

    /// Wakes up to `count` threads that sleep on `address`, and says how many.
    ///
    /// # Errors
    /// [`TrapCode::HeapMisaligned`], [`TrapCode::MemoryOutOfBounds`].
    pub fn notify(&self, address: u64, count: u32) -> Result<u32, TrapCode> {
        self.checked_address(address, 4)?;
        Ok(self.0.waiters.notify(address, count))
    }

    /// A pointer to `size` bytes at `address`, checked for bounds and alignment.
    fn checked_address(&self, address: u64, size: usize) -> Result<*mut u8, TrapCode> {
        let start = usize::try_from(address).map_err(|_| TrapCode::MemoryOutOfBounds)?;
        if !start.is_multiple_of(size) {
            return Err(TrapCode::HeapMisaligned);
        }
        match start.checked_add(size) {
            // SAFETY: inside the memory, which never shrinks.
            Some(end) if end <= self.byte_len() => Ok(unsafe { self.base().add(start) }),
            _ => Err(TrapCode::MemoryOutOfBounds),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let space = self.space.get_mut().take();
        self.cache.give_back(space.expect("there until drop"), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ampoule_core::tunables::Tunables;
    use std::thread;

    const PAGE: usize = 1 << 16;

    fn memory_with(ty: MemoryType, tunables: &Tunables, cache: &MemoryCache) -> Result<SharedMemory, MemoryError> {
        SharedMemory::with_plan(&ty, MemoryPlan::new(&ty, tunables), cache)
    }

    fn ty(min: u64, max: u64) -> MemoryType {
        MemoryType { min, max: Some(max), is_64: false, shared: true, page_size_log2: 16 }
    }

    fn memory(min: u64, max: u64) -> SharedMemory {
        memory_with(ty(min, max), &Tunables::default(), &MemoryCache::new()).unwrap()
    }

    fn word(memory: &SharedMemory, address: usize) -> &AtomicU32 {
        assert!(address.is_multiple_of(4) && address + 4 <= memory.byte_len());
        // SAFETY: inside the memory and aligned.
        unsafe { AtomicU32::from_ptr(memory.base().add(address).cast()) }
    }

    #[test]
    fn growth_never_moves_the_base_or_the_definition() {
        for tunables in [Tunables::default(), Tunables { memory_reservation: 0, ..Tunables::default() }] {
            let memory = memory_with(ty(1, 100), &tunables, &MemoryCache::new()).unwrap();
            let (base, vm) = (memory.base(), memory.vm());
            word(&memory, 16).store(7, Ordering::SeqCst);
            assert_eq!(memory.grow(99), Ok(1));
            assert_eq!(memory.grow(1), Err(MemoryError::TooLarge));
            assert_eq!((memory.base(), memory.vm(), memory.byte_len()), (base, vm, 100 * PAGE));
            // SAFETY: the definition lives as long as the memory.
            let seen = unsafe { ((*vm).base, (*vm).byte_len.load(Ordering::SeqCst)) };
            assert_eq!(seen, (base, 100 * PAGE));
            assert_eq!(word(&memory, 16).load(Ordering::SeqCst), 7);
            assert_eq!(word(&memory, 100 * PAGE - 4).load(Ordering::SeqCst), 0);
        }
    }

    #[test]
    fn threads_that_grow_at_once_take_turns() {
        let memory = memory(1, 401);
        let mut seen: Vec<u64> = thread::scope(|scope| {
            let grow = || (0..100).map(|_| memory.grow(1).unwrap()).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(grow)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        seen.sort();
        assert_eq!(seen, (1..401).collect::<Vec<_>>());
        assert_eq!(memory.pages(), 401);
    }

    #[test]
    fn a_maximum_beyond_the_reservation_is_an_error_at_growth() {
        let wide = MemoryType { is_64: true, ..ty(1, 1 << 40) };
        let memory = memory_with(wide, &Tunables::default(), &MemoryCache::new()).unwrap();
        assert_eq!(memory.grow(1 << 30), Err(MemoryError::CannotMove));
        assert_eq!(memory.grow(u64::MAX), Err(MemoryError::TooLarge));
        assert_eq!(memory.pages(), 1);
    }

    #[test]
    fn the_last_handle_returns_the_space_and_no_byte_stays() {
        let cache = MemoryCache::new();
        let memory = memory_with(ty(2, 3), &Tunables::default(), &cache).unwrap();
        let base = memory.base();
        word(&memory, 4).store(9, Ordering::SeqCst);
        word(&memory, 2 * PAGE - 4).store(9, Ordering::SeqCst);
        let other = memory.clone();
        assert!(memory.same(&other));
        drop(memory);
        assert_eq!(cache.kept().0, 0);
        drop(other);
        assert_eq!(cache.kept().0, 1);
        let next = memory_with(ty(2, 3), &Tunables::default(), &cache).unwrap();
        assert_eq!(next.base(), base);
        assert_eq!(word(&next, 4).load(Ordering::SeqCst), 0);
        assert_eq!(word(&next, 2 * PAGE - 4).load(Ordering::SeqCst), 0);
    }

    #[test]
    fn bad_addresses_trap() {
        let memory = memory(1, 2);
        let end = PAGE as u64;
        assert_eq!(memory.wait32(2, 0, 0, None), Err(TrapCode::HeapMisaligned));
        assert_eq!(memory.wait64(4, 0, 0, None), Err(TrapCode::HeapMisaligned));
        assert_eq!(memory.notify(1, 0), Err(TrapCode::HeapMisaligned));
        assert_eq!(memory.wait32(end, 0, 0, None), Err(TrapCode::MemoryOutOfBounds));
        assert_eq!(memory.wait64(end, 0, 0, None), Err(TrapCode::MemoryOutOfBounds));
        assert_eq!(memory.notify(end, 0), Err(TrapCode::MemoryOutOfBounds));
        assert_eq!(memory.wait64(u64::MAX - 7, 0, 0, None), Err(TrapCode::MemoryOutOfBounds));
        assert_eq!(memory.wait32(end - 4, 0, 0, None), Ok(WaitOutcome::TimedOut));
        assert_eq!(memory.wait64(end - 8, 0, 0, None), Ok(WaitOutcome::TimedOut));
        assert_eq!(memory.notify(end - 4, 1), Ok(0));
    }

    #[test]
    fn waits_compare_as_many_bits_as_they_say() {
        let memory = memory(1, 1);
        word(&memory, 12).store(1, Ordering::SeqCst);
        assert_eq!(memory.wait32(8, 0, 0, None), Ok(WaitOutcome::TimedOut));
        assert_eq!(memory.wait64(8, 0, 0, None), Ok(WaitOutcome::NotEqual));
        assert_eq!(memory.wait64(8, 1 << 32, 0, None), Ok(WaitOutcome::TimedOut));
        assert_eq!(memory.wait32(8, 1, 0, None), Ok(WaitOutcome::NotEqual));
    }

    #[test]
    fn a_mutex_of_waits_and_notifications_excludes() {
        let memory = memory(1, 1);
        let (lock, counter) = (word(&memory, 0), word(&memory, 64));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        while lock.swap(1, Ordering::SeqCst) != 0 {
                            memory.wait32(0, 1, -1, None).unwrap();
                        }
                        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                        lock.store(0, Ordering::SeqCst);
                        memory.notify(0, 1).unwrap();
                    }
                });
            }
        });
        assert_eq!(counter.load(Ordering::SeqCst), 8_000);
    }
}
