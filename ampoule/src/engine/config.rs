//! What an embedder chooses before an engine is made.

#[cfg(feature = "compiler")]
use crate::engine::cache::Cache;
use crate::engine::pool::PoolConfig;
use crate::engine::stack_pool::HostStacks;
use crate::memory::host::HostMemories;
use ampoule_core::features::Features;
use ampoule_core::tunables::{OptLevel, Tiers, Tunables};
use ampoule_machine::fiber::MIN_STACK;
use ampoule_machine::os::mmap::PAGE;
use ampoule_machine::profiling::Profiler;

/// The choices for an [`crate::Engine`]. Plain data: nothing is checked until the engine is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which proposals are accepted.
    pub features: Features,
    /// What machine code and the runtime share.
    pub tunables: Tunables,
    /// When functions are compiled.
    pub strategy: Strategy,
    /// When functions that run often are compiled again, by the optimizing compiler.
    pub tier_up: TierUpConfig,
    /// Bytes of machine code that the engine's modules should have at most. Above that, code of the baseline compiler that is to be replaced by
    /// better, and has not been running lately, is given back, and made again when it is called. Other code stays; where it takes three
    /// quarters of this, no function is optimized any more.
    pub code_memory: usize,
    /// Compile on all cores where a whole module is compiled.
    pub parallel_compilation: bool,
    /// Stack that guest code may use, in bytes.
    pub max_wasm_stack: usize,
    /// Map a module's initial memory copy-on-write instead of copying it.
    pub memory_init_cow: bool,
    /// Address space reserved beyond what a moved memory needs, in bytes.
    pub memory_reservation_for_growth: u64,
    /// Who provides memories that aren't shared, where it isn't the engine. Reservations, guards and images are then off.
    pub host_memories: Option<HostMemories>,
    /// The bounds of what the engine's instances take, over all stores; `None`: only the stores' own limits.
    pub pool: Option<PoolConfig>,
    /// The stack that an asynchronous call runs on, in bytes: for guest code and what it calls. `None` leaves room for the host
    /// beside `max_wasm_stack`.
    pub async_stack_size: Option<usize>,
    /// Clear stacks of asynchronous calls before another store gets them.
    pub async_stack_zeroing: bool,
    /// Who provides such stacks, where it isn't the engine.
    pub host_stacks: Option<HostStacks>,
    /// Where compiled modules are kept for other processes.
    #[cfg(feature = "compiler")]
    pub cache: Option<Cache>,
    /// Whether the host may create shared memories.
    pub shared_memory: bool,
    /// Extra flags for the optimizing back end: name, and value unless the flag is a switch.
    pub cranelift_flags: Vec<(String, Option<String>)>,
    /// The target triple to compile for, where it is not the host's.
    pub target: Option<String>,
    /// Tell the system's unwinder how to walk through guest frames. Once one engine of the process did, it knows.
    pub native_unwind_info: bool,
    /// For tests: whether every allocation of a collected object collects, and the whole heap is looked through for damage each time.
    pub gc_stress: bool,
    /// Which profiler is told of machine code.
    pub profiler: Profiler,
}

/// When a function that was compiled by the baseline compiler is optimized, and by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TierUpConfig {
    /// Its calls and the turns of its loops until then.
    pub after: u32,
    /// The threads of the engine that optimize in the background, at most. With none, a function is optimized by the thread that runs it, at that
    /// moment: for hosts that allow no threads.
    pub threads: usize,
}

impl TierUpConfig {
    /// As many threads as suit most guests: one fewer than there are cores, but one at least and not more than four. To ask for the cores takes a
    /// while, so it is not done before there is something to optimize.
    pub const BY_CORES: usize = usize::MAX;
}

impl Default for TierUpConfig {
    /// As it suits most guests.
    fn default() -> Self {
        Self { after: 2000, threads: Self::BY_CORES }
    }
}

/// When functions are compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// Each function at its first call.
    Auto,
    /// The whole module when it is created.
    Eager,
}

impl Default for Config {
    /// The default choices. The environment variable `WASMTIME_BACKTRACE_DETAILS`, where it is `1`, turns on
    /// [`Config::backtrace_details`].
    fn default() -> Self {
        let backtrace_details = std::env::var_os("WASMTIME_BACKTRACE_DETAILS").is_some_and(|value| value == "1");
        Self {
            features: Features::default(),
            tunables: Tunables { backtrace_details, ..Tunables::default() },
            strategy: Strategy::Auto,
            tier_up: TierUpConfig::default(),
            code_memory: 1 << 30,
            parallel_compilation: true,
            max_wasm_stack: 512 << 10,
            memory_init_cow: true,
            memory_reservation_for_growth: 2 << 30,
            host_memories: None,
            pool: None,
            async_stack_size: None,
            async_stack_zeroing: false,
            host_stacks: None,
            #[cfg(feature = "compiler")]
            cache: None,
            shared_memory: false,
            cranelift_flags: Vec::new(),
            target: None,
            native_unwind_info: true,
            gc_stress: false,
            profiler: Profiler::None,
        }
    }
}

impl Config {
    /// The default choices; see [`Config::default`].
    pub fn new() -> Self {
        Self::default()
    }

    /// The size of stacks for asynchronous calls: whole pages, and never too few.
    pub(crate) fn async_stack_bytes(&self) -> usize {
        let size = self.async_stack_size.unwrap_or((2 << 20).max(self.max_wasm_stack.saturating_add(1 << 20)));
        size.max(MIN_STACK).checked_next_multiple_of(PAGE).unwrap_or(usize::MAX & !(PAGE - 1))
    }

    /// Sets how hard the optimizing compiler works.
    pub fn opt_level(&mut self, level: OptLevel) -> &mut Self {
        self.tunables.opt_level = level;
        self
    }

    /// Counts fuel; see [`crate::Store::set_fuel`].
    pub fn consume_fuel(&mut self, on: bool) -> &mut Self {
        self.tunables.consume_fuel = on;
        self
    }

    /// Checks epoch deadlines; see [`crate::Store::set_epoch_deadline`].
    pub fn epoch_interruption(&mut self, on: bool) -> &mut Self {
        self.tunables.epoch_interruption = on;
        self
    }

    /// Lets calls be cancelled and given a time limit; see [`crate::engine::cancel`]. Epoch deadlines imply it.
    pub fn cancellation(&mut self, on: bool) -> &mut Self {
        self.tunables.cancellation = on;
        self
    }

    /// Lets backtraces tell files and lines, where a module has DWARF. Reading it takes time and memory, some ten times its size
    /// at most.
    pub fn backtrace_details(&mut self, on: bool) -> &mut Self {
        self.tunables.backtrace_details = on;
        self
    }

    /// Chooses which profiler is told of machine code.
    pub fn profiler(&mut self, profiler: Profiler) -> &mut Self {
        self.profiler = profiler;
        self
    }

    /// Counts host calls and guest time, at some 60 ns for each host call; see [`crate::store::statistics`].
    pub fn statistics(&mut self, on: bool) -> &mut Self {
        self.tunables.statistics = on;
        self
    }

    /// Sets which compilers functions are compiled with.
    pub fn tiers(&mut self, tiers: Tiers) -> &mut Self {
        self.tunables.tiers = tiers;
        self
    }

    /// Leaves out a pass of the optimizing compiler: to find the one by which code is slow, or wrong.
    #[cfg(feature = "compiler")]
    pub fn without_pass(&mut self, pass: crate::Pass) -> &mut Self {
        self.cranelift_flags.push((pass.name().to_string(), Some("false".to_string())));
        self
    }

    /// Leaves out a pass for these functions of each module, counted with imported ones: to find the function that it makes slow, or wrong.
    #[cfg(feature = "compiler")]
    pub fn without_pass_for(&mut self, pass: crate::Pass, functions: std::ops::Range<u32>) -> &mut Self {
        self.cranelift_flags.push((pass.name().to_string(), Some(format!("{}..{}", functions.start, functions.end))));
        self
    }

    /// Chooses when functions are compiled.
    pub fn strategy(&mut self, strategy: Strategy) -> &mut Self {
        self.strategy = strategy;
        self
    }
}
