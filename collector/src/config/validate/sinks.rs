//! `recorder`, and that there is one sink at least.

use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Text};

use super::super::{RecorderConfig, written};
use super::Reader;

/// Threads that pack and write, at least and at most.
const SAVE_CONCURRENCY: (u32, u32) = (1, 16);
/// The smallest room that still holds a few files.
const RECORDER_MIN: u64 = 1 << 20;

// === impl Reader ===

impl Reader<'_> {
    pub(super) fn recorder(&mut self, written: Option<written::Recorder>, other_sink: bool) -> Option<RecorderConfig> {
        let enabled = written.as_ref().map_or(!other_sink, |recorder| recorder.enabled.unwrap_or(true));
        let written = written.unwrap_or_default();
        let max_place = written.max_total.as_ref().map(place_of);
        let rotate_place = written.rotate.as_ref().map(place_of);
        let max_total = self.size(written.max_total, 256_000_000, RECORDER_MIN);
        let rotate = self.size(written.rotate, (max_total / 16).max(RECORDER_MIN / 4), RECORDER_MIN / 16);
        if rotate > max_total / 2
            && let Some(place) = rotate_place.or(max_place)
        {
            let message = Text::new("`rotate` is more than half of `max_total`", "`rotate` 超过 `max_total` 的一半");
            let hint = Text::new("the oldest file is removed as a whole: allow for several", "最旧的文件整个删除：请留出多个文件的空间");
            self.error(place, Diagnostic::error("E502", message).hint(hint));
        }
        if !enabled && !other_sink {
            let message = Text::new("neither NATS nor the recorder is on: records would go nowhere", "NATS 与记录器都未启用：数据无处可去");
            let hint = Text::new("set `nats.url`, or `recorder.enabled: true`", "请设置 `nats.url`，或 `recorder.enabled: true`");
            self.findings.push(Diagnostic::error("E505", message).in_file(self.file).hint(hint));
        }
        let dir = written.dir.map_or_else(|| "data/collector".into(), |dir| dir.value.into());
        let rotate_after = self.duration(written.rotate_after, Duration::from_hours(1), (Duration::from_mins(1), Duration::from_hours(24)));
        let flush = self.duration(written.flush, Duration::from_secs(5), (Duration::from_millis(10), Duration::from_mins(5)));
        let buffer = usize::try_from(self.size(written.buffer, 4 << 20, 256 << 10)).unwrap_or(usize::MAX);
        let save_concurrency = self.save_concurrency(written.save_concurrency);
        let queue = self.queue(written.queue);
        enabled.then_some(RecorderConfig { dir, max_total, rotate, rotate_after, flush, buffer, save_concurrency, queue })
    }

    fn save_concurrency(&mut self, written: Option<Spanned<u32>>) -> u32 {
        let place = written.as_ref().map(place_of);
        let mut threads = self.number(written, 2, SAVE_CONCURRENCY);
        if let Some((variable, value)) = self.environment.setting("recorder.save_concurrency") {
            match value.parse() {
                Ok(number) if (SAVE_CONCURRENCY.0..=SAVE_CONCURRENCY.1).contains(&number) => threads = number,
                _ => self.bad_variable(variable, value, &format!("{} to {}", SAVE_CONCURRENCY.0, SAVE_CONCURRENCY.1)),
            }
            self.overridden(variable, place);
        }
        threads
    }
}
