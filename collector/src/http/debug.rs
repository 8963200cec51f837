//! `/debug/memory` and `/debug/heap`: what the process holds, for whoever has the token.
//!
//! Owns: the token and these two pages. Must not know: how a figure was come by.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::metrics::process::Reading;
use crate::metrics::{Bound, Registry, Size, Structure};
use crate::pressure::watch::SharedFindings;
use crate::pressure::{Resource, Step, allocator};
use crate::state::State;
use crate::utc;

/// A token of fewer characters is none.
const TOKEN_LEAST: usize = 16;

/// What the pages are made from, and who may see them.
#[derive(Debug)]
pub struct Debug {
    /// Read at each request, so that a changed token counts at once.
    token_file: Option<PathBuf>,
    findings: SharedFindings,
    /// When `/debug/memory` was asked for the last time, and what it showed.
    last: Mutex<Option<(Duration, Vec<Size>)>>,
}

/// Why somebody may not see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// There is no token: nobody may.
    NoToken,
    /// The token's file cannot be read or is no token: nobody may.
    BadToken,
    /// No token, or another one.
    Unauthorized,
}

// === impl Denied ===

impl Denied {
    /// HTTP status and what to do.
    pub(super) const fn answer(self) -> (u16, &'static str) {
        match self {
            Self::NoToken => (403, "set http.token_file in the configuration: a file with at least 16 characters"),
            Self::BadToken => (403, "http.token_file cannot be read, or holds less than 16 characters"),
            Self::Unauthorized => (401, "send the token: Authorization: Bearer …"),
        }
    }
}

// === impl Debug ===

impl Debug {
    /// Pages over these findings, for who holds the token in this file.
    pub fn new(token_file: Option<PathBuf>, findings: SharedFindings) -> Self {
        Self { token_file, findings, last: Mutex::default() }
    }

    /// Whether the request comes from somebody who has the token.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let file = self.token_file.as_deref().ok_or(Denied::NoToken)?;
        let token = read_token(file).map_err(|_| Denied::BadToken)?;
        let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer ")).unwrap_or_default();
        if same(given, token.as_bytes()) { Ok(()) } else { Err(Denied::Unauthorized) }
    }

    /// What the process holds.
    pub(super) fn memory(&self, state: &State, registry: &Registry, process: &Reading) -> Value {
        let now = state.clock.now();
        let sizes = Structure::all(registry);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace((now.mono, sizes.clone()));
        let findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let structures: Vec<Value> = sizes
            .iter()
            .map(|size| {
                let known = before.as_ref().and_then(|(_, sizes)| sizes.iter().find(|known| known.name == size.name));
                structure_entry(size, known, findings.ledger.rises(&size.name))
            })
            .collect();
        let suspects: Vec<Value> = findings.ledger.suspects().iter().map(|(name, why)| json!({"structure": name, "reason": why.as_str()})).collect();
        let resources: Vec<Value> = Resource::ALL
            .into_iter()
            .map(|resource| {
                let allowance = findings.budget.of_resource(resource);
                json!({
                    "resource": resource.as_str(),
                    "level": state.pressure.level_of(resource).as_str(),
                    "soft": allowance.map(|allowance| allowance.limits.soft),
                    "hard": allowance.map(|allowance| allowance.limits.hard),
                    "origin": allowance.map(|allowance| allowance.origin.as_str()),
                })
            })
            .collect();
        let steps: Vec<&str> = Step::ALL.into_iter().filter(|step| state.pressure.stands(*step)).map(Step::as_str).collect();
        json!({
            "timestamp": utc::rfc3339(now.wall_ms),
            "uptime": now.mono.as_secs_f64(),
            "since_last_call_seconds": before.as_ref().map(|(at, _)| now.mono.saturating_sub(*at).as_secs_f64()),
            "process": {
                "resident_bytes": process.resident,
                "peak_resident_bytes": process.peak_resident,
                "proportional_bytes": process.proportional(),
                "virtual_bytes": process.virtual_size,
                "growth_mb_per_minute": findings.growth,
                "open_file_descriptors": process.open_fds,
                "threads": process.threads,
                "tasks": state.tasks().into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect::<serde_json::Map<_, _>>(),
            },
            "allocator": allocator_entry(),
            "pressure": {"level": state.pressure.level().as_str(), "steps": steps, "resources": resources},
            "structures": structures,
            "suspects": suspects,
        })
    }
}

/// The token in this file, without the white space around it.
///
/// # Errors
/// When the file cannot be read, or holds too little to be a token.
pub fn read_token(file: &Path) -> io::Result<Arc<str>> {
    let text = fs::read_to_string(file)?;
    let token = text.trim();
    if token.chars().count() < TOKEN_LEAST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a token has at least {TOKEN_LEAST} characters")));
    }
    Ok(token.into())
}

fn structure_entry(size: &Size, before: Option<&Size>, rises: u32) -> Value {
    let growth =
        |now: u64, before: Option<u64>| before.map(|before| i128::from(now) - i128::from(before)).and_then(|grown| i64::try_from(grown).ok());
    let bound = match size.bound {
        Bound::Entries(most) => json!({"entries": most}),
        Bound::Bytes(most) => json!({"bytes": most}),
        Bound::DiskBytes(most) => json!({"disk_bytes": most}),
        Bound::Open => Value::Null,
    };
    json!({
        "structure": size.name,
        "length": size.length,
        "bytes": size.bytes,
        "bound": bound,
        "length_growth": growth(size.length, before.map(|before| before.length)),
        "bytes_growth": growth(size.bytes, before.map(|before| before.bytes)),
        "rises": rises,
    })
}

fn allocator_entry() -> Value {
    let bytes = allocator::statistics().map(|statistics| {
        statistics.kinds().into_iter().map(|(kind, bytes)| (kind.to_owned(), bytes.into())).collect::<serde_json::Map<String, Value>>()
    });
    let options = allocator::options().into_iter().map(|option| (option.name.to_owned(), option.value.into())).collect::<serde_json::Map<_, Value>>();
    json!({"name": allocator::NAME, "bytes": bytes, "options": options})
}

/// In a time that does not tell how much of it was right.
fn same(given: &[u8], token: &[u8]) -> bool {
    let differing = given.iter().zip(token).fold(0_u8, |all, (a, b)| all | (a ^ b));
    given.len() == token.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::config::PressureConfig;
    use crate::pressure::watch::Findings;
    use crate::pressure::{Budget, Ledger, Surroundings};

    fn debug(token_file: Option<PathBuf>) -> Debug {
        let budget = Budget::of(&PressureConfig::default(), &Surroundings::default());
        Debug::new(token_file, Arc::new(Mutex::new(Findings { budget, ledger: Ledger::default(), growth: None })))
    }

    #[test]
    fn only_who_has_the_token_is_admitted_and_a_changed_token_counts_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let with = |value: &'static str| HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        assert_eq!(debug(None).admit(&HeaderMap::new()), Err(Denied::NoToken));
        let pages = debug(Some(file.clone()));
        assert_eq!(pages.admit(&HeaderMap::new()), Err(Denied::BadToken), "no file");
        fs::write(&file, "short\n").unwrap();
        assert_eq!(pages.admit(&with("Bearer short")), Err(Denied::BadToken));
        fs::write(&file, "0123456789abcdef\n").unwrap();
        for (headers, expected) in [
            (with("Bearer 0123456789abcdef"), Ok(())),
            (with("Bearer 0123456789abcdeF"), Err(Denied::Unauthorized)),
            (with("Bearer 0123456789abcde"), Err(Denied::Unauthorized)),
            (with("0123456789abcdef"), Err(Denied::Unauthorized)),
            (with("Bearer "), Err(Denied::Unauthorized)),
            (HeaderMap::new(), Err(Denied::Unauthorized)),
        ] {
            assert_eq!(pages.admit(&headers), expected, "{headers:?}");
        }
        fs::write(&file, "fedcba9876543210").unwrap();
        assert_eq!(pages.admit(&with("Bearer 0123456789abcdef")), Err(Denied::Unauthorized));
    }
}
