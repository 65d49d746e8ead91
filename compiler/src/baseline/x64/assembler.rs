//! Instructions, labels, and what must be known about code beside its bytes.
//!
//! `cranelift-assembler-x64` encodes; this knows where jumps lead, which instructions may fault, and what is to be linked. The place of a
//! label is known when it is bound. A jump back to one that is near is short; all others have 32-bit displacements, filled in at the end.

use super::registers::{Class, RBP, Reg, SCRATCH};
use ampoule_core::artifact::{Relocation, RelocationTarget};
use ampoule_core::trap::TrapCode;
use cranelift_assembler_x64 as x64;

/// Registers as the encoder takes them.
pub(crate) struct Registers;

impl x64::Registers for Registers {
    type ReadGpr = u8;
    type ReadWriteGpr = u8;
    type WriteGpr = u8;
    type ReadXmm = u8;
    type ReadWriteXmm = u8;
    type WriteXmm = u8;
}

/// A memory operand.
pub(crate) type Mem = x64::Amode<u8>;

/// Emits one instruction by its name in the encoder's list.
macro_rules! emit {
    // Without registers, in brackets.
    ($asm:expr, [$inst:ident] $(, $arg:expr)* $(,)?) => {
        cranelift_assembler_x64::inst::$inst::new($($arg),*).encode(&mut $asm.code)
    };
    ($asm:expr, $inst:ident $(, $arg:expr)* $(,)?) => {
        cranelift_assembler_x64::inst::$inst::<$crate::baseline::x64::Registers>::new($($arg),*).encode(&mut $asm.code)
    };
}
pub(crate) use emit;

/// Bytes at `base + displacement`.
pub(crate) fn mem(base: Reg, displacement: i32) -> Mem {
    let simm32 = x64::AmodeOffset::new(displacement);
    Mem::ImmReg { base: base.number(), simm32: x64::AmodeOffsetPlusKnownOffset { simm32, offset: None }, trap: None }
}

/// Bytes at `base + (index << scale) + displacement`.
pub(crate) fn mem_indexed(base: Reg, index: Reg, scale: u8, displacement: i32) -> Mem {
    Mem::ImmRegRegShift {
        base: base.number(),
        index: index.number().into(),
        scale: x64::Scale::new(scale),
        simm32: x64::AmodeOffset::new(displacement),
        trap: None,
    }
}

/// The same bytes, which may not be there: the fault means this trap.
pub(crate) fn trapping(mut memory: Mem, code: TrapCode) -> Mem {
    let code = std::num::NonZeroU8::new(code as u8 + 1).map(x64::TrapCode);
    match &mut memory {
        Mem::ImmReg { trap, .. } | Mem::ImmRegRegShift { trap, .. } => *trap = code,
        Mem::RipRelative { .. } => {}
    }
    memory
}

/// A place in the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Label(u32);

const UNBOUND: u32 = u32::MAX;
/// Bytes of a jump with a displacement of 32 bits.
const JUMP_LEN: usize = 5;

/// Width of an operation on integers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Width {
    W32,
    W64,
}

/// Width of an operation on floats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Float {
    F32,
    F64,
}

/// What an instruction reads beside a register.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand {
    Reg(Reg),
    /// In the frame: the displacement from the frame pointer.
    Frame(i32),
    Imm(i32),
}

/// Conditions, as they follow a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    Equal,
    NotEqual,
    LessSigned,
    LessOrEqualSigned,
    GreaterSigned,
    GreaterOrEqualSigned,
    Below,
    BelowOrEqual,
    Above,
    AboveOrEqual,
    Overflow,
    /// The result of a comparison of floats, one of which is no number.
    Parity,
    NoParity,
    Negative,
}

impl Condition {
    pub fn inverse(self) -> Self {
        use Condition as C;
        match self {
            C::Equal => C::NotEqual,
            C::NotEqual => C::Equal,
            C::LessSigned => C::GreaterOrEqualSigned,
            C::LessOrEqualSigned => C::GreaterSigned,
            C::GreaterSigned => C::LessOrEqualSigned,
            C::GreaterOrEqualSigned => C::LessSigned,
            C::Below => C::AboveOrEqual,
            C::BelowOrEqual => C::Above,
            C::Above => C::BelowOrEqual,
            C::AboveOrEqual => C::Below,
            C::Parity => C::NoParity,
            C::NoParity => C::Parity,
            C::Overflow | C::Negative => unreachable!("nothing asks for the inverse"),
        }
    }

    /// The condition with the operands of the comparison exchanged.
    pub fn exchanged(self) -> Self {
        use Condition as C;
        match self {
            C::LessSigned => C::GreaterSigned,
            C::LessOrEqualSigned => C::GreaterOrEqualSigned,
            C::GreaterSigned => C::LessSigned,
            C::GreaterOrEqualSigned => C::LessOrEqualSigned,
            C::Below => C::Above,
            C::BelowOrEqual => C::AboveOrEqual,
            C::Above => C::Below,
            C::AboveOrEqual => C::BelowOrEqual,
            same => same,
        }
    }
}

/// Operations of two integers, the first of which takes the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Alu {
    Add,
    Sub,
    And,
    Or,
    Xor,
    /// Sets the flags only.
    Cmp,
}

/// Shifts and rotations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shift {
    Left,
    RightSigned,
    RightUnsigned,
    RotateLeft,
    RotateRight,
}

/// What is loaded from less than a register, and how it is made longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extend {
    Signed8(Width),
    Unsigned8,
    Signed16(Width),
    Unsigned16,
    Signed32,
}

/// Where the encoder's bytes go.
#[derive(Default)]
pub(crate) struct Code {
    pub bytes: Vec<u8>,
    /// Instructions that may fault, and what it means.
    traps: Vec<(u32, u8)>,
    fixups: Vec<Fixup>,
}

/// A displacement to be filled in.
struct Fixup {
    at: u32,
    target: x64::DeferredTarget,
}

impl x64::CodeSink for Code {
    #[inline]
    fn put1(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    #[inline]
    fn put2(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    fn put4(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    fn put8(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn add_trap(&mut self, code: x64::TrapCode) {
        // The encoder tells before it writes anything of the instruction.
        self.traps.push((self.bytes.len() as u32, code.0.get() - 1));
    }

    fn use_target(&mut self, target: x64::DeferredTarget) {
        self.fixups.push(Fixup { at: self.bytes.len() as u32, target });
    }

    fn known_offset(&self, _: x64::KnownOffset) -> i32 {
        unreachable!("no operand has one")
    }
}

/// The code of one function while it is made.
#[derive(Default)]
pub(crate) struct Assembler {
    pub code: Code,
    labels: Vec<u32>,
    /// Where a jump to a label that is not bound yet has just ended.
    jump: Option<(u32, Label)>,
    /// Where the last label was bound.
    bound: u32,
    constants: Vec<[u8; 16]>,
    pub relocations: Vec<Relocation>,
    /// Tables of branches: where each begins in the table's own bytes is known when they are placed.
    tables: Vec<(Label, Vec<Label>)>,
}

/// A finished function's bytes, with what was noted of them.
pub(crate) struct Assembled {
    pub bytes: Vec<u8>,
    pub traps: Vec<(u32, u8)>,
    pub relocations: Vec<Relocation>,
}

macro_rules! by_width {
    ($asm:expr, $width:expr, $w32:ident, $w64:ident $(, $arg:expr)*) => {
        match $width {
            Width::W32 => emit!($asm, $w32 $(, $arg)*),
            Width::W64 => emit!($asm, $w64 $(, $arg)*),
        }
    };
}
pub(crate) use by_width;

impl Assembler {
    /// With space for what a body of so many bytes becomes as a rule: lists that grow bit by bit are moved again and again.
    pub fn for_body(len: usize) -> Self {
        let code = Code {
            bytes: Vec::with_capacity(256 + len * 3),
            traps: Vec::with_capacity(len / 6),
            fixups: Vec::with_capacity(8 + len / 8),
        };
        let (labels, relocations) = (Vec::with_capacity(8 + len / 6), Vec::with_capacity(2 + len / 16));
        Self { code, labels, relocations, ..Self::default() }
    }

    pub fn offset(&self) -> u32 {
        self.code.bytes.len() as u32
    }

    pub fn label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(self.labels.len() as u32 - 1)
    }

    /// Places a label here. A jump to it that has just been emitted is taken back, unless another label is behind it.
    pub fn bind(&mut self, label: Label) {
        debug_assert_eq!(self.labels[label.0 as usize], UNBOUND);
        if self.jump == Some((self.offset(), label)) && self.bound != self.offset() {
            self.code.fixups.pop();
            self.code.bytes.truncate(self.code.bytes.len() - JUMP_LEN);
        }
        self.bound = self.offset();
        self.labels[label.0 as usize] = self.bound;
    }

    /// Takes back the code from `start` on, which has neither labels nor displacements, if it ended at `end` and nothing has come since.
    pub fn take_back(&mut self, start: u32, end: u32) -> bool {
        let is_last = self.offset() == end && self.bound != end;
        if is_last {
            self.code.bytes.truncate(start as usize);
        }
        is_last
    }

    pub fn constant(&mut self, bytes: [u8; 16]) -> Mem {
        let known = self.constants.iter().rev().take(16).position(|known| *known == bytes);
        let index = match known {
            Some(back) => self.constants.len() - 1 - back,
            None => {
                self.constants.push(bytes);
                self.constants.len() - 1
            }
        };
        Mem::RipRelative { target: x64::DeferredTarget::Constant(x64::Constant(index as u32)) }
    }

    pub fn jump(&mut self, label: Label) {
        if let Some(back) = self.short_way_back(label) {
            return emit!(self, [jmp_d8], back);
        }
        emit!(self, [jmp_d32], 0);
        self.displaced_by(label);
        self.jump = Some((self.offset(), label));
    }

    pub fn jump_if(&mut self, condition: Condition, label: Label) {
        let short = self.short_way_back(label);
        macro_rules! form {
            ($short:ident $long:ident) => {
                match short {
                    Some(back) => emit!(self, [$short], back),
                    None => emit!(self, [$long], 0),
                }
            };
        }
        use Condition as C;
        match condition {
            C::Equal => form!(je_d8 je_d32),
            C::NotEqual => form!(jne_d8 jne_d32),
            C::LessSigned => form!(jl_d8 jl_d32),
            C::LessOrEqualSigned => form!(jle_d8 jle_d32),
            C::GreaterSigned => form!(jg_d8 jg_d32),
            C::GreaterOrEqualSigned => form!(jge_d8 jge_d32),
            C::Below => form!(jb_d8 jb_d32),
            C::BelowOrEqual => form!(jbe_d8 jbe_d32),
            C::Above => form!(ja_d8 ja_d32),
            C::AboveOrEqual => form!(jae_d8 jae_d32),
            C::Overflow => form!(jo_d8 jo_d32),
            C::Parity => form!(jp_d8 jp_d32),
            C::NoParity => form!(jnp_d8 jnp_d32),
            C::Negative => form!(js_d8 js_d32),
        }
        if short.is_none() {
            self.displaced_by(label);
        }
    }

    /// The displacement of a jump of two bytes to a label, if that is bound and so near.
    fn short_way_back(&self, label: Label) -> Option<i8> {
        let at = self.labels[label.0 as usize];
        let behind_the_jump = i64::from(self.offset()) + 2;
        if at == UNBOUND { None } else { i8::try_from(i64::from(at) - behind_the_jump).ok() }
    }

    fn displaced_by(&mut self, label: Label) {
        let target = x64::DeferredTarget::Label(x64::Label(label.0));
        self.code.fixups.push(Fixup { at: self.offset() - 4, target });
    }

    /// Calls what is linked later. Gives the return address.
    pub fn call(&mut self, target: RelocationTarget) -> u32 {
        emit!(self, [callq_d], 0);
        self.relocations.push(Relocation { offset: self.offset() - 4, target });
        self.offset()
    }

    pub fn call_reg(&mut self, reg: Reg) -> u32 {
        emit!(self, callq_m, reg.number());
        self.offset()
    }

    /// Jumps to what is linked later.
    pub fn jump_to(&mut self, target: RelocationTarget) {
        emit!(self, [jmp_d32], 0);
        self.relocations.push(Relocation { offset: self.offset() - 4, target });
    }

    /// Jumps by a table of labels. `index` is less than their number, and is changed.
    pub fn jump_by_table(&mut self, index: Reg, targets: Vec<Label>) {
        let table = self.label();
        let target = x64::DeferredTarget::Label(x64::Label(table.0));
        emit!(self, leaq_rm, SCRATCH.number(), Mem::RipRelative { target });
        emit!(self, movslq_rm, index.number(), mem_indexed(SCRATCH, index, 2, 0));
        emit!(self, addq_rm, SCRATCH.number(), index.number());
        emit!(self, jmpq_m, SCRATCH.number());
        self.tables.push((table, targets));
    }

    pub fn mov(&mut self, width: Width, to: Reg, from: Reg) {
        by_width!(self, width, movl_mr, movq_mr, to.number(), from.number());
    }

    /// Moves all of a register to another of the same class.
    pub fn mov_all(&mut self, to: Reg, from: Reg) {
        match to.class() {
            Class::General => self.mov(Width::W64, to, from),
            Class::Vector => emit!(self, movaps_a, to.number(), from.number()),
        }
    }

    /// The upper half is zero where the width is 32 bits. Flags stay as they are.
    pub fn mov_imm(&mut self, to: Reg, value: u64) {
        match (u32::try_from(value), i32::try_from(value as i64)) {
            (Ok(value), _) => emit!(self, movl_oi, to.number(), value),
            (_, Ok(value)) => emit!(self, movq_mi_sxl, to.number(), value),
            _ => emit!(self, movabsq_oi, to.number(), value),
        }
    }

    pub fn load(&mut self, width: Width, to: Reg, from: Mem) {
        by_width!(self, width, movl_rm, movq_rm, to.number(), from);
    }

    pub fn store(&mut self, width: Width, to: Mem, from: Reg) {
        by_width!(self, width, movl_mr, movq_mr, to, from.number());
    }

    pub fn store_imm(&mut self, width: Width, to: Mem, value: i32) {
        match width {
            Width::W32 => emit!(self, movl_mi, to, value),
            Width::W64 => emit!(self, movq_mi_sxl, to, value),
        }
    }

    pub fn load_extended(&mut self, extend: Extend, to: Reg, from: Mem) {
        let to = to.number();
        match extend {
            Extend::Signed8(Width::W32) => emit!(self, movsbl_rm, to, from),
            Extend::Signed8(Width::W64) => emit!(self, movsbq_rm, to, from),
            Extend::Unsigned8 => emit!(self, movzbl_rm, to, from),
            Extend::Signed16(Width::W32) => emit!(self, movswl_rm, to, from),
            Extend::Signed16(Width::W64) => emit!(self, movswq_rm, to, from),
            Extend::Unsigned16 => emit!(self, movzwl_rm, to, from),
            Extend::Signed32 => emit!(self, movslq_rm, to, from),
        }
    }

    pub fn extend(&mut self, extend: Extend, to: Reg, from: Reg) {
        let (to, from) = (to.number(), from.number());
        match extend {
            Extend::Signed8(Width::W32) => emit!(self, movsbl_rm, to, from),
            Extend::Signed8(Width::W64) => emit!(self, movsbq_rm, to, from),
            Extend::Unsigned8 => emit!(self, movzbl_rm, to, from),
            Extend::Signed16(Width::W32) => emit!(self, movswl_rm, to, from),
            Extend::Signed16(Width::W64) => emit!(self, movswq_rm, to, from),
            Extend::Unsigned16 => emit!(self, movzwl_rm, to, from),
            Extend::Signed32 => emit!(self, movslq_rm, to, from),
        }
    }

    pub fn load_float(&mut self, float: Float, to: Reg, from: Mem) {
        match float {
            Float::F32 => emit!(self, movss_a_m, to.number(), from),
            Float::F64 => emit!(self, movsd_a_m, to.number(), from),
        }
    }

    pub fn store_float(&mut self, float: Float, to: Mem, from: Reg) {
        match float {
            Float::F32 => emit!(self, movss_c_m, to, from.number()),
            Float::F64 => emit!(self, movsd_c_m, to, from.number()),
        }
    }

    pub fn load_vector(&mut self, to: Reg, from: Mem) {
        emit!(self, movups_a, to.number(), from);
    }

    pub fn store_vector(&mut self, to: Mem, from: Reg) {
        emit!(self, movups_b, to, from.number());
    }

    /// Makes a vector register zero.
    pub fn zero_vector(&mut self, to: Reg) {
        emit!(self, xorps_a, to.number(), to.number());
    }

    pub fn alu(&mut self, op: Alu, width: Width, to: Reg, from: Operand) {
        macro_rules! forms {
            ($rm32:ident $rm64:ident $short32:ident $short64:ident $imm32:ident $imm64:ident) => {
                match from {
                    Operand::Reg(from) => by_width!(self, width, $rm32, $rm64, to.number(), from.number()),
                    Operand::Frame(at) => by_width!(self, width, $rm32, $rm64, to.number(), mem(RBP, at)),
                    Operand::Imm(value) => match (i8::try_from(value), width) {
                        (Ok(value), Width::W32) => emit!(self, $short32, to.number(), value),
                        (Ok(value), Width::W64) => emit!(self, $short64, to.number(), value),
                        (_, Width::W32) => emit!(self, $imm32, to.number(), value),
                        (_, Width::W64) => emit!(self, $imm64, to.number(), value),
                    },
                }
            };
        }
        match op {
            Alu::Add => forms!(addl_rm addq_rm addl_mi_sxb addq_mi_sxb addl_mi addq_mi_sxl),
            Alu::Sub => forms!(subl_rm subq_rm subl_mi_sxb subq_mi_sxb subl_mi subq_mi_sxl),
            Alu::And => forms!(andl_rm andq_rm andl_mi_sxb andq_mi_sxb andl_mi andq_mi_sxl),
            Alu::Or => forms!(orl_rm orq_rm orl_mi_sxb orq_mi_sxb orl_mi orq_mi_sxl),
            Alu::Xor => forms!(xorl_rm xorq_rm xorl_mi_sxb xorq_mi_sxb xorl_mi xorq_mi_sxl),
            Alu::Cmp => forms!(cmpl_rm cmpq_rm cmpl_mi_sxb cmpq_mi_sxb cmpl_mi cmpq_mi),
        }
    }

    /// Compares a register with memory.
    pub fn compare_with(&mut self, width: Width, reg: Reg, with: Mem) {
        by_width!(self, width, cmpl_rm, cmpq_rm, reg.number(), with);
    }

    /// Compares memory with a small constant.
    pub fn compare_memory(&mut self, width: Width, memory: Mem, value: i8) {
        by_width!(self, width, cmpl_mi_sxb, cmpq_mi_sxb, memory, value);
    }

    /// Takes one from a 32-bit number in memory; the flags tell of what is left.
    pub fn count_down(&mut self, memory: Mem) {
        emit!(self, subl_mi_sxb, memory, 1);
    }

    /// Adds to a 32-bit number in memory.
    pub fn add_to(&mut self, memory: Mem, number: i8) {
        emit!(self, addl_mi_sxb, memory, number);
    }

    pub fn test(&mut self, width: Width, reg: Reg) {
        by_width!(self, width, testl_mr, testq_mr, reg.number(), reg.number());
    }

    pub fn multiply(&mut self, width: Width, to: Reg, from: Operand) {
        match from {
            Operand::Reg(from) => by_width!(self, width, imull_rm, imulq_rm, to.number(), from.number()),
            Operand::Frame(at) => by_width!(self, width, imull_rm, imulq_rm, to.number(), mem(RBP, at)),
            Operand::Imm(value) => match width {
                Width::W32 => emit!(self, imull_rmi, to.number(), to.number(), value),
                Width::W64 => emit!(self, imulq_rmi_sxl, to.number(), to.number(), value),
            },
        }
    }

    /// Shifts by a constant, which is less than the width.
    pub fn shift_imm(&mut self, shift: Shift, width: Width, reg: Reg, by: u8) {
        let reg = reg.number();
        match shift {
            Shift::Left => by_width!(self, width, shll_mi, shlq_mi, reg, by),
            Shift::RightSigned => by_width!(self, width, sarl_mi, sarq_mi, reg, by),
            Shift::RightUnsigned => by_width!(self, width, shrl_mi, shrq_mi, reg, by),
            Shift::RotateLeft => by_width!(self, width, roll_mi, rolq_mi, reg, by),
            Shift::RotateRight => by_width!(self, width, rorl_mi, rorq_mi, reg, by),
        }
    }

    /// Shifts by what is in `rcx`, modulo the width.
    pub fn shift_by_rcx(&mut self, shift: Shift, width: Width, reg: Reg) {
        let (reg, by) = (reg.number(), x64::Fixed(super::registers::RCX.number()));
        match shift {
            Shift::Left => by_width!(self, width, shll_mc, shlq_mc, reg, by),
            Shift::RightSigned => by_width!(self, width, sarl_mc, sarq_mc, reg, by),
            Shift::RightUnsigned => by_width!(self, width, shrl_mc, shrq_mc, reg, by),
            Shift::RotateLeft => by_width!(self, width, roll_mc, rolq_mc, reg, by),
            Shift::RotateRight => by_width!(self, width, rorl_mc, rorq_mc, reg, by),
        }
    }

    /// One in a register where a condition holds, zero otherwise: all 64 bits.
    pub fn set_if(&mut self, condition: Condition, to: Reg) {
        use Condition as C;
        let number = to.number();
        match condition {
            C::Equal => emit!(self, sete_m, number),
            C::NotEqual => emit!(self, setne_m, number),
            C::LessSigned => emit!(self, setl_m, number),
            C::LessOrEqualSigned => emit!(self, setle_m, number),
            C::GreaterSigned => emit!(self, setg_m, number),
            C::GreaterOrEqualSigned => emit!(self, setge_m, number),
            C::Below => emit!(self, setb_m, number),
            C::BelowOrEqual => emit!(self, setbe_m, number),
            C::Above => emit!(self, seta_m, number),
            C::AboveOrEqual => emit!(self, setae_m, number),
            C::Overflow => emit!(self, seto_m, number),
            C::Parity => emit!(self, setp_m, number),
            C::NoParity => emit!(self, setnp_m, number),
            C::Negative => emit!(self, sets_m, number),
        }
        emit!(self, movzbl_rm, number, number);
    }

    /// Moves where a condition holds.
    pub fn mov_if(&mut self, condition: Condition, width: Width, to: Reg, from: Reg) {
        use Condition as C;
        let (to, from) = (to.number(), from.number());
        match condition {
            C::Equal => by_width!(self, width, cmovel_rm, cmoveq_rm, to, from),
            C::NotEqual => by_width!(self, width, cmovnel_rm, cmovneq_rm, to, from),
            C::LessSigned => by_width!(self, width, cmovll_rm, cmovlq_rm, to, from),
            C::LessOrEqualSigned => by_width!(self, width, cmovlel_rm, cmovleq_rm, to, from),
            C::GreaterSigned => by_width!(self, width, cmovgl_rm, cmovgq_rm, to, from),
            C::GreaterOrEqualSigned => by_width!(self, width, cmovgel_rm, cmovgeq_rm, to, from),
            C::Below => by_width!(self, width, cmovbl_rm, cmovbq_rm, to, from),
            C::BelowOrEqual => by_width!(self, width, cmovbel_rm, cmovbeq_rm, to, from),
            C::Above => by_width!(self, width, cmoval_rm, cmovaq_rm, to, from),
            C::AboveOrEqual => by_width!(self, width, cmovael_rm, cmovaeq_rm, to, from),
            C::Overflow => by_width!(self, width, cmovol_rm, cmovoq_rm, to, from),
            C::Parity => by_width!(self, width, cmovpl_rm, cmovpq_rm, to, from),
            C::NoParity => by_width!(self, width, cmovnpl_rm, cmovnpq_rm, to, from),
            C::Negative => by_width!(self, width, cmovsl_rm, cmovsq_rm, to, from),
        }
    }

    /// Addresses: `base + displacement` without flags.
    pub fn address(&mut self, width: Width, to: Reg, memory: Mem) {
        by_width!(self, width, leal_rm, leaq_rm, to.number(), memory);
    }

    /// Puts code in front of all there is, which may lead to this code's labels. Gives its length.
    pub fn prepend(&mut self, mut front: Code) -> u32 {
        let len = front.bytes.len() as u32;
        self.labels.iter_mut().filter(|at| **at != UNBOUND).for_each(|at| *at += len);
        self.code.traps.iter_mut().for_each(|(at, _)| *at += len);
        self.code.fixups.iter_mut().for_each(|fixup| fixup.at += len);
        self.relocations.iter_mut().for_each(|relocation| relocation.offset += len);
        front.bytes.append(&mut self.code.bytes);
        front.traps.append(&mut self.code.traps);
        front.fixups.append(&mut self.code.fixups);
        self.code = front;
        len
    }

    /// Lays tables and constants behind the code, and fills in where everything leads. Constants begin at a multiple of 16.
    pub fn finish(mut self) -> Assembled {
        let mut bytes = std::mem::take(&mut self.code.bytes);
        for (table, targets) in std::mem::take(&mut self.tables) {
            bytes.resize(bytes.len().next_multiple_of(4), super::INT3);
            let start = bytes.len() as u32;
            self.labels[table.0 as usize] = start;
            for target in targets {
                let target = self.labels[target.0 as usize];
                debug_assert_ne!(target, UNBOUND);
                bytes.extend_from_slice(&target.wrapping_sub(start).to_le_bytes());
            }
        }
        if !self.constants.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(16), super::INT3);
        }
        let constants = bytes.len() as u32;
        bytes.extend(self.constants.iter().flatten());
        for Fixup { at, target } in &self.code.fixups {
            let target = match target {
                x64::DeferredTarget::Label(label) => self.labels[label.0 as usize],
                x64::DeferredTarget::Constant(constant) => constants + constant.0 * 16,
                x64::DeferredTarget::None => unreachable!("no operand is without a target"),
            };
            debug_assert_ne!(target, UNBOUND);
            let place = &mut bytes[*at as usize..*at as usize + 4];
            // What is there makes up for the bytes of the instruction behind the displacement.
            let addend = u32::from_le_bytes(place.try_into().expect("four bytes"));
            let displacement = target.wrapping_sub(at + 4).wrapping_add(addend);
            place.copy_from_slice(&displacement.to_le_bytes());
        }
        Assembled { bytes, traps: self.code.traps, relocations: self.relocations }
    }
}
