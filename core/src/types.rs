//! WebAssembly's types, as the spec names them (core spec, section 2.3).
//!
//! These are structural: two function types of one shape are equal wherever they were declared. The engine interns them
//! so that the comparison at run time is one pointer compare.

use serde::{Deserialize, Serialize};
use std::fmt;

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
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RefType {
    /// `funcref`: null or a function.
    Func,
    /// `externref`: null or a value of the host.
    Extern,
}

impl ValType {
    /// `funcref`.
    pub const FUNCREF: ValType = ValType::Ref(RefType::Func);
    /// `externref`.
    pub const EXTERNREF: ValType = ValType::Ref(RefType::Extern);

    /// Whether values of this type are references.
    pub fn is_ref(self) -> bool {
        matches!(self, ValType::Ref(_))
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
        })
    }
}

/// The type of a function.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FuncType {
    params: Box<[ValType]>,
    results: Box<[ValType]>,
}

impl FuncType {
    /// A function type with these parameters and results.
    pub fn new(params: impl IntoIterator<Item = ValType>, results: impl IntoIterator<Item = ValType>) -> Self {
        Self { params: params.into_iter().collect(), results: results.into_iter().collect() }
    }

    /// Parameter types, in order.
    pub fn params(&self) -> &[ValType] {
        &self.params
    }

    /// Result types, in order.
    pub fn results(&self) -> &[ValType] {
        &self.results
    }

    /// Whether a reference crosses in either direction.
    pub fn has_refs(&self) -> bool {
        self.params.iter().chain(&*self.results).any(|ty| ty.is_ref())
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |tys: &[ValType]| tys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        f.write_str("(func")?;
        if !self.params.is_empty() {
            write!(f, " (param {})", list(&self.params))?;
        }
        if !self.results.is_empty() {
            write!(f, " (result {})", list(&self.results))?;
        }
        f.write_str(")")
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
        }
    }
}
