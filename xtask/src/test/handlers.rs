//! The programs that answer HTTP, of WASI 0.2 and 0.3: each is served by `ampoule serve`, and given requests by a host in C,
//! `tests/guests/hosts/serve.c`. What is asked, and what must be answered, is the same for all that are of one world.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::http_server;
use super::options::Options;
use super::tally::Tally;
use crate::guests::program::{self, Program, World};
use crate::library::{Library, Linkage};
use crate::{process, project};

/// How long a response may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A path, and the status and the body that answer a POST with the header `x-question: why` and the body `a body`. Bodies of failures are
/// the host's.
type Exchange = (&'static str, u16, &'static str);

/// What handlers answer by themselves.
const BY_THEMSELVES: &[Exchange] = &[("/echo", 203, "POST /echo why a body"), ("/refuse", 500, ""), ("/trap", 500, "")];

/// Only of 0.2: a response that is never given.
const BY_PROXIES: &[Exchange] = &[("/forget", 500, "")];

/// What handlers pass on to the test's HTTP server, whose answers they make their own.
const THROUGH: &[Exchange] = &[("/echo", 203, "POST through a body"), ("/nothing", 404, ""), ("/refuse", 500, "")];

fn exchanges(world: World) -> Vec<Exchange> {
    match world {
        World::Command => Vec::new(),
        World::Proxy => [BY_THEMSELVES, BY_PROXIES].concat(),
        World::Service => BY_THEMSELVES.to_vec(),
        World::Middleware => THROUGH.to_vec(),
    }
}

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    if let Err(error) = run_all(library, options, tally) {
        tally.check("guests: programs that answer HTTP", Err(format!("{error:#}")));
    }
}

fn run_all(library: &Library, options: &Options, tally: &mut Tally) -> Result<()> {
    let Some(command) = &library.command else { return Ok(()) };
    let programs = program::all()?;
    let wanted =
        |program: &&Program| program.world != World::Command && options.wants(&format!("guests/{}", program.name));
    let programs: Vec<&Program> = programs.iter().filter(wanted).collect();
    if programs.is_empty() {
        return Ok(());
    }
    let upstream = http_server::start()?;
    let host = library.compile(&project::root().join("tests/guests/hosts/serve.c"), Linkage::Shared)?;
    for program in programs {
        let given: Vec<String> =
            program.words("options").iter().map(|word| word.replace("SERVER", &upstream)).collect();
        let report = |result: Result<()>| result.map_err(|error| format!("{error:#}"));
        let name = format!("guests/{} with ampoule serve", program.name);
        tally.check(&name, report(serve(command, program, &given)));
        let name = format!("guests/{} with a host in C", program.name);
        tally.check(&name, report(ask_in_c(&host, program, &given)));
    }
    Ok(())
}

/// Starts a server, asks it everything, and ends it.
fn serve(command: &Path, program: &Program, options: &[String]) -> Result<()> {
    let server = Server::start(Command::new(command).arg("serve").args(options), program)?;
    for (path, status, body) in exchanges(program.world) {
        let answer = server.ask(path).with_context(|| path.to_owned())?;
        check(path, (status, body), &answer)?;
    }
    Ok(())
}

/// One process of the host for each request.
fn ask_in_c(host: &Path, program: &Program, options: &[String]) -> Result<()> {
    for (path, status, body) in exchanges(program.world) {
        let mut command = Command::new(host);
        command.args(options).arg(program.component(&project::guests())).arg(path);
        let said = process::capture(&mut command)?;
        let (found, text) = said.trim_end_matches('\n').split_once(' ').context("a status and a body")?;
        check(path, (status, body), &(found.parse()?, text.to_owned()))?;
    }
    Ok(())
}

fn check(path: &str, expected: (u16, &str), answer: &(u16, String)) -> Result<()> {
    ensure!(answer.0 == expected.0, "{path}: status {}, not {}; {}", answer.0, expected.0, answer.1);
    // Beside a failure there may be words of the host's.
    ensure!(expected.1.is_empty() || answer.1 == expected.1, "{path}: {:?}, not {:?}", answer.1, expected.1);
    Ok(())
}

/// A server that ends with this value.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(command: &mut Command, program: &Program) -> Result<Server> {
        command.args(["--addr", "127.0.0.1:0"]).arg(program.component(&project::guests()));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().expect("piped"));
        let mut first = String::new();
        lines.read_line(&mut first)?;
        // What guests say must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let Some((_, address)) = first.split_once("http://") else {
            child.kill()?;
            child.wait()?;
            bail!("it does not serve: {first}");
        };
        Ok(Server { child, address: address.trim().to_owned() })
    }

    /// The status and the body that answer the request. A body in chunks is put together.
    fn ask(&self, path: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: {}\r\nx-question: why\r\nconnection: close\r\ncontent-length: 6\r\n\r\na body",
            self.address
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, mut rest) = text.split_once("\r\n\r\n").context("no head")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            return Ok((status, rest.to_owned()));
        }
        let mut body = String::new();
        loop {
            let (size, chunk) = rest.split_once("\r\n").context("the body has no end")?;
            let size = usize::from_str_radix(size, 16)?;
            if size == 0 {
                return Ok((status, body));
            }
            body.push_str(chunk.get(..size).context("a chunk is cut off")?);
            rest = chunk[size..].trim_start_matches("\r\n");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
