//! Who is connected, who gets which frame, and what happens to a reader that does not keep up.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::Ask;
use crate::venue::fault::{FaultKind, FaultSpec};
use crate::venue::kind::StreamKind;
use crate::venue::session::{Desk, Reply, Session, wrap};

/// Number of a connection.
pub type ConnectionId = u64;

/// What the engine tells a connection.
#[derive(Debug, Clone)]
pub enum ToConnection {
    /// Send this text.
    Text(Utf8Bytes),
    /// Close properly.
    Close {
        /// Close code.
        code: u16,
        /// Close reason.
        reason: &'static str,
    },
    /// Close after a while.
    EndIn(Duration),
    /// End with RST.
    Reset,
    /// Half a frame, then the end.
    Cut,
    /// Fall silent with the socket open; reset after the given time.
    HalfOpen(Option<Duration>),
    /// Deribit: heartbeats at this interval from now on, or none.
    Heartbeat(Option<Duration>),
}

/// All connections of a venue.
#[derive(Debug)]
pub struct Delivery {
    lossless: bool,
    connections: BTreeMap<ConnectionId, Connection>,
    next_id: ConnectionId,
    streams: BTreeMap<String, StreamCount>,
    slow_readers_dropped: u64,
    messages_from_clients: u64,
    /// Acknowledgements that wait for the next ones, or for this moment.
    late: Option<(ConnectionId, Vec<String>, Instant)>,
}

#[derive(Debug)]
struct Connection {
    session: Session,
    queue: mpsc::Sender<ToConnection>,
    /// Frames that found the queue full; only ever filled when nothing may be lost, and then the feed waits.
    backlog: VecDeque<ToConnection>,
    /// Half-open: gets nothing any more.
    mute: bool,
}

/// What was sent of one stream.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct StreamCount {
    /// Events of the stream while somebody listened.
    pub events: u64,
    /// Copies put into connections' queues.
    pub delivered: u64,
}

/// An event of a stream on its way to the readers.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Full stream name.
    pub stream: &'a str,
    /// Its kind.
    pub kind: StreamKind,
    /// JSON of the event.
    pub data: &'a str,
}

/// In which order the acknowledgements of a request come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::venue) enum AckOrder {
    /// As it was asked, before any data.
    AsAsked,
    /// In reverse, behind those of the next request.
    Reversed,
}

/// Acknowledgements wait for others at most this long.
const LATE: Duration = Duration::from_secs(1);

// === impl Delivery ===

impl Delivery {
    /// No connections yet. With `lossless` a full queue makes the feed wait; without, it costs the reader its connection.
    pub fn new(lossless: bool) -> Self {
        Self {
            lossless,
            connections: BTreeMap::new(),
            next_id: 1,
            streams: BTreeMap::new(),
            slow_readers_dropped: 0,
            messages_from_clients: 0,
            late: None,
        }
    }

    /// Takes a connection in.
    pub fn open(&mut self, session: Session, queue: mpsc::Sender<ToConnection>) -> ConnectionId {
        let id = self.next_id;
        self.next_id += 1;
        self.connections.insert(id, Connection { session, queue, backlog: VecDeque::new(), mute: false });
        id
    }

    /// Forgets a connection.
    pub fn close(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
    }

    /// Answers a client's message; returns the streams it added and the questions that the markets must answer. The answer goes before any data, if the
    /// order is not disturbed.
    pub(in crate::venue) fn answer(&mut self, (connection, order): (ConnectionId, AckOrder), text: &str, desk: Desk<'_>) -> (Vec<String>, Vec<Ask>) {
        let now = desk.now.instant;
        self.messages_from_clients += 1;
        let Some(client) = self.connections.get_mut(&connection) else { return Default::default() };
        let answer = client.session.answer(text, desk);
        let mut asked = Vec::new();
        let mut kept_up = true;
        let mut late = Vec::new();
        for reply in answer.replies {
            match reply {
                Reply::Text(text) if order == AckOrder::Reversed => late.insert(0, text),
                Reply::Text(text) => kept_up &= client.send(ToConnection::Text(text.into()), self.lossless),
                Reply::Order(order) => kept_up &= client.send(order, true),
                Reply::Asked(ask) => asked.push(ask),
            }
        }
        if !kept_up {
            self.drop_slow(&[connection]);
        }
        if !late.is_empty() {
            match self.late.take() {
                None => self.late = Some((connection, late, now + LATE)),
                Some((before, earlier, _)) => {
                    self.say_all(connection, late);
                    self.say_all(before, earlier);
                }
            }
        }
        (answer.added, asked)
    }

    /// Sends the acknowledgements that have waited long enough for others.
    pub(super) fn release_late(&mut self, now: Instant) {
        if let Some((connection, texts, _)) = self.late.take_if(|(.., until)| *until <= now) {
            self.say_all(connection, texts);
        }
    }

    fn say_all(&mut self, connection: ConnectionId, texts: Vec<String>) {
        for text in texts {
            self.say(connection, text);
        }
    }

    /// Sends a text to one connection.
    pub fn say(&mut self, connection: ConnectionId, text: String) {
        let lossless = self.lossless;
        if self.connections.get_mut(&connection).is_some_and(|client| !client.mute && !client.send(ToConnection::Text(text.into()), lossless)) {
            self.drop_slow(&[connection]);
        }
    }

    /// Open connections.
    pub fn open_count(&self) -> usize {
        self.connections.len()
    }

    /// Whether anybody gets this stream.
    pub fn is_heard(&self, stream: &str, kind: StreamKind) -> bool {
        self.connections.values().any(|connection| connection.hears(stream, kind))
    }

    /// Whether anybody is subscribed to a stream by this name.
    pub fn is_subscribed(&self, stream: &str) -> bool {
        self.connections.values().any(|connection| connection.session.streams.contains(stream))
    }

    /// Whether anybody is subscribed to a stream of this symbol that holds the word.
    pub fn follows(&self, symbol_lower: &str, word: &str) -> bool {
        let matches = |name: &String| name.starts_with(symbol_lower) && name.contains(word);
        self.connections.values().any(|connection| connection.session.streams.iter().any(matches))
    }

    /// Sends an event to everybody who hears its stream.
    pub fn publish(&mut self, event: Outgoing<'_>) {
        let Outgoing { stream, kind, data } = event;
        self.send_all(stream, kind, |wrapped| if wrapped { wrap(stream, data) } else { data.to_owned() });
    }

    /// Sends the event's frame cut in the middle.
    pub fn publish_cut(&mut self, event: Outgoing<'_>) {
        let Outgoing { stream, kind, data } = event;
        self.send_all(stream, kind, |wrapped| {
            let whole = if wrapped { wrap(stream, data) } else { data.to_owned() };
            let half = (0..=whole.len() / 2).rev().find(|&at| whole.is_char_boundary(at)).unwrap_or(0);
            whole.get(..half).unwrap_or_default().to_owned()
        });
    }

    /// Puts a fault to the connections it names, and returns how many it met.
    pub fn strike(&mut self, spec: &FaultSpec, what: &ToConnection, now_ms: i64) -> u64 {
        let lower = spec.symbol.as_deref().map(str::to_lowercase);
        let follows =
            |c: &Connection| lower.as_deref().is_none_or(|symbol| c.session.streams.iter().any(|name| name.to_lowercase().starts_with(symbol)));
        let mut met = 0;
        for connection in self.connections.values_mut().filter(|c| !c.mute && follows(c)) {
            met += 1;
            if spec.kind == FaultKind::ServerShutdown
                && let Some(text) = connection.session.farewell(now_ms)
            {
                connection.send(ToConnection::Text(text.into()), true);
            }
            connection.send(what.clone(), true);
            connection.mute = spec.kind != FaultKind::ServerShutdown;
        }
        met
    }

    /// Tries again what found its queue full. Returns a queue that is still full: the feed waits for it.
    pub fn flush(&mut self) -> Option<mpsc::Sender<ToConnection>> {
        let mut full = None;
        for connection in self.connections.values_mut() {
            if connection.flush() && self.lossless {
                full = Some(connection.queue.clone());
            }
        }
        full
    }

    /// Whether some reader must catch up before the feed goes on.
    pub fn is_blocked(&self) -> bool {
        self.lossless && self.connections.values().any(|connection| !connection.backlog.is_empty())
    }

    /// Open connections, connections ever, readers dropped for being slow, messages received.
    pub fn counts(&self) -> [u64; 4] {
        [self.connections.len() as u64, self.next_id - 1, self.slow_readers_dropped, self.messages_from_clients]
    }

    /// What was sent, by stream.
    pub fn stream_counts(&self) -> &BTreeMap<String, StreamCount> {
        &self.streams
    }

    /// The subscriptions of each connection.
    pub fn subscriptions(&self) -> Vec<Vec<String>> {
        self.connections.values().map(|connection| connection.session.streams.iter().cloned().collect()).collect()
    }

    fn send_all(&mut self, stream: &str, kind: StreamKind, text: impl Fn(bool) -> String) {
        let (mut raw, mut combined): (Option<Utf8Bytes>, Option<Utf8Bytes>) = (None, None);
        let (mut delivered, mut slow) = (0, Vec::new());
        for (&id, connection) in &mut self.connections {
            if !connection.hears(stream, kind) {
                continue;
            }
            let wrapped = connection.session.wraps();
            let cached = if wrapped { &mut combined } else { &mut raw };
            let frame = cached.get_or_insert_with(|| text(wrapped).into()).clone();
            if connection.send(ToConnection::Text(frame), self.lossless) {
                delivered += 1;
            } else {
                slow.push(id);
            }
        }
        self.drop_slow(&slow);
        if delivered > 0 {
            if !self.streams.contains_key(stream) {
                self.streams.insert(stream.to_owned(), StreamCount::default());
            }
            if let Some(count) = self.streams.get_mut(stream) {
                count.events += 1;
                count.delivered += delivered;
            }
        }
    }

    fn drop_slow(&mut self, slow: &[ConnectionId]) {
        for id in slow {
            // Its queue closes with it, and the connection's task ends the socket.
            self.connections.remove(id);
            self.slow_readers_dropped += 1;
        }
    }
}

// === impl Connection ===

impl Connection {
    fn hears(&self, stream: &str, kind: StreamKind) -> bool {
        !self.mute && self.session.carries(kind) && self.session.streams.contains(stream)
    }

    /// `false`: the queue is full and nothing may wait.
    fn send(&mut self, item: ToConnection, may_wait: bool) -> bool {
        if !self.backlog.is_empty() {
            self.backlog.push_back(item);
            return true;
        }
        match self.queue.try_send(item) {
            Ok(()) | Err(TrySendError::Closed(_)) => true,
            Err(TrySendError::Full(item)) if may_wait => {
                self.backlog.push_back(item);
                true
            }
            Err(TrySendError::Full(_)) => false,
        }
    }

    /// Whether something still waits.
    fn flush(&mut self) -> bool {
        while let Some(item) = self.backlog.pop_front() {
            match self.queue.try_send(item) {
                Ok(()) => {}
                Err(TrySendError::Full(item)) => {
                    self.backlog.push_front(item);
                    return true;
                }
                Err(TrySendError::Closed(_)) => self.backlog.clear(),
            }
        }
        false
    }
}
