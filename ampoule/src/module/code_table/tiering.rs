//! How the functions of a module that run often get better code.
//!
//! A function's first code counts its calls and the turns of its loops down from [`TierUp::after`]. At zero it asks for better code
//! ([`ModuleCode::become_hot`]), which the [`Optimizer`] makes, and which then replaces the first in the word that the function's stub jumps
//! through: with one store, while the first may be running. Whoever runs it goes on in it until it returns.

use super::place::{OwnCalls, Placed};
use super::{Functions, Lazy, ModuleCode, Wanted, compile_one};
use crate::engine::optimizer::{Optimize, Optimizer, Task, TierUp};
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::Tier;
use ampoule_machine::os::sync::OnceLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

pub(super) struct Tiering {
    after: i32,
    optimizer: Arc<Optimizer>,
    /// What is left, by function. Written by machine code as it runs, on any thread.
    counters: Box<[AtomicI32]>,
    /// What replaces the first code. `None`: nothing will.
    optimized: Box<[OnceLock<Option<Box<Placed>>>]>,
}

/// More than anything counts down to soon.
const NEVER: i32 = i32::MAX;

impl Tiering {
    pub fn new(count: usize, up: &TierUp) -> Self {
        let after = up.after.min(NEVER as u32) as i32;
        let counters = std::iter::repeat_with(|| AtomicI32::new(after)).take(count).collect();
        let optimized = std::iter::repeat_with(OnceLock::new).take(count).collect();
        Self { after, optimizer: up.optimizer.clone(), counters, optimized }
    }

    /// Where machine code counts: an `i32` for each function.
    pub fn counters(&self) -> usize {
        self.counters.as_ptr().expose_provenance()
    }

    /// The code that a function has for good.
    pub fn optimized(&self, func: DefinedFuncIndex) -> Option<&Placed> {
        self.optimized[func.index()].get()?.as_deref()
    }

    /// Notes that what a function is called with first is the best there is.
    pub fn keep_first(&self, placed: &Placed) {
        // It is compiled once.
        let _ = self.optimized[placed.func.index()].set(Some(Box::new(placed.clone())));
    }
}

impl ModuleCode {
    /// What a function's code does whose counter is below zero: asks for better code. Where there is some for this loop, answers where that goes
    /// on; otherwise zero. A function whose optimization is up to this thread is optimized now.
    pub fn become_hot(&self, func: DefinedFuncIndex, _number: Option<u32>) -> usize {
        let Functions::Lazy(Lazy { tiering: Some(tiering), .. }) = &self.functions else { return 0 };
        let counter = &tiering.counters[func.index()];
        match tiering.optimized[func.index()].get() {
            // Calls that began before.
            Some(_) => counter.store(NEVER, Ordering::Relaxed),
            None => {
                counter.store(tiering.after, Ordering::Relaxed);
                let code = self.this.clone();
                tiering.optimizer.request(Task { code, func });
            }
        }
        0
    }
}

impl Optimize for ModuleCode {
    fn optimize(&self, func: DefinedFuncIndex) {
        let Functions::Lazy(lazy) = &self.functions else { unreachable!("linked code doesn't ask for better") };
        let tiering = lazy.tiering.as_ref().expect("code that counts is to be replaced");
        let cell = &tiering.optimized[func.index()];
        if cell.get().is_some() {
            return;
        }
        let compiled = compile_one(func, Wanted::Better, &*lazy.compile).ok();
        // Where it is too much for the optimizing tier, or for the memory, the function stays as it is.
        let placed = compiled
            .filter(|function| function.tier == Tier::Optimizing)
            .and_then(|function| self.place(lazy, func, function, OwnCalls::Here).ok());
        // Only the optimizer gets here, with one task for a function at a time.
        let _ = cell.set(placed.map(Box::new));
        self.publish(lazy, func);
    }
}
