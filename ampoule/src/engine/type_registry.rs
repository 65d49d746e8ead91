//! Canonical function types: equal types of one engine are one [`Signature`], whichever module or host function they come
//! from, so that checking a type while code runs is a pointer compare.

use crate::error::Error;
use ampoule_core::types::FuncType;
use ampoule_core::vm::VmSignature;
use ampoule_machine::os::sync::Mutex;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Weak};

/// One canonical type, with the thunks of its functions once they were needed.
///
/// Kept alive by the modules and host functions that use it; its address is what `VmFuncRef::signature` holds, so it must
/// not die before them.
#[repr(C)]
pub struct Signature {
    /// What is read before a call by whoever has only the pointer. First: a pointer to one is a pointer to the other.
    vm: VmSignature,
    ty: FuncType,
    registry: Weak<TypeRegistry>,
    /// All but [`Thunk::EntryRaw`], whose place stays empty.
    thunks: [AtomicPtr<u8>; Thunk::COUNT],
}

/// Which thunk of a [`Signature`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Thunk {
    /// Host calls guest, values without kinds.
    EntryRaw,
    /// Host calls guest, values with kinds.
    EntryChecked,
    /// Guest calls host, values without kinds.
    ExitRaw,
    /// Guest calls host, values with kinds.
    ExitChecked,
    /// Guest calls a plain C function.
    ExitNative,
    /// The same, with the host's pointer before the arguments.
    ExitNativeEnv,
    /// Guest calls a plain C function, with the `VmCaller` before the arguments.
    ExitNativeCaller,
    /// The same, with the host's pointer before both.
    ExitNativeEnvCaller,
}

impl Thunk {
    const COUNT: usize = Thunk::ExitNativeEnvCaller as usize + 1;

    /// Those that modules bring along.
    #[cfg(feature = "compiler")]
    pub(crate) const KEPT: [Thunk; 4] = [Thunk::EntryRaw, Thunk::EntryChecked, Thunk::ExitRaw, Thunk::ExitChecked];
}

impl Signature {
    /// The type.
    pub fn ty(&self) -> &FuncType {
        &self.ty
    }

    /// Whether this registry made it.
    pub(crate) fn is_of(&self, registry: &Arc<TypeRegistry>) -> bool {
        std::ptr::eq(self.registry.as_ptr(), Arc::as_ptr(registry))
    }

    /// The larger number of parameters and results: the values that an array for both has room for.
    pub fn slots(&self) -> usize {
        self.vm.slots
    }

    /// The thunk's code, compiled when first asked for.
    #[inline]
    pub(crate) fn thunk(
        &self,
        which: Thunk,
        compile: impl FnOnce(&FuncType) -> Result<*const u8, Error>,
    ) -> Result<*const u8, Error> {
        let slot = match which {
            Thunk::EntryRaw => &self.vm.entry_raw,
            other => &self.thunks[other as usize],
        };
        // Acquire pairs with the release below: the code was written before its address was published.
        let code = slot.load(Ordering::Acquire);
        if !code.is_null() {
            return Ok(code);
        }
        let code = compile(&self.ty)?;
        slot.store(code.cast_mut(), Ordering::Release);
        Ok(code)
    }

    /// The word that stands for this type in `VmFuncRef::signature`.
    pub(crate) fn as_word(self: &Arc<Self>) -> *const c_void {
        Arc::as_ptr(self).cast()
    }
}

impl Drop for Signature {
    fn drop(&mut self) {
        let Some(registry) = self.registry.upgrade() else { return };
        let mut types = registry.types.lock();
        // Another thread may have put a new record under the same type since this one's count fell to zero.
        if types.get(&self.ty).is_some_and(|weak| weak.strong_count() == 0) {
            types.remove(&self.ty);
        }
    }
}

/// The canonical types of one engine.
#[derive(Default)]
pub struct TypeRegistry {
    types: Mutex<HashMap<FuncType, Weak<Signature>>>,
}

impl TypeRegistry {
    /// The canonical record of a type.
    pub fn intern(self: &Arc<Self>, ty: &FuncType) -> Arc<Signature> {
        let mut types = self.types.lock();
        if let Some(signature) = types.get(ty).and_then(Weak::upgrade) {
            return signature;
        }
        let signature = Arc::new(Signature {
            ty: ty.clone(),
            vm: VmSignature { slots: ty.params().len().max(ty.results().len()), entry_raw: AtomicPtr::default() },
            registry: Arc::downgrade(self),
            thunks: Default::default(),
        });
        types.insert(ty.clone(), Arc::downgrade(&signature));
        signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ampoule_core::types::ValType;

    #[test]
    fn equal_types_are_one_record_and_leave_nothing_behind() {
        let registry = Arc::new(TypeRegistry::default());
        let ty = FuncType::new([ValType::I32], []);
        let (a, b) = (registry.intern(&ty), registry.intern(&ty.clone()));
        assert!(Arc::ptr_eq(&a, &b));
        assert!(!Arc::ptr_eq(&a, &registry.intern(&FuncType::new([ValType::I64], []))));
        drop((a, b));
        assert!(registry.types.lock().is_empty());
    }
}
