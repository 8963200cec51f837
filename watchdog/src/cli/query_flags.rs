//! Bounds of queries as flags of `watchdog run`, under Prometheus's names.

use std::time::Duration;

use clap::Args;

use crate::config::duration;
use crate::queries::Limits;

/// Bounds of queries over HTTP.
#[derive(Args, Clone, Copy, Debug)]
pub struct QueryFlags {
    /// Samples that a query over HTTP may hold, 16 bytes each
    #[arg(long = "query.max-samples", value_name = "N", default_value_t = Limits::default().samples)]
    max_samples: usize,
    /// The longest that a query may take, its wait included
    #[arg(long = "query.timeout", value_name = "DURATION", default_value = "30s", value_parser = positive)]
    timeout: Duration,
    /// Queries answered at once
    #[arg(long = "query.max-concurrency", value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    max_concurrency: u16,
    /// How far back a sample counts, in queries and rules
    #[arg(long = "query.lookback-delta", value_name = "DURATION", default_value = "5m", value_parser = positive)]
    lookback_delta: Duration,
}

// === impl QueryFlags ===

impl QueryFlags {
    /// What they mean.
    pub fn limits(self) -> Limits {
        Limits { at_once: usize::from(self.max_concurrency), within: self.timeout, samples: self.max_samples, lookback: self.lookback_delta }
    }
}

fn positive(text: &str) -> Result<Duration, String> {
    duration(text).filter(|duration| !duration.is_zero()).ok_or_else(|| "not a duration above zero; write 30s, 2m, 1m30s".to_owned())
}
