//! Where a function's locals are.
//!
//! As a rule each is a variable, which the code generator turns into values. With the least effort, locals are in the frame: what is
//! known of a variable grows with the function's blocks, what is in memory costs the same everywhere. References are variables
//! all the same, because the collector finds no others.
//!
//! The locals of functions that are inlined come and go, and are variables that are used again.

use super::local_lives;
use super::translator::{FuncTranslator, LocalPlace};
use crate::CompileError;
use crate::loop_entry::LoopEntry;
use crate::optimizing::effort::Effort;
use crate::optimizing::signature::clif_type;
use ampoule_core::types::ValType;
use cranelift_codegen::ir::{self, InstBuilder, Type, Value, types};
use cranelift_frontend::Variable;
use std::collections::HashMap;
use wasmparser::FunctionBody;

/// Functions of more locals have theirs looked at, so that those which are never needed at the same time share a place.
const SHARED_BEYOND: usize = 64;

impl FuncTranslator<'_> {
    /// Declares parameters and locals, and gives them their first values.
    pub(super) fn declare_locals(&mut self, entry: ir::Block, body: &FunctionBody<'_>) -> Result<(), CompileError> {
        let first = 1 + usize::from(self.return_area.is_some());
        let params = self.func_type.params();
        for (position, &ty) in params.iter().enumerate() {
            let param = self.builder.block_params(entry)[first + position];
            self.note_type(param, ty);
        }
        let types = self.local_types(body)?;
        if !self.shares_places(&types) {
            for (position, &ty) in params.iter().enumerate() {
                let param = self.builder.block_params(entry)[first + position];
                self.declare_local(ty, param);
            }
            return self.declare_zeroed_locals(body);
        }
        let mut zeros = HashMap::new();
        self.declare_sharing(&types, body, 0, |t, local, ty| match params.get(local) {
            Some(_) => t.builder.block_params(entry)[first + local],
            None => *zeros.entry(ty).or_insert_with(|| t.zero(ty)),
        })
    }

    /// The same where the function is entered at a loop, and a frame has what they hold there.
    pub(super) fn declare_locals_of(
        &mut self,
        entry: &LoopEntry,
        body: &FunctionBody<'_>,
        frame: Value,
    ) -> Result<(), CompileError> {
        let types = self.local_types(body)?;
        if !self.shares_places(&types) {
            for (&ty, &home) in types.iter().zip(&entry.locals) {
                let value = self.load_home_or_zero(ty, frame, home);
                self.declare_local(ty, value);
            }
            return Ok(());
        }
        self.declare_sharing(&types, body, entry.place.operators_before + 1, |t, local, ty| {
            t.load_home_or_zero(ty, frame, entry.locals[local])
        })
    }

    /// Declares locals that share places, and gives their first values to those that are needed at this place: see `local_lives`.
    fn declare_sharing(
        &mut self,
        types: &[ValType],
        body: &FunctionBody<'_>,
        at: u32,
        mut first_value: impl FnMut(&mut Self, usize, ValType) -> Value,
    ) -> Result<(), CompileError> {
        let mut places: Vec<Option<LocalPlace>> = vec![None; types.len()];
        let shares = local_lives::shares(types, self.func_type.params().len(), body, at)?;
        for (local, share) in shares.into_iter().enumerate() {
            let ty = types[local];
            let place = *places[share.place as usize].get_or_insert_with(|| self.local_place(ty));
            self.locals.places.push((place, ty));
            if share.needed {
                let value = first_value(self, local, ty);
                self.write_local(place, value);
            }
        }
        Ok(())
    }

    /// The types of parameters and locals.
    fn local_types(&self, body: &FunctionBody<'_>) -> Result<Vec<ValType>, CompileError> {
        let mut types = self.func_type.params().to_vec();
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            let ty = ampoule_core::decode::val_type(ty, self.input.module).map_err(CompileError::new)?;
            types.resize(types.len() + count as usize, ty);
        }
        Ok(types)
    }

    fn shares_places(&self, types: &[ValType]) -> bool {
        types.len() > SHARED_BEYOND || self.effort == Effort::Least
    }

    /// Makes the locals of a function that is inlined those that operators name. The answer is for [`FuncTranslator::leave_locals`].
    pub(super) fn enter_locals(
        &mut self,
        params: &[ValType],
        args: Vec<Value>,
        body: &FunctionBody<'_>,
    ) -> Result<OuterLocals, CompileError> {
        let outer = OuterLocals(std::mem::take(&mut self.locals.places));
        for (&ty, arg) in params.iter().zip(args) {
            self.declare_local(ty, arg);
        }
        self.declare_zeroed_locals(body)?;
        Ok(outer)
    }

    /// Makes operators name the locals of the function around again.
    pub(super) fn leave_locals(&mut self, outer: OuterLocals) {
        for (place, ty) in std::mem::replace(&mut self.locals.places, outer.0) {
            self.free_place(place, ty);
        }
    }

    /// Gives up a place, so that it can be used again.
    pub(super) fn free_place(&mut self, place: LocalPlace, ty: ValType) {
        if let LocalPlace::Variable(variable) = place {
            self.locals.free.entry(ty).or_default().push(variable);
        }
    }

    /// Declares the locals that are no parameters.
    fn declare_zeroed_locals(&mut self, body: &FunctionBody<'_>) -> Result<(), CompileError> {
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            let ty = ampoule_core::decode::val_type(ty, self.input.module).map_err(CompileError::new)?;
            let zero = self.zero(ty);
            for _ in 0..count {
                self.declare_local(ty, zero);
            }
        }
        Ok(())
    }

    fn declare_local(&mut self, ty: ValType, value: Value) {
        let place = self.local_place(ty);
        self.write_local(place, value);
        self.locals.places.push((place, ty));
    }

    /// A place for a local.
    pub(super) fn local_place(&mut self, ty: ValType) -> LocalPlace {
        if self.effort == Effort::Least && !ty.is_collected() {
            LocalPlace::Frame(self.place_in_frame(clif_type(ty)))
        } else {
            LocalPlace::Variable(self.variable(ty))
        }
    }

    /// A variable that nobody uses.
    fn variable(&mut self, ty: ValType) -> Variable {
        if let Some(free) = self.locals.free.get_mut(&ty).and_then(Vec::pop) {
            return free;
        }
        self.locals.variables += 1;
        let variable = self.builder.declare_var(clif_type(ty));
        if ty.is_collected() {
            self.builder.declare_var_needs_stack_map(variable);
        }
        variable
    }

    /// Makes place in the frame.
    fn place_in_frame(&mut self, ty: Type) -> u32 {
        const ALIGN_LOG2: u8 = 4;
        let func = &mut self.builder.func;
        let slot = *self.locals.slot.get_or_insert_with(|| {
            func.create_sized_stack_slot(ir::StackSlotData::new(ir::StackSlotKind::ExplicitSlot, 0, ALIGN_LOG2))
        });
        let size = &mut func.sized_stack_slots[slot].size;
        let place = size.next_multiple_of(ty.bytes());
        *size = place + ty.bytes();
        place
    }

    /// What a local holds.
    pub(super) fn get_local(&mut self, index: u32) -> Value {
        let (place, ty) = self.locals.places[index as usize];
        let value = self.read_local(place, ty);
        if let ValType::Ref(ty) = ty {
            // The value may have been made as something larger, and cast on the way here.
            self.know_type_here(value, ty);
        }
        value
    }

    /// What is in a place for locals.
    pub(super) fn read_local(&mut self, place: LocalPlace, ty: ValType) -> Value {
        match place {
            LocalPlace::Variable(variable) => self.builder.use_var(variable),
            LocalPlace::Frame(place) => {
                let slot = self.locals.slot.expect("it was made with the first place");
                self.builder.ins().stack_load(types::I64, clif_type(ty), slot, place as i32)
            }
        }
    }

    /// Makes a local hold this.
    pub(super) fn set_local(&mut self, index: u32, value: Value) {
        let (place, _) = self.locals.places[index as usize];
        self.write_local(place, value);
    }

    /// Puts a value into a place for locals.
    pub(super) fn write_local(&mut self, place: LocalPlace, value: Value) {
        match place {
            LocalPlace::Variable(variable) => self.builder.def_var(variable, value),
            LocalPlace::Frame(place) => {
                let slot = self.locals.slot.expect("it was made with the first place");
                self.builder.ins().stack_store(types::I64, value, slot, place as i32);
            }
        }
    }
}

/// The locals of the functions around one that is inlined.
pub(super) struct OuterLocals(Vec<(LocalPlace, ValType)>);
