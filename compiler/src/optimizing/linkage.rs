//! The names by which code refers to what is outside of it, and to what it was made from.

use super::signature::builtin_signature;
use ampoule_core::builtins::Builtin;
use ampoule_core::trap::TrapCode;
use cranelift_codegen::ir;
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::FunctionBuilder;

/// What numbers in a function's code mean.
#[derive(Default)]
pub(super) struct Numbers {
    /// Operators of inlined functions, as `FunctionInfo::inlined` has them.
    pub inlined: Vec<(u32, u32)>,
    /// What faults mean, and units of fuel that they charge: of Cranelift's codes from `flags::FIRST_OWING` on.
    pub owing: Vec<(TrapCode, u32)>,
}

/// Namespace of the module's functions in Cranelift's external names.
pub(super) const NAMESPACE_FUNC: u32 = 0;
/// Namespace of builtins in Cranelift's external names.
pub(super) const NAMESPACE_BUILTIN: u32 = 1;

/// Namespace of the body that a separate entry leads to.
pub(super) const NAMESPACE_BODY: u32 = 2;

/// Declares a builtin in the function being built.
pub(super) fn import_builtin(builder: &mut FunctionBuilder<'_>, isa: &dyn TargetIsa, builtin: Builtin) -> ir::FuncRef {
    let signature = builder.import_signature(builtin_signature(isa, builtin));
    let name = ir::UserExternalName::new(NAMESPACE_BUILTIN, builtin as u32);
    let name = ir::ExternalName::user(builder.func.declare_imported_user_function(name));
    builder.import_function(ir::ExtFuncData { name, signature, colocated: true, patchable: false })
}
