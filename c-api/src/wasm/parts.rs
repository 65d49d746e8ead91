//! Types of items, with their parts as C sees them: what `wasm_externtype_t` and the types of functions, globals, tables, memories
//! and tags have in common. Each of these has a file of its own, with its functions.

use super::named::Named;
use super::valtype::{wasm_limits_t, wasm_valtype_t, wasm_valtype_vec_t};
use crate::boundary::expect;
use ampoule::sync::OnceLock;
use ampoule::{
    CompositeType, Engine, Error, Extern, ExternType, FuncType, GlobalType, MemoryType, Store, TableType, Type, ValType,
};

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

impl wasm_externtype_t {
    /// The type of an item of the engine's; `declared` is what a function or a tag is declared as, where that is known.
    pub(crate) fn of(engine: &Engine, ty: ExternType, declared: Option<Type>) -> Self {
        match (ty, declared) {
            (ExternType::Func(_), Some(declared)) => Self { described: Described::Func(FuncParts::declared(declared)) },
            (ExternType::Tag(_), Some(declared)) => {
                Self { described: Described::Tag(TagParts::new(FuncParts::declared(declared))) }
            }
            (ty, _) => {
                let named = match &ty {
                    ExternType::Func(ty) => Named::by(engine, ty.values().iter().copied()),
                    ExternType::Tag(ty) => Named::by(engine, ty.func.values().iter().copied()),
                    ExternType::Global(ty) => Named::by(engine, [ty.content]),
                    ExternType::Table(ty) => Named::by(engine, [ValType::Ref(ty.element)]),
                    ExternType::Memory(_) => Named::default(),
                };
                Self::new(ty, named)
            }
        }
    }

    /// The type of an item of a store; `function` is where an item of another store would be a mistake.
    pub(crate) fn of_item(function: &str, store: &Store, item: &Extern) -> Self {
        let ty = item.ty(store).and_then(|ty| Ok((ty, item.declared_type(store)?)));
        let (ty, declared) = expect(function, ty);
        Self::of(store.engine(), ty, declared)
    }

    /// A type that names none.
    pub(crate) fn plain(ty: ExternType) -> Self {
        Self::new(ty, Named::default())
    }

    /// A type that names these.
    pub(super) fn new(ty: ExternType, named: Named) -> Self {
        let described = match ty {
            ExternType::Func(ty) => Described::Func(FuncParts::new(ty, named)),
            ExternType::Global(ty) => Described::Global(GlobalParts::new(ty, named)),
            ExternType::Table(ty) => Described::Table(TableParts::new(ty, named)),
            ExternType::Memory(ty) => Described::Memory(MemoryParts::new(ty)),
            ExternType::Tag(ty) => Described::Tag(TagParts::new(FuncParts::new(ty.func, named))),
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
    pub(super) named: Named,
    /// What it is declared as, where it was not made from its parts.
    pub(super) declared: Option<Type>,
    pub(super) params: OnceLock<wasm_valtype_vec_t>,
    pub(super) results: OnceLock<wasm_valtype_vec_t>,
}

impl Clone for FuncParts {
    fn clone(&self) -> Self {
        let declared = self.declared.clone();
        FuncParts { declared, ..FuncParts::new(self.ty.clone(), self.named.clone()) }
    }
}

impl FuncParts {
    fn new(ty: FuncType, named: Named) -> Self {
        Self { ty, named, declared: None, params: OnceLock::new(), results: OnceLock::new() }
    }

    pub(super) fn declared(ty: Type) -> Self {
        FuncParts { declared: Some(ty.clone()), ..FuncParts::new(ty.func().clone(), ty.into()) }
    }

    /// The type as it is declared in the engine.
    ///
    /// # Errors
    /// Where it is of another engine.
    pub(super) fn declared_in(&self, engine: &Engine) -> Result<Type, Error> {
        self.named.check(engine)?;
        self.declared.clone().map_or_else(|| engine.declare(CompositeType::Func(self.ty.clone())), Ok)
    }
}

/// A global type with its content type as C sees it.
#[derive(Clone)]
pub(super) struct GlobalParts {
    pub(super) ty: GlobalType,
    pub(super) content: wasm_valtype_t,
}

impl GlobalParts {
    fn new(ty: GlobalType, named: Named) -> Self {
        Self { ty, content: wasm_valtype_t::new(ty.content, &named) }
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
    fn new(ty: TableType, named: Named) -> Self {
        Self {
            ty,
            element: wasm_valtype_t::new(ValType::Ref(ty.element), &named),
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
    /// Its parameters are the fields.
    pub(super) func: Box<wasm_functype_t>,
}

impl TagParts {
    fn new(func: FuncParts) -> Self {
        Self::of(&wasm_functype_t(wasm_externtype_t { described: Described::Func(func) }))
    }

    pub(super) fn of(func: &wasm_functype_t) -> Self {
        Self { func: Box::new(func.clone()) }
    }
}
