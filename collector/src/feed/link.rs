//! WebSockets over TCP and TLS: the one module that knows the WebSocket library.
//!
//! Bounds: 16 KiB read buffer, 4 MiB message, 64 KiB unwritten. Pings are answered by the library as long as the link is polled.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::{Sink, Stream};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::network::{ConnectError, Connector, Hop, Link, Wire};

/// For one address to answer; a name may have several.
const TCP_PATIENCE: Duration = Duration::from_secs(5);
/// For the peer to answer a close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The real connector.
#[derive(Debug)]
pub struct WebSockets {
    tls: Arc<ClientConfig>,
}

struct WebSocket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Something was queued that may not have left yet.
    unflushed: bool,
}

// === impl WebSockets ===

impl WebSockets {
    pub(super) fn new(tls: Arc<ClientConfig>) -> Self {
        Self { tls }
    }
}

impl Connector for WebSockets {
    fn connect(&self, url: String) -> LocalBoxFuture<'static, Result<Box<dyn Link>, ConnectError>> {
        let tls = Arc::clone(&self.tls);
        Box::pin(async move {
            let request = url.into_client_request().map_err(|error| failed(Hop::Url, error))?;
            let tcp = open_tcp(request.uri()).await?;
            let connector = tokio_tungstenite::Connector::Rustls(tls);
            let (stream, _response) =
                client_async_tls_with_config(request, tcp, Some(limits()), Some(connector)).await.map_err(|error| failed(hop_of(&error), error))?;
            Ok(Box::new(WebSocket { stream, unflushed: false }) as Box<dyn Link>)
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

/// Tries the name's addresses in turn.
async fn open_tcp(uri: &Uri) -> Result<TcpStream, ConnectError> {
    let host = uri.host().ok_or_else(|| failed(Hop::Url, "no host"))?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("wss") { 443 } else { 80 });
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = tokio::net::lookup_host((name, port)).await.map_err(|error| failed(Hop::Dns, format!("{name}: {error}")))?;
    let mut last = failed(Hop::Dns, format!("{name} has no address"));
    for address in addresses {
        match timeout(TCP_PATIENCE, TcpStream::connect(address)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(tcp) => {
                tcp.set_nodelay(true).map_err(|error| failed(Hop::Tcp, error))?;
                return Ok(tcp);
            }
            Err(error) => last = failed(Hop::Tcp, format!("{address}: {error}")),
        }
    }
    Err(last)
}

fn hop_of(error: &Error) -> Hop {
    match error {
        Error::Tls(_) => Hop::Tls,
        // rustls reports a failed agreement as an I/O error that carries its own.
        Error::Io(error) if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>) => Hop::Tls,
        Error::Url(_) => Hop::Url,
        _ => Hop::Handshake,
    }
}

fn failed(hop: Hop, message: impl ToString) -> ConnectError {
    ConnectError { hop, message: message.to_string() }
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::feed::tls;

    /// A peer that reads something and answers this, whatever it was asked.
    async fn peer(answer: &'static [u8]) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _asked = stream.read(&mut [0; 2_048]).await.unwrap();
            stream.write_all(answer).await.unwrap();
        });
        address
    }

    async fn hop(url: String) -> Hop {
        let connector = WebSockets::new(tls::client_config().unwrap());
        connector.connect(url).await.err().unwrap().hop
    }

    #[tokio::test]
    async fn a_failed_connection_names_the_hop_that_failed() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(hop("ws:///nowhere".to_owned()).await, Hop::Url);
        assert_eq!(hop(format!("ws://{closed}/")).await, Hop::Tcp);
        assert_eq!(hop(format!("wss://localhost:{}/", peer(b"I am no TLS server\r\n").await.port())).await, Hop::Tls);
        assert_eq!(hop(format!("ws://{}/", peer(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await)).await, Hop::Handshake);
    }
}
