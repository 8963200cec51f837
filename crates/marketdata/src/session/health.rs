//! Freshness of one stream.
//!
//! Owns: when silence becomes an event with a name, once per silence. Must not know: what the stream carries.

use std::time::Duration;

use crate::effect::{EventKind, StreamKind};

/// One stream of one instrument on one connection.
#[derive(Debug)]
pub(crate) struct StreamHealth {
    kind: StreamKind,
    subscribed_at: Option<Duration>,
    last: Option<Duration>,
    told: bool,
    refused: bool,
}

/// Bounds on silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilenceBounds {
    /// From the acknowledgement to the first data.
    pub first_data: Duration,
    /// Between data.
    pub stale_after: Duration,
}

// === impl StreamHealth ===

impl StreamHealth {
    pub(super) const fn new(kind: StreamKind) -> Self {
        Self { kind, subscribed_at: None, last: None, told: false, refused: false }
    }

    pub(super) const fn subscribed(&mut self, now: Duration) {
        self.subscribed_at = Some(now);
    }

    /// The stream is listened to again after a pause: silence counts from now.
    pub(super) fn rearm(&mut self, now: Duration) {
        self.told = false;
        self.last = None;
        self.subscribed_at = self.subscribed_at.map(|_| now);
    }

    pub(super) const fn refuse(&mut self) {
        self.refused = true;
    }

    /// Whether the venue refused the subscription.
    pub(crate) const fn is_refused(&self) -> bool {
        self.refused
    }

    /// When data last came on this connection.
    pub(crate) const fn last(&self) -> Option<Duration> {
        self.last
    }

    /// Whether silence has been told and not ended.
    pub(crate) const fn is_silent(&self) -> bool {
        self.told
    }

    /// The stream was silent on the connection before: stays told until data comes. True if it has come already.
    pub(super) const fn inherit_silence(&mut self) -> bool {
        self.told = self.last.is_none();
        !self.told
    }

    /// Data came; the event if that ends a silence.
    pub(super) const fn heard(&mut self, now: Duration) -> Option<EventKind> {
        self.last = Some(now);
        if !self.told {
            return None;
        }
        self.told = false;
        Some(EventKind::Fresh(self.kind))
    }

    /// The event if silence has just passed its bound.
    pub(super) fn look(&mut self, now: Duration, bounds: SilenceBounds) -> Option<EventKind> {
        if self.told || self.refused {
            return None;
        }
        let event = match (self.last, self.subscribed_at) {
            (Some(last), _) if now.saturating_sub(last) >= bounds.stale_after => EventKind::Stale(self.kind),
            (None, Some(since)) if now.saturating_sub(since) >= bounds.first_data => EventKind::NoFirstData(self.kind),
            _ => return None,
        };
        self.told = true;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: SilenceBounds = SilenceBounds { first_data: Duration::from_secs(30), stale_after: Duration::from_mins(1) };

    #[test]
    fn silence_is_told_once_and_its_end_too() {
        let at = Duration::from_secs;
        let mut health = StreamHealth::new(StreamKind::Trade);
        assert_eq!(health.look(at(1_000), BOUNDS), None, "not subscribed: nothing to expect");
        health.subscribed(at(10));
        assert_eq!(health.look(at(39), BOUNDS), None);
        assert_eq!(health.look(at(40), BOUNDS), Some(EventKind::NoFirstData(StreamKind::Trade)));
        assert_eq!(health.look(at(41), BOUNDS), None);
        assert_eq!(health.heard(at(50)), Some(EventKind::Fresh(StreamKind::Trade)));
        assert_eq!(health.heard(at(51)), None);
        assert_eq!(health.look(at(111), BOUNDS), Some(EventKind::Stale(StreamKind::Trade)));
        assert!(health.is_silent());
    }

    #[test]
    fn a_refused_stream_is_not_awaited() {
        let mut health = StreamHealth::new(StreamKind::Book);
        health.refuse();
        assert_eq!(health.look(Duration::from_secs(1_000), BOUNDS), None);
    }
}
