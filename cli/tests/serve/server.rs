//! A server that runs, and a client that notices whether a response is whole.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take that the tests wait for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server. It ends with the value.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    is_told: AtomicBool,
    output: Option<[JoinHandle<Vec<String>>; 2]>,
}

/// What a server has printed, until it ended.
pub struct Output {
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

impl Server {
    /// One whose guest is `guest.wat`.
    pub fn start(options: &[&str]) -> Self {
        Self::of(include_str!("guest.wat"), options)
    }

    /// One of this component.
    pub fn of(component: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("guest.wat");
        std::fs::write(&file, component).expect("written");
        // It is read before the server says where it is.
        Self::of_file(&file, options)
    }

    /// One of the component in a file.
    pub fn of_file(file: &Path, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ampoule"))
            .args(["serve", "--addr", "127.0.0.1:0"])
            .args(options)
            .arg(file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
        let first = stderr.next().expect("a line").expect("text");
        let address = first.split_once("http://").expect("an address").1.trim().parse().expect("an address");
        let stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
        // Read all along: a server whose log nobody reads waits for that.
        let output = [
            std::thread::spawn(move || stdout.map_while(Result::ok).collect()),
            std::thread::spawn(move || stderr.map_while(Result::ok).collect()),
        ];
        Self { child, address, is_told: AtomicBool::new(false), output: Some(output) }
    }

    /// One whose guests go on from a snapshot of `guest.wat`, taken after `prepare`.
    pub fn of_snapshot(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [file, snapshot] = ["guest.wat", "guest.snap"].map(|name| folder.path().join(name));
        std::fs::write(&file, include_str!("guest.wat")).expect("written");
        let taken = Command::new(env!("CARGO_BIN_EXE_ampoule"))
            .args(["snapshot", "--timeout", "--after", "prepare()", "--output"])
            .args([&snapshot, &file])
            .output()
            .expect("started");
        assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
        // What was mapped stays when the folder goes.
        Self::of_file(&snapshot, options)
    }

    /// One of a component that `cargo xtask guests` makes.
    pub fn of_guest(guest: &str, options: &[&str]) -> Self {
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/guests").join(guest);
        assert!(guest.is_file(), "{} is missing; this makes it: cargo xtask guests", guest.display());
        Self::of_file(&guest, options)
    }

    pub fn try_connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    pub fn connect(&self) -> TcpStream {
        self.try_connect().expect("it listens")
    }

    /// Asks on a connection of its own.
    pub fn get(&self, path: &str) -> Response {
        send(&mut self.connect(), path, b"")
    }

    /// A request whose response isn't read yet.
    pub fn begin(&self, path: &str) -> TcpStream {
        let mut stream = self.connect();
        ask(&mut stream, path, b"").expect("written");
        stream
    }

    /// A number among those that are at this path.
    pub fn metric(&self, path: &str, name: &str) -> u64 {
        let text = String::from_utf8(self.get(path).body).expect("text");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name}: {text}")).parse().expect("a number")
    }

    /// Waits until there is no connection left but the one that asks at `/metrics`, and no request.
    pub fn is_idle(&self) {
        let start = Instant::now();
        while self.metric("/metrics", "ampoule_connections") > 1
            || self.metric("/metrics", "ampoule_requests_running") > 0
        {
            let text = self.get("/metrics").body;
            assert!(start.elapsed() < Duration::from_secs(10), "{}", String::from_utf8_lossy(&text));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The memory that the server has, in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }

    /// Tells it to end.
    pub fn terminate(&self) {
        self.is_told.store(true, Ordering::Relaxed);
        let id = i32::try_from(self.child.id()).expect("a number");
        // SAFETY: a signal to a process that this value has started and not waited for.
        assert_eq!(unsafe { libc::kill(id, libc::SIGTERM) }, 0);
    }

    /// Tells it to end, unless it was told, and waits until it has, in order.
    pub fn end(mut self) -> Output {
        if !self.is_told.load(Ordering::Relaxed) {
            self.terminate();
        }
        assert!(self.child.wait().expect("it ends").success());
        let [stdout, stderr] = self.output.take().expect("taken once").map(|lines| lines.join().expect("read"));
        Output { stdout, stderr }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where a test has failed. Otherwise it has ended, and nothing happens.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came as a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// 0 where there was not even a whole head.
    pub status: u16,
    pub body: Vec<u8>,
    /// Whether the connection says that this is all.
    pub is_whole: bool,
}

/// Sends a request.
pub fn ask(stream: &mut TcpStream, path: &str, body: &[u8]) -> std::io::Result<()> {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n").into_bytes();
    if !body.is_empty() {
        write!(request, "Content-Length: {}\r\n", body.len())?;
    }
    request.extend(b"\r\n");
    request.extend(body);
    stream.write_all(&request)
}

/// Sends a request, and reads the response.
pub fn send(stream: &mut TcpStream, path: &str, body: &[u8]) -> Response {
    ask(stream, path, body).expect("written");
    Response::read(stream)
}

impl Response {
    /// Reads one, and not a byte more. That the connection is closed, in whatever way, is the end of it; that nothing happens for long is not.
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut response = Self::default();
        let read = response.fill(stream);
        if let Err(error) = read {
            let kind = error.kind();
            assert!(
                !matches!(kind, std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
                "neither answered nor closed"
            );
            response.is_whole = false;
        }
        response
    }

    fn fill(&mut self, stream: &mut TcpStream) -> std::io::Result<()> {
        let status = line(stream)?;
        assert!(status.starts_with("HTTP/1.1 "), "{status}");
        let status = status[9..12].parse().expect("a status");
        let (mut len, mut is_chunked) = (None, false);
        loop {
            let header = line(stream)?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                len = Some(value.parse().expect("a number"));
            }
            is_chunked |= header == "transfer-encoding: chunked";
        }
        self.status = status;
        if is_chunked {
            loop {
                let len = usize::from_str_radix(&line(stream)?, 16).expect("a length");
                self.take(stream, len)?;
                assert_eq!(line(stream)?, "");
                if len == 0 {
                    break;
                }
            }
        } else {
            self.take(stream, len.expect("a length"))?;
        }
        self.is_whole = true;
        Ok(())
    }

    fn take(&mut self, stream: &mut TcpStream, len: usize) -> std::io::Result<()> {
        let start = self.body.len();
        self.body.resize(start + len, 0);
        stream.read_exact(&mut self.body[start..])
    }
}

fn line(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    Ok(String::from_utf8(line).expect("text"))
}
