//! Scalar replacement: structs that never leave the function are not made; their fields are values.
//!
//! This is done when a function has been translated, with all that is inlined into it, to Cranelift's IR, and before that is optimized. The
//! reference that a `struct.new` gives, the parameters of blocks it is handed to, and whatever else is handed to those, are a [`web`]. The objects of a web
//! are not made where
//!
//! 1. each of its references comes from a `struct.new` of the same type in this function;
//! 2. they are only handed on, compared, and used to read the type's word and to read and write fields: nobody else can know the objects;
//! 3. there is one `struct.new`, or no field is written to after it has been made and no two of the references are compared.
//!
//! Why that is right: where there is one `struct.new`, it dominates all blocks that its references are handed to, and these dominate all
//! uses. So no way leads from making an object once more to the use of an older one, and all references lead to the latest
//! object; its fields are variables, like locals ([`variables`]). Where there are several, fields don't change, so that their values may go wherever the
//! reference goes: for each parameter that is a reference there is one for each field that is read.
//!
//! An object in a field of another one that is not made may be found not to leave in the next round.
//!
//! What is deliberately not here: objects that leave on some ways only, arrays, null beside objects in a parameter, objects of more than
//! [`FIELDS_MAX`] fields.
//!
//! Bounds: [`ROUNDS`] times linear in the function's size, beside what [`Spent`] counts.

mod uses;
mod variables;
mod web;

use super::super::translator::FuncTranslator;
use crate::optimizing::flags::constant_flags;
use crate::optimizing::signature::clif_type;
use ampoule_core::index::TypeIndex;
use ampoule_core::types::{FieldType, StorageType};
use ampoule_core::vm::VmLayout;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    Block, BlockArg, Function, Inst, InstBuilder, InstructionData, Opcode, Value, ValueDef, types,
};
use cranelift_codegen::traversals::Dfs;
use cranelift_frontend::FunctionBuilder;
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet, VecDeque};
use uses::{Edge, Uses};
use variables::{Origin, Variable, Ways};
use web::{Access, FieldUses, Members, Web, WebFinder};

/// Fields of a struct that is looked at, at most.
pub(super) const FIELDS_MAX: usize = 64;
/// How often the function is looked through, at most: how deep objects may be in fields of each other.
const ROUNDS: usize = 4;

/// A `struct.new` as it has been translated.
pub(in crate::optimizing::function) struct NewObject {
    pub ty: TypeIndex,
    /// The only parameter of the block in which the object gets its first content.
    pub reference: Value,
    pub content: SmallVec<[Value; 4]>,
    /// What finds out whether there is room, the last of them the branch.
    pub check: [Inst; 5],
    /// The last of the stores that write the content; before it, the block has only such.
    pub last_store: Option<Inst>,
}

impl NewObject {
    /// Whether a store gives this object its first content.
    fn is_made_by(&self, func: &Function, store: Inst) -> bool {
        self.last_store.is_some_and(|last| {
            let layout = &func.layout;
            layout.inst_block(store) == layout.inst_block(last) && layout.pp_cmp(store, last).is_le()
        })
    }

    /// The block in which the object gets its first content.
    fn home(&self, func: &Function) -> Block {
        func.dfg.value_def(self.reference).unwrap_block()
    }

    fn branch(&self) -> Inst {
        self.check[self.check.len() - 1]
    }
}

/// What may still be done for one function.
struct Spent {
    params_left: usize,
    steps_left: usize,
}

impl Spent {
    /// Parameters that are made, and what is handed to them.
    const PARAMS: usize = 1 << 14;
    /// Blocks passed on the way from reads of fields to writes.
    const STEPS: usize = 1 << 18;

    fn new() -> Self {
        Self { params_left: Self::PARAMS, steps_left: Self::STEPS }
    }

    fn params(&mut self, count: usize) -> Option<()> {
        self.params_left = self.params_left.checked_sub(count)?;
        Some(())
    }

    fn steps(&mut self, count: usize) -> Option<()> {
        self.steps_left = self.steps_left.checked_sub(count)?;
        Some(())
    }
}

/// A web whose objects are not made.
struct Plan<'a> {
    web: Web,
    fields: &'a [FieldType],
    offsets: &'a [u32],
    uses: FieldUses,
    /// What the web's comparisons say.
    answers: Vec<(Inst, bool)>,
    /// Of the one object, the fields that are written to.
    variables: Vec<(usize, Variable)>,
}

impl FuncTranslator<'_> {
    /// Replaces all objects that don't leave the function.
    pub(in crate::optimizing::function) fn replace_objects(&mut self) {
        let mut objects = std::mem::take(&mut self.new_objects);
        let mut spent = Spent::new();
        let mut rounds = 0..ROUNDS;
        if !objects.is_empty() {
            remove_unreachable(self.builder.func);
            objects.retain(|object| self.builder.func.layout.inst_block(object.branch()).is_some());
        }
        while !objects.is_empty() && rounds.next().is_some() {
            let replaced = self.replace_some(&objects, &mut spent);
            if replaced.is_empty() {
                return;
            }
            let mut place = 0..;
            objects.retain(|_| !replaced.contains(&place.next().expect("it has no end")));
            // What asked for room for them.
            remove_unreachable(self.builder.func);
        }
    }

    /// Replaces the objects of which it can be seen now that they don't leave. Gives their places in the list.
    fn replace_some(&mut self, objects: &[NewObject], spent: &mut Spent) -> HashSet<usize> {
        let input = self.input;
        let func = &*self.builder.func;
        let uses = Uses::of(func);
        let by_reference = objects.iter().enumerate().map(|(place, object)| (object.reference, place)).collect();
        let before = |object: &NewObject| func.layout.inst_block(object.branch()).expect("it is in the function");
        let allocations = objects.iter().map(|object| (object.home(func), before(object))).collect();
        let ways = Ways { uses: &uses, allocations: &allocations };
        let finder = WebFinder { func, uses: &uses, vmctx: self.vmctx, objects: &by_reference };
        let mut members = Members::default();
        let mut plans = Vec::new();
        for (number, object) in objects.iter().enumerate() {
            if members.webs.contains_key(&object.reference) {
                continue;
            }
            let Some(web) = finder.find(number, object.reference, &mut members) else { continue };
            let ty = input.module.types[object.ty.index()].as_struct().expect("it has been made by `struct.new`");
            let (fields, offsets) = (&*ty.fields, input.layout.structs(object.ty).offsets());
            let plan = || {
                let uses = web.fields(&finder, objects, fields, offsets)?;
                let answers = web.answers(&finder, number, &members)?;
                let mut plan = Plan { web, fields, offsets, uses, answers, variables: Vec::new() };
                plan.find_variables(func, objects, &ways, spent)?;
                Some(plan)
            };
            plans.extend(plan());
        }
        let mut replaced = HashSet::new();
        for plan in &mut plans {
            let mut rewriter = Rewriter {
                builder: &mut self.builder,
                vmctx: self.vmctx,
                objects,
                by_reference: &by_reference,
                ways: &ways,
                params: HashMap::new(),
                pending: VecDeque::new(),
            };
            rewriter.rewrite(plan);
            replaced.extend(&plan.web.objects);
        }
        replaced
    }
}

impl Plan<'_> {
    /// Finds out what fields that are written to are where they are read, and what all fields need. `None` where it is too much, or not known.
    fn find_variables(
        &mut self,
        func: &Function,
        objects: &[NewObject],
        ways: &Ways<'_>,
        spent: &mut Spent,
    ) -> Option<()> {
        let &[object] = &*self.web.objects else {
            if !self.uses.written.is_empty() {
                return None;
            }
            let param = |&param: &Value| 1 + ways.uses.edges_to(func.dfg.value_def(param).unwrap_block()).len();
            let params: usize = self.web.params.iter().map(param).sum();
            return spent.params(params * self.uses.read.len());
        };
        self.web.accesses.sort_by(|a, b| {
            let block = |access: &Access| func.layout.inst_block(access.inst);
            block(a).cmp(&block(b)).then_with(|| func.layout.pp_cmp(a.inst, b.inst))
        });
        for &field in self.uses.read.intersection(&self.uses.written) {
            let home = objects[object].home(func);
            let mut last_writes = HashMap::new();
            let mut asked = Vec::new();
            for inst in accesses_to(&self.web, &objects[object], self.offsets[field], func) {
                let block = func.layout.inst_block(inst).expect("it is in the function");
                if func.dfg.insts[inst].opcode().can_store() {
                    last_writes.insert(block, inst);
                } else if !last_writes.contains_key(&block) {
                    asked.push(block);
                }
            }
            let mut variable = Variable::new(home, last_writes);
            for block in asked {
                variable.at_start(block, ways, spent)?;
            }
            variable.complete(ways, spent)?;
            self.variables.push((field, variable));
        }
        Some(())
    }
}

/// The reads and writes of a field, but for those that give the object its first content.
fn accesses_to(web: &Web, object: &NewObject, offset: u32, func: &Function) -> impl Iterator<Item = Inst> {
    let accesses = web.accesses.iter().filter(move |access| access.offset == offset);
    accesses.map(|access| access.inst).filter(move |&inst| !object.is_made_by(func, inst))
}

/// Does what has been planned.
struct Rewriter<'a, 'b> {
    builder: &'a mut FunctionBuilder<'b>,
    vmctx: Value,
    objects: &'a [NewObject],
    by_reference: &'a HashMap<Value, usize>,
    ways: &'a Ways<'a>,
    /// What has been made for fields of parameters that are references.
    params: HashMap<(Value, usize), Value>,
    /// References and fields for which parameters have been made that nothing is handed to yet, in the order of these parameters.
    pending: VecDeque<(Value, usize)>,
}

impl Rewriter<'_, '_> {
    fn rewrite(&mut self, plan: &mut Plan<'_>) {
        for (field, variable) in &mut plan.variables {
            self.replace_variable(&plan.web, *field, plan.fields[*field].storage, plan.offsets[*field], variable);
        }
        for access in &plan.web.accesses {
            let Access { inst, reference, offset } = *access;
            if self.builder.func.layout.inst_block(inst).is_none() {
                continue;
            }
            if offset == 0 {
                let word = self.type_word(inst, self.objects[plan.web.objects[0]].ty);
                self.replace_with(inst, word);
            } else if self.builder.func.dfg.insts[inst].opcode().can_load() {
                let field = plan.offsets.iter().position(|&at| at == offset).expect("it was one of them before");
                let storage = plan.fields[field].storage;
                let value = self.field_of(&plan.web, reference, field, storage);
                self.replace_read(inst, value);
            } else {
                self.builder.func.layout.remove_inst(inst);
            }
        }
        while let Some((reference, field)) = self.pending.pop_front() {
            let (block, position) = param_place(self.builder.func, reference);
            for &edge in self.ways.uses.edges_to(block) {
                let arg = branch_args(self.builder.func, edge).nth(position).and_then(|arg| arg.as_value());
                let arg = self.builder.func.dfg.resolve_aliases(arg.expect("it is a reference of the web"));
                let value = self.field_of(&plan.web, arg, field, plan.fields[field].storage);
                append_arg(self.builder.func, edge, value);
            }
        }
        let func = &mut *self.builder.func;
        for &(inst, answer) in &plan.answers {
            func.replace(inst).iconst(types::I8, i64::from(answer));
        }
        for &inst in &plan.web.addresses {
            func.layout.remove_inst(inst);
        }
        for &param in &plan.web.params {
            let (block, position) = param_place(func, param);
            func.dfg.remove_block_param(param);
            for &edge in self.ways.uses.edges_to(block) {
                let dfg = &mut func.dfg;
                let calls =
                    dfg.insts[edge.branch].branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables);
                calls[edge.destination as usize].remove(position, &mut dfg.value_lists);
            }
        }
        for &object in &plan.web.objects {
            let object = &self.objects[object];
            let home = object.home(func);
            func.dfg.remove_block_param(object.reference);
            func.replace(object.branch()).jump(home, &[]);
            for &inst in &object.check[..object.check.len() - 1] {
                func.layout.remove_inst(inst);
            }
        }
    }

    /// Replaces the reads and writes of a field that is written to.
    fn replace_variable(
        &mut self,
        web: &Web,
        field: usize,
        storage: StorageType,
        offset: u32,
        variable: &mut Variable,
    ) {
        let object = &self.objects[web.objects[0]];
        let joined: HashMap<_, _> =
            variable.joins.iter().map(|&block| (block, self.append_param(block, storage))).collect();
        let written = |func: &Function, inst: Inst| match func.dfg.insts[inst] {
            InstructionData::Store { args: [data, _], .. } => data,
            _ => unreachable!("it is a store"),
        };
        let value_of = |func: &Function, origin: Option<Origin>| match origin.expect("it has been found before") {
            Origin::Content => object.content[field],
            Origin::Written(store) => written(func, store),
            Origin::Joined(block) => joined[&block],
        };
        // All has been found.
        let mut spent = Spent { params_left: 0, steps_left: 0 };
        for block in variable.joins.clone() {
            for &edge in self.ways.uses.edges_to(block) {
                let origin = variable.at_end(edge.from, self.ways, &mut spent);
                let value = value_of(self.builder.func, origin);
                append_arg(self.builder.func, edge, value);
            }
        }
        let accesses: Vec<_> = accesses_to(web, object, offset, self.builder.func).collect();
        let mut current = None;
        for inst in accesses {
            let func = &*self.builder.func;
            let block = func.layout.inst_block(inst).expect("it is in the function");
            let before = current.take().and_then(|(known_in, value)| (known_in == block).then_some(value));
            if func.dfg.insts[inst].opcode().can_store() {
                current = Some((block, written(func, inst)));
                continue;
            }
            let value = before.unwrap_or_else(|| value_of(func, variable.at_start(block, self.ways, &mut spent)));
            current = Some((block, value));
            self.replace_read(inst, value);
        }
    }

    /// A field of what a reference leads to, which is not written to after it has been made.
    fn field_of(&mut self, web: &Web, reference: Value, field: usize, storage: StorageType) -> Value {
        let object = match &*web.objects {
            &[object] => Some(object),
            _ => self.by_reference.get(&reference).copied(),
        };
        if let Some(object) = object {
            return self.objects[object].content[field];
        }
        if let Some(&known) = self.params.get(&(reference, field)) {
            return known;
        }
        let (block, _) = param_place(self.builder.func, reference);
        let param = self.append_param(block, storage);
        self.params.insert((reference, field), param);
        self.pending.push_back((reference, field));
        param
    }

    /// A new parameter of a block, for a field stored so.
    fn append_param(&mut self, block: Block, storage: StorageType) -> Value {
        let ty = storage.unpacked();
        let param = self.builder.func.dfg.append_block_param(block, clif_type(ty));
        if ty.is_collected() {
            self.builder.declare_value_needs_stack_map(param);
        }
        param
    }

    /// Makes a value stand for what a load has read of a field: only the lowest bits, where it is packed.
    fn replace_read(&mut self, load: Inst, value: Value) {
        let opcode = self.builder.func.dfg.insts[load].opcode();
        let mut cursor = FuncCursor::new(self.builder.func).at_inst(load);
        let mut packed = |ty, signed| {
            let low = cursor.ins().ireduce(ty, value);
            if signed { cursor.ins().sextend(types::I32, low) } else { cursor.ins().uextend(types::I32, low) }
        };
        let value = match opcode {
            Opcode::Sload8 => packed(types::I8, true),
            Opcode::Uload8 => packed(types::I8, false),
            Opcode::Sload16 => packed(types::I16, true),
            Opcode::Uload16 => packed(types::I16, false),
            _ => value,
        };
        self.replace_with(load, value);
    }

    fn replace_with(&mut self, load: Inst, value: Value) {
        let func = &mut *self.builder.func;
        let result = func.dfg.first_result(load);
        func.dfg.clear_results(load);
        func.dfg.change_to_alias(result, value);
        func.layout.remove_inst(load);
    }

    /// The word that objects of a type begin with, before an instruction.
    fn type_word(&mut self, before: Inst, ty: TypeIndex) -> Value {
        let mut cursor = FuncCursor::new(self.builder.func).at_inst(before);
        let words = cursor.ins().load(types::I64, constant_flags(), self.vmctx, VmLayout::TYPE_WORDS);
        cursor.ins().load(types::I32, constant_flags(), words, ty.0 as i32 * 4)
    }
}

/// The block that a value is a parameter of, and which one.
fn param_place(func: &Function, param: Value) -> (Block, usize) {
    match func.dfg.value_def(param) {
        ValueDef::Param(block, position) => (block, position),
        _ => unreachable!("it is a parameter"),
    }
}

/// What a branch hands on.
fn branch_args(func: &Function, edge: Edge) -> impl Iterator<Item = BlockArg> {
    let dfg = &func.dfg;
    let calls = dfg.insts[edge.branch].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
    calls[edge.destination as usize].args(&dfg.value_lists)
}

/// Makes a branch hand on one value more.
fn append_arg(func: &mut Function, edge: Edge, value: Value) {
    let dfg = &mut func.dfg;
    let calls = dfg.insts[edge.branch].branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables);
    calls[edge.destination as usize].append_argument(value, &mut dfg.value_lists);
}

/// Takes blocks out of the function that no way leads to.
fn remove_unreachable(func: &mut Function) {
    let reachable: HashSet<Block> = Dfs::new().pre_order_iter(func).collect();
    let unreachable: Vec<_> = func.layout.blocks().filter(|block| !reachable.contains(block)).collect();
    for block in unreachable {
        func.layout.remove_block_and_insts(block);
    }
}
