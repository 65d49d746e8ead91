//! `wasmtime/component/val.h`: values, which are `ampoule_component`'s own, and resources.

use crate::boundary::{give, give_unit, guarded};
use crate::component::types::resource::wasmtime_component_resource_type_t;
use crate::error::wasmtime_error_t;
use crate::own::{Own, Vector};
use crate::store::wasmtime_context_t;
use ampoule_component::val::{EntryVal, FieldVal, Name};
use ampoule_component::{ResourceAny, ResourceHost, Val};
use std::mem::{self, MaybeUninit};

/// `wasmtime_component_resource_any_t`.
pub type wasmtime_component_resource_any_t = ResourceAny;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_any_type(
    resource: &wasmtime_component_resource_any_t,
) -> Box<wasmtime_component_resource_type_t> {
    Box::new(resource.ty())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_any_clone(
    resource: &wasmtime_component_resource_any_t,
) -> Box<wasmtime_component_resource_any_t> {
    Box::new(resource.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_any_owned(resource: &wasmtime_component_resource_any_t) -> bool {
    resource.owned()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_any_drop(
    ctx: &mut wasmtime_context_t,
    resource: &wasmtime_component_resource_any_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(guarded(|| resource.drop(ctx)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_any_delete(_resource: Option<Box<wasmtime_component_resource_any_t>>) {}

/// `wasmtime_component_resource_host_t`.
pub type wasmtime_component_resource_host_t = ResourceHost;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_host_new(
    owned: bool,
    rep: u32,
    ty: u32,
) -> Box<wasmtime_component_resource_host_t> {
    Box::new(ResourceHost { rep, ty, owned })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_host_clone(
    resource: &wasmtime_component_resource_host_t,
) -> Box<wasmtime_component_resource_host_t> {
    Box::new(resource.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_host_rep(resource: &wasmtime_component_resource_host_t) -> u32 {
    resource.rep
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_host_type(resource: &wasmtime_component_resource_host_t) -> u32 {
    resource.ty
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_host_owned(resource: &wasmtime_component_resource_host_t) -> bool {
    resource.owned
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_host_delete(_resource: Option<Box<wasmtime_component_resource_host_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_any_to_host(
    ctx: &mut wasmtime_context_t,
    resource: &wasmtime_component_resource_any_t,
    ret: &mut MaybeUninit<Box<wasmtime_component_resource_host_t>>,
) -> Option<Box<wasmtime_error_t>> {
    give(ResourceHost::from_any(resource, ctx).map(Box::new), ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_resource_host_to_any(
    ctx: &mut wasmtime_context_t,
    resource: &wasmtime_component_resource_host_t,
    ret: &mut MaybeUninit<Box<wasmtime_component_resource_any_t>>,
) -> Option<Box<wasmtime_error_t>> {
    give(resource.into_any(ctx).map(Box::new), ret)
}

/// `wasmtime_component_val_t`.
pub type wasmtime_component_val_t = Val;

/// A name that is empty, and yet not null: programs look at where a name begins before they look at how long it is.
fn empty_name() -> Name {
    Vec::new().into()
}

/// `wasmtime_component_vallist_t`.
pub type wasmtime_component_vallist_t = Vector<Val>;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_vallist_new(
    out: &mut MaybeUninit<wasmtime_component_vallist_t>,
    size: usize,
    ptr: *const Val,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, ptr) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_vallist_new_empty(out: &mut MaybeUninit<wasmtime_component_vallist_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_vallist_new_uninit(
    out: &mut MaybeUninit<wasmtime_component_vallist_t>,
    size: usize,
) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_vallist_copy(
    dst: &mut MaybeUninit<wasmtime_component_vallist_t>,
    src: &wasmtime_component_vallist_t,
) {
    src.clone().give(dst);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_vallist_delete(value: &mut wasmtime_component_vallist_t) {
    drop(value.take());
}

/// `wasmtime_component_valrecord_t`.
pub type wasmtime_component_valrecord_t = Vector<FieldVal>;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_valrecord_new(
    out: &mut MaybeUninit<wasmtime_component_valrecord_t>,
    size: usize,
    ptr: *const FieldVal,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, ptr) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valrecord_new_empty(out: &mut MaybeUninit<wasmtime_component_valrecord_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valrecord_new_uninit(
    out: &mut MaybeUninit<wasmtime_component_valrecord_t>,
    size: usize,
) {
    Vector::of_alike(size, || FieldVal { name: empty_name(), val: Val::default() }).give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valrecord_copy(
    dst: &mut MaybeUninit<wasmtime_component_valrecord_t>,
    src: &wasmtime_component_valrecord_t,
) {
    src.clone().give(dst);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valrecord_delete(value: &mut wasmtime_component_valrecord_t) {
    drop(value.take());
}

/// `wasmtime_component_valtuple_t`.
pub type wasmtime_component_valtuple_t = Vector<Val>;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_valtuple_new(
    out: &mut MaybeUninit<wasmtime_component_valtuple_t>,
    size: usize,
    ptr: *const Val,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, ptr) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valtuple_new_empty(out: &mut MaybeUninit<wasmtime_component_valtuple_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valtuple_new_uninit(
    out: &mut MaybeUninit<wasmtime_component_valtuple_t>,
    size: usize,
) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valtuple_copy(
    dst: &mut MaybeUninit<wasmtime_component_valtuple_t>,
    src: &wasmtime_component_valtuple_t,
) {
    src.clone().give(dst);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valtuple_delete(value: &mut wasmtime_component_valtuple_t) {
    drop(value.take());
}

/// `wasmtime_component_valflags_t`.
pub type wasmtime_component_valflags_t = Vector<Name>;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_valflags_new(
    out: &mut MaybeUninit<wasmtime_component_valflags_t>,
    size: usize,
    ptr: *const Name,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, ptr) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valflags_new_empty(out: &mut MaybeUninit<wasmtime_component_valflags_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valflags_new_uninit(
    out: &mut MaybeUninit<wasmtime_component_valflags_t>,
    size: usize,
) {
    Vector::of_alike(size, empty_name).give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valflags_copy(
    dst: &mut MaybeUninit<wasmtime_component_valflags_t>,
    src: &wasmtime_component_valflags_t,
) {
    src.clone().give(dst);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valflags_delete(value: &mut wasmtime_component_valflags_t) {
    drop(value.take());
}

/// `wasmtime_component_valmap_t`.
pub type wasmtime_component_valmap_t = Vector<EntryVal>;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_valmap_new(
    out: &mut MaybeUninit<wasmtime_component_valmap_t>,
    size: usize,
    ptr: *const EntryVal,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, ptr) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valmap_new_empty(out: &mut MaybeUninit<wasmtime_component_valmap_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valmap_new_uninit(
    out: &mut MaybeUninit<wasmtime_component_valmap_t>,
    size: usize,
) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valmap_copy(
    dst: &mut MaybeUninit<wasmtime_component_valmap_t>,
    src: &wasmtime_component_valmap_t,
) {
    src.clone().give(dst);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valmap_delete(value: &mut wasmtime_component_valmap_t) {
    drop(value.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_val_new(val: &mut wasmtime_component_val_t) -> Box<wasmtime_component_val_t> {
    Box::new(mem::take(val))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_val_free(_ptr: Option<Box<wasmtime_component_val_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_val_clone(
    src: &wasmtime_component_val_t,
    dst: &mut MaybeUninit<wasmtime_component_val_t>,
) {
    dst.write(src.clone());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_val_delete(value: &mut wasmtime_component_val_t) {
    value.clear();
}
