//! Tests of the store as a whole.
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::labels::{Labels, MatchOp, Matcher};
use crate::{Asked, Block, Queryable, STALE_NAN_BITS, Sample, SeriesData, Wanted};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

fn equal(name: &str, value: &str) -> Matcher {
    Matcher::new(name, MatchOp::Equal, value, None)
}

fn pattern(name: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher::new(name, op, value, regex::Regex::new(&format!("^(?s:{value})$")).ok())
}

fn at(t_ms: i64, v: f64) -> Sample {
    Sample { t_ms, v }
}

/// A store with one series and `count` samples, one each second from 1 s on, of value = second.
fn seconds(ceilings: Ceilings, count: i32) -> (Store, SeriesId) {
    let mut store = Store::new(ceilings);
    let id = store.series(&labels(&[("__name__", "depth")])).unwrap();
    for second in 1..=count {
        store.append(id, at(i64::from(second) * 1000, second.into())).unwrap();
    }
    (store, id)
}

fn times(found: &[SeriesData]) -> Vec<i64> {
    found.iter().flat_map(|series| series.samples.iter().map(|sample| sample.t_ms)).collect()
}

#[test]
fn samples_are_taken_by_prometheus_order_rules() {
    let (mut store, id) = seconds(Ceilings::default(), 2);
    assert_eq!(store.append(id, at(2000, 2.0)), Ok(Appended::Repeated));
    assert_eq!(store.append(id, at(2000, 3.0)), Err(AppendError::DuplicateTimestamp));
    assert_eq!(store.append(id, at(1500, 1.5)), Err(AppendError::OutOfOrder));
    assert_eq!(store.append(id, at(2001, f64::from_bits(STALE_NAN_BITS))), Ok(Appended::New));
    assert_eq!(store.append(id, at(2001, f64::from_bits(STALE_NAN_BITS))), Ok(Appended::Repeated));
    assert_eq!(store.append(id, at(2001, f64::NAN)), Err(AppendError::DuplicateTimestamp));
    let Counters { appended, repeated, out_of_order, duplicate_timestamp, .. } = store.stats().counters;
    assert_eq!((appended, repeated, out_of_order, duplicate_timestamp), (3, 2, 1, 2));
    let found = store.select(&[], 0, 9000).unwrap();
    assert_eq!(times(&found), [1000, 2000, 2001]);
    assert!(crate::is_stale(found[0].samples[2].v));
}

#[test]
fn a_selection_is_left_open_and_right_closed_over_chunk_borders() {
    let (store, _) = seconds(Ceilings::default(), 400);
    for (start, end) in [(0, 400), (119, 121), (120, 240), (239, 241), (399, 500), (400, 500), (0, 0)] {
        let want: Vec<i64> = (1..=400).filter(|second| (start + 1..=end).contains(second)).map(|second| second * 1000).collect();
        assert_eq!(times(&store.select(&[equal("__name__", "depth")], start * 1000, end * 1000).unwrap()), want, "({start}, {end}]");
    }
}

#[test]
fn the_newest_sample_of_a_range_is_the_last_that_a_selection_gives() {
    let (store, _) = seconds(Ceilings::default(), 400);
    for (start, end) in [(0, 400), (100, 399), (119, 121), (0, 1), (399, 500), (400, 500), (500, 600), (0, 0)] {
        let selected = store.select(&[], start * 1000, end * 1000).unwrap();
        let want: Vec<i64> = times(&selected).into_iter().last().into_iter().collect();
        assert_eq!(times(&store.latest(&[], start * 1000, end * 1000).unwrap()), want, "({start}, {end}]");
        assert_eq!(times(&store.snapshot().latest(&[], start * 1000, end * 1000).unwrap()), want, "({start}, {end}] of a snapshot");
        assert_eq!(store.has_sample(&[], start * 1000, end * 1000), !want.is_empty(), "({start}, {end}]");
        assert!(!store.has_sample(&[equal("__name__", "other")], start * 1000, end * 1000));
    }
}

#[test]
fn matchers_select_as_in_prometheus() {
    let mut store = Store::new(Ceilings::default());
    for pairs in [
        &[("__name__", "depth"), ("side", "bid"), ("n", "1")][..],
        &[("__name__", "depth"), ("side", "ask")],
        &[("__name__", "depth")],
        &[("__name__", "age"), ("side", "bid")],
    ] {
        store.append_to(&labels(pairs), at(1, 1.0)).unwrap();
    }
    let (bid, ask, bare, age) = ("depth{n=\"1\", side=\"bid\"}", "depth{side=\"ask\"}", "depth", "age{side=\"bid\"}");
    let cases: Vec<(Vec<Matcher>, Vec<&str>)> = vec![
        (vec![], vec![age, bare, bid, ask]),
        (vec![equal("__name__", "depth")], vec![bare, bid, ask]),
        (vec![equal("__name__", "depth"), equal("side", "bid")], vec![bid]),
        (vec![equal("side", "")], vec![bare]),
        (vec![equal("absent", "")], vec![age, bare, bid, ask]),
        (vec![equal("absent", "x")], vec![]),
        (vec![Matcher::new("side", MatchOp::NotEqual, "bid", None)], vec![bare, ask]),
        (vec![Matcher::new("side", MatchOp::NotEqual, "", None)], vec![age, bid, ask]),
        (vec![pattern("side", MatchOp::Regex, "b.*|ask")], vec![age, bid, ask]),
        (vec![pattern("side", MatchOp::Regex, ".*")], vec![age, bare, bid, ask]),
        (vec![pattern("side", MatchOp::Regex, "|bid")], vec![age, bare, bid]),
        (vec![pattern("side", MatchOp::NotRegex, "b.*")], vec![bare, ask]),
        (vec![pattern("side", MatchOp::NotRegex, ".+")], vec![bare]),
        (vec![equal("__name__", "depth"), pattern("n", MatchOp::Regex, ".+")], vec![bid]),
    ];
    for (matchers, want) in cases {
        let found: Vec<_> = store.select(&matchers, 0, 1).unwrap().iter().map(|series| series.labels.to_string()).collect();
        assert_eq!(found, want, "{matchers:?}");
    }
}

#[test]
fn over_the_ceiling_new_series_are_refused_and_old_ones_go_on() {
    let mut store = Store::new(Ceilings { series: 2, ..Ceilings::default() });
    let ids: Vec<_> = ["a", "b"].map(|name| store.series(&labels(&[("__name__", name)])).unwrap()).into();
    let refused = store.append_to(&labels(&[("__name__", "c")]), at(1, 1.0)).unwrap_err();
    assert_eq!((refused.as_str(), store.stats().counters.refused_series, store.stats().series), ("too_many_series", 1, 2));
    for id in ids {
        assert_eq!(store.append(id, at(1, 1.0)), Ok(Appended::New));
    }
    assert!(store.series(&labels(&[("__name__", "b")])).is_ok(), "a held series is no new one");
}

#[test]
fn full_memory_refuses_new_series_and_costs_the_oldest_chunks() {
    let ceilings = Ceilings { memory_bytes: 20_000, retention_ms: i64::MAX, ..Ceilings::default() };
    let (mut store, id) = seconds(ceilings, 10);
    let mut t_ms = 10_000;
    while store.memory_bytes() <= ceilings.memory_bytes {
        t_ms += 1000;
        store.append(id, at(t_ms, 1.0 / f64::from(i32::try_from(t_ms).unwrap()))).unwrap();
    }
    let refused = store.series(&labels(&[("__name__", "new")])).unwrap_err();
    assert_eq!((refused.as_str(), store.stats().counters.refused_memory), ("memory_full", 1));
    let swept = store.maintain(t_ms);
    assert!(swept.evicted_chunks > 0 && swept.series == 0 && store.memory_bytes() <= ceilings.memory_bytes);
    let evicted_until_ms = store.stats().evicted_until_ms.unwrap();
    assert!(store.oldest_ms(&[]).unwrap() > evicted_until_ms);
    assert_eq!(times(&store.select(&[], evicted_until_ms, t_ms).unwrap()).len() as i64, (t_ms - evicted_until_ms) / 1000);
}

#[test]
fn samples_and_series_go_when_the_retention_has_passed() {
    let (mut store, id) = seconds(Ceilings { retention_ms: 100_000, ..Ceilings::default() }, 400);
    let ended = store.series(&labels(&[("__name__", "ended")])).unwrap();
    store.append(ended, at(299_000, 1.0)).unwrap();
    let swept = store.maintain(400_000);
    assert_eq!(swept, Swept { series: 1, expired_chunks: 2, evicted_chunks: 0 });
    assert_eq!(store.oldest_ms(&[]), Some(241_000), "a chunk stays while one of its samples does");
    assert_eq!(store.append(ended, at(500_000, 1.0)), Err(AppendError::UnknownSeries));
    assert_eq!(store.labels(ended), None);
    let reused = store.series(&labels(&[("__name__", "next")])).unwrap();
    assert_eq!(store.append(reused, at(400_000 - 3_600_001, 1.0)), Err(AppendError::TooOld));
    assert_eq!(store.append(ended, at(500_000, 1.0)), Err(AppendError::UnknownSeries), "an old id never reaches the slot's next series");
    assert_eq!(store.append(id, at(401_000, 1.0)), Ok(Appended::New));
}

#[test]
fn a_clock_far_ahead_of_the_samples_costs_no_history() {
    let (mut store, _) = seconds(Ceilings { retention_ms: 1_000_000, ..Ceilings::default() }, 400);
    assert_eq!(store.maintain(400_000 + 3_600_000), Swept::default());
    assert_eq!(store.maintain(400_000 - 3_600_000), Swept::default());
    assert_eq!(times(&store.select(&[], 0, i64::MAX).unwrap()).len(), 400);
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let (mut store, id) = seconds(Ceilings { retention_ms: 50_000, ..Ceilings::default() }, 200);
    let snapshot = store.snapshot();
    store.append(id, at(201_000, 1.0)).unwrap();
    store.append_to(&labels(&[("__name__", "new")]), at(201_000, 1.0)).unwrap();
    store.maintain(400_000);
    assert_eq!(times(&snapshot.select(&[], 0, i64::MAX).unwrap()).len(), 200);
    assert_eq!(store.select(&[], 0, i64::MAX).unwrap().len(), 2);
}

#[test]
fn a_selection_over_its_limit_is_an_error() {
    let (store, _) = seconds(Ceilings { select_samples: 100, ..Ceilings::default() }, 101);
    assert_eq!(times(&store.select(&[], 1000, 101_000).unwrap()).len(), 100);
    assert_eq!(store.select(&[], 0, 101_000).unwrap_err(), "the selection has more than 100 samples");
}

/// Another store with what this one has, by way of bytes.
fn restarted(store: &mut Store, ceilings: Ceilings) -> Store {
    let (_, snapshot) = store.cut();
    let mut next = Store::new(ceilings);
    for held in snapshot.each() {
        let bytes = encode_chunks(&held.chunks_after(i64::MIN));
        let packed = held.labels().packed().to_owned();
        next.restore(&Labels::from_packed(&packed).unwrap(), decode_chunks(&bytes, i64::MIN, i64::MAX).unwrap()).unwrap();
    }
    next
}

#[test]
fn chunks_bring_series_back_and_new_samples_follow() {
    let (mut store, id) = seconds(Ceilings::default(), 300);
    let mut restored = restarted(&mut store, Ceilings::default());
    assert_eq!(restored.select(&[], 0, i64::MAX), store.select(&[], 0, i64::MAX));
    let back = restored.series(store.labels(id).unwrap()).unwrap();
    assert_eq!(restored.append(back, at(300_000, 1.0)), Err(AppendError::DuplicateTimestamp), "order rules hold over a restart");
    assert_eq!(restored.append(back, at(301_000, 1.0)), Ok(Appended::New));
    let again = store.cut().1.each().next().unwrap().chunks_after(0);
    assert_eq!(restored.restore(store.labels(id).unwrap(), again), Err(RestoreError::Overlap));
}

#[test]
fn chunks_may_come_after_the_first_new_samples() {
    let (old, id) = seconds(Ceilings::default(), 150);
    let mut store = Store::new(Ceilings::default());
    store.append_to(&labels(&[("__name__", "depth")]), at(200_000, 1.0)).unwrap();
    let chunks = old.snapshot().each().next().unwrap().chunks_after(30_000);
    store.restore(old.labels(id).unwrap(), chunks).unwrap();
    assert_eq!(times(&store.select(&[], 149_000, 300_000).unwrap()), [150_000, 200_000]);
    assert_eq!(store.oldest_ms(&[]), Some(31_000));
}

#[test]
fn damaged_chunks_are_refused_or_end_early_and_never_panic() {
    let (mut store, _) = seconds(Ceilings::default(), 130);
    let (cut, snapshot) = store.cut();
    let bytes = encode_chunks(snapshot.each().next().unwrap().chunks(0, cut));
    for end in 0..bytes.len() {
        let found = decode_chunks(&bytes[..end], i64::MIN, i64::MAX);
        // A cut between two chunks is a shorter list; the frame around it tells that.
        assert!(found.is_none() || found.as_ref().is_some_and(|chunks| chunks.iter().map(Chunk::len).sum::<usize>() % 120 == 0), "{end}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        for chunk in decode_chunks(&flipped, i64::MIN, i64::MAX).unwrap_or_default() {
            assert!(chunk.samples().count() <= chunk.len());
        }
    }
}

#[test]
fn chunks_wait_for_the_disk_but_not_at_the_price_of_memory() {
    let ceilings = Ceilings { retention_ms: 10_000, ..Ceilings::default() };
    let (mut store, id) = seconds(ceilings, 10);
    store.keep_on_disk();
    for second in 11..=500 {
        store.append(id, at(second * 1000, 1.0)).unwrap();
    }
    assert_eq!(store.maintain(500_000), Swept::default(), "nothing is on the disk yet");
    let (cut, _) = store.cut();
    assert!(store.unkept_bytes() > 0);
    store.kept_through(cut);
    assert_eq!(store.unkept_bytes(), 0);
    assert_eq!(store.maintain(500_000).expired_chunks, 4);
    // A disk that takes nothing.
    store.set_ceilings(Ceilings { memory_bytes: 30_000, ..ceilings });
    let mut t_ms = 500_000;
    while store.memory_bytes() < 24_000 {
        t_ms += 1000;
        store.append(id, at(t_ms, 1.0 / f64::from(i32::try_from(t_ms).unwrap()))).unwrap();
    }
    assert!(store.maintain(t_ms).expired_chunks > 0 && store.stats().counters.lost_chunks > 0);
    assert!(store.series(&labels(&[("__name__", "new")])).is_ok(), "there is room again");
}

#[test]
fn a_reach_keeps_its_series_longer_and_no_other() {
    let mut store = Store::new(Ceilings { retention_ms: 10_000, ..Ceilings::default() });
    store.set_reaches(vec![Reach { matchers: vec![equal("__name__", "depth")], back_ms: 400_000 }]);
    for second in 1..=600 {
        for name in ["depth", "other"] {
            store.append_to(&labels(&[("__name__", name)]), at(second * 1000, 1.0)).unwrap();
        }
    }
    store.append_to(&labels(&[("__name__", "depth"), ("ended", "yes")]), at(300_000, 1.0)).unwrap();
    store.append_to(&labels(&[("__name__", "other"), ("ended", "yes")]), at(300_000, 1.0)).unwrap();
    assert_eq!(store.maintain(600_000).series, 1);
    assert_eq!(store.oldest_ms(&[equal("__name__", "depth")]), Some(121_000));
    assert_eq!(store.oldest_ms(&[equal("__name__", "other")]), Some(481_000));
    assert_eq!((store.keep_ms(&labels(&[("__name__", "depth")])), store.longest_keep_ms()), (400_000, 400_000));
    store.set_reaches(Vec::new());
    assert_eq!(store.maintain(600_000).series, 1, "a rule that is gone keeps nothing");
}

/// A store that answers an evaluation by way of whole series, as any other source does.
struct ByWayOfSeries<'a>(&'a Store);

impl Queryable for ByWayOfSeries<'_> {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.0.select(matchers, start_ms, end_ms)
    }
}

#[test]
fn what_is_read_in_one_piece_is_what_is_selected() {
    let (mut store, id) = seconds(Ceilings::default(), 300);
    for (second, v) in [(301, f64::from_bits(STALE_NAN_BITS)), (302, 1.0), (303, f64::from_bits(STALE_NAN_BITS))] {
        store.append(id, at(second * 1000, v)).unwrap();
        store.append_to(&labels(&[("__name__", "age"), ("n", &second.to_string())]), at(second * 1000, v)).unwrap();
    }
    for settled in [false, true] {
        if settled {
            store.settle_order();
        }
        for (start, end) in [(0, 400), (0, 120), (120, 240), (119, 121), (300, 301), (301, 302), (250, 303), (303, 400), (-5, 1)] {
            for wanted in [Wanted::Newest, Wanted::All, Wanted::Live] {
                let asked = Asked { matchers: &[], start_ms: start * 1000, end_ms: end * 1000, wanted };
                let bits = |block: &Block| {
                    let samples = |samples: &[Sample]| samples.iter().map(|sample| (sample.t_ms, sample.v.to_bits())).collect::<Vec<_>>();
                    block.iter().map(|(labels, all)| (labels.to_string(), samples(all))).collect::<Vec<_>>()
                };
                assert_eq!(bits(&store.read(&asked).unwrap()), bits(&ByWayOfSeries(&store).read(&asked).unwrap()), "({start}, {end}] {wanted:?}");
            }
        }
    }
}

proptest! {
    /// The store against a plain map of the same rules, over appends, sweeps and restarts.
    #[test]
    fn what_goes_in_comes_out(steps in prop::collection::vec((0..6_usize, -3..2_000_i64, 0..4_u8, 0..100_u8), 0..800)) {
        let ceilings = Ceilings { series: 4, retention_ms: 60_000, ..Ceilings::default() };
        let mut store = Store::new(ceilings);
        let mut model: BTreeMap<usize, Vec<(i64, u64)>> = BTreeMap::new();
        let mut now_ms = 1_000_000;
        for (series, step, value, action) in steps {
            now_ms += step;
            let value = if value == 3 { f64::from_bits(STALE_NAN_BITS) } else { f64::from(value) };
            let name = labels(&[("__name__", "s"), ("n", &series.to_string())]);
            let outcome = store.append_to(&name, at(now_ms, value));
            let full = model.len() == 4 && !model.contains_key(&series);
            let last = model.get(&series).and_then(|samples| samples.last().copied());
            let want = match last {
                _ if full => "too_many_series",
                Some((t_ms, _)) if now_ms < t_ms => "out_of_order",
                Some((t_ms, bits)) if now_ms == t_ms && bits != value.to_bits() => "duplicate_timestamp",
                Some((t_ms, _)) if now_ms == t_ms => "Repeated",
                _ => "New",
            };
            let got = outcome.map_or_else(|error| error.as_str().to_owned(), |appended| format!("{appended:?}"));
            prop_assert_eq!(&got, want);
            if want == "New" {
                model.entry(series).or_default().push((now_ms, value.to_bits()));
            }
            if action == 0 {
                let newest_ms = model.values().flatten().map(|(t_ms, _)| *t_ms).max().unwrap_or(now_ms).min(now_ms);
                store.maintain(now_ms);
                model.retain(|_, samples| samples.last().is_some_and(|(t_ms, _)| *t_ms >= newest_ms - 60_000));
            } else if action == 1 {
                store = restarted(&mut store, ceilings);
            }
            prop_assert!(store.stats().series <= 4);
        }
        // Chunks go whole, so only the time within the retention is compared exactly.
        let newest_ms = model.values().flatten().map(|(t_ms, _)| *t_ms).max().unwrap_or(now_ms);
        for (series, samples) in model {
            let found = store.select(&[equal("n", &series.to_string())], newest_ms - 60_000, i64::MAX).unwrap();
            let got: Vec<_> = found.iter().flat_map(|data| data.samples.iter().map(|sample| (sample.t_ms, sample.v.to_bits()))).collect();
            prop_assert_eq!(got, samples.into_iter().filter(|(t_ms, _)| *t_ms > newest_ms - 60_000).collect::<Vec<_>>());
        }
    }

    /// Whatever comes and goes, the count of bytes returns to where it was.
    #[test]
    fn the_account_of_bytes_balances(counts in prop::collection::vec(1..400_u16, 1..6)) {
        let mut store = Store::new(Ceilings { retention_ms: 1000, ..Ceilings::default() });
        for (n, count) in counts.iter().enumerate() {
            for t_ms in 0..i64::from(*count) {
                store.append_to(&labels(&[("__name__", "s"), ("n", &n.to_string())]), at(t_ms, 1.0 / f64::from(u32::try_from(t_ms).unwrap()))).unwrap();
            }
        }
        store.append_to(&labels(&[("__name__", "late")]), at(100_000, 1.0)).unwrap();
        store.maintain(100_000);
        let mut fresh = Store::new(Ceilings::default());
        fresh.append_to(&labels(&[("__name__", "late")]), at(100_000, 1.0)).unwrap();
        prop_assert_eq!(store.memory_bytes(), fresh.memory_bytes());
    }
}
