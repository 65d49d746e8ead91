//! Recursive functions often return at once: at a leaf of a tree, or below a bound. That much of them is translated in the place of their
//! calls.
//!
//! The callee's body is translated as if it were inlined, as far as its operators only compute and branch. Where anything else would come,
//! the function is called after all, and begins anew: what was computed so far has no effects, and is forgotten. Of fuel, too, what that
//! took.

use super::inlining::Callee;
use super::translator::{FuncTranslator, LocalPlace};
use crate::CompileError;
use crate::operators::Properties;
use ampoule_core::index::FuncIndex;
use ampoule_core::types::ValType;
use cranelift_codegen::ir::{Block, InstBuilder, SourceLoc, Value};
use wasmparser::{FunctionBody, Operator};

/// A call of which the quick ways through the callee are being translated.
pub(super) struct QuickReturns {
    function: FuncIndex,
    args: Vec<Value>,
    /// The counter's value at the call, and its place.
    fuel: Option<(LocalPlace, Value)>,
    position: SourceLoc,
    /// Where the function is called, once something leads there.
    call: Option<Block>,
}

impl<'a> FuncTranslator<'a> {
    /// What is needed for the call, before the callee is entered.
    pub(super) fn quick_returns(&mut self, function: FuncIndex, callee: &Callee<'_>) -> QuickReturns {
        let fuel = self.metering.fuel.map(|place| (place, self.read_local(place, ValType::I64)));
        let args = self.stack[self.stack.len() - callee.params()..].to_vec();
        QuickReturns { function, args, fuel, position: self.builder.srcloc(), call: None }
    }

    /// Before an operator of the callee: leads to the call where that doesn't belong to a quick way.
    pub(super) fn leave_quick_way(&mut self, returns: &mut QuickReturns, op: &Operator<'_>) {
        if self.reachable && !is_quick(op) {
            let call = *returns.call.get_or_insert_with(|| self.builder.create_block());
            self.builder.ins().jump(call, &[]);
            self.stop();
        }
    }

    /// Before the callee's last operator: the call, whose results are those of the body.
    pub(super) fn call_instead(&mut self, returns: QuickReturns) {
        self.fall_through();
        let Some(call) = returns.call else { return };
        self.builder.seal_block(call);
        self.builder.switch_to_block(call);
        self.builder.set_srcloc(returns.position);
        self.metering.owed = None;
        if let Some((place, value)) = returns.fuel {
            self.write_local(place, value);
        }
        let height = self.control.last().expect("it is in the callee's body").height;
        self.stack.truncate(height);
        self.stack.extend(returns.args);
        self.reachable = true;
        self.call_function(returns.function, false);
    }
}

/// Whether nothing but quick operators may lie between a body's beginning and a return.
pub(super) fn may_return_at_once(body: &FunctionBody<'_>) -> Result<bool, CompileError> {
    /// A block around an operator.
    struct Frame {
        /// Whether it begins on a quick way.
        entered: bool,
        /// Whether a quick way leads to its end.
        end_used: bool,
        /// Whether the other arm of an `if` is still to come.
        is_if: bool,
    }
    let mut frames = vec![Frame { entered: true, end_used: false, is_if: false }];
    let mut quick = true;
    for op in body.get_operators_reader()? {
        let op = op?;
        quick &= is_quick(&op);
        let depth = frames.len() - 1;
        match op {
            Operator::Block { .. } | Operator::If { .. } => {
                frames.push(Frame { entered: quick, end_used: false, is_if: matches!(op, Operator::If { .. }) });
            }
            Operator::Else => {
                let frame = &mut frames[depth];
                frame.end_used |= quick;
                (quick, frame.is_if) = (frame.entered, false);
            }
            Operator::End => {
                let Some(frame) = frames.pop() else { return Ok(false) };
                quick |= frame.end_used || frame.is_if && frame.entered;
            }
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } if quick => {
                frames[depth - relative_depth as usize].end_used = true;
                quick = matches!(op, Operator::BrIf { .. });
            }
            Operator::Return if quick => {
                frames[0].end_used = true;
                quick = false;
            }
            // Nothing that is inlined has loops; handlers are more than is looked at here.
            Operator::Loop { .. } | Operator::Try { .. } | Operator::TryTable { .. } => return Ok(false),
            _ => {}
        }
    }
    Ok(quick)
}

/// Whether an operator only computes or branches.
fn is_quick(op: &Operator<'_>) -> bool {
    match op {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::If { .. }
        | Operator::Else
        | Operator::End
        | Operator::Br { .. }
        | Operator::BrIf { .. }
        | Operator::Return
        | Operator::RefIsNull
        | Operator::RefNull { .. } => true,
        op => Properties::of(op).copyable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick(body: &str) -> bool {
        let wat = format!("(module (func $f (param i32) (result i32) {body}))");
        let bytes = wat::parse_str(&wat).expect("it is text");
        let mut bodies = wasmparser::Parser::new(0).parse_all(&bytes).filter_map(|payload| match payload {
            Ok(wasmparser::Payload::CodeSectionEntry(body)) => Some(body),
            _ => None,
        });
        may_return_at_once(&bodies.next().expect("it has a body")).expect("it is valid")
    }

    #[test]
    fn only_what_returns_before_anything_happens_is_quick() {
        const CALL: &str = "(call $f (local.get 0))";
        assert!(quick("(if (local.get 0) (then (return (i32.const 1)))) (call $f (local.get 0))"));
        assert!(quick("(if (result i32) (local.get 0) (then (i32.const 1)) (else (call $f (local.get 0))))"));
        assert!(quick("(if (result i32) (local.get 0) (then (call $f (local.get 0))) (else (i32.const 1)))"));
        assert!(quick("(block (br_if 0 (local.get 0)) (return (call $f (i32.const 1)))) (i32.const 1)"));
        assert!(
            quick("(if (local.get 0) (then (drop (call $f (i32.const 1))))) (i32.const 1)"),
            "the other arm is empty"
        );
        assert!(!quick(CALL));
        assert!(!quick(
            "(drop (call $f (i32.const 1))) (if (local.get 0) (then (return (i32.const 1)))) (i32.const 1)"
        ));
        assert!(!quick("(if (local.get 0) (then (return (call $f (i32.const 1))))) (call $f (local.get 0))"));
        assert!(!quick("(if (local.get 0) (then (nop))) (call $f (local.get 0))"), "both ways lead to the call");
        assert!(!quick("(block (br_if 0 (local.get 0))) (call $f (local.get 0))"));
        assert!(!quick(
            "(return (call $f (local.get 0))) (if (local.get 0) (then (return (i32.const 1)))) (i32.const 1)"
        ));
        assert!(!quick(
            "(if (i32.div_u (i32.const 1) (local.get 0)) (then (return (i32.const 1)))) (call $f (local.get 0))"
        ));
        assert!(!quick("(if (local.get 0) (then (return (i32.const 1)))) (loop) (call $f (local.get 0))"));
    }
}
