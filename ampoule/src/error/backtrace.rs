//! The guest's frames when it was stopped.
//!
//! Taking a backtrace only notes addresses and the modules they are in, as many as `MAX_FRAMES`; names and source positions
//! are looked up when they are asked for.

use crate::module::Module;
use crate::store::Store;
use ampoule_core::index::FuncIndex;
use ampoule_machine::arch::entry::{self, GuestFrames};
use std::fmt;

/// Frames noted at most, the innermost ones: a guest that overflowed its stack has thousands that tell nothing new.
const MAX_FRAMES: usize = 20;

/// The guest's frames, innermost first.
#[derive(Clone, Default)]
pub struct Backtrace {
    frames: Vec<Frame>,
}

/// One frame of a guest function.
#[derive(Clone, Debug)]
pub struct Frame {
    module: Module,
    func: FuncIndex,
    /// Offset of the operator in the module's bytes, where it is known.
    position: Option<u32>,
}

impl Backtrace {
    /// The frames below the host function or builtin that runs now.
    pub fn capture(store: &Store) -> Backtrace {
        Self::capture_up_to(store, MAX_FRAMES)
    }

    /// The same with another number of frames at most.
    pub(crate) fn capture_up_to(store: &Store, max_frames: usize) -> Backtrace {
        if store.vm.entry_fp <= entry::RESERVED || store.vm.exit_fp == 0 {
            return Backtrace::default();
        }
        // SAFETY: the store's guest has left through the exit that `exit_fp` tells of, and waits.
        Self::from_frames_up_to(unsafe { GuestFrames::below_exit(store.vm.exit_fp) }, max_frames)
    }

    /// All guest frames from these on, through every activation of their store.
    pub(crate) fn from_frames(frames: GuestFrames) -> Backtrace {
        Self::from_frames_up_to(frames, MAX_FRAMES)
    }

    fn from_frames_up_to(frames: GuestFrames, max_frames: usize) -> Backtrace {
        let mut list = Vec::new();
        let mut module: Option<Module> = None;
        // SAFETY: the caller's frames are active, and the walk ends here.
        for frame in unsafe { entry::all_frames(frames) } {
            if list.len() >= max_frames {
                break;
            }
            // The address a call returns to may belong to what follows the call.
            let pc = frame.pc - usize::from(frame.is_return_address);
            if module.as_ref().is_none_or(|module| module.code().find(pc).is_none()) {
                // Thunks belong to no module.
                let Some(found) = Module::at(pc) else { continue };
                module = Some(found);
            }
            let Some(module) = &module else { continue };
            let Some((own, offset)) = module.code().find(pc) else { continue };
            let func = module.description().func_index(own);
            let mut frames = Vec::new();
            if let Some(info) = module.code().info(own) {
                // A function that was inlined has a frame of its own here, though it had none on the stack.
                frames.extend(info.positions_at(offset).map(|position| {
                    let func = module.description().func_at(position).unwrap_or(func);
                    Frame { module: module.clone(), func, position: Some(position) }
                }));
            }
            if frames.is_empty() {
                frames.push(Frame { module: module.clone(), func, position: None });
            }
            list.extend(frames);
        }
        Backtrace { frames: list }
    }

    /// The frames, innermost first.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

impl Frame {
    /// The function, in its module's index space.
    pub fn func_index(&self) -> u32 {
        self.func.0
    }

    /// The function's name, from the name section.
    pub fn func_name(&self) -> Option<&str> {
        self.module.symbols().function_name(self.func)
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Offset in the module's bytes of the operator that runs, where it is known.
    pub fn module_offset(&self) -> Option<usize> {
        self.position.map(|position| position as usize)
    }

    /// The same offset from the start of the function's body.
    pub fn func_offset(&self) -> Option<usize> {
        let own = self.module.description().defined_func(self.func)?;
        let start = self.module.description().bodies[own.index()].start as usize;
        self.module_offset()?.checked_sub(start)
    }

    /// The functions, innermost inlined first, and source positions that DWARF tells for the frame.
    pub fn sources(&self) -> Vec<crate::module::symbols::Source> {
        self.module_offset().map(|offset| self.module.symbols().sources(offset)).unwrap_or_default()
    }
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error while executing at wasm backtrace:")?;
        for (number, frame) in self.frames.iter().enumerate() {
            write!(f, "\n  {number:>3}: ")?;
            if let Some(offset) = frame.module_offset() {
                write!(f, "{offset:#8x} - ")?;
            }
            let module = frame.module.name().unwrap_or("<unknown>");
            let sources = frame.sources();
            if sources.is_empty() {
                write!(f, "{module}!{}", DisplayName(frame))?;
            }
            for (depth, source) in sources.iter().enumerate() {
                if depth > 0 {
                    write!(f, "\n              - ")?;
                }
                match &source.function {
                    Some(name) => write!(f, "{name}")?,
                    None => write!(f, "{module}!{}", DisplayName(frame))?,
                }
                if let Some(file) = &source.file {
                    write!(f, "\n                    at {file}")?;
                    if let Some(line) = source.line {
                        write!(f, ":{line}")?;
                        if let Some(column) = source.column {
                            write!(f, ":{column}")?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

struct DisplayName<'a>(&'a Frame);

impl fmt::Display for DisplayName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.func_name() {
            Some(name) => f.write_str(&crate::module::symbols::demangle(name)),
            None => write!(f, "<wasm function {}>", self.0.func_index()),
        }
    }
}

impl fmt::Debug for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
