//! What the lanes of a vector hold of a node's value.
//!
//! A lane is as wide as an element in memory, which may be less than the value. It has the value's low bits always; whether the rest of
//! the value are zeros or copies of the lane's sign is known of some. Operators that ask for more than low bits are done where that is known.

use super::body::{Binary, Id, Node, Unary, signed};
use super::plan::{Lane, Plan};
use ampoule_core::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;

impl Lane {
    fn int(exact: bool) -> Self {
        Lane::Int { zero: exact, sign: exact }
    }
}

impl Plan {
    /// Bits of a lane.
    pub fn bits(&self) -> u32 {
        self.size * 8
    }

    fn type_bits(&self, id: Id) -> u32 {
        if matches!(self.body.ty(id), ValType::I64 | ValType::F64) { 64 } else { 32 }
    }

    /// Whether the integer that a node is has as many bits as a lane.
    fn is_whole(&self, id: Id) -> bool {
        self.type_bits(id) == self.bits()
    }

    /// Whether all that is to be computed can be, in lanes.
    pub(super) fn check_lanes(&mut self) -> Option<()> {
        for at in 0..self.streams.len() {
            let value = self.streams[at].value;
            match self.lane(value)? {
                Lane::Mask => drop(self.int_lane(value)?),
                Lane::Int { .. } | Lane::Float => {}
            }
        }
        for at in 0..self.searches.len() {
            let condition = self.searches[at].condition;
            self.check_condition(condition)?;
        }
        for at in 0..self.reductions.len() {
            let (op, ty) = (self.reductions[at].op, self.reductions[at].ty);
            let bits = if ty == ValType::I64 { 64 } else { 32 };
            for element in 0..self.reductions[at].elements.len() {
                let id = self.reductions[at].elements[element].0;
                let exact = match self.lane(id)? {
                    // Also in lanes that are wider than the number of those that hold.
                    Lane::Mask if op.is_none() => continue,
                    Lane::Int { zero, sign } => zero || sign,
                    _ => return None,
                };
                let sums = op.is_none() && bits > self.bits() && exact;
                let smallest = matches!(op, Some(Binary::And | Binary::Or | Binary::Xor)) || op.is_none();
                let folds = bits == self.bits() && (smallest || self.size == 4);
                (sums || folds).then_some(())?;
            }
        }
        Some(())
    }

    /// Whether a lane tells whether a value is zero.
    fn check_condition(&mut self, id: Id) -> Option<()> {
        match self.lane(id)? {
            Lane::Int { zero: false, sign: false } | Lane::Float => None,
            Lane::Int { .. } | Lane::Mask => Some(()),
        }
    }

    /// What lanes hold of a node; `None` where it can't be computed in them.
    pub fn lane(&mut self, id: Id) -> Option<Lane> {
        if let Some(&known) = self.lanes.get(&id) {
            return known;
        }
        let found = self.find_lane(id);
        let found = match found {
            Some(Lane::Int { .. }) if self.type_bits(id) < self.bits() => None,
            Some(Lane::Int { .. }) if self.is_whole(id) => Some(Lane::int(true)),
            found => found,
        };
        self.lanes.insert(id, found);
        found
    }

    /// Of an integer, or of a condition as one.
    fn int_lane(&mut self, id: Id) -> Option<(bool, bool)> {
        match self.lane(id)? {
            Lane::Int { zero, sign } => Some((zero, sign)),
            Lane::Mask if self.type_bits(id) >= self.bits() => Some((true, true)),
            _ => None,
        }
    }

    fn float_lane(&mut self, id: Id) -> Option<Lane> {
        (self.lane(id)? == Lane::Float).then_some(Lane::Float)
    }

    fn find_lane(&mut self, id: Id) -> Option<Lane> {
        let ty = self.body.ty(id);
        if !self.varies(id) {
            return self.lane_of_invariant(id);
        }
        match self.body.node(id).clone() {
            Node::Start(_) | Node::Float(_) => None,
            Node::Load(_, kind, _) if matches!(ty, ValType::I32 | ValType::I64) => {
                let zero = kind == super::body::LoadKind::Zero;
                Some(Lane::Int { zero, sign: !zero })
            }
            Node::Load(..) => Some(Lane::Float),
            Node::Sum(terms, _) => {
                // Bytes have no products.
                let is_factor = |times: u64| {
                    let times = signed(ty, times);
                    self.size > 1 || times == -1 || times.count_ones() == 1
                };
                if !terms.iter().all(|&(_, times)| is_factor(times)) {
                    return None;
                }
                for (term, _) in terms {
                    self.int_lane(term)?;
                }
                Some(Lane::int(false))
            }
            Node::Unary(op, x) => self.lane_of_unary(op, x),
            Node::Binary(op, x, y) => self.lane_of_binary(op, x, y),
            Node::IntCompare(cond, x, y) => {
                self.compared(cond, x, y)?;
                Some(Lane::Mask)
            }
            Node::FloatCompare(_, x, y) => {
                self.float_lane(x)?;
                self.float_lane(y)?;
                Some(Lane::Mask)
            }
            Node::Select(x, y, condition) => {
                self.check_condition(condition)?;
                if let (Some(Lane::Float), Some(Lane::Float)) = (self.lane(x), self.lane(y)) {
                    return Some(Lane::Float);
                }
                let (x, y) = (self.int_lane(x)?, self.int_lane(y)?);
                Some(Lane::Int { zero: x.0 && y.0, sign: x.1 && y.1 })
            }
        }
    }

    fn lane_of_invariant(&self, id: Id) -> Option<Lane> {
        if !self.is_scalar(id) {
            return None;
        }
        let ty = self.body.ty(id);
        if matches!(ty, ValType::F32 | ValType::F64) {
            return self.is_whole(id).then_some(Lane::Float);
        }
        let Some(constant) = self.body.constant(id) else { return Some(Lane::int(false)) };
        let signed = i128::from(signed(ty, constant));
        let half = 1i128 << (self.bits() - 1);
        Some(Lane::Int { zero: i128::from(constant) < 2 * half, sign: (-half..half).contains(&signed) })
    }

    fn lane_of_unary(&mut self, op: Unary, x: Id) -> Option<Lane> {
        let bits = self.bits();
        if let Unary::Abs | Unary::Neg | Unary::Sqrt = op {
            return self.float_lane(x);
        }
        let (zero, sign) = self.int_lane(x)?;
        match op {
            Unary::Wrap => Some(Lane::Int { zero, sign }),
            Unary::ExtendUnsigned if bits == 32 => Some(Lane::Int { zero: true, sign: false }),
            Unary::ExtendUnsigned if bits < 32 => Some(Lane::Int { zero, sign: false }),
            Unary::ExtendSigned(from) if from == bits => Some(Lane::Int { zero: false, sign: true }),
            Unary::ExtendSigned(from) if from > bits => Some(Lane::Int { zero, sign }),
            Unary::Convert if bits == 32 => Some(Lane::Float),
            _ => None,
        }
    }

    fn lane_of_binary(&mut self, op: Binary, x: Id, y: Id) -> Option<Lane> {
        use Binary::*;
        if let FloatAdd | FloatSub | FloatMul | FloatDiv = op {
            self.float_lane(x)?;
            return self.float_lane(y);
        }
        if let ShiftRightUnsigned | ShiftRightSigned = op {
            let (zero, sign) = self.int_lane(x)?;
            let by = self.body.constant(y)? % u64::from(self.type_bits(x));
            if by >= u64::from(self.bits()) {
                return None;
            }
            return match op {
                ShiftRightUnsigned if zero => Some(Lane::Int { zero, sign: sign || by > 0 }),
                ShiftRightSigned if sign => Some(Lane::Int { zero: false, sign }),
                _ => None,
            };
        }
        let (a, b) = (self.int_lane(x)?, self.int_lane(y)?);
        match op {
            Mul => (self.size > 1).then_some(Lane::int(false)),
            And => Some(Lane::Int { zero: a.0 || b.0, sign: a.1 && b.1 }),
            Or | Xor => Some(Lane::Int { zero: a.0 && b.0, sign: a.1 && b.1 }),
            MinSigned | MaxSigned | MinUnsigned | MaxUnsigned if self.size < 8 => {
                let exact = Lane::Int { zero: a.0 && b.0, sign: a.1 && b.1 };
                (exact != Lane::int(false)).then_some(exact)
            }
            _ => None,
        }
    }

    /// The condition on lanes that is one on these integers, as far as that is known before the loop.
    pub fn compared(&mut self, cond: IntCC, x: Id, y: Id) -> Option<IntCC> {
        let (a, b) = (self.int_lane(x)?, self.int_lane(y)?);
        let (a, b) = (self.guarded(x, a, b), self.guarded(y, b, a));
        let (zero, sign) = (a.0 && b.0, a.1 && b.1);
        let on_lanes = match cond {
            IntCC::Equal | IntCC::NotEqual => cond,
            // An extension with signs keeps the order of unsigned numbers, too; one with zeros makes signed ones unsigned.
            _ if sign => cond,
            _ => cond.unsigned(),
        };
        // There are no unsigned comparisons of 64 bits.
        let is_signed = on_lanes != on_lanes.unsigned();
        let exists = self.size < 8 || is_signed || matches!(cond, IntCC::Equal | IntCC::NotEqual);
        ((zero || sign) && exists).then_some(on_lanes)
    }

    /// What may be said of a lane when the loop is entered only where it holds: of what is the same in each iteration, compared with what is exact.
    fn guarded(&mut self, id: Id, own: (bool, bool), other: (bool, bool)) -> (bool, bool) {
        let exact = own.0 && other.0 || own.1 && other.1;
        if exact || self.varies(id) || self.body.constant(id).is_some() || !(other.0 || other.1) {
            return own;
        }
        let guard = (id, !other.0);
        if !self.fits.contains(&guard) {
            self.fits.push(guard);
        }
        (own.0 || other.0, own.1 || !other.0)
    }
}
