//! How values lie in linear memory, and as which core values they are passed (Canonical ABI, "Alignment", "Element Size",
//! "Flattening").

use crate::types::val::ValType;

/// A core type that a value, or a part of one, is passed as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // The names of core types.
pub enum CoreType {
    I32,
    I64,
    F32,
    F64,
}

impl CoreType {
    /// The type that carries values of either: what a variant's cases have in common.
    pub fn join(self, other: CoreType) -> CoreType {
        match (self, other) {
            (a, b) if a == b => a,
            (CoreType::I32, CoreType::F32) | (CoreType::F32, CoreType::I32) => CoreType::I32,
            _ => CoreType::I64,
        }
    }

    /// The same in the engine's terms.
    pub fn val_type(self) -> ampoule::ValType {
        match self {
            CoreType::I32 => ampoule::ValType::I32,
            CoreType::I64 => ampoule::ValType::I64,
            CoreType::F32 => ampoule::ValType::F32,
            CoreType::F64 => ampoule::ValType::F64,
        }
    }
}

/// Size and alignment of a value in linear memory, in bytes. The validator bounds sizes by 2²⁸.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// A multiple of the alignment.
    pub size: u32,
    /// A power of two, at most 8.
    pub align: u32,
}

impl Layout {
    /// A scalar of so many bytes.
    pub const fn scalar(size: u32) -> Layout {
        Layout { size, align: size }
    }

    /// Pointer and length, of strings and lists.
    pub const PAIR: Layout = Layout { size: 8, align: 4 };

    /// Fields one after another; gives also where each is.
    pub fn fields(types: impl Iterator<Item = Layout>) -> (Layout, Box<[u32]>) {
        let (mut size, mut align) = (0u32, 1);
        let offsets = types
            .map(|field| {
                let offset = align_to(size, field.align);
                size = offset.saturating_add(field.size);
                align = align.max(field.align);
                offset
            })
            .collect();
        (Layout { size: align_to(size, align), align }, offsets)
    }

    /// A discriminant and room for the largest of the cases; gives also the discriminant's size and where the payload is.
    pub fn cases(count: usize, payloads: impl Iterator<Item = Layout>) -> (Layout, u32, u32) {
        let discriminant = discriminant_size(count);
        let (size, align) = payloads.fold((0, 1), |(size, align), case| (case.size.max(size), case.align.max(align)));
        let payload = align_to(discriminant, align);
        let align = align.max(discriminant);
        (Layout { size: align_to(payload.saturating_add(size), align), align }, discriminant, payload)
    }
}

/// The bytes of the discriminant of so many cases.
pub fn discriminant_size(count: usize) -> u32 {
    match count {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Rounds up to a power of two.
pub fn align_to(offset: u32, align: u32) -> u32 {
    offset.saturating_add(align - 1) & !(align - 1)
}

/// The core values of a list of types, as long as they are few.
pub struct Flat {
    types: Vec<CoreType>,
    most: usize,
}

impl Flat {
    /// The core values of `types` in order; `None` where they are more than `most`.
    pub fn of<'a>(types: impl IntoIterator<Item = &'a ValType>, most: usize) -> Option<Box<[CoreType]>> {
        let mut flat = Flat { types: Vec::new(), most };
        types.into_iter().all(|ty| flat.push(ty)).then(|| flat.types.into())
    }

    fn push_core(&mut self, ty: CoreType) -> bool {
        self.types.push(ty);
        self.types.len() <= self.most
    }

    fn push_all(&mut self, types: &[CoreType]) -> bool {
        types.iter().all(|&ty| self.push_core(ty))
    }

    fn push(&mut self, ty: &ValType) -> bool {
        match ty {
            ValType::S64 | ValType::U64 => self.push_core(CoreType::I64),
            ValType::F32 => self.push_core(CoreType::F32),
            ValType::F64 => self.push_core(CoreType::F64),
            ValType::String | ValType::List(_) | ValType::Map(_) => self.push_all(&[CoreType::I32, CoreType::I32]),
            ValType::FixedLengthList(list) => (0..list.len()).all(|_| self.push(list.element())),
            ValType::Record(record) => record.fields().iter().all(|field| self.push(&field.ty)),
            ValType::Tuple(tuple) => tuple.types().iter().all(|ty| self.push(ty)),
            ValType::Flags(flags) => (0..flags.words()).all(|_| self.push_core(CoreType::I32)),
            ValType::Variant(_) | ValType::Option(_) | ValType::Result(_) => {
                ty.joined().is_some_and(|joined| self.push_core(CoreType::I32) && self.push_all(joined))
            }
            _ => self.push_core(CoreType::I32),
        }
    }
}

/// The core values that hold the payload of any case; `None` where they are more than functions ever pass one by one.
pub fn join_cases<'a>(payloads: impl Iterator<Item = &'a ValType>) -> Option<Box<[CoreType]>> {
    let mut joined: Vec<CoreType> = Vec::new();
    for payload in payloads {
        let flat = Flat::of([payload], MAX_FLAT)?;
        for (at, &ty) in flat.iter().enumerate() {
            match joined.get_mut(at) {
                Some(have) => *have = have.join(ty),
                None => joined.push(ty),
            }
        }
    }
    Some(joined.into())
}

/// Parameters that are more core values than this are passed in memory.
pub const MAX_FLAT: usize = 16;

/// Parameters of a function that is called asynchronously and that are more core values than this are passed in memory.
pub const MAX_FLAT_ASYNC: usize = 4;

/// A result that is more core values than this is passed in memory.
pub const MAX_FLAT_RESULTS: usize = 1;
