//! Arrays. What is short is done here, the rest by the runtime.

use super::super::translator::FuncTranslator;
use ampoule_core::builtins::Builtin;
use ampoule_core::index::TypeIndex;
use ampoule_core::object_layout::{ARRAY_ELEMENTS, ARRAY_LENGTH, Storage, array_size};
use ampoule_core::trap::TrapCode;
use ampoule_core::types::StorageType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Value, types};
use wasmparser::Operator;

/// Bytes of elements that are written one by one where an array is made.
const UNROLLED_MAX: u64 = 128;

impl FuncTranslator<'_> {
    pub(super) fn array_operator(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::ArrayNew { array_type_index } => {
                let (value, len) = self.pop2();
                self.array_new(TypeIndex(array_type_index), value, len);
            }
            Operator::ArrayNewDefault { array_type_index } => {
                let ty = TypeIndex(array_type_index);
                let len = self.pop();
                let value = self.zero(self.element(ty).unpacked());
                self.array_new(ty, value, len);
            }
            Operator::ArrayNewFixed { array_type_index, array_size } => {
                let first = self.stack.len() - array_size as usize;
                let values: Vec<_> = self.stack.drain(first..).collect();
                self.array_new_fixed(TypeIndex(array_type_index), &values);
            }
            Operator::ArrayNewData { array_type_index, array_data_index } => {
                let (offset, len) = self.pop2();
                let segment = self.number(array_data_index);
                self.make_array(Builtin::ArrayNewData, TypeIndex(array_type_index), &[segment, offset, len]);
            }
            Operator::ArrayNewElem { array_type_index, array_elem_index } => {
                let (offset, len) = self.pop2();
                let segment = self.number(array_elem_index);
                self.make_array(Builtin::ArrayNewElem, TypeIndex(array_type_index), &[segment, offset, len]);
            }
            Operator::ArrayGet { array_type_index } | Operator::ArrayGetU { array_type_index } => {
                self.array_get(TypeIndex(array_type_index), false);
            }
            Operator::ArrayGetS { array_type_index } => self.array_get(TypeIndex(array_type_index), true),
            Operator::ArraySet { array_type_index } => {
                let (array, index, value) = self.pop3();
                let storage = self.element(TypeIndex(array_type_index));
                let place = self.element_place(storage, array, index);
                let (address, flags) = (self.heap_address(place), self.object_flags());
                self.store_storage(storage, value, address, 0, flags);
                self.barrier(storage, value, place);
            }
            Operator::ArrayLen => {
                let array = self.pop();
                let len = self.array_len(array);
                self.push(len);
            }
            Operator::ArrayFill { array_type_index } => {
                let len = self.pop();
                let (array, index, value) = self.pop3();
                self.charge(len);
                let ty = self.number(array_type_index);
                let place = self.pair(array, index);
                let (low, high) = self.bits(value);
                self.call_builtin(Builtin::ArrayFill, &[self.vmctx, ty, place, low, high, len]);
            }
            Operator::ArrayCopy { array_type_index_dst, .. } => {
                let (from, from_index, len) = self.pop3();
                let (to, to_index) = self.pop2();
                let ty = self.number(array_type_index_dst);
                let (to, from) = (self.pair(to, to_index), self.pair(from, from_index));
                self.call_builtin(Builtin::ArrayCopy, &[self.vmctx, ty, to, from, len]);
            }
            Operator::ArrayInitData { array_type_index, array_data_index } => {
                self.array_init(Builtin::ArrayInitData, array_type_index, array_data_index);
            }
            Operator::ArrayInitElem { array_type_index, array_elem_index } => {
                self.array_init(Builtin::ArrayInitElem, array_type_index, array_elem_index);
            }
            _ => return false,
        }
        true
    }

    /// What elements are stored as.
    fn element(&self, ty: TypeIndex) -> StorageType {
        self.input.module.types[ty.index()].as_array().expect("validation saw to the type's kind").element.storage
    }

    /// How many elements an array has. Null stops the guest.
    fn array_len(&mut self, array: Value) -> Value {
        let (address, flags) = self.object_access(array, ARRAY_LENGTH);
        self.builder.ins().load(types::I32, flags, address, ARRAY_LENGTH as i32)
    }

    /// Where in the heap an element is, after the index was checked.
    fn element_place(&mut self, storage: StorageType, array: Value, index: Value) -> Value {
        let len = self.array_len(array);
        let beyond = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, len);
        self.trap_if(beyond, TrapCode::ArrayOutOfBounds);
        let shift = self.builder.ins().iconst(types::I32, i64::from(Storage::from(storage).size_log2()));
        let distance = self.builder.ins().ishl(index, shift);
        let place = self.builder.ins().iadd(array, distance);
        let elements = self.builder.ins().iconst(types::I32, i64::from(ARRAY_ELEMENTS));
        self.builder.ins().iadd(place, elements)
    }

    fn array_get(&mut self, ty: TypeIndex, signed: bool) {
        let (array, index) = self.pop2();
        let storage = self.element(ty);
        let place = self.element_place(storage, array, index);
        let (address, flags) = (self.heap_address(place), self.object_flags());
        let value = self.load_storage(storage, signed, address, 0, flags);
        self.push(value);
    }

    fn array_new(&mut self, ty: TypeIndex, value: Value, len: Value) {
        self.charge(len);
        let size_log2 = Storage::from(self.element(ty)).size_log2();
        match self.constant(len).filter(|&count| count << size_log2 <= UNROLLED_MAX) {
            Some(count) => self.array_of_one_value(ty, value, count as u32),
            None => {
                let (low, high) = self.bits(value);
                let storage = Storage::from(self.element(ty));
                if storage == Storage::Bits128 {
                    return self.make_array(Builtin::ArrayNew, ty, &[low, high, len]);
                }
                let pattern = self.repeated(storage, low);
                let number = self.number(ty.0);
                let args = [self.vmctx, number, low, high, len];
                let reference = self.allocate_array(ty, size_log2, len, pattern, |t| {
                    t.call_builtin_unmetered(Builtin::ArrayNew, &args).expect("it answers")
                });
                self.push(reference);
            }
        }
    }

    /// Eight bytes of elements, where each has this value.
    fn repeated(&mut self, storage: Storage, value: Value) -> Value {
        match storage {
            Storage::Bits8 => {
                let byte = self.builder.ins().band_imm_s(value, 0xff);
                self.builder.ins().imul_imm_s(byte, 0x0101_0101_0101_0101)
            }
            Storage::Bits16 => {
                let half = self.builder.ins().band_imm_s(value, 0xffff);
                self.builder.ins().imul_imm_s(half, 0x0001_0001_0001_0001)
            }
            Storage::Bits32 | Storage::Collected => self.builder.ins().imul_imm_s(value, 0x1_0000_0001),
            Storage::Bits64 | Storage::Bits128 | Storage::Function => value,
        }
    }

    /// A short array. It is written eight bytes at a time, those behind the last element too.
    fn array_of_one_value(&mut self, ty: TypeIndex, value: Value, len: u32) {
        let storage = Storage::from(self.element(ty));
        let reference = self.new_array_of(ty, len);
        let (address, flags) = (self.heap_address(reference), self.object_flags());
        let end = array_size(len, storage.size_log2()) as i32;
        let (low, high) = self.bits(value);
        let low = self.repeated(storage, low);
        let halves = if storage == Storage::Bits128 { [low, high] } else { [low, low] };
        for (offset, half) in (ARRAY_ELEMENTS as i32..end).step_by(8).zip(halves.into_iter().cycle()) {
            self.builder.ins().store(flags, half, address, offset);
        }
        self.push(reference);
    }

    fn array_new_fixed(&mut self, ty: TypeIndex, values: &[Value]) {
        let storage = self.element(ty);
        let size_log2 = Storage::from(storage).size_log2();
        let reference = self.new_array_of(ty, values.len() as u32);
        let (address, flags) = (self.heap_address(reference), self.object_flags());
        for (position, &value) in values.iter().enumerate() {
            self.store_storage(storage, value, address, ARRAY_ELEMENTS + ((position as u32) << size_log2), flags);
        }
        self.push(reference);
    }

    /// An array of so many elements, which have no value yet.
    fn new_array_of(&mut self, ty: TypeIndex, len: u32) -> Value {
        let size_log2 = Storage::from(self.element(ty)).size_log2();
        // Validation bounds what stands on the operand stack.
        let size = array_size(len, size_log2) as u32;
        let reference = self.allocate(ty, size);
        let (address, flags) = (self.heap_address(reference), self.object_flags());
        let len = self.builder.ins().iconst(types::I32, i64::from(len));
        self.builder.ins().store(flags, len, address, ARRAY_LENGTH as i32);
        reference
    }

    /// Has the runtime make an array.
    fn make_array(&mut self, builtin: Builtin, ty: TypeIndex, args: &[Value]) {
        let ty = self.number(ty.0);
        let args = [&[self.vmctx, ty], args].concat();
        let reference = self.call_builtin(builtin, &args).expect("it answers");
        self.builder.declare_value_needs_stack_map(reference);
        self.push(reference);
    }

    fn array_init(&mut self, builtin: Builtin, ty: u32, segment: u32) {
        let (to_index, from_index, len) = self.pop3();
        let array = self.pop();
        let (ty, segment) = (self.number(ty), self.number(segment));
        let (to, from) = (self.pair(array, to_index), self.pair(segment, from_index));
        self.call_builtin(builtin, &[self.vmctx, ty, to, from, len]);
    }

    /// Two words of 32 bits as one, the first in the lower half.
    fn pair(&mut self, low: Value, high: Value) -> Value {
        let low = self.builder.ins().uextend(types::I64, low);
        let high = self.builder.ins().uextend(types::I64, high);
        let shift = self.builder.ins().iconst(types::I64, 32);
        let high = self.builder.ins().ishl(high, shift);
        self.builder.ins().bor(low, high)
    }

    /// A value as the runtime takes it: two words of 64 bits.
    fn bits(&mut self, value: Value) -> (Value, Value) {
        let little = MemFlagsData::new().with_endianness(Endianness::Little);
        let zero = self.builder.ins().iconst(types::I64, 0);
        match self.builder.func.dfg.value_type(value) {
            types::I64 => (value, zero),
            types::I32 => (self.builder.ins().uextend(types::I64, value), zero),
            types::F32 => {
                let bits = self.builder.ins().bitcast(types::I32, MemFlagsData::new(), value);
                (self.builder.ins().uextend(types::I64, bits), zero)
            }
            types::F64 => (self.builder.ins().bitcast(types::I64, MemFlagsData::new(), value), zero),
            _ => {
                let lanes = self.builder.ins().bitcast(types::I64X2, little, value);
                let low = self.builder.ins().extractlane(lanes, 0);
                (low, self.builder.ins().extractlane(lanes, 1))
            }
        }
    }
}
