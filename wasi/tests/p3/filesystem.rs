//! `wasi:filesystem`: what a guest does beneath its preopens, and what it can't.

use crate::memory_fs::{MemoryFs, ROOT_NODE};
use crate::support::{Guest, instantiate, pair};
use ampoule::{Config, Engine, Features};
use ampoule_component::streams::StreamReader;
use ampoule_component::{Val, ValRef};
use ampoule_wasi::{DirPerms, FilePerms, Volume, WasiConfig};
use std::os::unix::fs::symlink;
use tempfile::TempDir;

struct Files {
    guest: Guest,
    root: Val,
}

fn files_of(config: WasiConfig) -> Files {
    let mut guest = Guest::new(config);
    let mut preopens = guest.call("preopens#get-directories", &[]).take_list().expect("a list").into_vec();
    let (root, name) = pair(preopens.remove(0));
    assert_eq!(name, Val::from("/"));
    Files { guest, root }
}

/// A guest with this directory, and these permissions beneath.
fn files_in(dir: &TempDir, dir_perms: DirPerms, file_perms: FilePerms) -> Files {
    let mut config = WasiConfig::new();
    config.preopen_dir(dir.path(), "/", dir_perms, file_perms).unwrap();
    files_of(config)
}

/// Makes claims about directories of the host's, and of an embedder's.
fn each(claims: impl Fn(Files)) {
    let dir = tempfile::tempdir().unwrap();
    claims(files_in(&dir, DirPerms::ALL, FilePerms::ALL));
    let mut config = WasiConfig::new();
    let volume = Volume::new(MemoryFs::default());
    config.preopen_virtual_dir(volume, ROOT_NODE, "/", DirPerms::ALL, FilePerms::ALL).unwrap();
    claims(files_of(config));
}

fn flags(names: &[&str]) -> Val {
    Val::flags(names.iter().copied())
}

fn text(text: &str) -> Val {
    Val::from(text)
}

impl Files {
    fn on(&mut self, handle: &Val, name: &str, args: &[Val]) -> Result<Val, String> {
        let args: Vec<Val> = std::iter::once(handle.clone()).chain(args.iter().cloned()).collect();
        self.guest.result(&format!("filesystem/types#descriptor.{name}"), &args)
    }

    fn root(&mut self, name: &str, args: &[Val]) -> Result<Val, String> {
        let root = self.root.clone();
        self.on(&root, name, args)
    }

    fn open(&mut self, path: &str, open: &[&str], how: &[&str]) -> Result<Val, String> {
        self.root("open-at", &[flags(&["symlink-follow"]), text(path), flags(open), flags(how)])
    }

    /// Writes this: gives how many bytes were taken, and how the stream has ended.
    fn write(&mut self, file: &Val, name: &str, offset: Option<u64>, bytes: &[u8]) -> (usize, Option<String>) {
        let (mut writer, reader) = self.guest.stream();
        let mut args = vec![file.clone(), reader];
        args.extend(offset.map(Val::from));
        let mut future = self.guest.call(&format!("filesystem/types#descriptor.{name}"), &args);
        let written = self.guest.write_all(&mut writer, bytes);
        drop(writer);
        (written, self.guest.ending(&mut future))
    }

    fn read(&mut self, file: &Val, offset: u64) -> (Vec<u8>, Option<String>) {
        let args = [file.clone(), Val::from(offset)];
        let (mut stream, mut future) = pair(self.guest.call("filesystem/types#descriptor.read-via-stream", &args));
        (self.guest.read_all(&mut stream), self.guest.ending(&mut future))
    }

    /// What is in a directory, sorted.
    fn list(&mut self, dir: &Val) -> (Vec<(String, String)>, Option<String>) {
        let (mut stream, mut future) =
            pair(self.guest.call("filesystem/types#descriptor.read-directory", &[dir.clone()]));
        let mut reader = StreamReader::from_val(&mut stream).expect("a stream");
        let entries = self.guest.read_vals(&mut reader, usize::MAX);
        let mut entries: Vec<_> = entries.iter().map(entry).collect();
        entries.sort();
        (entries, self.guest.ending(&mut future))
    }

    fn field(&mut self, handle: &Val, name: &str) -> Val {
        let stat = self.on(handle, "stat", &[]).expect("it has attributes");
        let ValRef::Record(fields) = stat.get() else { panic!("{stat:?}") };
        fields.iter().find(|field| field.name.as_slice() == name.as_bytes()).expect("a field").val.clone()
    }
}

/// Name and type of an entry.
fn entry(val: &Val) -> (String, String) {
    let ValRef::Record([ty, name]) = val.get() else { panic!("{val:?}") };
    match (ty.val.get(), name.val.get()) {
        (ValRef::Variant(ty, _), ValRef::String(name)) => {
            (String::from_utf8_lossy(name).into_owned(), String::from_utf8_lossy(ty).into_owned())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_are_written_and_read_by_streams() {
    each(|mut files| {
        let file = files.open("file", &["create", "exclusive"], &["read", "write"]).unwrap();
        assert_eq!(files.write(&file, "write-via-stream", Some(2), b"cdef"), (4, None));
        assert_eq!(files.write(&file, "write-via-stream", Some(0), b"ab"), (2, None));
        assert_eq!(files.write(&file, "append-via-stream", None, b"gh"), (2, None));
        assert_eq!(files.read(&file, 0), (b"abcdefgh".to_vec(), None));
        assert_eq!(files.read(&file, 6), (b"gh".to_vec(), None));
        assert_eq!(files.read(&file, 100), (Vec::new(), None));
        assert_eq!(files.field(&file, "size"), Val::from(8u64));
        files.on(&file, "set-size", &[Val::from(3u64)]).unwrap();
        assert_eq!(files.read(&file, 0), (b"abc".to_vec(), None));
        for name in ["sync", "sync-data"] {
            files.on(&file, name, &[]).unwrap();
        }
        files.on(&file, "advise", &[Val::from(0u64), Val::from(0u64), Val::enumeration("sequential")]).unwrap();
        assert_eq!(files.on(&file, "get-flags", &[]), Ok(flags(&["read", "write"])));
        assert_eq!(files.on(&file, "get-type", &[]), Ok(Val::variant("regular-file", None)));
        assert_eq!(files.open("file", &["create", "exclusive"], &["read"]), Err("exist".into()));
    });
}

#[test]
fn large_files_go_through_whole() {
    each(|mut files| {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|at| (at % 253) as u8).collect();
        let file = files.open("file", &["create"], &["read", "write"]).unwrap();
        assert_eq!(files.write(&file, "write-via-stream", Some(0), &bytes), (bytes.len(), None));
        let (read, ending) = files.read(&file, 0);
        assert!(read == bytes);
        assert_eq!(ending, None);
    });
}

#[test]
fn a_stream_outlives_the_descriptor_that_it_was_made_of() {
    each(|mut files| {
        let file = files.open("file", &["create"], &["read", "write"]).unwrap();
        assert_eq!(files.write(&file, "write-via-stream", Some(0), b"bytes"), (5, None));
        let args = [file.clone(), Val::from(0u64)];
        let (mut stream, mut future) = pair(files.guest.call("filesystem/types#descriptor.read-via-stream", &args));
        files.guest.drop(&file);
        assert_eq!(files.guest.read_all(&mut stream), b"bytes");
        assert_eq!(files.guest.ending(&mut future), None);
    });
}

#[test]
fn what_was_not_opened_so_is_told_by_the_ending() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "text").unwrap();
    let mut files = files_in(&dir, DirPerms::ALL, FilePerms::ALL);
    let bad = Some("bad-descriptor".to_owned());
    let read_only = files.open("file", &[], &["read"]).unwrap();
    assert_eq!(files.write(&read_only, "write-via-stream", Some(0), b"x"), (0, bad.clone()));
    assert_eq!(files.write(&read_only, "append-via-stream", None, b"x"), (0, bad.clone()));
    let write_only = files.open("file", &[], &["write"]).unwrap();
    assert_eq!(files.read(&write_only, 0), (Vec::new(), bad.clone()));
    let root = files.root.clone();
    assert_eq!(files.read(&root, 0), (Vec::new(), bad));
    assert_eq!(files.list(&read_only), (Vec::new(), Some("not-directory".to_owned())));
}

#[test]
fn directories_are_made_listed_and_changed() {
    each(|mut files| {
        files.root("create-directory-at", &[text("d")]).unwrap();
        let dir = files.open("d", &["directory"], &["read", "mutate-directory"]).unwrap();
        assert_eq!(files.on(&dir, "get-type", &[]), Ok(Val::variant("directory", None)));
        files.open("d/f", &["create"], &["write"]).unwrap();
        files.on(&dir, "symlink-at", &[text("f"), text("l")]).unwrap();
        assert_eq!(files.on(&dir, "readlink-at", &[text("l")]), Ok(text("f")));
        let listed = vec![("f".to_owned(), "regular-file".to_owned()), ("l".to_owned(), "symbolic-link".to_owned())];
        assert_eq!(files.list(&dir), (listed, None));
        files.on(&dir, "link-at", &[flags(&[]), text("f"), dir.clone(), text("g")]).unwrap();
        files.on(&dir, "rename-at", &[text("g"), files.root.clone(), text("h")]).unwrap();
        let f = files.open("d/f", &[], &["read"]).unwrap();
        let h = files.open("h", &[], &["read"]).unwrap();
        let same = |files: &mut Files, a: &Val, b: &Val| {
            files.guest.call("filesystem/types#descriptor.is-same-object", &[a.clone(), b.clone()])
        };
        assert_eq!(same(&mut files, &f, &h), Val::from(true));
        assert_eq!(same(&mut files, &f, &dir), Val::from(false));
        let hash = files.on(&f, "metadata-hash", &[]).unwrap();
        assert_eq!(files.root("metadata-hash-at", &[flags(&[]), text("h")]), Ok(hash));
        let stat = files.on(&dir, "stat-at", &[flags(&[]), text("l")]).unwrap();
        let ValRef::Record(fields) = stat.get() else { panic!("{stat:?}") };
        assert_eq!(fields[0].val, Val::variant("symbolic-link", None));
        for name in ["d/f", "d/l", "h"] {
            files.root("unlink-file-at", &[text(name)]).unwrap();
        }
        assert_eq!(files.root("remove-directory-at", &[text("missing")]), Err("no-entry".into()));
        files.root("remove-directory-at", &[text("d")]).unwrap();
        assert_eq!(files.open("d", &[], &["read"]), Err("no-entry".into()));
    });
}

#[test]
fn times_are_set_and_read() {
    each(|mut files| {
        let file = files.open("file", &["create"], &["write"]).unwrap();
        let instant = |seconds: i64| Val::record([("seconds", Val::from(seconds)), ("nanoseconds", Val::from(5u32))]);
        let at = |seconds: i64| Val::variant("timestamp", Some(instant(seconds)));
        files.on(&file, "set-times", &[at(1000), at(2000)]).unwrap();
        assert_eq!(files.field(&file, "data-access-timestamp"), Val::option(Some(instant(1000))));
        assert_eq!(files.field(&file, "data-modification-timestamp"), Val::option(Some(instant(2000))));
        let keep = Val::variant("no-change", None);
        files.root("set-times-at", &[flags(&[]), text("file"), keep.clone(), at(3000)]).unwrap();
        assert_eq!(files.field(&file, "data-access-timestamp"), Val::option(Some(instant(1000))));
        assert_eq!(files.field(&file, "data-modification-timestamp"), Val::option(Some(instant(3000))));
        assert_eq!(files.on(&file, "set-times", &[at(-1), keep.clone()]), Err("overflow".into()));
        assert_eq!(files.on(&file, "set-times", &[keep, at(i64::MAX)]), Err("overflow".into()));
    });
}

#[test]
fn a_long_directory_is_listed_as_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..500 {
        std::fs::write(dir.path().join(format!("file-{number}")), "").unwrap();
    }
    let mut files = files_in(&dir, DirPerms::ALL, FilePerms::ALL);
    let root = files.root.clone();
    assert_eq!(files.list(&root).0.len(), 500);
    // Dropped midway, it has ended well.
    let (mut stream, mut future) = pair(files.guest.call("filesystem/types#descriptor.read-directory", &[root]));
    let mut reader = StreamReader::from_val(&mut stream).unwrap();
    assert_eq!(files.guest.read_vals(&mut reader, 10).len(), 10);
    drop(reader);
    assert_eq!(files.guest.ending(&mut future), None);
}

#[test]
fn permissions_and_paths_bound_the_guest_as_in_other_versions() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "text").unwrap();
    symlink("/etc", dir.path().join("out")).unwrap();
    let mut files = files_in(&dir, DirPerms::READ, FilePerms::READ);
    let refused: Result<Val, String> = Err("not-permitted".into());
    assert_eq!(files.open("file", &[], &["write"]), refused);
    assert_eq!(files.open("new", &["create"], &["write"]), refused);
    assert_eq!(files.open(".", &[], &["mutate-directory"]), refused);
    assert_eq!(files.root("create-directory-at", &[text("d")]), refused);
    assert_eq!(files.root("unlink-file-at", &[text("file")]), refused);
    for path in ["..", "/etc/passwd", "out/passwd", "../x"] {
        assert_eq!(files.open(path, &[], &["read"]), refused, "{path}");
    }
    assert_eq!(files.open("a\0b", &[], &["read"]), Err("invalid".into()));
    assert_eq!(files.open(&"x".repeat(5000), &[], &["read"]), Err("name-too-long".into()));
    let file = files.open("file", &[], &["read"]).unwrap();
    assert_eq!(files.on(&file, "set-size", &[Val::from(0u64)]), refused);

    let mut files = files_in(&dir, DirPerms::WRITE, FilePerms::READ);
    let root = files.root.clone();
    assert_eq!(files.list(&root), (Vec::new(), Some("not-permitted".to_owned())));
}

#[test]
fn descriptors_have_a_budget() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = WasiConfig::new();
    config.preopen_dir(dir.path(), "/", DirPerms::ALL, FilePerms::ALL).unwrap();
    config.max_fds(10);
    let mut files = files_of(config);
    let mut open = Vec::new();
    while let Ok(file) = files.open("file", &["create"], &["read"]) {
        open.push(file);
    }
    assert!((5..=10).contains(&open.len()), "{}", open.len());
    assert_eq!(files.open("file", &[], &["read"]), Err("insufficient-memory".into()));
    // A stream holds its file open.
    let (stream, future) =
        pair(files.guest.call("filesystem/types#descriptor.read-via-stream", &[open[0].clone(), Val::from(0u64)]));
    files.guest.drop(&open[0]);
    assert_eq!(files.open("file", &[], &["read"]), Err("insufficient-memory".into()));
    drop((stream, future));
    files.guest.call("monotonic-clock#now", &[]);
    files.open("file", &[], &["read"]).expect("the stream has gone");
}

/// A guest that reads the entries of its first directory, so many at a time, into its own memory: gives how many there are, and 1,000 times
/// the bytes of all their names.
const LISTS: &str = r#"(component
    (import "wasi:filesystem/types@0.3.0" (instance $types
        (export "descriptor" (type $descriptor (sub resource)))
        (type $type' (variant (case "directory") (case "regular-file")))
        (export "descriptor-type" (type $type (eq $type')))
        (type $error' (variant (case "io") (case "other" (option string))))
        (export "error-code" (type $error (eq $error')))
        (type $entry' (record (field "type" $type) (field "name" string)))
        (export "directory-entry" (type $entry (eq $entry')))
        (type $entries (stream $entry))
        (type $ending (future (result (error $error))))
        (export "[method]descriptor.read-directory" (func
            (param "self" (borrow $descriptor)) (result (tuple $entries $ending))))))
    (alias export $types "descriptor" (type $descriptor))
    (alias export $types "directory-entry" (type $entry))
    (import "wasi:filesystem/preopens@0.3.0" (instance $preopens
        (alias outer 1 $descriptor (type $descriptor'))
        (export "descriptor" (type $descriptor (eq $descriptor')))
        (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
    (core module $libc
        (memory (export "memory") 16)
        (global $next (mut i32) (i32.const 65536))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $next)
            (global.set $next (i32.and
                (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7)) (i32.const -8)))))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))
    (type $entries (stream $entry))
    (core func $directories (canon lower (func $preopens "get-directories") (memory $memory) (realloc $realloc)))
    (core func $list (canon lower (func $types "[method]descriptor.read-directory") (memory $memory)))
    (core func $read (canon stream.read $entries (memory $memory) (realloc $realloc)))
    (core module $m
        (import "" "memory" (memory 1))
        (import "" "directories" (func $directories (param i32)))
        (import "" "list" (func $list (param i32 i32)))
        (import "" "read" (func $read (param i32 i32 i32) (result i32)))
        (func (export "count") (param $at-once i32) (result i32)
            (local $got i32) (local $at i32) (local $sum i32)
            (call $directories (i32.const 0))
            (call $list (i32.load (i32.load (i32.const 0))) (i32.const 16))
            (loop $more
                (local.set $got (call $read (i32.load (i32.const 16)) (i32.const 1024) (local.get $at-once)))
                (local.set $at (i32.const 1024))
                (local.set $sum (i32.add (local.get $sum) (i32.shr_u (local.get $got) (i32.const 4))))
                (block $end (loop $next
                    ;; Type, pointer, length: 12 bytes.
                    (br_if $end (i32.ge_u (i32.div_u (i32.sub (local.get $at) (i32.const 1024)) (i32.const 12))
                        (i32.shr_u (local.get $got) (i32.const 4))))
                    (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 1)) (then unreachable))
                    (local.set $sum (i32.add (local.get $sum)
                        (i32.mul (i32.load offset=8 (local.get $at)) (i32.const 1000))))
                    (local.set $at (i32.add (local.get $at) (i32.const 12)))
                    (br $next)))
                (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))
            (local.get $sum)))
    (core instance $m (instantiate $m (with "" (instance
        (export "memory" (memory $memory)) (export "directories" (func $directories))
        (export "list" (func $list)) (export "read" (func $read))))))
    (func (export "count") async (param "at-once" u32) (result u32) (canon lift (core func $m "count"))))"#;

#[test]
fn entries_are_read_into_the_guest_s_memory() {
    let dir = tempfile::tempdir().unwrap();
    for number in 100..400 {
        std::fs::write(dir.path().join(format!("file-{number}")), "").unwrap();
    }
    let features = Features { component_model_more_async_builtins: true, ..Features::default() };
    let engine = Engine::new(&Config { features, ..Config::default() }).unwrap();
    for at_once in [1u32, 7, 1000] {
        let mut config = WasiConfig::new();
        config.preopen_dir(dir.path(), "/", DirPerms::ALL, FilePerms::ALL).unwrap();
        let (mut store, instance) = instantiate(&engine, LISTS, Some(config));
        let count = instance.get_func(&mut store, &["count"]).unwrap().unwrap();
        let mut counted = [Val::default()];
        count.call(&mut store, &[Val::from(at_once)], &mut counted).unwrap();
        assert_eq!(counted[0], Val::from(300u32 + 300 * 8 * 1000), "{at_once} at once");
    }
}
