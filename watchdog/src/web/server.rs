//! Connections of the page: how many, how long they may take for a request's head and for an answer.
//!
//! Owns: accepting, bounds, the end. Must not know: routes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::metrics::{Registry, list};

/// Connections served at once; one more ends the oldest.
const CONNECTIONS: usize = 128;
/// For a request's head, and for an idle connection; longer than the usual scrape interval, so that connections are reused.
const HEAD: Duration = Duration::from_secs(30);
/// For a request's head in bytes: expressions in URLs are long.
const HEAD_BYTES: usize = 64 << 10;
/// For a request's body, and whatever else comes on top of the longest answer.
const SPARE: Duration = Duration::from_secs(30);
/// At the end, for answers on their way.
const LAST: Duration = Duration::from_secs(2);

/// Connections under way.
struct Server {
    app: Router,
    metrics: Arc<Registry>,
    /// For a request with its body and its answer.
    within: Duration,
    tasks: JoinSet<()>,
    /// Oldest first.
    order: VecDeque<AbortHandle>,
    stop: CancellationToken,
}

/// Serves `app`, no answer of which takes longer than `longest`, until `stop`, then lets answers on their way finish.
///
/// # Errors
/// None: a connection that cannot be accepted is counted.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    (metrics, longest): (Arc<Registry>, Duration),
    stop: CancellationToken,
) -> io::Result<()> {
    metrics.set(&list::HTTP_LIMIT, &[], CONNECTIONS as f64);
    let mut server = Server { app, metrics, within: longest + SPARE, tasks: JoinSet::new(), order: VecDeque::with_capacity(CONNECTIONS), stop };
    loop {
        tokio::select! {
            () = server.stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => server.start(stream, from),
                Err(error) => server.not_accepted(&error).await,
            },
            Some(_ended) = server.tasks.join_next() => server.shown(),
        }
    }
    let all_done = async { while server.tasks.join_next().await.is_some() {} };
    // What is left is aborted when the set is dropped.
    let _late = tokio::time::timeout(LAST, all_done).await;
    Ok(())
}

// === impl Server ===

impl Server {
    fn start(&mut self, stream: TcpStream, from: SocketAddr) {
        self.order.retain(|handle| !handle.is_finished());
        if self.order.len() >= CONNECTIONS
            && let Some(oldest) = self.order.pop_front()
        {
            oldest.abort();
            self.metrics.add(&list::HTTP_REFUSED, &["evicted"], 1.0);
        }
        let handle = self.tasks.spawn(connection(self.app.clone(), (stream, from), (self.metrics.clone(), self.within), self.stop.clone()));
        self.order.push_back(handle);
        self.shown();
    }

    /// Out of descriptors, mostly: the oldest connection gives its own back.
    async fn not_accepted(&mut self, error: &io::Error) {
        tracing::debug!(%error, "a connection was not accepted");
        self.metrics.add(&list::HTTP_REFUSED, &["not_accepted"], 1.0);
        if let Some(oldest) = self.order.pop_front() {
            oldest.abort();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    fn shown(&self) {
        self.metrics.set(&list::HTTP_CONNECTIONS, &[], self.tasks.len() as f64);
    }
}

/// One connection, request after request, until its client or our end ends it.
async fn connection(app: Router, (stream, from): (TcpStream, SocketAddr), (metrics, within): (Arc<Registry>, Duration), stop: CancellationToken) {
    let (counted, asked) = (metrics.clone(), Arc::new(AtomicBool::new(false)));
    let asking = asked.clone();
    let service = service_fn(move |request| {
        asking.store(true, Ordering::Relaxed);
        answer(app.clone(), (request, from), (counted.clone(), within))
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            // The answer under way is finished first.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client that breaks off, or is idle behind a request, is no trouble of ours; one that dawdles over its first head is counted.
    if ended.is_err_and(|error| error.is_timeout()) && !asked.load(Ordering::Relaxed) {
        metrics.add(&list::HTTP_REFUSED, &["slow_head"], 1.0);
    }
}

async fn answer(
    app: Router,
    (mut request, from): (Request<Incoming>, SocketAddr),
    (metrics, within): (Arc<Registry>, Duration),
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(ConnectInfo(from));
    if let Ok(answered) = tokio::time::timeout(within, TowerToHyperService::new(app).call(request)).await {
        return answered;
    }
    metrics.add(&list::HTTP_REFUSED, &["slow_request"], 1.0);
    Ok((StatusCode::REQUEST_TIMEOUT, "the request took too long\n").into_response())
}
