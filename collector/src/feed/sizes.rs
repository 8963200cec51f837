//! The sizes of what one venue's loop holds, shown once a second.

use marketdata::venue::{MALFORMED_BYTES, MALFORMED_KEPT};
use marketdata::{InstrumentId, Level, Venue};

use crate::metrics::{Bound, Registry, Structure};

/// Handles of the structures of one venue.
pub(super) struct Sizes {
    books: Structure,
    sync_buffers: Structure,
    malformed: Structure,
    trades_held: Structure,
    fetches_waiting: Structure,
    jobs: Structure,
    scratch: Structure,
}

// === impl Sizes ===

impl Sizes {
    /// Registers them; the bounds are those that the core keeps.
    pub(super) fn new(venue: &Venue, registry: &Registry) -> Self {
        let (word, tuning, count) = (venue.config().kind.as_str(), &venue.config().tuning, venue.instruments().len());
        let register = |name: &str, bound| Structure::register(registry, &format!("{name}_{word}"), bound);
        Self {
            books: register("books", Bound::Entries(count * 2 * tuning.levels.most)),
            sync_buffers: register("sync_buffers", Bound::Entries(count * tuning.buffer.deltas)),
            malformed: register("malformed_kept", Bound::Bytes(MALFORMED_KEPT * MALFORMED_BYTES)),
            trades_held: register("trades_held", Bound::Open),
            fetches_waiting: register("fetches_waiting", Bound::Entries(count)),
            jobs: register("jobs", Bound::Open),
            scratch: register("scratch", Bound::Open),
        }
    }

    /// As they are now; `jobs` are connects, requests and closings under way, `scratch` the bytes of reused buffers.
    pub(super) fn show(&self, venue: &Venue, jobs: usize, scratch: usize) {
        let ids = (0_u16..).take(venue.instruments().len()).map(InstrumentId);
        let (levels, buffered) = ids
            .filter_map(|id| venue.status(id))
            .fold((0, 0), |(levels, buffered), status| (levels + status.levels.0 + status.levels.1, buffered + status.buffered));
        let stats = venue.stats();
        let malformed = venue.malformed();
        self.books.set(levels, levels * size_of::<Level>());
        self.sync_buffers.set(buffered, 0);
        self.malformed.set(malformed.len(), malformed.map(|kept| kept.text.len()).sum());
        self.trades_held.set(stats.trades_held, stats.trades_held * size_of::<marketdata::Trade>());
        self.fetches_waiting.set(stats.fetches_waiting, 0);
        self.jobs.set(jobs, 0);
        self.scratch.set(1, scratch);
    }
}
