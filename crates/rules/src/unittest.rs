//! Unit tests of rules in promtool's format (Prometheus documentation, "Unit testing for rules"), run on the engine itself.
//!
//! Owns: the format, the grid of evaluations, the comparison. Must not know: files (a shell reads them and resolves the patterns of `rule_files`).

mod junit;
mod outcome;
mod read;
mod run;

use diagnostics::{Diagnostic, Place};
use promql::labels::Labels;

use crate::check::UnknownKeys;

pub use junit::junit;
pub use outcome::{Failure, Outcome};
pub use run::run;

/// A test file.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// File as it was named to [`read`].
    pub file: String,
    /// Patterns of rule files, relative to the test file, and where they are written.
    pub rule_files: Vec<(String, Place)>,
    /// Time between two evaluations, milliseconds.
    pub evaluation_interval_ms: i64,
    /// Names of groups in the order they are evaluated.
    pub group_eval_order: Vec<String>,
    /// Whether values one unit in the last place apart are equal.
    pub fuzzy_compare: bool,
    /// The tests.
    pub tests: Vec<Test>,
}

/// One test: input series, and what must come of them.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name, perhaps empty.
    pub name: String,
    /// Where it begins.
    pub place: Place,
    /// Time between two input samples, milliseconds.
    pub interval_ms: i64,
    /// Time of the first sample and evaluation, unix milliseconds.
    pub start_ms: i64,
    pub(crate) input: Vec<Input>,
    pub(crate) alerts: Vec<AlertCase>,
    pub(crate) exprs: Vec<ExprCase>,
    pub(crate) external_labels: Labels,
    pub(crate) external_url: String,
}

/// An input series: a value, or a gap, per interval.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) labels: Labels,
    pub(crate) values: Vec<Option<f64>>,
}

/// Which alerts of a name must fire at a time.
#[derive(Clone, Debug)]
pub(crate) struct AlertCase {
    pub(crate) place: Place,
    /// After the start.
    pub(crate) at_ms: i64,
    pub(crate) alertname: String,
    pub(crate) expected: Vec<ExpectedAlert>,
}

#[derive(Clone, Debug)]
pub(crate) struct ExpectedAlert {
    /// Sorted by name.
    pub(crate) labels: Vec<(String, String)>,
    /// Sorted by name.
    pub(crate) annotations: Vec<(String, String)>,
}

/// What an expression must give at a time.
#[derive(Clone, Debug)]
pub(crate) struct ExprCase {
    pub(crate) place: Place,
    /// After the start.
    pub(crate) at_ms: i64,
    pub(crate) query: String,
    pub(crate) expected: Vec<(Labels, f64)>,
}

/// Reads a test file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(file: &str, text: &str, unknown_keys: UnknownKeys) -> Result<TestFile, Vec<Diagnostic>> {
    read::read(file, text, unknown_keys)
}
