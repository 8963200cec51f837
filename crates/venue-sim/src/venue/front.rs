//! The venue's port. HTTP and WebSocket share it, as behind the venues' own proxies: the first request's head is looked at without taking it from the
//! socket; an upgrade goes to the WebSocket side, anything else to the HTTP side.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::Manners;
use super::connection::{Connection, Rules};
use super::engine::Command;
use super::kind::VenueKind;
use super::path::session_of;
use super::session::Session;

/// Longest head of a request.
const HEAD_MAX: usize = 8 * 1024;
/// Patience with a client that does not send its request.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// Frames queued for a connection when the configuration does not say.
const QUEUE_FRAMES: usize = 8_192;

/// What serving the port needs.
#[derive(Debug, Clone)]
pub(super) struct Front {
    /// Which venue.
    pub venue: VenueKind,
    /// The way to the engine.
    pub commands: mpsc::Sender<Command>,
    /// The HTTP side.
    pub http: mpsc::Sender<(TcpStream, SocketAddr)>,
    /// Times and limits of connections.
    pub rules: Rules,
    /// Limits of what is said on them.
    pub manners: Manners,
    /// Connections so far.
    pub numbers: Arc<AtomicU64>,
    /// Frames queued for one connection.
    pub queue_frames: Option<usize>,
    /// Tasks to wait for at the end.
    pub tasks: TaskTracker,
    /// The end.
    pub shutdown: CancellationToken,
}

// === impl Front ===

impl Front {
    /// Accepts until the end.
    pub(super) async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let front = self.clone();
                    self.tasks.spawn(async move {
                        let shutdown = front.shutdown.clone();
                        let admitted = tokio::select! {
                            () = shutdown.cancelled() => None,
                            admitted = front.admit(stream, peer) => admitted,
                        };
                        if let Some(connection) = admitted {
                            connection.serve(shutdown).await;
                        }
                    });
                }
                // Out of descriptors, most likely; an immediate retry would spin.
                Err(error) => {
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn admit(self, stream: TcpStream, peer: SocketAddr) -> Option<Connection> {
        drop(stream.set_nodelay(true));
        let upgrade = tokio::time::timeout(HEAD_PATIENCE, is_upgrade(&stream)).await.ok()??;
        if !upgrade {
            drop(self.http.send((stream, peer)).await);
            return None;
        }
        let (reply, may_come) = oneshot::channel();
        self.commands.send(Command::Knock { reply }).await.ok()?;
        tokio::time::sleep(may_come.await.ok()??).await;
        let (socket, session) = self.handshake(stream).await?;
        let (queue, frames) = mpsc::channel(self.queue_frames.unwrap_or(QUEUE_FRAMES).max(1));
        let (reply, id) = oneshot::channel();
        self.commands.send(Command::Open { session, queue, reply }).await.ok()?;
        Some(Connection { id: id.await.ok()?, socket, queue: frames, commands: self.commands, rules: self.rules })
    }

    async fn handshake(&self, stream: TcpStream) -> Option<(WebSocketStream<TcpStream>, Session)> {
        let mut session = None;
        let (venue, number) = (self.venue, self.numbers.fetch_add(1, Ordering::Relaxed));
        #[expect(clippy::result_large_err, reason = "the signature is the library's")]
        let callback = |request: &Request, response: Response| {
            session = session_of(venue, (request.uri().path(), request.uri().query()), &self.manners, number);
            if session.is_some() { Ok(response) } else { Err(not_found()) }
        };
        let config = WebSocketConfig::default().read_buffer_size(8 * 1024).max_message_size(Some(1 << 20)).max_frame_size(Some(1 << 20));
        let handshake = accept_hdr_async_with_config(stream, callback, Some(config));
        let socket = tokio::time::timeout(HEAD_PATIENCE, handshake).await.ok()?.ok()?;
        Some((socket, session?))
    }
}

fn not_found() -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// Whether the first request asks for a WebSocket; `None` when the client went away.
async fn is_upgrade(stream: &TcpStream) -> Option<bool> {
    let mut head = vec![0; HEAD_MAX];
    let mut seen = 0;
    loop {
        let length = stream.peek(&mut head).await.ok()?;
        let text = String::from_utf8_lossy(head.get(..length)?).to_ascii_lowercase();
        if text.contains("\r\n\r\n") || length == HEAD_MAX {
            return Some(text.contains("upgrade: websocket"));
        }
        if length == 0 {
            return None;
        }
        if length == seen {
            // A peek does not wait for more than it has already shown.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        seen = length;
    }
}
