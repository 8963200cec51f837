//! The metrics, one line each. A new one also gets its row in `docs/metrics-watchdog.md`.

use promql::exposition::MetricKind::{Counter, Gauge, Histogram};

use super::Metric;

/// Series that are not on our `/metrics` but observed of targets and probes: name and meaning (all gauges).
pub const OBSERVED: &[(&str, &str)] = &[
    ("up", "1 when the last scrape of the target succeeded, else 0"),
    ("scrape_duration_seconds", "how long the last scrape took"),
    ("scrape_samples_scraped", "samples on the scraped page"),
    ("scrape_samples_post_metric_relabeling", "those that metric_relabel_configs left"),
    ("scrape_series_added", "series that were not on the page before"),
    ("probe_success", "1 when the last probe got a status of 2xx, else 0"),
    ("probe_duration_seconds", "how long the last probe took"),
    ("probe_http_status_code", "HTTP status of the last probe, 0 when there was no answer"),
];

macro_rules! metrics {
    ($($ident:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(#[doc = $help] pub static $ident: Metric = Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*
        /// Every metric, in the order of the page.
        pub static ALL: &[&Metric] = &[$(&$ident),*];
    };
}

metrics! {
    BUILD_INFO: Gauge "watchdog_build_info" ["version"] "1, labelled with the version";
    PROCESS_CPU: Counter "process_cpu_seconds_total" [] "user and system time of the watchdog";
    PROCESS_RSS: Gauge "process_resident_memory_bytes" [] "resident memory of the watchdog";
    PROCESS_VIRTUAL: Gauge "process_virtual_memory_bytes" [] "virtual memory of the watchdog";
    PROCESS_FDS: Gauge "process_open_fds" [] "open descriptors of the watchdog";
    PROCESS_MAX_FDS: Gauge "process_max_fds" [] "limit of open descriptors of the watchdog";
    PROCESS_START: Gauge "process_start_time_seconds" [] "start of the watchdog, unix seconds";

    SCRAPES: Counter "watchdog_scrapes_total" ["job", "outcome"] "scrapes by outcome: ok, or the reason of the failure";
    TARGETS: Gauge "watchdog_targets" ["job", "state"] "scrape targets by state: active, dropped by relabelling, refused because they are none";
    TARGET_FILES_FAILED: Gauge "watchdog_target_files_failed" [] "files of file_sd_configs that cannot be used now; their targets stay as they were";
    PROBES: Counter "watchdog_probes_total" ["probe", "outcome"] "probes by outcome: ok, status, or the reason of the failure";
    LOOKS: Counter "watchdog_looks_total" ["process", "outcome"] "looks at a process: found or absent";
    LOOK_SECONDS: Gauge "watchdog_look_seconds" ["process"] "how long the last look at a process took";
    LOOK_MATCHES: Gauge "watchdog_look_matches" ["process"] "processes that matched; more than 1 is ambiguous, the oldest is watched";
    LOOK_UNREADABLE: Gauge "watchdog_look_unreadable" ["process", "part"] "1 when this part of /proc may not be read";

    QUEUE_LENGTH: Gauge "watchdog_queue_length" ["queue"] "entries waiting in a queue";
    QUEUE_CAPACITY: Gauge "watchdog_queue_capacity" ["queue"] "bound of a queue";
    QUEUE_DROPPED: Counter "watchdog_queue_dropped_total" ["queue"] "entries dropped because a queue was full";

    SERIES: Gauge "watchdog_series" [] "series in memory";
    STORE_BYTES: Gauge "watchdog_store_bytes" [] "bytes of samples in memory";
    KEPT_BYTES: Gauge "watchdog_rule_samples_bytes" [] "bytes of samples that rules have read and keep for their next iteration";
    KEPT_BYTES_MAX: Gauge "watchdog_rule_samples_bytes_limit" [] "bound of them; what is not kept is read again";
    SERIES_REFUSED: Counter "watchdog_series_refused_total" [] "samples of new series refused because a ceiling is reached";
    STORE_EVICTED: Counter "watchdog_store_evicted_chunks_total" [] "chunks that left memory before their time because it was full";
    STORE_LOST: Counter "watchdog_store_lost_chunks_total" [] "chunks that left memory before they were on disk, because the disk takes nothing and memory was full";
    STORAGE_OK: Gauge "watchdog_storage_ok" [] "1 when the last write of series to disk succeeded; 0: they live in memory only";
    STORAGE_WRITES: Counter "watchdog_storage_writes_total" ["what", "outcome"] "writes of series to disk: recent samples, blocks";
    STORAGE_BYTES: Gauge "watchdog_storage_bytes" [] "bytes of series on disk";
    STORAGE_BLOCKS: Gauge "watchdog_storage_blocks" [] "blocks of series on disk";
    STORAGE_OLDEST: Gauge "watchdog_storage_oldest_timestamp_seconds" [] "time of the oldest sample on disk, unix seconds";
    STORAGE_REMOVED: Counter "watchdog_storage_removed_blocks_total" ["reason"] "blocks removed: past the retention, or before it because of storage.size (size)";
    STORAGE_TROUBLES: Counter "watchdog_storage_troubles_total" ["trouble"] "files of series found damaged: torn_tail, quarantined, unrepaired";
    HISTORY_SHORT: Gauge "watchdog_rules_short_of_history" [] "rules that look back further than the history reaches";
    RULE_EVALUATIONS: Counter "watchdog_rule_evaluations_total" [] "rule evaluations";
    RULE_FAILURES: Counter "watchdog_rule_evaluation_failures_total" [] "rule evaluations that failed";
    RULE_MISSED: Counter "watchdog_rule_group_iterations_missed_total" [] "group evaluations missed because an earlier one took too long";
    RULE_GROUP_SECONDS: Histogram "watchdog_rule_group_duration_seconds" [] "how long evaluations of rule groups took";
    RULE_GROUP_DELAY: Histogram "watchdog_rule_group_delay_seconds" [] "from the time for which a group was due until its alerts were handed on";
    TURN_SECONDS: Histogram "watchdog_turn_duration_seconds" ["engine"] "how long turns of an engine took";
    QUERIES: Counter "watchdog_queries_total" ["outcome"] "questions about series over HTTP: answered, or refused as full, timed_out, stopped";
    QUERY_SECONDS: Gauge "watchdog_query_seconds" [] "how long the last of them took, its wait included";
    ALERTS: Gauge "watchdog_alerts" ["state"] "alerts by state: pending, firing";

    ROUTER_LOAD: Gauge "watchdog_router_held" ["what"] "what the router holds: alerts, groups, silences, log, in_flight, queued";
    ROUTER_LIMIT: Gauge "watchdog_router_limit" ["what"] "bounds of what the router holds";
    ROUTER_EVENTS: Counter "watchdog_router_events_total" ["event"] "decisions of the router by name";
    DELIVERIES: Counter "watchdog_deliveries_total" ["integration", "outcome"] "delivery attempts by outcome";

    FORWARDED: Counter "watchdog_alerts_forwarded_total" ["alertmanager", "outcome"] "alerts handed over to Alertmanagers: ok, failed";

    HTTP_CONNECTIONS: Gauge "watchdog_http_connections" [] "connections to the page, API and /metrics";
    HTTP_LIMIT: Gauge "watchdog_http_connections_limit" [] "connections served at once; one more ends the oldest";
    HTTP_REFUSED: Counter "watchdog_http_refused_total" ["reason"] "connections and requests ended early: evicted, not_accepted, slow_head, slow_request";

    RESTARTS: Counter "watchdog_restarts_total" ["restart", "outcome", "reason"] "steps and outcomes of restarts, with the named reason";
    RESTART_ATTEMPTS: Gauge "watchdog_restart_attempts" ["restart", "window"] "attempts in the last hour and day";
    RESTART_HELD: Gauge "watchdog_restart_held" ["restart"] "1 while a person holds restarts";
    RESTART_ACTIVE: Gauge "watchdog_restart_active" ["restart"] "1 while a restart is under way";

    JOURNAL_OK: Gauge "watchdog_journal_ok" ["journal"] "1 when the last write of state to disk succeeded; 0: state lives in memory only";
    JOURNAL_WRITES: Counter "watchdog_journal_writes_total" ["journal", "outcome"] "batches written to disk by outcome";
    JOURNAL_SECONDS: Gauge "watchdog_journal_write_seconds" ["journal"] "how long the last write and sync took";

    RELOADS: Counter "watchdog_config_reloads_total" ["outcome"] "attempts to load the configuration again: ok, unchanged, failed";
    RELOAD_SUCCESSFUL: Gauge "watchdog_config_last_reload_successful" [] "1 when the last reload succeeded";
    RELOAD_TIME: Gauge "watchdog_config_last_reload_success_timestamp_seconds" [] "when the configuration in force was loaded, unix seconds";
    CLOCK_JUMPS: Counter "watchdog_clock_jumps_total" [] "steps of the wall clock over one second";
    CLOCK_JUMP_SECONDS: Gauge "watchdog_clock_jump_seconds" [] "size of the last step of the wall clock, negative when it went back";
}
