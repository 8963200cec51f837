//! Which series, label names and label values there are. Must not know: samples.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use promql::labels::Labels;

use super::params::Params;
use super::{Api, ApiError, ErrorKind, Reply, Success, encode};

/// `/api/v1/series`.
pub(super) async fn series(State(api): State<Arc<Api>>, params: Params) -> Reply {
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    found(&api, &params, |labels, limit| {
        let mut out = String::from("[");
        for (at, one) in labels.iter().take(limit).enumerate() {
            if at > 0 {
                out.push(',');
            }
            encode::labels(&mut out, one);
        }
        out.push(']');
        (out, labels.len() > limit)
    })
    .await
}

/// `/api/v1/labels`.
pub(super) async fn names(State(api): State<Arc<Api>>, params: Params) -> Reply {
    let names = |labels: &BTreeSet<Labels>| labels.iter().flat_map(|one| one.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()).collect();
    found(&api, &params, move |labels, limit| texts(&names(&labels), limit)).await
}

/// `/api/v1/label/<name>/values`.
pub(super) async fn values(State(api): State<Arc<Api>>, Path(name): Path<String>, params: Params) -> Reply {
    let name = unescaped(&name);
    let values = move |labels: &BTreeSet<Labels>| labels.iter().filter_map(|one| one.get(&name).map(str::to_owned)).collect();
    found(&api, &params, move |labels, limit| texts(&values(&labels), limit)).await
}

/// The series that any `match[]` takes (all when there is none) between `start` and `end`, and what is made of them: JSON, and whether some was left out.
async fn found(api: &Api, params: &Params, make: impl FnOnce(BTreeSet<Labels>, usize) -> (String, bool) + Send + 'static) -> Reply {
    let most = match params.limit()? {
        0 => usize::MAX,
        limit => limit,
    };
    // Both ends belong to the stretch.
    let start_ms = params.time_ms_or("start", i64::MIN)?.saturating_sub(1);
    let end_ms = params.time_ms_or("end", i64::MAX)?;
    let mut selections = params.matchers()?;
    if selections.is_empty() {
        selections.push(Vec::new());
    }
    let answer = api.queries.ask(params.timeout()?, move |past| {
        let mut all = BTreeSet::new();
        for matchers in &selections {
            all.extend(past.labels(matchers, start_ms, end_ms)?);
        }
        Ok(make(all, most))
    });
    let (data, cut) = answer.await?.map_err(|text: String| ApiError { kind: ErrorKind::Execution, text })?;
    let warnings = if cut { vec!["results truncated due to limit".to_owned()] } else { Vec::new() };
    Ok(Success { data, warnings, infos: Vec::new() })
}

fn texts(all: &BTreeSet<String>, limit: usize) -> (String, bool) {
    let shown: Vec<&String> = all.iter().take(limit).collect();
    (serde_json::json!(shown).to_string(), all.len() > limit)
}

/// `U__http_2e_status` is `http.status`: how a name that is no plain word stands in a path (Prometheus documentation, "HTTP API: Querying label values").
fn unescaped(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once('_') {
        out.push_str(before);
        if let Some(plain) = after.strip_prefix('_') {
            out.push('_');
            rest = plain;
            continue;
        }
        let escaped = after.split_once('_').and_then(|(hex, rest)| Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, rest)));
        let Some((c, after)) = escaped else { return name.to_owned() };
        out.push(c);
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read_back() {
        for (written, want) in
            [("job", "job"), ("U__http_2e_status", "http.status"), ("U__a__b", "a_b"), ("U__a_2e_b_2e_c", "a.b.c"), ("U__a_zz_b", "U__a_zz_b")]
        {
            assert_eq!(unescaped(written), want);
        }
    }
}
