//! From what Cranelift leaves of a function to what the runtime takes.

use super::func::{NAMESPACE_BODY, NAMESPACE_BUILTIN, NAMESPACE_FUNC};
use super::inline::InlinedPositions;
use super::placement::{self, Placement};
use super::traps::trap_code;
use crate::CompileError;
use ampoule_core::artifact::{CompiledFunction, FunctionInfo, Relocation, RelocationTarget, StackMap};
use ampoule_core::builtins::Builtin;
use ampoule_core::index::FuncIndex;
use ampoule_core::trap::TrapCode;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::{ExternalName, LibCall, UserExternalName};
use cranelift_codegen::{CompiledCode, FinalizedRelocTarget, ir};

/// Code, and what is only needed while it is put together.
pub(super) struct Emitted {
    pub function: CompiledFunction,
    /// Bytes from the stack pointer to the frame pointer.
    pub frame_size: u32,
    /// Where jumps to the body are, in code that is the entry to one.
    pub body_jumps: Vec<u32>,
}

/// Converts the code of `func`; `inlined` is what its positions refer to.
pub(super) fn emit(
    code: &CompiledCode,
    func: &ir::Function,
    inlined: InlinedPositions,
) -> Result<Emitted, CompileError> {
    let buffer = &code.buffer;
    let mut body_jumps = Vec::new();
    let mut relocations = Vec::new();
    for reloc in buffer.relocs() {
        if !matches!(reloc.kind, Reloc::X86CallPCRel4 | Reloc::X86PCRel4) || reloc.addend != -4 {
            return Err(CompileError::new(format!("a relocation of kind {:?} can't be linked", reloc.kind)));
        }
        let FinalizedRelocTarget::ExternalName(name) = &reloc.target else {
            return Err(CompileError::new("a relocation within the function can't be linked"));
        };
        match target(name, func)? {
            Some(target) => relocations.push(Relocation { offset: reloc.offset, target }),
            None => body_jumps.push(reloc.offset),
        }
    }
    let mut bytes = buffer.data().to_vec();
    relocations.iter_mut().for_each(|relocation| jump_to_interrupt(&mut bytes, relocation));
    relocations.sort_by_key(|relocation| relocation.offset);
    let frame_size = buffer.frame_layout().map_or(0, |layout| layout.frame_to_fp_offset);
    let Placement { alignment, phase } = placement::best(buffer.data(), &code.bb_starts, buffer.alignment);
    let function = CompiledFunction {
        code: bytes,
        alignment,
        phase,
        relocations,
        info: FunctionInfo { traps: traps(code), positions: positions(code), inlined, stack_maps: stack_maps(code) },
    };
    Ok(Emitted { function, frame_size, body_jumps })
}

/// Makes a call of a builtin that interrupts the guest a jump to code behind the function that pushes the return address and jumps on.
/// Such a builtin doesn't return either: the guest may pause there, and others run meanwhile, whose returns the processor would match with
/// this call. The return address is the same, so nothing that is known of it changes.
fn jump_to_interrupt(code: &mut Vec<u8>, relocation: &mut Relocation) {
    const CALL: u8 = 0xe8;
    const JUMP: u8 = 0xe9;
    let interrupts =
        matches!(relocation.target, RelocationTarget::Builtin(Builtin::EpochReached | Builtin::FuelExhausted));
    let at = relocation.offset as usize;
    if !interrupts || code[at - 1] != CALL {
        return;
    }
    let (back, start) = (at + 4, code.len());
    let displacement = |from: usize, to: usize| (to.wrapping_sub(from) as u32).to_le_bytes();
    code[at - 1] = JUMP;
    code[at..back].copy_from_slice(&displacement(back, start));
    // Every register is kept: push rax, push rax, lea rax, [rip + back], mov [rsp + 8], rax, pop rax.
    code.extend_from_slice(&[0x50, 0x50, 0x48, 0x8d, 0x05]);
    code.extend_from_slice(&displacement(start + 9, back));
    code.extend_from_slice(&[0x48, 0x89, 0x44, 0x24, 0x08, 0x58, JUMP]);
    relocation.offset = code.len() as u32;
    code.extend_from_slice(&[0; 4]);
}

/// Puts a function's entry before its body and links the two.
pub(super) fn join(entry: Emitted, body: Emitted) -> Result<CompiledFunction, CompileError> {
    let Emitted { mut function, body_jumps, .. } = entry;
    let body = body.function;
    let start = u32::try_from(function.code.len().next_multiple_of(body.alignment as usize))
        .map_err(|_| CompileError::new("the function's code is too large"))?;
    // The body begins at a multiple of its alignment within the whole, so its phase is the whole's; but the entry is not to be
    // less aligned than any function is.
    function.alignment = function.alignment.max(body.alignment);
    function.phase = body.phase / 16 * 16;
    function.code.resize(start as usize, 0x90);
    function.code.extend_from_slice(&body.code);
    for at in body_jumps {
        let displacement = start - at - 4;
        function.code[at as usize..at as usize + 4].copy_from_slice(&displacement.to_le_bytes());
    }
    let moved = |offset: u32| start + offset;
    function.relocations.extend(body.relocations.iter().map(|r| Relocation { offset: moved(r.offset), ..*r }));
    let (info, body) = (&mut function.info, body.info);
    // The entry has no operators of its own but the one that stands for the function.
    info.inlined = body.inlined;
    info.traps.extend(body.traps.into_iter().map(|(at, code)| (moved(at), code)));
    info.positions.extend(body.positions.into_iter().map(|(at, position)| (moved(at), position)));
    info.stack_maps.extend(body.stack_maps.into_iter().map(|(at, map)| (moved(at), map)));
    Ok(function)
}

/// What a name stands for; `None` is the body of the function itself.
fn target(name: &ExternalName, func: &ir::Function) -> Result<Option<RelocationTarget>, CompileError> {
    Ok(Some(match name {
        ExternalName::User(name) => {
            let UserExternalName { namespace, index } = func.params.user_named_funcs()[*name];
            match namespace {
                NAMESPACE_FUNC => RelocationTarget::Func(FuncIndex(index)),
                NAMESPACE_BUILTIN => RelocationTarget::Builtin(Builtin::ALL[index as usize]),
                NAMESPACE_BODY => return Ok(None),
                _ => unreachable!("no other namespace is used"),
            }
        }
        ExternalName::LibCall(call) => RelocationTarget::Builtin(libcall(*call)?),
        other => return Err(CompileError::new(format!("a relocation to {other:?} can't be linked"))),
    }))
}

/// The builtin that does what Cranelift asks for where the CPU lacks an instruction.
fn libcall(call: LibCall) -> Result<Builtin, CompileError> {
    Ok(match call {
        LibCall::CeilF32 => Builtin::CeilF32,
        LibCall::CeilF64 => Builtin::CeilF64,
        LibCall::FloorF32 => Builtin::FloorF32,
        LibCall::FloorF64 => Builtin::FloorF64,
        LibCall::TruncF32 => Builtin::TruncF32,
        LibCall::TruncF64 => Builtin::TruncF64,
        LibCall::NearestF32 => Builtin::NearestF32,
        LibCall::NearestF64 => Builtin::NearestF64,
        LibCall::FmaF32 => Builtin::FmaF32,
        LibCall::FmaF64 => Builtin::FmaF64,
        other => return Err(CompileError::new(format!("the CPU lacks what stands in for {other}"))),
    })
}

/// Instructions that may fault. The trap instructions behind calls that don't return are not among them: were one
/// reached, that would be no trap of the guest's.
fn traps(code: &CompiledCode) -> Vec<(u32, u8)> {
    let mut traps: Vec<_> = code
        .buffer
        .traps()
        .iter()
        .filter_map(|trap| Some((trap.offset, trap_code(trap.code)?)))
        .filter(|&(_, code)| code != TrapCode::Unreachable)
        .map(|(offset, code)| (offset, code as u8))
        .collect();
    traps.sort_unstable();
    traps.dedup_by_key(|trap| trap.0);
    traps
}

fn positions(code: &CompiledCode) -> Vec<(u32, u32)> {
    let mut positions: Vec<(u32, u32)> = Vec::new();
    let mut push = |at: u32, position: u32| match positions.last_mut() {
        Some(last) if last.1 == position => {}
        // A range that begins where the one before ended replaces the mark of that end.
        Some(last) if last.0 == at => last.1 = position,
        _ => positions.push((at, position)),
    };
    for range in code.buffer.get_srclocs_sorted() {
        if range.start < range.end {
            push(range.start, range.loc.bits());
            push(range.end, u32::MAX);
        }
    }
    positions.dedup_by_key(|entry| entry.1);
    positions
}

fn stack_maps(code: &CompiledCode) -> Vec<(u32, StackMap)> {
    let maps = code.buffer.user_stack_maps().iter();
    maps.map(|(at, frame_size, map)| {
        let slots = map.entries().map(|(_, offset)| offset).collect();
        (*at, StackMap { frame_size: *frame_size, slots })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_is_jumped_to_with_the_return_address_of_the_call() {
        let target = RelocationTarget::Builtin(Builtin::EpochReached);
        let call = [0x90, 0xe8, 0, 0, 0, 0, 0xc3];
        let mut code = call.to_vec();
        let mut relocation = Relocation { offset: 2, target };
        jump_to_interrupt(&mut code, &mut relocation);
        let at =
            |offset: usize| offset as i64 + 4 + i64::from(i32::from_le_bytes(*code[offset..].first_chunk().unwrap()));
        assert_eq!((code[1], at(2)), (0xe9, 7), "a jump behind the code");
        assert_eq!(code[9..12], [0x48, 0x8d, 0x05]);
        assert_eq!(at(12), 6, "what is pushed is the address behind the call");
        assert_eq!((code[22], relocation.offset as usize, code.len()), (0xe9, 23, 27));

        let mut code = call.to_vec();
        let mut relocation = Relocation { offset: 2, target: RelocationTarget::Builtin(Builtin::MemoryGrow) };
        jump_to_interrupt(&mut code, &mut relocation);
        assert_eq!((code, relocation.offset), (call.to_vec(), 2), "others are called");
    }
}
