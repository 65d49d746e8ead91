//! The values of constant expressions (core spec, section 4.9.4).

use crate::engine::type_registry::Type;
use crate::error::Error;
use crate::gc::array::{self, Element};
use crate::gc::i31::I31;
use crate::store::Store;
use crate::store::records::instance::InstanceData;
use ampoule_core::const_expr::{ConstExpr, ConstOp};
use ampoule_core::index::TypeIndex;
use ampoule_core::object_layout::{ARRAY_ELEMENTS, Storage};
use ampoule_core::vm::VmValRaw;

/// The value of a constant expression, as guest code holds it. A reference in it is good until the next collection.
///
/// # Errors
/// Where there is no room for an object.
///
/// # Safety
/// `instance` is a live record of the store, whose imported globals are linked, and those before the one being initialized are.
pub(crate) unsafe fn evaluate(
    store: &mut Store,
    instance: *const InstanceData,
    expr: &ConstExpr,
) -> Result<VmValRaw, Error> {
    // SAFETY: by the caller.
    let instance = unsafe { &*instance };
    // Most expressions are one operation, whose value is the result.
    let mut stack = Operands(Vec::new());
    for (position, op) in expr.ops.iter().enumerate() {
        // SAFETY: validation saw to the types; cells by the caller.
        let value = unsafe { step(store, instance, &mut stack, *op)? };
        if position == expr.ops.len() - 1 {
            return Ok(value.raw);
        }
        stack.0.push(value);
    }
    unreachable!("the last operation gives the result")
}

/// A value, and whether it is a reference into the heap.
#[derive(Clone, Copy)]
struct Operand {
    raw: VmValRaw,
    is_collected: bool,
}

impl Operand {
    fn anyref(&self) -> u32 {
        // SAFETY: every bit pattern is a number, and values are made whole.
        unsafe { self.raw.anyref }
    }
}

struct Operands(Vec<Operand>);

impl Operands {
    fn pop(&mut self) -> VmValRaw {
        self.0.pop().expect("validation balanced the stack").raw
    }

    /// Takes the uppermost operands off.
    fn take(&mut self, count: usize) -> Vec<VmValRaw> {
        self.0.split_off(self.0.len() - count).into_iter().map(|operand| operand.raw).collect()
    }

    /// Runs what may collect, with the references among the operands where they are found.
    fn keep<R>(&mut self, store: &mut Store, act: impl FnOnce(&mut Store) -> R) -> R {
        let tag = self.0.as_ptr().cast();
        for operand in self.0.iter_mut().filter(|operand| operand.is_collected && operand.anyref() != 0) {
            // SAFETY: the operands stay where they are until they are released below.
            unsafe { store.roots.push_in_flight(tag, (&raw mut operand.raw).cast()) };
        }
        let result = act(store);
        store.roots.release_in_flight(tag);
        result
    }
}

/// # Safety
/// As for [`evaluate`]; the operands are of the types that the operation takes.
unsafe fn step(
    store: &mut Store,
    instance: &InstanceData,
    stack: &mut Operands,
    op: ConstOp,
) -> Result<Operand, Error> {
    let mut raw = VmValRaw { v128: [0; 16] };
    let mut is_collected = false;
    let declared = |ty: TypeIndex| instance.module().declared(ty).clone();
    // SAFETY: by the caller.
    unsafe {
        match op {
            ConstOp::I32(constant) => raw.i32 = constant,
            ConstOp::I64(constant) => raw.i64 = constant,
            ConstOp::F32(bits) => raw.f32 = bits,
            ConstOp::F64(bits) => raw.f64 = bits,
            ConstOp::V128(constant) => raw.v128 = constant.to_le_bytes(),
            ConstOp::GlobalGet(index) => {
                raw = instance.global(index).cast::<VmValRaw>().read();
                is_collected = instance.module().description().globals[index.index()].content.is_collected();
            }
            ConstOp::RefNull(_) => {}
            ConstOp::RefFunc(index) => raw.funcref = instance.func_ref(index).as_ptr().cast(),
            ConstOp::I32Add | ConstOp::I32Sub | ConstOp::I32Mul => {
                let (right, left) = (stack.pop().i32, stack.pop().i32);
                raw.i32 = match op {
                    ConstOp::I32Add => left.wrapping_add(right),
                    ConstOp::I32Sub => left.wrapping_sub(right),
                    _ => left.wrapping_mul(right),
                };
            }
            ConstOp::I64Add | ConstOp::I64Sub | ConstOp::I64Mul => {
                let (right, left) = (stack.pop().i64, stack.pop().i64);
                raw.i64 = match op {
                    ConstOp::I64Add => left.wrapping_add(right),
                    ConstOp::I64Sub => left.wrapping_sub(right),
                    _ => left.wrapping_mul(right),
                };
            }
            ConstOp::RefI31 => raw.anyref = I31::wrapping(stack.pop().i32 as u32).to_raw(),
            ConstOp::Convert => return Ok(stack.0.pop().expect("validation balanced the stack")),
            ConstOp::StructNew(_)
            | ConstOp::StructNewDefault(_)
            | ConstOp::ArrayNew(_)
            | ConstOp::ArrayNewDefault(_)
            | ConstOp::ArrayNewFixed(..) => {
                (raw.anyref, is_collected) = (make(store, stack, op, declared)?, true);
            }
        }
    }
    Ok(Operand { raw, is_collected })
}

/// Makes an object.
///
/// # Safety
/// The operands are of the types that the operation takes.
unsafe fn make(
    store: &mut Store,
    stack: &mut Operands,
    op: ConstOp,
    declared: impl Fn(TypeIndex) -> Type,
) -> Result<u32, Error> {
    let zero = Element::Bytes([0; 16]);
    match op {
        ConstOp::StructNew(ty) | ConstOp::StructNewDefault(ty) => {
            let ty = declared(ty);
            let fields = &ty.ty().as_struct().expect("validation saw to the type's kind").fields;
            let layout = ty.layout()?.expect("structs have a layout");
            let word = ty.word()?;
            let object = stack.keep(store, |store| store.allocate_object(word, u64::from(layout.size())))?;
            let values = match op {
                ConstOp::StructNew(_) => stack.take(fields.len()),
                _ => vec![VmValRaw { v128: [0; 16] }; fields.len()],
            };
            for ((field, &offset), value) in fields.iter().zip(layout.offsets()).zip(values) {
                // SAFETY: by the caller; the operands are whole, whatever member was written last.
                let bytes = unsafe { value.v128 };
                let size = Storage::from(field.storage).size() as usize;
                // The object is new, so that the collector looks at it, wherever it is.
                store.heap_mut().set_field(object, offset, &bytes[..size]);
            }
            Ok(object)
        }
        ConstOp::ArrayNewFixed(ty, count) => {
            let ty = declared(ty);
            let array = stack.keep(store, |store| array::new(store, &ty, count, &zero))?;
            let storage = Storage::from(array::element_storage(&ty));
            for (position, value) in stack.take(count as usize).into_iter().enumerate() {
                // SAFETY: as above.
                let bytes = unsafe { value.v128 };
                let offset = ARRAY_ELEMENTS + ((position as u32) << storage.size_log2());
                store.heap_mut().set_field(array, offset, &bytes[..storage.size() as usize]);
            }
            Ok(array)
        }
        ConstOp::ArrayNew(ty) | ConstOp::ArrayNewDefault(ty) => {
            let ty = declared(ty);
            // SAFETY: by the caller.
            let len = unsafe { stack.pop().i32 } as u32;
            if let ConstOp::ArrayNewDefault(_) = op {
                return stack.keep(store, |store| array::new(store, &ty, len, &zero));
            }
            // The value stays among the operands, where a collection finds it, until the array is there.
            let array = stack.keep(store, |store| array::allocate(store, &ty, len))?;
            // SAFETY: as above.
            let value = Element::Bytes(unsafe { stack.pop().v128 });
            array::initialize(store, array, &ty, len, &value)?;
            Ok(array)
        }
        _ => unreachable!("no object is made by it"),
    }
}
