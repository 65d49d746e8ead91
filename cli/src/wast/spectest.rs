//! The module `spectest`, which every script may import from (spec repository, `interpreter/README.md`).

use ampoule::{
    Extern, FuncType, Global, GlobalType, Linker, Memory, MemoryType, RefType, SharedMemory, Store, Table, TableType,
    Val, ValType,
};
use anyhow::Result;

const MODULE: &str = "spectest";

/// Defines it in a linker, for one store. What its functions are told to print goes nowhere.
pub(super) fn define(linker: &mut Linker, store: &mut Store) -> Result<()> {
    use ValType::{F32, F64, I32, I64};
    let functions: [(&str, &[ValType]); 7] = [
        ("print", &[]),
        ("print_i32", &[I32]),
        ("print_i64", &[I64]),
        ("print_f32", &[F32]),
        ("print_f64", &[F64]),
        ("print_i32_f32", &[I32, F32]),
        ("print_f64_f64", &[F64, F64]),
    ];
    for (name, params) in functions {
        linker.func(MODULE, name, &FuncType::new(params.iter().copied(), []), |_, _, _| Ok(()))?;
    }
    let globals = [
        ("global_i32", Val::I32(666)),
        ("global_i64", Val::I64(666)),
        ("global_f32", Val::F32(666.6f32.to_bits())),
        ("global_f64", Val::F64(666.6f64.to_bits())),
    ];
    for (name, value) in globals {
        let global = Global::new(store, GlobalType { content: value.ty(store)?, mutable: false }, &value)?;
        linker.define(store, MODULE, name, Extern::Global(global))?;
    }
    for (name, is_64) in [("table", false), ("table64", true)] {
        let ty = TableType { element: RefType::FUNC, min: 10, max: Some(20), is_64 };
        let table = Table::new(store, &ty, &Val::FuncRef(None))?;
        linker.define(store, MODULE, name, Extern::Table(table))?;
    }
    let ty = MemoryType { min: 1, max: Some(2), is_64: false, shared: false, page_size_log2: 16 };
    let memory = Memory::new(store, &ty)?;
    linker.define(store, MODULE, "memory", Extern::Memory(memory))?;
    let shared = SharedMemory::new(linker.engine(), &MemoryType { shared: true, ..ty })?;
    linker.define(store, MODULE, "shared_memory", Extern::SharedMemory(shared))?;
    Ok(())
}
