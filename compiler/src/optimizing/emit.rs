//! From what Cranelift leaves of a function to what the runtime takes.

use super::flags::{FIRST_OWING, trap_code};
use super::linkage::{NAMESPACE_BODY, NAMESPACE_BUILTIN, NAMESPACE_FUNC, Numbers};
use crate::CompileError;
use crate::arch::{self, Placement};
use ampoule_core::artifact::{CompiledFunction, FunctionInfo, Handler, Relocation, RelocationTarget, StackMap};
use ampoule_core::builtins::Builtin;
use ampoule_core::index::FuncIndex;
use ampoule_core::trap::TrapCode;
use ampoule_core::tunables::Tier;
use cranelift_codegen::ir::{ExternalName, LibCall, UserExternalName};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{CompiledCode, FinalizedMachExceptionHandler, FinalizedRelocTarget, ir};

/// Code, and what is only needed while it is put together.
pub(super) struct Emitted {
    pub function: CompiledFunction,
    /// Bytes from the stack pointer to the frame pointer.
    pub frame_size: u32,
    /// Where jumps to the body are, in code that is the entry to one.
    pub body_jumps: Vec<u32>,
    /// The code as text, if it was asked for.
    pub text: Option<String>,
}

/// Converts the code of `func`, made for `isa`; `numbers` are what is meant by those in it.
pub(super) fn emit(
    isa: &dyn TargetIsa,
    code: CompiledCode,
    func: &ir::Function,
    Numbers { inlined, owing }: Numbers,
) -> Result<Emitted, CompileError> {
    let buffer = &code.buffer;
    let mut body_jumps = Vec::new();
    let mut relocations = Vec::new();
    for reloc in buffer.relocs() {
        if !arch::is_linkable(reloc.kind, reloc.addend) {
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
    relocations.iter_mut().for_each(|relocation| arch::jump_to_interrupt(&mut bytes, relocation));
    relocations.sort_by_key(|relocation| relocation.offset);
    let frame_size = buffer.frame_layout().map_or(0, |layout| layout.frame_to_fp_offset);
    let Placement { alignment, phase } = arch::best_placement(buffer.data(), &code.bb_starts, buffer.alignment);
    let faults = faults(&code, &owing);
    let owed = faults.iter().filter(|fault| fault.2 != 0).map(|&(at, _, units)| (at, units)).collect();
    let function = CompiledFunction {
        tier: Tier::Optimizing,
        code: bytes,
        alignment,
        phase,
        relocations,
        info: FunctionInfo {
            traps: faults.into_iter().map(|(at, code, _)| (at, code as u8)).collect(),
            positions: positions(&code),
            inlined,
            owed,
            stack_maps: stack_maps(&code),
            handlers: handlers(&code)?,
            kept: arch::kept_registers(isa, &code)?,
        },
        replaces: None,
    };
    Ok(Emitted { function, frame_size, body_jumps, text: code.vcode })
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
    function.code.resize(start as usize, arch::NOP);
    function.code.extend_from_slice(&body.code);
    for at in body_jumps {
        arch::link(&mut function.code, at as usize, start as usize);
    }
    let moved = |offset: u32| start + offset;
    function.relocations.extend(body.relocations.iter().map(|r| Relocation { offset: moved(r.offset), ..*r }));
    let (info, body) = (&mut function.info, body.info);
    // The entry has no operators of its own but the one that stands for the function, and no frame when the body runs.
    info.inlined = body.inlined;
    info.kept = body.kept;
    info.traps.extend(body.traps.into_iter().map(|(at, code)| (moved(at), code)));
    info.owed.extend(body.owed.into_iter().map(|(at, units)| (moved(at), units)));
    info.positions.extend(body.positions.into_iter().map(|(at, position)| (moved(at), position)));
    info.stack_maps.extend(body.stack_maps.into_iter().map(|(at, map)| (moved(at), map)));
    info.handlers
        .extend(body.handlers.into_iter().map(|(at, h)| (moved(at), Handler { landing: moved(h.landing), ..h })));
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
/// reached, that would be no trap of the guest's. With what their faults mean, and charge.
fn faults(code: &CompiledCode, owing: &[(TrapCode, u32)]) -> Vec<(u32, TrapCode, u32)> {
    let mut faults: Vec<_> = code
        .buffer
        .traps()
        .iter()
        .filter_map(|trap| {
            let (code, units) = match trap.code.as_raw().get().checked_sub(FIRST_OWING) {
                Some(place) if usize::from(place) < owing.len() => owing[usize::from(place)],
                _ => (trap_code(trap.code)?, 0),
            };
            Some((trap.offset, code, units))
        })
        .filter(|&(_, code, _)| code != TrapCode::Unreachable)
        .collect();
    faults.sort_unstable_by_key(|&(offset, code, units)| (offset, code as u8, units));
    faults.dedup_by_key(|fault| fault.0);
    faults
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

fn handlers(code: &CompiledCode) -> Result<Vec<(u32, Handler)>, CompileError> {
    let mut handlers = Vec::new();
    for site in code.buffer.call_sites() {
        match (site.exception_handlers, site.frame_offset) {
            ([], _) => {}
            (&[FinalizedMachExceptionHandler::Default(landing)], Some(frame_size)) => {
                handlers.push((site.ret_addr, Handler { landing, frame_size }));
            }
            _ => return Err(CompileError::new("a call has handlers of a kind that is never asked for")),
        }
    }
    handlers.sort_unstable_by_key(|&(at, _)| at);
    Ok(handlers)
}
