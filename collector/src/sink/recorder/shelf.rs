//! What waits to be written: lines per stream, bounded per stream and in all. No I/O; the threads share it under one lock that is held for moments.
//!
//! A stream's lines leave in order, one chunk at a time, so a disk that is slow or refuses for one symbol holds up that symbol only.

use std::collections::VecDeque;
use std::time::Duration;

/// Bounds and patience.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of lines that may wait or be under way, in all.
    pub(super) bytes: usize,
    /// A chunk of this size is not grown further.
    pub(super) chunk: usize,
    /// Lines wait this long for others, so that packing is worth it.
    pub(super) flush: Duration,
}

/// Lines of one stream and one day.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) stream: usize,
    /// Days since 1970-01-01, UTC.
    pub(super) day: i64,
    pub(super) lines: Vec<u8>,
    pub(super) records: u64,
    since: Duration,
}

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// All that waits together has reached its bound.
    BufferFull,
    /// What waits of this stream has.
    StreamFull,
    /// The stream could not be written a moment ago.
    Unavailable,
}

/// The lines of all streams.
#[derive(Debug)]
pub(super) struct Shelf {
    limits: Limits,
    places: Vec<Place>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Place {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// A writer has a chunk of it.
    busy: bool,
    trouble: Trouble,
}

/// How writing a stream goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trouble {
    /// Nothing was written yet.
    #[default]
    Untried,
    None,
    /// The last attempts failed: how many, and when the next is due.
    Since(u32, Duration),
}

/// Waits after a failed write: first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

// === impl Refused ===

impl Refused {
    /// The word in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::BufferFull => "buffer_full",
            Self::StreamFull => "stream_full",
            Self::Unavailable => "unavailable",
        }
    }
}

// === impl Shelf ===

impl Shelf {
    pub(super) fn new(limits: Limits, streams: usize) -> Self {
        Self { limits, places: std::iter::repeat_with(Place::default).take(streams).collect(), bytes: 0 }
    }

    /// Takes a line (without its end).
    pub(super) fn put(&mut self, (stream, day): (usize, i64), now: Duration, line: &[u8]) -> Result<(), Refused> {
        let size = line.len() + 1;
        let Some(place) = self.places.get_mut(stream) else { return Err(Refused::Unavailable) };
        if matches!(place.trouble, Trouble::Since(_, until) if now < until) {
            return Err(Refused::Unavailable);
        }
        if self.bytes + size > self.limits.bytes {
            return Err(Refused::BufferFull);
        }
        if place.bytes + size > self.limits.bytes / 4 {
            return Err(Refused::StreamFull);
        }
        let grows = place.chunks.back().is_some_and(|chunk| chunk.day == day && chunk.lines.len() + size <= self.limits.chunk);
        if !grows {
            place.chunks.push_back(Chunk { stream, day, lines: Vec::new(), records: 0, since: now });
        }
        if let Some(chunk) = place.chunks.back_mut() {
            // In small steps: doubling would hold half of the memory for nothing.
            if chunk.lines.capacity() - chunk.lines.len() < size {
                chunk.lines.reserve_exact(size.max(self.limits.chunk / 8));
            }
            chunk.lines.extend_from_slice(line);
            chunk.lines.push(b'\n');
            chunk.records += 1;
        }
        place.bytes += size;
        self.bytes += size;
        Ok(())
    }

    /// The chunk that has waited longest of those that are due and whose stream nobody is writing; to be given back by [`done`](Self::done).
    /// At the `last` all are due.
    pub(super) fn take(&mut self, now: Duration, last: bool) -> Option<Chunk> {
        // Over half of the bound nothing waits for company any more.
        let at_once = last || self.bytes > self.limits.bytes / 2;
        let due = |place: &&mut Place| {
            let waits = matches!(place.trouble, Trouble::Since(_, until) if now < until) && !last;
            let whole = place.chunks.len() > 1;
            !place.busy
                && !waits
                && place
                    .chunks
                    .front()
                    .is_some_and(|chunk| at_once || whole || chunk.since + self.limits.flush <= now || chunk.lines.len() >= self.limits.chunk / 2)
        };
        let place = self.places.iter_mut().filter(due).min_by_key(|place| place.chunks.front().map(|chunk| chunk.since))?;
        place.busy = true;
        place.chunks.pop_front()
    }

    /// The stream's chunk of this size is written, or given up.
    pub(super) fn done(&mut self, stream: usize, now: Duration, (size, written): (usize, bool)) {
        self.bytes = self.bytes.saturating_sub(size);
        let Some(place) = self.places.get_mut(stream) else { return };
        place.busy = false;
        place.bytes = place.bytes.saturating_sub(size);
        place.trouble = match (written, place.trouble) {
            (true, _) => Trouble::None,
            (false, Trouble::Since(times, _)) => Trouble::Since(times.saturating_add(1), now + RETRY.1.min(RETRY.0 * (1 << times.min(5)))),
            (false, _) => Trouble::Since(1, now + RETRY.0),
        };
    }

    /// Bytes that wait or are under way.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Chunks that wait.
    pub(super) fn chunks(&self) -> usize {
        self.places.iter().map(|place| place.chunks.len()).sum()
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.places.iter().all(|place| !place.busy && place.chunks.is_empty())
    }

    /// Streams whose last write failed, and whether every stream that was tried is one of them.
    pub(super) fn troubled(&self) -> (usize, bool) {
        let tried = self.places.iter().filter(|place| place.trouble != Trouble::Untried);
        let (failing, well): (Vec<_>, Vec<_>) = tried.partition(|place| place.trouble != Trouble::None);
        (failing.len(), !failing.is_empty() && well.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes: 400, chunk: 80, flush: Duration::from_secs(5) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn take(shelf: &mut Shelf, now: u64) -> Option<(usize, i64, u64)> {
        shelf.take(at(now), false).map(|chunk| (chunk.stream, chunk.day, chunk.records))
    }

    #[test]
    fn lines_wait_for_company_and_leave_in_order_one_chunk_of_a_stream_at_a_time() {
        let mut shelf = Shelf::new(LIMITS, 2);
        shelf.put((0, 1), at(0), &[b'x'; 19]).unwrap();
        shelf.put((1, 1), at(1), &[b'x'; 19]).unwrap();
        assert_eq!(take(&mut shelf, 4), None);
        shelf.put((0, 2), at(4), &[b'x'; 9]).unwrap();
        assert_eq!(take(&mut shelf, 4), Some((0, 1, 1)), "a day is over");
        assert_eq!(take(&mut shelf, 30), Some((1, 1, 1)), "the other chunk of stream 0 waits for the one that is being written");
        assert_eq!(take(&mut shelf, 30), None);
        shelf.done(0, at(30), (20, true));
        assert_eq!(take(&mut shelf, 30), Some((0, 2, 1)));
        shelf.done(0, at(30), (10, true));
        shelf.done(1, at(30), (20, true));
        assert!(shelf.is_empty() && shelf.bytes() == 0);
    }

    #[test]
    fn a_stream_that_is_not_written_fills_only_its_share() {
        let mut shelf = Shelf::new(LIMITS, 3);
        for _ in 0..5 {
            shelf.put((0, 1), at(0), &[b'x'; 19]).unwrap();
        }
        assert_eq!(shelf.put((0, 1), at(0), &[b'x'; 19]), Err(Refused::StreamFull));
        for stream in [1, 2] {
            for _ in 0..5 {
                shelf.put((stream, 1), at(0), &[b'x'; 19]).unwrap();
            }
        }
        assert_eq!(shelf.bytes(), 300);
        let full = Limits { bytes: 20, ..LIMITS };
        assert_eq!(Shelf::new(full, 1).put((0, 1), at(0), &[b'x'; 30]), Err(Refused::BufferFull));
    }

    #[test]
    fn after_a_failure_a_stream_rests_longer_each_time_and_takes_nothing_meanwhile() {
        let mut shelf = Shelf::new(LIMITS, 2);
        let (mut now, mut waits) = (0, Vec::new());
        for _ in 0..7 {
            shelf.put((0, 1), at(now), b"x").unwrap();
            let chunk = shelf.take(at(now + 5), false).unwrap();
            shelf.done(0, at(now + 5), (chunk.lines.len(), false));
            assert_eq!(shelf.put((0, 1), at(now + 5), b"x"), Err(Refused::Unavailable));
            let until = (now + 5..now + 100).find(|second| shelf.put((0, 1), at(*second), b"").is_ok()).unwrap();
            shelf.take(at(until), true).unwrap();
            shelf.places[0].busy = false;
            shelf.bytes = 0;
            shelf.places[0].bytes = 0;
            waits.push(until - (now + 5));
            now = until;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(shelf.troubled(), (1, true));
        shelf.put((1, 1), at(now), b"x").unwrap();
        shelf.take(at(now + 5), false).unwrap();
        shelf.done(1, at(now + 5), (2, true));
        assert_eq!(shelf.troubled(), (1, false), "one stream's trouble is not all's");
    }
}
