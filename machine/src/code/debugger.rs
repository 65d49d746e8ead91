//! What gdb and lldb are told of guest code, through the interface that they have for compilers at run time: an ELF file in memory
//! that says how frames in the code space are walked. They don't know what the system's unwinder is told.
//!
//! The debugger sets a breakpoint on `__jit_debug_register_code`, and reads `__jit_debug_descriptor` when that is reached or when it
//! attaches. Both names are local symbols ([`crate::arch::jit_interface`]): a host may have another compiler with the same names, and the library exports neither.

use super::unwind_info;
use crate::arch::dwarf::ELF_MACHINE;
use crate::os::sync::OnceLock;
use std::ops::Range;
use std::ptr;

unsafe extern "C" {
    #[link_name = "ampoule_jit_debug_register_code"]
    fn register_code();
    #[link_name = "ampoule_jit_debug_descriptor"]
    static mut DESCRIPTOR: Descriptor;
}

/// Layout by the interface.
#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    relevant: *const Entry,
    first: *const Entry,
}

/// Layout by the interface. Lives as long as the process.
#[repr(C)]
struct Entry {
    next: *const Entry,
    previous: *const Entry,
    file: *const u8,
    file_len: u64,
}

const REGISTER: u32 = 1;

/// Tells debuggers that all code in a range keeps frame pointers. The first call counts.
pub fn register(range: Range<usize>) {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let file: &'static [u8] = file(range).leak();
        let entry =
            Entry { next: ptr::null(), previous: ptr::null(), file: file.as_ptr(), file_len: file.len() as u64 };
        let entry: &'static Entry = Box::leak(Box::new(entry));
        // SAFETY: only this function writes to the descriptor, once; a debugger reads it while the process is stopped.
        unsafe {
            DESCRIPTOR.first = entry;
            DESCRIPTOR.relevant = entry;
            DESCRIPTOR.action = REGISTER;
            register_code();
        }
    });
}

const HEADER_LEN: usize = 64;
const SECTION_HEADER_LEN: usize = 64;
const NAMES: &[u8] = b"\0.text\0.eh_frame\0.symtab\0.strtab\0ampoule_guest_code\0";

/// An ELF file with one function, which is the whole code space.
fn file(range: Range<usize>) -> Vec<u8> {
    let (start, len) = (range.start as u64, range.len() as u64);
    let name = |name: &[u8]| {
        let at = NAMES.windows(name.len() + 1).position(|part| part.strip_suffix(b"\0") == Some(name));
        at.expect("all names are in the list") as u32
    };
    let frames = unwind_info::frame_pointer_section(range);
    let symbols = symbols(name(b"ampoule_guest_code"), start, len);
    let frames_at = HEADER_LEN;
    let symbols_at = frames_at + frames.len().next_multiple_of(8);
    let names_at = symbols_at + symbols.len();
    let sections_at = (names_at + NAMES.len()).next_multiple_of(8);
    let mut file = vec![0; sections_at];
    file[frames_at..][..frames.len()].copy_from_slice(&frames);
    file[symbols_at..][..symbols.len()].copy_from_slice(&symbols);
    file[names_at..][..NAMES.len()].copy_from_slice(NAMES);

    const PROGBITS: u32 = 1;
    const SYMTAB: u32 = 2;
    const STRTAB: u32 = 3;
    const NOBITS: u32 = 8;
    const ALLOC: u64 = 2;
    const EXECINSTR: u64 = 4;
    // name, type, flags, address, offset, length, link, info, alignment, entry length
    let sections = [
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (name(b".text"), NOBITS, ALLOC | EXECINSTR, start, frames_at as u64, len, 0, 0, 16, 0),
        (name(b".eh_frame"), PROGBITS, ALLOC, 0, frames_at as u64, frames.len() as u64, 0, 0, 8, 0),
        (name(b".symtab"), SYMTAB, 0, 0, symbols_at as u64, symbols.len() as u64, 4, 1, 8, SYMBOL_LEN as u64),
        (name(b".strtab"), STRTAB, 0, 0, names_at as u64, NAMES.len() as u64, 0, 0, 1, 0),
    ];
    for (name, ty, flags, address, offset, len, link, info, alignment, entry_len) in sections {
        put_u32(&mut file, &[name, ty]);
        put_u64(&mut file, &[flags, address, offset, len]);
        put_u32(&mut file, &[link, info]);
        put_u64(&mut file, &[alignment, entry_len]);
    }
    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    put_u16(&mut header, &[2, ELF_MACHINE]); // executable
    put_u32(&mut header, &[1]);
    put_u64(&mut header, &[0, 0, sections_at as u64]);
    put_u32(&mut header, &[0]);
    put_u16(&mut header, &[HEADER_LEN as u16, 0, 0, SECTION_HEADER_LEN as u16, sections.len() as u16, 4]);
    file[..HEADER_LEN].copy_from_slice(&header);
    file
}

const SYMBOL_LEN: usize = 24;

/// The empty symbol that comes first, and a global function.
fn symbols(name: u32, start: u64, len: u64) -> Vec<u8> {
    let mut symbols = vec![0; SYMBOL_LEN];
    put_u32(&mut symbols, &[name]);
    symbols.extend([0x12, 0]); // global function
    put_u16(&mut symbols, &[1]); // in .text
    put_u64(&mut symbols, &[start, len]);
    symbols
}

fn put_u16(bytes: &mut Vec<u8>, words: &[u16]) {
    words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
}

fn put_u32(bytes: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
}

fn put_u64(bytes: &mut Vec<u8>, words: &[u64]) {
    words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_its_sections_where_its_header_says() {
        let file = file(0x10_0000..0x20_0000);
        let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
        let sections = word(40);
        assert_eq!(file.len(), sections + 5 * SECTION_HEADER_LEN);
        let section = |number: usize| sections + number * SECTION_HEADER_LEN;
        assert_eq!((word(section(1) + 16), word(section(1) + 32)), (0x10_0000, 0x10_0000));
        let frames = word(section(2) + 24);
        assert_eq!(file[frames..][..word(section(2) + 32)], unwind_info::frame_pointer_section(0x10_0000..0x20_0000));
        let (names, name) = (word(section(4) + 24), word(section(2)) as u32 as usize);
        assert!(file[names + name..].starts_with(b".eh_frame\0"));
        let symbol = word(section(3) + 24) + SYMBOL_LEN;
        assert!(file[names + word(symbol) as u32 as usize..].starts_with(b"ampoule_guest_code\0"));
        assert_eq!((word(symbol + 8), word(symbol + 16)), (0x10_0000, 0x10_0000));
    }
}
