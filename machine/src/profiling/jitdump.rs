//! `jit-PID.dump`, in the current folder: Linux `perf`'s format for compiled code, with the code itself, its source lines and
//! how it is unwound. `perf inject --jit` makes of it what `perf report` and `perf annotate` read.
//!
//! ```text
//! header    magic, version, its length, processor, 0, process, time, flags
//! record    kind, its length, time, and:
//!   2 lines     address, count, then for each: address, line, column, file with NUL
//!   4 unwind    length of what follows, of its table, of what is mapped; then `.eh_frame`, and `.eh_frame_hdr` as its table
//!   0 load      process, thread, address, address, length, number, name with NUL, code
//! ```
//!
//! Records of lines and unwinding come before the load that they belong to. All numbers are little-endian. `perf` learns of the file
//! because a page of it is mapped, executable, as long as the process lives.

use super::process_file::ProcessFile;
use super::{Agent, Code, Line};
use crate::code::unwind_info;
use crate::os::mmap::{Access, Mapping, PAGE};
use rustix::time::ClockId;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const HEADER_LEN: u32 = 40;
/// x86-64, as ELF files number processors.
const PROCESSOR: u32 = 62;

const LOAD: u32 = 0;
const LINES: u32 = 2;
const UNWINDING: u32 = 4;

static DUMP: ProcessFile<Dump> = ProcessFile::new();

struct Dump {
    file: File,
    process: u32,
    /// The number of the next piece of code.
    next: u64,
    /// A record could not be written in full: what followed would not be understood.
    broken: bool,
    /// `perf` finds the file by this.
    _marker: Mapping,
}

/// Writes the dump.
pub(super) struct JitDump;

impl JitDump {
    pub(super) fn new() -> io::Result<Self> {
        DUMP.with(Dump::open, |_| JitDump)
    }
}

impl Agent for JitDump {
    fn loaded(&self, code: &Code<'_>) -> u32 {
        let lines = (code.lines)();
        // Where it fails, the profile lacks names; the guest need not suffer.
        let _ = DUMP.with(Dump::open, |dump| dump.load(code, &lines));
        0
    }
}

impl Dump {
    fn open(process: u32) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).custom_flags(libc::O_NOFOLLOW);
        let mut file = options.open(format!("jit-{process}.dump"))?;
        file.write_all(&header(process, now()))?;
        let marker = Mapping::private_file(&file, PAGE, Access::ReadExec)?;
        Ok(Dump { file, process, next: 0, broken: false, _marker: marker })
    }

    fn load(&mut self, code: &Code<'_>, lines: &[Line]) {
        if self.broken {
            return;
        }
        let mut records = Vec::with_capacity(256 + code.name.len() + code.bytes.len());
        let time = now();
        if !lines.is_empty() {
            lines_record(&mut records, time, code, lines);
        }
        if code.has_frame {
            unwinding_record(&mut records, time, code);
        }
        let thread = rustix::thread::gettid().as_raw_nonzero().get() as u32;
        load_record(&mut records, time, code, (self.process, thread), self.next);
        self.next += 1;
        self.broken = self.file.write_all(&records).is_err();
    }
}

fn header(process: u32, time: u64) -> Vec<u8> {
    let mut header = Vec::new();
    for word in [MAGIC, VERSION, HEADER_LEN, PROCESSOR, 0, process] {
        header.extend_from_slice(&word.to_le_bytes());
    }
    header.extend_from_slice(&time.to_le_bytes());
    header.extend_from_slice(&0u64.to_le_bytes());
    header
}

fn lines_record(records: &mut Vec<u8>, time: u64, code: &Code<'_>, lines: &[Line]) {
    record(records, LINES, time, |record| {
        put(record, &[code.address as u64, lines.len() as u64]);
        for line in lines {
            put(record, &[code.address as u64 + u64::from(line.offset)]);
            record.extend_from_slice(&line.line.to_le_bytes());
            record.extend_from_slice(&line.column.to_le_bytes());
            put_text(record, &line.file);
        }
    });
}

fn unwinding_record(records: &mut Vec<u8>, time: u64, code: &Code<'_>) {
    let (frames, table) = unwind_info::sections_behind(code.bytes.len());
    record(records, UNWINDING, time, |record| {
        // Nothing of it is mapped in the process.
        put(record, &[(frames.len() + table.len()) as u64, table.len() as u64, 0]);
        record.extend_from_slice(&frames);
        record.extend_from_slice(&table);
        record.resize(record.len().next_multiple_of(8), 0);
    });
}

fn load_record(records: &mut Vec<u8>, time: u64, code: &Code<'_>, (process, thread): (u32, u32), number: u64) {
    record(records, LOAD, time, |record| {
        record.extend_from_slice(&process.to_le_bytes());
        record.extend_from_slice(&thread.to_le_bytes());
        put(record, &[code.address as u64, code.address as u64, code.bytes.len() as u64, number]);
        put_text(record, code.name);
        record.extend_from_slice(code.bytes);
    });
}

/// Appends a record, with what `fill` appends as its content.
fn record(records: &mut Vec<u8>, kind: u32, time: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    fill(&mut content);
    records.extend_from_slice(&kind.to_le_bytes());
    records.extend_from_slice(&(16 + content.len() as u32).to_le_bytes());
    records.extend_from_slice(&time.to_le_bytes());
    records.append(&mut content);
}

fn put(record: &mut Vec<u8>, words: &[u64]) {
    words.iter().for_each(|word| record.extend_from_slice(&word.to_le_bytes()));
}

fn put_text(record: &mut Vec<u8>, text: &str) {
    record.extend(text.bytes().map(|byte| if byte == 0 { b'?' } else { byte }));
    record.push(0);
}

/// Nanoseconds of the clock that `perf record -k mono` uses.
fn now() -> u64 {
    let time = rustix::time::clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_load_has_the_bytes_behind_the_name() {
        let code =
            Code { name: "f\0g", module: "m", address: 0x1000, bytes: b"CODE", has_frame: false, lines: &Vec::new };
        let mut records = Vec::new();
        load_record(&mut records, 7, &code, (1, 2), 3);
        let word = |at: usize| u64::from_le_bytes(records[at..at + 8].try_into().unwrap());
        assert_eq!(records.len(), 16 + 40 + 4 + 4);
        assert_eq!(word(0), (records.len() as u64) << 32 | u64::from(LOAD));
        assert_eq!([word(8), word(16), word(24), word(32), word(40), word(48)], [7, 2 << 32 | 1, 0x1000, 0x1000, 4, 3]);
        assert_eq!(&records[56..], b"f?g\0CODE");
    }

    #[test]
    fn a_record_of_lines_has_an_entry_for_each() {
        let code = Code { name: "f", module: "m", address: 0x1000, bytes: &[], has_frame: true, lines: &Vec::new };
        let lines = [Line { offset: 4, file: Arc::from("a.c"), line: 9, column: 2 }];
        let mut records = Vec::new();
        lines_record(&mut records, 7, &code, &lines);
        let expected: Vec<u8> =
            [0x1000u64, 1, 0x1004, 2 << 32 | 9].iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(records[16..48], expected);
        assert_eq!(&records[48..], b"a.c\0");
    }
}
