//! `collector replay`: recordings read, told to the core again, and what came of it.
//!
//! Owns: the forms of recordings, exit codes, the summary. Must not know: how a book is made (that is the core's, as live).
//!
//! Two forms are read, packed or not: our own capture (every input with both clocks; replays to the same records), and `<receive ns> <frame>` lines of
//! Binance depth, trade and REST snapshot frames (connections and subscriptions are then made up; time is the recorded one).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clock::Now;
use flate2::read::MultiGzDecoder;
use marketdata::{Publication, RecordKind, VenueKind};
use serde_json::{Value, json};
use thiserror::Error;

use crate::feed::capture::{Line, What};
use crate::feed::recipe::Recipe;
use crate::feed::rerun::{Rerun, Tally};

/// Longest line that is read.
const LINE_MOST: u64 = 64 << 20;
/// Lines of a foreign recording that are looked at to learn what it is of.
const LOOK: usize = 2_000;
/// Currencies that prices are in; the longest that fits ends a venue's symbol.
const QUOTES: [&str; 10] = ["USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "BTC", "ETH", "BNB", "EUR"];

/// What is wanted otherwise than recorded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// How often books are published.
    pub publish: Option<Publication>,
    /// Published levels.
    pub depth: Option<usize>,
}

/// What a replay brought.
#[derive(Debug, Default)]
pub struct Summary {
    /// Lines read.
    pub lines: u64,
    /// Lines that are no input of any form that is known.
    pub not_understood: u64,
    /// Files that end in the middle.
    pub torn: u64,
    /// Input that the core did not ask for, and lines that the capture had lost.
    pub missing: u64,
    /// Venues, runs of the collector.
    pub runs: Vec<String>,
    /// Records by kind.
    pub records: BTreeMap<&'static str, u64>,
    /// Events by word and reason.
    pub events: BTreeMap<String, u64>,
    /// Trades that were missing.
    pub trades_missing: u64,
    /// Frames that could not be read; frames of kinds that are not collected.
    pub frames: (u64, u64),
    /// Each instrument and the state of its book at the end.
    pub states: Vec<(String, &'static str)>,
    /// First and last unix ms.
    pub span: Option<(i64, i64)>,
}

/// Why a replay cannot be.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Its form is not known.
    #[error("{}: {why}", path.display())]
    NotUnderstood {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The records cannot be written.
    #[error("the records cannot be written: {0}")]
    Output(#[source] io::Error),
}

/// A replay under way.
struct Replay<'a> {
    wishes: Wishes,
    out: &'a mut dyn Write,
    summary: Summary,
    running: Option<(String, Rerun)>,
    /// Of a recording of frames alone: where its time began, and a snapshot that nobody has asked for yet.
    frames: Option<(u64, Option<String>)>,
}

// === impl ReplayError ===

impl ReplayError {
    /// As sysexits has it.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::NotUnderstood { .. } => 65,
            Self::Unreadable { .. } => 66,
            Self::Output(_) => 74,
        }
    }
}

/// Re-runs the files, in this order, as one recording; a directory stands for all packed files below it. The records go to `out`, one a line.
///
/// # Errors
/// When a file cannot be read or understood, or `out` not written.
pub fn replay(paths: &[PathBuf], wishes: Wishes, out: &mut dyn Write) -> Result<Summary, ReplayError> {
    let mut files = Vec::new();
    for path in paths {
        expand(path, &mut files).map_err(|error| ReplayError::Unreadable { path: path.clone(), error })?;
    }
    let mut replay = Replay { wishes, out, summary: Summary::default(), running: None, frames: None };
    for path in &files {
        replay.file(path)?;
    }
    replay.end_run();
    replay.out.flush().map_err(ReplayError::Output)?;
    Ok(replay.summary)
}

// === impl Replay ===

impl Replay<'_> {
    fn file(&mut self, path: &Path) -> Result<(), ReplayError> {
        let unreadable = |error| ReplayError::Unreadable { path: path.to_owned(), error };
        let mut lines = open(path).map_err(unreadable)?;
        let mut line = String::new();
        let mut first = true;
        loop {
            line.clear();
            match lines.by_ref().take(LINE_MOST).read_line(&mut line) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // What a crash has torn: everything before was read.
                Err(error)
                    if !first && matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) =>
                {
                    self.summary.torn += 1;
                    return Ok(());
                }
                Err(error) => return Err(unreadable(error)),
            }
            self.summary.lines += 1;
            let understood = self.line(line.trim_end(), path)?;
            if first && !understood {
                let why = "neither a capture of this collector nor lines of `<receive ns> <frame>`".to_owned();
                return Err(ReplayError::NotUnderstood { path: path.to_owned(), why });
            }
            first = false;
            self.summary.not_understood += u64::from(!understood);
            self.write()?;
        }
    }

    fn line(&mut self, text: &str, path: &Path) -> Result<bool, ReplayError> {
        if let Some((stamp, frame)) = text.split_once(' ')
            && let Ok(ns) = stamp.parse::<u64>()
        {
            self.frame(ns, frame, path)?;
            return Ok(true);
        }
        let Ok(line) = serde_json::from_str::<Line<'_>>(text) else { return Ok(false) };
        if line.what == What::Venue {
            self.begin(line.text.as_deref().unwrap_or_default(), path)?;
            return Ok(true);
        }
        let Some((_, running)) = &mut self.running else { return Ok(false) };
        if self.wishes.publish.is_some() && line.what != What::Timeout {
            // The core has other things to do at other times than it had.
            running.time(line.now());
        }
        running.line(&line);
        self.seen(line.at.1);
        Ok(true)
    }

    /// A recipe: that of the core that runs, or of another one.
    fn begin(&mut self, recipe: &str, path: &Path) -> Result<(), ReplayError> {
        if self.running.as_ref().is_some_and(|(known, _)| known == recipe) {
            return Ok(());
        }
        self.end_run();
        let not_understood = |why: String| ReplayError::NotUnderstood { path: path.to_owned(), why };
        let mut read: Recipe = serde_json::from_str(recipe).map_err(|error| not_understood(error.to_string()))?;
        read.publish(self.wishes.publish, self.wishes.depth);
        self.summary.runs.push(read.kind.clone());
        self.running = Some((recipe.to_owned(), Rerun::new(&read).map_err(not_understood)?));
        Ok(())
    }

    fn frame(&mut self, ns: u64, frame: &str, path: &Path) -> Result<(), ReplayError> {
        if self.running.is_none() {
            let not_understood = |why: String| ReplayError::NotUnderstood { path: path.to_owned(), why };
            let recipe = learn(path).map_err(|error| not_understood(error.to_string()))?;
            let mut recipe = recipe.ok_or_else(|| not_understood("no depth frame of Binance near its beginning".to_owned()))?;
            recipe.publish(self.wishes.publish, self.wishes.depth);
            self.summary.runs.push(recipe.kind.clone());
            self.running = Some((String::new(), Rerun::new(&recipe).map_err(not_understood)?));
            self.frames = Some((ns, None));
        }
        let (Some((_, running)), Some((start, snapshot))) = (&mut self.running, &mut self.frames) else { return Ok(()) };
        let wall_ms = i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX);
        let now = Now::new(std::time::Duration::from_nanos(ns.saturating_sub(*start)), wall_ms);
        if frame.starts_with("{\"lastUpdateId\"") {
            *snapshot = Some(frame.to_owned());
        } else {
            running.frame(now, frame);
        }
        if snapshot.as_deref().is_some_and(|body| running.snapshot(now, body)) {
            *snapshot = None;
        }
        self.seen(wall_ms);
        Ok(())
    }

    fn seen(&mut self, wall_ms: i64) {
        let span = self.summary.span.get_or_insert((wall_ms, wall_ms));
        span.1 = wall_ms;
    }

    fn write(&mut self) -> Result<(), ReplayError> {
        let Some((_, running)) = &mut self.running else { return Ok(()) };
        let records = running.take_records();
        self.out.write_all(&records).map_err(ReplayError::Output)
    }

    /// Adds up what the core that runs has brought.
    fn end_run(&mut self) {
        let Some((_, running)) = self.running.take() else { return };
        let Tally { records, events, trades_missing, unmatched, lost } = &running.tally;
        for (kind, count) in RecordKind::ALL.into_iter().zip(records).filter(|(_, count)| **count > 0) {
            *self.summary.records.entry(kind.as_str()).or_default() += count;
        }
        for ((word, reason), count) in events {
            *self.summary.events.entry(format!("{word} {reason}").trim_end().to_owned()).or_default() += count;
        }
        let stats = running.venue().stats();
        self.summary.trades_missing += trades_missing;
        self.summary.missing += unmatched + lost;
        self.summary.frames.0 += stats.malformed;
        self.summary.frames.1 += stats.unknown;
        self.summary.states.extend(running.states());
    }
}

// === impl Summary ===

impl Summary {
    /// Whether everything that was recorded was there and understood.
    pub const fn is_whole(&self) -> bool {
        self.not_understood == 0 && self.torn == 0 && self.missing == 0
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let list = |counts: &mut dyn Iterator<Item = (&str, u64)>| {
            let all: Vec<String> = counts.map(|(word, count)| format!("{word} {count}")).collect();
            if all.is_empty() { "none".to_owned() } else { all.join(", ") }
        };
        let seconds = self.span.map_or(0.0, |(first, last)| (last - first) as f64 / 1_000.0);
        let mut lines = vec![
            format!("replayed {} lines, {seconds:.1} s of {}", self.lines, self.runs.join(", ")),
            format!("records: {}", list(&mut self.records.iter().map(|(kind, count)| (*kind, *count)))),
            format!(
                "resyncs {}, trades missing {}, frames malformed {}, of other kinds {}",
                self.resyncs(),
                self.trades_missing,
                self.frames.0,
                self.frames.1
            ),
            format!("events: {}", list(&mut self.events.iter().map(|(word, count)| (word.as_str(), *count)))),
        ];
        lines.extend(self.states.iter().map(|(symbol, state)| format!("{symbol}: {state}")));
        if !self.is_whole() {
            let (torn, strange, missing) = (self.torn, self.not_understood, self.missing);
            lines.push(format!("not whole: {torn} torn files, {strange} lines not understood, {missing} inputs missing or without a place"));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "lines": self.lines, "runs": self.runs, "span_ms": self.span, "records": self.records, "events": self.events,
            "resyncs": self.resyncs(), "trades_missing": self.trades_missing, "malformed": self.frames.0, "other_frames": self.frames.1,
            "states": self.states.iter().cloned().collect::<BTreeMap<_, _>>(),
            "torn": self.torn, "not_understood": self.not_understood, "missing": self.missing, "whole": self.is_whole(),
        })
    }

    fn resyncs(&self) -> u64 {
        self.events.iter().filter(|(word, _)| word.starts_with("resync")).map(|(_, count)| count).sum()
    }
}

fn expand(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    entries.iter().filter(|entry| entry.is_dir() || entry.extension().is_some_and(|ending| ending == "gz")).try_for_each(|entry| expand(entry, files))
}

/// Its lines, unpacked if it is packed.
fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::new(File::open(path)?);
    let packed = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if packed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) })
}

/// Of what a recording of Binance frames is: which market, which symbol, how many digits.
fn learn(path: &Path) -> io::Result<Option<Recipe>> {
    let (mut found, mut digits) = (None, (0, 0));
    for line in open(path)?.lines().take(LOOK) {
        let line = line?;
        let Some(value) = line.split_once(' ').and_then(|(_, frame)| serde_json::from_str::<Value>(frame).ok()) else { continue };
        let data = value.get("data").unwrap_or(&value);
        for level in ["b", "a", "bids", "asks"].into_iter().filter_map(|side| data.get(side)?.as_array()).flatten() {
            let after_point =
                |place: usize| level.get(place).and_then(Value::as_str).and_then(|text| text.split_once('.')).map_or(0, |(_, tail)| tail.len());
            digits = (digits.0.max(after_point(0)), digits.1.max(after_point(1)));
        }
        if let (None, Some("depthUpdate"), Some(raw)) = (&found, data.get("e").and_then(Value::as_str), data.get("s").and_then(Value::as_str)) {
            let kind = if data.get("pu").is_some() { VenueKind::BinanceUsdm } else { VenueKind::BinanceSpot };
            found = Some((kind, raw.to_owned()));
        }
    }
    let digit = |count: usize| u8::try_from(count.min(8)).unwrap_or(8);
    Ok(found.map(|(kind, raw)| Recipe::plain(kind, (&raw, &symbol_of(&raw)), (digit(digits.0), digit(digits.1)))))
}

fn symbol_of(raw: &str) -> String {
    let quote = QUOTES.into_iter().filter(|quote| raw.len() > quote.len() && raw.ends_with(quote)).max_by_key(|quote| quote.len());
    quote.and_then(|quote| raw.strip_suffix(quote).map(|base| format!("{base}-{quote}"))).unwrap_or_else(|| raw.to_owned())
}
