//! Calls between C's memory and a guest's, without values in between: a [`Plan`] knows how each parameter and the result of a function lie in both.
//!
//! C has the types of the specification like this:
//!
//! | type | in C |
//! | --- | --- |
//! | numbers, `bool`, `char` | `int8_t` to `uint64_t`, `float`, `double`, `bool`, `uint32_t` |
//! | `string`, `list<t>` | `struct { T *ptr; size_t len; }` |
//! | record, tuple | a struct of the fields |
//! | variant, enum | `struct { uint8_t tag; union { … } val; }`, with 16 or 32 bits where there are more than 256 cases or 65,536; without the union where no case has a payload |
//! | `option<t>`, `result<t, e>` | the same: the tag is 1 of `some` and of `err` |
//! | flags | `uint8_t`, `uint16_t` or `uint32_t` |
//!
//! Other types have no plan: whoever has handles in the types of a function calls it with values.

mod arena;
mod lift;
mod lower;
mod shape;

use crate::canon::check_stack;
use crate::canon::lift::{FlatIn, Lift};
use crate::canon::lower::{FlatOut, Lower};
use crate::canon::options::Options;
use crate::concurrency::call::{self, Lifted};
use crate::func::{Func, NO_VALUES, run_lifted};
use crate::records::FuncData;
use crate::state::{ComponentState, cannot_enter};
use crate::types::FuncType;
use ampoule::{Error, Store, VmValRaw};
use arena::Arena;
use shape::{Node, Shape};
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// How a function is called from C's memory, looked up once.
pub struct Plan {
    func: Func,
    ty: Arc<FuncType>,
    /// As a record.
    params: Shape,
    result: Option<Shape>,
    /// What strings and lists of the last result are in. Borrowed while a result is lifted, when no guest runs.
    arena: RefCell<Arena>,
}

/// Size and alignment of a value in C's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// What `sizeof` says.
    pub size: usize,
    /// What `_Alignof` says.
    pub align: usize,
}

impl Plan {
    /// A plan for a function.
    ///
    /// # Errors
    /// Where the function is another store's, or there is a type of which C has nothing.
    pub fn new(store: &mut Store, func: &Func) -> Result<Plan, Error> {
        let data: *const FuncData = func.data(store)?;
        // SAFETY: functions stay where they are as long as their store.
        let FuncData::Lifted { ty, .. } = (unsafe { &*data }) else {
            return Err(Error::message("a function of the host is called by components only"));
        };
        check_stack(ty.extent)?;
        let params = Shape::fields(ty.params().iter().map(|(_, ty)| ty))?;
        let result = ty.result().map(Shape::of).transpose()?;
        Ok(Plan { func: *func, ty: ty.counted(), params, result, arena: RefCell::default() })
    }

    /// The number of parameters.
    pub fn params(&self) -> usize {
        self.ty.params().len()
    }

    /// The size of a parameter; `None` past the last.
    pub fn param_size(&self, nth: usize) -> Option<Size> {
        let Node::Fields(fields) = &self.params.node else { unreachable!("parameters are fields") };
        fields.get(nth).map(|field| size_of_shape(&field.shape))
    }

    /// The size of the result; `None` where there is none.
    pub fn result_size(&self) -> Option<Size> {
        self.result.as_ref().map(size_of_shape)
    }

    /// Calls the function. Strings and lists in the result are the plan's, until its next call or its end.
    ///
    /// # Errors
    /// As [`Func::call`]; where the result can't be lifted, parts of it may have been written.
    ///
    /// # Safety
    /// `args` has the address of a value of each parameter's type, which leads to what it says; nobody changes any of that before this returns.
    /// There is memory for the result at `result`, which may be null where there is none. Both are aligned.
    pub unsafe fn call(&self, store: &mut Store, args: &[*const u8], result: *mut u8) -> Result<(), Error> {
        let Plan { func, ty, params, result: shape, arena } = self;
        let data: *const FuncData = func.data(store)?;
        // SAFETY: functions stay where they are as long as their store.
        let FuncData::Lifted { core, options, .. } = (unsafe { &*data }) else {
            unreachable!("it was one of a guest's")
        };
        if args.len() != ty.params().len() {
            return Err(Error::message(format!("expected {} argument(s), got {}", ty.params().len(), args.len())));
        }
        let state = ComponentState::of(store);
        if state.is_concurrent {
            let lifted = Lifted { func: func.index, core, ty, options };
            let mut lower = |store: &mut Store, options: &Options, values: &mut [VmValRaw]| {
                // SAFETY: by the caller.
                unsafe { lower_args(store, options, (ty, params), args, values) }
            };
            let mut lift = |store: &mut Store, options: &Options, is_flat: bool, values: &[VmValRaw]| {
                // SAFETY: by the caller.
                unsafe { lift_result(store, options, (ty, shape.as_ref()), is_flat, values, result, arena) }
            };
            return call::from_memory(store, lifted, &mut lower, &mut lift);
        }
        if state.poisoned {
            return Err(cannot_enter());
        }
        let mut values = NO_VALUES;
        // SAFETY: by the caller.
        unsafe { lower_args(store, options, (ty, params), args, &mut values) }?;
        let is_flat = ty.flat_result.is_some();
        run_lifted(store, core, options, &mut values, |store, values| {
            // SAFETY: by the caller.
            unsafe { lift_result(store, options, (ty, shape.as_ref()), is_flat, values, result, arena) }
        })
    }
}

fn size_of_shape(shape: &Shape) -> Size {
    Size { size: shape.c.size as usize, align: shape.c.align as usize }
}

/// # Safety
/// As [`Plan::call`].
unsafe fn lower_args(
    store: &mut Store,
    options: &Options,
    (ty, params): (&FuncType, &Shape),
    args: &[*const u8],
    values: &mut [VmValRaw],
) -> Result<(), Error> {
    check_stack(ty.extent)?;
    let Node::Fields(fields) = &params.node else { unreachable!("parameters are fields") };
    let mut lower = Lower::new(store, options)?;
    let mut out = FlatOut::new(values);
    let fields = fields.iter().zip(args);
    // SAFETY: by the caller.
    unsafe {
        if ty.flat_params.is_some() {
            for (field, &arg) in fields {
                lower::flat(&mut lower, &field.shape, arg, &mut out)?;
            }
            return Ok(());
        }
        let at = lower.allocate(params.guest.size as usize, params.guest.align)?;
        for (field, &arg) in fields {
            lower::store(&mut lower, &field.shape, arg, at + field.guest_offset as usize)?;
        }
        out.push(at as u64);
    }
    Ok(())
}

/// # Safety
/// As [`Plan::call`].
unsafe fn lift_result(
    store: &mut Store,
    options: &Options,
    (ty, shape): (&FuncType, Option<&Shape>),
    is_flat: bool,
    values: &[VmValRaw],
    into: *mut u8,
    arena: &RefCell<Arena>,
) -> Result<(), Error> {
    let arena = &mut *arena.borrow_mut();
    arena.clear();
    let Some(shape) = shape else { return Ok(()) };
    // On another stack than the arguments, perhaps.
    check_stack(ty.extent)?;
    let mut lift = Lift::new(store, options)?;
    let mut values = FlatIn::new(values);
    // SAFETY: by the caller.
    unsafe {
        if is_flat {
            return lift::flat(&mut lift, shape, &mut values, into, arena);
        }
        let at = values.next_u32();
        let at = lift.region(at, shape.guest.size, shape.guest.align, "return pointer not aligned")?;
        lift::load(&mut lift, shape, at, into, arena)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("func", &self.func).finish_non_exhaustive()
    }
}
