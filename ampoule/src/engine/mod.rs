//! An engine: what stores share. Cheap to clone; every clone is the same engine.

pub mod budget;
#[cfg(feature = "compiler")]
pub mod cache;
pub mod cancel;
pub mod code_memory;
pub(crate) mod config;
pub mod optimizer;
#[cfg(feature = "compiler")]
pub(crate) mod parallel;
pub(crate) mod pool;
pub mod stack_pool;
pub(crate) mod thunks;
pub(crate) mod timer;
mod type_group;
pub(crate) mod type_registry;
pub(crate) mod type_table;
pub(crate) mod watcher;

use crate::engine::code_memory::CodeMemory;
use crate::engine::config::Config;
#[cfg(feature = "compiler")]
use crate::engine::config::Strategy;
#[cfg(feature = "compiler")]
use crate::engine::optimizer::{Optimizer, TierUp};
use crate::engine::pool::Pool;
use crate::engine::stack_pool::StackPool;
use crate::engine::thunks::ArtifactThunks;
use crate::engine::timer::LazyTimer;
use crate::engine::type_registry::{Thunk, Type, TypeRecord, TypeRegistry};
use crate::engine::watcher::LazyWatcher;
use crate::error::{Error, ErrorKind};
use crate::gc::heap::region::RegionCache;
use crate::memory::cache::MemoryCache;
#[cfg(feature = "compiler")]
use ampoule_compiler::{Compilers, new_compilers};
use ampoule_core::artifact::CompiledFunction;
use ampoule_core::tunables::{OptLevel, Tiers, Tunables};
use ampoule_core::types::{CompositeType, FuncType, SubType, TypeId};
use ampoule_machine::builtins::Builtins;
use ampoule_machine::code::space;
use ampoule_machine::code::thunks::ThunkCode;
use ampoule_machine::fiber::with_stack;
use ampoule_machine::os::sleeper::SleeperList;
use ampoule_machine::os::sync::Mutex;
use ampoule_machine::os::{barrier, fork};
use ampoule_machine::profiling::{self, Reporter};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Stack for a compilation.
pub(crate) const COMPILER_STACK: usize = 1 << 20;

/// An engine. Threads may share it.
#[derive(Clone)]
pub struct Engine(Arc<EngineInner>);

pub(crate) struct EngineInner {
    config: Config,
    types: Arc<TypeRegistry>,
    /// Address space of heaps that are gone.
    heap_regions: Arc<RegionCache>,
    epoch: AtomicU64,
    /// Threads whose wait ends at an epoch.
    epoch_sleepers: SleeperList,
    memories: MemoryCache,
    timer: LazyTimer,
    /// Made when a waker is first to be woken for a descriptor.
    watcher: LazyWatcher,
    pool: Option<Pool>,
    /// Tells the profiler of thunks. Before them: it tells that they go before they do.
    profiler: Option<Reporter>,
    stacks: StackPool,
    thunks: Mutex<Thunks>,
    code_memory: Arc<CodeMemory>,
    #[cfg(feature = "compiler")]
    compilers: Compilers,
    /// What its modules want to have optimized.
    #[cfg(feature = "compiler")]
    optimizer: Arc<Optimizer>,
    /// How many functions have been compiled; shared with the closures that compile.
    #[cfg(feature = "compiler")]
    compiled_functions: Arc<AtomicU64>,
}

#[derive(Default)]
struct Thunks {
    code: Option<ThunkCode>,
    /// Kept for the engine's life, so that a type that comes and goes is not compiled again and again.
    made: HashMap<(FuncType, u8), usize>,
    /// Those that loaded modules brought along.
    loaded: Vec<Weak<ArtifactThunks>>,
}

impl Drop for EngineInner {
    fn drop(&mut self) {
        #[cfg(feature = "compiler")]
        self.optimizer.close();
    }
}

impl Engine {
    /// An engine of this configuration, whose guests reach the runtime through `builtins`.
    ///
    /// # Errors
    /// See [`Engine::new`].
    pub(crate) fn with_builtins(config: &Config, builtins: Builtins) -> Result<Self, Error> {
        if config.max_wasm_stack == 0 {
            return Err(Error::new(ErrorKind::Config("max_wasm_stack size cannot be zero".to_string())));
        }
        if config.async_stack_size.is_some_and(|size| config.max_wasm_stack > size) {
            let message = "max_wasm_stack size cannot exceed the async_stack_size";
            return Err(Error::new(ErrorKind::Config(message.to_string())));
        }
        // First: everything else relies on it.
        fork::watch().map_err(|error| Error::new(ErrorKind::System("watching for forks", error)))?;
        if config.tunables.tiers == Tiers::Auto {
            barrier::prepare_if_alone();
        }
        let mut config = config.clone();
        let pool = config.pool.as_ref();
        let Tunables { memory_reservation, memory_guard_size, .. } = config.tunables;
        let pool = pool.map(|pool| Pool::new(pool, memory_reservation, memory_guard_size)).transpose()?;
        if config.tunables.opt_level == OptLevel::None && config.tunables.tiers == Tiers::Auto {
            config.tunables.tiers = Tiers::Baseline;
        }
        if config.host_memories.is_some() {
            // Nothing is known of the address space around the embedder's memories.
            config.tunables.memory_reservation = 0;
            config.tunables.memory_guard_size = 0;
            config.tunables.memory_may_move = true;
            config.memory_init_cow = false;
        }
        let code_memory = CodeMemory::new(config.code_memory);
        #[cfg(feature = "compiler")]
        let optimizer = Optimizer::new(config.tier_up.threads, &code_memory);
        #[cfg(feature = "compiler")]
        let compilers = new_compilers(&config.tunables, &config.cranelift_flags, config.target.as_deref())
            .map_err(|error| Error::new(ErrorKind::Config(error.message().to_string())))?;
        if config.tunables.signals_based_traps {
            ampoule_machine::os::signals::install()
                .map_err(|error| Error::new(ErrorKind::System("installing signal handlers", error)))?;
        }
        let profiler = profiling::agent(config.profiler)
            .map_err(|error| Error::new(ErrorKind::System("starting a profile", error)))?;
        ampoule_machine::builtins::install(builtins);
        if config.native_unwind_info {
            space::describe_frames();
        }
        Ok(Engine(Arc::new(EngineInner {
            types: Arc::new(TypeRegistry::default()),
            heap_regions: Arc::default(),
            epoch: AtomicU64::new(0),
            epoch_sleepers: SleeperList::default(),
            timer: LazyTimer::default(),
            watcher: LazyWatcher::default(),
            memories: MemoryCache::with_limits(Default::default(), config.memory_reservation_for_growth),
            pool,
            stacks: StackPool::new(&config),
            config,
            profiler: profiler.map(Reporter::new),
            thunks: Mutex::default(),
            code_memory,
            #[cfg(feature = "compiler")]
            compilers,
            #[cfg(feature = "compiler")]
            optimizer,
            #[cfg(feature = "compiler")]
            compiled_functions: Arc::default(),
        })))
    }

    /// Refuses a target triple that this library can't compile for, and gives it back otherwise.
    ///
    /// # Errors
    /// Where it isn't known, or not supported.
    #[cfg(feature = "compiler")]
    pub fn check_target(triple: &str) -> Result<String, Error> {
        match new_compilers(&Config::default().tunables, &[], Some(triple)) {
            Ok(_) => Ok(triple.to_string()),
            Err(error) => Err(Error::new(ErrorKind::Config(error.message().to_string()))),
        }
    }

    /// Without a compiler every target is refused.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "compiler"))]
    pub fn check_target(_: &str) -> Result<String, Error> {
        Err(Error::no_compiler())
    }

    /// The choices it was made with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Whether two handles are the same engine.
    pub fn same(&self, other: &Engine) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Moves the epoch on by one. May be called from any thread and from a signal handler.
    pub fn increment_epoch(&self) {
        // In this order: who goes to sleep announces itself, then looks at the epoch.
        let before = self.0.epoch.fetch_add(1, Ordering::SeqCst);
        self.0.epoch_sleepers.wake(before.wrapping_add(1));
    }

    /// The current epoch.
    #[inline]
    pub fn epoch_now(&self) -> u64 {
        // No slower than otherwise: see `increment_epoch`.
        self.0.epoch.load(Ordering::SeqCst)
    }

    /// Where threads announce that they wait for an epoch.
    pub(crate) fn epoch_sleepers(&self) -> &SleeperList {
        &self.0.epoch_sleepers
    }

    pub(crate) fn epoch(&self) -> &AtomicU64 {
        &self.0.epoch
    }

    pub(crate) fn types(&self) -> &Arc<TypeRegistry> {
        &self.0.types
    }

    /// Where heaps get their address space from.
    pub(crate) fn heap_regions(&self) -> &Arc<RegionCache> {
        &self.0.heap_regions
    }

    pub(crate) fn memories(&self) -> &MemoryCache {
        &self.0.memories
    }

    /// Watches the time limits of calls.
    pub(crate) fn timer(&self) -> &LazyTimer {
        &self.0.timer
    }

    /// Wakes hosts for descriptors.
    pub(crate) fn watcher(&self) -> &LazyWatcher {
        &self.0.watcher
    }

    /// The bounds over all stores, if there are any.
    #[inline]
    pub(crate) fn pool(&self) -> Option<&Pool> {
        self.0.pool.as_ref()
    }

    /// Where the memories of instances come from.
    pub(crate) fn instance_memories(&self) -> &MemoryCache {
        self.0.pool.as_ref().map_or(&self.0.memories, Pool::memories)
    }

    pub(crate) fn stacks(&self) -> &StackPool {
        &self.0.stacks
    }

    #[cfg(feature = "compiler")]
    pub(crate) fn compiles_eagerly(&self) -> bool {
        self.0.config.strategy == Strategy::Eager
    }

    #[cfg(feature = "compiler")]
    pub(crate) fn compilers(&self) -> &Compilers {
        &self.0.compilers
    }

    /// How functions of its modules that run often get better code; `None` where they get none.
    #[cfg(feature = "compiler")]
    pub(crate) fn tier_up(&self) -> Option<TierUp> {
        let Config { tunables, tier_up, .. } = &self.0.config;
        let up = || TierUp { after: tier_up.after, optimizer: self.0.optimizer.clone() };
        (tunables.tiers == Tiers::Auto).then(up)
    }

    /// The machine code of its modules.
    pub fn code_memory(&self) -> &Arc<CodeMemory> {
        &self.0.code_memory
    }

    /// How many functions of its modules this engine has compiled so far; grows while a module is compiled.
    #[cfg(feature = "compiler")]
    pub fn compiled_functions(&self) -> u64 {
        self.0.compiled_functions.load(Ordering::Relaxed)
    }

    #[cfg(feature = "compiler")]
    pub(crate) fn compiled_functions_counter(&self) -> &Arc<AtomicU64> {
        &self.0.compiled_functions
    }

    /// Target and CPU features of the code this engine runs, as text that artifacts are compared by.
    /// Empty without a compiler.
    pub fn target(&self) -> &str {
        #[cfg(feature = "compiler")]
        return self.0.compilers.optimizing.target();
        #[cfg(not(feature = "compiler"))]
        ""
    }

    /// The profiler that is told of code, if any.
    pub(crate) fn profiler(&self) -> Option<&Reporter> {
        self.0.profiler.as_ref()
    }

    /// A type of this engine: final, without a super-type, in a recursion group of its own. Equal to what modules declare so. It may name
    /// others by their numbers.
    ///
    /// # Errors
    /// Where it names a type that nothing has any more, a struct has more than 10,000 fields, or the engine has too many types.
    pub fn declare(&self, composite: CompositeType) -> Result<Type, Error> {
        let types = [SubType { is_final: true, supertype: None, composite }];
        let mut types = self.declare_group(&types)?;
        Ok(types.pop().expect("of one type"))
    }

    /// The types of a recursion group, in order: equal to those of every module that declares the group so. They name each other by
    /// [`TypeId::in_group`], and other types of the engine by their numbers, whose types the caller has or something in the engine.
    ///
    /// ```
    /// # use ampoule::*;
    /// # fn main() -> Result<(), Error> {
    /// # let engine = Engine::default();
    /// // (rec (type $node (sub (struct (field i32) (field (mut (ref null $list)))))) (type $list (array (ref $node))))
    /// let (node, list) = (TypeId::in_group(0), TypeId::in_group(1));
    /// let reference = |ty| StorageType::Val(ValType::Ref(ty));
    /// let number = FieldType { storage: StorageType::Val(ValType::I32), mutable: false };
    /// let next = FieldType { storage: reference(RefType::null_or(HeapType::ConcreteArray(list))), mutable: true };
    /// let element = FieldType { storage: reference(RefType::non_null(HeapType::ConcreteStruct(node))), mutable: false };
    /// let types = engine.declare_group(&[
    ///     SubType {
    ///         is_final: false,
    ///         supertype: None,
    ///         composite: CompositeType::Struct(StructType { fields: [number, next].into() }),
    ///     },
    ///     SubType { is_final: true, supertype: None, composite: CompositeType::Array(ArrayType { element }) },
    /// ])?;
    /// let mut store = Store::new(&engine);
    /// let node = StructRef::new(&mut store, &types[0], &[Val::I32(7), Val::AnyRef(None)])?;
    /// let list = ArrayRef::new(&mut store, &types[1], &Val::AnyRef(Some(node.clone().into())), 1)?;
    /// node.set_field(&mut store, 1, &Val::AnyRef(Some(list.into())))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where no module could declare them: a name leads to nothing or to something else, a super-type is not declared before, is final or does
    /// not match, there are more than 63 super-types or 10,000 fields; or the engine has too many types.
    pub fn declare_group(&self, types: &[SubType]) -> Result<Vec<Type>, Error> {
        type_group::declare(self.types(), types)
    }

    /// The type with this number, if anything of the engine has it.
    pub fn find_type(&self, id: TypeId) -> Option<Type> {
        self.types().find(id)
    }

    /// Whether the type is one of this engine.
    pub fn has_type(&self, ty: &Type) -> bool {
        ty.is_of(self.types())
    }

    /// A thunk of this signature, compiled when first needed.
    #[inline]
    pub(crate) fn thunk(&self, signature: &TypeRecord, which: Thunk) -> Result<*const u8, Error> {
        signature.thunk(which, |ty| self.make_thunk(ty, which))
    }

    /// Lets thunks be taken from a module's, for as long as that lives.
    pub(crate) fn add_thunks(&self, thunks: &Arc<ArtifactThunks>) {
        let mut known = self.0.thunks.lock();
        known.loaded.retain(|module| module.strong_count() > 0);
        known.loaded.push(Arc::downgrade(thunks));
    }

    /// May be called where little stack is left: on a small thread, or by a host function below a deep guest.
    #[cold]
    fn make_thunk(&self, ty: &FuncType, which: Thunk) -> Result<*const u8, Error> {
        with_stack(COMPILER_STACK, || self.make_thunk_here(&ty.as_crossed(), which).map(<*const u8>::expose_provenance))
            .map(std::ptr::with_exposed_provenance)
    }

    fn make_thunk_here(&self, ty: &FuncType, which: Thunk) -> Result<*const u8, Error> {
        let key = (ty.clone(), which as u8);
        let loaded: Vec<_> = {
            let thunks = self.0.thunks.lock();
            if let Some(&code) = thunks.made.get(&key) {
                return Ok(code as *const u8);
            }
            thunks.loaded.iter().rev().filter_map(Weak::upgrade).collect()
        };
        // Without the lock, for which forks wait.
        let compiled = match loaded.into_iter().find_map(|module| module.find(ty, which)) {
            Some(compiled) => compiled,
            None => self.compile_thunk(ty, which)?,
        };
        let mut thunks = self.0.thunks.lock();
        if let Some(&code) = thunks.made.get(&key) {
            // Another thread was first.
            return Ok(code as *const u8);
        }
        if thunks.code.is_none() {
            thunks.code = Some(ThunkCode::new()?);
        }
        let placed = thunks.code.as_mut().expect("made above");
        let code = placed.place(&compiled)?;
        if let Some(profiler) = &self.0.profiler {
            let name = format!("ampoule::{which:?}{ty}");
            profiler.report_own(&name, code.addr(), placed.bytes(code, compiled.code.len()), true);
        }
        thunks.made.insert(key, code as usize);
        Ok(code)
    }

    #[cfg(feature = "compiler")]
    pub(crate) fn compile_thunk(&self, ty: &FuncType, which: Thunk) -> Result<CompiledFunction, Error> {
        thunks::compile_thunk(&*self.0.compilers.optimizing, ty, which)
    }

    #[cfg(not(feature = "compiler"))]
    fn compile_thunk(&self, ty: &FuncType, _: Thunk) -> Result<CompiledFunction, Error> {
        Err(Error::new(ErrorKind::Compile(format!(
            "functions of type {ty} can't be called: no module with such a type is loaded, and this library has no compiler"
        ))))
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", self.config()).finish_non_exhaustive()
    }
}
