//! Prometheus's HTTP API v1, read only, as Grafana's Prometheus data source uses it (Prometheus documentation, "HTTP API").
//!
//! Owns: paths, parameters, the shapes of answers and errors. Must not know: how series are stored; it asks [`Queries`] and shows [`Facts`].
//!
//! Known differences from Prometheus 3, kept on purpose: texts of errors inside an expression are ours;
//! no native histograms, exemplars or `stats`; `/metadata` tells of the watchdog's own metrics; `/status/config` is the file as written, secrets left out;
//! `/rules` warns of rules whose range reaches back further than the history.

mod encode;
mod params;
mod query;
mod rules;
mod series;
mod status;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use super::view::Board;
use crate::config::Config;
use crate::queries::{Queries, Refused};

/// What the API shows besides series and the [`Board`].
#[derive(Debug, Default)]
pub struct Facts {
    /// The configuration in force, and its text without secrets.
    pub config: ArcSwap<Option<(Arc<Config>, String)>>,
}

/// What the handlers need.
#[derive(Debug)]
pub struct Api {
    /// Where questions about series go.
    pub queries: Queries,
    /// Configuration.
    pub facts: Arc<Facts>,
    /// Rules, targets and reloads.
    pub board: Arc<Board>,
    /// The wall clock, unix milliseconds.
    pub now_ms: fn() -> i64,
    /// When this process began, unix milliseconds.
    pub started_ms: i64,
}

/// `data` of an answer as JSON, and what its reader should know.
#[derive(Debug, Default)]
struct Success {
    data: String,
    warnings: Vec<String>,
    infos: Vec<String>,
}

/// An answer that is none.
#[derive(Debug)]
struct ApiError {
    kind: ErrorKind,
    text: String,
}

/// Prometheus's kinds of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorKind {
    BadData,
    Execution,
    Timeout,
    Internal,
    Unavailable,
    NotFound,
}

type Reply = Result<Success, ApiError>;

/// The routes of the API.
pub fn routes(api: Arc<Api>) -> Router {
    Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route("/api/v1/format_query", get(query::format).post(query::format))
        .route("/api/v1/query_exemplars", get(query::exemplars).post(query::exemplars))
        .route("/api/v1/series", get(series::series).post(series::series))
        .route("/api/v1/labels", get(series::names).post(series::names))
        .route("/api/v1/label/{name}/values", get(series::values))
        .route("/api/v1/rules", get(rules::rules))
        .route("/api/v1/alerts", get(rules::alerts))
        .route("/api/v1/targets", get(targets::targets))
        .route("/api/v1/scrape_pools", get(targets::pools))
        .route("/api/v1/alertmanagers", get(targets::alertmanagers))
        .route("/api/v1/metadata", get(targets::metadata))
        .route("/api/v1/status/buildinfo", get(status::build))
        .route("/api/v1/status/runtimeinfo", get(status::runtime))
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/flags", get(status::flags))
        .route("/api/v1/{*rest}", get(nothing).post(nothing))
        .with_state(api)
}

async fn nothing() -> ApiError {
    ApiError { kind: ErrorKind::NotFound, text: "no such path in this API".to_owned() }
}

// === impl Success ===

impl Success {
    fn of(data: &impl Serialize) -> Reply {
        let data = serde_json::to_string(data).map_err(|error| ApiError { kind: ErrorKind::Internal, text: error.to_string() })?;
        Ok(Self { data, ..Self::default() })
    }
}

impl IntoResponse for Success {
    fn into_response(self) -> Response {
        let mut body = String::with_capacity(self.data.len() + 64);
        body.push_str("{\"status\":\"success\",\"data\":");
        body.push_str(&self.data);
        for (key, texts) in [("warnings", &self.warnings), ("infos", &self.infos)] {
            if !texts.is_empty() {
                body.push_str(",\"");
                body.push_str(key);
                body.push_str("\":");
                body.push_str(&serde_json::json!(texts).to_string());
            }
        }
        body.push('}');
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    }
}

// === impl ApiError ===

impl ApiError {
    fn bad_data(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::BadData, text: text.into() }
    }

    /// As Prometheus words what is wrong with a parameter.
    fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {why}"))
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let kind = match refused {
            Refused::Full | Refused::Stopped => ErrorKind::Unavailable,
            Refused::TimedOut => ErrorKind::Timeout,
        };
        Self { kind, text: refused.to_string() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (word, status) = match self.kind {
            ErrorKind::BadData => ("bad_data", StatusCode::BAD_REQUEST),
            ErrorKind::Execution => ("execution", StatusCode::UNPROCESSABLE_ENTITY),
            ErrorKind::Timeout => ("timeout", StatusCode::SERVICE_UNAVAILABLE),
            ErrorKind::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            ErrorKind::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            ErrorKind::NotFound => ("not_found", StatusCode::NOT_FOUND),
        };
        let body = serde_json::json!({"status": "error", "errorType": word, "error": self.text});
        (status, axum::Json(body)).into_response()
    }
}

/// As long as an asker that names no time waits: as long as a query may take.
const PATIENCE: Duration = Duration::MAX;
