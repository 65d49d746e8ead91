//! `ampoule/snapshot.h`: instances as they are at one moment, those of components too, and what their guests have of WASI.

use crate::boundary::{bytes, give, give_unit, guarded, path, text};
use crate::component::component::wasmtime_component_t;
use crate::component::instance::wasmtime_component_instance_t;
use crate::component::linker::wasmtime_component_linker_t;
use crate::error::wasmtime_error_t;
use crate::external::wasmtime_extern_t;
use crate::foreign::{Finalizer, Foreign};
use crate::instance::wasmtime_instance_t;
use crate::linker::wasmtime_linker_t;
use crate::module::wasmtime_module_t;
use crate::own::Own;
use crate::store::wasmtime_context_t;
use crate::wasi::wasi_config_t;
#[cfg(feature = "compiler")]
use crate::wasm::bytes::wasm_byte_vec_t;
use crate::wasm::engine::wasm_engine_t;
use crate::wasm::importtype::{wasm_importtype_t, wasm_importtype_vec_t};
use crate::wasm::parts::wasm_externtype_t;
use ampoule::snapshot::HostReferences;
use ampoule::{Error, Instance, Snapshot};
use ampoule_component::ComponentSnapshot;
use ampoule_wasi::{SnapshotError, WasiCtx, WasiResources, WasiState};
use std::any::Any;
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::slice;

/// A handle to a snapshot, one of possibly many to the same.
pub struct ampoule_snapshot_t(Snapshot);

/// How the host names what is behind `externref`s.
#[repr(C)]
pub struct ampoule_host_references_t {
    env: *mut c_void,
    save: Option<
        unsafe extern "C" fn(env: *mut c_void, data: *mut c_void, number: &mut u64) -> Option<Box<wasmtime_error_t>>,
    >,
    restore: Option<
        unsafe extern "C" fn(
            env: *mut c_void,
            number: u64,
            data: &mut *mut c_void,
            finalizer: &mut Finalizer,
        ) -> Option<Box<wasmtime_error_t>>,
    >,
}

/// The host's functions, if it gave some.
struct References<'a>(Option<&'a ampoule_host_references_t>);

impl HostReferences for References<'_> {
    fn save(&mut self, value: &(dyn Any + Send + Sync)) -> Result<u64, Error> {
        let given = self.0.and_then(|references| Some((references.env, references.save?)));
        let Some(((env, save), foreign)) = given.zip(value.downcast_ref::<Foreign>()) else { return ().save(value) };
        let mut number = 0;
        // SAFETY: the header says what the function gets.
        let error = unsafe { save(env, foreign.data(), &mut number) };
        error.map_or(Ok(number), |error| Err(error.0))
    }

    fn restore(&mut self, number: u64) -> Result<Box<dyn Any + Send + Sync>, Error> {
        let given = self.0.and_then(|references| Some((references.env, references.restore?)));
        let Some((env, restore)) = given else { return ().restore(number) };
        let (mut data, mut finalizer) = (std::ptr::null_mut(), None);
        // SAFETY: the header says what the function gets.
        let error = unsafe { restore(env, number, &mut data, &mut finalizer) };
        error.map_or_else(|| Ok(Box::new(Foreign::new(data, finalizer)) as _), |error| Err(error.0))
    }
}

/// The elements of a `(pointer, length)` pair.
///
/// # Safety
/// There are so many.
unsafe fn elements<'a, T>(first: *const T, len: usize) -> &'a [T] {
    // SAFETY: by the caller; no elements need no memory.
    if len == 0 { &[] } else { unsafe { slice::from_raw_parts(first, len) } }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_snapshot_take(
    context: &mut wasmtime_context_t,
    instances: *const wasmtime_instance_t,
    ninstances: usize,
    references: Option<&ampoule_host_references_t>,
    snapshot: &mut MaybeUninit<Box<ampoule_snapshot_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes as many as it says.
    let instances = unsafe { elements(instances, ninstances) };
    give(guarded(|| Ok(boxed(Snapshot::take(context, instances, &mut References(references))?))), snapshot)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_snapshot_take_all(
    context: &mut wasmtime_context_t,
    references: Option<&ampoule_host_references_t>,
    snapshot: &mut MaybeUninit<Box<ampoule_snapshot_t>>,
) -> Option<Box<wasmtime_error_t>> {
    give(guarded(|| Ok(boxed(Snapshot::take_all(context, &mut References(references))?))), snapshot)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_snapshot_clone(snapshot: &ampoule_snapshot_t) -> Box<ampoule_snapshot_t> {
    boxed(snapshot.0.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_snapshot_delete(_snapshot: Option<Box<ampoule_snapshot_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_snapshot_len(snapshot: &ampoule_snapshot_t) -> usize {
    snapshot.0.len()
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_snapshot_module(
    snapshot: &ampoule_snapshot_t,
    instance: usize,
) -> Option<Box<wasmtime_module_t>> {
    let module = snapshot.0.module(instance)?.clone();
    Some(Box::new(wasmtime_module_t { module }))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_snapshot_imports(
    snapshot: &ampoule_snapshot_t,
    out: &mut MaybeUninit<wasm_importtype_vec_t>,
) {
    let engine = snapshot.0.engine();
    let imports = snapshot.0.imports().map(|(import, ty, declared)| {
        wasm_importtype_t::new(&import.module, &import.name, wasm_externtype_t::of(engine, ty, declared))
    });
    imports.map(Some).collect::<wasm_importtype_vec_t>().give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_snapshot_reset(
    snapshot: &ampoule_snapshot_t,
    context: &mut wasmtime_context_t,
    instances: *const wasmtime_instance_t,
    ninstances: usize,
    references: Option<&ampoule_host_references_t>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes as many as it says.
    let instances = unsafe { elements(instances, ninstances) };
    give_unit(guarded(|| snapshot.0.reset(context, instances, &mut References(references))))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_snapshot_instantiate(
    snapshot: &ampoule_snapshot_t,
    context: &mut wasmtime_context_t,
    linker: &wasmtime_linker_t,
    references: Option<&ampoule_host_references_t>,
    instances: *mut MaybeUninit<wasmtime_instance_t>,
    ninstances: usize,
) -> Option<Box<wasmtime_error_t>> {
    let make = || snapshot.0.instantiate(context, &linker.linker, &mut References(references));
    // SAFETY: the caller has room for as many as it says.
    unsafe { give_instances(&snapshot.0, make, instances, ninstances) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_snapshot_instantiate_with(
    snapshot: &ampoule_snapshot_t,
    context: &mut wasmtime_context_t,
    imports: *const wasmtime_extern_t,
    nimports: usize,
    references: Option<&ampoule_host_references_t>,
    instances: *mut MaybeUninit<wasmtime_instance_t>,
    ninstances: usize,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes as many as it says.
    let imports = unsafe { elements(imports, nimports) };
    let make = || {
        let imports = imports.iter().map(wasmtime_extern_t::get).collect::<Result<Vec<_>, _>>()?;
        snapshot.0.instantiate_with(context, &imports, &mut References(references))
    };
    // SAFETY: the caller has room for as many as it says.
    unsafe { give_instances(&snapshot.0, make, instances, ninstances) }
}

/// Makes instances and writes them where C wants them.
///
/// # Safety
/// There is room for `ninstances`.
unsafe fn give_instances(
    snapshot: &Snapshot,
    make: impl FnOnce() -> Result<Vec<Instance>, Error>,
    instances: *mut MaybeUninit<wasmtime_instance_t>,
    ninstances: usize,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(guarded(|| {
        if snapshot.len() != ninstances {
            let len = snapshot.len();
            return Err(Error::message(format!(
                "the snapshot is of {len} instances, and there is room for {ninstances}"
            )));
        }
        for (at, instance) in make()?.into_iter().enumerate() {
            // SAFETY: there are as many, which the caller has room for.
            unsafe { (*instances.add(at)).write(instance) };
        }
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_snapshot_attach(
    snapshot: &mut ampoule_snapshot_t,
    name: *const u8,
    name_len: usize,
    data: *const u8,
    len: usize,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: name and bytes are lent for this call.
    let mut attach = || unsafe {
        snapshot.0.attach(text(name, name_len)?, bytes(data, len));
        Ok(())
    };
    give_unit(attach())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_snapshot_section(
    snapshot: &ampoule_snapshot_t,
    name: *const u8,
    name_len: usize,
    data: &mut MaybeUninit<*const u8>,
    len: &mut MaybeUninit<usize>,
) -> bool {
    // SAFETY: the name is lent for this call. What isn't UTF-8 is no section's name.
    let section = unsafe { text(name, name_len) }.ok().and_then(|name| snapshot.0.section(name));
    section.is_some_and(|section| {
        data.write(section.as_ptr());
        len.write(section.len());
        true
    })
}

#[cfg(feature = "compiler")]
#[unsafe(no_mangle)]
pub extern "C" fn ampoule_snapshot_serialize(
    snapshot: &ampoule_snapshot_t,
    out: &mut MaybeUninit<wasm_byte_vec_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(guarded(|| snapshot.0.to_bytes()).map(Into::into), out)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_snapshot_deserialize(
    engine: &wasm_engine_t,
    data: *const u8,
    len: usize,
    snapshot: &mut MaybeUninit<Box<ampoule_snapshot_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the bytes are lent for this call, and the header makes the caller answer for their origin.
    give(guarded(|| Ok(boxed(unsafe { Snapshot::load(&engine.engine, bytes(data, len)) }?))), snapshot)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_snapshot_deserialize_file(
    engine: &wasm_engine_t,
    file: *const c_char,
    snapshot: &mut MaybeUninit<Box<ampoule_snapshot_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the path ends in a NUL, and the header makes the caller answer for the file.
    give(guarded(|| Ok(boxed(unsafe { Snapshot::load_file(&engine.engine, path(file)) }?))), snapshot)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_snapshot_attach_wasi(
    snapshot: &mut ampoule_snapshot_t,
    context: &mut wasmtime_context_t,
) -> Option<Box<wasmtime_error_t>> {
    let attach = || {
        let wasi = context.slots().get::<WasiCtx>().ok_or_else(|| Error::message("the store has no WASI"))?;
        WasiState::of(wasi).map_err(of_wasi)?.attach_to(&mut snapshot.0);
        Ok(())
    };
    give_unit(guarded(attach))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_context_set_wasi_of_snapshot(
    context: &mut wasmtime_context_t,
    wasi: Box<wasi_config_t>,
    snapshot: &ampoule_snapshot_t,
) -> Option<Box<wasmtime_error_t>> {
    let set = || {
        let state = WasiState::of_snapshot(&snapshot.0).map_err(of_wasi)?;
        let state = state.ok_or_else(|| Error::message("the snapshot does not tell what its guest had of WASI"))?;
        let wasi = wasi.into_config()?.build_from(&state).map_err(of_wasi)?;
        context.replace_slot(wasi);
        Ok(())
    };
    give_unit(guarded(set))
}

fn of_wasi(error: SnapshotError) -> Error {
    Error::message(error.to_string())
}

/// A handle to a component instance as it was.
pub struct ampoule_component_snapshot_t(ComponentSnapshot);

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_snapshot_take(
    context: &mut wasmtime_context_t,
    component: &wasmtime_component_t,
    instance: &wasmtime_component_instance_t,
    snapshot: &mut MaybeUninit<Box<ampoule_component_snapshot_t>>,
) -> Option<Box<wasmtime_error_t>> {
    let take = || ComponentSnapshot::take(context, &component.component, *instance, &mut WasiResources);
    give(guarded(take).map(of_component), snapshot)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_snapshot_clone(
    snapshot: &ampoule_component_snapshot_t,
) -> Box<ampoule_component_snapshot_t> {
    of_component(snapshot.0.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_snapshot_delete(_snapshot: Option<Box<ampoule_component_snapshot_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_snapshot_component(
    snapshot: &ampoule_component_snapshot_t,
) -> Box<wasmtime_component_t> {
    Box::new(wasmtime_component_t { component: snapshot.0.component().clone() })
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_snapshot_reset(
    snapshot: &ampoule_component_snapshot_t,
    context: &mut wasmtime_context_t,
    instance: &wasmtime_component_instance_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(guarded(|| snapshot.0.reset(context, *instance, &mut WasiResources)))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_snapshot_instantiate(
    snapshot: &ampoule_component_snapshot_t,
    context: &mut wasmtime_context_t,
    linker: &wasmtime_component_linker_t,
    instance: &mut MaybeUninit<wasmtime_component_instance_t>,
) -> Option<Box<wasmtime_error_t>> {
    let make = || {
        let found = linker.linker.instantiate_pre(snapshot.0.component())?;
        snapshot.0.instantiate(context, &found, &mut WasiResources)
    };
    give(guarded(make), instance)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_snapshot_to_snapshot(
    snapshot: &ampoule_component_snapshot_t,
) -> Box<ampoule_snapshot_t> {
    boxed(snapshot.0.to_core())
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_snapshot_of_snapshot(
    snapshot: &ampoule_snapshot_t,
    component_snapshot: &mut MaybeUninit<Box<ampoule_component_snapshot_t>>,
) -> Option<Box<wasmtime_error_t>> {
    let read = || {
        let found = ComponentSnapshot::of(snapshot.0.clone())?;
        found.ok_or_else(|| Error::message("the snapshot is not one of a component")).map(of_component)
    };
    give(guarded(read), component_snapshot)
}

fn of_component(snapshot: ComponentSnapshot) -> Box<ampoule_component_snapshot_t> {
    Box::new(ampoule_component_snapshot_t(snapshot))
}

fn boxed(snapshot: Snapshot) -> Box<ampoule_snapshot_t> {
    Box::new(ampoule_snapshot_t(snapshot))
}
