//! What is done to the collector in a cycle, and when.

use std::time::Duration;

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// All connections are reset, again and again, and new ones refused in between.
    Storm,
    /// Each venue takes an instrument off its list.
    Delist,
    /// The same instruments are listed again, long after the collector has noticed that they were gone.
    Relist,
    /// Lost, repeated, swapped, cut and unknown messages.
    Frames,
    /// The NATS server dies (even cycles) or is stopped (odd ones).
    NatsAway,
    /// The NATS server is there again.
    NatsBack,
    /// Streams fall silent, REST fails.
    Silence,
    /// Connections go half-open.
    HalfOpen,
    /// An announced end of all connections: the hand-over.
    HandOver,
    /// Proper closes, and handshakes that take long.
    Close,
    /// The end of all faults.
    Clear,
}

/// The deeds of a cycle.
pub(crate) fn script() -> Vec<(Duration, Deed)> {
    let at = |seconds| Duration::from_secs(seconds);
    vec![
        (at(1), Deed::Storm),
        (at(6), Deed::Delist),
        (at(9), Deed::Frames),
        (at(14), Deed::NatsAway),
        (at(20), Deed::NatsBack),
        (at(23), Deed::Silence),
        (at(27), Deed::HalfOpen),
        (at(32), Deed::HandOver),
        (at(36), Deed::Close),
        (at(40), Deed::Clear),
        (at(44), Deed::Relist),
    ]
}

// === impl Deed ===

impl Deed {
    /// The faults it puts into every venue, as the control endpoint takes them.
    pub(crate) fn faults(self) -> &'static str {
        match self {
            Self::Frames => {
                r#"[{"kind":"drop_diff"},{"kind":"duplicate_diff"},{"kind":"reorder_diff"},{"kind":"malformed_frame"},{"kind":"unknown_event","count":5}]"#
            }
            Self::Silence => r#"[{"kind":"silent_streams","for":"3s"},{"kind":"rest_500","count":2},{"kind":"rest_slow","delay":"1s"}]"#,
            Self::HalfOpen => r#"[{"kind":"half_open","for":"3s"}]"#,
            Self::HandOver => r#"[{"kind":"server_shutdown","for":"2s"}]"#,
            Self::Close => r#"[{"kind":"slow_handshake","delay":"1s"},{"kind":"close"}]"#,
            Self::Storm => r#"[{"kind":"refuse_connect","for":"400ms"},{"kind":"tcp_reset"}]"#,
            Self::Delist | Self::Relist | Self::NatsAway | Self::NatsBack | Self::Clear => "[]",
        }
    }

    /// The word in the table.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Storm => "storm",
            Self::Delist => "delist",
            Self::Relist => "relist",
            Self::Frames => "frames",
            Self::NatsAway => "nats away",
            Self::NatsBack => "nats back",
            Self::Silence => "silence",
            Self::HalfOpen => "half-open",
            Self::HandOver => "hand-over",
            Self::Close => "close",
            Self::Clear => "calm",
        }
    }
}
