//! Running a module on another library with the C interface of 44.0.0, loaded while the tests run.

use crate::outcome::{Call, End, MAX_MEMORY_BYTES, MAX_TABLE_ELEMENTS, Outcome, end_with, show, show_any, show_memory};
use ampoule::{AnyRef, Val};
use ampoule_core::vm::{VmRef, VmVal, VmValUnion};
use std::ffi::{CString, OsStr, c_void};
use std::os::unix::ffi::OsStrExt;
use std::{ptr, slice};

type Ptr = *mut c_void;

/// `wasmtime_extern_t`.
#[repr(C)]
struct CExtern {
    kind: u8,
    of: [u64; 3],
}

/// `wasm_name_t`.
#[repr(C)]
struct Name {
    len: usize,
    data: *mut u8,
}

/// `wasmtime_instance_t`.
type CInstance = [u64; 2];

/// `WASMTIME_OPT_LEVEL_NONE`.
const OPT_LEVEL_NONE: u8 = 0;

const FUNC: u8 = 0;
const GLOBAL: u8 = 1;
const TABLE: u8 = 2;
const MEMORY: u8 = 3;

macro_rules! functions {
    ($($name:ident($($arg:ty),*) $(-> $ret:ty)?;)*) => {
        /// The functions of the library that are called here, as its headers declare them.
        #[allow(clippy::type_complexity, reason = "the types are C's")]
        struct Functions {
            $($name: unsafe extern "C" fn($($arg),*) $(-> $ret)?,)*
        }

        impl Functions {
            /// # Safety
            /// The library at `handle` has these functions with these types.
            unsafe fn find(handle: Ptr) -> Self {
                let find = |name: &str| {
                    let text = CString::new(name).expect("names have no NUL");
                    // SAFETY: the handle is open, by the caller.
                    let address = unsafe { libc::dlsym(handle, text.as_ptr()) };
                    assert!(!address.is_null(), "the library has no {name}");
                    address
                };
                // SAFETY: pointers to functions of these types, by the caller.
                unsafe { Self { $($name: std::mem::transmute::<Ptr, unsafe extern "C" fn($($arg),*) $(-> $ret)?>(
                    find(stringify!($name)),
                ),)* } }
            }
        }
    };
}

functions! {
    wasm_config_new() -> Ptr;
    wasmtime_config_consume_fuel_set(Ptr, bool);
    wasmtime_config_cranelift_opt_level_set(Ptr, u8);
    wasmtime_config_parallel_compilation_set(Ptr, bool);
    wasmtime_config_wasm_wide_arithmetic_set(Ptr, bool);
    wasmtime_config_wasm_custom_page_sizes_set(Ptr, bool);
    wasmtime_config_wasm_threads_set(Ptr, bool);
    wasmtime_config_wasm_exceptions_set(Ptr, bool);
    wasmtime_config_wasm_function_references_set(Ptr, bool);
    wasmtime_config_wasm_gc_set(Ptr, bool);
    wasmtime_config_wasm_tail_call_set(Ptr, bool);
    wasmtime_config_wasm_memory64_set(Ptr, bool);
    wasmtime_config_wasm_multi_memory_set(Ptr, bool);
    wasm_engine_new_with_config(Ptr) -> Ptr;
    wasmtime_module_new(Ptr, *const u8, usize, *mut Ptr) -> Ptr;
    wasmtime_module_delete(Ptr);
    wasmtime_store_new(Ptr, Ptr, Ptr) -> Ptr;
    wasmtime_store_context(Ptr) -> Ptr;
    wasmtime_context_set_fuel(Ptr, u64) -> Ptr;
    wasmtime_context_get_fuel(Ptr, *mut u64) -> Ptr;
    wasmtime_store_limiter(Ptr, i64, i64, i64, i64, i64);
    wasmtime_store_delete(Ptr);
    wasmtime_linker_new(Ptr) -> Ptr;
    wasmtime_linker_define_unknown_imports_as_default_values(Ptr, Ptr, Ptr) -> Ptr;
    wasmtime_linker_instantiate(Ptr, Ptr, Ptr, *mut CInstance, *mut Ptr) -> Ptr;
    wasmtime_linker_delete(Ptr);
    wasmtime_instance_export_nth(Ptr, *const CInstance, usize, *mut *mut u8, *mut usize, *mut CExtern) -> bool;
    wasmtime_func_call(Ptr, *const [u64; 3], *const VmVal, usize, *mut VmVal, usize, *mut Ptr) -> Ptr;
    wasmtime_global_get(Ptr, *const [u64; 3], *mut VmVal);
    wasmtime_table_size(Ptr, *const [u64; 3]) -> u64;
    wasmtime_memory_data(Ptr, *const [u64; 3]) -> *mut u8;
    wasmtime_memory_data_size(Ptr, *const [u64; 3]) -> usize;
    wasmtime_trap_code(Ptr, *mut u8) -> bool;
    wasm_trap_delete(Ptr);
    wasmtime_error_message(Ptr, *mut Name);
    wasmtime_error_delete(Ptr);
    wasm_byte_vec_delete(*mut Name);
    wasmtime_anyref_from_i31(Ptr, u32, *mut VmRef);
    wasmtime_anyref_i31_get_s(Ptr, *const VmRef, *mut i32) -> bool;
    wasmtime_val_unroot(*mut VmVal);
}

/// The library, with an engine of it.
pub struct Peer {
    functions: Functions,
    engine: Ptr,
    counts_fuel: bool,
}

/// A module of it.
pub struct PeerModule<'a> {
    peer: &'a Peer,
    module: Ptr,
}

impl Peer {
    /// Loads the library at `path`. It stays loaded.
    pub fn load(path: &OsStr) -> Peer {
        Self::load_with(path, false)
    }

    /// The same, with an engine that counts fuel.
    pub fn load_counting(path: &OsStr) -> Peer {
        Self::load_with(path, true)
    }

    fn load_with(path: &OsStr, counts_fuel: bool) -> Peer {
        let text = CString::new(path.as_bytes()).expect("paths have no NUL");
        // SAFETY: whoever names a library wants its initializers to run.
        let handle = unsafe { libc::dlopen(text.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null(), "{} can't be loaded", path.display());
        // SAFETY: a library with that interface has these functions; the configuration is given away to the engine.
        unsafe {
            let functions = Functions::find(handle);
            let config = (functions.wasm_config_new)();
            (functions.wasmtime_config_consume_fuel_set)(config, counts_fuel);
            // Compiled as plainly as can be: that takes least time, and has least in common with what it is compared with.
            (functions.wasmtime_config_cranelift_opt_level_set)(config, OPT_LEVEL_NONE);
            (functions.wasmtime_config_parallel_compilation_set)(config, false);
            (functions.wasmtime_config_wasm_wide_arithmetic_set)(config, true);
            (functions.wasmtime_config_wasm_custom_page_sizes_set)(config, true);
            (functions.wasmtime_config_wasm_threads_set)(config, true);
            (functions.wasmtime_config_wasm_exceptions_set)(config, true);
            (functions.wasmtime_config_wasm_function_references_set)(config, true);
            (functions.wasmtime_config_wasm_gc_set)(config, true);
            (functions.wasmtime_config_wasm_tail_call_set)(config, true);
            (functions.wasmtime_config_wasm_memory64_set)(config, true);
            (functions.wasmtime_config_wasm_multi_memory_set)(config, true);
            let engine = (functions.wasm_engine_new_with_config)(config);
            assert!(!engine.is_null(), "it has such engines");
            Peer { functions, engine, counts_fuel }
        }
    }

    /// The module, or `None` where it is refused.
    pub fn module(&self, binary: &[u8]) -> Option<PeerModule<'_>> {
        let mut module = ptr::null_mut();
        // SAFETY: the bytes are lent, the module is written on success.
        let error =
            unsafe { (self.functions.wasmtime_module_new)(self.engine, binary.as_ptr(), binary.len(), &mut module) };
        if !error.is_null() {
            // SAFETY: the error is ours.
            unsafe { (self.functions.wasmtime_error_delete)(error) };
            return None;
        }
        Some(PeerModule { peer: self, module })
    }

    /// How something ended that answers with an error or a trap, both of which it owns; `None` where it went well.
    fn end(&self, error: Ptr, trap: Ptr) -> Option<End> {
        // SAFETY: either is null or ours.
        unsafe {
            if !error.is_null() {
                let mut message = Name { len: 0, data: ptr::null_mut() };
                (self.functions.wasmtime_error_message)(error, &mut message);
                let text = slice::from_raw_parts(message.data, message.len);
                let end = end_with(&String::from_utf8_lossy(text));
                (self.functions.wasm_byte_vec_delete)(&mut message);
                (self.functions.wasmtime_error_delete)(error);
                return Some(end);
            }
            if trap.is_null() {
                return None;
            }
            let mut code = 0;
            let known = (self.functions.wasmtime_trap_code)(trap, &mut code);
            (self.functions.wasm_trap_delete)(trap);
            Some(if known { End::Trap(code) } else { end_with("a trap without a code") })
        }
    }
}

impl PeerModule<'_> {
    /// Makes one call in an instance of its own.
    pub fn run(&self, call: &Call) -> Outcome {
        let functions = &self.peer.functions;
        // SAFETY: the engine lives; store and linker are deleted after their last use.
        unsafe {
            let store = (functions.wasmtime_store_new)(self.peer.engine, ptr::null_mut(), ptr::null_mut());
            let linker = (functions.wasmtime_linker_new)(self.peer.engine);
            let (memory, table) = (MAX_MEMORY_BYTES as i64, MAX_TABLE_ELEMENTS as i64);
            (functions.wasmtime_store_limiter)(store, memory, table, -1, -1, -1);
            let outcome = self.run_in((functions.wasmtime_store_context)(store), linker, call);
            (functions.wasmtime_linker_delete)(linker);
            (functions.wasmtime_store_delete)(store);
            outcome
        }
    }

    /// # Safety
    /// `context` and `linker` are alive.
    unsafe fn run_in(&self, context: Ptr, linker: Ptr, call: &Call) -> Outcome {
        let functions = &self.peer.functions;
        let refused = |end| Outcome { end, ..Outcome::default() };
        let (mut instance, mut trap) = (CInstance::default(), ptr::null_mut());
        // SAFETY: by the caller; results are written to places of their types.
        unsafe {
            if self.peer.counts_fuel {
                let error = (functions.wasmtime_context_set_fuel)(context, crate::PLENTY);
                assert!(error.is_null(), "the engine counts");
            }
            let error =
                (functions.wasmtime_linker_define_unknown_imports_as_default_values)(linker, context, self.module);
            if let Some(end) = self.peer.end(error, ptr::null_mut()) {
                return refused(end);
            }
            let error = (functions.wasmtime_linker_instantiate)(linker, context, self.module, &mut instance, &mut trap);
            if let Some(end) = self.peer.end(error, trap) {
                return refused(end);
            }
            let func = self.export(context, &instance, call.export).expect("the module exports it");
            assert_eq!(func.kind, FUNC, "as its type says");
            let mut args: Vec<VmVal> = call.args.iter().map(|arg| self.to_c(context, arg)).collect();
            let defaults = call.ty.results().iter().map(|&ty| Val::default_for(ty));
            let mut results: Vec<VmVal> = defaults.map(|val| self.to_c(context, &val)).collect();
            let (nargs, nresults) = (args.len(), results.len());
            let values = results.as_mut_ptr();
            let error =
                (functions.wasmtime_func_call)(context, &func.of, args.as_ptr(), nargs, values, nresults, &mut trap);
            let end = self.peer.end(error, trap);
            let end = end.unwrap_or_else(|| End::Results(results.iter().map(|val| self.show(context, val)).collect()));
            args.iter_mut().chain(&mut results).for_each(|val| (functions.wasmtime_val_unroot)(val));
            let items = (0..).map_while(|at| self.export(context, &instance, at));
            let state = items.map(|item| self.show_item(context, &item)).collect();
            let mut left = 0;
            let fuel = self.peer.counts_fuel.then(|| (functions.wasmtime_context_get_fuel)(context, &mut left));
            let fuel = fuel.filter(|error| error.is_null()).map(|_| crate::PLENTY - left);
            Outcome { end, state, fuel, ..Outcome::default() }
        }
    }

    /// # Safety
    /// `context` is alive, and `instance` of its store.
    unsafe fn export(&self, context: Ptr, instance: &CInstance, at: usize) -> Option<CExtern> {
        let (mut name, mut len) = (ptr::null_mut(), 0);
        let mut item = CExtern { kind: 0, of: [0; 3] };
        // SAFETY: by the caller; results are written to places of their types.
        let found = unsafe {
            let nth = self.peer.functions.wasmtime_instance_export_nth;
            nth(context, instance, at, &mut name, &mut len, &mut item)
        };
        found.then_some(item)
    }

    /// # Safety
    /// `context` is alive, and `item` of its store.
    unsafe fn show_item(&self, context: Ptr, item: &CExtern) -> String {
        let functions = &self.peer.functions;
        // SAFETY: by the caller; the memory doesn't change while its bytes are read.
        unsafe {
            match item.kind {
                MEMORY => {
                    let len = (functions.wasmtime_memory_data_size)(context, &item.of);
                    let data = (functions.wasmtime_memory_data)(context, &item.of);
                    show_memory(if len == 0 { &[] } else { slice::from_raw_parts(data, len) })
                }
                TABLE => format!("table {}", (functions.wasmtime_table_size)(context, &item.of)),
                GLOBAL => {
                    let mut val = self.to_c(context, &Val::I32(0));
                    (functions.wasmtime_global_get)(context, &item.of, &mut val);
                    let shown = self.show(context, &val);
                    (functions.wasmtime_val_unroot)(&mut val);
                    shown
                }
                _ => String::new(),
            }
        }
    }

    /// A number, an integer of 31 bits, or a null reference: there are no others, since no host function makes one.
    ///
    /// # Safety
    /// `context` is alive.
    unsafe fn to_c(&self, context: Ptr, val: &Val) -> VmVal {
        let mut of = VmValUnion { words: [0; 3] };
        let kind = match *val {
            Val::I32(value) => {
                of.i32 = value;
                VmVal::KIND_I32
            }
            Val::I64(value) => {
                of.i64 = value;
                VmVal::KIND_I64
            }
            Val::F32(bits) => {
                of.f32 = bits;
                VmVal::KIND_F32
            }
            Val::F64(bits) => {
                of.f64 = bits;
                VmVal::KIND_F64
            }
            Val::V128(value) => {
                of.v128 = value.to_le_bytes();
                VmVal::KIND_V128
            }
            Val::FuncRef(_) => VmVal::KIND_FUNCREF,
            Val::ExternRef(_) => VmVal::KIND_EXTERNREF,
            Val::ExnRef(_) => VmVal::KIND_EXNREF,
            Val::AnyRef(ref value) => {
                of.reference = VmRef::NULL;
                if let Some(integer) = value.as_ref().and_then(AnyRef::as_i31) {
                    // SAFETY: by the caller; the place is written.
                    unsafe {
                        (self.peer.functions.wasmtime_anyref_from_i31)(context, integer.get_u(), &mut of.reference);
                    }
                }
                VmVal::KIND_ANYREF
            }
        };
        VmVal { kind, of }
    }

    /// # Safety
    /// `context` is alive, and the value of its store.
    unsafe fn show(&self, context: Ptr, val: &VmVal) -> String {
        // SAFETY: by the caller; the kind says which field was written; a reference is null where its first word is zero.
        unsafe {
            match val.kind {
                VmVal::KIND_I32 => show(&Val::I32(val.of.i32)),
                VmVal::KIND_I64 => show(&Val::I64(val.of.i64)),
                VmVal::KIND_F32 => show(&Val::F32(val.of.f32)),
                VmVal::KIND_F64 => show(&Val::F64(val.of.f64)),
                VmVal::KIND_V128 => show(&Val::V128(u128::from_le_bytes(val.of.v128))),
                VmVal::KIND_FUNCREF => format!("funcref {}", val.of.words[0] != 0),
                VmVal::KIND_EXTERNREF => format!("externref {}", val.of.words[0] != 0),
                VmVal::KIND_EXNREF => format!("exnref {}", val.of.words[0] != 0),
                VmVal::KIND_ANYREF if val.of.words[0] == 0 => "anyref null".to_string(),
                VmVal::KIND_ANYREF => {
                    let mut integer = 0;
                    let get = self.peer.functions.wasmtime_anyref_i31_get_s;
                    show_any(get(context, &val.of.reference, &mut integer).then_some(integer))
                }
                kind => format!("kind {kind}"),
            }
        }
    }
}

impl Drop for PeerModule<'_> {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nothing uses it any more.
        unsafe { (self.peer.functions.wasmtime_module_delete)(self.module) }
    }
}
