//! What profilers are told of machine code.
//!
//! An engine may have an [`Agent`], which its configuration chooses: [`perf_map`] and [`jitdump`] write files for Linux `perf`,
//! [`vtune`] calls Intel's collector. It is told of each piece of code when it is placed, before it runs: functions as they are
//! compiled or loaded, thunks, stubs.
//!
//! What is deliberately not here: what the system's unwinder knows ([`crate::code::unwind_info`]), which needs no names; whose code it
//! is, and what it is called, which comes from above.
//!
//! Invariant: a process writes to its own files only. What a forked child says goes to files of the child.

mod jitdump;
mod perf_map;
mod process_file;
mod vtune;

use crate::os::sync::Mutex;
use std::io;
use std::sync::Arc;

/// Which profiler is told of machine code as it is placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profiler {
    /// None.
    None,
    /// What reads `/tmp/perf-PID.map`, such as Linux `perf`. The file belongs to the process, whose engines share it.
    PerfMap,
    /// Linux `perf`, through `jit-PID.dump` in the folder that is current when the process's first such engine is made.
    JitDump,
    /// Intel VTune. Without its collector nothing happens.
    VTune,
}

/// Someone who is told of machine code. Threads tell at the same time.
pub trait Agent: Send + Sync {
    /// Code lies where it says, and runs after this. The answer names it for [`Agent::unloaded`].
    fn loaded(&self, code: &Code<'_>) -> u32;

    /// Code is about to go, and its place to be used again.
    fn unloaded(&self, id: u32) {
        let _ = id;
    }
}

/// A piece of machine code.
pub struct Code<'a> {
    /// What the profile shows.
    pub name: &'a str,
    /// The module's name, or the engine's for what belongs to no module.
    pub module: &'a str,
    /// Where it lies.
    pub address: usize,
    /// What lies there.
    pub bytes: &'a [u8],
    /// Whether it is a function that makes a frame first of all.
    pub has_frame: bool,
    /// Where the source is, if that is known: ascending, each entry up to the next. Worked out only when asked for.
    pub lines: &'a dyn Fn() -> Vec<Line>,
}

/// Code that was made from one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// From the code's start, in bytes.
    pub offset: u32,
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

/// The agent of an engine.
///
/// # Errors
/// Where its file can't be made.
pub fn agent(profiler: Profiler) -> io::Result<Option<Arc<dyn Agent>>> {
    Ok(match profiler {
        Profiler::None => None,
        Profiler::PerfMap => Some(Arc::new(perf_map::PerfMap::new()?)),
        Profiler::JitDump => Some(Arc::new(jitdump::JitDump::new()?)),
        Profiler::VTune => Some(Arc::new(vtune::VTune)),
    })
}

/// Tells an agent of code, and when this value is dropped, that it goes.
pub struct Reporter {
    agent: Arc<dyn Agent>,
    loaded: Mutex<Vec<u32>>,
}

impl Reporter {
    /// Tells this agent.
    pub fn new(agent: Arc<dyn Agent>) -> Self {
        Reporter { agent, loaded: Mutex::default() }
    }

    /// Tells the same agent of other code, which goes at another time.
    pub fn another(&self) -> Self {
        Reporter::new(self.agent.clone())
    }

    /// Tells the agent of code.
    pub fn report(&self, code: &Code<'_>) {
        let id = self.agent.loaded(code);
        self.loaded.lock().push(id);
    }

    /// Code of the engine's own, such as a thunk.
    pub fn report_own(&self, name: &str, address: usize, bytes: &[u8], has_frame: bool) {
        self.report(&Code { name, module: "ampoule", address, bytes, has_frame, lines: &Vec::new });
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        for &id in &*self.loaded.lock() {
            self.agent.unloaded(id);
        }
    }
}
