//! A recording played again: at which moment of the venue's clock each message is due, and what has to be rewritten when it is played more than once
//! (ids go on, times go on) or with today's times. In a first pass without `retime` every message is sent byte for byte as it was recorded.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::book::{Book, Side};
use super::config::{AtEnd, ReplayConfig};
use super::happening::Happening;
use super::market::Market;
use super::recording::{Content, Line, Recording};
use super::wire::{AggTrade, BookTicker, DEPTH_UPDATE, DepthUpdate, Snapshot, Trade, to_json};

/// Pause between the end of a recording and its next pass.
const PASS_GAP: Duration = Duration::from_millis(100);

/// A replay in progress.
#[derive(Debug)]
pub(super) struct Replay {
    path: PathBuf,
    at_end: AtEnd,
    symbol: String,
    lower: String,
    native_ms: u64,
    start: Snapshot,
    recording: Recording,
    ahead: Option<Line>,
    first_ns: u64,
    pass: Pass,
    last_event_ms: i64,
    last_trade_id: u64,
}

/// What this pass adds to the recorded numbers.
#[derive(Debug, Default)]
struct Pass {
    number: u64,
    /// The venue's clock at the pass's first message.
    begins: Duration,
    ids: i64,
    trade_ids: Option<i64>,
    ms: i64,
    /// Chain of a later pass: the last update sent; events up to it are left out.
    chain: Option<u64>,
}

// === impl Replay ===

impl Replay {
    /// Opens a recording. `now_ms` is what the first event's time becomes when times are rewritten.
    pub(super) fn open(config: &ReplayConfig, symbol: &str, now_ms: i64) -> Result<Self> {
        let (start, streams) = Recording::survey(&config.file)?;
        let lower = symbol.to_lowercase();
        let depth = streams.iter().find(|s| s.starts_with(&lower) && s.contains("@depth"));
        let depth = depth.ok_or_else(|| anyhow!("{}: no depth stream of {symbol}, only {streams:?}", config.file.display()))?;
        let native_ms = depth.rsplit_once('@').and_then(|(_, speed)| speed.strip_suffix("ms")?.parse().ok()).unwrap_or(1000);
        let mut recording = Recording::open(&config.file)?;
        let ahead = recording.next_line()?;
        let first_ns = ahead.as_ref().map(|line| line.received_ns).context("an empty recording")?;
        let first_event = ahead.as_ref().and_then(event_time).unwrap_or_else(|| ns_to_ms(first_ns));
        let pass = Pass { ms: if config.retime { now_ms - first_event } else { 0 }, ..Pass::default() };
        let (path, at_end) = (config.file.clone(), config.at_end);
        let (last_event_ms, last_trade_id) = (first_event, 0);
        Ok(Self { path, at_end, symbol: symbol.to_owned(), lower, native_ms, start, recording, ahead, first_ns, pass, last_event_ms, last_trade_id })
    }

    /// The recording's own snapshot: the book before the first change after it.
    pub(super) fn start_snapshot(&self) -> &Snapshot {
        &self.start
    }

    /// The interval of the recorded depth stream, ms.
    pub(super) fn native_ms(&self) -> u64 {
        self.native_ms
    }

    /// When the next message is due on the venue's clock; `None` when the replay is over.
    pub(super) fn due(&self) -> Option<Duration> {
        let line = self.ahead.as_ref()?;
        Some(self.pass.begins + Duration::from_nanos(line.received_ns.saturating_sub(self.first_ns)))
    }

    /// The next message. After `Rewound` the engine must call [`Replay::bridge`].
    pub(super) fn next(&mut self) -> Result<Vec<Happening>> {
        let Some(line) = self.ahead.take() else { return Ok(vec![Happening::Ended]) };
        let received_ns = line.received_ns;
        let happenings = self.play(line.content)?;
        self.ahead = self.recording.next_line()?;
        if self.ahead.is_some() {
            return Ok(happenings);
        }
        let last = match self.at_end {
            AtEnd::Stop => Happening::Ended,
            AtEnd::Loop => {
                self.rewind(received_ns)?;
                Happening::Rewound { symbol: self.symbol.clone() }
            }
        };
        Ok(happenings.into_iter().chain([last]).collect())
    }

    /// The change that turns the book at the end of one pass into the book at the start of the next. Real venues never step back, so ids go on from `market`.
    pub(super) fn bridge(&mut self, market: &Market) -> DepthUpdate {
        let target = Book::from_snapshot(&self.start);
        let bridge_id = market.last_id + 1;
        self.pass.ids = i64::try_from(bridge_id).unwrap_or(i64::MAX) - i64::try_from(self.start.last_update_id).unwrap_or(i64::MAX);
        self.pass.chain = Some(bridge_id);
        let futures = self.start.transaction_ms.is_some();
        DepthUpdate {
            e: DEPTH_UPDATE,
            event_ms: market.event_ms + 1,
            transaction_ms: futures.then_some(market.event_ms + 1),
            s: self.symbol.clone(),
            first_id: bridge_id,
            last_id: bridge_id,
            previous_id: futures.then_some(market.last_id),
            b: market.book.changes_to(&target, Side::Bid),
            a: market.book.changes_to(&target, Side::Ask),
        }
    }

    fn rewind(&mut self, last_ns: u64) -> Result<()> {
        let span = Duration::from_nanos(last_ns.saturating_sub(self.first_ns));
        self.recording = Recording::open(&self.path)?;
        // Everything before the snapshot is already part of the bridge.
        loop {
            let line = self.recording.next_line()?.context("the recording lost its snapshot")?;
            if matches!(line.content, Content::Snapshot(_)) {
                self.first_ns = line.received_ns;
                break;
            }
        }
        self.ahead = self.recording.next_line()?;
        let first_event = self.ahead.as_ref().and_then(event_time).unwrap_or_else(|| ns_to_ms(self.first_ns));
        let begins = self.pass.begins + span + PASS_GAP;
        let gap_ms = i64::try_from(PASS_GAP.as_millis()).unwrap_or(100);
        let ms = self.last_event_ms + gap_ms - first_event;
        self.pass = Pass { number: self.pass.number + 1, begins, ids: 0, trade_ids: None, ms, chain: None };
        Ok(())
    }

    fn play(&mut self, content: Content) -> Result<Vec<Happening>> {
        let (stream, data) = match content {
            Content::Snapshot(_) => return Ok(vec![Happening::SnapshotPassed { symbol: self.symbol.clone() }]),
            Content::Event { stream, data } => (stream, data),
        };
        match stream.strip_prefix(self.lower.as_str()) {
            Some(suffix) if suffix.starts_with("@depth") => self.play_depth(data),
            Some("@trade") => self.play_trade(stream, data),
            Some("@bookTicker") => self.play_ticker(stream, data),
            _ => Ok(Vec::new()),
        }
    }

    fn play_depth(&mut self, data: String) -> Result<Vec<Happening>> {
        let mut update: DepthUpdate = serde_json::from_str(&data).context("depthUpdate")?;
        self.last_event_ms = update.event_ms + self.pass.ms;
        if self.is_verbatim() {
            return Ok(vec![Happening::Diff { update, verbatim: Some(data) }]);
        }
        update.event_ms += self.pass.ms;
        update.transaction_ms = update.transaction_ms.map(|ms| ms + self.pass.ms);
        update.first_id = self.shifted(update.first_id);
        update.last_id = self.shifted(update.last_id);
        update.previous_id = update.previous_id.map(|id| self.shifted(id));
        if let Some(chain) = self.pass.chain {
            if update.last_id <= chain {
                return Ok(Vec::new());
            }
            // Only the first event after the bridge straddles it; for the others this changes nothing.
            update.first_id = update.first_id.max(chain + 1);
            update.previous_id = update.previous_id.map(|_| chain);
            self.pass.chain = Some(update.last_id);
        }
        Ok(vec![Happening::Diff { update, verbatim: None }])
    }

    fn play_trade(&mut self, stream: String, data: String) -> Result<Vec<Happening>> {
        let mut trade: Trade = serde_json::from_str(&data).context("trade")?;
        let next = i64::try_from(self.last_trade_id + 1).unwrap_or(i64::MAX);
        let recorded = i64::try_from(trade.t).unwrap_or(i64::MAX);
        let shift = *self.pass.trade_ids.get_or_insert(if self.pass.number == 0 { 0 } else { next - recorded });
        trade.t = trade.t.saturating_add_signed(shift);
        trade.event_ms += self.pass.ms;
        trade.trade_ms += self.pass.ms;
        self.last_trade_id = trade.t;
        let aggregate = Happening::Event { symbol: self.symbol.clone(), stream: format!("{}@aggTrade", self.lower), data: aggregate_of(&trade) };
        let data = if self.is_verbatim() { data } else { to_json(&trade) };
        Ok(vec![Happening::Event { symbol: self.symbol.clone(), stream, data }, aggregate])
    }

    fn play_ticker(&mut self, stream: String, data: String) -> Result<Vec<Happening>> {
        let symbol = self.symbol.clone();
        if self.is_verbatim() {
            return Ok(vec![Happening::Event { symbol, stream, data }]);
        }
        let mut ticker: BookTicker = serde_json::from_str(&data).context("bookTicker")?;
        ticker.u = self.shifted(ticker.u);
        ticker.event_ms = ticker.event_ms.map(|ms| ms + self.pass.ms);
        ticker.transaction_ms = ticker.transaction_ms.map(|ms| ms + self.pass.ms);
        Ok(vec![Happening::Event { symbol, stream, data: to_json(&ticker) }])
    }

    fn is_verbatim(&self) -> bool {
        self.pass.number == 0 && self.pass.ms == 0
    }

    fn shifted(&self, id: u64) -> u64 {
        id.saturating_add_signed(self.pass.ids)
    }
}

/// The aggregate of one trade.
pub(super) fn aggregate_of(trade: &Trade) -> String {
    let (event_ms, trade_ms) = (trade.event_ms, trade.trade_ms);
    to_json(&AggTrade { e: "aggTrade", event_ms, s: &trade.s, a: trade.t, p: &trade.p, q: &trade.q, f: trade.t, l: trade.t, trade_ms, m: trade.m })
}

fn event_time(line: &Line) -> Option<i64> {
    let Content::Event { data, .. } = &line.content else { return None };
    serde_json::from_str::<serde_json::Value>(data).ok()?.get("E")?.as_i64()
}

fn ns_to_ms(ns: u64) -> i64 {
    i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX)
}
