//! WebSockets over a dialed connection: the handshake is the library's, the frames are read by [`frames`](super::frames).
//!
//! Bounds: 32 KiB read buffer, 4 MiB message, 64 KiB unwritten. Pings are answered as long as the link is polled.

use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::dial::{Dialer, Progress, Stream};
use super::frames::{self, FrameReader, Kind};
use super::network::{Cause, ConnectError, Connector, Hop, Link, Wire};

/// For the peer to answer a close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// Unwritten bytes above which the peer evidently does not read.
const UNWRITTEN_MOST: usize = 64 << 10;
/// Body of our close: 1000, normal closure.
const NORMAL: [u8; 2] = 1_000_u16.to_be_bytes();

/// The real connector of one venue.
#[derive(Debug)]
pub(super) struct WebSockets {
    dialer: Dialer,
}

struct WebSocket {
    stream: Stream,
    frames: FrameReader,
    /// Not yet taken by the socket.
    outbound: Vec<u8>,
    masks: Masks,
}

/// Masks of our frames: hashes of a count under a random key.
struct Masks {
    key: RandomState,
    count: u64,
}

/// A stream that remembers what was read: the library keeps what came behind the handshake to itself.
struct Recorded {
    stream: Stream,
    read: Vec<u8>,
}

// === impl WebSockets ===

impl WebSockets {
    pub(super) fn new(dialer: Dialer) -> Self {
        Self { dialer }
    }
}

impl Connector for WebSockets {
    fn connect(&self, url: String) -> LocalBoxFuture<'static, Result<Box<dyn Link>, ConnectError>> {
        let dialer = self.dialer.clone();
        Box::pin(async move {
            let request = url.into_client_request().map_err(|error| ConnectError::new(Hop::Url, Cause::BadUrl, error))?;
            let progress = Progress::new();
            let attempt = async {
                let stream = dialer.open(request.uri(), &progress).await?;
                progress.at(Hop::Handshake);
                let upgraded = client_async(request, Recorded { stream, read: Vec::new() }).await;
                let (upgraded, _response) = upgraded.map_err(|error| ConnectError::new(Hop::Handshake, cause(&error), error))?;
                let Recorded { stream, read } = upgraded.into_inner();
                let link = WebSocket { stream, frames: FrameReader::new(behind_head(&read)), outbound: Vec::new(), masks: Masks::new() };
                Ok(Box::new(link) as Box<dyn Link>)
            };
            progress.within(Box::pin(attempt)).await
        })
    }
}

/// What follows the answer's head.
fn behind_head(read: &[u8]) -> &[u8] {
    read.windows(4).position(|four| four == b"\r\n\r\n").and_then(|end| read.get(end + 4..)).unwrap_or_default()
}

fn cause(error: &Error) -> Cause {
    match error {
        Error::Http(_) => Cause::Status,
        Error::Io(error) => Cause::of(error),
        Error::Url(_) => Cause::BadUrl,
        Error::ConnectionClosed | Error::AlreadyClosed => Cause::Reset,
        _ => Cause::Protocol,
    }
}

// === impl WebSocket ===

impl WebSocket {
    fn say(&mut self, kind: Kind, body: &[u8]) {
        frames::write(kind, body, self.masks.next(), &mut self.outbound);
    }

    /// Writes what the socket takes.
    fn poll_write(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.outbound.is_empty() {
            return Ok(());
        }
        let mut written = 0;
        while let Some(rest) = self.outbound.get(written..).filter(|rest| !rest.is_empty())
            && let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_write(context, rest)
        {
            match outcome? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                bytes => written += bytes,
            }
        }
        self.outbound.drain(..written);
        // Only TLS holds anything back.
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }

    /// Takes the next message or control frame; reads when there is none.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Kind, String>> {
        loop {
            match self.frames.advance() {
                Ok(Some(kind)) => return Poll::Ready(Ok(kind)),
                Ok(None) => {}
                Err(violation) => return Poll::Ready(Err(violation.to_string())),
            }
            let mut space = ReadBuf::new(self.frames.space());
            match Pin::new(&mut self.stream).poll_read(context, &mut space) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.to_string())),
                Poll::Ready(Ok(())) => match space.filled().len() {
                    0 => return Poll::Ready(Err("ended".to_owned())),
                    bytes => self.frames.filled(bytes),
                },
            }
        }
    }

    /// Answers a ping or a close in its own words, at once if the socket takes it.
    fn answer(&mut self, kind: Kind, context: &mut Context<'_>) {
        frames::write(kind, self.frames.body(), self.masks.next(), &mut self.outbound);
        // An error comes again with the next reading.
        let _again = self.poll_write(context);
    }
}

impl Link for WebSocket {
    fn send(&mut self, text: String) -> Result<(), String> {
        if self.outbound.len() > UNWRITTEN_MOST {
            return Err("the peer does not read".to_owned());
        }
        self.say(Kind::Text, text.as_bytes());
        Ok(())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Wire<'_>> {
        if let Err(error) = self.poll_write(context) {
            return Poll::Ready(Wire::Ended(error.to_string()));
        }
        let kind = match self.poll_next(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(kind)) => kind,
            Poll::Ready(Err(why)) => return Poll::Ready(Wire::Ended(why)),
        };
        Poll::Ready(match kind {
            Kind::Text => match std::str::from_utf8(self.frames.body()) {
                Ok(text) => Wire::Text(text),
                Err(error) => Wire::Ended(format!("a text that is not UTF-8: {error}")),
            },
            // A peer that asks and does not read its answers is not answered without end.
            Kind::Ping if self.outbound.len() > UNWRITTEN_MOST => Wire::Activity,
            Kind::Ping => {
                self.answer(Kind::Pong, context);
                Wire::Activity
            }
            Kind::Pong | Kind::Binary => Wire::Activity,
            Kind::Close => {
                self.answer(Kind::Close, context);
                Wire::Ended(closed(self.frames.body()))
            }
        })
    }

    fn close(mut self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move {
            self.say(Kind::Close, &NORMAL);
            let closed = poll_fn(|context| {
                // A close that cannot be said is a close all the same: the socket is dropped below.
                if self.poll_write(context).is_err() {
                    return Poll::Ready(());
                }
                loop {
                    match self.poll_next(context) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(Kind::Close) | Err(_)) => return Poll::Ready(()),
                        Poll::Ready(Ok(_)) => {}
                    }
                }
            });
            let _in_time = timeout(CLOSE_PATIENCE, closed).await;
        })
    }

    fn bytes(&self) -> usize {
        self.frames.bytes() + self.outbound.capacity()
    }
}

/// What a close says (RFC 6455, section 5.5.1).
fn closed(body: &[u8]) -> String {
    match body.split_first_chunk() {
        Some((code, reason)) => {
            format!("closed by the peer: {} {}", u16::from_be_bytes(*code), String::from_utf8_lossy(reason)).trim_end().to_owned()
        }
        None => "closed by the peer".to_owned(),
    }
}

// === impl Masks ===

impl Masks {
    fn new() -> Self {
        Self { key: RandomState::new(), count: 0 }
    }

    fn next(&mut self) -> [u8; 4] {
        self.count += 1;
        let [a, b, c, d, ..] = self.key.hash_one(self.count).to_le_bytes();
        [a, b, c, d]
    }
}

// === impl Recorded ===

impl AsyncRead for Recorded {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.read.extend_from_slice(buffer.filled().get(before..).unwrap_or_default());
        outcome
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
