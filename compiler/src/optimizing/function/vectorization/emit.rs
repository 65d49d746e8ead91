//! The code of a vector loop, in front of the loop that it takes iterations from.
//!
//! Before it is found out how many iterations there are to take: those that surely go back to the head, and in which every access is in
//! bounds, so that nothing can trap. Whole vectors are taken, and whole iterations. Where a vector has what is searched for, or none are left,
//! the loop itself goes on from the state that the iterations left.

use super::body::{Exit, Id, Node};
use super::plan::{Counted, Pair, Plan, Stream, VECTOR};
use crate::optimizing::flags::Region;
use crate::optimizing::function::translator::FuncTranslator;
use ampoule_core::tunables::{IndexCheck, MemoryPlan};
use ampoule_core::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, Endianness, InstBuilder, MemFlagsData, Type, Value, types};
use std::collections::HashMap;

/// Elements that a loop has at least, where it is known how many, for a vector loop to be tried.
const ENOUGH: u64 = 16;
/// Bytes of a stream between looks at the deadline; not more than twice as many.
const CHUNK: u64 = 4096;

/// The state of a vector loop's translation.
pub(super) struct Emitter<'t, 'a> {
    pub t: &'t mut FuncTranslator<'a>,
    pub plan: &'t mut Plan,
    /// What locals have before the loop, by node.
    pub starts: HashMap<Id, Value>,
    pub vectors: HashMap<Id, Value>,
}

/// What a reduction keeps in a vector: which one, the element that it takes up, and how often.
pub(super) struct Accumulator {
    pub reduction: usize,
    /// All elements of a reduction that isn't a sum are in one.
    pub elements: Vec<Id>,
    pub times: u64,
    pub ty: Type,
}

impl FuncTranslator<'_> {
    /// Translates the vector loop of a plan.
    pub(super) fn vector_loop(&mut self, plan: &mut Plan) {
        let mut emitter = Emitter { t: self, plan, starts: HashMap::new(), vectors: HashMap::new() };
        emitter.run();
        self.metering.owed = None;
    }
}

impl Emitter<'_, '_> {
    fn run(&mut self) {
        self.t.settle_metering();
        self.read_locals();
        let vector = self.block();
        let scalar = self.block();
        let mut counts = Vec::new();
        for at in 0..self.plan.counted.len() {
            counts.push(self.counted(at));
        }
        let count = self.least(counts);
        if let Some(count) = count {
            // A short loop is to cost no more than this.
            let enough = ENOUGH.max(self.plan.per_vector()).div_ceil(self.plan.copies);
            let is_long = self.t.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, count, enough as i64);
            let long = self.block();
            self.t.builder.ins().brif(is_long, long, &[], scalar, &[]);
            self.t.builder.seal_block(long);
            self.t.builder.switch_to_block(long);
        }
        let iterations = self.iterations(count);
        let mut enters = self.t.builder.ins().icmp_imm_u(IntCC::NotEqual, iterations, 0);
        for (id, is_signed) in self.plan.fits.clone() {
            let fits = self.fits(id, is_signed);
            enters = self.t.builder.ins().band(enters, fits);
        }
        let mut hosts: Vec<Value> = (0..self.plan.streams.len()).map(|stream| self.host_address(stream)).collect();
        for at in 0..self.plan.pairs.len() {
            let apart = self.apart(at, &hosts);
            enters = self.t.builder.ins().band(enters, apart);
        }
        if self.t.tunables().interruptible() {
            let reached = self.t.deadline_is_reached_by_now();
            let is_ahead = self.t.inverse(reached);
            enters = self.t.builder.ins().band(enters, is_ahead);
        }
        self.t.builder.ins().brif(enters, vector, &[], scalar, &[]);
        self.t.builder.seal_block(vector);
        self.t.builder.switch_to_block(vector);
        if self.is_clamped() {
            let none = self.t.builder.ins().icmp_imm_u(IntCC::Equal, iterations, 0);
            let null = self.int(types::I64, 0);
            for host in &mut hosts {
                *host = self.t.builder.ins().select_spectre_guard(none, null, *host);
            }
        }
        self.loop_from(iterations, &hosts);
        self.t.builder.ins().jump(scalar, &[]);
        self.t.builder.seal_block(scalar);
        self.t.builder.switch_to_block(scalar);
    }

    /// Whether accesses have to stay in bounds where the processor guesses wrong.
    ///
    /// Then those of the vector loop do by two conditions, neither of which is guessed: without iterations to take, all streams begin at
    /// address zero; and what would be behind the last vector is that one, which is at address zero or in bounds.
    fn is_clamped(&self) -> bool {
        let tunables = self.t.tunables();
        let is_checked = |stream: &Stream| {
            let ty = self.t.memory_type(stream.place.memory);
            let reach = stream.place.offset.saturating_add(VECTOR.into());
            MemoryPlan::new(&ty, tunables).index_check(&ty, reach) != IndexCheck::Nothing
        };
        tunables.spectre_mitigation && self.plan.streams.iter().any(is_checked)
    }

    /// A new block. Searches go aside for theirs: most don't come there.
    fn block(&mut self) -> Block {
        let block = self.t.builder.create_block();
        if !self.plan.searches.is_empty() {
            self.t.builder.set_cold_block(block);
        }
        block
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

    pub(super) fn int(&mut self, ty: Type, number: i64) -> Value {
        let number = if ty == types::I32 { i64::from(number as u32) } else { number };
        self.t.builder.ins().iconst(ty, number)
    }

    pub(super) fn scalar_type(&self, id: Id) -> Type {
        match self.plan.body.ty(id) {
            ValType::I64 => types::I64,
            ValType::F32 => types::F32,
            ValType::F64 => types::F64,
            _ => types::I32,
        }
    }

    /// What a node is in the first iteration: a sum of locals, or a float.
    pub(super) fn scalar(&mut self, id: Id) -> Value {
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

    fn least(&mut self, counts: Vec<Value>) -> Option<Value> {
        counts.into_iter().reduce(|least, count| {
            let is_less = self.t.builder.ins().icmp(IntCC::UnsignedLessThan, count, least);
            self.t.builder.ins().select(is_less, count, least)
        })
    }

    /// How many iterations the vector loop is to take: at most as many as it is counted.
    fn iterations(&mut self, counted: Option<Value>) -> Value {
        let mut counts: Vec<Value> = counted.into_iter().collect();
        for at in 0..self.plan.streams.len() {
            counts.push(self.in_bounds(at));
        }
        counts.extend(self.t.fuel_left().map(|left| self.divided(left, self.plan.body.fuel)));
        let mut iterations = self.least(counts).expect("a loop has a stream");
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
        let (head, done) = (self.block(), self.block());
        let interruptible = self.t.tunables().interruptible();
        // Where a deadline is looked at, the loop is one of two: vectors within chunks.
        let chunk = interruptible.then(|| self.block());
        for block in [Some(head), Some(done), chunk].into_iter().flatten() {
            self.t.builder.append_block_param(block, types::I64);
            for accumulator in &accumulators {
                self.t.builder.append_block_param(block, accumulator.ty);
            }
        }
        let last = self.is_clamped().then(|| self.last_place(end, step));
        let mut stop = end;
        if let Some(chunk) = chunk {
            self.t.builder.ins().jump(chunk, &args);
            self.t.builder.switch_to_block(chunk);
            let params = self.t.builder.block_params(chunk).to_vec();
            stop = self.end_of_chunk(params[0], end);
            args = params.into_iter().map(BlockArg::from).collect();
        }
        self.t.builder.ins().jump(head, &args);
        self.t.builder.switch_to_block(head);
        let params = self.t.builder.block_params(head).to_vec();
        let (at, kept) = (params[0], &params[1..]);
        let place = last.map_or(at, |last| self.clamped(at, last));
        self.load_all(place, hosts);
        self.search(done, &params);
        self.store_all(place, hosts);
        let next_at = self.int(types::I64, step);
        let next_at = self.t.builder.ins().iadd(at, next_at);
        let mut next = vec![BlockArg::from(next_at)];
        for (accumulator, &before) in accumulators.iter().zip(kept) {
            next.push(self.accumulate(accumulator, before).into());
        }
        let goes_on = self.t.builder.ins().icmp(IntCC::NotEqual, next_at, stop);
        if let Some(chunk) = chunk {
            let (between, look) = (self.block(), self.block());
            self.t.builder.ins().brif(goes_on, head, &next, between, &[]);
            self.t.builder.seal_block(between);
            self.t.builder.switch_to_block(between);
            let goes_on = self.t.builder.ins().icmp(IntCC::NotEqual, next_at, end);
            self.t.builder.ins().brif(goes_on, look, &[], done, &next);
            self.t.builder.seal_block(look);
            self.t.builder.switch_to_block(look);
            let reached = self.t.deadline_is_reached_by_now();
            self.t.builder.ins().brif(reached, done, &next, chunk, &next);
            self.t.builder.seal_block(chunk);
        } else {
            self.t.builder.ins().brif(goes_on, head, &next, done, &next);
        }
        self.t.builder.seal_block(head);
        self.t.builder.seal_block(done);
        self.t.builder.switch_to_block(done);
        let params = self.t.builder.block_params(done).to_vec();
        let takes_all = self.plan.searches.is_empty() && !interruptible;
        let taken = if takes_all { iterations } else { self.iterations_until(params[0]) };
        self.t.spend_fuel(taken, self.plan.body.fuel);
        self.leave(taken, &accumulators, &params[1..]);
    }

    /// Where the chunk ends that begins at this place of the first stream, or the loop. Both are between iterations and between vectors.
    fn end_of_chunk(&mut self, at: Value, end: Value) -> Value {
        let iteration = u64::from(self.plan.size) * self.plan.copies;
        // At least 32 iterations: an iteration has at most 128 bytes.
        let bytes = iteration * (CHUNK / iteration).next_power_of_two();
        let (sign, is_before) =
            if self.plan.backwards { (-1, IntCC::SignedGreaterThan) } else { (1, IntCC::SignedLessThan) };
        let bytes = self.int(types::I64, sign * bytes as i64);
        let next = self.t.builder.ins().iadd(at, bytes);
        let is_before = self.t.builder.ins().icmp(is_before, next, end);
        self.t.builder.ins().select(is_before, next, end)
    }

    /// The place of the last vector in each stream; zero if there is none.
    fn last_place(&mut self, end: Value, step: i64) -> Value {
        let step = self.int(types::I64, step);
        let last = self.t.builder.ins().isub(end, step);
        let none = self.t.builder.ins().icmp_imm_u(IntCC::Equal, end, 0);
        let first = self.int(types::I64, 0);
        self.t.builder.ins().select_spectre_guard(none, first, last)
    }

    /// The place of a vector in each stream, which is that of the last where it would be behind that.
    fn clamped(&mut self, at: Value, last: Value) -> Value {
        let cond = if self.plan.backwards { IntCC::SignedLessThan } else { IntCC::SignedGreaterThan };
        let is_behind = self.t.builder.ins().icmp(cond, at, last);
        self.t.builder.ins().select_spectre_guard(is_behind, last, at)
    }

    /// How many iterations have been taken at this place of the first stream, which is behind whole ones.
    fn iterations_until(&mut self, at: Value) -> Value {
        let bytes = if self.plan.backwards { self.t.builder.ins().ineg(at) } else { at };
        self.divided(bytes, u64::from(self.plan.size) * self.plan.copies)
    }

    fn flags(&mut self) -> MemFlagsData {
        let region = self.t.region(Region::Heap);
        MemFlagsData::new().with_endianness(Endianness::Little).with_alias_region(Some(region)).with_notrap()
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
    fn search(&mut self, done: Block, params: &[Value]) {
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
        let next = self.block();
        let args: Vec<BlockArg> = params.iter().map(|&value| value.into()).collect();
        self.t.builder.ins().brif(any, done, &args, next, &[]);
        self.t.builder.seal_block(next);
        self.t.builder.switch_to_block(next);
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
        self.take_up(accumulators, vectors);
    }
}
