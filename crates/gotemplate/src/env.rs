//! The moment of a rendering: time, zone, host functions, limits. Everything a template may depend on besides its data.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};

use crate::Value;

/// Functions whose answer depends on the caller: `query`, `externalURL`, `pathPrefix` of Prometheus, or a caller's own.
/// A name must be declared with [`Functions::declare`](crate::Functions::declare) to be accepted when a template is parsed.
pub trait Host {
    /// The answer of function `name`; `None` when the host has no such function.
    ///
    /// # Errors
    /// A text for the user, shown as `error calling NAME: TEXT`.
    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>>;
}

/// A host without functions.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

/// How printed values are escaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escape {
    /// Not at all (text/template).
    #[default]
    Text,
    /// As HTML text and quoted attributes, except what `safeHtml` marked (the part of html/template that mail bodies use).
    Html,
}

/// Bounds of one rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nodes and calls.
    pub steps: usize,
    /// Bytes written.
    pub output: usize,
    /// Nested `template` calls.
    pub depth: usize,
}

/// What one rendering sees besides its data.
#[derive(Clone)]
pub struct Env<'a> {
    /// The time that `now` and `since` know.
    pub now: Timestamp,
    /// The zone that `.Local` and messages without a zone use.
    pub local: TimeZone,
    /// The caller's functions.
    pub host: &'a dyn Host,
    /// Bounds.
    pub limits: Limits,
    /// Escaping of printed values.
    pub escape: Escape,
}

// === impl Host ===

impl Host for NoHost {
    fn call(&self, _name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        None
    }
}

// === impl Limits ===

impl Default for Limits {
    /// 100,000 steps, 1 MiB of output, 100 nested templates.
    fn default() -> Self {
        Self { steps: 100_000, output: 1 << 20, depth: 100 }
    }
}

// === impl Env ===

impl<'a> Env<'a> {
    /// At unix time `now_ms` (clamped to years −9999 to 9999), in UTC, without host functions, as text, with the default limits.
    pub fn at_ms(now_ms: i64) -> Self {
        let now = Timestamp::from_millisecond(now_ms).unwrap_or(if now_ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
        Self { now, local: TimeZone::UTC, host: &NoHost, limits: Limits::default(), escape: Escape::Text }
    }

    /// The same with this host.
    #[must_use]
    pub fn with_host(self, host: &'a dyn Host) -> Self {
        Self { host, ..self }
    }

    /// The same in this zone.
    #[must_use]
    pub fn in_zone(self, local: TimeZone) -> Self {
        Self { local, ..self }
    }

    /// The same with this escaping.
    #[must_use]
    pub fn escaping(self, escape: Escape) -> Self {
        Self { escape, ..self }
    }
}

impl fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("now", &self.now).field("limits", &self.limits).field("escape", &self.escape).finish_non_exhaustive()
    }
}
