//! REST over HTTP/1.1: one attempt, a total time limit, a bounded body, a few connections that are used again.
//!
//! Owns: the pool (bounded, its size is a metric), gzip. Must not know: what is asked for.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::Read;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HOST, HeaderMap, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::dial::{Dialer, Progress};
use super::network::{Cause, ConnectError, Hop, Reply, Rest, RestFailure};
use crate::http::body::Whole;
use crate::metrics::Gauge;

/// For the whole of a request; below the core's own limit of ten seconds.
const PATIENCE: Duration = Duration::from_millis(9_500);
/// Requests at once; further ones wait, within their time.
const AT_ONCE: usize = 4;
/// Connections kept for the next request, and for how long.
const IDLE: (usize, Duration) = (2, Duration::from_secs(30));

/// The real client of one venue. Clones share the pool.
#[derive(Clone)]
pub(super) struct HttpClient(Rc<Pool>);

struct Pool {
    dialer: Dialer,
    idle: RefCell<Vec<Idle>>,
    places: Semaphore,
    open: Gauge,
}

/// A connection that waits for its next request.
struct Idle {
    authority: String,
    sender: SendRequest<Whole>,
    since: Instant,
}

/// Counts an open connection for as long as it lives.
struct Open(Gauge);

// === impl HttpClient ===

impl HttpClient {
    /// A client that dials so, and shows the number of its open connections.
    pub(super) fn new(dialer: Dialer, open: Gauge) -> Self {
        Self(Rc::new(Pool { dialer, idle: RefCell::default(), places: Semaphore::new(AT_ONCE), open }))
    }

    async fn fetch(self, url: String, most: usize) -> Result<Reply, RestFailure> {
        let uri: Uri = url.parse().map_err(|error| RestFailure::Connect(ConnectError::new(Hop::Url, Cause::BadUrl, error)))?;
        let authority = uri.authority().map(|authority| format!("{}://{authority}", uri.scheme_str().unwrap_or_default())).unwrap_or_default();
        let Ok(_place) = self.0.places.acquire().await else { return Err(RestFailure::Network("the client is gone".to_owned())) };
        if let Some(mut sender) = self.0.take(&authority) {
            match sender.send_request(request(&uri)?).await {
                Ok(response) => return self.read(response, most, (authority, sender)).await,
                // Closed while it was idle, before anything was sent: the request goes out on a new one.
                Err(error) if error.is_canceled() => {}
                Err(error) => return Err(network(&error)),
            }
        }
        let mut sender = self.connect(&uri).await?;
        let response = sender.send_request(request(&uri)?).await.map_err(|error| network(&error))?;
        self.read(response, most, (authority, sender)).await
    }

    async fn connect(&self, uri: &Uri) -> Result<SendRequest<Whole>, RestFailure> {
        let progress = Progress::new();
        let stream = progress.within(self.0.dialer.open(uri, &progress)).await.map_err(RestFailure::Connect)?;
        let open = Open::new(&self.0.open);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| network(&error))?;
        tokio::task::spawn_local(async move {
            // How it ended is told to whoever waits for an answer on it.
            let _told = connection.await;
            drop(open);
        });
        Ok(sender)
    }

    async fn read(&self, response: Response<Incoming>, most: usize, (authority, sender): (String, SendRequest<Whole>)) -> Result<Reply, RestFailure> {
        let (head, mut incoming) = response.into_parts();
        let mut body = Vec::new();
        while let Some(frame) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
            let Ok(chunk) = frame.map_err(|error| network(&error))?.into_data() else { continue };
            if body.len() + chunk.len() > most {
                return Err(RestFailure::TooLong(most));
            }
            body.extend_from_slice(&chunk);
        }
        if head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip")) {
            body = unpacked(&body, most)?;
        }
        self.0.put_back(authority, sender);
        Ok(Reply {
            status: head.status.as_u16(),
            retry_after: number(&head.headers, "retry-after").map(Duration::from_secs),
            used_weight: number(&head.headers, "x-mbx-used-weight-1m").and_then(|weight| u32::try_from(weight).ok()),
            body: String::from_utf8(body).unwrap_or_default(),
        })
    }
}

impl Rest for HttpClient {
    fn get(&self, url: String, most: usize) -> LocalBoxFuture<'static, Result<Reply, RestFailure>> {
        let this = self.clone();
        Box::pin(async move { timeout(PATIENCE, this.fetch(url, most)).await.unwrap_or(Err(RestFailure::Timeout)) })
    }

    fn close_idle(&self) {
        self.0.idle.borrow_mut().clear();
    }
}

// === impl Pool ===

impl Pool {
    fn take(&self, authority: &str) -> Option<SendRequest<Whole>> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|one| one.sender.is_ready() && one.since.elapsed() < IDLE.1);
        let place = idle.iter().position(|one| one.authority == authority)?;
        Some(idle.swap_remove(place).sender)
    }

    fn put_back(self: &Rc<Self>, authority: String, sender: SendRequest<Whole>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= IDLE.0 {
            idle.remove(0);
        }
        idle.push(Idle { authority, sender, since: Instant::now() });
        let pool = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            sleep(IDLE.1).await;
            if let Some(pool) = pool.upgrade() {
                pool.idle.borrow_mut().retain(|one| one.since.elapsed() < IDLE.1);
            }
        });
    }
}

// === impl Open ===

impl Open {
    fn new(gauge: &Gauge) -> Self {
        // One thread writes it.
        gauge.set(gauge.get() + 1.0);
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1.0);
    }
}

fn request(uri: &Uri) -> Result<Request<Whole>, RestFailure> {
    let bad = |error: &dyn ToString| RestFailure::Connect(ConnectError::new(Hop::Url, Cause::BadUrl, error.to_string()));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    Request::builder()
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("tidemark-collector/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT_ENCODING, "gzip")
        .body(Whole::from(Bytes::new()))
        .map_err(|error| bad(&error))
}

fn unpacked(packed: &[u8], most: usize) -> Result<Vec<u8>, RestFailure> {
    let mut body = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    flate2::read::MultiGzDecoder::new(packed).take(limit).read_to_end(&mut body).map_err(|error| RestFailure::Network(format!("gzip: {error}")))?;
    if body.len() > most { Err(RestFailure::TooLong(most)) } else { Ok(body) }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn network(error: &hyper::Error) -> RestFailure {
    // The outermost message names only the step; the cause says what happened.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    RestFailure::Network(cause.to_string())
}
