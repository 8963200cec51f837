//! The series both sides hold: counters with resets, gauges, gaps, stale markers, values that are no numbers, histograms.
use std::collections::BTreeMap;

use promql::labels::{Labels, Matcher};
use promql::{Queryable, STALE_NAN_BITS, Sample, SeriesData};

use crate::dice::Dice;

/// The time of the first samples.
pub(crate) const START_MS: i64 = 1_600_000_000_000;
const STEP_MS: i64 = 15_000;
const POINTS: i64 = 60;

pub(crate) struct Memory(pub(crate) BTreeMap<Labels, Vec<Sample>>);

impl Queryable for Memory {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        let wanted = |labels: &Labels| matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")));
        let data = self.0.iter().filter(|(labels, _)| wanted(labels)).map(|(labels, samples)| SeriesData {
            labels: labels.clone(),
            samples: samples.iter().copied().filter(|sample| sample.t_ms > start_ms && sample.t_ms <= end_ms).collect(),
        });
        Ok(data.filter(|data| !data.samples.is_empty()).collect())
    }
}

struct Builder {
    memory: Memory,
    dice: Dice,
}

impl Builder {
    /// One series; `value` gives the point of each step, `None` for a gap.
    fn add(&mut self, pairs: &[(&str, &str)], mut value: impl FnMut(i64, &mut Dice) -> Option<f64>) {
        let mut samples = Vec::new();
        for at in 0..POINTS {
            // Scrapes are never quite on time.
            let jitter = if at > 0 && self.dice.one_in(2) { self.dice.between(-40, 40) } else { 0 };
            if let Some(v) = value(at, &mut self.dice) {
                samples.push(Sample { t_ms: START_MS + at * STEP_MS + jitter, v });
            }
        }
        self.memory.0.insert(Labels::from_pairs(pairs.iter().copied()), samples);
    }
}

pub(crate) fn memory() -> Memory {
    let mut builder = Builder { memory: Memory(BTreeMap::new()), dice: Dice::new(42) };
    for job in ["a", "b", "c"] {
        builder.add(&[("__name__", "job_info"), ("job", job), ("version", if job == "b" { "2" } else { "1" })], |_, _| Some(1.0));
        for instance in ["x", "y"] {
            targets(&mut builder, job, instance);
        }
        histogram(&mut builder, job);
    }
    oddities(&mut builder);
    builder.memory
}

fn targets(builder: &mut Builder, job: &str, instance: &str) {
    let target = [("job", job), ("instance", instance)];
    let named = |name| [[("__name__", name)].as_slice(), &target].concat();
    for code in ["200", "500"] {
        let mut total = 0.0;
        let pairs = [named("requests_total").as_slice(), &[("code", code)]].concat();
        builder.add(&pairs, |_, dice| {
            total = if dice.one_in(20) { 0.0 } else { total + dice.between(0, 50) as f64 };
            Some(total)
        });
    }
    builder.add(&named("cpu"), |_, dice| Some((dice.unit() - 0.3) * 100.0));
    builder.add(&named("open_fds"), |at, dice| (!dice.one_in(6)).then(|| (10 + at / 3) as f64));
    let stale = f64::from_bits(STALE_NAN_BITS);
    builder.add(&named("up"), |at, dice| Some(if at % 17 == 5 { stale } else { f64::from(u8::from(!dice.one_in(4))) }));
}

fn histogram(builder: &mut Builder, job: &str) {
    for (index, le) in ["-1", "0.1", "0.5", "1", "2.5", "+Inf"].into_iter().enumerate() {
        let pairs = [("__name__", "latency_seconds_bucket"), ("job", job), ("le", le)];
        let mut total = 0.0;
        builder.add(&pairs, |_, dice| {
            // Neighbouring buckets now and then overlap: a scrape in the middle of an update.
            total += (index as f64) * 3.0 + dice.between(0, 3) as f64;
            Some(total)
        });
    }
    builder.add(&[("__name__", "latency_seconds_bucket"), ("job", job), ("le", "broken")], |_, _| Some(1.0));
}

fn oddities(builder: &mut Builder) {
    for (kind, value) in
        [("nan", f64::NAN), ("inf", f64::INFINITY), ("minus_inf", f64::NEG_INFINITY), ("zero", 0.0), ("tiny", 1e-300), ("huge", 1e300)]
    {
        builder.add(&[("__name__", "odd"), ("kind", kind)], |_, _| Some(value));
    }
    builder.add(&[("__name__", "odd"), ("kind", "mixed")], |_, dice| Some(dice.pick(&[f64::NAN, f64::INFINITY, 1.0, -2.0, 0.0, f64::NEG_INFINITY])));
    builder.add(&[("__name__", "once")], |at, _| (at == 30).then_some(7.5));
    builder.add(&[("__name__", "early"), ("job", "a")], |at, _| (at < 8).then_some(at as f64));
    builder.add(&[("__name__", "renamed.metric"), ("job.name", "a"), ("utf", "币")], |at, _| Some(at as f64));
    builder.add(&[("__name__", "flat"), ("job", "a")], |_, _| Some(3.0));
    builder.add(&[("__name__", "at_seconds"), ("job", "b")], |at, _| Some((START_MS / 1000 + at * 86_400 * 7) as f64));
}
