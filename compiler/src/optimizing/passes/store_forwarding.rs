//! What was stored to linear memory, or loaded from it, is not loaded again.
//!
//! Cranelift's optimizer knows what was stored last, to whatever address. But a frame of the guest's own, in linear memory, has a place for each variable that
//! its compiler left there, and stores to one leave the others. Code that was compiled without optimization keeps all variables there.
//!
//! What is right about it: places at constant distances from one address don't overlap where the distances differ enough. Nothing else is known to stay: not
//! what is stored through another address, and nothing over calls, atomic operators and whatever else has effects. Another thread's store to a shared memory
//! need not be seen before one of these. A load that goes has bytes that were just accessed, so it could not have trapped. Stores stay, for whoever
//! looks at the memory after a trap.
//!
//! Bounds: [`FACTS`] are known at a time, and looked through at each access. They go on to a block that only the last one leads to.

use super::values::{constant, take_for};
use crate::optimizing::flags::Region;
use cranelift_codegen::Context;
use cranelift_codegen::ir::{Function, Inst, InstructionData, Opcode, Value};
use smallvec::SmallVec;

/// Places of which it is known at a time what they hold.
const FACTS: usize = 16;

/// The largest distance from an address that is added up.
const DISTANCE_MAX: i64 = 1 << 40;

/// Bytes in linear memory.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    base: Value,
    distance: i64,
    len: i64,
}

impl Place {
    fn is_apart_from(self, other: Place) -> bool {
        let ends_before = |first: Place, second: Place| first.distance + first.len <= second.distance;
        self.base == other.base && (ends_before(self, other) || ends_before(other, self))
    }
}

/// What places hold, the newest last.
type Facts = SmallVec<[(Place, Value); FACTS]>;

/// Replaces loads. Takes time in proportion to the function; the context's graph and dominators stay as they are.
pub(super) fn run(context: &mut Context) {
    let Context { func, cfg, domtree, .. } = context;
    let mut facts = Facts::new();
    let mut last = None;
    let mut replaced = false;
    for &block in domtree.cfg_postorder().iter().rev() {
        // What was known at the end of the last block, where nothing but that leads here.
        let mut ways = cfg.pred_iter(block).map(|way| Some(way.block));
        if facts.is_empty() || ways.next() != Some(last) || ways.next().is_some() {
            facts.clear();
        }
        last = Some(block);
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            next = func.layout.next_inst(inst);
            replaced |= step(func, inst, &mut facts);
        }
    }
    if replaced {
        func.dfg.resolve_all_aliases();
    }
}

/// Takes an instruction into account. Answers whether it was replaced.
fn step(func: &mut Function, inst: Inst, facts: &mut Facts) -> bool {
    let data = func.dfg.insts[inst];
    match data {
        InstructionData::Load { opcode, arg, offset, .. } => {
            if opcode != Opcode::Load || region(func, inst) != Some(Region::Heap.id()) {
                return false;
            }
            let value = func.dfg.first_result(inst);
            let Some(place) = place(func, opcode, arg, offset.into(), value) else { return false };
            let known = facts.iter().find(|(of, _)| *of == place).map(|&(_, value)| value);
            match known {
                Some(known) if func.dfg.value_type(known) == func.dfg.value_type(value) => {
                    take_for(func, inst, known);
                    return true;
                }
                Some(_) => {}
                None => note(facts, place, value),
            }
        }
        InstructionData::Store { opcode, args: [value, address], offset, .. } => match region(func, inst) {
            Some(region) if region != Region::Heap.id() => {}
            _ => match place(func, opcode, address, offset.into(), value) {
                Some(place) => {
                    facts.retain(|(of, _)| of.is_apart_from(place));
                    if opcode == Opcode::Store {
                        note(facts, place, func.dfg.resolve_aliases(value));
                    }
                }
                None => facts.clear(),
            },
        },
        _ => {
            let opcode = data.opcode();
            let is_branch = matches!(opcode, Opcode::Jump | Opcode::Brif | Opcode::BrTable);
            let is_check = matches!(opcode, Opcode::Trap | Opcode::Trapz | Opcode::Trapnz);
            let has_effects = opcode.can_store() || opcode.is_call() || opcode.other_side_effects();
            if has_effects && !is_branch && !is_check {
                facts.clear();
            }
        }
    }
    false
}

fn note(facts: &mut Facts, place: Place, value: Value) {
    if facts.len() == FACTS {
        facts.remove(0);
    }
    facts.push((place, value));
}

/// The part of memory that an access is to, if that is known.
fn region(func: &Function, inst: Inst) -> Option<u32> {
    let flags = func.dfg.mem_flags[func.dfg.insts[inst].memflags()?];
    flags.alias_region().map(|region| func.dfg.alias_regions[region].user_id)
}

/// The bytes that an access is to.
fn place(func: &Function, opcode: Opcode, address: Value, offset: i32, value: Value) -> Option<Place> {
    let len = match opcode {
        Opcode::Load | Opcode::Store => i64::from(func.dfg.value_type(value).bytes()),
        Opcode::Istore8 => 1,
        Opcode::Istore16 => 2,
        Opcode::Istore32 => 4,
        _ => return None,
    };
    let base = func.dfg.resolve_aliases(address);
    let (base, by) = match func.dfg.value_def(base).inst().map(|inst| func.dfg.insts[inst]) {
        Some(InstructionData::Binary { opcode: Opcode::Iadd, args: [base, by] }) if constant(func, by).is_some() => {
            (func.dfg.resolve_aliases(base), constant(func, by)?)
        }
        _ => (base, 0),
    };
    let distance = by.checked_add(i64::from(offset))?;
    (distance.abs() <= DISTANCE_MAX).then_some(Place { base, distance, len })
}
