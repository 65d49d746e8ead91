//! Stopping the guest: cold blocks that call the builtin `trap`.

use super::translator::FuncTranslator;
use crate::optimizing::flags::clif_trap;
use ampoule_core::builtins::Builtin;
use ampoule_core::trap::TrapCode;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};

impl FuncTranslator<'_> {
    /// Stops the guest. Nothing can follow in this block; the operators up to the next block end are unreachable.
    pub fn trap(&mut self, code: TrapCode) {
        self.trap_here(code);
        self.stop();
    }

    /// Stops the guest where a condition (an integer, true when not zero) holds.
    pub fn trap_if(&mut self, condition: Value, code: TrapCode) {
        // A condition that always holds stays in the code, so that what follows can be translated as if it were reachable.
        if self.constant(condition) == Some(0) {
            return;
        }
        let (cold, next) = self.branch_cold(condition);
        self.builder.switch_to_block(cold);
        self.trap_here(code);
        self.builder.switch_to_block(next);
    }

    /// Stops the guest where a reference is null.
    pub(super) fn check_null(&mut self, reference: Value) {
        let null = self.is_null(reference);
        self.trap_if(null, TrapCode::NullReference);
    }

    /// Whether a reference is null.
    pub(super) fn is_null(&mut self, reference: Value) -> Value {
        self.builder.ins().icmp_imm_s(IntCC::Equal, reference, 0)
    }

    /// Flags of an access that may fault, which means this.
    pub(super) fn faulting(&mut self, flags: MemFlagsData, code: TrapCode) -> MemFlagsData {
        // Whatever stops the guest charges what it has spent.
        flags.with_trap_code(Some(self.fault(code)))
    }

    /// The call that stops the guest, and the block's end.
    fn trap_here(&mut self, code: TrapCode) {
        self.write_metering();
        let number = self.builder.ins().iconst(types::I32, i64::from(code as u8));
        self.call_builtin_unmetered(Builtin::Trap, &[number]);
        self.never();
    }

    /// Ends a block behind a call that doesn't return.
    pub(super) fn never(&mut self) {
        self.builder.ins().trap(clif_trap(TrapCode::Unreachable));
    }
}
