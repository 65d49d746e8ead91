//! Listing directories through buffers of every size.

mod support;

use ampoule_wasi::p1::Errno;
use support::{Guest, ROOT};

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    next: u64,
    kind: u8,
    name: String,
}

/// The whole entries in what `fd_readdir` wrote.
fn entries(mut bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    while bytes.len() >= 24 {
        let next = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
        let len = u32::from_le_bytes(bytes[16..20].try_into().expect("four bytes")) as usize;
        let Some(name) = bytes.get(24..24 + len) else { break };
        entries.push(Entry { next, kind: bytes[20], name: String::from_utf8(name.to_vec()).expect("text") });
        bytes = &bytes[24 + len..];
    }
    entries
}

/// Lists as a C library does: reads a buffer, uses its whole entries, goes on from the last cookie, and takes a buffer
/// that isn't full for the end.
fn list(guest: &mut Guest, buffer_len: u32) -> Vec<Entry> {
    let (mut cookie, mut all) = (0, Vec::new());
    loop {
        let bytes = guest.readdir(ROOT, buffer_len, cookie).expect("listed");
        let whole = entries(&bytes);
        assert!(!whole.is_empty() || bytes.len() < buffer_len as usize, "an entry that never fits");
        cookie = whole.last().map_or(cookie, |entry| entry.next);
        all.extend(whole);
        if bytes.len() < buffer_len as usize {
            return all;
        }
    }
}

#[test]
fn every_buffer_size_shows_the_same_entries() {
    let (mut guest, dir) = Guest::with_dir();
    for index in 0..100 {
        std::fs::write(dir.path().join(format!("{}{index}", "n".repeat(index % 30))), "").expect("written");
    }
    std::fs::create_dir(dir.path().join("dir")).expect("created");
    std::os::unix::fs::symlink("x", dir.path().join("link")).expect("linked");
    let all = list(&mut guest, 60_000);
    assert_eq!(all.len(), 104);
    assert_eq!((all[0].name.as_str(), all[0].kind), (".", 3));
    assert_eq!((all[1].name.as_str(), all[1].kind), ("..", 3));
    assert!(all.iter().enumerate().all(|(index, entry)| entry.next == index as u64 + 1));
    assert!(all.iter().any(|entry| entry.name == "dir" && entry.kind == 3));
    assert!(all.iter().any(|entry| entry.name == "link" && entry.kind == 7));
    for buffer_len in [60, 61, 64, 100, 128, 500, 1000, 4096] {
        assert_eq!(list(&mut guest, buffer_len), all, "{buffer_len}");
    }
}

#[test]
fn a_short_buffer_is_filled_to_the_last_byte() {
    let (mut guest, dir) = Guest::with_dir();
    std::fs::write(dir.path().join("name"), "").expect("written");
    let all = guest.readdir(ROOT, 1000, 0).expect("listed");
    assert_eq!(all.len(), 25 + 26 + 28);
    for buffer_len in 0..all.len() as u32 {
        assert_eq!(guest.readdir(ROOT, buffer_len, 0).expect("listed"), all[..buffer_len as usize]);
    }
    assert_eq!(guest.readdir(ROOT, 1000, 3), Ok(vec![]));
    assert_eq!(guest.readdir(ROOT, 1000, u64::MAX), Ok(vec![]));
}

#[test]
fn removing_what_was_listed_skips_nothing() {
    let (mut guest, dir) = Guest::with_dir();
    for index in 0..300 {
        std::fs::write(dir.path().join(format!("{index}")), "").expect("written");
    }
    let (mut cookie, mut seen) = (0, 0);
    loop {
        let bytes = guest.readdir(ROOT, 200, cookie).expect("listed");
        for entry in entries(&bytes) {
            cookie = entry.next;
            if entry.name != "." && entry.name != ".." {
                assert_eq!(guest.at("path_unlink_file", ROOT, &entry.name), Ok(()));
                seen += 1;
            }
        }
        if bytes.len() < 200 {
            break;
        }
    }
    assert_eq!(seen, 300);
}

#[test]
fn two_descriptors_list_apart() {
    let (mut guest, dir) = Guest::with_dir();
    for name in ["a", "b", "c"] {
        std::fs::write(dir.path().join(name), "").expect("written");
    }
    let other = guest.open(".").expect("opened");
    let first = guest.readdir(ROOT, 60, 0).expect("listed");
    assert_eq!(guest.readdir(other, 60, 0).expect("listed"), first);
    let rest = guest.readdir(ROOT, 1000, 2).expect("listed");
    assert_eq!(guest.readdir(other, 1000, 2).expect("listed"), rest);
    assert_eq!(entries(&rest).len(), 3);
}

#[test]
fn a_name_that_is_not_text_is_an_error() {
    use std::os::unix::ffi::OsStrExt;
    let (mut guest, dir) = Guest::with_dir();
    std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "").expect("written");
    assert_eq!(guest.readdir(ROOT, 1000, 0), Err(Errno::Ilseq));
}
