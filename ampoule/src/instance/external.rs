//! Whatever can be imported and exported.

use crate::engine::type_registry::Type;
use crate::error::Error;
use crate::func::Func;
use crate::global::Global;
use crate::memory::Memory;
use crate::memory::shared::SharedMemory;
use crate::store::Store;
use crate::table::Table;
use crate::tag::Tag;
use ampoule_core::types::{ExternType, MemoryType};

/// An item of a store (or a shared memory, which belongs to none).
#[derive(Clone, Debug)]
pub enum Extern {
    /// A function.
    Func(Func),
    /// A global.
    Global(Global),
    /// A table.
    Table(Table),
    /// A memory.
    Memory(Memory),
    /// A memory that threads share.
    SharedMemory(SharedMemory),
    /// A tag.
    Tag(Tag),
}

impl Extern {
    /// The type. That of memories and tables is the one that they were made with: growth doesn't change it.
    ///
    /// # Errors
    /// Where the item is of another store.
    pub fn ty(&self, store: &Store) -> Result<ExternType, Error> {
        Ok(match self {
            Extern::Func(func) => ExternType::Func(func.ty(store)?),
            Extern::Global(global) => ExternType::Global(global.ty(store)?),
            Extern::Table(table) => ExternType::Table(table.ty(store)?),
            Extern::Memory(memory) => ExternType::Memory(memory.ty(store)?),
            Extern::SharedMemory(memory) => ExternType::Memory(*memory.ty()),
            Extern::Tag(tag) => ExternType::Tag(tag.ty(store)?.clone()),
        })
    }

    /// The type that a function, or a tag, is declared as, kept; `None` of other items.
    ///
    /// # Errors
    /// Where the item is of another store.
    pub fn declared_type(&self, store: &Store) -> Result<Option<Type>, Error> {
        match self {
            Extern::Func(func) => func.declared_type(store).map(Some),
            Extern::Tag(tag) => Ok(Some(tag.declared_type(store)?.clone())),
            _ => Ok(None),
        }
    }

    /// The type that imports are compared with: the minimum of memories and tables is their current size.
    pub(crate) fn current_ty(&self, store: &Store) -> Result<ExternType, Error> {
        Ok(match self {
            Extern::Table(table) => ExternType::Table(table.current_ty(store)?),
            Extern::Memory(memory) => ExternType::Memory(memory.current_ty(store)?),
            Extern::SharedMemory(memory) => ExternType::Memory(MemoryType { min: memory.pages(), ..*memory.ty() }),
            _ => self.ty(store)?,
        })
    }

    /// The function, where it is one.
    pub fn into_func(self) -> Option<Func> {
        if let Extern::Func(func) = self { Some(func) } else { None }
    }

    /// The memory, where it is one that isn't shared.
    pub fn into_memory(self) -> Option<Memory> {
        if let Extern::Memory(memory) = self { Some(memory) } else { None }
    }

    /// The table, where it is one.
    pub fn into_table(self) -> Option<Table> {
        if let Extern::Table(table) = self { Some(table) } else { None }
    }

    /// The global, where it is one.
    pub fn into_global(self) -> Option<Global> {
        if let Extern::Global(global) = self { Some(global) } else { None }
    }
}
