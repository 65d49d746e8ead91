//! Globals of the portable API.

use super::globaltype::wasm_globaltype_t;
use super::object::{Object, wasm_extern_t, wasm_ref_t};
use super::store::{StoreRef, wasm_store_t};
use super::val::wasm_val_t;
use crate::boundary::expect;
use crate::foreign::Finalizer;
use ampoule::{Extern, Global};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// A global: a view of an extern that is one.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_global_t(pub(crate) wasm_extern_t);

impl wasm_global_t {
    pub(crate) fn new(store: &StoreRef, global: Global) -> Box<Self> {
        Box::new(Self(wasm_extern_t::new(store, Extern::Global(global))))
    }

    /// The store and the global.
    fn parts(&self) -> (&StoreRef, Global) {
        let Extern::Global(global) = *self.0.item() else { unreachable!("a global is only ever made as one") };
        (self.0.store(), global)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_delete(_global: Option<Box<wasm_global_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_copy(global: Option<&wasm_global_t>) -> Option<Box<wasm_global_t>> {
    global.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_same(a: &wasm_global_t, b: &wasm_global_t) -> bool {
    a.0.0.same(&b.0.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_get_host_info(global: &wasm_global_t) -> *mut c_void {
    global.0.0.host_info()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_set_host_info(global: &wasm_global_t, info: *mut c_void) {
    global.0.0.set_host_info(info, None);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_set_host_info_with_finalizer(
    global: &wasm_global_t,
    info: *mut c_void,
    finalizer: Finalizer,
) {
    global.0.0.set_host_info(info, finalizer);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_as_ref(global: Option<&mut wasm_global_t>) -> Option<&mut wasm_ref_t> {
    global.map(|global| &mut global.0.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_global(r: Option<&mut wasm_ref_t>) -> Option<&mut wasm_global_t> {
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    r.filter(|r| matches!(r.object, Object::Item { item: Extern::Global(_), .. }))
        .map(|r| unsafe { &mut *ptr::from_mut(r).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_as_ref_const(global: Option<&wasm_global_t>) -> Option<&wasm_ref_t> {
    global.map(|global| &global.0.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_global_const(r: Option<&wasm_ref_t>) -> Option<&wasm_global_t> {
    // SAFETY: the wrapper is transparent.
    r.filter(|r| matches!(r.object, Object::Item { item: Extern::Global(_), .. }))
        .map(|r| unsafe { &*ptr::from_ref(r).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_new(
    store: Option<&wasm_store_t>,
    ty: Option<&wasm_globaltype_t>,
    init: Option<&wasm_val_t>,
) -> Option<Box<wasm_global_t>> {
    let (store, ty, init) = (store?, ty?, init?);
    let made = init
        .get(&store.store)
        .and_then(|init| Global::new(store.store.get(), ty.ty_in(store.store.get().engine())?, &init));
    made.ok().map(|global| wasm_global_t::new(&store.store, global))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_type(global: &wasm_global_t) -> Box<wasm_globaltype_t> {
    let (store, global) = global.parts();
    wasm_globaltype_t::of(store.get().engine(), expect("wasm_global_type", global.ty(store.get())))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_get(global: &wasm_global_t, out: &mut MaybeUninit<wasm_val_t>) {
    let (store, global) = global.parts();
    let val = expect("wasm_global_get", global.get(store.get()));
    out.write(wasm_val_t::new(store, val).unwrap_or(wasm_val_t::NONE));
}

/// What doesn't fit changes nothing: there is no way to say so.
#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_set(global: &mut wasm_global_t, val: &wasm_val_t) {
    let (store, global) = global.parts();
    let _ = val.get(store).and_then(|val| global.set(store.get(), &val));
}
