//! Which page answers which path.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use marketdata::RecordKind;
use serde_json::json;

use super::body::Whole;
use super::debug::{Debug, Denied};
use super::health::{Health, is_fresh};
use crate::metrics::process::ProcessMetrics;
use crate::metrics::{self, Counter, Gauge, Registry, catalogue as names};
use crate::pressure::allocator::{self, NoProfile};
use crate::state::State;
use crate::stream::{Stream, StreamState};
use crate::{VERSION, utc};

/// The paths that exist.
const PATHS: [&str; 10] = ["/metrics", "/health", "/ready", "/live", "/status", "/ping", "/version", "/debug/memory", "/debug/heap", "/debug/frames"];

/// All pages, and what they are made from.
#[derive(Debug)]
pub struct Pages {
    state: Arc<State>,
    registry: Arc<Registry>,
    health: Mutex<Health>,
    debug: Debug,
    process: Mutex<ProcessMetrics>,
    uptime: Gauge,
    stall: Gauge,
    books: Gauge,
    active_symbols: Gauge,
    active_connections: Gauge,
    requests: Vec<(&'static str, Counter)>,
    other: Counter,
}

type Answer = Response<Whole>;

// === impl Pages ===

impl Pages {
    /// Pages over this state.
    pub fn new(state: Arc<State>, registry: Arc<Registry>, (health, debug): (Health, Debug)) -> Self {
        registry.gauge(&names::BUILD_INFO, &[VERSION]).set(1.0);
        registry.gauge(&names::SYSTEM_INFO, &[VERSION]).set(1.0);
        let count = |path| registry.counter(&names::HTTP_REQUESTS, &[path]);
        Self {
            process: Mutex::new(ProcessMetrics::new(&registry)),
            uptime: registry.gauge(&names::UPTIME, &[]),
            stall: registry.gauge(&names::LOOP_STALL, &[]),
            books: registry.gauge(&names::ORDERBOOK_OBJECTS, &[]),
            active_symbols: registry.gauge(&names::ACTIVE_SYMBOLS, &[]),
            active_connections: registry.gauge(&names::ACTIVE_CONNECTIONS, &[]),
            requests: PATHS.iter().map(|path| (*path, count(path))).collect(),
            other: count("other"),
            state,
            health: Mutex::new(health),
            debug,
            registry,
        }
    }

    /// What the pages tell of.
    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// The answer to a request. `free` frees a descriptor for as long as its result lives.
    pub(super) fn answer<B, G>(&self, request: Request<B>, free: &mut dyn FnMut() -> G) -> Answer {
        let path = request.uri().path();
        self.requests.iter().find(|(known, _)| *known == path).map_or(&self.other, |(_, counter)| counter).inc();
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut answer = json(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": "only GET and HEAD"}));
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match path {
            "/metrics" => self.metrics(free),
            "/health" => self.health(free),
            "/status" => self.status(free),
            "/ready" => self.ready(),
            "/live" => self.live(),
            "/debug/memory" | "/debug/heap" | "/debug/frames" => self.debug(&request, free),
            "/ping" => json(StatusCode::OK, &json!({"status": "pong", "timestamp": utc::rfc3339(self.state.clock.now().wall_ms)})),
            "/version" => json(StatusCode::OK, &json!({"name": "collector", "version": VERSION})),
            _ => json(StatusCode::NOT_FOUND, &json!({"error": "no such page", "pages": PATHS})),
        }
    }

    fn metrics<G>(&self, free: &mut dyn FnMut() -> G) -> Answer {
        self.refresh(free);
        let mut answer = Response::new(Whole::from(Bytes::from(self.registry.render())));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
        answer
    }

    fn health<G>(&self, free: &mut dyn FnMut() -> G) -> Answer {
        let reading = self.refresh(free);
        let report = self.health.lock().unwrap_or_else(PoisonError::into_inner).report(&reading);
        let status = if report.answers_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        json(status, &report.to_json())
    }

    fn status<G>(&self, free: &mut dyn FnMut() -> G) -> Answer {
        let reading = self.refresh(free);
        let report = self.health.lock().unwrap_or_else(PoisonError::into_inner).report(&reading);
        let mut page = report.to_json();
        if let Some(page) = page.as_object_mut() {
            page.insert("pid".to_owned(), std::process::id().into());
        }
        json(StatusCode::OK, &page)
    }

    fn ready(&self) -> Answer {
        match self.health.lock().unwrap_or_else(PoisonError::into_inner).not_ready() {
            None => json(StatusCode::OK, &json!({"ready": true})),
            Some(reason) => json(StatusCode::SERVICE_UNAVAILABLE, &json!({"ready": false, "reason": reason})),
        }
    }

    fn live(&self) -> Answer {
        let stall = self.state.stall();
        let alive = stall < super::health::LOOP_DEAD;
        let status = if alive { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        json(status, &json!({"alive": alive, "phase": self.state.phase().as_str(), "loop_stall_seconds": stall.as_secs_f64()}))
    }

    fn debug<B, G>(&self, request: &Request<B>, free: &mut dyn FnMut() -> G) -> Answer {
        let admitted = {
            let _freed = free();
            self.debug.admit(request.headers())
        };
        if let Err(denied) = admitted {
            let (status, what) = denied.answer();
            let mut answer = json(StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN), &json!({"error": what}));
            if denied == Denied::Unauthorized {
                answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            return answer;
        }
        match request.uri().path() {
            "/debug/memory" => {
                let reading = self.refresh(free);
                return json(StatusCode::OK, &self.debug.memory(&self.state, &self.registry, &reading));
            }
            "/debug/frames" => return json(StatusCode::OK, &self.state.kept_frames.to_json()),
            _ => {}
        }
        let _freed = free();
        match allocator::heap_profile() {
            Ok(profile) => {
                let mut answer = Response::new(Whole::from(Bytes::from(profile)));
                answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
                answer
            }
            Err(error @ (NoProfile::NotBuilt | NoProfile::NotStarted)) => json(StatusCode::NOT_IMPLEMENTED, &json!({"error": error.to_string()})),
            Err(error @ NoProfile::Failed(_)) => json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": error.to_string()})),
        }
    }

    /// Sets what is measured at the moment of looking.
    fn refresh<G>(&self, free: &mut dyn FnMut() -> G) -> metrics::process::Reading {
        self.uptime.set(self.state.clock.now().mono.as_secs_f64());
        self.stall.set(self.state.stall().as_secs_f64());
        let held = |stream: &&Stream| stream.kind == RecordKind::OrderBook && [StreamState::Waiting, StreamState::Live].contains(&stream.state());
        self.books.set_count(self.state.streams.iter().filter(held).count());
        let now = self.state.clock.now();
        let active = |stream: &&Stream| stream.kind == RecordKind::OrderBook && is_fresh(stream, now);
        self.active_symbols.set_count(self.state.streams.iter().filter(active).count());
        self.active_connections.set(self.registry.values(&names::WEBSOCKET_CONNECTED).iter().map(|(_, up)| up).sum());
        for (runtime, tasks) in self.state.tasks() {
            self.registry.gauge(&names::TASKS, &[runtime]).set_count(tasks);
        }
        let _freed = free();
        self.process.lock().unwrap_or_else(PoisonError::into_inner).refresh().clone()
    }
}

fn json(status: StatusCode, body: &serde_json::Value) -> Answer {
    let mut text = body.to_string();
    text.push('\n');
    let mut answer = Response::new(Whole::from(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
