//! The dead letter: files that say what memory had no room for, and why. `<kind>/<symbol>_<UTC>_<rows>.ndjson`; the first line is the reason, each further
//! one a record.
//!
//! Owns: the directory, its bound in bytes and age. Must not know: when something becomes one, or is sent after all.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Lines, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clock::Now;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Record;
use crate::config::DeadLetterConfig;
use crate::utc;

/// Files of one symbol, one size and one millisecond that find a name.
const SAME_MOMENT: i64 = 1_000;

/// The directory.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    config: DeadLetterConfig,
    /// Files, oldest first, with their sizes and the time they were written (unix ms).
    files: VecDeque<Letter>,
    /// Files removed by the bounds.
    removed: u64,
}

/// A file.
#[derive(Clone, Debug)]
struct Letter {
    path: PathBuf,
    bytes: u64,
    written_ms: i64,
}

/// Why records became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Memory was over its emergency mark.
    Emergency,
    /// The collector was stopping and NATS did not take them.
    Shutdown,
    /// The spool could not be written.
    SpoolFailed,
    /// The server will never take a message of this size.
    TooLarge,
}

/// The first line.
#[derive(Debug, Deserialize, Serialize)]
struct Head {
    reason: String,
    subject: String,
    kind: String,
    rows: usize,
    at: String,
    at_ms: i64,
}

/// A further line.
#[derive(Deserialize, Serialize)]
struct Row<'a> {
    sequence: u64,
    event_ts_ms: i64,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A dead letter, opened to be sent after all.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) subject: String,
    lines: Lines<BufReader<File>>,
}

// === impl Reason ===

impl Reason {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Emergency, Self::Shutdown, Self::SpoolFailed, Self::TooLarge];

    /// The word in the file, in metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Shutdown => "shutdown",
            Self::SpoolFailed => "spool_failed",
            Self::TooLarge => "too_large",
        }
    }
}

// === impl DeadLetters ===

impl DeadLetters {
    /// Looks at what is there. A directory that cannot be read counts as empty: it is made when it is needed.
    pub(crate) fn open(config: &DeadLetterConfig) -> Self {
        let mut files: Vec<Letter> = Vec::new();
        for kind in entries(&config.dir) {
            for path in entries(&kind) {
                let Ok(meta) = fs::metadata(&path) else { continue };
                if path.extension().is_some_and(|ending| ending == "tmp") {
                    // Begun by a run that was killed: its name would have come with its last line.
                    fs::remove_file(&path).ok();
                } else if path.extension().is_some_and(|ending| ending == "ndjson") {
                    let written = meta.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
                    files.push(Letter { path, bytes: meta.len(), written_ms: i64::try_from(written.as_millis()).unwrap_or(0) });
                }
            }
        }
        files.sort_by(|a, b| (a.written_ms, &a.path).cmp(&(b.written_ms, &b.path)));
        Self { config: config.clone(), files: files.into(), removed: 0 }
    }

    /// Files.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|letter| letter.bytes).sum()
    }

    /// Files the bounds have removed since the start.
    pub(crate) fn removed(&self) -> u64 {
        self.removed
    }

    /// Writes records of one stream as a file and returns when it is on the disk; its path.
    ///
    /// # Errors
    /// The system's: nothing is kept of them.
    pub(crate) fn put(&mut self, records: &[Record], subject: &str, reason: Reason, now: Now) -> io::Result<PathBuf> {
        let kind = records.first().map_or("unknown", |record| record.kind.as_str());
        let symbol = subject.splitn(4, '.').last().unwrap_or("unknown");
        // Symbols need not be fit for a file's name.
        let symbol: String = symbol.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let dir = self.config.dir.join(kind);
        fs::create_dir_all(&dir)?;
        let place = |stamp_ms: i64| dir.join(format!("{symbol}_{}_{}.ndjson", utc::stamp(stamp_ms), records.len()));
        let path =
            (now.wall_ms..now.wall_ms.saturating_add(SAME_MOMENT)).map(place).find(|path| !path.exists()).ok_or(io::ErrorKind::AlreadyExists)?;
        let head = Head {
            reason: reason.as_str().to_owned(),
            subject: subject.to_owned(),
            kind: kind.to_owned(),
            rows: records.len(),
            at: utc::rfc3339(now.wall_ms),
            at_ms: now.wall_ms,
        };
        let beside = path.with_extension("tmp");
        let bytes = write(&beside, &head, records).and_then(|bytes| fs::rename(&beside, &path).map(|()| bytes));
        if bytes.is_err() {
            // The error is what counts; what is left over goes at the next start.
            fs::remove_file(&beside).ok();
        }
        self.files.push_back(Letter { path: path.clone(), bytes: bytes?, written_ms: now.wall_ms });
        self.keep_bounds(now);
        Ok(path)
    }

    /// Removes the oldest files that are over the bounds.
    pub(crate) fn keep_bounds(&mut self, now: Now) {
        let oldest_ms = now.wall_ms.saturating_sub(i64::try_from(self.config.max_age.as_millis()).unwrap_or(i64::MAX));
        let mut bytes = self.bytes();
        while let Some(letter) = self.files.pop_front_if(|letter| bytes > self.config.max_total || letter.written_ms < oldest_ms) {
            bytes = bytes.saturating_sub(letter.bytes);
            self.removed += 1;
            let gone = fs::remove_file(&letter.path).is_ok();
            tracing::warn!(event = "dead_letter_removed", file = %letter.path.display(), gone, "the oldest dead letter goes: over the bound in bytes or age");
        }
    }

    /// The oldest file of a wanted subject whose records may be sent after all, opened.
    pub(crate) fn oldest(&self, wanted: impl Fn(&str) -> bool) -> Option<Opened> {
        self.files.iter().find_map(|letter| read(&letter.path, &wanted).ok().flatten())
    }

    /// The records of a file were sent: it goes.
    pub(crate) fn done(&mut self, path: &Path) {
        self.files.retain(|letter| letter.path != path);
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!(event = "dead_letter_stays", file = %path.display(), "a dead letter that was sent cannot be removed: {error}");
        }
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn write(path: &Path, head: &Head, records: &[Record]) -> io::Result<u64> {
    let file = File::create(path)?;
    let mut out = BufWriter::new(&file);
    serde_json::to_writer(&mut out, head)?;
    out.write_all(b"\n")?;
    for record in records {
        // Written as it stands: the payload is one line of JSON already.
        write!(out, "{{\"sequence\":{},\"event_ts_ms\":{},\"data\":", record.sequence, record.event_ts_ms)?;
        out.write_all(&record.payload)?;
        out.write_all(b"}\n")?;
    }
    out.flush()?;
    drop(out);
    file.sync_data()?;
    Ok(file.metadata()?.len())
}

/// Opens a dead letter; `None` for one that may not be sent.
fn read(path: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Option<Opened>> {
    let mut lines = BufReader::new(File::open(path)?).lines();
    let Some(head) = lines.next().transpose()?.and_then(|line| serde_json::from_str::<Head>(&line).ok()) else { return Ok(None) };
    if head.reason == Reason::TooLarge.as_str() || !wanted(&head.subject) {
        return Ok(None);
    }
    Ok(Some(Opened { path: path.to_owned(), subject: head.subject, lines }))
}

// === impl Opened ===

/// Sequence, event time, body of each record; what is damaged is passed over.
impl Iterator for Opened {
    type Item = (u64, i64, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| {
            let row: Row<'_> = serde_json::from_str(&line).ok()?;
            Some((row.sequence, row.event_ts_ms, Bytes::copy_from_slice(row.data.get().as_bytes())))
        })
    }
}

/// For how long everything must be calm before dead letters are sent.
pub(crate) const CALM: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use marketdata::RecordKind;

    use super::*;

    fn records(rows: u64) -> Vec<Record> {
        let record = |sequence| Record {
            stream: 0,
            kind: RecordKind::Ofi,
            sequence,
            event_ts_ms: 9,
            payload: Bytes::from(format!("{{\"n\":{sequence}}}")),
            offered: Duration::ZERO,
        };
        (1..=rows).map(record).collect()
    }

    fn letters(dir: &Path, max_total: u64) -> DeadLetters {
        DeadLetters::open(&DeadLetterConfig { dir: dir.to_owned(), max_total, max_age: Duration::from_secs(1_000) })
    }

    fn now(ms: i64) -> Now {
        Now::new(Duration::ZERO, 1_700_000_000_000 + ms)
    }

    #[test]
    fn a_file_says_why_and_its_records_come_back_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut all = letters(dir.path(), 1 << 20);
        let path = all.put(&records(2), "ofi.binance.spot.BTC-USDT", Reason::Emergency, now(0)).unwrap();
        assert_eq!(path, dir.path().join("ofi/BTC-USDT_20231114T221320.000Z_2.ndjson"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\"reason\":\"emergency\",\"subject\":\"ofi.binance.spot.BTC-USDT\""), "{text}");
        assert_eq!(text.lines().nth(2), Some("{\"sequence\":2,\"event_ts_ms\":9,\"data\":{\"n\":2}}"));
        let again = all.put(&records(2), "ofi.binance.spot.BTC-USDT", Reason::Shutdown, now(0)).unwrap();
        assert_ne!(again, path, "two of one moment are two files");
        all.put(&records(1), "ofi.x.spot.BTC/../USDT", Reason::TooLarge, now(1)).unwrap();
        fs::write(dir.path().join("ofi/half.tmp"), "x").unwrap();
        let mut all = letters(dir.path(), 1 << 20);
        assert_eq!((all.len(), dir.path().join("ofi/half.tmp").exists()), (3, false));
        let mut opened = all.oldest(|_| true).unwrap();
        let rows: Vec<_> = opened.by_ref().collect();
        assert_eq!((opened.subject.as_str(), rows.len(), &rows[1]), ("ofi.binance.spot.BTC-USDT", 2, &(2, 9, Bytes::from_static(b"{\"n\":2}"))));
        all.done(&opened.path);
        all.done(&all.oldest(|_| true).unwrap().path);
        assert!(all.oldest(|_| true).is_none(), "what is too large is kept for people only");
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn the_directory_is_bounded_in_bytes_and_age() {
        let dir = tempfile::tempdir().unwrap();
        let mut all = letters(dir.path(), 2_000);
        for ms in 0..20 {
            all.put(&records(10), "ofi.a.b.C", Reason::Emergency, now(ms)).unwrap();
            assert!(all.bytes() <= 2_000);
        }
        assert_eq!(all.removed() + all.len() as u64, 20);
        all.keep_bounds(now(2_000_000));
        assert_eq!((all.len(), fs::read_dir(dir.path().join("ofi")).unwrap().count()), (0, 0));
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ofi"), "a file stands in the way").unwrap();
        let mut all = letters(dir.path(), 2_000);
        assert!(all.put(&records(1), "ofi.a.b.C", Reason::Emergency, now(0)).is_err());
        assert_eq!(all.len(), 0);
    }
}
