//! `wasi:io`: streams and waiting.

use crate::support::{Guest, each_way, list_of};
use ampoule::{Config, Engine, TrapCode};
use ampoule_component::{Val, ValRef};
use ampoule_wasi::WasiConfig;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A guest with this input, and what it writes to standard output.
fn with_input(input: &[u8]) -> (Guest, Arc<Mutex<Vec<u8>>>) {
    let output = Arc::new(Mutex::new(Vec::new()));
    let copy = Arc::clone(&output);
    let mut config = WasiConfig::new();
    config.stdin_bytes(input.to_vec());
    config.stdout_callback(Box::new(move |bytes| {
        copy.lock().unwrap().extend_from_slice(bytes);
        bytes.len() as isize
    }));
    (Guest::new(config), output)
}

fn len(len: u64) -> Val {
    Val::from(len)
}

#[test]
fn input_is_read_skipped_and_ends() {
    each_way(|| {
        for blocking in ["", "blocking-"] {
            let (mut guest, _) = with_input(b"0123456789");
            let stdin = guest.call("stdin#get-stdin", &[]);
            let mut call = |name: &str, count: u64| {
                guest.result(&format!("streams#input-stream.{blocking}{name}"), &[stdin.clone(), len(count)])
            };
            assert_eq!(call("read", 0), Ok(Some(list_of(b""))));
            assert_eq!(call("read", 3), Ok(Some(list_of(b"012"))));
            assert_eq!(call("skip", 4), Ok(Some(Val::from(4u64))));
            assert_eq!(call("read", u64::MAX), Ok(Some(list_of(b"789"))));
            for _ in 0..2 {
                assert_eq!(call("read", 1), Err(Some(Val::variant("closed", None))));
                assert_eq!(call("skip", 0), Err(Some(Val::variant("closed", None))));
            }
        }
    });
}

#[test]
fn output_is_written_as_permitted_and_no_more() {
    each_way(|| {
        let (mut guest, output) = with_input(b"");
        let stdout = guest.call("stdout#get-stdout", &[]);
        let ValRef::U64(permitted) = guest.ok("streams#output-stream.check-write", &[stdout.clone()]).get() else {
            panic!("a number")
        };
        assert!(permitted >= 100);
        guest.result("streams#output-stream.write", &[stdout.clone(), list_of(b"one,")]).unwrap();
        guest.result("streams#output-stream.write-zeroes", &[stdout.clone(), len(2)]).unwrap();
        guest.result("streams#output-stream.flush", &[stdout.clone()]).unwrap();
        guest.result("streams#output-stream.blocking-flush", &[stdout.clone()]).unwrap();
        guest.result("streams#output-stream.blocking-write-and-flush", &[stdout.clone(), list_of(b"two")]).unwrap();
        guest.result("streams#output-stream.blocking-write-zeroes-and-flush", &[stdout.clone(), len(1)]).unwrap();
        assert_eq!(*output.lock().unwrap(), b"one,\0\0two\0");
        guest.drop(stdout).unwrap();

        for (name, arg) in [
            ("write", list_of(&vec![0; 1 << 20])),
            ("write-zeroes", len(u64::MAX)),
            ("blocking-write-and-flush", list_of(&[0; 4097])),
            ("blocking-write-zeroes-and-flush", len(u64::MAX)),
        ] {
            let (mut guest, output) = with_input(b"");
            let stdout = guest.call("stdout#get-stdout", &[]);
            guest.ok("streams#output-stream.check-write", &[stdout.clone()]);
            assert!(guest.try_call(&format!("streams#output-stream.{name}"), &[stdout, arg]).is_err(), "{name}");
            assert!(output.lock().unwrap().is_empty());
        }
        let (mut guest, _) = with_input(b"");
        let stdout = guest.call("stdout#get-stdout", &[]);
        let unasked = guest.try_call("streams#output-stream.write", &[stdout, list_of(b"x")]);
        assert!(unasked.expect_err("not permitted").to_string().contains("exceeds"));
    });
}

#[test]
fn a_failing_output_is_told_once_and_closed_then() {
    let mut config = WasiConfig::new();
    config.stdout_callback(Box::new(|_| -5));
    let mut guest = Guest::new(config);
    let stdout = guest.call("stdout#get-stdout", &[]);
    let write = "streams#output-stream.blocking-write-and-flush";
    let failed = guest.result(write, &[stdout.clone(), list_of(b"x")]).expect_err("failed").unwrap();
    let ValRef::Variant(b"last-operation-failed", Some(error)) = failed.get() else { panic!("{failed:?}") };
    let text = guest.call("error#error.to-debug-string", &[error.clone()]);
    assert!(matches!(text.get(), ValRef::String(text) if !text.is_empty()));
    assert_eq!(guest.err(write, &[stdout.clone(), list_of(b"x")]), "closed");
    assert_eq!(guest.err("streams#output-stream.check-write", &[stdout]), "closed");
}

#[test]
fn a_splice_moves_what_there_is() {
    each_way(|| {
        let (mut guest, output) = with_input(b"0123456789");
        let (stdin, stdout) = (guest.call("stdin#get-stdin", &[]), guest.call("stdout#get-stdout", &[]));
        let mut splice = |name: &str, count| {
            guest.result(&format!("streams#output-stream.{name}"), &[stdout.clone(), stdin.clone(), len(count)])
        };
        assert_eq!(splice("splice", 4), Ok(Some(len(4))));
        assert_eq!(splice("blocking-splice", 0), Ok(Some(len(0))));
        assert_eq!(splice("blocking-splice", u64::MAX), Ok(Some(len(6))));
        assert_eq!(splice("blocking-splice", 1), Err(Some(Val::variant("closed", None))));
        assert_eq!(*output.lock().unwrap(), b"0123456789");
    });
}

#[test]
fn what_the_other_side_does_not_take_is_kept_within_bounds() {
    each_way(|| {
        let (_silent, mut from, config) = pipes();
        let mut guest = Guest::new(config);
        let streams = [guest.call("stdout#get-stdout", &[]), guest.call("stdout#get-stdout", &[])];
        let written: usize = streams.iter().map(|stdout| fill(&mut guest, stdout)).sum();
        // As Linux makes them.
        let pipe = 64 << 10;
        assert!(written <= pipe + 4096, "{written} bytes for a pipe of {pipe}");
        let pollable = guest.call("streams#output-stream.subscribe", &[streams[0].clone()]);
        assert_eq!(guest.call("poll#pollable.ready", &[pollable.clone()]), Val::from(false));
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut from, &mut bytes).unwrap();
            bytes.len()
        });
        guest.call("poll#pollable.block", &[pollable]);
        guest.result("streams#output-stream.blocking-flush", &[streams[1].clone()]).unwrap();
        drop(guest);
        assert_eq!(reader.join().unwrap(), written);
    });
}

#[test]
fn nobody_to_read_closes_a_stream() {
    each_way(|| {
        let (from, to) = std::io::pipe().unwrap();
        let mut config = WasiConfig::new();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&to));
        config.stdout_file(std::path::Path::new(&path)).unwrap();
        drop((from, to));
        let mut guest = Guest::new(config);
        let stdout = guest.call("stdout#get-stdout", &[]);
        assert_eq!(guest.err("streams#output-stream.blocking-write-and-flush", &[stdout, list_of(b"x")]), "closed");
    });
}

#[test]
fn all_that_are_ready_are_told_at_once() {
    each_way(|| {
        let (mut guest, _) = with_input(b"x");
        let stdin = guest.call("stdin#get-stdin", &[]);
        let input = guest.call("streams#input-stream.subscribe", &[stdin]);
        let past = guest.call("monotonic-clock#subscribe-instant", &[len(0)]);
        let never = guest.call("monotonic-clock#subscribe-instant", &[len(u64::MAX)]);
        assert_eq!(guest.call("poll#pollable.ready", &[never.clone()]), Val::from(false));
        assert_eq!(guest.call("poll#pollable.ready", &[past.clone()]), Val::from(true));
        guest.call("poll#pollable.block", &[past.clone()]);
        let list = Val::list(vec![never.clone(), input, never, past.clone(), past]);
        let ready = guest.call("poll#poll", &[list]);
        assert_eq!(ready, Val::list(vec![Val::from(1u32), Val::from(3u32), Val::from(4u32)]));
        assert!(guest.try_call("poll#poll", &[Val::list(vec![])]).is_err(), "an empty list ends the guest");
    });
}

#[test]
fn more_pollables_than_descriptors_are_waited_for() {
    each_way(|| {
        let (mut silent, _full, config) = pipes();
        let mut guest = Guest::new(config);
        let stdin = guest.call("stdin#get-stdin", &[]);
        let count = 60_000u32;
        let pollables: Vec<Val> =
            (0..count).map(|_| guest.call("streams#input-stream.subscribe", &[stdin.clone()])).collect();
        silent.write_all(b"x").unwrap();
        let ready = guest.call("poll#poll", &[Val::list(pollables)]);
        assert_eq!(ready, Val::list((0..count).map(Val::from).collect::<Vec<_>>()));
    });
}

#[test]
fn a_duration_is_waited_for() {
    each_way(|| {
        let (mut guest, _) = with_input(b"");
        let start = Instant::now();
        let pollable = guest.call("monotonic-clock#subscribe-duration", &[len(20_000_000)]);
        let forever = guest.call("monotonic-clock#subscribe-duration", &[len(u64::MAX)]);
        assert_eq!(guest.call("poll#poll", &[Val::list(vec![forever, pollable])]), Val::list(vec![Val::from(1u32)]));
        assert!(start.elapsed() >= Duration::from_millis(20));
    });
}

#[test]
fn whatever_waits_ends_at_the_deadline_and_by_cancellation() {
    each_way(|| {
        for cancels in [false, true] {
            for waits in ["block", "poll", "read", "skip", "splice", "write", "flush", "exit"] {
                let mut config = Config::default();
                config.epoch_interruption(!cancels).cancellation(cancels);
                let engine = Engine::new(&config).unwrap();
                let (silent, _full, config) = pipes();
                let mut guest = Guest::in_engine(&engine, Some(config));
                let stdin = guest.call("stdin#get-stdin", &[]);
                let stdout = guest.call("stdout#get-stdout", &[]);
                let forever = guest.call("monotonic-clock#subscribe-instant", &[len(u64::MAX)]);
                if matches!(waits, "write" | "flush" | "exit") {
                    fill(&mut guest, &stdout);
                }
                let input = guest.call("streams#input-stream.subscribe", &[stdin.clone()]);
                let token = cancels.then(|| guest.store.cancel_token().unwrap());
                let stopper = std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(20));
                    match token {
                        Some(token) => assert!(token.cancel(token.generation())),
                        None => engine.increment_epoch(),
                    }
                });
                let stopped = match waits {
                    "block" => guest.try_call("poll#pollable.block", &[forever]),
                    "poll" => guest.try_call("poll#poll", &[Val::list(vec![forever, input])]),
                    "read" => guest.try_call("streams#input-stream.blocking-read", &[stdin, len(1)]),
                    "skip" => guest.try_call("streams#input-stream.blocking-skip", &[stdin, len(1)]),
                    "splice" => guest.try_call("streams#output-stream.blocking-splice", &[stdout, stdin, len(1)]),
                    "write" => {
                        guest.try_call("streams#output-stream.blocking-write-and-flush", &[stdout, list_of(b"x")])
                    }
                    "flush" => guest.try_call("streams#output-stream.blocking-flush", &[stdout]),
                    _ => guest.try_call("exit#exit", &[Val::result(Ok(None))]),
                };
                let error = stopped.expect_err("stopped");
                assert_eq!(error.trap_code(), Some(TrapCode::Interrupt), "{waits}: {error}");
                stopper.join().unwrap();
                drop(silent);
            }
        }
    });
}

/// An input where nothing comes and an output that nobody reads: their other ends, and a configuration that has them.
pub fn pipes() -> (PipeWriter, PipeReader, WasiConfig) {
    let ((stdin, silent), (full, stdout)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let mut config = WasiConfig::new();
    config.stdin_file(Path::new(&format!("/proc/self/fd/{}", stdin.as_raw_fd()))).unwrap();
    config.stdout_file(Path::new(&format!("/proc/self/fd/{}", stdout.as_raw_fd()))).unwrap();
    (silent, full, config)
}

/// Writes until nothing more is taken; how much that is.
pub fn fill(guest: &mut Guest, stdout: &Val) -> usize {
    let mut written = 0;
    loop {
        let permitted = guest.ok("streams#output-stream.check-write", &[stdout.clone()]);
        let ValRef::U64(permitted) = permitted.get() else { panic!("{permitted:?}") };
        if permitted == 0 {
            return written;
        }
        guest.result("streams#output-stream.write-zeroes", &[stdout.clone(), len(permitted)]).unwrap();
        written += permitted as usize;
    }
}

#[test]
fn what_arrives_piece_by_piece_is_read_so() {
    each_way(|| {
        let (mut silent, _full, config) = pipes();
        let mut guest = Guest::new(config);
        let stdin = guest.call("stdin#get-stdin", &[]);
        let pollable = guest.call("streams#input-stream.subscribe", &[stdin.clone()]);
        let read = "streams#input-stream.read";
        assert_eq!(guest.call("poll#pollable.ready", &[pollable.clone()]), Val::from(false));
        assert_eq!(guest.ok(read, &[stdin.clone(), len(10)]), list_of(b""));
        assert_eq!(guest.ok("streams#input-stream.skip", &[stdin.clone(), len(10)]), len(0));
        silent.write_all(b"abc").unwrap();
        guest.call("poll#pollable.block", &[pollable.clone()]);
        assert_eq!(guest.ok(read, &[stdin.clone(), len(2)]), list_of(b"ab"));
        assert_eq!(guest.ok("streams#input-stream.blocking-read", &[stdin.clone(), len(10)]), list_of(b"c"));
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(10));
            silent.write_all(b"d").unwrap();
        });
        assert_eq!(guest.ok("streams#input-stream.blocking-read", &[stdin.clone(), len(10)]), list_of(b"d"));
        writer.join().unwrap();
        guest.call("poll#pollable.block", &[pollable]);
        assert_eq!(guest.err(read, &[stdin, len(1)]), "closed");
    });
}

#[test]
fn what_a_stream_has_taken_is_written_before_it_goes() {
    each_way(|| {
        for exits in [false, true] {
            let (_silent, mut full, config) = pipes();
            let mut guest = Guest::new(config);
            let stdout = guest.call("stdout#get-stdout", &[]);
            let written = fill(&mut guest, &stdout);
            let reader = std::thread::spawn(move || {
                let mut bytes = vec![0; written];
                full.read_exact(&mut bytes).unwrap();
            });
            if exits {
                assert_eq!(guest.try_call("exit#exit", &[Val::result(Ok(None))]).unwrap_err().exit_status(), Some(0));
            } else {
                guest.drop(stdout).unwrap();
            }
            reader.join().unwrap();
        }
    });
}

#[test]
fn what_is_watched_is_not_dropped() {
    let (mut guest, _) = with_input(b"");
    let stdin = guest.call("stdin#get-stdin", &[]);
    let pollable = guest.call("streams#input-stream.subscribe", &[stdin.clone()]);
    let error = guest.drop(stdin).expect_err("watched");
    assert!(error.to_string().contains("resource has children"), "{error}");
    guest.drop(pollable).unwrap();
}

#[test]
fn dropped_resources_leave_their_places_to_others() {
    let (mut guest, _) = with_input(b"");
    for _ in 0..100_000 {
        let pollable = guest.call("monotonic-clock#subscribe-instant", &[len(0)]);
        guest.drop(pollable).unwrap();
    }
}

#[test]
fn a_guest_has_only_so_many_resources() {
    let (mut guest, _) = with_input(b"");
    let full = (0..100_000).find_map(|count| {
        let made = guest.try_call("monotonic-clock#subscribe-instant", &[len(0)]);
        made.err().map(|error| (count, error))
    });
    let (count, error) = full.expect("the table is full");
    assert_eq!(count, 1 << 16);
    assert!(error.to_string().contains("resource table has no free keys"), "{error}");
}

#[test]
fn a_handle_of_another_kind_is_refused() {
    let (mut guest, _) = with_input(b"");
    let stdout = guest.call("stdout#get-stdout", &[]);
    assert!(guest.try_call("streams#input-stream.read", &[stdout, len(1)]).is_err());
}
