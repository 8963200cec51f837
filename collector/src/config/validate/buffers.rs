//! `buffers`: how much may wait in memory before it is sent at once, and before memory is relieved.

use std::time::Duration;

use diagnostics::yaml::place_of;
use diagnostics::{Diagnostic, Place, Text};
use marketdata::RecordKind;

use super::super::{Bounds, Buffers, written};
use super::Reader;

/// Records a mark may stand at.
const RECORDS: (u32, u32) = (1, 10_000_000);
/// The smallest mark in bytes.
const BYTES_LEAST: u64 = 16 << 10;

// === impl Reader ===

impl Reader<'_> {
    pub(super) fn buffers(&mut self, written: written::Buffers) -> Buffers {
        let default = Buffers::default();
        let written::Buffers { orderbook, trade, orderbook_delta, ofi, cvd, fusion, feature, event, bytes, preview_max_age, adapt } = written;
        let mut records = default.records;
        // In the order of `RecordKind::ALL`, as the array is.
        let kinds = RecordKind::ALL.into_iter().zip([orderbook, trade, orderbook_delta, ofi, cvd, fusion, feature, event]);
        for ((kind, written), bounds) in kinds.zip(&mut records) {
            *bounds = self.records(kind, written.unwrap_or_default());
        }
        let place = bytes.high.as_ref().or(bytes.emergency.as_ref()).map(place_of);
        let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let high = size(self.size(bytes.high, default.bytes.high as u64, BYTES_LEAST));
        let emergency = size(self.size(bytes.emergency, (default.bytes.emergency.max(high * 2)) as u64, BYTES_LEAST));
        let bytes = self.rising(Bounds { high, emergency }, place);
        let preview_max_age = self.duration(preview_max_age, default.preview_max_age, (Duration::from_secs(1), Duration::from_hours(24)));
        let off = adapt.as_ref().is_some_and(|adapt| adapt.value == "off");
        let adapt = adapt.filter(|_| !off).map(|adapt| {
            let ten = Duration::from_secs(10);
            self.duration(Some(adapt), ten, (Duration::from_secs(1), Duration::from_mins(10)))
        });
        Buffers { records, bytes, preview_max_age, adapt }
    }

    fn records(&mut self, kind: RecordKind, written: written::Marks) -> Bounds {
        let default = Buffers::default_of(kind);
        let place = written.high.as_ref().or(written.emergency.as_ref()).map(place_of);
        let number = |records: usize| u32::try_from(records).unwrap_or(u32::MAX);
        let written_high = written.high.is_some();
        let mut high = self.number(written.high, number(default.high), RECORDS);
        if let Some(found) = self.mark(kind, "HIGH", place) {
            high = found;
        }
        // As in the old collector: twice the high mark, unless it is given.
        let twice = if written_high || high != number(default.high) { high.saturating_mul(2) } else { number(default.emergency) };
        let mut emergency = self.number(written.emergency, twice, RECORDS);
        if let Some(found) = self.mark(kind, "EMERGENCY", place) {
            emergency = found;
        }
        self.rising(Bounds { high: high as usize, emergency: emergency as usize }, place)
    }

    /// What the environment says of a mark: a variable of the kind, or the one for all kinds.
    fn mark(&mut self, kind: RecordKind, which: &str, place: Option<Place>) -> Option<u32> {
        let (word, which) = (kind.as_str(), which.to_ascii_lowercase());
        let keys = [format!("buffers.{word}.{which}"), format!("buffers.*.{which}")];
        let (variable, value) = keys.iter().find_map(|key| self.environment.setting(key))?;
        let found = value.parse().ok().filter(|records| (RECORDS.0..=RECORDS.1).contains(records));
        if found.is_none() {
            self.bad_variable(variable, value, &format!("{} to {} (records)", RECORDS.0, RECORDS.1));
        }
        self.overridden(variable, place);
        found
    }

    fn rising(&mut self, bounds: Bounds, place: Option<Place>) -> Bounds {
        if bounds.emergency <= bounds.high {
            let message = Text::new(
                format!("the emergency mark {} is not above the high mark {}", bounds.emergency, bounds.high),
                format!("紧急水位 {} 不高于高水位 {}", bounds.emergency, bounds.high),
            );
            let mut found = Diagnostic::error("E502", message).in_file(self.file);
            found.place = place;
            self.findings.push(found);
        }
        bounds
    }
}
