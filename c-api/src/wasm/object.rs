//! Objects: what the handles of the portable API refer to.
//!
//! All handles but those to traps are one struct, and the types that C knows are transparent wrappers of it, so that seeing one as
//! the other is a cast. Each of these types has a file of its own, with its functions; `reference.rs` and `hostinfo.rs` have what
//! all of them can do.

use super::store::StoreRef;
use crate::foreign::Foreign;
use ampoule::sync::{Mutex, OnceLock};
use ampoule::{Error, Extern, ExternRef, Instance, Module};
use std::ffi::c_void;
use std::mem::{self, ManuallyDrop};
use std::ptr;
use std::sync::Arc;

/// A handle to an object; never null.
#[derive(Clone)]
pub struct wasm_ref_t {
    pub(super) object: Object,
}

/// What a handle refers to. What is in a store keeps that alive.
#[derive(Clone)]
pub(super) enum Object {
    /// A function, global, table, memory or tag; never a shared memory, which the portable API doesn't know.
    Item { store: StoreRef, item: Extern },
    /// A value of the host.
    Foreign { store: StoreRef, value: ExternRef },
    /// An instance.
    Instance { store: StoreRef, instance: Instance },
    /// A module, with the information that its copies share.
    Module { module: Module, info: Arc<HostInfo> },
    /// A trap. Traps themselves are other structs: this is what a view of one refers to.
    Trap(wasm_trap_t),
}

// SAFETY: what isn't `Sync` by itself is the store's, which one thread at a time uses; see `StoreRef`.
unsafe impl Send for wasm_ref_t {}
// SAFETY: as above.
unsafe impl Sync for wasm_ref_t {}

/// An item and its store: a view of a reference that is one. Functions, globals, tables and memories are transparent wrappers
/// of this, so that the conversions below are casts.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_extern_t(pub(crate) wasm_ref_t);

impl wasm_extern_t {
    pub(super) fn new(store: &StoreRef, item: Extern) -> Self {
        Self(wasm_ref_t { object: Object::Item { store: store.clone(), item } })
    }

    fn parts(&self) -> (&StoreRef, &Extern) {
        let Object::Item { store, item } = &self.0.object else { unreachable!("an extern is only ever made as one") };
        (store, item)
    }

    /// The store.
    pub(super) fn store(&self) -> &StoreRef {
        self.parts().0
    }

    /// The item.
    pub(super) fn item(&self) -> &Extern {
        self.parts().1
    }
}

/// Why a guest ended: an error of the engine's. A pointer to one that a host function returns goes through compiled code to
/// the engine as it is, so this is nothing but the error.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_trap_t(pub(crate) Error);

/// What is kept with a trap, for as long as there is a handle to it.
#[derive(Default)]
struct TrapExtras {
    info: HostInfo,
    view: OnceLock<TrapView>,
}

/// The reference that a trap can be seen as. It is kept with the trap, so it doesn't count as a handle to it: that would keep the
/// trap alive for ever.
struct TrapView(ManuallyDrop<wasm_ref_t>);

impl wasm_trap_t {
    fn extras(&self) -> &TrapExtras {
        self.0.attached(TrapExtras::default)
    }

    /// What the host keeps with the trap.
    pub(super) fn info(&self) -> &HostInfo {
        &self.extras().info
    }

    /// The trap as a reference.
    pub(super) fn view(&self) -> &wasm_ref_t {
        let view = self.extras().view.get_or_init(|| {
            // SAFETY: a second handle that isn't counted. It is never dropped, and is gone with the trap, whose last counted
            // handle is dropped later than any use of the view; copies of the view are counted.
            let uncounted = unsafe { ptr::read(&self.0) };
            TrapView(ManuallyDrop::new(wasm_ref_t { object: Object::Trap(wasm_trap_t(uncounted)) }))
        });
        &view.0
    }
}

/// What the host keeps with one object.
#[derive(Default)]
pub(super) struct HostInfo(Mutex<Foreign>);

impl HostInfo {
    /// The pointer; null at first.
    pub(super) fn get(&self) -> *mut c_void {
        self.0.lock().data()
    }

    /// Replaces pointer and finalizer. What was there is finalized when nobody holds the lock any more: its finalizer may look
    /// here.
    pub(super) fn set(&self, info: Foreign) {
        let old = mem::replace(&mut *self.0.lock(), info);
        drop(old);
    }
}
