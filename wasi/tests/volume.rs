//! File systems, input, clocks and randomness of the embedder's: a guest can't tell them from the system's, and what they answer wrongly is
//! an error.

#[path = "support/memory_fs.rs"]
mod memory_fs;
mod support;

use ampoule_wasi::host::Error;
use ampoule_wasi::host::available::{Availability, Direction};
use ampoule_wasi::host::clocks::Clock;
use ampoule_wasi::host::stat::FileType;
use ampoule_wasi::host::volume::{Entry, NodeId, NodeStat};
use ampoule_wasi::p1::Errno as GuestErrno;
use ampoule_wasi::{ClockSource, DirPerms, FilePerms, FileSystem, Input, Volume, WasiConfig};
use memory_fs::{MemoryFs, ROOT_NODE};
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::io::{PipeReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::{APPEND, CREAT, DIRECTORY, EXCL, Guest, READ, ROOT, TRUNC, WRITE};

/// A guest with this file system as `/`.
fn with_volume(volumes: &[(&Arc<Volume>, u64, u64)]) -> Guest {
    let mut config = WasiConfig::new();
    for (volume, dir_perms, file_perms) in volumes {
        let dir_perms = DirPerms::from_bits(*dir_perms).expect("known bits");
        let file_perms = FilePerms::from_bits(*file_perms).expect("known bits");
        config.preopen_virtual_dir((*volume).clone(), ROOT_NODE, "/", dir_perms, file_perms).expect("a name");
    }
    Guest::new(config)
}

fn with_fs(fs: impl FileSystem + 'static) -> Guest {
    with_volume(&[(&Volume::new(fs), 3, 3)])
}

/// Numbers that look random, the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

const NAMES: [&str; 9] = ["a", "b", "c", ".", "..", "l", "m", "missing", ""];

fn some_path(numbers: &mut Numbers) -> String {
    let parts: Vec<&str> = (0..1 + numbers.below(4)).map(|_| numbers.one(&NAMES)).collect();
    let path = parts.join("/");
    if numbers.below(6) == 0 { path + "/" } else { path }
}

/// Does the same in both guests, and compares what they are told.
fn step(numbers: &mut Numbers, guests: &mut [Guest; 2], open: &mut Vec<u32>) -> String {
    let (mut path, mut other) = (some_path(numbers), some_path(numbers));
    let dir = if open.is_empty() || numbers.below(2) == 0 { ROOT } else { numbers.one(open) };
    let new_dir = if open.is_empty() || numbers.below(2) == 0 { ROOT } else { numbers.one(open) };
    let lookup = numbers.below(2) as u32;
    let fd = if open.is_empty() { 99 } else { numbers.one(open) };
    let oflags = numbers.one(&[0, 0, CREAT, CREAT | EXCL, TRUNC, CREAT | TRUNC, DIRECTORY]);
    let rights = numbers.one(&[READ, WRITE, READ | WRITE]);
    let flags = numbers.one(&[0, 0, APPEND]);
    let action = numbers.below(17);
    // The sandbox follows links there that Linux doesn't follow.
    if (6..=9).contains(&action) {
        (path, other) = (path.trim_end_matches('/').to_owned(), other.trim_end_matches('/').to_owned());
    }
    let (offset, len) = (numbers.below(40) as i64 - 10, numbers.below(200) as u64);
    let answers = guests.each_mut().map(|guest| match action {
        0..=3 => format!("{:?}", guest.open_as(dir, lookup, &path, oflags, rights, u64::MAX >> 34, flags)),
        4 => format!("mkdir {:?}", guest.at("path_create_directory", dir, &path)),
        5 => format!("rmdir {:?}", guest.at("path_remove_directory", dir, &path)),
        6 => format!("unlink {:?}", guest.at("path_unlink_file", dir, &path)),
        7 => format!("symlink {:?}", guest.symlink(&other, dir, &path)),
        8 => format!("rename {:?}", guest.rename(dir, &path, new_dir, &other)),
        9 => format!("link {:?}", guest.link(dir, 0, &path, new_dir, &other)),
        10 => format!("readlink {:?}", guest.readlink(dir, &path, 100)),
        11 => {
            let stat = guest.stat(dir, &path, lookup);
            // How long a directory is is anybody's guess.
            format!("stat {:?}", stat.map(|(filetype, size)| (filetype, if filetype == 3 { 0 } else { size })))
        }
        12 => format!("write {:?}", guest.write(fd, &path)),
        13 => format!("read {:?}", guest.read(fd, 7)),
        14 => format!("seek {:?}", guest.seek(fd, offset, (len % 3) as u32)),
        15 => format!("set_size {:?}", guest.call("fd_filestat_set_size", &[fd.into(), len])),
        _ => format!("close {:?}", guest.close(fd)),
    });
    let [host, volume] = &answers;
    assert_eq!(host, volume, "action {action}: {dir} {path:?} {oflags} {rights:x} {flags} {new_dir} {other:?} {fd}");
    match (action, host.strip_prefix("Ok(").and_then(|rest| rest.strip_suffix(")"))) {
        (0..=3, Some(number)) => open.push(number.parse().expect("a number")),
        (16, _) if host == "close Ok(())" => open.retain(|other| *other != fd),
        _ => {}
    }
    answers[0].clone()
}

#[test]
fn a_volume_answers_as_the_host_s_file_system() {
    let mut succeeded = 0;
    for seed in 0..40 {
        let fs = MemoryFs::default();
        let (host, _dir) = Guest::with_dir();
        let mut guests = [host, with_fs(fs.clone())];
        let (mut numbers, mut open) = (Numbers(seed), Vec::new());
        for _ in 0..500 {
            succeeded += usize::from(step(&mut numbers, &mut guests, &mut open).contains("Ok"));
        }
        drop(guests);
        assert_eq!(fs.references(), 0, "every node was released");
    }
    assert!(succeeded > 1500, "{succeeded} steps did something");
}

#[test]
fn names_are_listed_as_by_the_host() {
    let fs = MemoryFs::default();
    let mut guest = with_fs(fs.clone());
    for index in 0..100 {
        let fd = guest.create(format!("{index:02}")).expect("created");
        assert_eq!(guest.close(fd), Ok(()));
    }
    let (mut cookie, mut names) = (0_u64, Vec::new());
    loop {
        let bytes = guest.readdir(ROOT, 150, cookie).expect("listed");
        let mut rest = &bytes[..];
        while rest.len() >= 24 {
            let len = u32::from_le_bytes(rest[16..20].try_into().expect("four")) as usize;
            let Some(name) = rest.get(24..24 + len) else { break };
            cookie = u64::from_le_bytes(rest[..8].try_into().expect("eight"));
            names.push(String::from_utf8(name.to_vec()).expect("text"));
            rest = &rest[24 + len..];
        }
        if bytes.len() < 150 {
            break;
        }
    }
    let expected: Vec<String> =
        [".", ".."].map(str::to_owned).into_iter().chain((0..100).map(|index| format!("{index:02}"))).collect();
    assert_eq!(names, expected);
}

#[test]
fn permissions_hold_and_volumes_are_apart() {
    let (fs, other) = (MemoryFs::default(), MemoryFs::default());
    fs.release(fs.create(ROOT_NODE, "f").expect("created"));
    let (fs, other) = (Volume::new(fs), Volume::new(other));
    let mut guest = with_volume(&[(&fs, 1, 1), (&fs, 3, 3), (&other, 3, 3)]);
    let (read_only, writable, elsewhere) = (ROOT, ROOT + 1, ROOT + 2);
    let perm = Err(GuestErrno::Perm);
    assert_eq!(guest.open_with(read_only, "f", CREAT, READ, 0).map(drop), perm);
    assert_eq!(guest.open_with(read_only, "f", 0, WRITE, 0).map(drop), perm);
    assert_eq!(guest.at("path_create_directory", read_only, "d"), perm);
    assert_eq!(guest.at("path_unlink_file", read_only, "f"), perm);
    assert_eq!(guest.rename(read_only, "f", writable, "g"), perm);
    assert_eq!(guest.open_with(read_only, "../f", 0, READ, 0).map(drop), perm);
    assert_eq!(guest.open_with(read_only, "/f", 0, READ, 0).map(drop), perm);
    assert_eq!(guest.rename(writable, "f", elsewhere, "g"), Err(GuestErrno::Xdev));
    assert_eq!(guest.link(writable, 0, "f", elsewhere, "g"), Err(GuestErrno::Xdev));
    assert_eq!(guest.symlink("/f", writable, "l"), perm);
}

#[test]
fn what_is_longer_than_a_piece_is_transferred_whole() {
    let mut guest = with_fs(MemoryFs::default());
    let bytes: Vec<u8> = (0..100_000_u32).map(|index| (index % 251) as u8).collect();
    let fd = guest.create("f").expect("created");
    assert_eq!(guest.write(fd, &bytes), Ok(bytes.len()));
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    assert_eq!(guest.read(fd, 110_000), Ok(bytes));
    assert_eq!(guest.call("fd_allocate", &[fd.into(), 99_999, 11]), Ok(()));
    assert_eq!(guest.filestat(fd), Ok((4, 100_010)));
    assert_eq!(guest.call("fd_allocate", &[fd.into(), u64::MAX, 2]), Err(GuestErrno::Fbig));
}

/// Answers what can't be.
struct Liar {
    entry: Entry,
    target: String,
    count: usize,
}

impl Default for Liar {
    fn default() -> Self {
        let entry = Entry { next: 1, inode: 1, filetype: FileType::RegularFile, name: "f".to_owned() };
        Self { entry, target: "f".to_owned(), count: 1 }
    }
}

impl FileSystem for Liar {
    fn lookup(&self, _: NodeId, name: &str) -> Result<(NodeId, FileType), Error> {
        Ok((7, if name == "l" { FileType::Symlink } else { FileType::RegularFile }))
    }

    fn stat(&self, _: NodeId) -> Result<NodeStat, Error> {
        let filetype = FileType::Directory;
        Ok(NodeStat { filetype, inode: 1, links: 1, size: u64::MAX, accessed: 0, modified: 0, changed: 0 })
    }

    fn read(&self, _: NodeId, _: u64, _: &mut [u8]) -> Result<usize, Error> {
        Ok(self.count)
    }

    fn write(&self, _: NodeId, _: u64, _: &[u8]) -> Result<usize, Error> {
        Ok(self.count)
    }

    fn entry(&self, _: NodeId, _: u64) -> Result<Option<Entry>, Error> {
        Ok(Some(self.entry.clone()))
    }

    fn read_link(&self, _: NodeId) -> Result<String, Error> {
        Ok(self.target.clone())
    }
}

#[test]
fn what_cannot_be_is_an_error() {
    for count in [11, usize::MAX] {
        let mut guest = with_fs(Liar { count, ..Liar::default() });
        let fd = guest.open_with(ROOT, "f", 0, READ | WRITE, 0).expect("opened");
        assert_eq!(guest.read(fd, 10), Err(GuestErrno::Io));
        assert_eq!(guest.write(fd, "0123456789"), Err(GuestErrno::Io));
        assert_eq!(guest.seek(fd, 0, 2), Err(GuestErrno::Inval), "a length that no file has");
    }
    let mut guest = with_fs(Liar { count: 0, ..Liar::default() });
    let fd = guest.open_with(ROOT, "f", 0, READ | WRITE, 0).expect("opened");
    assert_eq!(guest.read(fd, 10), Ok(vec![]));
    assert_eq!(guest.write(fd, "0"), Err(GuestErrno::Io), "taking nothing for ever would be a hang");
    let long = "n".repeat(256);
    for (name, next) in [("", 1), ("a/b", 1), ("a\0", 1), (&long, 1), ("f", 0)] {
        let entry = Entry { name: name.to_owned(), next, ..Liar::default().entry };
        let mut guest = with_fs(Liar { entry, ..Liar::default() });
        assert_eq!(guest.readdir(ROOT, 10_000, 0), Err(GuestErrno::Io), "{name:?} {next}");
    }
    // Goes in a circle: the buffer ends it, and where nothing is kept, a bound.
    let mut guest = with_fs(Liar { entry: Entry { next: u64::MAX, ..Liar::default().entry }, ..Liar::default() });
    assert_eq!(guest.readdir(ROOT, 10_000, 0), Err(GuestErrno::Io));
    for (target, errno) in [
        ("", GuestErrno::Io),
        ("a\0", GuestErrno::Io),
        (&"d/".repeat(3000), GuestErrno::Io),
        ("l", GuestErrno::Loop),
        ("../f", GuestErrno::Perm),
        ("/f", GuestErrno::Perm),
    ] {
        let mut guest = with_fs(Liar { target: target.to_owned(), ..Liar::default() });
        assert_eq!(guest.open("l"), Err(errno), "{target:?}");
    }
}

/// Lists without an end.
struct Endless;

impl FileSystem for Endless {
    fn lookup(&self, _: NodeId, _: &str) -> Result<(NodeId, FileType), Error> {
        Err(Errno::NOENT.into())
    }

    fn stat(&self, _: NodeId) -> Result<NodeStat, Error> {
        Err(Errno::NOTSUP.into())
    }

    fn entry(&self, _: NodeId, cursor: u64) -> Result<Option<Entry>, Error> {
        let filetype = FileType::RegularFile;
        Ok(Some(Entry { next: cursor ^ 1, inode: 1, filetype, name: "f".to_owned() }))
    }
}

#[test]
fn a_listing_has_an_end() {
    let mut guest = with_fs(Endless);
    assert_eq!(guest.readdir(ROOT, 100, u64::MAX), Err(GuestErrno::Io));
    // What isn't implemented isn't supported.
    assert_eq!(guest.create("f"), Err(GuestErrno::Rofs));
    assert_eq!(guest.symlink("a", ROOT, "f"), Err(GuestErrno::Notsup));
    assert_eq!(guest.filestat(ROOT), Err(GuestErrno::Notsup));
}

/// A pipe as standard input; as a device, too.
struct Pipe {
    pipe: PipeReader,
    tells: bool,
}

impl Pipe {
    fn read_some(&self, out: &mut [u8]) -> Result<usize, Error> {
        Ok((&self.pipe).read(out)?)
    }

    fn when(&self) -> Option<Availability<'_>> {
        self.tells.then(|| Availability::When(self.pipe.as_fd()))
    }
}

impl Input for Pipe {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        self.read_some(out)
    }

    fn available(&self) -> Option<Availability<'_>> {
        self.when()
    }
}

impl FileSystem for Pipe {
    fn lookup(&self, _: NodeId, _: &str) -> Result<(NodeId, FileType), Error> {
        Ok((2, FileType::CharacterDevice))
    }

    fn stat(&self, _: NodeId) -> Result<NodeStat, Error> {
        Err(Errno::NOTSUP.into())
    }

    fn read(&self, _: NodeId, offset: u64, out: &mut [u8]) -> Result<usize, Error> {
        assert_eq!(offset, 0);
        self.read_some(out)
    }

    fn available(&self, _: NodeId, direction: Direction) -> Option<Availability<'_>> {
        assert_eq!(direction, Direction::Read);
        self.when()
    }
}

#[test]
fn what_would_have_to_wait_is_tried_again() {
    for (tells, as_stdin) in [(false, false), (false, true), (true, false), (true, true)] {
        let (pipe, mut to) = std::io::pipe().expect("a pipe");
        rustix::io::ioctl_fionbio(&pipe, true).expect("a mode");
        let pipe = Pipe { pipe, tells };
        let (mut guest, fd) = if as_stdin {
            let mut config = WasiConfig::new();
            config.stdin_input(pipe);
            (Guest::new(config), 0)
        } else {
            let mut guest = with_fs(pipe);
            let fd = guest.open("device").expect("opened");
            assert_eq!(guest.seek(fd, 0, 0), Err(GuestErrno::Spipe));
            assert_eq!(guest.pread(fd, 1, 0), Err(GuestErrno::Spipe));
            (guest, fd)
        };
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            to.write_all(b"hello").expect("written");
        });
        assert_eq!(guest.read(fd, 100), Ok(b"hello".to_vec()));
        assert_eq!(guest.read(fd, 100), Ok(vec![]));
        writer.join().expect("it has written");
    }
}

/// A clock that goes only while the guest sleeps.
struct Simulated(Arc<AtomicU64>);

impl ClockSource for Simulated {
    fn now(&self, _: Clock) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed))
    }

    fn skip_to(&self, _: Clock, deadline: u64) -> bool {
        self.0.fetch_max(deadline, Ordering::Relaxed);
        true
    }
}

#[test]
fn a_simulated_clock_lets_no_time_pass() {
    let time = Arc::new(AtomicU64::new(1000));
    let mut config = WasiConfig::new();
    config.clocks(Simulated(time.clone()));
    let mut guest = Guest::new(config);
    let year = 365 * 86_400 * 1_000_000_000_u64;
    let mut subscription = [0; 48];
    subscription[16] = 1;
    subscription[24..32].copy_from_slice(&year.to_le_bytes());
    guest.put(2048, &subscription);
    let start = Instant::now();
    assert_eq!(guest.call("poll_oneoff", &[2048, 4096, 1, 0]), Ok(()));
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(guest.u32_at(0), 1);
    assert_eq!(guest.call("clock_time_get", &[1, 0, 0]), Ok(()));
    assert_eq!(guest.u64_at(0), year + 1000);
}

#[test]
fn random_bytes_are_the_embedder_s() {
    let mut next = 0_u8;
    let mut config = WasiConfig::new();
    config.random(Box::new(move |out| {
        for byte in out {
            next = next.wrapping_add(1);
            *byte = next;
        }
        if next == 100 { Err(Errno::IO.into()) } else { Ok(()) }
    }));
    let mut guest = Guest::new(config);
    assert_eq!(guest.call("random_get", &[0, 4]), Ok(()));
    assert_eq!(guest.get(0, 4), [1, 2, 3, 4]);
    assert_eq!(guest.call("random_get", &[0, 96]), Err(GuestErrno::Io));
}
