//! Locals that take up elements: what a vector loop keeps of them in vectors, and what becomes of it behind the loop.

use super::body::{Binary, Id};
use super::emit::{Accumulator, Emitter};
use super::plan::{Lane, Reduction};
use ampoule_core::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};

impl Emitter<'_, '_> {
    pub(super) fn accumulators(&mut self) -> Vec<Accumulator> {
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
    pub(super) fn identity(&mut self, accumulator: &Accumulator) -> Value {
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
    pub(super) fn accumulate(&mut self, accumulator: &Accumulator, before: Value) -> Value {
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

    /// Brings what the accumulators have to the locals.
    pub(super) fn take_up(&mut self, accumulators: &[Accumulator], vectors: &[Value]) {
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
    pub(super) fn fold(&mut self, op: Option<Binary>, x: Value, y: Value) -> Value {
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
