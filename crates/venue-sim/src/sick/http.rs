//! The HTTP side: metrics and health under the names of the old collector, and the control path that works even while the rest hangs.

use std::fmt::Write;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::Patient;
use super::orders::Orders;
use super::vitals::Vitals;

/// Order book updates per second that the program claims.
const UPDATES_PER_SECOND: f64 = 10.0;

#[derive(Debug, Clone)]
struct HttpState {
    patient: Patient,
    started: Instant,
}

/// The paths.
pub(super) fn router(patient: Patient) -> Router {
    let state = HttpState { patient, started: Instant::now() };
    Router::new().route("/metrics", get(metrics)).route("/health", get(health)).route("/control", get(look).post(control)).with_state(state)
}

async fn metrics(State(state): State<HttpState>) -> Response {
    answer_unless_hanging(&state).await;
    let text = exposition(&Vitals::read(), state.started.elapsed().as_secs_f64());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn health(State(state): State<HttpState>) -> Response {
    answer_unless_hanging(&state).await;
    axum::Json(json!({"status": "healthy", "service": "data-collector", "uptime_seconds": state.started.elapsed().as_secs_f64()})).into_response()
}

/// While it hangs, a request waits for as long as its client does.
async fn answer_unless_hanging(state: &HttpState) {
    let mut symptoms = state.patient.symptoms.subscribe();
    // The sender lives in the state, so this ends only when the hang does.
    drop(symptoms.wait_for(|symptoms| !symptoms.hang).await);
}

async fn look(State(state): State<HttpState>) -> Response {
    let symptoms = *state.patient.symptoms.borrow();
    axum::Json(json!({"symptoms": symptoms, "burden": state.patient.body().burden()})).into_response()
}

async fn control(State(state): State<HttpState>, body: Bytes) -> Response {
    match serde_json::from_slice::<Orders>(&body) {
        Ok(orders) => {
            state.patient.order(&orders);
            look(State(state)).await
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("not orders: {error}\n")).into_response(),
    }
}

fn exposition(vitals: &Vitals, uptime: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs_f64()).unwrap_or_default();
    let updates = (uptime * UPDATES_PER_SECOND).floor();
    let mut page = Page::default();
    page.one("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", vitals.resident_bytes as f64);
    page.one("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", vitals.virtual_bytes as f64);
    page.one("process_open_fds", "gauge", "Number of open file descriptors.", vitals.open_fds as f64);
    page.one("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", vitals.cpu_seconds);
    page.one("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", vitals.start_seconds);
    page.one("collector_tcp_connections", "gauge", "TCP sockets of the process in any state.", vitals.tcp as f64);
    page.one("collector_tcp_close_wait", "gauge", "TCP sockets of the process in CLOSE_WAIT.", vitals.close_wait as f64);
    page.one("marketprism_uptime_seconds", "gauge", "Seconds since the start.", uptime);
    page.one("marketprism_memory_usage_bytes", "gauge", "Memory in use.", vitals.resident_bytes as f64);
    page.one("marketprism_active_symbols_count", "gauge", "Symbols collected.", 1.0);
    let labels = "{exchange=\"binance_spot\",symbol=\"BTC-USDT\"}";
    page.labelled("marketprism_orderbook_updates_total", "counter", "Order book updates.", (labels, updates));
    page.labelled("marketprism_last_orderbook_update_timestamp", "gauge", "Time of the last update.", (labels, now));
    page.0
}

#[derive(Default)]
struct Page(String);

// === impl Page ===

impl Page {
    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.labelled(name, kind, help, ("", value));
    }

    fn labelled(&mut self, name: &str, kind: &str, help: &str, (labels, value): (&str, f64)) {
        // Writing to a String cannot fail.
        let _written = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_names_of_the_old_collector() {
        let page = exposition(&Vitals { resident_bytes: 3_000_000_001, tcp: 7, ..Vitals::default() }, 2.5);
        for line in [
            "process_resident_memory_bytes 3000000001",
            "collector_tcp_connections 7",
            "marketprism_orderbook_updates_total{exchange=\"binance_spot\",symbol=\"BTC-USDT\"} 25",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}
