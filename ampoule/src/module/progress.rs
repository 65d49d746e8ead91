//! How far a module has been compiled for the cache, where that takes longer than a process lives.
//!
//! All of a module's functions make an entry of the cache. Until they are there, those that are go to an entry of their own ([`Cache::store_part`]) from
//! time to time, and the next process goes on from it. What it finds there it uses at once, in place of baseline code.
//!
//! Functions are compiled in the order in which they are of use: what the engine has optimized because it runs often is taken as it is; then
//! come functions in the order of their first calls, then the others, and those last that take long by themselves, the shortest first. So even a
//! process that ends soon leaves behind what the next one like it needs first.

use crate::engine::cache::{Cache, Key, Part};
use crate::module::code_table::{CompileFn, Wanted, compile_one};
use ampoule_core::artifact::CompiledFunction;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::late::Late;
use ampoule_machine::code::CodeError;
use ampoule_machine::os::sync::Mutex;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long functions are compiled before the first are saved. From then on they are whenever it was twice as long as the last time: writing takes time
/// in proportion to that of compiling.
const FIRST_SAVE: Duration = Duration::from_millis(20);

/// Length of a body from which on it is compiled last.
const LONG_BODY: u64 = 32 << 10;

/// See the module.
pub(crate) struct Progress {
    /// What processes before have left.
    found: Option<Found>,
    state: Mutex<State>,
}

struct Found {
    part: Part,
    /// Where each function is in it.
    functions: HashMap<u32, Range<usize>>,
}

#[derive(Default)]
struct State {
    /// Functions that were compiled by this process, encoded.
    made: HashMap<u32, Arc<[u8]>>,
    /// Functions that were called for the first time.
    called: VecDeque<u32>,
    /// The module is in the cache, or nobody brings it there.
    is_over: bool,
}

impl Progress {
    /// Goes on from what processes before have left in the cache.
    pub fn from(cache: &Cache, key: &Key) -> Self {
        Self { found: cache.load_part(key).and_then(Found::read), state: Mutex::default() }
    }

    /// A function that is about to be called for the first time, if it was compiled already.
    pub fn at_first_call(&self, func: DefinedFuncIndex) -> Option<CompiledFunction> {
        let function = self.function(func);
        let mut state = self.state.lock();
        if function.is_none() && !state.is_over {
            state.called.push_back(func.0);
        }
        function
    }

    /// Whether a function was compiled.
    fn has(&self, func: DefinedFuncIndex) -> bool {
        self.found.as_ref().is_some_and(|found| found.functions.contains_key(&func.0))
            || self.state.lock().made.contains_key(&func.0)
    }

    /// A function, if it was compiled.
    pub fn function(&self, func: DefinedFuncIndex) -> Option<CompiledFunction> {
        let decode = |bytes: &[u8]| postcard::from_bytes(bytes).ok();
        if let Some(bytes) = self.found.as_ref().and_then(|found| found.bytes(func.0)) {
            return decode(bytes);
        }
        let made = self.state.lock().made.get(&func.0).cloned();
        made.and_then(|bytes| decode(&bytes))
    }

    /// Notes a function that was compiled. One that can't be encoded is compiled again.
    pub fn add(&self, func: DefinedFuncIndex, function: &CompiledFunction) {
        let Ok(bytes) = postcard::to_allocvec(function) else { return };
        let mut state = self.state.lock();
        if !state.is_over {
            state.made.insert(func.0, bytes.into());
        }
    }

    /// Compiles all functions that are not there, in which others may be called meanwhile, and has what is there saved from time to time.
    ///
    /// # Errors
    /// What the compiler says of a function that it refuses.
    pub fn complete(
        &self,
        bodies: &Late<Range<u64>>,
        compile: &CompileFn,
        mut save: impl FnMut(&[u8]),
    ) -> Result<Vec<CompiledFunction>, CodeError> {
        let (begin, mut saved) = (Instant::now(), Duration::ZERO);
        let mut order = Order::of(bodies);
        while let Some(func) = order.next(|| self.state.lock().called.pop_front()) {
            if self.has(func) {
                continue;
            }
            self.add(func, &compile_one(func, Wanted::ForGood, compile)?);
            if begin.elapsed() >= FIRST_SAVE.max(2 * saved) {
                save(&self.encoded()?);
                saved = begin.elapsed();
            }
        }
        let all = (0..bodies.len() as u32).map(DefinedFuncIndex);
        all.map(|func| self.function(func).map_or_else(|| compile_one(func, Wanted::ForGood, compile), Ok)).collect()
    }

    /// Keeps nothing any more: the module is in the cache, or won't come there.
    pub fn end(&self) {
        *self.state.lock() = State { is_over: true, ..State::default() };
    }

    /// All functions there are.
    fn encoded(&self) -> Result<Vec<u8>, CodeError> {
        // Guests that call something for the first time don't wait for this.
        let made: Vec<_> = self.state.lock().made.iter().map(|(&func, bytes)| (func, bytes.clone())).collect();
        let found = self.found.iter().flat_map(|found| {
            let funcs = found.functions.keys();
            funcs.filter_map(|&func| Some((func, found.bytes(func)?)))
        });
        // Of a function that is in both, the latter counts.
        let all: Vec<(u32, &[u8])> = found.chain(made.iter().map(|(func, bytes)| (*func, &**bytes))).collect();
        postcard::to_allocvec(&all).map_err(|error| CodeError::Artifact(error.to_string()))
    }
}

impl Found {
    /// `None` where it isn't what [`Progress::encoded`] wrote.
    fn read(part: Part) -> Option<Self> {
        let bytes = part.bytes();
        let list: Vec<(u32, &[u8])> = postcard::from_bytes(bytes).ok()?;
        let place = |piece: &[u8]| {
            let start = piece.as_ptr().addr() - bytes.as_ptr().addr();
            start..start + piece.len()
        };
        let functions = list.into_iter().map(|(func, piece)| (func, place(piece))).collect();
        Some(Self { part, functions })
    }

    fn bytes(&self, func: u32) -> Option<&[u8]> {
        self.part.bytes().get(self.functions.get(&func)?.clone())
    }
}

/// In which order functions are compiled.
struct Order {
    is_long: Vec<bool>,
    short: Range<u32>,
    /// Of the long ones, the shortest last.
    long: Vec<u32>,
}

impl Order {
    fn of(bodies: &Late<Range<u64>>) -> Self {
        let len = |func: u32| bodies[func as usize].end - bodies[func as usize].start;
        let all = 0..bodies.len() as u32;
        let is_long: Vec<bool> = all.clone().map(|func| len(func) >= LONG_BODY).collect();
        let mut long: Vec<u32> = all.clone().filter(|&func| is_long[func as usize]).collect();
        long.sort_by_key(|&func| std::cmp::Reverse(len(func)));
        Self { is_long, short: all, long }
    }

    /// The next; some come twice.
    fn next(&mut self, mut called: impl FnMut() -> Option<u32>) -> Option<DefinedFuncIndex> {
        let called = std::iter::from_fn(&mut called);
        let mut short = called.chain(&mut self.short).filter(|&func| !self.is_long[func as usize]);
        short.next().or_else(|| self.long.pop()).map(DefinedFuncIndex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cache::config::CacheConfig;
    use std::path::PathBuf;

    /// A cache in a folder of its own, deleted at the end.
    struct Scratch(PathBuf, Cache);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("ampoule-progress-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            let cache = Cache::new(CacheConfig { directory: Some(path.clone()), ..CacheConfig::default() }).unwrap();
            Self(path, cache)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn key() -> Key {
        Cache::key(b"", &[], b"a module")
    }

    /// Bodies of these lengths.
    fn bodies(lens: impl IntoIterator<Item = u64>) -> Late<Range<u64>> {
        lens.into_iter().map(|len| 100..100 + len).collect::<Vec<_>>().into()
    }

    /// Code that tells which function it is.
    fn code(func: DefinedFuncIndex) -> CompiledFunction {
        CompiledFunction { code: vec![func.0 as u8], ..CompiledFunction::default() }
    }

    fn is_of(function: &CompiledFunction, func: u32) -> bool {
        function.code == [func as u8]
    }

    /// Compiles so many functions, each in a moment, and then refuses. Gives which, and whether all are there.
    fn complete(progress: &Progress, bodies: &Late<Range<u64>>, cache: &Cache, most: usize) -> (Vec<u32>, bool) {
        let compiled = Arc::new(Mutex::new(Vec::new()));
        let noted = compiled.clone();
        let compile: Box<CompileFn> = Box::new(move |func, _| {
            if noted.lock().len() == most {
                return Err("no more".to_string());
            }
            noted.lock().push(func.0);
            std::thread::sleep(Duration::from_millis(3));
            Ok(code(func))
        });
        let all = progress.complete(bodies, &*compile, |part| cache.store_part(&key(), part));
        let is_whole = all.is_ok();
        if let Ok(all) = all {
            assert!(all.len() == bodies.len() && (0..).zip(&all).all(|(func, function)| is_of(function, func)));
        }
        (compiled.lock().clone(), is_whole)
    }

    #[test]
    fn what_was_saved_is_not_compiled_again() {
        let scratch = Scratch::new("saved");
        let bodies = bodies([10; 60]);
        let (mut known, mut compiled) = (0, 0);
        for most in [20, 20, 60] {
            let progress = Progress::from(&scratch.1, &key());
            let has: Vec<u32> = (0..60).filter(|&func| progress.has(DefinedFuncIndex(func))).collect();
            assert!(has.len() >= known && has.len() <= compiled, "{has:?}");
            // At least half of the time's work.
            assert!(has.len() >= known + (compiled - known) / 4, "{} of {compiled} were saved", has.len());
            assert!(has.iter().all(|&func| is_of(&progress.function(DefinedFuncIndex(func)).unwrap(), func)));
            let (made, is_whole) = complete(&progress, &bodies, &scratch.1, most);
            assert!(made.iter().all(|func| !has.contains(func)), "{made:?} {has:?}");
            assert_eq!(is_whole, most == 60);
            (known, compiled) = (has.len(), has.len() + made.len());
        }
        assert_eq!(compiled, 60);
    }

    #[test]
    fn what_is_called_is_compiled_first_and_what_takes_long_last() {
        let scratch = Scratch::new("order");
        let progress = Progress::from(&scratch.1, &key());
        let lens = [10, 2 * LONG_BODY, 10, LONG_BODY, 10, 10];
        // The engine has optimized one already.
        progress.add(DefinedFuncIndex(2), &code(DefinedFuncIndex(2)));
        for func in [3, 5, 4] {
            assert!(progress.at_first_call(DefinedFuncIndex(func)).is_none());
        }
        assert!(is_of(&progress.at_first_call(DefinedFuncIndex(2)).unwrap(), 2));
        assert_eq!(complete(&progress, &bodies(lens), &scratch.1, 6), (vec![5, 4, 0, 3, 1], true));
        assert!(is_of(&progress.at_first_call(DefinedFuncIndex(0)).unwrap(), 0));
        progress.end();
        assert!(progress.at_first_call(DefinedFuncIndex(0)).is_none());
        progress.add(DefinedFuncIndex(0), &code(DefinedFuncIndex(0)));
        assert!(progress.function(DefinedFuncIndex(0)).is_none() && progress.state.lock().called.is_empty());
    }

    #[test]
    fn a_damaged_part_is_as_good_as_none() {
        let scratch = Scratch::new("damaged");
        let progress = Progress::from(&scratch.1, &key());
        progress.add(DefinedFuncIndex(1), &code(DefinedFuncIndex(1)));
        let good = progress.encoded().unwrap();
        let has_it = || Progress::from(&scratch.1, &key()).function(DefinedFuncIndex(1)).is_some();
        scratch.1.store_part(&key(), &good);
        assert!(has_it());
        // What is no list, and a list whose function is cut short.
        for bad in [&good[..good.len() - 1], b"", &[1, 1, 1, 0]] {
            scratch.1.store_part(&key(), bad);
            assert!(!has_it());
        }
        scratch.1.store_part(&key(), &good);
        let file = std::fs::read_dir(scratch.0.join("modules")).unwrap().next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[3] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert!(!has_it() && !file.exists());
    }
}
