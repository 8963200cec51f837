//! A DingTalk robot's limit: 20 messages a minute, ten quiet minutes for who sends more (custom robot documentation, "limits").
//!
//! Owns: who waits for a robot, in which order, and what is merged into one digest. Must not know: what a message says.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::ledger::ChannelKey;
use super::tick::Tick;
use crate::config::SecretSource;
use crate::digest::name_of;

/// Messages in any minute.
pub(crate) const PER_MINUTE: usize = 20;
/// Of them kept free for critical alerts.
const RESERVED: usize = 3;
const MINUTE: i64 = 60_000;
/// Critical groups that get a message of their own even in a storm.
const CRITICAL_ALONE: usize = 5;
/// Groups merged into one digest at most.
const DIGEST: usize = 50;

/// Names a robot: a hash of its URL, since two targets may be the same robot.
pub(crate) type RobotKey = Arc<str>;

/// How urgent a message is; critical ones go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Critical,
    Ordinary,
}

/// Who waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Waiter {
    /// A channel of a group.
    Channel(ChannelKey),
    /// A message that belongs to no group.
    Letter(Arc<str>),
}

/// One place in the queue: most urgent first, then oldest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wait {
    pub(crate) rank: Rank,
    pub(crate) since: Tick,
    pub(crate) target: Arc<str>,
    pub(crate) waiter: Waiter,
}

/// One robot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Robot {
    /// When messages were sent in the last minute.
    sent: VecDeque<Tick>,
    /// Not before.
    quiet_until: Option<Tick>,
    waiting: BTreeSet<Wait>,
}

// === impl Robot ===

impl Robot {
    /// A robot as a record left it.
    pub(crate) fn restored(sent: impl IntoIterator<Item = Tick>, quiet_until: Option<Tick>) -> Self {
        let mut sent: VecDeque<Tick> = sent.into_iter().take(PER_MINUTE).collect();
        sent.make_contiguous().sort_unstable();
        Self { sent, quiet_until, waiting: BTreeSet::new() }
    }

    pub(crate) fn wait(&mut self, wait: Wait) {
        self.waiting.insert(wait);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn quiet_until(&self) -> Option<Tick> {
        self.quiet_until
    }

    pub(crate) fn sent(&self) -> impl Iterator<Item = Tick> {
        self.sent.iter().copied()
    }

    /// Counts a message sent now.
    pub(crate) fn spend(&mut self, now: Tick) {
        self.forget(now);
        self.sent.push_back(now);
    }

    /// Told to be quiet.
    pub(crate) fn quiet(&mut self, until: Tick) {
        self.quiet_until = self.quiet_until.max(Some(until));
    }

    fn forget(&mut self, now: Tick) {
        while self.sent.front().is_some_and(|at| at.saturating_add(MINUTE) <= now) {
            self.sent.pop_front();
        }
        self.quiet_until = self.quiet_until.filter(|until| *until > now);
    }

    fn free(&mut self, now: Tick) -> usize {
        self.forget(now);
        if self.quiet_until.is_some() { 0 } else { PER_MINUTE.saturating_sub(self.sent.len()) }
    }

    /// When it is worth looking at the queue again; `None` when nobody waits.
    pub(crate) fn next_look(&self, now: Tick) -> Option<Tick> {
        let wait = self.waiting.first()?;
        let needed = if wait.rank == Rank::Critical { 1 } else { RESERVED + 1 };
        let over = (self.sent.len() + needed).saturating_sub(PER_MINUTE);
        let freed = over.checked_sub(1).and_then(|at| self.sent.get(at)).map(|at| at.saturating_add(MINUTE));
        Some(freed.max(self.quiet_until).unwrap_or(now).max(now))
    }

    /// Takes from the queue what may be sent now, as messages of one waiter or several to be merged.
    ///
    /// A burst may use half of what is left one by one; a larger one sends the first critical groups alone and merges the rest into one digest.
    pub(crate) fn plan(&mut self, now: Tick) -> Vec<Vec<Wait>> {
        let free = self.free(now);
        let usable = if self.waiting.iter().any(|wait| wait.rank == Rank::Ordinary) { free.saturating_sub(RESERVED) } else { free };
        let criticals = self.waiting.iter().filter(|wait| wait.rank == Rank::Critical).count();
        let mut plan = Vec::new();
        if self.waiting.len() * 2 <= usable.max(2) && self.waiting.len() <= usable {
            plan.extend(self.take(usize::MAX).into_iter().map(|wait| vec![wait]));
            return plan;
        }
        let alone = criticals.min(CRITICAL_ALONE).min(if criticals == self.waiting.len() { free } else { free.saturating_sub(1) });
        plan.extend(self.take(alone).into_iter().map(|wait| vec![wait]));
        let mut left = free.saturating_sub(alone);
        while left > 0 && self.first_may_go(left) {
            plan.push(self.digest());
            left -= 1;
        }
        plan
    }

    /// Whether the one whose turn it is may use one of `left` places.
    fn first_may_go(&self, left: usize) -> bool {
        self.waiting.first().is_some_and(|wait| wait.rank == Rank::Critical || left > RESERVED)
    }

    fn take(&mut self, count: usize) -> Vec<Wait> {
        std::iter::from_fn(|| self.waiting.pop_first()).take(count).collect()
    }

    /// The next in the queue with all others for the same target, up to the bound.
    fn digest(&mut self) -> Vec<Wait> {
        let Some(first) = self.waiting.pop_first() else { return Vec::new() };
        let same: Vec<Wait> = self.waiting.iter().filter(|wait| wait.target == first.target).take(DIGEST - 1).cloned().collect();
        for wait in &same {
            self.waiting.remove(wait);
        }
        std::iter::once(first).chain(same).collect()
    }
}

/// The robot behind a URL.
pub(crate) fn robot_key(url: &SecretSource) -> RobotKey {
    let seed = match url {
        SecretSource::Inline(secret) => format!("url {}", secret.reveal()),
        SecretSource::File(path) => format!("file {}", path.display()),
    };
    name_of([seed.as_bytes()], 8).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(rank: Rank, at: i64) -> Wait {
        Wait { rank, since: at, target: "ops".into(), waiter: Waiter::Channel(format!("{rank:?}{at}").into()) }
    }

    fn sizes(plan: &[Vec<Wait>]) -> Vec<usize> {
        plan.iter().map(Vec::len).collect()
    }

    fn robot(criticals: i64, ordinary: i64) -> Robot {
        let mut robot = Robot::default();
        (0..criticals).for_each(|at| robot.wait(wait(Rank::Critical, at)));
        (0..ordinary).for_each(|at| robot.wait(wait(Rank::Ordinary, at)));
        robot
    }

    /// criticals, ordinary, sent in the last minute → sizes of the messages, left waiting
    #[test]
    fn bursts_are_merged_and_critical_goes_first() {
        for (criticals, ordinary, sent, expected, left) in [
            (0, 1, 0, vec![1], 0),
            (0, 8, 0, vec![1; 8], 0),
            (0, 30, 0, vec![30], 0),
            (2, 30, 0, vec![1, 1, 30], 0),
            (9, 30, 0, vec![1, 1, 1, 1, 1, 34], 0),
            (0, 1, 17, vec![], 1),
            (1, 0, 17, vec![1], 0),
            (4, 4, 19, vec![8], 0),
            (4, 0, 20, vec![], 4),
            (0, 120, 0, vec![50, 50, 20], 0),
        ] {
            let mut robot = robot(criticals, ordinary);
            (0..sent).for_each(|_| robot.spend(0));
            assert_eq!((sizes(&robot.plan(1_000)), robot.waiting()), (expected, left), "{criticals} {ordinary} {sent}");
        }
    }

    #[test]
    fn never_more_than_twenty_in_any_minute() {
        let mut robot = Robot::default();
        let mut sent: Vec<i64> = Vec::new();
        for now in (0..300_000).step_by(500) {
            robot.wait(wait(if now % 3_000 == 0 { Rank::Critical } else { Rank::Ordinary }, now));
            for _ in robot.plan(now) {
                robot.spend(now);
                sent.push(now);
            }
        }
        assert!(sent.len() > 60, "{}", sent.len());
        for from in &sent {
            assert!(sent.iter().filter(|at| (*from..*from + MINUTE).contains(*at)).count() <= PER_MINUTE);
        }
    }

    #[test]
    fn a_penalty_holds_everything_until_it_ends() {
        let mut robot = robot(1, 2);
        robot.quiet(600_000);
        assert!(robot.plan(599_999).is_empty());
        assert_eq!(robot.next_look(1_000), Some(600_000));
        assert_eq!(sizes(&robot.plan(600_000)), [1, 1, 1]);
    }

    #[test]
    fn targets_are_not_mixed_in_a_digest() {
        let mut robot = robot(0, 20);
        robot.wait(Wait { target: "dev".into(), ..wait(Rank::Ordinary, 50) });
        assert_eq!(sizes(&robot.plan(0)), [20, 1]);
    }

    #[test]
    fn the_next_look_is_when_a_place_is_free() {
        let mut robot = robot(0, 1);
        (0..17).for_each(|at| robot.spend(at * 1_000));
        assert_eq!(robot.next_look(17_000), Some(60_000));
        robot.wait(wait(Rank::Critical, 0));
        assert_eq!(robot.next_look(17_000), Some(17_000));
    }
}
