//! The watchdog over HTTP: the page, its own metrics, health, and the few things that may be asked of it from outside.
//!
//! Owns: routes, who may call what, limits on bodies. What changes something needs the token (or a loopback caller where the configuration trusts
//! it), and a request from another site's page is refused. Must not know: engines; it reads the [`Board`] and calls [`Actions`].

pub mod api;
mod page;
mod runbooks;
mod server;
pub mod view;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use diagnostics::Lang;
use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use view::Board;

use crate::metrics::Registry;
use page::Page;

/// Longest body that is read: a payload of some thousand alerts.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// A link in the page's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its text.
    pub title: String,
    /// Where it leads.
    pub url: String,
}

/// How the page is shown and who may change something.
#[derive(Clone, Debug)]
pub struct WebOptions {
    /// Language when the request names none.
    pub lang: Lang,
    /// Zone of the times.
    pub timezone: TimeZone,
    /// Bearer token for requests that change something; `None`: such requests are refused unless `trust_loopback`.
    pub token: Option<Arc<str>>,
    /// Whether loopback callers need no token.
    pub trust_loopback: bool,
    /// Links in the head.
    pub links: Vec<Link>,
}

/// What the shell does when asked over HTTP.
pub trait Actions: Send + Sync {
    /// The page of /metrics, text format 0.0.4.
    fn metrics(&self) -> String;
    /// Whether the engines run.
    fn ready(&self) -> bool;
    /// Reads the configuration again; the error text when it is refused.
    fn reload(&self) -> BoxFuture<'_, Result<(), String>>;
    /// A payload (Alertmanager webhook, version 4) for a robot of dingtalk.yml.
    fn dingtalk<'a>(&'a self, target: &'a str, body: &'a [u8]) -> BoxFuture<'a, Reply>;
    /// A payload (Alertmanager webhook, version 4), or nothing, for a restart.
    fn restart<'a>(&'a self, name: &'a str, body: &'a [u8]) -> BoxFuture<'a, Reply>;
    /// Holds the restarts of this name, or releases them.
    fn switch<'a>(&'a self, name: &'a str, to: Switch) -> BoxFuture<'a, Reply>;
}

/// Whether restarts may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// None until released; a person's own wish excepted.
    Hold,
    /// Again.
    Release,
}

/// Answer to a request that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status: 200 accepted, 404 no such name, 400 not understood, 503 try again.
    pub status: u16,
    /// For the caller.
    pub text: String,
}

#[derive(Clone)]
struct Shared {
    board: Arc<Board>,
    actions: Arc<dyn Actions>,
    options: Arc<WebOptions>,
    now_ms: fn() -> i64,
}

/// Content security policy of the page: nothing from anywhere else, styles inline.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

#[derive(Debug, Deserialize)]
struct PageQuery {
    lang: Option<String>,
}

/// Serves until `shutdown`; `now_ms` is the wall clock.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, site: Site, shutdown: CancellationToken) -> std::io::Result<()> {
    let shared = Shared { board: site.board, actions: site.actions, options: Arc::new(site.options), now_ms: site.now_ms };
    server::serve(listener, routes(shared).merge(site.more), (site.metrics, site.longest), shutdown).await
}

/// What is served.
pub struct Site {
    /// What the page shows.
    pub board: Arc<Board>,
    /// What may be asked.
    pub actions: Arc<dyn Actions>,
    /// How, and by whom.
    pub options: WebOptions,
    /// The wall clock in unix milliseconds.
    pub now_ms: fn() -> i64,
    /// Served beside: [`api`].
    pub more: Router,
    /// Counters of connections.
    pub metrics: Arc<Registry>,
    /// The longest that any answer takes.
    pub longest: Duration,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("options", &self.options).finish_non_exhaustive()
    }
}

fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/", get(show_page))
        .route("/page.js", get(page_script))
        // Links in messages: to a runbook, and to the rule's expression as Prometheus writes it.
        .route("/docs/runbooks/{name}", get(runbook))
        .route("/graph", get(|| async { Redirect::temporary("/#rules") }))
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { "Tidemark watchdog is healthy.\n" }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .route("/api/status", get(status))
        .route("/dingtalk/{target}/send", post(dingtalk))
        .route("/restart/{name}", post(restart))
        .route("/restart/{name}/hold", post(hold))
        .route("/restart/{name}/release", post(release))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(shared)
}

async fn show_page(State(shared): State<Shared>, Query(query): Query<PageQuery>) -> Response {
    let lang = query.lang.as_deref().and_then(Lang::from_tag).unwrap_or(shared.options.lang);
    shared.board.wish.ask().await;
    match Page::new(&shared.board, &shared.options, lang, (shared.now_ms)()).render() {
        Ok(html) => ([(CACHE_CONTROL, "no-store"), (CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn page_script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../../templates/page.js"))
}

async fn runbook(Path(name): Path<String>) -> Response {
    match runbooks::find(&name) {
        Some(text) => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        None => (StatusCode::NOT_FOUND, "no such runbook\n").into_response(),
    }
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.actions.metrics())
}

async fn ready(State(shared): State<Shared>) -> impl IntoResponse {
    if shared.actions.ready() {
        (StatusCode::OK, "Tidemark watchdog is ready.\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: the engines have not started\n")
    }
}

/// Everything on the page as JSON, for scripts.
async fn status(State(shared): State<Shared>) -> impl IntoResponse {
    let board = &shared.board;
    board.wish.ask().await;
    axum::Json(serde_json::json!({
        "targets": &**board.targets.load(),
        "probes": &**board.probes.load(),
        "processes": &**board.processes.load(),
        "streams": &**board.streams.load(),
        "rules": board.rules(),
        "deliveries": &**board.deliveries.load(),
        "restarts": &**board.restarts.load(),
        "held": &**board.held.load(),
        "storage": &**board.storage.load(),
        "reload": &**board.reload.load(),
    }))
}

async fn reload(State(shared): State<Shared>, ConnectInfo(from): ConnectInfo<SocketAddr>, headers: HeaderMap) -> Response {
    if let Err(refusal) = may_change(&shared.options, from, &headers) {
        return refusal.into_response();
    }
    match shared.actions.reload().await {
        Ok(()) => "reloaded\n".into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

async fn dingtalk(
    State(shared): State<Shared>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(target): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(refusal) = may_change(&shared.options, from, &headers) {
        return refusal.into_response();
    }
    shared.actions.dingtalk(&target, &body).await.into_response()
}

async fn restart(
    State(shared): State<Shared>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(refusal) = may_change(&shared.options, from, &headers) {
        return refusal.into_response();
    }
    shared.actions.restart(&name, &body).await.into_response()
}

async fn hold(State(shared): State<Shared>, from: ConnectInfo<SocketAddr>, name: Path<String>, headers: HeaderMap) -> Response {
    switched(&shared, from, (&name, Switch::Hold), &headers).await
}

async fn release(State(shared): State<Shared>, from: ConnectInfo<SocketAddr>, name: Path<String>, headers: HeaderMap) -> Response {
    switched(&shared, from, (&name, Switch::Release), &headers).await
}

async fn switched(shared: &Shared, from: ConnectInfo<SocketAddr>, (name, to): (&str, Switch), headers: &HeaderMap) -> Response {
    match may_change(&shared.options, from.0, headers) {
        Ok(()) => shared.actions.switch(name, to).await.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Whether this caller may change something; else the answer that says what is missing.
fn may_change(options: &WebOptions, from: SocketAddr, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = text(ORIGIN).is_some_and(|origin| text(HOST).is_none_or(|host| origin.split_once("://").is_none_or(|(_, site)| site != host)));
    if foreign {
        return Err((StatusCode::FORBIDDEN, "a request from another site's page is refused\n"));
    }
    if options.trust_loopback && from.ip().is_loopback() {
        return Ok(());
    }
    let Some(token) = &options.token else {
        return Err((StatusCode::FORBIDDEN, "set web.token_file, or web.trust_loopback for callers on this machine\n"));
    };
    let given = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if same(given.as_bytes(), token.as_bytes()) { Ok(()) } else { Err((StatusCode::UNAUTHORIZED, "send the token: Authorization: Bearer …\n")) }
}

/// Equality that takes as long for a near miss as for a far one.
fn same(given: &[u8], token: &[u8]) -> bool {
    let differing = given.iter().zip(token).fold(0u8, |all, (a, b)| all | (a ^ b));
    given.len() == token.len() && differing == 0
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, self.text).into_response()
    }
}

#[cfg(test)]
mod tests;
