//! What a reference leads to: `ref.test`, `ref.cast`, and branches by it.
//!
//! Most references lead to objects, so null and 31-bit integers are told apart first, in branches that are seldom taken, unless what is known
//! of the reference rules them out. The first word of an object is that of its type, and its size says what kind of object it is. An object is
//! of a final type if it has that type's word. It is of an open type of depth `n` if the `n`-th word of its own type's display is that type's.

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
use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, Value, types};
use smallvec::SmallVec;
use std::mem::offset_of;
use wasmparser::Operator;

/// What has to be asked to know whether a reference is of a type.
struct Question {
    /// Whether null is; `None` where the reference is known not to be null.
    null: Option<bool>,
    /// The same of 31-bit integers.
    i31: Option<bool>,
    /// Whether what the reference leads to is, whatever that is; `None` where it has to be looked at.
    object: Option<bool>,
}

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
        let question = self.question(reference, to);
        if question.object.is_some() {
            let is = self.is_of(reference, to);
            if self.constant(is) != Some(1) {
                let is_not = self.inverse(is);
                self.trap_if(is_not, TrapCode::CastFailure);
            }
        } else {
            let done = self.builder.create_block();
            // Behind null nothing is mapped.
            let is_func = to.heap.top() == HeapType::Func;
            let null_faults = question.null == Some(false) && !is_func && self.tunables().signals_based_traps;
            let null = question.null.filter(|_| !null_faults);
            for (decides, is) in self.quick_answers(reference, null, question.i31) {
                if is {
                    let look = self.builder.create_block();
                    self.builder.ins().brif(decides, done, &[], look, &[]);
                    self.builder.seal_block(look);
                    self.builder.switch_to_block(look);
                } else {
                    self.trap_if(decides, TrapCode::CastFailure);
                }
            }
            let flags = self.object_flags();
            let flags = if null_faults { self.faulting(flags, TrapCode::CastFailure) } else { flags };
            let is = self.look(reference, to.heap, flags);
            let is_not = self.inverse(is);
            self.trap_if(is_not, TrapCode::CastFailure);
            self.builder.ins().jump(done, &[]);
            self.builder.seal_block(done);
            self.builder.switch_to_block(done);
        }
        self.know_type_here(reference, to);
    }

    fn branch_on_cast(&mut self, depth: u32, to: RefType, if_it_is: bool) {
        let reference = *self.stack.last().expect("validation counted the operands");
        self.settle_metering();
        let question = self.question(reference, to);
        if question.object.is_some() {
            let is = self.is_of(reference, to);
            let condition = if if_it_is { is } else { self.inverse(is) };
            self.branch_out_if(condition, depth);
            return;
        }
        let done = self.builder.create_block();
        for (decides, is) in self.quick_answers(reference, question.null, question.i31) {
            if is == if_it_is {
                self.branch_out_if(decides, depth);
            } else {
                let look = self.builder.create_block();
                self.builder.ins().brif(decides, done, &[], look, &[]);
                self.builder.seal_block(look);
                self.builder.switch_to_block(look);
            }
        }
        let flags = self.object_flags();
        let is = self.look(reference, to.heap, flags);
        let condition = if if_it_is { is } else { self.inverse(is) };
        self.branch_out_if(condition, depth);
        self.builder.ins().jump(done, &[]);
        self.builder.seal_block(done);
        self.builder.switch_to_block(done);
        if !if_it_is {
            self.know_type_here(reference, to);
        }
    }

    /// What has to be asked to know whether a reference is of this type, of the same hierarchy.
    fn question(&self, reference: Value, to: RefType) -> Question {
        let (heap, module) = (to.heap, self.input.module);
        let is_known = |holds: &dyn Fn(RefType) -> bool| self.known_types(reference).any(holds);
        let may_be_i31 = heap.top() == HeapType::Any && !is_known(&|known| is_without_i31(known.heap));
        Question {
            null: (!is_known(&|known| !known.nullable)).then_some(to.nullable),
            i31: may_be_i31.then_some(matches!(heap, HeapType::Any | HeapType::Eq | HeapType::I31)),
            object: if heap == heap.top() || is_known(&|known| known.heap.matches(heap, module)) {
                Some(true)
            } else if heap == heap.bottom() || heap == HeapType::I31 || is_known(&|known| known.heap == HeapType::I31) {
                Some(false)
            } else {
                None
            },
        }
    }

    /// Conditions that decide whether a reference is of a type, with the answers. What none of them holds for leads to an object, or to a
    /// function.
    fn quick_answers(
        &mut self,
        reference: Value,
        null: Option<bool>,
        i31: Option<bool>,
    ) -> SmallVec<[(Value, bool); 2]> {
        let mut answers = SmallVec::new();
        if let Some(answer) = null {
            answers.push((self.is_null(reference), answer));
        }
        if let Some(answer) = i31 {
            answers.push((self.is_i31(reference), answer));
        }
        answers
    }

    /// Whether a reference is of this type, of the same hierarchy: an `i8`, one or zero.
    fn is_of(&mut self, reference: Value, to: RefType) -> Value {
        let Question { null, i31, object } = self.question(reference, to);
        if let Some(object) = object {
            let constant = |t: &mut Self, is: bool| t.builder.ins().iconst(types::I8, i64::from(is));
            let i31 = i31.filter(|&is| is != object);
            let null = null.filter(|&is| is != object);
            return match (null, i31) {
                (None, None) => constant(self, object),
                (Some(true), None) => self.is_null(reference),
                (Some(false), None) => self.is_non_null(reference),
                // An integer is not null.
                (null, Some(true)) => {
                    let is_i31 = self.is_i31(reference);
                    match null {
                        None => is_i31,
                        Some(_) => {
                            let null = self.is_null(reference);
                            self.builder.ins().bor(is_i31, null)
                        }
                    }
                }
                (_, Some(false)) => unreachable!(
                    "of types that all objects of a known type are of, integers are too, or are not of the known one"
                ),
            };
        }
        let done = self.builder.create_block();
        let answer = self.builder.append_block_param(done, types::I8);
        // One block for each answer without a look at the object.
        let mut decided: [Option<Block>; 2] = [None; 2];
        for (decides, is) in self.quick_answers(reference, null, i31) {
            let block = *decided[usize::from(is)].get_or_insert_with(|| {
                let block = self.builder.create_block();
                self.builder.set_cold_block(block);
                block
            });
            let look = self.builder.create_block();
            self.builder.ins().brif(decides, block, &[], look, &[]);
            self.builder.seal_block(look);
            self.builder.switch_to_block(look);
        }
        let flags = self.object_flags();
        let is = self.look(reference, to.heap, flags);
        self.builder.ins().jump(done, &[is.into()]);
        for (is, block) in decided.into_iter().enumerate() {
            let Some(block) = block else { continue };
            self.builder.seal_block(block);
            self.builder.switch_to_block(block);
            let is = self.builder.ins().iconst(types::I8, is as i64);
            self.builder.ins().jump(done, &[is.into()]);
        }
        self.builder.seal_block(done);
        self.builder.switch_to_block(done);
        answer
    }

    /// Whether a reference is a 31-bit integer.
    fn is_i31(&mut self, reference: Value) -> Value {
        let low = self.builder.ins().ireduce(types::I8, reference);
        self.builder.ins().band_imm_s(low, 1)
    }

    /// Whether what a reference leads to is of this type.
    fn look(&mut self, reference: Value, heap: HeapType, flags: MemFlagsData) -> Value {
        match heap {
            HeapType::ConcreteFunc(id) => self.func_is_of(reference, TypeIndex(id.0)),
            _ => self.object_is_of(reference, heap, flags),
        }
    }

    fn is_non_null(&mut self, reference: Value) -> Value {
        self.builder.ins().icmp_imm_s(IntCC::NotEqual, reference, 0)
    }

    /// Whether an object is of this type; `flags` are those of the access to it.
    fn object_is_of(&mut self, reference: Value, heap: HeapType, flags: MemFlagsData) -> Value {
        let address = self.heap_address(reference);
        // The first word never changes, but the object may move.
        let word = self.builder.ins().load(types::I32, flags, address, 0);
        let first = |kind: ObjectKind| i64::from(kind.first_word());
        match heap {
            HeapType::Eq => self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, word, first(ObjectKind::Host)),
            HeapType::Struct => self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, word, first(ObjectKind::Array)),
            HeapType::Array => {
                let array = self.builder.ins().iconst(types::I32, first(ObjectKind::Array));
                let from_array = self.builder.ins().isub(word, array);
                let arrays = first(ObjectKind::Exception) - first(ObjectKind::Array);
                self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, from_array, arrays)
            }
            HeapType::ConcreteStruct(id) | HeapType::ConcreteArray(id) => {
                let expected = self.type_word(TypeIndex(id.0));
                let found = if self.input.module.types[id.0 as usize].is_final {
                    word
                } else {
                    self.display_word(word, self.depth(id))
                };
                // In this order the comparison takes what it has found from memory.
                self.builder.ins().icmp(IntCC::Equal, expected, found)
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
        let offset = self.builder.ins().uextend(types::I64, word);
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

/// Whether no reference of a type is a 31-bit integer.
fn is_without_i31(ty: HeapType) -> bool {
    matches!(
        ty,
        HeapType::Struct | HeapType::ConcreteStruct(_) | HeapType::Array | HeapType::ConcreteArray(_) | HeapType::None
    )
}
