//! The old collector's metric names, and what became of each: kept, told by another name, or gone with the thing it measured.
//!
//! [`TABLE`] is the one list; `docs/metrics-collector.md` holds it, and tests keep the two and the catalogue equal.

/// What became of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the catalogue under the same name.
    Kept,
    /// Use this family instead; the sentence says what differs.
    Now(&'static str, &'static str),
    /// What it measured is not there; the sentence says why.
    Gone(&'static str),
}

use Fate::{Gone, Kept, Now};

const PYTHON: Fate = Gone("measured Python's garbage collector; the counterpart of its pauses is collector_loop_stall_duration_seconds");
const POLLING: Fate = Gone("belonged to the polling of snapshots, which are now fetched only when a book is (re)built");
const PINGS: Fate =
    Gone("the silence of a stream is judged by its data: collector_stream_last_data_timestamp_seconds, collector_feed_events_total{event=\"stale\"}");

/// Every name of the old collector, in the order of its own documentation. The prefix `marketprism_` is part of the name.
pub const TABLE: &[(&str, Fate)] = &[
    ("marketprism_system_info", Kept),
    ("marketprism_uptime_seconds", Kept),
    ("marketprism_cpu_usage_percent", Kept),
    ("marketprism_memory_usage_percent", Kept),
    ("marketprism_memory_usage_bytes", Now("process_resident_memory_bytes", "of this process, not of the machine")),
    (
        "marketprism_disk_usage_percent",
        Gone("the machine is not this process: use node_exporter; what the recorder takes is collector_recorder_bytes"),
    ),
    ("marketprism_active_symbols_count", Kept),
    ("marketprism_orderbook_updates_total", Kept),
    (
        "marketprism_orderbook_update_duration_seconds",
        Gone("a book is updated in microseconds; how late the loop is: collector_loop_stall_duration_seconds"),
    ),
    ("marketprism_last_orderbook_update_timestamp", Kept),
    ("marketprism_orderbook_queue_drops_total", Now("collector_sink_refused_total", "by sink, kind and reason")),
    ("marketprism_collector_errors_total", Kept),
    ("marketprism_collector_last_success_timestamp_seconds", Kept),
    ("marketprism_snapshot_requests_total", Kept),
    ("marketprism_snapshot_request_duration_seconds", Kept),
    ("marketprism_snapshot_reconnections_total", POLLING),
    ("marketprism_snapshot_timeouts_total", Now("marketprism_snapshot_requests_total", "with status=\"timeout\"")),
    ("marketprism_websocket_connected", Kept),
    ("marketprism_websocket_connections_total", Kept),
    ("marketprism_websocket_reconnections_total", Kept),
    ("marketprism_websocket_messages_received_total", Kept),
    ("marketprism_nats_connected", Kept),
    ("marketprism_nats_messages_published_total", Kept),
    ("marketprism_nats_messages_published_labeled_total", Kept),
    ("marketprism_nats_publish_errors_total", Kept),
    ("marketprism_nats_publish_duration_seconds", Kept),
    ("marketprism_nats_publish_queue_size", Kept),
    ("marketprism_process_rss_bytes", Kept),
    (
        "marketprism_process_objects_count",
        Now("collector_structure_length", "own structures by name; there is no object count to be had, nor a need for one"),
    ),
    ("marketprism_memory_leak_suspects", Kept),
    ("marketprism_memory_warnings_count", Kept),
    ("marketprism_memory_criticals_count", Kept),
    ("marketprism_total_cleanups_count", Kept),
    ("marketprism_forced_gc_count", Kept),
    ("marketprism_forced_cleanup_cooldown_skips_total", Gone("steps are repeated every 30 s while a level stays; none is skipped")),
    ("marketprism_cpu_normalized_load_1m", Gone("the machine is not this process: use node_exporter, or marketprism_cpu_usage_percent")),
    ("marketprism_cpu_effective_cores", Gone("the machine is not this process: use node_exporter")),
    ("marketprism_network_connections_total", Now("marketprism_tcp_connections_count", "of this process, by state")),
    ("marketprism_tcp_connections_count", Kept),
    ("marketprism_gc_collections_total", PYTHON),
    ("marketprism_gc_collected_objects_total", PYTHON),
    ("marketprism_gc_uncollectable_objects_total", PYTHON),
    ("marketprism_gc_duration_seconds", PYTHON),
    ("gc_pause_duration_seconds", Now("collector_loop_stall_duration_seconds", "how late the data loop was, whatever held it up")),
    ("gc_collections_by_generation_total", PYTHON),
    ("python_gc_collections_total", PYTHON),
    ("marketprism_thread_count", Kept),
    ("marketprism_orderbook_depth_levels", Kept),
    ("marketprism_orderbook_queue_size", Now("collector_sink_queue_length", "by sink; books have no queue of their own")),
    ("marketprism_orderbook_buffer_size", Now("collector_structure_length", "structure=\"sync_buffers_…\", by venue")),
    (
        "marketprism_orderbook_waiting_for_snapshot_seconds",
        Now("marketprism_orderbook_sync_status", "0 while it waits; how long: time since the last resync"),
    ),
    ("marketprism_orderbook_backlog_resyncs_total", Now("collector_resyncs_total", "with the reason")),
    ("marketprism_orderbook_sync_status", Kept),
    ("marketprism_orderbook_resync_count", Kept),
    ("marketprism_orderbook_reconnections_count", Now("marketprism_websocket_reconnections_total", "by exchange and market type")),
    ("marketprism_errors_total", Now("marketprism_collector_errors_total", "by exchange, data type and code")),
    ("marketprism_data_validation_errors_total", Now("collector_feed_events_total", "with event=\"malformed\"")),
    ("marketprism_request_duration_seconds", Now("collector_http_requests_total", "counted by path; a page takes well under a millisecond")),
    ("marketprism_metrics_error", Now("collector_proc_read_failures_total", "the one reading that can fail")),
    ("marketprism_ws_text_pings_total", PINGS),
    ("marketprism_ws_text_pongs_total", PINGS),
    ("marketprism_ws_pong_timeouts_total", PINGS),
    ("marketprism_ws_implied_pongs_total", PINGS),
    ("marketprism_ws_last_inbound_timestamp", PINGS),
    ("marketprism_ws_last_outbound_ping_timestamp", PINGS),
    ("marketprism_broker_connected", Now("marketprism_nats_connected", "the old name was in a rule, but nothing exported it")),
    ("process_cpu_percent", Now("marketprism_cpu_usage_percent", "")),
    ("process_memory_mb", Now("process_resident_memory_bytes", "in bytes")),
    ("data_count_total", Now("collector_stream_records_total", "by stream")),
    ("error_count_total", Now("marketprism_collector_errors_total", "")),
    ("process_uptime_seconds", Now("marketprism_uptime_seconds", "")),
    ("process_resident_memory_bytes", Kept),
    ("process_virtual_memory_bytes", Kept),
    ("process_cpu_seconds_total", Kept),
    ("process_start_time_seconds", Kept),
    ("process_open_fds", Kept),
    ("process_max_fds", Kept),
    ("process_memory_rss_bytes", Kept),
    ("memory_growth_rate_mb_per_minute", Kept),
    ("memory_peak_rss_bytes", Kept),
    ("active_connections", Kept),
    ("collector_tcp_connections", Kept),
    ("collector_file_descriptors", Kept),
    ("collector_orderbook_objects", Kept),
];

/// The table as `docs/metrics-collector.md` has it.
pub fn to_markdown() -> String {
    let row = |(old, fate): &(&str, Fate)| match fate {
        Kept => format!("| `{old}` | `{old}` | |\n"),
        Now(new, note) => format!("| `{old}` | `{new}` | {note} |\n"),
        Gone(why) => format!("| `{old}` | – | {why} |\n"),
    };
    ["| old name | now | |\n|---|---|---|\n".to_owned()].into_iter().chain(TABLE.iter().map(row)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::catalogue;
    use super::*;

    #[test]
    fn every_old_name_leads_to_a_family_that_exists_or_says_why_not() {
        let known: BTreeSet<&str> = catalogue::ALL.iter().map(|spec| spec.name).collect();
        let mut seen = BTreeSet::new();
        for (old, fate) in TABLE {
            assert!(seen.insert(*old), "{old} stands twice");
            let fine = match fate {
                Kept => known.contains(old),
                Now(new, _) => known.contains(new) && !known.contains(old),
                Gone(why) => !known.contains(old) && why.len() > 10,
            };
            assert!(fine, "{old}: {fate:?}");
        }
        let unlisted: Vec<_> = known.iter().filter(|name| name.starts_with("marketprism_") && !seen.contains(*name)).collect();
        assert!(unlisted.is_empty(), "these look like old names and are not in the table: {unlisted:?}");
    }
}
