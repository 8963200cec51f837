//! Parameters of a request: from its address, and from its body when it is a form. Keys may repeat. Must not know: what they are for.

use std::time::Duration;

use axum::extract::{FromRequest, Query, Request};
use axum::http::Method;
use axum::{Form, RequestExt};
use jiff::Timestamp;
use promql::labels::Matcher;
use promql::parse::{Expr, ExprKind, duration_ms, parse};

use super::{ApiError, PATIENCE};

/// Names and values as they came; of the body first.
#[derive(Debug, Default)]
pub(super) struct Params(pub(super) Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let broken = |error: &dyn std::fmt::Display| ApiError::bad_data(format!("error parsing form values: {error}"));
        let Query(of_address) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).map_err(|error| broken(&error))?;
        if request.method() != Method::POST || request.headers().get("content-type").is_none() {
            return Ok(Self(of_address));
        }
        let Form(mut all) = request.extract::<Form<Vec<(String, String)>>, _>().await.map_err(|error| broken(&error))?;
        all.extend(of_address);
        Ok(Self(all))
    }
}

// === impl Params ===

impl Params {
    /// The first value of this name, `""` if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// Every value of this name.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// A time in unix milliseconds: seconds as a number, or RFC 3339.
    pub(super) fn time_ms(&self, name: &str) -> Result<i64, ApiError> {
        let text = self.get(name);
        time_ms(text).ok_or_else(|| ApiError::parameter(name, format_args!("cannot parse {text:?} to a valid timestamp")))
    }

    /// The same, with a default when it is not given.
    pub(super) fn time_ms_or(&self, name: &str, default_ms: i64) -> Result<i64, ApiError> {
        let text = self.get(name);
        let wrong = || ApiError::parameter(name, format_args!("invalid time value for '{name}': cannot parse {text:?} to a valid timestamp"));
        if text.is_empty() { Ok(default_ms) } else { time_ms(text).ok_or_else(wrong) }
    }

    /// A duration in milliseconds: seconds as a number, or `1m30s`.
    pub(super) fn duration_ms(&self, name: &str) -> Result<i64, ApiError> {
        let text = self.get(name);
        let seconds = text.parse::<f64>().ok().and_then(milliseconds);
        seconds.or_else(|| duration_ms(text)).ok_or_else(|| ApiError::parameter(name, format_args!("cannot parse {text:?} to a valid duration")))
    }

    /// How long the asker waits.
    pub(super) fn timeout(&self) -> Result<Duration, ApiError> {
        if self.get("timeout").is_empty() {
            return Ok(PATIENCE);
        }
        Ok(Duration::from_millis(u64::try_from(self.duration_ms("timeout")?).unwrap_or(0)))
    }

    /// The most entries wanted; 0 is any number.
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        let text = self.get("limit");
        let number: i64 = if text.is_empty() {
            0
        } else {
            text.parse().map_err(|_| ApiError::parameter("limit", format_args!("cannot parse {text:?} to a valid limit")))?
        };
        usize::try_from(number).map_err(|_| ApiError::parameter("limit", "limit must be non-negative"))
    }

    /// The expression of this name.
    pub(super) fn expr(&self, name: &str) -> Result<Expr, ApiError> {
        let text = self.get(name);
        parse(text).map_err(|errors| ApiError::parameter(name, told(text, &errors)))
    }

    /// Each `match[]` as its matchers.
    pub(super) fn matchers(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        self.all("match[]").map(selector).collect()
    }
}

fn selector(text: &str) -> Result<Vec<Matcher>, ApiError> {
    let expr = parse(text).map_err(|errors| ApiError::parameter("match[]", told(text, &errors)))?;
    match expr.kind {
        ExprKind::Instant(selector) if selector.shift.offset_ms == 0 && selector.shift.at.is_none() => Ok(selector.matchers),
        _ => Err(ApiError::parameter("match[]", format_args!("{text:?} is not a series selector"))),
    }
}

/// The first error with its line and column, as Prometheus words it.
fn told(text: &str, errors: &[promql::parse::ParseError]) -> String {
    let Some(error) = errors.first() else { return String::new() };
    let before = text.get(..error.span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("{line}:{column}: parse error: {error}")
}

fn time_ms(text: &str) -> Option<i64> {
    let seconds = text.parse::<f64>().ok().and_then(milliseconds);
    seconds.or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond))
}

#[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
fn milliseconds(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1000.0).round();
    (ms.abs() < i64::MAX as f64 / 1_000_000.0).then_some(ms as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_read_as_prometheus_reads_them() {
        for (text, want) in [
            ("1700000000", Some(1_700_000_000_000)),
            ("1700000000.123", Some(1_700_000_000_123)),
            ("1.7e9", Some(1_700_000_000_000)),
            ("-1.5", Some(-1_500)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000_000)),
            ("2023-11-14T23:13:20.5+01:00", Some(1_700_000_000_500)),
            ("", None),
            ("now", None),
            ("NaN", None),
            ("1e300", None),
        ] {
            assert_eq!(time_ms(text), want, "{text:?}");
        }
        for (text, want) in [("15", Some(15_000)), ("0.5", Some(500)), ("1m30s", Some(90_000)), ("0", Some(0)), ("", None), ("x", None)] {
            let params = Params(vec![("step".to_owned(), text.to_owned())]);
            assert_eq!(params.duration_ms("step").ok(), want, "{text:?}");
        }
    }

    #[test]
    fn an_error_says_line_and_column() {
        let params = Params(vec![("query".to_owned(), "up\n  +".to_owned())]);
        let text = params.expr("query").unwrap_err().text;
        assert!(text.starts_with("invalid parameter \"query\": 2:4: parse error: "), "{text}");
    }
}
