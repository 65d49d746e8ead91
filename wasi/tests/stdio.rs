//! Standard streams, arguments and environment.

mod support;

use ampoule_wasi::WasiConfig;
use ampoule_wasi::p1::{Errno, Error};
use std::sync::{Arc, Mutex};
use support::Guest;

#[test]
fn by_default_input_is_empty_and_output_goes_nowhere() {
    let mut guest = Guest::new(WasiConfig::new());
    assert_eq!(guest.read(0, 10), Ok(vec![]));
    assert_eq!(guest.write(1, "lost"), Ok(4));
    assert_eq!(guest.write(2, "lost"), Ok(4));
    assert_eq!(guest.write(0, "x"), Err(Errno::Badf));
    assert_eq!(guest.read(1, 1), Err(Errno::Badf));
    assert_eq!(guest.seek(0, 0, 0), Err(Errno::Spipe));
    assert_eq!(guest.tell(1), Err(Errno::Spipe));
    assert_eq!(guest.pread(0, 1, 0), Err(Errno::Spipe));
    assert_eq!(guest.pwrite(1, "x", 0), Err(Errno::Spipe));
    assert_eq!(guest.pwrite(0, "x", 0), Err(Errno::Badf));
    assert_eq!(guest.filestat(0), Ok((0, 0)));
    // No terminal: a C library takes seek and tell for the sign of one.
    let (kind, flags, rights, _) = guest.fdstat(1).expect("open");
    assert_eq!((kind, flags, rights & (1 << 2 | 1 << 5)), (0, 0, 0));
}

#[test]
fn input_comes_from_bytes_until_they_end() {
    let mut config = WasiConfig::new();
    config.stdin_bytes(b"some input".to_vec());
    let mut guest = Guest::new(config);
    assert_eq!(guest.read(0, 4), Ok(b"some".to_vec()));
    assert_eq!(guest.read(0, 0), Ok(vec![]));
    assert_eq!(guest.read(0, 100), Ok(b" input".to_vec()));
    assert_eq!(guest.read(0, 100), Ok(vec![]));
}

#[test]
fn files_stand_in_for_all_three() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("in"), "from a file").expect("written");
    std::fs::write(path("out"), "old contents, longer than the new").expect("written");
    let mut config = WasiConfig::new();
    config.stdin_file(&path("in")).expect("opened");
    config.stdout_file(&path("out")).expect("created");
    config.stderr_file(&path("err")).expect("created");
    let mut guest = Guest::new(config);
    assert_eq!(guest.read(0, 5), Ok(b"from ".to_vec()));
    assert_eq!(guest.read(0, 100), Ok(b"a file".to_vec()));
    assert_eq!(guest.write(1, "out "), Ok(4));
    assert_eq!(guest.write(1, "again"), Ok(5));
    assert_eq!(guest.write(2, "err"), Ok(3));
    assert_eq!(std::fs::read(path("out")).expect("read"), b"out again");
    assert_eq!(std::fs::read(path("err")).expect("read"), b"err");
    assert_eq!(guest.seek(1, 0, 0), Err(Errno::Spipe));
}

/// A guest whose standard output is given to `callback`, and every piece that it got.
fn with_callback(
    mut callback: impl FnMut(usize) -> isize + Send + Sync + 'static,
) -> (Guest, Arc<Mutex<Vec<Vec<u8>>>>) {
    let pieces = Arc::new(Mutex::new(Vec::new()));
    let got = Arc::clone(&pieces);
    let mut config = WasiConfig::new();
    config.stdout_callback(Box::new(move |bytes| {
        got.lock().expect("not poisoned").push(bytes.to_vec());
        callback(bytes.len())
    }));
    (Guest::new(config), pieces)
}

#[test]
fn a_callback_gets_everything_in_pieces() {
    let (mut guest, pieces) = with_callback(|len| len as isize);
    let bytes: Vec<u8> = (0..10_000).map(|index| index as u8).collect();
    assert_eq!(guest.write(1, &bytes), Ok(10_000));
    let pieces = pieces.lock().expect("not poisoned");
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [4096, 4096, 1808]);
    assert_eq!(pieces.concat(), bytes);
}

#[test]
fn a_callback_that_takes_little_is_called_again() {
    let (mut guest, pieces) = with_callback(|len| len.min(3) as isize);
    assert_eq!(guest.write(1, "0123456789"), Ok(10));
    let firsts: Vec<u8> = pieces.lock().expect("not poisoned").iter().map(|piece| piece[0]).collect();
    assert_eq!(firsts, b"0369");
}

#[test]
fn a_callback_can_refuse_at_once_or_midway() {
    let (mut guest, _) = with_callback(|_| -32);
    assert_eq!(guest.write(1, "x"), Err(Errno::Pipe));
    let (mut guest, _) = with_callback(|_| 0);
    assert_eq!(guest.write(1, "x"), Err(Errno::Io));
    let (mut guest, _) = with_callback(|len| len as isize + 1);
    assert_eq!(guest.write(1, "x"), Err(Errno::Io));
    let mut calls = 0;
    let (mut guest, _) = with_callback(move |_| {
        calls += 1;
        if calls == 1 { 2 } else { -28 }
    });
    assert_eq!(guest.write(1, "0123"), Ok(2));
    assert_eq!(guest.write(1, "23"), Err(Errno::Nospc));
}

#[test]
fn a_callback_lives_as_long_as_the_context() {
    struct Dropped(Arc<Mutex<u32>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            *self.0.lock().expect("not poisoned") += 1;
        }
    }
    let drops = Arc::new(Mutex::new(0));
    let owned = Dropped(Arc::clone(&drops));
    let mut config = WasiConfig::new();
    config.stderr_callback(Box::new(move |bytes| {
        let _ = &owned;
        bytes.len() as isize
    }));
    let mut guest = Guest::new(config);
    assert_eq!(guest.close(2), Ok(()));
    assert_eq!(guest.write(2, "x"), Err(Errno::Badf));
    assert_eq!(*drops.lock().expect("not poisoned"), 0);
    drop(guest);
    assert_eq!(*drops.lock().expect("not poisoned"), 1);
}

#[test]
fn a_slow_callback_can_be_interrupted() {
    let mut config = WasiConfig::new();
    config.stdout_callback(Box::new(|_| 1));
    let mut left = 10;
    config.interrupt_check(Box::new(move || {
        left -= 1;
        left == 0
    }));
    let mut guest = Guest::new(config);
    let [iovecs, count] = guest.iovecs(&[(0, 100_000)]);
    assert_eq!(guest.raw("fd_write", &[1, iovecs, count, 0]), Err(Error::Interrupted));
}

#[test]
fn arguments_and_environment_are_handed_over() {
    let mut config = WasiConfig::new();
    config.set_args(["prog", "", "é"].map(str::to_owned)).expect("no NUL");
    config.set_env([("A".to_owned(), "1".to_owned()), ("B".to_owned(), String::new())]).expect("no NUL");
    let mut guest = Guest::new(config);
    for (sizes, get, count, bytes) in
        [("args_sizes_get", "args_get", 3, "prog\0\0é\0"), ("environ_sizes_get", "environ_get", 2, "A=1\0B=\0")]
    {
        assert_eq!(guest.call(sizes, &[0, 4]), Ok(()));
        assert_eq!((guest.u32_at(0), guest.u32_at(4)), (count, bytes.len() as u32));
        assert_eq!(guest.call(get, &[100, 200]), Ok(()));
        assert_eq!(guest.get(200, bytes.len()), bytes.as_bytes());
        assert_eq!(guest.u32_at(100), 200);
        let end = guest.memory.len() as u64;
        assert_eq!(guest.call(get, &[100, end - bytes.len() as u64 + 1]), Err(Errno::Fault));
        assert_eq!(guest.call(get, &[end - 4, 200]), Err(Errno::Fault));
        assert_eq!(guest.call(get, &[u64::from(u32::MAX), u64::from(u32::MAX)]), Err(Errno::Fault));
        assert_eq!(guest.call(sizes, &[end - 3, 0]), Err(Errno::Fault));
        assert_eq!(guest.call(sizes, &[0, end]), Err(Errno::Fault));
    }
}

#[test]
fn exits_carry_their_status() {
    let mut guest = Guest::new(WasiConfig::new());
    assert_eq!(guest.raw("proc_exit", &[0]), Err(Error::Exit(0)));
    assert_eq!(guest.raw("proc_exit", &[125]), Err(Error::Exit(125)));
    for status in [126, 255, 256, u64::from(u32::MAX)] {
        assert_eq!(guest.raw("proc_exit", &[status]), Err(Error::InvalidExitStatus));
    }
    assert_eq!(guest.call("proc_raise", &[6]), Err(Errno::Notsup));
    assert_eq!(guest.call("sched_yield", &[]), Ok(()));
}

#[test]
fn there_are_no_sockets() {
    let mut guest = Guest::new(WasiConfig::new());
    for (fd, errno) in [(0, Errno::Notsock), (9, Errno::Badf)] {
        assert_eq!(guest.call("sock_accept", &[fd, 0, 0]), Err(errno));
        assert_eq!(guest.call("sock_recv", &[fd, 0, 0, 0, 0, 0]), Err(errno));
        assert_eq!(guest.call("sock_send", &[fd, 0, 0, 0, 0]), Err(errno));
        assert_eq!(guest.call("sock_shutdown", &[fd, 3]), Err(errno));
    }
    assert_eq!(guest.call("sock_accept", &[0, 32, 0]), Err(Errno::Inval));
    assert_eq!(guest.call("sock_recv", &[0, 0, 0, 4, 0, 0]), Err(Errno::Inval));
    assert_eq!(guest.call("sock_shutdown", &[0, 4]), Err(Errno::Inval));
}

#[test]
fn randomness_fills_exactly_what_was_asked() {
    let mut guest = Guest::new(WasiConfig::new());
    assert_eq!(guest.call("random_get", &[5000, 3000]), Ok(()));
    assert!(guest.get(5000, 3000).chunks(100).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
    assert!(guest.get(0, 5000).iter().chain(guest.get(8000, 100)).all(|byte| *byte == 0));
    let end = guest.memory.len() as u64;
    assert_eq!(guest.call("random_get", &[end - 1, 1]), Ok(()));
    assert_eq!(guest.call("random_get", &[0, end + 1]), Err(Errno::Fault));
    assert_eq!(guest.call("random_get", &[end, 1]), Err(Errno::Fault));
    assert_eq!(guest.call("random_get", &[u64::from(u32::MAX), u64::from(u32::MAX)]), Err(Errno::Fault));
}

#[test]
fn clocks_tell_the_time() {
    let mut guest = Guest::new(WasiConfig::new());
    for clock in [0, 1] {
        assert_eq!(guest.call("clock_res_get", &[clock, 8]), Ok(()));
        assert!(guest.u64_at(8) >= 1);
        assert_eq!(guest.call("clock_time_get", &[clock, 0, 8]), Ok(()));
        let first = guest.u64_at(8);
        assert_eq!(guest.call("clock_time_get", &[clock, u64::MAX, 8]), Ok(()));
        assert!(guest.u64_at(8) >= first);
    }
    for (clock, errno) in [(2, Errno::Badf), (3, Errno::Badf), (4, Errno::Inval), (u64::from(u32::MAX), Errno::Inval)] {
        assert_eq!(guest.call("clock_res_get", &[clock, 8]), Err(errno));
        assert_eq!(guest.call("clock_time_get", &[clock, 0, 8]), Err(errno));
    }
    let end = guest.memory.len() as u64;
    assert_eq!(guest.call("clock_time_get", &[0, 0, end - 7]), Err(Errno::Fault));
}
