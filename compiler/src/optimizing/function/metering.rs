//! Fuel, epochs and cancellation: what a function keeps in variables, and when it looks.
//!
//! The fuel counter is kept like a local. It is brought up to date where a block of code ends, before what may call functions or the runtime,
//! and before `unreachable`. What stops the guest charges what the counter has there, by whatever instruction and in every mode.
//! So the store has the counter's value before each call, and in the cold block of each explicit trap. Before an instruction that may fault, the
//! store has it, or what is missing there is known and part of what the fault means (`FunctionInfo::owed`), for whoever handles it to
//! charge. That is so as long as it is the same on all ways: up to the next loop's head, or where arms meet that cost different amounts.

use super::translator::FuncTranslator;
use crate::operators::Properties;
use crate::optimizing::flags::{OWING, Region, clif_trap, constant_flags, owing_trap};
use ampoule_core::builtins::Builtin;
use ampoule_core::trap::TrapCode;
use ampoule_core::types::ValType;
use ampoule_core::vm::VmStoreContext;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, Block, InstBuilder, MemFlagsData, Value, types};
use std::mem::offset_of;
use wasmparser::Operator;

impl FuncTranslator<'_> {
    /// At the function's entry.
    pub(super) fn enter_metering(&mut self) {
        self.declare_metering();
        self.check_metering();
        if self.metering.fuel.is_some() {
            // The unit of the entry itself; whoever has one unit may enter.
            self.metering.pending = 1;
        }
    }

    /// Makes a place for the counter, and reads it.
    pub(super) fn declare_metering(&mut self) {
        if self.tunables().consume_fuel {
            self.metering.fuel = Some(self.local_place(ValType::I64));
        }
        self.return_metering();
    }

    /// At the entry of a function that is inlined: the caller has looked, and looks again.
    pub(super) fn enter_inlined_metering(&mut self) {
        if self.metering.fuel.is_some() {
            self.metering.pending += 1;
        }
    }

    /// Forgets what is pending, where control has left.
    pub(super) fn stop_metering(&mut self) {
        self.metering.pending = 0;
        self.metering.owed = None;
    }

    /// Counts an operator that is about to be translated.
    pub(super) fn count(&mut self, op: &Operator<'_>) {
        if self.metering.fuel.is_none() {
            return;
        }
        let properties = Properties::of(op);
        self.metering.pending += i64::from(properties.fuel);
        if properties.settles_fuel {
            self.settle_metering();
        }
    }

    /// Counts what an operator costs beside its own unit: one for each of `units`, an `i32`.
    pub(super) fn charge(&mut self, units: Value) {
        if let Some(fuel) = self.metering.fuel {
            self.settle_metering();
            let before = self.read_local(fuel, ValType::I64);
            let units = self.builder.ins().uextend(types::I64, units);
            let after = self.builder.ins().iadd(before, units);
            self.write_local(fuel, after);
            self.metering.owed = None;
        }
    }

    /// Brings the counter up to date, before the block ends.
    pub(super) fn settle_metering(&mut self) {
        let Some(fuel) = self.metering.fuel else { return };
        let pending = std::mem::take(&mut self.metering.pending);
        if pending != 0 {
            let before = self.read_local(fuel, ValType::I64);
            let spent = self.builder.ins().iconst(types::I64, pending);
            let after = self.builder.ins().iadd(before, spent);
            self.write_local(fuel, after);
            self.metering.owed = self.metering.owed.map(|owed| owed + pending);
        }
    }

    /// Writes the counter to the store, without what is pending.
    pub(super) fn write_metering(&mut self) {
        let Some(fuel) = self.metering.fuel else { return };
        let value = self.read_local(fuel, ValType::I64);
        let store = self.store_context();
        let flags = self.trusted(Region::Store);
        self.builder.ins().store(flags, value, store, offset_of!(VmStoreContext, fuel) as i32);
    }

    /// Before an instruction that may fault.
    pub(super) fn write_metering_before_fault(&mut self) {
        if self.metering.owed != Some(0) {
            self.write_metering();
            self.metering.owed = Some(0);
        }
    }

    /// The same, where the fault can charge what is owed. Gives what it means in Cranelift's terms.
    pub(super) fn fault(&mut self, code: TrapCode) -> ir::TrapCode {
        if self.metering.fuel.is_some()
            && let Some(units) = self.metering.owed.and_then(|units| u32::try_from(units).ok())
            && units != 0
        {
            let owing = &mut self.inlining.numbers.owing;
            let place = owing.iter().position(|&known| known == (code, units)).unwrap_or(owing.len());
            if place < OWING {
                if place == owing.len() {
                    owing.push((code, units));
                }
                return owing_trap(place);
            }
        }
        self.write_metering_before_fault();
        clif_trap(code)
    }

    /// Writes the counter to the store on a way aside that leads back.
    pub(super) fn write_metering_aside(&mut self) {
        self.write_metering();
        // What follows is reached without it, too.
        self.metering.owed = self.metering.owed.filter(|&owed| owed == 0);
    }

    /// Before a call or return: brings the counter up to date and writes it to the store.
    pub(super) fn leave_metering(&mut self) {
        self.settle_metering();
        self.write_metering();
    }

    /// After a call: reads again what the callee may have changed.
    pub(super) fn return_metering(&mut self) {
        if let Some(fuel) = self.metering.fuel {
            let store = self.store_context();
            let flags = self.trusted(Region::Store);
            let value = self.builder.ins().load(types::I64, flags, store, offset_of!(VmStoreContext, fuel) as i32);
            self.write_local(fuel, value);
            self.metering.owed = Some(0);
        }
    }

    /// Calls a builtin. Its result has the type that [`Builtin::result`] says.
    pub fn call_builtin(&mut self, builtin: Builtin, args: &[Value]) -> Option<Value> {
        let metered = calls_runtime(builtin);
        if metered {
            self.leave_metering();
        }
        let result = self.call_builtin_unmetered(builtin, args);
        if metered {
            self.return_metering();
        }
        result
    }

    /// Whether the guest looks at fuel or a deadline at all.
    pub(super) fn is_metered(&self) -> bool {
        self.metering.fuel.is_some() || self.tunables().interruptible()
    }

    /// At function entries and loop heads, where nothing is pending.
    pub(super) fn check_metering(&mut self) {
        debug_assert_eq!(self.metering.pending, 0);
        if let Some(exhausted) = self.fuel_is_within(0) {
            let (cold, next) = self.branch_cold_and_back(exhausted);
            self.builder.switch_to_block(cold);
            self.write_metering_aside();
            self.interrupt(Builtin::FuelExhausted, next);
        }
        if let Some(reached) = self.deadline_is_reached(MemFlagsData::trusted()) {
            let (cold, next) = self.branch_cold_and_back(reached);
            self.builder.switch_to_block(cold);
            self.write_metering_aside();
            self.interrupt(Builtin::EpochReached, next);
        }
    }

    /// Branches to the first block where fuel would run out within so many units, or the deadline has been reached, and to the second otherwise. The
    /// caller fills both.
    pub(super) fn branch_if_metering_is_near(&mut self, units: i64) -> (Block, Block) {
        debug_assert_eq!(self.metering.pending, 0);
        let near = self.builder.create_block();
        if let Some(within) = self.fuel_is_within(units) {
            self.branch_to_cold(within, near);
        }
        // A small loop has a register for where the epoch is; elsewhere that would be one less for everything else.
        if let Some(reached) = self.deadline_is_reached(constant_flags()) {
            self.branch_to_cold(reached, near);
        }
        self.builder.seal_block(near);
        self.builder.set_cold_block(near);
        let next = self.builder.create_block();
        self.builder.ins().jump(next, &[]);
        self.builder.seal_block(next);
        (near, next)
    }

    /// Whether the counter is at its end, or that near to it.
    fn fuel_is_within(&mut self, units: i64) -> Option<Value> {
        let value = self.read_local(self.metering.fuel?, ValType::I64);
        Some(self.builder.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, value, -units))
    }

    /// Whether the deadline has been reached. The flags are those of the load of the epoch's address.
    fn deadline_is_reached(&mut self, address: MemFlagsData) -> Option<Value> {
        // Other threads write the epoch and the deadline. The loads are made in every iteration of a loop nevertheless, because
        // the cold block's call, which may have written anything, leads back into the loop.
        let trusted = MemFlagsData::trusted();
        let load = |t: &mut Self, base, offset| t.builder.ins().load(types::I64, trusted, base, offset);
        self.tunables().interruptible().then(|| self.compare_deadline(address, load))
    }

    /// The same in a loop that leads back without such a call: no load before is taken for these.
    pub(super) fn deadline_is_reached_by_now(&mut self) -> Value {
        let load = |t: &mut Self, base, offset: i32| {
            let address = t.builder.ins().iadd_imm_s(base, i64::from(offset));
            t.builder.ins().atomic_load(types::I64, MemFlagsData::trusted(), address)
        };
        self.compare_deadline(constant_flags(), load)
    }

    /// Compares epoch and deadline, which are loaded at a base and an offset.
    fn compare_deadline(
        &mut self,
        address: MemFlagsData,
        mut load: impl FnMut(&mut Self, Value, i32) -> Value,
    ) -> Value {
        let store = self.store_context();
        let deadline = offset_of!(VmStoreContext, epoch_deadline) as i32;
        if self.tunables().epoch_interruption {
            let epoch = offset_of!(VmStoreContext, epoch) as i32;
            let epoch = self.builder.ins().load(types::I64, address, store, epoch);
            let now = load(self, epoch, 0);
            let deadline = load(self, store, deadline);
            self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, now, deadline)
        } else {
            let deadline = load(self, store, deadline);
            self.builder.ins().icmp_imm_s(IntCC::Equal, deadline, 0)
        }
    }

    /// How many units of fuel are left, none of which is pending.
    pub(super) fn fuel_left(&mut self) -> Option<Value> {
        debug_assert_eq!(self.metering.pending, 0);
        let counter = self.read_local(self.metering.fuel?, ValType::I64);
        let left = self.builder.ins().ineg(counter);
        let zero = self.builder.ins().iconst(types::I64, 0);
        Some(self.builder.ins().smax(left, zero))
    }

    /// Spends so many units so many times.
    pub(super) fn spend_fuel(&mut self, times: Value, units: u64) {
        if let Some(fuel) = self.metering.fuel {
            let units = self.builder.ins().iconst(types::I64, units as i64);
            let spent = self.builder.ins().imul(times, units);
            let before = self.read_local(fuel, ValType::I64);
            let after = self.builder.ins().iadd(before, spent);
            self.write_local(fuel, after);
        }
    }

    /// Calls a builtin that keeps all registers, reads metering again, and goes on in `next`.
    fn interrupt(&mut self, builtin: Builtin, next: Block) {
        let vmctx = self.vmctx;
        let owed = self.metering.owed;
        self.call_builtin_unmetered(builtin, &[vmctx]);
        self.return_metering();
        // `next` is reached without the call, too.
        self.metering.owed = owed;
        self.builder.ins().jump(next, &[]);
        self.builder.switch_to_block(next);
        self.builder.seal_block(next);
    }

    /// Branches to a block where a condition hardly ever holds, and goes on in a new one.
    fn branch_to_cold(&mut self, condition: Value, cold: Block) {
        let next = self.builder.create_block();
        self.builder.ins().brif(condition, cold, &[], next, &[]);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
    }

    /// As `branch_cold`, with the second block left open for the cold one to lead to.
    pub(super) fn branch_cold_and_back(&mut self, condition: Value) -> (Block, Block) {
        let cold = self.builder.create_block();
        let next = self.builder.create_block();
        self.builder.set_cold_block(cold);
        self.builder.ins().brif(condition, cold, &[], next, &[]);
        self.builder.seal_block(cold);
        (cold, next)
    }
}

/// Whether a builtin may trap or call the host, which may look at fuel and deadline. Where `table_get_callee` is called, what a
/// trap needs has been written.
fn calls_runtime(builtin: Builtin) -> bool {
    !matches!(
        builtin,
        Builtin::CeilF32
            | Builtin::CeilF64
            | Builtin::FloorF32
            | Builtin::FloorF64
            | Builtin::TruncF32
            | Builtin::TruncF64
            | Builtin::NearestF32
            | Builtin::NearestF64
            | Builtin::FmaF32
            | Builtin::FmaF64
            | Builtin::DataDrop
            | Builtin::ElemDrop
            | Builtin::RefFunc
            | Builtin::TableGetFuncRef
            | Builtin::TableGetCallee
    )
}
