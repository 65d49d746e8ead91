//! What is done to vectors.

use super::body::{Binary, Id, Node, Unary, signed};
use super::emit::Emitter;
use super::plan::{Lane, Plan};
use ampoule_core::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value, types};

impl Emitter<'_, '_> {
    pub(super) fn int_vector(&self) -> Type {
        match self.plan.size {
            1 => types::I8X16,
            2 => types::I16X8,
            4 => types::I32X4,
            _ => types::I64X2,
        }
    }

    pub(super) fn float_vector(&self) -> Type {
        if self.plan.size == 4 { types::F32X4 } else { types::F64X2 }
    }

    /// Where a condition isn't zero, or where it is.
    pub(super) fn mask(&mut self, condition: Id, wanted: bool) -> Value {
        let vector = self.vector(condition);
        if self.plan.lane(condition) == Some(Lane::Mask) {
            return if wanted { vector } else { self.t.builder.ins().bnot(vector) };
        }
        let zero = self.splat_int(0);
        let cond = if wanted { IntCC::NotEqual } else { IntCC::Equal };
        self.t.builder.ins().icmp(cond, vector, zero)
    }

    pub(super) fn splat_int(&mut self, number: u64) -> Value {
        let ty = self.int_vector();
        let lane = ty.lane_type();
        let number = if lane == types::I64 { number } else { number & ((1 << lane.bits()) - 1) };
        let number = self.t.builder.ins().iconst(lane, number as i64);
        self.t.builder.ins().splat(ty, number)
    }

    /// A condition as zeros and ones; anything else as it is.
    pub(super) fn as_number(&mut self, id: Id, vector: Value) -> Value {
        if self.plan.lane(id) != Some(Lane::Mask) {
            return vector;
        }
        let one = self.splat_int(1);
        self.t.builder.ins().band(vector, one)
    }

    /// The lanes of an integer.
    pub(super) fn number(&mut self, id: Id) -> Value {
        let vector = self.vector(id);
        self.as_number(id, vector)
    }

    /// The lanes of a node.
    pub(super) fn vector(&mut self, id: Id) -> Value {
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

    pub(super) fn apply(&mut self, op: Binary, x: Value, y: Value) -> Value {
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
}

/// How vectors of one type are taken for such of another.
fn lanes_flags() -> MemFlagsData {
    MemFlagsData::new().with_endianness(Endianness::Little)
}
