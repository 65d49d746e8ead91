//! How the calls in machine code are made to lead where they should: one function at its place, or all of a module.

use crate::arch::jumps::{HEAD_LEN, append_far_jump, builtin_jump};
use crate::os::mmap::PAGE;
use ampoule_core::artifact::{CompiledFunction, FunctionInfo, Relocation, RelocationTarget};
use ampoule_core::index::{DefinedFuncIndex, FuncIndex};
use ampoule_core::words::Words;

/// The alignment every function gets at least.
const FUNCTION_ALIGNMENT: usize = 16;

/// The code of a function as it is to lie at `address`, with its calls resolved. A call to a place that 32 bits don't reach
/// goes through a jump behind the code, with the full address.
///
/// # Panics
/// Where a relocation lies outside of the code: a bug of the compiler.
pub fn resolve(
    code: &[u8],
    relocations: &[Relocation],
    address: usize,
    target_of: impl Fn(RelocationTarget) -> usize,
) -> Vec<u8> {
    let mut bytes = code.to_vec();
    for relocation in relocations {
        let at = relocation.offset as usize;
        let mut target = target_of(relocation.target);
        let reached = |target: usize| i32::try_from(target.wrapping_sub(address + at + 4) as isize);
        if reached(target).is_err() {
            target = append_far_jump(&mut bytes, address, target);
        }
        let displacement = reached(target).expect("a function is much smaller than what 32 bits reach");
        bytes[at..at + 4].copy_from_slice(&displacement.to_le_bytes());
    }
    bytes
}

/// Where the next function goes.
pub fn align(offset: usize, function: &CompiledFunction) -> usize {
    let phase = function.phase as usize;
    (offset.max(phase) - phase).next_multiple_of(FUNCTION_ALIGNMENT.max(function.alignment as usize)) + phase
}

/// The code of a whole module with its calls resolved, to lie behind the head of a region. Nothing in it depends on where the
/// region is.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// Machine code; a multiple of the page size.
    pub bytes: Vec<u8>,
    /// Where each function starts in `bytes`, in the order of their numbers: ascending.
    pub starts: Words<u32>,
    /// What is known of each function.
    pub infos: Vec<FunctionInfo>,
}

impl Text {
    /// Links all functions of a module, given in the order of their numbers; `imported` functions come before them in the
    /// module's index space.
    ///
    /// # Errors
    /// A module whose code is larger than a region.
    pub fn link(functions: Vec<CompiledFunction>, imported: usize) -> Result<Self, super::CodeError> {
        let mut starts = Vec::with_capacity(functions.len());
        let mut end = 0;
        for function in &functions {
            let start = align(end, function);
            end = start + function.code.len();
            if end > super::space::REGION_MAX - HEAD_LEN - PAGE {
                return Err(super::CodeError::Compile("the module's machine code is larger than 2 GiB".to_string()));
            }
            starts.push(start as u32);
        }
        let mut bytes = vec![0xcc; end.next_multiple_of(PAGE)];
        let mut infos = Vec::with_capacity(functions.len());
        for (function, &start) in functions.into_iter().zip(&starts) {
            let start = start as usize;
            // Addresses count from the region's start here.
            let code = resolve(&function.code, &function.relocations, HEAD_LEN + start, |target| match target {
                RelocationTarget::Builtin(builtin) => builtin_jump(builtin),
                RelocationTarget::Func(index) => HEAD_LEN + starts[defined(index, imported).index()] as usize,
            });
            bytes[start..start + code.len()].copy_from_slice(&code);
            infos.push(function.info);
        }
        Ok(Text { bytes, starts: starts.into_iter().collect(), infos })
    }
}

/// The function's position among the module's own.
///
/// # Panics
/// For an import: code calls these through their `VmFuncImport`.
pub fn defined(index: FuncIndex, imported: usize) -> DefinedFuncIndex {
    let own = index.index().checked_sub(imported).expect("a relocation refers to a function of the module");
    DefinedFuncIndex(own as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ampoule_core::builtins::Builtin;

    #[test]
    fn calls_lead_to_their_targets_near_and_far() {
        let near = Relocation { offset: 1, target: RelocationTarget::Builtin(Builtin::Trap) };
        let far = Relocation { offset: 6, target: RelocationTarget::Func(FuncIndex(0)) };
        let code = resolve(&[0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0], &[near, far], 1 << 40, |target| match target {
            RelocationTarget::Builtin(_) => (1 << 40) - 0x1000,
            RelocationTarget::Func(_) => 0x1234_5678,
        });
        assert_eq!(i32::from_le_bytes(code[1..5].try_into().unwrap()), -0x1000 - 5);
        let far_jump = 10 + i32::from_le_bytes(code[6..10].try_into().unwrap()) as usize;
        assert_eq!(code[far_jump..far_jump + 2], [0xff, 0x25]);
        let through = far_jump + 6 + i32::from_le_bytes(code[far_jump + 2..far_jump + 6].try_into().unwrap()) as usize;
        assert_eq!(u64::from_le_bytes(code[through..through + 8].try_into().unwrap()), 0x1234_5678);
    }

    #[test]
    fn functions_start_where_their_phase_says() {
        let function = |alignment, phase| CompiledFunction { alignment, phase, ..Default::default() };
        let starts = |alignment, phase| [0, 1, 16, 33, 64].map(|offset| align(offset, &function(alignment, phase)));
        assert_eq!(starts(1, 0), [0, 16, 16, 48, 64]);
        assert_eq!(starts(64, 0), [0, 64, 64, 64, 64]);
        assert_eq!(starts(64, 16), [16, 16, 16, 80, 80]);
        assert_eq!(starts(64, 48), [48, 48, 48, 48, 112]);
    }

    #[test]
    fn linked_functions_call_each_other_and_builtins() {
        let call = |target| CompiledFunction {
            code: vec![0xe8, 0, 0, 0, 0],
            alignment: 1,
            relocations: vec![Relocation { offset: 1, target }],
            ..CompiledFunction::default()
        };
        let functions =
            vec![call(RelocationTarget::Func(FuncIndex(4))), call(RelocationTarget::Builtin(Builtin::MemoryGrow))];
        let text = Text::link(functions, 3).unwrap();
        assert!(text.starts.iter().eq([0, 16]));
        assert_eq!(text.bytes.len(), PAGE);
        let displacement = |at: usize| i32::from_le_bytes(text.bytes[at..at + 4].try_into().unwrap());
        assert_eq!(5 + displacement(1), 16);
        assert_eq!(HEAD_LEN as i32 + 21 + displacement(17), builtin_jump(Builtin::MemoryGrow) as i32);
    }
}
