//! `pressure`: limits in pairs, and the times of the machine.

use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Place, Text};

use super::super::{PressureConfig, written};
use super::Reader;
use crate::pressure::Limits;

/// Less memory than this no collector runs in.
const LEAST_MEMORY: u64 = 1_000_000;

// === impl Reader ===

impl Reader<'_> {
    pub(super) fn pressure(&mut self, written: written::Pressure) -> PressureConfig {
        let default = PressureConfig::default();
        let hour = Duration::from_hours(1);
        let interval = self.duration(written.gc_interval, default.gc_interval.unwrap_or_default(), (Duration::ZERO, hour * 24));
        PressureConfig {
            memory: written.memory.map(|sizes| self.memory(sizes)),
            descriptors: written.descriptors.map(|counts| self.counts(&counts)),
            sockets: written.sockets.map(|counts| self.counts(&counts)),
            dwell: self.duration(written.dwell, default.dwell, (Duration::from_secs(1), hour)),
            gc_interval: (!interval.is_zero()).then_some(interval),
        }
    }

    fn memory(&mut self, written: Spanned<written::Sizes>) -> Limits {
        let place = place_of(&written);
        let soft = self.size(Some(written.value.soft), LEAST_MEMORY, LEAST_MEMORY);
        let hard = self.size(Some(written.value.hard), u64::MAX, LEAST_MEMORY);
        self.in_order(Limits { soft, hard }, place)
    }

    fn counts(&mut self, written: &Spanned<written::Counts>) -> Limits {
        let (soft, hard) = (written.value.soft.value, written.value.hard.value);
        self.in_order(Limits { soft: soft.into(), hard: hard.into() }, place_of(written))
    }

    fn in_order(&mut self, limits: Limits, place: Place) -> Limits {
        if limits.soft >= limits.hard {
            let message = Text::new(
                format!("`soft` ({}) is not below `hard` ({})", limits.soft, limits.hard),
                format!("`soft`（{}）不小于 `hard`（{}）", limits.soft, limits.hard),
            );
            let hint = Text::new(
                "over `soft` the collector becomes smaller step by step, over `hard` it does all it can",
                "超过 `soft` 逐级收缩，超过 `hard` 采取全部措施",
            );
            self.error(place, Diagnostic::error("E502", message).hint(hint));
        }
        limits
    }
}
