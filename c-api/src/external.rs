//! `wasmtime/extern.h`: the items that modules import and export. (`extern` is a word of Rust's.)

use crate::boundary::{expect, null_func};
use crate::sharedmemory::wasmtime_sharedmemory_t;
use crate::store::wasmtime_context_t;
use crate::wasm::parts::wasm_externtype_t;
use ampoule::{Error, Extern, Func, Global, Memory, Table, Tag};
use std::ffi::c_void;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;

/// A function of a store, or null. A [`Func`] where it isn't null.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wasmtime_func_t {
    store_id: u64,
    private: *mut c_void,
}

const _: () = assert!(size_of::<wasmtime_func_t>() == size_of::<Func>());

impl wasmtime_func_t {
    /// Null.
    pub const NULL: Self = Self { store_id: 0, private: ptr::null_mut() };

    /// The function, or `None` for null.
    #[inline]
    pub fn get(&self) -> Option<&Func> {
        if self.store_id == 0 || self.private.is_null() {
            return None;
        }
        // SAFETY: the layouts are the same, and the pointer isn't null. Whether the function belongs to a store is checked by
        // every use of it.
        Some(unsafe { &*ptr::from_ref(self).cast::<Func>() })
    }

    /// The function.
    ///
    /// # Errors
    /// Where it is null.
    #[inline]
    pub fn need(&self) -> Result<&Func, Error> {
        self.get().ok_or_else(null_func)
    }
}

impl From<Func> for wasmtime_func_t {
    #[inline]
    fn from(func: Func) -> Self {
        // SAFETY: the layouts are the same.
        unsafe { std::mem::transmute::<Func, wasmtime_func_t>(func) }
    }
}

/// `wasmtime_table_t`.
pub type wasmtime_table_t = Table;
/// `wasmtime_memory_t`.
pub type wasmtime_memory_t = Memory;
/// `wasmtime_global_t`.
pub type wasmtime_global_t = Global;
/// `wasmtime_tag_t`.
pub type wasmtime_tag_t = Tag;

/// What an extern is.
pub type wasmtime_extern_kind_t = u8;

/// A function.
pub const WASMTIME_EXTERN_FUNC: wasmtime_extern_kind_t = 0;
/// A global.
pub const WASMTIME_EXTERN_GLOBAL: wasmtime_extern_kind_t = 1;
/// A table.
pub const WASMTIME_EXTERN_TABLE: wasmtime_extern_kind_t = 2;
/// A memory that isn't shared.
pub const WASMTIME_EXTERN_MEMORY: wasmtime_extern_kind_t = 3;
/// A shared memory.
pub const WASMTIME_EXTERN_SHAREDMEMORY: wasmtime_extern_kind_t = 4;
/// A tag.
pub const WASMTIME_EXTERN_TAG: wasmtime_extern_kind_t = 5;

/// The item in an extern.
#[repr(C)]
pub union wasmtime_extern_union_t {
    func: wasmtime_func_t,
    global: wasmtime_global_t,
    table: wasmtime_table_t,
    memory: wasmtime_memory_t,
    tag: wasmtime_tag_t,
    sharedmemory: ManuallyDrop<Option<Box<wasmtime_sharedmemory_t>>>,
}

/// An item with its kind. C frees it with `wasmtime_extern_delete`; Rust code here never drops what is inside.
#[repr(C)]
pub struct wasmtime_extern_t {
    kind: wasmtime_extern_kind_t,
    of: wasmtime_extern_union_t,
}

const _: () = assert!(size_of::<wasmtime_extern_t>() == 32);

impl wasmtime_extern_t {
    /// The item, borrowed from C.
    ///
    /// # Errors
    /// Where the kind is unknown or the item null.
    pub fn get(&self) -> Result<Extern, Error> {
        // SAFETY: C says by the kind which member it has filled in. Any bytes are handles; a pointer to a shared memory is
        // null or one that the library gave.
        unsafe {
            Ok(match self.kind {
                WASMTIME_EXTERN_FUNC => Extern::Func(*self.of.func.need()?),
                WASMTIME_EXTERN_GLOBAL => Extern::Global(self.of.global),
                WASMTIME_EXTERN_TABLE => Extern::Table(self.of.table),
                WASMTIME_EXTERN_MEMORY => Extern::Memory(self.of.memory),
                WASMTIME_EXTERN_SHAREDMEMORY => match &*self.of.sharedmemory {
                    Some(memory) => Extern::SharedMemory(memory.memory.clone()),
                    None => return Err(Error::message("a null shared memory was given")),
                },
                WASMTIME_EXTERN_TAG => Extern::Tag(self.of.tag),
                kind => return Err(Error::message(format!("{kind} is not the kind of an extern here"))),
            })
        }
    }

    /// Gives an item to C; false, touching nothing, where there is none.
    #[inline]
    pub fn give(item: Option<Extern>, out: &mut MaybeUninit<Self>) -> bool {
        item.map(|item| out.write(item.into())).is_some()
    }
}

impl From<Extern> for wasmtime_extern_t {
    #[inline]
    fn from(item: Extern) -> Self {
        match item {
            Extern::Func(func) => {
                Self { kind: WASMTIME_EXTERN_FUNC, of: wasmtime_extern_union_t { func: func.into() } }
            }
            Extern::Global(global) => Self { kind: WASMTIME_EXTERN_GLOBAL, of: wasmtime_extern_union_t { global } },
            Extern::Table(table) => Self { kind: WASMTIME_EXTERN_TABLE, of: wasmtime_extern_union_t { table } },
            Extern::Memory(memory) => Self { kind: WASMTIME_EXTERN_MEMORY, of: wasmtime_extern_union_t { memory } },
            Extern::Tag(tag) => Self { kind: WASMTIME_EXTERN_TAG, of: wasmtime_extern_union_t { tag } },
            Extern::SharedMemory(memory) => {
                let memory = ManuallyDrop::new(Some(Box::new(wasmtime_sharedmemory_t { memory })));
                Self { kind: WASMTIME_EXTERN_SHAREDMEMORY, of: wasmtime_extern_union_t { sharedmemory: memory } }
            }
        }
    }
}

/// Only a shared memory owns something.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_extern_delete(val: &mut wasmtime_extern_t) {
    if val.kind == WASMTIME_EXTERN_SHAREDMEMORY {
        // SAFETY: the kind says which member counts; it is null from now on.
        unsafe { drop((*val.of.sharedmemory).take()) };
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_extern_type(
    context: &wasmtime_context_t,
    val: &wasmtime_extern_t,
) -> Box<wasm_externtype_t> {
    let item = expect("wasmtime_extern_type", val.get());
    Box::new(wasm_externtype_t::of_item("wasmtime_extern_type", context, &item))
}

/// The handle's type, in functions that have no error channel.
pub(crate) fn need_func<'a>(function: &str, func: &'a wasmtime_func_t) -> &'a Func {
    expect(function, func.need())
}
