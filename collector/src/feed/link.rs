//! WebSockets over a dialed connection: the one module that knows the WebSocket library.
//!
//! Bounds: 16 KiB read buffer, 4 MiB message, 64 KiB unwritten. Pings are answered by the library as long as the link is polled.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::{Sink, Stream as _};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::dial::{Dialer, Progress, Stream};
use super::network::{Cause, ConnectError, Connector, Hop, Link, Wire};

/// For the peer to answer a close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The real connector of one venue.
#[derive(Debug)]
pub(super) struct WebSockets {
    dialer: Dialer,
}

struct WebSocket {
    stream: WebSocketStream<Stream>,
    /// Something was queued that may not have left yet.
    unflushed: bool,
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
                let upgraded = client_async_with_config(request, stream, Some(limits())).await;
                let (stream, _response) = upgraded.map_err(|error| ConnectError::new(Hop::Handshake, cause(&error), error))?;
                Ok(Box::new(WebSocket { stream, unflushed: false }) as Box<dyn Link>)
            };
            progress.within(Box::pin(attempt)).await
        })
    }
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .write_buffer_size(4 << 10)
        .max_write_buffer_size(64 << 10)
        .max_message_size(Some(4 << 20))
        .max_frame_size(Some(4 << 20))
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

impl Link for WebSocket {
    fn send(&mut self, text: String) -> Result<(), String> {
        self.unflushed = true;
        Pin::new(&mut self.stream).start_send(Message::text(text)).map_err(|error| error.to_string())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Wire> {
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(context) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Poll::Ready(Wire::Ended(error.to_string())),
                Poll::Pending => {}
            }
        }
        Pin::new(&mut self.stream).poll_next(context).map(|next| match next {
            Some(Ok(Message::Text(text))) => Wire::Text(text),
            Some(Ok(Message::Close(frame))) => {
                Wire::Ended(frame.map_or_else(|| "closed by the peer".to_owned(), |frame| format!("closed by the peer: {frame}")))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => Wire::Activity,
            Some(Err(error)) => Wire::Ended(error.to_string()),
            None => Wire::Ended("ended".to_owned()),
        })
    }

    fn close(mut self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move {
            let closed = async {
                // A close that cannot be said is a close all the same: the socket is dropped below.
                let _said = self.stream.close(None).await;
                while poll_fn(|context| Pin::new(&mut self.stream).poll_next(context)).await.is_some_and(|frame| frame.is_ok()) {}
            };
            let _in_time = timeout(CLOSE_PATIENCE, closed).await;
        })
    }
}
