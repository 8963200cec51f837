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
    /// When it was subscribed anew because of the silence that is told.
    renewed_at: Option<Duration>,
    refused: bool,
    /// When a refused subscription is tried again.
    try_again_at: Duration,
    refusals: u32,
}

/// What is to be done about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Subscribe it anew, by itself.
    Renew,
    /// That has not helped: replace its connection.
    Replace,
    /// It was refused, and may be tried again.
    TryAgain,
}

/// A refused subscription is tried again after the first, doubled up to the second.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// Two connections of one stream bring the same record within this.
const OVERLAP: Duration = Duration::from_secs(1);

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
        Self { kind, subscribed_at: None, last: None, told: false, renewed_at: None, refused: false, try_again_at: Duration::ZERO, refusals: 0 }
    }

    pub(super) const fn subscribed(&mut self, now: Duration) {
        self.subscribed_at = Some(now);
        self.refused = false;
    }

    pub(super) fn refuse(&mut self, now: Duration) {
        self.refused = true;
        self.try_again_at = now.saturating_add(TRY_AGAIN.0.saturating_mul(1 << self.refusals.min(10)).min(TRY_AGAIN.1));
        self.refusals += 1;
    }

    /// Whether it has been subscribed for so long that what an older connection still brings has been brought.
    pub(crate) fn overlaps(&self, now: Duration) -> bool {
        self.refused || self.subscribed_at.is_some_and(|since| now.saturating_sub(since) >= OVERLAP)
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
        self.renewed_at = None;
        Some(EventKind::Fresh(self.kind))
    }

    /// What is to be done now, if anything: a silent stream is helped by itself first.
    pub(super) fn remedy(&mut self, now: Duration, bounds: SilenceBounds) -> Option<Remedy> {
        if self.refused {
            let due = now >= self.try_again_at;
            self.try_again_at = if due { Duration::MAX } else { self.try_again_at };
            return due.then_some(Remedy::TryAgain);
        }
        if !self.told {
            return None;
        }
        match self.renewed_at {
            None => {
                self.renewed_at = Some(now);
                Some(Remedy::Renew)
            }
            Some(at) if now.saturating_sub(at) >= bounds.first_data.min(bounds.stale_after) => Some(Remedy::Replace),
            Some(_) => None,
        }
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
        let at = Duration::from_secs;
        let mut health = StreamHealth::new(StreamKind::Book);
        health.refuse(at(10));
        assert_eq!(health.look(at(1_000), BOUNDS), None);
    }

    #[test]
    fn a_refused_stream_is_tried_again_less_and_less_often() {
        let at = Duration::from_secs;
        let mut health = StreamHealth::new(StreamKind::Book);
        let (mut now, mut waits) = (0, Vec::new());
        for _ in 0..8 {
            health.refuse(at(now));
            let again = (now..now + 10_000).find(|second| health.remedy(at(*second), BOUNDS) == Some(Remedy::TryAgain)).unwrap();
            assert_eq!(health.remedy(at(again), BOUNDS), None, "once");
            waits.push(again - now);
            now = again;
        }
        assert_eq!(waits, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    }

    #[test]
    fn a_silent_stream_is_helped_by_itself_before_its_connection_is_replaced() {
        let at = Duration::from_secs;
        let mut health = StreamHealth::new(StreamKind::Book);
        health.subscribed(at(0));
        assert_eq!(health.remedy(at(29), BOUNDS), None);
        assert!(health.look(at(30), BOUNDS).is_some());
        assert_eq!(health.remedy(at(30), BOUNDS), Some(Remedy::Renew));
        assert_eq!(health.remedy(at(59), BOUNDS), None);
        assert_eq!(health.remedy(at(60), BOUNDS), Some(Remedy::Replace));
        assert!(health.heard(at(61)).is_some());
        assert_eq!(health.remedy(at(61), BOUNDS), None);
    }
}
