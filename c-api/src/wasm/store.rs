//! Stores of the portable API: shared by the objects in them, each of which keeps its store alive.

use super::engine::wasm_engine_t;
use ampoule::Store;
use std::cell::UnsafeCell;
use std::sync::{Arc, Weak};

/// A handle to a store, one of possibly many to the same.
#[derive(Clone)]
pub struct wasm_store_t {
    pub(crate) store: StoreRef,
}

/// A store that objects share.
///
/// 1. The header lets one thread at a time use a store and everything in it.
/// 2. Nobody keeps a reference to the store beyond one call into the engine. When guest code that such a call entered calls the
///    host, and the host uses the store, the outer reference is not used until the inner one is gone: the same rule that the
///    engine has for its own host functions.
#[derive(Clone)]
pub(crate) struct StoreRef(Arc<StoreCell>);

/// A store, as a host function in it knows it: without keeping it alive, which would be for ever.
#[derive(Clone)]
pub(crate) struct WeakStoreRef(Weak<StoreCell>);

struct StoreCell(UnsafeCell<Box<Store>>);

// SAFETY: `Store` may be sent, and one thread at a time uses it (1).
unsafe impl Send for StoreCell {}
// SAFETY: as above.
unsafe impl Sync for StoreCell {}

impl StoreRef {
    /// The store, for one call into the engine.
    #[expect(clippy::mut_from_ref, reason = "the header's rule for threads makes it unique, see the type")]
    pub(crate) fn get(&self) -> &mut Store {
        // SAFETY: by (1) and (2).
        unsafe { &mut *self.0.0.get() }
    }

    /// Whether both are the same store.
    pub(crate) fn same(&self, other: &StoreRef) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn downgrade(&self) -> WeakStoreRef {
        WeakStoreRef(Arc::downgrade(&self.0))
    }
}

impl WeakStoreRef {
    /// The store; `None` while it is being freed.
    pub(crate) fn upgrade(&self) -> Option<StoreRef> {
        self.0.upgrade().map(StoreRef)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_store_delete(_store: Option<Box<wasm_store_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_store_new(engine: Option<&wasm_engine_t>) -> Option<Box<wasm_store_t>> {
    let store = StoreRef(Arc::new(StoreCell(UnsafeCell::new(Store::new(&engine?.engine)))));
    Some(Box::new(wasm_store_t { store }))
}
