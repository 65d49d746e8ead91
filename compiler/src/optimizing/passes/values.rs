//! What several passes ask of values.

use cranelift_codegen::ir::{Block, Function, Inst, InstructionData, Opcode, Value, ValueDef};

/// The number that a value is, if that is a constant, sign-extended from its type.
pub(super) fn constant(func: &Function, value: Value) -> Option<i64> {
    constant_of(func, func.dfg.value_def(func.dfg.resolve_aliases(value)).inst()?)
}

/// The number that an instruction is, sign-extended from its type: the instruction has it extended with zeros.
pub(super) fn constant_of(func: &Function, inst: Inst) -> Option<i64> {
    match func.dfg.insts[inst] {
        InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => {
            let bits = func.dfg.value_type(func.dfg.first_result(inst)).bits();
            Some(imm.sign_extend_from_width(bits).bits())
        }
        _ => None,
    }
}

/// The block that a value is defined in.
pub(super) fn home(func: &Function, value: Value) -> Option<Block> {
    match func.dfg.value_def(value) {
        ValueDef::Result(inst, _) => func.layout.inst_block(inst),
        ValueDef::Param(block, _) => Some(block),
        ValueDef::Union(..) => None,
    }
}

/// Takes a value for the result of an instruction, which goes.
pub(super) fn take_for(func: &mut Function, inst: Inst, value: Value) {
    let result = func.dfg.first_result(inst);
    func.dfg.clear_results(inst);
    func.dfg.change_to_alias(result, value);
    func.layout.remove_inst(inst);
}

/// A value's place in a table of all.
pub(super) fn index(value: Value) -> usize {
    value.as_u32() as usize
}
