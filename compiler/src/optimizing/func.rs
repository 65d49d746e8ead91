//! One function body: the state of its translation, its prologue, and the dispatch of operators.

use super::control::ControlFrame;
use super::inline::{InlinedPositions, Inlining};
use super::metering::Metering;
use super::signature::{builtin_signature, clif_type, return_area_size};
use super::turn::Turns;
use super::{atomics, numeric, simd};
use crate::operators::Properties;
use crate::{CompileError, ModuleInput};
use ampoule_core::artifact::INLINED;
use ampoule_core::builtins::Builtin;
use ampoule_core::index::{DefinedFuncIndex, FuncIndex, TypeIndex};
use ampoule_core::tunables::Tunables;
use ampoule_core::types::{FuncType, RefType, ValType};
use ampoule_core::vm::{VmLayout, VmStoreContext};
use cranelift_codegen::ir::condcodes::{CondCode, IntCC};
use cranelift_codegen::ir::{self, AliasRegion, InstBuilder, MemFlagsData, SourceLoc, Type, Value, types};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::{FunctionBuilder, Variable};
use std::collections::HashMap;
use std::mem::offset_of;
use wasmparser::{FunctionBody, Operator, OperatorsReader};

/// How values of `v128` travel on the translator's stack, in locals and in signatures.
pub(super) const V128: Type = types::I8X16;

/// Namespace of the module's functions in Cranelift's external names.
pub(super) const NAMESPACE_FUNC: u32 = 0;
/// Namespace of builtins in Cranelift's external names.
pub(super) const NAMESPACE_BUILTIN: u32 = 1;

/// Namespace of the body that a separate entry leads to.
pub(super) const NAMESPACE_BODY: u32 = 2;

/// Parts of memory that never overlap, so that a store to one leaves what is known of the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// Linear memories, all of them: two may be one, imported twice.
    Heap,
    /// `VmMemory` and `VmTable` that may change.
    Definitions,
    /// Elements of tables.
    Elements,
    /// `VmFuncRef`s.
    FuncRefs,
    /// `VmStoreContext`.
    Store,
    /// Imported globals, and the own ones beyond those that have a region each.
    Globals,
    /// One of the module's own globals.
    OwnGlobal(u32),
}

impl Region {
    /// How many own globals have a region each. Bounded because Cranelift's table of access flags is.
    pub const OWN_GLOBALS: u32 = 256;

    fn id(self) -> u32 {
        match self {
            Region::Heap => 0,
            Region::Definitions => 1,
            Region::Elements => 2,
            Region::FuncRefs => 3,
            Region::Store => 4,
            Region::Globals => 5,
            Region::OwnGlobal(index) => 6 + index,
        }
    }
}

/// The translation of one function body.
pub(super) struct FuncTranslator<'a> {
    /// Where instructions go.
    pub builder: FunctionBuilder<'a>,
    /// The target.
    pub isa: &'a dyn TargetIsa,
    /// The module.
    pub input: ModuleInput<'a>,
    /// The function's own context.
    pub vmctx: Value,
    /// Where the function leaves its results, if registers don't do.
    pub(super) return_area: Option<Value>,
    /// Where the functions called leave theirs.
    pub(super) call_area: Option<ir::StackSlot>,
    /// How many values calls and branches take along.
    pub(super) args_passed: usize,
    /// How many operators have named a local.
    pub(super) local_uses: usize,
    /// The operand stack. `v128` is always [`V128`], `funcref` an `i64`, `externref` an `i32`.
    pub(super) stack: Vec<Value>,
    /// The enclosing blocks, outermost first.
    pub(super) control: Vec<ControlFrame>,
    /// Whether the next operator can be reached.
    pub(super) reachable: bool,
    pub(super) locals: Vec<Variable>,
    pub(super) metering: Metering,
    pub(super) func_type: &'a FuncType,
    /// What has been inlined so far, and where we are in it.
    pub(super) inlining: Inlining,
    pub(super) turns: Turns<'a>,
    /// Where the operator that is being translated is in the module.
    pub(super) operator_at: u64,
    builtins: HashMap<Builtin, ir::FuncRef>,
    pub(super) functions: HashMap<FuncIndex, ir::FuncRef>,
    pub(super) signatures: HashMap<TypeIndex, ir::SigRef>,
}

/// Whether a function compares the stack pointer with the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StackCheck {
    /// Yes.
    Yes,
    /// No: it calls nothing and its frame is small, or its check is made before its frame.
    No,
}

/// Translates a body into the builder's function, whose signature has been set.
pub(super) fn translate_function(
    mut builder: FunctionBuilder<'_>,
    isa: &dyn TargetIsa,
    input: &ModuleInput<'_>,
    func: DefinedFuncIndex,
    body: &FunctionBody<'_>,
    stack_check: StackCheck,
) -> Result<InlinedPositions, CompileError> {
    let func_type = input.module.func_type(input.module.func_index(func));
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    builder.seal_block(entry);
    let vmctx = builder.block_params(entry)[0];
    let return_area = (return_area_size(func_type) != 0).then(|| builder.block_params(entry)[1]);
    let mut t = FuncTranslator {
        builder,
        isa,
        input: *input,
        vmctx,
        return_area,
        call_area: None,
        args_passed: 0,
        local_uses: 0,
        stack: Vec::new(),
        control: Vec::new(),
        reachable: true,
        locals: Vec::new(),
        metering: Metering::default(),
        func_type,
        inlining: Inlining::new(func, body),
        turns: Turns::default(),
        operator_at: 0,
        builtins: HashMap::new(),
        functions: HashMap::new(),
        signatures: HashMap::new(),
    };
    t.locals(entry, body)?;
    let reader = body.get_operators_reader()?;
    t.set_position(reader.original_position())?;
    if stack_check == StackCheck::Yes {
        t.check_stack();
    }
    t.enter_metering();
    t.push_body_frame(func_type);
    t.operators(reader)?;
    t.builder.finalize(isa.frontend_config());
    Ok(t.inlining.positions)
}

/// Whether a body calls nothing for which the stack must be checked: no functions, and the runtime only to stop.
pub(super) fn is_leaf(body: &FunctionBody<'_>) -> Result<bool, CompileError> {
    for op in body.get_operators_reader()? {
        if Properties::of(&op?).needs_stack_check() {
            return Ok(false);
        }
    }
    Ok(true)
}

impl<'a> FuncTranslator<'a> {
    /// Pushes a result.
    pub fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// Pops an operand.
    pub fn pop(&mut self) -> Value {
        self.stack.pop().expect("validation counted the operands")
    }

    /// Pops two operands; the first is the deeper one.
    pub fn pop2(&mut self) -> (Value, Value) {
        let second = self.pop();
        (self.pop(), second)
    }

    /// Pops three operands, deepest first.
    pub fn pop3(&mut self) -> (Value, Value, Value) {
        let third = self.pop();
        let (first, second) = self.pop2();
        (first, second, third)
    }

    /// The choices shared with the runtime.
    pub fn tunables(&self) -> &'a Tunables {
        self.input.tunables
    }

    /// The integer that a value is, where the translator can see that it is a constant. `i32`s are zero-extended.
    pub fn constant(&self, value: Value) -> Option<u64> {
        let dfg = &self.builder.func.dfg;
        let inst = dfg.value_def(dfg.resolve_aliases(value)).inst()?;
        match dfg.insts[inst] {
            ir::InstructionData::UnaryImm { opcode: ir::Opcode::Iconst, imm } => {
                let bits = dfg.value_type(value).bits();
                let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
                Some(imm.bits() as u64 & mask)
            }
            _ => None,
        }
    }

    /// Calls a builtin. Its result has the type that [`Builtin::result`] says.
    pub fn call_builtin(&mut self, builtin: Builtin, args: &[Value]) -> Option<Value> {
        let metered = calls_runtime(builtin);
        if metered {
            self.leave_metering();
        }
        let result = self.call_builtin_unmetered(builtin, args);
        if metered {
            self.return_metering();
        }
        result
    }

    /// Calls a builtin without writing and reading what metering keeps in variables.
    pub(super) fn call_builtin_unmetered(&mut self, builtin: Builtin, args: &[Value]) -> Option<Value> {
        let callee = match self.builtins.get(&builtin) {
            Some(&callee) => callee,
            None => {
                let callee = import_builtin(&mut self.builder, self.isa, builtin);
                self.builtins.insert(builtin, callee);
                callee
            }
        };
        let call = self.builder.ins().call(callee, args);
        self.builder.inst_results(call).first().copied()
    }

    /// An alias region, for flags.
    pub(super) fn region(&mut self, region: Region) -> AliasRegion {
        self.builder.func.dfg.alias_regions.insert(ir::AliasRegionData { user_id: region.id(), description: "".into() })
    }

    /// Flags of a load or store that doesn't trap, in a region.
    pub(super) fn trusted(&mut self, region: Region) -> MemFlagsData {
        let region = self.region(region);
        MemFlagsData::trusted().with_alias_region(Some(region))
    }

    /// Loads a pointer-sized value that never changes while the instance lives, so that the load can be made anywhere.
    pub(super) fn load_constant(&mut self, base: Value, offset: i32) -> Value {
        self.builder.ins().load(types::I64, constant_flags(), base, offset)
    }

    /// The store's context.
    pub(super) fn store_context(&mut self) -> Value {
        self.load_constant(self.vmctx, VmLayout::STORE)
    }

    /// Notes that a value is of this type: references must be found by a collection.
    pub(super) fn note_type(&mut self, value: Value, ty: ValType) {
        if ty == ValType::EXTERNREF {
            self.builder.declare_value_needs_stack_map(value);
        }
    }

    /// Pushes a result that may be a reference.
    pub(super) fn push_typed(&mut self, value: Value, ty: ValType) {
        self.note_type(value, ty);
        self.push(value);
    }

    /// The value that locals and null references start as.
    pub(super) fn zero(&mut self, ty: ValType) -> Value {
        let ins = self.builder.ins();
        match ty {
            ValType::I64 | ValType::Ref(RefType::Func | RefType::NoFunc) => ins.iconst(types::I64, 0),
            ValType::I32 | ValType::Ref(_) => ins.iconst(types::I32, 0),
            ValType::F32 => ins.f32const(0.0),
            ValType::F64 => ins.f64const(0.0),
            ValType::V128 => {
                let zero = self.builder.func.dfg.constants.insert([0; 16].as_slice().into());
                self.builder.ins().vconst(V128, zero)
            }
        }
    }

    /// Declares parameters and locals as variables.
    fn locals(&mut self, entry: ir::Block, body: &FunctionBody<'_>) -> Result<(), CompileError> {
        let first = 1 + usize::from(self.return_area.is_some());
        for (position, &ty) in self.func_type.params().iter().enumerate() {
            let var = self.declare_local(ty);
            let param = self.builder.block_params(entry)[first + position];
            self.note_type(param, ty);
            self.builder.def_var(var, param);
        }
        self.zeroed_locals(body)
    }

    /// Declares the locals that are no parameters.
    pub(super) fn zeroed_locals(&mut self, body: &FunctionBody<'_>) -> Result<(), CompileError> {
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            let ty = ampoule_core::decode::val_type(ty).map_err(CompileError::new)?;
            let zero = self.zero(ty);
            for _ in 0..count {
                let var = self.declare_local(ty);
                self.builder.def_var(var, zero);
            }
        }
        Ok(())
    }

    pub(super) fn declare_local(&mut self, ty: ValType) -> Variable {
        let var = self.builder.declare_var(clif_type(ty));
        if ty == ValType::EXTERNREF {
            self.builder.declare_var_needs_stack_map(var);
        }
        self.locals.push(var);
        var
    }

    /// Compares the stack pointer with the limit.
    fn check_stack(&mut self) {
        let store = self.store_context();
        let flags = self.trusted(Region::Store);
        let limit = self.builder.ins().load(types::I64, flags, store, offset_of!(VmStoreContext, stack_limit) as i32);
        let pointer = self.builder.ins().get_stack_pointer(types::I64);
        let below = self.builder.ins().icmp(IntCC::UnsignedLessThan, pointer, limit);
        let (cold, next) = self.branch_cold(below);
        self.builder.switch_to_block(cold);
        let vmctx = self.vmctx;
        self.call_builtin_unmetered(Builtin::StackOverflow, &[vmctx]);
        self.never();
        self.builder.switch_to_block(next);
    }

    /// Branches to a cold block where a condition holds. The caller fills both blocks.
    ///
    /// The code generator visits blocks in an order in which the target named first comes last. That matters within loops: once it
    /// has seen a way out of one, it takes the loop for over, and moves nothing out of it any more.
    pub(super) fn branch_cold(&mut self, condition: Value) -> (ir::Block, ir::Block) {
        let cold = self.builder.create_block();
        let next = self.builder.create_block();
        self.builder.set_cold_block(cold);
        self.builder.ins().brif(condition, cold, &[], next, &[]);
        self.builder.seal_block(cold);
        self.builder.seal_block(next);
        (cold, next)
    }

    /// A condition that holds where this one, an integer, is zero.
    pub(super) fn inverse(&mut self, condition: Value) -> Value {
        let dfg = &self.builder.func.dfg;
        let mut value = dfg.resolve_aliases(condition);
        while let Some(inst) = dfg.value_def(value).inst() {
            match dfg.insts[inst] {
                ir::InstructionData::Unary { opcode: ir::Opcode::Uextend, arg } => value = dfg.resolve_aliases(arg),
                ir::InstructionData::IntCompare { opcode: ir::Opcode::Icmp, cond, args: [x, y] } => {
                    return self.builder.ins().icmp(cond.complement(), x, y);
                }
                ir::InstructionData::FloatCompare { opcode: ir::Opcode::Fcmp, cond, args: [x, y] } => {
                    return self.builder.ins().fcmp(cond.complement(), x, y);
                }
                _ => break,
            }
        }
        self.builder.ins().icmp_imm_s(IntCC::Equal, value, 0)
    }

    /// Translates the operators of a body.
    pub(super) fn operators(&mut self, mut reader: OperatorsReader<'a>) -> Result<(), CompileError> {
        while !reader.eof() {
            let (op, position) = reader.read_with_offset()?;
            self.set_position(position)?;
            self.operator_at = position;
            match op {
                Operator::Br { relative_depth } if self.reachable && self.end_turn(relative_depth, &reader)? => {}
                _ => self.translate_operator(&op)?,
            }
            self.check_size()?;
        }
        Ok(())
    }

    /// Makes what follows come from the operator at this offset of the module.
    pub(super) fn set_position(&mut self, position: u64) -> Result<(), CompileError> {
        let position = u32::try_from(position)
            .ok()
            .filter(|&position| position < INLINED)
            .ok_or_else(|| CompileError::new("the module is too large"))?;
        let position = self.inlining.position(position);
        self.builder.set_srcloc(SourceLoc::new(position));
        Ok(())
    }

    /// A few bytes of a body can stand for thousands of values, those of a call or branch. Functions whose translation would take
    /// gigabytes are refused; the code generator's own limits are lower, but it would have to see the whole first.
    fn check_size(&self) -> Result<(), CompileError> {
        const VALUES_MAX: usize = 1 << 23;
        // What is known of variables is kept in a table of four bytes for each block, for each variable that is used at all.
        const DEFINITIONS_MAX: usize = 1 << 28;
        let dfg = &self.builder.func.dfg;
        let definitions = self.locals.len().min(self.local_uses).saturating_mul(dfg.num_blocks());
        if dfg.num_values() + self.args_passed > VALUES_MAX || definitions > DEFINITIONS_MAX {
            return Err(CompileError::new("the function is too large"));
        }
        Ok(())
    }

    pub(super) fn translate_operator(&mut self, op: &Operator<'_>) -> Result<(), CompileError> {
        if !self.reachable {
            self.unreachable_operator(op)?;
            return Ok(());
        }
        self.count(op);
        let translated = Properties::of(op).supported
            && (numeric::translate(self, op)
                || self.variable_operator(op)
                || self.memory_operator(op)
                || self.control_operator(op)?
                || self.call_operator(op)?
                || self.table_operator(op)
                || simd::translate(self, op)
                || atomics::translate(self, op));
        if translated { Ok(()) } else { Err(CompileError::new(format!("operator {op:?} is not supported"))) }
    }
}

/// Flags of a load of something that never changes while the instance lives.
pub(super) fn constant_flags() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly().with_can_move()
}

/// Whether a builtin may trap or call the host, which may look at fuel and deadline. Where `table_get_callee` is called, what a
/// trap needs has been written.
fn calls_runtime(builtin: Builtin) -> bool {
    !matches!(
        builtin,
        Builtin::CeilF32
            | Builtin::CeilF64
            | Builtin::FloorF32
            | Builtin::FloorF64
            | Builtin::TruncF32
            | Builtin::TruncF64
            | Builtin::NearestF32
            | Builtin::NearestF64
            | Builtin::FmaF32
            | Builtin::FmaF64
            | Builtin::DataDrop
            | Builtin::ElemDrop
            | Builtin::RefFunc
            | Builtin::TableGetFuncRef
            | Builtin::TableGetCallee
    )
}

/// Declares a builtin in the function being built.
pub(super) fn import_builtin(builder: &mut FunctionBuilder<'_>, isa: &dyn TargetIsa, builtin: Builtin) -> ir::FuncRef {
    let signature = builder.import_signature(builtin_signature(isa, builtin));
    let name = ir::UserExternalName::new(NAMESPACE_BUILTIN, builtin as u32);
    let name = ir::ExternalName::user(builder.func.declare_imported_user_function(name));
    builder.import_function(ir::ExtFuncData { name, signature, colocated: true, patchable: false })
}
