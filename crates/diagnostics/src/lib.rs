//! Errors that a person can act on: file, line, column, caret, what was found, what was expected, a hint, a stable code; in Chinese and English.
//!
//! Owns: the shape of a diagnostic, its rendering, the reading of YAML with positions. Must not know: what any configuration means.
#![forbid(unsafe_code)]

mod codes;
mod render;
mod similar;
mod text;
pub mod yaml;

pub use codes::CODES;
pub use render::{Format, render, render_all};
pub use similar::closest;
pub use text::{Lang, Text};

/// Exit code for a configuration that cannot be used (sysexits `EX_CONFIG`).
pub const EXIT_CONFIG: i32 = 78;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file works, but not as its author is likely to think.
    Warning,
    /// The file cannot be used.
    Error,
}

/// A place in a file: 1-based line and column (in characters), and how many characters to underline (at least 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// 1-based line.
    pub line: usize,
    /// 1-based column, counted in characters.
    pub column: usize,
    /// Characters to underline; 0 is shown as 1.
    pub len: usize,
}

/// One finding, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, `E012` or `W003`; `explain CODE` tells more.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// Path as the user gave it; empty when the finding belongs to no file.
    pub file: String,
    /// Where in the file; `None` when it concerns the whole file.
    pub place: Option<Place>,
    /// What is wrong, with what was found.
    pub message: Text,
    /// What was expected, when that is not in the message.
    pub expected: Option<Text>,
    /// What to do about it.
    pub hint: Option<Text>,
}

// === impl Place ===

impl Place {
    /// The place of byte `offset` in `source`, underlining `len` characters. An offset past the end is the end.
    pub fn of_offset(source: &str, offset: usize, len: usize) -> Self {
        let mut offset = offset.min(source.len());
        while !source.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = source.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Self { line: before.matches('\n').count() + 1, column, len }
    }
}

// === impl Diagnostic ===

impl Diagnostic {
    /// An error with this code and message; place, file and hints are added by the methods below.
    pub fn error(code: &'static str, message: Text) -> Self {
        Self { code, severity: Severity::Error, file: String::new(), place: None, message, expected: None, hint: None }
    }

    /// A warning with this code and message.
    pub fn warning(code: &'static str, message: Text) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// The same, in this file.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = file.into();
        self
    }

    /// The same, at this place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The same, saying what was expected.
    #[must_use]
    pub fn expected(mut self, expected: Text) -> Self {
        self.expected = Some(expected);
        self
    }

    /// The same, saying what to do.
    #[must_use]
    pub fn hint(mut self, hint: Text) -> Self {
        self.hint = Some(hint);
        self
    }
}
