//! The native entry points of a store, and the error of a native call until somebody asks for it.

use crate::error::Error;
use ampoule_machine::arch::native_stubs::Stubs;
use std::collections::BTreeMap;
use std::ops::Range;

/// A store's native entry points; see [`crate::func::native`].
#[derive(Default)]
pub struct Native {
    /// Whether an error is kept: one, or zero. The embedder may read it at any time.
    failed: u32,
    error: Option<Error>,
    /// Made with the first entry point.
    entries: Option<Box<Entries>>,
}

#[derive(Default)]
struct Entries {
    stubs: Stubs,
    /// Entry points by the address of the function's `VmFuncRef`.
    by_func_ref: BTreeMap<usize, usize>,
}

impl Native {
    /// Keeps an error for the embedder, unless there is an earlier one: what went wrong first explains the rest.
    #[cold]
    pub(crate) fn keep(&mut self, error: Error) {
        self.error.get_or_insert(error);
        self.failed = 1;
    }

    /// The error of the first native call that failed since this was last asked for.
    pub fn take_error(&mut self) -> Option<Error> {
        self.failed = 0;
        self.error.take()
    }

    /// A word that is not zero while an error is kept. It stays where it is as long as the store.
    pub fn failed(&self) -> *const u32 {
        &raw const self.failed
    }

    /// Whether there is an entry point of a function whose reference is at one of these addresses.
    pub(crate) fn has_entry(&self, func_refs: &Range<usize>) -> bool {
        self.entries.as_deref().is_some_and(|entries| entries.by_func_ref.range(func_refs.clone()).next().is_some())
    }

    /// The entry point of a function, made by `make` when it is first asked for.
    pub(crate) fn entry(
        &mut self,
        func_ref: usize,
        make: impl FnOnce(&mut Stubs) -> Result<usize, Error>,
    ) -> Result<usize, Error> {
        let entries = self.entries.get_or_insert_default();
        if let Some(&entry) = entries.by_func_ref.get(&func_ref) {
            return Ok(entry);
        }
        let entry = make(&mut entries.stubs)?;
        entries.by_func_ref.insert(func_ref, entry);
        Ok(entry)
    }
}
