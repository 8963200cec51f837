//! Expressions: at one time, over a grid, printed. Must not know: where series come from.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use promql::eval::{Answer, EvalError, Grid, Limits, Options, eval_instant, eval_range};
use promql::parse::ValueType;

use super::params::Params;
use super::{Api, ApiError, ErrorKind, Reply, Success, encode};
use crate::queries::STEPS;

/// The most points a series of an answer may have, as in Prometheus.
const POINTS: i64 = 11_000;

/// `/api/v1/query`.
pub(super) async fn instant(State(api): State<Arc<Api>>, params: Params) -> Reply {
    let limit = params.limit()?;
    let at_ms = params.time_ms_or("time", (api.now_ms)())?;
    let (within, options) = (params.timeout()?, options(&api, &params)?);
    let expr = params.expr("query")?;
    let answer = api.queries.ask(within, move |past| eval_instant(past, &expr, at_ms, &options).map(|answer| encoded(&answer, at_ms, limit)));
    answer.await?.map_err(ApiError::from)
}

/// `/api/v1/query_range`.
pub(super) async fn range(State(api): State<Arc<Api>>, params: Params) -> Reply {
    let limit = params.limit()?;
    let grid = grid(&params)?;
    let (within, options) = (params.timeout()?, options(&api, &params)?);
    let expr = params.expr("query")?;
    let found = expr.value_type();
    if !matches!(found, ValueType::Scalar | ValueType::InstantVector) {
        let why = format!("invalid expression type {:?} for range query, must be Scalar or instant Vector", found.as_str());
        return Err(ApiError::parameter("query", why));
    }
    let answer = api.queries.ask(within, move |past| eval_range(past, &expr, grid, &options).map(|answer| encoded(&answer, grid.end_ms, limit)));
    answer.await?.map_err(ApiError::from)
}

/// `/api/v1/format_query`.
pub(super) async fn format(params: Params) -> Reply {
    Success::of(&params.expr("query")?.to_string())
}

/// `/api/v1/query_exemplars`: there are none, and Grafana asks.
pub(super) async fn exemplars(params: Params) -> Reply {
    params.expr("query")?;
    Success::of(&[(); 0])
}

fn grid(params: &Params) -> Result<Grid, ApiError> {
    let (start_ms, end_ms) = (params.time_ms("start")?, params.time_ms("end")?);
    if end_ms < start_ms {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step_ms = params.duration_ms("step")?;
    if step_ms <= 0 {
        return Err(ApiError::parameter("step", "zero or negative query resolution step widths are not accepted. Try a positive integer"));
    }
    if (end_ms.saturating_sub(start_ms)) / step_ms > POINTS {
        let text = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(ApiError::bad_data(text));
    }
    Ok(Grid { start_ms, end_ms, step_ms })
}

fn options(api: &Api, params: &Params) -> Result<Options, ApiError> {
    let limits = api.queries.limits();
    let mut options = Options {
        limits: Limits { samples: limits.samples, work: u64::MAX, steps: STEPS },
        lookback_ms: milliseconds(limits.lookback),
        ..Options::default()
    };
    if let Some((config, _)) = &**api.facts.config.load() {
        options.default_step_ms = milliseconds(config.global.evaluation_interval);
    }
    if !params.get("lookback_delta").is_empty() {
        options.lookback_ms = params.duration_ms("lookback_delta")?;
    }
    Ok(options)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The answer as JSON, made on the query's thread: it may be large.
fn encoded(answer: &Answer, at_ms: i64, limit: usize) -> Success {
    let (data, cut) = encode::value(&answer.value, at_ms, limit);
    let mut warnings: Vec<String> = answer.notes.warnings.iter().cloned().collect();
    if cut {
        warnings.push("results truncated due to limit".to_owned());
    }
    Success { data, warnings, infos: answer.notes.infos.iter().cloned().collect() }
}

impl From<EvalError> for ApiError {
    fn from(error: EvalError) -> Self {
        let kind = if matches!(error, EvalError::TimedOut) { ErrorKind::Timeout } else { ErrorKind::Execution };
        Self { kind, text: error.to_string() }
    }
}
