//! `histogram_quantile` and `histogram_fraction`: from series with `le` to one histogram per set of the other labels.
use super::EvalError;
use super::point::{Places, Point, nameless};
use super::step::Evaluation;
use crate::functions::FunctionKind;
use crate::functions::histogram::{Bucket, fraction, quantile};
use crate::labels::{Labels, METRIC_NAME};
use crate::parse::Expr;

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";

impl<'a> Evaluation<'a> {
    pub(super) fn histogram(&mut self, kind: FunctionKind, args: &'a [Expr], t_ms: i64) -> Result<Vec<Point>, EvalError> {
        let [numbers @ .., vector] = args else { return Ok(Vec::new()) };
        let numbers = numbers.iter().map(|number| self.scalar(number, t_ms)).collect::<Result<Vec<f64>, _>>()?;
        let points = self.vector(vector, t_ms)?;
        self.charge_elements(points.len())?;
        if let (FunctionKind::HistogramQuantile, [q]) = (kind, numbers.as_slice()) {
            self.check_quantile(*q);
        }
        let mut result = Vec::new();
        for (labels, buckets) in self.histograms(points) {
            let v = match numbers.as_slice() {
                [q] => {
                    let found = quantile(*q, buckets);
                    if found.forced_monotonic {
                        self.notes.inform(format!("input to histogram_quantile needed to be fixed for monotonicity: {:?}", labels.metric_name()));
                    }
                    found.value
                }
                [lower, upper] => fraction(*lower, *upper, buckets),
                _ => continue,
            };
            result.push(Point::new(labels, v));
        }
        nameless(result)
    }

    /// The buckets of each histogram, in order of labels: those of the series without `le`. A series whose `le` is no number is left out with a warning.
    fn histograms(&mut self, points: Vec<Point>) -> Vec<(Labels, Vec<Bucket>)> {
        let mut histograms: Vec<(Labels, Vec<Bucket>)> = Vec::new();
        let mut places = Places::default();
        for point in points {
            let bound = point.get(BOUND);
            let Ok(upper) = bound.parse() else {
                let metric = point.get(METRIC_NAME);
                self.notes.warn(format!("bucket label \"le\" is missing or has a malformed value of {bound:?} in {metric:?}"));
                continue;
            };
            let (at, is_new) = places.place(&point, |name| name != BOUND);
            if is_new {
                histograms.push((places.labels(), Vec::new()));
            }
            if let Some((_, buckets)) = histograms.get_mut(at) {
                buckets.push(Bucket { upper, count: point.v });
            }
        }
        histograms.sort_by(|a, b| a.0.cmp(&b.0));
        histograms
    }
}
