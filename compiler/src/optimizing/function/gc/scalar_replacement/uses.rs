//! Where a function's values are used, and which branches lead where.

use cranelift_codegen::ir::{Block, Function, Inst, Value};

/// One use of a value.
#[derive(Clone, Copy)]
pub(super) enum Use {
    /// An operand of an instruction.
    Operand(Inst),
    /// A branch hands it to this parameter of a block.
    Passed(Block, u32),
}

/// A way from one block to another.
#[derive(Clone, Copy)]
pub(super) struct Edge {
    pub from: Block,
    /// The branch.
    pub branch: Inst,
    /// Which of the branch's destinations.
    pub destination: u32,
}

/// All uses and edges, by value and by block.
pub(super) struct Uses {
    uses: Groups<Use>,
    edges: Groups<Edge>,
}

impl Uses {
    /// Of a function without unreachable blocks.
    pub fn of(func: &Function) -> Self {
        let dfg = &func.dfg;
        let (mut uses, mut edges) = (Vec::new(), Vec::new());
        let index = |value: Value| dfg.resolve_aliases(value).as_u32();
        for from in func.layout.blocks() {
            for inst in func.layout.block_insts(from) {
                uses.extend(dfg.inst_args(inst).iter().map(|&arg| (index(arg), Use::Operand(inst))));
                let destinations = dfg.insts[inst].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
                for (destination, call) in (0..).zip(destinations) {
                    let to = call.block(&dfg.value_lists);
                    edges.push((to.as_u32(), Edge { from, branch: inst, destination }));
                    let args = (0..).zip(call.args(&dfg.value_lists));
                    uses.extend(
                        args.filter_map(|(position, arg)| Some((index(arg.as_value()?), Use::Passed(to, position)))),
                    );
                }
            }
        }
        Self { uses: Groups::new(dfg.num_values(), uses), edges: Groups::new(dfg.num_blocks(), edges) }
    }

    /// Where a value is used that is no alias.
    pub fn of_value(&self, value: Value) -> &[Use] {
        self.uses.get(value.as_u32())
    }

    /// The ways to a block.
    pub fn edges_to(&self, block: Block) -> &[Edge] {
        self.edges.get(block.as_u32())
    }
}

/// Items by number.
struct Groups<T> {
    /// Where each number's items begin; at the end, where the last one's end.
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> Groups<T> {
    fn new(numbers: usize, numbered: Vec<(u32, T)>) -> Self {
        let mut starts = vec![0u32; numbers + 1];
        for &(number, _) in &numbered {
            starts[number as usize] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        // From the back, so that each number's items keep their order.
        let Some(&(_, filler)) = numbered.first() else { return Self { starts, items: Vec::new() } };
        let mut items = vec![filler; numbered.len()];
        for (number, item) in numbered.into_iter().rev() {
            let start = &mut starts[number as usize];
            *start -= 1;
            items[*start as usize] = item;
        }
        Self { starts, items }
    }

    fn get(&self, number: u32) -> &[T] {
        // What has been made since has none.
        match self.starts.get(number as usize..number as usize + 2) {
            Some(&[start, end]) => &self.items[start as usize..end as usize],
            _ => &[],
        }
    }
}
