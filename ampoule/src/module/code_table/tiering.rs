//! How the functions of a module that run often get better code.
//!
//! A function's first code counts its calls and the turns of its loops down from [`TierUp::after`]. At zero it asks for better code
//! ([`ModuleCode::become_hot`]), which the [`Optimizer`] makes, and which then replaces the first in the word that the function's stub jumps
//! through: with one store, while the first may be running. Whoever still runs the first then, and turns in a loop often again, goes on in code
//! that is made for that: see [`FromLoop`].

use super::place::Use;
use super::profile::Profile;
use super::{Functions, Lazy, ModuleCode, NOTHING_BETTER, NOTHING_YET, Wanted, compile_one};
use crate::engine::optimizer::{Optimize, Optimizer, Task, TierUp};
use ampoule_core::artifact::ReplacedFrame;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::Tier;
use ampoule_machine::os::sync::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) struct Tiering {
    optimizer: Arc<Optimizer>,
    /// Written by machine code as it runs.
    pub profile: Profile,
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
        Self { optimizer: up.optimizer.clone(), profile: Profile::new(count, up.after), loops: Mutex::default() }
    }

    /// What is known of code from a loop; `None` where that may be asked for.
    fn code_from(&self, func: DefinedFuncIndex, number: u32) -> Option<Option<FromLoop>> {
        let loops = self.loops.lock();
        let known = loops.get(&func.0)?;
        let found = known.iter().find(|known| known.number == number);
        found.map(|known| known.code).or((known.len() >= LOOPS_MAX).then_some(None))
    }

    /// Forgets what goes on from the loops of a function. Answers where that is.
    pub fn take_loops(&self, func: DefinedFuncIndex) -> Vec<usize> {
        let known = self.loops.lock().remove(&func.0).unwrap_or_default();
        known.into_iter().filter_map(|known| Some(known.code?.address)).collect()
    }
}

impl ModuleCode {
    /// What a function's code does whose counter is below zero, at a loop or its entry: asks for better code, first for that of the function, then
    /// for code from the loop. Answers such code if there is some. What is up to this thread is made now.
    pub fn become_hot(&self, func: DefinedFuncIndex, number: Option<u32>) -> Option<FromLoop> {
        let Functions::Lazy(lazy) = &self.functions else { return None };
        let Lazy { tiering: Some(tiering), kept, .. } = &**lazy else { return None };
        let kept = kept[func.index()].load(Ordering::Acquire);
        if kept == NOTHING_BETTER {
            tiering.profile.stop_counting(func);
            return None;
        }
        if number.is_none() {
            tiering.profile.note_called_often(func);
        }
        let is_optimized = kept != NOTHING_YET;
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
                let placed = self.place(lazy, func, function, Use::FromLoop).ok()?;
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
        let kept = &lazy.kept[func.index()];
        // Where there is no room, the code asks again.
        if kept.load(Ordering::Acquire) != NOTHING_YET || !self.memory.may_keep_more() {
            return;
        }
        self.memory.make_room();
        let compiled = compile_one(func, Wanted::Better(&tiering.profile), &*lazy.compile).ok();
        // Where it is too much for the optimizing tier, or for the memory, the function stays as it is.
        let placed = compiled
            .filter(|function| function.tier == Tier::Optimizing)
            .and_then(|function| self.place(lazy, func, function, Use::Kept).ok());
        // Only the optimizer gets here, with one task for a function at a time.
        kept.store(placed.map_or(NOTHING_BETTER, |placed| placed.address), Ordering::Release);
        self.publish(lazy, func, None);
    }
}
