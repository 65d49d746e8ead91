//! The code of a vector loop, in front of the loop that it takes iterations from.
//!
//! Before it is found out how many iterations there are to take: those that surely go back to the head, and in which every access is in
//! bounds, so that nothing can trap. Whole vectors are taken, and whole iterations. Where a vector has what is searched for, or none are left,
//! the loop itself goes on from the state that the iterations left.

use super::body::{Binary, Exit, Id, Node, Unary, signed};
use super::lanes::Lane;
use super::plan::{Counted, Pair, Plan, Reduction, Stream, VECTOR};
use crate::optimizing::flags::Region;
use crate::optimizing::function::translator::FuncTranslator;
use ampoule_core::tunables::MemoryPlan;
use ampoule_core::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, Endianness, InstBuilder, MemFlagsData, Type, Value, types};
use std::collections::HashMap;

/// The state of a vector loop's translation.
struct Emitter<'t, 'a> {
    t: &'t mut FuncTranslator<'a>,
    plan: &'t mut Plan,
    /// What locals have before the loop, by node.
    starts: HashMap<Id, Value>,
    vectors: HashMap<Id, Value>,
}

/// What a reduction keeps in a vector: which one, the element that it takes up, and how often.
struct Accumulator {
    reduction: usize,
    /// All elements of a reduction that isn't a sum are in one.
    elements: Vec<Id>,
    times: u64,
    ty: Type,
}

impl FuncTranslator<'_> {
    /// Translates the vector loop of a plan.
    pub(super) fn vector_loop(&mut self, plan: &mut Plan) {
        let mut emitter = Emitter { t: self, plan, starts: HashMap::new(), vectors: HashMap::new() };
        emitter.run();
    }
}

impl Emitter<'_, '_> {
    fn run(&mut self) {
        self.read_locals();
        let iterations = self.iterations();
        let mut enters = self.t.builder.ins().icmp_imm_u(IntCC::NotEqual, iterations, 0);
        for (id, is_signed) in self.plan.fits.clone() {
            let fits = self.fits(id, is_signed);
            enters = self.t.builder.ins().band(enters, fits);
        }
        let hosts: Vec<Value> = (0..self.plan.streams.len()).map(|stream| self.host_address(stream)).collect();
        for at in 0..self.plan.pairs.len() {
            let apart = self.apart(at, &hosts);
            enters = self.t.builder.ins().band(enters, apart);
        }
        let vector = self.t.builder.create_block();
        let scalar = self.t.builder.create_block();
        self.t.builder.ins().brif(enters, vector, &[], scalar, &[]);
        self.t.builder.seal_block(vector);
        self.t.builder.switch_to_block(vector);
        self.loop_from(iterations, &hosts);
        self.t.builder.ins().jump(scalar, &[]);
        self.t.builder.seal_block(scalar);
        self.t.builder.switch_to_block(scalar);
    }

    fn read_locals(&mut self) {
        for id in 0..self.plan.body.nodes.len() as Id {
            if let Node::Start(local) = *self.plan.body.node(id) {
                let (place, ty) = self.t.locals.places[local as usize];
                let value = self.t.read_local(place, ty);
                self.starts.insert(id, value);
            }
        }
    }

    fn int(&mut self, ty: Type, number: i64) -> Value {
        let number = if ty == types::I32 { i64::from(number as u32) } else { number };
        self.t.builder.ins().iconst(ty, number)
    }

    fn scalar_type(&self, id: Id) -> Type {
        match self.plan.body.ty(id) {
            ValType::I64 => types::I64,
            ValType::F32 => types::F32,
            ValType::F64 => types::F64,
            _ => types::I32,
        }
    }

    /// What a node is in the first iteration: a sum of locals, or a float.
    fn scalar(&mut self, id: Id) -> Value {
        let ty = self.scalar_type(id);
        match self.plan.body.node(id).clone() {
            Node::Start(_) => self.starts[&id],
            Node::Float(bits) if ty == types::F32 => self.t.builder.ins().f32const(f32::from_bits(bits as u32)),
            Node::Float(bits) => self.t.builder.ins().f64const(f64::from_bits(bits)),
            Node::Sum(terms, constant) => {
                let mut sum = self.int(ty, constant as i64);
                for (term, times) in terms {
                    let term = self.scalar(term);
                    let times = self.int(ty, times as i64);
                    let product = self.t.builder.ins().imul(term, times);
                    sum = self.t.builder.ins().iadd(product, sum);
                }
                sum
            }
            _ => unreachable!("only what is made by sums is needed before the loop"),
        }
    }

    /// An `i32` as an unsigned number of 64 bits.
    fn wide(&mut self, value: Value) -> Value {
        let is_wide = self.t.builder.func.dfg.value_type(value) == types::I64;
        if is_wide { value } else { self.t.builder.ins().uextend(types::I64, value) }
    }

    fn divided(&mut self, value: Value, by: u64) -> Value {
        let ins = self.t.builder.ins();
        if by.is_power_of_two() {
            return ins.ushr_imm_u(value, i64::from(by.trailing_zeros()));
        }
        let by = self.int(types::I64, by as i64);
        self.t.builder.ins().udiv(value, by)
    }

    /// `x - y` where that isn't negative, else zero.
    fn less(&mut self, x: Value, y: Value) -> Value {
        let difference = self.t.builder.ins().isub(x, y);
        let zero = self.int(types::I64, 0);
        let is_less = self.t.builder.ins().icmp(IntCC::UnsignedLessThan, x, y);
        self.t.builder.ins().select(is_less, zero, difference)
    }

    /// How many iterations the vector loop is to take.
    fn iterations(&mut self) -> Value {
        let mut least = None;
        let mut counts = Vec::new();
        for at in 0..self.plan.counted.len() {
            counts.push(self.counted(at));
        }
        for at in 0..self.plan.streams.len() {
            counts.push(self.in_bounds(at));
        }
        for count in counts {
            least = Some(match least {
                None => count,
                Some(least) => {
                    let is_less = self.t.builder.ins().icmp(IntCC::UnsignedLessThan, count, least);
                    self.t.builder.ins().select(is_less, count, least)
                }
            });
        }
        let mut iterations = least.expect("a loop has a stream");
        if self.plan.keeps_last {
            let one = self.int(types::I64, 1);
            iterations = self.less(iterations, one);
        }
        // Those of whole vectors: a power of two.
        let (vector, copies) = (self.plan.per_vector(), self.plan.copies);
        let unit = vector >> vector.trailing_zeros().min(copies.trailing_zeros());
        let whole = self.int(types::I64, (unit as i64).wrapping_neg());
        self.t.builder.ins().band(iterations, whole)
    }

    /// In how many iterations a condition holds at least.
    fn counted(&mut self, at: usize) -> Value {
        let Counted { number, limit, cond, step } = self.plan.counted[at];
        let ty = self.scalar_type(number);
        let number = self.scalar(number);
        let limit = match limit {
            Some(limit) => self.scalar(limit),
            None => self.int(ty, 0),
        };
        let (from, to) = if step > 0 { (number, limit) } else { (limit, number) };
        let mut distance = self.t.builder.ins().isub(to, from);
        if cond != IntCC::NotEqual {
            let holds = self.t.builder.ins().icmp(cond, number, limit);
            let zero = self.int(ty, 0);
            distance = self.t.builder.ins().select(holds, distance, zero);
        }
        let distance = self.wide(distance);
        self.divided(distance, step.unsigned_abs())
    }

    /// In how many iterations a stream is in bounds, and its addresses don't wrap.
    fn in_bounds(&mut self, at: usize) -> Value {
        let place = self.plan.streams[at].place;
        let address = self.scalar(place.address);
        let address = self.wide(address);
        let len = self.t.memory_len(place.memory);
        let offset = self.int(types::I64, place.offset as i64);
        let room = self.less(len, offset);
        let mut bytes = self.less(room, address);
        let size = u64::from(self.plan.size);
        if self.plan.backwards {
            // From the first element down to address zero.
            let size = self.int(types::I64, size as i64);
            let fits = self.t.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, bytes, size);
            let down = self.t.builder.ins().iadd(address, size);
            let zero = self.int(types::I64, 0);
            bytes = self.t.builder.ins().select(fits, down, zero);
        }
        self.divided(bytes, size * self.plan.copies)
    }

    /// Whether a number is an element, extended.
    fn fits(&mut self, id: Id, is_signed: bool) -> Value {
        let ty = self.scalar_type(id);
        let value = self.scalar(id);
        let lane = Type::int(self.plan.bits() as u16).expect("elements have 8 to 64 bits");
        let low = self.t.builder.ins().ireduce(lane, value);
        let extended =
            if is_signed { self.t.builder.ins().sextend(ty, low) } else { self.t.builder.ins().uextend(ty, low) };
        self.t.builder.ins().icmp(IntCC::Equal, extended, value)
    }

    /// Where a stream's first vector begins, for the host.
    fn host_address(&mut self, at: usize) -> Value {
        let place = self.plan.streams[at].place;
        let ty = self.t.memory_type(place.memory);
        let memory = MemoryPlan::new(&ty, self.t.tunables());
        let base = self.t.memory_base(place.memory, &memory);
        let address = self.scalar(place.address);
        let address = self.wide(address);
        let sum = self.t.builder.ins().iadd(base, address);
        let mut offset = place.offset as i64;
        if self.plan.backwards {
            offset = offset.wrapping_sub(i64::from(VECTOR - self.plan.size));
        }
        let offset = self.int(types::I64, offset);
        self.t.builder.ins().iadd(sum, offset)
    }

    /// Whether two streams are so far apart, or so near, that it doesn't matter that whole vectors are loaded before they are stored.
    ///
    /// The vector loop accesses elements of the second stream behind elements of the first that are before them in the body's order, unless they are in the
    /// same vector, or, where copies are not in order, in the same iteration. So an element of the second must not be one of the first that many
    /// elements further on.
    fn apart(&mut self, at: usize, hosts: &[Value]) -> Value {
        let Pair { first, second, in_order } = self.plan.pairs[at];
        let elements = self.plan.per_vector().max(self.plan.copies);
        let span = elements as i64 * i64::from(self.plan.size);
        let (x, y) = if self.plan.backwards { (second, first) } else { (first, second) };
        let distance = self.t.builder.ins().isub(hosts[y], hosts[x]);
        let (before, width) = if in_order { (-1, span - 1) } else { (span - 1, 2 * span - 1) };
        let before = self.int(types::I64, before);
        let place = self.t.builder.ins().iadd(distance, before);
        let width = self.int(types::I64, width);
        self.t.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, place, width)
    }

    /// The vector loop, and what it leaves in locals.
    fn loop_from(&mut self, iterations: Value, hosts: &[Value]) {
        let step = if self.plan.backwards { -i64::from(VECTOR) } else { VECTOR.into() };
        let unit = i64::from(self.plan.size) * self.plan.copies as i64 * step.signum();
        let unit = self.int(types::I64, unit);
        let end = self.t.builder.ins().imul(iterations, unit);
        let accumulators = self.accumulators();
        let zero = self.int(types::I64, 0);
        let mut args = vec![BlockArg::from(zero)];
        for accumulator in &accumulators {
            args.push(self.identity(accumulator).into());
        }
        let (head, done) = (self.t.builder.create_block(), self.t.builder.create_block());
        for block in [head, done] {
            self.t.builder.append_block_param(block, types::I64);
            for accumulator in &accumulators {
                self.t.builder.append_block_param(block, accumulator.ty);
            }
        }
        self.t.builder.ins().jump(head, &args);
        self.t.builder.switch_to_block(head);
        let params = self.t.builder.block_params(head).to_vec();
        let (at, kept) = (params[0], &params[1..]);
        self.load_all(at, hosts);
        self.search(done, &params);
        self.store_all(at, hosts);
        let next_at = self.int(types::I64, step);
        let next_at = self.t.builder.ins().iadd(at, next_at);
        let mut next = vec![BlockArg::from(next_at)];
        for (accumulator, &before) in accumulators.iter().zip(kept) {
            next.push(self.accumulate(accumulator, before).into());
        }
        let goes_on = self.t.builder.ins().icmp(IntCC::NotEqual, next_at, end);
        self.t.builder.ins().brif(goes_on, head, &next, done, &next);
        self.t.builder.seal_block(head);
        self.t.builder.seal_block(done);
        self.t.builder.switch_to_block(done);
        let params = self.t.builder.block_params(done).to_vec();
        let taken = if self.plan.searches.is_empty() { iterations } else { self.iterations_until(params[0]) };
        self.leave(taken, &accumulators, &params[1..]);
    }

    /// How many iterations have been taken at this place of the first stream. There are as many in each vector, a power of two.
    fn iterations_until(&mut self, at: Value) -> Value {
        let bytes = if self.plan.backwards { self.t.builder.ins().ineg(at) } else { at };
        self.divided(bytes, u64::from(self.plan.size) * self.plan.copies)
    }

    fn flags(&mut self) -> MemFlagsData {
        let region = self.t.region(Region::Heap);
        MemFlagsData::new().with_endianness(Endianness::Little).with_alias_region(Some(region)).with_notrap()
    }

    fn int_vector(&self) -> Type {
        match self.plan.size {
            1 => types::I8X16,
            2 => types::I16X8,
            4 => types::I32X4,
            _ => types::I64X2,
        }
    }

    fn float_vector(&self) -> Type {
        if self.plan.size == 4 { types::F32X4 } else { types::F64X2 }
    }

    fn load_all(&mut self, at: Value, hosts: &[Value]) {
        let flags = self.flags();
        for (stream, &host) in hosts.iter().enumerate() {
            let Stream { value, is_store, .. } = self.plan.streams[stream];
            if is_store {
                continue;
            }
            let is_float = matches!(self.plan.body.ty(value), ValType::F32 | ValType::F64);
            let ty = if is_float { self.float_vector() } else { self.int_vector() };
            let address = self.t.builder.ins().iadd(host, at);
            let loaded = self.t.builder.ins().load(ty, flags, address, 0);
            self.vectors.insert(value, loaded);
        }
    }

    fn store_all(&mut self, at: Value, hosts: &[Value]) {
        let flags = self.flags();
        for (stream, &host) in hosts.iter().enumerate() {
            let Stream { value, is_store, .. } = self.plan.streams[stream];
            if is_store {
                let vector = self.vector(value);
                let vector = self.as_number(value, vector);
                let address = self.t.builder.ins().iadd(host, at);
                self.t.builder.ins().store(flags, vector, address, 0);
            }
        }
    }

    /// Leaves the loop where a vector has an element that is searched for.
    fn search(&mut self, done: cranelift_codegen::ir::Block, params: &[Value]) {
        let mut found = None;
        for Exit { condition, goes_on_if } in self.plan.searches.clone() {
            let mask = self.mask(condition, !goes_on_if);
            found = Some(match found {
                None => mask,
                Some(found) => self.t.builder.ins().bor(found, mask),
            });
        }
        let Some(found) = found else { return };
        let any = self.t.builder.ins().vany_true(found);
        let next = self.t.builder.create_block();
        let args: Vec<BlockArg> = params.iter().map(|&value| value.into()).collect();
        self.t.builder.ins().brif(any, done, &args, next, &[]);
        self.t.builder.seal_block(next);
        self.t.builder.switch_to_block(next);
    }

    /// Where a condition isn't zero, or where it is.
    fn mask(&mut self, condition: Id, wanted: bool) -> Value {
        let vector = self.vector(condition);
        if self.plan.lane(condition) == Some(Lane::Mask) {
            return if wanted { vector } else { self.t.builder.ins().bnot(vector) };
        }
        let zero = self.splat_int(0);
        let cond = if wanted { IntCC::NotEqual } else { IntCC::Equal };
        self.t.builder.ins().icmp(cond, vector, zero)
    }

    fn splat_int(&mut self, number: u64) -> Value {
        let ty = self.int_vector();
        let lane = ty.lane_type();
        let number = if lane == types::I64 { number } else { number & ((1 << lane.bits()) - 1) };
        let number = self.t.builder.ins().iconst(lane, number as i64);
        self.t.builder.ins().splat(ty, number)
    }

    /// A condition as zeros and ones; anything else as it is.
    fn as_number(&mut self, id: Id, vector: Value) -> Value {
        if self.plan.lane(id) != Some(Lane::Mask) {
            return vector;
        }
        let one = self.splat_int(1);
        self.t.builder.ins().band(vector, one)
    }

    /// The lanes of an integer.
    fn number(&mut self, id: Id) -> Value {
        let vector = self.vector(id);
        self.as_number(id, vector)
    }

    /// The lanes of a node.
    fn vector(&mut self, id: Id) -> Value {
        if let Some(&known) = self.vectors.get(&id) {
            return known;
        }
        let vector = if self.plan.varies(id) { self.compute(id) } else { self.splat(id) };
        self.vectors.insert(id, vector);
        vector
    }

    /// What is the same in each iteration.
    fn splat(&mut self, id: Id) -> Value {
        let scalar = self.scalar(id);
        if matches!(self.plan.body.ty(id), ValType::F32 | ValType::F64) {
            let ty = self.float_vector();
            return self.t.builder.ins().splat(ty, scalar);
        }
        let ty = self.int_vector();
        let is_whole = self.t.builder.func.dfg.value_type(scalar) == ty.lane_type();
        let low = if is_whole { scalar } else { self.t.builder.ins().ireduce(ty.lane_type(), scalar) };
        self.t.builder.ins().splat(ty, low)
    }

    fn compute(&mut self, id: Id) -> Value {
        match self.plan.body.node(id).clone() {
            Node::Sum(terms, constant) => self.sum(id, &terms, constant),
            Node::Unary(op, x) => {
                let x = self.number(x);
                let floats = (self.plan.size == 4).then_some(types::F32X4);
                let ins = self.t.builder.ins();
                match op {
                    Unary::Wrap | Unary::ExtendUnsigned | Unary::ExtendSigned(_) => x,
                    Unary::Abs => ins.fabs(x),
                    Unary::Neg => ins.fneg(x),
                    Unary::Sqrt => ins.sqrt(x),
                    Unary::Convert => ins.fcvt_from_sint(floats.expect("it has 32 bits"), x),
                }
            }
            Node::Binary(op, x, y) => self.binary(op, x, y),
            Node::IntCompare(cond, x, y) => {
                let cond = self.plan.compared(cond, x, y).expect("it has been looked at");
                let (x, y) = (self.number(x), self.number(y));
                self.t.builder.ins().icmp(cond, x, y)
            }
            Node::FloatCompare(cond, x, y) => {
                let (x, y) = (self.vector(x), self.vector(y));
                self.t.builder.ins().fcmp(cond, x, y)
            }
            Node::Select(x, y, condition) => {
                let mask = self.mask(condition, true);
                let (x, y) = (self.number(x), self.number(y));
                let ty = self.t.builder.func.dfg.value_type(x);
                let mask = self.t.builder.ins().bitcast(ty, lanes_flags(), mask);
                self.t.builder.ins().bitselect(mask, x, y)
            }
            Node::Start(_) | Node::Float(_) | Node::Load(..) => unreachable!("it is known before"),
        }
    }

    fn sum(&mut self, id: Id, terms: &[(Id, u64)], constant: u64) -> Value {
        let ty = self.plan.body.ty(id);
        let mut sum = (constant != 0).then(|| self.splat_int(constant));
        // What is subtracted comes last: then there is something to subtract it from.
        let mut terms: Vec<_> = terms.iter().map(|&(term, times)| (term, signed(ty, times))).collect();
        terms.sort_by_key(|term| term.1 == -1);
        for (term, times) in terms {
            let vector = self.number(term);
            let part = if matches!(times, 1 | -1) { vector } else { self.product(vector, times) };
            sum = Some(match (sum, times) {
                (Some(sum), -1) => self.t.builder.ins().isub(sum, part),
                (Some(sum), _) => self.t.builder.ins().iadd(sum, part),
                (None, -1) => self.t.builder.ins().ineg(part),
                (None, _) => part,
            });
        }
        sum.unwrap_or_else(|| self.splat_int(0))
    }

    fn product(&mut self, vector: Value, times: i64) -> Value {
        if times.count_ones() == 1 {
            let by = times.trailing_zeros();
            if by >= self.plan.bits() {
                return self.splat_int(0);
            }
            let by = self.int(types::I32, by.into());
            return self.t.builder.ins().ishl(vector, by);
        }
        let times = self.splat_int(times as u64);
        self.t.builder.ins().imul(vector, times)
    }

    fn binary(&mut self, op: Binary, x: Id, y: Id) -> Value {
        if let Binary::ShiftRightUnsigned | Binary::ShiftRightSigned = op {
            let bits = if self.plan.body.ty(x) == ValType::I64 { 64 } else { 32 };
            let by = self.plan.body.constant(y).expect("it has been looked at") % bits;
            let by = self.int(types::I32, by as i64);
            let vector = self.number(x);
            let ins = self.t.builder.ins();
            return if op == Binary::ShiftRightSigned { ins.sshr(vector, by) } else { ins.ushr(vector, by) };
        }
        // Lanes that are extended with zeros are not negative.
        let is_signed = |plan: &mut Plan| {
            let is_exact = |lane| matches!(lane, Some(Lane::Int { sign: true, .. } | Lane::Mask));
            is_exact(plan.lane(x)) && is_exact(plan.lane(y))
        };
        let op = match op {
            Binary::MinSigned if !is_signed(self.plan) => Binary::MinUnsigned,
            Binary::MaxSigned if !is_signed(self.plan) => Binary::MaxUnsigned,
            op => op,
        };
        let (x, y) = (self.number(x), self.number(y));
        self.apply(op, x, y)
    }

    fn apply(&mut self, op: Binary, x: Value, y: Value) -> Value {
        let ins = self.t.builder.ins();
        match op {
            Binary::Mul => ins.imul(x, y),
            Binary::And => ins.band(x, y),
            Binary::Or => ins.bor(x, y),
            Binary::Xor => ins.bxor(x, y),
            Binary::MinSigned => ins.smin(x, y),
            Binary::MaxSigned => ins.smax(x, y),
            Binary::MinUnsigned => ins.umin(x, y),
            Binary::MaxUnsigned => ins.umax(x, y),
            Binary::FloatAdd => ins.fadd(x, y),
            Binary::FloatSub => ins.fsub(x, y),
            Binary::FloatMul => ins.fmul(x, y),
            Binary::FloatDiv => ins.fdiv(x, y),
            Binary::ShiftLeft | Binary::ShiftRightUnsigned | Binary::ShiftRightSigned => {
                unreachable!("shifts are made apart")
            }
        }
    }

    fn accumulators(&mut self) -> Vec<Accumulator> {
        let mut all = Vec::new();
        for (reduction, Reduction { ty, op, elements, .. }) in self.plan.reductions.iter().enumerate() {
            let is_narrow = self.plan.size < 4;
            let vector = self.int_vector();
            match op {
                Some(_) => {
                    let elements = elements.iter().map(|element| element.0).collect();
                    all.push(Accumulator { reduction, elements, times: 1, ty: vector });
                }
                None => {
                    let ty = match ty {
                        ValType::I64 => types::I64X2,
                        _ if is_narrow => types::I32X4,
                        _ => vector,
                    };
                    for &(element, times) in elements {
                        all.push(Accumulator { reduction, elements: vec![element], times, ty });
                    }
                }
            }
        }
        all
    }

    /// What an accumulator begins with.
    fn identity(&mut self, accumulator: &Accumulator) -> Value {
        let Reduction { local, ty, op, .. } = self.plan.reductions[accumulator.reduction];
        let lane = accumulator.ty.lane_type();
        let first = match op {
            None | Some(Binary::Or | Binary::Xor) => self.t.builder.ins().iconst(lane, 0),
            Some(_) => {
                // Once more is as often.
                let start = self.plan.body.start(local, ty).expect("it takes up elements");
                self.starts[&start]
            }
        };
        self.t.builder.ins().splat(accumulator.ty, first)
    }

    /// An accumulator with a vector more.
    fn accumulate(&mut self, accumulator: &Accumulator, before: Value) -> Value {
        let Reduction { op, .. } = self.plan.reductions[accumulator.reduction];
        let mut sum = before;
        for &element in &accumulator.elements {
            let vector = self.number(element);
            match op {
                Some(op) => sum = self.apply(op, sum, vector),
                None => {
                    let vector = self.widened(element, vector, accumulator.ty);
                    sum = self.t.builder.ins().iadd(sum, vector);
                }
            }
        }
        sum
    }

    /// Sums of neighbouring lanes, as wide as that.
    fn widened(&mut self, element: Id, mut vector: Value, to: Type) -> Value {
        let zero = !matches!(self.plan.lane(element), Some(Lane::Int { zero: false, .. }));
        loop {
            let ty = self.t.builder.func.dfg.value_type(vector);
            if ty.lane_bits() >= to.lane_bits() {
                return vector;
            }
            let ins = self.t.builder.ins();
            let low = if zero { ins.uwiden_low(vector) } else { ins.swiden_low(vector) };
            let ins = self.t.builder.ins();
            let high = if zero { ins.uwiden_high(vector) } else { ins.swiden_high(vector) };
            let ins = self.t.builder.ins();
            vector = if ty == types::I32X4 { ins.iadd(low, high) } else { ins.iadd_pairwise(low, high) };
        }
    }

    /// Brings the locals to where so many iterations have brought them.
    fn leave(&mut self, iterations: Value, accumulators: &[Accumulator], vectors: &[Value]) {
        for (local, step) in self.plan.steps.clone() {
            let (place, ty) = self.t.locals.places[local as usize];
            let before = self.t.read_local(place, ty);
            let wide = ty == ValType::I64;
            let count = if wide { iterations } else { self.t.builder.ins().ireduce(types::I32, iterations) };
            let step = self.int(if wide { types::I64 } else { types::I32 }, step as i64);
            let added = self.t.builder.ins().imul(count, step);
            let after = self.t.builder.ins().iadd(before, added);
            self.t.write_local(place, after);
        }
        for (accumulator, &vector) in accumulators.iter().zip(vectors) {
            let Reduction { local, ty, op, .. } = self.plan.reductions[accumulator.reduction];
            let wanted = if ty == ValType::I64 { types::I64 } else { types::I32 };
            let mut result = None;
            for lane in 0..accumulator.ty.lane_count() as u8 {
                let part = self.t.builder.ins().extractlane(vector, lane);
                result = Some(match result {
                    None => part,
                    Some(result) => self.fold(op, result, part),
                });
            }
            let mut result = result.expect("a vector has lanes");
            if accumulator.ty.lane_type() != wanted {
                result = self.t.builder.ins().ireduce(wanted, result);
            }
            if accumulator.times != 1 {
                let times = self.int(wanted, accumulator.times as i64);
                result = self.t.builder.ins().imul(result, times);
            }
            let (place, ty) = self.t.locals.places[local as usize];
            let before = self.t.read_local(place, ty);
            let after = self.fold(op, before, result);
            self.t.write_local(place, after);
        }
    }

    /// What a reduction makes of two numbers.
    fn fold(&mut self, op: Option<Binary>, x: Value, y: Value) -> Value {
        let cond = match op {
            None => return self.t.builder.ins().iadd(x, y),
            Some(Binary::MinSigned) => IntCC::SignedLessThan,
            Some(Binary::MaxSigned) => IntCC::SignedGreaterThan,
            Some(Binary::MinUnsigned) => IntCC::UnsignedLessThan,
            Some(Binary::MaxUnsigned) => IntCC::UnsignedGreaterThan,
            Some(op) => return self.apply(op, x, y),
        };
        let is_x = self.t.builder.ins().icmp(cond, x, y);
        self.t.builder.ins().select(is_x, x, y)
    }
}

/// How vectors of one type are taken for such of another.
fn lanes_flags() -> MemFlagsData {
    MemFlagsData::new().with_endianness(Endianness::Little)
}
