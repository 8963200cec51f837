//! Series by number: what a source tells again and again of the same series, without their labels.
//!
//! Owns: which series a source's numbers stand for. Must not know: pages of metrics, targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use promql::Sample;
use promql::labels::Labels;
use promql::series::{AppendError, Appended, SeriesId, Store};

use super::{NameRun, RuleEngine, stale_at};
use crate::observation::{Observed, Page};

/// The numbers of every source.
#[derive(Debug, Default)]
pub(super) struct Tables(BTreeMap<u64, Table>);

/// The numbers of one source; as large as the pages it tells.
#[derive(Debug, Default)]
struct Table {
    slots: Vec<Option<Slot>>,
    /// Names of series stand together on a page: the name learned last is shared with the next that has it.
    last_name: Option<Arc<str>>,
    /// The time of the last page, which the next one must be later than.
    last_at: i64,
}

#[derive(Debug)]
struct Slot {
    labels: Labels,
    name: Arc<str>,
    /// `None` until the store has taken the series.
    id: Option<SeriesId>,
}

// === impl Table ===

impl Table {
    fn learn(&mut self, number: u32, labels: Labels) {
        let name = match self.last_name.take().filter(|last| **last == *labels.metric_name()) {
            Some(last) => last,
            None => Arc::from(labels.metric_name()),
        };
        self.last_name = Some(Arc::clone(&name));
        let at = number as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        if let Some(place) = self.slots.get_mut(at) {
            *place = Some(Slot { labels, name, id: None });
        }
    }

    fn slot(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.get_mut(number as usize)?.as_mut()
    }
}

// === impl Slot ===

impl Slot {
    /// Appends; a series that the store let go of in the meantime is made again.
    fn append(&mut self, store: &mut Store, sample: Sample) -> Result<Appended, AppendError> {
        if let Some(id) = self.id {
            match store.append(id, sample) {
                Err(AppendError::UnknownSeries) => {}
                outcome => return outcome,
            }
        }
        let id = store.series(&self.labels)?;
        self.id = Some(id);
        // The store's own copy of the text, so that it is held once.
        if let Some(held) = store.labels(id) {
            self.labels = held.clone();
        }
        store.append(id, sample)
    }
}

// === impl RuleEngine ===

impl RuleEngine {
    /// Takes a page in; `at` is the steady time of its samples.
    pub(super) fn observe_page(&mut self, (at, heard_at): (i64, i64), page: Page, observed: &mut Observed) {
        let mut tables = std::mem::take(&mut self.tables);
        let mut table = tables.0.remove(&page.source).unwrap_or_default();
        let replaced = page.replaces.and_then(|old| tables.0.remove(&old)).unwrap_or_default();
        let at = at.max(table.last_at.max(replaced.last_at).saturating_add(1));
        table.last_at = at;
        for (number, labels) in page.learned {
            table.learn(number, labels);
        }
        let mut run = NameRun::default();
        let mut last_name: Option<Arc<str>> = None;
        let timeline = self.timeline;
        let scraped = page.samples.into_iter().map(|(number, v)| (number, Sample { t_ms: at, v }));
        let stamped = page.stamped.into_iter().map(|(number, sample)| (number, Sample { t_ms: timeline.steady_of_ms(sample.t_ms), v: sample.v }));
        for (number, sample) in scraped.chain(stamped) {
            let Some(slot) = table.slot(number) else { continue };
            observed.count(slot.append(&mut self.store, sample));
            if last_name.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &slot.name)) {
                last_name = Some(Arc::clone(&slot.name));
                self.hear(&mut run, &slot.name, heard_at);
            }
        }
        for number in page.stale {
            if let Some(slot) = table.slot(number) {
                end(slot, &mut self.store, at, observed);
            }
        }
        for number in page.freed {
            if let Some(place) = table.slots.get_mut(number as usize) {
                *place = None;
            }
        }
        // Series that both have were just given a sample of this time, and the store takes no second one.
        for mut slot in replaced.slots.into_iter().flatten() {
            end(&mut slot, &mut self.store, at, observed);
        }
        if !page.last {
            tables.0.insert(page.source, table);
        }
        self.tables = tables;
    }
}

/// Writes a stale marker, unless the series has a sample of that time: another text or another source stands for it too.
fn end(slot: &mut Slot, store: &mut Store, at: i64, observed: &mut Observed) {
    // A series that the store never took needs no end.
    if slot.id.is_none() {
        return;
    }
    match slot.append(store, stale_at(at)) {
        Err(AppendError::DuplicateTimestamp) => {}
        outcome => observed.count(outcome),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clock::Now;
    use promql::Queryable as _;
    use promql::labels::{MatchOp, Matcher};
    use promql::series::Ceilings;

    use super::*;
    use crate::engine::EngineOptions;
    use crate::model::RuleSet;
    use crate::observation::Observation;

    const START: Now = Now::new(Duration::from_secs(100), 1_700_000_000_000);

    fn engine() -> RuleEngine {
        RuleEngine::new(RuleSet::default(), Store::new(Ceilings::default()), EngineOptions::default(), START)
    }

    fn series(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name)])
    }

    fn observe(engine: &mut RuleEngine, second: u64, page: Page) -> Observed {
        let now = START.later(Duration::from_secs(second));
        engine.observe(now, Observation { at_ms: now.wall_ms, page: Some(page), ..Observation::default() })
    }

    /// Values of a series, `None` for a stale marker.
    fn values(engine: &RuleEngine, name: &str) -> Vec<Option<f64>> {
        let found = engine.store().select(&[Matcher::new("__name__", MatchOp::Equal, name, None)], 0, i64::MAX).unwrap();
        found.iter().flat_map(|series| &series.samples).map(|sample| (!promql::is_stale(sample.v)).then_some(sample.v)).collect()
    }

    #[test]
    fn numbers_stand_for_series_until_they_are_freed() {
        let mut engine = engine();
        let learned = vec![(0, series("a")), (1, series("b"))];
        observe(&mut engine, 1, Page { source: 7, learned, samples: vec![(0, 1.0), (1, 2.0)], ..Page::default() });
        let seen = observe(&mut engine, 2, Page { source: 7, samples: vec![(0, 3.0)], stale: vec![1], freed: vec![1], ..Page::default() });
        assert_eq!(seen.accepted, 2);
        observe(&mut engine, 3, Page { source: 7, learned: vec![(1, series("c"))], samples: vec![(1, 4.0)], ..Page::default() });
        observe(&mut engine, 3, Page { source: 8, samples: vec![(0, 9.0)], ..Page::default() });
        assert_eq!(values(&engine, "a"), [Some(1.0), Some(3.0)]);
        assert_eq!((values(&engine, "b"), values(&engine, "c")), (vec![Some(2.0), None], vec![Some(4.0)]));
    }

    #[test]
    fn a_series_that_another_number_still_stands_for_does_not_end() {
        let mut engine = engine();
        let learned = vec![(0, series("a")), (1, series("a"))];
        observe(&mut engine, 1, Page { source: 1, learned, samples: vec![(0, 1.0)], ..Page::default() });
        observe(&mut engine, 2, Page { source: 1, samples: vec![(1, 2.0)], stale: vec![0], freed: vec![0], ..Page::default() });
        assert_eq!(values(&engine, "a"), [Some(1.0), Some(2.0)]);
    }

    #[test]
    fn a_source_that_takes_anothers_place_ends_only_what_it_lacks() {
        let mut engine = engine();
        let learned = vec![(0, series("a")), (1, series("b"))];
        observe(&mut engine, 1, Page { source: 1, learned, samples: vec![(0, 1.0), (1, 1.0)], ..Page::default() });
        let page = Page { source: 2, replaces: Some(1), learned: vec![(0, series("a"))], samples: vec![(0, 2.0)], ..Page::default() };
        observe(&mut engine, 2, page);
        assert_eq!((values(&engine, "a"), values(&engine, "b")), (vec![Some(1.0), Some(2.0)], vec![Some(1.0), None]));
        observe(&mut engine, 3, Page { source: 2, stale: vec![0], last: true, ..Page::default() });
        assert_eq!(values(&engine, "a"), [Some(1.0), Some(2.0), None]);
    }

    #[test]
    fn a_series_that_the_store_let_go_is_made_again() {
        let mut engine = engine();
        observe(&mut engine, 1, Page { source: 1, learned: vec![(0, series("a"))], samples: vec![(0, 1.0)], ..Page::default() });
        let day_ms = 86_400_000;
        observe(&mut engine, 86_400, Page { source: 2, learned: vec![(0, series("b"))], samples: vec![(0, 1.0)], ..Page::default() });
        engine.store_mut().maintain(START.wall_ms + day_ms);
        observe(&mut engine, 86_402, Page { source: 1, samples: vec![(0, 2.0)], ..Page::default() });
        assert_eq!(values(&engine, "a"), [Some(2.0)]);
    }

    #[test]
    fn time_never_goes_back_within_a_source() {
        let mut engine = engine();
        let now = START.later(Duration::from_secs(5));
        let page = |v| Page { source: 1, learned: vec![(0, series("a"))], samples: vec![(0, v)], ..Page::default() };
        engine.observe(now, Observation { at_ms: now.wall_ms, page: Some(page(1.0)), ..Observation::default() });
        engine.observe(now, Observation { at_ms: now.wall_ms - 900, page: Some(page(2.0)), ..Observation::default() });
        assert_eq!(values(&engine, "a"), [Some(1.0), Some(2.0)]);
    }
}
