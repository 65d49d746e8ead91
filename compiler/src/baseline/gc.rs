//! Structs, arrays, 31-bit integers, and casts (the GC proposal).
//!
//! An object is made before what goes into it is taken from the operand stack: the runtime may collect then, and finds everything at home or,
//! by the stub that calls it, in registers. What is in the new object is written before anything else is called.

use super::call::Argument;
use super::control::Source;
use super::translator::{RareCall, Stub, Translator};
use super::values::{Holds, Kind, Known, Place, Value};
use super::x64::{
    ARGUMENTS, Alu, Class, Condition, Extend, Float, Label, Mem, Operand, RBP, Reg, RegSet, SCRATCH, Shift,
    VECTOR_SCRATCH, Width, by_width, emit, mem, mem_indexed, trapping,
};
use crate::CompileError;
use ampoule_core::builtins::Builtin;
use ampoule_core::decode::{heap_type, ref_type};
use ampoule_core::index::TypeIndex;
use ampoule_core::object_layout::{ARRAY_ELEMENTS, ARRAY_LENGTH, MOST_INLINE, Storage, array_size};
use ampoule_core::trap::TrapCode;
use ampoule_core::types::{FieldType, HeapType, RefType, StorageType, TypeId, ValType};
use ampoule_core::vm::heap::{CARD_LOG2, CARDS, NULL_GUARD};
use ampoule_core::vm::types::ObjectKind;
use ampoule_core::vm::{VmFuncRef, VmLayout, VmStoreContext, VmType};
use std::mem::offset_of;
use std::sync::Arc;
use wasmparser::Operator;

/// Bytes of elements that are written one by one where an array is made.
const UNROLLED_MAX: u64 = 128;

impl Translator<'_> {
    /// Translates the operators of the GC proposal.
    pub(super) fn gc_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        match *op {
            Operator::RefI31 => {
                let value = self.pop();
                let reg = self.own(value);
                self.asm.shift_imm(Shift::Left, Width::W32, reg, 1);
                self.asm.alu(Alu::Or, Width::W32, reg, Operand::Imm(1));
                self.push_reg(Kind::Reference, reg);
            }
            Operator::I31GetS => self.i31_get(Shift::RightSigned),
            Operator::I31GetU => self.i31_get(Shift::RightUnsigned),
            Operator::RefEq => {
                let (second, first) = (self.pop(), self.pop());
                let reg = self.read(first);
                let with = self.operand(second);
                self.asm.alu(Alu::Cmp, Width::W32, reg, with);
                self.push_flags(Condition::Equal);
            }
            // A reference is the same whichever hierarchy it is seen in.
            Operator::AnyConvertExtern | Operator::ExternConvertAny => {}
            _ => return Ok(self.field_operator(op)? || self.array_operator(op)? || self.cast_operator(op)?),
        }
        Ok(true)
    }

    fn i31_get(&mut self, shift: Shift) {
        let value = self.pop();
        let reg = self.own(value);
        self.asm.test(Width::W32, reg);
        self.trap_if(Condition::Equal, TrapCode::NullReference);
        self.asm.shift_imm(shift, Width::W32, reg, 1);
        self.push_reg(Kind::I32, reg);
    }

    fn field_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        match *op {
            Operator::StructNew { struct_type_index } => self.struct_new(TypeIndex(struct_type_index), false)?,
            Operator::StructNewDefault { struct_type_index } => self.struct_new(TypeIndex(struct_type_index), true)?,
            Operator::StructGet { struct_type_index, field_index }
            | Operator::StructGetU { struct_type_index, field_index } => {
                self.struct_get(TypeIndex(struct_type_index), field_index, false);
            }
            Operator::StructGetS { struct_type_index, field_index } => {
                self.struct_get(TypeIndex(struct_type_index), field_index, true);
            }
            Operator::StructSet { struct_type_index, field_index } => {
                let (value, reference) = (self.pop(), self.pop());
                let (storage, offset) = self.field(TypeIndex(struct_type_index), field_index);
                let reg = self.read(reference);
                let to = self.object_access(reg, offset);
                self.write_storage(storage, value, to);
                // Behind the store, which faults at null.
                self.barrier(storage, value, reg);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn struct_fields(&self, ty: TypeIndex) -> Arc<[FieldType]> {
        self.input.module.types[ty.index()].as_struct().expect("validation saw to the type's kind").fields.clone()
    }

    /// What a field is stored as, and where.
    fn field(&self, ty: TypeIndex, field: u32) -> (StorageType, u32) {
        let layout = self.input.layout;
        (self.struct_fields(ty)[field as usize].storage, layout.structs(ty).offsets()[field as usize])
    }

    fn struct_new(&mut self, ty: TypeIndex, default: bool) -> Result<(), CompileError> {
        let layout = self.input.layout.structs(ty);
        let fields = self.struct_fields(ty);
        self.spend(fields.len())?;
        let object = self.allocate(ty, layout.size())?;
        for (field, &offset) in fields.iter().zip(layout.offsets()).rev() {
            let value = if default { self.zero(field.storage) } else { self.pop() };
            let to = self.inside(object, offset);
            self.write_storage(field.storage, value, to);
        }
        self.push_reg(Kind::Reference, object);
        Ok(())
    }

    fn struct_get(&mut self, ty: TypeIndex, field: u32, signed: bool) {
        let reference = self.pop();
        let (storage, offset) = self.field(ty, field);
        let reg = self.read(reference);
        let from = self.object_access(reg, offset);
        self.push_storage(storage, signed, from);
    }

    fn array_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        match *op {
            Operator::ArrayNew { array_type_index } => self.array_new(TypeIndex(array_type_index), false)?,
            Operator::ArrayNewDefault { array_type_index } => self.array_new(TypeIndex(array_type_index), true)?,
            Operator::ArrayNewFixed { array_type_index, array_size } => {
                self.array_new_fixed(TypeIndex(array_type_index), array_size)?;
            }
            Operator::ArrayNewData { array_type_index, array_data_index } => {
                self.array_from(Builtin::ArrayNewData, array_type_index, array_data_index)?;
            }
            Operator::ArrayNewElem { array_type_index, array_elem_index } => {
                self.array_from(Builtin::ArrayNewElem, array_type_index, array_elem_index)?;
            }
            Operator::ArrayGet { array_type_index } | Operator::ArrayGetU { array_type_index } => {
                self.array_get(TypeIndex(array_type_index), false);
            }
            Operator::ArrayGetS { array_type_index } => self.array_get(TypeIndex(array_type_index), true),
            Operator::ArraySet { array_type_index } => {
                let storage = self.element(TypeIndex(array_type_index));
                let (value, index, array) = (self.pop(), self.pop(), self.pop());
                let place = self.element_place(storage, array, index);
                let to = self.inside(place, 0);
                self.write_storage(storage, value, to);
                self.barrier(storage, value, place);
            }
            Operator::ArrayLen => {
                let array = self.pop();
                let reg = self.read(array);
                let from = self.object_access(reg, ARRAY_LENGTH);
                let to = self.alloc(Class::General);
                self.asm.load(Width::W32, to, from);
                self.push_reg(Kind::I32, to);
            }
            Operator::ArrayFill { array_type_index } => {
                let (len, value, index, array) = (self.pop(), self.pop(), self.pop(), self.pop());
                let len = self.charge(len);
                let place = self.pair(array, index);
                let (low, high) = self.bits(value);
                let args = [Argument::Context, Argument::Number(array_type_index), place, low, high, len];
                self.call_builtin(Builtin::ArrayFill, &args)?;
            }
            Operator::ArrayCopy { array_type_index_dst, .. } => {
                let (len, from_index, from) = (self.pop(), self.pop(), self.pop());
                let (to_index, to) = (self.pop(), self.pop());
                let (to, from) = (self.pair(to, to_index), self.pair(from, from_index));
                let args = [Argument::Context, Argument::Number(array_type_index_dst), to, from, Argument::Value(len)];
                self.call_builtin(Builtin::ArrayCopy, &args)?;
            }
            Operator::ArrayInitData { array_type_index, array_data_index } => {
                self.array_init(Builtin::ArrayInitData, array_type_index, array_data_index)?;
            }
            Operator::ArrayInitElem { array_type_index, array_elem_index } => {
                self.array_init(Builtin::ArrayInitElem, array_type_index, array_elem_index)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What elements are stored as.
    fn element(&self, ty: TypeIndex) -> StorageType {
        self.input.module.types[ty.index()].as_array().expect("validation saw to the type's kind").element.storage
    }

    fn array_new(&mut self, ty: TypeIndex, default: bool) -> Result<(), CompileError> {
        let storage = self.element(ty);
        let size_log2 = Storage::from(storage).size_log2();
        let len = self.pop();
        let short = match len.place {
            Place::Const(count) if count << size_log2 <= UNROLLED_MAX => Some(count as u32),
            _ => None,
        };
        let charged = self.charge(len);
        let Some(count) = short else {
            let value = if default { self.zero(storage) } else { self.pop() };
            let (low, high) = self.bits(value);
            let args = [Argument::Context, Argument::Number(ty.0), low, high, charged];
            self.call_builtin(Builtin::ArrayNew, &args)?;
            self.narrow_result(Kind::Reference);
            return Ok(());
        };
        let array = self.new_array_of(ty, count)?;
        let value = if default { self.zero(storage) } else { self.pop() };
        for position in 0..count {
            let to = self.inside(array, ARRAY_ELEMENTS + (position << size_log2));
            self.write_storage(storage, value, to);
        }
        self.push_reg(Kind::Reference, array);
        Ok(())
    }

    fn array_new_fixed(&mut self, ty: TypeIndex, count: u32) -> Result<(), CompileError> {
        let storage = self.element(ty);
        let size_log2 = Storage::from(storage).size_log2();
        self.spend(count as usize)?;
        let array = self.new_array_of(ty, count)?;
        for position in (0..count).rev() {
            let value = self.pop();
            let to = self.inside(array, ARRAY_ELEMENTS + (position << size_log2));
            self.write_storage(storage, value, to);
        }
        self.push_reg(Kind::Reference, array);
        Ok(())
    }

    /// An array of so many elements, which have no value yet.
    fn new_array_of(&mut self, ty: TypeIndex, len: u32) -> Result<Reg, CompileError> {
        let size_log2 = Storage::from(self.element(ty)).size_log2();
        // Validation bounds what stands on the operand stack.
        let array = self.allocate(ty, array_size(len, size_log2) as u32)?;
        let to = self.inside(array, ARRAY_LENGTH);
        self.asm.store_imm(Width::W32, to, len as i32);
        Ok(array)
    }

    fn array_from(&mut self, builtin: Builtin, ty: u32, segment: u32) -> Result<(), CompileError> {
        let (len, offset) = (self.pop(), self.pop());
        let numbers = [Argument::Number(ty), Argument::Number(segment)];
        let args = [Argument::Context, numbers[0], numbers[1], Argument::Value(offset), Argument::Value(len)];
        self.call_builtin(builtin, &args)?;
        self.narrow_result(Kind::Reference);
        Ok(())
    }

    fn array_init(&mut self, builtin: Builtin, ty: u32, segment: u32) -> Result<(), CompileError> {
        let (len, from_index, to_index, array) = (self.pop(), self.pop(), self.pop(), self.pop());
        let segment = Value { kind: Kind::I32, place: Place::Const(segment.into()) };
        let (to, from) = (self.pair(array, to_index), self.pair(segment, from_index));
        let args = [Argument::Context, Argument::Number(ty), to, from, Argument::Value(len)];
        self.call_builtin(builtin, &args)
    }

    fn array_get(&mut self, ty: TypeIndex, signed: bool) {
        let storage = self.element(ty);
        let (index, array) = (self.pop(), self.pop());
        let place = self.element_place(storage, array, index);
        let from = self.inside(place, 0);
        self.push_storage(storage, signed, from);
    }

    /// Where in the heap an element is, after the index was checked.
    fn element_place(&mut self, storage: StorageType, array: Value, index: Value) -> Reg {
        let (array, index) = (self.read(array), self.read(index));
        let place = self.alloc(Class::General);
        let len = self.object_access(array, ARRAY_LENGTH);
        self.asm.compare_with(Width::W32, index, len);
        self.trap_if(Condition::AboveOrEqual, TrapCode::ArrayOutOfBounds);
        let size_log2 = Storage::from(storage).size_log2() as u8;
        // The sum has 32 bits, whatever the index was that a misprediction let pass.
        if size_log2 <= 3 {
            self.asm.address(Width::W32, place, mem_indexed(array, index, size_log2, ARRAY_ELEMENTS as i32));
        } else {
            self.asm.mov(Width::W32, place, index);
            self.asm.shift_imm(Shift::Left, Width::W32, place, size_log2);
            self.asm.address(Width::W32, place, mem_indexed(array, place, 0, ARRAY_ELEMENTS as i32));
        }
        place
    }

    /// Counts fuel for each of so many units.
    fn charge(&mut self, units: Value) -> Argument {
        if !self.input.tunables.consume_fuel {
            return Argument::Value(units);
        }
        let reg = self.own(units);
        self.settle_fuel();
        let store = self.known(Known::Store);
        let fuel = offset_of!(VmStoreContext, fuel) as i32;
        emit!(self.asm, addq_mr, mem(store, fuel), reg.number());
        Argument::Reg(reg)
    }

    /// Two words of 32 bits as one, the first in the lower half.
    fn pair(&mut self, low: Value, high: Value) -> Argument {
        let reg = self.own(high);
        let low = self.read(low);
        self.asm.shift_imm(Shift::Left, Width::W64, reg, 32);
        self.asm.alu(Alu::Or, Width::W64, reg, Operand::Reg(low));
        Argument::Reg(reg)
    }

    /// A value as the runtime takes it: two words of 64 bits.
    fn bits(&mut self, value: Value) -> (Argument, Argument) {
        let zero = Argument::Number(0);
        match value.kind.class() {
            Class::General => (Argument::Value(value), zero),
            Class::Vector => {
                let from = self.read(value).number();
                let low = self.alloc(Class::General);
                let width = if value.kind == Kind::F32 { Width::W32 } else { Width::W64 };
                by_width!(self.asm, width, movd_b, movq_b, low.number(), from);
                if value.kind != Kind::V128 {
                    return (Argument::Reg(low), zero);
                }
                let high = self.alloc(Class::General);
                emit!(self.asm, pshufd_a, VECTOR_SCRATCH.number(), from, 0xee);
                emit!(self.asm, movq_b, high.number(), VECTOR_SCRATCH.number());
                (Argument::Reg(low), Argument::Reg(high))
            }
        }
    }

    /// The default value of what is stored so.
    fn zero(&self, storage: StorageType) -> Value {
        let kind = Kind::of(storage.unpacked());
        Value { kind, place: Place::Const(0) }
    }

    /// Bytes of an object that may be null.
    fn object_access(&mut self, reference: Reg, offset: u32) -> Mem {
        let faults = self.input.tunables.signals_based_traps && offset < NULL_GUARD - 16;
        if !faults {
            self.asm.test(Width::W32, reference);
            self.trap_if(Condition::Equal, TrapCode::NullReference);
        }
        let memory = self.inside(reference, offset);
        if faults { trapping(memory, TrapCode::NullReference) } else { memory }
    }

    /// Bytes so far into an object.
    pub(super) fn inside(&mut self, reference: Reg, offset: u32) -> Mem {
        let heap = self.known(Known::Heap);
        mem_indexed(heap, reference, 0, offset as i32)
    }

    pub(super) fn push_storage(&mut self, storage: StorageType, signed: bool, from: Mem) {
        let kind = Kind::of(storage.unpacked());
        let to = self.alloc(kind.class());
        match (storage, signed) {
            (StorageType::I8, true) => self.asm.load_extended(Extend::Signed8(Width::W32), to, from),
            (StorageType::I8, false) => self.asm.load_extended(Extend::Unsigned8, to, from),
            (StorageType::I16, true) => self.asm.load_extended(Extend::Signed16(Width::W32), to, from),
            (StorageType::I16, false) => self.asm.load_extended(Extend::Unsigned16, to, from),
            (StorageType::Val(_), _) => self.load_value(kind, to, from),
        }
        self.push_reg(kind, to);
    }

    /// Writes a value to where this is stored. No register is taken for it but the scratch ones: an object may have many fields.
    pub(super) fn write_storage(&mut self, storage: StorageType, value: Value, to: Mem) {
        let kind = value.kind;
        let from = match self.source(value) {
            Source::Reg(reg) => reg,
            Source::Home(Kind::V128, home) => {
                self.asm.load_vector(VECTOR_SCRATCH, mem(RBP, home));
                VECTOR_SCRATCH
            }
            Source::Home(Kind::F32 | Kind::F64, home) => {
                self.asm.load_float(
                    if kind == Kind::F32 { Float::F32 } else { Float::F64 },
                    VECTOR_SCRATCH,
                    mem(RBP, home),
                );
                VECTOR_SCRATCH
            }
            Source::Home(kind, home) => {
                self.asm.load(kind.width(), SCRATCH, mem(RBP, home));
                SCRATCH
            }
            Source::Const(kind, bits) => {
                let reg = if kind.class() == Class::General { SCRATCH } else { VECTOR_SCRATCH };
                self.load_const(kind, bits, reg);
                reg
            }
            Source::Known(_) => unreachable!("no operand is one"),
        };
        match storage {
            StorageType::I8 => emit!(self.asm, movb_mr, to, from.number()),
            StorageType::I16 => emit!(self.asm, movw_mr, to, from.number()),
            StorageType::Val(_) => self.store_value(kind, to, from),
        }
    }

    /// Notes, after a reference was written to an object, where in the heap: an old object may lead to a young one from now on. Nothing where
    /// the value is known to be no object.
    fn barrier(&mut self, storage: StorageType, value: Value, place: Reg) {
        let StorageType::Val(ValType::Ref(RefType { heap, .. })) = storage else { return };
        let collected = match heap {
            HeapType::I31 | HeapType::None | HeapType::NoExtern | HeapType::NoExn => false,
            other => other.top() != HeapType::Func,
        };
        if !collected || value.place == Place::Const(0) {
            return;
        }
        let heap = self.known(Known::Heap);
        self.asm.mov(Width::W32, SCRATCH, place);
        self.asm.shift_imm(Shift::RightUnsigned, Width::W32, SCRATCH, CARD_LOG2 as u8);
        emit!(self.asm, movb_mi, mem_indexed(heap, SCRATCH, 0, CARDS), 1u8);
    }

    /// Makes an object of so many bytes, a multiple of eight, with its type's word in it and nothing else. What is in registers may be elsewhere
    /// afterwards only if it is a reference, and then the register has the new one.
    pub(super) fn allocate(&mut self, ty: TypeIndex, size: u32) -> Result<Reg, CompileError> {
        let (context, store) = (self.known(Known::Context), self.known(Known::Store));
        let heap = self.known(Known::Heap);
        let (object, top) = (self.alloc(Class::General), self.alloc(Class::General));
        let top_offset = offset_of!(VmStoreContext, heap_top) as i32;
        let (rare, back) = (self.asm.label(), self.asm.label());
        let word = |this: &mut Self, to: Reg| {
            this.asm.load(Width::W64, to, mem(context, VmLayout::TYPE_WORDS));
            this.asm.load(Width::W32, to, mem(to, ty.0 as i32 * 4));
        };
        if size > MOST_INLINE {
            word(self, top);
            self.asm.jump(rare);
        } else {
            self.asm.load(Width::W32, object, mem(store, top_offset));
            // The limit is far from where the sum would wrap.
            self.asm.address(Width::W32, top, mem(object, size as i32));
            self.asm.compare_with(Width::W32, top, mem(store, offset_of!(VmStoreContext, heap_limit) as i32));
            // The flags outlive the loads.
            word(self, SCRATCH);
            self.asm.jump_if(Condition::Above, rare);
            self.asm.store(Width::W32, mem(store, top_offset), top);
            self.asm.store(Width::W32, mem_indexed(heap, object, 0, 0), SCRATCH);
        }
        self.asm.bind(back);
        let word = if size > MOST_INLINE { top } else { SCRATCH };
        let args = [
            (ARGUMENTS[0], Source::Reg(context)),
            (ARGUMENTS[1], Source::Reg(word)),
            (ARGUMENTS[2], Source::Const(Kind::I32, size.into())),
        ];
        self.collecting_stub(Builtin::Allocate, args.into_iter().collect(), object, (rare, back))?;
        Ok(object)
    }

    /// Notes a stub that calls a builtin which may collect, with where references are. They are at home meanwhile.
    fn collecting_stub(
        &mut self,
        builtin: Builtin,
        args: Vec<(Reg, Source)>,
        result: Reg,
        (label, back): (Label, Label),
    ) -> Result<(), CompileError> {
        let mut references = Vec::new();
        let mut in_frame = self.references()?;
        let mut keep = RegSet::EMPTY;
        for reg in self.regs.used().iter() {
            let holds = self.regs.holds[reg.index()];
            let kind = match holds {
                Holds::Local(local) => self.locals[local as usize].kind,
                Holds::Operand(index) => self.stack[index as usize].kind,
                _ => Kind::I64,
            };
            if kind == Kind::Reference {
                let home = match holds {
                    Holds::Operand(index) => self.homes.of_operand(index as usize, kind),
                    Holds::Local(local) => self.local_home(local),
                    _ => unreachable!("it holds a reference"),
                };
                references.push((reg, home));
                if let Holds::Operand(_) = holds {
                    in_frame.push(home);
                }
            } else if reg != result && !RegSet::CALLEE_SAVED.contains(reg) {
                keep.insert(reg);
            }
        }
        let call = RareCall { builtin, args, keep, result: Some(result), zero: None, back, references, in_frame };
        self.stubs.push(Stub::call(label, self.position, call));
        Ok(())
    }

    fn cast_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        let module = self.input.module;
        let heap = |hty| heap_type(hty, module).map_err(CompileError::new);
        match *op {
            Operator::RefTestNonNull { hty } => self.ref_test(RefType::non_null(heap(hty)?)),
            Operator::RefTestNullable { hty } => self.ref_test(RefType::null_or(heap(hty)?)),
            Operator::RefCastNonNull { hty } => self.ref_cast(RefType::non_null(heap(hty)?)),
            Operator::RefCastNullable { hty } => self.ref_cast(RefType::null_or(heap(hty)?)),
            Operator::BrOnCast { relative_depth, to_ref_type, .. } => {
                let to = ref_type(to_ref_type, module).map_err(CompileError::new)?;
                self.branch_on_cast(relative_depth, to, true)?;
            }
            Operator::BrOnCastFail { relative_depth, to_ref_type, .. } => {
                let to = ref_type(to_ref_type, module).map_err(CompileError::new)?;
                self.branch_on_cast(relative_depth, to, false)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn ref_test(&mut self, to: RefType) {
        let value = self.pop();
        let reg = self.read(value);
        let answer = self.alloc(Class::General);
        let (yes, no, done) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.ask(reg, to, yes, no);
        self.asm.bind(no);
        self.asm.mov_imm(answer, 0);
        self.asm.jump(done);
        self.asm.bind(yes);
        self.asm.mov_imm(answer, 1);
        self.asm.bind(done);
        self.push_reg(Kind::I32, answer);
    }

    fn ref_cast(&mut self, to: RefType) {
        let value = self.pop();
        let reg = self.read(value);
        let yes = self.asm.label();
        let no = self.trap_label(TrapCode::CastFailure);
        self.ask(reg, to, yes, no);
        self.asm.bind(yes);
        self.push_again(value, reg);
    }

    fn branch_on_cast(&mut self, depth: u32, to: RefType, if_it_is: bool) -> Result<(), CompileError> {
        let value = self.pop();
        let reg = self.read(value);
        self.settle_fuel();
        let (yes, no) = (self.asm.label(), self.asm.label());
        self.ask(reg, to, yes, no);
        self.push_again(value, reg);
        let (taken, next) = if if_it_is { (yes, no) } else { (no, yes) };
        self.asm.bind(taken);
        self.jump_out_of(depth)?;
        self.asm.bind(next);
        Ok(())
    }

    /// Asks whether a reference is of this type, of the same hierarchy, and goes on at one label or the other.
    fn ask(&mut self, reference: Reg, to: RefType, yes: Label, no: Label) {
        let heap = to.heap;
        // What both ways have in registers is loaded before they part.
        let (context, store, base) = (self.known(Known::Context), self.known(Known::Store), self.known(Known::Heap));
        let found = self.alloc(Class::General);
        let width = if heap.top() == HeapType::Func { Width::W64 } else { Width::W32 };
        self.asm.test(width, reference);
        self.asm.jump_if(Condition::Equal, if to.nullable { yes } else { no });
        if heap == heap.top() || heap == heap.bottom() {
            return self.asm.jump(if heap == heap.top() { yes } else { no });
        }
        if heap.top() == HeapType::Any {
            let integers_are = matches!(heap, HeapType::Eq | HeapType::I31);
            emit!(self.asm, testl_mi, reference.number(), 1);
            self.asm.jump_if(Condition::NotEqual, if integers_are { yes } else { no });
        }
        let first = |kind: ObjectKind| kind.first_word() as i32;
        let condition = match heap {
            HeapType::I31 => return self.asm.jump(no),
            HeapType::ConcreteFunc(id) => {
                return self.ask_function(reference, TypeIndex(id.0), context, found, yes, no);
            }
            HeapType::Eq => {
                self.asm.load(Width::W32, found, mem_indexed(base, reference, 0, 0));
                self.asm.alu(Alu::Cmp, Width::W32, found, Operand::Imm(first(ObjectKind::Host)));
                Condition::Below
            }
            HeapType::Struct => {
                self.asm.load(Width::W32, found, mem_indexed(base, reference, 0, 0));
                self.asm.alu(Alu::Cmp, Width::W32, found, Operand::Imm(first(ObjectKind::Array)));
                Condition::Below
            }
            HeapType::Array => {
                self.asm.load(Width::W32, found, mem_indexed(base, reference, 0, 0));
                self.asm.alu(Alu::Sub, Width::W32, found, Operand::Imm(first(ObjectKind::Array)));
                let arrays = first(ObjectKind::Exception) - first(ObjectKind::Array);
                self.asm.alu(Alu::Cmp, Width::W32, found, Operand::Imm(arrays));
                Condition::Below
            }
            HeapType::ConcreteStruct(id) | HeapType::ConcreteArray(id) => {
                self.asm.load(Width::W32, found, mem_indexed(base, reference, 0, 0));
                if !self.input.module.types[id.0 as usize].is_final {
                    self.load_display_word(found, store, self.depth(id), no);
                }
                self.asm.load(Width::W64, SCRATCH, mem(context, VmLayout::TYPE_WORDS));
                self.asm.compare_with(Width::W32, found, mem(SCRATCH, id.0 as i32 * 4));
                Condition::Equal
            }
            other => unreachable!("{other} is looked at without an object"),
        };
        self.asm.jump_if(condition, yes);
        self.asm.jump(no);
    }

    /// From the word of an object's type to that of its super-type at this depth.
    fn load_display_word(&mut self, word: Reg, store: Reg, depth: u32, no: Label) {
        self.asm.load(Width::W64, SCRATCH, mem(store, offset_of!(VmStoreContext, types) as i32));
        self.asm.alu(Alu::Add, Width::W64, SCRATCH, Operand::Reg(word));
        if (depth as usize) >= VmType::DISPLAY {
            // Deeper displays are elsewhere, and not there for shallow types.
            self.asm.load(Width::W32, word, mem(SCRATCH, offset_of!(VmType, depth) as i32));
            self.asm.alu(Alu::Cmp, Width::W32, word, Operand::Imm(depth as i32));
            self.asm.jump_if(Condition::Below, no);
            self.asm.load(Width::W64, SCRATCH, mem(SCRATCH, offset_of!(VmType, more_display) as i32));
        }
        self.asm.load(Width::W32, word, mem(SCRATCH, depth as i32 * 4));
    }

    /// How many super-types a type has.
    fn depth(&self, id: TypeId) -> u32 {
        let types = &self.input.module.types;
        let ancestors = std::iter::successors(types[id.0 as usize].supertype, |id| types[id.0 as usize].supertype);
        ancestors.count() as u32
    }

    /// Whether a function is of this type.
    fn ask_function(&mut self, reference: Reg, ty: TypeIndex, context: Reg, found: Reg, yes: Label, no: Label) {
        self.asm.load(Width::W64, SCRATCH, mem(context, VmLayout::SIGNATURES));
        self.asm.load(Width::W64, SCRATCH, mem(SCRATCH, ty.0 as i32 * 8));
        self.asm.load(Width::W64, found, mem(reference, offset_of!(VmFuncRef, signature) as i32));
        self.asm.alu(Alu::Cmp, Width::W64, found, Operand::Reg(SCRATCH));
        self.asm.jump_if(Condition::Equal, yes);
        if self.input.module.types[ty.index()].is_final {
            return self.asm.jump(no);
        }
        let (rare, back) = (self.asm.label(), self.asm.label());
        self.asm.jump(rare);
        self.asm.bind(back);
        self.asm.test(Width::W32, found);
        self.asm.jump_if(Condition::NotEqual, yes);
        self.asm.jump(no);
        let args = [(ARGUMENTS[0], Source::Reg(found)), (ARGUMENTS[1], Source::Reg(SCRATCH))].into_iter().collect();
        let mut keep = self.regs.used().without(RegSet::CALLEE_SAVED);
        keep.remove(found);
        let call = RareCall::plain(Builtin::IsSubtype, args, keep, Some(found), None, back);
        self.stubs.push(Stub::call(rare, self.position, call));
    }
}
