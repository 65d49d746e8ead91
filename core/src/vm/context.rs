//! An instance, as machine code sees it.

use super::{VmFuncImport, VmFuncRef, VmGlobal, VmMemory, VmStoreContext, VmTable};
use crate::index::{FuncIndex, FuncRefIndex, GlobalIndex, MemoryIndex, TableIndex, TagIndex, TypeIndex};
use crate::module::ModuleDescription;
use crate::object_layout::FieldsLayout;
use std::ffi::c_void;
use std::mem::{offset_of, size_of};

/// The head of an instance's block. Behind it lie, shaped by the module, the arrays whose offsets [`VmLayout`] tells:
///
/// ```text
/// VmContext | imported functions: VmFuncImport…      | memories' definitions: *mut VmMemory, one per memory
///           | tables' definitions: *mut VmTable, one per table | imported globals: *mut VmGlobal…
///           | own memories: VmMemory… | own tables: VmTable… | own globals: VmGlobal… | references: VmFuncRef…
///           | tags: u32, one per tag
/// ```
///
/// A tag is its number in the store: two tags are the same where their numbers are. The pointer arrays hold the module's own items too (pointing into the same block), so that the runtime has one way to
/// find any memory, table or global. Machine code goes straight to its own items.
#[repr(C)]
#[derive(Debug)]
pub struct VmContext {
    /// The store that owns the instance. Constant.
    pub store: *mut VmStoreContext,
    /// For each type of the module's type section, the engine's record of it ([`VmFuncRef::signature`]). Constant.
    pub signatures: *const *const c_void,
    /// The runtime's record of the instance. Constant; machine code passes `VmContext` to builtins and never reads this.
    pub instance: *mut c_void,
    /// For each type of the module's type section, the first word of its objects ([`super::types::TypeWord`]); of functions, zero, or that of
    /// exceptions where the module has such tags. Constant.
    pub type_words: *const u32,
}

/// Where things lie in one module's [`VmContext`]. All offsets are bytes from its start.
#[derive(Clone, Debug)]
pub struct VmLayout {
    imported_functions: u32,
    memory_definitions: u32,
    table_definitions: u32,
    imported_globals: u32,
    own_memories: u32,
    own_tables: u32,
    own_globals: u32,
    func_refs: u32,
    tags: u32,
    size: u32,
    num_imported_tables: u32,
    num_imported_globals: u32,
    /// For each memory its position among the module's own, or `None` for one defined elsewhere.
    own_memory: Box<[Option<u32>]>,
    /// For each type of the type section where the fields of its structs are, or those of exceptions whose tags have it; `None` for types of
    /// something else.
    objects: Box<[Option<FieldsLayout>]>,
}

/// How machine code reaches a memory's or table's definition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemorySlot {
    /// The definition itself is at this offset of the `VmContext`.
    Own(u32),
    /// A pointer to the definition is at this offset of the `VmContext`. The pointer never changes.
    Pointer(u32),
}

impl VmLayout {
    /// The layout for a module. A shared memory is always reached through its pointer, as its definition belongs to no
    /// single instance.
    pub fn new(module: &ModuleDescription) -> Self {
        let mut at = size_of::<VmContext>() as u32;
        let mut place = |count: usize, size: usize, align: u32| {
            at = at.next_multiple_of(align);
            let start = at;
            at += u32::try_from(count * size).expect("the decoder bounds every index space");
            start
        };
        let mut own_memories_count = 0;
        let own_memory: Box<[Option<u32>]> = module
            .memories
            .iter()
            .enumerate()
            .map(|(index, ty)| {
                let own = index >= module.num_imported_memories && !ty.shared;
                own.then(|| {
                    own_memories_count += 1;
                    own_memories_count as u32 - 1
                })
            })
            .collect();
        let imported_functions = place(module.num_imported_functions, size_of::<VmFuncImport>(), 8);
        let memory_definitions = place(module.memories.len(), size_of::<*mut VmMemory>(), 8);
        let table_definitions = place(module.tables.len(), size_of::<*mut VmTable>(), 8);
        let imported_globals = place(module.num_imported_globals, size_of::<*mut VmGlobal>(), 8);
        let own_memories = place(own_memories_count, size_of::<VmMemory>(), 8);
        let own_tables = place(module.tables.len() - module.num_imported_tables, size_of::<VmTable>(), 8);
        let own_globals = place(module.globals.len() - module.num_imported_globals, size_of::<VmGlobal>(), 16);
        let func_refs = place(module.func_refs.len(), size_of::<VmFuncRef>(), 8);
        let tags = place(module.tags.len(), size_of::<u32>(), 4);
        Self {
            imported_functions,
            memory_definitions,
            table_definitions,
            imported_globals,
            own_memories,
            own_tables,
            own_globals,
            func_refs,
            tags,
            size: at,
            num_imported_tables: module.num_imported_tables as u32,
            num_imported_globals: module.num_imported_globals as u32,
            own_memory,
            objects: object_layouts(module),
        }
    }

    /// Where the fields of structs of this type are.
    ///
    /// # Panics
    /// Where the type is none of structs.
    pub fn structs(&self, index: TypeIndex) -> &FieldsLayout {
        self.objects[index.index()].as_ref().expect("validation saw to the type's kind")
    }

    /// Where the fields of exceptions are whose tag has this type.
    ///
    /// # Panics
    /// Where no tag of the module has.
    pub fn exceptions(&self, index: TypeIndex) -> &FieldsLayout {
        self.objects[index.index()].as_ref().expect("it is a tag's type")
    }

    /// Bytes of the whole block. Its alignment is 16.
    pub fn size(&self) -> usize {
        self.size as usize
    }

    /// The [`VmFuncImport`] of an imported function.
    pub fn imported_function(&self, index: FuncIndex) -> u32 {
        self.imported_functions + index.0 * size_of::<VmFuncImport>() as u32
    }

    /// The pointer to any memory's definition.
    pub fn memory_definition(&self, index: MemoryIndex) -> u32 {
        self.memory_definitions + index.0 * size_of::<*mut VmMemory>() as u32
    }

    /// The pointer to any table's definition.
    pub fn table_definition(&self, index: TableIndex) -> u32 {
        self.table_definitions + index.0 * size_of::<*mut VmTable>() as u32
    }

    /// The way to a memory's [`VmMemory`].
    pub fn memory(&self, index: MemoryIndex) -> MemorySlot {
        match self.own_memory[index.index()] {
            Some(own) => MemorySlot::Own(self.own_memories + own * size_of::<VmMemory>() as u32),
            None => MemorySlot::Pointer(self.memory_definition(index)),
        }
    }

    /// The way to a table's [`VmTable`].
    pub fn table(&self, index: TableIndex) -> MemorySlot {
        match index.0.checked_sub(self.num_imported_tables) {
            Some(own) => MemorySlot::Own(self.own_tables + own * size_of::<VmTable>() as u32),
            None => MemorySlot::Pointer(self.table_definition(index)),
        }
    }

    /// The way to a global's [`VmGlobal`].
    pub fn global(&self, index: GlobalIndex) -> MemorySlot {
        match index.0.checked_sub(self.num_imported_globals) {
            Some(own) => MemorySlot::Own(self.own_globals + own * size_of::<VmGlobal>() as u32),
            None => MemorySlot::Pointer(self.imported_globals + index.0 * size_of::<*mut VmGlobal>() as u32),
        }
    }

    /// The [`VmFuncRef`] of a function that may be referred to; all zero until it is made.
    pub fn func_ref(&self, index: FuncRefIndex) -> u32 {
        self.func_refs + index.0 * size_of::<VmFuncRef>() as u32
    }

    /// The function whose [`VmFuncRef`] is so many bytes from the start, if one is there. There may be fewer functions.
    pub fn func_ref_at(&self, offset: u64) -> Option<FuncRefIndex> {
        let distance = u32::try_from(offset).ok()?.checked_sub(self.func_refs)?;
        let size = size_of::<VmFuncRef>() as u32;
        (distance % size == 0).then_some(FuncRefIndex(distance / size))
    }

    /// The number of a tag in its store.
    pub fn tag(&self, index: TagIndex) -> u32 {
        self.tags + index.0 * size_of::<u32>() as u32
    }

    /// Offset of [`VmContext::store`].
    pub const STORE: i32 = offset_of!(VmContext, store) as i32;
    /// Offset of [`VmContext::signatures`].
    pub const SIGNATURES: i32 = offset_of!(VmContext, signatures) as i32;
    /// Offset of [`VmContext::type_words`].
    pub const TYPE_WORDS: i32 = offset_of!(VmContext, type_words) as i32;
}

/// The layouts of a module's structs and exceptions, each struct's made from that of its super-type, which is declared before: all take time
/// in proportion to the module.
fn object_layouts(module: &ModuleDescription) -> Box<[Option<FieldsLayout>]> {
    if !module.uses_heap {
        return Box::default();
    }
    let mut layouts: Vec<Option<FieldsLayout>> = Vec::with_capacity(module.types.len());
    for ty in &module.types {
        let supertype = ty.supertype.and_then(|id| layouts[id.0 as usize].as_ref());
        let layout = ty.as_struct().map(|fields| FieldsLayout::of_struct_type(supertype, fields));
        layouts.push(layout);
    }
    for &ty in &module.tags {
        let fields = module.declared_func(ty).params();
        layouts[ty.index()].get_or_insert_with(|| FieldsLayout::of_exception_types(fields));
    }
    layouts.into()
}
