//! What components have of WASI 0.2 is refused with its name, rather than lost, where a guest is to be kept.

use super::io::{fill, pipes};
use super::support::Guest;
use super::support::bytes_of;
use ampoule::Engine;
use ampoule_component::{HostResources, ResourceHost, Val, ValRef};
use ampoule_wasi::{DirPerms, FilePerms, WasiConfig, WasiCtx, WasiResources, WasiState};
use std::fs;

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

#[test]
fn standard_streams_files_and_what_waits_for_them_keep_their_numbers() {
    let dir = tempfile::tempdir().expect("made");
    fs::write(dir.path().join("text"), "0123456789").expect("written");
    let granting = || {
        let mut config = WasiConfig::new();
        config
            .preopen_dir(
                dir.path(),
                "/",
                DirPerms::from_bits(3).expect("known"),
                FilePerms::from_bits(3).expect("known"),
            )
            .expect("opened");
        config
    };
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
fn resources_are_bound_to_what_is_granted_now() {
    let dir = tempfile::tempdir().expect("made");
    let mut config = WasiConfig::new();
    config
        .preopen_dir(dir.path(), "/", DirPerms::from_bits(3).expect("known"), FilePerms::from_bits(3).expect("known"))
        .expect("opened");
    let mut guest = Guest::new(config);
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
