//! The model: every object, what refers to what, and the registers of every frame. It chooses what the guest does next, and does the same.

use super::guest::{
    DATA, DESCRIBED, FIRST_NUMBERS, GLOBALS, ITEMS, Kind, OTHER, Op, REGS, Reg, Slot, TYPED_GLOBALS, ops,
};
use crate::generate::Random;
use std::collections::{HashSet, VecDeque};

/// A reference. Converting between `anyref` and `externref` changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Value {
    Null,
    Integer(i32),
    /// An object, by its position in the model.
    Object(usize),
    /// A value of the host, by its number.
    Host(usize),
    /// An exception, by its position in the model.
    Exception(usize),
}

/// An object or exception.
#[derive(Clone, Debug)]
pub enum Node {
    Struct {
        kind: Kind,
        number: i32,
        byte: u8,
        refs: Vec<Value>,
    },
    Refs {
        kind: Kind,
        items: Vec<Value>,
    },
    Bytes(Vec<u8>),
    Vectors(Vec<u128>),
    /// Of the tag with fields, if it has some.
    Exception(Option<(Value, Value, i32)>),
}

/// What entered a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entered {
    Host,
    Call,
    /// A call whose exceptions are caught.
    Try,
}

/// A frame of the guest.
#[derive(Clone, Debug)]
pub struct Frame {
    regs: [Value; REGS.len()],
    /// What it held, while it calls, in the registers that the results will replace.
    replaced: [Value; 2],
    pub entered: Entered,
}

/// One of the stacks that frames are on.
#[derive(Default, Debug)]
pub struct Fiber {
    pub frames: Vec<Frame>,
    /// What the host holds meanwhile: the argument of each of its calls.
    pub arguments: Vec<Value>,
    /// What the call of the host that ended last gave back, or threw.
    pub returned: Option<(Value, Value)>,
    pub thrown: Option<usize>,
    /// What the guest is to tell the host, in order.
    pub expected: VecDeque<(i32, i32)>,
}

/// How far objects and frames may go.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Frames on a stack.
    pub depth: usize,
    /// Elements of most arrays, of a few, and structs of a list.
    pub array: usize,
    pub large_array: usize,
    pub list: usize,
}

pub struct Model {
    pub random: Random,
    pub sizes: Sizes,
    pub nodes: Vec<Node>,
    pub globals: [Value; GLOBALS],
    pub typed: [Value; TYPED_GLOBALS.len()],
    pub table: Vec<Value>,
    pub externs: Vec<Value>,
    /// What the host holds: objects, and exceptions.
    pub held: Vec<Value>,
    pub held_exceptions: Vec<Value>,
    pub fibers: Vec<Fiber>,
    /// Which of them run: the last does, the others wait for it.
    pub running: Vec<usize>,
    /// Operations that are still to be done.
    pub left: usize,
    /// How often each was done.
    pub done: Vec<usize>,
    ops: Vec<Op>,
    /// Positions of those that are for an object of a kind, by the position of the kind in [`DESCRIBED`].
    ops_of: [Vec<usize>; DESCRIBED.len()],
    next_number: i32,
    items: [Value; ITEMS],
    pub hosts: usize,
    /// Whether machine code may keep what a local holds that nobody reads any more.
    pub keeps_replaced: bool,
}

/// Most elements of the table that grows.
const TABLE: usize = 64;

impl Model {
    pub fn new(seed: u64, sizes: Sizes, fibers: usize, left: usize) -> Self {
        let first = Node::Struct { kind: Kind::Base, number: FIRST_NUMBERS[0], byte: 0, refs: vec![Value::Integer(5)] };
        let second = Node::Struct { kind: Kind::Base, number: FIRST_NUMBERS[1], byte: 0, refs: vec![Value::Object(0)] };
        let ops = ops();
        let for_kind =
            |kind: Kind| (0..ops.len()).filter(|&at| ops[at].object().is_some_and(|of| kind.is_a(of))).collect();
        let ops_of = DESCRIBED.map(for_kind);
        Model {
            random: Random::new(seed ^ 0x6ea9),
            sizes,
            nodes: vec![first, second],
            globals: [Value::Null; GLOBALS],
            typed: [Value::Null; TYPED_GLOBALS.len()],
            table: vec![Value::Null; 8],
            externs: vec![Value::Null; 8],
            held: Vec::new(),
            held_exceptions: Vec::new(),
            fibers: (0..fibers).map(|_| Fiber::default()).collect(),
            running: Vec::new(),
            left,
            done: vec![0; ops.len()],
            ops,
            ops_of,
            next_number: 100,
            items: [Value::Integer(7), Value::Object(0), Value::Null, Value::Object(1)],
            hosts: 0,
            keeps_replaced: false,
        }
    }

    pub fn once_in(&mut self, n: usize) -> bool {
        self.random.below(n) == 0
    }

    pub fn fiber(&mut self) -> &mut Fiber {
        let running = *self.running.last().expect("a guest runs");
        &mut self.fibers[running]
    }

    /// The frame that runs.
    pub fn frame(&mut self) -> &mut Frame {
        self.fiber().frames.last_mut().expect("a guest runs")
    }

    /// The host calls a frame.
    pub fn enter(&mut self, a: Value) {
        self.fiber().arguments.push(a);
        self.push_frame(a, Value::Null, Value::Null, Entered::Host);
    }

    fn push_frame(&mut self, a: Value, x: Value, s: Value, entered: Entered) {
        let mut frame = Frame { regs: [Value::Null; REGS.len()], replaced: [Value::Null; 2], entered };
        (frame[Reg::A], frame[Reg::X], frame[Reg::S]) = (a, x, s);
        self.fiber().frames.push(frame);
    }

    /// A new object, and the reference to it.
    fn make(&mut self, node: Node) -> Value {
        self.nodes.push(node);
        Value::Object(self.nodes.len() - 1)
    }

    /// A new exception.
    pub fn make_exception(&mut self, fields: Option<(Value, Value, i32)>) -> usize {
        self.nodes.push(Node::Exception(fields));
        self.nodes.len() - 1
    }

    pub fn new_number(&mut self) -> i32 {
        self.next_number += 1;
        self.next_number
    }

    /// What the guest does next, as `next` answers it. The model has done it then.
    pub fn choose(&mut self) -> i64 {
        if self.left == 0 {
            self.do_op(Op::Return);
            return 0;
        }
        self.left -= 1;
        loop {
            let at = match self.kind_of_a() {
                // Most are only for objects of one kind.
                Some(kind) if self.once_in(3) => {
                    let fitting = &self.ops_of[kind];
                    fitting[self.random.below(fitting.len())]
                }
                _ => self.random.below(self.ops.len()),
            };
            // What takes or ends frames would be too often else.
            if at < 7 && !self.once_in(6) {
                continue;
            }
            if let Some((i, j, n)) = self.do_op(self.ops[at]) {
                self.done[at] += 1;
                assert!(i < 1 << 16 && j < 1 << 16 && (0..1 << 24).contains(&n));
                return at as i64 | (i as i64) << 8 | (j as i64) << 24 | i64::from(n) << 40;
            }
        }
    }

    /// Which of [`DESCRIBED`] the object in `$a` is.
    fn kind_of_a(&self) -> Option<usize> {
        let Value::Object(at) = self.reg(Reg::A) else { return None };
        DESCRIBED.iter().position(|&kind| self.nodes[at].is(kind))
    }

    /// Does it, and answers the operands; `None` where it would trap, which changes nothing.
    fn do_op(&mut self, op: Op) -> Option<(usize, usize, i32)> {
        let none = Some((0, 0, 0));
        let a = self.frame()[Reg::A];
        match op {
            Op::Return => {
                let x = self.frame()[Reg::X];
                let entered = self.fiber().frames.pop()?.entered;
                if entered == Entered::Host {
                    self.fiber().returned = Some((a, x));
                } else {
                    (self.frame()[Reg::A], self.frame()[Reg::X]) = (a, x);
                    self.frame().replaced = [Value::Null; 2];
                }
                none
            }
            Op::Call | Op::TryCall | Op::TailCall => {
                let depth = self.fiber().frames.len();
                let (x, s) = (self.frame()[Reg::X], self.frame()[Reg::S]);
                let entered = match op {
                    Op::TailCall => self.fiber().frames.pop()?.entered,
                    _ if depth >= self.sizes.depth => return None,
                    Op::TryCall => Entered::Try,
                    _ => Entered::Call,
                };
                if op == Op::Call {
                    // The results replace them, so the caller doesn't keep them.
                    self.frame().replaced = [a, x];
                    (self.frame()[Reg::A], self.frame()[Reg::X]) = (Value::Null, Value::Null);
                }
                self.push_frame(a, x, s, entered);
                none
            }
            Op::Throw => {
                let (x, n) = (self.frame()[Reg::X], self.new_number());
                let exception = self.make_exception(Some((a, x, n)));
                self.throw(exception);
                Some((0, 0, n))
            }
            Op::ThrowEmpty => {
                let exception = self.make_exception(None);
                self.throw(exception);
                none
            }
            Op::ThrowRef => {
                let Value::Exception(exception) = self.frame()[Reg::E] else { return None };
                self.throw(exception);
                none
            }
            Op::Swap(one, other) => {
                let frame = self.frame();
                (frame[one], frame[other]) = (frame[other], frame[one]);
                none
            }
            Op::Copy(from, to) => self.set(to, self.reg(from)),
            Op::Null(reg) => self.set(reg, Value::Null),
            Op::Integer => {
                let n = self.random.below(1 << 24) as i32;
                self.set(Reg::A, Value::Integer(n));
                Some((0, 0, n))
            }
            Op::ToMid => self.fits(a, Slot::Mid).then(|| self.set(Reg::S, a))?,
            Op::FromMid => self.set(Reg::A, self.reg(Reg::S)),
            Op::ToExtern => self.set(Reg::X, a),
            Op::FromExtern => self.set(Reg::A, self.reg(Reg::X)),
            Op::GlobalGet(at) => self.set(Reg::A, self.globals[at]),
            Op::GlobalSet(at) => {
                self.globals[at] = a;
                none
            }
            Op::TypedGet(reg) => self.set(reg, self.typed[typed(reg)]),
            Op::TypedSet(reg) => {
                self.typed[typed(reg)] = self.reg(reg);
                none
            }
            Op::NewHost | Op::Take | Op::TakeException if self.nothing_to_take(op) => None,
            // The rest is done when the host is asked.
            Op::NewHost | Op::Take | Op::TakeException | Op::Dump => none,
            Op::Give => (a != Value::Null).then_some((0, 0, 0)),
            Op::GiveException => (self.reg(Reg::E) != Value::Null).then_some((0, 0, 0)),
            Op::See => {
                let described = self.describe(a);
                self.fiber().expected.push_back(described);
                none
            }
            Op::Equal => {
                let b = self.reg(Reg::B);
                if !self.fits(a, Slot::Eq) || !self.fits(b, Slot::Eq) {
                    return None;
                }
                self.fiber().expected.push_back((103, i32::from(a == b)));
                none
            }
            Op::Garbage => Some((1 + self.random.below(self.sizes.list), 0, 0)),
            Op::List => {
                let len = 1 + self.random.below(self.sizes.list);
                let first = self.next_number + 1;
                for number in first..first + len as i32 {
                    let refs = vec![self.reg(Reg::A)];
                    let list = self.make(Node::Struct { kind: Kind::Base, number, byte: 0, refs });
                    self.set(Reg::A, list);
                }
                self.next_number += len as i32;
                Some((len, 0, first))
            }
            other => self.do_with_memory(other, a),
        }
    }

    /// Operations on tables, structs and arrays.
    fn do_with_memory(&mut self, op: Op, a: Value) -> Option<(usize, usize, i32)> {
        match op {
            Op::TableGet => {
                let i = self.random.below(self.table.len());
                self.set(Reg::A, self.table[i]);
                Some((i, 0, 0))
            }
            Op::TableSet => {
                let i = self.random.below(self.table.len());
                self.table[i] = a;
                Some((i, 0, 0))
            }
            Op::TableFill => {
                let (i, n) = self.range(self.table.len());
                self.table[i..i + n].fill(a);
                Some((i, 0, n as i32))
            }
            Op::TableCopy => {
                let (j, n) = self.range(self.table.len());
                let i = self.random.below(self.table.len() - n + 1);
                self.table.copy_within(j..j + n, i);
                Some((i, j, n as i32))
            }
            Op::TableInit => {
                let (j, n) = self.range(ITEMS);
                let i = self.random.below(self.table.len() - n + 1);
                self.table[i..i + n].copy_from_slice(&self.items[j..j + n]);
                Some((i, j, n as i32))
            }
            Op::TableGrow => {
                let n = self.random.below(5);
                if self.table.len() + n > TABLE {
                    return None;
                }
                self.table.resize(self.table.len() + n, a);
                Some((0, 0, n as i32))
            }
            Op::ExternTableGet => {
                let i = self.random.below(self.externs.len());
                self.set(Reg::X, self.externs[i]);
                Some((i, 0, 0))
            }
            Op::ExternTableSet => {
                let i = self.random.below(self.externs.len());
                self.externs[i] = self.reg(Reg::X);
                Some((i, 0, 0))
            }
            Op::New(kind) => {
                let slots: Vec<Slot> = kind.fields().into_iter().filter(|slot| slot.source().is_some()).collect();
                let values = slots.iter().enumerate().map(|(at, &slot)| match at {
                    0 => Some(a),
                    _ => self.source(slot),
                });
                let refs = values.collect::<Option<Vec<Value>>>()?;
                let number = self.new_number();
                let made = self.make(Node::Struct { kind, number, byte: number as u8, refs });
                self.set(Reg::A, made);
                Some((0, 0, number))
            }
            Op::NewDefault(kind) => {
                let refs = kind.fields().into_iter().filter(|slot| slot.source().is_some()).count();
                let number = self.new_number();
                let refs = vec![Value::Null; refs];
                let made = self.make(Node::Struct { kind, number, byte: number as u8, refs });
                self.set(Reg::A, made);
                Some((0, 0, number))
            }
            Op::Get(kind, at) => {
                let Node::Struct { byte, refs, .. } = self.object(a, kind)? else { unreachable!("it is a struct") };
                let slot = kind.fields()[at];
                if slot == Slot::Byte {
                    let byte = i32::from(*byte);
                    self.fiber().expected.push_back((102, byte));
                    return Some((0, 0, 0));
                }
                let value = refs[ref_position(kind, at)];
                self.set(slot.destination()?, value)
            }
            Op::Set(kind, at) => {
                let slot = kind.fields()[at];
                self.object(a, kind)?;
                let n = self.random.below(256) as i32;
                let value = if slot == Slot::Byte { Value::Null } else { self.source(slot)? };
                let Some(Node::Struct { byte, refs, .. }) = self.object(a, kind) else {
                    unreachable!("it is a struct")
                };
                if slot == Slot::Byte {
                    *byte = n as u8;
                } else {
                    refs[ref_position(kind, at)] = value;
                }
                Some((0, 0, n))
            }
            Op::NewArray(kind) | Op::NewArrayDefault(kind) | Op::NewArrayFixed(kind) => {
                let len = match op {
                    Op::NewArrayFixed(_) => 3,
                    _ if self.once_in(30) => self.random.below(self.sizes.large_array),
                    _ => self.random.below(self.sizes.array),
                };
                let is_default = matches!(op, Op::NewArrayDefault(_));
                let (n, value) = match kind.element().source() {
                    None => (self.random.below(1 << 24) as i32, Value::Null),
                    Some(_) if is_default => (0, Value::Null),
                    Some(_) => (0, self.source(kind.element())?),
                };
                let filler = if is_default { 0 } else { n };
                let made = self.make(match kind {
                    Kind::Bytes => Node::Bytes(vec![filler as u8; len]),
                    Kind::Vectors => Node::Vectors(vec![super::guest::vector_of(filler); len]),
                    _ => Node::Refs { kind, items: vec![value; len] },
                });
                self.set(Reg::A, made);
                Some((len, 0, n))
            }
            Op::ArrayGet(kind) => {
                let Node::Refs { items, .. } = self.object(a, kind)? else { unreachable!("it has references") };
                let items = items.clone();
                let i = (!items.is_empty()).then(|| self.random.below(items.len()))?;
                self.set(kind.element().destination()?, items[i]);
                Some((i, 0, 0))
            }
            Op::ArraySet(kind) | Op::ArrayFill(kind) => {
                let len = self.object(a, kind)?.len();
                let (i, count) = self.range(len);
                let count = if matches!(op, Op::ArraySet(_)) { 1 } else { count };
                if i + count > len {
                    return None;
                }
                let n = self.random.below(1 << 24) as i32;
                let value = match kind.element().source() {
                    None => Value::Null,
                    Some(_) => self.source(kind.element())?,
                };
                match self.object(a, kind)? {
                    Node::Bytes(bytes) => bytes[i..i + count].fill(n as u8),
                    Node::Vectors(vectors) => vectors[i..i + count].fill(super::guest::vector_of(n)),
                    Node::Refs { items, .. } => items[i..i + count].fill(value),
                    _ => unreachable!("it is an array"),
                }
                Some((i, count, n))
            }
            Op::ArrayCopy(kind) => {
                let from = self.object(self.reg(Reg::B), kind)?.clone();
                let (j, n) = self.range(from.len());
                let to_len = self.object(a, kind)?.len();
                let n = n.min(to_len);
                let i = self.random.below(to_len - n + 1);
                match (self.object(a, kind)?, &from) {
                    (Node::Bytes(to), Node::Bytes(from)) => to[i..i + n].copy_from_slice(&from[j..j + n]),
                    (Node::Vectors(to), Node::Vectors(from)) => to[i..i + n].copy_from_slice(&from[j..j + n]),
                    (Node::Refs { items: to, .. }, Node::Refs { items: from, .. }) => {
                        to[i..i + n].copy_from_slice(&from[j..j + n]);
                    }
                    _ => unreachable!("both are arrays of the kind"),
                }
                Some((i, j, n as i32))
            }
            Op::NewItems => {
                let (i, n) = self.range(ITEMS);
                let items = self.items[i..i + n].to_vec();
                let made = self.make(Node::Refs { kind: Kind::Refs, items });
                self.set(Reg::A, made);
                Some((i, 0, n as i32))
            }
            Op::NewData => {
                let (i, n) = self.range(DATA.len());
                let made = self.make(Node::Bytes(DATA[i..i + n].to_vec()));
                self.set(Reg::A, made);
                Some((i, 0, n as i32))
            }
            Op::InitItems | Op::InitData => {
                let (kind, count) = if op == Op::InitItems { (Kind::Refs, ITEMS) } else { (Kind::Bytes, DATA.len()) };
                let len = self.object(a, kind)?.len();
                let (j, n) = self.range(count);
                let n = n.min(len);
                let i = self.random.below(len - n + 1);
                let items = self.items;
                match self.object(a, kind)? {
                    Node::Bytes(bytes) => bytes[i..i + n].copy_from_slice(&DATA[j..j + n]),
                    Node::Refs { items: to, .. } => to[i..i + n].copy_from_slice(&items[j..j + n]),
                    _ => unreachable!("it is an array"),
                }
                Some((i, j, n as i32))
            }
            other => unreachable!("{other:?} is done elsewhere"),
        }
    }

    /// Unwinds to the innermost handler, or to the host.
    pub fn throw(&mut self, exception: usize) {
        loop {
            let entered = self.fiber().frames.pop().expect("the host entered it").entered;
            if entered == Entered::Host {
                self.fiber().thrown = Some(exception);
                return;
            }
            if entered == Entered::Try {
                break;
            }
        }
        self.set(Reg::E, Value::Exception(exception));
        let Node::Exception(fields) = self.nodes[exception] else { unreachable!("it is one") };
        let seen = match fields {
            Some((a, x, n)) => {
                (self.frame()[Reg::A], self.frame()[Reg::X]) = (a, x);
                (100, n)
            }
            None => (101, 0),
        };
        self.fiber().expected.push_back(seen);
    }

    fn nothing_to_take(&self, op: Op) -> bool {
        match op {
            Op::Take => self.held.is_empty(),
            Op::TakeException => self.held_exceptions.is_empty(),
            _ => false,
        }
    }

    /// What a register of the running frame holds.
    pub fn reg(&self, reg: Reg) -> Value {
        let running = *self.running.last().expect("a guest runs");
        self.fibers[running].frames.last().expect("it has a frame")[reg]
    }

    pub fn set(&mut self, reg: Reg, value: Value) -> Option<(usize, usize, i32)> {
        debug_assert!(self.fits(value, reg.slot()), "{value:?} in {reg:?}");
        self.frame()[reg] = value;
        Some((0, 0, 0))
    }

    /// The value that goes to such a field, where it fits.
    fn source(&self, slot: Slot) -> Option<Value> {
        let value = self.reg(slot.source()?);
        self.fits(value, slot).then_some(value)
    }

    fn fits(&self, value: Value, slot: Slot) -> bool {
        match value {
            Value::Null => true,
            Value::Exception(_) => slot == Slot::Exception,
            Value::Integer(_) => matches!(slot, Slot::Any | Slot::Eq | Slot::Extern),
            Value::Host(_) => matches!(slot, Slot::Any | Slot::Extern),
            Value::Object(at) => match slot {
                Slot::Mid => self.nodes[at].is(Kind::Mid),
                Slot::Exception => false,
                _ => true,
            },
        }
    }

    /// The object, where it is of this kind.
    fn object(&mut self, value: Value, kind: Kind) -> Option<&mut Node> {
        let Value::Object(at) = value else { return None };
        Some(&mut self.nodes[at]).filter(|node| node.is(kind))
    }

    fn describe(&self, value: Value) -> (i32, i32) {
        match value {
            Value::Null => (0, 0),
            Value::Integer(value) => (1, value),
            Value::Host(_) => (OTHER, 0),
            Value::Exception(_) => unreachable!("it is no anyref"),
            Value::Object(at) => {
                let node = &self.nodes[at];
                let kind = DESCRIBED.iter().position(|&kind| node.is(kind)).expect("every kind is described");
                let number = if let Node::Struct { number, .. } = node { *number } else { node.len() as i32 };
                (kind as i32 + 2, number)
            }
        }
    }

    /// Bytes of all that is reachable, about, and of what an exception has led to.
    pub fn live_bytes(&self) -> usize {
        let size = |node: &Node| match node {
            Node::Struct { kind: Kind::Leaf, .. } => 64,
            Node::Struct { refs, .. } => 8 + 4 * refs.len(),
            Node::Refs { items, .. } => 8 + 4 * items.len(),
            Node::Bytes(bytes) => 8 + bytes.len(),
            Node::Vectors(vectors) => 8 + 16 * vectors.len(),
            Node::Exception(_) => 0,
        };
        let mut roots = self.roots();
        let exceptions = self.nodes.iter().enumerate().filter(|(_, node)| matches!(node, Node::Exception(_)));
        roots.extend(exceptions.map(|(at, _)| Value::Exception(at)));
        self.reached_from(roots).0.iter().map(|&at| size(&self.nodes[at])).sum()
    }

    /// A part of so many elements: start and length.
    fn range(&mut self, len: usize) -> (usize, usize) {
        let start = self.random.below(len + 1);
        (start, self.random.below(len - start + 1))
    }

    /// The host's values that are reachable, and those that may be kept longer: an exception has led to them, or a local that nobody reads.
    pub fn reachable(&self) -> (HashSet<usize>, HashSet<usize>) {
        let exceptions = self.nodes.iter().enumerate().filter(|(_, node)| matches!(node, Node::Exception(_)));
        let exceptions = exceptions.map(|(at, _)| Value::Exception(at));
        let frames = self.fibers.iter().flat_map(|fiber| &fiber.frames).filter(|_| self.keeps_replaced);
        let perhaps = exceptions.chain(frames.flat_map(|frame| frame.replaced)).collect();
        (self.reached_from(self.roots()).1, self.reached_from(perhaps).1)
    }

    fn roots(&self) -> Vec<Value> {
        let frames = self.fibers.iter().flat_map(|fiber| &fiber.frames).flat_map(|frame| frame.regs);
        let roots = self.globals.iter().chain(&self.typed).chain(&self.table).chain(&self.externs);
        let roots = roots.chain(&self.held).chain(&self.held_exceptions).chain(&self.items);
        let roots = roots.chain(self.fibers.iter().flat_map(|fiber| &fiber.arguments)).copied();
        roots.chain(frames).collect()
    }

    /// What these lead to: objects and exceptions by position, and values of the host.
    fn reached_from(&self, mut waiting: Vec<Value>) -> (HashSet<usize>, HashSet<usize>) {
        let (mut nodes, mut hosts) = (HashSet::new(), HashSet::new());
        while let Some(value) = waiting.pop() {
            match value {
                Value::Null | Value::Integer(_) => {}
                Value::Host(number) => drop(hosts.insert(number)),
                Value::Object(at) | Value::Exception(at) => {
                    if nodes.insert(at) {
                        waiting.extend(self.nodes[at].refs());
                    }
                }
            }
        }
        (nodes, hosts)
    }
}

impl Node {
    fn is(&self, kind: Kind) -> bool {
        match self {
            Node::Struct { kind: own, .. } | Node::Refs { kind: own, .. } => own.is_a(kind),
            Node::Bytes(_) => kind == Kind::Bytes,
            Node::Vectors(_) => kind == Kind::Vectors,
            Node::Exception(_) => false,
        }
    }

    fn len(&self) -> usize {
        match self {
            Node::Refs { items, .. } => items.len(),
            Node::Bytes(bytes) => bytes.len(),
            Node::Vectors(vectors) => vectors.len(),
            Node::Struct { .. } | Node::Exception(_) => unreachable!("it is no array"),
        }
    }

    fn refs(&self) -> Vec<Value> {
        match self {
            Node::Struct { refs, .. } => refs.clone(),
            Node::Refs { items, .. } => items.clone(),
            Node::Exception(Some((a, x, _))) => vec![*a, *x],
            Node::Bytes(_) | Node::Vectors(_) | Node::Exception(None) => Vec::new(),
        }
    }
}

impl std::ops::Index<Reg> for Frame {
    type Output = Value;

    fn index(&self, reg: Reg) -> &Value {
        &self.regs[reg as usize]
    }
}

impl std::ops::IndexMut<Reg> for Frame {
    fn index_mut(&mut self, reg: Reg) -> &mut Value {
        &mut self.regs[reg as usize]
    }
}

/// The position of a field among those that are references.
fn ref_position(kind: Kind, at: usize) -> usize {
    kind.fields()[..at].iter().filter(|slot| slot.source().is_some()).count()
}

fn typed(reg: Reg) -> usize {
    TYPED_GLOBALS.iter().position(|&other| other == reg).expect("it has a global")
}
