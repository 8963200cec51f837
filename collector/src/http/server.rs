//! Accepting and serving connections, so that neither exhausted descriptors nor slow or silent clients keep a scraper out.
//!
//! Bounds: [`CONNECTIONS`] at once, the oldest is closed for a newer one; a request head must come within [`HEAD`]; 16 KiB of it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::reserve::Reserve;
use super::{Listeners, Pages};
use crate::metrics::{Bound, Counter, Gauge, Registry, Structure, catalogue as names};

/// Connections served at once.
const CONNECTIONS: usize = 64;
/// About what one takes: hyper's read buffer begins at 8 KiB.
const CONNECTION_BYTES: usize = 10 << 10;
/// For a request head, and for an idle connection; longer than the usual scrape interval, so that connections are reused.
const HEAD: Duration = Duration::from_secs(20);
/// A connection is answered within this; one that is older and still open waits for another request.
const JUST_COME: Duration = Duration::from_secs(1);
/// At the end, for answers on their way.
const LAST: Duration = Duration::from_millis(500);

/// The control thread's server.
struct Server {
    pages: Arc<Pages>,
    reserve: Arc<Mutex<Reserve>>,
    /// Cancelled, and replaced, when connections without a request under way are to go.
    idle: CancellationToken,
    tasks: JoinSet<()>,
    /// When each began, the oldest first.
    order: VecDeque<(Instant, AbortHandle)>,
    open: Structure,
    shown: Gauge,
    evicted: Counter,
    exhausted: Counter,
    other: Counter,
}

/// Serves both listeners until `stop`, then lets answers on their way finish.
///
/// # Errors
/// When a listener cannot be used with this runtime.
pub async fn serve(listeners: Listeners, pages: Pages, registry: &Registry, stop: CancellationToken) -> io::Result<()> {
    let (health, metrics) = (adopt(listeners.health)?, adopt(listeners.metrics)?);
    let reserve = Arc::new(Mutex::new(Reserve::new(registry.gauge(&names::HTTP_RESERVE, &[]))));
    let state = pages.state();
    let mut server = Server {
        pages: Arc::new(pages),
        reserve,
        idle: CancellationToken::new(),
        tasks: JoinSet::new(),
        order: VecDeque::with_capacity(CONNECTIONS),
        open: Structure::register(registry, "http_connections", Bound::Entries(CONNECTIONS)),
        shown: registry.gauge(&names::HTTP_CONNECTIONS, &[]),
        evicted: registry.counter(&names::HTTP_EVICTED, &[]),
        exhausted: registry.counter(&names::HTTP_ACCEPT_ERRORS, &["descriptors_exhausted"]),
        other: registry.counter(&names::HTTP_ACCEPT_ERRORS, &["other"]),
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = health.accept() => server.accepted(accepted.map(|(stream, _)| stream)).await,
            accepted = metrics.accept() => server.accepted(accepted.map(|(stream, _)| stream)).await,
            Some(_ended) = server.tasks.join_next() => server.ended(),
            () = state.pressure.idle_close_asked() => server.close_idle(),
        }
    }
    let all_done = async { while server.tasks.join_next().await.is_some() {} };
    let _aborted_on_drop = tokio::time::timeout(LAST, all_done).await;
    Ok(())
}

// === impl Server ===

impl Server {
    async fn accepted(&mut self, accepted: io::Result<TcpStream>) {
        match accepted {
            Ok(stream) => self.start(stream),
            Err(error) if is_exhausted(&error) => {
                self.exhausted.inc();
                if !lock(&self.reserve).lend() {
                    // Without a descriptor `accept` fails also when nobody waits: the one that has just come must not pay for that.
                    if self.order.front().is_some_and(|(since, _)| since.elapsed() >= JUST_COME) {
                        self.evict_oldest();
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Err(_) => {
                // Mostly a client that went away before it was accepted.
                self.other.inc();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    fn start(&mut self, stream: TcpStream) {
        self.order.retain(|(_, handle)| !handle.is_finished());
        if self.order.len() >= CONNECTIONS {
            self.evict_oldest();
        }
        let (pages, reserve, idle) = (Arc::clone(&self.pages), Arc::clone(&self.reserve), self.idle.clone());
        let answered = Arc::new(Notify::new());
        let handle = self.tasks.spawn(async move {
            let answering = Arc::clone(&answered);
            let service = service_fn(move |request| {
                answering.notify_one();
                let answer = pages.answer(request, &mut || borrow_descriptor(&reserve));
                std::future::ready(Ok::<_, Infallible>(answer))
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(16 << 10);
            let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
            // A client that breaks off is no trouble of ours.
            let _client_gone = tokio::select! {
                ended = &mut connection => ended,
                // One whose first request is still to come is not idle: it is answered, or its time for the head runs out.
                () = async { idle.cancelled().await; answered.notified().await } => {
                    // The answer under way is finished first.
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
        });
        self.order.push_back((Instant::now(), handle));
        self.show();
    }

    /// Closes connections that wait for another request.
    fn close_idle(&mut self) {
        std::mem::take(&mut self.idle).cancel();
    }

    fn show(&self) {
        self.shown.set_count(self.order.len());
        self.open.set(self.order.len(), self.order.len() * CONNECTION_BYTES);
    }

    fn ended(&mut self) {
        self.order.retain(|(_, handle)| !handle.is_finished());
        self.show();
        lock(&self.reserve).restore();
    }

    fn evict_oldest(&mut self) {
        if let Some((_, oldest)) = self.order.pop_front() {
            oldest.abort();
            self.evicted.inc();
        }
    }
}

/// Frees a descriptor for reading `/proc`; it is taken back when a connection ends.
fn borrow_descriptor(reserve: &Mutex<Reserve>) -> RestoreOnDrop<'_> {
    lock(reserve).lend();
    RestoreOnDrop(reserve)
}

/// Takes lent descriptors back.
pub(super) struct RestoreOnDrop<'a>(&'a Mutex<Reserve>);

impl Drop for RestoreOnDrop<'_> {
    fn drop(&mut self) {
        lock(self.0).restore();
    }
}

/// Only this thread locks it, and never across an await.
fn lock(reserve: &Mutex<Reserve>) -> std::sync::MutexGuard<'_, Reserve> {
    reserve.lock().unwrap_or_else(PoisonError::into_inner)
}

fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    error.raw_os_error().is_some_and(|code| [Errno::MFILE, Errno::NFILE].iter().any(|errno| errno.raw_os_error() == code))
}
