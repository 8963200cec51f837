//! `histogram_quantile` and `histogram_fraction`: from series with `le` to one histogram per set of the other labels.
use std::collections::BTreeMap;

use super::EvalError;
use super::step::{Evaluation, Point, distinct};
use crate::functions::FunctionKind;
use crate::functions::histogram::{Bucket, fraction, quantile};
use crate::labels::Labels;
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
            result.push(Point { labels: labels.without_name(), v });
        }
        distinct(&result)?;
        Ok(result)
    }

    /// The buckets of each histogram; its labels are those of the series without `le`. A series whose `le` is no number is left out with a warning.
    fn histograms(&mut self, points: Vec<Point>) -> BTreeMap<Labels, Vec<Bucket>> {
        let mut histograms: BTreeMap<Labels, Vec<Bucket>> = BTreeMap::new();
        for Point { labels, v } in points {
            let bound = labels.get(BOUND).unwrap_or("");
            if let Ok(upper) = bound.parse() {
                histograms.entry(labels.with(BOUND, "")).or_default().push(Bucket { upper, count: v });
            } else {
                let metric = labels.metric_name();
                self.notes.warn(format!("bucket label \"le\" is missing or has a malformed value of {bound:?} in {metric:?}"));
            }
        }
        histograms
    }
}
