//! Objects are made in the nursery, by moving a pointer; where that is full, by the runtime, which may collect first.
//!
//! No call may stand between an allocation and the last of the stores that give the object its first content: until then nobody may
//! look at it. So these stores need no barrier.
//!
//! Arrays whose length the code computes are made here, too, where they turn out to be short.

use super::super::translator::FuncTranslator;
use crate::optimizing::flags::Region;
use ampoule_core::builtins::Builtin;
use ampoule_core::index::TypeIndex;
use ampoule_core::object_layout::{ALIGN, ARRAY_ELEMENTS, ARRAY_LENGTH, MOST_INLINE};
use ampoule_core::vm::VmStoreContext;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, Inst, InstBuilder, Value, types};
use std::mem::offset_of;

/// Bytes of elements that an array has at most which is written here by a loop.
const LOOP_MAX: u32 = 256;

impl FuncTranslator<'_> {
    /// Makes an object of so many bytes, a multiple of eight, with its type's word in it and nothing else.
    pub(super) fn allocate(&mut self, ty: TypeIndex, size: u32) -> Value {
        self.allocate_checked(ty, size).0
    }

    /// The same. Where the object is made here, its reference is the only parameter of the block in which translation goes on; gives also the
    /// instructions that ask whether there is room, the last of them the branch.
    pub(super) fn allocate_checked(&mut self, ty: TypeIndex, size: u32) -> (Value, Option<[Inst; 5]>) {
        let word = self.type_word(ty);
        if size > MOST_INLINE {
            let reference = self.allocate_slowly(word, size);
            self.builder.declare_value_needs_stack_map(reference);
            return (reference, None);
        }
        let cold = self.builder.create_block();
        self.builder.set_cold_block(cold);
        let made = self.builder.create_block();
        let reference = self.builder.append_block_param(made, types::I32);
        self.builder.declare_value_needs_stack_map(reference);

        let bytes = self.builder.ins().iconst(types::I32, i64::from(size));
        let (top, check) = self.allocate_or(cold, bytes);
        let address = self.heap_address(top);
        let object = self.object_flags();
        self.builder.ins().store(object, word, address, 0);
        self.builder.ins().jump(made, &[top.into()]);

        self.builder.seal_block(cold);
        self.builder.switch_to_block(cold);
        let slow = self.allocate_slowly(word, size);
        self.builder.ins().jump(made, &[slow.into()]);

        self.builder.seal_block(made);
        self.builder.switch_to_block(made);
        (reference, Some(check))
    }

    /// Takes so many bytes of the nursery, a multiple of eight and no more than [`MOST_INLINE`]; leads to `full` where there is no room. Gives also
    /// the instructions that ask whether there is, the last of them the branch.
    fn allocate_or(&mut self, full: Block, bytes: Value) -> (Value, [Inst; 5]) {
        let store = self.store_context();
        let flags = self.trusted(Region::Store);
        let top_offset = offset_of!(VmStoreContext, heap_top) as i32;
        let limit_offset = offset_of!(VmStoreContext, heap_limit) as i32;
        let top = self.builder.ins().load(types::I32, flags, store, top_offset);
        let limit = self.builder.ins().load(types::I32, flags, store, limit_offset);
        // The limit is far from where the sum would wrap.
        let next_top = self.builder.ins().iadd(top, bytes);
        let is_full = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, next_top, limit);
        let fits = self.builder.create_block();
        let branch = self.builder.ins().brif(is_full, full, &[], fits, &[]);
        let [top_at, limit, next_top_at, is_full] =
            [top, limit, next_top, is_full].map(|value| self.builder.func.dfg.value_def(value).unwrap_inst());
        self.builder.seal_block(fits);
        self.builder.switch_to_block(fits);
        self.builder.ins().store(flags, next_top, store, top_offset);
        (top, [top_at, limit, next_top_at, is_full, branch])
    }

    /// Makes an array of `len` elements of one value: here where it has at most [`LOOP_MAX`] bytes of elements, otherwise by `slow`, which
    /// makes the same. `pattern` is what to write eight bytes at a time, behind the last element too.
    pub(super) fn allocate_array(
        &mut self,
        ty: TypeIndex,
        size_log2: u32,
        len: Value,
        pattern: Value,
        slow: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        let cold = self.builder.create_block();
        self.builder.set_cold_block(cold);
        let made = self.builder.create_block();
        let reference = self.builder.append_block_param(made, types::I32);
        self.builder.declare_value_needs_stack_map(reference);

        let is_long = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, len, i64::from(LOOP_MAX >> size_log2));
        let short = self.builder.create_block();
        self.builder.ins().brif(is_long, cold, &[], short, &[]);
        self.builder.seal_block(short);
        self.builder.switch_to_block(short);
        let shift = self.builder.ins().iconst(types::I32, i64::from(size_log2));
        let elements = self.builder.ins().ishl(len, shift);
        let rounded = self.builder.ins().iadd_imm_s(elements, i64::from(ARRAY_ELEMENTS + ALIGN - 1));
        let bytes = self.builder.ins().band_imm_s(rounded, -i64::from(ALIGN));
        let (top, _) = self.allocate_or(cold, bytes);
        let word = self.type_word(ty);
        let (address, flags) = (self.heap_address(top), self.object_flags());
        self.builder.ins().store(flags, word, address, 0);
        self.builder.ins().store(flags, len, address, ARRAY_LENGTH as i32);

        // From the last eight bytes to the first.
        let (write, next) = (self.builder.create_block(), self.builder.create_block());
        let left = self.builder.append_block_param(write, types::I64);
        let bytes = self.builder.ins().uextend(types::I64, bytes);
        let all = self.builder.ins().iadd_imm_s(bytes, -i64::from(ARRAY_ELEMENTS));
        self.builder.ins().brif(all, write, &[all.into()], made, &[top.into()]);
        self.builder.switch_to_block(write);
        let place = self.builder.ins().iadd(address, left);
        self.builder.ins().store(flags, pattern, place, 0);
        let left = self.builder.ins().iadd_imm_s(left, -8);
        self.builder.ins().brif(left, write, &[left.into()], next, &[]);
        self.builder.seal_block(write);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
        self.builder.ins().jump(made, &[top.into()]);

        self.builder.seal_block(cold);
        self.builder.switch_to_block(cold);
        self.write_metering_aside();
        let slow = slow(self);
        self.builder.ins().jump(made, &[slow.into()]);

        self.builder.seal_block(made);
        self.builder.switch_to_block(made);
        reference
    }

    fn allocate_slowly(&mut self, word: Value, size: u32) -> Value {
        let size = self.builder.ins().iconst(types::I32, i64::from(size));
        self.write_metering_aside();
        self.call_builtin_unmetered(Builtin::Allocate, &[self.vmctx, word, size]).expect("it answers")
    }
}
