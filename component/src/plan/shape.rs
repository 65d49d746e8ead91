//! How values of a type lie in C's memory: as in a guest's (Canonical ABI, "Alignment", "Element Size"), but that strings and lists are a pointer
//! and a length of C's.

use crate::types::ValType;
use crate::types::layout::{Layout, discriminant_size};
use ampoule::Error;

/// Pointer and length, of strings and lists in C.
const PAIR: Layout = Layout { size: 16, align: 8 };

/// A type, as a plan sees it.
pub(super) struct Shape {
    pub(super) node: Node,
    /// In C's memory.
    pub(super) c: Layout,
    /// In a guest's.
    pub(super) guest: Layout,
    /// Whether both have the same bytes, all of which count, and any of which are a value.
    pub(super) is_plain: bool,
}

pub(super) enum Node {
    /// A number, or of narrow signed ones how they are extended to 32 bits.
    Number {
        signed_bits: Option<u32>,
    },
    Bool,
    Char,
    /// Bits that there are.
    Flags {
        mask: u32,
    },
    String,
    List(Box<Shape>),
    /// A record or a tuple.
    Fields(Box<[Field]>),
    /// A variant, an option, a result or an enum.
    Cases {
        discriminant: u32,
        c_payload: u32,
        guest_payload: u32,
        joined: usize,
        cases: Box<[Option<Shape>]>,
    },
}

pub(super) struct Field {
    pub(super) c_offset: u32,
    pub(super) guest_offset: u32,
    pub(super) shape: Shape,
}

impl Shape {
    /// # Errors
    /// Of types that plans have no memory for.
    pub(super) fn of(ty: &ValType) -> Result<Shape, Error> {
        let guest = ty.layout();
        let scalar = |node, is_plain| Ok(Shape { node, c: guest, guest, is_plain });
        match ty {
            ValType::S8 => scalar(Node::Number { signed_bits: Some(8) }, true),
            ValType::S16 => scalar(Node::Number { signed_bits: Some(16) }, true),
            ValType::U8
            | ValType::U16
            | ValType::S32
            | ValType::U32
            | ValType::S64
            | ValType::U64
            | ValType::F32
            | ValType::F64 => scalar(Node::Number { signed_bits: None }, true),
            ValType::Bool => scalar(Node::Bool, false),
            ValType::Char => scalar(Node::Char, false),
            ValType::Flags(flags) => {
                let mask = u32::MAX.checked_shr(32 - flags.names().len().min(32) as u32).unwrap_or(0);
                scalar(Node::Flags { mask }, false)
            }
            ValType::String => Ok(Shape { node: Node::String, c: PAIR, guest, is_plain: false }),
            ValType::List(list) => {
                let element = Box::new(Shape::of(list.element())?);
                Ok(Shape { node: Node::List(element), c: PAIR, guest, is_plain: false })
            }
            ValType::Record(record) => Shape::fields(record.fields().iter().map(|field| &field.ty)),
            ValType::Tuple(tuple) => Shape::fields(tuple.types().iter()),
            ValType::Enum(names) => Shape::cases(ty, (0..names.names().len()).map(|_| None)),
            ValType::Variant(variant) => Shape::cases(ty, variant.cases().iter().map(|case| case.ty.as_ref())),
            ValType::Option(option) => Shape::cases(ty, [None, Some(option.ty())].into_iter()),
            ValType::Result(result) => Shape::cases(ty, [result.ok(), result.err()].into_iter()),
            other => Err(Error::message(format!("a plan has no {}", other.name()))),
        }
    }

    /// # Errors
    /// As [`Shape::of`].
    pub(super) fn fields<'t>(types: impl Iterator<Item = &'t ValType>) -> Result<Shape, Error> {
        let shapes = types.map(Shape::of).collect::<Result<Vec<Shape>, Error>>()?;
        let (c, c_offsets) = Layout::fields(shapes.iter().map(|shape| shape.c));
        let (guest, guest_offsets) = Layout::fields(shapes.iter().map(|shape| shape.guest));
        let is_full = shapes.iter().map(|shape| shape.guest.size).sum::<u32>() == guest.size;
        let is_plain = is_full && shapes.iter().all(|shape| shape.is_plain);
        let offsets = c_offsets.into_iter().zip(guest_offsets);
        let fields =
            offsets.zip(shapes).map(|((c_offset, guest_offset), shape)| Field { c_offset, guest_offset, shape });
        Ok(Shape { node: Node::Fields(fields.collect()), c, guest, is_plain })
    }

    fn cases<'t>(ty: &ValType, payloads: impl Iterator<Item = Option<&'t ValType>>) -> Result<Shape, Error> {
        let cases = payloads.map(|payload| payload.map(Shape::of).transpose()).collect::<Result<Box<[_]>, Error>>()?;
        let layout = |of: fn(&Shape) -> Layout| Layout::cases(cases.len(), cases.iter().flatten().map(of));
        let (c, _, c_payload) = layout(|shape| shape.c);
        let (guest, discriminant, guest_payload) = layout(|shape| shape.guest);
        debug_assert_eq!((guest, discriminant), (ty.layout(), discriminant_size(cases.len())));
        let joined = ty.joined().map_or(0, <[_]>::len);
        let node = Node::Cases { discriminant, c_payload, guest_payload, joined, cases };
        Ok(Shape { node, c, guest, is_plain: false })
    }
}
