//! Calls.

use super::translator::FuncTranslator;
use crate::optimizing::flags::Region;
use crate::optimizing::linkage::NAMESPACE_FUNC;
use crate::optimizing::signature::{RETURN_SLOT, clif_type, guest_signature, handled_signature, return_area_size};
use ampoule_core::builtins::Builtin;
use ampoule_core::index::{FuncIndex, TableIndex, TypeIndex};
use ampoule_core::trap::TrapCode;
use ampoule_core::types::{HeapType, TypeId, ValType};
use ampoule_core::vm::{Callees, VmFuncImport, VmFuncRef, VmLayout, VmStoreContext};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, BlockArg, ExceptionTableItem, InstBuilder, MemFlagsData, Value, types};
use smallvec::SmallVec;
use std::mem::offset_of;
use wasmparser::Operator;

/// What a call goes to.
#[derive(Clone, Copy)]
enum Callee {
    /// One of the module's own functions.
    Direct(FuncIndex),
    /// The code at an address.
    Indirect(Value),
}

/// A `call_indirect` or `call_ref`, or the tail call of one.
#[derive(Clone, Copy)]
pub(super) struct IndirectCall {
    /// The callee's type.
    pub ty: TypeIndex,
    /// The table that the callee is in; `None` where it is an operand.
    table: Option<TableIndex>,
    pub tail: bool,
}

/// What may be wrong with a reference that is to be called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    No,
    /// It is null, where that is not mapped.
    Null,
    /// Its function has another type.
    Signature,
}

/// The callee of an indirect call.
#[derive(Clone, Copy)]
pub(super) struct FoundCallee {
    pub reference: Value,
    doubt: Doubt,
}

impl IndirectCall {
    pub fn of(op: &Operator<'_>) -> Option<Self> {
        let (ty, table, tail) = match *op {
            Operator::CallIndirect { type_index, table_index } => (type_index, Some(table_index), false),
            Operator::ReturnCallIndirect { type_index, table_index } => (type_index, Some(table_index), true),
            Operator::CallRef { type_index } => (type_index, None, false),
            Operator::ReturnCallRef { type_index } => (type_index, None, true),
            _ => return None,
        };
        Some(Self { ty: TypeIndex(ty), table: table.map(TableIndex), tail })
    }
}

impl FuncTranslator<'_> {
    /// Translates calls and tail calls.
    pub(super) fn call_operator(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::Call { function_index } => self.call_function(FuncIndex(function_index), false),
            Operator::ReturnCall { function_index } => self.call_function(FuncIndex(function_index), true),
            _ => {
                let Some(call) = IndirectCall::of(op) else { return false };
                if self.callees_here() == Some(Callees::None) {
                    self.is_cold_here();
                }
                let callee = self.find_callee(call);
                self.call_found(call, callee);
            }
        }
        true
    }

    pub(super) fn call_function(&mut self, function: FuncIndex, tail: bool) {
        let ty = self.input.module.functions.at(function.index());
        if self.input.module.defined_func(function).is_some() {
            if self.is_never_called(function) {
                self.is_cold_here();
            }
            return self.emit_call(Callee::Direct(function), self.vmctx, ty, tail);
        }
        let import = self.input.layout.imported_function(function) as i32;
        let code = self.load_constant(self.vmctx, import + offset_of!(VmFuncImport, code) as i32);
        let context = self.load_constant(self.vmctx, import + offset_of!(VmFuncImport, vmctx) as i32);
        self.store_caller();
        self.emit_call(Callee::Indirect(code), context, ty, tail);
    }

    /// Pops what tells the callee of a call.
    pub(super) fn find_callee(&mut self, call: IndirectCall) -> FoundCallee {
        let operand = self.pop();
        let Some(table) = call.table else {
            if self.tunables().signals_based_traps {
                return FoundCallee { reference: operand, doubt: Doubt::Null };
            }
            self.check_null(operand);
            return FoundCallee { reference: operand, doubt: Doubt::No };
        };
        let index = self.widen(operand, self.table_type(table).is_64);
        let element = self.load_element(table, index);
        let reference = self.func_ref_of_element(table, index, element, true);
        let module = self.input.module;
        let expected = HeapType::ConcreteFunc(TypeId(call.ty.0));
        let is_known = module.tables[table.index()].element.heap.matches(expected, module);
        FoundCallee { reference, doubt: if is_known { Doubt::No } else { Doubt::Signature } }
    }

    /// Calls what was found.
    pub(super) fn call_found(&mut self, call: IndirectCall, callee: FoundCallee) {
        let FoundCallee { reference, doubt } = callee;
        if doubt == Doubt::Signature {
            self.check_signature(reference, call.ty);
        }
        let mut flags = self.trusted(Region::FuncRefs);
        if doubt == Doubt::Null {
            flags = self.faulting(flags, TrapCode::NullReference);
        }
        let code = self.builder.ins().load(types::I64, flags, reference, offset_of!(VmFuncRef, code) as i32);
        let flags = self.trusted(Region::FuncRefs);
        let context = self.builder.ins().load(types::I64, flags, reference, offset_of!(VmFuncRef, vmctx) as i32);
        self.store_caller();
        self.emit_call(Callee::Indirect(code), context, call.ty, call.tail);
    }

    /// Stops the guest where a function is not of this type.
    fn check_signature(&mut self, reference: Value, ty: TypeIndex) {
        let flags = self.trusted(Region::FuncRefs);
        let found = self.builder.ins().load(types::I64, flags, reference, offset_of!(VmFuncRef, signature) as i32);
        let signatures = self.load_constant(self.vmctx, VmLayout::SIGNATURES);
        let expected = self.load_constant(signatures, ty.0 as i32 * 8);
        let differs = self.builder.ins().icmp(IntCC::NotEqual, found, expected);
        if self.input.module.types[ty.index()].is_final {
            return self.trap_if(differs, TrapCode::BadSignature);
        }
        let (cold, next) = self.branch_cold_and_back(differs);
        self.builder.switch_to_block(cold);
        let is_subtype = self.call_builtin_unmetered(Builtin::IsSubtype, &[found, expected]).expect("it answers");
        let none = self.builder.ins().icmp_imm_s(IntCC::Equal, is_subtype, 0);
        self.trap_if(none, TrapCode::BadSignature);
        self.builder.ins().jump(next, &[]);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
    }

    /// Notes this instance as the one that calls, for host functions to ask.
    fn store_caller(&mut self) {
        let store = self.store_context();
        let flags = self.trusted(Region::Store);
        self.builder.ins().store(flags, self.vmctx, store, offset_of!(VmStoreContext, caller) as i32);
    }

    fn emit_call(&mut self, callee: Callee, context: Value, type_index: TypeIndex, tail: bool) {
        let ty = self.input.module.declared_func(type_index);
        let first = self.stack.len() - ty.params().len();
        let area_size = return_area_size(ty);
        let area = match (area_size, tail) {
            (0, _) => None,
            // A tail call has the same results, for the same caller.
            (_, true) => self.return_area,
            (size, false) => Some(self.call_area(size)),
        };
        let args: SmallVec<[Value; 8]> = [context].into_iter().chain(area).chain(self.stack.drain(first..)).collect();
        self.args_passed += args.len();
        self.leave_metering();
        if tail {
            let signature = self.signature(type_index, false);
            match callee {
                Callee::Direct(function) => {
                    let function = self.function(function, signature);
                    self.builder.ins().return_call(function, &args)
                }
                Callee::Indirect(code) => self.builder.ins().return_call_indirect(signature, code, &args),
            };
            self.stop();
            return;
        }
        let handler = self.handler();
        let signature = self.signature(type_index, handler.is_some());
        let results: SmallVec<[Value; 4]> = match handler {
            Some(handler) => {
                let results = if area.is_some() { &[] } else { ty.results() };
                self.emit_try_call(callee, signature, &args, results, handler)
            }
            None => {
                let call = match callee {
                    Callee::Direct(function) => {
                        let function = self.function(function, signature);
                        self.builder.ins().call(function, &args)
                    }
                    Callee::Indirect(code) => self.builder.ins().call_indirect(signature, code, &args),
                };
                self.builder.inst_results(call).into()
            }
        };
        for (position, &ty) in ty.results().iter().enumerate() {
            let result = match area {
                None => results[position],
                Some(area) => {
                    let offset = position as i32 * RETURN_SLOT as i32;
                    self.builder.ins().load(clif_type(ty), MemFlagsData::trusted(), area, offset)
                }
            };
            self.push_typed(result, ty);
        }
        self.return_metering();
    }

    /// A call that goes on in `handler` where the callee throws. Gives the results, which have these types.
    fn emit_try_call(
        &mut self,
        callee: Callee,
        signature: ir::SigRef,
        args: &[Value],
        results: &[ValType],
        handler: ir::Block,
    ) -> SmallVec<[Value; 4]> {
        let next = self.builder.create_block();
        for &ty in results {
            self.builder.append_block_param(next, clif_type(ty));
        }
        let dfg = &mut self.builder.func.dfg;
        let returned = (0..results.len() as u32).map(BlockArg::TryCallRet);
        let returned = ir::BlockCall::new(next, returned, &mut dfg.value_lists);
        let thrown = [BlockArg::TryCallExn(0)];
        let thrown = ir::BlockCall::new(handler, thrown, &mut dfg.value_lists);
        let table = ir::ExceptionTableData::new(signature, returned, [ExceptionTableItem::Default(thrown)]);
        let table = dfg.exception_tables.push(table);
        match callee {
            Callee::Direct(function) => {
                let function = self.function(function, signature);
                self.builder.ins().try_call(function, args, table)
            }
            Callee::Indirect(code) => self.builder.ins().try_call_indirect(code, args, table),
        };
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
        self.builder.block_params(next).into()
    }

    /// The memory for results of calls, made large enough for these.
    fn call_area(&mut self, size: u32) -> Value {
        let slot = match self.call_area {
            Some(slot) => slot,
            None => {
                let data = ir::StackSlotData::new(ir::StackSlotKind::ExplicitSlot, size, RETURN_SLOT.ilog2() as u8);
                *self.call_area.insert(self.builder.create_sized_stack_slot(data))
            }
        };
        let data = &mut self.builder.func.sized_stack_slots[slot];
        data.size = data.size.max(size);
        self.builder.ins().stack_addr(types::I64, slot, 0)
    }

    /// One of the module's own functions, to be called with this signature.
    fn function(&mut self, function: FuncIndex, signature: ir::SigRef) -> ir::FuncRef {
        if let Some(&known) = self.functions.get(&(function, signature)) {
            return known;
        }
        let name = ir::UserExternalName::new(NAMESPACE_FUNC, function.0);
        let name = ir::ExternalName::user(self.builder.func.declare_imported_user_function(name));
        let data = ir::ExtFuncData { name, signature, colocated: true, patchable: false };
        let callee = self.builder.import_function(data);
        self.functions.insert((function, signature), callee);
        callee
    }

    /// The signature of calls of functions of a type, with a handler or without.
    fn signature(&mut self, ty: TypeIndex, handled: bool) -> ir::SigRef {
        if let Some(&known) = self.signatures.get(&(ty, handled)) {
            return known;
        }
        let func_type = self.input.module.declared_func(ty);
        let signature = if handled { handled_signature(func_type) } else { guest_signature(func_type) };
        let signature = self.builder.import_signature(signature);
        self.signatures.insert((ty, handled), signature);
        signature
    }
}
