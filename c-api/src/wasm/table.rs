//! Tables of the portable API.

use super::object::{Object, wasm_extern_t, wasm_ref_t};
use super::store::{StoreRef, wasm_store_t};
use super::tabletype::wasm_tabletype_t;
use crate::boundary::expect;
use crate::foreign::Finalizer;
use ampoule::{Error, Extern, Table, TableType, Val, ValType};
use std::ffi::c_void;
use std::ptr;

/// A table: a view of an extern that is one.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_table_t(pub(crate) wasm_extern_t);

impl wasm_table_t {
    pub(crate) fn new(store: &StoreRef, table: Table) -> Box<Self> {
        Box::new(Self(wasm_extern_t::new(store, Extern::Table(table))))
    }

    /// The store and the table.
    fn parts(&self) -> (&StoreRef, Table) {
        let Extern::Table(table) = *self.0.item() else { unreachable!("a table is only ever made as one") };
        (self.0.store(), table)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_delete(_table: Option<Box<wasm_table_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_copy(table: Option<&wasm_table_t>) -> Option<Box<wasm_table_t>> {
    table.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_same(a: &wasm_table_t, b: &wasm_table_t) -> bool {
    a.0.0.same(&b.0.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_get_host_info(table: &wasm_table_t) -> *mut c_void {
    table.0.0.host_info()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_set_host_info(table: &wasm_table_t, info: *mut c_void) {
    table.0.0.set_host_info(info, None);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_set_host_info_with_finalizer(
    table: &wasm_table_t,
    info: *mut c_void,
    finalizer: Finalizer,
) {
    table.0.0.set_host_info(info, finalizer);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_as_ref(table: Option<&mut wasm_table_t>) -> Option<&mut wasm_ref_t> {
    table.map(|table| &mut table.0.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_table(r: Option<&mut wasm_ref_t>) -> Option<&mut wasm_table_t> {
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    r.filter(|r| matches!(r.object, Object::Item { item: Extern::Table(_), .. }))
        .map(|r| unsafe { &mut *ptr::from_mut(r).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_as_ref_const(table: Option<&wasm_table_t>) -> Option<&wasm_ref_t> {
    table.map(|table| &table.0.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_table_const(r: Option<&wasm_ref_t>) -> Option<&wasm_table_t> {
    // SAFETY: the wrapper is transparent.
    r.filter(|r| matches!(r.object, Object::Item { item: Extern::Table(_), .. }))
        .map(|r| unsafe { &*ptr::from_ref(r).cast() })
}

/// A number of elements.
pub type wasm_table_size_t = u32;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_new(
    store: Option<&wasm_store_t>,
    ty: Option<&wasm_tabletype_t>,
    init: Option<&wasm_ref_t>,
) -> Option<Box<wasm_table_t>> {
    let (store, ty) = (store?, ty?);
    let ty = ty.ty_in(store.store.get().engine()).ok()?;
    let made = element(&store.store, &ty, init).and_then(|init| Table::new(store.store.get(), &ty, &init));
    made.ok().map(|table| wasm_table_t::new(&store.store, table))
}

/// The element that a reference, or null, stands for.
fn element(store: &StoreRef, ty: &TableType, value: Option<&wasm_ref_t>) -> Result<Val, Error> {
    value.map_or_else(|| Ok(Val::default_for(ValType::Ref(ty.element))), |value| value.val_for(store))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_type(table: &wasm_table_t) -> Box<wasm_tabletype_t> {
    let (store, table) = table.parts();
    wasm_tabletype_t::of(store.get().engine(), expect("wasm_table_type", table.ty(store.get())))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_get(table: &wasm_table_t, index: wasm_table_size_t) -> Option<Box<wasm_ref_t>> {
    let (store, table) = table.parts();
    let element = expect("wasm_table_get", table.get(store.get(), index.into()));
    element.and_then(|element| wasm_ref_t::new(store, element))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_set(
    table: &mut wasm_table_t,
    index: wasm_table_size_t,
    value: Option<&wasm_ref_t>,
) -> bool {
    let (store, table) = table.parts();
    let set = |store: &StoreRef| table.set(store.get(), index.into(), &element(store, &table.ty(store.get())?, value)?);
    set(store).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_size(table: &wasm_table_t) -> wasm_table_size_t {
    let (store, table) = table.parts();
    let size = expect("wasm_table_size", table.size(store.get()));
    u32::try_from(size).unwrap_or(u32::MAX)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_grow(
    table: &mut wasm_table_t,
    delta: wasm_table_size_t,
    init: Option<&wasm_ref_t>,
) -> bool {
    let (store, table) = table.parts();
    let grow =
        |store: &StoreRef| table.grow(store.get(), delta.into(), &element(store, &table.ty(store.get())?, init)?);
    grow(store).is_ok()
}
