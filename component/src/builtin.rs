//! Core functions that the component model makes for tasks, threads and waitables: which there are, and their core types. What they do is
//! in [`crate::concurrency::builtins`].

use crate::canon::options::StaticOptions;
use crate::types::{CoreType, ValType};
use std::sync::Arc;

/// One of them, as a component defines it.
#[derive(Clone, Debug)]
pub(crate) enum Builtin {
    BackpressureInc,
    BackpressureDec,
    TaskReturn {
        result: Option<ValType>,
        /// The core values of the result; `None` where it is passed in memory.
        flat: Option<Arc<[CoreType]>>,
        options: StaticOptions,
    },
    TaskCancel,
    ContextGet {
        ty: CoreType,
        slot: u32,
    },
    ContextSet {
        ty: CoreType,
        slot: u32,
    },
    SubtaskCancel {
        is_async: bool,
    },
    SubtaskDrop,
    WaitableSetNew,
    WaitableSetWait {
        memory: u32,
    },
    WaitableSetPoll {
        memory: u32,
    },
    WaitableSetDrop,
    WaitableJoin,
    ThreadYield,
    ThreadIndex,
    ThreadNewIndirect {
        table: u32,
    },
    ThreadResumeLater,
    ThreadSuspend,
    ThreadSuspendThenResume,
    ThreadYieldThenResume,
    ThreadSuspendThenPromote,
    ThreadYieldThenPromote,
}

impl Builtin {
    /// The core types of its parameters and results.
    pub(crate) fn core_type(&self) -> (Vec<CoreType>, Vec<CoreType>) {
        use CoreType::I32;
        let (params, results): (&[CoreType], &[CoreType]) = match self {
            Builtin::BackpressureInc | Builtin::BackpressureDec | Builtin::TaskCancel => (&[], &[]),
            Builtin::TaskReturn { flat, .. } => (flat.as_deref().unwrap_or(&[I32]), &[]),
            Builtin::ContextGet { ty, .. } => (&[], std::slice::from_ref(ty)),
            Builtin::ContextSet { ty, .. } => (std::slice::from_ref(ty), &[]),
            Builtin::SubtaskDrop | Builtin::WaitableSetDrop | Builtin::ThreadResumeLater => (&[I32], &[]),
            Builtin::WaitableSetNew | Builtin::ThreadYield | Builtin::ThreadIndex | Builtin::ThreadSuspend => {
                (&[], &[I32])
            }
            Builtin::WaitableSetWait { .. } | Builtin::WaitableSetPoll { .. } | Builtin::ThreadNewIndirect { .. } => {
                (&[I32, I32], &[I32])
            }
            Builtin::WaitableJoin => (&[I32, I32], &[]),
            Builtin::SubtaskCancel { .. }
            | Builtin::ThreadSuspendThenResume
            | Builtin::ThreadYieldThenResume
            | Builtin::ThreadSuspendThenPromote
            | Builtin::ThreadYieldThenPromote => (&[I32], &[I32]),
        };
        (params.to_vec(), results.to_vec())
    }
}
