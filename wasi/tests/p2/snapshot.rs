//! What components have of WASI 0.2 is refused with its name, rather than lost, where a guest is to be kept.

use super::io::{fill, pipes};
use super::support::Guest;
use super::support::{bytes_of, list_of};
use ampoule::Engine;
use ampoule_component::{HostResources, ResourceHost, Val, ValRef};
use ampoule_wasi::{DirPerms, FilePerms, WasiConfig, WasiCtx, WasiResources, WasiState};
use std::fs;
use std::path::Path;

/// What is said of a guest that can't be kept.
fn refusal(guest: &Guest) -> Option<String> {
    let ctx = guest.store.slots().get::<WasiCtx>().expect("the store has one");
    WasiState::of(ctx).err().map(|error| error.to_string())
}

#[test]
fn resources_are_refused_with_their_names() {
    let refused = |call: &str, args: &[Val], expected: &str| {
        let mut config = WasiConfig::new();
        config.inherit_network();
        let mut guest = Guest::new(config);
        assert_eq!(refusal(&guest), None);
        let resource = guest.call(call, args);
        assert_eq!(refusal(&guest).as_deref(), Some(expected), "{resource:?}");
    };
    let tcp = "tcp-create-socket#create-tcp-socket";
    refused(tcp, &[Val::enumeration("ipv4")], "resource 0: `tcp-socket` can't be kept");
    refused(
        "monotonic-clock#subscribe-duration",
        &[Val::from(5_u64)],
        "resource 0: a pollable of a clock can't be kept",
    );
}

/// A guest that goes on from what another had.
fn thaw(state: &WasiState, config: WasiConfig) -> Guest {
    let mut guest = Guest::in_engine(&Engine::default(), None);
    guest.store.slots_mut().insert(config.build_from(state).unwrap_or_else(|error| panic!("{error}")));
    guest
}

/// The resource of WASI that a test has, as number and type.
fn number_of(guest: &mut Guest, resource: &Val) -> ResourceHost {
    let ValRef::Resource(Some(any)) = resource.get() else { panic!("{resource:?}") };
    ResourceHost::from_any(any, &mut guest.store).expect("it is WASI's")
}

/// A configuration with this directory as `/`, to be used for everything.
fn granting(path: &Path) -> WasiConfig {
    let mut config = WasiConfig::new();
    config.preopen_dir(path, "/", DirPerms::ALL, FilePerms::ALL).expect("opened");
    config
}

/// Opens a file beneath the first preopen.
fn open(guest: &mut Guest, path: &str, how: &[&str], flags: &[&str]) -> Val {
    let preopens = guest.call("preopens#get-directories", &[]);
    let ValRef::List([preopen, ..]) = preopens.get() else { panic!("{preopens:?}") };
    let ValRef::Tuple([root, _]) = preopen.get() else { panic!("{preopen:?}") };
    let args = [root.clone(), Val::flags([""; 0]), Val::from(path), Val::flags(how), Val::flags(flags)];
    guest.ok("filesystem/types#descriptor.open-at", &args)
}

/// Reads from a stream; `None` where that has ended.
fn read(guest: &mut Guest, stream: &Val, len: u64) -> Option<Vec<u8>> {
    let read = guest.result("streams#input-stream.read", &[stream.clone(), Val::from(len)]);
    read.ok().map(|bytes| bytes_of(&bytes.expect("it answers bytes")))
}

fn write(guest: &mut Guest, stream: &Val, bytes: &[u8]) {
    guest.ok("streams#output-stream.blocking-write-and-flush", &[stream.clone(), list_of(bytes)]);
}

#[test]
fn standard_streams_files_and_what_waits_for_them_keep_their_numbers() {
    let dir = tempfile::tempdir().expect("made");
    fs::write(dir.path().join("text"), "0123456789").expect("written");
    let granting = || granting(dir.path());
    let mut guest = Guest::new(granting());
    let dropped = guest.call("stderr#get-stderr", &[]);
    let stdout = guest.call("stdout#get-stdout", &[]);
    let pollable = guest.call("streams#output-stream.subscribe", &[stdout.clone()]);
    let preopens = guest.call("preopens#get-directories", &[]);
    let ValRef::List([preopen]) = preopens.get() else { panic!("{preopens:?}") };
    let ValRef::Tuple([root, _]) = preopen.get() else { panic!("{preopen:?}") };
    let none = || Val::flags(Vec::<&str>::new());
    let args = [root.clone(), none(), Val::from("text"), none(), Val::flags(vec!["read"])];
    let file = guest.ok("filesystem/types#descriptor.open-at", &args);
    guest.drop(dropped).expect("nothing depends on it");
    let state = WasiState::of(guest.store.slots().get::<WasiCtx>().expect("there")).expect("all can be kept");
    let state = WasiState::from_bytes(&state.to_bytes()).expect("as it was");
    let resources = [&stdout, &pollable, root, &file].map(|resource| number_of(&mut guest, resource));
    assert_eq!(resources.each_ref().map(|resource| resource.rep), [1, 2, 3, 4]);
    drop(guest);

    let mut config = granting();
    let printed = dir.path().join("printed");
    config.stdout_file(&printed).expect("made");
    let mut guest = thaw(&state, config);
    // What the component model gives instances of a snapshot, and what they do with it.
    let reps = resources.each_ref().map(|resource| resource.rep);
    let types = resources.each_ref().map(|resource| resource.ty);
    let saved = WasiResources.save(&mut guest.store, &resources).expect("all are WASI's");
    assert_eq!(WasiResources.restore(&mut guest.store, &types, &saved).expect("all are there"), reps);
    let [stdout, pollable, root, file] =
        resources.map(|resource| Val::from(resource.into_any(&mut guest.store).expect("there is room")));
    assert_eq!(guest.call("poll#pollable.ready", &[pollable.clone()]), Val::from(true));
    let text = Val::list(b"hello".iter().map(|&byte| Val::from(byte)).collect::<Vec<_>>());
    guest.ok("streams#output-stream.blocking-write-and-flush", &[stdout.clone(), text]);
    assert_eq!(fs::read(&printed).expect("written"), b"hello");
    let read = guest.ok("filesystem/types#descriptor.read", &[file.clone(), Val::from(4_u64), Val::from(3_u64)]);
    let ValRef::Tuple([bytes, _]) = read.get() else { panic!("{read:?}") };
    assert_eq!(bytes_of(bytes), b"3456");
    let stat = guest.ok("filesystem/types#descriptor.stat-at", &[root, none(), Val::from("text")]);
    assert!(matches!(stat.get(), ValRef::Record(_)));
    let mut guest = thaw(&state, granting());
    let other = [types[1], types[0], types[2], types[3]];
    assert!(WasiResources.restore(&mut guest.store, &other, &saved).is_err(), "they are of other types");
}

#[test]
fn streams_of_files_go_on_where_they_were() {
    let dir = tempfile::tempdir().expect("made");
    fs::write(dir.path().join("text"), "0123456789").expect("written");
    let mut guest = Guest::new(granting(dir.path()));
    let file = open(&mut guest, "text", &[], &["read"]);
    let out = open(&mut guest, "out", &["create"], &["write"]);
    let via =
        |guest: &mut Guest, name: &str, args: &[Val]| guest.ok(&format!("filesystem/types#descriptor.{name}"), args);
    let reads = via(&mut guest, "read-via-stream", &[file.clone(), Val::from(2_u64)]);
    let others = via(&mut guest, "read-via-stream", &[file.clone(), Val::from(0_u64)]);
    let writes = via(&mut guest, "write-via-stream", &[out.clone(), Val::from(0_u64)]);
    let appends = via(&mut guest, "append-via-stream", std::slice::from_ref(&out));
    let pollable = guest.call("streams#input-stream.subscribe", std::slice::from_ref(&reads));
    assert_eq!(read(&mut guest, &reads, 3).as_deref(), Some(&b"234"[..]));
    assert_eq!(read(&mut guest, &others, 99).as_deref(), Some(&b"0123456789"[..]));
    assert_eq!(read(&mut guest, &others, 99), None, "it has ended");
    write(&mut guest, &writes, b"one,");
    write(&mut guest, &appends, b"two,");
    // Nothing but streams keeps the files open.
    guest.drop(file).expect("streams are open by themselves");
    guest.drop(out).expect("the same");
    let streams = [&reads, &others, &writes, &appends, &pollable].map(|resource| number_of(&mut guest, resource));
    let state = WasiState::of(guest.store.slots().get::<WasiCtx>().expect("there")).expect("all can be kept");
    let state = WasiState::from_bytes(&state.to_bytes()).expect("as it was");
    drop(guest);
    assert_eq!(fs::read(dir.path().join("out")).expect("read"), b"one,two,");

    // Twice: nothing is used up.
    for out in [&b"one,ONE,two,"[..], b"one,ONE,two,two,"] {
        let mut guest = thaw(&state, granting(dir.path()));
        let [reads, others, writes, appends, pollable] =
            streams.each_ref().map(|stream| Val::from(stream.clone().into_any(&mut guest.store).expect("room")));
        assert_eq!(guest.call("poll#pollable.ready", &[pollable]), Val::from(true));
        assert_eq!(read(&mut guest, &reads, 3).as_deref(), Some(&b"567"[..]));
        assert_eq!(read(&mut guest, &others, 99), None, "it has still ended");
        write(&mut guest, &writes, b"ONE,");
        write(&mut guest, &appends, b"two,");
        assert_eq!(fs::read(dir.path().join("out")).expect("read"), out);
    }
    // They count as the descriptors did.
    let mut config = granting(dir.path());
    config.max_fds(3);
    let refusal = config.build_from(&state).err().expect("there are four").to_string();
    assert!(refusal.contains("the guest may have 3 descriptors"), "{refusal}");
    fs::remove_file(dir.path().join("text")).expect("removed");
    let refusal = granting(dir.path()).build_from(&state).err().expect("it is gone").to_string();
    assert!(refusal.contains("cannot open `text` again"), "{refusal}");
}

#[test]
fn a_stream_of_what_is_no_regular_file_is_refused_with_its_name() {
    let dir = tempfile::tempdir().expect("made");
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .expect("made");
    let mut guest = Guest::new(granting(dir.path()));
    let pipe = open(&mut guest, "pipe", &[], &["read"]);
    let stream = guest.ok("filesystem/types#descriptor.read-via-stream", &[pipe.clone(), Val::from(0_u64)]);
    guest.drop(pipe).expect("the stream is open by itself");
    let ResourceHost { rep, .. } = number_of(&mut guest, &stream);
    assert_eq!(refusal(&guest), Some(format!("resource {rep}: a pipe can't be kept")));
}

#[test]
fn resources_are_bound_to_what_is_granted_now() {
    let dir = tempfile::tempdir().expect("made");
    let mut guest = Guest::new(granting(dir.path()));
    guest.call("preopens#get-directories", &[]);
    let state = WasiState::of(guest.store.slots().get::<WasiCtx>().expect("there")).expect("all can be kept");
    let refusal = WasiConfig::new().build_from(&state).err().expect("nothing is granted").to_string();
    assert_eq!(refusal, "no directory is given as `/`, which the guest has open");
}

#[test]
fn output_that_is_not_written_yet_is_refused() {
    let (_silent, full, config) = pipes();
    let mut guest = Guest::new(config);
    let stdout = guest.call("stdout#get-stdout", &[]);
    fill(&mut guest, &stdout);
    let refusal = refusal(&guest);
    // What is left of a guest writes the rest, and would wait for ever.
    drop(full);
    let refusal = refusal.expect("the pipe has not taken all");
    assert!(
        refusal.starts_with("standard output: ") && refusal.ends_with(" bytes that aren't written yet can't be kept")
    );
}
