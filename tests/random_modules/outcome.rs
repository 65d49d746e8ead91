//! What can be seen of a module's run, in a form that any engine's run can be brought to.

use crate::generate::{Random, argument};
use ampoule::{ExternType, FuncType, I31, Module, TrapCode, Val};
use std::fmt;

/// How many of a module's functions are called, each in an instance of its own.
const MAX_CALLS: usize = 12;

/// Limits of every store, in any engine: what grows beyond differs by nothing else.
pub const MAX_MEMORY_BYTES: u64 = 4 << 20;
pub const MAX_TABLE_ELEMENTS: u64 = 10_000;

/// One call: which export, and with what.
pub struct Call {
    pub export: usize,
    pub ty: FuncType,
    pub args: Vec<Val>,
}

/// The calls that are made of a module.
pub fn calls(module: &Module, seed: u64) -> Vec<Call> {
    let mut random = Random::new(!seed);
    let funcs = module.exports().enumerate().filter_map(|(export, (_, ty))| match ty {
        ExternType::Func(ty) => Some((export, ty)),
        _ => None,
    });
    let calls = funcs.map(|(export, ty)| {
        let args = ty.params().iter().map(|&ty| argument(&mut random, ty)).collect();
        Call { export, ty, args }
    });
    calls.take(MAX_CALLS).collect()
}

/// How a call ended, and what it left behind.
#[derive(Clone, Default, Debug)]
pub struct Outcome {
    pub end: End,
    /// Exported memories, tables and globals, in order.
    pub state: Vec<String>,
    /// What the call used, where it was counted.
    pub fuel: Option<u64>,
    /// How often it was interrupted, where that is counted.
    pub interruptions: usize,
    /// The guest's frames where it was stopped, innermost first: functions and positions.
    pub frames: Vec<(u32, Option<usize>)>,
}

/// Without the fuel, which not every mode counts, and the frames, which not every engine tells: see [`Outcome::is_exactly`].
impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        self.end == other.end && self.state == other.state
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    Results(Vec<String>),
    /// Also of the start function, and of segments that don't fit.
    Trap(u8),
    /// Refused: a limit, say.
    Error(Message),
    /// There was no room for an object.
    HeapFull,
}

/// What an error says. Engines may say it in their own words.
#[derive(Clone, Eq)]
pub struct Message(String);

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl PartialEq for Message {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Default for End {
    fn default() -> Self {
        End::Results(Vec::new())
    }
}

impl Outcome {
    /// Whether everything is the same, with fuel and frames.
    pub fn is_exactly(&self, other: &Self) -> bool {
        let (interruptions, frames) = (self.interruptions == other.interruptions, self.frames == other.frames);
        self == other && self.fuel == other.fuel && interruptions && frames
    }

    /// Whether it ended with a trap that no instruction's fault can have been.
    pub fn tells_where(&self) -> bool {
        const FAULTS: [TrapCode; 4] = [
            TrapCode::MemoryOutOfBounds,
            TrapCode::NullReference,
            TrapCode::IntegerDivisionByZero,
            TrapCode::IntegerOverflow,
        ];
        !matches!(self.end, End::Trap(code) if FAULTS.iter().any(|&fault| fault as u8 == code))
    }

    /// Whether this depends on the engine: how deep calls may go is not defined, nor how large objects are.
    pub fn is_arbitrary(&self) -> bool {
        matches!(self.end, End::Trap(code) if code == TrapCode::StackOverflow as u8) || self.end == End::HeapFull
    }
}

/// A value to compare: numbers by their bits, references by whether they are null or an integer.
pub fn show(val: &Val) -> String {
    match val {
        Val::FuncRef(func) => format!("funcref {}", func.is_some()),
        Val::ExternRef(value) => format!("externref {}", value.is_some()),
        Val::ExnRef(exn) => format!("exnref {}", exn.is_some()),
        Val::AnyRef(None) => "anyref null".to_string(),
        Val::AnyRef(Some(value)) => show_any(value.as_i31().map(I31::get_s)),
        Val::F32(bits) => format!("f32 {bits:#x}"),
        Val::F64(bits) => format!("f64 {bits:#x}"),
        Val::V128(bits) => format!("v128 {bits:#x}"),
        number => format!("{number:?}"),
    }
}

/// An `anyref` that is not null: an integer, or something else.
pub fn show_any(integer: Option<i32>) -> String {
    integer.map_or("object".to_string(), |integer| format!("i31 {integer}"))
}

/// How something ended with this message, that is no trap's.
pub fn end_with(message: &str) -> End {
    if message.contains("GC heap out of memory") { End::HeapFull } else { End::Error(Message(message.to_string())) }
}

/// The contents of a memory, in short. Most of it is zero, which is seen at once: else this would be what tests take longest for.
pub fn show_memory(bytes: &[u8]) -> String {
    const PAGE: usize = 4096;
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (number, page) in bytes.chunks(PAGE).enumerate() {
        if page != &[0; PAGE][..page.len()] {
            let words = page.chunks(8).map(|chunk| chunk.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)));
            let words = std::iter::once(number as u64).chain(words);
            hash = words.fold(hash, |hash, word| (hash ^ word).wrapping_mul(0x100_0000_01b3));
        }
    }
    format!("memory {} {hash:x}", bytes.len())
}
