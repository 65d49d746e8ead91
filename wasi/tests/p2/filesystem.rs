//! `wasi:filesystem`: what a guest does beneath its preopens, and what it can't.

use crate::support::{Guest, bytes_of, list_of};
use ampoule_component::{Val, ValRef};
use ampoule_wasi::{DirPerms, FilePerms, WasiConfig};
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

const NONE: [&str; 0] = [];

/// A guest with these directories preopened, with the bits of their permissions; and the handles of them.
fn with_preopens(dirs: &[(&Path, u64, u64)]) -> (Guest, Vec<Val>) {
    let mut config = WasiConfig::new();
    for (path, dir_perms, file_perms) in dirs {
        let dir_perms = DirPerms::from_bits(*dir_perms).unwrap();
        config.preopen_dir(path, "/", dir_perms, FilePerms::from_bits(*file_perms).unwrap()).unwrap();
    }
    let mut guest = Guest::new(config);
    let preopens = guest.call("preopens#get-directories", &[]);
    let ValRef::List(preopens) = preopens.get() else { panic!("a list") };
    let handle = |preopen: &Val| match preopen.get() {
        ValRef::Tuple([handle, name]) => {
            assert_eq!(*name, Val::from("/"));
            handle.clone()
        }
        other => panic!("{other:?}"),
    };
    let handles = preopens.iter().map(handle).collect();
    (guest, handles)
}

struct Files {
    guest: Guest,
    root: Val,
    dir: TempDir,
}

/// A guest with a fresh directory that it may use for everything.
fn files() -> Files {
    let dir = tempfile::tempdir().unwrap();
    let (guest, mut handles) = with_preopens(&[(dir.path(), 3, 3)]);
    Files { guest, root: handles.remove(0), dir }
}

type Answer = Result<Option<Val>, Option<Val>>;

fn error(name: &str) -> Answer {
    Err(Some(Val::enumeration(name)))
}

const FOLLOW: [&str; 1] = ["symlink-follow"];

impl Files {
    fn on(&mut self, handle: &Val, name: &str, args: &[Val]) -> Answer {
        let args: Vec<Val> = std::iter::once(handle.clone()).chain(args.iter().cloned()).collect();
        self.guest.result(&format!("filesystem/types#{name}"), &args)
    }

    fn root(&mut self, name: &str, args: &[Val]) -> Answer {
        let root = self.root.clone();
        self.on(&root, &format!("descriptor.{name}"), args)
    }

    fn open_with(&mut self, path: &str, follow: bool, open: &[&str], flags: &[&str]) -> Answer {
        let follow = if follow { Val::flags(FOLLOW) } else { Val::flags(NONE) };
        self.root("open-at", &[follow, Val::from(path), Val::flags(open), Val::flags(flags)])
    }

    fn open(&mut self, path: &str, open: &[&str], flags: &[&str]) -> Val {
        self.open_with(path, true, open, flags).unwrap_or_else(|error| panic!("{path}: {error:?}")).unwrap()
    }

    fn stat(&mut self, path: &str, follow: bool) -> Result<(String, u64), Option<Val>> {
        let follow = if follow { Val::flags(FOLLOW) } else { Val::flags(NONE) };
        self.root("stat-at", &[follow, Val::from(path)]).map(|stat| type_and_size(&stat.unwrap()))
    }
}

fn type_and_size(stat: &Val) -> (String, u64) {
    let ValRef::Record(fields) = stat.get() else { panic!("{stat:?}") };
    match (fields[0].val.get(), fields[2].val.get()) {
        (ValRef::Enum(name), ValRef::U64(size)) => (String::from_utf8(name.to_vec()).unwrap(), size),
        other => panic!("{other:?}"),
    }
}

fn number(value: u64) -> Val {
    Val::from(value)
}

#[test]
fn a_file_is_written_and_read() {
    let mut files = files();
    let file = files.open("a", &["create"], &["read", "write"]);
    assert_eq!(files.on(&file, "descriptor.write", &[list_of(b"0123456789"), number(0)]), Ok(Some(number(10))));
    assert_eq!(files.on(&file, "descriptor.write", &[list_of(b"ab"), number(4)]), Ok(Some(number(2))));
    let read = |files: &mut Files, len, offset| {
        let answer = files.on(&file, "descriptor.read", &[number(len), number(offset)]).unwrap().unwrap();
        let ValRef::Tuple([bytes, end]) = answer.get() else { panic!("{answer:?}") };
        (bytes_of(bytes), *end == Val::from(true))
    };
    assert_eq!(read(&mut files, u64::MAX, 2), (b"23ab6789".to_vec(), false));
    assert_eq!(read(&mut files, 5, 10), (b"".to_vec(), true));
    assert_eq!(read(&mut files, 0, 0), (b"".to_vec(), false));
    assert_eq!(files.on(&file, "descriptor.read", &[number(1), number(u64::MAX)]), error("invalid"));
    assert_eq!(files.on(&file, "descriptor.set-size", &[number(3)]), Ok(None));
    for name in ["descriptor.sync", "descriptor.sync-data"] {
        assert_eq!(files.on(&file, name, &[]), Ok(None));
    }
    let advice = [number(0), number(0), Val::enumeration("will-need")];
    assert_eq!(files.on(&file, "descriptor.advise", &advice), Ok(None));
    assert_eq!(std::fs::read(files.dir.path().join("a")).unwrap(), b"012");
    assert_eq!(files.on(&file, "descriptor.get-type", &[]), Ok(Some(Val::enumeration("regular-file"))));
    assert_eq!(files.on(&file, "descriptor.get-flags", &[]), Ok(Some(Val::flags(["read", "write"]))));
    let stat = files.on(&file, "descriptor.stat", &[]).unwrap().unwrap();
    assert_eq!(type_and_size(&stat), ("regular-file".into(), 3));
}

#[test]
fn streams_of_a_file_have_their_own_places() {
    let mut files = files();
    let file = files.open("a", &["create"], &["read", "write"]);
    let stream = |files: &mut Files, name: &str, args: &[Val]| files.on(&file, name, args).unwrap().unwrap();
    let out = stream(&mut files, "descriptor.write-via-stream", &[number(2)]);
    let end = stream(&mut files, "descriptor.append-via-stream", &[]);
    let write = "streams#output-stream.blocking-write-and-flush";
    for (to, bytes) in [(&out, b"ab"), (&end, b"xy"), (&out, b"cd"), (&end, b"zz")] {
        files.guest.result(write, &[to.clone(), list_of(bytes)]).unwrap();
    }
    let input = stream(&mut files, "descriptor.read-via-stream", &[number(1)]);
    let other = stream(&mut files, "descriptor.read-via-stream", &[number(6)]);
    // A file may be closed before its streams.
    files.guest.drop(file).unwrap();
    let read = "streams#input-stream.read";
    assert_eq!(files.guest.ok(read, &[input.clone(), number(100)]), list_of(b"\0abcdzz"));
    assert_eq!(files.guest.ok(read, &[other.clone(), number(1)]), list_of(b"z"));
    assert_eq!(files.guest.err(read, &[input, number(1)]), "closed");
    assert_eq!(files.guest.ok("streams#input-stream.blocking-skip", &[other, number(9)]), number(1));
    let ValRef::U64(permitted) = files.guest.ok("streams#output-stream.check-write", &[out.clone()]).get() else {
        panic!("a number")
    };
    let big = list_of(&vec![1; permitted as usize]);
    files.guest.result("streams#output-stream.write", &[out, big]).unwrap();
    assert_eq!(files.stat("a", true), Ok(("regular-file".into(), 6 + permitted)));
}

#[test]
fn a_failed_stream_has_a_code() {
    let mut files = files();
    let file = files.open("a", &["create"], &["write"]);
    assert_eq!(files.on(&file, "descriptor.read-via-stream", &[number(0)]), error("bad-descriptor"));
    let out = files.on(&file, "descriptor.write-via-stream", &[number(u64::MAX)]).unwrap().unwrap();
    let write = "streams#output-stream.blocking-write-and-flush";
    let failed = files.guest.result(write, &[out, list_of(b"x")]).unwrap_err().unwrap();
    let ValRef::Variant(b"last-operation-failed", Some(cause)) = failed.get() else { panic!("{failed:?}") };
    let code = files.guest.call("filesystem/types#filesystem-error-code", &[cause.clone()]);
    assert_eq!(code, Val::option(Some(Val::enumeration("invalid"))));
}

#[test]
fn entries_are_listed_without_the_directory_itself() {
    let mut files = files();
    let mut names: Vec<String> = (0..200).map(|index| format!("file-{index:03}")).collect();
    for name in &names {
        std::fs::write(files.dir.path().join(name), "").unwrap();
    }
    std::fs::create_dir(files.dir.path().join("sub")).unwrap();
    names.push("sub".to_owned());
    for _ in 0..2 {
        let stream = files.root("read-directory", &[]).unwrap().unwrap();
        let mut found = Vec::new();
        loop {
            let entry = files.on(&stream, "directory-entry-stream.read-directory-entry", &[]).unwrap().unwrap();
            let ValRef::Option(entry) = entry.get() else { panic!("{entry:?}") };
            let Some(entry) = entry else { break };
            let ValRef::Record([filetype, name]) = entry.get() else { panic!("{entry:?}") };
            let ValRef::String(name) = name.val.get() else { panic!("a name") };
            let expected = if name == b"sub" { "directory" } else { "regular-file" };
            assert_eq!(filetype.val, Val::enumeration(expected));
            found.push(String::from_utf8(name.to_vec()).unwrap());
        }
        found.sort();
        assert_eq!(found, names);
    }
}

#[test]
fn directories_links_and_names_are_made_moved_and_removed() {
    let mut files = files();
    let path = |path: &str| Val::from(path);
    assert_eq!(files.root("create-directory-at", &[path("d")]), Ok(None));
    assert_eq!(files.root("create-directory-at", &[path("d")]), error("exist"));
    files.open("d/f", &["create", "exclusive"], &["write"]);
    assert_eq!(files.open_with("d/f", true, &["create", "exclusive"], &["write"]), error("exist"));
    let root = files.root.clone();
    assert_eq!(files.root("link-at", &[Val::flags(NONE), path("d/f"), root.clone(), path("hard")]), Ok(None));
    let followed = files.root("link-at", &[Val::flags(FOLLOW), path("d/f"), root.clone(), path("other")]);
    assert_eq!(followed, error("invalid"));
    assert_eq!(files.root("symlink-at", &[path("d/f"), path("soft")]), Ok(None));
    assert_eq!(files.root("readlink-at", &[path("soft")]), Ok(Some(path("d/f"))));
    assert_eq!(files.stat("soft", false).unwrap().0, "symbolic-link");
    assert_eq!(files.stat("soft", true).unwrap().0, "regular-file");
    assert_eq!(files.open_with("soft", false, &[], &["read"]), error("loop"));
    let (one, other) = (files.open("hard", &[], &["read"]), files.open("soft", &[], &["read"]));
    let same = |files: &mut Files, a: &Val, b: &Val| {
        files.guest.call("filesystem/types#descriptor.is-same-object", &[a.clone(), b.clone()])
    };
    assert_eq!(same(&mut files, &one, &other), Val::from(true));
    assert_eq!(same(&mut files, &one, &root), Val::from(false));
    let hash = files.on(&one, "descriptor.metadata-hash", &[]).unwrap();
    assert_eq!(files.root("metadata-hash-at", &[Val::flags(FOLLOW), path("soft")]), Ok(hash.clone()));
    assert_ne!(files.root("metadata-hash-at", &[Val::flags(NONE), path("soft")]), Ok(hash));
    assert_eq!(files.root("rename-at", &[path("hard"), root.clone(), path("d/g")]), Ok(None));
    assert_eq!(files.root("rename-at", &[path("hard"), root, path("d/g")]), error("no-entry"));
    assert_eq!(files.root("remove-directory-at", &[path("d")]), error("not-empty"));
    for name in ["d/f", "d/g", "soft"] {
        assert_eq!(files.root("unlink-file-at", &[path(name)]), Ok(None));
    }
    assert_eq!(files.root("unlink-file-at", &[path("d")]), error("is-directory"));
    assert_eq!(files.root("remove-directory-at", &[path("d/")]), Ok(None));
    assert_eq!(std::fs::read_dir(files.dir.path()).unwrap().count(), 0);
}

#[test]
fn times_are_set_and_have_bounds() {
    let mut files = files();
    let file = files.open("a", &["create"], &["write"]);
    let at = |seconds: u64| {
        let time = Val::record([("seconds", Val::from(seconds)), ("nanoseconds", Val::from(5u32))]);
        Val::variant("timestamp", Some(time))
    };
    let (keep, now) = (Val::variant("no-change", None), Val::variant("now", None));
    assert_eq!(files.on(&file, "descriptor.set-times", &[now, at(1_000)]), Ok(None));
    let modified = |files: &Files| std::fs::metadata(files.dir.path().join("a")).unwrap().modified().unwrap();
    let expected = std::time::UNIX_EPOCH + std::time::Duration::new(1_000, 5);
    assert_eq!(modified(&files), expected);
    let path = Val::from("a");
    let set = |files: &mut Files, times: [Val; 2]| {
        let [accessed, modified] = times;
        files.root("set-times-at", &[Val::flags(FOLLOW), path.clone(), accessed, modified])
    };
    assert_eq!(set(&mut files, [at(7), keep.clone()]), Ok(None));
    assert_eq!(modified(&files), expected);
    assert_eq!(set(&mut files, [keep, at(u64::MAX)]), error("overflow"));
}

#[test]
fn nothing_leads_out_of_a_preopen() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let mut files = files();
    let dir = files.dir.path().to_owned();
    symlink(outside.path(), dir.join("dir-link")).unwrap();
    symlink(outside.path().join("secret"), dir.join("file-link")).unwrap();
    symlink("..", dir.join("up")).unwrap();
    let outside_name = outside.path().file_name().unwrap().to_str().unwrap();
    let by_parent = format!("../{outside_name}/secret");
    let by_link = format!("up/{outside_name}/secret");
    let absolute = outside.path().join("secret").to_str().unwrap().to_owned();
    for path in [
        &*by_parent,
        &*by_link,
        &*absolute,
        "dir-link/secret",
        "file-link",
        "dir-link/",
        "up/",
        "..",
        "../",
        "/",
        "up/..",
    ] {
        for (open, flags) in [
            (&[][..], &["read"][..]),
            (&["directory"], &["read"]),
            (&["create"], &["write"]),
            (&["truncate"], &["write"]),
            (&["create", "truncate"], &["read", "write"]),
        ] {
            let opened = files.open_with(path, true, open, flags);
            // What ends in a slash can't be created as a file, wherever it is.
            let is_slash = path.ends_with('/') && open.contains(&"create") && opened == error("is-directory");
            assert!(is_slash || opened == error("not-permitted"), "{path} {open:?} {flags:?}: {opened:?}");
        }
        assert_eq!(files.stat(path, true).err(), error("not-permitted").err(), "{path}");
    }
    let root = files.root.clone();
    std::fs::write(dir.join("mine"), "mine").unwrap();
    for path in [&*by_parent, &*by_link, &*absolute, "dir-link/new", "../new"] {
        let path = Val::from(path);
        for (name, args) in [
            ("create-directory-at", vec![path.clone()]),
            ("unlink-file-at", vec![path.clone()]),
            ("remove-directory-at", vec![path.clone()]),
            ("readlink-at", vec![path.clone()]),
            ("symlink-at", vec![Val::from("mine"), path.clone()]),
            ("rename-at", vec![Val::from("mine"), root.clone(), path.clone()]),
            ("rename-at", vec![path.clone(), root.clone(), Val::from("stolen")]),
            ("link-at", vec![Val::flags(NONE), Val::from("mine"), root.clone(), path.clone()]),
            ("link-at", vec![Val::flags(NONE), path.clone(), root.clone(), Val::from("stolen")]),
        ] {
            assert_eq!(files.root(name, &args), error("not-permitted"), "{name} {path:?}");
        }
    }
    assert_eq!(files.root("symlink-at", &[Val::from(absolute), Val::from("link")]), error("not-permitted"));
    assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"secret");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_slash_at_the_end_means_a_directory() {
    let mut files = files();
    std::fs::write(files.dir.path().join("file"), "").unwrap();
    symlink("file", files.dir.path().join("link")).unwrap();
    for path in ["file/", "link/"] {
        for (open, flags) in [(&[][..], &["read"][..]), (&["create"], &["write"])] {
            let answer = files.open_with(path, true, open, flags);
            assert!(answer == error("not-directory") || answer == error("is-directory"), "{path}: {answer:?}");
        }
        assert_eq!(files.root("unlink-file-at", &[Val::from(path)]), error("not-directory"), "{path}");
    }
    assert!(files.dir.path().join("file").exists() && files.dir.path().join("link").is_symlink());
}

#[test]
fn paths_that_are_none_are_refused() {
    let mut files = files();
    for (path, code) in [
        ("", "no-entry"),
        ("a\0b", "invalid"),
        (&*"x".repeat(4096), "name-too-long"),
        (&*"x".repeat(300), "name-too-long"),
    ] {
        assert_eq!(files.open_with(path, true, &["create"], &["write"]), error(code));
        assert_eq!(files.root("create-directory-at", &[Val::from(path)]), error(code));
        assert_eq!(files.stat(path, true).err(), error(code).err());
    }
}

#[test]
fn a_read_only_preopen_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "content").unwrap();
    for (dir_perms, file_perms) in [(1, 1), (1, 3), (3, 1)] {
        let (guest, mut handles) = with_preopens(&[(dir.path(), dir_perms, file_perms)]);
        let mut files = Files { guest, root: handles.remove(0), dir: tempfile::tempdir().unwrap() };
        for (open, flags) in [
            (&[][..], &["write"][..]),
            (&["truncate"], &["read"]),
            (&["truncate"], &[]),
            (&["create"], &["read"]),
            (&["create", "truncate"], &["write"]),
        ] {
            assert_eq!(files.open_with("file", true, open, flags), error("not-permitted"), "{open:?} {flags:?}");
        }
        let file = files.open("file", &[], &["read"]);
        for (name, args) in [
            ("write", vec![list_of(b"x"), number(0)]),
            ("write-via-stream", vec![number(0)]),
            ("append-via-stream", vec![]),
        ] {
            assert_eq!(files.on(&file, &format!("descriptor.{name}"), &args), error("bad-descriptor"), "{name}");
        }
        assert!(files.on(&file, "descriptor.set-size", &[number(0)]).is_err());
        if dir_perms == 1 {
            let opened = files.open_with(".", true, &["directory"], &["read", "mutate-directory"]);
            assert_eq!(opened, error("not-permitted"));
            assert_eq!(files.root("create-directory-at", &[Val::from("d")]), error("not-permitted"));
            assert_eq!(files.root("unlink-file-at", &[Val::from("file")]), error("not-permitted"));
        }
    }
    assert_eq!(std::fs::read(dir.path().join("file")).unwrap(), b"content");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn moving_from_preopen_to_preopen_lifts_no_permission() {
    let (read_only, writable) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(read_only.path().join("file"), "content").unwrap();
    let (guest, handles) = with_preopens(&[(read_only.path(), 3, 1), (writable.path(), 3, 3)]);
    let mut files = Files { guest, root: handles[0].clone(), dir: tempfile::tempdir().unwrap() };
    let (from, to, target) = (Val::from("file"), handles[1].clone(), Val::from("mine"));
    assert_eq!(files.root("rename-at", &[from.clone(), to.clone(), target.clone()]), error("not-permitted"));
    assert_eq!(files.root("link-at", &[Val::flags(NONE), from, to, target]), error("not-permitted"));
}

#[test]
fn files_are_no_directories_and_directories_no_files() {
    let mut files = files();
    let file = files.open("a", &["create"], &["write"]);
    assert_eq!(files.on(&file, "descriptor.read-directory", &[]), error("not-directory"));
    assert_eq!(files.on(&file, "descriptor.create-directory-at", &[Val::from("d")]), error("not-directory"));
    for (name, args) in [
        ("read", vec![number(1), number(0)]),
        ("write", vec![list_of(b"x"), number(0)]),
        ("set-size", vec![number(0)]),
        ("read-via-stream", vec![number(0)]),
    ] {
        assert_eq!(files.root(name, &args), error("bad-descriptor"), "{name}");
    }
    for name in ["sync", "sync-data"] {
        assert_eq!(files.root(name, &[]), Ok(None));
    }
    let flags = Val::flags(["read", "mutate-directory"]);
    assert_eq!(files.root("get-flags", &[]), Ok(Some(flags)));
}

#[test]
fn a_guest_opens_only_so_many_files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let mut config = WasiConfig::new();
    config.preopen_dir(dir.path(), "/", DirPerms::ALL, FilePerms::ALL).unwrap();
    config.max_fds(10);
    let mut guest = Guest::new(config);
    let preopens = guest.call("preopens#get-directories", &[]);
    let ValRef::List([preopen]) = preopens.get() else { panic!("one") };
    let ValRef::Tuple([root, _]) = preopen.get() else { panic!("a pair") };
    let mut files = Files { guest, root: root.clone(), dir };
    for _ in 0..2 {
        let open: Vec<Val> = (0..10).map(|_| files.open("file", &[], &["read"])).collect();
        assert_eq!(files.open_with("file", true, &[], &["read"]), error("insufficient-memory"));
        // A stream keeps the descriptor that it reads.
        let stream = files.on(&open[0], "descriptor.read-via-stream", &[number(0)]).unwrap().unwrap();
        files.guest.drop(open[0].clone()).unwrap();
        assert_eq!(files.open_with("file", true, &[], &["read"]), error("insufficient-memory"));
        files.guest.drop(stream).unwrap();
        for file in &open[1..] {
            files.guest.drop(file.clone()).unwrap();
        }
    }
}
