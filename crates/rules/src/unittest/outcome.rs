//! How a test ended.

use std::fmt::Write as _;

use diagnostics::{Lang, Place, Text};

/// How one test ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Name of the test, or its number if it has none.
    pub name: String,
    /// Where it begins.
    pub place: Place,
    /// What was not as expected; empty when it passed.
    pub failures: Vec<Failure>,
}

/// One thing that was not as expected.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The case in the test file.
    pub place: Place,
    /// What.
    pub message: Text,
    /// Lines that were expected, sorted.
    pub expected: Vec<String>,
    /// Lines that came, sorted.
    pub got: Vec<String>,
}

// === impl Outcome ===

impl Outcome {
    /// Whether all was as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

// === impl Failure ===

impl Failure {
    /// A failure without a comparison.
    pub(crate) fn plain(place: Place, message: Text) -> Self {
        Self { place, message, expected: Vec::new(), got: Vec::new() }
    }

    /// The message, and the lines that differ: `-` was expected and did not come, `+` came and was not expected, others are equal.
    pub fn render(&self, file: &str, lang: Lang) -> String {
        let mut out = format!("{file}:{}:{}: {}\n", self.place.line, self.place.column, self.message.get(lang));
        let mut left = self.got.clone();
        for line in &self.expected {
            let same = left.iter().position(|other| other == line).map(|at| left.remove(at)).is_some();
            // Writing to a String cannot fail.
            let _ = writeln!(out, "    {} {line}", if same { ' ' } else { '-' });
        }
        for line in left {
            let _ = writeln!(out, "    + {line}");
        }
        out
    }
}
