//! Paths: what they may reach, what permissions allow, and what two directories owe each other.

mod support;

use ampoule_wasi::p1::Errno;
use std::os::unix::fs::symlink;
use support::{BUFFER, CREAT, DIRECTORY, Guest, READ, ROOT, TRUNC, WRITE};
use tempfile::TempDir;

/// `outside/` holds a secret and `inside/`, the preopen: a file, a directory with a file, and links of every kind.
fn tree() -> (Guest, TempDir) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let inside = dir.path().join("inside");
    std::fs::create_dir_all(inside.join("sub/deep")).expect("created");
    std::fs::write(dir.path().join("secret"), "secret").expect("written");
    std::fs::write(inside.join("file"), "text").expect("written");
    std::fs::write(inside.join("sub/file"), "below").expect("written");
    for (link, target) in [
        ("link", "file"),
        ("dirlink", "sub"),
        ("dangling", "nowhere"),
        ("loop", "loop"),
        ("up", "../secret"),
        ("updir", ".."),
        ("absolute", "/etc/passwd"),
        ("root", "/"),
        ("sub/out", "../../secret"),
        ("sub/back", "../file"),
        ("proc", "/proc/self/root/etc/passwd"),
    ] {
        symlink(target, inside.join(link)).expect("linked");
    }
    (Guest::with_preopens(&[(&inside, 3, 3)]), dir)
}

/// Paths that lead out of the preopen, whichever way.
const ESCAPES: [&str; 16] = [
    "..",
    "../secret",
    "../inside/file",
    "sub/../../secret",
    "sub/deep/../../../secret",
    "./../secret",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "up",
    "updir/secret",
    "absolute",
    "root/etc/passwd",
    "sub/out",
    "dirlink/../../secret",
    "proc",
];

#[test]
fn no_path_opens_anything_outside() {
    let (mut guest, _dir) = tree();
    for path in ESCAPES {
        for oflags in [0, CREAT, TRUNC, DIRECTORY, CREAT | TRUNC] {
            for rights in [READ, WRITE, READ | WRITE] {
                let opened = guest.open_with(ROOT, path, oflags, rights, 0);
                assert!(matches!(opened, Err(Errno::Perm)), "{path} {oflags} {rights}: {opened:?}");
            }
        }
        assert_eq!(guest.stat(ROOT, path, 1), Err(Errno::Perm), "{path}");
        assert_eq!(guest.set_times(ROOT, 1, path, 1), Err(Errno::Perm), "{path}");
    }
}

#[test]
fn no_name_outside_is_made_or_removed_or_moved() {
    let (mut guest, dir) = tree();
    let names = ["../secret", "../new", "/tmp/new", "updir/new", "sub/../../new", "root/tmp/new", "..", "/"];
    for path in names {
        assert_eq!(guest.at("path_create_directory", ROOT, path), Err(Errno::Perm), "{path}");
        assert_eq!(guest.at("path_unlink_file", ROOT, path), Err(Errno::Perm), "{path}");
        assert_eq!(guest.at("path_remove_directory", ROOT, path), Err(Errno::Perm), "{path}");
        assert_eq!(guest.symlink("x", ROOT, path), Err(Errno::Perm), "{path}");
        assert_eq!(guest.rename(ROOT, "file", ROOT, path), Err(Errno::Perm), "{path}");
        assert_eq!(guest.rename(ROOT, path, ROOT, "new"), Err(Errno::Perm), "{path}");
        assert_eq!(guest.link(ROOT, 0, "file", ROOT, path), Err(Errno::Perm), "{path}");
        assert_eq!(guest.link(ROOT, 0, path, ROOT, "new"), Err(Errno::Perm), "{path}");
        assert_eq!(guest.readlink(ROOT, path, 100), Err(Errno::Perm), "{path}");
    }
    assert_eq!(std::fs::read(dir.path().join("secret")).expect("there"), b"secret");
    assert!(!dir.path().join("new").exists());
    assert!(dir.path().join("inside/file").exists());
}

#[test]
fn a_directory_is_a_floor_for_what_is_opened_through_it() {
    let (mut guest, _dir) = tree();
    let sub = guest.open_with(ROOT, "sub", DIRECTORY, READ, 0).expect("opened");
    assert_eq!(guest.open_with(sub, "../file", 0, READ, 0), Err(Errno::Perm));
    assert_eq!(guest.open_with(sub, "back", 0, READ, 0), Err(Errno::Perm));
    assert_eq!(guest.open_with(sub, "..", DIRECTORY, READ, 0), Err(Errno::Perm));
    let fd = guest.open_with(sub, "deep/../file", 0, READ, 0).expect("opened");
    assert_eq!(guest.read(fd, 9), Ok(b"below".to_vec()));
}

#[test]
fn links_inside_are_followed_when_asked() {
    let (mut guest, _dir) = tree();
    for path in ["file", "./file", "link", "sub/../file", "sub/back", "dirlink/back", "dirlink/../file"] {
        let fd = guest.open(path).expect(path);
        assert_eq!(guest.read(fd, 9), Ok(b"text".to_vec()), "{path}");
        assert_eq!(guest.stat(ROOT, path, 1), Ok((4, 4)), "{path}");
    }
    assert_eq!(guest.open_as(ROOT, 0, "link", 0, READ, 0, 0), Err(Errno::Loop));
    assert_eq!(guest.stat(ROOT, "link", 0), Ok((7, 4)));
    assert_eq!(guest.stat(ROOT, "absolute", 0).map(|stat| stat.0), Ok(7));
    assert_eq!(guest.open("loop"), Err(Errno::Loop));
    assert_eq!(guest.open("dangling"), Err(Errno::Noent));
    assert_eq!(guest.stat(ROOT, "loop", 1), Err(Errno::Loop));
}

#[test]
fn a_link_that_is_not_followed_is_no_directory() {
    let (mut guest, _dir) = tree();
    for path in ["link", "dirlink", "loop", "dangling", "absolute", "sub/back", "./dirlink", "sub/../dirlink"] {
        assert_eq!(guest.open_as(ROOT, 0, path, DIRECTORY, READ, 0, 0), Err(Errno::Loop), "{path}");
        assert_eq!(guest.open_as(ROOT, 0, path, 0, READ, 0, 0), Err(Errno::Loop), "{path}");
    }
    for path in ["file", "file/", "sub/file", "link/", "dangling/.", "file/nothing"] {
        let expected = if path.starts_with("dangling") { Errno::Noent } else { Errno::Notdir };
        assert_eq!(guest.open_as(ROOT, 0, path, DIRECTORY, READ, 0, 0), Err(expected), "{path}");
    }
    // A slash at the end follows the link in any case.
    for path in ["sub", "dirlink/", "dirlink/."] {
        assert!(guest.open_as(ROOT, 0, path, DIRECTORY, READ, 0, 0).is_ok(), "{path}");
    }
    assert_eq!(guest.open_as(ROOT, 1, "link", DIRECTORY, READ, 0, 0), Err(Errno::Notdir));
}

#[test]
fn odd_names_are_errors() {
    let (mut guest, _dir) = tree();
    let long = "x".repeat(256);
    let deep = "y/".repeat(2500);
    let cases: [(&[u8], Errno); 8] = [
        (b"", Errno::Noent),
        (b"nope", Errno::Noent),
        (b"nope/x", Errno::Noent),
        (b"file/x", Errno::Notdir),
        (b"a\0b", Errno::Inval),
        (b"\xff", Errno::Ilseq),
        (long.as_bytes(), Errno::Nametoolong),
        (deep.as_bytes(), Errno::Nametoolong),
    ];
    for (path, errno) in cases {
        assert_eq!(guest.open(path), Err(errno), "{path:?}");
        assert_eq!(guest.stat(ROOT, path, 0), Err(errno), "{path:?}");
    }
    assert_eq!(guest.open("file/"), Err(Errno::Notdir));
    assert!(guest.open("sub/").is_ok());
    assert!(guest.open(".").is_ok());
}

#[test]
fn directories_come_and_go() {
    let (mut guest, dir) = tree();
    let make = |guest: &mut Guest, path| guest.at("path_create_directory", ROOT, path);
    let remove = |guest: &mut Guest, path| guest.at("path_remove_directory", ROOT, path);
    assert_eq!(make(&mut guest, "new"), Ok(()));
    assert_eq!(make(&mut guest, "new"), Err(Errno::Exist));
    assert_eq!(make(&mut guest, "new/er/"), Ok(()));
    assert_eq!(make(&mut guest, "no/where"), Err(Errno::Noent));
    assert_eq!(make(&mut guest, ""), Err(Errno::Noent));
    assert!(dir.path().join("inside/new/er").is_dir());
    assert_eq!(remove(&mut guest, "new"), Err(Errno::Notempty));
    assert_eq!(remove(&mut guest, "new/er/"), Ok(()));
    assert_eq!(remove(&mut guest, "new"), Ok(()));
    assert_eq!(remove(&mut guest, "new"), Err(Errno::Noent));
    assert_eq!(remove(&mut guest, "file"), Err(Errno::Notdir));
    assert_eq!(remove(&mut guest, "dirlink"), Err(Errno::Notdir));
    assert_eq!(remove(&mut guest, "dirlink/"), Err(Errno::Notdir));
    assert_eq!(remove(&mut guest, "."), Err(Errno::Inval));
    assert!(dir.path().join("inside/sub").is_dir());
}

#[test]
fn unlinking_removes_files_and_links_but_not_directories() {
    let (mut guest, dir) = tree();
    let unlink = |guest: &mut Guest, path| guest.at("path_unlink_file", ROOT, path);
    assert_eq!(unlink(&mut guest, "sub"), Err(Errno::Isdir));
    assert_eq!(unlink(&mut guest, "file/"), Err(Errno::Notdir));
    assert_eq!(unlink(&mut guest, "nope"), Err(Errno::Noent));
    assert_eq!(unlink(&mut guest, "up"), Ok(()));
    assert_eq!(unlink(&mut guest, "file"), Ok(()));
    assert!(dir.path().join("secret").exists(), "the link went, not its target");
    assert!(!dir.path().join("inside/file").exists());
}

#[test]
fn links_are_made_and_read() {
    let (mut guest, dir) = tree();
    assert_eq!(guest.symlink("sub/file", ROOT, "made"), Ok(()));
    assert_eq!(guest.readlink(ROOT, "made", 100), Ok("sub/file".to_owned()));
    assert_eq!(guest.readlink(ROOT, "made", 3), Ok("sub".to_owned()));
    assert_eq!(guest.readlink(ROOT, "made", 0), Ok(String::new()));
    assert_eq!(guest.symlink("x", ROOT, "made"), Err(Errno::Exist));
    assert_eq!(guest.symlink("", ROOT, "none"), Err(Errno::Noent));
    assert_eq!(guest.symlink("/etc", ROOT, "none"), Err(Errno::Perm));
    assert_eq!(guest.readlink(ROOT, "absolute", 100), Err(Errno::Perm));
    assert_eq!(guest.readlink(ROOT, "file", 100), Err(Errno::Inval));
    // A link may say where it likes, but isn't followed there.
    assert_eq!(guest.symlink("../secret", ROOT, "climb"), Ok(()));
    assert_eq!(guest.open("climb"), Err(Errno::Perm));
    assert_eq!(guest.link(ROOT, 0, "file", ROOT, "hard"), Ok(()));
    assert_eq!(guest.link(ROOT, 0, "file", ROOT, "hard"), Err(Errno::Exist));
    assert_eq!(guest.link(ROOT, 1, "file", ROOT, "hard2"), Err(Errno::Inval));
    assert_eq!(guest.link(ROOT, 2, "file", ROOT, "hard2"), Err(Errno::Inval));
    assert_eq!(guest.link(ROOT, 0, "sub", ROOT, "hard2"), Err(Errno::Perm));
    assert_eq!(guest.link(ROOT, 0, "link", ROOT, "hardlink"), Ok(()));
    assert_eq!(guest.stat(ROOT, "hardlink", 0).map(|stat| stat.0), Ok(7));
    std::fs::write(dir.path().join("inside/hard"), "both").expect("written");
    assert_eq!(std::fs::read(dir.path().join("inside/file")).expect("read"), b"both");
}

#[test]
fn renaming_moves_and_replaces() {
    let (mut guest, dir) = tree();
    let inside = dir.path().join("inside");
    assert_eq!(guest.rename(ROOT, "file", ROOT, "sub/moved"), Ok(()));
    assert!(inside.join("sub/moved").exists() && !inside.join("file").exists());
    assert_eq!(guest.rename(ROOT, "sub/moved", ROOT, "sub/file"), Ok(()));
    assert_eq!(std::fs::read(inside.join("sub/file")).expect("read"), b"text");
    assert_eq!(guest.rename(ROOT, "link", ROOT, "sub"), Err(Errno::Isdir));
    assert_eq!(guest.rename(ROOT, "sub", ROOT, "link"), Err(Errno::Notdir));
    assert_eq!(guest.rename(ROOT, "sub", ROOT, "sub/deep/x"), Err(Errno::Inval));
    assert_eq!(guest.rename(ROOT, "nope", ROOT, "x"), Err(Errno::Noent));
    assert_eq!(guest.rename(ROOT, "sub/", ROOT, "other/"), Ok(()));
    assert!(inside.join("other/deep").is_dir());
}

#[test]
fn times_are_set_by_name_of_the_link_or_its_target() {
    let (mut guest, _dir) = tree();
    let mtime = |guest: &mut Guest, path: &str, lookup| {
        guest.stat(ROOT, path, lookup).expect("there");
        guest.u64_at(BUFFER + 48)
    };
    assert_eq!(guest.set_times(ROOT, 1, "link", 1 | 4), Ok(()));
    assert_eq!(mtime(&mut guest, "file", 0), 7_000_000_000);
    assert_ne!(mtime(&mut guest, "link", 0), 7_000_000_000);
    assert_eq!(guest.set_times(ROOT, 0, "dangling", 1 | 4), Ok(()));
    assert_eq!(mtime(&mut guest, "dangling", 0), 7_000_000_000);
    assert_eq!(guest.set_times(ROOT, 1, "dangling", 1 | 4), Err(Errno::Noent));
    assert_eq!(guest.set_times(ROOT, 0, "sub", 1 | 4), Ok(()));
    assert_eq!(guest.set_times(ROOT, 0, "file", 1 | 2), Err(Errno::Inval));
    assert_eq!(guest.set_times(ROOT, 0, "file", 16), Err(Errno::Inval));
}

#[test]
fn a_read_only_directory_stays_as_it_is() {
    let (_, dir) = tree();
    let inside = dir.path().join("inside");
    for (dir_perms, file_perms) in [(1, 1), (1, 3)] {
        let mut guest = Guest::with_preopens(&[(&inside, dir_perms, file_perms)]);
        let before = listing(&dir);
        assert!(guest.open("file").is_ok());
        for oflags in [0, CREAT, TRUNC] {
            assert_eq!(guest.open_with(ROOT, "file", oflags, READ | WRITE, 0), Err(Errno::Perm));
        }
        for oflags in [CREAT, TRUNC] {
            assert_eq!(guest.open_with(ROOT, "file", oflags, READ, 0), Err(Errno::Perm));
            assert_eq!(guest.open_with(ROOT, "new", oflags, READ, 0), Err(Errno::Perm));
        }
        for name in ["path_create_directory", "path_remove_directory", "path_unlink_file"] {
            assert_eq!(guest.at(name, ROOT, "sub/deep"), Err(Errno::Perm), "{name}");
        }
        assert_eq!(guest.symlink("x", ROOT, "new"), Err(Errno::Perm));
        assert_eq!(guest.link(ROOT, 0, "file", ROOT, "new"), Err(Errno::Perm));
        assert_eq!(guest.rename(ROOT, "file", ROOT, "new"), Err(Errno::Perm));
        assert_eq!(guest.set_times(ROOT, 0, "file", 1), Err(Errno::Perm));
        assert_eq!(guest.call("fd_filestat_set_times", &[ROOT.into(), 0, 0, 2]), Err(Errno::Perm));
        // The same through a directory opened beneath.
        let sub = guest.open("sub").expect("opened");
        assert_eq!(guest.at("path_unlink_file", sub, "file"), Err(Errno::Perm));
        assert_eq!(guest.open_with(sub, "file", 0, WRITE, 0), Err(Errno::Perm));
        assert_eq!(listing(&dir), before);
    }
}

#[test]
fn read_only_files_in_a_changeable_directory_keep_their_contents() {
    let (_, dir) = tree();
    let mut guest = Guest::with_preopens(&[(&dir.path().join("inside"), 3, 1)]);
    assert_eq!(guest.open_with(ROOT, "file", TRUNC, READ, 0), Err(Errno::Perm));
    assert_eq!(guest.open_with(ROOT, "file", 0, WRITE, 0), Err(Errno::Perm));
    assert_eq!(guest.open_with(ROOT, "new", CREAT, READ, 0), Err(Errno::Perm));
    let fd = guest.open("file").expect("opened");
    assert_eq!(guest.call("fd_filestat_set_size", &[fd.into(), 0]), Err(Errno::Perm));
    assert_eq!(guest.call("fd_filestat_set_times", &[fd.into(), 0, 0, 2]), Err(Errno::Perm));
    assert_eq!(guest.at("path_create_directory", ROOT, "new"), Ok(()));
    assert_eq!(std::fs::read(dir.path().join("inside/file")).expect("read"), b"text");
}

#[test]
fn write_only_permissions_show_nothing() {
    let (_, dir) = tree();
    let inside = dir.path().join("inside");
    let mut guest = Guest::with_preopens(&[(&inside, 2, 3)]);
    assert_eq!(guest.open("file"), Err(Errno::Perm));
    assert_eq!(guest.open("sub"), Err(Errno::Perm));
    assert_eq!(guest.readdir(ROOT, 100, 0), Err(Errno::Perm));
    assert_eq!(guest.stat(ROOT, "file", 0), Err(Errno::Perm));
    assert_eq!(guest.readlink(ROOT, "link", 100), Err(Errno::Perm));
    assert_eq!(guest.at("path_unlink_file", ROOT, "link"), Ok(()));
    let mut guest = Guest::with_preopens(&[(&inside, 3, 2)]);
    assert_eq!(guest.open("file"), Err(Errno::Perm));
    assert_eq!(guest.open_with(ROOT, "file", 0, READ | WRITE, 0), Err(Errno::Perm));
    assert!(guest.open("sub").is_ok());
    assert!(guest.open_with(ROOT, "file", 0, WRITE, 0).is_ok());
    let mut guest = Guest::with_preopens(&[(&inside, 0, 0)]);
    assert_eq!(guest.open("file"), Err(Errno::Perm));
}

#[test]
fn nothing_gains_permissions_by_changing_its_directory() {
    let (_, dir) = tree();
    let inside = dir.path().join("inside");
    let free = dir.path().join("free");
    std::fs::create_dir(&free).expect("created");
    let before = listing(&dir);
    // The first preopen's files may only be read; the second's may be written.
    let mut guest = Guest::with_preopens(&[(&inside, 3, 1), (&free, 3, 3)]);
    let (kept, open) = (ROOT, ROOT + 1);
    assert_eq!(guest.rename(kept, "file", open, "file"), Err(Errno::Perm));
    assert_eq!(guest.rename(kept, "sub", open, "sub"), Err(Errno::Perm));
    assert_eq!(guest.link(kept, 0, "file", open, "file"), Err(Errno::Perm));
    assert_eq!(listing(&dir), before);
    // The other way gives permissions up, which is allowed.
    let fd = guest.open_with(open, "mine", CREAT, WRITE, 0).expect("created");
    assert_eq!(guest.write(fd, "x"), Ok(1));
    assert_eq!(guest.rename(open, "mine", kept, "mine"), Ok(()));
    assert_eq!(guest.open_with(kept, "mine", 0, WRITE, 0), Err(Errno::Perm));
    // A read-only directory can't lose anything either.
    let mut guest = Guest::with_preopens(&[(&inside, 1, 1), (&free, 1, 1), (&free, 3, 3)]);
    assert_eq!(guest.rename(ROOT, "file", ROOT + 2, "file"), Err(Errno::Perm));
    assert_eq!(guest.link(ROOT, 0, "file", ROOT + 2, "file"), Err(Errno::Perm));
    assert_eq!(guest.rename(ROOT + 2, "x", ROOT, "x"), Err(Errno::Perm));
}

#[test]
fn two_directories_both_need_their_rights() {
    let (mut guest, _dir) = tree();
    let sub = guest.open_with(ROOT, "sub", DIRECTORY, READ, 0).expect("opened");
    let (_, _, all, inheriting) = guest.fdstat(sub).expect("open");
    let (link_source, link_target, rename_source, rename_target) = (1 << 11, 1 << 12, 1 << 16, 1 << 17);
    assert_eq!(guest.set_rights(sub, all & !link_source & !rename_source, inheriting), Ok(()));
    assert_eq!(guest.rename(sub, "file", ROOT, "moved"), Err(Errno::Notcapable));
    assert_eq!(guest.link(sub, 0, "file", ROOT, "linked"), Err(Errno::Notcapable));
    assert_eq!(guest.link(ROOT, 0, "file", sub, "linked"), Ok(()));
    let rights = all & !link_source & !rename_source & !link_target & !rename_target;
    assert_eq!(guest.set_rights(sub, rights, inheriting), Ok(()));
    assert_eq!(guest.rename(ROOT, "file", sub, "moved"), Err(Errno::Notcapable));
    assert_eq!(guest.link(ROOT, 0, "file", sub, "linked2"), Err(Errno::Notcapable));
}

#[test]
fn each_call_by_name_needs_its_right() {
    let (mut guest, _dir) = tree();
    let (_, _, all, inheriting) = guest.fdstat(ROOT).expect("open");
    let drop_one = |guest: &mut Guest, bit: u32| {
        let sub = guest.open_with(ROOT, ".", DIRECTORY, READ, 0).expect("opened");
        assert_eq!(guest.set_rights(sub, all & !(1 << bit), inheriting), Ok(()));
        sub
    };
    for (bit, name) in [(9, "path_create_directory"), (25, "path_remove_directory"), (26, "path_unlink_file")] {
        let dir = drop_one(&mut guest, bit);
        assert_eq!(guest.at(name, dir, "nope"), Err(Errno::Notcapable), "{name}");
    }
    let dir = drop_one(&mut guest, 13);
    assert_eq!(guest.open_with(dir, "file", 0, READ, 0), Err(Errno::Notcapable));
    let dir = drop_one(&mut guest, 14);
    assert_eq!(guest.readdir(dir, 100, 0), Err(Errno::Notcapable));
    let dir = drop_one(&mut guest, 15);
    assert_eq!(guest.readlink(dir, "link", 100), Err(Errno::Notcapable));
    let dir = drop_one(&mut guest, 18);
    assert_eq!(guest.stat(dir, "file", 0), Err(Errno::Notcapable));
    let dir = drop_one(&mut guest, 20);
    assert_eq!(guest.set_times(dir, 0, "file", 1), Err(Errno::Notcapable));
    let dir = drop_one(&mut guest, 24);
    assert_eq!(guest.symlink("x", dir, "new"), Err(Errno::Notcapable));
}

/// Every path below `dir`, with the contents of files.
fn listing(dir: &TempDir) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.path().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("readable") {
            let path = entry.expect("readable").path();
            let kind = path.symlink_metadata().expect("there").file_type();
            if kind.is_dir() {
                dirs.push(path.clone());
            }
            let contents = if kind.is_file() { std::fs::read(&path).expect("readable") } else { Vec::new() };
            found.push((path, contents));
        }
    }
    found.sort();
    found
}
