//! What rules have read. Rules of a group look at the same series at the same time, so most of them read what one before them has read; and an iteration looks at
//! most of what the one before it did.
//!
//! Owns: which windows are kept, and that none is taken for current when it is not. Must not know: rules, what is computed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use promql::labels::{Labels, Matcher};
use promql::series::{Counters, Store, Window};
use promql::{Asked, Block, Queryable, Sample, SeriesData};

/// Bytes kept, at the most.
pub(super) const BYTES: usize = 1 << 20;

/// What has fewer samples is read again sooner than it is looked for.
const LEAST_SAMPLES: usize = 32;

/// Windows kept, at the most: looking for one among them is cheap beside reading it again.
const WINDOWS: usize = 64;

/// Windows, and what they were read from.
#[derive(Debug, Default)]
pub(super) struct Reads {
    kept: RefCell<Kept>,
    state: Option<Counters>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The one that was wanted last at the end.
    windows: VecDeque<Read>,
    /// Memory for the next window that goes on.
    spare: Vec<Sample>,
}

#[derive(Debug)]
struct Read {
    window: Window,
    /// Whether nothing came since that it might hold.
    is_current: bool,
}

/// A store whose answers are kept.
pub(super) struct Shared<'a> {
    pub(super) store: &'a Store,
    pub(super) reads: &'a Reads,
}

// === impl Reads ===

impl Reads {
    /// Bytes of the windows that are kept.
    pub(super) fn memory_bytes(&self) -> usize {
        self.kept.borrow().memory_bytes()
    }

    /// Takes nothing for current that was read from another state: every change of the series counts something.
    pub(super) fn check(&mut self, state: Counters) {
        if self.state != Some(state) {
            self.kept.get_mut().windows.iter_mut().for_each(|read| read.is_current = false);
        }
    }

    /// Notes that what is current is true of this state.
    pub(super) fn hold(&mut self, state: Counters) {
        self.state = Some(state);
    }

    /// A new sample of this series changes what holds it.
    pub(super) fn forget(&self, series: &Labels) {
        let may_hold = |matchers: &[Matcher]| matchers.iter().all(|matcher| matcher.matches(series.get(&matcher.name).unwrap_or("")));
        for read in &mut self.kept.borrow_mut().windows {
            read.is_current &= !may_hold(read.window.matchers());
        }
    }
}

// === impl Kept ===

impl Kept {
    /// A window of just what is asked for: one that is there, or one of before that has been brought to it.
    fn find(&mut self, store: &Store, asked: &Asked<'_>) -> Option<Arc<Block>> {
        let first = |fits: fn(&Window, &Asked<'_>) -> bool| self.windows.iter().position(|read| fits(&read.window, asked));
        let at = first(Window::covers).or_else(|| first(Window::leads_to))?;
        let Read { mut window, is_current } = self.windows.remove(at)?;
        let is_it = is_current && window.covers(asked) || store.follow(&mut window, asked, &mut self.spare);
        if !is_it {
            return None;
        }
        let block = Arc::clone(window.block());
        self.keep(window);
        Some(block)
    }

    fn memory_bytes(&self) -> usize {
        self.windows.iter().map(|read| read.window.memory_bytes()).sum()
    }

    fn keep(&mut self, window: Window) {
        // What is large is hardly asked for twice, and would push out all the rest.
        if window.block().samples() < LEAST_SAMPLES || window.memory_bytes() > BYTES / 2 {
            return;
        }
        while self.windows.len() >= WINDOWS || self.memory_bytes() + window.memory_bytes() > BYTES {
            if self.windows.pop_front().is_none() {
                break;
            }
        }
        self.windows.push_back(Read { window, is_current: true });
    }
}

// === impl Shared ===

impl Queryable for Shared<'_> {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.store.select(matchers, start_ms, end_ms)
    }

    fn latest(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.store.latest(matchers, start_ms, end_ms)
    }

    fn read(&self, asked: &Asked<'_>) -> Result<Arc<Block>, String> {
        let mut kept = self.reads.kept.borrow_mut();
        if let Some(block) = kept.find(self.store, asked) {
            return Ok(block);
        }
        let window = self.store.open(asked)?;
        let block = Arc::clone(window.block());
        kept.keep(window);
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clock::Now;
    use promql::Wanted;
    use promql::labels::MatchOp;
    use promql::series::Ceilings;

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
        let shared = Shared { store: &store, reads: &reads };
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
        let count = |store: &Store, matchers: &[Matcher]| Shared { store, reads: &reads }.read(&asked(matchers)).unwrap().samples();
        assert_eq!((count(&store, &a), count(&store, &b)), (100, 100));
        for (n, expected) in [("new", 101), ("0", 102)] {
            store.append_to(&series("a", n), Sample { t_ms: 51, v: 1.0 }).unwrap();
            reads.forget(&series("a", n));
            assert_eq!((count(&store, &a), count(&store, &b)), (expected, 100));
            assert_eq!(reads.kept.borrow().windows.len(), 2);
        }
    }

    #[test]
    fn what_an_iteration_has_read_is_brought_to_the_next() {
        let (mut store, mut reads) = (store(2, 50), Reads::default());
        let a = named("a");
        let asked = |end_ms: i64| Asked { start_ms: end_ms - 40, end_ms, ..asked(&a) };
        for end_ms in 51..60 {
            store.append_to(&series("a", "0"), Sample { t_ms: end_ms, v: 1.0 }).unwrap();
            reads.check(store.stats().counters);
            let block = Shared { store: &store, reads: &reads }.read(&asked(end_ms)).unwrap();
            reads.hold(store.stats().counters);
            assert_eq!(*block, *store.read(&asked(end_ms)).unwrap());
            assert_eq!(reads.kept.borrow().windows.len(), 1, "one window, which goes on");
        }
    }

    #[test]
    fn windows_are_kept_within_bounds() {
        let (store, reads) = (store(100, 200), Reads::default());
        let shared = Shared { store: &store, reads: &reads };
        let (a, b) = (named("a"), named("b"));
        for length_ms in 1..=300 {
            for matchers in [&a, &b] {
                shared.read(&Asked { start_ms: 200 - length_ms, end_ms: 200, ..asked(matchers) }).unwrap();
            }
            let kept = reads.kept.borrow();
            assert!(kept.windows.len() <= WINDOWS && kept.windows.iter().map(|read| read.window.memory_bytes()).sum::<usize>() <= BYTES);
        }
        let everything = shared.read(&asked(&[])).unwrap();
        assert_eq!(everything.samples(), 40_000);
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
        assert!(more && engine.reads.kept.borrow().windows.len() == 1, "the second rule waits, and the answer for it is kept");
        let late = (series("a", "late"), Sample { t_ms: now.wall_ms - 5_000, v: 1.0 });
        engine.observe(now, Observation { at_ms: now.wall_ms, stamped: vec![late], ..Observation::default() });
        while engine.turn(now).more {}
        let value = |name: &str| engine.store().select(&named(name), 0, i64::MAX).unwrap()[0].samples[0].v;
        assert!((value("second") - value("first") - 1.0).abs() < 1e-9, "{} and {}", value("first"), value("second"));
    }
}
