//! The types of components: values, functions, instances. A type knows its layout in linear memory and how it is passed to core
//! functions, so that lifting and lowering compute neither.
//!
//! What is not here: where types are read from ([`crate::decode`]).

pub mod func;
pub mod item;
pub mod layout;
pub mod val;

pub use func::FuncType;
pub use item::{Attributes, ComponentType, InstanceType, ItemType, ModuleType};
pub use layout::{CoreType, Layout};
pub use val::{
    Case, EnumType, Field, FixedLengthListType, FlagsType, ListType, MapType, OptionType, RecordType, ResourceType,
    ResultType, TupleType, ValType, VariantType,
};
