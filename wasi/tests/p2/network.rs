//! `wasi:sockets` over a network of the embedder's, and its input: what waits for them.

use crate::loopback::Loopback;
use crate::support::{Guest, each_way, list_of};
use ampoule_component::{Val, ValRef};
use ampoule_wasi::host::Error;
use ampoule_wasi::host::net::Family;
use ampoule_wasi::host::net::provided::SocketId;
use ampoule_wasi::host::stdio::Input;
use ampoule_wasi::{Availability, NetworkProvider, WasiConfig};
use std::io::{PipeReader, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;

struct Net {
    guest: Guest,
    network: Val,
}

type Answer = Result<Option<Val>, Option<Val>>;

fn address(port: u16) -> Val {
    let ip = Val::tuple([127u8, 0, 0, 1].map(Val::from).to_vec());
    Val::variant("ipv4", Some(Val::record([("port", Val::from(port)), ("address", ip)])))
}

fn error(name: &str) -> Answer {
    Err(Some(Val::enumeration(name)))
}

fn parts(val: &Val) -> Vec<Val> {
    let ValRef::Tuple(parts) = val.get() else { panic!("{val:?}") };
    parts.to_vec()
}

impl Net {
    fn new(provider: impl NetworkProvider + 'static) -> Self {
        let mut config = WasiConfig::new();
        config.network(provider);
        let mut guest = Guest::new(config);
        let network = guest.call("instance-network#instance-network", &[]);
        Self { guest, network }
    }

    fn on(&mut self, handle: &Val, name: &str, args: &[Val]) -> Answer {
        let args: Vec<Val> = std::iter::once(handle.clone()).chain(args.iter().cloned()).collect();
        self.guest.result(&format!("sockets/{name}"), &args)
    }

    fn socket(&mut self, kind: &str) -> Val {
        self.guest.ok(&format!("{kind}-create-socket#create-{kind}-socket"), &[Val::enumeration("ipv4")])
    }

    fn wait(&mut self, handle: &Val, name: &str) {
        let pollable = self.guest.call(&format!("sockets/{name}.subscribe"), &[handle.clone()]);
        self.guest.call("poll#pollable.block", &[pollable.clone()]);
        self.guest.drop(pollable).unwrap();
    }

    fn bind(&mut self, kind: &str, socket: &Val, port: u16) {
        let network = self.network.clone();
        assert_eq!(self.on(socket, &format!("{kind}#{kind}-socket.start-bind"), &[network, address(port)]), Ok(None));
        assert_eq!(self.on(socket, &format!("{kind}#{kind}-socket.finish-bind"), &[]), Ok(None));
    }

    fn read(&mut self, stream: &Val) -> Answer {
        self.guest.result("streams#input-stream.blocking-read", &[stream.clone(), Val::from(100u64)])
    }

    fn write(&mut self, stream: &Val, bytes: &[u8]) -> Answer {
        self.guest.result("streams#output-stream.blocking-write-and-flush", &[stream.clone(), list_of(bytes)])
    }
}

#[test]
fn connections_go_through_the_embedder_s_network() {
    each_way(connections_go_through_the_embedder_s_network_once);
}

fn connections_go_through_the_embedder_s_network_once() {
    let network = Loopback::default();
    let mut net = Net::new(network.clone());
    let server = net.socket("tcp");
    net.bind("tcp", &server, 80);
    assert_eq!(net.on(&server, "tcp#tcp-socket.start-listen", &[]), Ok(None));
    assert_eq!(net.on(&server, "tcp#tcp-socket.finish-listen", &[]), Ok(None));
    assert_eq!(net.on(&server, "tcp#tcp-socket.accept", &[]), error("would-block"));

    let client = net.socket("tcp");
    let of_guest = net.network.clone();
    assert_eq!(net.on(&client, "tcp#tcp-socket.start-connect", &[of_guest, address(80)]), Ok(None));
    net.wait(&client, "tcp#tcp-socket");
    let streams = parts(&net.on(&client, "tcp#tcp-socket.finish-connect", &[]).unwrap().unwrap());
    net.wait(&server, "tcp#tcp-socket");
    let accepted = parts(&net.on(&server, "tcp#tcp-socket.accept", &[]).unwrap().unwrap());
    assert_eq!(net.on(&client, "tcp#tcp-socket.remote-address", &[]), Ok(Some(address(80))));
    assert_eq!(net.write(&streams[1], b"ping"), Ok(None));
    assert_eq!(net.read(&accepted[1]), Ok(Some(list_of(b"ping"))));
    assert_eq!(net.write(&accepted[2], b"pong"), Ok(None));
    assert_eq!(net.on(&accepted[0], "tcp#tcp-socket.shutdown", &[Val::enumeration("send")]), Ok(None));
    assert_eq!(net.read(&streams[0]), Ok(Some(list_of(b"pong"))));
    assert_eq!(net.read(&streams[0]), Err(Some(Val::variant("closed", None))));
    // What is the system's alone isn't supported.
    assert_eq!(net.on(&client, "tcp#tcp-socket.hop-limit", &[]), error("not-supported"));
    assert_eq!(net.on(&client, "tcp#tcp-socket.set-keep-alive-enabled", &[Val::from(true)]), error("not-supported"));
    // What is refused is told.
    let other = net.socket("tcp");
    let of_guest = net.network.clone();
    let refused = net.on(&other, "tcp#tcp-socket.start-connect", &[of_guest, address(81)]);
    assert_eq!(refused, error("connection-refused"));
    let other = net.guest.err("tcp-create-socket#create-tcp-socket", &[Val::enumeration("ipv6")]);
    assert_eq!(other, "not-supported");
    drop(net);
    assert!(network.all().open.is_empty(), "every socket was closed");
}

#[test]
fn datagrams_and_names_do_too() {
    each_way(datagrams_and_names_do_too_once);
}

fn datagrams_and_names_do_too_once() {
    let network = Loopback::default();
    let mut net = Net::new(network.clone());
    let (one, other) = (net.socket("udp"), net.socket("udp"));
    net.bind("udp", &one, 53);
    net.bind("udp", &other, 0);
    let nobody = || Val::option(None);
    let of_one = parts(&net.on(&one, "udp#udp-socket.stream", &[nobody()]).unwrap().unwrap());
    let of_other = parts(&net.on(&other, "udp#udp-socket.stream", &[nobody()]).unwrap().unwrap());
    let to = Val::record([("data", list_of(b"ask")), ("remote-address", Val::option(Some(address(53))))]);
    for expected in [0u64, 1] {
        net.wait(&of_other[1], "udp#outgoing-datagram-stream");
        assert_eq!(net.on(&of_other[1], "udp#outgoing-datagram-stream.check-send", &[]), Ok(Some(Val::from(16u64))));
        let sent = net.on(&of_other[1], "udp#outgoing-datagram-stream.send", &[Val::list(vec![to.clone()])]);
        assert_eq!(sent, Ok(Some(Val::from(expected))), "the first attempt has to wait");
    }
    net.wait(&of_one[0], "udp#incoming-datagram-stream");
    let got = net.on(&of_one[0], "udp#incoming-datagram-stream.receive", &[Val::from(9u64)]).unwrap().unwrap();
    let from = Val::record([("data", list_of(b"ask")), ("remote-address", address(1002))]);
    assert_eq!(got, Val::list(vec![from]));

    let of_guest = net.network.clone();
    let found = net.guest.ok("ip-name-lookup#resolve-addresses", &[of_guest.clone(), Val::from("home")]);
    net.wait(&found, "ip-name-lookup#resolve-address-stream");
    let ip = Val::variant("ipv4", Some(Val::tuple([127u8, 0, 0, 1].map(Val::from).to_vec())));
    let next = "ip-name-lookup#resolve-address-stream.resolve-next-address";
    assert_eq!(net.on(&found, next, &[]), Ok(Some(Val::option(Some(ip)))));
    assert_eq!(net.on(&found, next, &[]), Ok(Some(Val::option(None))));
    let missing = net.guest.ok("ip-name-lookup#resolve-addresses", &[of_guest, Val::from("nowhere")]);
    assert_eq!(net.on(&missing, next, &[]), error("name-unresolvable"));
}

/// Answers what can't be.
struct Liar(usize);

impl NetworkProvider for Liar {
    fn open(&self, _: bool, _: Family) -> Result<SocketId, Error> {
        Ok(1)
    }

    fn close(&self, _: SocketId) {}

    fn bind(&self, _: SocketId, _: &SocketAddr) -> Result<(), Error> {
        Ok(())
    }

    fn connect(&self, _: SocketId, _: Option<&SocketAddr>) -> Result<(), Error> {
        Ok(())
    }

    fn address(&self, _: SocketId, _: bool) -> Result<SocketAddr, Error> {
        Ok(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 1)))
    }

    fn receive(&self, _: SocketId, _: &mut [u8]) -> Result<(usize, Option<SocketAddr>), Error> {
        Ok((self.0, None))
    }

    fn send(&self, _: SocketId, _: &[u8], _: Option<&SocketAddr>) -> Result<usize, Error> {
        Ok(self.0)
    }
}

#[test]
fn what_cannot_be_is_an_error() {
    each_way(what_cannot_be_is_an_error_once);
}

fn what_cannot_be_is_an_error_once() {
    for count in [1 << 20, usize::MAX, 0] {
        let mut net = Net::new(Liar(count));
        let socket = net.socket("tcp");
        let of_guest = net.network.clone();
        assert_eq!(net.on(&socket, "tcp#tcp-socket.start-connect", &[of_guest, address(1)]), Ok(None));
        let streams = parts(&net.on(&socket, "tcp#tcp-socket.finish-connect", &[]).unwrap().unwrap());
        assert_eq!(net.on(&socket, "tcp#tcp-socket.local-address", &[]), error("unknown"), "of another family");
        let write = net.write(&streams[1], b"1");
        assert!(matches!(write.unwrap_err().unwrap().get(), ValRef::Variant(b"last-operation-failed", _)));
        let read = net.read(&streams[0]).unwrap_err().unwrap();
        let expected: &[u8] = if count == 0 { b"closed" } else { b"last-operation-failed" };
        assert!(matches!(read.get(), ValRef::Variant(name, _) if name == expected));
    }
}

/// A pipe, which tells or doesn't when there is something.
struct Pipe(PipeReader, bool);

impl Input for Pipe {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        Ok(self.0.read(out)?)
    }

    fn available(&self) -> Option<Availability<'_>> {
        self.1.then(|| Availability::When(self.0.as_fd()))
    }
}

#[test]
fn input_of_the_embedder_s_is_waited_for() {
    each_way(input_of_the_embedder_s_is_waited_for_once);
}

fn input_of_the_embedder_s_is_waited_for_once() {
    for (tells, blocking) in [(true, true), (true, false), (false, true), (false, false)] {
        let (pipe, mut to) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&pipe, true).unwrap();
        let mut config = WasiConfig::new();
        config.stdin_input(Pipe(pipe, tells));
        let mut guest = Guest::new(config);
        let stdin = guest.call("stdin#get-stdin", &[]);
        let some = [stdin.clone(), Val::from(100u64)];
        assert_eq!(guest.ok("streams#input-stream.read", &some), list_of(b""));
        let writer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(30));
            to.write_all(b"hello").unwrap();
        });
        let name = if blocking { "blocking-read" } else { "read" };
        if !blocking {
            let pollable = guest.call("streams#input-stream.subscribe", &[stdin.clone()]);
            guest.call("poll#pollable.block", &[pollable.clone()]);
            guest.drop(pollable).unwrap();
        }
        // Where nobody tells, "ready" means no more than that it is worth trying.
        if !blocking && !tells {
            writer.join().unwrap();
            assert_eq!(guest.ok("streams#input-stream.read", &some), list_of(b"hello"));
            continue;
        }
        assert_eq!(guest.ok(&format!("streams#input-stream.{name}"), &some), list_of(b"hello"));
        writer.join().unwrap();
    }
}
