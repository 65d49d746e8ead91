//! Strings that are none: broken in each encoding, at the ends of memory, with lengths that overflow; for the host, and for another
//! component in each of the encodings.

use crate::{ALLOCATES, BUMP, MEMORY, Pair, Run, guest};
use ampoule_component::Val;

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

/// What lies at 32, how long the string says to be, in which encoding, and what is wrong with it.
const BROKEN: [(&str, &str, &str, &str); 13] = [
    ("utf8", r"\ff", "1", "invalid utf-8 sequence of 1 bytes from index 0"),
    ("utf8", r"a\c3", "2", "incomplete utf-8 byte sequence from index 1"),
    ("utf8", r"\c0\80", "2", "invalid utf-8 sequence of 1 bytes from index 0"),
    ("utf8", r"\ed\a0\80", "3", "invalid utf-8 sequence of 1 bytes from index 0"),
    ("utf8", r"\f4\90\80\80", "4", "invalid utf-8 sequence of 1 bytes from index 0"),
    ("utf8", r"abcdefghijklmnopqrstuvwxyz\80", "27", "invalid utf-8 sequence of 1 bytes from index 26"),
    ("utf16", r"\00\d8", "1", "unpaired surrogate found: d800"),
    ("utf16", r"\00\dc\00\d8", "2", "unpaired surrogate found: dc00"),
    ("utf16", r"\00\d8a\00", "2", "unpaired surrogate found: d800"),
    ("utf16", r"a\00b\00c\00d\00e\00f\00g\00h\00\ff\df", "9", "unpaired surrogate found: dfff"),
    ("latin1+utf16", r"\00\d8", "0x80000001", "unpaired surrogate found: d800"),
    ("latin1+utf16", r"\00\dc\00\d8", "0x80000002", "unpaired surrogate found: dc00"),
    ("latin1+utf16", r"a\00\00\d8", "0x80000002", "unpaired surrogate found: d800"),
];

/// Encoding, place and length of strings that are not in memory.
const OUTSIDE: [(&str, &str, &str); 16] = [
    ("utf8", "65535", "2"),
    ("utf8", "65537", "0"),
    ("utf8", "0", "65537"),
    ("utf8", "0xffffffff", "1"),
    ("utf8", "1", "0xffffffff"),
    ("utf8", "0", "0x10000000"),
    ("utf16", "65534", "2"),
    ("utf16", "0", "0x7fffffff"),
    ("utf16", "0", "0x80000000"),
    ("utf16", "2", "0xffffffff"),
    ("utf16", "0xfffffffe", "1"),
    ("latin1+utf16", "65534", "3"),
    ("latin1+utf16", "0", "0x7fffffff"),
    ("latin1+utf16", "65534", "0x80000002"),
    ("latin1+utf16", "2", "0xffffffff"),
    ("latin1+utf16", "0xfffffffe", "0x80000001"),
];

fn answers(encoding: &str, data: &str, at: &str, len: &str) -> Run {
    Run::new(&guest(
        &format!(
            r#"(data (i32.const 32) "{data}")
            (func (export "f") (result i32)
                (i32.store (i32.const 8) (i32.const {at})) (i32.store (i32.const 12) (i32.const {len})) (i32.const 8))"#
        ),
        &format!(
            r#"(func (export "f") (result string)
                (canon lift (core func $m "f") {MEMORY} string-encoding={encoding}))"#
        ),
    ))
}

#[test]
fn the_host_refuses_what_is_no_string() {
    for (encoding, data, len, says) in BROKEN {
        let mut run = answers(encoding, data, "32", len);
        run.fails("f", &[], says);
        run.is_alive();
    }
    for (encoding, at, len) in OUTSIDE {
        let mut run = answers(encoding, "", at, len);
        run.fails("f", &[], "string pointer/length out of bounds of memory");
        run.is_alive();
    }
    for (encoding, len) in [("utf16", "1"), ("latin1+utf16", "1"), ("latin1+utf16", "0x80000001")] {
        let mut run = answers(encoding, "abc", "33", len);
        run.fails("f", &[], "string pointer not aligned to 2");
        run.is_alive();
    }
}

#[test]
fn strings_may_end_where_memory_does() {
    for (encoding, at, len, text) in [
        ("utf8", "65536", "0", ""),
        ("utf8", "65535", "1", "\0"),
        ("utf16", "65536", "0", ""),
        ("utf16", "65534", "1", "\0"),
        ("latin1+utf16", "65536", "0", ""),
        ("latin1+utf16", "65536", "0x80000000", ""),
        ("latin1+utf16", "65534", "2", "\0\0"),
        ("latin1+utf16", "65534", "0x80000001", "\0"),
    ] {
        let mut run = answers(encoding, "", at, len);
        assert_eq!(run.call("f", &[]).unwrap(), Val::from(text), "{encoding} {at} {len}");
    }
}

/// A component passes a string to another one, which answers its length as it sees it.
fn passes([from, to]: [&str; 2], data: &str, at: &str, len: &str) -> Run {
    let text = Pair {
        ty: r#"(param "a" string) (result u32)"#,
        core: "(param i32 i32) (result i32)",
        inner: &format!(r#"{BUMP} (func (export "f") (param i32 i32) (result i32) (local.get 1))"#),
        inner_options: &format!("{ALLOCATES} string-encoding={to}"),
        outer: &format!(
            r#"(data (i32.const 32) "{data}")
            (func (export "run") (result i32) (call $f (i32.const {at}) (i32.const {len})))"#
        ),
        outer_options: &format!("{MEMORY} string-encoding={from}"),
    };
    Run::new(&text.text())
}

#[test]
fn another_component_never_sees_what_is_no_string() {
    for to in ENCODINGS {
        for (from, data, len, _) in BROKEN {
            let says = if from == "utf8" { "invalid utf8 encoding" } else { "invalid utf16 encoding" };
            let mut run = passes([from, to], data, "32", len);
            run.fails("run", &[], says);
            run.is_closed();
        }
        for (from, at, len) in OUTSIDE {
            let mut run = passes([from, to], "", at, len);
            run.fails("run", &[], "wasm trap: string content out-of-bounds");
            run.is_closed();
        }
        for (from, len) in [("utf16", "1"), ("latin1+utf16", "1"), ("latin1+utf16", "0x80000001")] {
            let mut run = passes([from, to], "abc", "33", len);
            run.fails("run", &[], "wasm trap: unaligned pointer");
            run.is_closed();
        }
    }
}

#[test]
fn each_encoding_counts_in_its_own_units() {
    let tagged = 1 << 31;
    for (to, ascii, latin, other) in [("utf8", 3, 6, 7), ("utf16", 3, 3, 4), ("latin1+utf16", 3, 3, 4 | tagged)] {
        for (data, len) in [("abc", ascii), ("\u{e9}\u{ff}\u{80}", latin), ("\u{65e5}\u{1d11e}", other)] {
            let (utf8, utf16) =
                (data.as_bytes().to_vec(), data.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
            let len = if len == other && to != "utf8" { len - 1 } else { len };
            let escaped = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
            let units = data.encode_utf16().count() as u32;
            for (from, bytes, given) in [
                ("utf8", escaped(utf8), data.len() as u32),
                ("utf16", escaped(utf16.clone()), units),
                ("latin1+utf16", escaped(utf16), units | tagged),
            ] {
                let mut run = passes([from, to], &bytes, "32", &given.to_string());
                assert_eq!(run.call("run", &[]).unwrap(), Val::from(len), "{from} to {to}: {data:?}");
            }
        }
    }
}
