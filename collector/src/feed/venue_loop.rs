//! One venue's loop: sockets, REST and time in, the core's effects out. The one owner of the venue's state; no other task touches it.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use clock::Now;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Aborted, LocalBoxFuture, abortable};
use futures_util::stream::{FuturesUnordered, StreamExt};
use marketdata::{ConnId, Effect, Event, EventKind, FetchId, Input, Pressure, Response, SnapshotTrouble, SyncState, Tuning, Venue, VenueKind};
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use super::capture::Capture;
use super::listing::{self, Found, Trouble};
use super::members::Members;
use super::network::{ConnectError, Link, Reply, RestFailure, Wire};
use super::outlets::Outlets;
use super::sizes::Sizes;
use super::venue_metrics::{StreamMetrics, VenueMetrics};
use crate::config::VenueConfig;
use crate::stream::StreamState;

/// Frames handled before the loop looks at its timers again.
const BATCH: usize = 64;
/// Body of a snapshot.
const SNAPSHOT_MOST: usize = 4 << 20;
/// Figures of the core are copied to metrics this often.
const FIGURES: Duration = Duration::from_secs(1);
/// A sink that has enough is asked again after this.
const PRESSED: Duration = Duration::from_millis(1);
/// For connections to close at the end.
const CLOSING: Duration = Duration::from_secs(2);

/// The loop's state.
pub(super) struct VenueLoop {
    pub(super) config: VenueConfig,
    pub(super) shared: Shared,
    pub(super) venue: Venue,
    metrics: VenueMetrics,
    pub(super) outlets: Outlets,
    pub(super) members: Members,
    links: Vec<(ConnId, Box<dyn Link>)>,
    connecting: Vec<(ConnId, AbortHandle)>,
    pub(super) jobs: FuturesUnordered<LocalBoxFuture<'static, Done>>,
    /// Reused between inputs.
    pub(super) effects: Vec<Effect>,
    /// Connections found dead while effects were carried out; told to the core next.
    ended: Vec<ConnId>,
    figures_at: Duration,
    /// Nothing is read before this: a sink has enough.
    read_again_at: Option<Duration>,
    sizes: Sizes,
    /// How often spare capacity had been asked back when it was last given.
    trims: u64,
    /// The same of connections without use.
    idle_closes: u64,
    /// Where the monotonic clock stood at zero, on the timer's scale.
    epoch: Instant,
    /// Keeps the raw input, when configured.
    pub(super) capture: Option<Capture>,
}

/// Frames handled in one go.
#[derive(Default)]
struct Batch {
    /// One reading for all of it: it has arrived by now.
    now: Option<Now>,
    /// Everything taken, and the texts in it with their bytes.
    taken: usize,
    messages: u64,
    bytes: usize,
}

/// What came of polling a link.
enum Polled {
    /// Something was taken; its effects wait to be carried out.
    Taken,
    Nothing,
    Ended(String),
}

/// What a job came to.
pub(super) enum Done {
    Connected(ConnId, Result<Result<Box<dyn Link>, ConnectError>, Aborted>),
    Fetched(FetchId, Duration, Result<Reply, RestFailure>),
    Listed(Box<Result<Found, Trouble>>),
    Closed,
}

/// Runs the venue until told to stop: first its instrument list, then its data.
pub(super) async fn run(config: VenueConfig, shared: Shared) {
    let Some(kind) = VenueKind::ALL.into_iter().find(|kind| (kind.exchange(), kind.market_type()) == (config.exchange, config.market_type)) else {
        return;
    };
    for (place, stream) in shared.state.streams.iter().enumerate().filter(|(_, stream)| stream.is_of(&config)) {
        // Registers the series of every configured stream, also of one that will never come.
        let _registered = StreamMetrics::new(&shared.state.streams, place, &shared.registry);
        stream.set_state(StreamState::Starting);
    }
    let Some(found) = listing::instruments(kind, &config, &shared).await else { return };
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

// === impl VenueLoop ===

impl VenueLoop {
    fn new(kind: VenueKind, config: &VenueConfig, found: Found, shared: Shared) -> Result<Self, marketdata::VenueError> {
        let core = marketdata::VenueConfig {
            kind,
            ws_url: config.ws_url.clone().unwrap_or_else(|| kind.default_ws_url().to_owned()),
            rest_url: config.rest_url.clone().unwrap_or_else(|| kind.default_rest_url().to_owned()),
            depth: usize::from(config.depth),
            output: config.output,
            overrides: config.overrides.iter().map(|(symbol, output)| (symbol.as_str().into(), *output)).collect(),
            fusion: config.fusion,
            trades: config.trades,
            tuning: Tuning { jitter_seed: random(), ..Tuning::of(kind) },
        };
        let outlets = Outlets::new(shared.clone(), config, &found.instruments);
        let members = Members::after(config.listing, &found, shared.state.clock.now().mono);
        let epoch = Instant::now().checked_sub(shared.state.clock.now().mono).unwrap_or_else(Instant::now);
        let venue = Venue::new(core, found.instruments)?.sharing(&shared.allowances);
        let capture = Capture::start(config, &venue, shared.state.clock.now(), &shared.registry).unwrap_or_else(|error| {
            tracing::error!(venue = kind.as_str(), event = "capture_failed", "cannot capture: {error}");
            None
        });
        Ok(Self {
            epoch,
            capture,
            metrics: VenueMetrics::new(config, &shared.registry),
            sizes: Sizes::new(&venue, &shared.registry),
            trims: shared.state.pressure.trims(),
            idle_closes: shared.state.pressure.idle_closes(),
            venue,
            outlets,
            members,
            config: config.clone(),
            shared,
            links: Vec::new(),
            connecting: Vec::new(),
            jobs: FuturesUnordered::new(),
            effects: Vec::new(),
            ended: Vec::new(),
            figures_at: Duration::ZERO,
            read_again_at: None,
        })
    }

    /// What is next → input → effects, until told to stop.
    async fn drive(&mut self) {
        let stop = self.shared.stop.clone();
        let stopped = stop.cancelled();
        let timer = sleep_until(Instant::now());
        tokio::pin!(stopped, timer);
        self.handle(Input::Timeout);
        loop {
            let wake = self.next_wake();
            if timer.deadline() != wake {
                timer.as_mut().reset(wake);
            }
            let goes_on = poll_fn(|context| {
                if stopped.as_mut().poll(context).is_ready() {
                    return Poll::Ready(false);
                }
                if timer.as_mut().poll(context).is_ready() {
                    self.time_passed();
                } else if let Poll::Ready(Some(done)) = self.jobs.poll_next_unpin(context) {
                    self.job_done(done);
                } else if self.read_again_at.is_none() {
                    return self.poll_links(context).map(|()| true);
                } else {
                    return Poll::Pending;
                }
                Poll::Ready(true)
            });
            if !goes_on.await {
                return;
            }
            // What this turn has published leaves in one go.
            self.shared.publisher.borrow_mut().flush();
            self.judge_sinks();
        }
    }

    /// Reads nothing for a moment while a sink has enough: the venue's own sending slows down then, and memory stays small.
    fn judge_sinks(&mut self) {
        let is_pressed = self.shared.publisher.borrow().is_pressed();
        if !is_pressed {
            self.read_again_at = None;
        } else if self.read_again_at.is_none_or(|at| at <= self.now().mono) {
            self.metrics.reading_paused.inc();
            self.read_again_at = Some(self.now().mono + PRESSED);
        }
    }

    /// Closes all connections in order.
    async fn shut(&mut self) {
        self.outlets.offer_owed(self.now(), &mut self.venue);
        self.shared.publisher.borrow_mut().flush();
        for (_, aborting) in self.connecting.drain(..) {
            aborting.abort();
        }
        let closing: FuturesUnordered<_> = self.links.drain(..).map(|(_, link)| link.close()).collect();
        let _in_time = timeout(CLOSING, closing.collect::<()>()).await;
        self.metrics.connected.set_count(0);
        if let Some(capture) = self.capture.take() {
            capture.finish().await;
        }
    }

    pub(super) fn now(&self) -> Now {
        self.shared.state.clock.now()
    }

    /// When there is something to do without input.
    fn next_wake(&self) -> Instant {
        let next =
            [self.venue.next_timeout(), self.outlets.offer_again_at(), self.read_again_at].into_iter().flatten().fold(self.figures_at, Duration::min);
        self.epoch + next
    }

    fn time_passed(&mut self) {
        let now = self.now();
        if self.outlets.offer_again_at().is_some_and(|at| at <= now.mono) {
            self.outlets.offer_owed(now, &mut self.venue);
        }
        if self.figures_at <= now.mono {
            self.outlets.show(|id| self.venue.status(id));
            self.set_pressure(self.shared.state.pressure.of_venues());
            self.trim();
            self.look_at_members(now);
            let links: usize = self.links.iter().map(|(_, link)| link.bytes()).sum();
            let scratch = self.outlets.scratch() + links + self.effects.capacity() * size_of::<Effect>();
            self.sizes.show(&self.venue, self.jobs.len(), scratch);
            if let Some(capture) = &self.capture {
                capture.show();
            }
            self.shared.state.kept_frames.show(&self.venue);
            self.metrics.rest_allowance(now, &self.venue);
            self.figures_at = now.mono + FIGURES;
        }
        self.handle(Input::Timeout);
    }

    /// Gives spare capacity back, and closes idle connections, when pressure has asked for it since the last time.
    fn trim(&mut self) {
        let asked = self.shared.state.pressure.idle_closes();
        if std::mem::replace(&mut self.idle_closes, asked) != asked {
            self.shared.network.rest.close_idle();
        }
        let asked = self.shared.state.pressure.trims();
        if std::mem::replace(&mut self.trims, asked) != asked {
            self.outlets.trim();
            self.effects.shrink_to_fit();
        }
    }

    fn job_done(&mut self, done: Done) {
        match done {
            Done::Connected(conn, outcome) => self.connected(conn, outcome),
            Done::Fetched(fetch, took, outcome) => self.fetched(fetch, took, outcome),
            Done::Listed(outcome) => self.listed(*outcome),
            Done::Closed => {}
        }
    }

    fn connected(&mut self, conn: ConnId, outcome: Result<Result<Box<dyn Link>, ConnectError>, Aborted>) {
        let Some(place) = self.connecting.iter().position(|(known, _)| *known == conn) else { return };
        self.connecting.swap_remove(place);
        match outcome {
            Ok(Ok(link)) => {
                self.links.push((conn, link));
                self.reached(None);
                self.metrics.opened();
                self.metrics.connected.set_count(self.links.len());
                self.handle(Input::Connected { conn });
            }
            Ok(Err(error)) => {
                self.metrics.connect_failed(&error);
                self.reached(Some(&error));
                let (hop, reason) = (error.hop.as_str(), error.cause.as_str());
                tracing::warn!(venue = self.venue.config().kind.as_str(), hop, reason, "cannot connect: {error}");
                self.handle(Input::Closed { conn });
            }
            Err(Aborted) => {}
        }
    }

    fn reached(&self, trouble: Option<&ConnectError>) {
        let kind = self.venue.config().kind;
        self.shared.state.reached((kind.exchange(), kind.market_type()), trouble.map(|error| (error.hop, error.cause)));
    }

    fn fetched(&mut self, fetch: FetchId, took: Duration, outcome: Result<Reply, RestFailure>) {
        let status = match &outcome {
            Ok(reply) if reply.status == 200 => "success",
            Err(RestFailure::Timeout) => "timeout",
            Ok(_) | Err(RestFailure::Connect(_) | RestFailure::Network(_) | RestFailure::TooLong(_)) => "error",
        };
        if let Err(RestFailure::Connect(error)) = &outcome {
            self.metrics.rest_failed(error);
        }
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

    /// Takes what has arrived, a batch at most, in the order of each link; pending when that is nothing.
    fn poll_links(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut batch = Batch::default();
        let mut place = 0;
        while batch.taken < BATCH
            && let Some(conn) = self.links.get(place).map(|(conn, _)| *conn)
        {
            match self.poll_link(place, &mut batch, context) {
                Polled::Nothing => place += 1,
                Polled::Taken => {
                    batch.taken += 1;
                    self.carry_out_taken(batch.now);
                }
                Polled::Ended(why) => {
                    batch.taken += 1;
                    tracing::info!(venue = self.venue.config().kind.as_str(), conn = conn.0, "connection ended: {why}");
                    self.drop_link(conn);
                    self.handle(Input::Closed { conn });
                }
            }
        }
        if batch.taken == 0 {
            return Poll::Pending;
        }
        self.shared.gather.took(batch.messages);
        self.metrics.messages(batch.messages, batch.bytes);
        if self.links.len() > 1 {
            // Another link is first next time, so that a busy one does not starve it.
            self.links.rotate_left(1);
        }
        Poll::Ready(())
    }

    /// Hands the next thing that a link brings to the core: its text stays in the link's own buffer.
    fn poll_link(&mut self, place: usize, batch: &mut Batch, context: &mut Context<'_>) -> Polled {
        let Self { links, venue, effects, capture, shared, .. } = self;
        let Some((conn, link)) = links.get_mut(place) else { return Polled::Nothing };
        let input = match link.poll(context) {
            Poll::Pending => return Polled::Nothing,
            Poll::Ready(Wire::Ended(why)) => return Polled::Ended(why),
            Poll::Ready(Wire::Activity) => Input::Activity { conn: *conn },
            Poll::Ready(Wire::Text(text)) => {
                batch.messages += 1;
                batch.bytes += text.len();
                Input::Frame { conn: *conn, text }
            }
        };
        let now = *batch.now.get_or_insert_with(|| shared.state.clock.now());
        if let Some(capture) = capture {
            capture.before(now, venue.allowance());
            capture.input(now, &input);
        }
        venue.handle(now, input, effects);
        if let Some(capture) = capture {
            capture.after(venue.allowance());
        }
        Polled::Taken
    }

    fn carry_out_taken(&mut self, now: Option<Now>) {
        if let Some(now) = now.filter(|_| !self.effects.is_empty()) {
            let effects = std::mem::take(&mut self.effects);
            self.carry_out_all(now, effects);
            self.tell_ended(now);
        }
    }

    /// One input, its effects, and the ends of connections found meanwhile.
    fn handle(&mut self, input: Input<'_>) {
        self.handle_at(self.now(), input);
    }

    fn handle_at(&mut self, now: Now, input: Input<'_>) {
        let mut effects = std::mem::take(&mut self.effects);
        if let Some(capture) = &mut self.capture {
            capture.before(now, self.venue.allowance());
            capture.input(now, &input);
        }
        self.venue.handle(now, input, &mut effects);
        self.carry_out_all(now, effects);
        self.tell_ended(now);
    }

    /// Tells the core of connections that were found dead meanwhile.
    fn tell_ended(&mut self, now: Now) {
        while let Some(conn) = self.ended.pop() {
            if let Some(capture) = &mut self.capture {
                capture.input(now, &Input::Closed { conn });
            }
            let mut effects = std::mem::take(&mut self.effects);
            self.venue.handle(now, Input::Closed { conn }, &mut effects);
            self.carry_out_all(now, effects);
        }
        if let Some(capture) = &mut self.capture {
            capture.after(self.venue.allowance());
        }
    }

    fn carry_out(&mut self, now: Now, effect: Effect) {
        if let Some(capture) = &mut self.capture {
            capture.effect(now, &effect);
        }
        self.outlets.carry_out(now, (&mut self.venue, &self.metrics), &effect);
        match effect {
            Effect::Book { .. } | Effect::Delta { .. } | Effect::Preview { .. } | Effect::Trade(_) => {}
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

    /// Gives up more, or takes back.
    fn set_pressure(&mut self, pressure: Pressure) {
        self.metrics.pressure(pressure);
        let now = self.now();
        if let Some(capture) = &mut self.capture {
            capture.pressure(now, pressure);
        }
        let mut effects = std::mem::take(&mut self.effects);
        self.venue.set_pressure(now, pressure, &mut effects);
        self.carry_out_all(now, effects);
    }

    /// Carries out what a call of the core has pushed into the reused buffer, and puts that back.
    pub(super) fn carry_out_all(&mut self, now: Now, mut effects: Vec<Effect>) {
        for effect in effects.drain(..) {
            self.carry_out(now, effect);
        }
        self.effects = effects;
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

    fn note(&mut self, event: &Event) {
        let symbol = event.instrument.and_then(|id| self.venue.instrument(id)).map(|instrument| &*instrument.symbol);
        self.metrics.event(symbol, &event.kind);
        let venue = self.venue.config().kind.as_str();
        let symbol = symbol.unwrap_or("-");
        match event.kind {
            EventKind::Synced
            | EventKind::Connected(_)
            | EventKind::Fresh(_)
            | EventKind::HandOverStarted(_)
            | EventKind::HandOverDone
            | EventKind::Resumed(_)
            | EventKind::Pressure(Pressure::Normal) => {
                tracing::info!(venue, symbol, event = event.kind.as_str(), reason = event.kind.reason(), "{}", event.kind);
            }
            EventKind::Malformed => {
                let frame = self.venue.malformed().last().map_or("", |kept| &*kept.text);
                tracing::warn!(venue, symbol, event = event.kind.as_str(), frame, "{}", event.kind);
            }
            EventKind::Refresh | EventKind::LargeTrade(_) => tracing::debug!(venue, symbol, event = event.kind.as_str(), "{}", event.kind),
            _ => tracing::warn!(venue, symbol, event = event.kind.as_str(), reason = event.kind.reason(), "{}", event.kind),
        }
        match (event.instrument, event.kind) {
            (Some(id), EventKind::Synced) => self.outlets.sync_changed(id, SyncState::Synced),
            (Some(id), EventKind::Resync(_) | EventKind::Resumed(_)) => self.outlets.sync_changed(id, SyncState::Syncing),
            (Some(id), EventKind::Paused(_)) => self.outlets.paused(id),
            (Some(_), EventKind::Refused(_)) => {
                let now = self.now();
                self.members.refused(now.mono);
            }
            _ => {}
        }
    }
}

/// A seed that differs between processes.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
