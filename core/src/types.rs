//! WebAssembly's types, as the spec names them (core spec, section 2.3).
//!
//! These are structural: two function types of one shape are equal wherever they were declared. The engine interns them
//! so that the comparison at run time is one pointer compare.

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

/// The type of a reference. Only nullable references to abstract heap types exist until typed function references do.
///
/// Guest code holds `funcref` and `externref` alone so far ([`RefType::runs`]); the others are for the host's own use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RefType {
    /// `funcref`: null or a function.
    Func,
    /// `externref`: null or a value of the host.
    Extern,
    /// `nullfuncref`: null alone.
    NoFunc,
    /// `nullexternref`: null alone.
    NoExtern,
    /// `anyref`: null, or whatever the guest's heap holds.
    Any,
    /// `eqref`: null, or what can be compared: structs, arrays and 31-bit integers.
    Eq,
    /// `i31ref`: null or a 31-bit integer.
    I31,
    /// `structref`: null or a struct.
    Struct,
    /// `arrayref`: null or an array.
    Array,
    /// `nullref`: null alone.
    None,
    /// `exnref`: null or an exception.
    Exn,
    /// `nullexnref`: null alone.
    NoExn,
}

impl RefType {
    /// The largest type with references of this kind: the top of its hierarchy.
    pub fn top(self) -> RefType {
        match self {
            RefType::Func | RefType::NoFunc => RefType::Func,
            RefType::Extern | RefType::NoExtern => RefType::Extern,
            RefType::Any | RefType::Eq | RefType::I31 | RefType::Struct | RefType::Array | RefType::None => {
                RefType::Any
            }
            RefType::Exn | RefType::NoExn => RefType::Exn,
        }
    }

    /// The type with null alone: the bottom of its hierarchy.
    pub fn bottom(self) -> RefType {
        match self.top() {
            RefType::Func => RefType::NoFunc,
            RefType::Extern => RefType::NoExtern,
            RefType::Exn => RefType::NoExn,
            _ => RefType::None,
        }
    }

    /// Whether every reference of this type is one of `other` (core spec, "matching").
    pub fn matches(self, other: RefType) -> bool {
        self == other
            || self.top() == other
            || (self.top() == other.top() && self == self.bottom())
            || (other == RefType::Eq && matches!(self, RefType::I31 | RefType::Struct | RefType::Array))
    }

    /// Whether functions, globals and tables may have this type: whether guest code knows its references.
    pub fn runs(self) -> bool {
        matches!(self, RefType::Func | RefType::Extern)
    }
}

impl ValType {
    /// `funcref`.
    pub const FUNCREF: ValType = ValType::Ref(RefType::Func);
    /// `externref`.
    pub const EXTERNREF: ValType = ValType::Ref(RefType::Extern);
    /// `anyref`.
    pub const ANYREF: ValType = ValType::Ref(RefType::Any);
    /// `exnref`.
    pub const EXNREF: ValType = ValType::Ref(RefType::Exn);

    /// Whether values of this type are references.
    pub fn is_ref(self) -> bool {
        matches!(self, ValType::Ref(_))
    }

    /// Whether every value of this type is one of `other`.
    pub fn matches(self, other: ValType) -> bool {
        match (self, other) {
            (ValType::Ref(ty), ValType::Ref(other)) => ty.matches(other),
            _ => self == other,
        }
    }

    /// Refuses the types that guest code doesn't know; see [`RefType::runs`].
    ///
    /// # Errors
    /// The reason, in words that embedders see.
    pub fn check_runs(self) -> Result<(), String> {
        match self {
            ValType::Ref(ty) if !ty.runs() => Err(format!("unsupported: the reference type {ty}")),
            _ => Ok(()),
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

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RefType::Func => "funcref",
            RefType::Extern => "externref",
            RefType::NoFunc => "nullfuncref",
            RefType::NoExtern => "nullexternref",
            RefType::Any => "anyref",
            RefType::Eq => "eqref",
            RefType::I31 => "i31ref",
            RefType::Struct => "structref",
            RefType::Array => "arrayref",
            RefType::None => "nullref",
            RefType::Exn => "exnref",
            RefType::NoExn => "nullexnref",
        })
    }
}

/// The type of a function. A clone shares its lists with the original: a module may have a million equal types.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "ParamsAndResults", into = "ParamsAndResults")]
pub struct FuncType {
    /// Parameters, then results.
    types: Arc<[ValType]>,
    params: u32,
}

/// A function type as artifacts have it.
#[derive(Serialize, Deserialize)]
struct ParamsAndResults {
    params: Vec<ValType>,
    results: Vec<ValType>,
}

impl From<ParamsAndResults> for FuncType {
    fn from(lists: ParamsAndResults) -> Self {
        Self::new(lists.params, lists.results)
    }
}

impl From<FuncType> for ParamsAndResults {
    fn from(ty: FuncType) -> Self {
        Self { params: ty.params().to_vec(), results: ty.results().to_vec() }
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

    /// Refuses a type with values that guest code doesn't know; see [`RefType::runs`].
    ///
    /// # Errors
    /// The reason, in words that embedders see.
    pub fn check_runs(&self) -> Result<(), String> {
        self.types.iter().try_for_each(|ty| ty.check_runs())
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

/// What a field of a struct, or an element of an array, is kept as.
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
}

/// The type of a field of a struct, or of the elements of an array.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FieldType {
    /// What it holds.
    pub storage: StorageType,
    /// Whether it may change.
    pub mutable: bool,
}

/// The type of a struct.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct StructType {
    /// The fields, in order.
    pub fields: Box<[FieldType]>,
}

/// The type of an array.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ArrayType {
    /// The elements.
    pub element: FieldType,
}

/// The type of a global.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct GlobalType {
    /// The type of the content.
    pub content: ValType,
    /// Whether `global.set` is allowed.
    pub mutable: bool,
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

    const ALL: [RefType; 12] = [
        RefType::Func,
        RefType::Extern,
        RefType::NoFunc,
        RefType::NoExtern,
        RefType::Any,
        RefType::Eq,
        RefType::I31,
        RefType::Struct,
        RefType::Array,
        RefType::None,
        RefType::Exn,
        RefType::NoExn,
    ];

    #[test]
    fn matching_is_an_order_with_a_top_and_a_bottom_in_each_hierarchy() {
        for a in ALL {
            assert!(a.matches(a) && a.matches(a.top()) && a.bottom().matches(a), "{a}");
            for b in ALL {
                assert!(!(a.matches(b) && b.matches(a)) || a == b, "{a} and {b} match each other");
                for c in ALL {
                    assert!(!(a.matches(b) && b.matches(c)) || a.matches(c), "{a} {b} {c}");
                }
            }
        }
        assert!(RefType::I31.matches(RefType::Eq) && !RefType::I31.matches(RefType::Struct));
        assert!(!RefType::Any.matches(RefType::Eq) && !RefType::None.matches(RefType::Func));
    }

    #[test]
    fn what_guest_code_does_not_know_is_refused_by_name() {
        let refused = FuncType::new([ValType::I32], [ValType::EXNREF]).check_runs();
        assert_eq!(refused.unwrap_err(), "unsupported: the reference type exnref");
        assert!(FuncType::new([ValType::FUNCREF, ValType::EXTERNREF], [ValType::V128]).check_runs().is_ok());
    }

    #[test]
    fn a_tag_is_shown_with_its_fields_and_has_no_results() {
        let tag = TagType { func: FuncType::new([ValType::I32, ValType::EXTERNREF], []) };
        assert_eq!(ExternType::Tag(tag.clone()).to_string(), "(tag (param i32 externref))");
        assert!(tag.check().is_ok());
        assert!(TagType { func: FuncType::new([], [ValType::I32]) }.check().is_err());
    }
}
