//! The capture of a venue's raw input: everything the core is told, with both clocks, and what it asked for, so that `collector replay` can tell it again.
//!
//! Owns: the lines' form, the thread that packs and writes them. Must not know: what a frame says.
//! The data loop hands lines over without waiting; what the thread cannot take is counted, and the next line that is taken says how many are missing.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use clock::Now;
use marketdata::{AllowanceFigures, Effect, Input, Instrument, InstrumentId, Pressure, Venue};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::recipe::{Item, Recipe};
use crate::config::VenueConfig;
use crate::metrics::{Bound, Counter, Registry, Structure, catalogue as names};
use crate::sink::recorder::{Archive, Bounds, Destination, Packer, RealDisk};

/// Lines that may wait for the thread, and their bytes.
const WAITING: (usize, usize) = (8_192, 8 << 20);
/// Lines are packed together up to this size, or for this long.
const MEMBER: (usize, Duration) = (1 << 20, Duration::from_secs(5));
/// Size and age of one file.
const FILE: (u64, i64) = (64 << 20, 3_600_000);
/// For what waits, at the end.
const LAST: Duration = Duration::from_secs(2);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// `text` is the [`Recipe`]; at the head of every member.
    Venue,
    /// A connection opened.
    Connected,
    /// `text` came on a connection.
    Frame,
    /// A sign of life without content came.
    Activity,
    /// A connection ended.
    Closed,
    /// A REST answer came: `text` is its body.
    Fetched,
    /// None came: `text` says why.
    FetchFailed,
    /// Time passed.
    Timeout,
    /// An instrument is collected from now on: `text` is its [`Item`].
    Adopt,
    /// The instrument of this `number` is collected no more.
    Retire,
    /// The collector gives up more, or less: `text`.
    Pressure,
    /// Another venue at the same host has spent of what the address may do; `text` has what is left.
    Allowance,
    /// Lines are missing here: `number` of them.
    Lost,
    /// The core asked to connect, to `text`.
    Connect,
    /// The core sent `text`.
    Send,
    /// The core closed a connection; `text` says why.
    Close,
    /// The core asked for `text` by REST.
    Fetch,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line<'a> {
    /// Monotonic nanoseconds and unix milliseconds.
    pub(crate) at: (u64, i64),
    pub(crate) what: What,
    /// Of the connection or the request; or how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<u64>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<Cow<'a, str>>,
    /// Of an answer: status, seconds of `Retry-After`, used weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<(u16, Option<u64>, Option<u32>)>,
}

/// The data loop's side.
pub(super) struct Capture {
    lines: SyncSender<Vec<u8>>,
    waiting: Arc<Waiting>,
    /// The same, for who looks at sizes.
    size: Structure,
    /// What was left of the allowance after the last input.
    allowance: AllowanceFigures,
    /// Lines that were not taken since the last one that was.
    lost: u64,
    lost_total: Counter,
    written: oneshot::Receiver<()>,
}

/// Lines handed over and not taken yet, and their bytes.
#[derive(Debug, Default)]
struct Waiting {
    lines: AtomicUsize,
    bytes: AtomicUsize,
}

/// The thread's side.
struct Writer {
    archive: Archive<RealDisk>,
    head: Vec<u8>,
    packer: Packer,
    bytes: Counter,
    errors: Counter,
}

// === impl Line ===

impl<'a> Line<'a> {
    pub(crate) fn new(now: Now, what: What) -> Self {
        Self { at: (u64::try_from(now.mono.as_nanos()).unwrap_or(u64::MAX), now.wall_ms), what, number: None, text: None, answer: None }
    }

    pub(crate) fn now(&self) -> Now {
        Now::new(Duration::from_nanos(self.at.0), self.at.1)
    }

    fn of(self, number: impl Into<u64>) -> Self {
        Self { number: Some(number.into()), ..self }
    }

    fn saying(self, text: &'a str) -> Self {
        Self { text: Some(Cow::Borrowed(text)), ..self }
    }

    fn of_input(now: Now, input: &Input<'a>) -> Self {
        let line = |what| Self::new(now, what);
        match input {
            Input::Connected { conn } => line(What::Connected).of(conn.0),
            Input::Frame { conn, text } => line(What::Frame).of(conn.0).saying(text),
            Input::Activity { conn } => line(What::Activity).of(conn.0),
            Input::Closed { conn } => line(What::Closed).of(conn.0),
            Input::Fetched { fetch, response } => {
                let answer = Some((response.status, response.retry_after.map(|wait| wait.as_secs()), response.used_weight));
                Self { answer, ..line(What::Fetched).of(fetch.0).saying(response.body) }
            }
            Input::FetchFailed { fetch, trouble } => line(What::FetchFailed).of(fetch.0).saying(trouble.as_str()),
            Input::Timeout => line(What::Timeout),
        }
    }

    fn of_effect(now: Now, effect: &'a Effect) -> Option<Self> {
        let line = |what| Self::new(now, what);
        Some(match effect {
            Effect::Connect { conn, url } => line(What::Connect).of(conn.0).saying(url),
            Effect::Send { conn, text } => line(What::Send).of(conn.0).saying(text),
            Effect::Close { conn, reason } => line(What::Close).of(conn.0).saying(reason.as_str()),
            Effect::Fetch { fetch, url } => line(What::Fetch).of(fetch.0).saying(url),
            _ => return None,
        })
    }

    fn encoded(&self) -> Vec<u8> {
        // A line holds nothing that JSON cannot say.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

// === impl Capture ===

impl Capture {
    /// Begins the capture of a venue, if it is configured to be captured.
    ///
    /// # Errors
    /// When its directory or thread cannot be had.
    pub(super) fn start(config: &VenueConfig, venue: &Venue, now: Now, registry: &Registry) -> io::Result<Option<Self>> {
        let Some(capture) = &config.capture else { return Ok(None) };
        let labels = [config.exchange.as_str(), config.market_type.as_str()];
        let root = capture.dir.join(labels.join("."));
        std::fs::create_dir_all(&root)?;
        let bounds = Bounds { total: capture.max_bytes, file: FILE.0.min(capture.max_bytes / 4), age_ms: FILE.1, depth: 1 };
        let (archive, _recovered) = Archive::open(RealDisk, root, bounds, 1)?;
        let recipe = serde_json::to_string(&Recipe::of(venue, &config.symbols)).map_err(io::Error::other)?;
        let writer = Writer {
            archive,
            head: Line::new(now, What::Venue).saying(&recipe).encoded(),
            packer: Packer::new(),
            bytes: registry.counter(&names::CAPTURE_BYTES, &labels),
            errors: registry.counter(&names::CAPTURE_ERRORS, &labels),
        };
        let (lines, incoming) = sync_channel(WAITING.0);
        let waiting = Arc::new(Waiting::default());
        let (told, written) = oneshot::channel();
        let shared = Arc::clone(&waiting);
        std::thread::Builder::new().name("capture".to_owned()).spawn(move || {
            writer.run(&incoming, &shared);
            // Nobody waits any more when the end took too long.
            let _nobody_waits = told.send(());
        })?;
        let size = Structure::register(registry, &format!("capture_queue_{}", venue.config().kind.as_str()), Bound::Bytes(WAITING.1));
        let (allowance, lost_total) = (venue.allowance(), registry.counter(&names::CAPTURE_LOST, &labels));
        Ok(Some(Self { lines, waiting, size, allowance, lost: 0, lost_total, written }))
    }

    pub(super) fn input(&mut self, now: Now, input: &Input<'_>) {
        self.put(now, &Line::of_input(now, input));
    }

    /// Before an input: what the address may still do, if that is not what it was after the last one.
    pub(super) fn before(&mut self, now: Now, allowance: AllowanceFigures) {
        if std::mem::replace(&mut self.allowance, allowance) != allowance {
            let text = serde_json::to_string(&allowance.0).unwrap_or_default();
            self.put(now, &Line::new(now, What::Allowance).saying(&text));
        }
    }

    /// After an input.
    pub(super) const fn after(&mut self, allowance: AllowanceFigures) {
        self.allowance = allowance;
    }

    /// Shows how much waits.
    pub(super) fn show(&self) {
        self.size.set(self.waiting.lines.load(Ordering::Relaxed), self.waiting.bytes.load(Ordering::Relaxed));
    }

    pub(super) fn effect(&mut self, now: Now, effect: &Effect) {
        if let Some(line) = Line::of_effect(now, effect) {
            self.put(now, &line);
        }
    }

    pub(super) fn pressure(&mut self, now: Now, pressure: Pressure) {
        self.put(now, &Line::new(now, What::Pressure).saying(pressure.as_str()));
    }

    pub(super) fn adopt(&mut self, now: Now, instrument: &Instrument, config: &marketdata::VenueConfig) {
        let item = Item::of(instrument, config.output_of(&instrument.symbol));
        self.put(now, &Line::new(now, What::Adopt).saying(&serde_json::to_string(&item).unwrap_or_default()));
    }

    pub(super) fn retire(&mut self, now: Now, id: InstrumentId) {
        self.put(now, &Line::new(now, What::Retire).of(id.0));
    }

    /// Ends it in order, within a bound.
    pub(super) async fn finish(self) {
        drop(self.lines);
        let _in_time = tokio::time::timeout(LAST, self.written).await;
    }

    fn put(&mut self, now: Now, line: &Line<'_>) {
        if self.lost > 0 && self.offer(Line::new(now, What::Lost).of(self.lost).encoded()) {
            self.lost = 0;
        }
        if !self.offer(line.encoded()) {
            self.lost += 1;
            self.lost_total.inc();
        }
    }

    fn offer(&self, line: Vec<u8>) -> bool {
        let size = line.len();
        if self.waiting.bytes.load(Ordering::Relaxed) + size > WAITING.1 {
            return false;
        }
        // Counted before it is sent: the other end may take it, and subtract, at once.
        self.waiting.add(size);
        let taken = self.lines.try_send(line).is_ok();
        if !taken {
            self.waiting.subtract(size);
        }
        taken
    }
}

// === impl Waiting ===

impl Waiting {
    fn add(&self, bytes: usize) {
        self.lines.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn subtract(&self, bytes: usize) {
        self.lines.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// === impl Writer ===

impl Writer {
    fn run(mut self, incoming: &Receiver<Vec<u8>>, waiting: &Waiting) {
        let mut member = self.head.clone();
        let mut since = Instant::now();
        loop {
            let patience = MEMBER.1.saturating_sub(since.elapsed());
            let next = incoming.recv_timeout(patience);
            if let Ok(line) = &next {
                waiting.subtract(line.len());
                member.extend_from_slice(line);
            }
            let over = matches!(next, Err(RecvTimeoutError::Disconnected));
            if over || member.len() >= MEMBER.0 || since.elapsed() >= MEMBER.1 {
                if member.len() > self.head.len() {
                    self.write(&member);
                }
                member.clone_from(&self.head);
                since = Instant::now();
            }
            if over {
                let _told_by_the_last_write = self.archive.finish();
                return;
            }
        }
    }

    fn write(&mut self, lines: &[u8]) {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
        let to = Destination { stream: 0, dir: "", day: now_ms.div_euclid(86_400_000), now_ms };
        let written = self.packer.member(lines).and_then(|member| self.archive.write(to, &member).map(|_| member.len()));
        match written {
            Ok(size) => self.bytes.add(size as u64),
            Err(error) => {
                self.errors.inc();
                tracing::error!(event = "capture_failed", "a part of the capture is lost: {error}");
            }
        }
    }
}
