//! What history rules look back on: what a store must keep for them, and a shell bring back after a start.

use promql::parse::inspect;
use promql::series::Reach;

use super::EngineOptions;
use crate::model::Group;

/// What history is needed.
#[derive(Clone, Debug)]
pub struct Needs {
    /// Of every series, milliseconds.
    pub retention_ms: i64,
    /// Of some series, more.
    pub reaches: Vec<Reach>,
}

impl Needs {
    /// The needs of these groups.
    pub fn of<'g>(groups: impl IntoIterator<Item = &'g Group> + Clone, options: &EngineOptions) -> Self {
        let offset_ms = groups.clone().into_iter().filter_map(|group| group.query_offset_ms).max().unwrap_or(0).max(options.query_offset_ms);
        let slack_ms = options.evaluation_interval_ms + offset_ms;
        let lookback_ms = options.eval.lookback_ms;
        let rules = groups.into_iter().flat_map(|group| &group.rules);
        let reads = rules.flat_map(|rule| inspect::reads(rule.expr(), lookback_ms));
        let further = reads.filter_map(|read| Some((read.selector, read.look_back_ms.filter(|back_ms| *back_ms > lookback_ms)?)));
        let reaches = further.map(|(selector, back_ms)| Reach { matchers: selector.matchers.clone(), back_ms: back_ms + slack_ms }).collect();
        Self { retention_ms: lookback_ms.max(options.keep_ms) + slack_ms, reaches }
    }
}
