//! What profilers are told of machine code, and profiles that a host takes of its guests.
//!
//! An engine may have an [`Agent`], which `Config::profiler` chooses: [`perf_map`] and [`jitdump`] write files for Linux `perf`,
//! [`vtune`] calls Intel's collector. It is told of each piece of code when it is placed, before it runs: functions as they are
//! compiled or loaded, thunks, stubs. [`guest`] is apart: it samples a guest's stack when the host asks.
//!
//! What is deliberately not here: what the system's unwinder knows (`machine::code::unwind_info`), which needs no names.
//!
//! Invariant: a process writes to its own files only. What a forked child says goes to files of the child.

pub mod guest;
mod jitdump;
mod perf_map;
mod process_file;
mod vtune;

use crate::engine::config::Profiler;
use crate::module::ModuleBytes;
use crate::module::code_table::{Piece, Watcher};
use crate::module::symbols::{Symbols, demangle};
use ampoule_core::artifact::FunctionInfo;
use ampoule_core::module::ModuleDescription;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Someone who is told of machine code. Threads tell at the same time.
pub(crate) trait Agent: Send + Sync {
    /// Code lies where it says, and runs after this. The answer names it for [`Agent::unloaded`].
    fn loaded(&self, code: &Code<'_>) -> u32;

    /// Code is about to go, and its place to be used again.
    fn unloaded(&self, id: u32) {
        let _ = id;
    }
}

/// A piece of machine code.
pub(crate) struct Code<'a> {
    pub(crate) name: &'a str,
    /// The module's name, or the engine's for what belongs to no module.
    pub(crate) module: &'a str,
    pub(crate) address: usize,
    pub(crate) bytes: &'a [u8],
    /// Whether it is a function that makes a frame first of all.
    pub(crate) has_frame: bool,
    /// Where the source is, if that is known: ascending, each entry up to the next. Worked out only when asked for.
    pub(crate) lines: &'a dyn Fn() -> Vec<Line>,
}

/// Code that was made from one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// From the code's start, in bytes.
    pub(crate) offset: u32,
    pub(crate) file: Arc<str>,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// The agent of an engine.
///
/// # Errors
/// Where its file can't be made.
pub(crate) fn agent(profiler: Profiler) -> io::Result<Option<Arc<dyn Agent>>> {
    Ok(match profiler {
        Profiler::None => None,
        Profiler::PerfMap => Some(Arc::new(perf_map::PerfMap::new()?)),
        Profiler::JitDump => Some(Arc::new(jitdump::JitDump::new()?)),
        Profiler::VTune => Some(Arc::new(vtune::VTune)),
    })
}

/// Tells an agent of code, and when this value is dropped, that it goes.
pub(crate) struct Reporter {
    agent: Arc<dyn Agent>,
    loaded: Mutex<Vec<u32>>,
}

impl Reporter {
    pub(crate) fn new(agent: Arc<dyn Agent>) -> Self {
        Reporter { agent, loaded: Mutex::default() }
    }

    /// Tells the same agent of a module's code.
    pub(crate) fn for_module(&self, description: &Arc<ModuleDescription>, bytes: &ModuleBytes) -> ModuleReporter {
        let symbols = Symbols::new(description, bytes);
        ModuleReporter { reporter: Reporter::new(self.agent.clone()), description: description.clone(), symbols }
    }

    fn report(&self, code: &Code<'_>) {
        let id = self.agent.loaded(code);
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }

    /// Code of the engine's own, such as a thunk.
    pub(crate) fn report_own(&self, name: &str, address: usize, bytes: &[u8], has_frame: bool) {
        self.report(&Code { name, module: "ampoule", address, bytes, has_frame, lines: &Vec::new });
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        for &id in &*self.loaded.lock().unwrap_or_else(PoisonError::into_inner) {
            self.agent.unloaded(id);
        }
    }
}

/// Tells an agent of one module's code.
pub(crate) struct ModuleReporter {
    reporter: Reporter,
    description: Arc<ModuleDescription>,
    symbols: Symbols,
}

impl ModuleReporter {
    fn lines(&self, info: &FunctionInfo) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for &(offset, _) in &info.positions {
            let Some(location) = info.positions_at(offset).next().and_then(|position| self.symbols.line_at(position))
            else {
                continue;
            };
            let line = Line { offset, file: location.file.clone(), line: location.line, column: location.column };
            if lines.last().is_none_or(|last| (&last.file, last.line) != (&line.file, line.line)) {
                lines.push(line);
            }
        }
        lines
    }
}

impl Watcher for ModuleReporter {
    fn placed(&self, piece: Piece, address: usize, bytes: &[u8], info: &dyn Fn() -> Arc<FunctionInfo>) {
        let module = self.description.name.as_deref().unwrap_or("wasm");
        let name = match piece {
            Piece::Func(own) => {
                let func = self.description.func_index(own);
                match self.symbols.function_name(func) {
                    Some(name) => demangle(name),
                    None => format!("{module}::function[{}]", func.0),
                }
            }
            Piece::Jumps => format!("ampoule::builtin_jumps[{module}]"),
            Piece::Stubs => format!("ampoule::stubs[{module}]"),
        };
        let has_frame = matches!(piece, Piece::Func(_));
        let lines = || if has_frame && self.symbols.has_lines() { self.lines(&info()) } else { Vec::new() };
        self.reporter.report(&Code { name: &name, module, address, bytes, has_frame, lines: &lines });
    }
}
