//! How much effort a function is compiled with, so that a guest can't choose one that costs out of proportion to its size.
//!
//! Most of what the code generator does takes time in proportion to a function. Some of it takes more for functions of a kind that nobody
//! writes, and a guest may: then it is given up. Each is estimated here, in linear time, before it is done:
//!
//! | what | costs | bound |
//! | --- | --- | --- |
//! | translation | values that a few bytes stand for | [`Budget::values`] |
//! | local variables | variables × blocks | [`Budget::definitions`] |
//! | optimization | blocks × how deep they are in the tree of dominators | [`DEPTH_MAX`] |
//! | allocation of registers | instructions × values that are alive at once | [`LIVE_MAX`], [`LEAST_LIVE_MAX`] |
//! | looking at what is alive | blocks × loops around them | [`DEPTH_MAX`], [`LEAST_NESTING_MAX`] |
//! | noting where blocks start | the square of branches and entries of branch tables | [`EDGES_MAX`] |
//!
//! The bounds lie far above what programs have (CPython's interpreter loop, for instance, has 86,457 values, 83,256 definitions and 7,245
//! edges; its deepest function has 3,429 blocks at a depth of 539; nowhere are more than 118 values alive on average). A function beyond is compiled with the least effort: locals in memory, nothing
//! inlined, nothing optimized. Registers are still allocated with care, so that values which are not alive at once share places in the frame.
//! Only where that is too much, too, they are allocated in one pass, and each value has a place of its own.

use ampoule_core::tunables::Tunables;
use cranelift_codegen::Context;
use cranelift_codegen::ir::{Function, Value};
use cranelift_codegen::loop_analysis::Loop;
use std::ops::Range;

/// How much effort a function is compiled with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effort {
    /// What the configuration asks for, however much that costs: for thunks, which are no larger than a signature may be.
    Thunk,
    /// What the configuration asks for, as long as it costs no more than is said above.
    Full,
    /// The same for a function that runs already, in the code of another tier: a guest that chooses what runs often chooses what is compiled, so it
    /// may cost less, and what would cost more stays as it is.
    Better,
    /// What takes time in proportion to the function, whatever it is.
    Least,
}

/// What the translation of one function may make.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    /// Values, and values that calls and branches take along.
    pub values: usize,
    /// Entries in the tables of local variables: one for each block, for each variable.
    pub definitions: usize,
}

impl Effort {
    /// Whether all is done that the configuration asks for, within a budget.
    pub(super) fn is_full(self) -> bool {
        matches!(self, Effort::Full | Effort::Better)
    }

    /// Whether the function is one that runs often, as far as that is known: only then its code may grow by much, and take long.
    pub(super) fn is_hot(self, tunables: &Tunables) -> bool {
        self == Effort::Better || tunables.debug_hot && self.is_full()
    }

    /// What a function with a body of that many bytes may be made of. A function that needs more is tried again with less effort, and
    /// at last refused.
    pub(super) fn budget(self, body_len: u64) -> Budget {
        let body_len = body_len as usize;
        match self {
            Effort::Thunk | Effort::Full => {
                Budget { values: (1 << 18) + 8 * body_len, definitions: ((1 << 22) + 128 * body_len).min(1 << 25) }
            }
            Effort::Better => Budget {
                values: ((1 << 15) + 16 * body_len).min(1 << 20),
                definitions: ((1 << 20) + 128 * body_len).min(1 << 23),
            },
            Effort::Least => Budget { values: 1 << 23, definitions: 1 << 25 },
        }
    }
}

/// How deep blocks are in the tree of dominators on average, at most.
const DEPTH_MAX: usize = 1024;
/// How many values are alive on average, at most.
const LIVE_MAX: usize = 256;
/// The same with the least effort: a call may hand on a thousand results as parameters of the next, as often as there are calls.
const LEAST_LIVE_MAX: usize = 1024;
/// How many loops blocks are in on average, at most, with the least effort: to see how long values live, all loops around a block are
/// walked over.
const LEAST_NESTING_MAX: usize = 64;
/// Branches and entries of branch tables, at most.
const EDGES_MAX: usize = 1 << 14;
/// Values of a function that is small.
const SMALL_VALUES: usize = 4000;
/// In functions with fewer blocks and instructions, the above may be as they like.
const SMALL: usize = 1 << 12;

/// Whether a function is so large that what follows matters.
pub(super) fn is_large(func: &Function) -> bool {
    func.dfg.num_insts() > SMALL || is_branchy(func)
}

/// Whether a function is so small that it may have a place in its frame for each value: 32 KiB of them, or twice that of vectors.
pub(super) fn is_small(func: &Function) -> bool {
    func.dfg.num_values() <= SMALL_VALUES
}

/// Whether blocks are inside each other too deep for the optimizer, which walks up the tree of dominators from each.
pub(super) fn is_deep(context: &mut Context) -> bool {
    context.compute_cfg();
    context.compute_domtree();
    let mut depths = vec![0usize; context.func.dfg.num_blocks()];
    let mut sum = 0usize;
    for &block in context.domtree.cfg_rpo() {
        let depth = context.domtree.idom(block).map_or(0, |parent| depths[parent.as_u32() as usize] + 1);
        depths[block.as_u32() as usize] = depth;
        sum += depth;
    }
    sum > DEPTH_MAX * depths.len().max(SMALL)
}

/// Whether more values are alive at once than registers can be allocated to in a time like the function's size. It has been optimized.
pub(super) fn is_crowded(context: &mut Context, effort: Effort) -> bool {
    context.compute_loop_analysis();
    let nesting_max = if effort == Effort::Least { LEAST_NESTING_MAX } else { DEPTH_MAX };
    let Some(Spans { blocks, loops, len }) = Spans::of(context, nesting_max) else { return true };
    let Context { func, loop_analysis, .. } = context;
    let dfg = &func.dfg;
    let mut defined = vec![0u32; dfg.num_values()];
    let mut last_used = vec![0u32; dfg.num_values()];
    for block in func.layout.blocks() {
        let mut now = blocks[block.as_u32() as usize];
        for &param in dfg.block_params(block) {
            (defined[index(param)], last_used[index(param)]) = (now, now);
        }
        for inst in func.layout.block_insts(block) {
            now += 1;
            for &result in dfg.inst_results(inst) {
                (defined[index(result)], last_used[index(result)]) = (now, now);
            }
            for value in dfg.inst_values(inst) {
                let value = index(dfg.resolve_aliases(value));
                let until = alive_until(defined[value], now, loop_analysis.innermost_loop(block), len, |l| {
                    (loops[l.as_u32() as usize].clone(), loop_analysis.loop_parent(l))
                });
                last_used[value] = last_used[value].max(until);
            }
        }
    }
    let alive: usize = last_used.iter().zip(&defined).map(|(&last, &first)| (last - first) as usize).sum();
    let live_max = if effort == Effort::Least { LEAST_LIVE_MAX } else { LIVE_MAX };
    alive > live_max * (len as usize).max(SMALL)
}

/// Until where a value must be kept that is used in a loop: if it comes from outside, until the loop's end.
fn alive_until(
    defined: u32,
    used: u32,
    mut around: Option<Loop>,
    len: u32,
    about: impl Fn(Loop) -> (Range<u32>, Option<Loop>),
) -> u32 {
    let mut until = used;
    // Of deeper ones nothing is known but that they end with the function.
    const LOOPS: usize = 16;
    for _ in 0..LOOPS {
        let Some(l) = around else { return until };
        let (span, parent) = about(l);
        if span.contains(&defined) {
            return until;
        }
        (until, around) = (until.max(span.end), parent);
    }
    len
}

/// Where blocks and loops are, counted in instructions.
struct Spans {
    /// What comes before each block.
    blocks: Vec<u32>,
    loops: Vec<Range<u32>>,
    len: u32,
}

impl Spans {
    /// `None` where blocks are in more loops than `nesting_max` on average.
    fn of(context: &Context, nesting_max: usize) -> Option<Self> {
        let Context { func, loop_analysis, .. } = context;
        let mut steps_left = nesting_max * func.dfg.num_blocks().max(SMALL);
        let mut blocks = vec![0; func.dfg.num_blocks()];
        let mut loops = vec![u32::MAX..u32::MAX; loop_analysis.loops().len()];
        let mut len = 0;
        for block in func.layout.blocks() {
            blocks[block.as_u32() as usize] = len;
            let start = len;
            len += func.layout.block_insts(block).count() as u32;
            let mut around = loop_analysis.innermost_loop(block);
            while let Some(l) = around {
                steps_left = steps_left.checked_sub(1)?;
                let span = &mut loops[l.as_u32() as usize];
                *span = span.start.min(start)..len + 1;
                around = loop_analysis.loop_parent(l);
            }
        }
        Some(Self { blocks, loops, len })
    }
}

/// Whether there are so many branches that noting where blocks start would take long: blocks that come to nothing are walked over again
/// and again.
pub(super) fn is_branchy(func: &Function) -> bool {
    let entries: usize = func.dfg.jump_tables.iter().map(|(_, table)| table.all_branches().len()).sum();
    func.dfg.num_blocks() + entries > EDGES_MAX
}

fn index(value: Value) -> usize {
    value.as_u32() as usize
}
