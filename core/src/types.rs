//! WebAssembly's types, as the spec names them (core spec, section 2.3).
//!
//! Types that a module declares may name each other, by [`TypeId`]; so what a type means depends on where it stands. The engine gives
//! one number to equal types of all modules (`ampoule::engine::type_registry`), so that a comparison at run time is one of words.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit IEEE 754 float.
    F32,
    /// 64-bit IEEE 754 float.
    F64,
    /// 128-bit vector.
    V128,
    /// A reference.
    Ref(RefType),
}

/// A type that was declared: in a [`crate::module::ModuleDescription`] the position in its type section; everywhere else the number that the
/// engine has given to the type, which it is for as long as anything of the engine has that type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TypeId(pub u32);

impl TypeId {
    /// From this number on, places in a group that the host is about to declare. An engine has fewer types.
    pub const IN_GROUP: u32 = 1 << 30;

    /// In a recursion group that the host is about to declare, the type at this place.
    ///
    /// # Panics
    /// Where no group is so large.
    pub const fn in_group(place: u32) -> TypeId {
        assert!(place < Self::IN_GROUP);
        TypeId(Self::IN_GROUP | place)
    }

    /// The place, if it is one in a group.
    pub fn place_in_group(self) -> Option<u32> {
        self.0.checked_sub(Self::IN_GROUP)
    }
}

/// The type of a reference (core spec, section 2.3.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RefType {
    /// Whether null is one of the references.
    pub nullable: bool,
    /// What the others lead to.
    pub heap: HeapType,
}

/// What references lead to (core spec, section 2.3.4). There are four hierarchies: functions, values of the host, exceptions, and what the
/// guest's heap holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum HeapType {
    /// `func`: any function.
    Func,
    /// `nofunc`: nothing.
    NoFunc,
    /// A function of a declared type.
    ConcreteFunc(TypeId),
    /// `extern`: any value of the host.
    Extern,
    /// `noextern`: nothing.
    NoExtern,
    /// `any`: whatever the guest's heap holds.
    Any,
    /// `eq`: what can be compared: structs, arrays and 31-bit integers.
    Eq,
    /// `i31`: a 31-bit integer.
    I31,
    /// `struct`: any struct.
    Struct,
    /// A struct of a declared type.
    ConcreteStruct(TypeId),
    /// `array`: any array.
    Array,
    /// An array of a declared type.
    ConcreteArray(TypeId),
    /// `none`: nothing.
    None,
    /// `exn`: any exception.
    Exn,
    /// An exception whose fields are the parameters of a declared type of functions. Modules have no such type, but C's interface.
    ConcreteExn(TypeId),
    /// `noexn`: nothing.
    NoExn,
}

/// Knows which declared types are sub-types of which.
pub trait Subtyping {
    /// Whether `sub` is `sup` or declared, in however many steps, as a sub-type of it.
    fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool;
}

impl HeapType {
    /// The largest type of the hierarchy.
    pub fn top(self) -> HeapType {
        match self {
            HeapType::Func | HeapType::NoFunc | HeapType::ConcreteFunc(_) => HeapType::Func,
            HeapType::Extern | HeapType::NoExtern => HeapType::Extern,
            HeapType::Any
            | HeapType::Eq
            | HeapType::I31
            | HeapType::Struct
            | HeapType::ConcreteStruct(_)
            | HeapType::Array
            | HeapType::ConcreteArray(_)
            | HeapType::None => HeapType::Any,
            HeapType::Exn | HeapType::ConcreteExn(_) | HeapType::NoExn => HeapType::Exn,
        }
    }

    /// The type of the hierarchy that has nothing.
    pub fn bottom(self) -> HeapType {
        match self.top() {
            HeapType::Func => HeapType::NoFunc,
            HeapType::Extern => HeapType::NoExtern,
            HeapType::Exn => HeapType::NoExn,
            _ => HeapType::None,
        }
    }

    /// The declared type, if it is one.
    pub fn concrete(self) -> Option<TypeId> {
        match self {
            HeapType::ConcreteFunc(id)
            | HeapType::ConcreteStruct(id)
            | HeapType::ConcreteArray(id)
            | HeapType::ConcreteExn(id) => Some(id),
            _ => None,
        }
    }

    /// The same with another number for the declared type, if it is one.
    pub fn try_map<E>(self, map: &mut impl FnMut(TypeId) -> Result<TypeId, E>) -> Result<HeapType, E> {
        Ok(match self {
            HeapType::ConcreteFunc(id) => HeapType::ConcreteFunc(map(id)?),
            HeapType::ConcreteStruct(id) => HeapType::ConcreteStruct(map(id)?),
            HeapType::ConcreteArray(id) => HeapType::ConcreteArray(map(id)?),
            HeapType::ConcreteExn(id) => HeapType::ConcreteExn(map(id)?),
            other => other,
        })
    }

    /// Whether whatever this type has is of `other`, too (core spec, section 3.3.3, "matching").
    pub fn matches(self, other: HeapType, types: &(impl Subtyping + ?Sized)) -> bool {
        if self == other || self == other.bottom() || other == self.top() {
            return true;
        }
        match (self, other) {
            (HeapType::ConcreteFunc(sub), HeapType::ConcreteFunc(sup))
            | (HeapType::ConcreteStruct(sub), HeapType::ConcreteStruct(sup))
            | (HeapType::ConcreteArray(sub), HeapType::ConcreteArray(sup)) => types.is_subtype(sub, sup),
            (HeapType::ConcreteStruct(_), HeapType::Struct) | (HeapType::ConcreteArray(_), HeapType::Array) => true,
            (_, HeapType::Eq) => matches!(
                self,
                HeapType::I31
                    | HeapType::Struct
                    | HeapType::ConcreteStruct(_)
                    | HeapType::Array
                    | HeapType::ConcreteArray(_)
            ),
            _ => false,
        }
    }
}

impl RefType {
    /// `funcref`.
    pub const FUNC: RefType = RefType::null_or(HeapType::Func);
    /// `externref`.
    pub const EXTERN: RefType = RefType::null_or(HeapType::Extern);
    /// `anyref`.
    pub const ANY: RefType = RefType::null_or(HeapType::Any);
    /// `eqref`.
    pub const EQ: RefType = RefType::null_or(HeapType::Eq);
    /// `i31ref`.
    pub const I31: RefType = RefType::null_or(HeapType::I31);
    /// `exnref`.
    pub const EXN: RefType = RefType::null_or(HeapType::Exn);

    /// Null, or what `heap` has.
    pub const fn null_or(heap: HeapType) -> RefType {
        RefType { nullable: true, heap }
    }

    /// What `heap` has, but not null.
    pub const fn non_null(heap: HeapType) -> RefType {
        RefType { nullable: false, heap }
    }

    /// The largest heap type of the hierarchy.
    pub fn top(self) -> HeapType {
        self.heap.top()
    }

    /// Whether these are references to functions, which are addresses; all others are places in the store's heap.
    pub fn is_func(self) -> bool {
        self.top() == HeapType::Func
    }

    /// The same with another number for the declared type, if it is one.
    pub fn try_map<E>(self, map: &mut impl FnMut(TypeId) -> Result<TypeId, E>) -> Result<RefType, E> {
        Ok(RefType { heap: self.heap.try_map(map)?, ..self })
    }

    /// Whether every reference of this type is one of `other` (core spec, section 3.3.4).
    pub fn matches(self, other: RefType, types: &(impl Subtyping + ?Sized)) -> bool {
        (other.nullable || !self.nullable) && self.heap.matches(other.heap, types)
    }
}

impl ValType {
    /// `funcref`.
    pub const FUNCREF: ValType = ValType::Ref(RefType::FUNC);
    /// `externref`.
    pub const EXTERNREF: ValType = ValType::Ref(RefType::EXTERN);
    /// `anyref`.
    pub const ANYREF: ValType = ValType::Ref(RefType::ANY);
    /// `exnref`.
    pub const EXNREF: ValType = ValType::Ref(RefType::EXN);

    /// Whether values of this type are references.
    pub fn is_ref(self) -> bool {
        matches!(self, ValType::Ref(_))
    }

    /// Whether values of this type are references into the store's heap, which a collection follows and rewrites.
    pub fn is_collected(self) -> bool {
        matches!(self, ValType::Ref(ty) if !ty.is_func())
    }

    /// Whether there is a value that variables of this type begin with.
    pub fn has_default(self) -> bool {
        !matches!(self, ValType::Ref(RefType { nullable: false, .. }))
    }

    /// The declared type that it names, if it does.
    pub fn concrete(self) -> Option<TypeId> {
        match self {
            ValType::Ref(ty) => ty.heap.concrete(),
            _ => None,
        }
    }

    /// The same with another number for the declared type, if it names one.
    pub fn try_map<E>(self, map: &mut impl FnMut(TypeId) -> Result<TypeId, E>) -> Result<ValType, E> {
        Ok(match self {
            ValType::Ref(ty) => ValType::Ref(ty.try_map(map)?),
            number => number,
        })
    }

    /// Whether every value of this type is one of `other`.
    pub fn matches(self, other: ValType, types: &(impl Subtyping + ?Sized)) -> bool {
        match (self, other) {
            (ValType::Ref(ty), ValType::Ref(other)) => ty.matches(other, types),
            _ => self == other,
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValType::I32 => f.write_str("i32"),
            ValType::I64 => f.write_str("i64"),
            ValType::F32 => f.write_str("f32"),
            ValType::F64 => f.write_str("f64"),
            ValType::V128 => f.write_str("v128"),
            ValType::Ref(ty) => ty.fmt(f),
        }
    }
}

impl fmt::Display for HeapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeapType::Func => "func",
            HeapType::NoFunc => "nofunc",
            HeapType::Extern => "extern",
            HeapType::NoExtern => "noextern",
            HeapType::Any => "any",
            HeapType::Eq => "eq",
            HeapType::I31 => "i31",
            HeapType::Struct => "struct",
            HeapType::Array => "array",
            HeapType::None => "none",
            HeapType::Exn => "exn",
            HeapType::NoExn => "noexn",
            HeapType::ConcreteFunc(id) => return write!(f, "func (engine {})", id.0),
            HeapType::ConcreteStruct(id) => return write!(f, "struct (engine {})", id.0),
            HeapType::ConcreteArray(id) => return write!(f, "array (engine {})", id.0),
            HeapType::ConcreteExn(id) => return write!(f, "exn (engine {})", id.0),
        })
    }
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.nullable, self.heap) {
            // As clients know them.
            (true, HeapType::Func) => f.write_str("funcref"),
            (true, HeapType::Extern) => f.write_str("externref"),
            (true, heap) => write!(f, "(ref null {heap})"),
            (false, heap) => write!(f, "(ref {heap})"),
        }
    }
}

/// The type of a function. A clone shares its lists with the original: a module may have a million equal types.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "ParamsThenResults", into = "ParamsThenResults")]
pub struct FuncType {
    /// Parameters, then results.
    types: Arc<[ValType]>,
    params: u32,
}

/// A function type as artifacts have it.
#[derive(Serialize, Deserialize)]
struct ParamsThenResults {
    types: Vec<ValType>,
    params: u32,
}

impl TryFrom<ParamsThenResults> for FuncType {
    type Error = &'static str;

    fn try_from(ParamsThenResults { types, params }: ParamsThenResults) -> Result<Self, Self::Error> {
        let fits = params as usize <= types.len();
        if fits { Ok(Self { types: types.into(), params }) } else { Err("a function has more parameters than types") }
    }
}

impl From<FuncType> for ParamsThenResults {
    fn from(ty: FuncType) -> Self {
        Self { types: ty.types.to_vec(), params: ty.params }
    }
}

/// See [`FuncType::as_crossed`].
fn crossed(ty: ValType) -> ValType {
    match ty {
        ValType::Ref(ty) if ty != RefType::null_or(ty.top()) => ValType::Ref(RefType::non_null(ty.top())),
        other => other,
    }
}

impl FuncType {
    /// A function type with these parameters and results.
    pub fn new(params: impl IntoIterator<Item = ValType>, results: impl IntoIterator<Item = ValType>) -> Self {
        let mut types: Vec<ValType> = params.into_iter().collect();
        let params = types.len() as u32;
        types.extend(results);
        Self { types: types.into(), params }
    }

    /// Parameter types, in order.
    #[inline]
    pub fn params(&self) -> &[ValType] {
        &self.types[..self.params as usize]
    }

    /// Result types, in order.
    #[inline]
    pub fn results(&self) -> &[ValType] {
        &self.types[self.params as usize..]
    }

    /// The type of functions that the code between host and guest is the same for: it makes a difference between numbers, references that may
    /// be any of a hierarchy, and others, which the runtime looks at.
    pub fn as_crossed(&self) -> FuncType {
        FuncType { types: self.types.iter().copied().map(crossed).collect(), params: self.params }
    }

    /// Whether that is this type.
    pub fn crosses_as(&self, other: &FuncType) -> bool {
        self.params == other.params && self.types.iter().copied().map(crossed).eq(other.types.iter().copied())
    }

    /// Parameters, then results.
    pub fn values(&self) -> &[ValType] {
        &self.types
    }

    /// The same with other numbers for the declared types that it names.
    pub fn try_map<E>(&self, map: &mut impl FnMut(TypeId) -> Result<TypeId, E>) -> Result<FuncType, E> {
        if self.types.iter().all(|ty| ty.concrete().is_none()) {
            return Ok(self.clone());
        }
        let types = self.types.iter().map(|ty| ty.try_map(map)).collect::<Result<_, E>>()?;
        Ok(FuncType { types, params: self.params })
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |tys: &[ValType]| tys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        f.write_str("(func")?;
        if !self.params().is_empty() {
            write!(f, " (param {})", list(self.params()))?;
        }
        if !self.results().is_empty() {
            write!(f, " (result {})", list(self.results()))?;
        }
        f.write_str(")")
    }
}

/// The type of a tag: the fields of its exceptions.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct TagType {
    /// The function type whose parameters are the fields. Without results, or no exception can have it.
    pub func: FuncType,
}

impl TagType {
    /// The types of the fields.
    pub fn fields(&self) -> &[ValType] {
        self.func.params()
    }

    /// Refuses a type that no exception can have.
    ///
    /// # Errors
    /// The reason, in words that embedders see.
    pub fn check(&self) -> Result<(), String> {
        if self.func.results().is_empty() {
            return Ok(());
        }
        Err("Cannot create an exception type from a tag type with results in the signature".to_string())
    }
}

/// What a field of a struct, or an element of an array, is kept as (core spec, section 2.3.9).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum StorageType {
    /// The low 8 bits of an `i32`.
    I8,
    /// The low 16 bits of an `i32`.
    I16,
    /// A value as it is.
    Val(ValType),
}

impl StorageType {
    /// The type of the value that is put in and taken out.
    pub fn unpacked(self) -> ValType {
        match self {
            StorageType::I8 | StorageType::I16 => ValType::I32,
            StorageType::Val(ty) => ty,
        }
    }

    /// The same with another number for the declared type, if it names one.
    pub fn try_map<E>(self, map: &mut impl FnMut(TypeId) -> Result<TypeId, E>) -> Result<StorageType, E> {
        Ok(match self {
            StorageType::Val(ty) => StorageType::Val(ty.try_map(map)?),
            packed => packed,
        })
    }

    /// Whether every content of this type is one of `other`.
    pub fn matches(self, other: StorageType, types: &(impl Subtyping + ?Sized)) -> bool {
        match (self, other) {
            (StorageType::Val(ty), StorageType::Val(other)) => ty.matches(other, types),
            _ => self == other,
        }
    }
}

/// The type of a field of a struct, or of the elements of an array.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FieldType {
    /// What it holds.
    pub storage: StorageType,
    /// Whether it may change.
    pub mutable: bool,
}

impl FieldType {
    /// The same with another number for the declared type, if it names one.
    pub fn try_map<E>(self, map: &mut impl FnMut(TypeId) -> Result<TypeId, E>) -> Result<FieldType, E> {
        Ok(FieldType { storage: self.storage.try_map(map)?, ..self })
    }

    /// Whether a field of this type may be where one of `other` is expected (core spec, section 3.3.9).
    pub fn matches(self, other: FieldType, types: &(impl Subtyping + ?Sized)) -> bool {
        let same = || self.storage.matches(other.storage, types) && other.storage.matches(self.storage, types);
        self.mutable == other.mutable && if self.mutable { same() } else { self.storage.matches(other.storage, types) }
    }
}

/// The type of a struct. A clone shares its fields with the original.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StructType {
    /// The fields, in order.
    pub fields: Arc<[FieldType]>,
}

/// The type of an array.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ArrayType {
    /// The elements.
    pub element: FieldType,
}

/// What a declared type is of (core spec, section 2.3.10).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CompositeType {
    /// Functions.
    Func(FuncType),
    /// Structs.
    Struct(StructType),
    /// Arrays.
    Array(ArrayType),
}

/// A declared type (core spec, section 2.3.11).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SubType {
    /// Whether it has no sub-types but itself.
    pub is_final: bool,
    /// The type that it is declared as a sub-type of.
    pub supertype: Option<TypeId>,
    /// What it is of.
    pub composite: CompositeType,
}

/// A struct type as artifacts have it.
impl Serialize for StructType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields[..].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StructType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(StructType { fields: Vec::deserialize(deserializer)?.into() })
    }
}

impl From<FuncType> for SubType {
    /// The type as it is declared where nothing is said of sub-types.
    fn from(ty: FuncType) -> Self {
        SubType { is_final: true, supertype: None, composite: CompositeType::Func(ty) }
    }
}

impl CompositeType {
    /// Whether a type of this may be declared as a sub-type of one of `other` (core spec, section 3.3.11).
    pub fn matches(&self, other: &CompositeType, types: &(impl Subtyping + ?Sized)) -> bool {
        let all = |subs: &[ValType], sups: &[ValType]| {
            subs.len() == sups.len() && subs.iter().zip(sups).all(|(sub, &sup)| sub.matches(sup, types))
        };
        match (self, other) {
            (CompositeType::Func(sub), CompositeType::Func(sup)) => {
                all(sup.params(), sub.params()) && all(sub.results(), sup.results())
            }
            (CompositeType::Struct(sub), CompositeType::Struct(sup)) => {
                sub.fields.len() >= sup.fields.len()
                    && sub.fields.iter().zip(&sup.fields[..]).all(|(sub, &sup)| sub.matches(sup, types))
            }
            (CompositeType::Array(sub), CompositeType::Array(sup)) => sub.element.matches(sup.element, types),
            _ => false,
        }
    }

    /// The heap type of references to what is of this type, whose number is `id`.
    pub fn heap_type(&self, id: TypeId) -> HeapType {
        match self {
            CompositeType::Func(_) => HeapType::ConcreteFunc(id),
            CompositeType::Struct(_) => HeapType::ConcreteStruct(id),
            CompositeType::Array(_) => HeapType::ConcreteArray(id),
        }
    }
}

impl SubType {
    /// The function type, if it is one.
    pub fn as_func(&self) -> Option<&FuncType> {
        match &self.composite {
            CompositeType::Func(ty) => Some(ty),
            _ => None,
        }
    }

    /// The struct type, if it is one.
    pub fn as_struct(&self) -> Option<&StructType> {
        match &self.composite {
            CompositeType::Struct(ty) => Some(ty),
            _ => None,
        }
    }

    /// The array type, if it is one.
    pub fn as_array(&self) -> Option<&ArrayType> {
        match &self.composite {
            CompositeType::Array(ty) => Some(ty),
            _ => None,
        }
    }

    /// The same with other numbers for the declared types that it names.
    pub fn try_map<E>(&self, map: &mut impl FnMut(TypeId) -> Result<TypeId, E>) -> Result<SubType, E> {
        let supertype = self.supertype.map(&mut *map).transpose()?;
        let composite = match &self.composite {
            CompositeType::Func(ty) => CompositeType::Func(ty.try_map(map)?),
            CompositeType::Struct(ty)
                if ty.fields.iter().all(|field| field.storage.unpacked().concrete().is_none()) =>
            {
                CompositeType::Struct(ty.clone())
            }
            CompositeType::Struct(ty) => {
                let fields = ty.fields.iter().map(|field| field.try_map(map)).collect::<Result<_, E>>()?;
                CompositeType::Struct(StructType { fields })
            }
            CompositeType::Array(ty) => CompositeType::Array(ArrayType { element: ty.element.try_map(map)? }),
        };
        Ok(SubType { is_final: self.is_final, supertype, composite })
    }
}

/// As the text format has it, with the engine's numbers for other types.
impl fmt::Display for SubType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_final && self.supertype.is_none() {
            return self.composite.fmt(f);
        }
        f.write_str(if self.is_final { "(sub final " } else { "(sub " })?;
        if let Some(supertype) = self.supertype {
            write!(f, "(engine {}) ", supertype.0)?;
        }
        write!(f, "{})", self.composite)
    }
}

impl fmt::Display for CompositeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompositeType::Func(ty) => ty.fmt(f),
            CompositeType::Struct(ty) => {
                f.write_str("(struct")?;
                ty.fields.iter().try_for_each(|field| write!(f, " (field {field})"))?;
                f.write_str(")")
            }
            CompositeType::Array(ty) => write!(f, "(array {})", ty.element),
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let storage: &dyn fmt::Display = match &self.storage {
            StorageType::I8 => &"i8",
            StorageType::I16 => &"i16",
            StorageType::Val(ty) => ty,
        };
        if self.mutable { write!(f, "(mut {storage})") } else { storage.fmt(f) }
    }
}

/// The type of a global.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct GlobalType {
    /// The type of the content.
    pub content: ValType,
    /// Whether `global.set` is allowed.
    pub mutable: bool,
}

impl GlobalType {
    /// The same with another number for the declared type, if it names one.
    pub fn try_map<E>(self, map: &mut impl FnMut(TypeId) -> Result<TypeId, E>) -> Result<GlobalType, E> {
        Ok(GlobalType { content: self.content.try_map(map)?, ..self })
    }
}

/// The type of a table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct TableType {
    /// The type of the elements.
    pub element: RefType,
    /// Elements at creation.
    pub min: u64,
    /// Elements at most, if declared.
    pub max: Option<u64>,
    /// Whether indices are 64 bits wide (memory64 proposal).
    pub is_64: bool,
}

impl TableType {
    /// The same with another number for the declared type, if it names one.
    pub fn try_map<E>(self, map: &mut impl FnMut(TypeId) -> Result<TypeId, E>) -> Result<TableType, E> {
        Ok(TableType { element: self.element.try_map(map)?, ..self })
    }
}

/// The type of a linear memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct MemoryType {
    /// Pages at creation.
    pub min: u64,
    /// Pages at most, if declared.
    pub max: Option<u64>,
    /// Whether addresses are 64 bits wide (memory64 proposal).
    pub is_64: bool,
    /// Whether threads may share it (threads proposal).
    pub shared: bool,
    /// The binary logarithm of the page size in bytes: 16, or 0 with custom page sizes.
    pub page_size_log2: u8,
}

impl MemoryType {
    /// Bytes in a page.
    pub fn page_size(&self) -> u64 {
        1 << self.page_size_log2
    }

    /// The most bytes that the address width and the declared maximum allow; `u64::MAX` stands for 2^64.
    pub fn max_byte_len(&self) -> u64 {
        let width: u128 = if self.is_64 { 1 << 64 } else { 1 << 32 };
        let declared = self.max.map_or(width, |max| u128::from(max) << self.page_size_log2);
        u64::try_from(declared.min(width)).unwrap_or(u64::MAX)
    }

    /// Refuses a type that no memory can have. Validation does the same for those that modules declare.
    ///
    /// # Errors
    /// The reason, in words that embedders see.
    pub fn check(&self) -> Result<(), String> {
        if !matches!(self.page_size_log2, 0 | 16) {
            return Err(format!("page size must be 2**16 or 2**0, but was given 2**{}", self.page_size_log2));
        }
        if self.shared && self.max.is_none() {
            return Err("shared memories must have a maximum size".to_string());
        }
        if self.max.is_some_and(|max| max < self.min) {
            return Err("maximum page size cannot be smaller than the minimum page size".to_string());
        }
        let width = if self.is_64 { 64 } else { 32 };
        let most = 1u128 << (width - u32::from(self.page_size_log2));
        if u128::from(self.min) > most {
            return Err("minimum size is too large for this memory type's index type".to_string());
        }
        if self.max.is_some_and(|max| u128::from(max) > most) {
            return Err("maximum size is too large for this memory type's index type".to_string());
        }
        Ok(())
    }

    /// Whether the memory may have so many bytes. With 32-bit indices and pages of one byte, growth from 2^32 - 1 bytes would answer
    /// what it answers where it fails: such a memory is one byte shorter at most.
    pub fn allows_byte_len(&self, byte_len: u64) -> bool {
        self.is_64 || self.page_size_log2 != 0 || byte_len < u64::from(u32::MAX)
    }

    /// Bytes at creation, or `None` where that overflows.
    pub fn min_byte_len(&self) -> Option<u64> {
        self.min.checked_mul(self.page_size())
    }
}

/// The type of an import or export.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A table.
    Table(TableType),
    /// A linear memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
    /// A tag.
    Tag(TagType),
}

impl ExternType {
    /// The same with other numbers for the declared types that it names.
    pub fn try_map<E>(&self, map: &mut impl FnMut(TypeId) -> Result<TypeId, E>) -> Result<ExternType, E> {
        Ok(match self {
            ExternType::Func(ty) => ExternType::Func(ty.try_map(map)?),
            ExternType::Table(ty) => ExternType::Table(ty.try_map(map)?),
            ExternType::Memory(ty) => ExternType::Memory(*ty),
            ExternType::Global(ty) => ExternType::Global(ty.try_map(map)?),
            ExternType::Tag(ty) => ExternType::Tag(TagType { func: ty.func.try_map(map)? }),
        })
    }
}

impl fmt::Display for ExternType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = |min: u64, max: Option<u64>| match max {
            Some(max) => format!("{min} {max}"),
            None => format!("{min}"),
        };
        match self {
            ExternType::Func(ty) => ty.fmt(f),
            ExternType::Table(ty) => {
                let width = if ty.is_64 { "i64 " } else { "" };
                write!(f, "(table {width}{} {})", limits(ty.min, ty.max), ty.element)
            }
            ExternType::Memory(ty) => {
                let width = if ty.is_64 { "i64 " } else { "" };
                let shared = if ty.shared { " shared" } else { "" };
                write!(f, "(memory {width}{}{shared}", limits(ty.min, ty.max))?;
                if ty.page_size_log2 != 16 {
                    write!(f, " (pagesize {:#x})", ty.page_size())?;
                }
                f.write_str(")")
            }
            ExternType::Global(ty) if ty.mutable => write!(f, "(global (mut {}))", ty.content),
            ExternType::Global(ty) => write!(f, "(global {})", ty.content),
            ExternType::Tag(ty) => {
                f.write_str("(tag")?;
                if !ty.fields().is_empty() {
                    f.write_str(" (param")?;
                    ty.fields().iter().try_for_each(|field| write!(f, " {field}"))?;
                    f.write_str(")")?;
                }
                f.write_str(")")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types 0 and 1 are of functions, 2 and 3 of structs, 4 and 5 of arrays; of each two the second is a sub-type of the first.
    struct Pairs;

    impl Subtyping for Pairs {
        fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
            sub == sup || (sub.0 == sup.0 + 1 && sup.0.is_multiple_of(2))
        }
    }

    const ALL: [HeapType; 20] = [
        HeapType::Func,
        HeapType::Extern,
        HeapType::NoFunc,
        HeapType::NoExtern,
        HeapType::Any,
        HeapType::Eq,
        HeapType::I31,
        HeapType::Struct,
        HeapType::Array,
        HeapType::None,
        HeapType::Exn,
        HeapType::NoExn,
        HeapType::ConcreteFunc(TypeId(0)),
        HeapType::ConcreteFunc(TypeId(1)),
        HeapType::ConcreteStruct(TypeId(2)),
        HeapType::ConcreteStruct(TypeId(3)),
        HeapType::ConcreteArray(TypeId(4)),
        HeapType::ConcreteArray(TypeId(5)),
        HeapType::ConcreteExn(TypeId(6)),
        HeapType::ConcreteExn(TypeId(8)),
    ];

    #[test]
    fn matching_is_an_order_with_a_top_and_a_bottom_in_each_hierarchy() {
        let matches = |a: HeapType, b: HeapType| a.matches(b, &Pairs);
        for a in ALL {
            assert!(matches(a, a) && matches(a, a.top()) && matches(a.bottom(), a), "{a}");
            for b in ALL {
                assert!(!(matches(a, b) && matches(b, a)) || a == b, "{a} and {b} match each other");
                assert!(!matches(a, b) || a.top() == b.top());
                for c in ALL {
                    assert!(!(matches(a, b) && matches(b, c)) || matches(a, c), "{a} {b} {c}");
                }
            }
        }
        assert!(matches(HeapType::I31, HeapType::Eq) && !matches(HeapType::I31, HeapType::Struct));
        assert!(!matches(HeapType::Any, HeapType::Eq) && !matches(HeapType::None, HeapType::Func));
        assert!(matches(ALL[15], ALL[14]) && matches(ALL[14], HeapType::Eq) && !matches(ALL[14], ALL[15]));
        assert!(matches(ALL[13], ALL[12]) && !matches(ALL[16], HeapType::Struct));
    }

    #[test]
    fn null_is_of_nullable_types_alone() {
        let (null_or, non_null) = (RefType::null_or(HeapType::Eq), RefType::non_null(HeapType::I31));
        assert!(non_null.matches(null_or, &Pairs) && !null_or.matches(non_null, &Pairs));
        assert!(non_null.matches(RefType::non_null(HeapType::Eq), &Pairs));
        assert!(!RefType::null_or(HeapType::I31).matches(RefType::non_null(HeapType::Eq), &Pairs));
        assert_eq!(non_null.to_string(), "(ref i31)");
        assert_eq!(RefType::null_or(HeapType::ConcreteArray(TypeId(4))).to_string(), "(ref null array (engine 4))");
    }

    #[test]
    fn fields_that_change_are_of_one_type() {
        let field =
            |heap, mutable| FieldType { storage: StorageType::Val(ValType::Ref(RefType::null_or(heap))), mutable };
        assert!(field(HeapType::I31, false).matches(field(HeapType::Eq, false), &Pairs));
        assert!(!field(HeapType::I31, true).matches(field(HeapType::Eq, true), &Pairs));
        assert!(field(HeapType::Eq, true).matches(field(HeapType::Eq, true), &Pairs));
        assert!(!field(HeapType::Eq, true).matches(field(HeapType::Eq, false), &Pairs));
    }

    #[test]
    fn a_declared_type_is_shown_as_it_is_declared() {
        let shown = |is_final, supertype, composite| SubType { is_final, supertype, composite }.to_string();
        let func = CompositeType::Func(FuncType::new([ValType::I32], []));
        assert_eq!(shown(true, None, func.clone()), "(func (param i32))");
        assert_eq!(shown(false, None, func.clone()), "(sub (func (param i32)))");
        assert_eq!(shown(false, Some(TypeId(17)), func.clone()), "(sub (engine 17) (func (param i32)))");
        assert_eq!(shown(true, Some(TypeId(17)), func), "(sub final (engine 17) (func (param i32)))");
        let field = |storage, mutable| FieldType { storage, mutable };
        let fields = [field(StorageType::I8, false), field(StorageType::Val(ValType::ANYREF), true)];
        let structs = CompositeType::Struct(StructType { fields: fields.into() });
        assert_eq!(shown(true, None, structs), "(struct (field i8) (field (mut (ref null any))))");
        let element = field(StorageType::I16, true);
        assert_eq!(shown(true, None, CompositeType::Array(ArrayType { element })), "(array (mut i16))");
    }

    #[test]
    fn a_tag_is_shown_with_its_fields_and_has_no_results() {
        let tag = TagType { func: FuncType::new([ValType::I32, ValType::EXTERNREF], []) };
        assert_eq!(ExternType::Tag(tag.clone()).to_string(), "(tag (param i32 externref))");
        assert!(tag.check().is_ok());
        assert!(TagType { func: FuncType::new([], [ValType::I32]) }.check().is_err());
    }
}
