//! The guest's frames when it was stopped.
//!
//! A backtrace notes addresses, and which module each is in; names and source positions are looked up when they are asked for.
//!
//! What is deliberately not here: modules, and how their symbols are read. Modules implement [`Symbolicate`]. Taking a backtrace
//! is the store's (`store::backtrace`).

use crate::error::text::{BoundedString, MAX_TEXT, Shortened};
use ampoule_core::index::FuncIndex;
use ampoule_machine::fiber::with_stack;
use std::any::Any;
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::sync::Arc;

/// The longest backtrace that is shown in full, in bytes.
const MAX_SHOWN: usize = 4 * MAX_TEXT;

/// Stack for showing one.
const STACK: usize = 64 << 10;

/// Code that knows how its functions are called, and where they come from.
pub(crate) trait Symbolicate: Any + Send + Sync {
    /// The name the module gives itself.
    fn module_name(&self) -> Option<&str>;

    /// The function's name, as the module has it.
    fn func_name(&self, func: FuncIndex) -> Option<&str>;

    /// The function's name, as its source language writes it.
    fn demangled_name(&self, func: FuncIndex) -> Option<Cow<'_, str>>;

    /// Where the function's body starts in the module's bytes.
    fn body_start(&self, func: FuncIndex) -> Option<usize>;

    /// The functions at an offset in the module's bytes, innermost inlined first, where that is known and was asked for.
    fn sources(&self, offset: usize) -> Vec<Source>;

    /// Whether [`Symbolicate::sources`] would tell more if it were asked for.
    fn hides_sources(&self) -> bool;
}

/// The guest's frames, innermost first.
#[derive(Clone, Default)]
pub struct Backtrace {
    frames: Vec<Frame>,
}

/// One frame of a guest function.
#[derive(Clone)]
pub struct Frame {
    pub(crate) code: Arc<dyn Symbolicate>,
    pub(crate) func: FuncIndex,
    /// Offset of the operator in the module's bytes, where it is known.
    pub(crate) position: Option<u32>,
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The function, demangled.
    pub function: Option<String>,
    /// The file's path.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
}

impl Backtrace {
    pub(crate) fn new(frames: Vec<Frame>) -> Self {
        Backtrace { frames }
    }

    /// The frames, innermost first.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn show(&self, out: &mut BoundedString) -> fmt::Result {
        write!(out, "error while executing at wasm backtrace:")?;
        for (number, frame) in self.frames.iter().enumerate() {
            write!(out, "\n  {number:>3}: ")?;
            if let Some(offset) = frame.module_offset() {
                write!(out, "{offset:#8x} - ")?;
            }
            let sources = frame.sources();
            if sources.is_empty() {
                write!(out, "{frame}")?;
            }
            for (depth, source) in sources.iter().enumerate() {
                if depth > 0 {
                    write!(out, "\n                - ")?;
                }
                match &source.function {
                    Some(name) => write!(out, "{name}")?,
                    None => write!(out, "{frame}")?,
                }
                if let Some(file) = &source.file {
                    write!(out, "\n                    at {file}")?;
                    if let Some(line) = source.line {
                        write!(out, ":{line}")?;
                        if let Some(column) = source.column {
                            write!(out, ":{column}")?;
                        }
                    }
                }
            }
        }
        if self.frames.iter().any(|frame| frame.code.hides_sources()) {
            // Programs know these words.
            write!(
                out,
                "\nnote: using the `WASMTIME_BACKTRACE_DETAILS=1` environment variable may show more debugging information"
            )?;
        }
        Ok(())
    }
}

impl Frame {
    /// The function, in its module's index space.
    pub fn func_index(&self) -> u32 {
        self.func.0
    }

    /// The function's name, from the name section.
    pub fn func_name(&self) -> Option<&str> {
        self.code.func_name(self.func)
    }

    /// The name the function's module gives itself.
    pub fn module_name(&self) -> Option<&str> {
        self.code.module_name()
    }

    /// Offset in the module's bytes of the operator that runs, where it is known.
    pub fn module_offset(&self) -> Option<usize> {
        self.position.map(|position| position as usize)
    }

    /// The same offset from the start of the function's body.
    pub fn func_offset(&self) -> Option<usize> {
        self.module_offset()?.checked_sub(self.code.body_start(self.func)?)
    }

    /// The functions, innermost inlined first, and source positions that DWARF tells for the frame. Empty unless the engine was
    /// configured for it ([`crate::Config::backtrace_details`]).
    pub fn sources(&self) -> Vec<Source> {
        self.module_offset().map(|offset| self.code.sources(offset)).unwrap_or_default()
    }
}

/// The function as backtraces have it: `module!function`.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}!", Shortened(self.module_name().unwrap_or("<unknown>")))?;
        match self.code.demangled_name(self.func) {
            Some(name) => f.write_str(&name),
            None => write!(f, "<wasm function {}>", self.func_index()),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("func", &self.func).field("position", &self.position).finish_non_exhaustive()
    }
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = with_stack(STACK, || {
            let mut out = BoundedString::new(MAX_SHOWN);
            let is_cut = self.show(&mut out).is_err();
            out.text + if is_cut { "\n  …" } else { "" }
        });
        f.write_str(&shown)
    }
}

impl fmt::Debug for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
