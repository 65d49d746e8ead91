//! Linear memory: the one routine that makes addresses, loads and stores, and the bulk operators.

use super::translator::FuncTranslator;
use crate::optimizing::flags::{Region, constant_flags};
use ampoule_core::builtins::Builtin;
use ampoule_core::index::MemoryIndex;
use ampoule_core::trap::TrapCode;
use ampoule_core::tunables::{IndexCheck, MemoryPlan};
use ampoule_core::types::MemoryType;
use ampoule_core::vm::{MemorySlot, VmMemory};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Opcode, Type, Value, types};
use std::mem::offset_of;
use wasmparser::{MemArg, MemArgTarget, Operator};

/// Where an access goes: all three are for the load or store.
#[derive(Clone, Copy)]
pub(super) struct Address {
    /// The host address, without `offset`.
    pub base: Value,
    /// Trap code, alias region and endianness of an access to linear memory.
    pub flags: MemFlagsData,
    /// What the instruction adds to `base`.
    pub offset: i32,
}

/// A range of a memory.
struct Range {
    memory: MemoryIndex,
    /// Its start, 64 bits wide.
    index: Value,
    /// Whether it goes beyond the memory's end, if it can.
    beyond: Option<Value>,
}

/// The bytes from address zero on that no process has: a fault there is what a clamped address leads to.
const NULL_PAGE: u64 = 4096;

/// Operators between an address and what it is made of, at most, that are looked at for what it is at most.
const INDEX_OPERATORS: u32 = 5;

/// The longest `memory.copy` and `memory.fill` of constant length that is made of loads and stores.
const INLINE_BULK_MAX: u64 = 128;

impl FuncTranslator<'_> {
    /// Pops an address and makes it one that the host can access `access_size` bytes at, or that faults, or stops the guest.
    ///
    /// Every access to linear memory goes through here.
    pub fn address(&mut self, memarg: &MemArg, access_size: u32) -> Address {
        let index = self.pop();
        self.address_of(index, memory_index(memarg), memarg.offset, u64::from(access_size))
    }

    /// The address operand plus the constant offset as an `i64`, as builtins want it. Stops the guest where the sum
    /// doesn't fit: no memory is that long.
    pub fn wide_address(&mut self, memarg: &MemArg) -> Value {
        let index = self.pop();
        let ty = self.memory_type(memory_index(memarg));
        let index = self.widen(index, ty.is_64);
        if memarg.offset == 0 {
            return index;
        }
        let offset = self.builder.ins().iconst(types::I64, memarg.offset as i64);
        let sum = self.builder.ins().iadd(index, offset);
        if ty.is_64 {
            let wrapped = self.builder.ins().icmp(IntCC::UnsignedLessThan, sum, offset);
            self.trap_if(wrapped, TrapCode::MemoryOutOfBounds);
        }
        sum
    }

    /// Zero-extends an index or length of a 32-bit memory or table.
    pub(super) fn widen(&mut self, value: Value, is_64: bool) -> Value {
        if is_64 { value } else { self.builder.ins().uextend(types::I64, value) }
    }

    /// The address of `index + offset`, for `size` bytes.
    fn address_of(&mut self, index: Value, memory: MemoryIndex, offset: u64, size: u64) -> Address {
        let ty = self.memory_type(memory);
        let plan = MemoryPlan::new(&ty, self.tunables());
        let min = ty.min_byte_len().unwrap_or(u64::MAX);
        let region = self.region(Region::Heap);
        let flags = MemFlagsData::new().with_endianness(Endianness::Little).with_alias_region(Some(region));
        let base = self.memory_base(memory, &plan);
        let operand = index;
        let index = self.widen(operand, ty.is_64);
        let reach = offset.saturating_add(size);

        // An address that is always within the initial length always stays accessible: memories only grow.
        if self.greatest(operand).checked_add(reach).is_some_and(|end| end <= min) {
            return self.displaced(base, index, offset, flags.with_notrap());
        }
        let check = plan.index_check(&ty, reach);
        if check != IndexCheck::Nothing
            && !ty.is_64
            && let Some((index, counted)) = self.counted_index(operand, reach, min)
        {
            return self.displaced(base, index, offset + counted, flags.with_notrap());
        }
        let out_of_bounds = match check {
            IndexCheck::Nothing => {
                let flags = self.may_fault(flags);
                return self.displaced(base, index, offset, flags);
            }
            IndexCheck::AtMost(last) => {
                // In 32 bits the last addresses are small constants, less than zero.
                let narrow = (!ty.is_64).then(|| u32::try_from(last).ok()).flatten();
                let (index, ty, last) = match narrow {
                    Some(last) => (operand, types::I32, last.into()),
                    None => (index, types::I64, last as i64),
                };
                let last = self.builder.ins().iconst(ty, last);
                self.builder.ins().icmp(IntCC::UnsignedGreaterThan, index, last)
            }
            IndexCheck::AtMostLength => {
                let len = self.memory_len(memory);
                self.builder.ins().icmp(IntCC::UnsignedGreaterThan, index, len)
            }
            IndexCheck::EndsWithinLength => self.out_of_bounds(index, memory, &ty, reach),
            IndexCheck::Never => self.builder.ins().iconst(types::I8, 1),
        };
        let faults = matches!(check, IndexCheck::AtMost(_) | IndexCheck::AtMostLength);
        // A clamped address is the null page's, which faults; so the clamp is the check where faults are ours to take.
        let clamp = self.tunables().spectre_mitigation;
        let clamp_is_check = clamp && self.tunables().signals_based_traps;
        if !clamp_is_check {
            self.trap_if(out_of_bounds, TrapCode::MemoryOutOfBounds);
        }
        let flags = if clamp_is_check || faults { self.may_fault(flags) } else { flags.with_notrap() };
        if !clamp {
            return self.displaced(base, index, offset, flags);
        }
        // What the instruction adds to null leads to the null page as well: so accesses that are near to each other share the clamp.
        let near = Some(offset % NULL_PAGE).filter(|near| near + size <= NULL_PAGE).unwrap_or(0);
        let sum = self.builder.ins().iadd(base, index);
        let sum = self.add_constant(sum, offset - near);
        let null = self.builder.ins().iconst(types::I64, 0);
        let base = self.builder.ins().select_spectre_guard(out_of_bounds, null, sum);
        Address { base, flags, offset: near as i32 }
    }

    /// What an integer is at most, as far as that is seen at the operators that it is made by, whatever the processor guesses.
    pub(super) fn greatest(&self, value: Value) -> u64 {
        self.greatest_of(value, INDEX_OPERATORS)
    }

    fn greatest_of(&self, value: Value, depth: u32) -> u64 {
        let dfg = &self.builder.func.dfg;
        let value = dfg.resolve_aliases(value);
        let any = u64::MAX >> (64 - dfg.value_type(value).bits().min(64));
        let Some(inst) = dfg.value_def(value).inst().filter(|_| depth > 0) else { return any };
        let args = dfg.inst_args(inst);
        let of = |at: usize| self.greatest_of(args[at], depth - 1);
        let by = |at: usize| self.constant(args[at]);
        let fits = |number: Option<u64>| number.filter(|&number| number <= any);
        let known = match dfg.insts[inst].opcode() {
            Opcode::Iconst => self.constant(value),
            Opcode::Uload8 => Some(0xff),
            Opcode::Uload16 => Some(0xffff),
            Opcode::Uload32 => Some(u32::MAX.into()),
            Opcode::Uextend => Some(of(0)),
            Opcode::Ireduce => fits(Some(of(0))),
            // All bits of the smaller one may be set.
            Opcode::Band => Some(of(0).min(of(1))),
            Opcode::Bor => Some(of(0) | of(1)).map(|bits| u64::MAX >> bits.leading_zeros().min(63)),
            Opcode::Iadd => fits(of(0).checked_add(of(1))),
            Opcode::Imul => fits(of(0).checked_mul(of(1))),
            Opcode::Ishl => by(1).filter(|&by| by < 32).and_then(|by| fits(of(0).checked_mul(1 << by))),
            Opcode::Ushr => by(1).filter(|&by| by < 32).map(|by| of(0) >> by),
            Opcode::Select => Some(of(1).max(of(2))),
            _ => None,
        };
        known.unwrap_or(any)
    }

    /// Flags of an access that faults where it is out of bounds.
    fn may_fault(&mut self, flags: MemFlagsData) -> MemFlagsData {
        self.faulting(flags, TrapCode::MemoryOutOfBounds)
    }

    /// `base + index + offset`, with as much as possible left to the instruction.
    fn displaced(&mut self, base: Value, index: Value, offset: u64, flags: MemFlagsData) -> Address {
        let sum = self.builder.ins().iadd(base, index);
        match i32::try_from(offset) {
            Ok(offset) => Address { base: sum, flags, offset },
            Err(_) => Address { base: self.add_constant(sum, offset), flags, offset: 0 },
        }
    }

    fn add_constant(&mut self, value: Value, constant: u64) -> Value {
        if constant == 0 {
            return value;
        }
        let constant = self.builder.ins().iconst(types::I64, constant as i64);
        self.builder.ins().iadd(value, constant)
    }

    /// Whether `index + reach` (a 64-bit index, and a constant that isn't zero) is behind the memory's end.
    fn out_of_bounds(&mut self, index: Value, memory: MemoryIndex, ty: &MemoryType, reach: u64) -> Value {
        let len = self.memory_len(memory);
        if reach == 1 {
            return self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, len);
        }
        let reach_value = self.builder.ins().iconst(types::I64, reach as i64);
        if reach <= ty.min_byte_len().unwrap_or(u64::MAX) {
            // The length is at least `reach`, so this can't wrap; and it can be computed outside of loops.
            let last = self.builder.ins().isub(len, reach_value);
            return self.builder.ins().icmp(IntCC::UnsignedGreaterThan, index, last);
        }
        let end = self.builder.ins().iadd(index, reach_value);
        let beyond = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, len);
        if !ty.is_64 && reach <= u64::MAX - u64::from(u32::MAX) {
            return beyond;
        }
        // `reach` saturates: then every sum but that with index zero wraps, and no memory has 2^64 - 1 bytes.
        let wrapped = self.builder.ins().icmp(IntCC::UnsignedLessThan, end, reach_value);
        self.builder.ins().bor(beyond, wrapped)
    }

    pub(super) fn memory_type(&self, memory: MemoryIndex) -> MemoryType {
        self.input.module.memories[memory.index()]
    }

    /// The memory's first byte.
    pub(super) fn memory_base(&mut self, memory: MemoryIndex, plan: &MemoryPlan) -> Value {
        let (definition, offset) = self.definition(self.input.layout.memory(memory));
        let flags = if plan.may_move { self.trusted(Region::Definitions) } else { constant_flags() };
        self.builder.ins().load(types::I64, flags, definition, offset + offset_of!(VmMemory, base) as i32)
    }

    /// The memory's length in bytes.
    pub(super) fn memory_len(&mut self, memory: MemoryIndex) -> Value {
        let ty = self.memory_type(memory);
        if let Some(min) = ty.min_byte_len()
            && min == ty.max_byte_len()
        {
            // It can't grow, and an imported one has the limits that its import declares at least.
            return self.builder.ins().iconst(types::I64, min as i64);
        }
        let (definition, offset) = self.definition(self.input.layout.memory(memory));
        let flags = self.trusted(Region::Definitions);
        self.builder.ins().load(types::I64, flags, definition, offset + offset_of!(VmMemory, byte_len) as i32)
    }

    /// Base and offset of something the context holds, or points to with a pointer that never changes.
    pub(super) fn definition(&mut self, slot: MemorySlot) -> (Value, i32) {
        match slot {
            MemorySlot::Own(offset) => (self.vmctx, offset as i32),
            MemorySlot::Pointer(offset) => (self.load_constant(self.vmctx, offset as i32), 0),
        }
    }

    /// Translates loads, stores and the bulk operators.
    pub(super) fn memory_operator(&mut self, op: &Operator<'_>) -> bool {
        use Operator as O;
        match op {
            O::I32Load { memarg } => self.load(memarg, Opcode::Load, types::I32, 4),
            O::I64Load { memarg } => self.load(memarg, Opcode::Load, types::I64, 8),
            O::F32Load { memarg } => self.load(memarg, Opcode::Load, types::F32, 4),
            O::F64Load { memarg } => self.load(memarg, Opcode::Load, types::F64, 8),
            O::I32Load8S { memarg } => self.load(memarg, Opcode::Sload8, types::I32, 1),
            O::I32Load8U { memarg } => self.load(memarg, Opcode::Uload8, types::I32, 1),
            O::I32Load16S { memarg } => self.load(memarg, Opcode::Sload16, types::I32, 2),
            O::I32Load16U { memarg } => self.load(memarg, Opcode::Uload16, types::I32, 2),
            O::I64Load8S { memarg } => self.load(memarg, Opcode::Sload8, types::I64, 1),
            O::I64Load8U { memarg } => self.load(memarg, Opcode::Uload8, types::I64, 1),
            O::I64Load16S { memarg } => self.load(memarg, Opcode::Sload16, types::I64, 2),
            O::I64Load16U { memarg } => self.load(memarg, Opcode::Uload16, types::I64, 2),
            O::I64Load32S { memarg } => self.load(memarg, Opcode::Sload32, types::I64, 4),
            O::I64Load32U { memarg } => self.load(memarg, Opcode::Uload32, types::I64, 4),
            O::I32Store { memarg } | O::F32Store { memarg } => self.store(memarg, Opcode::Store, 4),
            O::I64Store { memarg } | O::F64Store { memarg } => self.store(memarg, Opcode::Store, 8),
            O::I32Store8 { memarg } | O::I64Store8 { memarg } => self.store(memarg, Opcode::Istore8, 1),
            O::I32Store16 { memarg } | O::I64Store16 { memarg } => self.store(memarg, Opcode::Istore16, 2),
            O::I64Store32 { memarg } => self.store(memarg, Opcode::Istore32, 4),
            O::MemorySize { mem } => self.memory_size(MemoryIndex(*mem)),
            O::MemoryGrow { mem } => self.memory_grow(MemoryIndex(*mem)),
            O::MemoryFill { mem } => self.memory_fill(MemoryIndex(*mem)),
            O::MemoryCopy { dst_mem, src_mem } => self.memory_copy(MemoryIndex(*dst_mem), MemoryIndex(*src_mem)),
            O::MemoryInit { data_index, mem } => self.memory_init(*data_index, MemoryIndex(*mem)),
            O::DataDrop { data_index } => {
                let segment = self.builder.ins().iconst(types::I32, i64::from(*data_index));
                self.call_builtin(Builtin::DataDrop, &[self.vmctx, segment]);
            }
            _ => return false,
        }
        true
    }

    fn load(&mut self, memarg: &MemArg, opcode: Opcode, ty: Type, size: u32) {
        let Address { base, flags, offset } = self.address(memarg, size);
        let ins = self.builder.ins();
        let value = match opcode {
            Opcode::Sload8 => ins.sload8(ty, flags, base, offset),
            Opcode::Uload8 => ins.uload8(ty, flags, base, offset),
            Opcode::Sload16 => ins.sload16(ty, flags, base, offset),
            Opcode::Uload16 => ins.uload16(ty, flags, base, offset),
            Opcode::Sload32 => ins.sload32(flags, base, offset),
            Opcode::Uload32 => ins.uload32(flags, base, offset),
            _ => ins.load(ty, flags, base, offset),
        };
        self.push(value);
    }

    fn store(&mut self, memarg: &MemArg, opcode: Opcode, size: u32) {
        let value = self.pop();
        let Address { base, flags, offset } = self.address(memarg, size);
        let ins = self.builder.ins();
        match opcode {
            Opcode::Istore8 => ins.istore8(flags, value, base, offset),
            Opcode::Istore16 => ins.istore16(flags, value, base, offset),
            Opcode::Istore32 => ins.istore32(flags, value, base, offset),
            _ => ins.store(flags, value, base, offset),
        };
    }

    fn memory_size(&mut self, memory: MemoryIndex) {
        let ty = self.memory_type(memory);
        let bytes = self.memory_len(memory);
        let log2 = self.builder.ins().iconst(types::I64, i64::from(ty.page_size_log2));
        let pages = self.builder.ins().ushr(bytes, log2);
        let pages = self.narrow(pages, ty.is_64);
        self.push(pages);
    }

    /// What a builtin answers in 64 bits, in the width of the memory or table.
    pub(super) fn narrow(&mut self, value: Value, is_64: bool) -> Value {
        if is_64 { value } else { self.builder.ins().ireduce(types::I32, value) }
    }

    /// An index, as builtins want it.
    pub(super) fn number(&mut self, index: u32) -> Value {
        self.builder.ins().iconst(types::I32, i64::from(index))
    }

    fn memory_grow(&mut self, memory: MemoryIndex) {
        let is_64 = self.memory_type(memory).is_64;
        let delta = self.pop();
        let delta = self.widen(delta, is_64);
        let number = self.number(memory.0);
        let before = self.call_builtin(Builtin::MemoryGrow, &[self.vmctx, number, delta]);
        let before = self.narrow(before.expect("it answers"), is_64);
        self.push(before);
    }

    fn memory_fill(&mut self, memory: MemoryIndex) {
        let is_64 = self.memory_type(memory).is_64;
        let (to, byte, len) = self.pop3();
        let short = self.short_len(len);
        let target = short.map(|short| self.range(to, memory, short));
        let (to, len) = (self.widen(to, is_64), self.widen(len, is_64));
        let number = self.number(memory.0);
        let builtin = |this: &mut Self| {
            this.call_builtin(Builtin::MemoryFill, &[this.vmctx, number, to, byte, len]);
        };
        let Some((short, target)) = short.zip(target) else { return builtin(self) };
        self.unless(target.beyond, builtin, |this| {
            let to = this.address_in(&target);
            for (at, ty) in chunks(short) {
                let value = this.repeat_byte(byte, ty);
                this.builder.ins().store(to.flags, value, to.base, to.offset + at);
            }
        });
    }

    fn memory_copy(&mut self, to_memory: MemoryIndex, from_memory: MemoryIndex) {
        let (to_64, from_64) = (self.memory_type(to_memory).is_64, self.memory_type(from_memory).is_64);
        let (to, from, len) = self.pop3();
        let short = self.short_len(len);
        let ranges = short.map(|short| (self.range(to, to_memory, short), self.range(from, from_memory, short)));
        let (to, from) = (self.widen(to, to_64), self.widen(from, from_64));
        // The length has the narrower of the two widths.
        let len = self.widen(len, to_64 && from_64);
        let (to_number, from_number) = (self.number(to_memory.0), self.number(from_memory.0));
        let builtin = |this: &mut Self| {
            this.call_builtin(Builtin::MemoryCopy, &[this.vmctx, to_number, from_number, to, from, len]);
        };
        let Some((short, (target, source))) = short.zip(ranges) else { return builtin(self) };
        let beyond = match (target.beyond, source.beyond) {
            (Some(target), Some(source)) => Some(self.builder.ins().bor(target, source)),
            (one, other) => one.or(other),
        };
        self.unless(beyond, builtin, |this| {
            let (to, from) = (this.address_in(&target), this.address_in(&source));
            // All is read before anything is written: the ranges may overlap.
            let read: Vec<_> = chunks(short)
                .map(|(at, ty)| (at, this.builder.ins().load(ty, from.flags, from.base, from.offset + at)))
                .collect();
            for (at, value) in read {
                this.builder.ins().store(to.flags, value, to.base, to.offset + at);
            }
        });
    }

    /// A constant length that is short enough for loads and stores.
    fn short_len(&self, len: Value) -> Option<u64> {
        self.constant(len).filter(|len| (1..=INLINE_BULK_MAX).contains(len))
    }

    /// A range of a memory that a bulk operator is about to access.
    fn range(&mut self, index: Value, memory: MemoryIndex, len: u64) -> Range {
        let ty = self.memory_type(memory);
        let end = self.constant(index).and_then(|index| index.checked_add(len));
        let index = self.widen(index, ty.is_64);
        // A constant range within the initial length always stays accessible: memories only grow.
        let in_bounds = end.is_some_and(|end| end <= ty.min_byte_len().unwrap_or(u64::MAX));
        let beyond = (!in_bounds).then(|| self.out_of_bounds(index, memory, &ty, len));
        Range { memory, index, beyond }
    }

    /// Where a range is, behind the branch that was taken where it isn't in bounds.
    fn address_in(&mut self, range: &Range) -> Address {
        let ty = self.memory_type(range.memory);
        let plan = MemoryPlan::new(&ty, self.tunables());
        let guarded = plan.index_check(&ty, INLINE_BULK_MAX) == IndexCheck::Nothing;
        let region = self.region(Region::Heap);
        let flags =
            MemFlagsData::new().with_notrap().with_endianness(Endianness::Little).with_alias_region(Some(region));
        let base = self.memory_base(range.memory, &plan);
        let sum = self.builder.ins().iadd(base, range.index);
        // Behind a mispredicted branch, the null page is what is accessed; where there are guards, nobody else's memory is near.
        let base = match range.beyond {
            Some(beyond) if self.tunables().spectre_mitigation && !guarded => {
                let null = self.builder.ins().iconst(types::I64, 0);
                self.builder.ins().select_spectre_guard(beyond, null, sum)
            }
            _ => sum,
        };
        Address { base, flags, offset: 0 }
    }

    /// Does something inline, but has a builtin do it where a condition holds.
    ///
    /// So it is the runtime that stops the guest where a range isn't in bounds: it knows the first byte outside, and nothing has been
    /// written. It looks again, and does the work if another thread has made the memory large enough meanwhile.
    fn unless(&mut self, condition: Option<Value>, builtin: impl FnOnce(&mut Self), inline: impl FnOnce(&mut Self)) {
        let Some(condition) = condition else { return inline(self) };
        let (cold, next) = self.branch_cold(condition);
        let done = self.builder.create_block();
        self.builder.switch_to_block(cold);
        let owed = self.metering.owed;
        builtin(self);
        self.builder.ins().jump(done, &[]);
        self.builder.switch_to_block(next);
        self.metering.owed = owed;
        inline(self);
        self.settle_metering();
        self.builder.ins().jump(done, &[]);
        self.builder.seal_block(done);
        self.builder.switch_to_block(done);
        self.metering.owed = None;
    }

    fn memory_init(&mut self, segment: u32, memory: MemoryIndex) {
        let (to, from, len) = self.pop3();
        let to = self.widen(to, self.memory_type(memory).is_64);
        let (from, len) = (self.widen(from, false), self.widen(len, false));
        let (memory, segment) = (self.number(memory.0), self.number(segment));
        self.call_builtin(Builtin::MemoryInit, &[self.vmctx, memory, segment, to, from, len]);
    }

    /// A value of this type that consists of one byte, again and again.
    fn repeat_byte(&mut self, byte: Value, ty: Type) -> Value {
        if ty == types::I8 || ty == types::I8X16 {
            let byte = self.builder.ins().ireduce(types::I8, byte);
            return if ty == types::I8 { byte } else { self.builder.ins().splat(ty, byte) };
        }
        let byte = self.builder.ins().ireduce(types::I8, byte);
        let byte = self.builder.ins().uextend(ty, byte);
        let ones = self.builder.ins().iconst(ty, (0x0101_0101_0101_0101_u64 & (u64::MAX >> (64 - ty.bits()))) as i64);
        self.builder.ins().imul(byte, ones)
    }
}

/// The memory that an access names.
pub(super) fn memory_index(memarg: &MemArg) -> MemoryIndex {
    match memarg.target {
        MemArgTarget::Memory(index) => MemoryIndex(index),
        MemArgTarget::Array(_) => unreachable!("the validator refuses the proposal that this belongs to"),
    }
}

/// Loads or stores that make up `len` bytes, not zero: offset and type, overlapping where that saves one.
fn chunks(len: u64) -> impl Iterator<Item = (i32, Type)> {
    let ty = match len {
        16.. => types::I8X16,
        8.. => types::I64,
        4.. => types::I32,
        2.. => types::I16,
        _ => types::I8,
    };
    let step = u64::from(ty.bytes());
    let last = (!len.is_multiple_of(step)).then(|| len - step);
    (0..len / step).map(move |chunk| chunk * step).chain(last).map(move |at| (at as i32, ty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_byte_and_none_beyond() {
        for len in 1..=INLINE_BULK_MAX {
            let chunks: Vec<_> = chunks(len).map(|(at, ty)| (at as u64, u64::from(ty.bytes()))).collect();
            for byte in 0..len {
                assert!(chunks.iter().any(|&(at, size)| (at..at + size).contains(&byte)), "byte {byte} of {len}");
            }
            assert!(chunks.iter().all(|&(at, size)| at + size <= len));
        }
    }
}
