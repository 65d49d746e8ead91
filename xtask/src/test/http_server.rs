//! The HTTP server that guests send requests to: what it answers depends on the path alone.
//!
//! - `/echo`: the request's method, its header `x-question` and its body;
//! - `/long`: a body of a million bytes, without a length;
//! - `/trailers`: a chunked body, `with trailers`, and the trailer `x-end: yes`;
//! - `/short`: the beginning of a body, and then no more of it;
//! - `/silent`: nothing, until the client goes away;
//! - anything else: status 404.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

/// Starts the server, which lives as long as this process, and returns its address.
pub fn start() -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen on the loopback")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that breaks the connection is none of the server's business.
            thread::spawn(move || answer(stream).ok());
        }
    });
    Ok(address)
}

/// Answers one request, and closes the connection.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let request = head(&mut reader)?;
    let (method, path) = match request.first().and_then(|line| line.split_once(' ')) {
        Some((method, rest)) => (method, rest.split([' ', '?']).next().unwrap_or_default()),
        None => return Ok(()),
    };
    match path {
        "/echo" => {
            let body = body(&mut reader, &request)?;
            let question = header(&request, "x-question").unwrap_or_default();
            let text = format!("{method} {question} {}", String::from_utf8_lossy(&body));
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nx-answer: yes\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                text.len()
            )?;
            stream.write_all(text.as_bytes())
        }
        "/long" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            stream.write_all(&vec![b'x'; 1_000_000])
        }
        "/trailers" => stream.write_all(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-end\r\nconnection: close\r\n\r\n\
              5\r\nwith \r\n8\r\ntrailers\r\n0\r\nx-end: yes\r\n\r\n",
        ),
        "/short" => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nbeginning"),
        "/silent" => reader.read_to_end(&mut Vec::new()).map(drop),
        _ => stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
    }
}

/// The lines up to the empty one.
fn head(reader: &mut impl BufRead) -> std::io::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            return Ok(lines);
        }
        lines.push(line.trim_end().to_owned());
    }
}

fn header<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    let lines = head.iter().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A body with a length, or in chunks.
fn body(reader: &mut impl BufRead, head: &[String]) -> std::io::Result<Vec<u8>> {
    if let Some(length) = header(head, "content-length").and_then(|length| length.parse::<u64>().ok()) {
        let mut body = Vec::new();
        reader.take(length).read_to_end(&mut body)?;
        return Ok(body);
    }
    let mut body = Vec::new();
    if header(head, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = u64::from_str_radix(size.trim(), 16).unwrap_or(0);
            reader.take(size).read_to_end(&mut body)?;
            reader.read_line(&mut String::new())?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    Ok(body)
}
