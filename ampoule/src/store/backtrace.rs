//! Taking a backtrace: which functions the frames on a store's stack belong to.

use crate::error::backtrace::{Backtrace, Frame};
use crate::module::Module;
use crate::module::code_table::Found;
use crate::store::Store;
use ampoule_machine::arch::entry::{self, GuestFrames};

/// Frames noted at most, the innermost ones: a guest that overflowed its stack has thousands that tell nothing new.
const MAX_FRAMES: usize = 20;

impl Backtrace {
    /// The frames below the host function or builtin that runs now.
    pub fn capture(store: &Store) -> Backtrace {
        Self::capture_up_to(store, MAX_FRAMES)
    }

    /// The same with another number of frames at most.
    pub(crate) fn capture_up_to(store: &Store, max_frames: usize) -> Backtrace {
        if store.vm.entry_fp() <= entry::RESERVED || store.vm.exit_fp == 0 {
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
            if module.as_ref().is_none_or(|module| !module.code().contains(pc)) {
                // Thunks belong to no module.
                let Some(found) = Module::at(pc) else { continue };
                module = Some(found);
            }
            let Some(module) = &module else { continue };
            let Some(Found { func, offset, info }) = module.code().find(pc) else { continue };
            let func = module.description().func_index(func);
            let mut frames = Vec::new();
            if let Some(info) = info {
                // A function that was inlined has a frame of its own here, though it had none on the stack.
                frames.extend(info.positions_at(offset).map(|position| {
                    let func = module.description().func_at(position).unwrap_or(func);
                    Frame { code: module.symbolicate(), func, position: Some(position) }
                }));
            }
            if frames.is_empty() {
                frames.push(Frame { code: module.symbolicate(), func, position: None });
            }
            list.extend(frames);
        }
        // The last may have been several.
        list.truncate(max_frames);
        Backtrace::new(list)
    }
}
