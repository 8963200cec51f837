//! Values as the JSON that Prometheus writes. Must not know: HTTP.

use std::fmt::Write as _;

use promql::Sample;
use promql::eval::Value;
use promql::labels::Labels;

/// `resultType` and `result` of a value at `at_ms`; at most `limit` elements unless it is 0. Whether some were left out.
pub(super) fn value(value: &Value, at_ms: i64, limit: usize) -> (String, bool) {
    let mut out = String::new();
    let most = if limit == 0 { usize::MAX } else { limit };
    let cut = match value {
        Value::Scalar(sample) => {
            out.push_str("{\"resultType\":\"scalar\",\"result\":");
            point(&mut out, *sample);
            false
        }
        Value::Text(text) => {
            out.push_str("{\"resultType\":\"string\",\"result\":[");
            seconds(&mut out, at_ms);
            let _ = write!(out, ",{}]", quoted(text));
            false
        }
        Value::Vector(elements) => {
            out.push_str("{\"resultType\":\"vector\",\"result\":[");
            for (at, element) in elements.iter().take(most).enumerate() {
                out.push_str(if at == 0 { "{\"metric\":" } else { ",{\"metric\":" });
                labels(&mut out, &element.labels);
                out.push_str(",\"value\":");
                point(&mut out, element.sample);
                out.push('}');
            }
            out.push(']');
            elements.len() > most
        }
        Value::Matrix(series) => {
            out.push_str("{\"resultType\":\"matrix\",\"result\":[");
            for (at, one) in series.iter().take(most).enumerate() {
                out.push_str(if at == 0 { "{\"metric\":" } else { ",{\"metric\":" });
                labels(&mut out, &one.labels);
                out.push_str(",\"values\":[");
                for (at, sample) in one.samples.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    point(&mut out, *sample);
                }
                out.push_str("]}");
            }
            out.push(']');
            series.len() > most
        }
    };
    out.push('}');
    (out, cut)
}

/// A label set as an object.
pub(super) fn labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (at, (name, value)) in labels.iter().enumerate() {
        let _ = write!(out, "{}{}:{}", if at == 0 { "" } else { "," }, quoted(name), quoted(value));
    }
    out.push('}');
}

/// `[seconds, "value"]`.
fn point(out: &mut String, sample: Sample) {
    out.push('[');
    seconds(out, sample.t_ms);
    let _ = write!(out, ",\"{}\"]", number(sample.v));
}

/// Seconds with milliseconds where there are some.
fn seconds(out: &mut String, t_ms: i64) {
    let (sign, t_ms) = (if t_ms < 0 { "-" } else { "" }, t_ms.unsigned_abs());
    let _ = match t_ms % 1000 {
        0 => write!(out, "{sign}{}", t_ms / 1000),
        fraction => write!(out, "{sign}{}.{fraction:03}", t_ms / 1000),
    };
}

/// The shortest text that reads back to the same value; an exponent below 1e-6 and from 1e21 on.
fn number(v: f64) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if v != 0.0 && !(1e-6..1e21).contains(&v.abs()) {
        return as_go(&format!("{v:e}"));
    }
    format!("{v}")
}

/// A value of an alert, which Prometheus writes with an exponent always: `1e+00`.
pub(super) fn exponent(v: f64) -> String {
    if v.is_finite() { as_go(&format!("{v:e}")) } else { number(v) }
}

/// `1e21` as Go writes it: a sign in the exponent, and at least two digits.
fn as_go(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_owned() };
    let (sign, plain) = exponent.strip_prefix('-').map_or(('+', exponent), |plain| ('-', plain));
    format!("{mantissa}e{sign}{plain:0>2}")
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_written_as_prometheus_writes_them() {
        for (v, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (1e-7, "1e-07"),
            (1.5e-10, "1.5e-10"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(number(v), want);
        }
        for (v, want) in [(1.0, "1e+00"), (0.0, "0e+00"), (1234.5, "1.2345e+03"), (1e-7, "1e-07"), (1e100, "1e+100"), (f64::NAN, "NaN")] {
            assert_eq!(exponent(v), want);
        }
        for (t_ms, want) in [(1_000, "1"), (1_050, "1.050"), (-1_500, "-1.500"), (0, "0")] {
            let mut out = String::new();
            seconds(&mut out, t_ms);
            assert_eq!(out, want);
        }
    }
}
