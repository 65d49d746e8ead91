//! `/tmp/perf-PID.map`: a line for each piece of code, with its address and length in hexadecimal and its name. Linux `perf` and
//! many other tools read it. It can't tell that code went: what came later to the same place is the better guess.
//!
//! `perf` takes names from the map only for code that lies in no file, and ours does, in memory. So from the first such engine on,
//! code is put into anonymous memory.

use super::process_file::ProcessFile;
use super::{Agent, Code};
use crate::code::space;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

static MAP: ProcessFile<File> = ProcessFile::new();

/// Writes the map.
pub(super) struct PerfMap;

impl PerfMap {
    pub(super) fn new() -> io::Result<Self> {
        MAP.with(open, |_| PerfMap).inspect(|_| space::use_anonymous_memory())
    }
}

impl Agent for PerfMap {
    fn loaded(&self, code: &Code<'_>) -> u32 {
        let line = line(code);
        // Where there is no room for the line, the profile lacks a name; the guest need not suffer.
        let _ = MAP.with(open, |map| map.write_all(line.as_bytes()));
        0
    }
}

fn line(code: &Code<'_>) -> String {
    // A name is the guest's choice, and must not become another line.
    let name: String = code.name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("{:x} {:x} {name}\n", code.address, code.bytes.len())
}

fn open(process: u32) -> io::Result<File> {
    // Everyone may write to that folder, so a link that somebody left there is not followed.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).custom_flags(libc::O_NOFOLLOW | libc::O_APPEND);
    options.open(format!("/tmp/perf-{process}.map"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_address_length_and_name() {
        let code = |name| Code {
            name,
            module: "m",
            address: 0x7f00_1000,
            bytes: &[0; 0x1f],
            has_frame: true,
            lines: &Vec::new,
        };
        assert_eq!(line(&code("core::add<u8, u8>")), "7f001000 1f core::add<u8, u8>\n");
        assert_eq!(line(&code("evil\n0 ffff name")), "7f001000 1f evil?0 ffff name\n");
    }
}
