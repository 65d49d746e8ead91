//! `wasmtime/component/types/component.h`: what components import and export.

use super::func::wasmtime_component_func_type_t;
use super::instance::wasmtime_component_instance_type_t;
use super::module::wasmtime_module_type_t;
use super::resource::wasmtime_component_resource_type_t;
use super::val::wasmtime_component_valtype_t;
use super::{NameOut, give_name};
use crate::boundary::text;
use crate::wasm::engine::wasm_engine_t;
use crate::wasm::parts::wasm_functype_t;
use ampoule_component::types::item::Items;
use ampoule_component::types::{ComponentType, ItemType};
use std::mem::{ManuallyDrop, MaybeUninit, take};

/// `wasmtime_component_type_t`.
pub type wasmtime_component_type_t = ComponentType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_type_clone(ty: &wasmtime_component_type_t) -> Box<wasmtime_component_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_type_delete(_ty: Option<Box<wasmtime_component_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_type_import_count(
    ty: &wasmtime_component_type_t,
    _engine: &wasm_engine_t,
) -> usize {
    ty.imports().len()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_type_import_get(
    ty: &wasmtime_component_type_t,
    _engine: &wasm_engine_t,
    name: *const u8,
    name_len: usize,
    ret: &mut MaybeUninit<wasmtime_component_item_t>,
) -> bool {
    // SAFETY: the name is lent for this call.
    unsafe { get(ty.imports(), name, name_len, ret) }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_type_import_nth(
    ty: &wasmtime_component_type_t,
    _engine: &wasm_engine_t,
    nth: usize,
    name_ret: &mut MaybeUninit<*const u8>,
    name_len_ret: &mut MaybeUninit<usize>,
    type_ret: &mut MaybeUninit<wasmtime_component_item_t>,
) -> bool {
    give_nth(ty.imports(), nth, (name_ret, name_len_ret), type_ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_type_export_count(
    ty: &wasmtime_component_type_t,
    _engine: &wasm_engine_t,
) -> usize {
    ty.exports().len()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_type_export_get(
    ty: &wasmtime_component_type_t,
    _engine: &wasm_engine_t,
    name: *const u8,
    name_len: usize,
    ret: &mut MaybeUninit<wasmtime_component_item_t>,
) -> bool {
    // SAFETY: the name is lent for this call.
    unsafe { get(ty.exports(), name, name_len, ret) }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_type_export_nth(
    ty: &wasmtime_component_type_t,
    _engine: &wasm_engine_t,
    nth: usize,
    name_ret: &mut MaybeUninit<*const u8>,
    name_len_ret: &mut MaybeUninit<usize>,
    type_ret: &mut MaybeUninit<wasmtime_component_item_t>,
) -> bool {
    give_nth(ty.exports(), nth, (name_ret, name_len_ret), type_ret)
}

/// Gives the item of a name.
///
/// # Safety
/// See [`text`] about the name.
pub(super) unsafe fn get(
    items: &Items,
    name: *const u8,
    name_len: usize,
    ret: &mut MaybeUninit<wasmtime_component_item_t>,
) -> bool {
    // SAFETY: by the caller. Nothing goes by a name that isn't UTF-8.
    let found = unsafe { text(name, name_len) }.ok().and_then(|name| items.get(name));
    found.map(|item| ret.write(item.into())).is_some()
}

/// Gives an item by number, and its name.
pub(super) fn give_nth(
    items: &Items,
    nth: usize,
    name_ret: NameOut<'_>,
    type_ret: &mut MaybeUninit<wasmtime_component_item_t>,
) -> bool {
    let Some((name, item)) = items.get_index(nth) else { return false };
    give_name(name, name_ret);
    type_ret.write(item.into());
    true
}

/// What an item is.
pub type wasmtime_component_item_kind_t = u8;

/// A component.
pub const WASMTIME_COMPONENT_ITEM_COMPONENT: wasmtime_component_item_kind_t = 0;
/// An instance.
pub const WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE: wasmtime_component_item_kind_t = 1;
/// A core module.
pub const WASMTIME_COMPONENT_ITEM_MODULE: wasmtime_component_item_kind_t = 2;
/// A function of the component model.
pub const WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC: wasmtime_component_item_kind_t = 3;
/// A resource type.
pub const WASMTIME_COMPONENT_ITEM_RESOURCE: wasmtime_component_item_kind_t = 4;
/// A core function.
pub const WASMTIME_COMPONENT_ITEM_CORE_FUNC: wasmtime_component_item_kind_t = 5;
/// A type of values.
pub const WASMTIME_COMPONENT_ITEM_TYPE: wasmtime_component_item_kind_t = 6;

/// The type of an item.
///
/// 1. The member of `of` that the kind names is initialised and owned; of an unknown kind nothing is.
#[repr(C)]
pub struct wasmtime_component_item_t {
    kind: wasmtime_component_item_kind_t,
    of: ItemOf,
}

#[repr(C)]
union ItemOf {
    component: ManuallyDrop<Box<wasmtime_component_type_t>>,
    component_instance: ManuallyDrop<Box<wasmtime_component_instance_type_t>>,
    module: ManuallyDrop<Box<wasmtime_module_type_t>>,
    component_func: ManuallyDrop<Box<wasmtime_component_func_type_t>>,
    resource: ManuallyDrop<Box<wasmtime_component_resource_type_t>>,
    core_func: ManuallyDrop<Box<wasm_functype_t>>,
    ty: ManuallyDrop<wasmtime_component_valtype_t>,
}

const _: () = assert!(size_of::<wasmtime_component_item_t>() == 24);

impl From<&ItemType> for wasmtime_component_item_t {
    fn from(item: &ItemType) -> Self {
        fn owned<T: Clone>(ty: &T) -> ManuallyDrop<Box<T>> {
            ManuallyDrop::new(Box::new(ty.clone()))
        }
        let (kind, of) = match item {
            ItemType::Component(ty) => (WASMTIME_COMPONENT_ITEM_COMPONENT, ItemOf { component: owned(ty) }),
            ItemType::Instance(ty) => {
                (WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE, ItemOf { component_instance: owned(ty) })
            }
            ItemType::Module(ty) => (WASMTIME_COMPONENT_ITEM_MODULE, ItemOf { module: owned(ty) }),
            ItemType::Func(ty) => (WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC, ItemOf { component_func: owned(ty) }),
            ItemType::Resource(ty) => (WASMTIME_COMPONENT_ITEM_RESOURCE, ItemOf { resource: owned(ty) }),
            ItemType::Type(ty) => (WASMTIME_COMPONENT_ITEM_TYPE, ItemOf { ty: ManuallyDrop::new(ty.into()) }),
        };
        Self { kind, of }
    }
}

impl Default for wasmtime_component_item_t {
    fn default() -> Self {
        Self { kind: WASMTIME_COMPONENT_ITEM_TYPE, of: ItemOf { ty: ManuallyDrop::default() } }
    }
}

impl Clone for wasmtime_component_item_t {
    fn clone(&self) -> Self {
        // SAFETY: by (1).
        let of = unsafe {
            let of = &self.of;
            match self.kind {
                WASMTIME_COMPONENT_ITEM_COMPONENT => ItemOf { component: of.component.clone() },
                WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE => {
                    ItemOf { component_instance: of.component_instance.clone() }
                }
                WASMTIME_COMPONENT_ITEM_MODULE => ItemOf { module: of.module.clone() },
                WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC => ItemOf { component_func: of.component_func.clone() },
                WASMTIME_COMPONENT_ITEM_RESOURCE => ItemOf { resource: of.resource.clone() },
                WASMTIME_COMPONENT_ITEM_CORE_FUNC => ItemOf { core_func: of.core_func.clone() },
                WASMTIME_COMPONENT_ITEM_TYPE => ItemOf { ty: of.ty.clone() },
                _ => ItemOf { ty: ManuallyDrop::default() },
            }
        };
        Self { kind: self.kind, of }
    }
}

impl Drop for wasmtime_component_item_t {
    fn drop(&mut self) {
        let of = &mut self.of;
        // SAFETY: by (1), once.
        unsafe {
            match self.kind {
                WASMTIME_COMPONENT_ITEM_COMPONENT => ManuallyDrop::drop(&mut of.component),
                WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE => ManuallyDrop::drop(&mut of.component_instance),
                WASMTIME_COMPONENT_ITEM_MODULE => ManuallyDrop::drop(&mut of.module),
                WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC => ManuallyDrop::drop(&mut of.component_func),
                WASMTIME_COMPONENT_ITEM_RESOURCE => ManuallyDrop::drop(&mut of.resource),
                WASMTIME_COMPONENT_ITEM_CORE_FUNC => ManuallyDrop::drop(&mut of.core_func),
                WASMTIME_COMPONENT_ITEM_TYPE => ManuallyDrop::drop(&mut of.ty),
                _ => {}
            }
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_item_clone(
    item: &wasmtime_component_item_t,
    out: &mut MaybeUninit<wasmtime_component_item_t>,
) {
    out.write(item.clone());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_item_delete(ptr: &mut wasmtime_component_item_t) {
    drop(take(ptr));
}
