//! Everything that can go wrong, told apart: the guest did something wrong (a trap), the embedder asked for something
//! impossible, or the guest asked to exit.

pub(crate) mod backtrace;
pub(crate) mod text;

use crate::error::backtrace::Backtrace;
use crate::error::text::Shortened;
use ampoule_core::decode::DecodeError;
use ampoule_core::trap::TrapCode;
use ampoule_core::types::{ExternType, FuncType};
use ampoule_machine::code::CodeError;
use ampoule_machine::os::sync::OnceLock;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// An error of the engine; one word, so that results stay small. A clone is another handle to the same error.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    /// What was being done, where the kind alone doesn't tell.
    doing: Option<&'static str>,
    backtrace: OnceLock<Backtrace>,
    /// What a library above keeps with the error.
    attached: OnceLock<Box<dyn Any + Send + Sync>>,
    memory_fault: Option<MemoryFault>,
}

/// An access that left a memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryFault {
    /// The memory, in the index space of the module whose code made the access.
    pub memory: u32,
    /// The first byte of the access that lies outside.
    pub address: u64,
    /// The memory's length in bytes at the time.
    pub byte_len: u64,
    /// The CPU found it, not a comparison. Only then do messages tell of it: programs know them like this.
    pub by_hardware: bool,
}

impl fmt::Display for MemoryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MemoryFault { address, byte_len, .. } = self;
        write!(f, "memory fault at wasm address {address:#x} in linear memory of size {byte_len:#x}")
    }
}

impl From<MemoryFault> for Error {
    fn from(fault: MemoryFault) -> Self {
        let mut error = Error::trap(TrapCode::MemoryOutOfBounds);
        if let Some(inner) = Arc::get_mut(&mut error.0) {
            inner.memory_fault = Some(fault);
        }
        error
    }
}

/// Who stopped a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CancelCause {
    /// Somebody who held a [`crate::CancelToken`].
    Token,
    /// The time limit; see [`crate::Store::set_call_time_limit`].
    TimeLimit,
}

impl fmt::Display for CancelCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CancelCause::Token => "the call was cancelled",
            CancelCause::TimeLimit => "the call's time limit has passed",
        })
    }
}

/// What an [`Error`] is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The guest was stopped by the engine.
    #[error("wasm trap: {0}")]
    Trap(TrapCode),
    /// The guest was stopped because its call was cancelled: [`TrapCode::Interrupt`].
    #[error("wasm trap: {}", TrapCode::Interrupt)]
    Cancelled(CancelCause),
    /// The guest asked to exit (`proc_exit`) with this status.
    #[error("Exited with i32 exit status {0}")]
    Exit(i32),
    /// An exception that nothing caught; the store holds it ([`crate::Store::take_exception`]).
    #[error("thrown Wasm exception")]
    Exception,
    /// The bytes are not a module, or not one that this engine runs.
    #[error("{}", Shortened(&.0.to_string()))]
    Decode(#[from] DecodeError),
    /// What [`crate::Module::validate`] found, in the validator's words alone.
    #[error("{}", validators_words(.0))]
    Invalid(DecodeError),
    /// A function body that breaks a rule of the spec.
    #[error("{}", Shortened(&.error.to_string()))]
    Body {
        /// The function, counted as the module counts.
        func: u32,
        /// Its name, from the module's name section.
        name: Option<String>,
        /// What is wrong, and where.
        error: DecodeError,
    },
    /// Text that is not a module.
    #[error("{0}")]
    Text(String),
    /// The compiler refused.
    #[error("{0}")]
    Compile(String),
    /// An import or definition doesn't fit.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// A configuration that can't be had.
    #[error("{0}")]
    Config(String),
    /// An artifact that is not ours, or not for this engine.
    #[error("{0}")]
    Artifact(String),
    /// A handle was used whose instance was deleted.
    #[error("the instance that this belongs to was deleted")]
    Deleted,
    /// A handle was used with a store it doesn't belong to.
    #[error("object used with the wrong store")]
    WrongStore,
    /// Arguments or results that don't fit a function's type.
    #[error("{0}")]
    Type(String),
    /// A limit of the store, or of the engine.
    #[error("{0}")]
    Limit(String),
    /// The store has no fuel accounting.
    #[error("fuel is not configured in this store")]
    FuelDisabled,
    /// The operating system refused.
    #[error("{0}: {1}")]
    System(&'static str, std::io::Error),
    /// What the host reports, in words.
    #[error("{0}")]
    Host(String),
    /// Something else, in words.
    #[error("{0}")]
    Message(String),
    /// Something else, in words, and what it comes of, the innermost last.
    #[error("{}: {}", .0, .1.join(": "))]
    Caused(String, Vec<String>),
}

/// Why a module could not be linked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nothing of this name was defined.
    #[error("unknown import: `{}::{}` has not been defined", Shortened(.module), Shortened(.name))]
    Missing {
        /// First name.
        module: String,
        /// Second name.
        name: String,
    },
    /// What was given for this import is of another type.
    #[error("incompatible import type for `{}::{}`: {reason}", Shortened(.module), Shortened(.name))]
    Mismatch {
        /// First name.
        module: String,
        /// Second name.
        name: String,
        /// Which types clash.
        reason: String,
    },
    /// The number of imports given is not the number the module has.
    #[error("expected {expected} imports, found {found}")]
    Count {
        /// The module's imports.
        expected: usize,
        /// Given.
        found: usize,
    },
    /// The name is defined already, and shadowing is off.
    #[error("import of `{}::{}` defined twice", Shortened(.module), Shortened(.name))]
    Duplicate {
        /// First name.
        module: String,
        /// Second name.
        name: String,
    },
    /// An import belongs to another store.
    #[error("cross-`Store` instantiation is not currently supported")]
    WrongStore,
    /// A module or item belongs to another engine.
    #[error("cross-`Engine` instantiation is not currently supported: the {what} is of another engine")]
    WrongEngine {
        /// Which.
        what: &'static str,
    },
}

impl Error {
    /// An error of this kind, without a backtrace.
    pub fn new(kind: impl Into<ErrorKind>) -> Self {
        Error(Arc::new(Inner {
            kind: kind.into(),
            doing: None,
            backtrace: OnceLock::new(),
            attached: OnceLock::new(),
            memory_fault: None,
        }))
    }

    /// Says what failed because of this error.
    pub(crate) fn of(mut self, doing: &'static str) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.doing = Some(doing);
        }
        self
    }

    /// An error in words.
    #[cold]
    #[inline(never)] // Else it is much of the code of those who may have to say something.
    pub fn message(text: impl Into<String>) -> Self {
        Error::new(ErrorKind::Message(text.into()))
    }

    /// An error in words, with what it comes of, the innermost last.
    pub fn caused(text: impl Into<String>, causes: Vec<String>) -> Self {
        Error::new(ErrorKind::Caused(text.into(), causes))
    }

    /// What the host reports.
    pub fn host(text: impl Into<String>) -> Self {
        Error::new(ErrorKind::Host(text.into()))
    }

    /// The guest's wish to exit.
    pub fn exit(status: i32) -> Self {
        Error::new(ErrorKind::Exit(status))
    }

    /// What it is about.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The code, where a guest was stopped by the engine.
    pub fn trap_code(&self) -> Option<TrapCode> {
        match self.0.kind {
            ErrorKind::Trap(code) => Some(code),
            ErrorKind::Cancelled(_) => Some(TrapCode::Interrupt),
            _ => None,
        }
    }

    /// Whether the guest was stopped by the engine or by an exception, rather than by what a host function reported.
    pub fn is_trap(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Trap(_) | ErrorKind::Cancelled(_) | ErrorKind::Exception)
    }

    /// Whether two handles are to the same error.
    pub fn same(&self, other: &Error) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The status, where the guest asked to exit.
    pub fn exit_status(&self) -> Option<i32> {
        match self.0.kind {
            ErrorKind::Exit(status) => Some(status),
            _ => None,
        }
    }

    /// The access that left a memory, where that is why the guest was stopped, and it is known.
    pub fn memory_fault(&self) -> Option<&MemoryFault> {
        self.0.memory_fault.as_ref()
    }

    /// The guest's frames when it was stopped, innermost first; absent where no guest was running.
    pub fn backtrace(&self) -> Option<&Backtrace> {
        self.0.backtrace.get()
    }

    /// Attaches the guest's frames, unless there are some: the innermost capture is the one that tells most.
    pub(crate) fn set_backtrace(&self, backtrace: Backtrace) {
        // Exceptions are part of what a program does, and carry no backtrace.
        if !backtrace.is_empty() && !matches!(self.0.kind, ErrorKind::Exception) {
            self.0.backtrace.get_or_init(|| backtrace);
        }
    }

    /// What a library above keeps with this error, for as long as there is a handle to it; made when first asked for.
    ///
    /// # Panics
    /// Where it asks for one type and then for another.
    pub fn attached<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> &T {
        let attached = self.0.attached.get_or_init(|| Box::new(make()));
        attached.downcast_ref().expect("one library keeps things of one type")
    }

    /// A trap with this code.
    pub fn trap(code: TrapCode) -> Self {
        Error::new(ErrorKind::Trap(code))
    }

    /// A call was cancelled.
    #[cold]
    pub(crate) fn cancelled(cause: CancelCause) -> Self {
        Error::new(ErrorKind::Cancelled(cause))
    }

    /// A handle was used with a store it doesn't belong to.
    #[cold]
    pub(crate) fn wrong_store() -> Self {
        Error::new(ErrorKind::WrongStore)
    }

    /// A handle was used whose instance was deleted.
    #[cold]
    pub(crate) fn deleted() -> Self {
        Error::new(ErrorKind::Deleted)
    }

    /// Something needs a compiler, in a library built without.
    #[cfg(not(feature = "compiler"))]
    pub(crate) fn no_compiler() -> Self {
        Error::new(ErrorKind::Compile("this library has no compiler: it runs compiled modules only".to_string()))
    }

    #[cold]
    pub(crate) fn params_mismatch(ty: &FuncType, given: usize) -> Self {
        Error::new(ErrorKind::Type(format!("expected {} arguments, got {given}", ty.params().len())))
    }

    #[cold]
    pub(crate) fn results_mismatch(ty: &FuncType, given: usize) -> Self {
        Error::new(ErrorKind::Type(format!("expected {} results, got {given}", ty.results().len())))
    }

    pub(crate) fn kind_mismatch(expected: &dyn fmt::Display, found: &dyn fmt::Display) -> Self {
        Error::new(ErrorKind::Type(format!("type mismatch: expected {expected}, found {found}")))
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Error::new(error)
    }
}

impl From<LinkError> for Error {
    fn from(error: LinkError) -> Self {
        Error::new(error)
    }
}

impl From<CodeError> for Error {
    fn from(error: CodeError) -> Self {
        Error::new(match error {
            CodeError::Compile(message) => ErrorKind::Compile(message),
            CodeError::System(what, error) => ErrorKind::System(what, error),
            CodeError::Artifact(message) => ErrorKind::Artifact(message),
            CodeError::Limit(message) => ErrorKind::Limit(message),
        })
    }
}

impl From<TrapCode> for Error {
    fn from(code: TrapCode) -> Self {
        Error::trap(code)
    }
}

/// The words alone, without the backtrace.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(doing) = self.0.doing {
            write!(f, "{doing}: ")?;
        }
        fmt::Display::fmt(&self.0.kind, f)
    }
}

/// What C programs get as a message: what happened and, below it, its causes. Where a guest was running, what happened is the
/// backtrace.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backtrace = self.0.backtrace.get().map(ToString::to_string);
        let doing = self.0.doing.map(str::to_string);
        let kind = self.0.kind.chain();
        let fault = self.0.memory_fault.filter(|fault| fault.by_hardware).map(|fault| fault.to_string());
        let mut chain = backtrace.into_iter().chain(doing).chain(fault).chain(kind);
        f.write_str(&chain.next().expect("a kind has words"))?;
        match &*chain.collect::<Vec<_>>() {
            [] => Ok(()),
            [cause] => write!(f, "\n\nCaused by:\n    {cause}\n"),
            causes => {
                write!(f, "\n\nCaused by:\n")?;
                causes.iter().enumerate().try_for_each(|(number, cause)| writeln!(f, "    {number}: {cause}"))
            }
        }
    }
}

impl ErrorKind {
    /// What happened, followed by its causes.
    fn chain(&self) -> Vec<String> {
        match self {
            ErrorKind::Link(LinkError::Mismatch { module, name, reason }) => {
                let (module, name) = (Shortened(module), Shortened(name));
                vec![format!("incompatible import type for `{module}::{name}`"), reason.clone()]
            }
            ErrorKind::Decode(_) => vec!["failed to parse WebAssembly module".to_string(), self.to_string()],
            // Programs know these words, from engines that find such mistakes while they compile.
            ErrorKind::Body { func, name, error } => {
                let name = name.as_ref().map(|name| format!("::{}", Shortened(name))).unwrap_or_default();
                vec![
                    format!("failed to compile: wasm[0]::function[{func}]{name}"),
                    "WebAssembly translation error".to_string(),
                    match error {
                        DecodeError::Invalid { message, offset } => {
                            format!("Invalid input WebAssembly code at offset {offset}: {}", Shortened(message))
                        }
                        DecodeError::Unsupported(what) => format!("Unsupported feature: {what}"),
                        other => other.to_string(),
                    },
                ]
            }
            ErrorKind::Caused(what, causes) => [what].into_iter().chain(causes).cloned().collect(),
            ErrorKind::Cancelled(cause) => vec![cause.to_string(), self.to_string()],
            ErrorKind::System(doing, error) => vec![doing.to_string(), error.to_string()],
            kind => vec![kind.to_string()],
        }
    }
}

impl std::error::Error for Error {}

fn validators_words(error: &DecodeError) -> String {
    match error {
        DecodeError::Component => "component passed to module validation".to_string(),
        error => error.to_string(),
    }
}

/// Says what kind of item a type is, for messages.
pub(crate) fn extern_kind(ty: &ExternType) -> &'static str {
    match ty {
        ExternType::Func(_) => "func",
        ExternType::Table(_) => "table",
        ExternType::Memory(_) => "memory",
        ExternType::Global(_) => "global",
        ExternType::Tag(_) => "tag",
    }
}
