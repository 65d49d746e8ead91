//! The description of a module: everything the bytes say, decoded and validated, with function bodies and data left
//! where they are.

use crate::const_expr::ConstExpr;
use crate::index::*;
use crate::late::Late;
use crate::types::*;
use crate::words::Words;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A decoded, validated module. Index spaces list imports first. Ranges are byte offsets into the module's bytes.
///
/// What is skipped in serialization, an artifact keeps in a way of its own, in which it is read only where it is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ModuleDescription {
    /// The name section's module name.
    pub name: Option<String>,
    /// The type section.
    pub types: Vec<SubType>,
    /// The recursion groups of more than one type; every other type is a group of its own. Ascending.
    pub rec_groups: Vec<Range<u32>>,
    /// Whether it declares types of objects, or has tags and its functions may throw, so that its store reserves a heap before any of its code
    /// runs.
    pub uses_heap: bool,
    /// Imports, in order.
    pub imports: Vec<Import>,
    /// Exports, in order.
    pub exports: Vec<Export>,
    /// The type of each function.
    #[serde(skip)]
    pub functions: Words<TypeIndex>,
    /// How many of the functions are imported.
    pub num_imported_functions: usize,
    /// The body of each defined function: its locals and operators, without the size before them.
    #[serde(skip)]
    pub bodies: Late<Range<u64>>,
    /// The type of each table.
    pub tables: Vec<TableType>,
    /// How many of the tables are imported.
    pub num_imported_tables: usize,
    /// The initial element of each defined table.
    pub table_inits: Vec<TableInit>,
    /// The type of each memory.
    pub memories: Vec<MemoryType>,
    /// How many of the memories are imported.
    pub num_imported_memories: usize,
    /// The type of each global.
    pub globals: Vec<GlobalType>,
    /// How many of the globals are imported.
    pub num_imported_globals: usize,
    /// The initial value of each defined global.
    pub global_inits: Vec<ConstExpr>,
    /// The type of each tag: the function type whose parameters are the fields of its exceptions.
    pub tags: Vec<TypeIndex>,
    /// How many of the tags are imported.
    pub num_imported_tags: usize,
    /// The start function.
    pub start: Option<FuncIndex>,
    /// Element segments.
    #[serde(skip)]
    pub elems: Late<ElemSegment>,
    /// Data segments.
    #[serde(skip)]
    pub datas: Late<DataSegment>,
    /// The functions that a reference may be made to, in the order of their [`FuncRefIndex`].
    #[serde(skip)]
    pub func_refs: Late<FuncIndex>,
    /// For each function its position in `func_refs`.
    #[serde(skip)]
    pub func_ref_positions: Words<Option<FuncRefIndex>>,
    /// The content of the name section, to be read when a name is asked for.
    pub name_section: Option<Range<u64>>,
    /// DWARF sections (`.debug_…`): name and content.
    pub debug_sections: Vec<(String, Range<u64>)>,
    /// The code section's content; DWARF addresses count from its start.
    pub code_section: Range<u64>,
    /// Branches that the module says are likely (true) or unlikely, by the offset of their operator in the module, ascending. Only
    /// where the engine accepts branch hints.
    pub branch_hints: Vec<(u64, bool)>,
    /// Bytes of the whole module.
    pub byte_len: u64,
}

/// One import.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Import {
    /// First name.
    pub module: String,
    /// Second name.
    pub name: String,
    /// What is imported; the index is its place in its index space.
    pub item: Item,
}

/// One export.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Export {
    /// The name.
    pub name: String,
    /// What is exported.
    pub item: Item,
}

/// Something with a place in one of the index spaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Item {
    /// A function.
    Func(FuncIndex),
    /// A table.
    Table(TableIndex),
    /// A memory.
    Memory(MemoryIndex),
    /// A global.
    Global(GlobalIndex),
    /// A tag.
    Tag(TagIndex),
}

/// The initial element of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum TableInit {
    /// Null.
    Null,
    /// The value of an expression.
    Expr(ConstExpr),
}

/// An element segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ElemSegment {
    /// What happens to it at instantiation.
    pub mode: ElemMode,
    /// The type of its elements.
    pub element: RefType,
    /// The elements.
    pub items: ElemItems,
}

/// No elements, which only declares them.
impl Default for ElemSegment {
    fn default() -> Self {
        ElemSegment { mode: ElemMode::Declared, element: RefType::FUNC, items: ElemItems::Funcs(Box::default()) }
    }
}

/// What instantiation does with an element segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ElemMode {
    /// Copied into a table, then dropped.
    Active(TableIndex, ConstExpr),
    /// Left for `table.init`.
    Passive,
    /// Dropped; it only declared references.
    Declared,
}

/// The elements of a segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ElemItems {
    /// References to these functions.
    Funcs(Box<[FuncIndex]>),
    /// The values of these expressions.
    Exprs(Box<[ConstExpr]>),
}

impl ElemItems {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            ElemItems::Funcs(items) => items.len(),
            ElemItems::Exprs(items) => items.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A data segment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DataSegment {
    /// The memory and offset it is copied to at instantiation, or `None` for a passive one.
    pub active: Option<(MemoryIndex, ConstExpr)>,
    /// Its bytes.
    pub bytes: Range<u64>,
}

impl ModuleDescription {
    /// The type of a function.
    pub fn func_type(&self, index: FuncIndex) -> &FuncType {
        self.declared_func(self.functions.at(index.index()))
    }

    /// The function type with this place in the type section, as validation has seen.
    ///
    /// # Panics
    /// Where it is another type.
    pub fn declared_func(&self, index: TypeIndex) -> &FuncType {
        self.types[index.index()].as_func().expect("validation saw to the type's kind")
    }

    /// The type of a tag.
    pub fn tag_type(&self, index: TagIndex) -> &FuncType {
        self.declared_func(self.tags[index.index()])
    }

    /// The function's position among the module's own, or `None` for an import.
    pub fn defined_func(&self, index: FuncIndex) -> Option<DefinedFuncIndex> {
        index.index().checked_sub(self.num_imported_functions).map(|own| DefinedFuncIndex(own as u32))
    }

    /// The place of one of the module's own functions in the function index space.
    pub fn func_index(&self, index: DefinedFuncIndex) -> FuncIndex {
        FuncIndex(index.0 + self.num_imported_functions as u32)
    }

    /// The function whose body has the operator at this offset of the module's bytes.
    pub fn func_at(&self, position: u32) -> Option<FuncIndex> {
        let after = self.bodies.partition_point(|body| body.start <= u64::from(position));
        let own = after.checked_sub(1)?;
        (u64::from(position) < self.bodies[own].end).then(|| self.func_index(DefinedFuncIndex(own as u32)))
    }

    /// The function's place among those that can be referred to; `None` also where there is no such function.
    pub fn func_ref(&self, index: FuncIndex) -> Option<FuncRefIndex> {
        self.func_ref_positions.get(index.index()).flatten()
    }

    /// The type of an item.
    pub fn item_type(&self, item: Item) -> ExternType {
        match item {
            Item::Func(index) => ExternType::Func(self.func_type(index).clone()),
            Item::Table(index) => ExternType::Table(self.tables[index.index()]),
            Item::Memory(index) => ExternType::Memory(self.memories[index.index()]),
            Item::Global(index) => ExternType::Global(self.globals[index.index()]),
            Item::Tag(index) => ExternType::Tag(TagType { func: self.tag_type(index).clone() }),
        }
    }

    /// The recursion groups, in order: of one type each but for [`ModuleDescription::rec_groups`].
    pub fn type_groups(&self) -> impl Iterator<Item = Range<u32>> {
        let mut explicit = self.rec_groups.iter().cloned().peekable();
        let mut next = 0;
        std::iter::from_fn(move || {
            if next as usize >= self.types.len() {
                return None;
            }
            let group = explicit.next_if(|group| group.start == next).unwrap_or(next..next + 1);
            next = group.end;
            Some(group)
        })
    }
}

impl Subtyping for ModuleDescription {
    /// Of two types whose numbers differ but which are equal, this knows nothing: the engine does.
    fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        let mut ty = Some(sub);
        while let Some(id) = ty {
            if id == sup {
                return true;
            }
            // Declared before its sub-types, as validation saw to.
            ty = self.types[id.0 as usize].supertype;
        }
        false
    }
}
