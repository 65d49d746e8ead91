//! The state of a function's translation, and what all operators need: the operand stack, variables, blocks.

use super::counters::{Counters, LoopCounters};
use super::gc::NewObject;
use super::midway::Midway;
use crate::catch_clause::Clause;
use crate::optimizing::effort::{Budget, Effort};
use crate::optimizing::flags::{Region, constant_flags};
use crate::optimizing::linkage::{Numbers, import_builtin};
use crate::optimizing::passes::{Pass, Passes};
use crate::optimizing::signature::V128;
use crate::{CompileError, ModuleInput};
use ampoule_core::artifact::INLINED;
use ampoule_core::builtins::Builtin;
use ampoule_core::index::{DefinedFuncIndex, FuncIndex, TypeIndex};
use ampoule_core::tunables::{OptLevel, Tunables};
use ampoule_core::types::{FuncType, RefType, ValType};
use ampoule_core::vm::VmLayout;
use cranelift_codegen::ir::condcodes::{CondCode, IntCC};
use cranelift_codegen::ir::{self, AliasRegion, Block, InstBuilder, MemFlagsData, SourceLoc, Value, types};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::{FunctionBuilder, Variable};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::rc::Rc;
use wasmparser::OperatorsReader;

/// The translation of one function body.
pub(super) struct FuncTranslator<'a> {
    /// Where instructions go.
    pub builder: FunctionBuilder<'a>,
    /// The target.
    pub isa: &'a dyn TargetIsa,
    /// The module.
    pub input: ModuleInput<'a>,
    /// The function's own context.
    pub vmctx: Value,
    /// Where the function leaves its results, if registers don't do.
    pub(super) return_area: Option<Value>,
    /// Where the functions called leave theirs.
    pub(super) call_area: Option<ir::StackSlot>,
    /// How many values calls and branches take along.
    pub(super) args_passed: usize,
    pub(super) effort: Effort,
    pub(super) passes: Passes,
    pub(super) budget: Budget,
    /// The operand stack. `v128` is always [`V128`], a reference to a function an `i64`, any other an `i32`.
    pub(super) stack: Vec<Value>,
    /// The enclosing blocks, outermost first.
    pub(super) control: Vec<ControlFrame>,
    /// Those of them that handle exceptions; see `exception`.
    pub(super) scopes: Vec<Scope>,
    /// Whether the next operator can be reached.
    pub(super) reachable: bool,
    pub(super) locals: Locals,
    pub(super) metering: Metering,
    pub(super) func_type: &'a FuncType,
    /// What has been inlined so far, and where we are in it.
    pub(super) inlining: Inlining,
    pub(super) tail_duplication: TailDuplication<'a>,
    pub(super) unrolled: Unrolled,
    pub(super) vectorized: Vectorized,
    pub(super) counters: Counters,
    /// Those of the loop that is about to be entered.
    pub(super) entered: LoopCounters,
    /// Of a function that is entered at a loop.
    pub(super) midway: Option<Midway<'a>>,
    /// Where the operator that is being translated is in the module.
    pub(super) operator_at: u64,
    pub(super) builtins: HashMap<Builtin, ir::FuncRef>,
    pub(super) functions: HashMap<(FuncIndex, ir::SigRef), ir::FuncRef>,
    /// Of calls without and with a handler.
    pub(super) signatures: HashMap<(TypeIndex, bool), ir::SigRef>,
    /// What is known of references, beside that they are of their hierarchy: of what types they were made.
    pub(super) reference_types: HashMap<Value, RefType>,
    /// The structs that the function makes, as far as they may be replaced by their fields.
    pub(super) new_objects: Vec<NewObject>,
    /// What has been found out about references since, and in which block: it holds there only.
    pub(super) found_types: HashMap<Value, (Block, RefType)>,
    /// The alias regions that have been asked for, by [`Region::id`].
    pub(super) regions: Vec<Option<AliasRegion>>,
}

/// One of the enclosing blocks of the operator being translated.
pub(super) struct ControlFrame {
    pub kind: FrameKind,
    /// Where control goes on behind the frame's `end`. Its parameters are the frame's results.
    pub end: Block,
    /// The operand stack's height without the frame's parameters.
    pub height: usize,
    pub results: Types,
    /// Whether the frame's beginning could be reached.
    pub entered: bool,
    /// Whether anything leads to `end`.
    pub end_used: bool,
    /// What is owed there, if it is the same on all ways; see `metering`.
    pub end_owed: Option<i64>,
    /// The same where the copy of a loop's body ends that is being translated, once something leads there.
    pub back_owed: Option<Option<i64>>,
    /// Where the current arm of an `if` begins, if there is no hint for it.
    pub arm: Option<Block>,
    /// Whether the loop is inside at which the function is entered, or is this; see `midway`.
    pub around_entry: bool,
}

impl ControlFrame {
    /// Notes that something leads to `end`, and what is owed there.
    pub fn use_end(&mut self, owed: Option<i64>) {
        self.end_owed = if self.end_used { self.end_owed.filter(|&other| Some(other) == owed) } else { owed };
        self.end_used = true;
    }

    /// The same for what leads back to the loop.
    pub fn use_back(&mut self, owed: Option<i64>) {
        let other = self.back_owed.unwrap_or(owed);
        self.back_owed = Some(other.filter(|&other| Some(other) == owed));
    }

    /// Whether it is a clause of an old `try`.
    pub fn is_clause(&self) -> bool {
        matches!(self.kind, FrameKind::Catch { .. })
    }
}

pub(super) enum FrameKind {
    /// The function itself, or a `block`.
    Block,
    /// A `loop`: branches lead to the header, which has this many parameters.
    Loop { header: Block, params: usize },
    /// An `if` up to its `else`: the block of the other arm, the parameters it begins with, and what is owed there.
    If { otherwise: Block, params: SmallVec<[Value; 2]>, owed: Option<i64> },
    /// A clause of an old `try`: where the exception is, if anything leads here, and how those go on that the clause doesn't take.
    Catch { exception: Option<LocalPlace>, otherwise: Option<Caught> },
}

/// An enclosing block that handles exceptions.
pub(super) struct Scope {
    /// Its place among the enclosing blocks.
    pub frame: usize,
    /// Of a `try_table`; those of an old `try` come behind its body.
    pub clauses: Option<Rc<[Clause]>>,
    /// Where exceptions go on, once something leads there.
    pub dispatch: Option<Block>,
}

/// A place in the code with an exception.
#[derive(Clone, Copy)]
pub(super) struct Caught {
    pub block: Block,
    pub exception: Value,
}

/// Of results and parameters.
pub(super) type Types = SmallVec<[ValType; 2]>;

/// What a function keeps of fuel; see `metering`.
#[derive(Default)]
pub(super) struct Metering {
    /// The fuel counter, without `pending`.
    pub fuel: Option<LocalPlace>,
    /// Units spent since the counter was last brought up to date: known to the translator, added at the block's end.
    pub pending: i64,
    /// How much less than the counter the store has at this point of the code, where that is known.
    pub owed: Option<i64>,
}

/// What has been inlined into a function; see `inlining`.
pub(super) struct Inlining {
    pub numbers: Numbers,
    /// Where we are: the functions being translated, outermost first.
    pub functions: Vec<DefinedFuncIndex>,
    /// For all but the first of them, the call that it is inlined for.
    pub sites: Vec<CallSite>,
    /// Bytes and locals of bodies that may still be inlined.
    pub budget: u64,
}

/// A call in whose place its callee is being translated.
pub(super) struct CallSite {
    /// The place of the callee's frame among the enclosing blocks.
    pub frame: usize,
    /// The position of the call.
    pub call: u32,
}

impl Inlining {
    /// In the function itself, with so many bytes to inline.
    pub fn new(func: DefinedFuncIndex, budget: u64) -> Self {
        Self { numbers: Numbers::default(), functions: vec![func], sites: Vec::new(), budget }
    }

    /// The position of an operator of the function being translated.
    fn position(&mut self, offset: u32) -> u32 {
        let Some(site) = self.sites.last() else { return offset };
        self.numbers.inlined.push((offset, site.call));
        INLINED + self.numbers.inlined.len() as u32 - 1
    }

    /// The place of the frame that `return` leaves, in a function that is inlined.
    pub fn frame(&self) -> Option<usize> {
        self.sites.last().map(|site| site.frame)
    }
}

/// Parameters and locals; see `locals`.
#[derive(Default)]
pub(super) struct Locals {
    /// Those of the function whose operators are being translated.
    pub places: Vec<(LocalPlace, ValType)>,
    /// Variables that nobody uses at the moment.
    pub free: HashMap<ValType, Vec<Variable>>,
    /// How many variables there are.
    pub variables: usize,
    /// The slot of all places in the frame.
    pub slot: Option<ir::StackSlot>,
}

/// Where a local is.
#[derive(Clone, Copy)]
pub(super) enum LocalPlace {
    Variable(Variable),
    /// This far into the slot.
    Frame(u32),
}

/// What tail duplication has found and done in a function; see `tail_duplication`.
#[derive(Default)]
pub(super) struct TailDuplication<'a> {
    /// For the end of a block the loop latch that follows it, if one does.
    pub latches: HashMap<Block, Option<OperatorsReader<'a>>>,
    /// Copies made.
    pub copies: usize,
    /// Operators read in search of latches.
    pub read: usize,
}

/// What has been unrolled in a function; see `unrolling`.
#[derive(Default)]
pub(super) struct Unrolled {
    /// Operators translated again.
    pub translated: usize,
    /// Operators read to find out about loops.
    pub read: usize,
}

/// What has been vectorized in a function; see `vectorization`.
#[derive(Default)]
pub(super) struct Vectorized {
    /// Loops that a vector loop was put in front of.
    pub loops: usize,
    /// Operators read to find out about loops.
    pub read: usize,
}

/// To copy what is known of so many blocks takes as long as to read an operator.
const BLOCKS_LIKE_AN_OPERATOR: usize = 128;

impl<'a> FuncTranslator<'a> {
    /// Pushes a result.
    pub fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// Pops an operand.
    pub fn pop(&mut self) -> Value {
        self.stack.pop().expect("validation counted the operands")
    }

    /// Pops two operands; the first is the deeper one.
    pub fn pop2(&mut self) -> (Value, Value) {
        let second = self.pop();
        (self.pop(), second)
    }

    /// Pops three operands, deepest first.
    pub fn pop3(&mut self) -> (Value, Value, Value) {
        let third = self.pop();
        let (first, second) = self.pop2();
        (first, second, third)
    }

    /// The choices shared with the runtime.
    pub fn tunables(&self) -> &'a Tunables {
        self.input.tunables
    }

    /// What it takes to copy a reader, in operators read: it knows the blocks around it.
    pub(super) fn cost_of_reader(&self) -> usize {
        1 + self.control.len() / BLOCKS_LIKE_AN_OPERATOR
    }

    /// Whether a pass works on this function: not where compiling fast is what counts.
    pub(super) fn does(&self, pass: Pass) -> bool {
        self.effort.is_full() && self.tunables().opt_level != OptLevel::None && self.passes.has(pass)
    }

    /// Whether the function is one that runs often.
    pub(super) fn is_hot(&self) -> bool {
        self.effort.is_hot(self.tunables())
    }

    /// The integer that a value is, where the translator can see that it is a constant. `i32`s are zero-extended.
    pub fn constant(&self, value: Value) -> Option<u64> {
        let dfg = &self.builder.func.dfg;
        let inst = dfg.value_def(dfg.resolve_aliases(value)).inst()?;
        match dfg.insts[inst] {
            ir::InstructionData::UnaryImm { opcode: ir::Opcode::Iconst, imm } => {
                let bits = dfg.value_type(value).bits();
                let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
                Some(imm.bits() as u64 & mask)
            }
            _ => None,
        }
    }

    /// Calls a builtin without writing and reading what metering keeps in variables.
    pub(super) fn call_builtin_unmetered(&mut self, builtin: Builtin, args: &[Value]) -> Option<Value> {
        let callee = match self.builtins.get(&builtin) {
            Some(&callee) => callee,
            None => {
                let callee = import_builtin(&mut self.builder, self.isa, builtin);
                self.builtins.insert(builtin, callee);
                callee
            }
        };
        let call = self.builder.ins().call(callee, args);
        self.builder.inst_results(call).first().copied()
    }

    /// An alias region, for flags.
    pub(super) fn region(&mut self, region: Region) -> AliasRegion {
        let user_id = region.id();
        let position = user_id as usize;
        if self.regions.len() <= position {
            self.regions.resize(position + 1, None);
        }
        let regions = &mut self.builder.func.dfg.alias_regions;
        *self.regions[position]
            .get_or_insert_with(|| regions.insert(ir::AliasRegionData { user_id, description: "".into() }))
    }

    /// Flags of a load or store that doesn't trap, in a region.
    pub(super) fn trusted(&mut self, region: Region) -> MemFlagsData {
        let region = self.region(region);
        MemFlagsData::trusted().with_alias_region(Some(region))
    }

    /// Loads a pointer-sized value that never changes while the instance lives, so that the load can be made anywhere.
    pub(super) fn load_constant(&mut self, base: Value, offset: i32) -> Value {
        self.builder.ins().load(types::I64, constant_flags(), base, offset)
    }

    /// The store's context.
    pub(super) fn store_context(&mut self) -> Value {
        self.load_constant(self.vmctx, VmLayout::STORE)
    }

    /// Notes that a value is of this type: references must be found by a collection.
    pub(super) fn note_type(&mut self, value: Value, ty: ValType) {
        self.know_type(value, ty);
        if ty.is_collected() {
            self.builder.declare_value_needs_stack_map(value);
        }
    }

    /// Notes that a value is of this type, wherever it is used, so that nobody has to ask whether it is.
    pub(super) fn know_type(&mut self, value: Value, ty: ValType) {
        if let ValType::Ref(ty) = ty
            && ty != RefType::null_or(ty.top())
        {
            let known = self.reference_types.entry(value).or_insert(ty);
            // A local may be of a wider type than what it holds.
            if ty.matches(*known, self.input.module) {
                *known = ty;
            }
        }
    }

    /// Notes that a value is of this type, up to the end of the block.
    pub(super) fn know_type_here(&mut self, value: Value, ty: RefType) {
        if let Some(block) = self.builder.current_block()
            && ty != RefType::null_or(ty.top())
        {
            self.found_types.insert(value, (block, ty));
        }
    }

    /// The types that a reference is known to be of.
    pub(super) fn known_types(&self, value: Value) -> impl Iterator<Item = RefType> {
        let made = self.reference_types.get(&value).copied();
        let here = |&&(block, _): &&(Block, RefType)| self.builder.current_block() == Some(block);
        let found = self.found_types.get(&value).filter(here).map(|&(_, ty)| ty);
        made.into_iter().chain(found)
    }

    /// Pushes a result that may be a reference.
    pub(super) fn push_typed(&mut self, value: Value, ty: ValType) {
        self.note_type(value, ty);
        self.push(value);
    }

    /// The value that locals and null references start as.
    pub(super) fn zero(&mut self, ty: ValType) -> Value {
        let ins = self.builder.ins();
        match ty {
            ValType::I64 => ins.iconst(types::I64, 0),
            ValType::Ref(ty) if ty.is_func() => ins.iconst(types::I64, 0),
            ValType::I32 | ValType::Ref(_) => ins.iconst(types::I32, 0),
            ValType::F32 => ins.f32const(0.0),
            ValType::F64 => ins.f64const(0.0),
            ValType::V128 => {
                let zero = self.builder.func.dfg.constants.insert([0; 16].as_slice().into());
                self.builder.ins().vconst(V128, zero)
            }
        }
    }

    /// Makes what follows come from the operator at this offset of the module.
    pub(super) fn set_position(&mut self, position: u64) -> Result<(), CompileError> {
        let position = u32::try_from(position)
            .ok()
            .filter(|&position| position < INLINED)
            .ok_or_else(|| CompileError::new("the module is too large"))?;
        let position = self.inlining.position(position);
        self.builder.set_srcloc(SourceLoc::new(position));
        Ok(())
    }

    /// Branches to a cold block where a condition holds. The caller fills both blocks.
    ///
    /// The code generator visits blocks in an order in which the target named first comes last. That matters within loops: once it
    /// has seen a way out of one, it takes the loop for over, and moves nothing out of it any more.
    pub(super) fn branch_cold(&mut self, condition: Value) -> (ir::Block, ir::Block) {
        let (cold, next) = self.branch_aside(condition);
        self.builder.set_cold_block(cold);
        (cold, next)
    }

    /// The same, to a block that isn't cold.
    pub(super) fn branch_aside(&mut self, condition: Value) -> (ir::Block, ir::Block) {
        let cold = self.builder.create_block();
        let next = self.builder.create_block();
        self.builder.ins().brif(condition, cold, &[], next, &[]);
        self.builder.seal_block(cold);
        self.builder.seal_block(next);
        (cold, next)
    }

    /// A condition that holds where this one, an integer, is zero.
    pub(super) fn inverse(&mut self, condition: Value) -> Value {
        let dfg = &self.builder.func.dfg;
        let mut value = dfg.resolve_aliases(condition);
        while let Some(inst) = dfg.value_def(value).inst() {
            match dfg.insts[inst] {
                ir::InstructionData::Unary { opcode: ir::Opcode::Uextend, arg } => value = dfg.resolve_aliases(arg),
                ir::InstructionData::IntCompare { opcode: ir::Opcode::Icmp, cond, args: [x, y] } => {
                    return self.builder.ins().icmp(cond.complement(), x, y);
                }
                ir::InstructionData::FloatCompare { opcode: ir::Opcode::Fcmp, cond, args: [x, y] } => {
                    return self.builder.ins().fcmp(cond.complement(), x, y);
                }
                _ => break,
            }
        }
        self.builder.ins().icmp_imm_s(IntCC::Equal, value, 0)
    }
}
