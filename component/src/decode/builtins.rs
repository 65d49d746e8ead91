//! Core functions that the component model makes for tasks, threads and waitables.

use super::{Frame, unsupported};
use crate::builtin::Builtin;
use crate::canon::options::StaticOptions;
use crate::types::CoreType;
use crate::types::layout::{Flat, MAX_FLAT};
use ampoule_core::decode::DecodeError;
use wasmparser::CanonicalFunction as Canon;
use wasmparser::types::TypesRef;

/// Reads the definition of one.
pub(super) fn read(frame: &mut Frame, types: TypesRef<'_>, canon: Canon) -> Result<Builtin, DecodeError> {
    Ok(match canon {
        Canon::BackpressureInc => Builtin::BackpressureInc,
        Canon::BackpressureDec => Builtin::BackpressureDec,
        Canon::TaskReturn { result, options } => {
            let result = result.map(|ty| frame.types.named(types, ty)).transpose()?;
            let options = StaticOptions::read(&options).map_err(|what| unsupported(&what))?;
            Builtin::TaskReturn { flat: Flat::of(&result, MAX_FLAT).map(Into::into), result, options }
        }
        Canon::TaskCancel => Builtin::TaskCancel,
        Canon::ContextGet { ty, slot } => Builtin::ContextGet { ty: context_type(ty), slot },
        Canon::ContextSet { ty, slot } => Builtin::ContextSet { ty: context_type(ty), slot },
        Canon::SubtaskCancel { async_ } => Builtin::SubtaskCancel { is_async: async_ },
        Canon::SubtaskDrop => Builtin::SubtaskDrop,
        Canon::WaitableSetNew => Builtin::WaitableSetNew,
        Canon::WaitableSetWait { memory } => Builtin::WaitableSetWait { memory },
        Canon::WaitableSetPoll { memory } => Builtin::WaitableSetPoll { memory },
        Canon::WaitableSetDrop => Builtin::WaitableSetDrop,
        Canon::WaitableJoin => Builtin::WaitableJoin,
        Canon::ThreadYield => Builtin::ThreadYield,
        Canon::ThreadIndex => Builtin::ThreadIndex,
        Canon::ThreadNewIndirect { table_index, .. } => Builtin::ThreadNewIndirect { table: table_index },
        Canon::ThreadResumeLater => Builtin::ThreadResumeLater,
        Canon::ThreadSuspend => Builtin::ThreadSuspend,
        Canon::ThreadSuspendThenResume => Builtin::ThreadSuspendThenResume,
        Canon::ThreadYieldThenResume => Builtin::ThreadYieldThenResume,
        Canon::ThreadSuspendThenPromote => Builtin::ThreadSuspendThenPromote,
        Canon::ThreadYieldThenPromote => Builtin::ThreadYieldThenPromote,
        Canon::ThreadSpawnRef { .. } | Canon::ThreadSpawnIndirect { .. } | Canon::ThreadAvailableParallelism => {
            return Err(unsupported("shared threads of components"));
        }
        Canon::ErrorContextNew { .. } | Canon::ErrorContextDebugMessage { .. } | Canon::ErrorContextDrop => {
            return Err(unsupported("error contexts of components"));
        }
        _ => return Err(unsupported("streams and futures of components")),
    })
}

fn context_type(ty: wasmparser::ValType) -> CoreType {
    match ty {
        wasmparser::ValType::I64 => CoreType::I64,
        _ => CoreType::I32,
    }
}
