//! `wasi:cli`: standard streams.

use crate::support::{Guest, instantiate, pair};
use ampoule::{Config, Engine, Features, Store};
use ampoule_component::{Instance, Val};
use ampoule_wasi::WasiConfig;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A configuration with this input, and what is written to standard output.
fn with_input(input: &[u8]) -> (WasiConfig, Arc<Mutex<Vec<u8>>>) {
    let output = Arc::new(Mutex::new(Vec::new()));
    let copy = Arc::clone(&output);
    let mut config = WasiConfig::new();
    config.stdin_bytes(input.to_vec());
    config.stdout_callback(Box::new(move |bytes| {
        copy.lock().unwrap().extend_from_slice(bytes);
        bytes.len() as isize
    }));
    (config, output)
}

#[test]
fn input_is_read_to_its_end() {
    let (config, _) = with_input(b"0123456789");
    let mut guest = Guest::new(config);
    let (mut stream, mut future) = pair(guest.call("stdin#read-via-stream", &[]));
    assert_eq!(guest.read_all(&mut stream), b"0123456789");
    assert_eq!(guest.ending(&mut future), None);
    let (mut again, _) = pair(guest.call("stdin#read-via-stream", &[]));
    assert_eq!(guest.read_all(&mut again), b"");
}

#[test]
fn a_dropped_stream_has_ended_well() {
    let (config, _) = with_input(b"0123456789");
    let mut guest = Guest::new(config);
    let (stream, mut future) = pair(guest.call("stdin#read-via-stream", &[]));
    drop(stream);
    assert_eq!(guest.ending(&mut future), None);
    let (_, mut last) = pair(guest.call("stdin#read-via-stream", &[]));
    drop(guest.store);
    drop(last.take_end());
}

#[test]
fn output_is_written_until_the_guest_drops_its_end() {
    for name in ["stdout", "stderr"] {
        let (mut config, output) = with_input(b"");
        let copy = Arc::clone(&output);
        config.stderr_callback(Box::new(move |bytes| {
            copy.lock().unwrap().extend_from_slice(bytes);
            bytes.len() as isize
        }));
        let mut guest = Guest::new(config);
        let (mut writer, reader) = guest.stream();
        let mut future = guest.call(&format!("{name}#write-via-stream"), &[reader]);
        assert_eq!(guest.write_all(&mut writer, b"some bytes"), 10);
        drop(writer);
        assert_eq!(guest.ending(&mut future), None);
        assert_eq!(*output.lock().unwrap(), b"some bytes");
    }
}

#[test]
fn output_that_fails_drops_the_stream_and_says_why() {
    let mut config = WasiConfig::new();
    config.stdout_callback(Box::new(|_| -5));
    config.stderr_callback(Box::new(|_| -32));
    let mut guest = Guest::new(config);
    for (name, expected) in [("stdout", "io"), ("stderr", "pipe")] {
        let (mut writer, reader) = guest.stream();
        let mut future = guest.call(&format!("{name}#write-via-stream"), &[reader]);
        guest.write_all(&mut writer, b"0123");
        assert_eq!(guest.write_all(&mut writer, b"more"), 0, "the end was dropped");
        assert_eq!(guest.ending(&mut future), Some(expected.to_owned()));
    }
}

/// A guest that copies standard input to standard output, in pieces of so many bytes, through its own memory. What it gives: how many bytes;
/// 1000 times the state of the last read; the two endings.
const CAT: &str = r#"(component
    (import "wasi:cli/types@0.3.0" (instance $types
        (type $error (enum "io" "illegal-byte-sequence" "pipe"))
        (export "error-code" (type (eq $error)))))
    (alias export $types "error-code" (type $error))
    (import "wasi:cli/stdin@0.3.0" (instance $stdin
        (alias outer 1 $error (type $error'))
        (export "error-code" (type $error (eq $error')))
        (export "read-via-stream" (func (result (tuple (stream u8) (future (result (error $error)))))))))
    (import "wasi:cli/stdout@0.3.0" (instance $stdout
        (alias outer 1 $error (type $error'))
        (export "error-code" (type $error (eq $error')))
        (export "write-via-stream" (func (param "data" (stream u8)) (result (future (result (error $error))))))))
    (core module $memory (memory (export "memory") 40))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $memory))
    (type $bytes (stream u8))
    (type $ending (future (result (error $error))))
    (core func $stdin (canon lower (func $stdin "read-via-stream") (memory $memory)))
    (core func $stdout (canon lower (func $stdout "write-via-stream")))
    (core func $new (canon stream.new $bytes))
    (core func $read (canon stream.read $bytes (memory $memory)))
    (core func $read-async (canon stream.read $bytes async (memory $memory)))
    (core func $cancel-read (canon stream.cancel-read $bytes))
    (core func $write (canon stream.write $bytes (memory $memory)))
    (core func $drop-readable (canon stream.drop-readable $bytes))
    (core func $drop-writable (canon stream.drop-writable $bytes))
    (core func $ending (canon future.read $ending (memory $memory)))
    (core func $drop-ending (canon future.drop-readable $ending))
    (core module $m
        (import "" "memory" (memory 40))
        (import "" "stdin" (func $stdin (param i32)))
        (import "" "stdout" (func $stdout (param i32) (result i32)))
        (import "" "new" (func $new (result i64)))
        (import "" "read" (func $read (param i32 i32 i32) (result i32)))
        (import "" "read-async" (func $read-async (param i32 i32 i32) (result i32)))
        (import "" "cancel-read" (func $cancel-read (param i32) (result i32)))
        (import "" "write" (func $write (param i32 i32 i32) (result i32)))
        (import "" "drop-readable" (func $drop-readable (param i32)))
        (import "" "drop-writable" (func $drop-writable (param i32)))
        (import "" "ending" (func $ending (param i32 i32) (result i32)))
        (import "" "drop-ending" (func $drop-ending (param i32)))
        (func (export "cat") (param $piece i32) (result i32)
            (local $in i32) (local $in-ending i32) (local $out i32) (local $out-ending i32)
            (local $pair i64) (local $got i32) (local $put i32) (local $at i32) (local $sum i32)
            (call $stdin (i32.const 0))
            (local.set $in (i32.load (i32.const 0)))
            (local.set $in-ending (i32.load (i32.const 4)))
            (local.set $pair (call $new))
            (local.set $out-ending (call $stdout (i32.wrap_i64 (local.get $pair))))
            (local.set $out (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
            (block $end
                (loop $more
                    (local.set $got (call $read (local.get $in) (i32.const 1024) (local.get $piece)))
                    (local.set $at (i32.const 1024))
                    (block $written
                        (loop $write
                            (br_if $written (i32.eqz (i32.shr_u (local.get $got) (i32.const 4))))
                            (local.set $put (call $write
                                (local.get $out) (local.get $at) (i32.shr_u (local.get $got) (i32.const 4))))
                            (local.set $sum (i32.add (local.get $sum) (i32.shr_u (local.get $put) (i32.const 4))))
                            (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $put) (i32.const 4))))
                            (local.set $got (i32.sub (local.get $got) (i32.and (local.get $put) (i32.const -16))))
                            (br_if $end (i32.and (local.get $put) (i32.const 15)))
                            (br $write)))
                    (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15))))))
            (call $drop-readable (local.get $in))
            (call $drop-writable (local.get $out))
            (if (call $ending (local.get $in-ending) (i32.const 16)) (then unreachable))
            (if (call $ending (local.get $out-ending) (i32.const 20)) (then unreachable))
            (call $drop-ending (local.get $in-ending))
            (call $drop-ending (local.get $out-ending))
            (i32.add (local.get $sum)
                (i32.add (i32.mul (i32.load8_u (i32.const 16)) (i32.const 0x1000000))
                    (i32.mul (i32.load8_u (i32.const 20)) (i32.const 0x2000000)))))
        ;; Opens so many streams of standard input, reads each without waiting, and leaves them.
        (func (export "open") (param $count i32)
            (loop $more
                (call $stdin (i32.const 0))
                (if (i32.ne (call $read-async (i32.load (i32.const 0)) (i32.const 1024) (i32.const 1)) (i32.const -1))
                    (then unreachable))
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br_if $more (local.get $count))))
        ;; The same, but cancels the reads and drops the ends.
        (func (export "cancel") (param $count i32)
            (local $in i32)
            (loop $more
                (call $stdin (i32.const 0))
                (local.set $in (i32.load (i32.const 0)))
                (if (i32.ne (call $read-async (local.get $in) (i32.const 1024) (i32.const 1)) (i32.const -1))
                    (then unreachable))
                (if (i32.ne (call $cancel-read (local.get $in)) (i32.const 2)) (then unreachable))
                (call $drop-readable (local.get $in))
                (if (call $ending (i32.load (i32.const 4)) (i32.const 16)) (then unreachable))
                (if (i32.load8_u (i32.const 16)) (then unreachable))
                (call $drop-ending (i32.load (i32.const 4)))
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br_if $more (local.get $count)))))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $memory)) (export "stdin" (func $stdin)) (export "stdout" (func $stdout))
        (export "new" (func $new)) (export "read" (func $read)) (export "read-async" (func $read-async))
        (export "cancel-read" (func $cancel-read)) (export "write" (func $write))
        (export "drop-readable" (func $drop-readable)) (export "drop-writable" (func $drop-writable))
        (export "ending" (func $ending)) (export "drop-ending" (func $drop-ending))))))
    (func (export "cat") async (param "piece" u32) (result u32) (canon lift (core func $i "cat")))
    (func (export "open") async (param "count" u32) (canon lift (core func $i "open")))
    (func (export "cancel") async (param "count" u32) (canon lift (core func $i "cancel"))))"#;

fn cat(config: WasiConfig) -> (Box<Store>, Instance) {
    // Reads and writes that suspend the guest make short guests.
    let features = Features { component_model_more_async_builtins: true, ..Features::default() };
    let engine = Engine::new(&Config { features, ..Config::default() }).unwrap();
    instantiate(&engine, CAT, Some(config))
}

fn call(store: &mut Store, instance: &Instance, name: &str, arg: u32) -> Result<Val, ampoule::Error> {
    let func = instance.get_func(store, &[name])?.expect("exported");
    let mut results = [Val::default()];
    func.call(store, &[Val::from(arg)], &mut results[..usize::from(name == "cat")])?;
    let [result] = results;
    Ok(result)
}

#[test]
fn a_guest_copies_its_input_whatever_its_buffers() {
    let input: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
    for piece in [1_000, 65_536, 2_000_000] {
        let (config, output) = with_input(&input);
        let (mut store, instance) = cat(config);
        assert_eq!(call(&mut store, &instance, "cat", piece).unwrap(), Val::from(100_000u32));
        assert!(*output.lock().unwrap() == input);
    }
}

#[test]
fn a_guest_waits_for_pipes_without_a_thread_of_the_host() {
    let (mut config, output) = with_input(b"");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let mut to = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    config.stdin_file(&path).unwrap();
    let (mut store, instance) = cat(config);
    let writes = std::thread::spawn(move || {
        for piece in ["one,", "two,", "three"] {
            std::thread::sleep(Duration::from_millis(10));
            to.write_all(piece.as_bytes()).unwrap();
        }
    });
    assert_eq!(call(&mut store, &instance, "cat", 100).unwrap(), Val::from(13u32));
    writes.join().unwrap();
    assert_eq!(*output.lock().unwrap(), b"one,two,three");
}

#[test]
fn a_reader_that_is_slow_holds_the_guest_back() {
    let input = vec![7; 1 << 20];
    let (mut config, _) = with_input(&input);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let from = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    config.stdout_file(&path).unwrap();
    let (mut store, instance) = cat(config);
    let reads = std::thread::spawn(move || {
        let mut bytes = vec![0; 1 << 20];
        std::thread::sleep(Duration::from_millis(20));
        (&from).read_exact(&mut bytes).unwrap();
        bytes
    });
    assert_eq!(call(&mut store, &instance, "cat", 300_000).unwrap(), Val::from(1u32 << 20));
    assert!(reads.join().unwrap() == input);
}

/// How many descriptors this process has open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A configuration whose input is a pipe that nobody writes to, and that.
fn with_silence() -> (WasiConfig, tempfile::TempDir, std::fs::File) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let to = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut config = WasiConfig::new();
    config.stdin_file(&path).unwrap();
    config.max_fds(20);
    (config, dir, to)
}

#[test]
fn streams_that_wait_hold_no_more_descriptors_than_the_guest_may_have() {
    let (config, _dir, _to) = with_silence();
    let (mut store, instance) = cat(config);
    let before = descriptors();
    call(&mut store, &instance, "open", 1000).unwrap();
    // Tests of the same process may open some at the same time.
    assert!(descriptors() < before + 200, "{before} before, {} after", descriptors());
}

#[test]
fn cancelled_reads_and_dropped_streams_leave_nothing_behind() {
    let (config, _dir, _to) = with_silence();
    let (mut store, instance) = cat(config);
    // More streams than may be open at a time.
    call(&mut store, &instance, "cancel", 70_000).unwrap();
}

#[test]
fn too_many_streams_end_the_guest() {
    let (config, _dir, _to) = with_silence();
    let (mut store, instance) = cat(config);
    let error = call(&mut store, &instance, "open", 70_000).expect_err("there is a bound").to_string();
    assert!(error.contains("too many streams of the host's: at most 65536 are allowed"), "{error}");
}
