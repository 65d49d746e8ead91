//! Core functions that the component model makes for tasks, threads and waitables: which there are, and their core types. What they do is
//! in [`crate::concurrency::builtins`].

use crate::canon::options::StaticOptions;
use crate::types::{CoreType, ValType};
use std::sync::Arc;

/// The type of the elements; `None` where they are nothing but their number.
pub(crate) type Payload = Arc<Option<ValType>>;

/// Whether there may be more than one element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StreamKind {
    Stream,
    Future,
}

/// Which of the two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Readable,
    Writable,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Readable => Side::Writable,
            Side::Writable => Side::Readable,
        }
    }
}

impl StreamKind {
    /// What it is called in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            StreamKind::Stream => "stream",
            StreamKind::Future => "future",
        }
    }
}

/// What is done with a stream or future.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StreamOp {
    New,
    /// Whether it is done asynchronously is among the options.
    Copy {
        side: Side,
    },
    Cancel {
        side: Side,
        is_async: bool,
    },
    Drop {
        side: Side,
    },
    /// From a readable end to a writable one.
    Forward,
}

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
    Stream {
        kind: StreamKind,
        payload: Payload,
        op: StreamOp,
        options: StaticOptions,
    },
    ErrorContextNew {
        options: StaticOptions,
    },
    ErrorContextDebugMessage {
        options: StaticOptions,
    },
    ErrorContextDrop,
}

impl Builtin {
    /// The options that it is defined with.
    pub(crate) fn options(&self) -> StaticOptions {
        match self {
            Builtin::TaskReturn { options, .. }
            | Builtin::Stream { options, .. }
            | Builtin::ErrorContextNew { options }
            | Builtin::ErrorContextDebugMessage { options } => *options,
            Builtin::WaitableSetWait { memory } | Builtin::WaitableSetPoll { memory } => {
                StaticOptions { memory: Some(*memory), ..StaticOptions::default() }
            }
            _ => StaticOptions::default(),
        }
    }

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
            Builtin::Stream { kind, op, .. } => match op {
                StreamOp::New => (&[], &[CoreType::I64]),
                StreamOp::Copy { .. } if *kind == StreamKind::Stream => (&[I32, I32, I32], &[I32]),
                StreamOp::Copy { .. } => (&[I32, I32], &[I32]),
                StreamOp::Cancel { .. } => (&[I32], &[I32]),
                StreamOp::Drop { .. } => (&[I32], &[]),
                StreamOp::Forward => (&[I32, I32], &[]),
            },
            Builtin::ErrorContextNew { .. } => (&[I32, I32], &[I32]),
            Builtin::ErrorContextDebugMessage { .. } => (&[I32, I32], &[]),
            Builtin::ErrorContextDrop => (&[I32], &[]),
        };
        (params.to_vec(), results.to_vec())
    }
}
