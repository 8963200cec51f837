//! Warnings and infos of an evaluation: the answer stands, but its author should know. Each kind once per metric, bounded.
use std::collections::BTreeSet;

/// The most notes of one level that are kept.
const MAX_NOTES: usize = 20;

/// Warnings and infos, in English as in Prometheus's API, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The answer may be wrong.
    pub warnings: BTreeSet<String>,
    /// The query may not be what was meant.
    pub infos: BTreeSet<String>,
}

// === impl Notes ===

impl Notes {
    pub(super) fn warn(&mut self, text: String) {
        if self.warnings.len() < MAX_NOTES {
            self.warnings.insert(text);
        }
    }

    pub(super) fn inform(&mut self, text: String) {
        if self.infos.len() < MAX_NOTES {
            self.infos.insert(text);
        }
    }
}
