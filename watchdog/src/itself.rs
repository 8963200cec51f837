//! The watchdog observes itself: what its own `/metrics` exports becomes series of the job `watchdog`, so the same rules work here and in a real Prometheus.
//!
//! Owns: our own process figures, the observation, jumps of the wall clock as a named event. Must not know: who reads it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use process::Host;
use process::limits::Limit;
use promql::exposition::Format;
use promql::labels::Labels;
use rules::Observation;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Job;
use crate::inspect::{glance_at, host};
use crate::metrics::{Registry, list};
use crate::observe::Sink;
use crate::scrape::page::Reader;
use crate::targets::Target;

/// Our number among the sources that number their series.
pub const SOURCE: u64 = 0;
/// Least time between two looks at ourselves, however often targets are scraped: /proc and a page of our own cost more than evaluating a rule.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Between two readings of both clocks.
const CLOCKS_EVERY: Duration = Duration::from_secs(5);

/// Observes every `interval`, or every 5 s when that is longer, until `stop`; `instance` is our listen address.
pub async fn run(interval: Duration, instance: String, around: (Arc<dyn Clock>, Arc<Registry>, Sink), stop: CancellationToken) {
    let (clock, metrics, sink) = around;
    let interval = interval.max(LOOK_EVERY);
    let mut reader = Reader::new(Arc::new(target(&instance, interval)), SOURCE);
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
                let started = Instant::now();
                measure(&metrics);
                if let Some(room) = sink.room() {
                    room.send(observe(&mut reader, &metrics.render(), clock.now().wall_ms, started));
                }
            }
        }
    }
}

/// Our own process, under the names that every Prometheus client uses.
pub fn measure(metrics: &Registry) {
    /// What does not change is read once: /proc/stat is long.
    static HOST: OnceLock<Option<Host>> = OnceLock::new();
    let Some(host) = HOST.get_or_init(|| host::read().ok()) else { return };
    let look = glance_at(std::process::id());
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

/// Ourselves as a target.
fn target(instance: &str, interval: Duration) -> Target {
    let job = Job { name: "watchdog".to_owned(), ..Job::default() };
    let labels = Labels::from_pairs([("job", job.name.as_str()), ("instance", instance)]);
    Target { job: Arc::new(job), labels, discovered: Labels::default(), url: String::new(), interval, timeout: interval, over_limit: None }
}

/// The observation that a scrape of our page would give.
fn observe(reader: &mut Reader, page: &str, at_ms: i64, started: Instant) -> Observation {
    let read = reader.read(page.as_bytes(), Format::Text).inspect_err(|error| tracing::error!(%error, "our own page is none"));
    let (mut observed, up) = if read.is_ok() { (reader.accept(), 1.0) } else { (reader.ended(), 0.0) };
    reader.report(&mut observed, up, started.elapsed().as_secs_f64());
    Observation { at_ms, page: Some(observed), ..Observation::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_observed_with_what_our_page_exports() {
        let metrics = Registry::default();
        measure(&metrics);
        metrics.flag(&list::RELOAD_SUCCESSFUL, &[], true);
        let mut reader = Reader::new(Arc::new(target("127.0.0.1:9099", Duration::from_secs(5))), SOURCE);
        let page = observe(&mut reader, &metrics.render(), 1_000, Instant::now()).page.unwrap();
        let names: Vec<&str> = page.learned.iter().map(|(_, labels)| labels.metric_name()).collect();
        for name in
            ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds", "watchdog_config_last_reload_successful", "up"]
        {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(page.learned.iter().all(|(_, labels)| labels.get("job") == Some("watchdog")));
    }
}
