//! Types of items, with their parts as C sees them: what `wasm_externtype_t` and the types of functions, globals, tables, memories
//! and tags have in common. Each of these has a file of its own, with its functions.

use super::valtype::{wasm_limits_t, wasm_valtype_t, wasm_valtype_vec_t};
use ampoule::sync::OnceLock;
use ampoule::{ExternType, FuncType, GlobalType, MemoryType, TableType, TagType, ValType};

/// The type of an item. The types of functions, globals, tables, memories and tags are transparent wrappers of this, so that the
/// conversions below are casts.
#[derive(Clone)]
pub struct wasm_externtype_t {
    pub(super) described: Described,
}

/// A type with its parts as C sees them.
#[derive(Clone)]
pub(super) enum Described {
    Func(FuncParts),
    Global(GlobalParts),
    Table(TableParts),
    Memory(MemoryParts),
    Tag(TagParts),
}

impl From<ExternType> for wasm_externtype_t {
    fn from(ty: ExternType) -> Self {
        let described = match ty {
            ExternType::Func(ty) => Described::Func(FuncParts::new(ty)),
            ExternType::Global(ty) => Described::Global(GlobalParts::new(ty)),
            ExternType::Table(ty) => Described::Table(TableParts::new(ty)),
            ExternType::Memory(ty) => Described::Memory(MemoryParts::new(ty)),
            ExternType::Tag(ty) => Described::Tag(TagParts::new(ty)),
        };
        Self { described }
    }
}

/// The type of a function: a view of an extern type that is one. It is here because tags' types have it as a part.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_functype_t(pub(crate) wasm_externtype_t);

/// A function type with its parts as C sees them, made when they are asked for.
pub(super) struct FuncParts {
    pub(super) ty: FuncType,
    pub(super) params: OnceLock<wasm_valtype_vec_t>,
    pub(super) results: OnceLock<wasm_valtype_vec_t>,
}

impl Clone for FuncParts {
    fn clone(&self) -> Self {
        FuncParts::new(self.ty.clone())
    }
}

impl FuncParts {
    fn new(ty: FuncType) -> Self {
        Self { ty, params: OnceLock::new(), results: OnceLock::new() }
    }
}

/// A global type with its content type as C sees it.
#[derive(Clone)]
pub(super) struct GlobalParts {
    pub(super) ty: GlobalType,
    pub(super) content: wasm_valtype_t,
}

impl GlobalParts {
    fn new(ty: GlobalType) -> Self {
        Self { ty, content: wasm_valtype_t { ty: ty.content } }
    }
}

/// A table type with its parts as C sees them.
#[derive(Clone)]
pub(super) struct TableParts {
    pub(super) ty: TableType,
    pub(super) element: wasm_valtype_t,
    pub(super) limits: wasm_limits_t,
}

impl TableParts {
    fn new(ty: TableType) -> Self {
        Self {
            ty,
            element: wasm_valtype_t { ty: ValType::Ref(ty.element) },
            limits: wasm_limits_t::new(ty.min, ty.max),
        }
    }
}

/// A memory type with its limits as C sees them.
#[derive(Clone)]
pub(super) struct MemoryParts {
    pub(super) ty: MemoryType,
    pub(super) limits: wasm_limits_t,
}

impl MemoryParts {
    fn new(ty: MemoryType) -> Self {
        Self { ty, limits: wasm_limits_t::new(ty.min, ty.max) }
    }
}

/// A tag type with its parts as C sees them.
#[derive(Clone)]
pub(super) struct TagParts {
    pub(super) ty: TagType,
    pub(super) func: Box<wasm_functype_t>,
}

impl TagParts {
    fn new(ty: TagType) -> Self {
        Self { func: Box::new(wasm_functype_t(ExternType::Func(ty.func.clone()).into())), ty }
    }
}
