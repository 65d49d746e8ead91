//! The body of a loop as what an iteration computes from what it finds at the loop's head: a graph without order, and the accesses and exits in
//! theirs.
//!
//! Sums of integers are kept as terms and a constant, so that two ways to write one are the same node. Nodes are numbered behind those that
//! they are made of.

use crate::CompileError;
use crate::operators::Properties;
use crate::optimizing::function::memory::memory_index;
use crate::optimizing::function::translator::LocalPlace;
use ampoule_core::index::MemoryIndex;
use ampoule_core::types::ValType;
use cranelift_codegen::ir::condcodes::{CondCode, FloatCC, IntCC};
use smallvec::{SmallVec, smallvec};
use std::collections::HashMap;
use wasmparser::{MemArg, Operator, OperatorsReader};

/// A node of the graph.
pub(super) type Id = u32;

/// How often a sum has which node, by the node. Nothing is in it zero times.
pub(super) type Terms = SmallVec<[(Id, u64); 2]>;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Node {
    /// What a local has at the loop's head.
    Start(u32),
    /// The bits of a float.
    Float(u64),
    /// An integer: terms, and a constant. All is modulo the type's width.
    Sum(Terms, u64),
    /// What is loaded behind so many stores.
    Load(Place, LoadKind, usize),
    Unary(Unary, Id),
    Binary(Binary, Id, Id),
    IntCompare(IntCC, Id, Id),
    FloatCompare(FloatCC, Id, Id),
    /// The first where the third isn't zero, else the second.
    Select(Id, Id, Id),
}

/// What is accessed: the memory, the address operand, the constant that is added, and how many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Place {
    pub memory: MemoryIndex,
    pub address: Id,
    pub offset: u64,
    pub size: u32,
}

/// How a load makes its value of what is in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum LoadKind {
    /// As it is, or with zeros before it.
    Zero,
    /// With copies of its sign before it.
    Sign,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Unary {
    Wrap,
    ExtendUnsigned,
    /// From so many bits.
    ExtendSigned(u32),
    Abs,
    Neg,
    Sqrt,
    /// A signed `i32` as `f32`.
    Convert,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Binary {
    Mul,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRightUnsigned,
    ShiftRightSigned,
    MinSigned,
    MaxSigned,
    MinUnsigned,
    MaxUnsigned,
    FloatAdd,
    FloatSub,
    FloatMul,
    FloatDiv,
}

/// A load or store, in the body's order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub place: Place,
    /// The load's node, or what is stored.
    pub value: Id,
    pub is_store: bool,
}

/// A conditional branch: the loop goes on where the condition is zero, or where it isn't.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Exit {
    pub condition: Id,
    pub goes_on_if: bool,
}

/// An iteration of a loop, from its head to the first branch back.
#[derive(Default)]
pub(super) struct Body {
    pub nodes: Vec<Node>,
    pub types: Vec<ValType>,
    known: HashMap<(Node, ValType), Id>,
    pub accesses: Vec<Access>,
    pub exits: Vec<Exit>,
    /// What the locals have at its end that were written, in the order in which they first were.
    pub ends: Vec<(u32, Id)>,
    /// How many of them were written before the first exit.
    pub early: usize,
    /// Units of fuel that it takes.
    pub fuel: u64,
    stack: Vec<Id>,
    stores: usize,
}

/// The bits of an integer type.
pub(super) fn mask(ty: ValType) -> u64 {
    if ty == ValType::I64 { u64::MAX } else { u32::MAX.into() }
}

/// An integer of this type, with its sign.
pub(super) fn signed(ty: ValType, number: u64) -> i64 {
    if ty == ValType::I64 { number as i64 } else { i64::from(number as u32 as i32) }
}

/// Reads the loop that begins at the reader, as long as it is one of operators that are known here, in one line. `locals` are the function's.
/// At most `max` operators are read, and counted in `read`.
pub(super) fn read(
    mut reader: OperatorsReader<'_>,
    locals: &[(LocalPlace, ValType)],
    max: usize,
    read: &mut usize,
) -> Result<Option<Body>, CompileError> {
    let mut body = Body::default();
    for _ in 0..max {
        let op = reader.read()?;
        *read += 1;
        body.fuel += u64::from(Properties::of(&op).fuel);
        match op {
            Operator::Br { relative_depth: 0 } if body.exits.is_empty() => return Ok(None),
            Operator::Br { relative_depth: 0 } => return Ok(Some(body)),
            Operator::BrIf { relative_depth } => {
                let Some(condition) = body.stack.pop() else { return Ok(None) };
                let goes_on_if = relative_depth == 0;
                if body.exits.is_empty() {
                    body.early = body.ends.len();
                }
                body.exits.push(Exit { condition, goes_on_if });
                if goes_on_if {
                    return Ok(Some(body));
                }
            }
            _ if body.operator(&op, locals).is_some() => {}
            _ => return Ok(None),
        }
    }
    Ok(None)
}

impl Body {
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    pub fn ty(&self, id: Id) -> ValType {
        self.types[id as usize]
    }

    /// The nodes that a node is made of.
    pub fn parts(&self, id: Id) -> SmallVec<[Id; 3]> {
        match *self.node(id) {
            Node::Start(_) | Node::Float(_) => smallvec![],
            Node::Sum(ref terms, _) => terms.iter().map(|&(id, _)| id).collect(),
            Node::Load(place, ..) => smallvec![place.address],
            Node::Unary(_, x) => smallvec![x],
            Node::Binary(_, x, y) | Node::IntCompare(_, x, y) | Node::FloatCompare(_, x, y) => smallvec![x, y],
            Node::Select(x, y, z) => smallvec![x, y, z],
        }
    }

    /// A node as a sum.
    pub fn sum_of(&self, id: Id) -> (Terms, u64) {
        match self.node(id) {
            Node::Sum(terms, constant) => (terms.clone(), *constant),
            _ => (smallvec![(id, 1)], 0),
        }
    }

    /// The number that an integer node is, if it is a constant.
    pub fn constant(&self, id: Id) -> Option<u64> {
        match self.node(id) {
            Node::Sum(terms, constant) if terms.is_empty() => Some(*constant),
            _ => None,
        }
    }

    /// What a local has at the loop's head, if anything asks for it.
    pub fn start(&self, local: u32, ty: ValType) -> Option<Id> {
        self.known.get(&(Node::Start(local), ty)).copied()
    }

    fn add(&mut self, node: Node, ty: ValType) -> Id {
        let (nodes, types) = (&mut self.nodes, &mut self.types);
        *self.known.entry((node, ty)).or_insert_with_key(|(node, ty)| {
            nodes.push(node.clone());
            types.push(*ty);
            nodes.len() as Id - 1
        })
    }

    fn push(&mut self, node: Node, ty: ValType) -> Option<()> {
        let id = self.add(node, ty);
        self.stack.push(id);
        Some(())
    }

    fn pop2(&mut self) -> Option<(Id, Id)> {
        let second = self.stack.pop()?;
        Some((self.stack.pop()?, second))
    }

    /// `x` and so many times `y`.
    fn sum(&mut self, x: Id, y: Id, times: u64) -> Id {
        let ty = self.ty(x);
        let (mut terms, mut constant) = self.sum_of(x);
        let (more, by) = self.sum_of(y);
        constant = constant.wrapping_add(by.wrapping_mul(times)) & mask(ty);
        for (id, count) in more {
            let count = count.wrapping_mul(times) & mask(ty);
            match terms.binary_search_by_key(&id, |term| term.0) {
                Ok(at) => terms[at].1 = terms[at].1.wrapping_add(count) & mask(ty),
                Err(at) => terms.insert(at, (id, count)),
            }
        }
        terms.retain(|term| term.1 != 0);
        match terms[..] {
            [(id, 1)] if constant == 0 => id,
            _ => self.add(Node::Sum(terms, constant), ty),
        }
    }

    fn add_or_sub(&mut self, times: u64) -> Option<()> {
        let (x, y) = self.pop2()?;
        let sum = self.sum(x, y, times);
        self.stack.push(sum);
        Some(())
    }

    fn number(&mut self, number: u64, ty: ValType) -> Id {
        self.add(Node::Sum(smallvec![], number), ty)
    }

    /// An operator on integers. Products with constants are sums.
    fn binary(&mut self, op: Binary, ty: ValType) -> Option<()> {
        let (x, y) = self.pop2()?;
        let bits = mask(ty).count_ones();
        let product = match (op, self.constant(x), self.constant(y)) {
            (Binary::Mul, _, Some(times)) => Some((x, times)),
            (Binary::Mul, Some(times), _) => Some((y, times)),
            (Binary::ShiftLeft, _, Some(by)) => Some((x, 1 << (by as u32 % bits))),
            _ => None,
        };
        if let Some((factor, times)) = product {
            let zero = self.number(0, ty);
            let sum = self.sum(zero, factor, times);
            self.stack.push(sum);
            return Some(());
        }
        self.push(Node::Binary(op, x, y), ty)
    }

    fn unary(&mut self, op: Unary, ty: ValType) -> Option<()> {
        let x = self.stack.pop()?;
        self.push(Node::Unary(op, x), ty)
    }

    fn compare(&mut self, cond: IntCC) -> Option<()> {
        let (x, y) = self.pop2()?;
        self.push(Node::IntCompare(cond, x, y), ValType::I32)
    }

    fn compare_floats(&mut self, cond: FloatCC) -> Option<()> {
        let (x, y) = self.pop2()?;
        self.push(Node::FloatCompare(cond, x, y), ValType::I32)
    }

    fn is_zero(&mut self, ty: ValType) -> Option<()> {
        let x = self.stack.pop()?;
        if let Node::IntCompare(cond, x, y) = *self.node(x) {
            return self.push(Node::IntCompare(cond.complement(), x, y), ValType::I32);
        }
        let zero = self.number(0, ty);
        self.push(Node::IntCompare(IntCC::Equal, x, zero), ValType::I32)
    }

    /// The smaller or greater of two numbers is known as such.
    fn select(&mut self) -> Option<()> {
        let condition = self.stack.pop()?;
        let (x, y) = self.pop2()?;
        let ty = self.ty(x);
        if let Node::IntCompare(cond, a, b) = *self.node(condition)
            && let Some(cond) = if (a, b) == (x, y) {
                Some(cond)
            } else if (a, b) == (y, x) {
                Some(cond.swap_args())
            } else {
                None
            }
        {
            let op = match cond {
                IntCC::SignedLessThan | IntCC::SignedLessThanOrEqual => Some(Binary::MinSigned),
                IntCC::SignedGreaterThan | IntCC::SignedGreaterThanOrEqual => Some(Binary::MaxSigned),
                IntCC::UnsignedLessThan | IntCC::UnsignedLessThanOrEqual => Some(Binary::MinUnsigned),
                IntCC::UnsignedGreaterThan | IntCC::UnsignedGreaterThanOrEqual => Some(Binary::MaxUnsigned),
                _ => None,
            };
            if let Some(op) = op {
                return self.push(Node::Binary(op, x, y), ty);
            }
        }
        self.push(Node::Select(x, y, condition), ty)
    }

    fn place(&mut self, memarg: &MemArg, size: u32) -> Option<Place> {
        Some(Place { memory: memory_index(memarg), address: self.stack.pop()?, offset: memarg.offset, size })
    }

    fn load(&mut self, memarg: &MemArg, size: u32, kind: LoadKind, ty: ValType) -> Option<()> {
        let place = self.place(memarg, size)?;
        let value = self.add(Node::Load(place, kind, self.stores), ty);
        self.accesses.push(Access { place, value, is_store: false });
        self.stack.push(value);
        Some(())
    }

    fn store(&mut self, memarg: &MemArg, size: u32) -> Option<()> {
        let value = self.stack.pop()?;
        let place = self.place(memarg, size)?;
        self.accesses.push(Access { place, value, is_store: true });
        self.stores += 1;
        Some(())
    }

    fn local(&mut self, local: u32, locals: &[(LocalPlace, ValType)]) -> Option<Id> {
        if let Some(&(_, id)) = self.ends.iter().find(|end| end.0 == local) {
            return Some(id);
        }
        let ty = locals.get(local as usize)?.1;
        let is_number = matches!(ty, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64);
        is_number.then(|| self.add(Node::Start(local), ty))
    }

    fn set_local(&mut self, local: u32, value: Id) -> Option<()> {
        match self.ends.iter_mut().find(|end| end.0 == local) {
            Some(end) => end.1 = value,
            None => self.ends.push((local, value)),
        }
        Some(())
    }

    /// An operator; `None` where it isn't known here.
    fn operator(&mut self, op: &Operator<'_>, locals: &[(LocalPlace, ValType)]) -> Option<()> {
        use LoadKind::{Sign, Zero};
        use Operator as O;
        use ValType::{F32, F64, I32, I64};
        match *op {
            O::Nop => Some(()),
            O::Drop => self.stack.pop().map(|_| ()),
            O::LocalGet { local_index } => {
                let value = self.local(local_index, locals)?;
                self.stack.push(value);
                Some(())
            }
            O::LocalSet { local_index } => {
                let value = self.stack.pop()?;
                self.set_local(local_index, value)
            }
            O::LocalTee { local_index } => {
                let value = *self.stack.last()?;
                self.set_local(local_index, value)
            }
            O::I32Const { value } => self.push(Node::Sum(smallvec![], u64::from(value as u32)), I32),
            O::I64Const { value } => self.push(Node::Sum(smallvec![], value as u64), I64),
            O::F32Const { value } => self.push(Node::Float(value.bits().into()), F32),
            O::F64Const { value } => self.push(Node::Float(value.bits()), F64),
            O::I32Add | O::I64Add => self.add_or_sub(1),
            O::I32Sub | O::I64Sub => self.add_or_sub(u64::MAX),
            O::I32Mul => self.binary(Binary::Mul, I32),
            O::I64Mul => self.binary(Binary::Mul, I64),
            O::I32And => self.binary(Binary::And, I32),
            O::I64And => self.binary(Binary::And, I64),
            O::I32Or => self.binary(Binary::Or, I32),
            O::I64Or => self.binary(Binary::Or, I64),
            O::I32Xor => self.binary(Binary::Xor, I32),
            O::I64Xor => self.binary(Binary::Xor, I64),
            O::I32Shl => self.binary(Binary::ShiftLeft, I32),
            O::I64Shl => self.binary(Binary::ShiftLeft, I64),
            O::I32ShrU => self.binary(Binary::ShiftRightUnsigned, I32),
            O::I64ShrU => self.binary(Binary::ShiftRightUnsigned, I64),
            O::I32ShrS => self.binary(Binary::ShiftRightSigned, I32),
            O::I64ShrS => self.binary(Binary::ShiftRightSigned, I64),
            O::F32Add => self.binary(Binary::FloatAdd, F32),
            O::F64Add => self.binary(Binary::FloatAdd, F64),
            O::F32Sub => self.binary(Binary::FloatSub, F32),
            O::F64Sub => self.binary(Binary::FloatSub, F64),
            O::F32Mul => self.binary(Binary::FloatMul, F32),
            O::F64Mul => self.binary(Binary::FloatMul, F64),
            O::F32Div => self.binary(Binary::FloatDiv, F32),
            O::F64Div => self.binary(Binary::FloatDiv, F64),
            O::F32Abs => self.unary(Unary::Abs, F32),
            O::F64Abs => self.unary(Unary::Abs, F64),
            O::F32Neg => self.unary(Unary::Neg, F32),
            O::F64Neg => self.unary(Unary::Neg, F64),
            O::F32Sqrt => self.unary(Unary::Sqrt, F32),
            O::F64Sqrt => self.unary(Unary::Sqrt, F64),
            O::F32ConvertI32S => self.unary(Unary::Convert, F32),
            O::I32WrapI64 => self.unary(Unary::Wrap, I32),
            O::I64ExtendI32U => self.unary(Unary::ExtendUnsigned, I64),
            O::I64ExtendI32S => self.unary(Unary::ExtendSigned(32), I64),
            O::I32Extend8S => self.unary(Unary::ExtendSigned(8), I32),
            O::I32Extend16S => self.unary(Unary::ExtendSigned(16), I32),
            O::I32Eqz => self.is_zero(I32),
            O::I64Eqz => self.is_zero(I64),
            O::I32Eq | O::I64Eq => self.compare(IntCC::Equal),
            O::I32Ne | O::I64Ne => self.compare(IntCC::NotEqual),
            O::I32LtS | O::I64LtS => self.compare(IntCC::SignedLessThan),
            O::I32LtU | O::I64LtU => self.compare(IntCC::UnsignedLessThan),
            O::I32GtS | O::I64GtS => self.compare(IntCC::SignedGreaterThan),
            O::I32GtU | O::I64GtU => self.compare(IntCC::UnsignedGreaterThan),
            O::I32LeS | O::I64LeS => self.compare(IntCC::SignedLessThanOrEqual),
            O::I32LeU | O::I64LeU => self.compare(IntCC::UnsignedLessThanOrEqual),
            O::I32GeS | O::I64GeS => self.compare(IntCC::SignedGreaterThanOrEqual),
            O::I32GeU | O::I64GeU => self.compare(IntCC::UnsignedGreaterThanOrEqual),
            O::F32Eq | O::F64Eq => self.compare_floats(FloatCC::Equal),
            O::F32Ne | O::F64Ne => self.compare_floats(FloatCC::NotEqual),
            O::F32Lt | O::F64Lt => self.compare_floats(FloatCC::LessThan),
            O::F32Gt | O::F64Gt => self.compare_floats(FloatCC::GreaterThan),
            O::F32Le | O::F64Le => self.compare_floats(FloatCC::LessThanOrEqual),
            O::F32Ge | O::F64Ge => self.compare_floats(FloatCC::GreaterThanOrEqual),
            O::Select => self.select(),
            O::I32Load { memarg } => self.load(&memarg, 4, Zero, I32),
            O::I64Load { memarg } => self.load(&memarg, 8, Zero, I64),
            O::F32Load { memarg } => self.load(&memarg, 4, Zero, F32),
            O::F64Load { memarg } => self.load(&memarg, 8, Zero, F64),
            O::I32Load8S { memarg } => self.load(&memarg, 1, Sign, I32),
            O::I32Load8U { memarg } => self.load(&memarg, 1, Zero, I32),
            O::I32Load16S { memarg } => self.load(&memarg, 2, Sign, I32),
            O::I32Load16U { memarg } => self.load(&memarg, 2, Zero, I32),
            O::I64Load8S { memarg } => self.load(&memarg, 1, Sign, I64),
            O::I64Load8U { memarg } => self.load(&memarg, 1, Zero, I64),
            O::I64Load16S { memarg } => self.load(&memarg, 2, Sign, I64),
            O::I64Load16U { memarg } => self.load(&memarg, 2, Zero, I64),
            O::I64Load32S { memarg } => self.load(&memarg, 4, Sign, I64),
            O::I64Load32U { memarg } => self.load(&memarg, 4, Zero, I64),
            O::I32Store { memarg } | O::F32Store { memarg } | O::I64Store32 { memarg } => self.store(&memarg, 4),
            O::I64Store { memarg } | O::F64Store { memarg } => self.store(&memarg, 8),
            O::I32Store8 { memarg } | O::I64Store8 { memarg } => self.store(&memarg, 1),
            O::I32Store16 { memarg } | O::I64Store16 { memarg } => self.store(&memarg, 2),
            _ => None,
        }
    }
}
