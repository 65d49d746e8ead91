//! Values while a function is translated: where operands and locals are.
//!
//! Operands and locals have **homes** in the frame, as soon as they need them: see [`super::homes`]. A local's value is at home, or in a register,
//! ahead of its home (*dirty*) or not. An operand is in its home, in a register of its own, or not yet anywhere: a constant, or a local that has
//! been read and not been written since. Only the uppermost [`WINDOW`] operands are anywhere but at home, so that whatever looks through them
//! takes bounded time.
//!
//! An `i32` or a collected reference in a register has zeros in the upper half.

use super::translator::Translator;
use super::x64::{Class, Float, Operand, REGISTERS, Reg, RegSet, SCRATCH, VECTOR_SCRATCH, Width, mem};
use ampoule_core::types::ValType;
use ampoule_core::vm::{VmLayout, VmMemory, VmStoreContext};
use std::mem::offset_of;

/// How many operands may be elsewhere than in their homes.
const WINDOW: usize = 32;

/// What a value is, as far as code for it differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    I32,
    I64,
    F32,
    F64,
    V128,
    /// A reference that may be collected.
    Reference,
    /// A reference to a function.
    Function,
}

impl Kind {
    pub fn of(ty: ValType) -> Self {
        match ty {
            ValType::I32 => Self::I32,
            ValType::I64 => Self::I64,
            ValType::F32 => Self::F32,
            ValType::F64 => Self::F64,
            ValType::V128 => Self::V128,
            ValType::Ref(ty) if ty.is_func() => Self::Function,
            ValType::Ref(_) => Self::Reference,
        }
    }

    /// A list of one type of this kind.
    pub fn one_type(self) -> &'static [ValType] {
        match self {
            Self::I32 => &[ValType::I32],
            Self::I64 => &[ValType::I64],
            Self::F32 => &[ValType::F32],
            Self::F64 => &[ValType::F64],
            Self::V128 => &[ValType::V128],
            Self::Reference => &[ValType::EXTERNREF],
            Self::Function => &[ValType::FUNCREF],
        }
    }

    pub fn class(self) -> Class {
        match self {
            Self::F32 | Self::F64 | Self::V128 => Class::Vector,
            _ => Class::General,
        }
    }

    /// Of an integer or a reference.
    pub fn width(self) -> Width {
        match self {
            Self::I64 | Self::Function => Width::W64,
            _ => Width::W32,
        }
    }

    /// Whether a call leaves it alone in a register that is kept: a collection changes references, and vector registers are not kept.
    pub fn survives_calls(self) -> bool {
        matches!(self, Self::I32 | Self::I64 | Self::Function)
    }

    /// Bytes of a home.
    pub fn home_size(self) -> u32 {
        match self {
            Self::I32 | Self::F32 | Self::Reference => 4,
            Self::I64 | Self::F64 | Self::Function => 8,
            Self::V128 => 16,
        }
    }
}

/// Where an operand is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In its home: the displacement of that from the frame pointer.
    Home(i32),
    Reg(Reg),
    /// A constant: its bits.
    Const(u64),
    /// The value that a local has.
    Local(u32),
}

/// An operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub kind: Kind,
    pub place: Place,
}

/// A local.
pub(super) struct Local {
    pub kind: Kind,
    /// Its home, if it has one by now: see [`Translator::local_home`].
    pub home: Option<i32>,
    pub reg: Option<Reg>,
    /// How many operands stand for its value.
    pub pending: u32,
}

/// What code asks for again and again, and can find again without keeping it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// The instance's context.
    Context,
    /// The store's.
    Store,
    /// The first byte of the first memory.
    Memory,
    /// Where references count from.
    Heap,
}

/// What a register holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holds {
    Nothing,
    /// What the operator that is being translated works with.
    Temporary,
    Local(u32),
    /// The operand at this place of the stack.
    Operand(u32),
    Known(Known),
}

/// What is in registers.
#[derive(Clone)]
pub(super) struct Registers {
    pub holds: [Holds; REGISTERS],
    free: RegSet,
    /// Those with locals whose homes are behind.
    pub dirty: RegSet,
    /// Those that the operator being translated needs.
    pinned: RegSet,
    known: [Option<Reg>; 4],
    /// The last that was taken from somebody.
    last_victim: usize,
    /// All that have held anything.
    pub touched: RegSet,
}

impl Registers {
    pub fn new() -> Self {
        Self {
            holds: [Holds::Nothing; REGISTERS],
            free: Class::General.allocatable().or(Class::Vector.allocatable()),
            dirty: RegSet::EMPTY,
            pinned: RegSet::EMPTY,
            known: [None; 4],
            last_victim: 0,
            touched: RegSet::EMPTY,
        }
    }

    /// Notes what a register holds from now on.
    pub fn set(&mut self, reg: Reg, holds: Holds) {
        if let Holds::Known(known) = self.holds[reg.index()] {
            self.known[known as usize] = None;
        }
        self.holds[reg.index()] = holds;
        self.touched.insert(reg);
        match holds {
            Holds::Nothing => {
                self.free.insert(reg);
                self.pinned.remove(reg);
            }
            Holds::Known(known) => {
                self.free.remove(reg);
                self.known[known as usize] = Some(reg);
            }
            _ => self.free.remove(reg),
        }
        if !matches!(holds, Holds::Local(_)) {
            self.dirty.remove(reg);
        }
    }

    /// How many registers of a class hold nothing.
    pub fn free(&self, class: Class) -> usize {
        self.free.and(class.allocatable()).iter().count()
    }

    pub fn known(&self, known: Known) -> Option<Reg> {
        self.known[known as usize]
    }

    /// All that hold anything.
    pub fn used(&self) -> RegSet {
        Class::General.allocatable().or(Class::Vector.allocatable()).without(self.free)
    }

    /// Frees what only the operator that ends needed.
    #[inline]
    pub fn end_operator(&mut self) {
        for reg in std::mem::take(&mut self.pinned).iter() {
            if self.holds[reg.index()] == Holds::Temporary {
                self.set(reg, Holds::Nothing);
            }
        }
    }

    /// Keeps what a register holds for as long as the operator is being translated.
    pub fn pin(&mut self, reg: Reg) {
        self.pinned.insert(reg);
    }
}

impl Translator<'_> {
    /// A register for the operator that is being translated.
    pub(super) fn alloc(&mut self, class: Class) -> Reg {
        let free = self.regs.free.and(class.allocatable());
        // What a call leaves alone costs something when the function is entered.
        let reg = free.without(RegSet::CALLEE_SAVED).last().or(free.last());
        let reg = reg.unwrap_or_else(|| self.evict(class));
        self.regs.set(reg, Holds::Temporary);
        self.regs.pin(reg);
        reg
    }

    /// Takes a register from who needs it least.
    fn evict(&mut self, class: Class) -> Reg {
        let candidates = class.allocatable().without(self.regs.pinned);
        let cheap = |reg: &Reg| match self.regs.holds[reg.index()] {
            Holds::Known(_) => true,
            Holds::Local(_) => !self.regs.dirty.contains(*reg),
            _ => false,
        };
        let last = self.regs.last_victim;
        let next = |set: &mut dyn Iterator<Item = Reg>| {
            let (mut first, mut after) = (None, None);
            for reg in set {
                first = first.or(Some(reg));
                if reg.index() > last {
                    after = after.or(Some(reg));
                }
            }
            after.or(first)
        };
        let victim = next(&mut candidates.iter().filter(cheap)).or_else(|| next(&mut candidates.iter()));
        let victim = victim.expect("no operator needs all registers of a class");
        self.regs.last_victim = victim.index();
        self.vacate(victim);
        victim
    }

    /// Makes a register free: what it holds goes home.
    pub(super) fn vacate(&mut self, reg: Reg) {
        match self.regs.holds[reg.index()] {
            Holds::Nothing => return,
            Holds::Temporary => unreachable!("nobody but the operator itself may give it up"),
            Holds::Local(local) => {
                self.save_local(local);
                self.locals[local as usize].reg = None;
            }
            Holds::Operand(index) => {
                let kind = self.stack[index as usize].kind;
                let home = self.homes.of_operand(index as usize, kind);
                self.store_home(kind, home, reg);
                self.stack[index as usize].place = Place::Home(home);
            }
            Holds::Known(_) => {}
        }
        self.regs.set(reg, Holds::Nothing);
    }

    /// A certain register for the operator that is being translated. What it holds goes elsewhere.
    pub(super) fn reserve(&mut self, reg: Reg) {
        if self.regs.holds[reg.index()] == Holds::Temporary {
            return self.regs.pin(reg);
        }
        match self.regs.free.and(reg.class().allocatable()).last() {
            Some(other) if other != reg && self.regs.holds[reg.index()] != Holds::Nothing => self.relocate(reg, other),
            _ => self.vacate(reg),
        }
        self.regs.set(reg, Holds::Temporary);
        self.regs.pin(reg);
    }

    /// Moves what a register holds to another, which is free.
    fn relocate(&mut self, from: Reg, to: Reg) {
        let (holds, dirty) = (self.regs.holds[from.index()], self.regs.dirty.contains(from));
        match holds {
            Holds::Local(local) => self.locals[local as usize].reg = Some(to),
            Holds::Operand(index) => self.stack[index as usize].place = Place::Reg(to),
            Holds::Known(_) | Holds::Nothing | Holds::Temporary => {}
        }
        self.asm.mov_all(to, from);
        self.regs.set(from, Holds::Nothing);
        self.regs.set(to, holds);
        if dirty {
            self.regs.dirty.insert(to);
        }
    }

    /// The home of a local. One that gets it here has been zero so far, if it is no parameter: the function begins with zeros in it.
    pub(super) fn local_home(&mut self, local: u32) -> i32 {
        let Local { kind, home, .. } = &mut self.locals[local as usize];
        *home.get_or_insert_with(|| self.homes.give(*kind))
    }

    /// Where the frame has the context, from the prologue on.
    pub(super) fn context_home(&mut self) -> i32 {
        *self.context_home.get_or_insert_with(|| self.homes.give(Kind::I64))
    }

    /// Writes a local's value to its home, if that is behind.
    pub(super) fn save_local(&mut self, local: u32) {
        let Local { kind, reg, .. } = self.locals[local as usize];
        if let Some(reg) = reg
            && self.regs.dirty.contains(reg)
        {
            let home = self.local_home(local);
            self.store_home(kind, home, reg);
            self.regs.dirty.remove(reg);
        }
    }

    pub(super) fn store_home(&mut self, kind: Kind, home: i32, reg: Reg) {
        let home = mem(super::x64::RBP, home);
        match kind {
            Kind::F32 => self.asm.store_float(Float::F32, home, reg),
            Kind::F64 => self.asm.store_float(Float::F64, home, reg),
            Kind::V128 => self.asm.store_vector(home, reg),
            _ => self.asm.store(kind.width(), home, reg),
        }
    }

    pub(super) fn load_home(&mut self, kind: Kind, home: i32, reg: Reg) {
        let home = mem(super::x64::RBP, home);
        match kind {
            Kind::F32 => self.asm.load_float(Float::F32, reg, home),
            Kind::F64 => self.asm.load_float(Float::F64, reg, home),
            Kind::V128 => self.asm.load_vector(reg, home),
            _ => self.asm.load(kind.width(), reg, home),
        }
    }

    /// A constant in a register.
    pub(super) fn load_const(&mut self, kind: Kind, bits: u64, reg: Reg) {
        match kind.class() {
            Class::General => self.asm.mov_imm(reg, bits),
            Class::Vector if bits == 0 => self.asm.zero_vector(reg),
            Class::Vector => {
                self.asm.mov_imm(SCRATCH, bits);
                super::x64::emit!(self.asm, movq_a, reg.number(), SCRATCH.number());
            }
        }
    }

    /// The register with a local's value, loaded if need be.
    pub(super) fn local_reg(&mut self, local: u32) -> Reg {
        let Local { kind, reg, .. } = self.locals[local as usize];
        let reg = match reg {
            Some(reg) => reg,
            None => {
                let kept = if self.has_called { self.kept_local_reg(local) } else { None };
                kept.unwrap_or_else(|| {
                    let reg = self.alloc(kind.class());
                    let home = self.local_home(local);
                    self.load_home(kind, home, reg);
                    self.regs.set(reg, Holds::Local(local));
                    self.locals[local as usize].reg = Some(reg);
                    reg
                })
            }
        };
        self.regs.pin(reg);
        reg
    }

    /// A local that is at home in a register that calls leave alone, if that is any use and there is one.
    pub(super) fn kept_local_reg(&mut self, local: u32) -> Option<Reg> {
        let kind = self.locals[local as usize].kind;
        let reg = self.regs.free.and(RegSet::CALLEE_SAVED).last().filter(|_| kind.survives_calls())?;
        let home = self.local_home(local);
        self.load_home(kind, home, reg);
        self.regs.set(reg, Holds::Local(local));
        self.locals[local as usize].reg = Some(reg);
        Some(reg)
    }

    /// The register with something known, loaded if need be.
    pub(super) fn known(&mut self, known: Known) -> Reg {
        let reg = match self.regs.known(known) {
            Some(reg) => reg,
            None => {
                let reg = self.alloc(Class::General);
                match (known, self.regs.known(Known::Context)) {
                    (Known::Context, _) | (_, Some(_)) => {}
                    _ => {
                        self.known(Known::Context);
                    }
                }
                self.load_known(known, reg);
                self.regs.set(reg, Holds::Known(known));
                reg
            }
        };
        self.regs.pin(reg);
        reg
    }

    /// Loads something known into a register, with no other but the context's where that is in one.
    pub(super) fn load_known(&mut self, known: Known, reg: Reg) {
        let context = match self.regs.known(Known::Context) {
            Some(context) if known != Known::Context => context,
            _ => {
                let home = self.context_home();
                self.asm.load(Width::W64, reg, mem(super::x64::RBP, home));
                reg
            }
        };
        self.load_known_from(known, reg, context);
    }

    /// The same, where the context is in a register.
    pub(super) fn load_known_from(&mut self, known: Known, reg: Reg, context: Reg) {
        match known {
            Known::Context => {}
            Known::Store => self.asm.load(Width::W64, reg, mem(context, VmLayout::STORE)),
            Known::Heap => {
                self.asm.load(Width::W64, reg, mem(context, VmLayout::STORE));
                self.asm.load(Width::W64, reg, mem(reg, offset_of!(VmStoreContext, heap_base) as i32));
            }
            Known::Memory => {
                let (base, offset) =
                    self.definition(context, reg, self.input.layout.memory(ampoule_core::index::MemoryIndex(0)));
                self.asm.load(Width::W64, reg, mem(base, offset + offset_of!(VmMemory, base) as i32));
            }
        }
    }

    /// Forgets something known that has changed.
    pub(super) fn forget(&mut self, known: Known) {
        if let Some(reg) = self.regs.known(known) {
            self.regs.set(reg, Holds::Nothing);
        }
    }

    pub(super) fn push(&mut self, kind: Kind, place: Place) {
        if self.stack.len() - self.flushed >= WINDOW {
            self.flush(self.flushed);
            self.flushed += 1;
        }
        match place {
            Place::Reg(reg) => self.regs.set(reg, Holds::Operand(self.stack.len() as u32)),
            Place::Local(local) => self.locals[local as usize].pending += 1,
            Place::Home(_) | Place::Const(_) => {}
        }
        if kind == Kind::Reference {
            self.reference_operands.push(self.stack.len() as u32);
        }
        self.stack.push(Value { kind, place });
    }

    /// Pushes an operand that is at home.
    pub(super) fn push_home(&mut self, kind: Kind) {
        let home = self.homes.of_operand(self.stack.len(), kind);
        self.push(kind, Place::Home(home));
    }

    pub(super) fn push_reg(&mut self, kind: Kind, reg: Reg) {
        self.push(kind, Place::Reg(reg));
    }

    /// Pops an operand. A register that it has is the operator's.
    pub(super) fn pop(&mut self) -> Value {
        let value = self.stack.pop().expect("validation counted the operands");
        self.flushed = self.flushed.min(self.stack.len());
        if value.kind == Kind::Reference {
            self.reference_operands.pop();
        }
        match value.place {
            Place::Reg(reg) => {
                self.regs.set(reg, Holds::Temporary);
                self.regs.pin(reg);
            }
            Place::Local(local) => self.locals[local as usize].pending -= 1,
            Place::Home(_) | Place::Const(_) => {}
        }
        value
    }

    /// A register with a value that is only read.
    pub(super) fn read(&mut self, value: Value) -> Reg {
        match value.place {
            Place::Reg(reg) => reg,
            Place::Local(local) => self.local_reg(local),
            Place::Const(_) | Place::Home(_) => self.own(value),
        }
    }

    /// A register with a value that is going to be changed.
    pub(super) fn own(&mut self, value: Value) -> Reg {
        match value.place {
            Place::Reg(reg) => reg,
            Place::Local(local) => {
                let from = self.local_reg(local);
                let reg = self.alloc(value.kind.class());
                self.asm.mov_all(reg, from);
                reg
            }
            Place::Const(bits) => {
                let reg = self.alloc(value.kind.class());
                self.load_const(value.kind, bits, reg);
                reg
            }
            Place::Home(home) => {
                let reg = self.alloc(value.kind.class());
                self.load_home(value.kind, home, reg);
                reg
            }
        }
    }

    /// A value in a certain register, which has been reserved.
    pub(super) fn move_to(&mut self, value: Value, reg: Reg) {
        match value.place {
            Place::Reg(from) if from == reg => {}
            Place::Reg(from) => self.asm.mov_all(reg, from),
            Place::Local(local) => match self.locals[local as usize].reg {
                Some(from) => self.asm.mov_all(reg, from),
                None => {
                    let home = self.local_home(local);
                    self.load_home(value.kind, home, reg);
                }
            },
            Place::Const(bits) => self.load_const(value.kind, bits, reg),
            Place::Home(home) => self.load_home(value.kind, home, reg),
        }
    }

    /// An integer as instructions read it beside a register.
    pub(super) fn operand(&mut self, value: Value) -> Operand {
        match value.place {
            Place::Const(bits) => match small(value.kind, bits) {
                Some(small) => Operand::Imm(small),
                None => Operand::Reg(self.own(value)),
            },
            Place::Home(home) => Operand::Frame(home),
            Place::Reg(reg) => Operand::Reg(reg),
            Place::Local(local) => Operand::Reg(self.local_reg(local)),
        }
    }

    /// Brings the operand at a place home.
    fn flush(&mut self, index: usize) {
        let value = self.stack[index];
        match value.place {
            Place::Home(_) => return,
            Place::Reg(reg) => return self.vacate(reg),
            Place::Local(local) => self.locals[local as usize].pending -= 1,
            Place::Const(_) => {}
        }
        let home = self.homes.of_operand(index, value.kind);
        self.write_home(value, home);
        self.stack[index].place = Place::Home(home);
    }

    /// Copies from one home to another.
    pub(super) fn copy_home(&mut self, kind: Kind, from: i32, to: i32) {
        let scratch = if kind == Kind::V128 { VECTOR_SCRATCH } else { SCRATCH };
        let kind = match kind {
            Kind::F32 => Kind::I32,
            Kind::F64 => Kind::I64,
            other => other,
        };
        self.load_home(kind, from, scratch);
        self.store_home(kind, to, scratch);
    }

    /// Brings all operands home.
    pub(super) fn flush_all(&mut self) {
        for index in self.flushed..self.stack.len() {
            self.flush(index);
        }
        self.flushed = self.stack.len();
    }

    /// Brings all that is in registers which a call is about to change to others, or home. Constants and locals that operands stand for stay so.
    /// What was in a register is still there until something else is written to it.
    pub(super) fn save_all(&mut self) {
        self.has_called = true;
        // Not those that become free here: an argument may still have to be read from one.
        let mut kept = self.regs.free.and(RegSet::CALLEE_SAVED);
        for reg in self.regs.used().iter() {
            let survives = match self.regs.holds[reg.index()] {
                Holds::Temporary => continue,
                Holds::Local(local) => self.locals[local as usize].kind.survives_calls(),
                Holds::Operand(index) => self.stack[index as usize].kind.survives_calls(),
                Holds::Known(Known::Memory) => !self.memory_may_move(),
                // The store of a module that declares no types of objects may have no heap yet.
                Holds::Known(Known::Heap) => self.input.module.uses_heap,
                Holds::Known(_) | Holds::Nothing => true,
            };
            if !survives {
                self.vacate(reg);
            } else if !RegSet::CALLEE_SAVED.contains(reg) {
                // What can be found again is not worth keeping another register for, unless it is asked for again and again.
                let worth = match self.regs.holds[reg.index()] {
                    Holds::Known(_) if !self.is_in_loop() => kept.and(self.regs.touched),
                    _ => kept,
                };
                match worth.last() {
                    Some(to) => {
                        kept.remove(to);
                        self.relocate(reg, to);
                    }
                    None => self.vacate(reg),
                }
            }
        }
    }

    /// Gives a local the value of the uppermost operand.
    pub(super) fn set_local(&mut self, local: u32) {
        let value = self.pop();
        if value.place == Place::Local(local) {
            return;
        }
        // The new value first: it may be another local's, or the old one's register is taken over below.
        let kind = self.locals[local as usize].kind;
        let new = match value.place {
            Place::Reg(reg) => reg,
            _ => self.own(value),
        };
        self.detach(local);
        if let Some(old) = self.locals[local as usize].reg.take() {
            self.regs.set(old, Holds::Nothing);
        }
        debug_assert_eq!(kind.class(), new.class());
        self.regs.set(new, Holds::Local(local));
        self.regs.dirty.insert(new);
        self.locals[local as usize].reg = Some(new);
    }

    /// Gives operands that stand for a local's value one of their own, before the local changes: in registers that are free, or at home.
    fn detach(&mut self, local: u32) {
        let mut index = self.stack.len();
        while self.locals[local as usize].pending > 0 {
            index -= 1;
            if self.stack[index].place != Place::Local(local) {
                continue;
            }
            let Value { kind, .. } = self.stack[index];
            let Local { reg, pending, .. } = self.locals[local as usize];
            let own = match reg {
                // The last one takes the local's register over.
                Some(reg) if pending == 1 => {
                    self.locals[local as usize].reg = None;
                    reg
                }
                _ if self.regs.free(kind.class()) == 0 => {
                    self.flush(index);
                    continue;
                }
                Some(reg) => {
                    let own = self.alloc(kind.class());
                    self.asm.mov_all(own, reg);
                    own
                }
                None => {
                    let own = self.alloc(kind.class());
                    let home = self.local_home(local);
                    self.load_home(kind, home, own);
                    own
                }
            };
            self.locals[local as usize].pending -= 1;
            self.regs.set(own, Holds::Operand(index as u32));
            self.stack[index].place = Place::Reg(own);
        }
    }
}

/// The width that a constant in the frame is written with.
pub(super) fn kind_width(kind: Kind) -> Width {
    match kind {
        Kind::I32 | Kind::F32 | Kind::Reference => Width::W32,
        _ => Width::W64,
    }
}

/// A constant as an immediate operand, where it fits.
pub(super) fn small(kind: Kind, bits: u64) -> Option<i32> {
    match kind_width(kind) {
        Width::W32 => Some(bits as u32 as i32),
        Width::W64 => i32::try_from(bits as i64).ok(),
    }
}
