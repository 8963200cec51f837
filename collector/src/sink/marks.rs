//! How far each authoritative stream was taken, and how far it is secured: a small file written beside the data path, so that after a SIGKILL the next
//! start can name what was caught between the two.
//!
//! Owns: the file `marks` in the spool's directory. It is written without fsync: the kernel keeps it when the process is killed, and a loss of power is
//! not what it is for. Must not know: lanes, connections.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Digits of a number in a row.
const DIGITS: usize = 20;

/// The file, and what stands in it.
#[derive(Debug)]
pub(crate) struct Marks {
    file: File,
    rows: Vec<Row>,
    /// The whole of the file.
    text: Vec<u8>,
    /// Bytes of a subject in a row.
    width: usize,
    /// Rows that changed: from, to.
    changed: Option<(usize, usize)>,
}

/// Marks of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Row {
    /// Sequence and event time of the last record taken, and how many were.
    taken: (u64, i64, u64),
    /// Sequence of the last record secured, and how many were.
    secured: (u64, u64),
}

/// Records of a stream that the last run took and did not secure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caught {
    pub(crate) subject: String,
    /// They come after this sequence,
    pub(crate) after: u64,
    /// up to this one,
    pub(crate) through: u64,
    /// whose event time is this (unix ms).
    pub(crate) event_ts_ms: i64,
    /// How many they are.
    pub(crate) records: u64,
}

// === impl Marks ===

impl Marks {
    /// Reads what the last run left, and begins anew for these subjects.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(crate) fn open(path: &Path, subjects: &[&str]) -> io::Result<(Self, Vec<Caught>)> {
        let before = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let caught = before.lines().filter_map(caught_in).collect();
        let width = subjects.iter().map(|subject| subject.len()).max().unwrap_or(0);
        let mut text = Vec::new();
        for subject in subjects {
            text.extend(format!("{subject:<width$}").into_bytes());
            text.extend(std::iter::repeat_n(b' ', ROW_NUMBERS * (DIGITS + 1)));
            text.push(b'\n');
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        let mut marks = Self { file, rows: vec![Row::default(); subjects.len()], text, width, changed: None };
        for place in 0..subjects.len() {
            marks.render(place);
        }
        marks.write()?;
        Ok((marks, caught))
    }

    /// A record was taken.
    pub(crate) fn taken(&mut self, place: usize, sequence: u64, event_ts_ms: i64) {
        if let Some(row) = self.rows.get_mut(place) {
            row.taken = (sequence, event_ts_ms, row.taken.2 + 1);
            self.touch(place);
        }
    }

    /// A record was secured; they are in their order.
    pub(crate) fn secured(&mut self, place: usize, sequence: u64) {
        if let Some(row) = self.rows.get_mut(place) {
            row.secured = (sequence, row.secured.1 + 1);
            self.touch(place);
        }
    }

    fn touch(&mut self, place: usize) {
        let (from, to) = self.changed.unwrap_or((place, place));
        self.changed = Some((from.min(place), to.max(place)));
    }

    /// Brings the changes to the kernel.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        let Some((from, to)) = self.changed.take() else { return Ok(()) };
        for place in from..=to {
            self.render(place);
        }
        self.changed = None;
        let row = self.row_bytes();
        let part = self.text.get(from * row..(to + 1) * row).unwrap_or_default();
        self.file.write_all_at(part, (from * row) as u64)
    }

    fn row_bytes(&self) -> usize {
        self.width + ROW_NUMBERS * (DIGITS + 1) + 1
    }

    fn render(&mut self, place: usize) {
        let Some(row) = self.rows.get(place).copied() else { return };
        let negative = row.taken.1 < 0;
        let numbers = [row.taken.0, row.taken.1.unsigned_abs(), row.taken.2, row.secured.0, row.secured.1];
        let start = place * self.row_bytes() + self.width;
        for (nth, number) in numbers.into_iter().enumerate() {
            let from = start + nth * (DIGITS + 1) + 1;
            if let Some(field) = self.text.get_mut(from..from + DIGITS) {
                right_aligned(number, field, nth == 1 && negative);
            }
        }
        self.touch(place);
    }
}

/// Numbers of a row.
const ROW_NUMBERS: usize = 5;

fn right_aligned(mut number: u64, field: &mut [u8], negative: bool) {
    let mut sign = negative;
    let mut begun = false;
    for byte in field.iter_mut().rev() {
        *byte = if number > 0 || !begun {
            b'0' + (number % 10) as u8
        } else if std::mem::take(&mut sign) {
            b'-'
        } else {
            b' '
        };
        begun = true;
        number /= 10;
    }
}

/// What a row of the last run says was caught; `None` for nothing, or a row that is not whole.
fn caught_in(line: &str) -> Option<Caught> {
    let mut words = line.split_ascii_whitespace();
    let subject = words.next()?.to_owned();
    let (through, event_ts_ms, taken) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse::<u64>().ok()?);
    let (after, secured) = (words.next()?.parse().ok()?, words.next()?.parse::<u64>().ok()?);
    let records = taken.checked_sub(secured).filter(|records| *records > 0)?;
    Some(Caught { subject, after, through, event_ts_ms, records })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_and_not_secured_is_named_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks");
        let subjects = ["trade.binance.spot.BTC-USDT", "orderbook.okx.spot.A-B"];
        let (mut marks, caught) = Marks::open(&path, &subjects).unwrap();
        assert!(caught.is_empty());
        for sequence in 101..=105 {
            marks.taken(0, sequence, 1_700_000_000_000 + sequence as i64);
        }
        marks.taken(1, 9, -1);
        marks.secured(0, 101);
        marks.secured(0, 102);
        marks.secured(1, 9);
        marks.write().unwrap();
        // Not written any more: the process was killed.
        marks.taken(0, 106, 0);
        drop(marks);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().map(str::len).collect::<std::collections::BTreeSet<_>>().len(), 1, "{text}");
        let (marks, caught) = Marks::open(&path, &subjects[1..]).unwrap();
        let expected = Caught { subject: subjects[0].to_owned(), after: 102, through: 105, event_ts_ms: 1_700_000_000_105, records: 3 };
        assert_eq!(caught, [expected]);
        drop(marks);
        assert_eq!(Marks::open(&path, &subjects).unwrap().1, [], "told once");
    }

    #[test]
    fn a_file_of_another_make_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks");
        std::fs::write(&path, "what is this\n\ntrade.a 5 x 9 1 1\n").unwrap();
        assert_eq!(Marks::open(&path, &["a"]).unwrap().1, []);
    }
}
