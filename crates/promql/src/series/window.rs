//! What a selector has read, brought to a later time instead of being read again: most samples of a window that moves on are there already.
//!
//! Owns: how a window finds what is new, and when it cannot. Must not know: who asks, what is computed.
use std::sync::Arc;

use super::held::{HeldSeries, Since};
use super::selection::View;
use crate::labels::Matcher;
use crate::{Asked, Block, Sample, Wanted, is_stale};

/// The series that some matchers match, with their samples in a stretch of time.
#[derive(Debug)]
pub struct Window {
    matchers: Vec<Matcher>,
    start_ms: i64,
    end_ms: i64,
    wanted: Wanted,
    block: Arc<Block>,
    /// Every series that matches, in order of labels, whether or not it has samples here.
    marks: Vec<Mark>,
    /// What the store said of itself when this was read.
    shape: Shape,
}

/// Counts of a store that change with everything but samples at the end of its series.
pub(super) type Shape = [u64; 5];

/// How far a series is read.
#[derive(Debug)]
struct Mark {
    slot: u32,
    /// Whether it has samples in the block.
    is_there: bool,
    /// The time of its newest sample; none when it has later ones than were asked for, and must be read again.
    newest_ms: Option<i64>,
}

// === impl Window ===

impl Window {
    /// Reads what is asked for.
    pub(super) fn open(view: &View, shape: Shape, asked: &Asked<'_>) -> Result<Self, String> {
        let mut marks = Vec::new();
        let block = view.read_each(asked, |slot, series, samples| {
            marks.push(Mark { slot, is_there: samples > 0, newest_ms: newest_ms(series, asked.end_ms) });
        })?;
        marks.shrink_to_fit();
        let Asked { matchers, start_ms, end_ms, wanted } = *asked;
        Ok(Self { matchers: matchers.to_vec(), start_ms, end_ms, wanted, block: Arc::new(block), marks, shape })
    }

    /// What it holds.
    pub fn block(&self) -> &Arc<Block> {
        &self.block
    }

    /// Its matchers.
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// Bytes of memory held, about.
    pub fn memory_bytes(&self) -> usize {
        self.block.room() * size_of::<Sample>() + self.marks.len() * (size_of::<Mark>() + Block::SERIES_BYTES)
    }

    /// Whether it is of just that stretch of time.
    pub fn covers(&self, asked: &Asked<'_>) -> bool {
        (self.start_ms, self.end_ms, self.wanted) == (asked.start_ms, asked.end_ms, asked.wanted) && self.is_of(asked.matchers)
    }

    /// Whether what is asked for is this window a little later.
    pub fn leads_to(&self, asked: &Asked<'_>) -> bool {
        let moved_ms = asked.end_ms.saturating_sub(self.end_ms);
        let length_ms = self.end_ms.saturating_sub(self.start_ms);
        self.wanted == asked.wanted
            && (0..length_ms).contains(&moved_ms)
            && asked.start_ms.saturating_sub(self.start_ms) == moved_ms
            && self.is_of(asked.matchers)
    }

    /// Whether these are its matchers; a pattern is its text.
    fn is_of(&self, matchers: &[Matcher]) -> bool {
        fn text(matcher: &Matcher) -> (&str, crate::labels::MatchOp, &str) {
            (&matcher.name, matcher.op, &matcher.value)
        }
        self.matchers.iter().map(text).eq(matchers.iter().map(text))
    }

    /// Goes on to what is asked for, which it [`leads_to`](Self::leads_to); `spare` is memory to do it in. When it returns false it holds nothing of use:
    /// series came or went, or samples otherwise than at the end of a series.
    pub(super) fn follow(&mut self, view: &View, shape: Shape, asked: &Asked<'_>, spare: &mut Vec<Sample>) -> bool {
        if self.shape != shape {
            return false;
        }
        (self.start_ms, self.end_ms) = (asked.start_ms, asked.end_ms);
        let block = Arc::make_mut(&mut self.block);
        let mut there = self.marks.iter_mut().filter(|mark| mark.is_there);
        let mut same = true;
        block.renew(spare, |old, new| {
            let before = new.len();
            if let Some(mark) = there.next()
                && let Some(series) = view.held(mark.slot)
            {
                mark.renew(series, asked, (old, new));
            }
            same &= new.len() > before;
        });
        same && block.samples() <= view.select_samples && self.marks.iter_mut().filter(|mark| !mark.is_there).all(|mark| mark.stays_away(view, asked))
    }
}

// === impl Mark ===

impl Mark {
    /// Appends what is asked for of the series to `new`; `old` is what was there before.
    fn renew(&mut self, series: &HeldSeries, asked: &Asked<'_>, (old, new): (&[Sample], &mut Vec<Sample>)) {
        if asked.wanted == Wanted::Newest {
            return new.extend(series.newest(asked.start_ms, asked.end_ms));
        }
        let since = self.newest_ms.map_or(Since::Unknown, |newest_ms| series.since(newest_ms));
        let added = match since {
            Since::Nothing => None,
            Since::One(sample) if sample.t_ms <= asked.end_ms => Some(sample),
            Since::One(_) | Since::Unknown => {
                self.newest_ms = newest_ms(series, asked.end_ms);
                return series.read(asked, new);
            }
        };
        let gone = old.partition_point(|sample| sample.t_ms <= asked.start_ms);
        new.extend_from_slice(old.get(gone..).unwrap_or_default());
        if let Some(sample) = added {
            self.newest_ms = Some(sample.t_ms);
            new.extend(Some(sample).filter(|sample| sample.t_ms > asked.start_ms && (asked.wanted == Wanted::All || !is_stale(sample.v))));
        }
    }

    /// Whether the series, which had no sample there, has none now.
    fn stays_away(&mut self, view: &View, asked: &Asked<'_>) -> bool {
        let (Some(series), Some(newest_ms)) = (view.held(self.slot), self.newest_ms) else { return false };
        match series.since(newest_ms) {
            Since::Nothing => true,
            // A marker that the series has ended is no sample of a range.
            Since::One(sample) if asked.wanted == Wanted::Live && is_stale(sample.v) && sample.t_ms <= asked.end_ms => {
                self.newest_ms = Some(sample.t_ms);
                true
            }
            Since::One(_) | Since::Unknown => false,
        }
    }
}

fn newest_ms(series: &HeldSeries, end_ms: i64) -> Option<i64> {
    let newest_ms = series.last().map_or(i64::MIN, |last| last.t_ms);
    (newest_ms <= end_ms).then_some(newest_ms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::labels::{Labels, MatchOp, Matcher};
    use crate::series::{Ceilings, Store};
    use crate::{Asked, Queryable as _, STALE_NAN_BITS, Sample, Wanted};

    /// What happens between two looks.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A series has a sample, so much later than the time of the look; or a stale marker.
        Sample {
            series: u8,
            ahead_ms: i64,
            stale: bool,
        },
        /// Time passes, and what is too old goes.
        Later {
            by_ms: i64,
            maintain: bool,
        },
        Cut,
        /// History comes back from the disk.
        Restore {
            series: u8,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..4_u8, prop_oneof![9 => Just(0_i64), 1 => -5_000..9_000_i64], 0..12_u8)
                .prop_map(|(series, ahead_ms, stale)| Step::Sample { series, ahead_ms, stale: stale == 0 }),
            4 => (0..4_000_i64, 0..20_u8).prop_map(|(by_ms, maintain)| Step::Later { by_ms, maintain: maintain == 0 }),
            1 => Just(Step::Cut),
            1 => (0..4_u8).prop_map(|series| Step::Restore { series }),
        ]
    }

    fn labels(series: u8) -> Labels {
        Labels::from_pairs([("__name__", if series < 3 { "a" } else { "b" }), ("n", &series.to_string())])
    }

    fn restore(store: &mut Store, series: u8, now_ms: i64) {
        let mut other = Store::new(Ceilings::default());
        let at_ms = store.oldest_of(&labels(series)).unwrap_or(now_ms).saturating_sub(1_000);
        other.append_to(&labels(series), Sample { t_ms: at_ms, v: 7.0 }).unwrap();
        let (_, snapshot) = other.cut();
        let chunks = snapshot.each().flat_map(|held| held.chunks(0, 1).cloned().collect::<Vec<_>>()).collect();
        store.restore(&labels(series), chunks).unwrap();
    }

    proptest! {
        /// Whatever happened in between, a window that goes on holds what one that is opened there does.
        #[test]
        fn a_window_goes_on_as_if_it_were_read_anew(steps in prop::collection::vec(step(), 0..300), length_ms in 5_000..20_000_i64) {
            let mut store = Store::new(Ceilings { retention_ms: 25_000, ..Ceilings::default() });
            let matchers = [Matcher::new("__name__", MatchOp::Equal, "a", None)];
            let (mut now_ms, mut spare) = (1_700_000_000_000, Vec::new());
            let mut windows = [Wanted::Live, Wanted::All, Wanted::Newest].map(|wanted| (wanted, None));
            for step in steps {
                match step {
                    Step::Sample { series, ahead_ms, stale } => {
                        let v = if stale { f64::from_bits(STALE_NAN_BITS) } else { ahead_ms as f64 };
                        let _ = store.append_to(&labels(series), Sample { t_ms: now_ms + ahead_ms, v });
                    }
                    Step::Later { by_ms, maintain } => {
                        now_ms += by_ms;
                        if maintain {
                            store.maintain(now_ms);
                        }
                    }
                    Step::Cut => drop(store.cut()),
                    Step::Restore { series } => restore(&mut store, series, now_ms),
                }
                for (wanted, window) in &mut windows {
                    let asked = Asked { matchers: &matchers, start_ms: now_ms - length_ms, end_ms: now_ms, wanted: *wanted };
                    let followed = window.take().filter(|window: &super::Window| window.leads_to(&asked)).and_then(|mut window| {
                        store.follow(&mut window, &asked, &mut spare).then_some(window)
                    });
                    let current = match followed {
                        Some(window) => window,
                        None => store.open(&asked).unwrap(),
                    };
                    prop_assert!(current.covers(&asked));
                    let bits = |block: &crate::Block| block.iter().map(|(labels, samples)| {
                        (labels.clone(), samples.iter().map(|sample| (sample.t_ms, sample.v.to_bits())).collect::<Vec<_>>())
                    }).collect::<Vec<_>>();
                    prop_assert_eq!(bits(current.block()), bits(&store.read(&asked).unwrap()));
                    *window = Some(current);
                }
            }
        }
    }

    #[test]
    fn a_window_that_moves_with_its_samples_is_followed() {
        let mut store = Store::new(Ceilings::default());
        let matchers = [Matcher::new("__name__", MatchOp::Equal, "a", None)];
        let asked = |t: i64, wanted| Asked { matchers: &matchers, start_ms: (t - 60) * 1_000, end_ms: t * 1_000, wanted };
        let (mut spare, mut windows) = (Vec::new(), Vec::new());
        for t in 1..400 {
            for series in 0..3 {
                store.append_to(&labels(series), Sample { t_ms: t * 1_000, v: 1.0 }).unwrap();
            }
            if t == 1 {
                windows = [Wanted::Live, Wanted::All, Wanted::Newest].map(|wanted| store.open(&asked(1, wanted)).unwrap()).into();
                continue;
            }
            for window in &mut windows {
                let asked = asked(t, window.wanted);
                assert!(window.leads_to(&asked) && store.follow(window, &asked, &mut spare), "at {t}");
                let expected = if window.wanted == Wanted::Newest { 3 } else { 3 * t.min(60) };
                assert_eq!(window.block().samples() as i64, expected);
            }
        }
        assert!(windows[2].memory_bytes() < 1_000, "three samples do not keep the memory that the other windows used");
        let far = asked(1_000, Wanted::Live);
        assert!(!windows[0].leads_to(&far) && !windows[0].leads_to(&asked(398, Wanted::Live)) && !windows[0].leads_to(&asked(400, Wanted::All)));
    }
}
