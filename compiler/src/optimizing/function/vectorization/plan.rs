//! What of a loop's body makes it one that is vectorized, and how.
//!
//! An *iteration* of the loop may itself be several of what the source had, one behind another: compilers unroll. So all accesses of the body together
//! must be `copies` times the same ones, an element further on each time, and all that is done with what they load must be as often the same.
//! What is planned is a loop over elements: those of the first copy.
//!
//! Each access is one of a *stream*: its addresses go through memory element by element, all streams in the same direction. An *order* between two streams,
//! one of which is stored to, is that in which the body accesses them. The vector loop keeps it only between whole vectors; where more is
//! needed, it depends on how far they are apart, which is seen at run time.

use super::body::{Binary, Body, Exit, Id, Node, Place, signed};
use ampoule_core::types::ValType;
use cranelift_codegen::ir::condcodes::{CondCode, IntCC};
use std::collections::HashMap;

/// Streams of a loop, at most: for each pair, one of which is stored to, a comparison is made before the loop.
const STREAMS: usize = 8;
/// Copies in an iteration, at most.
const COPIES: u64 = 16;
/// Elements that an iteration takes up in a reduction other than a sum, at most.
const ELEMENTS: usize = 64;
/// Comparisons of nodes with others in search of copies, at most.
const COMPARISONS: usize = 1 << 12;
/// Bytes of a vector.
pub(super) const VECTOR: u32 = 16;

pub(super) struct Plan {
    pub body: Body,
    /// By node: whether it isn't the same in each iteration.
    pub varies: Vec<bool>,
    /// Bytes of an element.
    pub size: u32,
    /// Elements of an iteration.
    pub copies: u64,
    /// Whether addresses become smaller.
    pub backwards: bool,
    /// Loads before stores.
    pub streams: Vec<Stream>,
    pub pairs: Vec<Pair>,
    pub counted: Vec<Counted>,
    /// Exits that are taken for what an element is.
    pub searches: Vec<Exit>,
    pub reductions: Vec<Reduction>,
    /// Locals that each iteration adds to, and what.
    pub steps: Vec<(u32, u64)>,
    /// Whether an iteration that leaves the loop may leave locals as the one before had them, beside what is above. Then the last one that goes back isn't taken.
    pub keeps_last: bool,
    /// What must be an element's extension, with zeros or with its sign.
    pub fits: Vec<(Id, bool)>,
    pub(super) lanes: HashMap<Id, Option<Lane>>,
    /// By node: what an iteration adds to it.
    node_steps: Vec<Option<u64>>,
    comparisons: usize,
}

/// What a lane holds of a value; see `lanes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lane {
    /// The low bits of an integer.
    Int {
        /// It is the lane, extended with zeros.
        zero: bool,
        /// It is the lane, extended with its sign.
        sign: bool,
    },
    /// A float.
    Float,
    /// All bits where a condition holds, and none where it doesn't.
    Mask,
}

/// The addresses that one access of the first copy has.
pub(super) struct Stream {
    pub place: Place,
    /// The node that is loaded, or stored.
    pub value: Id,
    pub is_store: bool,
}

/// Two streams that may overlap only so far apart that it doesn't matter.
pub(super) struct Pair {
    pub first: usize,
    pub second: usize,
    /// Whether the body accesses them in their order, and all of a copy before the next.
    pub in_order: bool,
}

/// A condition that the loop goes on with, until so many steps are made: of a number and what it is compared with.
pub(super) struct Counted {
    pub number: Id,
    /// Zero if there is none.
    pub limit: Option<Id>,
    pub cond: IntCC,
    /// What an iteration adds to the number, with its sign.
    pub step: i64,
}

/// A local that takes up elements in any order.
pub(super) struct Reduction {
    pub local: u32,
    pub ty: ValType,
    /// `None` is a sum.
    pub op: Option<Binary>,
    /// Of the first copy; how often a sum takes each up.
    pub elements: Vec<(Id, u64)>,
}

/// Plans a loop; `may_access` says which memories it may be about, and `floats` whether floats may be computed.
pub(super) fn plan(body: Body, floats: bool, may_access: impl Fn(Place) -> bool) -> Option<Plan> {
    let first = body.accesses.first()?.place;
    let fits = |place: Place| place.size == first.size && may_access(place);
    if !body.accesses.iter().all(|access| fits(access.place)) {
        return None;
    }
    if !floats && body.types.iter().any(|ty| matches!(ty, ValType::F32 | ValType::F64)) {
        return None;
    }
    let mut plan = Plan {
        varies: Vec::with_capacity(body.nodes.len()),
        node_steps: Vec::with_capacity(body.nodes.len()),
        size: first.size,
        copies: 0,
        backwards: false,
        streams: Vec::new(),
        pairs: Vec::new(),
        counted: Vec::new(),
        searches: Vec::new(),
        reductions: Vec::new(),
        steps: Vec::new(),
        keeps_last: false,
        fits: Vec::new(),
        lanes: HashMap::new(),
        comparisons: COMPARISONS,
        body,
    };
    let others = plan.find_steps();
    plan.note_steps();
    plan.find_direction()?;
    for local in others {
        plan.find_reduction(local)?;
    }
    plan.sort_exits()?;
    plan.find_streams()?;
    plan.find_pairs()?;
    plan.check_lanes()?;
    Some(plan)
}

impl Plan {
    /// Elements of a vector.
    pub fn per_vector(&self) -> u64 {
        u64::from(VECTOR / self.size)
    }

    /// Finds the locals that each iteration adds a constant to. Answers those that are written and that are asked for in another way.
    fn find_steps(&mut self) -> Vec<u32> {
        let mut others = Vec::new();
        for (at, &(local, end)) in self.body.ends.iter().enumerate() {
            match self.body.start(local, self.body.ty(end)) {
                None => self.keeps_last |= at >= self.body.early,
                Some(start) => match self.body.sum_of(end) {
                    (terms, step) if terms[..] == [(start, 1)] => {
                        if step != 0 {
                            self.steps.push((local, step));
                        }
                    }
                    _ => others.push(local),
                },
            }
        }
        others
    }

    fn note_steps(&mut self) {
        let body = &self.body;
        for (id, node) in body.nodes.iter().enumerate() {
            let step = match node {
                Node::Start(local) => {
                    let step = self.steps.iter().find(|step| step.0 == *local).map(|step| step.1);
                    let unchanged = body.ends.iter().all(|end| end.0 != *local || end.1 == id as Id);
                    step.or(unchanged.then_some(0))
                }
                Node::Load(..) => None,
                Node::Sum(terms, _) => terms.iter().try_fold(0u64, |sum, &(term, times)| {
                    Some(sum.wrapping_add(self.node_steps[term as usize]?.wrapping_mul(times)))
                }),
                _ => body.parts(id as Id).iter().all(|&part| !self.varies[part as usize]).then_some(0),
            };
            let step = step.map(|step| step & super::body::mask(body.types[id]));
            self.node_steps.push(step);
            self.varies.push(step != Some(0));
        }
    }

    /// What an iteration adds to a node.
    fn step(&self, id: Id) -> Option<i64> {
        self.node_steps[id as usize].map(|step| signed(self.body.ty(id), step))
    }

    pub fn varies(&self, id: Id) -> bool {
        self.varies[id as usize]
    }

    fn find_direction(&mut self) -> Option<()> {
        let step = self.step(self.body.accesses[0].place.address)?;
        let same = |address: Id| self.step(address) == Some(step) && self.is_scalar(address);
        if !self.body.accesses.iter().all(|access| same(access.place.address)) {
            return None;
        }
        self.backwards = step < 0;
        self.copies = step.unsigned_abs() / u64::from(self.size);
        let fits = step.unsigned_abs() == self.copies * u64::from(self.size) && (1..=COPIES).contains(&self.copies);
        fits.then_some(())
    }

    /// Whether a node is made of what is known before the loop by sums alone.
    pub fn is_scalar(&self, id: Id) -> bool {
        match self.body.node(id) {
            Node::Start(_) | Node::Float(_) => self.step(id).is_some() || !self.varies(id),
            Node::Sum(terms, _) => terms.iter().all(|&(term, _)| matches!(self.body.node(term), Node::Start(_))),
            _ => false,
        }
    }

    /// A local that takes up elements, and that nothing else asks for.
    fn find_reduction(&mut self, local: u32) -> Option<()> {
        let end = self.body.ends.iter().find(|end| end.0 == local)?.1;
        let ty = self.body.ty(end);
        let start = self.body.start(local, ty)?;
        if !matches!(ty, ValType::I32 | ValType::I64) {
            return None;
        }
        let (op, mut taken) = match *self.body.node(end) {
            Node::Binary(
                op @ (Binary::And
                | Binary::Or
                | Binary::Xor
                | Binary::MinSigned
                | Binary::MaxSigned
                | Binary::MinUnsigned
                | Binary::MaxUnsigned),
                ..,
            ) => {
                let mut taken = Vec::new();
                self.operands(op, end, &mut taken)?;
                (Some(op), taken)
            }
            Node::Sum(ref terms, 0) => (None, terms.to_vec()),
            _ => return None,
        };
        let at = taken.iter().position(|&(id, times)| id == start && times == 1)?;
        taken.swap_remove(at);
        let roots = self.body.accesses.iter().flat_map(|access| [access.value, access.place.address]);
        let roots = roots.chain(self.body.exits.iter().map(|exit| exit.condition));
        let kept = |other: u32| other != local && self.body.start(other, self.type_of_end(other)).is_some();
        let ends = self.body.ends.iter().filter(|end| kept(end.0)).map(|end| end.1);
        let roots: Vec<Id> = roots.chain(ends).chain(taken.iter().map(|element| element.0)).collect();
        if self.reaches(&roots, start) || !taken.iter().all(|&(id, _)| self.varies(id)) {
            return None;
        }
        let elements =
            self.first_copies(taken, |plan, (x, count), &(y, other), copy| count == other && plan.is_copy(x, y, copy))?;
        self.reductions.push(Reduction { local, ty, op, elements });
        Some(())
    }

    fn type_of_end(&self, local: u32) -> ValType {
        let end = self.body.ends.iter().find(|end| end.0 == local).expect("it is written");
        self.body.ty(end.1)
    }

    /// What an operator that may be regrouped is applied to.
    fn operands(&self, op: Binary, id: Id, taken: &mut Vec<(Id, u64)>) -> Option<()> {
        match *self.body.node(id) {
            Node::Binary(inner, x, y) if inner == op => {
                self.operands(op, x, taken)?;
                self.operands(op, y, taken)
            }
            _ if taken.len() == ELEMENTS => None,
            _ => {
                taken.push((id, 1));
                Some(())
            }
        }
    }

    /// Whether one of these nodes is made of another.
    fn reaches(&self, roots: &[Id], wanted: Id) -> bool {
        let mut reaches = vec![false; self.body.nodes.len()];
        for id in 0..self.body.nodes.len() as Id {
            reaches[id as usize] = id == wanted || self.body.parts(id).iter().any(|&part| reaches[part as usize]);
        }
        roots.iter().any(|&root| reaches[root as usize])
    }

    /// Of things that are there once for each copy, those of the first one.
    fn first_copies<T: Copy>(
        &mut self,
        mut left: Vec<T>,
        is_copy: impl Fn(&mut Self, T, &T, u64) -> bool,
    ) -> Option<Vec<T>> {
        let mut firsts = Vec::new();
        let mut from = 0;
        while !left.is_empty() {
            let first = *left.get(from)?;
            let mut rest = left.clone();
            rest.remove(from);
            let mut all = true;
            for copy in 1..self.copies {
                let Some(at) = rest.iter().position(|other| is_copy(self, first, other, copy)) else {
                    all = false;
                    break;
                };
                rest.remove(at);
            }
            if all {
                firsts.push(first);
                left = rest;
                from = 0;
            } else {
                from += 1;
            }
        }
        Some(firsts)
    }

    /// Whether a node of so many copies further on is the same, of elements as much further on.
    fn is_copy(&mut self, x: Id, y: Id, copy: u64) -> bool {
        if self.comparisons == 0 {
            return false;
        }
        self.comparisons -= 1;
        if !self.varies(x) || copy == 0 {
            return x == y;
        }
        if self.body.ty(x) != self.body.ty(y) {
            return false;
        }
        match (self.body.node(x).clone(), self.body.node(y).clone()) {
            (Node::Load(at, kind, _), Node::Load(other, other_kind, _)) => {
                kind == other_kind && self.is_copy_of_place(at, other, copy)
            }
            (Node::Sum(terms, constant), Node::Sum(others, other)) => {
                let mut others = others;
                constant == other
                    && terms.len() == others.len()
                    && terms.iter().all(|&(term, times)| {
                        let same = |&(other, count): &(Id, u64)| count == times && self.is_copy(term, other, copy);
                        others.iter().position(same).map(|at| others.remove(at)).is_some()
                    })
            }
            (Node::Unary(op, x), Node::Unary(other, y)) => op == other && self.is_copy(x, y, copy),
            (Node::Binary(op, a, b), Node::Binary(other, c, d)) => {
                op == other && self.is_copy(a, c, copy) && self.is_copy(b, d, copy)
            }
            (Node::IntCompare(cond, a, b), Node::IntCompare(other, c, d)) => {
                cond == other && self.is_copy(a, c, copy) && self.is_copy(b, d, copy)
            }
            (Node::FloatCompare(cond, a, b), Node::FloatCompare(other, c, d)) => {
                cond == other && self.is_copy(a, c, copy) && self.is_copy(b, d, copy)
            }
            (Node::Select(a, b, c), Node::Select(d, e, f)) => {
                self.is_copy(a, d, copy) && self.is_copy(b, e, copy) && self.is_copy(c, f, copy)
            }
            _ => false,
        }
    }

    /// Whether a place is that many elements behind another, in every iteration in which neither address wraps. One of
    /// what is added to the address and what the access adds is the same: otherwise it would take more to say that they don't.
    fn is_copy_of_place(&self, x: Place, y: Place, copy: u64) -> bool {
        let ((terms, constant), (others, other)) = (self.body.sum_of(x.address), self.body.sum_of(y.address));
        let ty = self.body.ty(x.address);
        let moved = i128::from(signed(ty, other.wrapping_sub(constant)));
        let offset = i128::from(y.offset) - i128::from(x.offset);
        let wanted = i128::from(copy * u64::from(self.size)) * if self.backwards { -1 } else { 1 };
        x.memory == y.memory
            && ty == self.body.ty(y.address)
            && terms == others
            && moved + offset == wanted
            && (moved == 0 || offset == 0)
    }

    fn sort_exits(&mut self) -> Option<()> {
        let mut searches = Vec::new();
        for exit in self.body.exits.clone() {
            match self.counted(exit) {
                Some(counted) => self.counted.push(counted),
                None => searches.push(exit),
            }
        }
        // What is searched for may be in any iteration of a vector: also in the first one.
        if !searches.is_empty() && (!self.per_vector().is_multiple_of(self.copies) || self.keeps_last) {
            return None;
        }
        self.searches = self.first_copies(searches, |plan, first, other, copy| {
            first.goes_on_if == other.goes_on_if && plan.is_copy(first.condition, other.condition, copy)
        })?;
        Some(())
    }

    /// An exit as a count.
    fn counted(&self, exit: Exit) -> Option<Counted> {
        let (cond, number, limit) = match *self.body.node(exit.condition) {
            Node::IntCompare(cond, x, y) if self.varies(x) => (cond, x, Some(y)),
            Node::IntCompare(cond, x, y) => (cond.swap_args(), y, Some(x)),
            _ => (IntCC::NotEqual, exit.condition, None),
        };
        let cond = if exit.goes_on_if { cond } else { cond.complement() };
        let step = self.step(number).filter(|&step| step != 0)?;
        let known = |id: Id| !self.varies(id) && self.is_scalar(id);
        if !self.is_scalar(number) || !limit.is_none_or(known) {
            return None;
        }
        use IntCC::*;
        let goes_there = match cond {
            NotEqual => true,
            SignedLessThan | SignedLessThanOrEqual | UnsignedLessThan | UnsignedLessThanOrEqual => step > 0,
            SignedGreaterThan | SignedGreaterThanOrEqual | UnsignedGreaterThan | UnsignedGreaterThanOrEqual => step < 0,
            Equal => false,
        };
        goes_there.then_some(Counted { number, limit, cond, step })
    }

    /// The streams: what is stored, and what is loaded for that, for reductions and for searches.
    fn find_streams(&mut self) -> Option<()> {
        let stores = self.body.accesses.iter().filter(|access| access.is_store).copied().collect();
        let stores = self.first_copies(stores, |plan, first, other, copy| {
            plan.is_copy_of_place(first.place, other.place, copy) && plan.is_copy(first.value, other.value, copy)
        })?;
        if stores.is_empty() && self.reductions.is_empty() && self.searches.is_empty() {
            return None;
        }
        let mut needed = vec![false; self.body.nodes.len()];
        let roots = stores.iter().map(|store| store.value).chain(self.searches.iter().map(|exit| exit.condition));
        let elements = self.reductions.iter().flat_map(|reduction| &reduction.elements).map(|element| element.0);
        roots.chain(elements).for_each(|root| needed[root as usize] = true);
        for id in (0..self.body.nodes.len()).rev().filter(|&id| self.varies[id]) {
            if needed[id] {
                self.body.parts(id as Id).iter().for_each(|&part| needed[part as usize] = true);
            }
        }
        let loads = self.body.accesses.iter().filter(|access| !access.is_store && needed[access.value as usize]);
        let mut streams: Vec<Stream> = Vec::new();
        for access in loads.copied().chain(stores) {
            let (place, value, is_store) = (access.place, access.value, access.is_store);
            if is_store || !streams.iter().any(|stream| stream.value == value) {
                streams.push(Stream { place, value, is_store });
            }
        }
        self.streams = streams;
        (self.streams.len() <= STREAMS).then_some(())
    }

    /// Finds out between which streams the order must be looked at. Every access must be one of a stream.
    fn find_pairs(&mut self) -> Option<()> {
        let accesses = &self.body.accesses;
        // By stream and copy, where in the body it is accessed.
        let mut known = vec![false; accesses.len()];
        let mut positions: Vec<Vec<(usize, usize)>> = Vec::new();
        for stream in &self.streams {
            let mut of_stream = Vec::new();
            for copy in 0..self.copies {
                let mut range = None;
                for (at, access) in accesses.iter().enumerate() {
                    let is_it =
                        access.is_store == stream.is_store && self.is_copy_of_place(stream.place, access.place, copy);
                    if is_it {
                        known[at] = true;
                        let (first, _) = range.unwrap_or((at, at));
                        range = Some((first, at));
                    }
                }
                of_stream.push(range?);
            }
            positions.push(of_stream);
        }
        if !known.iter().all(|&known| known) {
            return None;
        }
        for second in 0..self.streams.len() {
            for first in 0..second {
                let (x, y) = (&self.streams[first], &self.streams[second]);
                if !x.is_store && !y.is_store {
                    continue;
                }
                let before = |c: usize, d: usize| positions[first][c].1 < positions[second][d].0;
                let after = |c: usize, d: usize| positions[second][d].1 < positions[first][c].0;
                let copies = 0..self.copies as usize;
                if x.place == y.place {
                    // Each element is accessed by both once, one behind the other.
                    if !copies.clone().all(|copy| before(copy, copy)) {
                        return None;
                    }
                    continue;
                }
                let in_order =
                    copies.clone().all(|c| copies.clone().all(|d| if c <= d { before(c, d) } else { after(c, d) }));
                self.pairs.push(Pair { first, second, in_order });
            }
        }
        Some(())
    }
}
