//! The code of one module: where each function is, and how it gets there.
//!
//! A module's code is made in one of two ways.
//!
//! * **Lazily** ([`ModuleCode::lazy`]): each function begins as a stub that compiles it at its first call. The function's address
//!   is then stored in one word, through which the stub jumps from then on; no code is changed once it may run. Better code may follow
//!   ([`tiering`]), whose address replaces the first, which is given back when nobody runs it ([`reclaim`]). Functions compiled later call code
//!   directly that won't be replaced, and references come to lead there ([`references`]).
//! * **At once** ([`ModuleCode::linked`], and artifacts): everything is there, all calls are direct, and there are no stubs.

mod claims;
mod infos;
mod place;
mod profile;
mod reclaim;
mod references;
mod tiering;
mod used_by;

use crate::engine::COMPILER_STACK;
use crate::engine::budget::Budget;
use crate::engine::code_memory::CodeMemory;
use crate::engine::optimizer::TierUp;
use ampoule_core::artifact::{CompiledFunction, FunctionInfo};
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::Tier;
use ampoule_core::words::Words;
use ampoule_machine::arch::jumps::{self, HEAD_LEN, JUMPS_LEN, MODULE_SLOT, STUB_JUMP_LEN, STUB_LEN};
use ampoule_machine::code::link::Text;
use ampoule_machine::code::space::{REGION_MAX, Region};
use ampoule_machine::code::{CodeError, registry};
use ampoule_machine::fiber::with_stack;
use ampoule_machine::os::mmap::PAGE;
use ampoule_machine::os::signals;
use ampoule_machine::os::sleeper::{Sleep, Sleeper};
use ampoule_machine::os::sync::{Mutex, OnceLock};
use claims::{Claim, Compilation, Compiling, Role, Waiting};
use infos::Infos;
use place::{Place, Use};
pub use profile::Profile;
use references::References;
use std::any::Any;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use tiering::Tiering;
use used_by::UsedBy;

/// Compiles one function; an error is in words.
pub type CompileFn = dyn Fn(DefinedFuncIndex, Wanted<'_>) -> Result<CompiledFunction, String> + Send + Sync;

/// What code of a function is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// For its first call. Where there is a profile, better code may follow, if this is the baseline tier's, which notes there how often it runs.
    AtFirst(Option<&'a Profile>),
    /// The same, by a compiler that takes one pass over it, or not at all.
    AtOnce(Option<&'a Profile>),
    /// Code that it keeps, however much that costs to make.
    ForGood,
    /// Code that it keeps in place of that which it has, unless that costs too much to make.
    Better(&'a Profile),
    /// Code that goes on from this loop, in the place of the first.
    FromLoop(u32, &'a Profile),
}

/// By whom a function is compiled that is called for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// The thread that calls it.
    ThisThread,
    /// The thread that calls it, where a compiler takes one pass over the function. Another, where none does.
    ThisThreadAtOnce,
    /// A thread of its own.
    Another,
}

/// Reads what is known of a function, for code that came without it in memory; `None` where it can't be read any more.
pub type ReadInfoFn = dyn Fn(DefinedFuncIndex) -> Option<FunctionInfo> + Send + Sync;

/// Is told of a module's code. Dropped while the code is still there.
pub trait Watcher: Send + Sync {
    /// A piece was placed at `address`, and runs after this.
    fn placed(&self, piece: Piece, address: usize, bytes: &[u8], info: &dyn Fn() -> Arc<FunctionInfo>);
}

/// A place in a module's code.
#[derive(Debug)]
pub struct Found {
    /// Whose code it is.
    pub func: DefinedFuncIndex,
    /// Bytes from the start of that.
    pub offset: u32,
    /// What is known of that; `None` where the artifact it came from was damaged.
    pub info: Option<Arc<FunctionInfo>>,
}

/// What a piece of a module's code is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// A function.
    Func(DefinedFuncIndex),
    /// Jumps to builtins, at the start of a region.
    Jumps,
    /// The stubs of functions that are compiled at their first call.
    Stubs,
}

/// The code of one module.
///
/// 1. The addresses given out ([`ModuleCode::entry`], and every pointer in machine code) are good as long as this value lives.
/// 2. Its regions are registered from before their code can run until the value is dropped.
/// 3. A function's address word leads to its newest code: see [`ModuleCode::publish`].
pub struct ModuleCode {
    /// How many functions come before the module's own in its index space.
    imported: usize,
    /// Before the region, so that it is dropped first.
    watcher: OnceLock<Box<dyn Watcher>>,
    region: Region,
    functions: Functions,
    /// Where its bytes are counted.
    memory: Arc<CodeMemory>,
    /// In whose budget those count that are compiled while it runs.
    used_by: UsedBy,
    owner: OnceLock<Weak<dyn Any + Send + Sync>>,
    this: Weak<ModuleCode>,
}

enum Functions {
    Lazy(Box<Lazy>),
    Linked(Linked),
}

struct Lazy {
    compile: Box<CompileFn>,
    /// Where the words with the functions' addresses start in the region. A function without code has the address of what compiles it there.
    slots: usize,
    references: References,
    /// The addresses of what functions keep for good, and what else is known of that: [`NOTHING_YET`], [`NOTHING_BETTER`].
    kept: Box<[AtomicUsize]>,
    /// Where better code may follow.
    tiering: Option<Box<Tiering>>,
    compiling: Mutex<Compiling>,
    place: Mutex<Place>,
}

/// The function has no code that it keeps, yet.
const NOTHING_YET: usize = 0;
/// What replaces the first code was too much to make.
const NOTHING_BETTER: usize = 1;

struct Linked {
    text_len: usize,
    /// Where each function starts behind the head, ascending.
    starts: Words<u32>,
    infos: Infos,
}

impl ModuleCode {
    /// Code of `count` functions that compiles each at its first call. `imported` functions come before them in the module's
    /// index space. `capacity` is a guess, in bytes, of the room all code together needs: that many addresses are reserved, which
    /// cost nothing, and more when they are used up. With `up`, the first code is replaced where it runs often. References are made to `referred`.
    ///
    /// `compile` may be called from any thread that runs the module, several at a time, but for one function by one at a time. Where there is more
    /// code in `memory` than there should be, first code that is to be replaced is taken out of use, and made again when it is called.
    ///
    /// # Errors
    /// Where code memory has run out.
    pub fn lazy(
        memory: &Arc<CodeMemory>,
        count: usize,
        imported: usize,
        capacity: usize,
        referred: Vec<DefinedFuncIndex>,
        up: Option<&TierUp>,
        compile: Box<CompileFn>,
    ) -> Result<Arc<Self>, CodeError> {
        let stubs = HEAD_LEN;
        let stubs_end = stubs + count * STUB_LEN;
        let slots = (stubs_end + References::stubs_len(&referred)).next_multiple_of(PAGE);
        let references = References::new(referred, stubs_end, slots + count * 8);
        let code = references.slots().end.next_multiple_of(PAGE);
        let region = Region::new(code.saturating_add(capacity).min(REGION_MAX)).map_err(CodeError::no_memory)?;
        let functions = (0..count).map(|number| DefinedFuncIndex(number as u32));
        let lazy_halves =
            functions.chain(references.functions()).flat_map(|func| (compiles_at(&region, func) as u64).to_le_bytes());
        region.write(0, &jumps::head()).map_err(CodeError::no_memory)?;
        region.write(stubs, &jumps::stubs(count, stubs, slots)).map_err(CodeError::no_memory)?;
        region.write(stubs_end, &references.stubs()).map_err(CodeError::no_memory)?;
        region.write(slots, &lazy_halves.collect::<Vec<u8>>()).map_err(CodeError::no_memory)?;
        region.seal(0..JUMPS_LEN).map_err(CodeError::no_memory)?;
        region.seal(stubs..slots).map_err(CodeError::no_memory)?;
        let functions = Functions::Lazy(Box::new(Lazy {
            compile,
            slots,
            references,
            kept: std::iter::repeat_with(|| AtomicUsize::new(NOTHING_YET)).take(count).collect(),
            tiering: up.map(|up| Box::new(Tiering::new(count, up))),
            compiling: Mutex::default(),
            place: Mutex::new(Place::new(code)),
        }));
        let code = Self::registered(memory, imported, region, functions);
        if up.is_some() {
            let reclaimed: Weak<ModuleCode> = Arc::downgrade(&code);
            memory.add_code(reclaimed);
        }
        Ok(code)
    }

    /// The code of a module that was compiled and linked as a whole.
    ///
    /// # Errors
    /// Where code memory has run out.
    pub fn linked(memory: &Arc<CodeMemory>, text: Text, imported: usize) -> Result<Arc<Self>, CodeError> {
        let region = Region::new(HEAD_LEN + text.bytes.len()).map_err(CodeError::no_memory)?;
        region.write(0, &jumps::head()).map_err(CodeError::no_memory)?;
        region.write(HEAD_LEN, &text.bytes).map_err(CodeError::no_memory)?;
        region.seal(0..JUMPS_LEN).map_err(CodeError::no_memory)?;
        region.seal(HEAD_LEN..HEAD_LEN + text.bytes.len()).map_err(CodeError::no_memory)?;
        let linked = Linked { text_len: text.bytes.len(), starts: text.starts, infos: Infos::known(text.infos) };
        Ok(Self::registered(memory, imported, region, Functions::Linked(linked)))
    }

    /// As [`ModuleCode::linked`], with the code put behind the region's head by `place`, and the rest read when asked for.
    /// `starts` ascend and lie within `text_len`.
    pub(crate) fn linked_by(
        memory: &Arc<CodeMemory>,
        text_len: usize,
        starts: Words<u32>,
        imported: usize,
        read_info: Box<ReadInfoFn>,
        place: impl FnOnce(&Region) -> io::Result<()>,
    ) -> Result<Arc<Self>, CodeError> {
        let region = Region::new(HEAD_LEN + text_len).map_err(CodeError::no_memory)?;
        region.write(0, &jumps::head()).map_err(CodeError::no_memory)?;
        place(&region).map_err(CodeError::no_memory)?;
        region.seal(0..JUMPS_LEN).map_err(CodeError::no_memory)?;
        region.seal(HEAD_LEN..HEAD_LEN + text_len).map_err(CodeError::no_memory)?;
        let infos = Infos::read_by(read_info, starts.len());
        let linked = Linked { text_len, starts, infos };
        Ok(Self::registered(memory, imported, region, Functions::Linked(linked)))
    }

    fn registered(memory: &Arc<CodeMemory>, imported: usize, region: Region, functions: Functions) -> Arc<Self> {
        let range = region.exec_range();
        if let Functions::Linked(linked) = &functions {
            memory.add(linked.text_len, true);
        }
        let code = Arc::new_cyclic(|this| ModuleCode {
            imported,
            watcher: OnceLock::new(),
            region,
            functions,
            memory: memory.clone(),
            used_by: UsedBy::default(),
            owner: OnceLock::new(),
            this: this.clone(),
        });
        code.region.word(MODULE_SLOT).store(Arc::as_ptr(&code) as u64, Ordering::Release);
        let owner: Weak<ModuleCode> = Arc::downgrade(&code);
        registry::register(range, owner);
        code
    }

    /// Notes what this code belongs to, for those who find it by a program counter. The first call counts.
    pub fn set_owner(&self, owner: Weak<dyn Any + Send + Sync>) {
        // A second owner would be a mistake of ours that costs a backtrace its names, nothing more.
        let _ = self.owner.set(owner);
    }

    /// A store is to have an instance, and has this budget: what is compiled counts there, unless another store has had one.
    pub fn note_instance(&self, store: u64, budget: Option<&Budget>) {
        self.used_by.note_instance(store, budget);
    }

    /// A store that has a budget has no instance any more.
    pub fn note_no_instance(&self, store: u64) {
        self.used_by.note_none(store);
    }

    /// Lets someone be told of all code there is, and of what will come. To be called once, before the code is used.
    pub fn watch(&self, watcher: Box<dyn Watcher>) {
        let base = self.region.exec_base();
        let no_info = || Arc::new(FunctionInfo::default());
        // SAFETY: what is at these places is written before the code is given out, and never again.
        let bytes = |range: Range<usize>| unsafe { self.region.bytes(range) };
        watcher.placed(Piece::Jumps, base, bytes(0..JUMPS_LEN), &no_info);
        match &self.functions {
            Functions::Lazy(lazy) => {
                let stubs = HEAD_LEN..lazy.references.stubs_end();
                watcher.placed(Piece::Stubs, base + stubs.start, bytes(stubs), &no_info);
            }
            Functions::Linked(linked) => {
                for func in (0..self.len() as u32).map(DefinedFuncIndex) {
                    let Range { start, end } = linked.span(func);
                    let info = || linked.infos.get(func).cloned().unwrap_or_default();
                    watcher.placed(
                        Piece::Func(func),
                        base + HEAD_LEN + start,
                        bytes(HEAD_LEN + start..HEAD_LEN + end),
                        &info,
                    );
                }
            }
        }
        // A second watcher would be a mistake of ours that costs a profile names, nothing more.
        let _ = self.watcher.set(watcher);
    }

    /// What this code belongs to, if it was told and is still there.
    pub fn owner(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.owner.get()?.upgrade()
    }

    /// Where a function is called directly: its code, or its stub while it has none that it keeps. Good for the life of the module's code.
    pub fn entry(&self, func: DefinedFuncIndex) -> *const u8 {
        let address = match &self.functions {
            Functions::Lazy(lazy) => lazy.kept(func).unwrap_or_else(|| self.stub(func)),
            Functions::Linked(linked) => self.region.exec_base() + HEAD_LEN + linked.span(func).start,
        };
        address as *const u8
    }

    /// Whether a function has code, so that a call does not have to wait for it.
    pub fn is_compiled(&self, func: DefinedFuncIndex) -> bool {
        match &self.functions {
            Functions::Lazy(lazy) => self.current(lazy, func).is_some(),
            Functions::Linked(_) => true,
        }
    }

    /// What lies at `pc`, if it is code of a function.
    pub fn find(&self, pc: usize) -> Option<Found> {
        match &self.functions {
            Functions::Lazy(lazy) => {
                let place = lazy.place.lock();
                let placed = place.at(pc)?;
                let offset = (pc - placed.address) as u32;
                Some(Found { func: placed.func, offset, info: Some(placed.info.clone()) })
            }
            Functions::Linked(linked) => {
                let offset = pc.checked_sub(self.region.exec_base() + HEAD_LEN)?;
                let after = linked.starts.partition_point(|start| start as usize <= offset);
                let func = DefinedFuncIndex(after.checked_sub(1)? as u32);
                let span = linked.span(func);
                let info = || linked.infos.get(func).cloned();
                span.contains(&offset).then(|| Found { func, offset: (offset - span.start) as u32, info: info() })
            }
        }
    }

    /// Whether `pc` is in one of the regions this code lies in.
    pub fn contains(&self, pc: usize) -> bool {
        let more = || match &self.functions {
            Functions::Lazy(lazy) => lazy.place.lock().more().any(|region| region.exec_range().contains(&pc)),
            Functions::Linked(_) => false,
        };
        self.region.exec_range().contains(&pc) || more()
    }

    /// The addresses of the first region. A lazily compiled module whose machine code is unusually large may have more, which only
    /// [`ModuleCode::contains`] knows.
    pub fn range(&self) -> Range<usize> {
        self.region.exec_range()
    }

    /// How many functions the module has of its own.
    pub fn len(&self) -> usize {
        match &self.functions {
            Functions::Lazy(lazy) => lazy.kept.len(),
            Functions::Linked(linked) => linked.starts.len(),
        }
    }

    /// Whether the module has no functions of its own.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code of the whole module as an artifact keeps it. A module that is compiled lazily is compiled as a whole for this, on
    /// all cores where `parallel`.
    ///
    /// # Errors
    /// What the compiler says of a function that it refuses.
    pub fn text(&self, parallel: bool) -> Result<Text, CodeError> {
        match &self.functions {
            Functions::Lazy(lazy) => Text::link(compile_all(self.len(), parallel, &*lazy.compile)?, self.imported),
            Functions::Linked(linked) => {
                // SAFETY: linked code is never written again.
                let bytes = unsafe { self.region.bytes(HEAD_LEN..HEAD_LEN + linked.text_len) }.to_vec();
                let all = (0..self.len() as u32).map(DefinedFuncIndex);
                let infos = all.map(|func| linked.infos.get(func).map(|info| FunctionInfo::clone(info)));
                let infos = infos.collect::<Option<_>>().ok_or_else(damaged)?;
                Ok(Text { bytes, starts: linked.starts.clone(), infos })
            }
        }
    }

    /// Makes sure that a function is compiled, and answers where its code is. Where that is not what [`ModuleCode::entry`] answers then, it is
    /// good only for a guest that goes on there at once.
    ///
    /// When another thread is compiling it, waits for that one. May be called where little stack is left.
    ///
    /// # Errors
    /// What the compiler says, or that code memory has run out. A later call tries again.
    pub fn compile(&self, func: DefinedFuncIndex) -> Result<usize, CodeError> {
        let uninterrupted = &mut |sleeper: &Sleeper, timeout| {
            sleeper.sleep(timeout);
            true
        };
        self.compile_or_leave(func, By::ThisThread, uninterrupted)
            .map(|address| address.expect("it is waited for to the end"))
    }

    /// As [`ModuleCode::compile`], for a thread that must not wait longer than `sleep` says; `None` where it was to sleep no longer. Another thread that
    /// compiles the function goes on then.
    ///
    /// # Errors
    /// As [`ModuleCode::compile`].
    pub fn compile_or_leave(
        &self,
        func: DefinedFuncIndex,
        mut by: By,
        sleep: &mut Sleep<'_>,
    ) -> Result<Option<usize>, CodeError> {
        let Functions::Lazy(lazy) = &self.functions else { return Ok(Some(self.entry(func).addr())) };
        loop {
            if let Some(address) = self.current(lazy, func) {
                return Ok(Some(address));
            }
            let role =
                lazy.compiling.lock().join_or_begin(|| self.current(lazy, func).is_some(), func, by == By::Another);
            match role {
                Role::Waits(waiting) => {
                    if !waiting.wait(lazy, sleep) {
                        return Ok(None);
                    }
                }
                Role::Compiles(compilation) if by == By::Another => {
                    let waiting = Waiting::new(compilation.clone());
                    self.compile_in_background(func, compilation);
                    if !waiting.wait(lazy, sleep) {
                        return Ok(None);
                    }
                    if let Some(error) = waiting.compilation.error.lock().take() {
                        return Err(error);
                    }
                }
                Role::Compiles(compilation) => {
                    let _claim = Claim { lazy, func, compilation };
                    let at_once = by == By::ThisThreadAtOnce;
                    // Also for what is noted of the code.
                    match with_stack(COMPILER_STACK, || self.compile_claimed(lazy, func, at_once)) {
                        // The other thread says what is wrong, if it can't do it either.
                        Err(CodeError::Compile(_)) if by == By::ThisThreadAtOnce => by = By::Another,
                        result => return result.map(Some),
                    }
                }
            }
        }
    }

    /// Has a function compiled by a thread of its own, or by this one where none can be made.
    fn compile_in_background(&self, func: DefinedFuncIndex, compilation: Arc<Compilation>) {
        // It may go on when everybody else is done with the module.
        let this = self.this.upgrade().expect("whoever uses the code holds it");
        let run = move || {
            let Functions::Lazy(lazy) = &this.functions else { unreachable!("only lazy code is compiled") };
            let claim = Claim { lazy, func, compilation };
            let error = this.compile_claimed(lazy, func, false).err();
            *claim.compilation.error.lock() = error;
        };
        // In a cell, so that it is still here where no thread took it.
        let run = Arc::new(Mutex::new(Some(run)));
        let of_thread = run.clone();
        let builder = std::thread::Builder::new().name("ampoule-compile".to_string()).stack_size(2 * COMPILER_STACK);
        // The host's signals are for the host's threads.
        let spawned = signals::with_all_blocked(|| {
            builder.spawn(move || {
                let run = of_thread.lock().take();
                run.expect("taken once")();
            })
        });
        if spawned.is_err()
            && let Some(run) = { run.lock().take() }
        {
            run();
        }
    }

    /// What whoever has claimed a function does.
    fn compile_claimed(&self, lazy: &Lazy, func: DefinedFuncIndex, at_once: bool) -> Result<usize, CodeError> {
        let profile = lazy.tiering.as_deref().map(|tiering| &tiering.profile);
        if let Some(profile) = profile {
            profile.note_called(func);
        }
        let wanted = if at_once { Wanted::AtOnce(profile) } else { Wanted::AtFirst(profile) };
        let function = compile_one(func, wanted, &*lazy.compile)?;
        // The baseline tier leaves functions to the other.
        let is_kept = lazy.tiering.is_none() || function.tier == Tier::Optimizing;
        let placed = self.place(lazy, func, function, if is_kept { Use::Kept } else { Use::First })?;
        if is_kept {
            lazy.kept[func.index()].store(placed.address, Ordering::Release);
        }
        Ok(self.publish(lazy, func, Some(placed.address)))
    }

    /// Lets calls reach the newest code of a function. `first` was just placed as such, and is what is called where nothing else is. Answers what is.
    fn publish(&self, lazy: &Lazy, func: DefinedFuncIndex, first: Option<usize>) -> usize {
        // One at a time: whoever is last finds what all before have made.
        let mut place = lazy.place.lock();
        let slot = self.slot(lazy, func);
        let before = slot.load(Ordering::Acquire) as usize;
        let newest = lazy.kept(func).or(first).unwrap_or(before);
        slot.store(newest as u64, Ordering::Release);
        self.lead_references(lazy, func, newest);
        for replaced in [Some(before), first].into_iter().flatten().filter(|&code| code != newest) {
            self.replaced(&mut place, replaced);
        }
        newest
    }

    /// Where a function's address is.
    fn slot(&self, lazy: &Lazy, func: DefinedFuncIndex) -> &AtomicU64 {
        self.region.word(lazy.slots + func.index() * 8)
    }

    /// The code that calls of a function reach, if it has any.
    fn current(&self, lazy: &Lazy, func: DefinedFuncIndex) -> Option<usize> {
        let address = self.slot(lazy, func).load(Ordering::Acquire) as usize;
        (address != compiles_at(&self.region, func)).then_some(address)
    }

    /// The function whose stub is at this address, or that of references to it; `None` where none is.
    pub fn func_of_stub(&self, address: usize) -> Option<DefinedFuncIndex> {
        let Functions::Lazy(lazy) = &self.functions else { return None };
        let offset = address.checked_sub(self.region.exec_base())?;
        let number = offset.checked_sub(HEAD_LEN)? / STUB_LEN;
        let func = (number < lazy.kept.len()).then_some(DefinedFuncIndex(number as u32));
        func.or_else(|| lazy.references.func_of_stub(offset))
    }

    fn stub(&self, func: DefinedFuncIndex) -> usize {
        self.region.exec_base() + HEAD_LEN + func.index() * STUB_LEN
    }
}

/// Where a function's stub goes on that has no code.
fn compiles_at(region: &Region, func: DefinedFuncIndex) -> usize {
    region.exec_base() + HEAD_LEN + func.index() * STUB_LEN + STUB_JUMP_LEN
}

impl Drop for ModuleCode {
    fn drop(&mut self) {
        registry::unregister(self.region.exec_range());
        match &self.functions {
            Functions::Lazy(lazy) => {
                let place = lazy.place.lock();
                self.memory.forget(self.region.exec_range());
                for region in place.more() {
                    registry::unregister(region.exec_range());
                    self.memory.forget(region.exec_range());
                }
                place.pieces().for_each(|piece| self.memory.remove(piece.len, piece.use_ == Use::Kept));
            }
            Functions::Linked(linked) => self.memory.remove(linked.text_len, true),
        }
    }
}

impl Lazy {
    /// Where the code is that a function keeps.
    fn kept(&self, func: DefinedFuncIndex) -> Option<usize> {
        let kept = self.kept[func.index()].load(Ordering::Acquire);
        (kept > NOTHING_BETTER).then_some(kept)
    }
}

impl Linked {
    /// Where a function lies behind the head, with what fills the space up to the next. In the text, whatever an artifact says.
    fn span(&self, func: DefinedFuncIndex) -> Range<usize> {
        let start = |index: usize| self.starts.get(index).map_or(self.text_len, |start| start as usize);
        let end = start(func.index() + 1).min(self.text_len);
        start(func.index()).min(end)..end
    }
}

/// Compiles `count` functions, on all cores where `parallel`.
///
/// # Errors
/// What the compiler says of a function that it refuses.
pub fn compile_all(count: usize, parallel: bool, compile: &CompileFn) -> Result<Vec<CompiledFunction>, CodeError> {
    let compile = |func: usize| compile_one(DefinedFuncIndex(func as u32), Wanted::ForGood, compile);
    // The threads are made with the first who needs them.
    #[cfg(feature = "compiler")]
    if parallel && count > 1 {
        use rayon::prelude::*;
        return crate::engine::parallel::on_all_cores(|| (0..count).into_par_iter().map(compile).collect());
    }
    let _ = parallel;
    (0..count).map(compile).collect()
}

/// Compiles a function, in whatever stack that takes.
///
/// # Errors
/// What the compiler says of a function that it refuses; and that it has panicked.
pub fn compile_one(
    func: DefinedFuncIndex,
    wanted: Wanted<'_>,
    compile: &CompileFn,
) -> Result<CompiledFunction, CodeError> {
    // A panic of the compiler must not cross the guest's frames.
    catch_unwind(AssertUnwindSafe(|| with_stack(COMPILER_STACK, || compile(func, wanted))))
        .unwrap_or_else(|panic| Err(format!("the compiler panicked: {}", panic_message(&*panic))))
        .map_err(CodeError::Compile)
}

/// The words for an artifact that was whole where it was looked at when it was loaded.
pub(crate) fn damaged() -> CodeError {
    CodeError::Artifact("the compiled module is damaged: what is known of its functions can't be read".to_string())
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
