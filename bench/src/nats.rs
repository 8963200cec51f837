//! A real nats-server with JetStream, and a plain subscriber that notes when messages arrive.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::process::{Program, free_address, wait_until};
use crate::venue::unix_ns;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    /// `HOST:PORT` of clients.
    pub(crate) address: String,
    program: Program,
}

/// What a subscriber has seen: the `sequence` of a body, and when it was read, unix nanoseconds.
pub(crate) type Arrivals = Arc<Mutex<Vec<(u64, u64)>>>;

/// Starts it on a free port with its files in `dir`.
pub(crate) fn start(tools: &Path, dir: &Path) -> Result<Server> {
    start_at(tools, dir, free_address()?)
}

/// Starts it at an address, with what a server before it may have left in `dir`.
pub(crate) fn start_at(tools: &Path, dir: &Path, address: String) -> Result<Server> {
    let (host, port) = address.rsplit_once(':').context("an address has a port")?;
    let mut command = Command::new(tools.join("nats-server"));
    command.args(["-a", host, "-p", port, "-js", "-sd"]).arg(dir.join("jetstream"));
    let program = Program::start("nats-server", dir, &mut command).context("run `make tools` for the real nats-server")?;
    wait_until("nats-server listens", Duration::from_secs(10), || TcpStream::connect(&address).is_ok())?;
    Ok(Server { address, program })
}

// === impl Server ===

impl Server {
    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }
}

/// Subscribes on a thread of its own.
pub(crate) fn subscribe(address: &str, subject: &str) -> Result<Arrivals> {
    let mut stream = TcpStream::connect(address)?;
    let arrivals = Arrivals::default();
    let noted = Arc::clone(&arrivals);
    write!(stream, "CONNECT {{\"verbose\":false}}\r\nSUB {subject} 1\r\nPING\r\n")?;
    let mut reader = BufReader::with_capacity(1 << 20, stream.try_clone()?);
    thread::spawn(move || while read_one(&mut reader, &mut stream, &noted).is_some() {});
    Ok(arrivals)
}

/// Publishes bodies of `size` bytes at a rate, in turn to each subject of the table, and waits for no answer but asks for one, as the collector does.
/// Returns what went to the first subject: the `sequence`, and when it was written, unix nanoseconds.
pub(crate) fn publish(address: &str, subjects: &[&str], (size, rate): (usize, u32), length: Duration) -> Result<Vec<(u64, u64)>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    write!(stream, "CONNECT {{\"verbose\":false,\"headers\":true}}\r\nSUB _INBOX.alone.* 1\r\n")?;
    let mut answers = stream.try_clone()?;
    thread::spawn(move || {
        let mut ignored = vec![0; 1 << 16];
        while answers.read(&mut ignored).is_ok_and(|read| read > 0) {}
    });
    let (begun, mut written) = (Instant::now(), Vec::new());
    let (mut sequence, mut frame) = (0_u64, Vec::new());
    while begun.elapsed() < length {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of messages")]
        let due = (begun.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        if sequence >= due {
            thread::sleep(Duration::from_micros(20));
            continue;
        }
        sequence += 1;
        let place = usize::try_from(sequence).unwrap_or(0) % subjects.len();
        let subject = subjects.get(place).copied().unwrap_or_default();
        let head = format!("NATS/1.0\r\nNats-Msg-Id: alone:{sequence}\r\n\r\n");
        let mut body = format!("{{\"sequence\":{sequence},\"rest\":\"");
        body.push_str(&"x".repeat(size.saturating_sub(body.len() + 2)));
        body.push_str("\"}");
        frame.clear();
        write!(frame, "HPUB {subject} _INBOX.alone.{sequence} {} {}\r\n{head}{body}\r\n", head.len(), head.len() + body.len())?;
        if place == 0 {
            written.push((sequence, unix_ns()));
        }
        stream.write_all(&frame)?;
    }
    Ok(written)
}

/// Reads one line of the protocol, and the body behind a MSG.
fn read_one(reader: &mut BufReader<TcpStream>, stream: &mut TcpStream, arrivals: &Arrivals) -> Option<()> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    if line.starts_with("PING") {
        stream.write_all(b"PONG\r\n").ok()?;
    }
    if !line.starts_with("MSG ") && !line.starts_with("HMSG ") {
        return Some(());
    }
    let length: usize = line.trim_end().rsplit(' ').next()?.parse().ok()?;
    let mut body = vec![0; length + 2];
    reader.read_exact(&mut body).ok()?;
    let now = unix_ns();
    let body = std::str::from_utf8(&body).ok()?;
    let (_, rest) = body.split_once("\"sequence\":")?;
    let sequence = rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    arrivals.lock().unwrap_or_else(PoisonError::into_inner).push((sequence, now));
    Some(())
}
