//! A client of the simulator for its tests: real sockets, deadlines on everything.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use venue_sim::venue::book::{Book, Side};
use venue_sim::venue::config::{FeedConfig, LimitsConfig, VenueConfig, VenuesConfig, WalkConfig};
use venue_sim::venue::wire::{DepthUpdate, Snapshot};
use venue_sim::{CancellationToken, RunningVenues, VenueHandle, VenueKind, run_venues};

/// Patience with anything that should come soon.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// A simulation that ends with the test.
pub(crate) struct Sim {
    pub(crate) venues: RunningVenues,
    pub(crate) shutdown: CancellationToken,
    pub(crate) http: reqwest::Client,
}

/// A WebSocket client.
pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// How a connection ended, as the client saw it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed(u16, String),
    Reset,
    Eof,
}

pub(crate) fn http() -> reqwest::Client {
    // Another test of this process may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().timeout(SOON).build().unwrap()
}

impl Sim {
    pub(crate) async fn start(config: VenuesConfig) -> Self {
        let shutdown = CancellationToken::new();
        let venues = run_venues(config, shutdown.clone()).await.unwrap();
        Self { venues, shutdown, http: http() }
    }

    pub(crate) async fn walk(venue: VenueKind, instruments: &[&str]) -> Self {
        Self::walk_with(venue, instruments, LimitsConfig::default()).await
    }

    pub(crate) async fn walk_with(venue: VenueKind, instruments: &[&str], limits: LimitsConfig) -> Self {
        let feed = FeedConfig::Walk(WalkConfig { changes_per_second: 300, ..WalkConfig::new(instruments, 11) });
        Self::start(VenuesConfig { venues: vec![VenueConfig { limits, ..VenueConfig::new(venue, feed) }], faults: vec![] }).await
    }

    pub(crate) fn only(&self) -> &VenueHandle {
        VenueKind::ALL.into_iter().find_map(|v| self.venues.venue(v)).unwrap()
    }

    pub(crate) async fn connect(&self, path: &str) -> Client {
        Client::connect(&format!("{}{path}", self.only().address().ws)).await
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.only().address().rest)).send().await.unwrap()
    }

    pub(crate) async fn get_json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    pub(crate) async fn fault(&self, fault: Value) {
        let url = format!("{}/control/fault", self.only().address().rest);
        let response = self.http.post(url).json(&fault).send().await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    }

    /// Ends all faults.
    pub(crate) async fn clear(&self) {
        let url = format!("{}/control/clear", self.only().address().rest);
        assert_eq!(self.http.post(url).send().await.unwrap().status(), 200);
    }

    pub(crate) async fn snapshot(&self, symbol: &str) -> Snapshot {
        let prefix = self.only().venue().rest_prefix();
        self.get(&format!("{prefix}/depth?symbol={symbol}&limit=1000")).await.json().await.unwrap()
    }

    /// The venue's own book after an update.
    pub(crate) async fn truth(&self, symbol: &str, id: u64) -> Value {
        self.get_json(&format!("/control/state?symbol={symbol}&u={id}&limit=500")).await
    }

    /// This venue's own book after an update, 400 levels of it.
    pub(crate) async fn book(&self, symbol: &str, seq: u64) -> Value {
        self.get_json(&format!("/control/book?symbol={symbol}&seq={seq}&limit=400")).await
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(SOON, self.venues.stopped()).await.expect("the simulation stops promptly");
    }
}

impl Client {
    pub(crate) async fn connect(url: &str) -> Self {
        Self(tokio::time::timeout(SOON, connect_async(url)).await.unwrap().unwrap().0)
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The same, to a connection that may have ended.
    pub(crate) async fn say_if_open(&mut self, message: Value) {
        let _sent_or_over = self.0.send(Message::text(message.to_string())).await;
    }

    /// Sends a text as it is.
    pub(crate) async fn say_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Subscribes and waits for the acknowledgement.
    pub(crate) async fn subscribe(&mut self, streams: &[&str]) {
        self.say(json!({"method": "SUBSCRIBE", "params": streams, "id": 1})).await;
        loop {
            if self.json().await == json!({"result": null, "id": 1}) {
                return;
            }
        }
    }

    /// The next text frame.
    pub(crate) async fn text(&mut self) -> String {
        loop {
            let message = tokio::time::timeout(SOON, self.0.next()).await.expect("a frame within the deadline").expect("an open connection").unwrap();
            if let Message::Text(text) = message {
                return text.as_str().to_owned();
            }
        }
    }

    pub(crate) async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// The next event of a type, unwrapped if need be.
    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        loop {
            let mut frame = self.json().await;
            let event = if frame.get("stream").is_some() { frame["data"].take() } else { frame };
            if event["e"] == kind {
                return event;
            }
        }
    }

    pub(crate) async fn diff(&mut self) -> DepthUpdate {
        serde_json::from_value(self.event("depthUpdate").await).unwrap()
    }

    /// Whether nothing at all comes for a while.
    pub(crate) async fn is_silent(&mut self, span: Duration) -> bool {
        tokio::time::timeout(span, self.0.next()).await.is_err()
    }

    /// All bytes to the end of the connection, none of them answered.
    pub(crate) async fn hear_unanswering(mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        let read = tokio::time::timeout(SOON, self.0.get_mut().read_to_end(&mut heard)).await;
        drop(read.expect("the connection ends within the deadline"));
        heard
    }

    /// Reads to the end of the connection.
    pub(crate) async fn end(&mut self) -> End {
        loop {
            match tokio::time::timeout(SOON, self.0.next()).await.expect("the connection ends within the deadline") {
                Some(Ok(Message::Close(Some(frame)))) => return End::Closed(frame.code.into(), frame.reason.as_str().to_owned()),
                Some(Ok(_)) => {}
                Some(Err(Error::Io(error))) if error.kind() == std::io::ErrorKind::ConnectionReset => return End::Reset,
                Some(Err(_)) | None => return End::Eof,
            }
        }
    }
}

/// A book kept from the wire by the venues' rules; panics at a gap.
pub(crate) struct Follower {
    pub(crate) book: Book,
    pub(crate) id: u64,
    synced: bool,
    venue: VenueKind,
}

impl Follower {
    pub(crate) fn new(venue: VenueKind, snapshot: &Snapshot) -> Self {
        Self { book: Book::from_snapshot(snapshot), id: snapshot.last_update_id, synced: false, venue }
    }

    /// Whether the change was applied.
    pub(crate) fn take(&mut self, diff: &DepthUpdate) -> bool {
        if diff.last_id <= self.id && !self.synced {
            return false;
        }
        match (self.venue.chains_by_previous(), self.synced) {
            (false, false) => assert!(diff.first_id <= self.id + 1, "snapshot {} does not fit {diff:?}", self.id),
            (false, true) => assert_eq!(diff.first_id, self.id + 1),
            (true, false) => assert!(diff.previous_id.unwrap() <= self.id, "snapshot {} does not fit {diff:?}", self.id),
            (true, true) => assert_eq!(diff.previous_id, Some(self.id)),
        }
        self.synced = true;
        self.book.apply(diff);
        self.id = diff.last_id;
        true
    }

    pub(crate) fn top(&self, levels: usize) -> Value {
        json!({"bids": self.book.levels(Side::Bid, levels), "asks": self.book.levels(Side::Ask, levels)})
    }
}
