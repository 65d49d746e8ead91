//! Counters of loops: what their first and last values say about the addresses that are made of them.
//!
//! A loop that goes back as long as a local isn't a constant, or is less, and that starts at a constant, has a known number of iterations at most. So each local
//! that every iteration adds a constant to, from a constant on, has a first and a last value. Where all of them are addresses within the
//! memory's initial length, or are with a constant that is added, no access at them is out of bounds.
//!
//! What is right about it: the operators of the loop are read ahead. One branch alone leads back; each counter is written to in one place, which every iteration comes by
//! once before that branch. So after *k* iterations each has its first value and *k* times its step, and *k* is less than their number. That doesn't hold
//! while the processor guesses how the branch goes: so the counter is clamped to the last value before an address is made of it, once for all addresses.
//!
//! Bounds: [`OPERATORS`] are read ahead for a loop, [`READ`] in a function.

use super::translator::{FuncTranslator, LocalPlace};
use crate::CompileError;
use crate::optimizing::passes::Pass;
use ampoule_core::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Opcode, Value, types};
use smallvec::SmallVec;
use std::collections::HashMap;
use wasmparser::{Operator, OperatorsReader};

/// Operators of a loop that are read ahead, at most.
const OPERATORS: usize = 256;
/// Operators read ahead in one function, at most.
const READ: usize = 1 << 16;
/// Counters of a loop, at most.
const COUNTERS: usize = 8;
/// Terms of an address, at most.
const TERMS: usize = 3;
/// What an address is made of, at most.
const OPERATORS_OF_ADDRESS: usize = 16;
/// What a term that is no counter is at most.
const SMALL: u32 = 0xffff;

/// Counters of a function's loops.
#[derive(Default)]
pub(super) struct Counters {
    /// By what the local is at the loop's header.
    ranges: HashMap<Value, Range>,
    read: usize,
}

/// The values of a counter at the loop's header, all of them from the least one on.
#[derive(Clone, Copy)]
struct Range {
    least: u32,
    span: u32,
}

/// A term of an address.
#[derive(Clone, Copy)]
struct Term {
    value: Value,
    times: u32,
    range: Range,
    is_counter: bool,
}

/// A local that every iteration adds a constant to.
#[derive(Clone, Copy)]
struct Step {
    local: u32,
    by: i32,
}

/// Those of a loop that begins.
pub(super) type LoopCounters = SmallVec<[(LocalPlace, u32, u32); 2]>;

/// What a loop's operators say.
struct Counted {
    steps: SmallVec<[Step; 4]>,
    /// It goes back where this is true of the counter and the constant.
    counter: Step,
    cond: IntCC,
    limit: u32,
}

impl<'a> FuncTranslator<'a> {
    /// The counters of the loop that begins at `reader`.
    pub(super) fn counters_of_loop(&mut self, reader: &OperatorsReader<'a>) -> Result<LoopCounters, CompileError> {
        let around = self.cost_of_reader();
        if !self.does(Pass::CounterRanges) || self.counters.read + around + OPERATORS > READ {
            return Ok(LoopCounters::new());
        }
        self.counters.read += around;
        let Some(counted) = read(reader.clone(), &mut self.counters.read)? else { return Ok(LoopCounters::new()) };
        let Counted { steps, counter, cond, limit } = counted;
        let Some(more) = self.start(counter.local).and_then(|start| times_back(start, counter.by, cond, limit)) else {
            return Ok(LoopCounters::new());
        };
        let mut counters = LoopCounters::new();
        for Step { local, by } in steps {
            let Some(start) = self.start(local) else { continue };
            let Some(span) = more.checked_mul(by.unsigned_abs()) else { continue };
            let least = if by < 0 { start.wrapping_sub(span) } else { start };
            counters.push((self.locals.places[local as usize].0, least, span));
        }
        Ok(counters)
    }

    /// At a loop's header: notes what its counters may be.
    pub(super) fn note_counters(&mut self, counters: LoopCounters) {
        for (place, least, span) in counters {
            let value = self.read_local(place, ValType::I32);
            self.counters.ranges.insert(value, Range { least, span });
        }
    }

    /// For an address of 32 bits that is made of counters, constants and what is small: a 64-bit index and an offset whose sum is the address, where
    /// all that it may be ends in bounds so many bytes further on.
    pub(super) fn counted_index(&mut self, address: Value, reach: u64, min: u64) -> Option<(Value, u64)> {
        if self.counters.ranges.is_empty() {
            return None;
        }
        let (terms, constant) = self.terms_of_address(address)?;
        // All in 32 bits, as the address is; and what is added to the least one doesn't wrap.
        let least = terms.iter().map(|term| term.range.least.wrapping_mul(term.times));
        let least = least.fold(constant, u32::wrapping_add);
        let spans = terms.iter().map(|term| u64::from(term.range.span) * u64::from(term.times));
        let last = spans.fold(u64::from(least), u64::saturating_add);
        if last > u32::MAX.into() || last.checked_add(reach)? > min {
            return None;
        }
        let mut index = None;
        for Term { value, times, range, is_counter } in terms {
            let place = if is_counter { self.place_of_counter(value, range) } else { self.widen(value, false) };
            let times = self.builder.ins().iconst(types::I64, i64::from(times));
            let place = self.builder.ins().imul(place, times);
            index = Some(match index {
                Some(index) => self.builder.ins().iadd(index, place),
                None => place,
            });
        }
        Some((index?, least.into()))
    }

    /// What a counter has beyond its least value, also while the processor guesses.
    fn place_of_counter(&mut self, counter: Value, Range { least, span }: Range) -> Value {
        let least = self.builder.ins().iconst(types::I32, i64::from(least));
        let place = self.builder.ins().isub(counter, least);
        let place = self.builder.ins().uextend(types::I64, place);
        if !self.tunables().spectre_mitigation {
            return place;
        }
        let span = self.builder.ins().iconst(types::I64, i64::from(span));
        let is_behind = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, place, span);
        self.builder.ins().select_spectre_guard(is_behind, span, place)
    }

    /// The terms that a value is the sum of, and the constant, if one of them is a counter and the others are small.
    fn terms_of_address(&self, value: Value) -> Option<(SmallVec<[Term; TERMS]>, u32)> {
        let dfg = &self.builder.func.dfg;
        let mut terms: SmallVec<[Term; TERMS]> = SmallVec::new();
        let mut constant = 0u32;
        let mut left: SmallVec<[(Value, u32); 4]> = SmallVec::from_iter([(dfg.resolve_aliases(value), 1)]);
        let mut operators = OPERATORS_OF_ADDRESS;
        while let Some((value, times)) = left.pop() {
            if let Some(&range) = self.counters.ranges.get(&value) {
                terms.push(Term { value, times, range, is_counter: true });
            } else if let Some(number) = self.constant(value) {
                constant = constant.wrapping_add(times.wrapping_mul(number as u32));
            } else {
                let inst = dfg.value_def(value).inst()?;
                let args = dfg.inst_args(inst);
                let by = args.get(1).and_then(|&by| self.constant(by)).map(|by| by as u32);
                let mut push = |position: usize, by: u32| {
                    left.push((dfg.resolve_aliases(args[position]), times.wrapping_mul(by)));
                };
                match (dfg.insts[inst].opcode(), by) {
                    (Opcode::Iadd, _) => (push(0, 1), push(1, 1)).0,
                    (Opcode::Isub, Some(_)) => (push(0, 1), push(1, u32::MAX)).0,
                    (Opcode::Ishl, Some(by @ 0..32)) => push(0, 1 << by),
                    (Opcode::Imul, Some(by)) => push(0, by),
                    _ => {
                        let span = u32::try_from(self.greatest(value)).ok().filter(|&span| span <= SMALL)?;
                        terms.push(Term { value, times, range: Range { least: 0, span }, is_counter: false });
                    }
                }
            }
            operators -= 1;
            if operators == 0 || terms.len() > TERMS {
                return None;
            }
        }
        terms.iter().any(|term| term.is_counter).then_some((terms, constant))
    }

    /// The constant that a local of 32 bits is.
    fn start(&mut self, local: u32) -> Option<u32> {
        let (place, ty) = self.locals.places[local as usize];
        if ty != ValType::I32 {
            return None;
        }
        let value = self.read_local(place, ty);
        self.constant(value).map(|value| value as u32)
    }
}

/// How often a loop goes back at most, whose counter begins at `start`.
fn times_back(start: u32, by: i32, cond: IntCC, limit: u32) -> Option<u32> {
    let step = by.unsigned_abs();
    let last = match cond {
        IntCC::NotEqual => {
            let distance = if by < 0 { start.wrapping_sub(limit) } else { limit.wrapping_sub(start) };
            return (distance != 0 && step != 0 && distance % step == 0).then(|| distance / step - 1);
        }
        _ if by <= 0 => return None,
        // The last value that it goes back with; another step leads to the limit, or beyond without wrapping, so to nothing less.
        IntCC::UnsignedLessThan => limit.checked_sub(1).filter(|last| last.checked_add(step).is_some())?,
        IntCC::SignedLessThan => (limit as i32).checked_sub(1).filter(|last| last.checked_add(by).is_some())? as u32,
        _ => return None,
    };
    Some(last.wrapping_sub(start) / step)
}

/// Reads a loop up to its end.
fn read(mut reader: OperatorsReader<'_>, read: &mut usize) -> Result<Option<Counted>, CompileError> {
    let mut open = 1;
    // The operators before.
    let mut last: [Option<Operator<'_>>; 3] = [None, None, None];
    let mut steps: SmallVec<[Step; 4]> = SmallVec::new();
    let mut written: SmallVec<[u32; 8]> = SmallVec::new();
    let mut back: Option<(u32, IntCC, u32)> = None;
    for _ in 0..OPERATORS {
        let op = reader.read()?;
        *read += 1;
        match op {
            Operator::Block { .. } | Operator::If { .. } | Operator::Loop { .. } => open += 1,
            Operator::End => open -= 1,
            Operator::BrIf { relative_depth } if relative_depth + 1 == open => {
                if back.is_some() || open != 1 {
                    return Ok(None);
                }
                let Some(test) = test(&last) else { return Ok(None) };
                back = Some(test);
            }
            Operator::Br { relative_depth } if relative_depth + 1 == open => return Ok(None),
            Operator::Br { .. } | Operator::BrIf { .. } => {}
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                if written.contains(&local_index) {
                    steps.retain(|step| step.local != local_index);
                } else {
                    written.push(local_index);
                    let step = step(&last, local_index).filter(|_| open == 1 && back.is_none());
                    steps.extend(step.map(|by| Step { local: local_index, by }));
                }
            }
            // Others that branch, and rare ones.
            Operator::BrTable { .. }
            | Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::BrOnCast { .. }
            | Operator::BrOnCastFail { .. }
            | Operator::Try { .. }
            | Operator::TryTable { .. } => return Ok(None),
            _ => {}
        }
        if open == 0 {
            let Some((local, cond, limit)) = back else { return Ok(None) };
            let counter = steps.iter().find(|step| step.local == local).copied();
            steps.truncate(COUNTERS);
            return Ok(counter.map(|counter| Counted { steps, counter, cond, limit }));
        }
        let [_, second, third] = last;
        last = [second, third, Some(op)];
    }
    Ok(None)
}

/// The constant that is added to a local by the operators before one that writes to it.
fn step(last: &[Option<Operator<'_>>; 3], local: u32) -> Option<i32> {
    match *last {
        [Some(Operator::LocalGet { local_index }), Some(Operator::I32Const { value }), Some(Operator::I32Add)]
            if local_index == local =>
        {
            Some(value)
        }
        _ => None,
    }
}

/// What the operators before a branch compare: a local, how, and with which constant.
fn test(last: &[Option<Operator<'_>>; 3]) -> Option<(u32, IntCC, u32)> {
    let local = |op: &Option<Operator<'_>>| match *op {
        Some(Operator::LocalGet { local_index } | Operator::LocalTee { local_index }) => Some(local_index),
        _ => None,
    };
    if let Some(local) = local(&last[2]) {
        return Some((local, IntCC::NotEqual, 0));
    }
    let [compared, Some(Operator::I32Const { value }), Some(compare)] = last else { return None };
    let cond = match compare {
        Operator::I32Ne => IntCC::NotEqual,
        Operator::I32LtU => IntCC::UnsignedLessThan,
        Operator::I32LtS => IntCC::SignedLessThan,
        _ => return None,
    };
    Some((local(compared)?, cond, *value as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts as the loop does.
    fn counted(start: u32, by: i32, goes_on: impl Fn(u32) -> bool) -> u32 {
        let mut value = start;
        let mut times = 0;
        loop {
            value = value.wrapping_add(by as u32);
            if !goes_on(value) || times == 10_000 {
                return times;
            }
            times += 1;
        }
    }

    #[test]
    fn a_loop_goes_back_no_more_often_than_it_is_counted() {
        let edges = [
            0,
            1,
            2,
            7,
            100,
            i32::MAX as u32 - 3,
            i32::MAX as u32,
            i32::MIN as u32,
            -100i32 as u32,
            u32::MAX - 5,
            u32::MAX,
        ];
        let mut found = 0;
        for (start, limit) in edges.into_iter().flat_map(|start| edges.map(|limit| (start, limit))) {
            for by in [1, 2, 3, 50, -1, -2, -7, 0] {
                for cond in [IntCC::NotEqual, IntCC::UnsignedLessThan, IntCC::SignedLessThan] {
                    let goes_on = |value: u32| match cond {
                        IntCC::NotEqual => value != limit,
                        IntCC::UnsignedLessThan => value < limit,
                        _ => (value as i32) < limit as i32,
                    };
                    let Some(times) = times_back(start, by, cond, limit) else { continue };
                    let expected = counted(start, by, goes_on);
                    let why = format!("{start:#x} {by} {cond} {limit:#x}");
                    assert!(times >= expected, "{why}");
                    if cond == IntCC::NotEqual || goes_on(start) {
                        assert!(times == expected || expected == 10_000, "{why}");
                        found += 1;
                    }
                }
            }
        }
        assert!(found > 50, "{found}");
    }
}
