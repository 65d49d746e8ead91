//! What a reference leads to: `ref.test`, `ref.cast`, and branches by it.
//!
//! The first word of an object is that of its type, and its lowest two bits say what kind of object it is. An object is of a final type if
//! it has that type's word. It is of an open type of depth `n` if the `n`-th word of its own type's display is that type's.

use super::super::translator::FuncTranslator;
use crate::CompileError;
use crate::optimizing::flags::{Region, constant_flags};
use ampoule_core::builtins::Builtin;
use ampoule_core::decode::{heap_type, ref_type};
use ampoule_core::index::TypeIndex;
use ampoule_core::trap::TrapCode;
use ampoule_core::types::{HeapType, RefType, TypeId};
use ampoule_core::vm::types::ObjectKind;
use ampoule_core::vm::{VmFuncRef, VmLayout, VmStoreContext, VmType};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::mem::offset_of;
use wasmparser::Operator;

impl FuncTranslator<'_> {
    pub(super) fn cast_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        let module = self.input.module;
        let heap = |hty| heap_type(hty, module).map_err(CompileError::new);
        match *op {
            Operator::RefTestNonNull { hty } => self.ref_test(RefType::non_null(heap(hty)?)),
            Operator::RefTestNullable { hty } => self.ref_test(RefType::null_or(heap(hty)?)),
            Operator::RefCastNonNull { hty } => self.ref_cast(RefType::non_null(heap(hty)?)),
            Operator::RefCastNullable { hty } => self.ref_cast(RefType::null_or(heap(hty)?)),
            Operator::BrOnCast { relative_depth, to_ref_type, .. } => {
                let to = ref_type(to_ref_type, module).map_err(CompileError::new)?;
                self.branch_on_cast(relative_depth, to, true);
            }
            Operator::BrOnCastFail { relative_depth, to_ref_type, .. } => {
                let to = ref_type(to_ref_type, module).map_err(CompileError::new)?;
                self.branch_on_cast(relative_depth, to, false);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn ref_test(&mut self, to: RefType) {
        let reference = self.pop();
        let is = self.is_of(reference, to);
        let is = self.builder.ins().uextend(types::I32, is);
        self.push(is);
    }

    fn ref_cast(&mut self, to: RefType) {
        let reference = *self.stack.last().expect("validation counted the operands");
        let is = self.is_of(reference, to);
        let is_not = self.inverse(is);
        self.trap_if(is_not, TrapCode::CastFailure);
    }

    fn branch_on_cast(&mut self, depth: u32, to: RefType, if_it_is: bool) {
        let reference = *self.stack.last().expect("validation counted the operands");
        self.settle_metering();
        let is = self.is_of(reference, to);
        let condition = if if_it_is { is } else { self.inverse(is) };
        self.branch_out_if(condition, depth);
    }

    /// Whether a reference is of this type, of the same hierarchy: an `i8`, one or zero.
    fn is_of(&mut self, reference: Value, to: RefType) -> Value {
        let heap = to.heap;
        if heap == heap.top() {
            return if to.nullable { self.builder.ins().iconst(types::I8, 1) } else { self.is_non_null(reference) };
        }
        if heap == heap.bottom() {
            return if to.nullable { self.is_null(reference) } else { self.builder.ins().iconst(types::I8, 0) };
        }
        if heap == HeapType::I31 {
            let is_i31 = self.builder.ins().ireduce(types::I8, reference);
            let is_i31 = self.builder.ins().band_imm_s(is_i31, 1);
            if !to.nullable {
                return is_i31;
            }
            let null = self.is_null(reference);
            return self.builder.ins().bor(is_i31, null);
        }
        // What leads to an object is looked at in a block of its own.
        let (object, done) = (self.builder.create_block(), self.builder.create_block());
        let answer = self.builder.append_block_param(done, types::I8);
        let (is_object, otherwise) = match heap.top() {
            HeapType::Func => {
                let non_null = self.is_non_null(reference);
                (non_null, self.builder.ins().iconst(types::I8, i64::from(to.nullable)))
            }
            // What is a struct or an array is no integer.
            _ if self.known_type(reference).is_some_and(|ty| is_of_objects(ty.heap)) => {
                (self.is_non_null(reference), self.builder.ins().iconst(types::I8, i64::from(to.nullable)))
            }
            _ => {
                // Null is zero, and a 31-bit integer odd: with its bits rotated, and less one, either is large.
                let one = self.builder.ins().iconst(types::I32, 1);
                let rotated = self.builder.ins().rotr(reference, one);
                let less = self.builder.ins().isub(rotated, one);
                let is_object = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, less, 0x7fff_ffff);
                let otherwise = match (to.nullable, heap == HeapType::Eq) {
                    (nullable, false) => {
                        if nullable {
                            self.is_null(reference)
                        } else {
                            self.builder.ins().iconst(types::I8, 0)
                        }
                    }
                    (true, true) => self.builder.ins().iconst(types::I8, 1),
                    (false, true) => self.is_non_null(reference),
                };
                (is_object, otherwise)
            }
        };
        self.builder.ins().brif(is_object, object, &[], done, &[otherwise.into()]);
        self.builder.seal_block(object);
        self.builder.switch_to_block(object);
        let is = match heap {
            HeapType::ConcreteFunc(id) => self.func_is_of(reference, TypeIndex(id.0)),
            _ => self.object_is_of(reference, heap),
        };
        self.builder.ins().jump(done, &[is.into()]);
        self.builder.seal_block(done);
        self.builder.switch_to_block(done);
        answer
    }

    fn is_non_null(&mut self, reference: Value) -> Value {
        self.builder.ins().icmp_imm_s(IntCC::NotEqual, reference, 0)
    }

    /// Whether an object is of this type.
    fn object_is_of(&mut self, reference: Value, heap: HeapType) -> Value {
        let (address, flags) = (self.heap_address(reference), self.object_flags());
        // The first word never changes, but the object may move.
        let word = self.builder.ins().load(types::I32, flags, address, 0);
        let kind_is = |t: &mut Self, cc, kind: ObjectKind| {
            let found = t.builder.ins().band_imm_s(word, 3);
            t.builder.ins().icmp_imm_s(cc, found, kind as i64)
        };
        match heap {
            HeapType::Eq => kind_is(self, IntCC::NotEqual, ObjectKind::Host),
            HeapType::Struct => kind_is(self, IntCC::Equal, ObjectKind::Struct),
            HeapType::Array => kind_is(self, IntCC::Equal, ObjectKind::Array),
            HeapType::ConcreteStruct(id) | HeapType::ConcreteArray(id) => {
                let expected = self.type_word(TypeIndex(id.0));
                let found = if self.input.module.types[id.0 as usize].is_final {
                    word
                } else {
                    self.display_word(word, self.depth(id))
                };
                self.builder.ins().icmp(IntCC::Equal, found, expected)
            }
            other => unreachable!("{other} is looked at without an object"),
        }
    }

    /// How many super-types a type has.
    fn depth(&self, id: TypeId) -> u32 {
        let types = &self.input.module.types;
        let ancestors = std::iter::successors(types[id.0 as usize].supertype, |id| types[id.0 as usize].supertype);
        ancestors.count() as u32
    }

    /// The word of the super-type at this depth, of the type with this word; another where it has none.
    fn display_word(&mut self, word: Value, depth: u32) -> Value {
        let table = self.heap_pointer(offset_of!(VmStoreContext, types) as i32);
        let number = self.builder.ins().band_imm_s(word, i64::from(VmType::WORD_MASK as i32));
        let offset = self.builder.ins().uextend(types::I64, number);
        let shift = self.builder.ins().iconst(types::I64, i64::from(VmType::WORD_SHIFT));
        let offset = self.builder.ins().ishl(offset, shift);
        let record = self.builder.ins().iadd(table, offset);
        if (depth as usize) < VmType::DISPLAY {
            return self.builder.ins().load(types::I32, constant_flags(), record, depth as i32 * 4);
        }
        // Deeper displays are elsewhere, and not there for shallow types.
        let found = self.builder.ins().load(types::I32, constant_flags(), record, offset_of!(VmType, depth) as i32);
        let is_deep = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, found, i64::from(depth));
        let (deep, done) = (self.builder.create_block(), self.builder.create_block());
        let answer = self.builder.append_block_param(done, types::I32);
        let none = self.builder.ins().iconst(types::I32, 0);
        self.builder.ins().brif(is_deep, deep, &[], done, &[none.into()]);
        self.builder.seal_block(deep);
        self.builder.switch_to_block(deep);
        let flags = self.trusted(Region::Objects);
        let display = offset_of!(VmType, more_display) as i32;
        let display = self.builder.ins().load(types::I64, flags, record, display);
        let at_depth = self.builder.ins().load(types::I32, flags, display, depth as i32 * 4);
        self.builder.ins().jump(done, &[at_depth.into()]);
        self.builder.seal_block(done);
        self.builder.switch_to_block(done);
        answer
    }

    /// Whether a function is of this type.
    fn func_is_of(&mut self, reference: Value, ty: TypeIndex) -> Value {
        let flags = self.trusted(Region::FuncRefs);
        let found = self.builder.ins().load(types::I64, flags, reference, offset_of!(VmFuncRef, signature) as i32);
        let signatures = self.load_constant(self.vmctx, VmLayout::SIGNATURES);
        let expected = self.load_constant(signatures, ty.0 as i32 * 8);
        let same = self.builder.ins().icmp(IntCC::Equal, found, expected);
        if self.input.module.types[ty.index()].is_final {
            return same;
        }
        let (ask, done) = (self.builder.create_block(), self.builder.create_block());
        let answer = self.builder.append_block_param(done, types::I8);
        self.builder.ins().brif(same, done, &[same.into()], ask, &[]);
        self.builder.seal_block(ask);
        self.builder.switch_to_block(ask);
        let is_subtype = self.call_builtin_unmetered(Builtin::IsSubtype, &[found, expected]).expect("it answers");
        let is_subtype = self.builder.ins().ireduce(types::I8, is_subtype);
        self.builder.ins().jump(done, &[is_subtype.into()]);
        self.builder.seal_block(done);
        self.builder.switch_to_block(done);
        answer
    }
}

/// Whether all references of a type lead to objects, or are null.
fn is_of_objects(ty: HeapType) -> bool {
    matches!(ty, HeapType::Struct | HeapType::ConcreteStruct(_) | HeapType::Array | HeapType::ConcreteArray(_))
}
