//! Structs, arrays, 31-bit integers, and casts (the GC proposal).
//!
//! A reference is a place in the store's heap, 32 bits wide; zero is null, and an odd number a 31-bit integer. [`allocation`] makes
//! objects, [`fields`] reads and writes structs, [`arrays`] arrays, [`exnref`] exceptions, [`casts`] asks what a reference leads to.
//! [`scalar_replacement`] sees to it that structs which never leave the function aren't made at all.
//!
//! Addresses are the heap's base and 32 bits, whatever is added to the reference, so a reference gone wrong, or an index that the
//! processor has guessed to be right, reaches nothing but this store's heap. Behind null nothing is mapped: an access to a field faults.
//!
//! Invariant: no address is used behind a call that may collect; it is made anew from the reference, which a stack map has.

mod allocation;
mod arrays;
mod casts;
mod exnref;
mod fields;
mod scalar_replacement;

pub(super) use scalar_replacement::NewObject;

use super::translator::FuncTranslator;
use crate::CompileError;
use crate::optimizing::flags::{Region, constant_flags};
use ampoule_core::index::TypeIndex;
use ampoule_core::trap::TrapCode;
use ampoule_core::types::{HeapType, RefType, StorageType, ValType};
use ampoule_core::vm::heap::{CARD_LOG2, CARDS, NULL_GUARD};
use ampoule_core::vm::{VmLayout, VmStoreContext};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Endianness, Inst, InstBuilder, MemFlagsData, Value, types};
use std::mem::offset_of;
use wasmparser::Operator;

impl FuncTranslator<'_> {
    /// Translates the operators of the GC proposal.
    pub(super) fn gc_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        match *op {
            Operator::RefI31 => {
                let value = self.pop();
                let one = self.builder.ins().iconst(types::I32, 1);
                let doubled = self.builder.ins().ishl(value, one);
                let reference = self.builder.ins().bor(doubled, one);
                // No collection looks at it, but it may be merged with what has to be looked at.
                self.know_type(reference, ValType::Ref(RefType::non_null(HeapType::I31)));
                self.push(reference);
            }
            Operator::I31GetS | Operator::I31GetU => {
                let value = self.pop();
                self.check_null(value);
                let one = self.builder.ins().iconst(types::I32, 1);
                let value = match op {
                    Operator::I31GetS => self.builder.ins().sshr(value, one),
                    _ => self.builder.ins().ushr(value, one),
                };
                self.push(value);
            }
            Operator::RefEq => {
                let (a, b) = self.pop2();
                let equal = self.builder.ins().icmp(IntCC::Equal, a, b);
                let equal = self.builder.ins().uextend(types::I32, equal);
                self.push(equal);
            }
            // A reference is the same whichever hierarchy it is seen in.
            Operator::AnyConvertExtern | Operator::ExternConvertAny => {}
            _ => return Ok(self.field_operator(op) || self.array_operator(op) || self.cast_operator(op)?),
        }
        Ok(true)
    }

    /// The word that objects of a type begin with.
    fn type_word(&mut self, ty: TypeIndex) -> Value {
        let words = self.load_constant(self.vmctx, VmLayout::TYPE_WORDS);
        self.builder.ins().load(types::I32, constant_flags(), words, ty.0 as i32 * 4)
    }

    /// Where references count from. It never changes while an instance lives whose module uses the heap; the store of another may have none
    /// yet.
    fn heap_base(&mut self) -> Value {
        self.heap_pointer(offset_of!(VmStoreContext, heap_base) as i32)
    }

    /// A pointer in the store's context that has to do with its heap.
    fn heap_pointer(&mut self, offset: i32) -> Value {
        let store = self.store_context();
        if self.input.module.uses_heap {
            return self.load_constant(store, offset);
        }
        let flags = self.trusted(Region::Store);
        self.builder.ins().load(types::I64, flags, store, offset)
    }

    /// The address of what is so far into the heap, 32 bits.
    fn heap_address(&mut self, offset: Value) -> Value {
        let base = self.heap_base();
        let offset = self.builder.ins().uextend(types::I64, offset);
        self.builder.ins().iadd(base, offset)
    }

    /// Flags of accesses to objects that can't fault. A vector's place may be aligned to eight bytes only.
    fn object_flags(&mut self) -> MemFlagsData {
        let region = self.region(Region::Objects);
        MemFlagsData::new().with_notrap().with_alias_region(Some(region)).with_endianness(Endianness::Little)
    }

    /// The address of an object, and the flags of an access to what is `offset` bytes into it. Null stops the guest: the access
    /// faults, or is not reached.
    fn object_access(&mut self, reference: Value, offset: u32) -> (Value, MemFlagsData) {
        let flags = self.object_flags();
        let faults = self.tunables().signals_based_traps && offset < NULL_GUARD - 16;
        let flags = if faults {
            self.faulting(flags, TrapCode::NullReference)
        } else {
            self.check_null(reference);
            flags
        };
        (self.heap_address(reference), flags)
    }

    /// Reads what is stored at an address as this type; a packed integer is extended with its sign where `signed`.
    fn load_storage(
        &mut self,
        ty: StorageType,
        signed: bool,
        address: Value,
        offset: u32,
        flags: MemFlagsData,
    ) -> Value {
        let offset = offset as i32;
        let ins = self.builder.ins();
        match (ty, signed) {
            (StorageType::I8, true) => ins.sload8(types::I32, flags, address, offset),
            (StorageType::I8, false) => ins.uload8(types::I32, flags, address, offset),
            (StorageType::I16, true) => ins.sload16(types::I32, flags, address, offset),
            (StorageType::I16, false) => ins.uload16(types::I32, flags, address, offset),
            (StorageType::Val(ty), _) => {
                let value = ins.load(crate::optimizing::signature::clif_type(ty), flags, address, offset);
                self.note_type(value, ty);
                value
            }
        }
    }

    /// Writes a value to where this type is stored. Gives the instruction that does.
    fn store_storage(
        &mut self,
        ty: StorageType,
        value: Value,
        address: Value,
        offset: u32,
        flags: MemFlagsData,
    ) -> Inst {
        let offset = offset as i32;
        let ins = self.builder.ins();
        match ty {
            StorageType::I8 => ins.istore8(flags, value, address, offset),
            StorageType::I16 => ins.istore16(flags, value, address, offset),
            StorageType::Val(_) => ins.store(flags, value, address, offset),
        }
    }

    /// Notes, before a reference is written to an object, where in the heap: an old object may lead to a young one from now on. Nothing where
    /// `value` is known to be no object.
    fn barrier(&mut self, ty: StorageType, value: Value, place: Value) {
        let StorageType::Val(ValType::Ref(RefType { heap, .. })) = ty else { return };
        let collected = !is_no_object(heap) && heap.top() != HeapType::Func;
        if !collected || self.constant(value) == Some(0) || self.known_types(value).any(|ty| is_no_object(ty.heap)) {
            return;
        }
        // With 64 bits, as the store before it has had the place extended already. To look first whether the card is marked is no faster.
        let place = self.builder.ins().uextend(types::I64, place);
        let shift = self.builder.ins().iconst(types::I64, i64::from(CARD_LOG2));
        let card = self.builder.ins().ushr(place, shift);
        let base = self.heap_base();
        let card = self.builder.ins().iadd(base, card);
        let flags = self.trusted(Region::Cards);
        let marked = self.builder.ins().iconst(types::I8, 1);
        self.builder.ins().store(flags, marked, card, CARDS);
    }
}

/// Whether no reference of a type leads to an object.
fn is_no_object(ty: HeapType) -> bool {
    matches!(ty, HeapType::I31 | HeapType::None | HeapType::NoExtern | HeapType::NoExn)
}
