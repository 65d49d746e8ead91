//! What a snapshot says of its instances, in words that mean the same in every store and process: nothing here is an address, a handle, or a
//! number of a store's or an engine's.
//!
//! Whatever is named is named by an instance of the snapshot and an index of its module, so that imports can be named as well. Those
//! indices are compared with the modules once ([`State::check`]); behind that point they are relied on.

use ampoule_core::index::{FuncIndex, TagIndex, TypeIndex};
use ampoule_core::types::{GlobalType, MemoryType, TableType};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// In the order in which they are made: an instance imports from those before it.
    pub(super) instances: Vec<InstanceState>,
    /// For each instance that [`super::Snapshot::take`] was given, in its order, which of `instances` it is.
    pub(super) order: Vec<u32>,
    pub(super) memories: Vec<OfHost<MemoryType, MemoryState>>,
    pub(super) tables: Vec<OfHost<TableType, TableState>>,
    pub(super) globals: Vec<OfHost<GlobalType, Value>>,
    /// Tags of the host, by the types that they are declared as.
    pub(super) tags: Vec<OfHost<TypeIndex, ()>>,
    pub(super) objects: Objects,
}

/// One instance. What it has of each is counted without what it imports.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct InstanceState {
    /// Which of the snapshot's modules.
    pub(super) module: u32,
    /// Where each import comes from.
    pub(super) imports: Vec<Source>,
    pub(super) memories: Vec<MemoryState>,
    pub(super) tables: Vec<TableState>,
    pub(super) globals: Vec<Value>,
    pub(super) dropped_elems: Box<[bool]>,
    pub(super) dropped_datas: Box<[bool]>,
    /// The elements of passive segments that are objects, by segment.
    pub(super) made_elems: Vec<(u32, Vec<Reference>)>,
}

/// Where an import comes from. Its kind is the import's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Source {
    /// From outside of the snapshot.
    Outside,
    /// The item at this index of an instance before the one that imports it.
    Instance(u32, u32),
    /// Which of the memories, tables, globals or tags that the host made and the snapshot has.
    Host(u32),
}

/// Something that the host made and instances import.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OfHost<Type, Content> {
    /// The first instance that imports it, and its index there.
    pub(super) place: (u32, u32),
    /// The type. Declared types are named as by the module of that number.
    pub(super) ty: Type,
    pub(super) module: u32,
    pub(super) content: Content,
}

/// A memory.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MemoryState {
    pub(super) pages: u64,
    /// Which of the snapshot's images; all zeros without one.
    pub(super) image: Option<u32>,
}

/// A table. What is not named is null.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TableState {
    pub(super) len: u64,
    /// Functions of one instance, and which of the snapshot's lists they are: made when they are looked at.
    pub(super) lazy: Option<(u32, u32)>,
    /// All others, by index, ascending.
    pub(super) elements: Vec<(u32, Value)>,
}

/// A value of a known type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Value {
    /// All bytes of a number or vector.
    Bits(u128),
    Func(Option<Function>),
    Object(Reference),
}

/// A function of an instance, or one that it imports.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Function {
    pub(super) instance: u32,
    pub(super) func: FuncIndex,
}

/// A reference that is collected: null is zero, a 31-bit integer is as guests have it, and of objects it is the number plus one, times eight.
pub(super) type Reference = u32;

/// What a reference to an object is, by its number.
pub(super) fn reference_to(object: u32) -> Reference {
    (object + 1) << 3
}

/// The number of the object that a reference is to, which out of a file may be that of none; `None` for null and integers.
pub(super) fn referred(reference: Reference) -> Option<usize> {
    (reference != 0 && reference & 1 == 0).then(|| ((reference >> 3) as usize).wrapping_sub(1))
}

/// Objects there can be: a heap has 4 GiB.
pub(super) const MOST_OBJECTS: u32 = (1 << 29) - 1;

/// The objects that instances can reach.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Objects {
    pub(super) kinds: Vec<ObjectKind>,
    /// Which kind each is of, and its bytes, a multiple of 8.
    pub(super) list: Vec<(u32, u32)>,
    /// The bytes of one behind the other, with [`Reference`]s in them. The type's word is zero, and so is the number of an exception's tag.
    #[serde(skip)]
    pub(super) bytes: Vec<u8>,
    /// References to functions in objects: the object, an offset in it, and the function.
    pub(super) functions: Vec<(u32, u32, Function)>,
    /// For each value of the host, in the order of `list`, what the embedder knows it by.
    pub(super) hosts: Vec<u64>,
}

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) enum ObjectKind {
    /// A struct or an array of a type that one of the modules declares.
    Declared(u32, TypeIndex),
    /// An exception with the tag at this index of an instance.
    Exception(u32, TagIndex),
    /// A value of the host.
    Host,
}
