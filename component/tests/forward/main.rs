//! `stream.forward` and `future.forward`: two streams or futures that become one, whoever has the other two ends.

mod guest;
mod host;
mod model;

use guest::{BLOCKED, COMPLETED, DROPPED, Guest, NO_EVENT, World};

/// Many more than a store may have streams, so that none may stay behind; and each takes as long as the first.
#[test]
fn a_chain_of_any_length_is_one_stream() {
    const TIMES: u32 = 1 << 19 | 1000;
    let mut guest = World::new().begin();
    let begin = std::time::Instant::now();
    for name in ["lengthen-readable", "lengthen-writable"] {
        let [mut readable, mut writable] = guest.new_pair("");
        assert_eq!(guest.call("read", &[readable, 0, 3]), BLOCKED);
        if name == "lengthen-writable" {
            writable = guest.call(name, &[writable, TIMES]) as u32;
            assert_eq!(guest.call("write", &[writable, 100, 8]), 3 << 4);
        } else {
            guest.call("cancel-read", &[readable]);
            assert_eq!(guest.call("write", &[writable, 100, 3]), BLOCKED);
            readable = guest.call(name, &[readable, TIMES]) as u32;
            assert_eq!(guest.call("read", &[readable, 0, 8]), 3 << 4);
        }
        assert_eq!(guest.memory()[..4], [100, 101, 102, 3]);
        assert_eq!(guest.call("event", &[if name == "lengthen-writable" { readable } else { writable }]), 3 << 4);
        guest.call("drop-writable", &[writable]);
        assert_eq!(guest.call("read", &[readable, 0, 1]), DROPPED);
    }
    assert!(begin.elapsed().as_secs() < 60, "it took {:?}", begin.elapsed());
}

#[test]
fn futures_are_forwarded_too() {
    let world = World::new();
    // In every order of read, write and forward.
    for order in ["rwf", "rfw", "wrf", "wfr", "frw", "fwr"] {
        let mut guest = world.begin();
        let [from, writable] = guest.new_pair("f-");
        let [readable, to] = guest.new_pair("f-");
        let (mut read, mut written) = (NO_EVENT, NO_EVENT);
        for step in order.chars() {
            match step {
                'r' => read = guest.call("f-read", &[readable, 0, 0]),
                'w' => written = guest.call("f-write", &[writable, 77, 0]),
                _ => _ = guest.call("f-forward", &[from, to]),
            }
        }
        for (answer, end) in [(read, readable), (written, writable)] {
            let told = if answer == BLOCKED { guest.call("event", &[end]) } else { answer };
            assert_eq!(told, COMPLETED, "{order}");
        }
        assert_eq!(guest.memory()[0], 77);
        guest.call("f-drop-writable", &[writable]);
        guest.call("f-drop-readable", &[readable]);
    }
    // Nobody wants the value.
    for waits in [true, false] {
        let mut guest = world.begin();
        let [from, writable] = guest.new_pair("f-");
        let [readable, to] = guest.new_pair("f-");
        if waits {
            assert_eq!(guest.call("f-write", &[writable, 77, 0]), BLOCKED);
        }
        guest.call("f-drop-readable", &[readable]);
        guest.call("f-forward", &[from, to]);
        let told = if waits { guest.call("event", &[writable]) } else { guest.call("f-write", &[writable, 77, 0]) };
        assert_eq!(told, DROPPED);
        guest.call("f-drop-writable", &[writable]);
    }
}

/// What one guest has written another reads when a third forwards it, which has no part in the copy: strings are put where the reader's
/// allocator says.
#[test]
fn elements_go_from_guest_to_guest_while_a_third_forwards() {
    let world = World::new();
    let mut guest = world.begin();
    let (writer, forwarder, reader) = (guest.instance, guest.another(&world), guest.another(&world));
    let [readable, writable] = guest.new_pair("s-");
    guest.call("s-sink", &[readable]);
    assert_eq!(guest.call("s-write", &[writable, 512, 1]), BLOCKED);
    guest.instance = forwarder;
    let from = guest.call("s-source", &[]) as u32;
    let [readable, to] = guest.new_pair("s-");
    guest.call("s-sink", &[readable]);
    guest.instance = reader;
    let readable = guest.call("s-source", &[]) as u32;
    assert_eq!(guest.call("s-read", &[readable, 520, 1]), BLOCKED);
    guest.instance = forwarder;
    guest.call("s-forward", &[from, to]);
    guest.instance = reader;
    assert_eq!(guest.call("event", &[readable]), 1 << 4);
    assert_eq!(guest.memory()[128..132], *b"ABC\x83");
    guest.instance = writer;
    assert_eq!(guest.call("event", &[writable]), 1 << 4);
    assert_eq!(guest.memory()[128..132], [128, 129, 130, 131]);
}

/// The two ends of one, at once or over another: both handles are free again, and nothing is left.
#[test]
fn what_is_forwarded_into_itself_is_gone() {
    let world = World::new();
    for prefix in ["", "f-"] {
        let mut guest = world.begin();
        let forward = format!("{prefix}forward");
        let first = guest.new_pair(prefix);
        guest.call(&forward, &first);
        assert_eq!(guest.new_pair(prefix), [first[1], first[0]], "the last that was freed is the first");
        let mut guest = world.begin();
        let ([a_readable, a_writable], [b_readable, b_writable]) = (guest.new_pair(prefix), guest.new_pair(prefix));
        guest.call(&forward, &[a_readable, b_writable]);
        guest.call(&forward, &[b_readable, a_writable]);
        assert_eq!(guest.new_pair(prefix), [a_writable, b_readable]);
    }
}

#[test]
fn what_may_not_be_forwarded_is_refused() {
    let world = World::new();
    type Prepare = fn(&mut Guest, [u32; 4]) -> [u32; 2];
    // The readable and the writable end of one, and of another.
    let cases: &[(&str, &str, Prepare, &str)] = &[
        ("", "forward", |_, [_, aw, br, _]| [aw, br], "handle index 2 used with the wrong type"),
        ("", "f-forward", |_, [ar, _, _, bw]| [ar, bw], "handle index 1 used with the wrong type"),
        ("", "s-forward", |_, [ar, _, _, bw]| [ar, bw], "handle index 1 used with the wrong type"),
        ("", "forward", |_, [ar, _, br, _]| [ar, br], "handle index 3 used with the wrong type"),
        ("", "forward", |_, [ar, ..]| [ar, ar], "unknown handle index 1"),
        ("", "forward", |_, [ar, ..]| [ar, 9], "unknown handle index 9"),
        (
            "",
            "forward",
            |guest, [ar, _, _, bw]| {
                guest.call("forward", &[ar, bw]);
                [ar, bw]
            },
            "unknown handle index 1",
        ),
        (
            "",
            "forward",
            |guest, [ar, _, _, bw]| {
                guest.call("read", &[ar, 0, 1]);
                [ar, bw]
            },
            "cannot forward busy stream",
        ),
        (
            "",
            "forward",
            |guest, [ar, _, _, bw]| {
                guest.call("write", &[bw, 0, 1]);
                [ar, bw]
            },
            "cannot forward busy stream",
        ),
        (
            "f-",
            "f-forward",
            |guest, [ar, _, _, bw]| {
                guest.call("f-read", &[ar, 0, 0]);
                [ar, bw]
            },
            "cannot forward busy future",
        ),
        (
            "",
            "forward",
            |guest, [ar, _, _, bw]| {
                guest.call("join", &[ar]);
                [ar, bw]
            },
            "cannot forward stream while it's in a waitable set",
        ),
        (
            "f-",
            "f-forward",
            |guest, [ar, _, _, bw]| {
                guest.call("join", &[bw]);
                [ar, bw]
            },
            "cannot forward future while it's in a waitable set",
        ),
        (
            "",
            "forward",
            |guest, [ar, aw, _, bw]| {
                guest.call("drop-writable", &[aw]);
                assert_eq!(guest.call("read", &[ar, 0, 1]), DROPPED);
                [ar, bw]
            },
            "cannot forward stream after being notified that the writable end dropped",
        ),
        (
            "",
            "forward",
            |guest, [ar, _, br, bw]| {
                guest.call("drop-readable", &[br]);
                assert_eq!(guest.call("write", &[bw, 0, 1]), DROPPED);
                [ar, bw]
            },
            "cannot forward stream after being notified that the readable end dropped",
        ),
        (
            "f-",
            "f-forward",
            |guest, [ar, aw, _, bw]| {
                guest.call("f-write", &[aw, 0, 0]);
                assert_eq!(guest.call("f-read", &[ar, 0, 0]), COMPLETED);
                [ar, bw]
            },
            "cannot forward future after previous read succeeded",
        ),
        (
            "f-",
            "f-forward",
            |guest, [ar, _, br, bw]| {
                guest.call("f-drop-readable", &[br]);
                assert_eq!(guest.call("f-write", &[bw, 0, 0]), DROPPED);
                [ar, bw]
            },
            "cannot forward future after previous write succeeded or readable end dropped",
        ),
        (
            "s-",
            "s-forward",
            |guest, [ar, aw, br, bw]| {
                guest.call("s-write", &[aw, 512, 1]);
                guest.call("s-read", &[br, 520, 1]);
                [ar, bw]
            },
            "cannot read from and write to intra-component future/stream with non-numeric payload",
        ),
    ];
    for (prefix, name, prepare, words) in cases {
        let mut guest = world.begin();
        let ([ar, aw], [br, bw]) = (guest.new_pair(prefix), guest.new_pair(prefix));
        let args = prepare(&mut guest, [ar, aw, br, bw]);
        let refusal = guest.refusal(name, &args);
        assert!(refusal.contains(words), "{refusal}, not {words}");
        assert!(guest.refusal("event", &[ar]).contains("cannot enter"), "nothing may be entered any more");
    }
}
