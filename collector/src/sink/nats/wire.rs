//! The NATS client protocol as bytes: what a server says, what we say. Must not know: sockets, records, JetStream.
//!
//! Source: docs.nats.io, "NATS Protocol" (INFO, CONNECT, HPUB, PUB, SUB, MSG, HMSG, PING, PONG, +OK, -ERR). Parsing borrows, writing appends: neither allocates.

use std::io::Write as _;

use marketdata::message::integer;
use memchr::{memchr, memchr2};
use thiserror::Error;

/// The longest line that is waited for; INFO with a large cluster is the longest there is.
const LINE_MOST: usize = 64 << 10;
/// The largest message that is waited for: answers to us are small.
const MESSAGE_MOST: usize = 4 << 20;

/// What a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op<'a> {
    /// Its description, JSON: first thing on a connection, and again when something changes.
    Info(&'a [u8]),
    /// A message of our subscription.
    Message(Message<'a>),
    /// Wants a PONG.
    Ping,
    /// Everything before our PING was handled.
    Pong,
    /// Only in verbose mode.
    Ok,
    /// An error, most of them followed by the end of the connection.
    Error(&'a [u8]),
}

/// A message that was delivered to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// Where it was sent to.
    pub(super) subject: &'a [u8],
    /// Status of its header line (`NATS/1.0 503`); none without one.
    pub(super) status: Option<u16>,
    /// Body.
    pub(super) payload: &'a [u8],
}

/// Bytes that are no protocol.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum Malformed {
    /// No end of line within the limit.
    #[error("a line without an end")]
    Line,
    /// A verb that does not exist.
    #[error("an unknown verb")]
    Verb,
    /// A message whose sizes make no sense.
    #[error("a message with impossible sizes")]
    Sizes,
}

/// What a publication consists of besides its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publication<'a> {
    pub(super) subject: &'a str,
    /// Subject of the answer: prefix and number.
    pub(super) reply: Option<(&'a str, u64)>,
    /// Prefix of the message id, sequence, event time.
    pub(super) id: (&'a str, u64, i64),
}

/// The first operation in `bytes` and its length; `None` when it is not whole yet.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Op<'_>, usize)>, Malformed> {
    let Some(end) = memchr(b'\n', bytes.get(..LINE_MOST).unwrap_or(bytes)) else {
        return if bytes.len() >= LINE_MOST { Err(Malformed::Line) } else { Ok(None) };
    };
    let (line, rest) = bytes.split_at_checked(end).ok_or(Malformed::Line)?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let rest = rest.get(1..).unwrap_or_default();
    let verb_end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (verb, arguments) = line.split_at_checked(verb_end).ok_or(Malformed::Line)?;
    let op = match verb {
        b"MSG" | b"HMSG" => {
            let Some((message, length)) = message(verb == b"HMSG", arguments, rest)? else { return Ok(None) };
            return Ok(Some((Op::Message(message), end + 1 + length)));
        }
        b"PING" => Op::Ping,
        b"PONG" => Op::Pong,
        b"+OK" => Op::Ok,
        b"-ERR" => Op::Error(arguments.trim_ascii()),
        b"INFO" => Op::Info(arguments.trim_ascii()),
        _ => return Err(Malformed::Verb),
    };
    Ok(Some((op, end + 1)))
}

/// `<subject> <sid> [reply] [header size] <total size>`, then headers, payload and CRLF.
fn message<'a>(with_headers: bool, arguments: &'a [u8], rest: &'a [u8]) -> Result<Option<(Message<'a>, usize)>, Malformed> {
    // The subject is nearly all of the line.
    let arguments = arguments.trim_ascii_start();
    let end = memchr2(b' ', b'\t', arguments).ok_or(Malformed::Sizes)?;
    let (subject, sizes) = arguments.split_at_checked(end).ok_or(Malformed::Sizes)?;
    let mut words = sizes.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let mut last = words.next_back().ok_or(Malformed::Sizes)?;
    let total = number(last)?;
    let headers = if with_headers {
        last = words.next_back().ok_or(Malformed::Sizes)?;
        number(last)?
    } else {
        0
    };
    if headers > total || total > MESSAGE_MOST {
        return Err(Malformed::Sizes);
    }
    let Some(body) = rest.get(..total + 2) else { return Ok(None) };
    let (head, tail) = body.split_at_checked(headers).ok_or(Malformed::Sizes)?;
    let payload = tail.strip_suffix(b"\r\n").ok_or(Malformed::Sizes)?;
    let status = head.strip_prefix(b"NATS/1.0 ").and_then(|line| number(line.get(..3)?).ok()).and_then(|status| u16::try_from(status).ok());
    Ok(Some((Message { subject, status, payload }, total + 2)))
}

fn number(digits: &[u8]) -> Result<usize, Malformed> {
    let text = std::str::from_utf8(digits).map_err(|_| Malformed::Sizes)?;
    text.parse().map_err(|_| Malformed::Sizes)
}

/// Appends a publication with its message id in the header that JetStream deduplicates by.
pub(super) fn publish(publication: Publication<'_>, payload: &[u8], out: &mut Vec<u8>) {
    const HEAD: &[u8] = b"NATS/1.0\r\nNats-Msg-Id: ";
    let (prefix, sequence, event_ts_ms) = publication.id;
    let id = prefix.len() + width(sequence) + 1 + usize::from(event_ts_ms < 0) + width(event_ts_ms.unsigned_abs());
    let headers = HEAD.len() + id + 4;
    out.extend_from_slice(b"HPUB ");
    out.extend_from_slice(publication.subject.as_bytes());
    if let Some((inbox, number)) = publication.reply {
        out.push(b' ');
        out.extend_from_slice(inbox.as_bytes());
        integer(number, out);
    }
    out.push(b' ');
    integer(headers as u64, out);
    out.push(b' ');
    integer((headers + payload.len()) as u64, out);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(HEAD);
    out.extend_from_slice(prefix.as_bytes());
    integer(sequence, out);
    out.push(b':');
    if event_ts_ms < 0 {
        out.push(b'-');
    }
    integer(event_ts_ms.unsigned_abs(), out);
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

/// Appends a request: a publication without headers, answered at `reply`.
pub(super) fn request(subject: &str, reply: (&str, &str), body: &[u8], out: &mut Vec<u8>) {
    line(out, format_args!("PUB {subject} {}{} {}\r\n", reply.0, reply.1, body.len()));
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

/// Appends a publication without headers that nobody answers.
pub(super) fn post(subject: &str, body: &[u8], out: &mut Vec<u8>) {
    line(out, format_args!("PUB {subject} {}\r\n", body.len()));
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

/// Appends a line, which may be part of one.
pub(super) fn line(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into a Vec cannot fail.
    let _infallible = out.write_fmt(text);
}

/// The number at the end of a subject, after `prefix`.
pub(super) fn number_after(subject: &[u8], prefix: &str) -> Option<u64> {
    let digits = subject.strip_prefix(prefix.as_bytes())?;
    let value = |sum: Option<u64>, digit: &u8| digit.is_ascii_digit().then(|| sum?.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    if digits.is_empty() { None } else { digits.iter().fold(Some(0), value) }
}

/// Decimal digits of a number.
fn width(value: u64) -> usize {
    value.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_is_read_and_every_cut_of_it_is_waited_for() {
        let message = |status, payload| Op::Message(Message { subject: b"_INBOX.a.7", status, payload });
        let cases: [(&[u8], Op<'_>); 8] = [
            (b"INFO {\"max_payload\":1}\r\n", Op::Info(b"{\"max_payload\":1}")),
            (b"PING\r\n", Op::Ping),
            (b"PONG\r\n", Op::Pong),
            (b"+OK\r\n", Op::Ok),
            (b"-ERR 'Authorization Violation'\r\n", Op::Error(b"'Authorization Violation'")),
            (b"MSG _INBOX.a.7 1 5\r\nhe\r\nl\r\n", message(None, b"he\r\nl")),
            (b"MSG _INBOX.a.7 1 reply.to 2\r\n{}\r\n", message(None, b"{}")),
            (b"HMSG _INBOX.a.7 1 16 18\r\nNATS/1.0 503\r\n\r\nno\r\n", message(Some(503), b"no")),
        ];
        for (bytes, expected) in cases {
            let more = [bytes, b"PING\r\n"].concat();
            assert_eq!(parse(&more), Ok(Some((expected, bytes.len()))), "{}", String::from_utf8_lossy(bytes));
            for cut in 0..bytes.len() {
                assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut} of {}", String::from_utf8_lossy(bytes));
            }
        }
    }

    #[test]
    fn what_is_no_protocol_is_an_error_and_not_waited_for() {
        assert_eq!(parse(b"HTTP/1.1 400 Bad Request\r\n"), Err(Malformed::Verb));
        assert_eq!(parse(b"MSG a 1 x\r\n"), Err(Malformed::Sizes));
        assert_eq!(parse(b"HMSG a 1 9 3\r\n"), Err(Malformed::Sizes));
        assert_eq!(parse(b"MSG a 1 99999999999\r\n"), Err(Malformed::Sizes));
        assert_eq!(parse(&vec![b'x'; LINE_MOST]), Err(Malformed::Line));
    }

    #[test]
    fn a_publication_counts_its_own_bytes() {
        let mut out = Vec::new();
        let publication = Publication { subject: "trade.a", reply: Some(("_INBOX.a.", 10)), id: ("trade:a:", 120, -5) };
        publish(publication, b"{}", &mut out);
        let text = String::from_utf8(out.clone()).unwrap();
        let head = "NATS/1.0\r\nNats-Msg-Id: trade:a:120:-5\r\n\r\n";
        assert_eq!(text, format!("HPUB trade.a _INBOX.a.10 {} {}\r\n{head}{{}}\r\n", head.len(), head.len() + 2));
        out.clear();
        request("$JS.API.INFO", ("_INBOX.a.", "s0"), b"", &mut out);
        assert_eq!(out, b"PUB $JS.API.INFO _INBOX.a.s0 0\r\n\r\n");
        out.clear();
        post("health.collector.a-1", b"{}", &mut out);
        assert_eq!(out, b"PUB health.collector.a-1 2\r\n{}\r\n");
    }

    #[test]
    fn numbers_are_written_and_read_back() {
        for value in [0, 9, 10, 12345, u64::MAX] {
            let mut out = b"p.".to_vec();
            integer(value, &mut out);
            assert_eq!((number_after(&out, "p."), out.len() - 2), (Some(value), width(value)));
        }
        assert_eq!((number_after(b"p.", "p."), number_after(b"p.s1", "p."), number_after(b"q.1", "p.")), (None, None, None));
    }
}
