//! What a host function knows of the guest that called it.

use crate::instance::external::Extern;
use crate::store::Store;
use crate::store::records::instance::InstanceData;
use ampoule_core::vm::VmCaller;
use std::fmt;
use std::marker::PhantomData;

/// The calling instance and its store; lent to a host function for one call.
pub struct Caller<'a> {
    vm: *mut VmCaller,
    lent: PhantomData<&'a mut Store>,
}

impl<'a> Caller<'a> {
    /// The caller an exit thunk tells of.
    ///
    /// # Safety
    /// `vm` is the pointer the running callback was given, and the result does not outlive the callback.
    pub unsafe fn from_vm(vm: *mut VmCaller) -> Self {
        Caller { vm, lent: PhantomData }
    }

    /// The pointer that the exit thunk gave, to be handed on for the length of the call.
    pub fn as_vm(&self) -> *mut VmCaller {
        self.vm
    }

    /// The store.
    pub fn store(&mut self) -> &mut Store {
        // SAFETY: the pointer is the running callback's (`from_vm`), and `&mut self` lends the store to one user at a time.
        unsafe { Store::from_vm((*self.vm).store) }
    }

    /// The same caller, for a shorter time.
    pub fn reborrow(&mut self) -> Caller<'_> {
        Caller { vm: self.vm, lent: PhantomData }
    }

    /// An export of the calling instance; `None` where it has none of this name, or the host itself called.
    #[inline]
    pub fn export(&mut self, name: &str) -> Option<Extern> {
        // SAFETY: as in `store`; a caller that isn't null is an instance's block, whose record lives as long as the store.
        unsafe {
            let vmctx = (*self.vm).vmctx;
            if vmctx.is_null() {
                return None;
            }
            let instance = &*(*vmctx).instance.cast::<InstanceData>();
            instance.export(Store::from_vm((*self.vm).store), name)
        }
    }

    /// Base and length in bytes of the calling instance's exported memory of this name. The fast path for host functions
    /// that only touch guest memory. Valid until the guest runs again or a memory grows.
    #[inline]
    pub fn memory(&mut self, name: &str) -> Option<(*mut u8, usize)> {
        match self.export(name)? {
            Extern::Memory(memory) => memory.data(self.store()).ok(),
            Extern::SharedMemory(memory) => Some((memory.base(), memory.byte_len())),
            _ => None,
        }
    }
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}
