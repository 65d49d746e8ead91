//! What a store keeps of functions: of components, of the host, and those that the component model makes. How they are called is in
//! [`crate::func`].

use crate::builtin::Builtin;
use crate::canon::options::Options;
use crate::found::FoundFunc;
use crate::kept::Kept;
use crate::types::FuncType;
use crate::val::Val;
use ampoule::func::adapter::Adapter;
use ampoule::{Error, Store};
use std::pin::Pin;
use std::sync::Arc;

/// What the embedder runs when a component calls. Arguments may be taken; results are `false` before. The type is that of the import.
pub type HostFn = dyn Fn(&mut Store, &FuncType, &mut [Val], &mut [Val]) -> Result<(), Error> + Send + Sync;

/// What a function of the embedder's that waits makes: the result, later. It begins when it is first polled, and may be dropped midway.
pub type HostFuture = Pin<Box<dyn Future<Output = Result<Option<Val>, Error>> + Send>>;

/// What the embedder runs when a component calls and the answer takes a while: gets the type of the import and the arguments.
pub type AsyncHostFn = dyn Fn(&mut Store, Arc<FuncType>, Vec<Val>) -> HostFuture + Send + Sync;

/// A function as a store knows it.
pub(crate) enum FuncData {
    /// A core function in component types.
    Lifted { core: ampoule::Func, ty: Kept<FuncType>, options: Options },
    /// One of the embedder's, that a component exports.
    Host {
        /// The component instance that imports it, in whose scope the type is.
        instance: u32,
        func: Kept<FoundFunc>,
    },
}

/// Whether a function can stand for an import of a type; else why not.
pub(crate) type TypeCheck = fn(&FuncType) -> Result<(), String>;

/// A function of the embedder's, and how it wants its values.
#[derive(Clone)]
pub(crate) struct HostFunc {
    pub(crate) call: HostCallee,
    /// See [`crate::LinkerInstanceMut::func_of_bytes`].
    pub(crate) compact_bytes: bool,
    /// Whether it can stand for an import of this type, where that is known before it is called.
    pub(crate) matches: Option<TypeCheck>,
}

/// What the embedder has given.
#[derive(Clone)]
pub(crate) enum HostCallee {
    Now(Arc<HostFn>),
    Later(Arc<AsyncHostFn>),
    /// The first where the caller waits on its stack, which the function suspends itself; the second where it goes on meanwhile. What that makes
    /// is asked again each time the host polls.
    Asked(Arc<HostFn>, Arc<AsyncHostFn>),
}

impl FuncData {
    #[inline]
    pub(crate) fn ty(&self) -> &FuncType {
        match self {
            FuncData::Lifted { ty, .. } => ty,
            FuncData::Host { func, .. } => &func.ty,
        }
    }
}

/// A core function that calls a component function: what a guest calls as its import.
pub(crate) struct Lowered {
    pub(crate) ty: Kept<FuncType>,
    pub(crate) options: Options,
    pub(crate) callee: Callee,
    /// One of the two instances contains the other: such calls are not allowed.
    pub(crate) is_kin: bool,
    /// What guests call instead, where it serves.
    pub(crate) adapter: Option<Adapter>,
}

/// Whom a lowered function calls.
#[derive(Clone, Copy)]
pub(crate) enum Callee {
    /// A function of a component, by its place in the store's list.
    Component(u32),
    /// One of the host's, and the instance that imports it.
    Host(u32, Kept<FoundFunc>),
}

/// A core function for tasks, threads or waitables.
pub(crate) struct BuiltinData {
    pub(crate) instance: u32,
    pub(crate) builtin: Kept<Builtin>,
    /// Where the values are that it takes or gives.
    pub(crate) options: Options,
    /// The functions that threads begin with.
    pub(crate) table: Option<ampoule::Table>,
}

/// A core function for the handles of one resource type.
pub(crate) struct HandleBuiltin {
    pub(crate) instance: u32,
    pub(crate) resource: u32,
    pub(crate) does: fn(&HandleBuiltin, &mut Store, u32) -> Result<u32, Error>,
}
