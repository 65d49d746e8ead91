//! Telling a profiler of a module's code, by the names and lines that the module knows.

use crate::module::ModuleBytes;
use crate::module::code_table::{Piece, Watcher};
use crate::module::symbols::{Symbols, demangle::demangle};
use ampoule_core::artifact::FunctionInfo;
use ampoule_core::module::ModuleDescription;
use ampoule_machine::profiling::{Code, Line, Reporter};
use std::sync::Arc;

/// Tells an agent of one module's code.
pub(crate) struct ModuleReporter {
    reporter: Reporter,
    description: Arc<ModuleDescription>,
    symbols: Symbols,
}

impl ModuleReporter {
    /// Tells the agent that the engine's reporter tells.
    pub(crate) fn new(engine: &Reporter, description: &Arc<ModuleDescription>, bytes: &ModuleBytes) -> Self {
        let symbols = Symbols::new(description, bytes);
        ModuleReporter { reporter: engine.another(), description: description.clone(), symbols }
    }

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
                    Some(name) => demangle(name).into_owned(),
                    None => format!("{module}::function[{}]", func.0),
                }
            }
            Piece::Jumps => format!("ampoule::builtin_jumps[{module}]"),
            Piece::Stubs => format!("ampoule::stubs[{module}]"),
        };
        let has_frame = matches!(piece, Piece::Func(_));
        let lines = || if has_frame && self.symbols.has_dwarf() { self.lines(&info()) } else { Vec::new() };
        self.reporter.report(&Code { name: &name, module, address, bytes, has_frame, lines: &lines });
    }
}
