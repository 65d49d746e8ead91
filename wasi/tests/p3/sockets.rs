//! `wasi:sockets`: TCP, UDP and names, in the host's network and in one of the embedder's.

use crate::loopback::Loopback;
use crate::support::{Guest, bytes_of, pair};
use ampoule_component::streams::StreamReader;
use ampoule_component::{Val, ValRef};
use ampoule_wasi::WasiConfig;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::task::{Context, Waker};

struct Net {
    guest: Guest,
}

fn net(config: impl FnOnce(&mut WasiConfig)) -> Net {
    let mut wasi = WasiConfig::new();
    config(&mut wasi);
    Net { guest: Guest::new(wasi) }
}

/// A guest that may use the host's network.
fn host_net() -> Net {
    net(WasiConfig::inherit_network)
}

/// Makes claims about the host's network, and an embedder's.
fn each(claims: impl Fn(Net)) {
    claims(host_net());
    claims(net(|config| config.network(Loopback::default())));
}

fn address(port: u16) -> Val {
    let ip = Val::tuple([127u8, 0, 0, 1].map(Val::from).to_vec());
    Val::variant("ipv4", Some(Val::record([("port", Val::from(port)), ("address", ip)])))
}

fn port_of(address: &Val) -> u16 {
    let ValRef::Variant(b"ipv4", Some(record)) = address.get() else { panic!("{address:?}") };
    let ValRef::Record([port, _]) = record.get() else { panic!("{record:?}") };
    let ValRef::U16(port) = port.val.get() else { panic!("{port:?}") };
    port
}

impl Net {
    fn on(&mut self, handle: &Val, name: &str, args: &[Val]) -> Result<Val, String> {
        let args: Vec<Val> = std::iter::once(handle.clone()).chain(args.iter().cloned()).collect();
        self.guest.result(&format!("sockets/types#{name}"), &args)
    }

    fn call(&mut self, handle: &Val, name: &str) -> Val {
        self.guest.call(&format!("sockets/types#{name}"), &[handle.clone()])
    }

    fn create(&mut self, kind: &str) -> Result<Val, String> {
        self.guest.result(&format!("sockets/types#{kind}-socket.create"), &[Val::enumeration("ipv4")])
    }

    /// A socket that listens, its stream, and its port.
    fn listener(&mut self) -> (Val, StreamReader, u16) {
        let server = self.create("tcp").unwrap();
        self.on(&server, "tcp-socket.bind", &[address(0)]).unwrap();
        let mut stream = self.on(&server, "tcp-socket.listen", &[]).unwrap();
        let port = port_of(&self.on(&server, "tcp-socket.get-local-address", &[]).unwrap());
        (server, StreamReader::from_val(&mut stream).unwrap(), port)
    }

    fn accept(&mut self, connections: &mut StreamReader) -> Val {
        self.guest.read_vals(connections, 1).remove(0)
    }

    fn send(&mut self, socket: &Val, bytes: &[u8]) -> (usize, Option<String>) {
        let (mut writer, reader) = self.guest.stream();
        let mut future = self.guest.call("sockets/types#tcp-socket.send", &[socket.clone(), reader]);
        let written = self.guest.write_all(&mut writer, bytes);
        drop(writer);
        (written, self.guest.ending(&mut future))
    }

    fn receive(&mut self, socket: &Val) -> (Vec<u8>, Option<String>) {
        let (mut stream, mut future) = pair(self.call(socket, "tcp-socket.receive"));
        (self.guest.read_all(&mut stream), self.guest.ending(&mut future))
    }
}

#[test]
fn a_guest_connects_to_itself() {
    each(|mut net| {
        let (server, mut connections, port) = net.listener();
        assert_eq!(net.call(&server, "tcp-socket.get-is-listening"), Val::from(true));
        let client = net.create("tcp").unwrap();
        assert_eq!(net.call(&client, "tcp-socket.get-address-family"), Val::enumeration("ipv4"));
        assert_eq!(net.on(&client, "tcp-socket.get-local-address", &[]), Err("invalid-state".into()));
        net.on(&client, "tcp-socket.connect", &[address(port)]).unwrap();
        let accepted = net.accept(&mut connections);
        let remote = net.on(&client, "tcp-socket.get-remote-address", &[]).unwrap();
        assert_eq!(port_of(&remote), port);
        let local = net.on(&client, "tcp-socket.get-local-address", &[]).unwrap();
        assert_eq!(net.on(&accepted, "tcp-socket.get-remote-address", &[]), Ok(local));

        assert_eq!(net.send(&client, b"over there"), (10, None));
        assert_eq!(net.receive(&accepted), (b"over there".to_vec(), None));
        assert_eq!(net.send(&accepted, b"and back"), (8, None));
        assert_eq!(net.receive(&client), (b"and back".to_vec(), None));
        // Each once.
        assert_eq!(net.send(&client, b"x"), (0, Some("invalid-state".into())));
        assert_eq!(net.receive(&client), (Vec::new(), Some("invalid-state".into())));
        assert_eq!(net.on(&client, "tcp-socket.connect", &[address(port)]), Err("invalid-state".into()));
    });
}

#[test]
fn a_connection_that_waits_keeps_nobody_from_going_on() {
    let mut net = host_net();
    let (_server, mut connections, port) = net.listener();
    let mut outside = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let accepted = net.accept(&mut connections);
    let (mut stream, mut future) = pair(net.call(&accepted, "tcp-socket.receive"));
    let mut reader = StreamReader::from_val(&mut stream).unwrap();
    net.guest.call("monotonic-clock#wait-for", &[Val::from(1_000_000u64)]);
    outside.write_all(b"late").unwrap();
    let mut bytes = [0; 100];
    let count = net.guest.wait(|store, cx| reader.poll_read_bytes(store, cx, &mut bytes));
    assert_eq!(&bytes[..count.unwrap()], b"late");
    // Who drops the stream wants no more: what comes is nobody's.
    drop(reader);
    assert_eq!(net.guest.ending(&mut future), None);
    assert_eq!(net.send(&accepted, b"bye"), (3, None));
    let mut all = Vec::new();
    outside.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"bye", "the way out was shut behind it");
}

#[test]
fn a_slow_receiver_holds_the_guest_back() {
    let mut net = host_net();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = net.create("tcp").unwrap();
    net.on(&socket, "tcp-socket.connect", &[address(listener.local_addr().unwrap().port())]).unwrap();
    let (mut outside, _) = listener.accept().unwrap();
    let reads = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let mut all = Vec::new();
        outside.read_to_end(&mut all).unwrap();
        all
    });
    let bytes: Vec<u8> = (0..8_000_000u32).map(|at| (at % 251) as u8).collect();
    assert_eq!(net.send(&socket, &bytes), (bytes.len(), None));
    assert!(reads.join().unwrap() == bytes);
}

#[test]
fn what_has_gone_is_told_by_the_ending() {
    let mut net = host_net();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = net.create("tcp").unwrap();
    net.on(&socket, "tcp-socket.connect", &[address(port)]).unwrap();
    drop(listener.accept().unwrap());
    drop(listener);
    let (_, ending) = net.send(&socket, &vec![0; 20_000_000]);
    assert!(matches!(ending.as_deref(), Some("connection-reset" | "connection-broken")), "{ending:?}");
    let refused = net.create("tcp").unwrap();
    assert_eq!(net.on(&refused, "tcp-socket.connect", &[address(port)]), Err("connection-refused".into()));
    assert_eq!(net.on(&refused, "tcp-socket.connect", &[address(port)]), Err("invalid-state".into()), "closed");
    assert_eq!(net.on(&refused, "tcp-socket.get-hop-limit", &[]), Err("invalid-state".into()));
    assert_eq!(net.receive(&refused), (Vec::new(), Some("invalid-state".into())));
}

#[test]
fn a_socket_that_was_not_bound_listens_somewhere() {
    each(|mut net| {
        let server = net.create("tcp").unwrap();
        let stream = net.on(&server, "tcp-socket.listen", &[]).unwrap();
        assert_ne!(port_of(&net.on(&server, "tcp-socket.get-local-address", &[]).unwrap()), 0);
        assert_eq!(net.on(&server, "tcp-socket.listen", &[]), Err("invalid-state".into()));
        assert_eq!(net.on(&server, "tcp-socket.bind", &[address(0)]), Err("invalid-state".into()));
        drop(stream);
    });
}

#[test]
fn connections_wait_until_there_are_descriptors() {
    let mut net = net(|config| {
        config.inherit_network();
        config.max_fds(8);
    });
    let held: Vec<Val> = (0..4).map(|_| net.create("udp").unwrap()).collect();
    let (_server, mut connections, port) = net.listener();
    let _outside: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    // As many as there are descriptors, beside the listener and its stream, and no more.
    for _ in 0..2 {
        net.accept(&mut connections);
    }
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(connections.poll_read(&mut net.guest.store, cx, 1).is_pending());
    assert_eq!(net.create("udp"), Err("other".into()));
    for socket in &held {
        net.guest.drop(socket);
        net.accept(&mut connections);
    }
}

#[test]
fn options_are_set_and_read() {
    let mut net = host_net();
    let socket = net.create("tcp").unwrap();
    let mut both = |get: &str, set: &str, val: Val| {
        net.on(&socket, &format!("tcp-socket.{set}"), &[val.clone()]).unwrap();
        assert_eq!(net.on(&socket, &format!("tcp-socket.{get}"), &[]), Ok(val), "{get}");
    };
    both("get-keep-alive-enabled", "set-keep-alive-enabled", Val::from(true));
    both("get-keep-alive-idle-time", "set-keep-alive-idle-time", Val::from(7_000_000_000u64));
    both("get-keep-alive-interval", "set-keep-alive-interval", Val::from(8_000_000_000u64));
    both("get-keep-alive-count", "set-keep-alive-count", Val::from(9u32));
    both("get-hop-limit", "set-hop-limit", Val::from(10u8));
    both("get-receive-buffer-size", "set-receive-buffer-size", Val::from(50_000u64));
    both("get-send-buffer-size", "set-send-buffer-size", Val::from(50_000u64));
    net.on(&socket, "tcp-socket.set-listen-backlog-size", &[Val::from(u64::MAX)]).unwrap();
    for name in ["set-listen-backlog-size", "set-send-buffer-size"] {
        let refused = net.on(&socket, &format!("tcp-socket.{name}"), &[Val::from(0u64)]);
        assert_eq!(refused, Err("invalid-argument".into()), "{name}");
    }
    let udp = net.create("udp").unwrap();
    let mut both = |get: &str, set: &str, val: Val| {
        net.on(&udp, &format!("udp-socket.{set}"), &[val.clone()]).unwrap();
        assert_eq!(net.on(&udp, &format!("udp-socket.{get}"), &[]), Ok(val), "{get}");
    };
    both("get-unicast-hop-limit", "set-unicast-hop-limit", Val::from(10u8));
    both("get-receive-buffer-size", "set-receive-buffer-size", Val::from(50_000u64));
    both("get-send-buffer-size", "set-send-buffer-size", Val::from(50_000u64));
}

fn list_of(bytes: &[u8]) -> Val {
    Val::list(bytes.iter().map(|&byte| Val::from(byte)).collect::<Vec<_>>())
}

fn some(address: Val) -> Val {
    Val::option(Some(address))
}

#[test]
fn datagrams_are_exchanged() {
    each(|mut net| {
        let (one, other) = (net.create("udp").unwrap(), net.create("udp").unwrap());
        assert_eq!(net.call(&one, "udp-socket.get-address-family"), Val::enumeration("ipv4"));
        assert_eq!(net.on(&one, "udp-socket.get-local-address", &[]), Err("invalid-state".into()));
        assert_eq!(net.on(&one, "udp-socket.receive", &[]), Err("invalid-state".into()));
        for socket in [&one, &other] {
            net.on(socket, "udp-socket.bind", &[address(0)]).unwrap();
        }
        assert_eq!(net.on(&one, "udp-socket.bind", &[address(0)]), Err("invalid-state".into()));
        let own = net.on(&one, "udp-socket.get-local-address", &[]).unwrap();
        let there = net.on(&other, "udp-socket.get-local-address", &[]).unwrap();
        net.on(&one, "udp-socket.send", &[list_of(b"hello"), some(there.clone())]).unwrap();
        let (bytes, from) = pair(net.on(&other, "udp-socket.receive", &[]).unwrap());
        assert_eq!((bytes_of(&bytes), &from), (b"hello".to_vec(), &own));

        assert_eq!(net.on(&one, "udp-socket.disconnect", &[]), Err("invalid-state".into()));
        assert_eq!(net.on(&one, "udp-socket.get-remote-address", &[]), Err("invalid-state".into()));
        let invalid: Result<Val, String> = Err("invalid-argument".into());
        assert_eq!(net.on(&one, "udp-socket.send", &[list_of(b"x"), Val::option(None)]), invalid);
        net.on(&one, "udp-socket.connect", &[there.clone()]).unwrap();
        assert_eq!(net.on(&one, "udp-socket.get-remote-address", &[]), Ok(there));
        net.on(&one, "udp-socket.send", &[list_of(b"again"), Val::option(None)]).unwrap();
        assert_eq!(net.on(&one, "udp-socket.send", &[list_of(b"x"), some(address(1))]), invalid);
        let (bytes, _) = pair(net.on(&other, "udp-socket.receive", &[]).unwrap());
        assert_eq!(bytes_of(&bytes), b"again");
        net.on(&one, "udp-socket.disconnect", &[]).unwrap();
        assert_eq!(net.on(&one, "udp-socket.connect", &[address(0)]), invalid);
        let large = net.on(&one, "udp-socket.send", &[list_of(&vec![0; 70_000]), some(address(9))]);
        assert_eq!(large, Err("datagram-too-large".into()));
    });
}

#[test]
fn a_datagram_is_waited_for() {
    let mut net = host_net();
    let socket = net.create("udp").unwrap();
    net.on(&socket, "udp-socket.bind", &[address(0)]).unwrap();
    let port = port_of(&net.on(&socket, "udp-socket.get-local-address", &[]).unwrap());
    let sends = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"late", ("127.0.0.1", port)).unwrap();
    });
    let (bytes, _) = pair(net.on(&socket, "udp-socket.receive", &[]).unwrap());
    assert_eq!(bytes_of(&bytes), b"late");
    sends.join().unwrap();
}

#[test]
fn datagrams_of_others_are_passed_over_however_many_there_are() {
    let [peer, other] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    // Those that come from where nothing may be sent to; and those that had come before there was a remote address.
    for is_filtered in [true, false] {
        let mut net = net(|config| match is_filtered {
            true => config.allow_net(&peer.local_addr().unwrap().to_string()).unwrap(),
            false => config.inherit_network(),
        });
        let socket = net.create("udp").unwrap();
        net.on(&socket, "udp-socket.bind", &[address(0)]).unwrap();
        let own = ("127.0.0.1", port_of(&net.on(&socket, "udp-socket.get-local-address", &[]).unwrap()));
        (0..150).for_each(|_| _ = other.send_to(b"stray", own).unwrap());
        if !is_filtered {
            net.on(&socket, "udp-socket.connect", &[address(port(&peer))]).unwrap();
        }
        peer.send_to(b"answer", own).unwrap();
        let (bytes, from) = pair(net.on(&socket, "udp-socket.receive", &[]).unwrap());
        assert_eq!((bytes_of(&bytes), port_of(&from)), (b"answer".to_vec(), port(&peer)));
    }
}

fn look_up(net: &mut Net, name: &str) -> Result<usize, String> {
    let found = net.guest.result("ip-name-lookup#resolve-addresses", &[Val::from(name)]);
    found.map(|mut addresses| addresses.take_list().expect("a list").len())
}

#[test]
fn names_are_looked_up_as_far_as_permitted() {
    let mut of_host = net(|config| config.allow_ip_name_lookup(true));
    assert_eq!(look_up(&mut of_host, "127.0.0.1"), Ok(1));
    assert!(look_up(&mut of_host, "localhost").is_ok_and(|count| count > 0));
    assert_eq!(look_up(&mut of_host, "no name"), Err("invalid-argument".into()));
    assert_eq!(look_up(&mut net(|_| ()), "localhost"), Err("access-denied".into()));
    let mut provided = net(|config| config.network(Loopback::default()));
    assert_eq!(look_up(&mut provided, "home"), Ok(1), "each once");
    assert_eq!(look_up(&mut provided, "elsewhere"), Err("name-unresolvable".into()));
}

#[test]
fn filters_are_obeyed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let denied: Result<Val, String> = Err("access-denied".into());
    let mut nothing = net(|_| ());
    assert_eq!(nothing.create("tcp"), denied);
    assert_eq!(nothing.create("udp"), denied);
    let mut some_of_it = net(|config| config.allow_net(&format!("127.0.0.1:{port}")).unwrap());
    let socket = some_of_it.create("tcp").unwrap();
    assert_eq!(some_of_it.on(&socket, "tcp-socket.bind", &[address(port + 1)]), denied);
    assert_eq!(some_of_it.on(&socket, "tcp-socket.listen", &[]).map(drop), Err("access-denied".into()));
    some_of_it.on(&socket, "tcp-socket.connect", &[address(port)]).unwrap();
    let other = some_of_it.create("tcp").unwrap();
    assert_eq!(some_of_it.on(&other, "tcp-socket.connect", &[address(port + 1)]), denied);
    let udp = some_of_it.create("udp").unwrap();
    assert_eq!(some_of_it.on(&udp, "udp-socket.send", &[list_of(b"x"), Val::option(Some(address(port + 1)))]), denied);
    assert_eq!(some_of_it.on(&udp, "udp-socket.connect", &[address(port + 1)]), denied);
}
