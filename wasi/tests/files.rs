//! Descriptors: reading, writing, seeking, attributes, rights, numbers and their budget.

mod support;

use ampoule_wasi::p1::Errno;
use support::{APPEND, CREAT, DIRECTORY, EXCL, Guest, READ, ROOT, TRUNC, WRITE};

const SEEK: u64 = 1 << 2;
const TELL: u64 = 1 << 5;

#[test]
fn what_is_written_is_read_back() {
    let (mut guest, dir) = Guest::with_dir();
    let fd = guest.create("f").expect("created");
    assert_eq!(guest.write(fd, "hello world"), Ok(11));
    assert_eq!(guest.tell(fd), Ok(11));
    assert_eq!(guest.seek(fd, 6, 0), Ok(6));
    assert_eq!(guest.read(fd, 100), Ok(b"world".to_vec()));
    assert_eq!(guest.read(fd, 100), Ok(vec![]));
    assert_eq!(std::fs::read(dir.path().join("f")).expect("read"), b"hello world");
    assert_eq!(guest.filestat(fd), Ok((4, 11)));
}

#[test]
fn seeking_follows_its_whence_and_never_goes_below_zero() {
    let (mut guest, _dir) = Guest::with_dir();
    let fd = guest.create("f").expect("created");
    assert_eq!(guest.write(fd, "0123456789"), Ok(10));
    assert_eq!(guest.seek(fd, -3, 2), Ok(7));
    assert_eq!(guest.seek(fd, -2, 1), Ok(5));
    assert_eq!(guest.seek(fd, 0, 1), Ok(5));
    assert_eq!(guest.seek(fd, -6, 1), Err(Errno::Inval));
    assert_eq!(guest.seek(fd, -1, 0), Err(Errno::Inval));
    assert_eq!(guest.seek(fd, 0, 3), Err(Errno::Inval));
    assert_eq!(guest.seek(fd, 0, 256), Err(Errno::Inval));
    assert_eq!(guest.tell(fd), Ok(5));
    assert_eq!(guest.seek(fd, 100, 0), Ok(100));
    assert_eq!(guest.read(fd, 5), Ok(vec![]));
}

#[test]
fn positioned_transfers_leave_the_offset_alone() {
    let (mut guest, _dir) = Guest::with_dir();
    let fd = guest.create("f").expect("created");
    assert_eq!(guest.write(fd, "abcdef"), Ok(6));
    assert_eq!(guest.pwrite(fd, "XY", 2), Ok(2));
    assert_eq!(guest.pread(fd, 10, 1), Ok(b"bXYef".to_vec()));
    assert_eq!(guest.pread(fd, 10, 6), Ok(vec![]));
    assert_eq!(guest.tell(fd), Ok(6));
    assert_eq!(guest.pread(fd, 10, u64::MAX), Err(Errno::Inval));
    assert_eq!(guest.pwrite(fd, "x", u64::MAX), Err(Errno::Inval));
    assert_eq!(guest.pwrite(fd, "z", 8), Ok(1));
    assert_eq!(guest.pread(fd, 10, 5), Ok(b"f\0\0z".to_vec()));
}

#[test]
fn appending_writes_at_the_end_wherever_the_offset_is() {
    let (mut guest, dir) = Guest::with_dir();
    let fd = guest.open_with(ROOT, "f", CREAT, READ | WRITE, APPEND).expect("created");
    assert_eq!(guest.write(fd, "ab"), Ok(2));
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    assert_eq!(guest.write(fd, "cd"), Ok(2));
    assert_eq!(guest.tell(fd), Ok(4));
    assert_eq!(guest.pwrite(fd, "A", 0), Ok(1));
    assert_eq!(guest.fdstat(fd).map(|stat| stat.1), Ok(1));
    // The flag can be taken away and given back.
    assert_eq!(guest.call("fd_fdstat_set_flags", &[fd.into(), 0]), Ok(()));
    assert_eq!(guest.seek(fd, 1, 0), Ok(1));
    assert_eq!(guest.write(fd, "B"), Ok(1));
    assert_eq!(guest.call("fd_fdstat_set_flags", &[fd.into(), 1]), Ok(()));
    assert_eq!(guest.write(fd, "e"), Ok(1));
    assert_eq!(std::fs::read(dir.path().join("f")).expect("read"), b"ABcde");
}

#[test]
fn appending_nothing_leaves_the_offset_alone() {
    let (mut guest, _dir) = Guest::with_dir();
    let fd = guest.open_with(ROOT, "f", CREAT, READ | WRITE, APPEND).expect("created");
    assert_eq!(guest.write(fd, "abcd"), Ok(4));
    assert_eq!(guest.seek(fd, 2, 0), Ok(2));
    assert_eq!(guest.write(fd, ""), Ok(0));
    assert_eq!(guest.tell(fd), Ok(2));
    assert_eq!(guest.read(fd, 10), Ok(b"cd".to_vec()));
}

#[test]
fn buffers_are_filled_in_order_and_empty_ones_skipped() {
    let (mut guest, _dir) = Guest::with_dir();
    let fd = guest.create("f").expect("created");
    assert_eq!(guest.write(fd, "0123456789"), Ok(10));
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    let [iovecs, count] = guest.iovecs(&[(20000, 3), (u32::MAX, 0), (30000, 4), (40000, 100)]);
    assert_eq!(guest.call("fd_read", &[fd.into(), iovecs, count, 0]), Ok(()));
    assert_eq!(guest.u32_at(0), 10);
    assert_eq!(
        (guest.get(20000, 3), guest.get(30000, 4), guest.get(40000, 4)),
        (&b"012"[..], &b"3456"[..], &b"789\0"[..])
    );
    let [iovecs, count] = guest.iovecs(&[(30000, 2), (20000, 1)]);
    assert_eq!(guest.call("fd_pwrite", &[fd.into(), iovecs, count, 0, 0]), Ok(()));
    assert_eq!(guest.pread(fd, 4, 0), Ok(b"3403".to_vec()));
}

/// Five buffers of 1 GiB each, all of them the same: more bytes than a result has numbers for.
#[test]
fn lists_of_more_than_two_gibibytes_are_cut() {
    const GIB: u32 = 1 << 30;
    const MOST: u32 = 0x7fff_f000;
    let (_, dir) = Guest::with_dir();
    let mut config = ampoule_wasi::WasiConfig::new();
    let all = |bits| ampoule_wasi::DirPerms::from_bits(bits).expect("known bits");
    config
        .preopen_dir(dir.path(), "/", all(3), ampoule_wasi::FilePerms::from_bits(3).expect("known bits"))
        .expect("opened");
    config.stdin_bytes(b"some input".to_vec());
    config.stderr_file(std::path::Path::new("/dev/null")).expect("opened");
    let mut guest = Guest::new(config);
    // Zeroed by the system, and touched where it is used.
    guest.memory = vec![0; GIB as usize + (1 << 17)];
    let before = resident_kib();
    let fd = guest.create("f").expect("created");
    assert_eq!(guest.write(fd, "0123456789"), Ok(10));
    let [iovecs, count] = guest.iovecs(&[(1 << 17, GIB); 5]);
    for (name, fd, transferred) in [
        // Output that goes nowhere is taken as a whole, and what the kernel throws away in one or more portions.
        ("fd_write", 1, MOST..=MOST),
        ("fd_write", 2, 1..=MOST),
        ("fd_read", 0, 10..=10),
        ("fd_read", fd, 0..=0),
    ] {
        assert_eq!(guest.call(name, &[fd.into(), iovecs, count, 0]), Ok(()), "{name} {fd}");
        assert!(transferred.contains(&guest.u32_at(0)), "{name} {fd}: {}", guest.u32_at(0));
    }
    assert_eq!(guest.call("fd_pread", &[fd.into(), iovecs, count, 2, 0]), Ok(()));
    assert_eq!((guest.u32_at(0), guest.get(1 << 17, 9)), (8, &b"23456789u"[..]));
    // One buffer that isn't inside spoils the list, wherever the cut is.
    let [iovecs, count] = guest.iovecs(&[(1 << 17, GIB), (1 << 17, GIB), (1 << 17, GIB), ((1 << 17) + 1, GIB)]);
    for name in ["fd_read", "fd_write"] {
        assert_eq!(guest.call(name, &[fd.into(), iovecs, count, 0]), Err(Errno::Fault));
    }
    assert!(resident_kib() < before + (64 << 10), "{} KiB, {before} before", resident_kib());
}

/// How much memory this process has, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("read");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line about it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn nothing_moves_when_a_pointer_is_bad() {
    let (mut guest, _dir) = Guest::with_dir();
    let fd = guest.create("f").expect("created");
    assert_eq!(guest.write(fd, "0123456789"), Ok(10));
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    let end = guest.memory.len() as u32;
    // The second buffer, the list itself, and the place for the result.
    let [iovecs, count] = guest.iovecs(&[(20000, 3), (end - 3, 4)]);
    assert_eq!(guest.call("fd_read", &[fd.into(), iovecs, count, 0]), Err(Errno::Fault));
    assert_eq!(guest.call("fd_read", &[fd.into(), u64::from(end) - 7, 1, 0]), Err(Errno::Fault));
    let [iovecs, count] = guest.iovecs(&[(20000, 3)]);
    assert_eq!(guest.call("fd_read", &[fd.into(), iovecs, count, u64::from(end) - 3]), Err(Errno::Fault));
    assert_eq!(guest.call("fd_write", &[fd.into(), iovecs, count, u64::from(end) - 3]), Err(Errno::Fault));
    assert_eq!(guest.tell(fd), Ok(0));
    assert_eq!(guest.call("fd_seek", &[fd.into(), 5, 0, u64::from(end) - 7]), Err(Errno::Fault));
    assert_eq!(guest.tell(fd), Ok(0));
}

#[test]
fn a_file_does_only_what_it_was_opened_for() {
    let (mut guest, dir) = Guest::with_dir();
    std::fs::write(dir.path().join("f"), "text").expect("written");
    let reader = guest.open_with(ROOT, "f", 0, READ, 0).expect("opened");
    let writer = guest.open_with(ROOT, "f", 0, WRITE, 0).expect("opened");
    assert_eq!(guest.write(reader, "x"), Err(Errno::Badf));
    assert_eq!(guest.pwrite(reader, "x", 0), Err(Errno::Badf));
    assert_eq!(guest.call("fd_filestat_set_size", &[reader.into(), 0]), Err(Errno::Inval));
    assert_eq!(guest.call("fd_allocate", &[reader.into(), 0, 9]), Err(Errno::Badf));
    assert_eq!(guest.read(writer, 1), Err(Errno::Badf));
    assert_eq!(guest.pread(writer, 1, 0), Err(Errno::Badf));
    // Creating takes write access of the host's, which the guest doesn't get with it.
    let created = guest.open_with(ROOT, "g", CREAT, READ, 0).expect("created");
    assert_eq!(guest.write(created, "x"), Err(Errno::Badf));
    assert_eq!(std::fs::read(dir.path().join("f")).expect("read"), b"text");
}

#[test]
fn directories_are_not_files() {
    let (mut guest, _dir) = Guest::with_dir();
    for name in ["fd_datasync", "fd_sync"] {
        assert_eq!(guest.call(name, &[ROOT.into()]), Err(Errno::Badf));
    }
    assert_eq!(guest.read(ROOT, 1), Err(Errno::Badf));
    assert_eq!(guest.write(ROOT, "x"), Err(Errno::Badf));
    assert_eq!(guest.seek(ROOT, 0, 0), Err(Errno::Badf));
    assert_eq!(guest.call("fd_filestat_set_size", &[ROOT.into(), 0]), Err(Errno::Badf));
    let file = guest.create("f").expect("created");
    assert_eq!(guest.readdir(file, 100, 0), Err(Errno::Badf));
    assert_eq!(guest.open_with(file, "x", 0, READ, 0), Err(Errno::Notdir));
    assert_eq!(guest.at("path_create_directory", file, "x"), Err(Errno::Badf));
}

#[test]
fn sizes_change_by_truncating_and_allocating() {
    let (mut guest, _dir) = Guest::with_dir();
    let fd = guest.create("f").expect("created");
    assert_eq!(guest.call("fd_filestat_set_size", &[fd.into(), 100]), Ok(()));
    assert_eq!(guest.filestat(fd), Ok((4, 100)));
    assert_eq!(guest.call("fd_filestat_set_size", &[fd.into(), u64::MAX]), Err(Errno::Inval));
    assert_eq!(guest.call("fd_allocate", &[fd.into(), 50, 100]), Ok(()));
    assert_eq!(guest.filestat(fd), Ok((4, 150)));
    assert_eq!(guest.call("fd_allocate", &[fd.into(), 0, 0]), Err(Errno::Inval));
    assert!(guest.call("fd_allocate", &[fd.into(), u64::MAX, u64::MAX]).is_err());
    assert_eq!(guest.filestat(fd), Ok((4, 150)));
    let emptied = guest.open_with(ROOT, "f", TRUNC, WRITE, 0).expect("opened");
    assert_eq!(guest.filestat(emptied), Ok((4, 0)));
}

#[test]
fn times_are_set_to_values_or_left() {
    let (mut guest, _dir) = Guest::with_dir();
    let fd = guest.create("f").expect("created");
    let times = |guest: &mut Guest| {
        guest.filestat(fd).expect("an open file");
        (guest.u64_at(support::BUFFER + 40), guest.u64_at(support::BUFFER + 48))
    };
    let set =
        |guest: &mut Guest, atim, mtim, flags| guest.call("fd_filestat_set_times", &[fd.into(), atim, mtim, flags]);
    assert_eq!(set(&mut guest, 1_000, 2_000, 1 | 4), Ok(()));
    assert_eq!(times(&mut guest), (1_000, 2_000));
    assert_eq!(set(&mut guest, 5_000, 5_000, 1), Ok(()));
    assert_eq!(times(&mut guest), (5_000, 2_000));
    assert_eq!(set(&mut guest, 9, 9, 0), Ok(()));
    assert_eq!(times(&mut guest), (5_000, 2_000));
    assert_eq!(set(&mut guest, 0, 0, 8), Ok(()));
    assert!(times(&mut guest).1 > 1_600_000_000_000_000_000);
    for flags in [1 | 2, 4 | 8, 16, 1 << 20] {
        assert_eq!(set(&mut guest, 0, 0, flags), Err(Errno::Inval));
    }
}

#[test]
fn hints_are_taken() {
    let (mut guest, _dir) = Guest::with_dir();
    let fd = guest.create("f").expect("created");
    for advice in 0..6 {
        assert_eq!(guest.call("fd_advise", &[fd.into(), 0, 10, advice]), Ok(()));
    }
    assert_eq!(guest.call("fd_advise", &[fd.into(), 0, 10, 6]), Err(Errno::Inval));
    assert_eq!(guest.call("fd_datasync", &[fd.into()]), Ok(()));
    assert_eq!(guest.call("fd_sync", &[fd.into()]), Ok(()));
}

#[test]
fn flags_of_the_file_are_changed_within_limits() {
    let (mut guest, _dir) = Guest::with_dir();
    let fd = guest.create("f").expect("created");
    let set = |guest: &mut Guest, fd: u32, flags: u64| guest.call("fd_fdstat_set_flags", &[fd.into(), flags]);
    assert_eq!(set(&mut guest, fd, 1 | 4), Ok(()));
    assert_eq!(guest.fdstat(fd).map(|stat| stat.1), Ok(5));
    for flags in [2, 8, 16, 32, 1 << 16] {
        assert_eq!(set(&mut guest, fd, flags), Err(Errno::Inval));
    }
    assert_eq!(guest.fdstat(fd).map(|stat| stat.1), Ok(5));
    assert_eq!(set(&mut guest, 1, 4), Err(Errno::Badf));
    let synchronized = guest.open_with(ROOT, "f", 0, WRITE, 2 | 16).expect("opened");
    assert_eq!(guest.fdstat(synchronized).map(|stat| stat.1), Ok(18));
    assert_eq!(set(&mut guest, synchronized, 1 | 2 | 16), Ok(()));
    assert_eq!(guest.fdstat(synchronized).map(|stat| stat.1), Ok(19));
    assert_eq!(guest.write(synchronized, "x"), Ok(1));
}

#[test]
fn rights_only_shrink_and_are_enforced() {
    let (mut guest, _dir) = Guest::with_dir();
    let fd = guest.create("f").expect("created");
    assert_eq!(guest.write(fd, "text"), Ok(4));
    assert_eq!(guest.set_rights(fd, READ | TELL, 0), Ok(()));
    assert_eq!(guest.fdstat(fd).map(|stat| stat.2), Ok(READ | TELL));
    assert_eq!(guest.set_rights(fd, READ | TELL | SEEK, 0), Err(Errno::Notcapable));
    assert_eq!(guest.set_rights(fd, u64::MAX, 0), Err(Errno::Notcapable));
    assert_eq!(guest.set_rights(fd, READ, READ), Err(Errno::Notcapable));
    assert_eq!(guest.write(fd, "x"), Err(Errno::Notcapable));
    assert_eq!(guest.read(fd, 1), Ok(vec![]));
    assert_eq!(guest.tell(fd), Ok(4));
    assert_eq!(guest.seek(fd, 0, 1), Ok(4));
    assert_eq!(guest.seek(fd, 1, 1), Err(Errno::Notcapable));
    assert_eq!(guest.pread(fd, 1, 0), Err(Errno::Notcapable));
    assert_eq!(guest.filestat(fd), Err(Errno::Notcapable));
    for (name, args) in [
        ("fd_advise", vec![fd.into(), 0, 0, 0]),
        ("fd_allocate", vec![fd.into(), 0, 1]),
        ("fd_datasync", vec![fd.into()]),
        ("fd_sync", vec![fd.into()]),
        ("fd_fdstat_set_flags", vec![fd.into(), 0]),
        ("fd_filestat_set_size", vec![fd.into(), 0]),
        ("fd_filestat_set_times", vec![fd.into(), 0, 0, 0]),
    ] {
        assert_eq!(guest.call(name, &args), Err(Errno::Notcapable), "{name}");
    }
}

#[test]
fn a_descriptor_never_gets_rights_that_its_directory_cannot_pass_on() {
    let (mut guest, dir) = Guest::with_dir();
    std::fs::create_dir(dir.path().join("d")).expect("created");
    std::fs::write(dir.path().join("d/f"), "text").expect("written");
    let sub = guest.open_with(ROOT, "d", DIRECTORY, 0, 0).expect("opened");
    let (_, _, rights, inheriting) = guest.fdstat(sub).expect("open");
    assert_eq!(guest.set_rights(sub, rights, inheriting & !WRITE & !SEEK), Ok(()));
    assert_eq!(guest.open_with(sub, "f", 0, READ | WRITE, 0), Err(Errno::Notcapable));
    let fd = guest.open_with(sub, "f", 0, READ, 0).expect("opened");
    assert_eq!(guest.seek(fd, 0, 0), Err(Errno::Notcapable));
    assert_eq!(guest.read(fd, 9), Ok(b"text".to_vec()));
    let again = guest.open_with(sub, ".", DIRECTORY, 0, 0).expect("opened");
    assert_eq!(guest.open_with(again, "f", 0, WRITE, 0), Err(Errno::Notcapable));
    // Without the right to synchronize, no synchronized mode.
    assert_eq!(guest.set_rights(sub, rights, READ), Ok(()));
    for flags in [2, 8, 16] {
        assert_eq!(guest.open_with(sub, "f", 0, READ, flags), Err(Errno::Notcapable));
    }
}

#[test]
fn opening_takes_the_rights_of_its_flags() {
    let (mut guest, dir) = Guest::with_dir();
    std::fs::write(dir.path().join("f"), "text").expect("written");
    let (_, _, rights, inheriting) = guest.fdstat(ROOT).expect("open");
    let (create_file, open, set_size) = (1 << 10, 1 << 13, 1 << 19);
    assert_eq!(guest.set_rights(ROOT, rights & !create_file & !set_size, inheriting), Ok(()));
    assert_eq!(guest.open_with(ROOT, "f", CREAT, READ, 0), Err(Errno::Notcapable));
    assert_eq!(guest.open_with(ROOT, "f", TRUNC, WRITE, 0), Err(Errno::Notcapable));
    assert!(guest.open_with(ROOT, "f", EXCL, READ, 0).is_ok());
    assert_eq!(guest.set_rights(ROOT, rights & !open & !create_file & !set_size, inheriting), Ok(()));
    assert_eq!(guest.open("f"), Err(Errno::Notcapable));
    assert_eq!(std::fs::read(dir.path().join("f")).expect("read"), b"text");
}

#[test]
fn open_flags_mean_what_they_say() {
    let (mut guest, dir) = Guest::with_dir();
    std::fs::create_dir(dir.path().join("d")).expect("created");
    assert_eq!(guest.open("f"), Err(Errno::Noent));
    assert!(guest.open_with(ROOT, "f", CREAT | EXCL, WRITE, 0).is_ok());
    assert_eq!(guest.open_with(ROOT, "f", CREAT | EXCL, WRITE, 0), Err(Errno::Exist));
    assert_eq!(guest.open_with(ROOT, "f", DIRECTORY, READ, 0), Err(Errno::Notdir));
    assert_eq!(guest.open_with(ROOT, "d", 0, WRITE, 0), Err(Errno::Isdir));
    assert_eq!(guest.open_with(ROOT, "d", DIRECTORY, READ | WRITE, 0), Err(Errno::Isdir));
    for oflags in [DIRECTORY | CREAT, DIRECTORY | EXCL, DIRECTORY | TRUNC, 16, 1 << 16] {
        assert_eq!(guest.open_with(ROOT, "d", oflags, READ, 0), Err(Errno::Inval), "{oflags}");
    }
    for flags in [32, 1 << 16] {
        assert_eq!(guest.open_with(ROOT, "f", 0, READ, flags), Err(Errno::Inval));
    }
    assert_eq!(guest.open_as(ROOT, 2, "f", 0, READ, 0, 0), Err(Errno::Inval));
    assert_eq!(guest.open_with(ROOT, "f", 0, 1 << 30, 0), Err(Errno::Notcapable));
    let sub = guest.open("d").expect("opened");
    assert_eq!(guest.fdstat(sub).map(|stat| stat.0), Ok(3));
}

#[test]
fn numbers_are_given_lowest_first_and_moved_by_renumbering() {
    let (mut guest, _dir) = Guest::with_dir();
    let [a, b, c] = ["a", "b", "c"].map(|name| {
        let fd = guest.create(name).expect("created");
        assert_eq!(guest.write(fd, name), Ok(1));
        fd
    });
    assert_eq!([a, b, c], [4, 5, 6]);
    assert_eq!(guest.call("fd_renumber", &[c.into(), a.into()]), Ok(()));
    assert_eq!(guest.tell(c), Err(Errno::Badf));
    assert_eq!(guest.pread(a, 9, 0), Ok(b"c".to_vec()));
    assert_eq!(guest.call("fd_renumber", &[a.into(), 99]), Err(Errno::Badf));
    assert_eq!(guest.call("fd_renumber", &[99, a.into()]), Err(Errno::Badf));
    assert_eq!(guest.call("fd_renumber", &[a.into(), a.into()]), Ok(()));
    assert_eq!(guest.close(b), Ok(()));
    assert_eq!(guest.close(b), Err(Errno::Badf));
    assert_eq!(guest.create("d"), Ok(b));
    assert_eq!(guest.create("e"), Ok(c));
    // Even a standard stream or a preopen is only a number.
    assert_eq!(guest.call("fd_renumber", &[a.into(), 1]), Ok(()));
    assert_eq!(guest.write(1, "more"), Ok(4));
    assert_eq!(guest.close(ROOT), Ok(()));
    assert_eq!(guest.open("a"), Err(Errno::Badf));
}

#[test]
fn the_budget_of_descriptors_ends_with_an_error_and_comes_back() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut config = ampoule_wasi::WasiConfig::new();
    let all = (ampoule_wasi::DirPerms::ALL, ampoule_wasi::FilePerms::ALL);
    config.preopen_dir(dir.path(), "/", all.0, all.1).expect("opened");
    config.max_fds(10);
    let mut guest = Guest::new(config);
    for fd in 4..10 {
        assert_eq!(guest.create(format!("f{fd}")), Ok(fd));
    }
    assert_eq!(guest.create("too many"), Err(Errno::Mfile));
    assert!(!dir.path().join("too many").exists(), "refused before it acted");
    assert_eq!(guest.close(7), Ok(()));
    assert_eq!(guest.create("fits"), Ok(7));
}

#[test]
fn preopens_tell_their_names() {
    let (mut guest, _dir) = Guest::with_dir();
    assert_eq!(guest.call("fd_prestat_get", &[ROOT.into(), 64]), Ok(()));
    assert_eq!(guest.get(64, 8), [0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(guest.call("fd_prestat_dir_name", &[ROOT.into(), 80, 1]), Ok(()));
    assert_eq!(guest.get(80, 2), b"/\0");
    assert_eq!(guest.call("fd_prestat_dir_name", &[ROOT.into(), 80, 0]), Err(Errno::Nametoolong));
    let sub = guest.open_with(ROOT, ".", DIRECTORY, 0, 0).expect("opened");
    for (fd, get, name) in
        [(sub, Errno::Badf, Errno::Notdir), (0, Errno::Badf, Errno::Notdir), (99, Errno::Badf, Errno::Badf)]
    {
        assert_eq!(guest.call("fd_prestat_get", &[fd.into(), 64]), Err(get));
        assert_eq!(guest.call("fd_prestat_dir_name", &[fd.into(), 80, 9]), Err(name));
    }
}

#[test]
fn pipes_in_a_directory_never_block_their_opener() {
    let (mut guest, dir) = Guest::with_dir();
    let path = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
    assert_eq!(guest.open_with(ROOT, "pipe", 0, WRITE, 0), Err(Errno::Nxio));
    let reader = guest.open_with(ROOT, "pipe", 0, READ, 4).expect("opened");
    assert_eq!(guest.fdstat(reader).map(|stat| (stat.0, stat.1)), Ok((0, 4)));
    let writer = guest.open_with(ROOT, "pipe", 0, WRITE, 0).expect("opened");
    assert_eq!(guest.read(reader, 10), Err(Errno::Again));
    assert_eq!(guest.write(writer, "through"), Ok(7));
    assert_eq!(guest.read(reader, 10), Ok(b"through".to_vec()));
    assert_eq!(guest.seek(reader, 0, 0), Err(Errno::Spipe));
    assert_eq!(guest.close(writer), Ok(()));
    assert_eq!(guest.read(reader, 10), Ok(vec![]));
}
