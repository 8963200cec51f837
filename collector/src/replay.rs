//! `collector replay`: recordings read, told to the core again, and what came of it.
//!
//! Owns: which file is of which run, exit codes. Must not know: how a book is made (that is the core's, as live), what a line looks like ([`lines`]).
//!
//! Two things are replayed, packed or not: our own capture (every input with both clocks; replays to the same records), and raw frames with the time of
//! their arrival, of any venue that is spoken; connections and subscriptions are then made up, and time is the recorded one.

mod learn;
mod lines;
mod numbering;
mod summary;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::Now;
use flate2::read::MultiGzDecoder;
use marketdata::{Publication, RecordKind};
use thiserror::Error;

use crate::feed::capture::{Line, What};
use crate::feed::recipe::Recipe;
use crate::feed::rerun::{Rerun, Tally};

use learn::Learned;
use lines::Said;
use numbering::Numbering;
pub use summary::Summary;

/// Longest line that is read.
const LINE_MOST: u64 = 64 << 20;
/// Of a line that is not understood, so much is shown.
const SHOWN: usize = 60;

/// What is wanted otherwise than recorded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// How often books are published.
    pub publish: Option<Publication>,
    /// Published levels.
    pub depth: Option<usize>,
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
    running: Option<Running>,
}

/// A core that is run again, and what its input is.
struct Running {
    rerun: Rerun,
    of: Source,
    /// First and last unix ms.
    span: Option<(i64, i64)>,
}

enum Source {
    /// A capture with this recipe.
    Capture(String),
    Frames(Box<Frames>),
}

/// Raw frames.
struct Frames {
    learned: Learned,
    /// Where its time began, unix nanoseconds.
    start: u64,
    /// A snapshot that nobody has asked for yet.
    snapshot: Option<String>,
    numbering: Numbering,
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
    let mut replay = Replay { wishes, out, summary: Summary::default(), running: None };
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
        let not_understood = |why| ReplayError::NotUnderstood { path: path.to_owned(), why };
        let mut lines = open(path).map_err(unreadable)?;
        let mut line = String::new();
        let (mut count, mut begun) = (0, false);
        loop {
            line.clear();
            let ends =
                |error: &io::Error| matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData);
            match lines.by_ref().take(LINE_MOST).read_line(&mut line) {
                Ok(0) => {
                    self.summary.torn += u64::from(count == 0);
                    return Ok(());
                }
                Ok(_) => {}
                Err(error) if ends(&error) && count == 0 => {
                    return Err(not_understood(format!("not a recording: it is neither text nor packed text ({error})")));
                }
                // What a crash has torn: everything before was read.
                Err(error) if ends(&error) => {
                    self.summary.torn += 1;
                    return Ok(());
                }
                Err(error) => return Err(unreadable(error)),
            }
            self.summary.lines += 1;
            let text = line.trim_end();
            let understood = match lines::read(text) {
                Some(Said::Captured(line)) => self.line(&line, path)?,
                Some(Said::Frame(ns, frame)) => {
                    if !std::mem::replace(&mut begun, true) {
                        self.begin_frames(ns, path)?;
                    }
                    self.frame(ns, frame)
                }
                Some(Said::Aside) => true,
                None if text.is_empty() => continue,
                None => false,
            };
            if count == 0 && !understood {
                return Err(not_understood(no_recording(text)));
            }
            count += 1;
            self.summary.not_understood += u64::from(!understood);
            self.write()?;
        }
    }

    /// A line of a capture; whether there is a core that it is for.
    fn line(&mut self, line: &Line<'_>, path: &Path) -> Result<bool, ReplayError> {
        if line.what == What::Venue {
            self.begin(line.text.as_deref().unwrap_or_default(), path)?;
            return Ok(true);
        }
        let Some(Running { rerun, of: Source::Capture(_), span }) = &mut self.running else { return Ok(false) };
        if self.wishes.publish.is_some() && line.what != What::Timeout {
            // The core has other things to do at other times than it had.
            rerun.time(line.now());
        }
        rerun.line(line);
        *span = Some((span.map_or(line.at.1, |(first, _)| first), line.at.1));
        Ok(true)
    }

    /// A recipe: that of the core that runs, or of another one.
    fn begin(&mut self, recipe: &str, path: &Path) -> Result<(), ReplayError> {
        if matches!(&self.running, Some(Running { of: Source::Capture(known), .. }) if known == recipe) {
            return Ok(());
        }
        self.end_run();
        let not_understood = |why: String| ReplayError::NotUnderstood { path: path.to_owned(), why };
        let mut read: Recipe = serde_json::from_str(recipe).map_err(|error| not_understood(error.to_string()))?;
        read.publish(self.wishes.publish, self.wishes.depth);
        self.summary.runs.push(read.kind.clone());
        self.running = Some(Running { rerun: Rerun::new(&read).map_err(not_understood)?, of: Source::Capture(recipe.to_owned()), span: None });
        Ok(())
    }

    /// The first frame of a file: of the core that runs, or of another one.
    fn begin_frames(&mut self, ns: u64, path: &Path) -> Result<(), ReplayError> {
        let not_understood = |why: String| ReplayError::NotUnderstood { path: path.to_owned(), why };
        let lines = open(path).map_err(|error| ReplayError::Unreadable { path: path.to_owned(), error })?.lines();
        let mut learned = Learned::from(lines).ok_or_else(|| not_understood(no_venue()))?;
        if matches!(&self.running, Some(Running { of: Source::Frames(frames), .. }) if frames.learned.is_of(&learned)) {
            return Ok(());
        }
        self.end_run();
        let (config, wishes) = (&mut learned.config, self.wishes);
        config.output.book = wishes.publish.unwrap_or(config.output.book);
        config.depth = wishes.depth.unwrap_or(config.depth);
        self.summary.runs.push(config.kind.as_str().to_owned());
        self.summary.unnumbered |= !learned.numbered;
        let symbols = learned.instruments.iter().map(|instrument| instrument.symbol.to_string()).collect();
        let rerun = Rerun::of(learned.config.clone(), learned.instruments.clone(), symbols).map_err(not_understood)?;
        let frames = Frames { learned, start: ns, snapshot: None, numbering: Numbering::default() };
        self.running = Some(Running { rerun, of: Source::Frames(Box::new(frames)), span: None });
        Ok(())
    }

    fn frame(&mut self, ns: u64, frame: &str) -> bool {
        let Some(Running { rerun, of: Source::Frames(frames), span }) = &mut self.running else { return false };
        let wall_ms = i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX);
        let now = Now::new(Duration::from_nanos(ns.saturating_sub(frames.start)), wall_ms);
        if frame.starts_with("{\"lastUpdateId\"") {
            frames.snapshot = Some(frame.to_owned());
        } else if frames.learned.numbered {
            rerun.frame(now, frame);
        } else {
            rerun.frame(now, &frames.numbering.put(frame));
        }
        if frames.snapshot.as_deref().is_some_and(|body| rerun.snapshot(now, body)) {
            frames.snapshot = None;
        }
        *span = Some((span.map_or(wall_ms, |(first, _)| first), wall_ms));
        true
    }

    fn write(&mut self) -> Result<(), ReplayError> {
        let Some(Running { rerun, .. }) = &mut self.running else { return Ok(()) };
        let records = rerun.take_records();
        self.out.write_all(&records).map_err(ReplayError::Output)
    }

    /// Adds up what the core that runs has brought.
    fn end_run(&mut self) {
        let Some(Running { rerun, span, .. }) = self.running.take() else { return };
        if let Some((first, last)) = span {
            self.summary.seconds += last.saturating_sub(first) as f64 / 1_000.0;
            self.summary.span = Some(self.summary.span.map_or((first, last), |all| (all.0.min(first), all.1.max(last))));
        }
        let Tally { records, events, trades_missing, unmatched, lost } = &rerun.tally;
        for (kind, count) in RecordKind::ALL.into_iter().zip(records).filter(|(_, count)| **count > 0) {
            *self.summary.records.entry(kind.as_str()).or_default() += count;
        }
        for ((word, reason), count) in events {
            *self.summary.events.entry(format!("{word} {reason}").trim_end().to_owned()).or_default() += count;
        }
        let stats = rerun.venue().stats();
        self.summary.trades_missing += trades_missing;
        self.summary.missing += unmatched + lost;
        self.summary.frames.0 += stats.malformed;
        self.summary.frames.1 += stats.unknown;
        self.summary.states.extend(rerun.states());
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

fn no_recording(line: &str) -> String {
    let shown: String = line.chars().take(SHOWN).collect();
    format!(
        "not a recording: it begins with `{shown}{}`, and a recording has lines of a capture of this collector (`{{\"at\":…}}`), or frames as `<receive ns> <frame>` or `<unix seconds>: <frame>`",
        if shown.len() < line.len() { "…" } else { "" }
    )
}

fn no_venue() -> String {
    format!("frames, but of none of the venues that are spoken: no book and no trade of Binance, OKX or Deribit in the first {} lines", learn::LOOK)
}
