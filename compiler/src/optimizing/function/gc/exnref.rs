//! Exceptions as objects: a type word, the number of the tag, and the fields. They never change.

use super::super::translator::FuncTranslator;
use crate::optimizing::flags::constant_flags;
use ampoule_core::index::TagIndex;
use ampoule_core::object_layout::EXCEPTION_TAG;
use ampoule_core::types::StorageType;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use smallvec::SmallVec;

impl FuncTranslator<'_> {
    /// Makes an exception.
    pub(in super::super) fn new_exception(&mut self, tag: TagIndex, fields: &[Value]) -> Value {
        let module = self.input.module;
        let ty = module.tags[tag.index()];
        let layout = self.input.layout.exceptions(ty);
        let exception = self.allocate(ty, layout.size());
        let address = self.heap_address(exception);
        let flags = self.object_flags();
        let number = self.tag_number(tag);
        self.builder.ins().store(flags, number, address, EXCEPTION_TAG as i32);
        for ((&ty, &offset), &field) in module.tag_type(tag).params().iter().zip(layout.offsets()).zip(fields) {
            self.store_storage(StorageType::Val(ty), field, address, offset, flags);
        }
        exception
    }

    /// The number of an exception's tag.
    pub(in super::super) fn exception_tag(&mut self, exception: Value) -> Value {
        let address = self.heap_address(exception);
        let flags = self.object_flags();
        self.builder.ins().load(types::I32, flags, address, EXCEPTION_TAG as i32)
    }

    /// The fields of an exception with this tag.
    pub(in super::super) fn exception_fields(&mut self, exception: Value, tag: TagIndex) -> SmallVec<[Value; 4]> {
        let module = self.input.module;
        let layout = self.input.layout.exceptions(module.tags[tag.index()]);
        let address = self.heap_address(exception);
        let flags = self.object_flags();
        let fields = module.tag_type(tag).params().iter().zip(layout.offsets());
        fields.map(|(&ty, &offset)| self.load_storage(StorageType::Val(ty), false, address, offset, flags)).collect()
    }

    /// The number of a tag in its store.
    pub(in super::super) fn tag_number(&mut self, tag: TagIndex) -> Value {
        let at = self.input.layout.tag(tag) as i32;
        self.builder.ins().load(types::I32, constant_flags(), self.vmctx, at)
    }
}
