//! The watchdog observes itself: what its own `/metrics` exports becomes series of the job `watchdog`, so the same rules work here and in a real Prometheus.
//!
//! Owns: our own process figures, the observation, jumps of the wall clock as a named event. Must not know: who reads it.

use std::sync::Arc;
use std::time::Duration;

use process::limits::Limit;
use promql::exposition::{Entry, Format, Limits, parse};
use promql::labels::Labels;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::inspect::{host, look_at};
use crate::metrics::{Registry, list};
use crate::observe::{Sink, Source, named};

/// Between two readings of both clocks.
const CLOCKS_EVERY: Duration = Duration::from_secs(1);

/// Observes every `interval` until `stop`; `instance` is our listen address.
pub async fn run(interval: Duration, instance: String, around: (Arc<dyn Clock>, Arc<Registry>, Sink), stop: CancellationToken) {
    let (clock, metrics, sink) = around;
    let labels = Labels::from_pairs([("job", "watchdog"), ("instance", instance.as_str())]);
    let mut source = Source::default();
    let mut look = tokio::time::interval(interval);
    let mut clocks = tokio::time::interval(CLOCKS_EVERY);
    let mut last = clock.now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = clocks.tick() => {
                let now = clock.now();
                if let Some(step_ms) = now.wall_jump_since(last) {
                    tracing::warn!(step_ms, "the wall clock jumped; waits are not affected, times in messages are");
                    metrics.add(&list::CLOCK_JUMPS, &[], 1.0);
                    metrics.set(&list::CLOCK_JUMP_SECONDS, &[], step_ms as f64 / 1000.0);
                }
                last = now;
            }
            _ = look.tick() => {
                measure(&metrics);
                sink.send(source.observe(clock.now().wall_ms, samples(&metrics.render(), &labels)));
            }
        }
    }
}

/// Our own process, under the names that every Prometheus client uses.
pub fn measure(metrics: &Registry) {
    let look = look_at(std::process::id());
    let Ok(host) = host::read() else { return };
    if let Some(stat) = &look.stat {
        let ticks = host.ticks_per_second.max(1) as f64;
        metrics.set(&list::PROCESS_CPU, &[], (stat.utime + stat.stime) as f64 / ticks);
        metrics.set(&list::PROCESS_VIRTUAL, &[], stat.vsize_bytes as f64);
        metrics.set(&list::PROCESS_START, &[], host.boot_time_s as f64 + stat.start_ticks as f64 / ticks);
    }
    if let Some(rss) = look.status.and_then(|status| status.rss_bytes) {
        metrics.set(&list::PROCESS_RSS, &[], rss as f64);
    }
    if let Some(open) = look.open_fds {
        metrics.set(&list::PROCESS_FDS, &[], open as f64);
    }
    if let Some(Limit::At(most)) = look.max_fds {
        metrics.set(&list::PROCESS_MAX_FDS, &[], most as f64);
    }
}

/// The page as samples, as a scrape of it would give them.
fn samples(page: &str, labels: &Labels) -> Vec<(Labels, f64, Option<i64>)> {
    let limits = Limits::default();
    let entries = parse(page.as_bytes(), Format::Text, &limits).into_iter().flatten();
    let read = entries.filter_map(|entry| match entry {
        Ok(Entry::Sample(sample)) => Some((sample.to_labels(), sample.value)),
        _ => None,
    });
    let own = |series: Labels| labels.iter().fold(series, |series, (name, value)| series.with(name, value));
    let mut out: Vec<_> = read.map(|(series, value)| (own(series), value, None)).collect();
    out.push((named("up", labels), 1.0, None));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_observed_with_what_our_page_exports() {
        let metrics = Registry::default();
        measure(&metrics);
        metrics.flag(&list::RELOAD_SUCCESSFUL, &[], true);
        let labels = Labels::from_pairs([("job", "watchdog"), ("instance", "127.0.0.1:9099")]);
        let found = samples(&metrics.render(), &labels);
        let names: Vec<&str> = found.iter().map(|(labels, ..)| labels.metric_name()).collect();
        for name in
            ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds", "watchdog_config_last_reload_successful", "up"]
        {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(found.iter().all(|(labels, ..)| labels.get("job") == Some("watchdog")));
    }
}
