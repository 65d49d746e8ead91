//! Which locals are never needed at the same time, so that they can share one place.
//!
//! Compilers that don't optimize declare a local for every intermediate value, tens of thousands in a function, each for a few operators.
//! What is kept of places grows with their number: of variables, a table over the blocks; of the frame, its size.
//!
//! One pass over the operators finds for each local a span in which it is needed. Control is structured, so a write is made before
//! everything that follows it within the block around it, whichever way control goes. A local that is written first, and not named outside
//! of the block around that write, is needed from there until it is named last; and where that is in a loop within the block, until
//! the loop's end. Any other local is needed from the function's entry, where it is zero, in the same way. Locals whose spans don't
//! overlap share: it takes as many places as there are spans over one operator, for each type.

use crate::CompileError;
use ampoule_core::types::ValType;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use wasmparser::{FunctionBody, Operator};

/// Where a local is among the places of a function, and whether it has a value that may be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Share {
    /// Locals of the same number, which have the same type, share a place.
    pub place: u32,
    /// Whether it is needed where the function is entered. Others are written before they are read.
    pub needed: bool,
}

/// For each of a function's locals, of which the first `params` are parameters, its share. The function is entered before its operator
/// number `at`, counted from one, or, if that is zero, at its beginning.
pub(super) fn shares(
    types: &[ValType],
    params: usize,
    body: &FunctionBody<'_>,
    at: u32,
) -> Result<Vec<Share>, CompileError> {
    let mut pass = Pass { lives: vec![Life::UNNAMED; types.len()], ..Pass::default() };
    pass.lives[..params].fill(Life { from_entry: true, ..Life::UNNAMED });
    pass.enter(false);
    for (position, op) in body.get_operators_reader()?.into_iter().enumerate() {
        // Position zero is the function's entry.
        pass.operator(position as u32 + 1, &op?);
    }
    Ok(share(types, pass.lives.iter().map(|life| life.span(&pass.loop_ends)), at))
}

/// Gives places to locals with these spans, as few as will do.
fn share(types: &[ValType], spans: impl Iterator<Item = (u32, u32)>, at: u32) -> Vec<Share> {
    let mut order: Vec<_> = spans.enumerate().collect();
    let mut shares = vec![Share { place: 0, needed: false }; order.len()];
    order.sort_unstable_by_key(|&(local, (start, _))| (start, local));
    // For each type the places there are, by the end of the last span in them.
    let mut places: HashMap<ValType, BinaryHeap<Reverse<(u32, u32)>>> = HashMap::new();
    let mut made = 0;
    for (local, (start, end)) in order {
        let places = places.entry(types[local]).or_default();
        let place = match places.peek() {
            Some(&Reverse((free_behind, place))) if free_behind < start => {
                places.pop();
                place
            }
            _ => {
                made += 1;
                made - 1
            }
        };
        places.push(Reverse((end, place)));
        shares[local] = Share { place, needed: (start..=end).contains(&at) };
    }
    shares
}

/// What is known of a local.
#[derive(Clone, Copy)]
struct Life {
    from_entry: bool,
    /// Where it is named first and last.
    first: u32,
    last: u32,
    /// The block around the first write: how deep, and which.
    home: (u32, u32),
    /// The last loop to whose end it is needed.
    until_end_of: Option<u32>,
}

impl Life {
    const UNNAMED: Self = Self { from_entry: false, first: u32::MAX, last: 0, home: (0, 0), until_end_of: None };

    fn span(&self, loop_ends: &[u32]) -> (u32, u32) {
        let start = if self.from_entry { 0 } else { self.first };
        let loop_end = self.until_end_of.map_or(0, |l| loop_ends[l as usize]);
        (start, self.last.max(loop_end).max(if start == u32::MAX { start } else { 0 }))
    }
}

#[derive(Default)]
struct Pass {
    lives: Vec<Life>,
    /// The enclosing blocks, outermost first, each with a number of its own.
    blocks: Vec<u32>,
    blocks_seen: u32,
    /// Those of them that are loops: how deep, and which loop.
    loops: Vec<(u32, u32)>,
    /// Where each loop ends, as soon as that is known.
    loop_ends: Vec<u32>,
}

impl Pass {
    fn operator(&mut self, position: u32, op: &Operator<'_>) {
        match *op {
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } | Operator::Try { .. } => {
                self.enter(false);
            }
            Operator::Loop { .. } => self.enter(true),
            Operator::Else | Operator::Catch { .. } | Operator::CatchAll => {
                self.blocks.pop();
                self.enter(false);
            }
            Operator::End | Operator::Delegate { .. } => {
                self.blocks.pop();
                if let Some(&(depth, l)) = self.loops.last()
                    && depth as usize == self.blocks.len()
                {
                    self.loops.pop();
                    self.loop_ends[l as usize] = position;
                }
            }
            Operator::LocalGet { local_index } => self.name(position, local_index, false),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                self.name(position, local_index, true);
            }
            _ => {}
        }
    }

    fn enter(&mut self, is_loop: bool) {
        if is_loop {
            self.loops.push((self.blocks.len() as u32, self.loop_ends.len() as u32));
            self.loop_ends.push(u32::MAX);
        }
        self.blocks.push(self.blocks_seen);
        self.blocks_seen += 1;
    }

    fn name(&mut self, position: u32, local: u32, writes: bool) {
        let depth = self.blocks.len() as u32 - 1;
        let life = &mut self.lives[local as usize];
        if life.first == u32::MAX {
            life.first = position;
            life.home = (depth, self.blocks[depth as usize]);
            life.from_entry |= !writes;
        }
        let (home_depth, home) = life.home;
        life.from_entry |= self.blocks.get(home_depth as usize) != Some(&home);
        life.last = position;
        // The outermost loop that begins behind the local's first value.
        let around = if life.from_entry { 0 } else { self.loops.partition_point(|&(depth, _)| depth <= home_depth) };
        if let Some(&(_, l)) = self.loops.get(around) {
            life.until_end_of = Some(l);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ValType::{F64, I32};

    /// The shares of a function of these types and this body.
    fn shares_in(types: &[ValType], params: usize, body: &str) -> Vec<Share> {
        shares_at(0, types, params, body)
    }

    /// The same of one that is entered before an operator.
    fn shares_at(at: u32, types: &[ValType], params: usize, body: &str) -> Vec<Share> {
        let names = |types: &[ValType]| types.iter().map(|ty| format!("{ty:?} ").to_lowercase()).collect::<String>();
        let (params_text, locals_text) = (names(&types[..params]), names(&types[params..]));
        let wat = format!("(module (func (param {params_text}) (local {locals_text}) {body}))");
        let bytes = wat::parse_str(&wat).expect("it is text");
        let bodies = wasmparser::Parser::new(0).parse_all(&bytes).filter_map(|payload| match payload {
            Ok(wasmparser::Payload::CodeSectionEntry(body)) => Some(body),
            _ => None,
        });
        shares(types, params, &bodies.last().expect("it has a body"), at).expect("it is valid")
    }

    /// Whether locals 0 and 1, both `i32`, share a place in a function with this body.
    fn shared(body: &str) -> bool {
        let shares = shares_in(&[I32, I32], 0, body);
        shares[0].place == shares[1].place
    }

    const USE_0: &str = "(local.set 0 (i32.const 1)) (drop (local.get 0))";
    const USE_1: &str = "(local.set 1 (i32.const 1)) (drop (local.get 1))";

    #[test]
    fn locals_needed_one_after_the_other_share() {
        assert!(shared(&format!("{USE_0} {USE_1}")));
        assert!(shared(&format!("{USE_1} {USE_0}")));
        assert!(shared(&format!("block {USE_0} end loop {USE_1} end")));
        assert!(shared(&format!("i32.const 0 if {USE_0} else {USE_1} end")));
        assert!(shared(&format!("loop {USE_0} {USE_1} br 0 end")));
        assert!(!shared(&format!("(local.set 0 (i32.const 1)) {USE_1} (drop (local.get 0))")));
    }

    #[test]
    fn a_local_that_may_be_read_before_it_is_written_is_needed_from_the_entry_on() {
        let from_entry = |body: &str| shares_in(&[I32, I32], 0, body)[0].needed;
        assert!(!from_entry(USE_0));
        assert!(!from_entry("loop (local.set 0 (i32.const 1)) block (br_if 0 (local.get 0)) (br 1) end end"));
        assert!(from_entry("(drop (local.get 0))"));
        assert!(from_entry(&format!("block {USE_0} end (drop (local.get 0))")));
        assert!(from_entry("i32.const 0 if (local.set 0 (i32.const 1)) else (drop (local.get 0)) end"));
        assert!(from_entry("i32.const 0 if (local.set 0 (i32.const 1)) end (drop (local.get 0))"));
        // What another iteration left may be read.
        assert!(from_entry(
            "loop block (br_if 0 (i32.const 0)) (local.set 0 (i32.const 1)) end (drop (local.get 0)) br 0 end"
        ));
        assert!(!shared(&format!("{USE_1} (drop (local.get 0))")));
        assert!(shared(&format!("(drop (local.get 0)) {USE_1}")));
    }

    #[test]
    fn what_a_loop_reads_is_needed_until_its_end() {
        let set = "(local.set 0 (i32.const 1))";
        assert!(!shared(&format!("{set} loop (drop (local.get 0)) {USE_1} br 0 end")));
        assert!(!shared(&format!("{set} loop loop (drop (local.get 0)) end {USE_1} br 0 end")));
        assert!(!shared(&format!("loop {set} loop (drop (local.get 0)) {USE_1} end br 0 end")));
        assert!(shared(&format!("loop {set} loop (drop (local.get 0)) end {USE_1} br 0 end")));
        assert!(shared(&format!("{set} loop (drop (local.get 0)) br 0 end {USE_1}")));
        // Read from the entry on, so also in the second iteration.
        assert!(!shared(&format!("loop (drop (local.get 0)) {USE_1} (br 0) end")));
    }

    #[test]
    fn parameters_share_when_they_are_read_no_more_and_types_are_kept_apart() {
        let shares = shares_in(&[I32, I32, F64], 1, &format!("(drop (local.get 0)) {USE_1} (drop (local.get 2))"));
        assert_eq!(shares[0], Share { place: shares[1].place, needed: true });
        assert!(!shares[1].needed);
        assert_ne!(shares[2].place, shares[0].place);
        assert!(shares_in(&[I32, I32], 1, USE_0)[0].needed, "a parameter comes with a value");
    }

    #[test]
    fn where_a_function_is_entered_that_local_of_a_place_is_needed_that_is_alive() {
        // Operators 1 to 3, 4 to 6, and a loop with 8 to 10.
        let body = format!("{USE_0} {USE_1} loop {USE_0} end");
        let needed = |at: u32| {
            let shares = shares_at(at, &[I32, I32], 0, &body);
            (shares[0].needed, shares[1].needed)
        };
        assert_eq!(needed(0), (false, false));
        assert_eq!(needed(3), (true, false));
        assert_eq!(needed(6), (true, true), "the other one is named again");
        let shared = format!("{USE_0} loop {USE_1} br 0 end");
        let shares = shares_at(4, &[I32, I32], 0, &shared);
        assert_eq!(shares[0].place, shares[1].place);
        assert!(!shares[0].needed && !shares[1].needed, "one is read no more, the other written first");
        let read_in_loop = "(local.set 0 (i32.const 1)) loop (drop (local.get 0)) br 0 end";
        assert!(shares_at(3, &[I32, I32], 0, read_in_loop)[0].needed);
        assert!(!shares_at(3, &[I32, I32], 0, read_in_loop)[1].needed);
    }

    #[test]
    fn places_are_as_many_as_are_needed_at_once() {
        let pairs: String =
            (0..500).map(|k| format!("(local.set {} (local.tee {} (i32.const 1)))", k, k + 1)).collect();
        let shares = shares_in(&[I32; 501], 0, &pairs);
        assert!(shares.iter().all(|share| share.place < 3), "{shares:?}");
    }
}
