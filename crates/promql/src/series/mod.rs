//! Series in memory: compressed chunks, a label index, ceilings, and what a scrape needs to find its series again.
//!
//! Owns: which samples are taken (Prometheus's order rules), how long they stay, what is refused over a ceiling, selection by matchers.
//! Must not know: targets, rules, files, clocks (times come with the samples and with [`Store::maintain`]).
//!
//! ```
//! use promql::labels::{Labels, MatchOp, Matcher};
//! use promql::series::{Ceilings, Store};
//! use promql::{Queryable, Sample};
//!
//! let mut store = Store::new(Ceilings::default());
//! let up = store.series(&Labels::from_pairs([("__name__", "up"), ("job", "collector")]))?;
//! store.append(up, Sample { t_ms: 1_000, v: 1.0 })?;
//! let found = store.select(&[Matcher::new("__name__", MatchOp::Equal, "up", None)], 0, 5_000)?;
//! assert_eq!(found[0].samples, [Sample { t_ms: 1_000, v: 1.0 }]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
mod bits;
mod chunk;
mod held;
mod index;
mod order;
mod outcome;
mod record;
mod scrape_cache;
mod selection;
mod store;
mod window;

#[cfg(test)]
mod tests;

pub use chunk::{Chunk, Samples};
pub use outcome::{AppendError, Appended, Ceilings, Counters, Reach, SeriesRefused, Stats, Swept};
pub use record::{RestoreError, decode_chunks, encode_chunks};
pub use scrape_cache::{Kept, Known, ScrapeCache, StampedBy, Vanished};
pub use selection::{Held, Snapshot};
pub use store::{SeriesId, Store};
pub use window::Window;
