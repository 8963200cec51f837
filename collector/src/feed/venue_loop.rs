//! One venue's loop: sockets, REST and time in, the core's effects out. The one owner of the venue's state; no other task touches it.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use clock::Now;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Aborted, LocalBoxFuture, abortable};
use futures_util::stream::{FuturesUnordered, StreamExt};
use marketdata::{
    ConnId, Effect, Event, EventKind, FetchId, Input, InstrumentId, Publication, Response, SnapshotTrouble, StreamKind, SyncState, Trade, Tuning,
    Venue, VenueKind, message,
};
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use super::listing::{self, Found};
use super::network::{ConnectError, Link, Reply, RestFailure, Wire};
use super::publisher::{Origin, Refused};
use super::venue_metrics::{StreamMetrics, VenueMetrics};
use crate::config::{Publish, VenueConfig};
use crate::metrics::catalogue as names;
use crate::stream::StreamState;

/// Frames handled before the loop looks at its timers again.
const BATCH: usize = 64;
/// Body of a snapshot.
const SNAPSHOT_MOST: usize = 4 << 20;
/// Figures of the core are copied to metrics this often.
const FIGURES: Duration = Duration::from_secs(1);
/// A book that a sink refused is offered again, in its newest state, after this.
const OFFER_AGAIN: Duration = Duration::from_millis(100);
/// Waits between attempts to get the instrument list: first, and at most.
const LISTING_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// For connections to close at the end.
const CLOSING: Duration = Duration::from_secs(2);

/// The loop's state.
struct VenueLoop {
    shared: Shared,
    venue: Venue,
    metrics: VenueMetrics,
    /// By [`InstrumentId::index`].
    outlets: Vec<Outlet>,
    links: Vec<(ConnId, Box<dyn Link>)>,
    connecting: Vec<(ConnId, AbortHandle)>,
    jobs: FuturesUnordered<LocalBoxFuture<'static, Done>>,
    /// Reused between inputs.
    effects: Vec<Effect>,
    /// Connections found dead while effects were carried out; told to the core next.
    ended: Vec<ConnId>,
    inbox: Vec<(ConnId, Wire)>,
    payload: Vec<u8>,
    figures_at: Duration,
    offer_again_at: Option<Duration>,
}

/// Where an instrument's records go.
struct Outlet {
    book: (usize, StreamMetrics),
    trade: Option<(usize, StreamMetrics)>,
    /// Sinks that refused the newest book.
    owed: Refused,
}

/// What a job came to.
enum Done {
    Connected(ConnId, Result<Result<Box<dyn Link>, ConnectError>, Aborted>),
    Fetched(FetchId, Duration, Result<Reply, RestFailure>),
    Closed,
}

/// Runs the venue until told to stop: first its instrument list, then its data.
pub(super) async fn run(config: VenueConfig, shared: Shared) {
    let Some(kind) = VenueKind::ALL.into_iter().find(|kind| (kind.exchange(), kind.market_type()) == (config.exchange, config.market_type)) else {
        return;
    };
    let places: Vec<usize> = (0..shared.state.streams.len()).filter(|place| is_of(&shared, *place, &config)).collect();
    for place in &places {
        // Registers the series of every configured stream, also of one that will never come.
        let _registered = StreamMetrics::new(&shared.state.streams, *place, &shared.registry);
        shared.set_state(*place, StreamState::Starting);
    }
    let Some(found) = instruments(kind, &config, &shared).await else { return };
    match VenueLoop::new(kind, &config, found, shared.clone()) {
        Ok(mut running) => {
            running.drive().await;
            running.shut().await;
        }
        Err(error) => {
            tracing::error!(venue = kind.as_str(), "cannot be collected: {error}");
            shared.stop.cancelled().await;
        }
    }
}

fn is_of(shared: &Shared, place: usize, config: &VenueConfig) -> bool {
    shared.state.streams.get(place).is_some_and(|stream| (stream.exchange, stream.market_type) == (config.exchange, config.market_type))
}

/// The venue's instrument list, tried until it comes and knows at least one symbol; `None`: told to stop.
async fn instruments(kind: VenueKind, config: &VenueConfig, shared: &Shared) -> Option<Found> {
    let rest_url = config.rest_url.as_deref().unwrap_or(kind.default_rest_url());
    let mut wait = LISTING_WAIT.0;
    loop {
        let fetched = tokio::select! {
            () = shared.stop.cancelled() => return None,
            fetched = listing::fetch(&*shared.network.rest, kind, rest_url, &config.symbols) => fetched,
        };
        let pause = match fetched {
            Ok(found) => {
                tell_unknown(kind, config, &found, shared);
                if !found.instruments.is_empty() {
                    return Some(found);
                }
                LISTING_WAIT.1
            }
            Err((trouble, retry_after)) => {
                tracing::warn!(venue = kind.as_str(), url = rest_url, "{trouble}");
                shared.registry.counter(&names::ERRORS, &[config.exchange.as_str(), "instruments", "listing"]).inc();
                retry_after.unwrap_or(wait)
            }
        };
        tokio::select! {
            () = shared.stop.cancelled() => return None,
            () = tokio::time::sleep(pause) => wait = (wait * 2).min(LISTING_WAIT.1),
        }
    }
}

fn tell_unknown(kind: VenueKind, config: &VenueConfig, found: &Found, shared: &Shared) {
    for unknown in &found.unknown {
        let near = unknown.near.as_deref().map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let what = if unknown.halted { "is listed but not traded now" } else { "is not listed" };
        tracing::error!(venue = kind.as_str(), symbol = unknown.symbol, "symbol {} {what}{near}", unknown.symbol);
        let code = if unknown.halted { "symbol_halted" } else { "symbol_unknown" };
        shared.registry.counter(&names::ERRORS, &[config.exchange.as_str(), "instruments", code]).inc();
    }
    for stream in shared.state.streams.iter().filter(|stream| (stream.exchange, stream.market_type) == (config.exchange, config.market_type)) {
        let known = found.instruments.iter().any(|instrument| *instrument.symbol == *stream.symbol);
        stream.set_state(if known { StreamState::Waiting } else { StreamState::Unknown });
    }
}

// === impl VenueLoop ===

impl VenueLoop {
    fn new(kind: VenueKind, config: &VenueConfig, found: Found, shared: Shared) -> Result<Self, marketdata::VenueError> {
        let core = marketdata::VenueConfig {
            kind,
            ws_url: config.ws_url.clone().unwrap_or_else(|| kind.default_ws_url().to_owned()),
            rest_url: config.rest_url.clone().unwrap_or_else(|| kind.default_rest_url().to_owned()),
            depth: usize::from(config.depth),
            publication: match config.publish {
                Publish::Every => Publication::EveryUpdate,
                Publish::Conflated(interval) => Publication::Conflated(interval),
            },
            trades: config.trades,
            tuning: Tuning { jitter_seed: random(), ..Tuning::of(kind) },
        };
        let outlets = found.instruments.iter().filter_map(|instrument| Outlet::new(&shared, config, &instrument.symbol)).collect();
        Ok(Self {
            metrics: VenueMetrics::new(config, &shared.registry),
            venue: Venue::new(core, found.instruments)?,
            outlets,
            shared,
            links: Vec::new(),
            connecting: Vec::new(),
            jobs: FuturesUnordered::new(),
            effects: Vec::new(),
            ended: Vec::new(),
            inbox: Vec::with_capacity(BATCH),
            payload: Vec::with_capacity(16 << 10),
            figures_at: Duration::ZERO,
            offer_again_at: None,
        })
    }

    /// select → input → effects, until told to stop.
    async fn drive(&mut self) {
        let stop = self.shared.stop.clone();
        let timer = sleep_until(Instant::now());
        tokio::pin!(timer);
        self.handle(Input::Timeout);
        loop {
            let wake = self.next_wake();
            if timer.deadline() != wake {
                timer.as_mut().reset(wake);
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = &mut timer => self.time_passed(),
                Some(done) = self.jobs.next() => self.job_done(done),
                () = gather(&mut self.links, &mut self.inbox) => self.read_inbox(),
            }
        }
    }

    /// Closes all connections in order.
    async fn shut(&mut self) {
        self.offer_owed();
        for (_, aborting) in self.connecting.drain(..) {
            aborting.abort();
        }
        let closing: FuturesUnordered<_> = self.links.drain(..).map(|(_, link)| link.close()).collect();
        let _in_time = timeout(CLOSING, closing.collect::<()>()).await;
        self.metrics.connected.set_count(0);
    }

    fn now(&self) -> Now {
        self.shared.state.clock.now()
    }

    /// When there is something to do without input.
    fn next_wake(&self) -> Instant {
        let next = [self.venue.next_timeout(), self.offer_again_at].into_iter().flatten().fold(self.figures_at, Duration::min);
        Instant::now() + next.saturating_sub(self.now().mono)
    }

    fn time_passed(&mut self) {
        let now = self.now().mono;
        if self.offer_again_at.is_some_and(|at| at <= now) {
            self.offer_owed();
        }
        if self.figures_at <= now {
            self.show_figures();
            self.figures_at = now + FIGURES;
        }
        self.handle(Input::Timeout);
    }

    fn job_done(&mut self, done: Done) {
        match done {
            Done::Connected(conn, outcome) => self.connected(conn, outcome),
            Done::Fetched(fetch, took, outcome) => self.fetched(fetch, took, outcome),
            Done::Closed => {}
        }
    }

    fn connected(&mut self, conn: ConnId, outcome: Result<Result<Box<dyn Link>, ConnectError>, Aborted>) {
        let Some(place) = self.connecting.iter().position(|(known, _)| *known == conn) else { return };
        self.connecting.swap_remove(place);
        match outcome {
            Ok(Ok(link)) => {
                self.links.push((conn, link));
                self.metrics.opened();
                self.metrics.connected.set_count(self.links.len());
                self.handle(Input::Connected { conn });
            }
            Ok(Err(error)) => {
                self.metrics.connect_failed(error.hop.as_str());
                tracing::warn!(venue = self.venue.config().kind.as_str(), hop = error.hop.as_str(), "cannot connect: {error}");
                self.handle(Input::Closed { conn });
            }
            Err(Aborted) => {}
        }
    }

    fn fetched(&mut self, fetch: FetchId, took: Duration, outcome: Result<Reply, RestFailure>) {
        let status = match &outcome {
            Ok(reply) if reply.status == 200 => "success",
            Err(RestFailure::Timeout) => "timeout",
            Ok(_) | Err(RestFailure::Network(_) | RestFailure::TooLong(_)) => "error",
        };
        self.metrics.rest_done(status, took);
        match outcome {
            Ok(Reply { status, retry_after, used_weight, body }) => {
                self.handle(Input::Fetched { fetch, response: Response { status, retry_after, used_weight, body: &body } });
            }
            Err(RestFailure::Timeout) => self.handle(Input::FetchFailed { fetch, trouble: SnapshotTrouble::Timeout }),
            Err(failure) => {
                tracing::warn!(venue = self.venue.config().kind.as_str(), "snapshot: {failure}");
                self.handle(Input::FetchFailed { fetch, trouble: SnapshotTrouble::Network });
            }
        }
    }

    fn read_inbox(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox);
        for (conn, wire) in inbox.drain(..) {
            match wire {
                Wire::Text(text) => {
                    self.metrics.message(text.len());
                    self.handle(Input::Frame { conn, text: &text });
                }
                Wire::Activity => self.handle(Input::Activity { conn }),
                Wire::Ended(why) => {
                    tracing::info!(venue = self.venue.config().kind.as_str(), conn = conn.0, "connection ended: {why}");
                    self.drop_link(conn);
                    self.handle(Input::Closed { conn });
                }
            }
        }
        self.inbox = inbox;
    }

    /// One input, its effects, and the ends of connections found meanwhile.
    fn handle(&mut self, input: Input<'_>) {
        let now = self.now();
        let mut effects = std::mem::take(&mut self.effects);
        self.venue.handle(now, input, &mut effects);
        for effect in effects.drain(..) {
            self.carry_out(now, effect);
        }
        while let Some(conn) = self.ended.pop() {
            self.venue.handle(now, Input::Closed { conn }, &mut effects);
            for effect in effects.drain(..) {
                self.carry_out(now, effect);
            }
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, now: Now, effect: Effect) {
        match effect {
            Effect::Book { instrument } => self.publish_book(now, instrument),
            Effect::Trade(trade) => self.publish_trade(now, &trade),
            Effect::Event(event) => self.note(&event),
            Effect::Connect { conn, url } => {
                let (attempt, abort) = abortable(self.shared.network.connector.connect(url));
                self.connecting.push((conn, abort));
                self.jobs.push(attempt.map(move |outcome| Done::Connected(conn, outcome)).boxed_local());
            }
            Effect::Send { conn, text } => self.send(conn, text),
            Effect::Close { conn, .. } => self.close(conn),
            Effect::Fetch { fetch, url } => {
                let begun = Instant::now();
                let request = self.shared.network.rest.get(url, SNAPSHOT_MOST);
                self.jobs.push(request.map(move |outcome| Done::Fetched(fetch, begun.elapsed(), outcome)).boxed_local());
            }
        }
    }

    fn send(&mut self, conn: ConnId, text: String) {
        let Some((_, link)) = self.links.iter_mut().find(|(known, _)| *known == conn) else { return };
        if let Err(why) = link.send(text) {
            tracing::warn!(venue = self.venue.config().kind.as_str(), conn = conn.0, "cannot send: {why}");
            self.drop_link(conn);
            self.ended.push(conn);
        }
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(place) = self.connecting.iter().position(|(known, _)| *known == conn) {
            self.connecting.swap_remove(place).1.abort();
        }
        if let Some(link) = self.drop_link(conn) {
            self.jobs.push(link.close().map(|()| Done::Closed).boxed_local());
        }
    }

    fn drop_link(&mut self, conn: ConnId) -> Option<Box<dyn Link>> {
        let place = self.links.iter().position(|(known, _)| *known == conn)?;
        let (_, link) = self.links.swap_remove(place);
        self.metrics.connected.set_count(self.links.len());
        Some(link)
    }

    fn publish_book(&mut self, now: Now, id: InstrumentId) {
        let Some(outlet) = self.outlets.get_mut(id.index()) else { return };
        let Some(view) = self.venue.book(id) else { return };
        self.payload.clear();
        message::encode_book(&view, now, &mut self.payload);
        let origin = Origin { stream: outlet.book.0, kind: StreamKind::Book, at: now.mono };
        outlet.owed = self.shared.publisher.borrow_mut().offer(origin, &self.payload);
        if outlet.owed != 0 {
            self.offer_again_at.get_or_insert(now.mono + OFFER_AGAIN);
        }
        touch(&self.shared, &self.metrics, (&outlet.book, StreamKind::Book), now);
    }

    fn publish_trade(&mut self, now: Now, trade: &Trade) {
        let Some(instrument) = self.venue.instrument(trade.instrument) else { return };
        let Some(outlet) = self.outlets.get(trade.instrument.index()).and_then(|outlet| outlet.trade.as_ref()) else { return };
        self.payload.clear();
        message::encode_trade(trade, instrument, now, &mut self.payload);
        let origin = Origin { stream: outlet.0, kind: StreamKind::Trade, at: now.mono };
        // A refusal is counted by the sink; there is no newer state of a trade to make up for it.
        let _counted = self.shared.publisher.borrow_mut().offer(origin, &self.payload);
        touch(&self.shared, &self.metrics, (outlet, StreamKind::Trade), now);
    }

    /// Offers the newest state of refused books to the sinks that refused them.
    fn offer_owed(&mut self) {
        let now = self.now();
        self.offer_again_at = None;
        for (place, outlet) in (0_u16..).zip(&mut self.outlets).filter(|(_, outlet)| outlet.owed != 0) {
            // A book that is not exact now is published when it is again.
            let Some(view) = self.venue.book(InstrumentId(place)) else {
                outlet.owed = 0;
                continue;
            };
            self.payload.clear();
            message::encode_book(&view, now, &mut self.payload);
            let origin = Origin { stream: outlet.book.0, kind: StreamKind::Book, at: now.mono };
            outlet.owed = self.shared.publisher.borrow_mut().offer_to(outlet.owed, origin, &self.payload);
            if outlet.owed != 0 {
                self.offer_again_at = Some(now.mono + OFFER_AGAIN);
            }
        }
    }

    fn note(&mut self, event: &Event) {
        let symbol = event.instrument.and_then(|id| self.venue.instrument(id)).map(|instrument| &*instrument.symbol);
        self.metrics.event(symbol, &event.kind);
        let venue = self.venue.config().kind.as_str();
        let symbol = symbol.unwrap_or("-");
        match event.kind {
            EventKind::Synced | EventKind::Connected(_) | EventKind::Fresh(_) | EventKind::HandOverStarted(_) | EventKind::HandOverDone => {
                tracing::info!(venue, symbol, event = event.kind.as_str(), reason = event.kind.reason(), "{}", event.kind);
            }
            EventKind::Refresh => tracing::debug!(venue, symbol, event = event.kind.as_str(), "{}", event.kind),
            _ => tracing::warn!(venue, symbol, event = event.kind.as_str(), reason = event.kind.reason(), "{}", event.kind),
        }
        let Some(outlet) = event.instrument.and_then(|id| self.outlets.get(id.index())) else { return };
        match event.kind {
            EventKind::Synced => outlet.book.1.synced(SyncState::Synced),
            EventKind::Resync(_) => {
                outlet.book.1.synced(SyncState::Syncing);
                self.shared.set_state(outlet.book.0, StreamState::Waiting);
            }
            _ => {}
        }
    }

    fn show_figures(&mut self) {
        for (place, outlet) in (0_u16..).zip(&mut self.outlets) {
            if let Some(status) = self.venue.status(InstrumentId(place)) {
                outlet.book.1.refresh(&status);
            }
        }
    }
}

// === impl Outlet ===

impl Outlet {
    fn new(shared: &Shared, config: &VenueConfig, symbol: &str) -> Option<Self> {
        let find = |kind| {
            let streams = &shared.state.streams;
            let place = (0..streams.len())
                .find(|place| is_of(shared, *place, config) && streams.get(*place).is_some_and(|s| s.symbol == symbol && s.kind == kind))?;
            Some((place, StreamMetrics::new(streams, place, &shared.registry)?))
        };
        Some(Self { book: find(StreamKind::Book)?, trade: find(StreamKind::Trade), owed: 0 })
    }
}

/// A record left: the stream is fresh.
fn touch(shared: &Shared, metrics: &VenueMetrics, (outlet, kind): (&(usize, StreamMetrics), StreamKind), now: Now) {
    outlet.1.record(now);
    metrics.record(kind, now);
    if let Some(stream) = shared.state.streams.get(outlet.0) {
        stream.touch(now);
    }
}

/// Resolves when at least one link has something; takes up to a batch of it, in the order of each link.
fn gather<'a>(links: &'a mut [(ConnId, Box<dyn Link>)], inbox: &'a mut Vec<(ConnId, Wire)>) -> impl Future<Output = ()> + 'a {
    poll_fn(move |context| {
        for (conn, link) in links.iter_mut() {
            while inbox.len() < BATCH {
                match link.poll(context) {
                    Poll::Ready(wire) => {
                        let over = matches!(wire, Wire::Ended(_));
                        inbox.push((*conn, wire));
                        if over {
                            break;
                        }
                    }
                    Poll::Pending => break,
                }
            }
        }
        if inbox.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    })
}

/// A seed that differs between processes.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
