//! What leaves of a symbol, and how often: `publish`, `delta`, `previews`, `large_trade`, `priority`, their `overrides`, and `fusion`.

use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Place, Text};
use marketdata::{FusionConfig, Output, Priority, Publication, RecordKind, RecordKinds};

use super::super::{units, written};
use super::Reader;

/// The keys that a venue and an override have in common.
pub(super) struct Written {
    publish: Option<Spanned<String>>,
    delta: Option<Spanned<String>>,
    previews: Option<Vec<Spanned<String>>>,
    large_trade: Option<Spanned<u64>>,
    priority: Option<Spanned<String>>,
}

const PRIORITIES: [Priority; 2] = [Priority::Low, Priority::Normal];
/// Between two publications.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(10), Duration::from_mins(1));

// === impl written::Venue, written::Override ===

impl written::Venue {
    pub(super) fn publication(&mut self) -> Written {
        Written {
            publish: self.publish.take(),
            delta: self.delta.take(),
            previews: self.previews.take(),
            large_trade: self.large_trade.take(),
            priority: self.priority.take(),
        }
    }
}

impl written::Override {
    fn publication(&mut self) -> Written {
        Written {
            publish: self.publish.take(),
            delta: self.delta.take(),
            previews: self.previews.take(),
            large_trade: self.large_trade.take(),
            priority: self.priority.take(),
        }
    }
}

// === impl Reader ===

impl Reader<'_> {
    /// What leaves of the venue's symbols, and of those that differ.
    pub(super) fn outputs(&mut self, symbols: &[String], venue: Written, overrides: Vec<written::Override>) -> (Output, Vec<(String, Output)>) {
        let output = self.output(venue, Output::DEFAULT);
        let mut differing: Vec<(String, Output)> = Vec::new();
        for mut entry in overrides {
            let written = entry.publication();
            let own = self.output(written, output);
            for symbol in &entry.symbols.value {
                if !symbols.contains(&symbol.value) {
                    let listed: Vec<&str> = symbols.iter().map(String::as_str).collect();
                    self.unknown(symbol, ("symbol of this venue", "此交易所的交易对"), &listed);
                } else if differing.iter().any(|(known, _)| *known == symbol.value) {
                    let message = Text::new(format!("symbol `{}` is overridden twice", symbol.value), format!("交易对 `{}` 重复覆盖", symbol.value));
                    self.error(place_of(symbol), Diagnostic::error("E504", message));
                } else {
                    differing.push((symbol.value.clone(), own));
                }
            }
        }
        (output, differing)
    }

    fn output(&mut self, written: Written, default: Output) -> Output {
        let book = written.publish.and_then(|text| self.pace(&text)).unwrap_or(default.book);
        let delta = match written.delta {
            None => default.delta,
            Some(text) if text.value == "off" => None,
            Some(text) => self.pace(&text),
        };
        let previews = match written.previews {
            None => default.previews,
            Some(words) => self.kinds(&words),
        };
        let large_trade = match written.large_trade {
            None => default.large_trade,
            Some(worth) => Some(worth.value).filter(|worth| *worth > 0),
        };
        let words = PRIORITIES.map(|priority| (priority.as_str(), priority));
        let priority = written.priority.and_then(|word| self.word(&word, ("priority", "优先级"), &words)).unwrap_or(default.priority);
        Output { book, delta, previews, large_trade, priority }
    }

    fn kinds(&mut self, words: &[Spanned<String>]) -> RecordKinds {
        let known = RecordKind::PREVIEWS.map(|kind| (kind.as_str(), kind));
        words.iter().filter_map(|word| self.word(word, ("preview", "预览数据"), &known)).fold(RecordKinds::NONE, RecordKinds::with)
    }

    fn pace(&mut self, written: &Spanned<String>) -> Option<Publication> {
        if written.value == "every" {
            return Some(Publication::EveryUpdate);
        }
        let interval = units::duration(&written.value).filter(|interval| (INTERVAL.0..=INTERVAL.1).contains(interval));
        if interval.is_none() {
            let message = Text::new(format!("`{}` is no publication interval", written.value), format!("`{}` 不是发布间隔", written.value));
            let expected = Text::new("`every` (each update) or a duration from `10ms` to `60s`", "`every`（每次更新）或 `10ms` 到 `60s` 的时长");
            self.error(place_of(written), Diagnostic::error("E501", message).expected(expected));
        }
        interval.map(Publication::Conflated)
    }

    pub(super) fn fusion(&mut self, written: written::Fusion) -> FusionConfig {
        let default = FusionConfig::DEFAULT;
        let limits = (Duration::from_secs(1), Duration::from_hours(24));
        let half_life = self.duration(written.half_life, default.half_life, limits);
        let warm_up = self.duration(written.warm_up, Duration::from_secs(default.warm_up.into()), limits);
        FusionConfig {
            ofi: self.weight(written.ofi, default.ofi),
            cvd: self.weight(written.cvd, default.cvd),
            half_life,
            warm_up: u32::try_from(warm_up.as_secs()).unwrap_or(u32::MAX),
        }
    }

    fn weight(&mut self, written: Option<Spanned<f64>>, default: f64) -> f64 {
        let Some(written) = written else { return default };
        let place: Place = place_of(&written);
        if !(-1_000.0..=1_000.0).contains(&written.value) {
            let message = Text::new(format!("weight {} is out of limits", written.value), format!("权重 {} 超出范围", written.value));
            self.error(place, Diagnostic::error("E502", message).expected(Text::new("-1000 to 1000", "-1000 到 1000")));
        }
        written.value
    }
}
