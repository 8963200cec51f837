//! Every metric the collector may show: name, type, labels, meaning. `docs/metrics-collector.md` is this table; a test keeps the two equal.
//!
//! Names that begin with `marketprism_` are the old collector's, where dashboards and alerts use them; labels are the normalised ones.

/// What a family is, as its TYPE line says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Is set.
    Gauge,
    /// Observations in buckets with these rising upper bounds (+Inf is added).
    Histogram(&'static [f64]),
}

/// One family of the page.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Name on the page.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// Meaning, with unit.
    pub help: &'static str,
}

/// From a tenth of a millisecond to ten seconds: what a loop or a publication may take.
const FAST: &[f64] = &[0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];
/// The old system's buckets of a REST snapshot.
const REST: &[f64] = &[0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

// === impl Kind ===

impl Kind {
    /// The word of the TYPE line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

macro_rules! catalogue {
    ($($id:ident = $kind:expr, $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(#[doc = $help] pub static $id: Spec = Spec { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*
        /// The whole table, in the order of the page.
        pub static ALL: &[&Spec] = &[$(&$id),*];
    };
}

use Kind::{Counter, Gauge, Histogram};

catalogue! {
    // The process.
    BUILD_INFO = Gauge, "collector_build_info" ["version"] "1, with the version of this build as a label.";
    SYSTEM_INFO = Gauge, "marketprism_system_info" ["version"] "1, with the version of this build as a label (old name).";
    UPTIME = Gauge, "marketprism_uptime_seconds" [] "Seconds since the collector started.";
    PROCESS_RESIDENT = Gauge, "process_resident_memory_bytes" [] "Resident memory in bytes, from /proc/self/stat.";
    PROCESS_RSS = Gauge, "process_memory_rss_bytes" [] "Resident memory in bytes; the same figure as process_resident_memory_bytes, under the name that older rules use.";
    MARKETPRISM_RSS = Gauge, "marketprism_process_rss_bytes" [] "Resident memory in bytes (old name).";
    PROCESS_VIRTUAL = Gauge, "process_virtual_memory_bytes" [] "Virtual memory in bytes.";
    PROCESS_CPU = Counter, "process_cpu_seconds_total" [] "CPU time spent in user and kernel mode, in seconds.";
    PROCESS_OPEN_FDS = Gauge, "process_open_fds" [] "Open file descriptors.";
    FILE_DESCRIPTORS = Gauge, "collector_file_descriptors" [] "Open file descriptors; the same figure as process_open_fds.";
    PROCESS_MAX_FDS = Gauge, "process_max_fds" [] "Soft limit of open file descriptors.";
    PROCESS_START = Gauge, "process_start_time_seconds" [] "Start of the process, unix seconds.";
    PROCESS_THREADS = Gauge, "process_threads" [] "Threads of the process.";
    THREAD_COUNT = Gauge, "marketprism_thread_count" [] "Threads of the process (old name).";
    TCP_CONNECTIONS = Gauge, "collector_tcp_connections" [] "TCP sockets this process holds in any state but LISTEN.";
    TCP_CONNECTIONS_COUNT = Gauge, "marketprism_tcp_connections_count" ["state"] "TCP sockets this process holds, by state (kernel names with underscore).";
    PROC_READ_FAILURES = Counter, "collector_proc_read_failures_total" [] "Readings of /proc/self that failed; the process_* values are then the last good ones.";
    TASK_PANICS = Counter, "collector_task_panics_total" ["exchange", "market_type"] "Loops of a venue that ended by a panic and were begun again.";
    METRIC_SERIES_REFUSED = Counter, "collector_metric_series_refused_total" ["family"] "Series that were not shown because their family had reached its bound (2000).";

    MEMORY_PEAK = Gauge, "memory_peak_rss_bytes" [] "The most resident memory this process ever had, in bytes (VmHWM).";
    MEMORY_GROWTH = Gauge, "memory_growth_rate_mb_per_minute" [] "Slope of resident memory over the last ten minutes, MB (1,000,000 bytes) a minute; 0 during the first five minutes.";
    MEMORY_PERCENT = Gauge, "marketprism_memory_usage_percent" [] "Resident memory as a share of the machine's, percent (old name).";
    CPU_PERCENT = Gauge, "marketprism_cpu_usage_percent" [] "CPU time used during the last second, percent of one core (old name).";
    TASKS = Gauge, "collector_tasks" ["runtime"] "Tasks alive: loops (one a venue, and the pulse), and what the runtime of each thread has besides; returns to its base after every trouble. REST connections: collector_rest_connections.";

    // Pressure: how near the budget is, and what is done about it.
    PRESSURE_LEVEL = Gauge, "collector_pressure_level" ["resource"] "0 normal, 1 elevated (over the soft limit), 2 critical (over the hard limit), by resource: memory, descriptors, sockets.";
    PRESSURE_USED = Gauge, "collector_pressure_used" ["resource"] "What the budget is about, looked at every second: resident bytes, open descriptors, those that are sockets.";
    PRESSURE_LIMIT = Gauge, "collector_pressure_limit" ["resource", "limit", "origin"] "The budget's limits (soft, hard), and where they come from: config, cgroup, rlimit, host, built_in.";
    PRESSURE_TRANSITIONS = Counter, "collector_pressure_transitions_total" ["resource", "to", "reason"] "Changes of a level, by named reason: over_soft, over_hard, recovered.";
    PRESSURE_STEPS = Counter, "collector_pressure_steps_total" ["step"] "Steps taken: shed_preview, widen_conflation, pause_low_priority (begun), close_idle, purge (done).";
    PRESSURE_STEP_ACTIVE = Gauge, "collector_pressure_step_active" ["step"] "1 while a step stands.";
    PRESSURE_EVENTS = Counter, "collector_pressure_events_total" ["event", "resource"] "Named events: still_too_high_after_purge, rapidly_increasing.";
    MEMORY_WARNINGS = Counter, "marketprism_memory_warnings_count" [] "Times the memory level became elevated (old name).";
    MEMORY_CRITICALS = Counter, "marketprism_memory_criticals_count" [] "Times the memory level became critical (old name).";
    CLEANUPS = Counter, "marketprism_total_cleanups_count" [] "Requests to the owners of connections and buffers to give back what they do not use (old name).";
    FORCED_GC = Counter, "marketprism_forced_gc_count" [] "Purges of the allocator that pressure asked for (old name).";
    ALLOCATOR_INFO = Gauge, "collector_allocator_info" ["allocator"] "1, with the allocator of this build as a label: jemalloc, system.";
    ALLOCATOR_BYTES = Gauge, "collector_allocator_bytes" ["kind"] "What jemalloc holds: allocated, active, metadata, resident, mapped, retained; absent with the system's allocator, which does not tell.";
    ALLOCATIONS = Counter, "collector_allocations_total" [] "Allocations so far as jemalloc counts them, those from a thread's own cache with a delay; absent with the system's allocator, which does not tell.";
    ALLOCATOR_OPTION = Gauge, "collector_allocator_option_info" ["option", "value", "as_built"] "1, with an option of jemalloc as it is in force, and whether it is as built (yes, no).";
    ALLOCATOR_PURGES = Counter, "collector_allocator_purges_total" ["reason"] "Purges of the allocator's free pages, by reason: over_soft, over_hard, interval; unsupported with the system's allocator.";
    STRUCTURE_LENGTH = Gauge, "collector_structure_length" ["structure"] "Entries of one of the collector's own structures.";
    STRUCTURE_BYTES = Gauge, "collector_structure_bytes" ["structure"] "Bytes of one of the collector's own structures, as far as its owner knows them.";
    STRUCTURE_BOUND = Gauge, "collector_structure_bound" ["structure", "unit"] "What a structure may hold, in its unit: entries, bytes, disk_bytes.";
    LEAK_SUSPECTS = Gauge, "marketprism_memory_leak_suspects" [] "Own structures that rose at each of the last six looks (one every 30 s), or stand over their bound; /debug/memory names them.";

    // The data loop, as the HTTP thread sees it.
    LOOP_STALL = Gauge, "collector_loop_stall_seconds" [] "For how long the data loop is overdue now; 0 while it keeps its pace. Reported by the HTTP thread, also while the loop is stuck.";
    LOOP_STALL_DURATION = Histogram(FAST), "collector_loop_stall_duration_seconds" [] "By how much each tick of the data loop (every 100 ms) was late, in seconds.";
    READING_PAUSED = Counter, "collector_reading_paused_total" ["exchange", "market_type"] "Milliseconds in which a venue's sockets were not read because a sink had enough: NATS, or the spool, takes records, but more slowly than messages come.";
    GATHER_DURATION = Histogram(FAST), "collector_gather_duration_seconds" ["thread"] "Pauses of a thread in which messages gathered so that one wake-up reads many, in seconds; by thread: data, sink-nats. What came in a pause waited for as long at most; the key gather bounds it.";
    WALL_CLOCK_JUMPS = Counter, "collector_wall_clock_jumps_total" [] "Steps of the wall clock by more than a second.";

    // Streams: one per configured venue, symbol and kind, present from the start.
    STREAM_EXPECTED = Gauge, "collector_stream_expected" ["exchange", "market_type", "symbol", "kind"] "1 for each configured stream, from the start, also for one that never came.";
    STREAM_LAST_DATA = Gauge, "collector_stream_last_data_timestamp_seconds" ["exchange", "market_type", "symbol", "kind"] "Unix time of the last good record of a configured stream; 0 until the first, so time() minus it finds a stream that never came.";
    STREAM_RECORDS = Counter, "collector_stream_records_total" ["exchange", "market_type", "symbol", "kind"] "Records made from this stream and offered to the sinks.";
    BOOK_SYNCED = Gauge, "marketprism_orderbook_sync_status" ["exchange", "market_type", "symbol"] "1 while the book is proven equal to the venue's, else 0; nothing is published at 0.";
    BOOK_UPDATES = Counter, "marketprism_orderbook_updates_total" ["exchange", "market_type", "symbol"] "Order books published.";
    BOOK_LAST_UPDATE = Gauge, "marketprism_last_orderbook_update_timestamp" ["exchange", "market_type", "symbol"] "Unix time of the last published order book.";
    BOOK_DELTAS = Counter, "collector_book_deltas_total" ["exchange", "market_type", "symbol"] "Changes of the book received; against marketprism_orderbook_updates_total this shows the conflation.";
    BOOK_LEVELS = Gauge, "marketprism_orderbook_depth_levels" ["exchange", "market_type", "symbol"] "Levels held of this book, both sides together.";
    BOOK_CONDITION = Gauge, "collector_book_condition" ["exchange", "market_type", "symbol", "condition"] "1 for what is wrong with the book's sides now (empty_bids, empty_asks, empty, crossed), else 0; such a book is not published.";
    PAUSED = Gauge, "collector_instrument_paused" ["exchange", "market_type", "symbol"] "1 while an instrument of low priority is not collected because the collector is short of something.";
    EVENT_AGE = Gauge, "collector_event_age_seconds" ["exchange", "market_type", "symbol"] "Arrival of the newest change of the book minus the venue's own time of it, in seconds, looked at once a second: the way and the difference of the clocks together. Negative: the venue's clock is ahead of this machine's.";
    PRESSURE = Gauge, "collector_pressure_step" ["exchange", "market_type"] "What the venue's loop gives up now: 0 nothing, 1 previews, 2 also the pace of books, 3 also instruments of low priority.";
    ORDERBOOK_OBJECTS = Gauge, "collector_orderbook_objects" [] "Order books held in memory.";
    RESYNCS = Counter, "collector_resyncs_total" ["exchange", "market_type", "symbol", "reason"] "Books that were declared invalid and synchronised again, by named reason.";
    RESYNC_COUNT = Counter, "marketprism_orderbook_resync_count" ["exchange"] "Resynchronisations of the venue's books (old name).";
    FEED_EVENTS = Counter, "collector_feed_events_total" ["exchange", "market_type", "event", "reason"] "Named events of a venue's feed: connections and their ends, resyncs, retried snapshots, malformed frames, refused channels, gaps in trade ids.";
    LAST_SUCCESS = Gauge, "marketprism_collector_last_success_timestamp_seconds" ["exchange", "data_type"] "Unix time of the last good record of this kind from the venue.";
    ERRORS = Counter, "marketprism_collector_errors_total" ["exchange", "data_type", "code"] "Troubles with the venue's data, by kind and named reason.";

    // Sockets and REST.
    WEBSOCKET_CONNECTED = Gauge, "marketprism_websocket_connected" ["exchange", "market_type"] "WebSocket connections that are up.";
    ACTIVE_CONNECTIONS = Gauge, "active_connections" [] "WebSocket connections that are up, of all venues together.";
    ACTIVE_SYMBOLS = Gauge, "marketprism_active_symbols_count" [] "Configured books with a record within the last minute (old name).";
    WEBSOCKET_CONNECTIONS = Counter, "marketprism_websocket_connections_total" ["exchange", "market_type"] "WebSocket connections opened.";
    WEBSOCKET_RECONNECTIONS = Counter, "marketprism_websocket_reconnections_total" ["exchange", "market_type"] "WebSocket connections opened after the first.";
    WEBSOCKET_CONNECT_FAILURES = Counter, "collector_websocket_connect_failures_total" ["exchange", "market_type", "hop", "reason"] "Failed attempts to open a WebSocket, by the hop that failed (url, dns, tcp, proxy, tls, handshake) and why (refused, timed_out, certificate_expired, …; docs/collector.md lists them).";
    WEBSOCKET_MESSAGES = Counter, "marketprism_websocket_messages_received_total" ["exchange", "market_type"] "WebSocket messages received.";
    WEBSOCKET_BYTES = Counter, "collector_websocket_received_bytes_total" ["exchange", "market_type"] "Bytes of WebSocket messages received.";
    REST_CONNECT_FAILURES = Counter, "collector_rest_connect_failures_total" ["exchange", "market_type", "hop", "reason"] "Failed attempts to open a connection for REST, by hop and reason as for WebSockets.";
    REST_CONNECTIONS = Gauge, "collector_rest_connections" ["exchange", "market_type"] "REST connections open, in use or kept for the next request (at most 4 and 2).";
    REST_WEIGHT_LEFT = Gauge, "collector_rest_weight_left" ["exchange", "market_type"] "REST weight that may be spent now; venues of one exchange at one host share it.";
    REST_WEIGHT_LIMIT = Gauge, "collector_rest_weight_limit" ["exchange", "market_type"] "The most it can be: below the venue's own limit.";
    REST_PAUSED = Gauge, "collector_rest_paused_seconds" ["exchange", "market_type"] "For how long no REST request is sent any more because the exchange limits or bans this address (429, 418, 403, Retry-After); 0: requests are sent.";
    SNAPSHOT_REQUESTS = Counter, "marketprism_snapshot_requests_total" ["exchange", "market_type", "status"] "REST requests to the venue, by outcome: success, timeout, error.";
    SNAPSHOT_DURATION = Histogram(REST), "marketprism_snapshot_request_duration_seconds" ["exchange", "market_type"] "Duration of REST requests to the venue, in seconds.";

    CAPTURE_BYTES = Counter, "collector_capture_bytes_total" ["exchange", "market_type"] "Bytes of the capture of raw input written, packed; only where `capture` is configured.";
    CAPTURE_LOST = Counter, "collector_capture_lost_lines_total" ["exchange", "market_type"] "Lines the capture could not take in time; the capture says where they are missing.";
    CAPTURE_ERRORS = Counter, "collector_capture_errors_total" ["exchange", "market_type"] "Parts of the capture that could not be written.";

    // From acceptance to a sink.
    QUEUE_LENGTH = Gauge, "collector_sink_queue_length" ["sink"] "Accepted records that wait for the sink.";
    QUEUE_CAPACITY = Gauge, "collector_sink_queue_capacity" ["sink"] "Records the sink's queue can hold.";
    QUEUE_BYTES = Gauge, "collector_sink_queue_bytes" ["sink"] "Payload bytes that wait for the sink.";
    QUEUE_BYTES_CAPACITY = Gauge, "collector_sink_queue_bytes_capacity" ["sink"] "Payload bytes the sink's queue can hold.";
    NATS_QUEUE_SIZE = Gauge, "marketprism_nats_publish_queue_size" [] "Accepted records that wait for NATS (old name).";
    SINK_ACCEPTED = Counter, "collector_sink_accepted_total" ["sink", "kind"] "Records taken into the sink's queue.";
    SINK_WRITTEN = Counter, "collector_sink_written_total" ["sink", "kind"] "Records the sink has written out.";
    SINK_REFUSED = Counter, "collector_sink_refused_total" ["sink", "kind", "reason"] "Records not taken into the sink's queue, by reason: queue_full, queue_bytes, closed. A refused book is made up for by a newer one.";
    SINK_DROPPED = Counter, "collector_sink_dropped_total" ["sink", "kind", "reason"] "Accepted records that the sink could not write, by reason.";
    SINK_ERRORS = Counter, "collector_sink_errors_total" ["sink", "reason"] "Troubles of a sink, by reason.";
    SINK_RECENT_ERRORS = Gauge, "collector_sink_recent_errors" ["sink"] "Troubles of a sink (recorder: failed writes; nats: publications that were refused or not answered, failed writes to spool and dead letter), each counting half after a minute.";
    SINK_UP = Gauge, "collector_sink_up" ["sink"] "1 while the sink can write.";
    NATS_CONNECTED = Gauge, "marketprism_nats_connected" [] "1 while connected to NATS; absent when NATS is not configured.";
    NATS_EVENTS = Counter, "collector_nats_events_total" ["event"] "Events of the NATS connection: connected, disconnected, lame_duck, slow_consumer, server_error, client_error, closed.";
    NATS_MESSAGES_PUBLISHED = Counter, "marketprism_nats_messages_published_total" ["subject"] "Messages published to NATS, by subject; present from the start for each configured stream.";
    NATS_MESSAGES_LABELED = Counter, "marketprism_nats_messages_published_labeled_total" ["exchange", "market_type", "data_type"] "Messages published to NATS.";
    NATS_PUBLISH_ERRORS = Counter, "marketprism_nats_publish_errors_total" ["subject", "error_type"] "Messages that could not be published to NATS, by reason.";
    RECORDER_BUFFERED = Gauge, "collector_recorder_buffered_bytes" [] "Bytes of lines that wait to be packed and written, or are under way.";
    RECORDER_BUFFER_LIMIT = Gauge, "collector_recorder_buffer_limit_bytes" [] "Bytes of lines that may wait; beyond it records are dropped with reason buffer_full, and those of one stream beyond a quarter with stream_full.";
    RECORDER_LINE_BYTES = Counter, "collector_recorder_line_bytes_total" [] "Bytes of lines written, before packing.";
    RECORDER_PACKED_BYTES = Counter, "collector_recorder_packed_bytes_total" [] "Bytes written to disk, after packing.";
    RECORDER_WRITE_DURATION = Histogram(FAST), "collector_recorder_write_duration_seconds" [] "Packing and writing of one chunk of a stream, in seconds.";
    RECORDER_ROTATION_DURATION = Histogram(FAST), "collector_recorder_rotation_duration_seconds" [] "The same where it finished a file (fsync) and began another, in seconds.";
    RECORDER_TROUBLED = Gauge, "collector_recorder_troubled_streams" [] "Streams whose last write failed; their records are dropped until the next attempt (after 1 to 30 s).";
    RECORDER_TORN = Counter, "collector_recorder_torn_tails_total" [] "Files whose end a crash had torn and the next start has cut off.";
    NATS_PUBLISH_DURATION = Histogram(FAST), "marketprism_nats_publish_duration_seconds" ["subject"] "From the offer of a record to its acknowledgement (without JetStream: to the server's answer to a PING after it), in seconds; what went by way of the spool is not in it.";
    NATS_IN_FLIGHT = Gauge, "collector_nats_in_flight" [] "Publications that wait for an answer.";
    NATS_IN_FLIGHT_CAPACITY = Gauge, "collector_nats_in_flight_capacity" [] "Publications that may wait for an answer: `nats.in_flight` from memory and as many from the spool.";
    NATS_ACKS = Counter, "collector_nats_acks_total" ["result"] "Acknowledgements of JetStream: stored, or duplicate (the stream had this message id already).";
    NATS_ACK_ERRORS = Counter, "collector_nats_ack_errors_total" ["reason"] "Publications that JetStream did not store, by reason: no_stream, stream_full, resources, too_large, unavailable, no_answer, refused. They are sent again.";
    NATS_ACK_DURATION = Histogram(FAST), "collector_nats_ack_duration_seconds" [] "From sending to acknowledgement, in seconds.";
    NATS_RESENT = Counter, "collector_nats_resent_total" [] "Publications to be sent again, with the same message id, because the connection ended before their acknowledgement.";
    NATS_DOUBTS = Counter, "collector_nats_doubts_total" ["kind", "outcome"] "Times a stream was asked for the last record it holds of a subject, because records sent before may be stored and its duplicate window may have passed: answered, unanswered (they are sent again, and may be there twice).";
    NATS_HELD = Counter, "collector_nats_held_total" ["kind"] "Records that a stream held already when it was asked: not sent a second time.";
    NATS_STREAM_READY = Gauge, "collector_nats_stream_ready" ["stream"] "1 while the JetStream stream takes records.";
    NATS_STREAM_TROUBLES = Counter, "collector_nats_stream_troubles_total" ["stream", "reason"] "Looks at a JetStream stream that found it unusable: no_jetstream, other_subjects, overlap, no_ack, sealed, refused, no_answer.";
    NATS_STREAM_DIFFERS = Gauge, "collector_nats_stream_differs" ["stream", "setting"] "1 for each setting of an existing stream that is not the configured one; the stream is left as it is.";
    UNSECURED_RECORDS = Gauge, "collector_unsecured_records" [] "Records for NATS that are in memory only, neither acknowledged nor fsynced in the spool: what a SIGKILL would lose.";
    UNSECURED_BYTES = Gauge, "collector_unsecured_bytes" [] "Bytes of them.";
    UNSECURED_BYTES_LIMIT = Gauge, "collector_unsecured_bytes_limit" [] "Bytes from which memory is relieved (emergency mark).";
    UNSECURED_AGE = Gauge, "collector_unsecured_age_seconds" [] "Age of the oldest of them; over `nats.accept_within` they go to the spool.";
    UNSECURED_AT_LAST_EXIT = Gauge, "collector_unsecured_at_last_exit_records" [] "Records that the run before this one took and did not secure: 0 after an orderly stop; after a SIGKILL the log of this start names them by subject and sequence.";
    BUFFER_RECORDS = Gauge, "collector_buffer_records" ["exchange", "market_type", "symbol", "kind"] "Records of a stream that wait in memory for NATS or the spool.";
    BUFFER_HIGH = Gauge, "collector_buffer_high_records" ["kind"] "Records of a stream from which everything is sent, or spooled, at once (high mark as configured).";
    BUFFER_LEVELS = Counter, "collector_buffer_levels_total" ["kind", "level"] "Times a stream's buffer (kind `all`: the bytes of everything) rose or fell to a level: calm, warning (80 % of high), high, emergency.";
    SPILLS = Counter, "collector_spills_total" ["kind", "reason"] "Times a stream went by way of the spool, by reason: slow (older than nats.accept_within), high, emergency, refused, no_answer, stopping.";
    SPOOLED = Counter, "collector_spooled_total" ["kind"] "Records written to the spool.";
    SPOOL_DRAINED = Counter, "collector_spool_drained_total" ["kind"] "Records of the spool that NATS has taken.";
    SPOOL_RECORDS = Gauge, "collector_spool_records" ["kind"] "Records in the spool.";
    SPOOL_BYTES = Gauge, "collector_spool_bytes" [] "Bytes of the spool on disk.";
    SPOOL_BYTES_LIMIT = Gauge, "collector_spool_bytes_limit" [] "Bytes the spool may take; then its oldest file goes.";
    SPOOL_LOST = Counter, "collector_spool_lost_total" ["kind", "reason"] "Authoritative records lost for good because the spool's bound bit, by reason: size, age.";
    SPOOL_ERRORS = Counter, "collector_spool_errors_total" ["reason"] "Troubles with the spool and the dead letter, by reason: open, write_failed, sync_failed, full, tidy, dead_letter.";
    DEAD_LETTERS = Counter, "collector_dead_letter_records_total" ["kind", "reason"] "Records written to the dead letter (spill), by reason: emergency, shutdown, spool_failed, too_large.";
    DEAD_LETTER_REPLAYED = Counter, "collector_dead_letter_replayed_total" ["kind"] "Records of the dead letter that were sent after all.";
    DEAD_LETTER_REMOVED = Counter, "collector_dead_letter_removed_files_total" [] "Dead letters removed unsent by the bounds in bytes and age.";
    DEAD_LETTER_FILES = Gauge, "collector_dead_letter_files" [] "Dead letters on disk.";
    DEAD_LETTER_BYTES = Gauge, "collector_dead_letter_bytes" [] "Bytes of them.";
    RECORDER_BYTES = Gauge, "collector_recorder_bytes" [] "Bytes of the recorder's files on disk.";
    RECORDER_BYTES_LIMIT = Gauge, "collector_recorder_bytes_limit" [] "Bytes the recorder's files may take; then the oldest is removed.";
    RECORDER_FILES = Gauge, "collector_recorder_files" [] "Files of the recorder on disk.";
    RECORDER_ROTATIONS = Counter, "collector_recorder_rotations_total" [] "Files the recorder has closed because they were full.";
    RECORDER_REMOVED = Counter, "collector_recorder_removed_files_total" [] "Files removed to stay within the limit, oldest first.";

    // The HTTP thread and the log.
    HTTP_REQUESTS = Counter, "collector_http_requests_total" ["path"] "HTTP requests answered, by path; `other` for unknown ones.";
    HTTP_CONNECTIONS = Gauge, "collector_http_connections" [] "HTTP connections open.";
    HTTP_EVICTED = Counter, "collector_http_connections_evicted_total" [] "HTTP connections closed because a newer one needed their place.";
    HTTP_ACCEPT_ERRORS = Counter, "collector_http_accept_errors_total" ["reason"] "Trouble with accepting a connection: descriptors_exhausted (a reserve descriptor was then used), other.";
    HTTP_RESERVE = Gauge, "collector_http_reserve_descriptors" [] "Descriptors the HTTP thread holds in reserve for the time when there are none.";
    HEARTBEATS = Counter, "collector_heartbeats_total" ["outcome"] "Heartbeats on NATS subject health.collector.<host>-<pid>, by outcome: sent, not_connected.";
    LOG_SUPPRESSED = Counter, "collector_log_suppressed_total" [] "Log lines held back because the same message had come `log.repeat_limit` times in its interval; each interval ends with a line that says how many.";
    LOG_DROPPED = Counter, "collector_log_dropped_total" [] "Log lines dropped because the log could not be written fast enough.";
}

/// The table as `docs/metrics-collector.md` has it.
pub fn to_markdown() -> String {
    let labels = |spec: &Spec| spec.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
    let rows = ALL.iter().map(|spec| format!("| `{}` | {} | {} | {} |\n", spec.name, spec.kind.as_str(), labels(spec), spec.help));
    ["| name | type | labels | meaning |\n|---|---|---|---|\n".to_owned()].into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_counters_end_in_total() {
        let names: BTreeSet<&str> = ALL.iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), ALL.len());
        // The old system's names are kept as they were, right or wrong.
        for spec in ALL.iter().filter(|spec| spec.kind == Counter && !spec.name.starts_with("marketprism_")) {
            assert!(spec.name.ends_with("_total"), "{}", spec.name);
        }
    }
}
