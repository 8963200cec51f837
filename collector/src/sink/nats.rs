//! NATS as a sink: the one module that knows the NATS client.
//!
//! Owns: the connection, its thread, what the client's limits mean for records. Must not know: how records are made.
//! Records are published on core NATS, as the old collector did for books and trades: nobody acknowledges them, so what was in the socket when a
//! server died may be lost. The client's own buffers are kept small and only fed while connected, so that what waits, waits in our bounded queue:
//! a publish while disconnected would block, and a reconnect drops what the client had already taken (async-nats 0.51, `handle_reconnect`).

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr, Subject};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{ByKind, Outlet, Record, Started, Streams, Worker, queue};
use crate::clocks::SharedClock;
use crate::config::NatsConfig;
use crate::metrics::{Counter, Gauge, Histogram, Registry, catalogue as names};

const NAME: &str = "nats";
/// Records published before the connection is flushed.
const BATCH: usize = 256;
/// Commands the client may hold.
const CLIENT_CAPACITY: usize = 512;
/// For one publish or flush; longer means that the connection is not taking anything.
const PATIENCE: Duration = Duration::from_secs(5);
/// At shutdown: for a server that is away to come back.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// State of the connection, as the client's events tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    Up,
    Closed,
}

/// The thread's state.
struct Publisher {
    client: Client,
    link: watch::Receiver<Link>,
    clock: SharedClock,
    registry: Arc<Registry>,
    written: ByKind,
    streams: Vec<StreamOut>,
}

/// What is needed to publish one stream.
struct StreamOut {
    subject: Subject,
    published: Counter,
    labelled: Counter,
    duration: Histogram,
}

/// Starts the thread; it connects in the background and again after every loss.
///
/// # Errors
/// When an address does not parse or the thread cannot be started.
pub fn start(config: &NatsConfig, streams: &Streams, registry: &Arc<Registry>, clock: SharedClock) -> io::Result<Started> {
    let addresses = config.urls.iter().map(|url| url.parse()).collect::<io::Result<Vec<ServerAddr>>>()?;
    let (inlet, outlet) = queue(NAME, config.queue, registry, Some(registry.gauge(&names::NATS_QUEUE_SIZE, &[])));
    let streams = streams.iter().map(|stream| StreamOut::new(stream, registry)).collect();
    let registry = Arc::clone(registry);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worker = Worker::spawn(NAME, move || {
        runtime.block_on(async {
            match Publisher::connect(addresses, registry, clock, streams).await {
                Ok(publisher) => publisher.run(outlet).await,
                // Only an unusable option ends here; a server that is away is tried again in the background.
                Err(error) => tracing::error!(sink = NAME, "NATS client cannot start: {error}"),
            }
        });
        // Not dropped: that would wait for a look-up of a name that may hang.
        runtime.shutdown_background();
    })?;
    Ok(Started { sink: Box::new(inlet), worker: Some(worker) })
}

// === impl StreamOut ===

impl StreamOut {
    fn new(stream: &crate::stream::Stream, registry: &Registry) -> Self {
        let [exchange, market_type, _, kind] = stream.labels();
        Self {
            subject: Subject::from(stream.subject.clone()),
            published: registry.counter(&names::NATS_MESSAGES_PUBLISHED, &[&stream.subject]),
            labelled: registry.counter(&names::NATS_MESSAGES_LABELED, &[exchange, market_type, kind]),
            duration: registry.histogram(&names::NATS_PUBLISH_DURATION, &[&stream.subject]),
        }
    }
}

// === impl Publisher ===

impl Publisher {
    async fn connect(
        addresses: Vec<ServerAddr>,
        registry: Arc<Registry>,
        clock: SharedClock,
        streams: Vec<StreamOut>,
    ) -> Result<Self, async_nats::ConnectError> {
        let (says, link) = watch::channel(Link::Down);
        let (up, connected) = (registry.gauge(&names::SINK_UP, &[NAME]), registry.gauge(&names::NATS_CONNECTED, &[]));
        let events = Arc::clone(&registry);
        let client = ConnectOptions::new()
            .name("tidemark-collector")
            .retry_on_initial_connect()
            .connection_timeout(PATIENCE)
            .ping_interval(Duration::from_secs(10))
            .client_capacity(CLIENT_CAPACITY)
            .reconnect_delay_callback(delay)
            .event_callback(move |event| {
                note(&event, &events, [&up, &connected], &says);
                std::future::ready(())
            })
            .connect(addresses)
            .await?;
        let written = ByKind::new(&registry, &names::SINK_WRITTEN, NAME);
        Ok(Self { client, link, clock, registry, written, streams })
    }

    async fn run(mut self, mut outlet: Outlet) {
        let mut batch = Vec::with_capacity(BATCH);
        while outlet.take(&mut batch, BATCH).await {
            self.publish(&batch, &outlet).await;
            batch.clear();
        }
        // Ends the connection in order, so that the server does not count a client that vanished.
        if self.client.drain().await.is_ok() {
            let _waited_long_enough = timeout(LAST_CHANCE, self.link.wait_for(|link| *link == Link::Closed)).await;
        }
    }

    /// Publishes all, waiting out a lost connection; what cannot be published is counted.
    async fn publish(&mut self, batch: &[Record], outlet: &Outlet) {
        let mut sent = Vec::with_capacity(batch.len());
        for (at, record) in batch.iter().enumerate() {
            if !self.wait_until_up(outlet).await {
                self.drop_all(batch.get(at..).unwrap_or_default(), "disconnected");
                break;
            }
            if let Some(reason) = self.publish_one(record).await {
                self.drop_all(std::slice::from_ref(record), reason);
            } else {
                sent.push(record);
            }
        }
        let flushed = matches!(timeout(PATIENCE, self.client.flush()).await, Ok(Ok(())));
        if !flushed {
            self.registry.counter(&names::SINK_ERRORS, &[NAME, "flush"]).inc();
        }
        for record in sent {
            if flushed { self.count(record) } else { self.drop_all(std::slice::from_ref(record), "unconfirmed") }
        }
    }

    /// Hands one record to the client; the reason when that failed.
    async fn publish_one(&self, record: &Record) -> Option<&'static str> {
        use async_nats::client::PublishErrorKind as Kind;
        let stream = self.streams.get(record.stream)?;
        match timeout(PATIENCE, self.client.publish(stream.subject.clone(), record.payload.clone())).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(match error.kind() {
                Kind::MaxPayloadExceeded => "max_payload",
                Kind::InvalidSubject => "bad_subject",
                Kind::Send => "closed",
            }),
            Err(_) => Some("timeout"),
        }
    }

    /// `true` once connected; `false` when the collector is stopping and the server has not come back in time.
    async fn wait_until_up(&mut self, outlet: &Outlet) -> bool {
        let mut left = LAST_CHANCE;
        let step = Duration::from_millis(100);
        loop {
            match *self.link.borrow_and_update() {
                Link::Up => return true,
                Link::Closed => return false,
                Link::Down if outlet.is_closed() && left.is_zero() => return false,
                Link::Down => {}
            }
            if timeout(step, self.link.changed()).await.is_err() && outlet.is_closed() {
                left = left.saturating_sub(step);
            }
        }
    }

    fn count(&self, record: &Record) {
        self.written.inc(record.kind);
        if let Some(stream) = self.streams.get(record.stream) {
            stream.published.inc();
            stream.labelled.inc();
            stream.duration.observe_duration(self.clock.now().mono.saturating_sub(record.offered));
        }
    }

    fn drop_all(&self, records: &[Record], reason: &'static str) {
        for record in records {
            self.registry.counter(&names::SINK_DROPPED, &[NAME, record.kind.as_str(), reason]).inc();
            if let Some(stream) = self.streams.get(record.stream) {
                self.registry.counter(&names::NATS_PUBLISH_ERRORS, &[stream.subject.as_str(), reason]).inc();
            }
        }
    }
}

/// Counts an event of the client and passes the state on.
fn note(event: &Event, registry: &Registry, up: [&Gauge; 2], says: &watch::Sender<Link>) {
    let (word, link) = match event {
        Event::Connected => ("connected", Some(Link::Up)),
        Event::Disconnected => ("disconnected", Some(Link::Down)),
        Event::LameDuckMode => ("lame_duck", None),
        Event::Draining => ("draining", None),
        Event::Closed => ("closed", Some(Link::Closed)),
        Event::SlowConsumer(_) => ("slow_consumer", None),
        Event::ServerError(_) => ("server_error", None),
        Event::ClientError(_) => ("client_error", None),
    };
    registry.counter(&names::NATS_EVENTS, &[word]).inc();
    tracing::info!(sink = NAME, event = word, "NATS: {event}");
    if let Some(link) = link {
        for gauge in up {
            gauge.set(if link == Link::Up { 1.0 } else { 0.0 });
        }
        says.send_replace(link);
    }
}

/// Full jitter over an exponential delay of at most 4 s, so that many collectors do not come back together.
fn delay(attempts: usize) -> Duration {
    let most: u64 = (50_u64 << attempts.min(7)).min(4_000);
    Duration::from_millis(RandomState::new().hash_one(attempts) % most)
}
