//! Types and signatures in Cranelift's terms.

use crate::arch::{RETURN_REGISTERS, SHARED_WITH_C};
use ampoule_core::builtins::{Builtin, BuiltinType, Convention};
use ampoule_core::types::{FuncType, ValType};
use cranelift_codegen::ir::{AbiParam, Signature, Type, types};
use cranelift_codegen::isa::{CallConv, TargetIsa};

/// How values of `v128` travel on the translator's stack, in locals and in signatures.
pub(super) const V128: Type = types::I8X16;

/// The type that carries values of a WebAssembly type.
pub(super) fn clif_type(ty: ValType) -> Type {
    match ty {
        ValType::I64 => types::I64,
        ValType::Ref(ty) if ty.is_func() => types::I64,
        // What may be collected is 32 bits wide.
        ValType::I32 | ValType::Ref(_) => types::I32,
        ValType::F32 => types::F32,
        ValType::F64 => types::F64,
        ValType::V128 => V128,
    }
}

/// The guest convention: the callee's context, the return area if there is one, then the parameters.
///
/// Cranelift would make a return area itself, but pass it before the context. Stubs and builtins find the context where the first
/// parameter is, so the area comes second.
pub(super) fn guest_signature(ty: &FuncType) -> Signature {
    let mut signature = Signature::new(CallConv::Tail);
    signature.params.push(AbiParam::new(types::I64));
    let in_area = return_area_size(ty) != 0;
    if in_area {
        signature.params.push(AbiParam::new(types::I64));
    } else {
        signature.returns.extend(ty.results().iter().map(|&ty| AbiParam::new(clif_type(ty))));
    }
    signature.params.extend(ty.params().iter().map(|&ty| AbiParam::new(clif_type(ty))));
    signature
}

/// The same for a call with a handler.
///
/// Cranelift takes it that an exception leaves no register as it was where the callee has the guest convention, which it made for others'
/// unwinders. Ours restores what callees keep, which are the same registers in C's convention. So a call that is the same in both is
/// one in C's; of others, nothing stays in registers.
pub(super) fn handled_signature(ty: &FuncType) -> Signature {
    let mut signature = guest_signature(ty);
    let count = |params: &[AbiParam]| {
        let general = params.iter().filter(|param| param.value_type.is_int()).count();
        (general, params.len() - general)
    };
    let (general, vector) = count(&signature.params);
    let (general_results, vector_results) = count(&signature.returns);
    let (general_max, vector_max, general_results_max, vector_results_max) = SHARED_WITH_C;
    let is_same = general <= general_max
        && vector <= vector_max
        && general_results <= general_results_max
        && vector_results <= vector_results_max;
    if is_same {
        signature.call_conv = CallConv::SystemV;
    }
    signature
}

/// Bytes of the memory in which a function leaves its results, [`RETURN_SLOT`] for each; zero where registers do.
pub(crate) fn return_area_size(ty: &FuncType) -> u32 {
    let integers = ty.results().iter().filter(|&&ty| clif_type(ty).is_int()).count();
    let others = ty.results().len() - integers;
    if integers <= RETURN_REGISTERS && others <= RETURN_REGISTERS { 0 } else { ty.results().len() as u32 * RETURN_SLOT }
}

/// Bytes of a result in a return area.
pub(crate) const RETURN_SLOT: u32 = 16;

/// The convention of a builtin, as its entry in the list says.
pub(super) fn builtin_signature(isa: &dyn TargetIsa, builtin: Builtin) -> Signature {
    let convention = match builtin.convention() {
        Convention::C | Convention::NoReturn => isa.default_call_conv(),
        Convention::PreserveAll => CallConv::PreserveAll,
    };
    let mut signature = Signature::new(convention);
    signature.params.extend(builtin.params().iter().map(|&ty| AbiParam::new(builtin_type(ty))));
    signature.returns.extend(builtin.result().map(|ty| AbiParam::new(builtin_type(ty))));
    signature
}

fn builtin_type(ty: BuiltinType) -> Type {
    match ty {
        BuiltinType::I32 => types::I32,
        BuiltinType::I64 | BuiltinType::Pointer => types::I64,
        BuiltinType::F32 => types::F32,
        BuiltinType::F64 => types::F64,
    }
}
