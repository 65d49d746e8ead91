//! How references come to lead to the code that functions keep.
//!
//! A reference says where its function's code is, and there is one in each instance, which only the thread that is in the instance's store may write.
//! So references lead to a stub of their own. It jumps through an address: that of the function's first code; but once the function has code that it
//! keeps, to the builtin that compiles, which has nothing to compile then, writes the code's address to the reference of the instance that is
//! called, and goes on there. Calls through the reference don't come to the stub any more.
//!
//! What a reference said may have been copied before. The copy in an import is written as well, of the instance that is known to call. Another copy is in
//! a register of machine code in a loop. Where the builtin finds reference and import as they are to be, it was such a copy that led there, and from
//! then on the stub jumps to the code ([`ModuleCode::pass_on`]).
//!
//! References never hold the address of code that may be given back, and the addresses for stubs change with those of functions, under the
//! same lock.

use super::{Functions, Lazy, ModuleCode, compiles_at};
use ampoule_core::index::DefinedFuncIndex;
use ampoule_machine::arch::jumps::{REFERENCE_STUB_LEN, reference_stubs};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// The functions that references are made to, and where what belongs to these is in the module's first region.
pub(super) struct References {
    /// Ascending.
    functions: Box<[DefinedFuncIndex]>,
    stubs: usize,
    slots: usize,
}

impl References {
    /// Stubs begin at one offset, the addresses for them at the other.
    pub fn new(mut functions: Vec<DefinedFuncIndex>, stubs: usize, slots: usize) -> Self {
        functions.sort_unstable_by_key(|func| func.0);
        Self { functions: functions.into(), stubs, slots }
    }

    /// Bytes of the stubs of references to these functions.
    pub fn stubs_len(functions: &[DefinedFuncIndex]) -> usize {
        functions.len() * REFERENCE_STUB_LEN
    }

    /// The stubs.
    pub fn stubs(&self) -> Vec<u8> {
        reference_stubs(self.functions.len(), self.stubs, self.slots)
    }

    /// Where the stubs end.
    pub fn stubs_end(&self) -> usize {
        self.stubs + Self::stubs_len(&self.functions)
    }

    /// Where the addresses are.
    pub fn slots(&self) -> Range<usize> {
        self.slots..self.slots + self.functions.len() * 8
    }

    /// The functions, in the order of their stubs.
    pub fn functions(&self) -> impl Iterator<Item = DefinedFuncIndex> {
        self.functions.iter().copied()
    }

    /// The function whose stub is at this offset.
    pub fn func_of_stub(&self, offset: usize) -> Option<DefinedFuncIndex> {
        self.functions.get(offset.checked_sub(self.stubs)? / REFERENCE_STUB_LEN).copied()
    }

    fn position(&self, func: DefinedFuncIndex) -> Option<usize> {
        self.functions.binary_search_by_key(&func.0, |func| func.0).ok()
    }
}

impl ModuleCode {
    /// Where a reference to a function leads that is made or written now: to its code, or to the stub of references while it has none that it keeps.
    /// Good for the life of the module's code.
    pub fn referred(&self, func: DefinedFuncIndex) -> *const u8 {
        let stub = match &self.functions {
            Functions::Lazy(lazy) if lazy.kept(func).is_none() => lazy.references.position(func),
            _ => None,
        };
        match (stub, &self.functions) {
            (Some(position), Functions::Lazy(lazy)) => {
                (self.region.exec_base() + lazy.references.stubs + position * REFERENCE_STUB_LEN) as *const u8
            }
            _ => self.entry(func),
        }
    }

    /// The code that a function keeps, if it is compiled lazily and has some by now.
    pub fn kept(&self, func: DefinedFuncIndex) -> Option<*const u8> {
        let Functions::Lazy(lazy) = &self.functions else { return None };
        lazy.kept(func).map(|address| address as *const u8)
    }

    /// Lets the stub of references to a function jump to the code that the function keeps.
    pub fn pass_on(&self, func: DefinedFuncIndex) {
        if let Functions::Lazy(lazy) = &self.functions
            && let Some(kept) = lazy.kept(func)
            && let Some(slot) = self.reference_slot(lazy, func)
        {
            slot.store(kept as u64, Ordering::Release);
        }
    }

    /// Lets references to a function lead to its newest code, whose address is about to be, or was just, published. With the lock of the code's place
    /// held, so that code which is given back is in no address.
    pub(super) fn lead_references(&self, lazy: &Lazy, func: DefinedFuncIndex, newest: usize) {
        let Some(slot) = self.reference_slot(lazy, func) else { return };
        let is_kept = lazy.kept(func).is_some();
        slot.store(if is_kept { compiles_at(&self.region, func) } else { newest } as u64, Ordering::Release);
    }

    fn reference_slot(&self, lazy: &Lazy, func: DefinedFuncIndex) -> Option<&AtomicU64> {
        let position = lazy.references.position(func)?;
        Some(self.region.word(lazy.references.slots + position * 8))
    }
}
