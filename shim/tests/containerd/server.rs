//! Components that answer HTTP, on their containers' port.

use crate::Claim;
use crate::image::WASM;
use crate::machine::{Machine, wait_for};
use crate::programs::binary;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

pub const CLAIMS: &[Claim] = &[
    ("a_component_answers_under_load_until_it_is_told_to_end", a_component_answers_under_load_until_it_is_told_to_end),
    (
        "a_server_that_is_killed_breaks_off_and_another_takes_its_port",
        a_server_that_is_killed_breaks_off_and_another_takes_its_port,
    ),
    ("an_idle_server_doesn_t_run", an_idle_server_doesn_t_run),
    ("a_server_that_is_started_once_answers_from_there", a_server_that_is_started_once_answers_from_there),
];

/// A server's container on a port that was free, and the port.
fn serve(machine: &Machine, kind: &str) -> (String, u16) {
    let component = binary(include_str!("../../../cli/tests/serve/guest.wat"));
    let (image, platform) = if kind == "layer" {
        (machine.import_wasm("server-layer", WASM, &component).0, ["--platform", "wasip1/wasm"].as_slice())
    } else {
        (machine.import_files("server", &[("/server.wasm", &component)]), [].as_slice())
    };
    let port = free_port();
    (start(machine, &image, platform, port), port)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn start(machine: &Machine, image: &str, platform: &[&str], port: u16) -> String {
    let variable = format!("PORT={port}");
    let name = machine.start_container(&[&["--net-host", "--env", &variable], platform].concat(), image, &[]);
    wait_for("the server to listen", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    name
}

/// The body that answers a request; nothing where there is no whole answer.
fn get(stream: &mut TcpStream, path: &str) -> Option<String> {
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").ok()?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        let len = stream.read(&mut buffer).ok().filter(|&len| len > 0)?;
        bytes.extend(&buffer[..len]);
        let text = std::str::from_utf8(&bytes).ok()?;
        // The guest says hello, in one piece or as chunks.
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && (body.ends_with("0\r\n\r\n")
                || head.to_ascii_lowercase().contains(&format!("content-length: {}", body.len())))
        {
            return Some(body.to_owned());
        }
    }
}

fn a_component_answers_under_load_until_it_is_told_to_end(machine: &Machine) {
    for kind in ["file", "layer"] {
        let (name, port) = serve(machine, kind);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
                    for _ in 0..100 {
                        let body = get(&mut stream, "/h").expect("an answer");
                        assert!(body.contains("hello"), "{body:?}");
                    }
                });
            }
        });
        machine.ask(&["tasks", "kill", "--signal", "SIGTERM", &name]);
        assert_eq!(machine.wait(&name), 0, "{}", machine.output_of(&name));
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}

fn a_server_that_is_killed_breaks_off_and_another_takes_its_port(machine: &Machine) {
    let (name, port) = serve(machine, "layer");
    let dead = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
                    while get(&mut stream, "/h").is_some() {}
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(100));
        machine.ask(&["tasks", "kill", "--signal", "SIGKILL", &name]);
        let status = machine.wait(&name);
        for client in clients {
            client.join().expect("no panic");
        }
        status
    });
    assert_eq!(dead, 137);
    let again = start(machine, "localhost/server-layer:latest", &["--platform", "wasip1/wasm"], port);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    assert!(get(&mut stream, "/h").is_some_and(|body| body.contains("hello")));
    machine.ask(&["tasks", "kill", "--signal", "SIGTERM", &again]);
    drop(stream);
    assert_eq!(machine.wait(&again), 0);
}

fn an_idle_server_doesn_t_run(machine: &Machine) {
    let (name, port) = serve(machine, "layer");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    assert!(get(&mut stream, "/h").is_some());
    drop(stream);
    let process = machine.process_of(&name);
    // How often its threads had a processor.
    let switches = || {
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs").flatten();
        let of = |thread: std::fs::DirEntry| {
            let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        threads.map(of).sum::<u64>()
    };
    std::thread::sleep(Duration::from_millis(500));
    let before = switches();
    std::thread::sleep(Duration::from_secs(2));
    let woken = switches() - before;
    assert!(woken < 20, "its threads have woken {woken} times in two seconds");
    machine.ask(&["tasks", "kill", "--signal", "SIGTERM", &name]);
    assert_eq!(machine.wait(&name), 0);
}

fn a_server_that_is_started_once_answers_from_there(machine: &Machine) {
    let component = binary(include_str!("../../../cli/tests/serve/guest.wat"));
    let (image, _) = machine.import_started("prepared-server", &component, "prepare");
    let port = free_port();
    let name = start(machine, &image, &["--platform", "wasip1/wasm"], port);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    for _ in 0..3 {
        assert!(get(&mut stream, "/h").is_some_and(|body| body.contains("jello")));
    }
    drop(stream);
    machine.ask(&["tasks", "kill", "--signal", "SIGTERM", &name]);
    assert_eq!(machine.wait(&name), 0);
}
