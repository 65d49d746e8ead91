//! `wasi:sockets`, over the loopback.

use crate::support::{Guest, each_way, list_of};
use ampoule_component::{Val, ValRef};
use ampoule_wasi::WasiConfig;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

struct Net {
    guest: Guest,
    network: Val,
}

/// A guest that may use the network.
fn net() -> Net {
    let mut config = WasiConfig::new();
    config.inherit_network();
    config.allow_ip_name_lookup(true);
    with(config)
}

fn with(config: WasiConfig) -> Net {
    let mut guest = Guest::new(config);
    let network = guest.call("instance-network#instance-network", &[]);
    Net { guest, network }
}

type Answer = Result<Option<Val>, Option<Val>>;

fn error(name: &str) -> Answer {
    Err(Some(Val::enumeration(name)))
}

fn ipv4(octets: [u8; 4], port: u16) -> Val {
    let address = Val::tuple(octets.map(Val::from).to_vec());
    Val::variant("ipv4", Some(Val::record([("port", Val::from(port)), ("address", address)])))
}

fn ipv6(segments: [u16; 8], port: u16) -> Val {
    let address = Val::tuple(segments.map(Val::from).to_vec());
    let zero = || Val::from(0u32);
    let fields = [("port", Val::from(port)), ("flow-info", zero()), ("address", address), ("scope-id", zero())];
    Val::variant("ipv6", Some(Val::record(fields)))
}

const LOCALHOST: [u8; 4] = [127, 0, 0, 1];

fn local(port: u16) -> Val {
    ipv4(LOCALHOST, port)
}

fn port_of(address: &Val) -> u16 {
    let ValRef::Variant(_, Some(record)) = address.get() else { panic!("{address:?}") };
    let ValRef::Record(fields) = record.get() else { panic!("{address:?}") };
    let ValRef::U16(port) = fields[0].val.get() else { panic!("{address:?}") };
    port
}

impl Net {
    /// A method of a socket or stream: `tcp#tcp-socket.accept`.
    fn on(&mut self, handle: &Val, name: &str, args: &[Val]) -> Answer {
        let args: Vec<Val> = std::iter::once(handle.clone()).chain(args.iter().cloned()).collect();
        self.guest.result(&format!("sockets/{name}"), &args)
    }

    fn tcp(&mut self, handle: &Val, name: &str, args: &[Val]) -> Answer {
        self.on(handle, &format!("tcp#tcp-socket.{name}"), args)
    }

    fn udp(&mut self, handle: &Val, name: &str, args: &[Val]) -> Answer {
        self.on(handle, &format!("udp#udp-socket.{name}"), args)
    }

    fn socket(&mut self, kind: &str, family: &str) -> Val {
        self.guest.ok(&format!("{kind}-create-socket#create-{kind}-socket"), &[Val::enumeration(family)])
    }

    /// How many datagrams there are, for a guest that wants all.
    fn receive(&mut self, incoming: &Val) -> usize {
        let received = self.on(incoming, "udp#incoming-datagram-stream.receive", &[Val::from(u64::MAX)]);
        received.unwrap().unwrap().take_list().expect("a list").len()
    }

    /// Waits for what a socket or stream is doing.
    fn wait(&mut self, handle: &Val, name: &str) {
        let pollable = self.guest.call(&format!("sockets/{name}.subscribe"), &[handle.clone()]);
        self.guest.call("poll#pollable.block", &[pollable.clone()]);
        self.guest.drop(pollable).unwrap();
    }

    fn bind(&mut self, kind: &str, handle: &Val, address: Val) -> Val {
        let network = self.network.clone();
        let method = |name: &str| format!("{kind}#{kind}-socket.{name}");
        assert_eq!(self.on(handle, &method("start-bind"), &[network, address]), Ok(None));
        assert_eq!(self.on(handle, &method("finish-bind"), &[]), Ok(None));
        self.on(handle, &method("local-address"), &[]).unwrap().unwrap()
    }

    fn connect(&mut self, socket: &Val, address: Val) -> Answer {
        let network = self.network.clone();
        self.tcp(socket, "start-connect", &[network, address])?;
        self.wait(socket, "tcp#tcp-socket");
        self.tcp(socket, "finish-connect", &[])
    }

    fn read(&mut self, stream: &Val) -> Answer {
        self.guest.result("streams#input-stream.blocking-read", &[stream.clone(), Val::from(100u64)])
    }

    fn write(&mut self, stream: &Val, bytes: &[u8]) -> Answer {
        self.guest.result("streams#output-stream.blocking-write-and-flush", &[stream.clone(), list_of(bytes)])
    }
}

fn pair(val: &Val) -> (Val, Val) {
    let ValRef::Tuple([a, b]) = val.get() else { panic!("{val:?}") };
    (a.clone(), b.clone())
}

#[test]
fn without_permission_there_are_no_sockets_and_no_names() {
    for (sockets, names) in [(false, false), (false, true), (true, false)] {
        let mut config = WasiConfig::new();
        if sockets {
            config.inherit_network();
        }
        config.allow_ip_name_lookup(names);
        let mut net = with(config);
        for kind in ["tcp", "udp"] {
            let name = format!("{kind}-create-socket#create-{kind}-socket");
            let made = net.guest.result(&name, &[Val::enumeration("ipv4")]);
            assert_eq!(made.is_ok(), sockets);
            assert!(sockets || made == error("access-denied"));
        }
        let network = net.network.clone();
        let found = net.guest.result("ip-name-lookup#resolve-addresses", &[network, Val::from("127.0.0.1")]);
        assert_eq!(found.is_ok(), names);
        assert!(names || found == error("access-denied"));
    }
}

#[test]
fn a_guest_connects_writes_and_reads() {
    each_way(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            stream.write_all(&bytes).unwrap();
            bytes
        });
        let mut net = net();
        let socket = net.socket("tcp", "ipv4");
        let streams = net.connect(&socket, local(port)).unwrap().unwrap();
        let (input, output) = pair(&streams);
        assert_eq!(port_of(&net.tcp(&socket, "remote-address", &[]).unwrap().unwrap()), port);
        assert_ne!(port_of(&net.tcp(&socket, "local-address", &[]).unwrap().unwrap()), 0);
        assert_eq!(net.guest.ok("streams#input-stream.read", &[input.clone(), Val::from(1u64)]), list_of(b""));
        assert_eq!(net.write(&output, b"over the loopback"), Ok(None));
        for _ in 0..2 {
            assert_eq!(net.tcp(&socket, "shutdown", &[Val::enumeration("send")]), Ok(None));
        }
        assert_eq!(net.guest.err("streams#output-stream.check-write", &[output]), "closed");
        // The socket may go before its streams.
        net.guest.drop(socket).unwrap();
        assert_eq!(net.read(&input), Ok(Some(list_of(b"over the loopback"))));
        assert_eq!(net.read(&input), Err(Some(Val::variant("closed", None))));
        assert_eq!(server.join().unwrap(), b"over the loopback");
    });
}

#[test]
fn a_guest_accepts() {
    each_way(|| {
        for (family, address) in [("ipv4", local(0)), ("ipv6", ipv6([0, 0, 0, 0, 0, 0, 0, 1], 0))] {
            if family == "ipv6" && TcpListener::bind("[::1]:0").is_err() {
                // This machine has none.
                continue;
            }
            let mut net = net();
            let socket = net.socket("tcp", family);
            assert_eq!(net.tcp(&socket, "set-listen-backlog-size", &[Val::from(0u64)]), error("invalid-argument"));
            assert_eq!(net.tcp(&socket, "set-listen-backlog-size", &[Val::from(u64::MAX)]), Ok(None));
            let port = port_of(&net.bind("tcp", &socket, address));
            assert_eq!(net.tcp(&socket, "start-listen", &[]), Ok(None));
            assert_eq!(net.tcp(&socket, "accept", &[]), error("invalid-state"));
            assert_eq!(net.tcp(&socket, "finish-listen", &[]), Ok(None));
            assert_eq!(net.guest.call("tcp#tcp-socket.is-listening", &[socket.clone()]), Val::from(true));
            assert_eq!(net.guest.call("tcp#tcp-socket.address-family", &[socket.clone()]), Val::enumeration(family));
            assert_eq!(net.tcp(&socket, "accept", &[]), error("would-block"));
            let host = if family == "ipv4" { "127.0.0.1" } else { "::1" };
            let mut client = TcpStream::connect((host, port)).unwrap();
            net.wait(&socket, "tcp#tcp-socket");
            let accepted = net.tcp(&socket, "accept", &[]).unwrap().unwrap();
            let ValRef::Tuple([accepted, input, output]) = accepted.get() else { panic!("{accepted:?}") };
            client.write_all(b"ping").unwrap();
            assert_eq!(net.read(input), Ok(Some(list_of(b"ping"))));
            assert_eq!(net.write(output, b"pong"), Ok(None));
            assert_eq!(net.tcp(accepted, "shutdown", &[Val::enumeration("both")]), Ok(None));
            assert_eq!(net.read(input), Err(Some(Val::variant("closed", None))));
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "pong");
        }
    });
}

#[test]
fn what_the_other_side_does_not_read_is_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut net = net();
    let socket = net.socket("tcp", "ipv4");
    let streams = net.connect(&socket, local(listener.local_addr().unwrap().port())).unwrap().unwrap();
    let output = pair(&streams).1;
    let mut total = 0;
    loop {
        let permitted = net.guest.ok("streams#output-stream.check-write", &[output.clone()]);
        let ValRef::U64(permitted) = permitted.get() else { panic!("{permitted:?}") };
        if permitted == 0 {
            break;
        }
        assert!(permitted <= 64 << 10);
        net.guest.result("streams#output-stream.write-zeroes", &[output.clone(), Val::from(permitted)]).unwrap();
        total += permitted;
        assert!(total < 1 << 30, "the host keeps what the other side doesn't read");
    }
    // The other side goes, and what was kept can't be written.
    drop(listener.accept().unwrap());
    drop(listener);
    assert!(net.guest.result("streams#output-stream.blocking-flush", &[output.clone()]).is_err());
    assert_eq!(net.guest.err("streams#output-stream.check-write", &[output]), "closed");
}

#[test]
fn a_refused_connection_closes_the_socket() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut net = net();
    let socket = net.socket("tcp", "ipv4");
    assert_eq!(net.tcp(&socket, "finish-connect", &[]), error("not-in-progress"));
    assert_eq!(net.connect(&socket, local(free)), error("connection-refused"));
    assert_eq!(net.connect(&socket, local(free)), error("invalid-state"));
    assert_eq!(net.tcp(&socket, "hop-limit", &[]), error("invalid-state"));
}

#[test]
fn states_and_addresses_are_checked() {
    let mut net = net();
    let network = net.network.clone();
    for kind in ["tcp", "udp"] {
        let method = |name: &str| format!("{kind}#{kind}-socket.{name}");
        for (family, address) in [
            ("ipv4", ipv6([0, 0, 0, 0, 0, 0, 0, 1], 0)),
            ("ipv6", local(0)),
            ("ipv4", ipv4([224, 0, 0, 1], 0)),
            ("ipv4", ipv4([255, 255, 255, 255], 0)),
            ("ipv6", ipv6([0xff02, 0, 0, 0, 0, 0, 0, 1], 0)),
            ("ipv6", ipv6([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], 0)),
        ] {
            let socket = net.socket(kind, family);
            let bound = net.on(&socket, &method("start-bind"), &[network.clone(), address.clone()]);
            assert_eq!(bound, error("invalid-argument"), "{address:?}");
            assert_eq!(net.on(&socket, &method("finish-bind"), &[]), error("not-in-progress"));
            assert_eq!(net.on(&socket, &method("local-address"), &[]), error("invalid-state"));
            assert_eq!(net.on(&socket, &method("remote-address"), &[]), error("invalid-state"));
        }
        let socket = net.socket(kind, "ipv4");
        net.bind(kind, &socket, local(0));
        assert_eq!(net.on(&socket, &method("start-bind"), &[network.clone(), local(0)]), error("invalid-state"));
    }
    let socket = net.socket("tcp", "ipv4");
    assert_eq!(net.tcp(&socket, "start-listen", &[]), error("invalid-state"));
    assert_eq!(net.tcp(&socket, "finish-listen", &[]), error("not-in-progress"));
    assert_eq!(net.tcp(&socket, "shutdown", &[Val::enumeration("both")]), error("invalid-state"));
    for address in [local(0), ipv4([0; 4], 80), ipv4([224, 0, 0, 1], 80), ipv6([0, 0, 0, 0, 0, 0, 0, 1], 80)] {
        assert_eq!(net.tcp(&socket, "start-connect", &[network.clone(), address]), error("invalid-argument"));
    }
}

#[test]
fn options_are_kept_within_the_host_s_bounds() {
    let mut net = net();
    for family in ["ipv4", "ipv6"] {
        let tcp = net.socket("tcp", family);
        let second = Val::from(1_000_000_000u64);
        let options = [
            ("keep-alive-enabled", Val::from(true), Val::from(true)),
            ("keep-alive-idle-time", Val::from(1u64), second.clone()),
            ("keep-alive-interval", Val::from(1_000_000_000u64), second),
            ("keep-alive-idle-time", Val::from(u64::MAX), Val::from(32_767_000_000_000u64)),
            ("keep-alive-count", Val::from(3u32), Val::from(3u32)),
            ("keep-alive-count", Val::from(u32::MAX), Val::from(127u32)),
            ("hop-limit", Val::from(9u8), Val::from(9u8)),
            ("receive-buffer-size", Val::from(8192u64), Val::from(8192u64)),
            ("send-buffer-size", Val::from(8192u64), Val::from(8192u64)),
        ];
        for (name, set, expected) in options {
            assert_eq!(net.tcp(&tcp, &format!("set-{name}"), &[set]), Ok(None), "{name}");
            assert_eq!(net.tcp(&tcp, name, &[]), Ok(Some(expected)), "{name}");
        }
        let udp = net.socket("udp", family);
        for (name, set) in [
            ("unicast-hop-limit", Val::from(9u8)),
            ("receive-buffer-size", Val::from(8192u64)),
            ("send-buffer-size", Val::from(8192u64)),
        ] {
            assert_eq!(net.udp(&udp, &format!("set-{name}"), &[set.clone()]), Ok(None), "{name}");
            assert_eq!(net.udp(&udp, name, &[]), Ok(Some(set)), "{name}");
        }
        for (socket, name, zero) in [
            (&tcp, "tcp#tcp-socket.set-keep-alive-idle-time", Val::from(0u64)),
            (&tcp, "tcp#tcp-socket.set-keep-alive-interval", Val::from(0u64)),
            (&tcp, "tcp#tcp-socket.set-keep-alive-count", Val::from(0u32)),
            (&tcp, "tcp#tcp-socket.set-hop-limit", Val::from(0u8)),
            (&tcp, "tcp#tcp-socket.set-receive-buffer-size", Val::from(0u64)),
            (&udp, "udp#udp-socket.set-unicast-hop-limit", Val::from(0u8)),
            (&udp, "udp#udp-socket.set-send-buffer-size", Val::from(0u64)),
        ] {
            assert_eq!(net.on(socket, name, &[zero]), error("invalid-argument"), "{name}");
        }
        net.tcp(&tcp, "set-send-buffer-size", &[Val::from(u64::MAX)]).unwrap();
    }
}

fn datagram(data: &[u8], to: Option<Val>) -> Val {
    Val::record([("data", list_of(data)), ("remote-address", Val::option(to))])
}

#[test]
fn datagrams_are_sent_and_received() {
    each_way(|| {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let mut net = net();
        let socket = net.socket("udp", "ipv4");
        assert_eq!(net.udp(&socket, "stream", &[Val::option(None)]), error("invalid-state"));
        let own = port_of(&net.bind("udp", &socket, local(0)));
        let own = SocketAddr::from((LOCALHOST, own));
        let streams = net.udp(&socket, "stream", &[Val::option(None)]).unwrap().unwrap();
        let (incoming, outgoing) = pair(&streams);
        let send = "udp#outgoing-datagram-stream.send";
        let check = "udp#outgoing-datagram-stream.check-send";
        let receive = "udp#incoming-datagram-stream.receive";
        assert!(matches!(net.on(&outgoing, check, &[]).unwrap().unwrap().get(), ValRef::U64(1..)));
        let two = vec![datagram(b"one", Some(local(port(&peer)))), datagram(b"", Some(local(port(&other))))];
        assert_eq!(net.on(&outgoing, send, &[Val::list(two)]), Ok(Some(Val::from(2u64))));
        let mut buffer = [0; 10];
        assert_eq!(peer.recv_from(&mut buffer).unwrap(), (3, own));
        assert_eq!(other.recv_from(&mut buffer).unwrap(), (0, own));
        for (to, code) in [
            (None, "invalid-argument"),
            (Some(local(0)), "invalid-argument"),
            (Some(ipv4([0; 4], 80)), "invalid-argument"),
            (Some(ipv6([0, 0, 0, 0, 0, 0, 0, 1], 80)), "invalid-argument"),
        ] {
            net.on(&outgoing, check, &[]).unwrap();
            assert_eq!(net.on(&outgoing, send, &[Val::list(vec![datagram(b"x", to)])]), error(code));
        }
        net.on(&outgoing, check, &[]).unwrap();
        let too_large = datagram(&vec![0; 65_536], Some(local(port(&peer))));
        assert_eq!(net.on(&outgoing, send, &[Val::list(vec![too_large])]), error("datagram-too-large"));

        let ten = Val::from(10u64);
        assert_eq!(net.on(&incoming, receive, &[ten.clone()]), Ok(Some(Val::list(vec![]))));
        peer.send_to(b"answer", own).unwrap();
        net.wait(&incoming, "udp#incoming-datagram-stream");
        assert_eq!(net.on(&incoming, receive, &[Val::from(0u64)]), Ok(Some(Val::list(vec![]))));
        let from = |port| Val::record([("data", list_of(b"answer")), ("remote-address", local(port))]);
        assert_eq!(net.on(&incoming, receive, &[ten.clone()]), Ok(Some(Val::list(vec![from(port(&peer))]))));

        // With one address only, from which alone there are datagrams then, also of those that had come before.
        other.send_to(b"early", own).unwrap();
        net.guest.drop(incoming).unwrap();
        net.guest.drop(outgoing).unwrap();
        assert_eq!(net.udp(&socket, "stream", &[Val::option(Some(local(0)))]), error("invalid-argument"));
        let streams = net.udp(&socket, "stream", &[Val::option(Some(local(port(&peer))))]).unwrap().unwrap();
        let (incoming, outgoing) = pair(&streams);
        assert_eq!(port_of(&net.udp(&socket, "remote-address", &[]).unwrap().unwrap()), port(&peer));
        other.send_to(b"late", own).unwrap();
        peer.send_to(b"answer", own).unwrap();
        net.wait(&incoming, "udp#incoming-datagram-stream");
        assert_eq!(net.on(&incoming, receive, &[ten]), Ok(Some(Val::list(vec![from(port(&peer))]))));
        net.wait(&outgoing, "udp#outgoing-datagram-stream");
        net.on(&outgoing, check, &[]).unwrap();
        let both = vec![datagram(b"a", None), datagram(b"b", Some(local(port(&other))))];
        assert_eq!(net.on(&outgoing, send, &[Val::list(both)]), Ok(Some(Val::from(1u64))));
        assert_eq!(peer.recv_from(&mut buffer).unwrap(), (1, own));

        // With any again, at the same address.
        net.guest.drop(incoming).unwrap();
        net.guest.drop(outgoing).unwrap();
        let streams = net.udp(&socket, "stream", &[Val::option(None)]).unwrap().unwrap();
        assert_eq!(port_of(&net.udp(&socket, "local-address", &[]).unwrap().unwrap()), own.port());
        assert_eq!(net.udp(&socket, "remote-address", &[]), error("invalid-state"));
        other.send_to(b"answer", own).unwrap();
        let incoming = pair(&streams).0;
        net.wait(&incoming, "udp#incoming-datagram-stream");
        let received = net.on(&incoming, receive, &[Val::from(1u64)]);
        assert_eq!(received, Ok(Some(Val::list(vec![from(port(&other))]))));

        let again = net.guest.try_call("udp#udp-socket.stream", &[socket, Val::option(None)]);
        assert!(again.is_err(), "the streams are still there");
    });
}

#[test]
fn more_datagrams_than_permitted_end_the_guest() {
    let mut net = net();
    let socket = net.socket("udp", "ipv4");
    net.bind("udp", &socket, local(0));
    let streams = net.udp(&socket, "stream", &[Val::option(None)]).unwrap().unwrap();
    let outgoing = pair(&streams).1;
    let many = |count| Val::list(vec![datagram(b"x", Some(local(9))); count]);
    let check = "udp#outgoing-datagram-stream.check-send";
    let ValRef::U64(permitted) = net.on(&outgoing, check, &[]).unwrap().unwrap().get() else { panic!("a number") };
    for count in [permitted as usize, 1] {
        // The second time it wasn't asked before.
        let sent = net.guest.try_call("udp#outgoing-datagram-stream.send", &[outgoing.clone(), many(count)]);
        assert_eq!(sent.is_ok(), count > 1, "{sent:?}");
    }
    let mut net = self::net();
    let socket = net.socket("udp", "ipv4");
    net.bind("udp", &socket, local(0));
    let streams = net.udp(&socket, "stream", &[Val::option(None)]).unwrap().unwrap();
    let outgoing = pair(&streams).1;
    net.on(&outgoing, check, &[]).unwrap();
    let sent = net.guest.try_call("udp#outgoing-datagram-stream.send", &[outgoing, many(permitted as usize + 1)]);
    assert!(sent.unwrap_err().to_string().contains("exceed the permitted"));
}

#[test]
fn a_call_receives_so_many_datagrams_and_no_more() {
    each_way(|| {
        let [peer, other] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let mut net = net();
        let socket = net.socket("udp", "ipv4");
        let own = SocketAddr::from((LOCALHOST, port_of(&net.bind("udp", &socket, local(0)))));
        let (incoming, outgoing) = pair(&net.udp(&socket, "stream", &[Val::option(None)]).unwrap().unwrap());
        (0..40).for_each(|_| _ = peer.send_to(b"x", own).unwrap());
        for expected in [16, 16, 8, 0] {
            assert_eq!(net.receive(&incoming), expected);
        }
        // Those of others, which had come before, count: after as many it is the host's turn.
        (0..16).for_each(|_| _ = other.send_to(b"early", own).unwrap());
        net.guest.drop(incoming).unwrap();
        net.guest.drop(outgoing).unwrap();
        let streams = net.udp(&socket, "stream", &[Val::option(Some(local(port(&peer))))]).unwrap().unwrap();
        peer.send_to(b"x", own).unwrap();
        let incoming = pair(&streams).0;
        assert_eq!([net.receive(&incoming), net.receive(&incoming)], [0, 1]);
    });
}

#[test]
fn a_call_drops_so_many_datagrams_and_no_more() {
    let [listed, other] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let mut net = allowing(&[listed.local_addr().unwrap().to_string()]);
    let socket = net.socket("udp", "ipv4");
    let own = SocketAddr::from((LOCALHOST, port_of(&net.bind("udp", &socket, local(0)))));
    let incoming = pair(&net.udp(&socket, "stream", &[Val::option(None)]).unwrap().unwrap()).0;
    for (strays, received) in [(63, [1, 0]), (64, [0, 1])] {
        (0..strays).for_each(|_| _ = other.send_to(b"stray", own).unwrap());
        listed.send_to(b"x", own).unwrap();
        assert_eq!([net.receive(&incoming), net.receive(&incoming)], received, "{strays} strays");
    }
}

#[test]
fn names_are_looked_up() {
    each_way(|| {
        let mut net = net();
        let mut find = |name: &str| -> Result<Vec<Val>, Answer> {
            let network = net.network.clone();
            let started = net.guest.result("ip-name-lookup#resolve-addresses", &[network, Val::from(name)]);
            let stream = started.map_err(Err)?.unwrap();
            net.wait(&stream, "ip-name-lookup#resolve-address-stream");
            let mut addresses = Vec::new();
            loop {
                let next = net.on(&stream, "ip-name-lookup#resolve-address-stream.resolve-next-address", &[]);
                match next.map_err(Err)?.unwrap().get() {
                    ValRef::Option(Some(address)) => addresses.push(address.clone()),
                    _ => return Ok(addresses),
                }
            }
        };
        let localhost = Val::variant("ipv4", Some(Val::tuple(LOCALHOST.map(Val::from).to_vec())));
        for name in ["127.0.0.1", "::ffff:127.0.0.1", "[::ffff:7f00:1]"] {
            assert_eq!(find(name), Ok(vec![localhost.clone()]));
        }
        assert!(
            find("localhost")
                .unwrap()
                .iter()
                .any(|address| *address == localhost || matches!(address.get(), ValRef::Variant(b"ipv6", _)))
        );
        assert!(matches!(find("::1").unwrap()[0].get(), ValRef::Variant(b"ipv6", _)));
        for name in ["", "a b", "\0", "ü.example", &"x".repeat(254)] {
            assert_eq!(find(name), Err(error("invalid-argument")), "{name:?}");
        }
        let unknown = find("no-such-name.invalid");
        assert!(
            unknown == Err(error("name-unresolvable")) || unknown == Err(error("temporary-resolver-failure")),
            "{unknown:?}"
        );
    });
}

#[test]
fn a_guest_opens_only_so_many_sockets() {
    let mut config = WasiConfig::new();
    config.inherit_network();
    config.max_fds(5);
    let mut net = with(config);
    let sockets: Vec<Val> =
        (0..5).map(|index| net.socket(if index % 2 == 0 { "tcp" } else { "udp" }, "ipv4")).collect();
    for kind in ["tcp", "udp"] {
        let name = format!("{kind}-create-socket#create-{kind}-socket");
        assert_eq!(net.guest.result(&name, &[Val::enumeration("ipv4")]), error("new-socket-limit"));
    }
    for socket in sockets {
        net.guest.drop(socket).unwrap();
    }
    net.socket("tcp", "ipv4");
}

fn allowing(rules: &[String]) -> Net {
    let mut config = WasiConfig::new();
    rules.iter().for_each(|rule| config.allow_net(rule).unwrap());
    with(config)
}

#[test]
fn a_guest_that_may_reach_one_address_reaches_that_one_and_listens_to_nobody() {
    let [listed, other] = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let mut net = allowing(&[format!("127.0.0.1:{}", port(&listed))]);
    let network = net.network.clone();
    for (family, address) in [
        ("ipv4", local(port(&other))),
        ("ipv4", ipv4([127, 0, 0, 2], port(&listed))),
        ("ipv6", ipv6([0, 0, 0, 0, 0, 0, 0, 1], port(&listed))),
    ] {
        let socket = net.socket("tcp", family);
        assert_eq!(net.tcp(&socket, "start-connect", &[network.clone(), address]), error("access-denied"));
    }
    // However the address is written.
    let socket = net.socket("tcp", "ipv6");
    let mapped = ipv6([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], port(&other));
    assert_eq!(net.tcp(&socket, "start-connect", &[network.clone(), mapped]), error("invalid-argument"));

    let socket = net.socket("tcp", "ipv4");
    let streams = net.connect(&socket, local(port(&listed))).unwrap().unwrap();
    let output = pair(&streams).1;
    net.write(&output, b"hello").unwrap();
    let mut bytes = [0; 5];
    listed.accept().unwrap().0.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");

    let socket = net.socket("tcp", "ipv4");
    assert_eq!(net.tcp(&socket, "start-bind", &[network, local(port(&other))]), error("access-denied"));
    net.bind("tcp", &socket, local(0));
    assert_eq!(net.tcp(&socket, "start-listen", &[]), error("access-denied"));
}

#[test]
fn datagrams_go_to_and_come_from_what_may_be_reached() {
    let [listed, other] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    let mut net = allowing(&[format!("127.0.0.0/24:{0}-{0}", port(&listed))]);
    let socket = net.socket("udp", "ipv4");
    let own = SocketAddr::from((LOCALHOST, port_of(&net.bind("udp", &socket, local(0)))));
    let denied = Val::option(Some(local(port(&other))));
    assert_eq!(net.udp(&socket, "stream", &[denied]), error("access-denied"));
    let (incoming, outgoing) = pair(&net.udp(&socket, "stream", &[Val::option(None)]).unwrap().unwrap());
    let send = |net: &mut Net, to: &UdpSocket| {
        net.on(&outgoing, "udp#outgoing-datagram-stream.check-send", &[]).unwrap();
        let datagrams = Val::list(vec![datagram(b"x", Some(local(port(to))))]);
        net.on(&outgoing, "udp#outgoing-datagram-stream.send", &[datagrams])
    };
    assert_eq!(send(&mut net, &other), error("access-denied"));
    assert_eq!(send(&mut net, &listed), Ok(Some(Val::from(1u64))));
    other.send_to(b"stray", own).unwrap();
    listed.send_to(b"answer", own).unwrap();
    net.wait(&incoming, "udp#incoming-datagram-stream");
    let received = net.on(&incoming, "udp#incoming-datagram-stream.receive", &[Val::from(10u64)]);
    let answer = Val::record([("data", list_of(b"answer")), ("remote-address", local(port(&listed)))]);
    assert_eq!(received, Ok(Some(Val::list(vec![answer]))));
}

#[test]
fn names_that_may_be_reached_are_looked_up_and_no_others() {
    let mut net = allowing(&["localhost:80".to_owned(), "*.invalid".to_owned()]);
    let mut start = |name: &str| {
        let network = net.network.clone();
        net.guest.result("ip-name-lookup#resolve-addresses", &[network, Val::from(name)])
    };
    for name in ["example.com", "localhost.example.com", "invalid", "notlocalhost"] {
        assert_eq!(start(name), error("access-denied"), "{name}");
    }
    for name in ["localhost", "LOCALHOST", "a.invalid", "127.0.0.1"] {
        assert!(start(name).is_ok(), "{name}");
    }
    let mut nothing = with(WasiConfig::new());
    let network = nothing.network.clone();
    let denied = nothing.guest.result("ip-name-lookup#resolve-addresses", &[network, Val::from("127.0.0.1")]);
    assert_eq!(denied, error("access-denied"));
}
