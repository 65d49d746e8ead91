//! Fields as variables: which value a field has where it is read.
//!
//! What is done here is first found out, without changing the function, and then done: it may turn out to be too much.

use super::Spent;
use super::uses::{Edge, Uses};
use cranelift_codegen::ir::{Block, Inst};
use std::collections::HashMap;

/// Where a field's value comes from.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    /// The object has been made with it.
    Content,
    /// A store has written it.
    Written(Inst),
    /// Several ways lead to a block, and on each of them the field may have another value.
    Joined(Block),
}

/// A field of one object that is written to.
pub(super) struct Variable {
    /// The block in which the object is made. It dominates all others that are asked for.
    home: Block,
    /// The last store to the field in each block.
    last_writes: HashMap<Block, Inst>,
    /// What the field is where blocks begin.
    starts: HashMap<Block, Origin>,
    /// Blocks in which values are joined.
    pub joins: Vec<Block>,
}

/// The ways between blocks.
pub(super) struct Ways<'a> {
    pub uses: &'a Uses,
    /// For the block in which an object gets its first content, the one that asks whether there is room for it. Between the two nothing is
    /// done with other objects.
    pub allocations: &'a HashMap<Block, Block>,
}

impl Variable {
    pub fn new(home: Block, last_writes: HashMap<Block, Inst>) -> Self {
        Self { home, last_writes, starts: HashMap::new(), joins: Vec::new() }
    }

    /// Finds out about all joins that are needed, beside those which have been asked for. `None` where that is too much.
    pub fn complete(&mut self, ways: &Ways<'_>, spent: &mut Spent) -> Option<()> {
        let mut done = 0;
        while let Some(&block) = self.joins.get(done) {
            let edges = ways.uses.edges_to(block);
            spent.params(1 + edges.len())?;
            for &Edge { from, .. } in edges {
                self.at_end(from, ways, spent)?;
            }
            done += 1;
        }
        Some(())
    }

    /// What the field is where a block begins.
    pub fn at_start(&mut self, block: Block, ways: &Ways<'_>, spent: &mut Spent) -> Option<Origin> {
        self.find(block, true, ways, spent)
    }

    /// What the field is where a block ends.
    pub fn at_end(&mut self, block: Block, ways: &Ways<'_>, spent: &mut Spent) -> Option<Origin> {
        self.find(block, false, ways, spent)
    }

    fn find(&mut self, mut block: Block, mut at_start: bool, ways: &Ways<'_>, spent: &mut Spent) -> Option<Origin> {
        let mut passed = Vec::new();
        let origin = loop {
            if !at_start && let Some(&write) = self.last_writes.get(&block) {
                break Origin::Written(write);
            }
            at_start = false;
            if block == self.home {
                break Origin::Content;
            }
            if let Some(&known) = self.starts.get(&block) {
                break known;
            }
            spent.steps(1)?;
            passed.push(block);
            block = match (ways.allocations.get(&block), ways.uses.edges_to(block)) {
                (Some(&before), _) | (None, &[Edge { from: before, .. }]) => before,
                // The entry, which the home doesn't dominate.
                (None, []) => return None,
                _ => {
                    self.joins.push(block);
                    break Origin::Joined(block);
                }
            };
        };
        for block in passed {
            self.starts.insert(block, origin);
        }
        Some(origin)
    }
}
