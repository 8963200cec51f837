//! Instruments that come and go: the venue's list is read again now and then, and after a refused subscription.
//!
//! Owns: when the list is read, what has to be missing twice before it counts as gone, when the series of what is gone are swept. Must not know: how a
//! list is fetched or read, what a subscription is.

use std::collections::BTreeSet;
use std::time::Duration;

use clock::Now;
use futures_util::FutureExt;
use marketdata::{Instrument, InstrumentId};

use super::listing::{self, Found, Trouble};
use super::venue_loop::{Done, VenueLoop};
use crate::config::ListingConfig;

/// After a refused subscription the list is read soon, though not more often than [`LEAST`].
const SOON: Duration = Duration::from_secs(5);
/// What is missing is looked for again after this, if the next reading is not sooner; also the wait after a reading that failed.
const LEAST: Duration = Duration::from_mins(1);

/// What is known of the venue's instruments beyond the core's.
#[derive(Debug)]
pub(super) struct Members {
    config: ListingConfig,
    next_listing_at: Duration,
    last_listing: Duration,
    under_way: bool,
    next_sweep_at: Duration,
    /// Missing in the last reading; gone if they are missing in the next.
    missing: BTreeSet<InstrumentId>,
    /// Gone, with series on the page.
    to_sweep: BTreeSet<InstrumentId>,
    /// Symbols that have been told to be unknown; told once.
    told: BTreeSet<String>,
}

// === impl Members ===

impl Members {
    /// After the first reading, at `now`.
    pub(super) fn after(listing: ListingConfig, found: &Found, now: Duration) -> Self {
        Self {
            config: listing,
            next_listing_at: now.saturating_add(listing.interval),
            last_listing: now,
            under_way: false,
            next_sweep_at: now.saturating_add(listing.cleanup_interval),
            missing: BTreeSet::new(),
            to_sweep: BTreeSet::new(),
            told: found.unknown.iter().map(|unknown| unknown.symbol.clone()).collect(),
        }
    }

    /// A subscription was refused: perhaps the instrument is no more.
    pub(super) fn refused(&mut self, now: Duration) {
        let at = now.saturating_add(SOON).max(self.last_listing.saturating_add(LEAST));
        self.next_listing_at = self.next_listing_at.min(at);
    }

    fn is_due(&self, now: Duration) -> bool {
        !self.under_way && now >= self.next_listing_at
    }

    fn answered(&mut self, now: Duration, wait: Duration) {
        self.under_way = false;
        self.last_listing = now;
        self.next_listing_at = now.saturating_add(wait.min(self.config.interval));
    }
}

// === impl VenueLoop ===

impl VenueLoop {
    /// Begins to read the list when it is due, and sweeps when that is.
    pub(super) fn look_at_members(&mut self, now: Now) {
        let kind = self.venue.config().kind;
        if self.members.is_due(now.mono) && now.mono >= self.shared.allowances.asks_from(kind, &self.venue.config().rest_url) {
            self.members.under_way = true;
            let shared = self.shared.clone();
            let (url, symbols) = (self.venue.config().rest_url.clone(), self.config.symbols.clone());
            let reading = async move { listing::fetch(&shared, (kind, &url), &symbols).await };
            self.jobs.push(reading.map(|outcome| Done::Listed(Box::new(outcome))).boxed_local());
        }
        if now.mono >= self.members.next_sweep_at {
            self.members.next_sweep_at = now.mono.saturating_add(self.members.config.cleanup_interval);
            self.sweep();
        }
    }

    /// The list was read, or not.
    pub(super) fn listed(&mut self, outcome: Result<Found, Trouble>) {
        let now = self.now();
        let venue = self.venue.config().kind.as_str();
        match outcome {
            Ok(found) if found.instruments.is_empty() => {
                // A list that knows none of what was traded an hour ago is no list to believe.
                tracing::warn!(venue, "instrument list: none of the symbols is in it; it is passed over");
                self.members.answered(now.mono, LEAST);
            }
            Ok(found) => self.compare(now, found),
            Err((trouble, _, retry_after)) => {
                tracing::warn!(venue, "{trouble}");
                self.members.answered(now.mono, retry_after.unwrap_or(LEAST));
            }
        }
    }

    fn compare(&mut self, now: Now, found: Found) {
        let listed: BTreeSet<&str> = found.instruments.iter().map(|instrument| &*instrument.symbol).collect();
        let here = (0..u16::try_from(self.venue.instruments().len()).unwrap_or(u16::MAX)).map(InstrumentId);
        let of = |id: InstrumentId| self.venue.instrument(id).filter(|_| self.venue.is_collected(id));
        let missing: BTreeSet<InstrumentId> = here.filter(|id| of(*id).is_some_and(|instrument| !listed.contains(&*instrument.symbol))).collect();
        let gone: Vec<InstrumentId> = missing.intersection(&self.members.missing).copied().collect();
        self.members.missing = missing;
        for id in gone {
            self.members.missing.remove(&id);
            self.retire(now, id, "delisted");
            self.members.to_sweep.insert(id);
        }
        for unknown in &found.unknown {
            if self.members.told.insert(unknown.symbol.clone()) {
                unknown.tell(self.venue.config().kind, &self.shared);
            }
        }
        for instrument in found.instruments {
            self.welcome(now, instrument);
        }
        let wait = if self.members.missing.is_empty() { self.members.config.interval } else { LEAST };
        self.members.answered(now.mono, wait);
    }

    /// An instrument that is listed: collected from now on, or anew when what the list says of its numbers has changed.
    fn welcome(&mut self, now: Now, instrument: Instrument) {
        let known = self.venue.instruments().iter().position(|known| known.raw == instrument.raw);
        let id = known.and_then(|place| u16::try_from(place).ok()).map(InstrumentId);
        if let Some(id) = id.filter(|id| self.venue.is_collected(*id)) {
            if self.venue.instrument(id) == Some(&instrument) {
                return;
            }
            self.retire(now, id, "relisted");
        }
        let (venue, symbol) = (self.venue.config().kind.as_str(), instrument.symbol.clone());
        self.members.told.remove(&*symbol);
        if let Some(capture) = &mut self.capture {
            capture.adopt(now, &instrument, self.venue.config());
        }
        let mut effects = std::mem::take(&mut self.effects);
        match self.venue.adopt(now, instrument, &mut effects) {
            Ok(id) => {
                tracing::info!(venue, symbol = &*symbol, event = "listed", "{symbol} is listed and collected from now on");
                self.members.to_sweep.remove(&id);
                self.outlets.put(id, &self.config, &symbol);
            }
            Err(error) => tracing::error!(venue, symbol = &*symbol, "cannot be collected: {error}"),
        }
        self.carry_out_all(now, effects);
    }

    fn retire(&mut self, now: Now, id: InstrumentId, event: &'static str) {
        let Some(symbol) = self.venue.instrument(id).map(|instrument| instrument.symbol.clone()) else { return };
        tracing::warn!(venue = self.venue.config().kind.as_str(), symbol = &*symbol, event, "{symbol}: {event}; it is unsubscribed");
        if let Some(capture) = &mut self.capture {
            capture.retire(now, id);
        }
        let mut effects = std::mem::take(&mut self.effects);
        self.venue.retire(now, id, &mut effects);
        self.carry_out_all(now, effects);
        self.outlets.retired(id);
    }

    /// Series of instruments that are gone leave the page.
    fn sweep(&mut self) {
        for id in std::mem::take(&mut self.members.to_sweep) {
            let Some(instrument) = self.venue.instrument(id).cloned() else { continue };
            let series = self.outlets.sweep(id, &instrument);
            tracing::info!(
                venue = self.venue.config().kind.as_str(),
                symbol = &*instrument.symbol,
                series,
                "the series of a delisted instrument are gone"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_brings_the_next_reading_near_but_not_again_and_again() {
        let at = Duration::from_secs;
        let config = ListingConfig { interval: at(3_600), cleanup_interval: at(1_800) };
        let found = Found { instruments: Vec::new(), unknown: Vec::new() };
        let mut members = Members::after(config, &found, at(100));
        assert!(!members.is_due(at(3_699)) && members.is_due(at(3_700)));
        members.refused(at(110));
        assert!(!members.is_due(at(159)) && members.is_due(at(160)), "not within a minute of the last reading");
        members.under_way = true;
        assert!(!members.is_due(at(200)), "one at a time");
        members.answered(at(200), at(3_600));
        members.refused(at(1_000));
        assert!(!members.is_due(at(1_004)) && members.is_due(at(1_005)), "soon");
    }
}
