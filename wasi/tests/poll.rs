//! `poll_oneoff`: clocks, streams, files, and being interrupted.

mod support;

use ampoule_wasi::WasiConfig;
use ampoule_wasi::p1::{Errno, Error};
use std::io::Write;
use std::time::{Duration, Instant};
use support::{Guest, READ, ROOT, WRITE};

const INPUT: u32 = 20_000;
const OUTPUT: u32 = 50_000;
const MS: u64 = 1_000_000;
const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

#[derive(Clone, Copy)]
enum Wait {
    In(u32, u64),
    At(u32, u64),
    Read(u32),
    Write(u32),
}

/// Writes the subscriptions; their user data are their indices.
fn subscribe(guest: &mut Guest, waits: &[Wait]) {
    for (index, wait) in waits.iter().enumerate() {
        let mut record = [0xaa; 48];
        record[..8].copy_from_slice(&(index as u64).to_le_bytes());
        let (tag, id, timeout, flags) = match *wait {
            Wait::In(clock, time) => (0, clock, time, 0_u16),
            Wait::At(clock, time) => (0, clock, time, 1),
            Wait::Read(fd) => (1, fd, 0, 0),
            Wait::Write(fd) => (2, fd, 0, 0),
        };
        record[8] = tag;
        record[16..20].copy_from_slice(&id.to_le_bytes());
        record[24..32].copy_from_slice(&timeout.to_le_bytes());
        record[40..42].copy_from_slice(&flags.to_le_bytes());
        guest.put(INPUT + 48 * index as u32, &record);
    }
}

/// What happened: user data, event type, number of bytes, flags.
fn poll(guest: &mut Guest, waits: &[Wait]) -> Result<Vec<(u64, u8, u64, u16)>, Error> {
    subscribe(guest, waits);
    guest.raw("poll_oneoff", &[INPUT.into(), OUTPUT.into(), waits.len() as u64, 0])?;
    let count = guest.u32_at(0);
    Ok((0..count)
        .map(|index| {
            let record = OUTPUT + 32 * index;
            assert_eq!(guest.get(record + 8, 2), [0, 0], "no error");
            let kind = guest.get(record + 10, 1)[0];
            let flags = u16::from_le_bytes(guest.get(record + 24, 2).try_into().expect("two bytes"));
            (guest.u64_at(record), kind, guest.u64_at(record + 16), flags)
        })
        .collect())
}

fn now(guest: &mut Guest, clock: u32) -> u64 {
    guest.call("clock_time_get", &[clock.into(), 0, 8]).expect("a clock");
    guest.u64_at(8)
}

#[test]
fn clocks_wake_after_their_time_and_not_before() {
    let mut guest = Guest::new(WasiConfig::new());
    for clock in [REALTIME, MONOTONIC] {
        let start = Instant::now();
        assert_eq!(poll(&mut guest, &[Wait::In(clock, 20 * MS)]), Ok(vec![(0, 0, 0, 0)]));
        assert!(start.elapsed() >= Duration::from_millis(20));
        let start = Instant::now();
        let deadline = now(&mut guest, clock) + 20 * MS;
        assert_eq!(poll(&mut guest, &[Wait::At(clock, deadline)]), Ok(vec![(0, 0, 0, 0)]));
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert!(now(&mut guest, clock) >= deadline);
        let start = Instant::now();
        assert_eq!(poll(&mut guest, &[Wait::At(clock, 1), Wait::In(clock, u64::MAX)]), Ok(vec![(0, 0, 0, 0)]));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn the_first_clock_wins_and_equals_come_together() {
    let mut guest = Guest::new(WasiConfig::new());
    let deadline = now(&mut guest, MONOTONIC) + 10 * MS;
    let waits = [Wait::In(MONOTONIC, 60_000 * MS), Wait::At(MONOTONIC, deadline), Wait::At(MONOTONIC, deadline)];
    assert_eq!(poll(&mut guest, &waits), Ok(vec![(1, 0, 0, 0), (2, 0, 0, 0)]));
}

#[test]
fn files_and_outputs_are_always_ready() {
    let (mut guest, _dir) = Guest::with_dir();
    let fd = guest.create("f").expect("created");
    assert_eq!(guest.write(fd, "0123456789"), Ok(10));
    assert_eq!(guest.seek(fd, 4, 0), Ok(4));
    let waits = [Wait::Read(fd), Wait::Write(fd), Wait::Write(1), Wait::In(MONOTONIC, 60_000 * MS)];
    assert_eq!(poll(&mut guest, &waits), Ok(vec![(0, 1, 6, 0), (1, 2, 1, 0), (2, 2, 1, 0)]));
}

#[test]
fn input_from_bytes_tells_how_many_are_left() {
    let mut config = WasiConfig::new();
    config.stdin_bytes(b"0123456".to_vec());
    let mut guest = Guest::new(config);
    assert_eq!(guest.read(0, 3), Ok(b"012".to_vec()));
    assert_eq!(poll(&mut guest, &[Wait::Read(0)]), Ok(vec![(0, 1, 4, 0)]));
    assert_eq!(guest.read(0, 9), Ok(b"3456".to_vec()));
    assert_eq!(poll(&mut guest, &[Wait::Read(0)]), Ok(vec![(0, 1, 0, 0)]));
}

/// A guest whose standard input is a pipe, and the pipe's other end.
fn with_pipe(interrupt: bool) -> (Guest, std::fs::File, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
    // Both directions, so that neither end waits for the other to be opened.
    let writer = std::fs::File::options().read(true).write(true).open(&path).expect("opened");
    let mut config = WasiConfig::new();
    config.stdin_file(&path).expect("opened");
    if interrupt {
        let start = Instant::now();
        config.interrupt_check(Box::new(move || start.elapsed() > Duration::from_millis(50)));
    }
    (Guest::new(config), writer, dir)
}

#[test]
fn a_pipe_is_ready_when_it_holds_something() {
    let (mut guest, mut writer, _dir) = with_pipe(false);
    let waits = [Wait::Read(0), Wait::In(MONOTONIC, 10 * MS)];
    assert_eq!(poll(&mut guest, &waits), Ok(vec![(1, 0, 0, 0)]));
    writer.write_all(b"four").expect("written");
    let waits = [Wait::Read(0), Wait::In(MONOTONIC, 60_000 * MS)];
    assert_eq!(poll(&mut guest, &waits), Ok(vec![(0, 1, 4, 0)]));
    assert_eq!(guest.read(0, 9), Ok(b"four".to_vec()));
    drop(writer);
    assert_eq!(poll(&mut guest, &[Wait::Read(0)]), Ok(vec![(0, 1, 0, 1)]));
    assert_eq!(guest.read(0, 9), Ok(vec![]));
}

#[test]
fn a_pipe_of_the_guests_own_is_waited_for() {
    let (mut guest, dir) = Guest::with_dir();
    let path = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
    let reader = guest.open_with(ROOT, "pipe", 0, READ, 0).expect("opened");
    let writer = guest.open_with(ROOT, "pipe", 0, WRITE, 0).expect("opened");
    assert_eq!(poll(&mut guest, &[Wait::Read(reader), Wait::Write(writer)]), Ok(vec![(1, 2, 1, 0)]));
    assert_eq!(guest.write(writer, "xyz"), Ok(3));
    assert_eq!(poll(&mut guest, &[Wait::Read(reader)]), Ok(vec![(0, 1, 3, 0)]));
    // A wrong direction would never be ready.
    assert_eq!(poll(&mut guest, &[Wait::Write(reader)]), Err(Errno::Badf.into()));
    assert_eq!(poll(&mut guest, &[Wait::Read(writer)]), Err(Errno::Badf.into()));
    // Reading waits for a writer in another thread.
    assert_eq!(guest.read(reader, 9), Ok(b"xyz".to_vec()));
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        std::fs::write(path, "late").expect("written");
    });
    assert_eq!(guest.read(reader, 9), Ok(b"late".to_vec()));
    thread.join().expect("finished");
}

#[test]
fn sleeping_and_waiting_can_be_interrupted() {
    let (mut guest, writer, _dir) = with_pipe(true);
    assert_eq!(poll(&mut guest, &[Wait::In(MONOTONIC, u64::MAX)]), Err(Error::Interrupted));
    let (mut guest, writer_2, _dir) = with_pipe(true);
    assert_eq!(poll(&mut guest, &[Wait::Read(0)]), Err(Error::Interrupted));
    let (mut guest, writer_3, _dir) = with_pipe(true);
    let [iovecs, count] = guest.iovecs(&[(0, 10)]);
    assert_eq!(guest.raw("fd_read", &[0, iovecs, count, 0]), Err(Error::Interrupted));
    drop((writer, writer_2, writer_3));
}

#[test]
fn a_full_pipe_can_be_interrupted_too() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
    let reader = std::fs::File::options().read(true).write(true).open(&path).expect("opened");
    let mut config = WasiConfig::new();
    config.stdout_file(&path).expect("opened");
    let start = Instant::now();
    config.interrupt_check(Box::new(move || start.elapsed() > Duration::from_millis(50)));
    let mut guest = Guest::new(config);
    let [iovecs, count] = guest.iovecs(&[(0, 100_000)]);
    assert_eq!(guest.raw("fd_write", &[1, iovecs, count, 0]), Err(Error::Interrupted));
    drop(reader);
}

#[test]
fn what_cannot_be_waited_for_is_refused() {
    let (mut guest, _dir) = Guest::with_dir();
    for waits in [[Wait::Read(99)], [Wait::Read(ROOT)], [Wait::Read(1)], [Wait::Write(0)], [Wait::Write(u32::MAX)]] {
        assert_eq!(poll(&mut guest, &waits), Err(Errno::Badf.into()));
    }
    for clock in [2, 3, 4, u32::MAX] {
        assert_eq!(poll(&mut guest, &[Wait::In(clock, 0)]), Err(Errno::Inval.into()));
    }
    assert_eq!(poll(&mut guest, &[]), Err(Errno::Inval.into()));
    let fd = guest.create("f").expect("created");
    assert_eq!(guest.set_rights(fd, READ, 0), Ok(()));
    assert_eq!(poll(&mut guest, &[Wait::Read(fd)]), Err(Errno::Notcapable.into()));
}

#[test]
fn lists_are_bounded_and_may_overlap() {
    let mut guest = Guest::new(WasiConfig::new());
    let waits = [Wait::In(MONOTONIC, 0); 500];
    subscribe(&mut guest, &waits);
    let input = u64::from(INPUT);
    assert_eq!(guest.call("poll_oneoff", &[input, input, 500, 0]), Ok(()));
    assert_eq!(guest.u32_at(0), 500);
    assert!((0..500).all(|index| guest.u64_at(INPUT + 32 * index) == u64::from(index)));
    let end = guest.memory.len() as u64;
    assert_eq!(guest.call("poll_oneoff", &[0, 0, 4097, 0]), Err(Errno::Nomem));
    assert_eq!(guest.call("poll_oneoff", &[0, 0, u64::from(u32::MAX), 0]), Err(Errno::Nomem));
    assert_eq!(guest.call("poll_oneoff", &[0, 0, 4096, 0]), Err(Errno::Fault));
    assert_eq!(guest.call("poll_oneoff", &[end - 47, 0, 1, 0]), Err(Errno::Fault));
    assert_eq!(guest.call("poll_oneoff", &[0, end - 31, 1, 0]), Err(Errno::Fault));
    assert_eq!(guest.call("poll_oneoff", &[0, 100, 1, end - 3]), Err(Errno::Fault));
}
