//! The HTTP side of a venue's port: the REST paths of the venue, and `/control`, which no venue has.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::deribit;
use super::deribit::rest::DeribitAsk;
use super::engine::{Ask, BookAnswer, Command, Fate, RestReply};
use super::fault::FaultSpec;
use super::kind::VenueKind;
use super::okx::rest::OkxAsk;
use super::run::VenueHandle;
use crate::net::BreakHandle;

type Pairs = Query<Vec<(String, String)>>;

/// What handlers need: this port's venue, and all venues for the control paths.
#[derive(Debug, Clone)]
pub(super) struct HttpState {
    /// This port's venue.
    pub venue: VenueKind,
    /// This port's engine.
    pub commands: mpsc::Sender<Command>,
    /// All venues of the simulation.
    pub all: Vec<VenueHandle>,
}

/// The paths of a venue's port.
pub(super) fn router(state: HttpState) -> Router {
    let venue = match state.venue {
        VenueKind::BinanceSpot | VenueKind::BinanceUsdm => binance_paths(state.venue.rest_prefix()),
        VenueKind::OkxSpot | VenueKind::OkxSwap => okx_paths(state.venue.rest_prefix()),
        VenueKind::Deribit => Router::new().route(&format!("{}/{{method}}", state.venue.rest_prefix()), get(deribit)),
    };
    venue
        .route("/control/state", get(control_state))
        .route("/control/book", get(control_book))
        .route("/control/fault", post(control_fault))
        .route("/control/clear", post(control_clear))
        .route("/control/start", post(control_start))
        .route("/control/list", post(control_list))
        .route("/control/delist", post(control_delist))
        .fallback(|uri: Uri| async move { (StatusCode::NOT_FOUND, format!("no path {} here\n", uri.path())) })
        .with_state(state)
}

fn binance_paths(prefix: &str) -> Router<HttpState> {
    Router::new()
        .route(&format!("{prefix}/ping"), get(|state, info| rest(state, info, Ask::Ping)))
        .route(&format!("{prefix}/time"), get(|state, info| rest(state, info, Ask::Time)))
        .route(&format!("{prefix}/exchangeInfo"), get(exchange_info))
        .route(&format!("{prefix}/depth"), get(depth))
}

fn okx_paths(prefix: &str) -> Router<HttpState> {
    Router::new()
        .route(&format!("{prefix}/public/time"), get(|state, info| rest(state, info, Ask::Okx(OkxAsk::Time))))
        .route(
            &format!("{prefix}/public/instruments"),
            get(|state, info, Query(pairs): Pairs| {
                rest(state, info, Ask::Okx(OkxAsk::Instruments { kind: find(&pairs, "instType"), symbol: find(&pairs, "instId") }))
            }),
        )
        .route(&format!("{prefix}/market/books"), get(|state, info, Query(pairs): Pairs| rest(state, info, okx_books(&pairs, Depth::Usual))))
        .route(&format!("{prefix}/market/books-full"), get(|state, info, Query(pairs): Pairs| rest(state, info, okx_books(&pairs, Depth::Full))))
}

/// Which of OKX's two book paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Usual,
    Full,
}

fn okx_books(pairs: &[(String, String)], depth: Depth) -> Ask {
    let size = find(pairs, "sz").and_then(|text| text.parse().ok());
    let anchored = find(pairs, "source").as_deref() == Some("0");
    Ask::Okx(OkxAsk::Books { symbol: find(pairs, "instId"), size, anchored, full: depth == Depth::Full })
}

async fn deribit(state: State<HttpState>, info: ConnectInfo<BreakHandle>, Path(method): Path<String>, Query(pairs): Pairs) -> Response {
    let ask = DeribitAsk { method: format!("public/{method}"), params: deribit::rest::params(&pairs), id: Value::Null };
    rest(state, info, Ask::Deribit(ask)).await
}

async fn exchange_info(state: State<HttpState>, info: ConnectInfo<BreakHandle>, Query(pairs): Pairs) -> Response {
    let symbols = match (find(&pairs, "symbol"), find(&pairs, "symbols")) {
        (Some(symbol), _) => vec![symbol],
        (None, Some(list)) => serde_json::from_str(&list).unwrap_or_else(|_| vec![list]),
        (None, None) => Vec::new(),
    };
    rest(state, info, Ask::ExchangeInfo { symbols }).await
}

async fn depth(state: State<HttpState>, info: ConnectInfo<BreakHandle>, Query(pairs): Pairs) -> Response {
    let limit = find(&pairs, "limit").map(|text| text.parse::<u32>().map_err(|_| text)).transpose();
    rest(state, info, Ask::Depth { symbol: find(&pairs, "symbol"), limit }).await
}

async fn rest(State(state): State<HttpState>, ConnectInfo(handle): ConnectInfo<BreakHandle>, ask: Ask) -> Response {
    match ask_engine(&state.commands, |reply| Command::Rest { ask, reply }).await {
        Some(reply) => send(reply, &handle).await,
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn send(reply: RestReply, handle: &BreakHandle) -> Response {
    tokio::time::sleep(reply.delay).await;
    if reply.fate != Fate::Sent {
        handle.break_connection();
    }
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (header::HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// `GET /control/state[?venue=…][&symbol=…[&u=…][&limit=…]]`.
async fn control_state(State(state): State<HttpState>, Query(pairs): Pairs) -> Response {
    let venue = find(&pairs, "venue");
    let Some(symbol) = find(&pairs, "symbol") else {
        let mut venues = serde_json::Map::new();
        for handle in state.all.iter().filter(|handle| venue.as_deref().is_none_or(|name| name == handle.venue().as_str())) {
            venues.insert(handle.venue().as_str().to_owned(), handle.state().await.unwrap_or(Value::Null));
        }
        return axum::Json(json!({"venues": venues})).into_response();
    };
    // Without a venue, this port's own.
    let name = venue.as_deref().unwrap_or(state.venue.as_str());
    let Some(handle) = state.all.iter().find(|handle| handle.venue().as_str() == name) else {
        return (StatusCode::NOT_FOUND, format!("no venue {name}\n")).into_response();
    };
    let at_id = find(&pairs, "u").and_then(|text| text.parse().ok());
    let limit = find(&pairs, "limit").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    match handle.book(&symbol, at_id, limit).await {
        Some(book @ BookAnswer::Book { .. }) => axum::Json(book).into_response(),
        Some(other) => (StatusCode::NOT_FOUND, axum::Json(other)).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// `GET /control/book?symbol=…[&seq=…][&limit=…]`: this port's book after an update.
async fn control_book(state: State<HttpState>, Query(pairs): Pairs) -> Response {
    let mut asked: Vec<_> = pairs.iter().filter(|(key, _)| key == "symbol" || key == "limit").cloned().collect();
    asked.extend(find(&pairs, "seq").map(|seq| ("u".to_owned(), seq)));
    control_state(state, Query(asked)).await
}

/// `POST /control/list?instrument=BASE-QUOTE`: this port's venue lists another instrument.
async fn control_list(State(state): State<HttpState>, Query(pairs): Pairs) -> Response {
    let name = find(&pairs, "instrument").unwrap_or_default();
    done(ask_engine(&state.commands, |reply| Command::List { name, reply }).await)
}

/// `POST /control/delist?symbol=…`: an instrument of this port's venue goes.
async fn control_delist(State(state): State<HttpState>, Query(pairs): Pairs) -> Response {
    let symbol = find(&pairs, "symbol").unwrap_or_default();
    done(ask_engine(&state.commands, |reply| Command::Delist { symbol, reply }).await)
}

fn done(outcome: Option<Result<(), String>>) -> Response {
    match outcome {
        Some(Ok(())) => axum::Json(json!({"ok": true})).into_response(),
        Some(Err(reason)) => (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// `POST /control/fault` with one fault or a list; `venue` picks the venue, absent means all.
async fn control_fault(State(state): State<HttpState>, body: Bytes) -> Response {
    let specs = serde_json::from_slice::<Vec<FaultSpec>>(&body).or_else(|error| match serde_json::from_slice::<FaultSpec>(&body) {
        Ok(one) => Ok(vec![one]),
        Err(_) if body.trim_ascii_start().starts_with(b"[") => Err(error),
        Err(single) => Err(single),
    });
    let specs = match specs {
        Ok(specs) => specs,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("not a fault: {error}\n")).into_response(),
    };
    for spec in specs {
        for handle in state.all.iter().filter(|handle| spec.concerns(handle.venue())) {
            handle.inject(spec.clone()).await;
        }
    }
    axum::Json(json!({"ok": true})).into_response()
}

async fn control_clear(State(state): State<HttpState>) -> Response {
    for handle in &state.all {
        handle.clear_faults().await;
    }
    axum::Json(json!({"ok": true})).into_response()
}

async fn control_start(State(state): State<HttpState>) -> Response {
    for handle in &state.all {
        handle.start().await;
    }
    axum::Json(json!({"ok": true})).into_response()
}

/// Sends a command with a way to answer and waits for the answer; `None` once the engine has gone.
pub(super) async fn ask_engine<T>(commands: &mpsc::Sender<Command>, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    commands.send(command(reply)).await.ok()?;
    answer.await.ok()
}

fn find(pairs: &[(String, String)], name: &str) -> Option<String> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}
