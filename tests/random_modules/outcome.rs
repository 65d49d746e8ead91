//! What can be seen of a module's run, in a form that any engine's run can be brought to.

use crate::generate::{Random, argument};
use ampoule::{ExternType, FuncType, Module, Val};

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
#[derive(Clone, Debug)]
pub struct Outcome {
    pub end: End,
    /// Exported memories, tables and globals, in order.
    pub state: Vec<String>,
    /// What the call used, where it was counted.
    pub fuel: Option<u64>,
}

/// Without the fuel: a mode that doesn't count it is no different.
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
    Error,
}

impl Outcome {
    /// Whether this depends on the engine: how deep calls may go is not defined.
    pub fn is_arbitrary(&self) -> bool {
        self.end == End::Trap(ampoule::TrapCode::StackOverflow as u8)
    }
}

/// A value to compare: numbers by their bits, references by whether they are null.
pub fn show(val: &Val) -> String {
    match val {
        Val::FuncRef(func) => format!("funcref {}", func.is_some()),
        Val::ExternRef(value) => format!("externref {}", value.is_some()),
        Val::ExnRef(exn) => format!("exnref {}", exn.is_some()),
        Val::F32(bits) => format!("f32 {bits:#x}"),
        Val::F64(bits) => format!("f64 {bits:#x}"),
        Val::V128(bits) => format!("v128 {bits:#x}"),
        number => format!("{number:?}"),
    }
}

/// The contents of a memory, in short.
pub fn show_memory(bytes: &[u8]) -> String {
    let words = bytes.chunks(8).map(|chunk| chunk.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)));
    let hash = words.fold(0xcbf2_9ce4_8422_2325, |hash: u64, word| (hash ^ word).wrapping_mul(0x100_0000_01b3));
    format!("memory {} {hash:x}", bytes.len())
}
