//! Fuel, epochs and cancellation, and how often code runs. The fuel counter is in the store all the time; what has been spent since it was last brought up to date is
//! known here, and added where the other tier adds it.

use super::translator::{Stub, Translator};
use super::values::Known;
use super::x64::{Condition, SCRATCH, Width, mem};
use crate::CompileError;
use crate::operators::Properties;
use ampoule_core::builtins::Builtin;
use ampoule_core::vm::VmStoreContext;
use std::mem::offset_of;

const FUEL: i32 = offset_of!(VmStoreContext, fuel) as i32;

impl Translator<'_> {
    /// At the function's entry.
    pub(super) fn enter_metering(&mut self) -> Result<(), CompileError> {
        self.count_run(None);
        self.check_metering()?;
        if self.input.tunables.consume_fuel {
            // The unit of the entry itself; whoever has one unit may enter.
            self.fuel_pending = 1;
        }
        Ok(())
    }

    /// Counts an operator that is about to be translated.
    pub(super) fn count(&mut self, properties: &Properties) {
        if !self.input.tunables.consume_fuel {
            return;
        }
        self.fuel_pending += i64::from(properties.fuel);
        if properties.settles_fuel {
            self.settle_fuel();
        }
    }

    /// Brings the counter up to date. Flags stay as they are.
    pub(super) fn settle_fuel(&mut self) {
        let pending = std::mem::take(&mut self.fuel_pending);
        if pending != 0 {
            let store = self.known(Known::Store);
            self.asm.load(Width::W64, SCRATCH, mem(store, FUEL));
            self.asm.address(Width::W64, SCRATCH, mem(SCRATCH, pending as i32));
            self.asm.store(Width::W64, mem(store, FUEL), SCRATCH);
        }
    }

    /// At function entries and loop heads, where nothing is pending.
    pub(super) fn check_metering(&mut self) -> Result<(), CompileError> {
        debug_assert_eq!(self.fuel_pending, 0);
        if self.input.tunables.consume_fuel {
            let store = self.known(Known::Store);
            self.asm.compare_memory(Width::W64, mem(store, FUEL), 0);
            self.interrupt_if(Condition::GreaterOrEqualSigned, Builtin::FuelExhausted)?;
        }
        if self.input.tunables.interruptible() {
            let store = self.known(Known::Store);
            let deadline = mem(store, offset_of!(VmStoreContext, epoch_deadline) as i32);
            let condition = if self.input.tunables.epoch_interruption {
                self.asm.load(Width::W64, SCRATCH, mem(store, offset_of!(VmStoreContext, epoch) as i32));
                self.asm.load(Width::W64, SCRATCH, mem(SCRATCH, 0));
                self.asm.compare_with(Width::W64, SCRATCH, deadline);
                Condition::AboveOrEqual
            } else {
                self.asm.compare_memory(Width::W64, deadline, 0);
                Condition::Equal
            };
            self.interrupt_if(condition, Builtin::EpochReached)?;
        }
        Ok(())
    }

    /// Counts a call of the function, or a turn of the loop of this number; nothing is pending.
    pub(super) fn count_run(&mut self, number: Option<u32>) {
        debug_assert_eq!(self.fuel_pending, 0);
        let Some(counters) = self.input.counters else { return };
        self.asm.mov_imm(SCRATCH, (counters + 4 * self.func.index()) as u64);
        self.asm.count_down(mem(SCRATCH, 0));
        let (label, back) = (self.asm.label(), self.asm.label());
        self.asm.jump_if(Condition::Negative, label);
        self.asm.bind(back);
        let ahead = if number.is_some() { self.ahead() } else { Vec::new() };
        let ahead = ahead.into_iter().map(|(reg, local)| (self.locals[local as usize].kind, reg)).collect();
        let context = self.context_source();
        self.stubs.push(Stub::hot(label, self.position, number, context, ahead, back));
    }

    fn interrupt_if(&mut self, condition: Condition, builtin: Builtin) -> Result<(), CompileError> {
        let back = self.asm.label();
        let label = self.interrupt_stub(builtin, back)?;
        self.asm.jump_if(condition, label);
        self.asm.bind(back);
        Ok(())
    }
}
