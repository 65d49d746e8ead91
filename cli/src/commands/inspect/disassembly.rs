//! Machine code as instructions, before it is linked.
//!
//! Tables of branches and constants lie among the instructions and behind them. So code is followed from where it is entered, and what no
//! instruction leads to is data. An indirect jump goes by the table whose address was loaded last before it.

use ampoule_core::artifact::{CompiledFunction, Relocation, RelocationTarget};
use ampoule_core::builtins::Convention;
use iced_x86::{Decoder, DecoderOptions, FastFormatter, Instruction, Mnemonic, OpKind};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// A part of a function's code.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// An instruction: where it starts, and its text.
    Instruction(u32, String),
    /// Bytes that are none. A table of branches starts a piece.
    Data(Range<u32>),
}

/// The code in order. `name` says what a relocation leads to.
pub fn disassemble(function: &CompiledFunction, name: impl Fn(RelocationTarget) -> String) -> Vec<Piece> {
    let code = Code::followed(function);
    let mut pieces = Vec::new();
    let mut at = 0;
    for &start in code.starts.union(&code.tables) {
        if at < start {
            pieces.push(Piece::Data(at..start));
            at = start;
        }
        if code.starts.contains(&start) {
            let instruction = code.decode(start);
            let target = code.relocation(start, &instruction).map(|relocation| name(relocation.target));
            pieces.push(Piece::Instruction(start, text(&instruction, target)));
            at = start + instruction.len() as u32;
        }
    }
    let end = function.code.len() as u32;
    if at < end {
        pieces.push(Piece::Data(at..end));
    }
    pieces
}

/// The mnemonic in a column of its own. What leads out of the function has no address yet, and is named.
fn text(instruction: &Instruction, target: Option<String>) -> String {
    let mut text = String::new();
    let mut formatter = FastFormatter::new();
    formatter.options_mut().set_use_hex_prefix(true);
    formatter.options_mut().set_uppercase_hex(false);
    formatter.format(instruction, &mut text);
    let (mnemonic, operands) = text.split_once(' ').unwrap_or((&text, ""));
    match target {
        Some(target) if is_relative(instruction) => format!("{mnemonic:<7} {target}"),
        Some(target) => format!("{mnemonic:<7} {operands}  ; {target}"),
        None if operands.is_empty() => mnemonic.to_owned(),
        None => format!("{mnemonic:<7} {operands}"),
    }
}

/// What is known of a function's code while it is followed.
struct Code<'a> {
    bytes: &'a [u8],
    relocations: HashMap<u32, Relocation>,
    /// Where instructions start.
    starts: BTreeSet<u32>,
    /// Which bytes are parts of instructions.
    taken: Vec<bool>,
    /// Where it may go on.
    entries: Vec<u32>,
    /// Tables of branches.
    tables: BTreeSet<u32>,
}

impl<'a> Code<'a> {
    fn followed(function: &'a CompiledFunction) -> Self {
        let CompiledFunction { code, relocations, info, .. } = function;
        let from_operators = info.positions.iter().filter(|entry| entry.1 != u32::MAX).map(|entry| entry.0);
        let landings = info.handlers.iter().map(|(_, handler)| handler.landing);
        let mut followed = Code {
            bytes: code,
            relocations: relocations.iter().map(|relocation| (relocation.offset, *relocation)).collect(),
            starts: BTreeSet::new(),
            taken: vec![false; code.len()],
            entries: [0].into_iter().chain(from_operators).chain(landings).collect(),
            tables: BTreeSet::new(),
        };
        followed.follow_entries();
        // Each target of a table may lead to further tables.
        let mut read = BTreeSet::new();
        while let Some(&table) = followed.tables.difference(&read).next() {
            read.insert(table);
            followed.read_table(table);
        }
        followed
    }

    fn follow_entries(&mut self) {
        while let Some(entry) = self.entries.pop() {
            self.follow(entry);
        }
    }

    fn follow(&mut self, mut at: u32) {
        let mut table = None;
        while self.taken.get(at as usize) == Some(&false) {
            let instruction = self.decode(at);
            if instruction.is_invalid() {
                return;
            }
            self.starts.insert(at);
            let end = at + instruction.len() as u32;
            self.taken[at as usize..end as usize].fill(true);
            let target = self.relocation(at, &instruction).map(|relocation| relocation.target);
            if is_relative(&instruction) && instruction.mnemonic() != Mnemonic::Call && target.is_none() {
                self.entries.extend(u32::try_from(instruction.near_branch_target()));
            }
            if instruction.mnemonic() == Mnemonic::Lea && instruction.is_ip_rel_memory_operand() {
                table = u32::try_from(instruction.ip_rel_memory_address()).ok();
            }
            if instruction.mnemonic() == Mnemonic::Jmp && !is_relative(&instruction) {
                self.tables.extend(table);
            }
            let ends = matches!(instruction.mnemonic(), Mnemonic::Jmp | Mnemonic::Ret | Mnemonic::Ud2 | Mnemonic::Int3);
            if ends {
                return;
            }
            // Behind a call that never returns lies another piece of code, data, or the instruction that says so.
            at = end;
            if target.is_some_and(never_returns) && self.decode(at).mnemonic() != Mnemonic::Ud2 {
                return;
            }
        }
    }

    /// A table is words from its own start to where they lead, up to what is known to be something else.
    fn read_table(&mut self, table: u32) {
        let next = self.tables.range(table + 1..).next().copied();
        for at in (table..next.unwrap_or(self.bytes.len() as u32)).step_by(4) {
            let Some(&word) = self.bytes.get(at as usize..).and_then(|bytes| bytes.first_chunk()) else { return };
            let entry = table.wrapping_add(u32::from_le_bytes(word));
            if self.taken[at as usize] || entry as usize >= self.bytes.len() {
                return;
            }
            self.entries.push(entry);
            self.follow_entries();
        }
    }

    fn decode(&self, at: u32) -> Instruction {
        Decoder::with_ip(64, &self.bytes[at as usize..], at.into(), DecoderOptions::NONE).decode()
    }

    /// The relocation of the instruction's last four bytes.
    fn relocation(&self, at: u32, instruction: &Instruction) -> Option<&Relocation> {
        self.relocations.get(&(at + instruction.len() as u32).checked_sub(4)?)
    }
}

/// Whether it is a call or jump by a distance.
fn is_relative(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::NearBranch64
}

fn never_returns(target: RelocationTarget) -> bool {
    matches!(target, RelocationTarget::Builtin(builtin) if builtin.convention() == Convention::NoReturn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(code: &[u8], positions: &[(u32, u32)]) -> Vec<String> {
        let mut function = CompiledFunction { code: code.to_vec(), ..Default::default() };
        function.info.positions = positions.to_vec();
        let text = |piece| match piece {
            Piece::Instruction(at, text) => format!("{at:x} {text}"),
            Piece::Data(range) => format!("{:x}..{:x}", range.start, range.end),
        };
        disassemble(&function, |_| unreachable!("nothing is relocated")).into_iter().map(text).collect()
    }

    #[test]
    fn what_nothing_leads_to_is_data() {
        // jmp 4; two bytes; ret; a constant.
        assert_eq!(pieces(&[0xeb, 2, 0xcc, 0xcc, 0xc3, 1, 2, 3], &[]), ["0 jmp     0x4", "2..4", "4 ret", "5..8"]);
        // An operator's code is code, whoever leads there.
        assert_eq!(pieces(&[0xc3, 0x90, 0xc3], &[(1, 40)]), ["0 ret", "1 nop", "2 ret"]);
        assert_eq!(pieces(&[0xc3, 0x90, 0xc3], &[(1, u32::MAX)]), ["0 ret", "1..3"]);
    }

    #[test]
    fn tables_of_branches_are_followed() {
        let mut code = vec![0x48, 0x8d, 0x05, 2, 0, 0, 0]; // lea rax, [9]
        code.extend([0xff, 0xe0]); // jmp rax
        code.extend(8u32.to_le_bytes());
        code.extend(9u32.to_le_bytes());
        code.extend([0xc3, 0x90, 0xc3]);
        let listed = pieces(&code, &[]);
        assert_eq!(listed[1..], ["7 jmp     rax", "9..11", "11 ret", "12 nop", "13 ret"]);
    }

    #[test]
    fn code_that_ends_in_the_middle_of_an_instruction_is_data() {
        assert_eq!(pieces(&[0x90, 0x48], &[]), ["0 nop", "1..2"]);
        assert_eq!(pieces(&[], &[]), [] as [&str; 0]);
        assert_eq!(pieces(&[0xeb, 0x7f], &[]), ["0 jmp     0x81"], "where it leads is not there");
    }
}
