//! The HTTP side of the inboxes: the robot's URL, the page, the list, and the control paths.

use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use super::Desk;
use super::page::{Lang, render};
use super::robot::{Post, Verdict};
use super::script::{Action, Channel, FailSpec, Stage};
use crate::net::BreakHandle;

type Pairs = Query<Vec<(String, String)>>;

/// The paths of the inboxes.
pub(super) fn router(desk: Desk) -> Router {
    Router::new()
        .route("/robot/send", post(robot))
        .route("/messages", get(messages))
        .route("/", get(page))
        .route("/control/fail", post(fail))
        .route("/control/clear", post(clear))
        .with_state(desk)
}

async fn robot(
    State(desk): State<Desk>,
    ConnectInfo(handle): ConnectInfo<BreakHandle>,
    Query(query): Pairs,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let failure = desk.script.take(Channel::Dingtalk, Stage::default());
    match failure {
        Some(Action::Errcode(code)) => return answer(&Verdict { code, message: "as told".to_owned(), accepted: None }),
        Some(Action::Http(status) | Action::Code(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            return (status, Html(format!("<html><body><h1>{status}</h1></body></html>"))).into_response();
        }
        Some(Action::Hang(span)) => {
            tokio::time::sleep(span.0).await;
            handle.break_connection();
        }
        Some(Action::Reset) => handle.break_connection(),
        Some(Action::ResetAfter) | None => {
            let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let now_ms = jiff::Timestamp::now().as_millisecond();
            let verdict = desk.robot.receive(Post { query: &query, content_type, body: &body }, now_ms, Instant::now());
            if let Some(content) = &verdict.accepted {
                desk.store.add(content.clone());
            }
            if failure.is_none() {
                return answer(&verdict);
            }
            handle.break_connection();
        }
    }
    // Never arrives: the connection is broken.
    StatusCode::OK.into_response()
}

/// The real robot answers HTTP 200 whatever it thinks of the message.
fn answer(verdict: &Verdict) -> Response {
    axum::Json(json!({"errcode": verdict.code, "errmsg": verdict.message})).into_response()
}

async fn messages(State(desk): State<Desk>) -> Response {
    axum::Json(desk.store.all()).into_response()
}

async fn page(State(desk): State<Desk>, Query(query): Pairs, headers: HeaderMap) -> Response {
    let asked = query.iter().find(|(key, _)| key == "lang").map(|(_, value)| value.as_str());
    let accept = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let policy = [(header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'")];
    (policy, Html(render(&desk.store.all(), Lang::choose(asked, accept)))).into_response()
}

/// `POST /control/fail` with `{"channel":"dingtalk","action":{"errcode":130101},"count":2}`; mails also take `"stage"`.
async fn fail(State(desk): State<Desk>, body: Bytes) -> Response {
    match serde_json::from_slice::<FailSpec>(&body) {
        Ok(spec) => {
            desk.script.add(spec);
            axum::Json(json!({"ok": true})).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("not a failure: {error}\n")).into_response(),
    }
}

async fn clear(State(desk): State<Desk>) -> Response {
    desk.script.clear();
    desk.store.clear();
    axum::Json(json!({"ok": true})).into_response()
}
