//! Fuel: how much the guest may still do.
//!
//! The counter that machine code sees ([`VmStoreContext::fuel`]) counts up from minus the remaining fuel, so that one sign test
//! tells whether there is any. Fuel beyond what an `i64` holds, and beyond the interval at which asynchronous calls yield, waits in
//! `reserve`.

use crate::error::{Error, ErrorKind};
use ampoule_core::vm::VmStoreContext;

pub(crate) struct Fuel {
    enabled: bool,
    reserve: u64,
    /// What the counter holds at most.
    portion: u64,
    /// What was set last, and what was used before.
    given: u64,
    used_before: u64,
}

/// Without an interval.
const ALL: u64 = i64::MAX as u64;

impl Fuel {
    pub(crate) fn new(enabled: bool) -> Self {
        Self { enabled, reserve: 0, portion: ALL, given: 0, used_before: 0 }
    }

    pub(crate) fn set(&mut self, vm: &mut VmStoreContext, fuel: u64) -> Result<(), Error> {
        self.check()?;
        self.give(vm, fuel);
        Ok(())
    }

    /// Makes this what is left.
    fn give(&mut self, vm: &mut VmStoreContext, fuel: u64) {
        self.used_before = self.used(vm);
        self.given = fuel;
        self.divide(vm, fuel);
    }

    /// Sets how much is used between two yields; 0 for no yields.
    pub(crate) fn set_interval(&mut self, vm: &mut VmStoreContext, interval: u64) -> Result<(), Error> {
        let fuel = self.get(vm)?;
        self.portion = if interval == 0 { ALL } else { interval.min(ALL) };
        self.give(vm, fuel);
        Ok(())
    }

    /// Whether the counter runs out because it is time to yield.
    pub(crate) fn yields(&self) -> bool {
        self.portion != ALL
    }

    fn divide(&mut self, vm: &mut VmStoreContext, fuel: u64) {
        let active = fuel.min(self.portion);
        vm.fuel = -(active as i64);
        self.reserve = fuel - active;
    }

    pub(crate) fn get(&self, vm: &VmStoreContext) -> Result<u64, Error> {
        self.check()?;
        // Positive: a block's cost was taken in one go beyond what was left.
        let active = if vm.fuel < 0 { vm.fuel.unsigned_abs() } else { 0 };
        Ok(active.saturating_add(self.reserve))
    }

    /// What was used in all, since the store was made; also what was taken beyond what was left.
    pub(crate) fn used(&self, vm: &VmStoreContext) -> u64 {
        // What is left, or less than nothing: moving it between counter and reserve doesn't change the sum.
        let left = i128::from(self.reserve) - i128::from(vm.fuel);
        let used = u64::try_from(i128::from(self.given) - left).unwrap_or(0);
        self.used_before.saturating_add(used)
    }

    /// Moves what waits in reserve to the counter. False where there is nothing left.
    pub(crate) fn refill(&mut self, vm: &mut VmStoreContext) -> bool {
        let overdrawn = vm.fuel.max(0).unsigned_abs();
        let available = self.reserve.saturating_sub(overdrawn);
        if available == 0 {
            return false;
        }
        self.divide(vm, available);
        true
    }

    fn check(&self) -> Result<(), Error> {
        if self.enabled { Ok(()) } else { Err(Error::new(ErrorKind::FuelDisabled)) }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Config, Engine, Store};

    fn store() -> Box<Store> {
        let mut config = Config::new();
        config.consume_fuel(true);
        Store::new(&Engine::new(&config).unwrap())
    }

    #[test]
    fn every_amount_reads_back() {
        let mut store = store();
        assert_eq!(store.fuel().unwrap(), 0);
        for fuel in [0, 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
            store.set_fuel(fuel).unwrap();
            assert_eq!(store.fuel().unwrap(), fuel);
        }
    }

    #[test]
    fn an_overdraft_reads_as_nothing_left_and_comes_out_of_the_reserve() {
        let mut store = store();
        store.set_fuel(10).unwrap();
        store.vm.fuel = 5;
        assert_eq!(store.fuel().unwrap(), 0);
        let store = &mut *store;
        assert!(!store.fuel.refill(&mut store.vm));
        store.set_fuel(u64::MAX).unwrap();
        store.vm.fuel = 5;
        assert!(store.fuel.refill(&mut store.vm));
        assert_eq!(store.fuel().unwrap(), u64::MAX - i64::MAX as u64 - 5);
    }

    #[test]
    fn an_interval_hands_out_portions_and_hides_nothing() {
        let mut store = store();
        store.set_fuel(1000).unwrap();
        store.set_fuel_yield_interval(300).unwrap();
        assert_eq!((store.fuel().unwrap(), store.vm.fuel), (1000, -300));
        let store = &mut *store;
        store.vm.fuel = 7;
        assert!(store.fuel.refill(&mut store.vm));
        assert_eq!((store.fuel().unwrap(), store.vm.fuel), (693, -300));
        store.set_fuel_yield_interval(0).unwrap();
        assert_eq!((store.fuel().unwrap(), store.vm.fuel), (693, -693));
        assert!(!store.fuel.yields());
        assert_eq!(store.statistics().fuel_used, 307);
    }

    #[test]
    fn what_was_used_adds_up_however_it_was_set() {
        let mut store = store();
        store.set_fuel(1000).unwrap();
        store.vm.fuel += 300;
        assert_eq!(store.statistics().fuel_used, 300);
        store.set_fuel(u64::MAX).unwrap();
        store.vm.fuel += i64::MAX;
        store.vm.fuel += 7;
        let store = &mut *store;
        assert!(store.fuel.refill(&mut store.vm));
        store.vm.fuel += 5;
        assert_eq!(store.statistics().fuel_used, 300 + i64::MAX as u64 + 12);
        store.set_fuel(0).unwrap();
        store.vm.fuel = 3;
        assert_eq!(store.statistics().fuel_used, 300 + i64::MAX as u64 + 15);
    }

    #[test]
    fn without_the_config_both_are_errors() {
        let mut store = Store::new(&Engine::default());
        assert!(store.set_fuel(1).is_err() && store.fuel().is_err() && store.set_fuel_yield_interval(0).is_err());
    }
}
