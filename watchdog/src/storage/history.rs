//! The blocks on disk as readers see them: series by matchers and time, read when they are asked for. Must not know: who writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use promql::Sample;
use promql::labels::{Labels, Matcher};
use promql::series::{Chunk, decode_chunks};
use segments::{Block, BlockEntry, BlockIndex};

/// How often a read begins anew because a file went away under it: joined with others, or past its retention.
const ATTEMPTS: usize = 4;

/// What is on disk. Times are the store's steady ones.
#[derive(Debug, Default)]
pub struct History {
    pub(super) blocks: ArcSwap<Vec<Arc<Block>>>,
    /// Numbers of blocks that a reader found damaged.
    pub(super) damaged: Mutex<BTreeSet<u64>>,
}

/// What a reader asks for.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it holds a closure of its asker, and lives for one call")]
pub struct Asked<'a> {
    /// All of these match.
    pub matchers: &'a [Matcher],
    /// Samples after this.
    pub start_ms: i64,
    /// Samples up to this.
    pub end_ms: i64,
    /// The most samples.
    pub samples: usize,
    /// Whether the answer is no longer wanted.
    pub given_up: &'a dyn Fn() -> bool,
}

/// Chunks brought back from the disk.
#[derive(Debug, Default)]
pub struct Recalled {
    /// By series, oldest first.
    pub series: Vec<(Labels, Vec<Chunk>)>,
    /// Up to here something may be missing, because it was too much, or could not be read.
    pub missing_until_ms: Option<i64>,
}

/// Why a read stopped.
enum Stop {
    /// The file is gone: begin anew.
    Gone,
    /// For the asker.
    Told(String),
}

// === impl History ===

impl History {
    /// The samples of every series that matches, each ascending.
    ///
    /// # Errors
    /// A text for the user: too many samples, time is up, a file cannot be read.
    pub fn select(&self, asked: Asked<'_>) -> Result<BTreeMap<Labels, Vec<Sample>>, String> {
        self.each_block(asked, |block, found: &mut (usize, BTreeMap<Labels, Vec<Sample>>)| {
            let index = self.index(block)?;
            for (labels, entry) in matching(&index, asked) {
                let samples = found.1.entry(labels).or_default();
                let newest_ms = samples.last().map_or(asked.start_ms, |sample| sample.t_ms);
                for chunk in self.chunks(block, &index, &entry, asked)? {
                    // What two files have is counted once.
                    let wanted = chunk.samples().filter(|sample| sample.t_ms > newest_ms && sample.t_ms <= asked.end_ms);
                    let before = samples.len();
                    samples.extend(wanted);
                    found.0 += samples.len() - before;
                }
                if found.0 > asked.samples {
                    return Err(Stop::Told(format!("the selection has more than {} samples", asked.samples)));
                }
            }
            Ok(())
        })
        .map(|(_, mut found)| {
            found.retain(|_, samples| !samples.is_empty());
            found
        })
    }

    /// The labels of the series that match and have samples about there.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    pub fn labels(&self, asked: Asked<'_>) -> Result<BTreeSet<Labels>, String> {
        self.each_block(asked, |block, found: &mut BTreeSet<Labels>| {
            let index = self.index(block)?;
            found.extend(matching(&index, asked).map(|(labels, _)| labels));
            Ok(())
        })
    }

    fn each_block<T: Default>(&self, asked: Asked<'_>, mut visit: impl FnMut(&Block, &mut T) -> Result<(), Stop>) -> Result<T, String> {
        for _ in 0..ATTEMPTS {
            let mut found = T::default();
            let blocks = self.blocks.load_full();
            let within = |block: &&Arc<Block>| block.meta().span.to > asked.start_ms && block.meta().span.from <= asked.end_ms;
            let visited = blocks.iter().filter(within).try_for_each(|block| {
                if (asked.given_up)() {
                    return Err(Stop::Told("query timed out".to_owned()));
                }
                visit(block, &mut found)
            });
            match visited {
                Ok(()) => return Ok(found),
                Err(Stop::Told(text)) => return Err(text),
                Err(Stop::Gone) => {}
            }
        }
        Err("the files of the store change too fast; ask again".to_owned())
    }

    fn index(&self, block: &Block) -> Result<BlockIndex, Stop> {
        block.index().map_err(|error| self.stop(block, &error))
    }

    fn chunks(&self, block: &Block, index: &BlockIndex, entry: &BlockEntry<'_>, asked: Asked<'_>) -> Result<Vec<Chunk>, Stop> {
        let body = index.body(entry).map_err(|error| self.stop(block, &error))?;
        let damaged = || self.stop(block, &io::Error::from(io::ErrorKind::InvalidData));
        decode_chunks(&body, asked.start_ms, asked.end_ms).ok_or_else(damaged)
    }

    /// What an error means for the read; damage is noted for whoever repairs.
    fn stop(&self, block: &Block, error: &io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::NotFound => Stop::Gone,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(block.meta().number);
                Stop::Told(format!("{} is damaged and will be set aside; ask again", block.path().display()))
            }
            _ => Stop::Told(format!("{}: {error}", block.path().display())),
        }
    }

    /// The chunks that a store wants back: of each series those not older than `keep_ms` says, before the oldest sample that `held_from` says is there.
    /// Newest first until `budget` bytes are full.
    pub(super) fn recall(&self, newest_ms: i64, longest_ms: i64, budget: usize, wants: impl Fn(&Labels) -> (i64, Option<i64>)) -> Recalled {
        let mut bytes = 0;
        let mut gathered: BTreeMap<Labels, Vec<Vec<Chunk>>> = BTreeMap::new();
        let mut missing_until_ms = None;
        let start_ms = newest_ms.saturating_sub(longest_ms);
        let all = Asked { matchers: &[], start_ms, end_ms: i64::MAX, samples: usize::MAX, given_up: &|| false };
        for block in self.blocks.load_full().iter().rev().filter(|block| block.meta().span.to > start_ms) {
            let read = (|| {
                let index = self.index(block)?;
                for (labels, entry) in matching(&index, all) {
                    let (keep_ms, held_from_ms) = wants(&labels);
                    let from_ms = newest_ms.saturating_sub(keep_ms);
                    let end_ms = held_from_ms.map_or(i64::MAX, |held_from_ms| held_from_ms.saturating_sub(1));
                    if entry.span.to <= from_ms || entry.span.from > end_ms {
                        continue;
                    }
                    let mut chunks = self.chunks(block, &index, &entry, Asked { start_ms: from_ms, end_ms, ..all })?;
                    chunks.retain(|chunk| chunk.end_ms() <= end_ms);
                    bytes += chunks.iter().map(|chunk| chunk.len() * 2 + 64).sum::<usize>();
                    gathered.entry(labels).or_default().push(chunks);
                }
                Ok(())
            })();
            if let Err(Stop::Told(why)) = &read {
                tracing::error!(why, "history that rules look back on is not read");
            }
            if read.is_err() || bytes > budget {
                missing_until_ms = Some(block.meta().span.from);
                break;
            }
        }
        let oldest_first = |(labels, parts): (Labels, Vec<Vec<Chunk>>)| (labels, parts.into_iter().rev().flatten().collect());
        Recalled { series: gathered.into_iter().map(oldest_first).collect(), missing_until_ms }
    }
}

/// The entries that match and overlap.
fn matching<'a>(index: &'a BlockIndex, asked: Asked<'a>) -> impl Iterator<Item = (Labels, BlockEntry<'a>)> {
    let within = move |entry: &BlockEntry<'_>| entry.span.to > asked.start_ms && entry.span.from <= asked.end_ms;
    index.entries().filter(within).filter_map(move |entry| {
        let labels = Labels::from_packed(std::str::from_utf8(entry.key).ok()?)?;
        let matches = asked.matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")));
        matches.then_some((labels, entry))
    })
}
