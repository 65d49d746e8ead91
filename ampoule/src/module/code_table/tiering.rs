//! How the functions of a module that run often get better code.
//!
//! A function's first code counts its calls and the turns of its loops down from [`TierUp::after`]. At zero it asks for better code
//! ([`ModuleCode::become_hot`]), which the [`Optimizer`] makes, and which then replaces the first in the word that the function's stub jumps
//! through: with one store, while the first may be running. Whoever still runs the first then, and turns in a loop often again, goes on in code
//! that is made for that: see [`FromLoop`].

use super::place::{OwnCalls, Placed};
use super::profile::Profile;
use super::{Functions, Lazy, ModuleCode, Wanted, compile_one};
use crate::engine::optimizer::{Optimize, Optimizer, Task, TierUp};
use ampoule_core::artifact::ReplacedFrame;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::Tier;
use ampoule_machine::os::sync::{Mutex, OnceLock};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) struct Tiering {
    optimizer: Arc<Optimizer>,
    /// Written by machine code as it runs.
    pub profile: Profile,
    /// What replaces the first code. `None`: nothing will.
    optimized: Box<[OnceLock<Option<Box<Placed>>>]>,
    /// By function, the loops that code has been made from.
    loops: Mutex<HashMap<u32, Vec<KnownLoop>>>,
}

/// A loop that code has been made from; `None`: it couldn't be made.
struct KnownLoop {
    number: u32,
    code: Option<FromLoop>,
}

/// Code that goes on from a loop.
#[derive(Clone, Copy, Debug)]
pub struct FromLoop {
    /// Where it is entered.
    pub address: usize,
    /// What there is to know for that.
    pub replaces: ReplacedFrame,
}

/// Loops of a function that code is made from, at most: each takes as long to compile as the function does. What is called again has better code
/// from its beginning.
const LOOPS_MAX: usize = 8;

impl Tiering {
    pub fn new(count: usize, up: &TierUp) -> Self {
        let optimized = std::iter::repeat_with(OnceLock::new).take(count).collect();
        let profile = Profile::new(count, up.after);
        Self { optimizer: up.optimizer.clone(), profile, optimized, loops: Mutex::default() }
    }

    /// What is known of code from a loop; `None` where that may be asked for.
    fn code_from(&self, func: DefinedFuncIndex, number: u32) -> Option<Option<FromLoop>> {
        let loops = self.loops.lock();
        let known = loops.get(&func.0)?;
        let found = known.iter().find(|known| known.number == number);
        found.map(|known| known.code).or((known.len() >= LOOPS_MAX).then_some(None))
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
    /// What a function's code does whose counter is below zero, at a loop or its entry: asks for better code, first for that of the function, then
    /// for code from the loop. Answers such code if there is some. What is up to this thread is made now.
    pub fn become_hot(&self, func: DefinedFuncIndex, number: Option<u32>) -> Option<FromLoop> {
        let Functions::Lazy(Lazy { tiering: Some(tiering), .. }) = &self.functions else { return None };
        let is_optimized = match tiering.optimized[func.index()].get() {
            Some(None) => {
                tiering.profile.stop_counting(func);
                return None;
            }
            optimized => optimized.is_some(),
        };
        tiering.profile.count_again(func);
        // A call that began before, if it is optimized.
        let from_loop = if is_optimized { Some(number?) } else { None };
        if let Some(number) = from_loop
            && let Some(known) = tiering.code_from(func, number)
        {
            return known;
        }
        tiering.optimizer.request(Task { code: self.this.clone(), func, from_loop });
        tiering.code_from(func, from_loop?).flatten()
    }

    /// Makes code that goes on from a loop.
    fn make_from_loop(&self, lazy: &Lazy, tiering: &Tiering, func: DefinedFuncIndex, number: u32) {
        if tiering.code_from(func, number).is_some() {
            return;
        }
        let code =
            compile_one(func, Wanted::FromLoop(number, &tiering.profile), &*lazy.compile).ok().and_then(|function| {
                let replaces = function.replaces?;
                let placed = self.place(lazy, func, function, OwnCalls::Newest).ok()?;
                Some(FromLoop { address: placed.address, replaces })
            });
        let mut loops = tiering.loops.lock();
        let known = loops.entry(func.0).or_default();
        if known.iter().all(|known| known.number != number) {
            known.push(KnownLoop { number, code });
        }
    }
}

impl Optimize for ModuleCode {
    fn optimize(&self, func: DefinedFuncIndex, from_loop: Option<u32>) {
        let Functions::Lazy(lazy) = &self.functions else { unreachable!("linked code doesn't ask for better") };
        let tiering = lazy.tiering.as_ref().expect("code that counts is to be replaced");
        if let Some(number) = from_loop {
            return self.make_from_loop(lazy, tiering, func, number);
        }
        let cell = &tiering.optimized[func.index()];
        if cell.get().is_some() {
            return;
        }
        let compiled = compile_one(func, Wanted::Better(&tiering.profile), &*lazy.compile).ok();
        // Where it is too much for the optimizing tier, or for the memory, the function stays as it is.
        let placed = compiled
            .filter(|function| function.tier == Tier::Optimizing)
            .and_then(|function| self.place(lazy, func, function, OwnCalls::Here).ok());
        // Only the optimizer gets here, with one task for a function at a time.
        let _ = cell.set(placed.map(Box::new));
        self.publish(lazy, func);
    }
}
