//! The code between host and guest, compiled once per signature. `docs/vm-layout.md` says what each kind does.

use super::flags::{clif_trap, constant_flags};
use super::linkage::{NAMESPACE_BODY, import_builtin};
use super::signature::{RETURN_SLOT, clif_type, guest_signature, return_area_size};
use crate::{NativeShape, ValueShape};
use ampoule_core::builtins::Builtin;
use ampoule_core::trap::TrapCode;
use ampoule_core::types::{FuncType, RefType, ValType};
use ampoule_core::vm::{VmCaller, VmFunc, VmFuncRef, VmHostFunc, VmLayout, VmStoreContext, VmVal, VmValRaw};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, AbiParam, Endianness, InstBuilder, MemFlagsData, Signature, SourceLoc, StackSlotData, StackSlotKind, Value,
    types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::FunctionBuilder;
use std::mem::{offset_of, size_of};

/// Where the values of one shape lie in an array.
#[derive(Clone, Copy)]
struct Slots {
    size: usize,
    value: usize,
}

impl Slots {
    fn of(shape: ValueShape) -> Self {
        match shape {
            ValueShape::Raw => Slots { size: size_of::<VmValRaw>(), value: 0 },
            ValueShape::Checked => Slots { size: size_of::<VmVal>(), value: offset_of!(VmVal, of) },
        }
    }

    /// Where a whole value begins, with its kind where it has one.
    fn start(self, position: usize) -> i32 {
        (position * self.size) as i32
    }

    fn value(self, position: usize) -> i32 {
        (position * self.size + self.value) as i32
    }

    fn kind(self, position: usize) -> i32 {
        (position * self.size + offset_of!(VmVal, kind)) as i32
    }
}

/// Values in arrays of the host: eight bytes aligned, which is less than a vector may expect.
fn value_flags() -> MemFlagsData {
    MemFlagsData::new().with_notrap().with_endianness(Endianness::Little)
}

/// The signature of entry thunks, whatever they call: the function, arguments, results, and the store.
pub(super) fn entry_signature() -> Signature {
    let mut signature = Signature::new(CallConv::Tail);
    signature.params.extend([AbiParam::new(types::I64); 4]);
    signature.returns.push(AbiParam::new(types::I32));
    signature
}

/// Builds the thunk through which the host calls functions of a type. It keeps no reference over a call into the guest, and what it asks
/// of the runtime collects none.
pub(super) fn build_entry_thunk(
    mut builder: FunctionBuilder<'_>,
    isa: &dyn TargetIsa,
    ty: &FuncType,
    shape: ValueShape,
) {
    let slots = Slots::of(shape);
    let params = begin(&mut builder);
    let (func_ref, args, results) = match shape {
        ValueShape::Raw => (params[0], params[1], params[1]),
        ValueShape::Checked => (params[0], params[1], params[2]),
    };
    let store = params[3];
    let refused = cold_block(&mut builder);
    if shape == ValueShape::Checked {
        check_kinds(&mut builder, args, slots, ty.params(), refused);
    }
    let trusted = MemFlagsData::trusted();
    let code = builder.ins().load(types::I64, trusted, func_ref, offset_of!(VmFuncRef, code) as i32);
    let mut values = vec![builder.ins().load(types::I64, trusted, func_ref, offset_of!(VmFuncRef, vmctx) as i32)];
    let area_size = return_area_size(ty);
    let area = (area_size != 0).then(|| stack_array(&mut builder, area_size as usize));
    values.extend(area);
    for (position, &ty) in ty.params().iter().enumerate() {
        values.push(take_value(&mut builder, isa, ty, (shape, store), (args, position), (func_ref, position), refused));
    }
    let signature = builder.import_signature(guest_signature(ty));
    let call = builder.ins().call_indirect(signature, code, &values);
    for (position, &ty) in ty.results().iter().enumerate() {
        let value = match area {
            None => builder.inst_results(call)[position],
            Some(area) => builder.ins().load(clif_type(ty), trusted, area, position as i32 * RETURN_SLOT as i32),
        };
        give_value(&mut builder, ty, value, (shape, store), (results, position));
    }
    if shape == ValueShape::Checked && has_handles(ty.results()) {
        for_refs(&mut builder, isa, Builtin::RootRefs, &[store, results], ty.results().len());
    }
    answer(&mut builder, 0);
    builder.switch_to_block(refused);
    answer(&mut builder, 1);
    builder.seal_block(refused);
    builder.finalize(isa.frontend_config());
}

/// Whether handles have to be made for some of these values, and to be given back. Those of functions own nothing.
fn has_handles(types: &[ValType]) -> bool {
    types.iter().any(|ty| ty.is_collected())
}

/// Calls a builtin for the references among so many values.
fn for_refs(builder: &mut FunctionBuilder<'_>, isa: &dyn TargetIsa, builtin: Builtin, args: &[Value], count: usize) {
    let callee = import_builtin(builder, isa, builtin);
    let count = builder.ins().iconst(types::I64, count as i64);
    builder.ins().call(callee, &[args, &[count]].concat());
}

/// Reads a value that the host gives, of a kind that is known to be right, from its place in an array. Goes to `refused` where it is a
/// reference that is not of this store, or not of the type of the value that `which` tells: the reference to the function, and the
/// position among its parameters and results.
fn take_value(
    builder: &mut FunctionBuilder<'_>,
    isa: &dyn TargetIsa,
    ty: ValType,
    (shape, store): (ValueShape, Value),
    (array, position): (Value, usize),
    which: (Value, usize),
    refused: ir::Block,
) -> Value {
    let at = Slots::of(shape).value(position);
    let trusted = MemFlagsData::trusted();
    let ValType::Ref(reference_type) = ty else {
        return builder.ins().load(clif_type(ty), value_flags(), array, at);
    };
    if shape == ValueShape::Raw {
        return builder.ins().load(clif_type(ty), value_flags(), array, at);
    }
    match reference_type {
        RefType::FUNC => {
            let owner = builder.ins().load(types::I64, value_flags(), array, at + offset_of!(VmFunc, store_id) as i32);
            let func = builder.ins().load(types::I64, value_flags(), array, at + offset_of!(VmFunc, func_ref) as i32);
            let id = builder.ins().load(types::I64, trusted, store, offset_of!(VmStoreContext, id) as i32);
            // Null is no function, or of no store.
            let null = builder.ins().iconst(types::I64, 0);
            let func = builder.ins().select(owner, func, null);
            let is_other = builder.ins().icmp(IntCC::NotEqual, owner, id);
            let is_other = builder.ins().select(is_other, func, null);
            // Of another store, or made before something of this one was deleted: the runtime knows whether it is still there.
            let (older, done) = (cold_block(builder), builder.create_block());
            let known = builder.append_block_param(done, types::I64);
            builder.ins().brif(is_other, older, &[], done, &[func.into()]);
            builder.switch_to_block(older);
            builder.seal_block(older);
            let raw = checked_value(builder, isa, Builtin::RawFuncOf, store, (array, at), which);
            refuse(builder, raw.1, refused);
            builder.ins().jump(done, &[raw.0.into()]);
            builder.switch_to_block(done);
            builder.seal_block(done);
            known
        }
        _ => {
            let of_all = reference_type == RefType::null_or(reference_type.top());
            let (raw, is_none) = if of_all {
                let value = builder.ins().iadd_imm_s(array, i64::from(Slots::of(shape).start(position)));
                let raw = call_for_value(builder, isa, Builtin::RawRef, &[store, value]);
                (raw, builder.ins().icmp_imm_s(IntCC::SignedLessThan, raw, 0))
            } else {
                let builtin = if reference_type.is_func() { Builtin::RawFuncOf } else { Builtin::RawRefOf };
                checked_value(builder, isa, builtin, store, (array, at), which)
            };
            refuse(builder, is_none, refused);
            if reference_type.is_func() { raw } else { builder.ins().ireduce(clif_type(ty), raw) }
        }
    }
}

/// Asks the runtime for the reference at an offset in an array, as guest code holds it, and whether there is none of this type: see
/// [`take_value`].
fn checked_value(
    builder: &mut FunctionBuilder<'_>,
    isa: &dyn TargetIsa,
    builtin: Builtin,
    store: Value,
    (array, at): (Value, i32),
    (func_ref, position): (Value, usize),
) -> (Value, Value) {
    let reference = builder.ins().iadd_imm_s(array, i64::from(at));
    let signature = offset_of!(VmFuncRef, signature) as i32;
    let ty = builder.ins().load(types::I64, MemFlagsData::trusted(), func_ref, signature);
    let position = builder.ins().iconst(types::I32, position as i64);
    let raw = call_for_value(builder, isa, builtin, &[store, reference, ty, position]);
    (raw, builder.ins().icmp_imm_s(IntCC::SignedLessThan, raw, 0))
}

/// Calls a builtin that answers a word.
fn call_for_value(builder: &mut FunctionBuilder<'_>, isa: &dyn TargetIsa, builtin: Builtin, args: &[Value]) -> Value {
    let callee = import_builtin(builder, isa, builtin);
    let call = builder.ins().call(callee, args);
    builder.inst_results(call)[0]
}

/// Writes a value that the host is to get to its place in an array. A reference that is collected is a raw one until the builtin `RootRefs`
/// makes a handle of it.
fn give_value(
    builder: &mut FunctionBuilder<'_>,
    ty: ValType,
    value: Value,
    (shape, store): (ValueShape, Value),
    (array, position): (Value, usize),
) {
    let slots = Slots::of(shape);
    let at = slots.value(position);
    if shape == ValueShape::Raw {
        builder.ins().store(value_flags(), value, array, at);
        return;
    }
    store_kind(builder, ty, array, slots.kind(position));
    if !matches!(ty, ValType::Ref(ty) if ty.is_func()) {
        builder.ins().store(value_flags(), value, array, at);
        return;
    }
    let id = builder.ins().load(types::I64, MemFlagsData::trusted(), store, offset_of!(VmStoreContext, id) as i32);
    let none = builder.ins().iconst(types::I64, 0);
    let owner = builder.ins().select(value, id, none);
    builder.ins().store(value_flags(), owner, array, at + offset_of!(VmFunc, store_id) as i32);
    builder.ins().store(value_flags(), value, array, at + offset_of!(VmFunc, func_ref) as i32);
}

/// Goes to `refused` where a value in an array has another kind than its type says.
fn check_kinds(
    builder: &mut FunctionBuilder<'_>,
    array: Value,
    slots: Slots,
    types_of_values: &[ValType],
    refused: ir::Block,
) {
    let mut difference = None;
    for (position, &ty) in types_of_values.iter().enumerate() {
        let found = builder.ins().load(types::I8, value_flags(), array, slots.kind(position));
        let expected = builder.ins().iconst(types::I8, i64::from(VmVal::kind_of(ty)));
        let differs = builder.ins().bxor(found, expected);
        difference = Some(match difference {
            Some(before) => builder.ins().bor(before, differs),
            None => differs,
        });
    }
    if let Some(difference) = difference {
        refuse(builder, difference, refused);
    }
}

/// Goes to `refused` where `condition` isn't zero.
fn refuse(builder: &mut FunctionBuilder<'_>, condition: Value, refused: ir::Block) {
    let next = builder.create_block();
    builder.ins().brif(condition, refused, &[], next, &[]);
    builder.seal_block(next);
    builder.switch_to_block(next);
}

fn answer(builder: &mut FunctionBuilder<'_>, number: i64) {
    let number = builder.ins().iconst(types::I32, number);
    builder.ins().return_(&[number]);
}

/// Builds the thunk through which guests call host functions of a type.
pub(super) fn build_exit_thunk(
    mut builder: FunctionBuilder<'_>,
    isa: &dyn TargetIsa,
    ty: &FuncType,
    shape: ValueShape,
    statistics: bool,
) {
    let slots = Slots::of(shape);
    let params = begin(&mut builder);
    let host_func = params[0];
    let area = (return_area_size(ty) != 0).then(|| params[1]);
    let params = &params[1 + usize::from(area.is_some())..];
    let store = builder.ins().load(types::I64, constant_flags(), host_func, offset_of!(VmHostFunc, store) as i32);
    let trusted = MemFlagsData::trusted();
    let frame = builder.ins().get_frame_pointer(types::I64);
    builder.ins().store(trusted, frame, store, offset_of!(VmStoreContext, exit_fp) as i32);

    let caller = make_caller(&mut builder, store);
    let (num_params, num_results) = (ty.params().len(), ty.results().len());
    let (args, results) = match shape {
        ValueShape::Raw => {
            let both = stack_array(&mut builder, num_params.max(num_results) * slots.size);
            (both, both)
        }
        ValueShape::Checked => {
            let args = stack_array(&mut builder, num_params * slots.size);
            (args, stack_array(&mut builder, num_results * slots.size))
        }
    };
    for (position, &ty) in ty.params().iter().enumerate() {
        give_value(&mut builder, ty, params[position], (shape, store), (args, position));
    }
    let lends_refs = shape == ValueShape::Checked && has_handles(ty.params());
    let gets_refs = shape == ValueShape::Checked && has_handles(ty.results());
    if lends_refs {
        for_refs(&mut builder, isa, Builtin::RootRefs, &[store, args], num_params);
    }
    if shape == ValueShape::Checked {
        for (position, &ty) in ty.results().iter().enumerate() {
            store_kind(&mut builder, ty, results, slots.kind(position));
            let zero = builder.ins().iconst(types::I64, 0);
            // As many words as a value of the type has: a null reference has no store's id, and nothing where the function would be.
            let words = match ty {
                ValType::Ref(ty) if !ty.is_func() => 3,
                ValType::Ref(_) | ValType::V128 => 2,
                _ => 1,
            };
            for word in 0..words {
                builder.ins().store(value_flags(), zero, results, slots.value(position) + word * 8);
            }
        }
    }

    if statistics {
        tell(&mut builder, isa, store, offset_of!(VmStoreContext, leaving));
    }
    let error = call_host(&mut builder, isa, host_func, caller, shape, (args, num_params), (results, num_results));
    if statistics {
        tell(&mut builder, isa, store, offset_of!(VmStoreContext, returning));
    }
    if lends_refs {
        for_refs(&mut builder, isa, Builtin::UnrootRefs, &[args], num_params);
    }
    let (failed, next) = branch_cold(&mut builder, error);
    builder.switch_to_block(failed);
    if gets_refs {
        for_refs(&mut builder, isa, Builtin::UnrootRefs, &[results], num_results);
    }
    leave_to(&mut builder, isa, Builtin::HostError, &[store, error]);
    builder.switch_to_block(next);

    let refused = cold_block(&mut builder);
    if shape == ValueShape::Checked {
        check_kinds(&mut builder, results, slots, ty.results(), refused);
    }
    let mut values = Vec::with_capacity(num_results);
    for (position, &ty) in ty.results().iter().enumerate() {
        let which = (host_func, num_params + position);
        values.push(take_value(&mut builder, isa, ty, (shape, store), (results, position), which, refused));
    }
    if gets_refs {
        for_refs(&mut builder, isa, Builtin::UnrootRefs, &[results], num_results);
    }
    give_results(&mut builder, area, values);
    builder.switch_to_block(refused);
    never(&mut builder, isa, Builtin::HostResultMismatch, &[store, host_func, results]);
    builder.seal_block(refused);
    builder.finalize(isa.frontend_config());
}

/// Makes a `VmCaller` on the stack and gives its address.
fn make_caller(builder: &mut FunctionBuilder<'_>, store: Value) -> Value {
    let trusted = MemFlagsData::trusted();
    let caller = stack_array(builder, size_of::<VmCaller>());
    let instance = builder.ins().load(types::I64, trusted, store, offset_of!(VmStoreContext, caller) as i32);
    builder.ins().store(trusted, store, caller, offset_of!(VmCaller, store) as i32);
    builder.ins().store(trusted, instance, caller, offset_of!(VmCaller, vmctx) as i32);
    caller
}

/// Calls one of the functions through which the runtime learns of host calls.
fn tell(builder: &mut FunctionBuilder<'_>, isa: &dyn TargetIsa, store: Value, function: usize) {
    let function = builder.ins().load(types::I64, MemFlagsData::trusted(), store, function as i32);
    let mut signature = Signature::new(isa.default_call_conv());
    signature.params.push(AbiParam::new(types::I64));
    let signature = builder.import_signature(signature);
    builder.ins().call_indirect(signature, function, &[store]);
}

/// Calls the host's C function and gives what it answers: an error, or null.
fn call_host(
    builder: &mut FunctionBuilder<'_>,
    isa: &dyn TargetIsa,
    host_func: Value,
    caller: Value,
    shape: ValueShape,
    args: (Value, usize),
    results: (Value, usize),
) -> Value {
    let trusted = MemFlagsData::trusted();
    let callback = builder.ins().load(types::I64, trusted, host_func, offset_of!(VmHostFunc, callback) as i32);
    let env = builder.ins().load(types::I64, trusted, host_func, offset_of!(VmHostFunc, env) as i32);
    let mut values = vec![env, caller, args.0];
    match shape {
        ValueShape::Raw => values.push(builder.ins().iconst(types::I64, args.1.max(results.1) as i64)),
        ValueShape::Checked => {
            values.push(builder.ins().iconst(types::I64, args.1 as i64));
            values.push(results.0);
            values.push(builder.ins().iconst(types::I64, results.1 as i64));
        }
    }
    let mut signature = Signature::new(isa.default_call_conv());
    signature.params.extend(values.iter().map(|_| AbiParam::new(types::I64)));
    signature.returns.push(AbiParam::new(types::I64));
    let signature = builder.import_signature(signature);
    let call = builder.ins().call_indirect(signature, callback, &values);
    builder.inst_results(call)[0]
}

/// Builds the thunk through which guests call plain C functions of a type. Of several results, C returns the first and writes the
/// others through pointers behind the parameters.
pub(super) fn build_native_exit_thunk(
    mut builder: FunctionBuilder<'_>,
    isa: &dyn TargetIsa,
    ty: &FuncType,
    shape: NativeShape,
    statistics: bool,
) {
    let params = begin(&mut builder);
    let host_func = params[0];
    let area = (return_area_size(ty) != 0).then(|| params[1]);
    let params = &params[1 + usize::from(area.is_some())..];
    let trusted = MemFlagsData::trusted();
    let store = builder.ins().load(types::I64, constant_flags(), host_func, offset_of!(VmHostFunc, store) as i32);
    let frame = builder.ins().get_frame_pointer(types::I64);
    builder.ins().store(trusted, frame, store, offset_of!(VmStoreContext, exit_fp) as i32);

    let mut signature = Signature::new(isa.default_call_conv());
    let mut values = Vec::new();
    if shape.env {
        signature.params.push(AbiParam::new(types::I64));
        values.push(builder.ins().load(types::I64, trusted, host_func, offset_of!(VmHostFunc, env) as i32));
    }
    if shape.caller {
        signature.params.push(AbiParam::new(types::I64));
        values.push(make_caller(&mut builder, store));
    }
    signature.params.extend(ty.params().iter().map(|&ty| AbiParam::new(clif_type(ty))));
    values.extend(params);
    let others = ty.results().get(1..).unwrap_or_default();
    let outs: Vec<_> = others.iter().map(|_| stack_array(&mut builder, size_of::<u64>())).collect();
    for &out in &outs {
        // C code that raises an error, or forgets a result, leaves zero and not what was on the stack.
        let zero = builder.ins().iconst(types::I64, 0);
        builder.ins().store(value_flags(), zero, out, 0);
        signature.params.push(AbiParam::new(types::I64));
        values.push(out);
    }
    signature.returns.extend(ty.results().first().map(|&ty| AbiParam::new(clif_type(ty))));

    if statistics {
        tell(&mut builder, isa, store, offset_of!(VmStoreContext, leaving));
    }
    let callback = builder.ins().load(types::I64, trusted, host_func, offset_of!(VmHostFunc, callback) as i32);
    let signature = builder.import_signature(signature);
    let call = builder.ins().call_indirect(signature, callback, &values);
    let mut results = builder.inst_results(call).to_vec();
    if statistics {
        tell(&mut builder, isa, store, offset_of!(VmStoreContext, returning));
    }
    let raised = builder.ins().load(types::I32, trusted, store, offset_of!(VmStoreContext, unwinding) as i32);
    let (failed, next) = branch_cold(&mut builder, raised);
    builder.switch_to_block(failed);
    leave_to(&mut builder, isa, Builtin::HostRaised, &[store]);
    builder.switch_to_block(next);

    results.extend(others.iter().zip(outs).map(|(&ty, out)| builder.ins().load(clif_type(ty), value_flags(), out, 0)));
    give_results(&mut builder, area, results);
    builder.finalize(isa.frontend_config());
}

/// Returns from a function of the guest convention.
fn give_results(builder: &mut FunctionBuilder<'_>, area: Option<Value>, mut values: Vec<Value>) {
    if let Some(area) = area {
        for (position, value) in values.drain(..).enumerate() {
            builder.ins().store(MemFlagsData::trusted(), value, area, position as i32 * RETURN_SLOT as i32);
        }
    }
    builder.ins().return_(&values);
}

/// Whose context a function's first parameter is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Context {
    /// A `VmContext`.
    Instance,
    /// A `VmHostFunc`.
    HostFunc,
}

/// Builds the entry of a function whose frame has `frame_size` bytes, too many to be made before the stack is known to have
/// that much: checks the stack, then goes on in the body.
pub(super) fn build_guard(
    mut builder: FunctionBuilder<'_>,
    isa: &dyn TargetIsa,
    context: Context,
    frame_size: u32,
    position: SourceLoc,
) {
    builder.set_srcloc(position);
    let params = begin(&mut builder);
    let store_offset = match context {
        Context::Instance => VmLayout::STORE,
        Context::HostFunc => offset_of!(VmHostFunc, store) as i32,
    };
    let store = builder.ins().load(types::I64, constant_flags(), params[0], store_offset);
    let trusted = MemFlagsData::trusted();
    let limit = builder.ins().load(types::I64, trusted, store, offset_of!(VmStoreContext, stack_limit) as i32);
    let frame_size = builder.ins().iconst(types::I64, i64::from(frame_size));
    let needed = builder.ins().iadd(limit, frame_size);
    let pointer = builder.ins().get_stack_pointer(types::I64);
    let below = builder.ins().icmp(IntCC::UnsignedLessThan, pointer, needed);
    let (cold, next) = branch_cold(&mut builder, below);
    builder.switch_to_block(cold);
    match context {
        Context::Instance => never(&mut builder, isa, Builtin::StackOverflow, &[params[0]]),
        Context::HostFunc => {
            let code = builder.ins().iconst(types::I32, i64::from(TrapCode::StackOverflow as u8));
            never(&mut builder, isa, Builtin::Trap, &[code]);
        }
    }
    builder.switch_to_block(next);
    let signature = builder.func.signature.clone();
    let signature = builder.import_signature(signature);
    let name = ir::UserExternalName::new(NAMESPACE_BODY, 0);
    let name = ir::ExternalName::user(builder.func.declare_imported_user_function(name));
    let body = builder.import_function(ir::ExtFuncData { name, signature, colocated: true, patchable: false });
    builder.ins().return_call(body, &params);
    builder.finalize(isa.frontend_config());
}

/// Opens the entry block and gives the parameters.
fn begin(builder: &mut FunctionBuilder<'_>) -> Vec<Value> {
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    builder.seal_block(entry);
    builder.block_params(entry).to_vec()
}

fn stack_array(builder: &mut FunctionBuilder<'_>, size: usize) -> Value {
    let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, size as u32, 4);
    let slot = builder.create_sized_stack_slot(slot);
    builder.ins().stack_addr(types::I64, slot, 0)
}

fn store_kind(builder: &mut FunctionBuilder<'_>, ty: ValType, base: Value, offset: i32) {
    let kind = builder.ins().iconst(types::I8, i64::from(VmVal::kind_of(ty)));
    builder.ins().store(value_flags(), kind, base, offset);
}

fn branch_cold(builder: &mut FunctionBuilder<'_>, condition: Value) -> (ir::Block, ir::Block) {
    let cold = cold_block(builder);
    let next = builder.create_block();
    builder.ins().brif(condition, cold, &[], next, &[]);
    builder.seal_block(cold);
    builder.seal_block(next);
    (cold, next)
}

fn cold_block(builder: &mut FunctionBuilder<'_>) -> ir::Block {
    let block = builder.create_block();
    builder.set_cold_block(block);
    block
}

/// Calls a builtin that doesn't return.
fn never(builder: &mut FunctionBuilder<'_>, isa: &dyn TargetIsa, builtin: Builtin, args: &[Value]) {
    let callee = import_builtin(builder, isa, builtin);
    builder.ins().call(callee, args);
    builder.ins().trap(clif_trap(TrapCode::Unreachable));
}

/// Makes way for a builtin that doesn't return, and may throw: to the guest's handlers, registers are what they were at the guest's call
/// only without the thunk's frame.
fn leave_to(builder: &mut FunctionBuilder<'_>, isa: &dyn TargetIsa, builtin: Builtin, args: &[Value]) {
    let callee = import_builtin(builder, isa, builtin);
    let func = &mut builder.func;
    let mut signature = func.dfg.signatures[func.dfg.ext_funcs[callee].signature].clone();
    // Few parameters are where they are in C's convention.
    signature.call_conv = func.signature.call_conv;
    signature.returns.clone_from(&func.signature.returns);
    let signature = func.import_signature(signature);
    func.dfg.ext_funcs[callee].signature = signature;
    builder.ins().return_call(callee, args);
}
