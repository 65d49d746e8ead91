//! How operators come to whoever looks at them: each as it is read, with what is known of its kind, which takes no time to find.

use crate::CompileError;
use crate::operators::{Opcode, Properties};
use wasmparser::{Operator, VisitOperator, VisitSimdOperator};

/// What looks at operators.
pub(super) trait Receiver {
    /// Takes the next operator.
    fn receive(&mut self, op: &Operator<'_>, kind: &'static OperatorKind) -> Result<(), CompileError>;
}

/// What is known of an operator but for its immediates.
pub(super) struct OperatorKind {
    pub properties: Properties,
    pub family: Family,
}

/// Where an operator is translated: in one of the files with most of them, if it is an old one. A hint: what is not there is elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    Control,
    Memory,
    Numeric,
    Any,
}

impl OperatorKind {
    const fn of(op: Opcode) -> Self {
        // In the decoder's order.
        let family = if is_between(op, Opcode::Unreachable, Opcode::Return) {
            Family::Control
        } else if is_between(op, Opcode::I32Load, Opcode::MemoryGrow) {
            Family::Memory
        } else if is_between(op, Opcode::I32Const, Opcode::F64ReinterpretI64) {
            Family::Numeric
        } else {
            Family::Any
        };
        Self { properties: op.properties(), family }
    }
}

/// Hands operators to a receiver.
pub(super) struct Visitor<'r, R>(pub &'r mut R);

macro_rules! define_visits {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($annotation:tt)*))*) => {
        $(
            fn $visit(&mut self $($(, $arg: $argty)*)?) -> Self::Output {
                const KIND: OperatorKind = OperatorKind::of(Opcode::$op);
                self.0.receive(&Operator::$op $({ $($arg),* })?, &KIND)
            }
        )*
    };
}

impl<'a, R: Receiver> VisitOperator<'a> for Visitor<'_, R> {
    type Output = Result<(), CompileError>;

    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = Self::Output>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(define_visits);
}

impl<'a, R: Receiver> VisitSimdOperator<'a> for Visitor<'_, R> {
    wasmparser::for_each_visit_simd_operator!(define_visits);
}

const fn is_between(op: Opcode, first: Opcode, last: Opcode) -> bool {
    first as u32 <= op as u32 && op as u32 <= last as u32
}
