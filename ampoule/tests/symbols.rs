//! Names and DWARF in backtraces: what they tell, and that hostile ones cost no more than their size allows.

#![cfg(feature = "compiler")]

use ampoule::{Config, Engine, Error, Instance, Module, Store, Val};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Counts what is allocated, and how much of it there was at once.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn details() -> Engine {
    Engine::new(Config::new().backtrace_details(true)).unwrap()
}

fn no_details() -> Engine {
    Engine::new(Config::new().backtrace_details(false)).unwrap()
}

/// The error of calling `f` with zeros.
fn error_of(engine: &Engine, bytes: &[u8]) -> Error {
    error_of_module(&Module::new(engine, bytes).unwrap())
}

fn error_of_module(module: &Module) -> Error {
    let mut store = Store::new(module.engine());
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    let f = instance.get_func(&store, "f").unwrap();
    let results = f.ty(&store).unwrap().results().len();
    f.call(&mut store, &[Val::I32(0)], &mut vec![Val::I32(0); results]).unwrap_err()
}

/// By clang with `-g -O1`:
/// ```c
/// __attribute__((noinline)) int divide(int a,int b){return a/b;}
/// static inline __attribute__((always_inline)) int twice(int x){return divide(x,0)*2;}
/// __attribute__((export_name("f"))) int f(int a){return twice(a)+1;}
/// ```
const COMPILED: &str = "
0061736d01000000010c0260027f7f017f60017f017f03030200010405017001010105030100100609017f01418080c0000b070e02066d
656d6f72790200016600010a1c020700200020016d0b1200200041001080808080004101744101720b0099010d2e64656275675f616262
726576011101250e1305030e10171b0e110155170000022e01110112064018974219030e3a0b3b0b271949133f1900000305000218030e
3a0b3b0b49130000042e01030e3a0b3b0b27194913200b0000050500030e3a0b3b0b49130000062400030e3e0b0b0b0000071d01311311
011206580b590b570b000008050002183113000009898201003113110100000000de010b2e64656275675f696e666fce00000004000000
00000401280000001d00200000000000000006000000000000000000000002020000000700000007ed03000000009f1300000001017a00
00000304ed00009f2600000001017a0000000304ed00019f2400000001017a00000000041a00000001027a00000001050000000001027a
0000000006020000000504020a0000001200000007ed03000000009f1100000001037a0000000304ed00009f2600000001037a00000007
620000000f0000000b0000000103370804ed00009f6e00000000092600000015000000000000260d2e64656275675f72616e6765730200
0000090000000a0000001c000000000000000000000000480a2e64656275675f7374727800696e74002f7372632f746872656500660064
697669646500747769636500742e630062006100636c616e672076657273696f6e2032322e312e380000630b2e64656275675f6c696e65
5300000004001b000000010101fb0e0d00010101010000000100000100742e630000000000053b0a000502030000000105330658020100
01010005020a0000001405460a57066405510630053f3d0530062002010001010030046e616d65000706742e7761736d010c0200066469
76696465010166071201000f5f5f737461636b5f706f696e74657200350970726f64756365727302086c616e6775616765010343313100
0c70726f6365737365642d62790105636c616e670632322e312e380086010f7461726765745f6665617475726573072b0f62756c6b2d6d
656d6f72792d6f70742b1663616c6c2d696e6469726563742d6f7665726c6f6e672b0e657874656e6465642d636f6e73742b0a6d756c74
6976616c75652b0f6d757461626c652d676c6f62616c732b136e6f6e7472617070696e672d6670746f696e742b087369676e2d657874";

fn compiled() -> Vec<u8> {
    let digits: Vec<_> = COMPILED.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

const WITH_DETAILS: &str = "error while executing at wasm backtrace:
    0:     0x4b - divide
                    at /src/three/t.c:1:59
    1:     0x53 - twice
                    at /src/three/t.c:2:70
                - f
                    at /src/three/t.c:3:55

Caused by:
    wasm trap: integer divide by zero
";

const WITHOUT: &str = "error while executing at wasm backtrace:
    0:     0x4b - t.wasm!divide
    1:     0x53 - t.wasm!f
note: using the `WASMTIME_BACKTRACE_DETAILS=1` environment variable may show more debugging information

Caused by:
    wasm trap: integer divide by zero
";

#[test]
fn dwarf_is_read_where_it_was_asked_for() {
    assert_eq!(format!("{:?}", error_of(&details(), &compiled())), WITH_DETAILS);
    assert_eq!(format!("{:?}", error_of(&no_details(), &compiled())), WITHOUT);
    // Who wants native debug information knows.
    let mut config = Config::new();
    config.backtrace_details(false).tunables.debug_info = true;
    let (shown, note) = (format!("{:?}", error_of(&Engine::new(&config).unwrap(), &compiled())), "note: ");
    assert!(!shown.contains(note) && !shown.contains("t.c"), "{shown}");
}

#[test]
fn artifacts_keep_dwarf_where_it_was_asked_for() {
    for (writer, reader, shown) in [
        (details(), details(), WITH_DETAILS),
        (details(), no_details(), WITHOUT),
        (no_details(), details(), &WITHOUT.replace("note: using the `WASMTIME_BACKTRACE_DETAILS=1` environment variable may show more debugging information\n", "")),
        (no_details(), no_details(), WITHOUT),
    ] {
        let artifact = Module::new(&writer, &compiled()).unwrap().serialize().unwrap();
        // SAFETY: it was just written.
        let module = unsafe { Module::deserialize(&reader, &artifact) }.unwrap();
        assert_eq!(format!("{:?}", error_of_module(&module)), shown);
    }
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = number as u8 & 127;
        number >>= 7;
        bytes.push(if number > 0 { low | 128 } else { low });
        if number == 0 {
            return bytes;
        }
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

fn custom(name: &str, content: &[u8]) -> Vec<u8> {
    section(0, &[&leb(name.len())[..], name.as_bytes(), content].concat())
}

/// A module whose function `f` traps, with these custom sections behind it. Its code begins at 1, its operator at 3.
fn trapping(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend(section(1, b"\x01\x60\x01\x7f\0"));
    module.extend(section(3, b"\x01\0"));
    module.extend(section(7, b"\x01\x01f\0\0"));
    module.extend(section(10, b"\x01\x03\0\0\x0b"));
    for (name, content) in sections {
        module.extend(custom(name, content));
    }
    module
}

/// A unit of DWARF 4 with these entries, and abbreviations at this offset.
fn unit(abbreviations: usize, entries: &[u8]) -> Vec<u8> {
    let mut unit = ((7 + entries.len()) as u32).to_le_bytes().to_vec();
    unit.extend(4u16.to_le_bytes());
    unit.extend((abbreviations as u32).to_le_bytes());
    unit.push(4);
    unit.extend(entries);
    unit
}

/// A number, a tag, whether there are children, and the attributes' names and forms.
type Abbreviation<'a> = (usize, u8, bool, &'a [(u8, u8)]);

fn abbreviations(list: &[Abbreviation<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, tag, has_children, attributes) in list {
        bytes.extend(leb(*number));
        bytes.extend([*tag, u8::from(*has_children)]);
        attributes.iter().for_each(|&(name, form)| bytes.extend([name, form]));
        bytes.extend([0, 0]);
    }
    bytes.push(0);
    bytes
}

const UNIT: u8 = 0x11;
const SUBPROGRAM: u8 = 0x2e;
const LOW_PC: u8 = 0x11;
const HIGH_PC: u8 = 0x12;
const STMT_LIST: u8 = 0x10;
const RANGES: u8 = 0x55;
const NAME: u8 = 0x03;
const SPECIFICATION: u8 = 0x47;
const ADDR: u8 = 0x01;
const DATA4: u8 = 0x06;
const SEC_OFFSET: u8 = 0x17;
const FLAG_PRESENT: u8 = 0x19;
const STRING: u8 = 0x08;
const REF4: u8 = 0x13;

/// Low and high address: all code.
const ALL_CODE: [u8; 8] = [1, 0, 0, 0, 0xff, 0xff, 0, 0];

/// Each of `n` units reads the abbreviations from its own on.
fn overlapping_abbreviations(n: usize) -> Vec<u8> {
    let (mut table, mut units) = (Vec::new(), Vec::new());
    for number in 1..=n {
        units.extend(unit(table.len(), &leb(number)));
        table.extend(leb(number));
        table.extend([UNIT, 0, 0, 0]);
    }
    table.push(0);
    trapping(&[(".debug_abbrev", &table), (".debug_info", &units)])
}

/// The units' line programs are one, with `n` files.
fn shared_line_program(n: usize) -> Vec<u8> {
    let table = abbreviations(&[(1, UNIT, false, &[(LOW_PC, ADDR), (HIGH_PC, DATA4), (STMT_LIST, SEC_OFFSET)])]);
    let root = [&[1][..], &ALL_CODE, &[0; 4]].concat();
    let units: Vec<u8> = (0..n).flat_map(|_| unit(0, &root)).collect();
    let files = b"file\0\0\0\0".repeat(n);
    let mut header = vec![1, 1, 1, 0, 10, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
    header.push(0);
    header.extend(files);
    header.push(0);
    // Rows, from address 1 on.
    let mut program = vec![0, 5, 2, 1, 0, 0, 0, 1];
    program.extend(vec![0xff; n]);
    program.extend([0, 1, 1]);
    let mut line = 4u16.to_le_bytes().to_vec();
    line.extend((header.len() as u32).to_le_bytes());
    line.extend(header);
    line.extend(program);
    let line = [&(line.len() as u32).to_le_bytes()[..], &line].concat();
    trapping(&[(".debug_abbrev", &table), (".debug_info", &units), (".debug_line", &line)])
}

/// `n` functions have one list of `n` ranges.
fn shared_ranges(n: usize) -> Vec<u8> {
    let table = abbreviations(&[
        (1, UNIT, true, &[(LOW_PC, ADDR), (HIGH_PC, DATA4)]),
        (2, SUBPROGRAM, false, &[(RANGES, SEC_OFFSET)]),
    ]);
    let functions = [2, 0, 0, 0, 0].repeat(n);
    let units = unit(0, &[&[1][..], &ALL_CODE, &functions, &[0]].concat());
    let ranges = [&[1, 0, 0, 0, 9, 0, 0, 0].repeat(n)[..], &[0; 8]].concat();
    trapping(&[(".debug_abbrev", &table), (".debug_info", &units), (".debug_ranges", &ranges)])
}

/// `n` entries of a byte each stand for `n` attributes.
fn empty_attributes(n: usize) -> Vec<u8> {
    let many = vec![(NAME, FLAG_PRESENT); n];
    let table = abbreviations(&[(1, UNIT, true, &[(LOW_PC, ADDR), (HIGH_PC, DATA4)]), (2, SUBPROGRAM, false, &many)]);
    let units = unit(0, &[&[1][..], &ALL_CODE, &vec![2; n], &[0]].concat());
    trapping(&[(".debug_abbrev", &table), (".debug_info", &units)])
}

/// `n` functions with the same code, each with a name that refers to itself.
fn circular_names(n: usize) -> Vec<u8> {
    let table = abbreviations(&[
        (1, UNIT, true, &[(LOW_PC, ADDR), (HIGH_PC, DATA4)]),
        (2, SUBPROGRAM, false, &[(LOW_PC, ADDR), (HIGH_PC, DATA4), (SPECIFICATION, REF4)]),
    ]);
    let mut entries = [&[1][..], &ALL_CODE].concat();
    for _ in 0..n {
        let here = (11 + entries.len()) as u32;
        entries.extend([&[2][..], &ALL_CODE, &here.to_le_bytes()].concat());
    }
    trapping(&[(".debug_abbrev", &table), (".debug_info", &unit(0, &[&entries[..], &[0]].concat()))])
}

/// Version 5: a list of 2^60 files of no bytes each.
fn files_of_no_bytes(n: usize) -> Vec<u8> {
    let table = abbreviations(&[(1, UNIT, false, &[(STMT_LIST, SEC_OFFSET)])]);
    let units: Vec<u8> = (0..n).flat_map(|_| unit(0, &[1, 0, 0, 0, 0])).collect();
    let mut header = vec![1, 1, 1, 0, 10, 1];
    header.extend([1, 1, FLAG_PRESENT]);
    header.extend(leb(1 << 60));
    header.extend([1, 1, FLAG_PRESENT]);
    header.extend(leb(1 << 60));
    let mut line = 5u16.to_le_bytes().to_vec();
    line.extend([4, 0]);
    line.extend((header.len() as u32).to_le_bytes());
    line.extend(header);
    let line = [&(line.len() as u32).to_le_bytes()[..], &line].concat();
    trapping(&[(".debug_abbrev", &table), (".debug_info", &units), (".debug_line", &line)])
}

/// A function of DWARF with this name.
fn named_by_dwarf(name: &str) -> Vec<u8> {
    let table = abbreviations(&[
        (1, UNIT, true, &[(LOW_PC, ADDR), (HIGH_PC, DATA4)]),
        (2, SUBPROGRAM, false, &[(NAME, STRING), (LOW_PC, ADDR), (HIGH_PC, DATA4)]),
    ]);
    let function = [&[2][..], name.as_bytes(), &[0], &ALL_CODE].concat();
    let units = unit(0, &[&[1][..], &ALL_CODE, &function, &[0]].concat());
    trapping(&[(".debug_abbrev", &table), (".debug_info", &units)])
}

/// A function of the name section with this name.
fn named(name: &str) -> Vec<u8> {
    let entry = [&[1, 0][..], &leb(name.len()), name.as_bytes()].concat();
    trapping(&[("name", &[&[1][..], &leb(entry.len()), &entry].concat())])
}

/// `_Z1f1A`, then `levels` function types with eight parameters, each of the type before.
fn growing_name(levels: usize) -> String {
    let reference = |number: usize| match number {
        0 => "S_".to_string(),
        number => format!("S{}_", char::from_digit(number as u32 - 1, 36).unwrap().to_ascii_uppercase()),
    };
    format!("_Z1f1A{}", (0..levels).map(|level| format!("Fv{}E", reference(level).repeat(8))).collect::<String>())
}

/// The message of the trap in a module, and the bytes that it took at once to make it, twice.
fn message_of(bytes: &[u8]) -> (String, usize) {
    let error = error_of(&details(), bytes);
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let (first, second) = (format!("{error:?}"), format!("{error:?}"));
    assert_eq!(first, second);
    (first, PEAK.load(Ordering::Relaxed) - before)
}

#[test]
fn dwarf_tells_names() {
    assert!(message_of(&named_by_dwarf("_ZN1a1bEv")).0.contains("- a::b()\n"));
}

#[test]
fn hostile_dwarf_costs_what_its_size_allows() {
    type Shape = fn(usize) -> Vec<u8>;
    let shapes: [(&str, Shape); 6] = [
        ("overlapping abbreviations", overlapping_abbreviations),
        ("shared line program", shared_line_program),
        ("shared ranges", shared_ranges),
        ("empty attributes", empty_attributes),
        ("circular names", circular_names),
        ("files of no bytes", files_of_no_bytes),
    ];
    for (shape, bytes) in shapes {
        for n in [1, 100, 5_000, 20_000] {
            let bytes = bytes(n);
            let start = Instant::now();
            let (message, peak) = message_of(&bytes);
            assert!(message.len() < 1000, "{shape} {n}: {}", message.len());
            if n == 1 {
                assert_eq!(message.contains("at file:1:0\n"), shape == "shared line program", "{message}");
            }
            assert!(peak < 100 * bytes.len() + (4 << 20), "{shape} {n}: {peak} bytes for {}", bytes.len());
            // Quadratic cost took minutes here.
            assert!(start.elapsed() < Duration::from_secs(20), "{shape} {n}: {:?}", start.elapsed());
        }
    }
}

#[test]
fn hostile_names_make_no_long_messages() {
    let long = "n".repeat(90_000);
    let retried = format!("_Z{}i", "cvT_I".repeat(30));
    for name in [&growing_name(16), &growing_name(30), &retried, &long] {
        for bytes in [named(name), named_by_dwarf(name)] {
            let (message, peak) = message_of(&bytes);
            assert!(message.len() < 20_000, "{}", message.len());
            assert!(message.contains(&name[..150.min(name.len())]), "{message}");
            assert!(peak < 4 << 20, "{peak}");
        }
    }
}

#[test]
fn many_long_names_make_no_long_message() {
    let name = "n".repeat(90_000);
    let functions: String = (0..30).map(|number| format!("(func ${number}{name} (call {})) ", number + 1)).collect();
    let text = format!("(module {functions} (func unreachable) (func (export \"f\") (param i32) (call 0)))");
    let (message, _) = message_of(text.as_bytes());
    assert!(message.len() < 70_000, "{}", message.len());
    assert!(message.ends_with("…\n\nCaused by:\n    wasm trap: wasm `unreachable` instruction executed\n"));
}

#[test]
fn long_names_make_no_long_errors() {
    let engine = no_details();
    let name = "n".repeat(90_000);
    let module = Module::new(&engine, format!(r#"(module (import "{name}" "{name}" (func)))"#).as_bytes()).unwrap();
    let missing = ampoule::Linker::new(&engine).instantiate(&mut Store::new(&engine), &module).unwrap_err();
    let invalid = Module::new(&engine, format!("(module (func ${name} (result i32)))").as_bytes()).unwrap_err();
    let twice = format!(r#"(module (func) (export "{name}" (func 0)) (export "{name}" (func 0)))"#);
    let twice = Module::new(&engine, twice.as_bytes()).unwrap_err();
    for (error, words) in
        [(missing, "has not been defined"), (invalid, "type mismatch"), (twice, "duplicate export name")]
    {
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(text.len() < 50_000 && text.contains(words), "{} {}", text.len(), &text[..100]);
        }
    }
}
