//! A guest that meets the hard limit of its store's budget: the error that the interface has for it, or a trap that says so. The host goes on.

use crate::http::{guest as http_guest, requests::request_to};
use crate::support::Guest;
use ampoule::{Budget, BudgetKind};
use ampoule_component::{Val, ValRef};
use ampoule_wasi::host::http::HttpConfig;
use ampoule_wasi::{DirPerms, FilePerms, WasiConfig};
use std::net::TcpListener;

/// A guest with a file that it may open, the directory that that is in, and the handle of it.
fn with_file() -> (Guest, tempfile::TempDir, Val) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "0123").unwrap();
    let mut config = WasiConfig::new();
    config.preopen_dir(dir.path(), "/", DirPerms::ALL, FilePerms::ALL).unwrap();
    config.max_fds(100_000);
    config.inherit_network();
    let mut guest = Guest::new(config);
    let preopens = guest.call("preopens#get-directories", &[]);
    let ValRef::List([preopen]) = preopens.get() else { panic!("one") };
    let ValRef::Tuple([root, _]) = preopen.get() else { panic!("a pair") };
    (guest, dir, root.clone())
}

/// Allows so many KiB more.
fn allow(guest: &mut Guest, kib: u64) -> Budget {
    let budget = guest.store.budget();
    budget.set_limits(None, Some(budget.total() + (kib << 10)));
    budget
}

fn open(guest: &mut Guest, root: &Val) -> Result<Option<Val>, Option<Val>> {
    let none = || Val::flags([""; 0]);
    let args = [root.clone(), none(), Val::from("file"), none(), Val::flags(["read"])];
    guest.result("filesystem/types#descriptor.open-at", &args)
}

/// Makes more of something until that traps; what the trap says.
fn until_it_traps(guest: &mut Guest, mut make: impl FnMut(&mut Guest) -> Result<Val, ampoule::Error>) -> String {
    let mut held = Vec::new();
    loop {
        match make(guest) {
            Ok(made) => held.push(made),
            Err(error) => return format!("{error:#}"),
        }
        assert!(held.len() < 1000, "there is no end");
    }
}

#[test]
fn files_beyond_it_are_an_error_and_can_be_opened_when_others_are_closed() {
    let (mut guest, _dir, root) = with_file();
    // Handles count as well.
    let budget = allow(&mut guest, 64 + 8);
    for _ in 0..3 {
        let mut files = Vec::new();
        let refused = loop {
            match open(&mut guest, &root) {
                Ok(file) => files.push(file.expect("a descriptor")),
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused, Some(Val::enumeration("insufficient-memory")));
        assert!((48..=80).contains(&files.len()), "{}", files.len());
        assert!(budget.total() <= budget.hard_limit().unwrap());
        files.into_iter().for_each(|file| guest.drop(file).unwrap());
    }
    drop(guest);
    assert_eq!(budget.total(), 0);
}

#[test]
fn sockets_beyond_it_are_an_error() {
    let (mut guest, _dir, _) = with_file();
    allow(&mut guest, 64 + 8);
    let mut sockets = Vec::new();
    let refused = loop {
        let args = [Val::enumeration("ipv4")];
        match guest.result("tcp-create-socket#create-tcp-socket", &args) {
            Ok(socket) => sockets.push(socket),
            Err(refused) => break refused,
        }
        assert!(sockets.len() < 1000, "there is no end");
    };
    assert_eq!(refused, Some(Val::enumeration("new-socket-limit")));
}

#[test]
fn streams_and_pollables_beyond_it_are_a_trap_that_says_so() {
    for name in ["streams", "pollables"] {
        let (mut guest, _dir, root) = with_file();
        let file = open(&mut guest, &root).unwrap().unwrap();
        let budget = allow(&mut guest, 64 + 8);
        let trap = until_it_traps(&mut guest, |guest| match name {
            "streams" => {
                guest.try_call("filesystem/types#descriptor.read-via-stream", &[file.clone(), Val::from(0_u64)])
            }
            _ => guest.try_call("monotonic-clock#subscribe-duration", &[Val::from(1_u64)]),
        });
        assert!(trap.contains("the store's budget is used up by resources of WASI"), "{name}: {trap}");
        assert!(budget.used(BudgetKind::Descriptor) > 48 << 10, "{name}");
        drop(guest);
        assert_eq!(budget.total(), 0, "{name}");
    }
}

#[test]
fn bodies_beyond_it_are_a_trap_that_says_so() {
    let mut guest = http_guest();
    let fields = guest.call("http/types#fields", &[]);
    drop(fields);
    let budget = allow(&mut guest, 200 + 32);
    let trap = until_it_traps(&mut guest, |guest| {
        let fields = guest.call("http/types#fields", &[]);
        let request = guest.call("http/types#outgoing-request", &[fields]);
        guest.try_call("http/types#outgoing-request.body", &[request])
    });
    assert!(trap.contains("HTTP bodies are larger than the host allows"), "{trap}");
    assert!(budget.used(BudgetKind::Buffer) >= 128 << 10);
    drop(guest);
    assert_eq!(budget.total(), 0);
}

#[test]
fn connections_beyond_it_are_an_error() {
    let mut http = HttpConfig::new();
    http.allow_outgoing(true);
    let mut guest = Guest::with_http(&http);
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let request = request_to(&mut guest, "HTTP", &address, &[]);
    // One, which is 288 KiB, and what it comes with.
    let budget = allow(&mut guest, 400);
    assert!(guest.result("outgoing-handler#handle", &[request, Val::option(None)]).is_ok());
    assert!(budget.used(BudgetKind::Buffer) >= 288 << 10);
    let request = request_to(&mut guest, "HTTP", &address, &[]);
    let refused = guest.err("outgoing-handler#handle", &[request, Val::option(None)]);
    assert_eq!(refused, "connection-limit-reached");
}
