//! A wire between the sink and the server that can lose what the server says, and be cut: records are stored, and nobody hears of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// Runs until it is dropped.
pub(crate) struct Wire {
    port: u16,
    /// Bytes of the server that are still passed on.
    audible: Arc<AtomicUsize>,
    cut: broadcast::Sender<()>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Wire {
    /// To a server at this port.
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (audible, cut) = (Arc::new(AtomicUsize::new(usize::MAX)), broadcast::Sender::new(1));
        let (left, ends) = (Arc::clone(&audible), cut.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
                tokio::spawn(carry(client, server, Arc::clone(&left), ends.subscribe()));
            }
        });
        Self { port, audible, cut, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// After this many more bytes nothing the server says arrives; what it is told does.
    pub(crate) fn lose_after(&self, bytes: usize) {
        self.audible.store(bytes, Ordering::SeqCst);
    }

    /// Whether nothing the server says arrives any more.
    pub(crate) fn is_deaf(&self) -> bool {
        self.audible.load(Ordering::SeqCst) == 0
    }

    /// Ends all connections; new ones hear everything.
    pub(crate) fn cut(&self) {
        // Nobody may be connected.
        let _ended = self.cut.send(());
        self.audible.store(usize::MAX, Ordering::SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, audible: Arc<AtomicUsize>, mut cut: broadcast::Receiver<()>) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
    let told = tokio::io::copy(&mut from_client, &mut to_server);
    let said = async {
        let mut chunk = vec![0; 4_096];
        while let Ok(bytes @ 1..) = from_server.read(&mut chunk).await {
            // A whole chunk or nothing: the end of a line that is never heard to its end.
            let before = audible
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(if left == usize::MAX { left } else { left.saturating_sub(bytes) }));
            if before.unwrap() > 0 && to_client.write_all(&chunk[..bytes]).await.is_err() {
                return;
            }
        }
    };
    // Either side's end is the end of both.
    tokio::select! {
        _ = told => {}
        () = said => {}
        _ = cut.recv() => {}
    }
}
