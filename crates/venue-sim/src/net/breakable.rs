//! An HTTP connection that its handler can end with RST: axum gives handlers no way to the socket, so the socket carries a flag.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// A socket with a flag; once it is set, the next write ends the connection with RST.
#[derive(Debug)]
pub(crate) struct BreakableStream {
    stream: TcpStream,
    handle: BreakHandle,
}

/// The handler's end of the flag, an axum `ConnectInfo`.
#[derive(Debug, Clone, Default)]
pub(crate) struct BreakHandle(Arc<AtomicBool>);

/// Hands axum the sockets that somebody else accepted.
#[derive(Debug)]
pub(crate) struct BreakableListener {
    accepted: mpsc::Receiver<(TcpStream, SocketAddr)>,
    local: SocketAddr,
}

// === impl BreakHandle ===

impl BreakHandle {
    /// Ends the connection with RST as soon as anything is written to it.
    pub(crate) fn break_connection(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, BreakableListener>> for BreakHandle {
    fn connect_info(stream: IncomingStream<'_, BreakableListener>) -> Self {
        stream.io().handle.clone()
    }
}

// === impl BreakableListener ===

impl BreakableListener {
    /// A listener over sockets that arrive through a channel.
    pub(crate) fn new(accepted: mpsc::Receiver<(TcpStream, SocketAddr)>, local: SocketAddr) -> Self {
        Self { accepted, local }
    }
}

impl Listener for BreakableListener {
    type Io = BreakableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some((stream, peer)) => (BreakableStream { stream, handle: BreakHandle::default() }, peer),
            // No more sockets will come; the server ends by its own shutdown signal.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

// === impl BreakableStream ===

impl BreakableStream {
    fn check(&self) -> io::Result<()> {
        if self.handle.0.load(Ordering::Relaxed) {
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for BreakableStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for BreakableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Err(error) = self.check() {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
