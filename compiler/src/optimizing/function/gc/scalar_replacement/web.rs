//! Webs: references that lead to the same objects, and all that is done with them.
//!
//! A web begins with the reference that a `struct.new` gives. With a reference belong the parameters of blocks that it is handed to, and with
//! a parameter all that is handed to it.

use super::NewObject;
use super::uses::{Use, Uses};
use crate::optimizing::signature::clif_type;
use ampoule_core::types::{FieldType, StorageType};
use ampoule_core::vm::heap::{CARD_LOG2, CARDS};
use ampoule_core::vm::{VmLayout, VmStoreContext};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Function, Inst, InstructionData, Opcode, Value, ValueDef, types};
use std::collections::{BTreeSet, HashMap};
use std::mem::offset_of;

/// Parameters of a block, at most, for one of them to belong to a web: to take one away takes time in proportion to their number.
const PARAMS_MAX: usize = 256;

/// References that belong together, none of which is used for anything but what is said here.
#[derive(Default)]
pub(super) struct Web {
    /// The `struct.new`s, by their place in the list of all.
    pub objects: Vec<usize>,
    /// The parameters of blocks.
    pub params: Vec<Value>,
    /// Reads and writes, also those that give objects their first content.
    pub accesses: Vec<Access>,
    /// `icmp`s for (in)equality.
    pub comparisons: Vec<Inst>,
    /// What makes addresses of references, and what tells the collector of writes.
    pub addresses: Vec<Inst>,
}

/// A read or write of an object.
#[derive(Clone, Copy)]
pub(super) struct Access {
    pub inst: Inst,
    pub reference: Value,
    pub offset: u32,
}

/// What the references of all webs belong to.
#[derive(Default)]
pub(super) struct Members {
    /// By reference, the number of its web.
    pub webs: HashMap<Value, usize>,
}

/// Finds webs in a function.
pub(super) struct WebFinder<'a> {
    pub func: &'a Function,
    pub uses: &'a Uses,
    pub vmctx: Value,
    /// By reference, the place of the `struct.new` in the list of all.
    pub objects: &'a HashMap<Value, usize>,
}

impl WebFinder<'_> {
    /// The web with this number, which begins with this reference; `None` where one of its references is used for something else, or comes from somewhere else.
    pub fn find(&self, number: usize, reference: Value, members: &mut Members) -> Option<Web> {
        let mut web = Web::default();
        let mut pending = Vec::new();
        members.add(reference, number, &mut pending)?;
        while let Some(reference) = pending.pop() {
            match (self.objects.get(&reference), self.func.dfg.value_def(reference)) {
                (Some(&object), _) => web.objects.push(object),
                (None, ValueDef::Param(block, position)) => {
                    let edges = self.uses.edges_to(block);
                    // The function's own parameters come from elsewhere.
                    if edges.is_empty() || self.func.dfg.num_block_params(block) > PARAMS_MAX {
                        return None;
                    }
                    web.params.push(reference);
                    for edge in edges {
                        let arg = super::branch_args(self.func, *edge).nth(position)?.as_value()?;
                        members.add(self.func.dfg.resolve_aliases(arg), number, &mut pending)?;
                    }
                }
                _ => return None,
            }
            for &used in self.uses.of_value(reference) {
                match used {
                    Use::Passed(block, position) => {
                        let param = self.func.dfg.block_params(block)[position as usize];
                        members.add(param, number, &mut pending)?;
                    }
                    Use::Operand(inst) => self.look_at_use(reference, inst, &mut web)?,
                }
            }
        }
        Some(web)
    }

    /// Adds what an instruction does with a reference; `None` where it may make it known to somebody else.
    fn look_at_use(&self, reference: Value, inst: Inst, web: &mut Web) -> Option<()> {
        let dfg = &self.func.dfg;
        match dfg.insts[inst] {
            InstructionData::IntCompare { cond: IntCC::Equal | IntCC::NotEqual, .. } => web.comparisons.push(inst),
            InstructionData::Unary { opcode: Opcode::Uextend, .. } => {
                let offset = dfg.first_result(inst);
                for &used in self.uses.of_value(offset) {
                    let Use::Operand(user) = used else { return None };
                    if self.is_card_number(user) {
                        self.add_marks(dfg.first_result(user), web)?;
                        web.addresses.push(user);
                    } else {
                        for (inst, at) in self.accesses_through(user, offset, web)? {
                            web.accesses.push(Access { inst, reference, offset: u32::try_from(at).ok()? });
                        }
                    }
                }
                web.addresses.push(inst);
            }
            _ if self.is_card_number(inst) => {
                let &[Use::Operand(extended)] = self.uses.of_value(dfg.first_result(inst)) else { return None };
                let InstructionData::Unary { opcode: Opcode::Uextend, .. } = dfg.insts[extended] else { return None };
                self.add_marks(dfg.first_result(extended), web)?;
                web.addresses.extend([extended, inst]);
            }
            _ => return None,
        }
        Some(())
    }

    /// Whether an instruction makes the number of the card that an object is on of where it is.
    fn is_card_number(&self, inst: Inst) -> bool {
        match self.func.dfg.insts[inst] {
            InstructionData::Binary { opcode: Opcode::Ushr, args: [_, by] } => self.is_constant(by, CARD_LOG2.into()),
            _ => false,
        }
    }

    /// Adds what marks the card with this number; `None` where something else becomes of it.
    fn add_marks(&self, card: Value, web: &mut Web) -> Option<()> {
        for &used in self.uses.of_value(card) {
            let Use::Operand(sum) = used else { return None };
            for (mark, at) in self.accesses_through(sum, card, web)? {
                if at != CARDS || !self.func.dfg.insts[mark].opcode().can_store() {
                    return None;
                }
                web.addresses.push(mark);
            }
        }
        Some(())
    }

    /// Loads and stores at the address that an instruction makes of an offset from where references count from, with what they add to it. Adds the
    /// instruction to the web; `None` where it does something else, or something else becomes of the address.
    fn accesses_through(&self, inst: Inst, offset: Value, web: &mut Web) -> Option<Vec<(Inst, i32)>> {
        let dfg = &self.func.dfg;
        let InstructionData::Binary { opcode: Opcode::Iadd, args: [base, added] } = dfg.insts[inst] else {
            return None;
        };
        if !self.is_heap_base(base) || dfg.resolve_aliases(added) != offset {
            return None;
        }
        let address = dfg.first_result(inst);
        let mut accesses = Vec::new();
        for &used in self.uses.of_value(address) {
            let Use::Operand(access) = used else { return None };
            match dfg.insts[access] {
                InstructionData::Load { offset, .. } => accesses.push((access, offset.into())),
                InstructionData::Store { args: [data, _], offset, .. } if dfg.resolve_aliases(data) != address => {
                    accesses.push((access, offset.into()));
                }
                _ => return None,
            }
        }
        web.addresses.push(inst);
        Some(accesses)
    }

    fn is_constant(&self, value: Value, expected: i64) -> bool {
        self.def(value).is_some_and(|inst| match self.func.dfg.insts[inst] {
            InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => imm.bits() == expected,
            _ => false,
        })
    }

    /// Whether a value is what references count from.
    fn is_heap_base(&self, value: Value) -> bool {
        let Some(store) = self.loaded_from(value, offset_of!(VmStoreContext, heap_base) as i32) else { return false };
        let context = self.loaded_from(store, VmLayout::STORE);
        context.is_some_and(|context| self.func.dfg.resolve_aliases(context) == self.vmctx)
    }

    /// What a value is loaded from, at this offset.
    fn loaded_from(&self, value: Value, at: i32) -> Option<Value> {
        match self.func.dfg.insts[self.def(value)?] {
            InstructionData::Load { opcode: Opcode::Load, arg, offset, .. } if i32::from(offset) == at => Some(arg),
            _ => None,
        }
    }

    fn def(&self, value: Value) -> Option<Inst> {
        let dfg = &self.func.dfg;
        dfg.value_def(dfg.resolve_aliases(value)).inst()
    }
}

impl Members {
    /// Adds a reference to a web; `None` where it belongs to another one. That one has been given up: if it were complete, it would have led
    /// here.
    fn add(&mut self, reference: Value, web: usize, pending: &mut Vec<Value>) -> Option<()> {
        match self.webs.insert(reference, web) {
            None => pending.push(reference),
            Some(known) if known != web => return None,
            Some(_) => {}
        }
        Some(())
    }
}

impl Web {
    /// Which fields are read, and which are written to after the object has been made, if all accesses are to whole fields of objects of one
    /// type, whose fields these are.
    pub fn fields(
        &self,
        finder: &WebFinder<'_>,
        objects: &[NewObject],
        fields: &[FieldType],
        offsets: &[u32],
    ) -> Option<FieldUses> {
        let ty = objects[self.objects[0]].ty;
        if self.objects.iter().any(|&object| objects[object].ty != ty) {
            return None;
        }
        let func = finder.func;
        let mut uses = FieldUses::default();
        for access in &self.accesses {
            if access.offset == 0 {
                if !is_read_of_type_word(func, access.inst) {
                    return None;
                }
                continue;
            }
            let field = offsets.iter().position(|&offset| offset == access.offset)?;
            let makes = || {
                finder
                    .objects
                    .get(&access.reference)
                    .is_some_and(|&object| objects[object].is_made_by(func, access.inst))
            };
            match kind(func, access.inst, fields[field].storage)? {
                Kind::Read => uses.read.insert(field),
                Kind::Write if makes() => continue,
                Kind::Write => uses.written.insert(field),
            };
        }
        Some(uses)
    }

    /// What comparisons with the web's references say; `None` where that isn't known. An object that nobody else knows is equal to itself alone.
    pub fn answers(&self, finder: &WebFinder<'_>, number: usize, members: &Members) -> Option<Vec<(Inst, bool)>> {
        let dfg = &finder.func.dfg;
        let answer = |&inst: &Inst| {
            let InstructionData::IntCompare { cond, args, .. } = dfg.insts[inst] else { return None };
            let same = args.iter().all(|&arg| members.webs.get(&dfg.resolve_aliases(arg)) == Some(&number));
            let known = !same || self.objects.len() == 1;
            known.then_some((inst, same == (cond == IntCC::Equal)))
        };
        self.comparisons.iter().map(answer).collect()
    }
}

/// What is done with the fields of the objects of a web.
#[derive(Default)]
pub(super) struct FieldUses {
    pub read: BTreeSet<usize>,
    /// After the object has been made.
    pub written: BTreeSet<usize>,
}

enum Kind {
    Read,
    Write,
}

/// Whether a load or store reads or writes a field of this storage type; `None` where it does something else.
fn kind(func: &Function, inst: Inst, storage: StorageType) -> Option<Kind> {
    let dfg = &func.dfg;
    let whole = match storage {
        StorageType::Val(ty) => clif_type(ty),
        StorageType::I8 | StorageType::I16 => types::I32,
    };
    let (kind, ty) = match dfg.insts[inst] {
        InstructionData::Load { .. } => (Kind::Read, dfg.value_type(dfg.first_result(inst))),
        InstructionData::Store { args: [data, _], .. } => (Kind::Write, dfg.value_type(data)),
        _ => return None,
    };
    let opcode = dfg.insts[inst].opcode();
    let matches = match storage {
        StorageType::Val(_) => matches!(opcode, Opcode::Load | Opcode::Store),
        StorageType::I8 => matches!(opcode, Opcode::Sload8 | Opcode::Uload8 | Opcode::Istore8),
        StorageType::I16 => matches!(opcode, Opcode::Sload16 | Opcode::Uload16 | Opcode::Istore16),
    };
    (matches && ty == whole).then_some(kind)
}

fn is_read_of_type_word(func: &Function, inst: Inst) -> bool {
    let dfg = &func.dfg;
    dfg.insts[inst].opcode() == Opcode::Load && dfg.value_type(dfg.first_result(inst)) == types::I32
}
