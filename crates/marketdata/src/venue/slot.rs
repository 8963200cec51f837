//! One place for a connection: a run of instruments, the connection that carries them, and its replacement while there is one.
//!
//! Owns: when to connect (back-off, reset after it held), when a replacement may be started and may take over. Must not know: effects, budgets.

use std::ops::Range;
use std::time::Duration;

use crate::effect::{ConnId, Reason};
use crate::instrument::InstrumentId;
use crate::session::{Lane, Session};
use crate::venue::backoff;
use crate::venue::config::Tuning;

/// A connection and its session.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) conn: ConnId,
    pub(super) session: Session,
}

/// One place for a connection.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) instruments: Range<u16>,
    /// What is published comes from here.
    pub(super) active: Option<Link>,
    /// Being made exact, to take over.
    pub(super) standby: Option<Link>,
    pub(super) next_connect_at: Duration,
    failures: u32,
    /// Why the replacement was started, and when it takes over as it is.
    hand_over: (Reason, Duration),
    /// No replacement before this: those for silence that brought nothing double the wait.
    replace_after: Duration,
    replacements: u32,
    /// The venue has said that it will close this connection: a replacement is tried until there is one.
    farewell: bool,
}

/// Which of a slot's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Active,
    Standby,
}

/// A connection that held this long earned a fresh back-off.
const HELD: Duration = Duration::from_secs(30);
/// A venue that said we ask too much is left alone for so long.
const PAUSE_LIMITED: Duration = Duration::from_secs(30);

// === impl Slot ===

impl Slot {
    pub(super) const fn new(instruments: Range<u16>) -> Self {
        Self {
            instruments,
            active: None,
            standby: None,
            next_connect_at: Duration::ZERO,
            failures: 0,
            hand_over: (Reason::AgeLimit, Duration::ZERO),
            replace_after: Duration::ZERO,
            replacements: 0,
            farewell: false,
        }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = InstrumentId> + use<> {
        self.instruments.clone().map(InstrumentId)
    }

    pub(super) const fn link_mut(&mut self, role: Role) -> Option<&mut Link> {
        match role {
            Role::Active => self.active.as_mut(),
            Role::Standby => self.standby.as_mut(),
        }
    }

    pub(super) fn role(&self, conn: ConnId) -> Option<Role> {
        let is = |link: &Option<Link>| link.as_ref().is_some_and(|link| link.conn == conn);
        if is(&self.active) {
            Some(Role::Active)
        } else if is(&self.standby) {
            Some(Role::Standby)
        } else {
            None
        }
    }

    /// The active connection ended at `now`: when the next may be tried.
    pub(super) fn ended(&mut self, now: Duration, (link, reason): (&Link, Reason), tuning: &Tuning) {
        let held = link.session.open_since().is_some_and(|since| now.saturating_sub(since) >= HELD);
        self.failures = if held { 1 } else { self.failures.saturating_add(1) };
        let salt = u64::from(self.instruments.start);
        let least = if reason == Reason::RateLimited { PAUSE_LIMITED } else { Duration::ZERO };
        self.next_connect_at = now + backoff::wait(self.failures, tuning.connect_backoff, tuning.jitter_seed, salt).max(least);
        self.farewell = false;
    }

    /// Remembers a farewell: a replacement is owed for it, also when it cannot be started now.
    pub(super) fn heed(&mut self, reason: Reason) {
        self.farewell |= reason == Reason::ServerShutdown;
    }

    /// Whether a replacement may be started now, for this reason.
    pub(super) fn may_replace(&mut self, now: Duration, reason: Reason, tuning: &Tuning) -> bool {
        let open = self.active.as_ref().is_some_and(|link| link.session.open_since().is_some());
        if !open || self.standby.is_some() || now < self.next_connect_at {
            return false;
        }
        if reason == Reason::NoData {
            if now < self.replace_after {
                return false;
            }
            let long_ago = now >= self.replace_after + tuning.replace_backoff.1;
            self.replacements = if long_ago { 1 } else { self.replacements.saturating_add(1) };
            self.replace_after = now + backoff::wait(self.replacements, tuning.replace_backoff, tuning.jitter_seed, 1);
        }
        self.hand_over = (reason, now.saturating_add(tuning.hand_over_timeout));
        true
    }

    /// Whether a replacement is still owed to the venue's farewell.
    pub(super) const fn owes_replacement(&self) -> bool {
        self.farewell && self.standby.is_none()
    }

    /// The replacement became the connection: returns the old one and why it was replaced.
    pub(super) fn take_over(&mut self) -> Option<(Link, Reason)> {
        let standby = self.standby.take()?;
        self.farewell = false;
        self.active.replace(standby).map(|old| (old, self.hand_over.0))
    }

    /// A stream that was silent speaks on the replacement: the silence was no quiet market.
    pub(super) const fn replacement_helped(&mut self) {
        self.replacements = 0;
    }

    /// A replacement failed: not again at once.
    pub(super) fn replacement_failed(&mut self, now: Duration, tuning: &Tuning) {
        self.failures = self.failures.saturating_add(1);
        self.next_connect_at = now + backoff::wait(self.failures, tuning.connect_backoff, tuning.jitter_seed, 2);
    }

    /// Whether the replacement is as far as the running connection in every book, or has had its time.
    pub(super) fn may_take_over(&self, now: Duration) -> bool {
        let (Some(active), Some(standby)) = (&self.active, &self.standby) else { return false };
        if standby.session.open_since().is_none() {
            return false;
        }
        let level = |lane: &Lane| lane.is_retired() || active.session.lane(lane.id).is_none_or(|old| lane.sync.has_reached(&old.sync));
        now >= self.hand_over.1 || (standby.session.is_ready(now) && standby.session.lanes().iter().all(level))
    }

    pub(super) fn next_timeout(&self) -> Duration {
        let sessions = [&self.active, &self.standby].into_iter().flatten().map(|link| link.session.next_timeout());
        let connect = self.active.is_none().then_some(self.next_connect_at);
        let standby_open = self.standby.as_ref().is_some_and(|link| link.session.open_since().is_some());
        let hand_over = standby_open.then_some(self.hand_over.1);
        sessions.chain(connect).chain(hand_over).min().unwrap_or(Duration::MAX)
    }
}
