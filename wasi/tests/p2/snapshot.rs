//! What components have of WASI 0.2 is refused with its name, rather than lost, where a guest is to be kept.

use super::io::{fill, pipes};
use super::support::Guest;
use ampoule_component::Val;
use ampoule_wasi::{WasiConfig, WasiCtx, WasiState};

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
    refused("stdout#get-stdout", &[], "resource 0: `output-stream` can't be kept");
    refused("stdin#get-stdin", &[], "resource 0: `input-stream` can't be kept");
    let tcp = "tcp-create-socket#create-tcp-socket";
    refused(tcp, &[Val::enumeration("ipv4")], "resource 0: `tcp-socket` can't be kept");
    refused("monotonic-clock#subscribe-duration", &[Val::from(5_u64)], "resource 0: `pollable` can't be kept");
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
