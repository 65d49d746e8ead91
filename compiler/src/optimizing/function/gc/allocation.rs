//! Objects are made in the nursery, by moving a pointer; where that is full, by the runtime, which may collect first.
//!
//! No call may stand between an allocation and the last of the stores that give the object its first content: until then nobody may
//! look at it. So these stores need no barrier.

use super::super::translator::FuncTranslator;
use crate::optimizing::flags::Region;
use ampoule_core::builtins::Builtin;
use ampoule_core::index::TypeIndex;
use ampoule_core::object_layout::MOST_INLINE;
use ampoule_core::vm::VmStoreContext;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Inst, InstBuilder, Value, types};
use std::mem::offset_of;

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
        let store = self.store_context();
        let flags = self.trusted(Region::Store);
        let top_offset = offset_of!(VmStoreContext, heap_top) as i32;
        let limit_offset = offset_of!(VmStoreContext, heap_limit) as i32;
        let top = self.builder.ins().load(types::I32, flags, store, top_offset);
        let limit = self.builder.ins().load(types::I32, flags, store, limit_offset);
        // The limit is far from where the sum would wrap.
        let bytes = self.builder.ins().iconst(types::I32, i64::from(size));
        let next_top = self.builder.ins().iadd(top, bytes);
        let full = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, next_top, limit);
        let check = [top, limit, next_top, full].map(|value| self.builder.func.dfg.value_def(value).unwrap_inst());
        let asking = self.builder.current_block().expect("there is one");
        let (cold, fits) = self.branch_cold(full);
        let branch = self.builder.func.layout.last_inst(asking).expect("it ends in the branch");
        let made = self.builder.create_block();
        let reference = self.builder.append_block_param(made, types::I32);
        self.builder.declare_value_needs_stack_map(reference);

        self.builder.switch_to_block(cold);
        let slow = self.allocate_slowly(word, size);
        self.builder.ins().jump(made, &[slow.into()]);

        self.builder.switch_to_block(fits);
        self.builder.ins().store(flags, next_top, store, top_offset);
        let address = self.heap_address(top);
        let object = self.object_flags();
        self.builder.ins().store(object, word, address, 0);
        self.builder.ins().jump(made, &[top.into()]);

        self.builder.seal_block(made);
        self.builder.switch_to_block(made);
        let [top, limit, next_top, full] = check;
        (reference, Some([top, limit, next_top, full, branch]))
    }

    fn allocate_slowly(&mut self, word: Value, size: u32) -> Value {
        let size = self.builder.ins().iconst(types::I32, i64::from(size));
        self.write_metering();
        self.call_builtin_unmetered(Builtin::Allocate, &[self.vmctx, word, size]).expect("it answers")
    }
}
