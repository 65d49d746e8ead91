//! `wasmtime/types.h`: types in full, as `wasm_valtype_t` can't show them. All of it came after 44.0.0.

use crate::boundary::misuse;
use crate::gc::types::{wasmtime_array_type_t, wasmtime_exn_type_t, wasmtime_struct_type_t};
use crate::wasm::engine::wasm_engine_t;
use crate::wasm::parts::wasm_functype_t;
use crate::wasm::valtype::wasm_valtype_t;
use ampoule::{Engine, Error, HeapType, RefType, Type, ValType};
use std::ffi::c_void;
use std::mem::{self, MaybeUninit};
use std::ptr;

/// What a heap type is.
pub type wasmtime_heaptype_kind_t = u8;

/// A function type of its own.
const CONCRETE_FUNC: wasmtime_heaptype_kind_t = 3;
/// An array type of its own.
const CONCRETE_ARRAY: wasmtime_heaptype_kind_t = 10;
/// A struct type of its own.
const CONCRETE_STRUCT: wasmtime_heaptype_kind_t = 12;
/// An exception type of its own.
const CONCRETE_EXN: wasmtime_heaptype_kind_t = 14;

/// The abstract heap types and their kinds.
const ABSTRACT: [(HeapType, wasmtime_heaptype_kind_t); 12] = [
    (HeapType::Extern, 0),
    (HeapType::NoExtern, 1),
    (HeapType::Func, 2),
    (HeapType::NoFunc, 4),
    (HeapType::Any, 5),
    (HeapType::None, 6),
    (HeapType::Eq, 7),
    (HeapType::I31, 8),
    (HeapType::Array, 9),
    (HeapType::Struct, 11),
    (HeapType::Exn, 13),
    (HeapType::NoExn, 15),
];

/// A heap type. Of a concrete kind it owns the type that `of` points to; else `of` means nothing.
#[repr(C)]
pub struct wasmtime_heaptype_t {
    kind: wasmtime_heaptype_kind_t,
    of: *mut c_void,
}

impl wasmtime_heaptype_t {
    /// An abstract type, or a declared one that is kept. A declared type that isn't is told as the abstract type above it.
    pub(crate) fn of(heap: HeapType, named: Option<&Type>) -> Self {
        let owned = named.map(|ty| match heap {
            HeapType::ConcreteFunc(_) => (CONCRETE_FUNC, Box::into_raw(wasm_functype_t::of(ty.clone())).cast()),
            HeapType::ConcreteStruct(_) => (CONCRETE_STRUCT, owned(wasmtime_struct_type_t { ty: ty.clone() })),
            HeapType::ConcreteExn(_) => (CONCRETE_EXN, owned(wasmtime_exn_type_t { ty: ty.clone() })),
            _ => (CONCRETE_ARRAY, owned(wasmtime_array_type_t { ty: ty.clone() })),
        });
        if let Some((kind, of)) = owned {
            return Self { kind, of };
        }
        let heap = match heap {
            HeapType::ConcreteFunc(_) => HeapType::Func,
            HeapType::ConcreteStruct(_) => HeapType::Struct,
            HeapType::ConcreteArray(_) => HeapType::Array,
            HeapType::ConcreteExn(_) => HeapType::Exn,
            other => other,
        };
        let (_, kind) = ABSTRACT.into_iter().find(|(of, _)| *of == heap).expect("the list has every type");
        Self { kind, of: ptr::null_mut() }
    }

    /// The type, and the declared one that it names.
    ///
    /// # Errors
    /// Where that is null, or of another engine, or there is no such kind.
    fn get(&self, engine: &Engine) -> Result<(HeapType, Option<Type>), Error> {
        // SAFETY: as in `clone`.
        let declared = unsafe {
            match self.kind {
                CONCRETE_FUNC => self.of.cast::<wasm_functype_t>().as_ref().map(|of| of.declared_in(engine)),
                CONCRETE_STRUCT => self.of.cast::<wasmtime_struct_type_t>().as_ref().map(|of| Ok(of.ty.clone())),
                CONCRETE_ARRAY => self.of.cast::<wasmtime_array_type_t>().as_ref().map(|of| Ok(of.ty.clone())),
                CONCRETE_EXN => self.of.cast::<wasmtime_exn_type_t>().as_ref().map(|of| Ok(of.ty.clone())),
                kind => {
                    let known = ABSTRACT.into_iter().find(|(_, of)| *of == kind);
                    let unknown = || Error::message(format!("there is no heap type of the kind {kind}"));
                    return known.map(|(heap, _)| (heap, None)).ok_or_else(unknown);
                }
            }
        };
        let declared = declared.ok_or_else(|| Error::message("a declared type is null"))??;
        if !engine.has_type(&declared) {
            return Err(Error::message("a declared type is of another engine"));
        }
        let heap = if self.kind == CONCRETE_EXN { HeapType::ConcreteExn(declared.id()) } else { declared.heap_type() };
        Ok((heap, Some(declared)))
    }
}

fn owned<T>(ty: T) -> *mut c_void {
    Box::into_raw(Box::new(ty)).cast()
}

impl Clone for wasmtime_heaptype_t {
    fn clone(&self) -> Self {
        // SAFETY: C says by the kind which type it owns, one that the library gave.
        let of = unsafe {
            match self.kind {
                CONCRETE_FUNC => copy_of::<wasm_functype_t>(self.of),
                CONCRETE_ARRAY => copy_of::<wasmtime_array_type_t>(self.of),
                CONCRETE_STRUCT => copy_of::<wasmtime_struct_type_t>(self.of),
                CONCRETE_EXN => copy_of::<wasmtime_exn_type_t>(self.of),
                _ => ptr::null_mut(),
            }
        };
        Self { kind: self.kind, of }
    }
}

impl Drop for wasmtime_heaptype_t {
    fn drop(&mut self) {
        let of = mem::replace(&mut self.of, ptr::null_mut());
        // SAFETY: as in `clone`, and it is forgotten.
        unsafe {
            match self.kind {
                CONCRETE_FUNC => free::<wasm_functype_t>(of),
                CONCRETE_ARRAY => free::<wasmtime_array_type_t>(of),
                CONCRETE_STRUCT => free::<wasmtime_struct_type_t>(of),
                CONCRETE_EXN => free::<wasmtime_exn_type_t>(of),
                _ => {}
            }
        }
    }
}

/// # Safety
/// `of` is null or leads to a `T`.
unsafe fn copy_of<T: Clone>(of: *mut c_void) -> *mut c_void {
    // SAFETY: by the caller.
    let of = unsafe { of.cast::<T>().as_ref() };
    of.map_or(ptr::null_mut(), |of| Box::into_raw(Box::new(of.clone())).cast())
}

/// # Safety
/// `of` is null or an owned `T` from a box.
unsafe fn free<T>(of: *mut c_void) {
    if !of.is_null() {
        // SAFETY: by the caller.
        drop(unsafe { Box::from_raw(of.cast::<T>()) });
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_heaptype_clone(ty: &wasmtime_heaptype_t, out: &mut MaybeUninit<wasmtime_heaptype_t>) {
    out.write(ty.clone());
}

/// What C has freed is the abstract type without values.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_heaptype_delete(ty: &mut wasmtime_heaptype_t) {
    *ty = wasmtime_heaptype_t::of(HeapType::None, None);
}

/// The type of a reference.
#[repr(C)]
#[derive(Clone)]
pub struct wasmtime_reftype_t {
    nullable: bool,
    heaptype: wasmtime_heaptype_t,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_reftype_clone(ty: &wasmtime_reftype_t, out: &mut MaybeUninit<wasmtime_reftype_t>) {
    out.write(ty.clone());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_reftype_delete(ty: &mut wasmtime_reftype_t) {
    wasmtime_heaptype_delete(&mut ty.heaptype);
}

/// What a value type is.
pub type wasmtime_valtype_kind_t = u8;

/// A reference; the kinds below it are numbers, in the order of `wasm_valkind_t`.
const REF: wasmtime_valtype_kind_t = 5;

/// The type of a value. The reference type is there for references; else it owns nothing.
#[repr(C)]
pub struct wasmtime_valtype_t {
    kind: wasmtime_valtype_kind_t,
    reftype: wasmtime_reftype_t,
}

impl wasmtime_valtype_t {
    /// A type. Numbers have a reference type too, which says nothing and owns nothing.
    fn new(ty: &wasm_valtype_t) -> Self {
        let (kind, nullable, heap) = match ty.ty {
            ValType::I32 => (0, true, HeapType::None),
            ValType::I64 => (1, true, HeapType::None),
            ValType::F32 => (2, true, HeapType::None),
            ValType::F64 => (3, true, HeapType::None),
            ValType::V128 => (4, true, HeapType::None),
            ValType::Ref(ty) => (REF, ty.nullable, ty.heap),
        };
        let heaptype = wasmtime_heaptype_t::of(heap, ty.named.as_ref());
        Self { kind, reftype: wasmtime_reftype_t { nullable, heaptype } }
    }

    /// The type.
    ///
    /// # Errors
    /// See [`wasmtime_heaptype_t::get`].
    fn get(&self, engine: &Engine) -> Result<wasm_valtype_t, Error> {
        Ok(match self.kind {
            0 => ValType::I32.into(),
            1 => ValType::I64.into(),
            2 => ValType::F32.into(),
            3 => ValType::F64.into(),
            4 => ValType::V128.into(),
            REF => {
                let (heap, named) = self.reftype.heaptype.get(engine)?;
                wasm_valtype_t { ty: ValType::Ref(RefType { nullable: self.reftype.nullable, heap }), named }
            }
            kind => misuse("wasmtime_valtype_to_wasm", &format!("{kind} is not the kind of a value type")),
        })
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_valtype_new(ty: &wasm_valtype_t, out: &mut MaybeUninit<wasmtime_valtype_t>) {
    out.write(wasmtime_valtype_t::new(ty));
}

/// The reference type of a number was perhaps never filled in, so it isn't looked at.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_valtype_clone(ty: &wasmtime_valtype_t, out: &mut MaybeUninit<wasmtime_valtype_t>) {
    let copy = match ty.kind {
        REF => wasmtime_valtype_t { kind: REF, reftype: ty.reftype.clone() },
        kind => wasmtime_valtype_t { kind, ..wasmtime_valtype_t::new(&ValType::I32.into()) },
    };
    out.write(copy);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_valtype_delete(ty: &mut wasmtime_valtype_t) {
    if ty.kind == REF {
        wasmtime_reftype_delete(&mut ty.reftype);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_valtype_to_wasm(
    engine: &wasm_engine_t,
    ty: &wasmtime_valtype_t,
) -> Option<Box<wasm_valtype_t>> {
    ty.get(&engine.engine).map(Box::new).ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_wasm_valtype_v128() -> Box<wasm_valtype_t> {
    Box::new(ValType::V128.into())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_wasm_valtype_equal(a: &wasm_valtype_t, b: &wasm_valtype_t) -> bool {
    a == b
}

/// What is kept in a field, of `wasmtime_storage_type_t`.
pub type wasmtime_storage_type_kind_t = u8;

/// A value as it is; the kinds below are the packed ones.
const STORAGE_VALTYPE: wasmtime_storage_type_kind_t = 2;

/// What is kept in a field. It owns the value type, where it is one.
#[repr(C)]
pub struct wasmtime_storage_type_t {
    kind: wasmtime_storage_type_kind_t,
    valtype: Option<Box<wasm_valtype_t>>,
}

/// The value type of a packed kind was perhaps never filled in, so it isn't looked at.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_storage_type_clone(
    storage: &wasmtime_storage_type_t,
    out: &mut MaybeUninit<wasmtime_storage_type_t>,
) {
    let valtype = if storage.kind == STORAGE_VALTYPE { storage.valtype.clone() } else { None };
    out.write(wasmtime_storage_type_t { kind: storage.kind, valtype });
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_storage_type_delete(storage: &mut wasmtime_storage_type_t) {
    if storage.kind == STORAGE_VALTYPE {
        drop(storage.valtype.take());
    }
}
