//! What the rules of one iteration have read already. Rules of a group look at the same series at the same time, so most of them read what one before them has read.
//!
//! Owns: which answers are kept, and that none outlives what it was read from. Must not know: rules, what is computed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use promql::labels::{Labels, Matcher};
use promql::series::Counters;
use promql::{Asked, Block, Queryable, SeriesData, Wanted};

use crate::timeline::Shown;

/// Samples kept, at the most: half a megabyte.
const SAMPLES: usize = 1 << 15;

/// What has fewer samples is read again sooner than it is looked for.
const LEAST_SAMPLES: usize = 64;

/// Answers kept, at the most: looking for one among them is cheap beside reading it again.
const ANSWERS: usize = 64;

/// Answers, and what they were read from.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// The one that was wanted last at the end.
    kept: RefCell<VecDeque<Read>>,
    state: Option<State>,
}

/// Of what state of the series answers are true: every change of them counts something, and a step of the wall clock changes what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) counters: Counters,
    pub(super) offset_ms: i64,
}

#[derive(Debug)]
struct Read {
    matchers: Vec<Matcher>,
    start_ms: i64,
    end_ms: i64,
    wanted: Wanted,
    block: Arc<Block>,
}

/// A source whose answers are kept.
pub(super) struct Shared<'a> {
    pub(super) source: Shown<'a>,
    pub(super) reads: &'a Reads,
}

// === impl Reads ===

impl Reads {
    /// Forgets everything unless it was read from this state.
    pub(super) fn check(&mut self, state: State) {
        if self.state != Some(state) {
            self.kept.get_mut().clear();
        }
    }

    /// Notes that the answers kept are true of this state.
    pub(super) fn hold(&mut self, state: State) {
        self.state = Some(state);
    }

    fn find(&self, asked: &Asked<'_>) -> Option<Arc<Block>> {
        let alike = |read: &Read| {
            (read.start_ms, read.end_ms, read.wanted) == (asked.start_ms, asked.end_ms, asked.wanted)
                && read.matchers.iter().map(text).eq(asked.matchers.iter().map(text))
        };
        let mut kept = self.kept.borrow_mut();
        let at = kept.iter().position(alike)?;
        let read = kept.remove(at)?;
        let block = Arc::clone(&read.block);
        kept.push_back(read);
        Some(block)
    }

    fn keep(&self, asked: &Asked<'_>, block: &Arc<Block>) {
        // What is large is hardly asked for twice, and would push out all the rest.
        if !(LEAST_SAMPLES..=SAMPLES / 2).contains(&block.samples()) {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        let samples = |kept: &VecDeque<Read>| kept.iter().map(|read| read.block.samples()).sum::<usize>();
        while kept.len() >= ANSWERS || samples(&kept) + block.samples() > SAMPLES {
            if kept.pop_front().is_none() {
                break;
            }
        }
        let Asked { start_ms, end_ms, wanted, .. } = *asked;
        kept.push_back(Read { matchers: asked.matchers.to_vec(), start_ms, end_ms, wanted, block: Arc::clone(block) });
    }

    /// Forgets every answer that a new sample of this series may change.
    pub(super) fn forget(&self, series: &Labels) {
        let may_hold = |read: &Read| read.matchers.iter().all(|matcher| matcher.matches(series.get(&matcher.name).unwrap_or("")));
        self.kept.borrow_mut().retain(|read| !may_hold(read));
    }
}

/// A matcher without its compiled pattern.
fn text(matcher: &Matcher) -> (&str, promql::labels::MatchOp, &str) {
    (&matcher.name, matcher.op, &matcher.value)
}

// === impl Shared ===

impl Queryable for Shared<'_> {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.source.select(matchers, start_ms, end_ms)
    }

    fn latest(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.source.latest(matchers, start_ms, end_ms)
    }

    fn read(&self, asked: &Asked<'_>) -> Result<Arc<Block>, String> {
        if let Some(block) = self.reads.find(asked) {
            return Ok(block);
        }
        let block = self.source.read(asked)?;
        self.reads.keep(asked, &block);
        Ok(block)
    }

    fn given_up(&self) -> bool {
        self.source.given_up()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clock::Now;
    use promql::Sample;
    use promql::labels::MatchOp;
    use promql::series::{Ceilings, Store};

    use super::*;
    use crate::{CheckOptions, EngineLimits, EngineOptions, Observation, RuleEngine, RuleSource, check};

    fn series(name: &str, n: &str) -> Labels {
        Labels::from_pairs([("__name__", name), ("n", n)])
    }

    fn named(name: &str) -> [Matcher; 1] {
        [Matcher::new("__name__", MatchOp::Equal, name, None)]
    }

    fn store(series_each: usize, samples: i64) -> Store {
        let mut store = Store::new(Ceilings::default());
        for t_ms in 1..=samples {
            for name in ["a", "b"] {
                for n in 0..series_each {
                    store.append_to(&series(name, &n.to_string()), Sample { t_ms, v: 1.0 }).unwrap();
                }
            }
        }
        store
    }

    fn asked(matchers: &[Matcher]) -> Asked<'_> {
        Asked { matchers, start_ms: 0, end_ms: 1_000_000, wanted: Wanted::Live }
    }

    #[test]
    fn what_was_asked_before_is_read_once() {
        let (store, reads) = (store(2, 50), Reads::default());
        let shared = Shared { source: Shown::new(&store, 0), reads: &reads };
        let (a, b) = (named("a"), named("b"));
        let first = shared.read(&asked(&a)).unwrap();
        assert!(Arc::ptr_eq(&first, &shared.read(&asked(&a)).unwrap()));
        assert!(!Arc::ptr_eq(&first, &shared.read(&asked(&b)).unwrap()));
        for other in [Asked { start_ms: 1, ..asked(&a) }, Asked { end_ms: 40, ..asked(&a) }, Asked { wanted: Wanted::Newest, ..asked(&a) }] {
            assert!(!Arc::ptr_eq(&first, &shared.read(&other).unwrap()), "{other:?}");
        }
    }

    #[test]
    fn a_new_sample_is_seen_at_once() {
        let (mut store, reads) = (store(2, 50), Reads::default());
        let (a, b) = (named("a"), named("b"));
        let count =
            |store: &Store, matchers: &[Matcher]| Shared { source: Shown::new(store, 0), reads: &reads }.read(&asked(matchers)).unwrap().samples();
        assert_eq!((count(&store, &a), count(&store, &b)), (100, 100));
        store.append_to(&series("a", "new"), Sample { t_ms: 51, v: 1.0 }).unwrap();
        reads.forget(&series("a", "new"));
        assert_eq!((count(&store, &a), count(&store, &b)), (101, 100));
        assert_eq!(reads.kept.borrow().len(), 2);
    }

    #[test]
    fn answers_are_kept_within_bounds() {
        let (store, reads) = (store(100, 100), Reads::default());
        let shared = Shared { source: Shown::new(&store, 0), reads: &reads };
        let (a, b) = (named("a"), named("b"));
        for end_ms in 1..=300 {
            for matchers in [&a, &b] {
                shared.read(&Asked { end_ms, ..asked(matchers) }).unwrap();
            }
            let kept = reads.kept.borrow();
            assert!(kept.len() <= ANSWERS && kept.iter().map(|read| read.block.samples()).sum::<usize>() <= SAMPLES);
        }
        let everything = shared.read(&asked(&[])).unwrap();
        assert_eq!(everything.samples(), 20_000);
        assert!(!Arc::ptr_eq(&everything, &shared.read(&asked(&[])).unwrap()), "larger than half of the room");
    }

    /// One rule a turn: the second reads what the first has read, and what came in between.
    #[test]
    fn what_comes_between_two_turns_is_seen_by_the_rules_that_are_left() {
        let text = "groups:\n- name: g\n  interval: 10s\n  rules:\n  - {record: first, expr: 'sum(count_over_time(a[1m]))'}\n  - {record: second, expr: 'sum(count_over_time(a[1m]))'}\n";
        let checked = check(&[RuleSource { file: "t.yml", text }], &CheckOptions::default());
        let options = EngineOptions { limits: EngineLimits { work_a_turn: 1, ..EngineLimits::default() }, ..EngineOptions::default() };
        let mut now = Now::new(Duration::from_secs(100), 1_700_000_000_000);
        let mut engine = RuleEngine::new(checked.rules, Store::new(Ceilings::default()), options, now);
        let all: Vec<Labels> = (0..LEAST_SAMPLES).map(|n| series("a", &n.to_string())).collect();
        let mut more = false;
        for _ in 0..30 {
            now = now.later(Duration::from_secs(1));
            let samples = all.iter().map(|labels| (labels.clone(), 1.0)).collect();
            engine.observe(now, Observation { at_ms: now.wall_ms, samples, ..Observation::default() });
            more = engine.turn(now).more;
            if more {
                break;
            }
        }
        assert!(more && engine.reads.kept.borrow().len() == 1, "the second rule waits, and the answer for it is kept");
        let late = (series("a", "late"), Sample { t_ms: now.wall_ms - 5_000, v: 1.0 });
        engine.observe(now, Observation { at_ms: now.wall_ms, stamped: vec![late], ..Observation::default() });
        while engine.turn(now).more {}
        let value = |name: &str| engine.store().select(&named(name), 0, i64::MAX).unwrap()[0].samples[0].v;
        assert!((value("second") - value("first") - 1.0).abs() < 1e-9, "{} and {}", value("first"), value("second"));
        assert_eq!(engine.reads.kept.borrow().len(), 0, "nothing is kept when nothing is left to do");
    }
}
