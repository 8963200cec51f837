//! How the other threads hear of pressure: atomics, written by the watch on the control thread, read by the data path and the sinks.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use marketdata::Pressure;
use tokio::sync::Notify;

use super::level::{Level, Resource, Step};

/// What is in force. Reading costs one atomic load.
#[derive(Debug, Default)]
pub struct Controls {
    levels: [AtomicU8; 3],
    steps: AtomicU8,
    trims: AtomicU64,
    idle_closes: AtomicU64,
    closing: Notify,
}

// === impl Controls ===

impl Controls {
    /// The highest level of any resource.
    pub fn level(&self) -> Level {
        Resource::ALL.into_iter().map(|resource| self.level_of(resource)).max().unwrap_or_default()
    }

    /// The level of a resource.
    pub fn level_of(&self, resource: Resource) -> Level {
        let stored = self.levels.get(resource.index()).map_or(0, |level| level.load(Ordering::Relaxed));
        Level::ALL.get(usize::from(stored)).copied().unwrap_or_default()
    }

    /// Whether a standing step is in force.
    pub fn stands(&self, step: Step) -> bool {
        self.steps.load(Ordering::Relaxed) & bit(step) != 0
    }

    /// Preview kinds are not to be made, or go to the dead letter.
    pub fn sheds_preview(&self) -> bool {
        self.stands(Step::ShedPreview)
    }

    /// What the venues are to give up; each takes it over within a second.
    pub fn of_venues(&self) -> Pressure {
        if self.stands(Step::PauseLowPriority) {
            Pressure::PauseLow
        } else if self.stands(Step::WidenConflation) {
            Pressure::WidenConflation
        } else if self.stands(Step::ShedPreview) {
            Pressure::ShedPreview
        } else {
            Pressure::Normal
        }
    }

    /// How often owners were asked to give spare capacity back; one who finds it moved does so.
    pub fn trims(&self) -> u64 {
        self.trims.load(Ordering::Relaxed)
    }

    /// How often owners were asked to close connections without use; one who finds it moved does so.
    pub fn idle_closes(&self) -> u64 {
        self.idle_closes.load(Ordering::Relaxed)
    }

    /// Resolves at the next request to close connections without use.
    pub async fn idle_close_asked(&self) {
        self.closing.notified().await;
    }

    pub(crate) fn set_level(&self, resource: Resource, level: Level) {
        if let Some(stored) = self.levels.get(resource.index()) {
            stored.store(level as u8, Ordering::Relaxed);
        }
    }

    /// A standing step is in force from now on.
    pub fn begin(&self, step: Step) {
        self.steps.fetch_or(bit(step), Ordering::Relaxed);
    }

    /// It is no more.
    pub fn end(&self, step: Step) {
        self.steps.fetch_and(!bit(step), Ordering::Relaxed);
    }

    pub(super) fn ask_to_trim(&self) {
        self.trims.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ask_to_close_idle(&self) {
        self.idle_closes.fetch_add(1, Ordering::Relaxed);
        // Kept for the server when it is not waiting at this moment.
        self.closing.notify_one();
    }
}

const fn bit(step: Step) -> u8 {
    1 << step as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_is_read_as_it_was_set() {
        let controls = Controls::default();
        assert_eq!((controls.level(), controls.sheds_preview()), (Level::Normal, false));
        controls.set_level(Resource::Memory, Level::Critical);
        controls.begin(Step::ShedPreview);
        controls.begin(Step::PauseLowPriority);
        assert!(controls.sheds_preview() && !controls.stands(Step::WidenConflation));
        assert_eq!(controls.of_venues(), Pressure::PauseLow);
        controls.end(Step::ShedPreview);
        controls.end(Step::PauseLowPriority);
        assert_eq!((controls.sheds_preview(), controls.of_venues()), (false, Pressure::Normal));
        controls.set_level(Resource::Sockets, Level::Elevated);
        controls.set_level(Resource::Memory, Level::Normal);
        assert_eq!((controls.level(), controls.level_of(Resource::Memory)), (Level::Elevated, Level::Normal));
        assert_eq!((controls.trims(), controls.idle_closes()), (0, 0));
        controls.ask_to_trim();
        controls.ask_to_close_idle();
        assert_eq!((controls.trims(), controls.idle_closes()), (1, 1));
    }
}
