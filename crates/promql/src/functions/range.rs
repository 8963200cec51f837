//! Functions of one series' samples in a window: `rate` and its kin, `*_over_time`. Must not know: labels, other series.
use super::FunctionKind;
use super::numeric::{Mean, Sum, larger, quantile, regression, smaller, variance};
use crate::Sample;

/// A window of time, left-open: `(start_ms, end_ms]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// The time of the evaluation, which `offset` and `@` do not move.
    pub(crate) now_ms: i64,
    /// The scalar argument of `quantile_over_time` and `predict_linear`.
    pub(crate) param: f64,
}

/// What the extrapolating functions yield.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Of a gauge.
    Delta,
    /// Of a counter.
    Increase,
    /// Of a counter, per second.
    Rate,
}

/// The value of a range function over the samples of one series in the window, oldest first and at least one; `None` when it has no value.
pub(crate) fn over(kind: FunctionKind, samples: &[Sample], window: Window) -> Option<f64> {
    let last = samples.last()?.v;
    let values = || samples.iter().map(|sample| sample.v);
    Some(match kind {
        FunctionKind::Rate => return extrapolated(samples, window, Change::Rate),
        FunctionKind::Increase => return extrapolated(samples, window, Change::Increase),
        FunctionKind::Delta => return extrapolated(samples, window, Change::Delta),
        FunctionKind::Irate => return instant_change(samples, Change::Rate),
        FunctionKind::Idelta => return instant_change(samples, Change::Delta),
        FunctionKind::Deriv => regression(samples, samples.first()?.t_ms)?.slope,
        FunctionKind::PredictLinear => {
            let line = regression(samples, window.now_ms)?;
            line.slope * window.param + line.at_origin
        }
        FunctionKind::Changes => pairs(samples).filter(|(a, b)| changed(*a, *b)).count() as f64,
        FunctionKind::Resets => pairs(samples).filter(|(a, b)| b < a).count() as f64,
        FunctionKind::AvgOverTime => {
            let mut mean = Mean::default();
            values().for_each(|value| mean.add(value));
            mean.value()
        }
        FunctionKind::SumOverTime => values().collect::<Sum>().total(),
        FunctionKind::MinOverTime => values().fold(f64::NAN, smaller),
        FunctionKind::MaxOverTime => values().fold(f64::NAN, larger),
        FunctionKind::CountOverTime => samples.len() as f64,
        FunctionKind::LastOverTime => last,
        FunctionKind::PresentOverTime => 1.0,
        FunctionKind::QuantileOverTime => quantile(window.param, values().collect()),
        FunctionKind::StddevOverTime => variance(values()).sqrt(),
        FunctionKind::StdvarOverTime => variance(values()),
        _ => return None,
    })
}

fn pairs(samples: &[Sample]) -> impl Iterator<Item = (f64, f64)> {
    samples.iter().zip(samples.iter().skip(1)).map(|(a, b)| (a.v, b.v))
}

#[expect(clippy::float_cmp, reason = "a change is any difference at all")]
fn changed(a: f64, b: f64) -> bool {
    a != b && !(a.is_nan() && b.is_nan())
}

/// The change over the whole window, extrapolated from the samples in it (Prometheus documentation, `rate`, `increase`, `delta`).
///
/// Towards either edge the change goes on by the mean distance of the samples: the whole way if the edge is nearer than 1.1 of it, half of it if not;
/// a counter is never extrapolated below zero.
fn extrapolated(samples: &[Sample], window: Window, change: Change) -> Option<f64> {
    let (first, last) = (samples.first()?, samples.last()?);
    if samples.len() < 2 {
        return None;
    }
    let mut difference = last.v - first.v;
    if change != Change::Delta {
        difference += pairs(samples).filter(|(a, b)| b < a).map(|(a, _)| a).sum::<f64>();
    }
    let covered = (last.t_ms - first.t_ms) as f64 / 1000.0;
    let distance = covered / (samples.len() - 1) as f64;
    let reach = |gap: f64| if gap >= distance * 1.1 { distance / 2.0 } else { gap };
    let mut to_start = reach((first.t_ms - window.start_ms) as f64 / 1000.0);
    let to_end = reach((window.end_ms - last.t_ms) as f64 / 1000.0);
    if change != Change::Delta && difference > 0.0 && first.v >= 0.0 {
        to_start = to_start.min(covered * (first.v / difference));
    }
    let mut factor = (covered + to_start + to_end) / covered;
    if change == Change::Rate {
        factor /= (window.end_ms - window.start_ms) as f64 / 1000.0;
    }
    Some(difference * factor)
}

/// The change between the last two samples.
fn instant_change(samples: &[Sample], change: Change) -> Option<f64> {
    let [.., a, b] = samples else { return None };
    // A counter that went down was reset to zero in between.
    let difference = if change == Change::Rate && b.v < a.v { b.v } else { b.v - a.v };
    let distance_ms = b.t_ms - a.t_ms;
    if distance_ms == 0 {
        return None;
    }
    Some(if change == Change::Rate { difference / (distance_ms as f64 / 1000.0) } else { difference })
}
