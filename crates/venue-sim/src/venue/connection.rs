//! One client's WebSocket: sends what the engine queues, hands over what the client says, pings, and ends the connection as the venue or a fault would.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;

use super::config::LimitsConfig;
use super::engine::{Command, ConnectionId, Moment, ToConnection};
use super::kind::{IdleRule, VenueKind};

/// Frames sent with one flush.
const BATCH: usize = 256;
/// How long a half-open connection stays when the fault does not say.
const HALF_OPEN: Duration = Duration::from_hours(1);
/// Patience with a client that does not finish the closing handshake.
const CLOSING: Duration = Duration::from_secs(1);

/// The times and limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    ping_interval: Option<Duration>,
    idle: Option<IdleRule>,
    pong_timeout: Duration,
    max_life: Duration,
    inbound_per_second: u32,
}

/// A connection being served.
pub(super) struct Connection {
    /// Its number.
    pub id: ConnectionId,
    /// Its socket.
    pub socket: WebSocketStream<TcpStream>,
    /// What the engine sends.
    pub queue: mpsc::Receiver<ToConnection>,
    /// The way to the engine.
    pub commands: mpsc::Sender<Command>,
    /// Its times and limits.
    pub rules: Rules,
}

/// The connection's clocks.
#[derive(Debug)]
struct Timers {
    next_ping: Option<Instant>,
    /// When anything was last said on either side.
    moved: Instant,
    heartbeat: Option<Heartbeat>,
    /// The ping that has no pong yet, and when patience ends.
    awaited: Option<(Vec<u8>, Instant)>,
    end: Instant,
    second: Instant,
    said: u32,
}

/// Deribit's heartbeats, once a client has asked for them.
#[derive(Debug)]
struct Heartbeat {
    interval: Duration,
    next: Instant,
    /// A test request has had no answer since then.
    asked: Option<Instant>,
}

/// How a connection ended.
type Reason = &'static str;

// === impl Rules ===

impl Rules {
    /// The venue's rules, with what the configuration changes.
    pub(super) fn new(venue: VenueKind, limits: &LimitsConfig) -> Self {
        Self {
            ping_interval: venue.ping_interval().map(|own| limits.ping_interval.map_or(own, Into::into)),
            idle: venue.idle_rule().map(|own| IdleRule { after: limits.idle.map_or(own.after, Into::into), ..own }),
            pong_timeout: limits.pong_timeout.map_or(venue.pong_timeout(), Into::into),
            max_life: limits.max_life.map_or(venue.max_life(), Into::into),
            inbound_per_second: limits.inbound_per_second.unwrap_or(venue.inbound_per_second()),
        }
    }
}

// === impl Connection ===

impl Connection {
    /// Serves the connection to its end.
    pub(super) async fn serve(mut self, shutdown: CancellationToken) {
        let reason = self.run(&shutdown).await;
        // The engine may have gone first; then nobody counts.
        drop(self.commands.send(Command::Closed { connection: self.id, reason }).await);
    }

    async fn run(&mut self, shutdown: &CancellationToken) -> Reason {
        let now = Instant::now();
        let mut timers = Timers::new(&self.rules, now);
        loop {
            let next = timers.next(self.rules.idle);
            let ended = tokio::select! {
                () = shutdown.cancelled() => self.close(1001, "Going away", "shutdown").await,
                item = self.queue.recv() => match item {
                    Some(item) => self.deliver(item, &mut timers, shutdown).await,
                    None => self.close(1008, "Slow reader", "slow_reader").await,
                },
                message = self.socket.next() => match message {
                    Some(Ok(message)) => self.hear(message, &mut timers).await,
                    Some(Err(_)) => Some("error"),
                    None => Some("client_closed"),
                },
                () = tokio::time::sleep_until(next) => self.tick(&mut timers).await,
            };
            if let Some(reason) = ended {
                return reason;
            }
        }
    }

    /// Sends one item and those that wait behind it, with one flush; not without end, since the client must be heard too.
    async fn deliver(&mut self, first: ToConnection, timers: &mut Timers, shutdown: &CancellationToken) -> Option<Reason> {
        timers.moved = Instant::now();
        let mut next = Some(first);
        for _ in 0..BATCH {
            let Some(item) = next.take().or_else(|| self.queue.try_recv().ok()) else { break };
            match item {
                ToConnection::Text(text) => {
                    if self.socket.feed(Message::Text(text)).await.is_err() {
                        return Some("error");
                    }
                }
                ToConnection::Heartbeat(interval) => timers.heartbeat = interval.map(|interval| Heartbeat::every(interval, Instant::now())),
                ToConnection::EndIn(lead) => timers.end = timers.end.min(Instant::now() + lead),
                ToConnection::Close { code, reason } => return self.close(code, reason, "fault_close").await,
                ToConnection::Reset => return Some(self.reset("fault_reset")),
                ToConnection::Cut => return self.cut().await,
                ToConnection::HalfOpen(lasts) => return self.half_open(lasts.unwrap_or(HALF_OPEN), shutdown).await,
            }
        }
        self.socket.flush().await.is_err().then_some("error")
    }

    async fn hear(&mut self, message: Message, timers: &mut Timers) -> Option<Reason> {
        timers.moved = Instant::now();
        if !matches!(message, Message::Close(_)) && timers.count_said() > self.rules.inbound_per_second {
            return self.close(1008, "Too many requests", "too_many_messages").await;
        }
        match message {
            Message::Text(text) => {
                if let Some(heartbeat) = &mut timers.heartbeat
                    && text.contains("public/test")
                {
                    heartbeat.asked = None;
                }
                let said = Command::Said { connection: self.id, text: text.as_str().to_owned() };
                self.commands.send(said).await.is_err().then_some("shutdown")
            }
            // Only the pong that copies the ping's payload keeps the connection alive.
            Message::Pong(payload) => {
                timers.awaited.take_if(|(awaited, _)| awaited.as_slice() == payload.as_ref());
                None
            }
            // The library answers pings and closes itself while it is polled.
            Message::Ping(_) | Message::Close(_) | Message::Binary(_) | Message::Frame(_) => None,
        }
    }

    async fn tick(&mut self, timers: &mut Timers) -> Option<Reason> {
        let now = Instant::now();
        if timers.end <= now {
            return self.close(1001, "Connection life is over", "life_over").await;
        }
        if timers.awaited.as_ref().is_some_and(|(_, deadline)| *deadline <= now) {
            return self.close(1008, "Pong timeout", "pong_timeout").await;
        }
        if let Some(IdleRule { after, code, reason }) = self.rules.idle
            && timers.moved + after <= now
        {
            return self.close(code, reason, "idle").await;
        }
        if timers.next_ping.is_some_and(|at| at <= now) {
            timers.next_ping = self.rules.ping_interval.map(|interval| now + interval);
            let payload = Moment::now().wall_ms.to_string().into_bytes();
            timers.awaited.get_or_insert((payload.clone(), now + self.rules.pong_timeout)).0.clone_from(&payload);
            return self.socket.send(Message::Ping(payload.into())).await.is_err().then_some("error");
        }
        self.beat(timers, now).await
    }

    /// Deribit: a heartbeat and a test request at each interval; the connection of a client that left the last one unanswered ends at once.
    async fn beat(&mut self, timers: &mut Timers, now: Instant) -> Option<Reason> {
        let heartbeat = timers.heartbeat.as_mut().filter(|heartbeat| heartbeat.next <= now)?;
        if heartbeat.asked.is_some() {
            return Some(self.reset("test_request_unanswered"));
        }
        (heartbeat.asked, heartbeat.next) = (Some(now), now + heartbeat.interval);
        for kind in ["heartbeat", "test_request"] {
            let text = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"heartbeat\",\"params\":{{\"type\":\"{kind}\"}}}}");
            if self.socket.send(Message::text(text)).await.is_err() {
                return Some("error");
            }
        }
        None
    }

    async fn close(&mut self, code: u16, text: &'static str, reason: Reason) -> Option<Reason> {
        let frame = CloseFrame { code: CloseCode::from(code), reason: text.into() };
        let handshake = async {
            if self.socket.close(Some(frame)).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        // A client that does not answer is left.
        drop(tokio::time::timeout(CLOSING, handshake).await);
        Some(reason)
    }

    fn reset(&mut self, reason: Reason) -> Reason {
        // With zero linger the drop of the socket sends RST. On an error the socket is gone already.
        drop(self.socket.get_ref().set_zero_linger());
        reason
    }

    /// A text frame that promises 200 bytes and brings 50.
    async fn cut(&mut self) -> Option<Reason> {
        let mut bytes = vec![0x81, 126, 0, 200];
        bytes.extend([b'{'; 50]);
        drop(self.socket.flush().await);
        let socket = self.socket.get_mut();
        drop(socket.write_all(&bytes).await);
        drop(socket.shutdown().await);
        Some("fault_cut")
    }

    /// Says nothing and answers nothing; what arrives is thrown away, as by a network that lost the peer.
    async fn half_open(&mut self, lasts: Duration, shutdown: &CancellationToken) -> Option<Reason> {
        let end = tokio::time::sleep(lasts);
        tokio::pin!(end);
        let mut scratch = vec![0; 4096];
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Some("shutdown"),
                () = &mut end => return Some(self.reset("half_open_over")),
                read = self.socket.get_mut().read(&mut scratch) => if matches!(read, Ok(0) | Err(_)) {
                    return Some("client_closed");
                },
            }
        }
    }
}

// === impl Heartbeat ===

impl Heartbeat {
    fn every(interval: Duration, now: Instant) -> Self {
        Self { interval, next: now + interval, asked: None }
    }
}

// === impl Timers ===

impl Timers {
    fn new(rules: &Rules, now: Instant) -> Self {
        let next_ping = rules.ping_interval.map(|interval| now + interval);
        Self { next_ping, moved: now, heartbeat: None, awaited: None, end: now + rules.max_life, second: now, said: 0 }
    }

    fn next(&self, idle: Option<IdleRule>) -> Instant {
        let deadline = self.awaited.as_ref().map(|(_, deadline)| *deadline);
        let beat = self.heartbeat.as_ref().map(|heartbeat| heartbeat.next);
        let idle = idle.map(|rule| self.moved + rule.after);
        [self.next_ping, deadline, beat, idle].into_iter().flatten().min().map_or(self.end, |first| first.min(self.end))
    }

    /// Counts a client message and returns how many came in this second.
    fn count_said(&mut self) -> u32 {
        let now = Instant::now();
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.said) = (now, 0);
        }
        self.said += 1;
        self.said
    }
}
