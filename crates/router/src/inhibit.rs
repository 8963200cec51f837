//! Inhibition: one alert makes others needless.
//!
//! Owns: rules and the index of firing sources. Must not know: groups, receivers.

use std::collections::BTreeSet;

use crate::matcher::Matcher;

/// One of `inhibit_rules`.
#[derive(Clone, Debug)]
pub struct InhibitRule {
    /// `name`, for the page; may be empty.
    pub name: String,
    /// Alerts that inhibit.
    pub source: Vec<Matcher>,
    /// Alerts that are inhibited.
    pub target: Vec<Matcher>,
    /// Labels that must be equal in both; absent and empty are equal.
    pub equal: BTreeSet<String>,
}
