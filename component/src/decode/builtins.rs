//! Core functions that the component model makes for tasks, threads and waitables.

use super::{Frame, unsupported};
use crate::builtin::Side::{Readable, Writable};
use crate::builtin::{Builtin, Side, StreamKind, StreamOp};
use crate::types::layout::{Flat, MAX_FLAT};
use crate::types::{CoreType, ValType};
use ampoule_core::decode::DecodeError;
use wasmparser::types::TypesRef;
use wasmparser::{CanonicalFunction as Canon, CanonicalOption, ComponentValType};

/// Reads the definition of one.
pub(super) fn read(frame: &mut Frame, types: TypesRef<'_>, canon: Canon) -> Result<Builtin, DecodeError> {
    Ok(match canon {
        Canon::BackpressureInc => Builtin::BackpressureInc,
        Canon::BackpressureDec => Builtin::BackpressureDec,
        Canon::TaskReturn { result, options } => {
            let result = result.map(|ty| frame.types.named(types, ty)).transpose()?;
            let options = frame.core.options(&options)?;
            Builtin::TaskReturn { flat: Flat::of(&result, MAX_FLAT).map(Into::into), result, options }
        }
        Canon::TaskCancel => Builtin::TaskCancel,
        Canon::ContextGet { ty, slot } => Builtin::ContextGet { ty: context_type(ty), slot },
        Canon::ContextSet { ty, slot } => Builtin::ContextSet { ty: context_type(ty), slot },
        Canon::SubtaskCancel { async_ } => Builtin::SubtaskCancel { is_async: async_ },
        Canon::SubtaskDrop => Builtin::SubtaskDrop,
        Canon::WaitableSetNew => Builtin::WaitableSetNew,
        Canon::WaitableSetWait { memory } => Builtin::WaitableSetWait { memory: frame.core.memories[memory as usize] },
        Canon::WaitableSetPoll { memory } => Builtin::WaitableSetPoll { memory: frame.core.memories[memory as usize] },
        Canon::WaitableSetDrop => Builtin::WaitableSetDrop,
        Canon::WaitableJoin => Builtin::WaitableJoin,
        Canon::ThreadYield => Builtin::ThreadYield,
        Canon::ThreadIndex => Builtin::ThreadIndex,
        Canon::ThreadNewIndirect { table_index, .. } => {
            Builtin::ThreadNewIndirect { table: frame.core.tables[table_index as usize] }
        }
        Canon::ThreadResumeLater => Builtin::ThreadResumeLater,
        Canon::ThreadSuspend => Builtin::ThreadSuspend,
        Canon::ThreadSuspendThenResume => Builtin::ThreadSuspendThenResume,
        Canon::ThreadYieldThenResume => Builtin::ThreadYieldThenResume,
        Canon::ThreadSuspendThenPromote => Builtin::ThreadSuspendThenPromote,
        Canon::ThreadYieldThenPromote => Builtin::ThreadYieldThenPromote,
        Canon::ThreadSpawnRef { .. } | Canon::ThreadSpawnIndirect { .. } | Canon::ThreadAvailableParallelism => {
            return Err(unsupported("shared threads of components"));
        }
        Canon::StreamNew { ty } => stream(frame, types, ty, StreamOp::New, &[])?,
        Canon::StreamRead { ty, options } => stream(frame, types, ty, StreamOp::Copy { side: Readable }, &options)?,
        Canon::StreamWrite { ty, options } => stream(frame, types, ty, StreamOp::Copy { side: Writable }, &options)?,
        Canon::StreamCancelRead { ty, async_ } => stream(frame, types, ty, cancel(Readable, async_), &[])?,
        Canon::StreamCancelWrite { ty, async_ } => stream(frame, types, ty, cancel(Writable, async_), &[])?,
        Canon::StreamDropReadable { ty } => stream(frame, types, ty, StreamOp::Drop { side: Readable }, &[])?,
        Canon::StreamDropWritable { ty } => stream(frame, types, ty, StreamOp::Drop { side: Writable }, &[])?,
        Canon::StreamForward { ty } | Canon::FutureForward { ty } => stream(frame, types, ty, StreamOp::Forward, &[])?,
        Canon::FutureNew { ty } => stream(frame, types, ty, StreamOp::New, &[])?,
        Canon::FutureRead { ty, options } => stream(frame, types, ty, StreamOp::Copy { side: Readable }, &options)?,
        Canon::FutureWrite { ty, options } => stream(frame, types, ty, StreamOp::Copy { side: Writable }, &options)?,
        Canon::FutureCancelRead { ty, async_ } => stream(frame, types, ty, cancel(Readable, async_), &[])?,
        Canon::FutureCancelWrite { ty, async_ } => stream(frame, types, ty, cancel(Writable, async_), &[])?,
        Canon::FutureDropReadable { ty } => stream(frame, types, ty, StreamOp::Drop { side: Readable }, &[])?,
        Canon::FutureDropWritable { ty } => stream(frame, types, ty, StreamOp::Drop { side: Writable }, &[])?,
        Canon::ErrorContextNew { options } => Builtin::ErrorContextNew { options: frame.core.options(&options)? },
        Canon::ErrorContextDebugMessage { options } => {
            Builtin::ErrorContextDebugMessage { options: frame.core.options(&options)? }
        }
        Canon::ErrorContextDrop => Builtin::ErrorContextDrop,
        _ => return Err(unsupported("such built-in functions of components")),
    })
}

fn cancel(side: Side, is_async: bool) -> StreamOp {
    StreamOp::Cancel { side, is_async }
}

/// Of a stream or future, by the index of its type.
fn stream(
    frame: &mut Frame,
    types: TypesRef<'_>,
    ty: u32,
    op: StreamOp,
    options: &[CanonicalOption],
) -> Result<Builtin, DecodeError> {
    let (kind, payload) = match frame.types.named(types, ComponentValType::Type(ty))? {
        ValType::Stream(payload) => (StreamKind::Stream, payload),
        ValType::Future(payload) => (StreamKind::Future, payload),
        _ => unreachable!("the validator has seen that it is a stream or future"),
    };
    Ok(Builtin::Stream { kind, payload, op, options: frame.core.options(options)? })
}

fn context_type(ty: wasmparser::ValType) -> CoreType {
    match ty {
        wasmparser::ValType::I64 => CoreType::I64,
        _ => CoreType::I32,
    }
}
