//! Which functions of a module are being compiled for their first call, and by whom.

use super::Lazy;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_machine::code::CodeError;
use ampoule_machine::os::fork;
use ampoule_machine::os::sleeper::{Sleep, Sleeper};
use ampoule_machine::os::sync::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is being compiled.
#[derive(Default)]
pub(super) struct Compiling {
    /// By function; others that need one wait for who compiles it.
    functions: HashMap<u32, Arc<Compilation>>,
    /// Of the process whose threads do: a forked child has none of them.
    generation: u32,
}

/// One function that some thread compiles.
#[derive(Default)]
pub(super) struct Compilation {
    /// Whether that is a thread of our own, which goes on when nobody waits for it any more.
    pub in_background: bool,
    pub done: AtomicBool,
    /// The threads that wait for it. Changed under the lock of `Lazy::compiling`.
    waiters: Mutex<Vec<Arc<Sleeper>>>,
    /// Why it failed, for the thread that asked for it.
    pub error: Mutex<Option<CodeError>>,
}

/// How many functions of a module are compiled that nobody waits for any more. Whoever needs another that takes long then waits for one of
/// them, so that guests whose time is over again and again don't fill the machine with what they left behind.
const MAX_LEFT_BEHIND: usize = 2;

/// What a thread has to do that needs a function.
pub(super) enum Role {
    /// It is the one that compiles it.
    Compiles(Arc<Compilation>),
    /// Another does.
    Waits(Waiting),
}

impl Compiling {
    /// `is_made`: whether the function has code by now.
    pub fn join_or_begin(&mut self, is_made: impl FnOnce() -> bool, func: DefinedFuncIndex, takes_long: bool) -> Role {
        if self.generation != fork::generation() {
            *self = Compiling { generation: fork::generation(), ..Compiling::default() };
        }
        if let Some(compilation) = self.functions.get(&func.0) {
            return Role::Waits(Waiting::new(compilation.clone()));
        }
        if is_made() {
            // Just made: there is nothing to wait for.
            let done = Compilation { done: AtomicBool::new(true), ..Compilation::default() };
            return Role::Waits(Waiting::new(Arc::new(done)));
        }
        if takes_long {
            let left_behind = |one: &&Arc<Compilation>| one.in_background && one.waiters.lock().is_empty();
            let mut left_behind = self.functions.values().filter(left_behind);
            if let Some(one) = left_behind.nth(MAX_LEFT_BEHIND - 1) {
                return Role::Waits(Waiting::new(one.clone()));
            }
        }
        let compilation = Arc::new(Compilation { in_background: takes_long, ..Compilation::default() });
        self.functions.insert(func.0, compilation.clone());
        Role::Compiles(compilation)
    }
}

/// A thread that waits for a function that another one compiles.
pub(super) struct Waiting {
    pub compilation: Arc<Compilation>,
    sleeper: Arc<Sleeper>,
}

impl Waiting {
    /// To be made under the lock of [`Lazy::compiling`], or before the compilation begins.
    pub fn new(compilation: Arc<Compilation>) -> Self {
        let sleeper = Arc::new(Sleeper::new());
        compilation.waiters.lock().push(sleeper.clone());
        Self { compilation, sleeper }
    }

    /// Sleeps until it is over, well or not; false where `sleep` says that it was to sleep no longer.
    pub fn wait(&self, lazy: &Lazy, sleep: &mut Sleep<'_>) -> bool {
        while !self.compilation.done.load(Ordering::SeqCst) {
            if !sleep(&self.sleeper, None) {
                let _compiling = lazy.compiling.lock();
                self.compilation.waiters.lock().retain(|other| !Arc::ptr_eq(other, &self.sleeper));
                return false;
            }
        }
        true
    }
}

/// A function that this thread alone compiles, until this value is dropped; then those who waited look again.
pub(super) struct Claim<'a> {
    pub lazy: &'a Lazy,
    pub func: DefinedFuncIndex,
    pub compilation: Arc<Compilation>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut compiling = self.lazy.compiling.lock();
        if compiling.functions.get(&self.func.0).is_some_and(|ours| Arc::ptr_eq(ours, &self.compilation)) {
            compiling.functions.remove(&self.func.0);
        }
        self.compilation.done.store(true, Ordering::SeqCst);
        self.compilation.waiters.lock().iter().for_each(|sleeper| sleeper.wake());
    }
}
