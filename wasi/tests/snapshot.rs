//! What a guest has is kept as plain data, and given to another guest within what that one is granted.

#[path = "support/memory_fs.rs"]
mod memory_fs;
mod support;

use ampoule_wasi::p1::Errno;
use ampoule_wasi::{ClockSource, DirPerms, FilePerms, SnapshotError, Volume, WasiConfig, WasiState};
use memory_fs::{MemoryFs, ROOT_NODE};
use std::fs;
use std::path::Path;
use support::{APPEND, CREAT, DIRECTORY, Guest, READ, ROOT, TRUNC, WRITE};

/// A configuration with this directory as `/`, within these permissions.
fn granting(path: &Path, perms: u64) -> WasiConfig {
    let mut config = WasiConfig::new();
    preopen(&mut config, path, "/", perms);
    config
}

fn preopen(config: &mut WasiConfig, path: &Path, name: &str, perms: u64) {
    let dir_perms = DirPerms::from_bits(perms).expect("known bits");
    let file_perms = FilePerms::from_bits(perms).expect("known bits");
    config.preopen_dir(path, name, dir_perms, file_perms).expect("opened");
}

/// What is kept of a guest, by way of bytes.
fn keep(guest: &Guest) -> WasiState {
    let state = WasiState::of(&guest.ctx).expect("everything can be kept");
    let again = WasiState::from_bytes(&state.to_bytes()).expect("as it was");
    assert_eq!(again, state);
    again
}

fn thaw(state: &WasiState, config: WasiConfig) -> Guest {
    let ctx = config.build_from(state).unwrap_or_else(|error| panic!("{error}"));
    Guest { ctx, memory: vec![0; 1 << 17] }
}

/// What is said of a guest that can't be kept.
fn refusal(guest: &Guest) -> String {
    WasiState::of(&guest.ctx).expect_err("not everything can be kept").to_string()
}

/// What is said of a guest that can't be thawed.
fn failure(state: &WasiState, config: WasiConfig) -> String {
    config.build_from(state).err().expect("it is refused").to_string()
}

#[test]
fn files_are_opened_again_where_the_guest_was_in_them() {
    let (mut guest, dir) = Guest::with_dir();
    fs::create_dir(dir.path().join("sub")).expect("created");
    fs::write(dir.path().join("sub/text"), "0123456789").expect("written");
    let closed = guest.open("sub/text").expect("opened");
    let read = guest.open("sub/text").expect("opened");
    let both = guest.open_with(ROOT, "both", CREAT | TRUNC, READ | WRITE, 0).expect("opened");
    let appended = guest.open_with(ROOT, "log", CREAT, WRITE, APPEND).expect("opened");
    assert_eq!(guest.close(closed), Ok(()));
    assert_eq!(guest.read(read, 4).as_deref(), Ok(&b"0123"[..]));
    assert_eq!(guest.write(both, "abcdef"), Ok(6));
    assert_eq!(guest.write(appended, "one,"), Ok(4));
    let (state, stats) = (keep(&guest), [read, both, appended].map(|fd| guest.fdstat(fd)));
    drop(guest);
    assert_eq!(fs::read(dir.path().join("both")).expect("read"), b"abcdef");

    // Twice: nothing is used up.
    for log in ["one,two,", "one,two,two,"] {
        let mut guest = thaw(&state, granting(dir.path(), 3));
        assert_eq!([read, both, appended].map(|fd| guest.fdstat(fd)), stats);
        assert_eq!(guest.read(closed, 1), Err(Errno::Badf));
        assert_eq!(guest.tell(read), Ok(4));
        assert_eq!(guest.read(read, 99).as_deref(), Ok(&b"456789"[..]));
        assert_eq!(guest.pread(both, 99, 0).as_deref(), Ok(&b"abcdef"[..]), "it wasn't emptied");
        assert_eq!(guest.tell(both), Ok(6));
        assert_eq!(guest.write(appended, "two,"), Ok(4));
        assert_eq!(fs::read(dir.path().join("log")).expect("read"), log.as_bytes());
        assert_eq!(guest.open("sub/text"), Ok(closed), "the lowest free number is the one that was free");
    }
}

#[test]
fn directories_are_opened_again_and_listed_on() {
    let (mut guest, dir) = Guest::with_dir();
    fs::create_dir_all(dir.path().join("a/b")).expect("created");
    fs::write(dir.path().join("a/b/file"), "text").expect("written");
    let a = guest.open_with(ROOT, "a", DIRECTORY, 0, 0).expect("opened");
    let b = guest.open_with(a, "b", DIRECTORY, 0, 0).expect("opened");
    let file = guest.open_with(b, "file", 0, READ, 0).expect("opened");
    let listed = guest.readdir(b, 1000, 2).expect("listed");
    let state = keep(&guest);
    let mut guest = thaw(&state, granting(dir.path(), 3));
    assert_eq!(guest.readdir(b, 1000, 2).as_deref(), Ok(&listed[..]));
    assert_eq!(guest.read(file, 9).as_deref(), Ok(&b"text"[..]));
    assert_eq!(guest.open_with(b, "file", 0, READ, 0), Ok(file + 1));
    assert_eq!(guest.open_with(a, "../x", CREAT, READ, 0), Err(Errno::Perm), "the sandbox is as it was");
}

#[test]
fn files_of_an_embedders_file_system_are_kept_too() {
    let volume = Volume::new(MemoryFs::default());
    let config = || {
        let mut config = WasiConfig::new();
        let all = (DirPerms::ALL, FilePerms::ALL);
        config.preopen_virtual_dir(volume.clone(), ROOT_NODE, "/", all.0, all.1).expect("a name");
        config
    };
    let mut guest = Guest::new(config());
    let fd = guest.create("file").expect("created");
    assert_eq!(guest.write(fd, "0123"), Ok(4));
    assert_eq!(guest.seek(fd, 1, 0), Ok(1));
    let state = keep(&guest);
    let mut guest = thaw(&state, config());
    assert_eq!(guest.read(fd, 9).as_deref(), Ok(&b"123"[..]));
}

#[test]
fn a_snapshot_grants_nothing() {
    let (mut guest, dir) = Guest::with_dir();
    let secret = guest.create("secret").expect("created");
    assert_eq!(guest.write(secret, "secret"), Ok(6));
    let state = keep(&guest);
    // Nothing is granted.
    assert_eq!(failure(&state, WasiConfig::new()), "no directory is given as `/`, which the guest has open");
    // Another name, another directory, fewer permissions, something else at the path.
    let mut config = WasiConfig::new();
    preopen(&mut config, dir.path(), "/other", 3);
    assert_eq!(failure(&state, config), "no directory is given as `/`, which the guest has open");
    let other = tempfile::tempdir().expect("a temporary directory");
    let missing = "descriptor 4: cannot open `secret` again: No such file or directory";
    assert!(failure(&state, granting(other.path(), 3)).starts_with(missing));
    assert!(!other.path().join("secret").exists(), "it isn't created");
    let forbidden = "descriptor 4: cannot open `secret` again: not permitted";
    for perms in [0, 1, 2] {
        assert_eq!(failure(&state, granting(dir.path(), perms)), forbidden);
    }
    std::os::unix::fs::symlink(dir.path().join("secret"), other.path().join("secret")).expect("linked");
    assert_eq!(failure(&state, granting(other.path(), 3)), forbidden, "what leads out of what is granted is refused");
    fs::remove_file(other.path().join("secret")).expect("removed");
    fs::create_dir(other.path().join("secret")).expect("created");
    assert!(failure(&state, granting(other.path(), 3)).starts_with("descriptor 4: cannot open `secret` again: "));
    // What is granted now is what counts: the other directory's file, not the first one's.
    fs::remove_dir(other.path().join("secret")).expect("removed");
    fs::write(other.path().join("secret"), "public and long").expect("written");
    let mut guest = thaw(&state, granting(other.path(), 3));
    assert_eq!(guest.read(secret, 99).as_deref(), Ok(&b" and long"[..]));
}

#[test]
fn a_pipe_in_place_of_a_file_is_refused() {
    let (mut guest, dir) = Guest::with_dir();
    guest.create("file").expect("created");
    let state = keep(&guest);
    fs::remove_file(dir.path().join("file")).expect("removed");
    make_pipe(&dir.path().join("file"));
    assert!(failure(&state, granting(dir.path(), 3)).starts_with("descriptor 4: cannot open `file` again: "));
}

#[test]
fn rights_that_were_given_up_stay_so() {
    let (mut guest, dir) = Guest::with_dir();
    let fd = guest.create("file").expect("created");
    assert_eq!(guest.set_rights(fd, READ, 0), Ok(()));
    assert_eq!(guest.set_rights(ROOT, 1 << 13, READ), Ok(()));
    assert_eq!(guest.set_rights(1, 0, 0), Ok(()));
    let state = keep(&guest);
    let mut guest = thaw(&state, granting(dir.path(), 3));
    assert_eq!(guest.write(fd, "x"), Err(Errno::Notcapable));
    assert_eq!(guest.write(1, "x"), Err(Errno::Notcapable));
    assert_eq!(guest.create("other"), Err(Errno::Notcapable));
    assert_eq!(guest.open("file"), Ok(fd + 1));
}

#[test]
fn standard_streams_are_those_of_the_host_that_thaws() {
    let mut config = WasiConfig::new();
    config.stdin_bytes(b"first".to_vec());
    let mut guest = Guest::new(config);
    assert_eq!(guest.read(0, 2).as_deref(), Ok(&b"fi"[..]));
    assert_eq!(guest.close(2), Ok(()));
    let state = keep(&guest);
    let mut config = WasiConfig::new();
    config.stdin_bytes(b"second".to_vec());
    let mut guest = thaw(&state, config);
    assert_eq!(guest.read(0, 99).as_deref(), Ok(&b"second"[..]));
    assert_eq!(guest.write(2, "x"), Err(Errno::Badf), "what was closed stays closed");
}

#[test]
fn arguments_and_environment_are_the_snapshots_unless_others_are_set() {
    let mut config = WasiConfig::new();
    config.set_args(["a".into(), "b".into()]).expect("arguments");
    config.set_env([("K".into(), "V".into())]).expect("variables");
    let state = keep(&Guest::new(config));
    let host = thaw(&state, WasiConfig::new()).ctx.host;
    assert_eq!((&host.args[..], &host.env[..]), (&["a".into(), "b".into()][..], &[("K".into(), "V".into())][..]));
    let mut config = WasiConfig::new();
    config.set_args([]).expect("arguments");
    config.set_env([("L".into(), "W".into())]).expect("variables");
    let host = thaw(&state, config).ctx.host;
    assert_eq!((&host.args[..], &host.env[..]), (&[][..], &[("L".into(), "W".into())][..]));
}

#[test]
fn monotonic_time_goes_on() {
    struct Stopped(u64);
    impl ClockSource for Stopped {
        fn now(&self, _: ampoule_wasi::host::clocks::Clock) -> Option<u64> {
            Some(self.0)
        }
    }
    let time = |guest: &mut Guest| {
        guest.call("clock_time_get", &[1, 0, 64]).expect("the time");
        guest.u64_at(64)
    };
    let hour = 3_600_000_000_000;
    let mut config = WasiConfig::new();
    config.clocks(Stopped(hour));
    let state = keep(&Guest::new(config));
    let now = time(&mut thaw(&state, WasiConfig::new()));
    assert!((hour..2 * hour).contains(&now), "{now}");
    let mut config = WasiConfig::new();
    config.clocks(Stopped(5));
    assert_eq!(time(&mut thaw(&state, config)), hour, "it never goes back");
}

#[test]
fn directories_that_are_granted_besides_get_free_numbers() {
    let (mut guest, dir) = Guest::with_dir();
    assert_eq!(guest.close(ROOT), Ok(()));
    let state = keep(&guest);
    let others = [tempfile::tempdir().expect("a temporary directory"), tempfile::tempdir().expect("another")];
    let mut config = granting(dir.path(), 3);
    preopen(&mut config, others[0].path(), "/x", 3);
    preopen(&mut config, others[1].path(), "/y", 3);
    let mut guest = thaw(&state, config);
    let names: Vec<_> =
        [3, 4].map(|fd: u64| guest.call("fd_prestat_dir_name", &[fd, 0, 2]).map(|()| guest.get(0, 2).to_vec())).into();
    assert_eq!(names, [Ok(b"/x".to_vec()), Ok(b"/y".to_vec())]);
    assert_eq!(guest.fdstat(5), Err(Errno::Badf), "what the guest has closed stays closed");
}

#[test]
fn a_guest_that_has_used_nothing_begins_anew() {
    let config = granting(Path::new("/"), 3);
    let state = WasiState::of(&config.build()).expect("nothing is open");
    let mut guest = thaw(&state, WasiConfig::new());
    assert!(guest.fdstat(2).is_ok());
    assert_eq!(guest.fdstat(3), Err(Errno::Badf));
}

#[test]
fn what_belongs_to_the_process_is_refused_with_its_name() {
    let (mut guest, dir) = Guest::with_dir();
    make_pipe(&dir.path().join("pipe"));
    let fd = guest.open("pipe").expect("opened");
    assert_eq!(refusal(&guest), "descriptor 4: a pipe can't be kept");
    assert_eq!(guest.close(fd), Ok(()));
    keep(&guest);

    let mut guest = Guest::new(granting(Path::new("/dev"), 1));
    guest.open("null").expect("opened");
    assert_eq!(refusal(&guest), "descriptor 4: a device can't be kept");
}

#[test]
fn what_was_removed_or_renamed_is_refused_with_its_name() {
    let (mut guest, _dir) = Guest::with_dir();
    let file = guest.create("file").expect("created");
    assert_eq!(guest.at("path_unlink_file", ROOT, "file"), Ok(()));
    let moved = "descriptor 4: `file` was removed or renamed after it was opened";
    assert_eq!(refusal(&guest), moved);
    fs::write(_dir.path().join("file"), "another").expect("written");
    assert_eq!(refusal(&guest), moved);
    assert_eq!(guest.close(file), Ok(()));
    assert_eq!(guest.at("path_create_directory", ROOT, "dir"), Ok(()));
    guest.open_with(ROOT, "dir", DIRECTORY, 0, 0).expect("opened");
    assert_eq!(guest.rename(ROOT, "dir", ROOT, "moved"), Ok(()));
    assert_eq!(refusal(&guest), "descriptor 4: `dir` was removed or renamed after it was opened");
}

#[test]
fn what_is_too_deep_for_one_path_is_refused_with_its_name() {
    let (mut guest, _dir) = Guest::with_dir();
    let name = "d".repeat(250);
    let mut dir = ROOT;
    for _ in 0..17 {
        assert_eq!(guest.at("path_create_directory", dir, &name), Ok(()));
        let below = guest.open_with(dir, &name, DIRECTORY, 0, 0).expect("opened");
        if dir != ROOT {
            assert_eq!(guest.close(dir), Ok(()));
        }
        dir = below;
    }
    assert_eq!(refusal(&guest), format!("descriptor {dir}: what is so deep can't be kept"));
}

#[test]
fn directories_of_one_name_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let guest = Guest::with_preopens(&[(dir.path(), 3, 3), (dir.path(), 1, 1)]);
    assert_eq!(refusal(&guest), "two directories are preopened as `/`");
}

#[test]
fn more_descriptors_than_the_guest_may_have_are_refused() {
    let (mut guest, dir) = Guest::with_dir();
    for _ in 0..10 {
        guest.create("file").expect("created");
    }
    assert_eq!(guest.close(8), Ok(()));
    let state = keep(&guest);
    let config = |max_fds| {
        let mut config = granting(dir.path(), 3);
        config.max_fds(max_fds);
        config
    };
    assert_eq!(failure(&state, config(13)), "descriptor 13: the guest may have 13 descriptors");
    assert_eq!(failure(&state, config(4)), "descriptor 4: the guest may have 4 descriptors");
    let mut guest = thaw(&state, config(14));
    assert_eq!(guest.create("file"), Ok(8));
    assert_eq!(guest.create("file"), Err(Errno::Mfile));
    // One that is granted besides has no place left.
    let mut config = config(14);
    preopen(&mut config, dir.path(), "/besides", 3);
    let full = keep(&guest);
    assert_eq!(failure(&full, config), "`/besides`: the guest may have 14 descriptors");
}

#[test]
fn what_is_thawed_counts_in_the_budget_of_the_store() {
    let (mut guest, dir) = Guest::with_dir();
    for number in 0..40 {
        guest.create(format!("f{number}")).expect("created");
    }
    let state = keep(&guest);
    let mut store = ampoule::Store::new(&ampoule::Engine::default());
    let ctx = granting(dir.path(), 3).build_from(&state).unwrap_or_else(|error| panic!("{error}"));
    store.slots_mut().insert(ctx);
    let budget = store.budget();
    budget.set_limits(None, Some(1));
    ampoule_wasi::WasiCtx::of(&mut store).expect("it was given");
    assert_eq!(budget.used(ampoule::BudgetKind::Descriptor), 48 << 10, "44, sixteen at a time, whatever the limit");
    drop(store);
    assert_eq!(budget.total(), 0);
}

#[test]
fn damaged_bytes_are_an_error_or_another_state_of_the_same_sandbox() {
    let (mut guest, dir) = Guest::with_dir();
    fs::create_dir(dir.path().join("sub")).expect("created");
    guest.create("sub/file").expect("created");
    guest.open_with(ROOT, "sub", DIRECTORY, 0, 0).expect("opened");
    let bytes = keep(&guest).to_bytes();
    for len in 0..bytes.len() {
        assert!(WasiState::from_bytes(&bytes[..len]).is_err(), "{len} bytes");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(WasiState::from_bytes(&longer), Err(SnapshotError::Damaged(_))));
    let mut other_version = bytes.clone();
    other_version[1] ^= 1;
    assert_eq!(
        WasiState::from_bytes(&other_version).err().map(|error| error.to_string()).as_deref(),
        Some("the state of WASI is of another version")
    );
    let before = listing(dir.path());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let Ok(state) = WasiState::from_bytes(&damaged) else { continue };
            // Whatever it says, a directory that may only be read stays as it is.
            let Ok(ctx) = granting(dir.path(), 1).build_from(&state) else { continue };
            let mut guest = Guest { ctx, memory: vec![0; 1 << 17] };
            for fd in 3..8 {
                assert!(guest.write(fd, "x").is_err());
                assert!(guest.open_with(fd, "new", CREAT, WRITE, 0).is_err());
            }
        }
    }
    assert_eq!(listing(dir.path()), before);
}

/// What is in a directory of one level more, and how long it is.
fn listing(dir: &Path) -> Vec<(std::path::PathBuf, u64)> {
    let mut all = Vec::new();
    for dir in [dir, &dir.join("sub")] {
        for entry in fs::read_dir(dir).expect("listed") {
            let entry = entry.expect("an entry");
            all.push((entry.path(), entry.metadata().expect("attributes").len()));
        }
    }
    all.sort();
    all
}

fn make_pipe(path: &Path) {
    let mode = rustix::fs::Mode::from_bits_truncate(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
}
