//! From bytes to a [`ModuleDescription`]: one pass of `wasmparser`, which also validates everything but the function
//! bodies. Those are handed back, so that the caller can validate them on as many threads as it likes.

use crate::const_expr::{ConstExpr, ConstOp};
use crate::features::Features;
use crate::index::*;
use crate::module::*;
use crate::types::*;
use std::collections::HashSet;
use std::ops::Range;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, CustomSectionReader, DataSectionReader, ElementItems, ElementKind,
    ElementSectionReader, ExportSectionReader, ExternalKind, FuncToValidate, FuncValidatorAllocations, FunctionBody,
    FunctionSectionReader, GlobalSectionReader, ImportSectionReader, KnownCustom, MemorySectionReader,
    NameSectionReader, Operator, Parser, Payload, TableSectionReader, TagSectionReader, TypeRef, TypeSectionReader,
    Validator, ValidatorResources, WasmFeatures,
};

/// Why bytes are not a module this engine runs.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DecodeError {
    /// The bytes break a rule of the spec or need a feature that is off.
    #[error("{message} (at offset {offset:#x})")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Where in the bytes.
        offset: u64,
    },
    /// The bytes are a component, not a core module.
    #[error("expected a WebAssembly module but was given a WebAssembly component")]
    Component,
    /// The bytes are a core module, not a component.
    #[error("attempted to parse a wasm module with a component parser")]
    Module,
    /// The module is valid, but uses something the engine doesn't run, or is larger than it takes.
    #[error("unsupported: {0}")]
    Unsupported(String),
}

impl From<BinaryReaderError> for DecodeError {
    fn from(error: BinaryReaderError) -> Self {
        DecodeError::Invalid { message: error.message().to_string(), offset: error.offset() }
    }
}

/// A module whose function bodies remain to be validated, each with [`validate_body`].
pub struct Decoded<'a> {
    /// The description.
    pub module: ModuleDescription,
    /// The bodies, in the order of their functions.
    pub bodies: Vec<Body<'a>>,
}

/// A function body that has not been validated yet.
pub struct Body<'a> {
    check: FuncToValidate<ValidatorResources>,
    body: FunctionBody<'a>,
    /// Whether there is a heap for exceptions, or the validator refuses them anyway.
    has_heap: bool,
}

/// Scratch space that [`validate_body`] uses again from body to body.
#[derive(Default)]
pub struct Scratch(FuncValidatorAllocations);

/// Validates one function body.
///
/// # Errors
/// [`DecodeError::Invalid`] with the offset of what is wrong; [`DecodeError::Unsupported`] where exceptions are thrown or caught without a
/// heap.
pub fn validate_body(body: Body<'_>, scratch: &mut Scratch) -> Result<(), DecodeError> {
    let mut validator = body.check.into_validator(std::mem::take(&mut scratch.0));
    let result = validator.validate(&body.body);
    scratch.0 = validator.into_allocations();
    result?;
    if body.has_heap { Ok(()) } else { refuse_exceptions(&body.body) }
}

/// Refuses a valid body that throws or catches. The validator lets it pass whatever there is of a heap.
fn refuse_exceptions(body: &FunctionBody<'_>) -> Result<(), DecodeError> {
    for operator in body.get_operators_reader()? {
        let needs_heap = match operator? {
            Operator::Throw { .. } | Operator::ThrowRef | Operator::Try { .. } => true,
            Operator::TryTable { try_table } => !try_table.catches.is_empty(),
            _ => false,
        };
        if needs_heap {
            return Err(DecodeError::Unsupported("support for GC types disabled at configuration time".to_string()));
        }
    }
    Ok(())
}

/// Decodes a module and validates all of it but the function bodies.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode<'a>(bytes: &'a [u8], features: &Features) -> Result<Decoded<'a>, DecodeError> {
    let mut decoder = Decoder {
        validator: Validator::new_with_features(features.for_validator()),
        module: ModuleDescription { byte_len: bytes.len() as u64, ..Default::default() },
        kinds: Vec::new(),
        bodies: Vec::new(),
        func_refs: Vec::new(),
        has_heap: features.gc_types || !features.exceptions,
        takes_hints: features.branch_hinting,
        hints: Vec::new(),
    };
    let mut parser = Parser::new(0);
    parser.set_features(features.for_validator() | WasmFeatures::GC_TYPES);
    for payload in parser.parse_all(bytes) {
        decoder.payload(payload?)?;
    }
    decoder.finish()
}

struct Decoder<'a> {
    validator: Validator,
    module: ModuleDescription,
    /// What the types declared so far are of.
    kinds: Vec<TypeKind>,
    bodies: Vec<Body<'a>>,
    func_refs: Vec<FuncIndex>,
    has_heap: bool,
    takes_hints: bool,
    /// Function, offset in its body, and whether the branch there is likely.
    hints: Vec<(u32, u32, bool)>,
}

impl<'a> Decoder<'a> {
    /// One section, or what stands between sections.
    fn payload(&mut self, payload: Payload<'a>) -> Result<(), DecodeError> {
        match payload {
            Payload::Version { encoding: wasmparser::Encoding::Component, .. } => return Err(DecodeError::Component),
            Payload::Version { num, encoding, range } => self.validator.version(num, encoding, &range)?,
            Payload::TypeSection(section) => self.types(section)?,
            Payload::ImportSection(section) => self.imports(section)?,
            Payload::FunctionSection(section) => self.functions(section)?,
            Payload::TableSection(section) => self.tables(section)?,
            Payload::MemorySection(section) => self.memories(section)?,
            Payload::GlobalSection(section) => self.globals(section)?,
            Payload::TagSection(section) => self.tags(section)?,
            Payload::ExportSection(section) => self.exports(section)?,
            Payload::StartSection { func, range } => {
                self.validator.start_section(func, &range)?;
                self.module.start = Some(FuncIndex(func));
                self.may_refer_to(FuncIndex(func));
            }
            Payload::ElementSection(section) => self.elems(section)?,
            Payload::DataCountSection { count, range } => self.validator.data_count_section(count, &range)?,
            Payload::DataSection(section) => self.datas(section)?,
            Payload::CodeSectionStart { count, unchecked_range, .. } => {
                self.validator.code_section_start(&unchecked_range)?;
                self.module.code_section = unchecked_range;
                // The count is the guest's word, but the validator has compared it with the function section, whose
                // bytes were there.
                self.bodies.reserve(count as usize);
            }
            Payload::CodeSectionEntry(body) => {
                let check = self.validator.code_section_entry(&body)?;
                self.bodies.push(Body { check, body, has_heap: self.has_heap });
            }
            Payload::CustomSection(section) => self.custom(&section),
            Payload::End(offset) => {
                self.validator.end(offset)?;
            }
            other => {
                self.validator.payload(&other)?;
            }
        }
        Ok(())
    }

    fn types(&mut self, section: TypeSectionReader<'a>) -> Result<(), DecodeError> {
        self.validator.type_section(&section)?;
        self.module.types.reserve(section.count() as usize);
        // Equal types share their lists.
        let mut known: HashSet<SubType> = HashSet::new();
        for group in section {
            let types: Vec<_> = group?.into_types().collect();
            let start = self.module.types.len() as u32;
            if types.len() > 1 {
                self.module.rec_groups.push(start..start + types.len() as u32);
            }
            // The types of a group may name each other before they are declared, so their kinds come first.
            for ty in &types {
                self.kinds.push(type_kind(&ty.composite_type)?);
            }
            for ty in types {
                let ty = sub_type(&ty, &self.kinds)?;
                self.module.uses_heap |= ty.as_func().is_none();
                let shared = known.get(&ty).cloned();
                self.module.types.push(shared.unwrap_or_else(|| {
                    known.insert(ty.clone());
                    ty
                }));
            }
        }
        Ok(())
    }

    fn imports(&mut self, section: ImportSectionReader<'a>) -> Result<(), DecodeError> {
        self.validator.import_section(&section)?;
        for import in section.into_imports() {
            self.import(import?)?;
        }
        Ok(())
    }

    fn functions(&mut self, section: FunctionSectionReader<'a>) -> Result<(), DecodeError> {
        self.validator.function_section(&section)?;
        for ty in section {
            self.push_function(TypeIndex(ty?));
        }
        Ok(())
    }

    fn tables(&mut self, section: TableSectionReader<'a>) -> Result<(), DecodeError> {
        self.validator.table_section(&section)?;
        for table in section {
            let table = table?;
            self.module.tables.push(table_type(&table.ty, &self.kinds)?);
            let init = match table.init {
                wasmparser::TableInit::RefNull => TableInit::Null,
                wasmparser::TableInit::Expr(expr) => TableInit::Expr(self.const_expr(&expr)?),
            };
            self.module.table_inits.push(init);
        }
        Ok(())
    }

    fn memories(&mut self, section: MemorySectionReader<'a>) -> Result<(), DecodeError> {
        self.validator.memory_section(&section)?;
        for ty in section {
            self.module.memories.push(memory_type(&ty?));
        }
        Ok(())
    }

    fn globals(&mut self, section: GlobalSectionReader<'a>) -> Result<(), DecodeError> {
        self.validator.global_section(&section)?;
        for global in section {
            let global = global?;
            self.module.globals.push(global_type(&global.ty, &self.kinds)?);
            let init = self.const_expr(&global.init_expr)?;
            self.module.global_inits.push(init);
        }
        Ok(())
    }

    fn tags(&mut self, section: TagSectionReader<'a>) -> Result<(), DecodeError> {
        self.validator.tag_section(&section)?;
        for tag in section {
            self.module.uses_heap |= self.has_heap;
            self.module.tags.push(TypeIndex(tag?.func_type_idx));
        }
        Ok(())
    }

    fn exports(&mut self, section: ExportSectionReader<'a>) -> Result<(), DecodeError> {
        self.validator.export_section(&section)?;
        for export in section {
            self.export(export?)?;
        }
        Ok(())
    }

    fn elems(&mut self, section: ElementSectionReader<'a>) -> Result<(), DecodeError> {
        self.validator.element_section(&section)?;
        let elems: Vec<_> = section.into_iter().map(|elem| self.elem(elem?)).collect::<Result<_, DecodeError>>()?;
        self.module.elems = elems.into();
        Ok(())
    }

    fn datas(&mut self, section: DataSectionReader<'a>) -> Result<(), DecodeError> {
        self.validator.data_section(&section)?;
        // The count is the guest's word; the bytes are there, and a segment has at least two.
        let range = section.range();
        let most = (range.end - range.start) as usize / 2;
        let mut datas = Vec::with_capacity((section.count() as usize).min(most));
        for data in section {
            let data = data?;
            let end = data.range.end;
            let active = match data.kind {
                wasmparser::DataKind::Passive => None,
                wasmparser::DataKind::Active { memory_index, offset_expr } => {
                    Some((MemoryIndex(memory_index), self.const_expr(&offset_expr)?))
                }
            };
            datas.push(DataSegment { active, bytes: end - data.data.len() as u64..end });
        }
        self.module.datas = datas.into();
        Ok(())
    }

    /// A custom section never makes a module invalid: what can't be read of one is as if it weren't there.
    fn custom(&mut self, section: &CustomSectionReader<'a>) {
        match section.as_known() {
            KnownCustom::Name(names) => {
                self.module.name_section = Some(section.data_range());
                self.module.name = module_name(names);
            }
            KnownCustom::BranchHints(hints) if self.takes_hints => {
                for of_function in hints.into_iter().map_while(Result::ok) {
                    let hints = of_function.hints.into_iter().map_while(Result::ok);
                    self.hints.extend(hints.map(|hint| (of_function.func, hint.func_offset, hint.taken)));
                }
            }
            _ if section.name().starts_with(".debug_") => {
                self.module.debug_sections.push((section.name().to_string(), section.data_range()));
            }
            _ => {}
        }
    }

    fn finish(mut self) -> Result<Decoded<'a>, DecodeError> {
        self.module.bodies = self.bodies.iter().map(|body| body.body.range()).collect::<Vec<_>>().into();
        self.module.func_refs = self.func_refs.into();
        let imported = self.module.num_imported_functions;
        let placed = self.hints.iter().filter_map(|&(func, offset, likely)| {
            let body = self.module.bodies.get((func as usize).checked_sub(imported)?)?;
            Some((body.start + u64::from(offset), likely))
        });
        self.module.branch_hints = placed.collect();
        self.module.branch_hints.sort_by_key(|&(offset, _)| offset);
        Ok(Decoded { module: self.module, bodies: self.bodies })
    }

    fn push_function(&mut self, ty: TypeIndex) -> FuncIndex {
        let index = FuncIndex(self.module.functions.len() as u32);
        self.module.functions.push(ty);
        self.module.func_ref_positions.push(None);
        index
    }

    /// Notes that references to this function may be made.
    fn may_refer_to(&mut self, func: FuncIndex) {
        let positions = &mut self.module.func_ref_positions;
        if positions.at(func.index()).is_none() {
            positions.set(func.index(), Some(FuncRefIndex(self.func_refs.len() as u32)));
            self.func_refs.push(func);
        }
    }

    fn import(&mut self, import: wasmparser::Import<'a>) -> Result<(), DecodeError> {
        let module = &mut self.module;
        let item = match import.ty {
            TypeRef::Func(ty) => {
                module.num_imported_functions += 1;
                Item::Func(self.push_function(TypeIndex(ty)))
            }
            TypeRef::Table(ty) => {
                module.num_imported_tables += 1;
                module.tables.push(table_type(&ty, &self.kinds)?);
                Item::Table(TableIndex(module.tables.len() as u32 - 1))
            }
            TypeRef::Memory(ty) => {
                module.num_imported_memories += 1;
                module.memories.push(memory_type(&ty));
                Item::Memory(MemoryIndex(module.memories.len() as u32 - 1))
            }
            TypeRef::Global(ty) => {
                module.num_imported_globals += 1;
                module.globals.push(global_type(&ty, &self.kinds)?);
                Item::Global(GlobalIndex(module.globals.len() as u32 - 1))
            }
            TypeRef::Tag(ty) => {
                module.uses_heap |= self.has_heap;
                module.num_imported_tags += 1;
                module.tags.push(TypeIndex(ty.func_type_idx));
                Item::Tag(TagIndex(module.tags.len() as u32 - 1))
            }
            other => return Err(DecodeError::Unsupported(format!("an import of kind {other:?}"))),
        };
        self.module.imports.push(Import { module: import.module.to_string(), name: import.name.to_string(), item });
        Ok(())
    }

    fn export(&mut self, export: wasmparser::Export<'a>) -> Result<(), DecodeError> {
        let item = match export.kind {
            ExternalKind::Func => {
                self.may_refer_to(FuncIndex(export.index));
                Item::Func(FuncIndex(export.index))
            }
            ExternalKind::Table => Item::Table(TableIndex(export.index)),
            ExternalKind::Memory => Item::Memory(MemoryIndex(export.index)),
            ExternalKind::Global => Item::Global(GlobalIndex(export.index)),
            ExternalKind::Tag => Item::Tag(TagIndex(export.index)),
            other => return Err(DecodeError::Unsupported(format!("an export of kind {other:?}"))),
        };
        self.module.exports.push(Export { name: export.name.to_string(), item });
        Ok(())
    }

    fn elem(&mut self, elem: wasmparser::Element<'a>) -> Result<ElemSegment, DecodeError> {
        let mode = match elem.kind {
            ElementKind::Passive => ElemMode::Passive,
            ElementKind::Declared => ElemMode::Declared,
            ElementKind::Active { table_index, offset_expr } => {
                ElemMode::Active(TableIndex(table_index.unwrap_or(0)), self.const_expr(&offset_expr)?)
            }
        };
        let (element, items) = match elem.items {
            ElementItems::Functions(functions) => {
                let items = functions
                    .into_iter()
                    .map(|index| Ok(FuncIndex(index?)))
                    .collect::<Result<Box<[_]>, DecodeError>>()?;
                items.iter().for_each(|&index| self.may_refer_to(index));
                (RefType::non_null(HeapType::Func), ElemItems::Funcs(items))
            }
            ElementItems::Expressions(ty, exprs) => {
                let items = exprs.into_iter().map(|expr| self.const_expr(&expr?)).collect::<Result<Vec<_>, _>>()?;
                (ref_type(ty, &self.kinds)?, ElemItems::Exprs(items.into()))
            }
        };
        Ok(ElemSegment { mode, element, items })
    }

    fn const_expr(&mut self, expr: &wasmparser::ConstExpr<'a>) -> Result<ConstExpr, DecodeError> {
        // Nearly all have one.
        let mut ops = Vec::with_capacity(1);
        for op in expr.get_operators_reader() {
            ops.push(match op? {
                Operator::I32Const { value } => ConstOp::I32(value),
                Operator::I64Const { value } => ConstOp::I64(value),
                Operator::F32Const { value } => ConstOp::F32(value.bits()),
                Operator::F64Const { value } => ConstOp::F64(value.bits()),
                Operator::V128Const { value } => ConstOp::V128(u128::from_le_bytes(*value.bytes())),
                Operator::GlobalGet { global_index } => ConstOp::GlobalGet(GlobalIndex(global_index)),
                Operator::RefNull { hty } => ConstOp::RefNull(heap_type(hty, &self.kinds)?),
                Operator::RefFunc { function_index } => {
                    self.may_refer_to(FuncIndex(function_index));
                    ConstOp::RefFunc(FuncIndex(function_index))
                }
                Operator::I32Add => ConstOp::I32Add,
                Operator::I32Sub => ConstOp::I32Sub,
                Operator::I32Mul => ConstOp::I32Mul,
                Operator::I64Add => ConstOp::I64Add,
                Operator::I64Sub => ConstOp::I64Sub,
                Operator::I64Mul => ConstOp::I64Mul,
                Operator::RefI31 => ConstOp::RefI31,
                Operator::StructNew { struct_type_index } => ConstOp::StructNew(TypeIndex(struct_type_index)),
                Operator::StructNewDefault { struct_type_index } => {
                    ConstOp::StructNewDefault(TypeIndex(struct_type_index))
                }
                Operator::ArrayNew { array_type_index } => ConstOp::ArrayNew(TypeIndex(array_type_index)),
                Operator::ArrayNewDefault { array_type_index } => ConstOp::ArrayNewDefault(TypeIndex(array_type_index)),
                Operator::ArrayNewFixed { array_type_index, array_size } => {
                    ConstOp::ArrayNewFixed(TypeIndex(array_type_index), array_size)
                }
                Operator::AnyConvertExtern | Operator::ExternConvertAny => ConstOp::Convert,
                Operator::End => continue,
                other => return Err(DecodeError::Unsupported(format!("{other:?} in a constant expression"))),
            });
        }
        Ok(ConstExpr { ops: ops.into() })
    }
}

/// What a declared type is of: what heap types need to know of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TypeKind {
    /// Functions.
    Func,
    /// Structs.
    Struct,
    /// Arrays.
    Array,
}

impl From<&CompositeType> for TypeKind {
    fn from(ty: &CompositeType) -> Self {
        match ty {
            CompositeType::Func(_) => TypeKind::Func,
            CompositeType::Struct(_) => TypeKind::Struct,
            CompositeType::Array(_) => TypeKind::Array,
        }
    }
}

/// Tells of declared types what they are of.
pub trait TypeKinds {
    /// Of the type with this place in the type section.
    fn kind(&self, index: u32) -> TypeKind;
}

impl TypeKinds for Vec<TypeKind> {
    fn kind(&self, index: u32) -> TypeKind {
        self[index as usize]
    }
}

impl TypeKinds for ModuleDescription {
    fn kind(&self, index: u32) -> TypeKind {
        TypeKind::from(&self.types[index as usize].composite)
    }
}

/// For types that name no declared ones: those of components' core functions.
pub struct NoDeclaredTypes;

impl TypeKinds for NoDeclaredTypes {
    fn kind(&self, _: u32) -> TypeKind {
        unreachable!("validation keeps declared types out")
    }
}

fn type_kind(ty: &wasmparser::CompositeType) -> Result<TypeKind, DecodeError> {
    if ty.shared {
        return Err(DecodeError::Unsupported("shared types".to_string()));
    }
    match ty.inner {
        CompositeInnerType::Func(_) => Ok(TypeKind::Func),
        CompositeInnerType::Struct(_) => Ok(TypeKind::Struct),
        CompositeInnerType::Array(_) => Ok(TypeKind::Array),
        CompositeInnerType::Cont(_) => Err(DecodeError::Unsupported("continuation types".to_string())),
    }
}

fn sub_type(ty: &wasmparser::SubType, kinds: &impl TypeKinds) -> Result<SubType, DecodeError> {
    // Validation allows one at most.
    let supertype = ty.supertype_idxs.first().map(|index| declared(index.unpack())).transpose()?;
    let composite = match &ty.composite_type.inner {
        CompositeInnerType::Func(ty) => CompositeType::Func(func_type_of(ty, kinds)?),
        CompositeInnerType::Struct(ty) => {
            let fields = ty.fields.iter().map(|field| field_type(field, kinds)).collect::<Result<_, _>>()?;
            CompositeType::Struct(StructType { fields })
        }
        CompositeInnerType::Array(ty) => CompositeType::Array(ArrayType { element: field_type(&ty.0, kinds)? }),
        CompositeInnerType::Cont(_) => return Err(DecodeError::Unsupported("continuation types".to_string())),
    };
    Ok(SubType { is_final: ty.is_final, supertype, composite })
}

fn field_type(ty: &wasmparser::FieldType, kinds: &impl TypeKinds) -> Result<FieldType, DecodeError> {
    let storage = match ty.element_type {
        wasmparser::StorageType::I8 => StorageType::I8,
        wasmparser::StorageType::I16 => StorageType::I16,
        wasmparser::StorageType::Val(ty) => StorageType::Val(val_type(ty, kinds)?),
    };
    Ok(FieldType { storage, mutable: ty.mutable })
}

/// The type of a function, from the validator's terms.
///
/// # Errors
/// As [`val_type`], and where it is none of a function.
pub fn func_type(ty: &CompositeInnerType, kinds: &impl TypeKinds) -> Result<FuncType, DecodeError> {
    let CompositeInnerType::Func(ty) = ty else {
        return Err(DecodeError::Unsupported("struct, array and continuation types of functions".to_string()));
    };
    func_type_of(ty, kinds)
}

fn func_type_of(ty: &wasmparser::FuncType, kinds: &impl TypeKinds) -> Result<FuncType, DecodeError> {
    let list = |tys: &[wasmparser::ValType]| tys.iter().map(|&ty| val_type(ty, kinds)).collect::<Result<Vec<_>, _>>();
    Ok(FuncType::new(list(ty.params())?, list(ty.results())?))
}

/// The type of a value, from the validator's terms.
///
/// # Errors
/// [`DecodeError::Unsupported`] for the types of proposals the engine doesn't run.
pub fn val_type(ty: wasmparser::ValType, kinds: &impl TypeKinds) -> Result<ValType, DecodeError> {
    Ok(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(ty) => ValType::Ref(ref_type(ty, kinds)?),
    })
}

/// The type of a reference, from the validator's terms.
///
/// # Errors
/// As [`val_type`].
pub fn ref_type(ty: wasmparser::RefType, kinds: &impl TypeKinds) -> Result<RefType, DecodeError> {
    Ok(RefType { nullable: ty.is_nullable(), heap: heap_type(ty.heap_type(), kinds)? })
}

/// What references lead to, from the validator's terms.
///
/// # Errors
/// [`DecodeError::Unsupported`] for the heap types of proposals the engine doesn't run.
pub fn heap_type(ty: wasmparser::HeapType, kinds: &impl TypeKinds) -> Result<HeapType, DecodeError> {
    use wasmparser::AbstractHeapType;
    let unsupported = || DecodeError::Unsupported(format!("the heap type {ty:?}"));
    let ty = match ty {
        wasmparser::HeapType::Concrete(index) => {
            let id = declared(index)?;
            return Ok(match kinds.kind(id.0) {
                TypeKind::Func => HeapType::ConcreteFunc(id),
                TypeKind::Struct => HeapType::ConcreteStruct(id),
                TypeKind::Array => HeapType::ConcreteArray(id),
            });
        }
        wasmparser::HeapType::Abstract { shared: false, ty } => ty,
        _ => return Err(unsupported()),
    };
    Ok(match ty {
        AbstractHeapType::Func => HeapType::Func,
        AbstractHeapType::NoFunc => HeapType::NoFunc,
        AbstractHeapType::Extern => HeapType::Extern,
        AbstractHeapType::NoExtern => HeapType::NoExtern,
        AbstractHeapType::Any => HeapType::Any,
        AbstractHeapType::Eq => HeapType::Eq,
        AbstractHeapType::I31 => HeapType::I31,
        AbstractHeapType::Struct => HeapType::Struct,
        AbstractHeapType::Array => HeapType::Array,
        AbstractHeapType::None => HeapType::None,
        AbstractHeapType::Exn => HeapType::Exn,
        AbstractHeapType::NoExn => HeapType::NoExn,
        AbstractHeapType::Cont | AbstractHeapType::NoCont => return Err(unsupported()),
    })
}

/// A type by its place in the module's type section.
fn declared(index: wasmparser::UnpackedIndex) -> Result<TypeId, DecodeError> {
    let index = index.as_module_index();
    index.map(TypeId).ok_or_else(|| DecodeError::Unsupported("a type that is not of the module's own".to_string()))
}

/// The type of a table, from the validator's terms.
///
/// # Errors
/// As [`val_type`].
pub fn table_type(ty: &wasmparser::TableType, kinds: &impl TypeKinds) -> Result<TableType, DecodeError> {
    Ok(TableType { element: ref_type(ty.element_type, kinds)?, min: ty.initial, max: ty.maximum, is_64: ty.table64 })
}

/// The type of a memory, from the validator's terms.
pub fn memory_type(ty: &wasmparser::MemoryType) -> MemoryType {
    MemoryType {
        min: ty.initial,
        max: ty.maximum,
        is_64: ty.memory64,
        shared: ty.shared,
        page_size_log2: ty.page_size_log2.unwrap_or(16) as u8,
    }
}

/// The type of a global, from the validator's terms.
///
/// # Errors
/// As [`val_type`].
pub fn global_type(ty: &wasmparser::GlobalType, kinds: &impl TypeKinds) -> Result<GlobalType, DecodeError> {
    Ok(GlobalType { content: val_type(ty.content_type, kinds)?, mutable: ty.mutable })
}

/// The module's name. A malformed name section names nothing: custom sections never make a module invalid.
fn module_name(names: NameSectionReader<'_>) -> Option<String> {
    names.into_iter().find_map(|subsection| match subsection {
        Ok(wasmparser::Name::Module { name, .. }) => Some(name.to_string()),
        _ => None,
    })
}

/// The operators and locals of a body, for a compiler to read. The body has been validated.
pub fn body_reader<'a>(bytes: &'a [u8], range: &Range<u64>) -> FunctionBody<'a> {
    let data = &bytes[range.start as usize..range.end as usize];
    FunctionBody::new(wasmparser::BinaryReader::new(data, range.start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_ok(bytes: &[u8]) -> ModuleDescription {
        decode(bytes, &Features::default()).expect("a valid module").module
    }

    #[test]
    fn the_empty_module_describes_nothing() {
        let module = decode_ok(b"\0asm\x01\0\0\0");
        assert!(module.types.is_empty() && module.imports.is_empty() && module.exports.is_empty());
        assert_eq!(module.byte_len, 8);
    }

    #[test]
    fn errors_tell_the_offset() {
        let Err(DecodeError::Invalid { offset, .. }) = decode(b"\0asm\x01\0\0\0\x01", &Features::default()) else {
            panic!("a truncated section is invalid");
        };
        assert_eq!(offset, 9);
    }

    #[test]
    fn a_component_is_named_as_such() {
        let error = decode(b"\0asm\x0d\0\x01\0", &Features::default()).err();
        assert!(matches!(error, Some(DecodeError::Component)), "{error:?}");
    }

    #[test]
    fn a_huge_function_count_does_not_reserve_memory_for_it() {
        // A code section of six bytes that claims 2^32 - 1 functions.
        let bytes = b"\0asm\x01\0\0\0\x0a\x06\xff\xff\xff\xff\x0f\0";
        assert!(decode(bytes, &Features::default()).is_err());
    }
}
