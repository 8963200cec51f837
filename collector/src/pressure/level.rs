//! The words of pressure: what is budgeted, how high it stands, what is done. The same word in log, metric, page and test.

/// What is budgeted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Resident memory, bytes.
    Memory,
    /// Open descriptors.
    Descriptors,
    /// Open descriptors that are sockets.
    Sockets,
}

/// How high a resource stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Below its soft limit.
    #[default]
    Normal,
    /// Over its soft limit.
    Elevated,
    /// Over its hard limit.
    Critical,
}

/// One way to become smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Stands: preview kinds are not made, or go to the dead letter.
    ShedPreview,
    /// Stands: books are published less often.
    WidenConflation,
    /// Stands: instruments of low priority are not collected.
    PauseLowPriority,
    /// Done now: connections without use are closed.
    CloseIdle,
    /// Done now: spare capacity goes back to the allocator, and its free pages to the system.
    Purge,
}

/// The two limits of a resource, in its unit; `soft` is below `hard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Over this the level is elevated.
    pub soft: u64,
    /// Over this the level is critical.
    pub hard: u64,
}

/// Why a level changed or a step was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The figure passed the soft limit.
    OverSoft,
    /// The figure passed the hard limit.
    OverHard,
    /// The figure has been well below the limit for the dwell time.
    Recovered,
    /// The time for it has come (`pressure.gc_interval`).
    Interval,
}

// === impl Resource ===

impl Resource {
    /// All, in the order of [`index`](Self::index).
    pub const ALL: [Self; 3] = [Self::Memory, Self::Descriptors, Self::Sockets];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
            Self::Sockets => "sockets",
        }
    }

    /// Place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }

    /// A rise by less than this within a minute is not worth a word, whatever the limits.
    pub(super) const fn notable_rise(self) -> u64 {
        match self {
            Self::Memory => 2_000_000,
            Self::Descriptors | Self::Sockets => 20,
        }
    }
}

// === impl Level ===

impl Level {
    /// All, rising.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Elevated, Self::Critical];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Elevated => "elevated",
            Self::Critical => "critical",
        }
    }

    /// The next lower one.
    pub const fn lower(self) -> Self {
        match self {
            Self::Critical => Self::Elevated,
            Self::Elevated | Self::Normal => Self::Normal,
        }
    }

    /// What stands at this level of a resource. Descriptors and sockets are not freed by making fewer records.
    pub const fn standing(self, resource: Resource) -> &'static [Step] {
        match (resource, self) {
            (Resource::Memory, Self::Elevated) => &[Step::ShedPreview, Step::WidenConflation],
            (Resource::Memory, Self::Critical) => &[Step::ShedPreview, Step::WidenConflation, Step::PauseLowPriority],
            _ => &[],
        }
    }

    /// What is done on reaching this level of a resource, and again and again while it stays.
    pub const fn actions(self, resource: Resource) -> &'static [Step] {
        match (resource, self) {
            (_, Self::Normal) => &[],
            (Resource::Memory, Self::Elevated) => &[Step::Purge],
            (Resource::Memory, Self::Critical) => &[Step::CloseIdle, Step::Purge],
            (Resource::Descriptors | Resource::Sockets, _) => &[Step::CloseIdle],
        }
    }
}

// === impl Step ===

impl Step {
    /// All.
    pub const ALL: [Self; 5] = [Self::ShedPreview, Self::WidenConflation, Self::PauseLowPriority, Self::CloseIdle, Self::Purge];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ShedPreview => "shed_preview",
            Self::WidenConflation => "widen_conflation",
            Self::PauseLowPriority => "pause_low_priority",
            Self::CloseIdle => "close_idle",
            Self::Purge => "purge",
        }
    }
}

// === impl Limits ===

impl Limits {
    /// What a figure says by itself.
    pub const fn level(self, used: u64) -> Level {
        if used > self.hard {
            Level::Critical
        } else if used > self.soft {
            Level::Elevated
        } else {
            Level::Normal
        }
    }

    /// Below nine tenths of what led to a level, the way down begins: a figure that swings around a limit does not flap.
    pub const fn is_calm(self, level: Level, used: u64) -> bool {
        let limit = match level {
            Level::Critical => self.hard,
            Level::Elevated => self.soft,
            Level::Normal => return true,
        };
        used < limit / 10 * 9 + limit % 10 * 9 / 10
    }
}

// === impl Reason ===

impl Reason {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OverSoft => "over_soft",
            Self::OverHard => "over_hard",
            Self::Recovered => "recovered",
            Self::Interval => "interval",
        }
    }

    /// Why a resource stands at a level above normal.
    pub(super) const fn of(level: Level) -> Self {
        match level {
            Level::Critical => Self::OverHard,
            Level::Elevated => Self::OverSoft,
            Level::Normal => Self::Recovered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_left_only_well_below_its_limit() {
        let limits = Limits { soft: 100, hard: 200 };
        for (used, level) in [(0, Level::Normal), (100, Level::Normal), (101, Level::Elevated), (200, Level::Elevated), (201, Level::Critical)] {
            assert_eq!(limits.level(used), level, "{used}");
        }
        assert!(!limits.is_calm(Level::Elevated, 90) && limits.is_calm(Level::Elevated, 89));
        assert!(!limits.is_calm(Level::Critical, 180) && limits.is_calm(Level::Critical, 179));
        assert!(Limits { soft: 1, hard: u64::MAX }.is_calm(Level::Critical, u64::MAX / 2), "no overflow");
    }

    #[test]
    fn a_higher_level_does_all_that_a_lower_one_does() {
        for resource in Resource::ALL {
            for step in Level::Elevated.standing(resource).iter().chain(Level::Elevated.actions(resource)) {
                assert!(Level::Critical.standing(resource).contains(step) || Level::Critical.actions(resource).contains(step), "{step:?}");
            }
            assert!(Level::Normal.standing(resource).is_empty() && Level::Normal.actions(resource).is_empty());
        }
    }
}
