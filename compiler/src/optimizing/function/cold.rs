//! What is hardly ever reached is placed behind everything else.
//!
//! Code that ran before has told which functions were never called, and which indirect calls never reached (`Profile`). The block of such a call is
//! cold; so is what only leads to cold blocks, and what only they lead to.

use super::translator::FuncTranslator;
use ampoule_core::index::FuncIndex;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{Block, Function};

impl FuncTranslator<'_> {
    /// Whether a function of the module was never called, as far as is known.
    pub(super) fn is_never_called(&self, function: FuncIndex) -> bool {
        match (self.input.profile, self.input.module.defined_func(function)) {
            (Some(profile), Some(own)) => !profile.was_called(own),
            _ => false,
        }
    }

    /// Notes that the code at this place was never reached.
    pub(super) fn is_cold_here(&mut self) {
        let here = self.builder.current_block().filter(|&block| self.builder.func.layout.entry_block() != Some(block));
        if let Some(here) = here {
            self.builder.set_cold_block(here);
        }
    }
}

/// Makes blocks cold that only lead to cold ones, and those that only cold ones lead to. Takes time in proportion to blocks and branches.
pub(super) fn spread(func: &mut Function) {
    let Some(entry) = func.layout.entry_block() else { return };
    let mut cold: Vec<Block> = func.layout.blocks().filter(|&block| func.layout.is_cold(block)).collect();
    if cold.is_empty() {
        return;
    }
    let cfg = ControlFlowGraph::with_function(func);
    // Of each block, the ways to it and on from it that are not known to be cold.
    let mut ways: Vec<(usize, usize)> = vec![(0, 0); func.dfg.num_blocks()];
    for block in func.layout.blocks() {
        ways[block.as_u32() as usize] = (cfg.pred_iter(block).count(), cfg.succ_iter(block).count());
    }
    while let Some(block) = cold.pop() {
        let after = cfg.succ_iter(block).map(|next| (next, true));
        let before = cfg.pred_iter(block).map(|way| (way.block, false));
        for (other, is_after) in after.chain(before) {
            let (to, on) = &mut ways[other.as_u32() as usize];
            let left = if is_after { to } else { on };
            *left -= 1;
            if *left == 0 && other != entry && !func.layout.is_cold(other) {
                func.layout.set_cold(other);
                cold.push(other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cranelift_codegen::ir::{InstBuilder, types};
    use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

    /// The numbers of the blocks that are cold in the end, of those with these ways on, where some are cold from the beginning.
    fn cold(ways: &[&[usize]], first: &[usize]) -> Vec<usize> {
        let (mut func, mut context) = (Function::new(), FunctionBuilderContext::new());
        let mut builder = FunctionBuilder::new(&mut func, &mut context);
        let blocks: Vec<Block> = ways.iter().map(|_| builder.create_block()).collect();
        for (&block, ways) in blocks.iter().zip(ways) {
            builder.switch_to_block(block);
            match **ways {
                [] => builder.ins().return_(&[]),
                [on] => builder.ins().jump(blocks[on], &[]),
                [one, other] => {
                    let condition = builder.ins().iconst(types::I8, 1);
                    builder.ins().brif(condition, blocks[one], &[], blocks[other], &[])
                }
                _ => unreachable!("a branch has two ways on"),
            };
        }
        first.iter().for_each(|&block| builder.set_cold_block(blocks[block]));
        builder.seal_all_blocks();
        spread(builder.func);
        (0..blocks.len()).filter(|&number| builder.func.layout.is_cold(blocks[number])).collect()
    }

    #[test]
    fn what_only_leads_to_cold_blocks_is_cold_and_what_only_they_lead_to() {
        // An arm of three blocks, of which the last was never reached, and what follows both arms.
        let arms: &[&[usize]] = &[&[1, 4], &[2], &[3], &[5], &[5], &[]];
        assert_eq!(cold(arms, &[3]), [1, 2, 3]);
        assert_eq!(cold(arms, &[1]), [1, 2, 3]);
        assert!(cold(arms, &[]).is_empty());
        // Both arms: what is behind them, but not the beginning.
        assert_eq!(cold(arms, &[1, 4]), [1, 2, 3, 4, 5]);
        // A loop that may be left for a cold block, and one behind it.
        assert_eq!(cold(&[&[1], &[1, 2], &[3], &[3, 4], &[]], &[2]), [2]);
        // Two ways from one block to another.
        assert_eq!(cold(&[&[1, 2], &[3, 3], &[], &[]], &[3]), [1, 3]);
    }
}
