//! The one error of a page: where, what was found, what was expected. Must not know: how it is shown.
use std::fmt;

/// Characters of the page an error quotes.
const QUOTED_CHARS: usize = 32;

/// Why and where a page is no exposition. A page is taken whole or not at all, so there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Something else stands where the grammar asks for `expected`.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// The text there, quoted and cut, or `end of line`.
        found: Box<str>,
        /// What the format allows.
        expected: &'static str,
    },
    /// A value that Go's `ParseFloat` does not take.
    #[error("expected a number (decimal, NaN, +Inf, -Inf) that a 64-bit float holds, found {found}")]
    BadNumber {
        /// The text there, quoted and cut.
        found: Box<str>,
    },
    /// A time stamp that is none.
    #[error("expected a time stamp in {unit}, found {found}")]
    BadTimestamp {
        /// The text there, quoted and cut.
        found: Box<str>,
        /// `milliseconds` or `seconds`.
        unit: &'static str,
    },
    /// A label name stands twice in one sample.
    #[error("label {name} stands twice in this sample")]
    DuplicateLabel {
        /// The name, quoted and cut.
        name: Box<str>,
    },
    /// Bytes that are not UTF-8.
    #[error("the body is not UTF-8 here")]
    NotUtf8,
    /// The last line has no line feed: the body was cut off.
    #[error("the body ends within a line: it is truncated (the last line must end with a line feed)")]
    Truncated,
    /// An OpenMetrics body without its end mark: it was cut off.
    #[error("the body ends without \"# EOF\": it is truncated")]
    MissingEof,
    /// Text after the end mark.
    #[error("expected the end of the body after \"# EOF\", found {found}")]
    AfterEof {
        /// The text there, quoted and cut.
        found: Box<str>,
    },
    /// Larger than [`Limits::body_bytes`](super::Limits::body_bytes).
    #[error("the body has {found} bytes, over the limit of {limit}")]
    BodyTooLarge {
        /// Its bytes.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// More than [`Limits::samples`](super::Limits::samples).
    #[error("more samples than the limit of {limit}")]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// More than [`Limits::labels`](super::Limits::labels).
    #[error("more labels in this sample than the limit of {limit}")]
    TooManyLabels {
        /// The limit.
        limit: usize,
    },
    /// Longer than [`Limits::label_name_bytes`](super::Limits::label_name_bytes).
    #[error("a label name of {found} bytes, over the limit of {limit}")]
    LabelNameTooLong {
        /// Its bytes.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Longer than [`Limits::label_value_bytes`](super::Limits::label_value_bytes).
    #[error("a label value of {found} bytes, over the limit of {limit}")]
    LabelValueTooLong {
        /// Its bytes.
        found: usize,
        /// The limit.
        limit: usize,
    },
}

/// A reason at a byte of a line; the page turns it into line and column. Boxed, so that what goes well is not slowed by the size of what does not.
#[derive(Debug)]
pub(super) struct Fault(Box<(usize, Reason)>);

// === impl Fault ===

impl Fault {
    #[cold]
    pub(super) fn new(at: usize, reason: Reason) -> Self {
        Self(Box::new((at, reason)))
    }

    /// The byte and the reason.
    pub(super) fn into_parts(self) -> (usize, Reason) {
        *self.0
    }
}

// === impl Reason ===

impl Reason {
    /// The reason's name in logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unexpected { .. } => "syntax",
            Self::BadNumber { .. } => "bad_number",
            Self::BadTimestamp { .. } => "bad_timestamp",
            Self::DuplicateLabel { .. } => "duplicate_label",
            Self::NotUtf8 => "not_utf8",
            Self::Truncated | Self::MissingEof => "truncated",
            Self::AfterEof { .. } => "after_eof",
            Self::BodyTooLarge { .. } => "body_size_limit",
            Self::TooManySamples { .. } => "sample_limit",
            Self::TooManyLabels { .. } => "label_limit",
            Self::LabelNameTooLong { .. } => "label_name_length_limit",
            Self::LabelValueTooLong { .. } => "label_value_length_limit",
        }
    }
}

/// The first characters of `text` up to its line's end, quoted for a reader.
pub(super) fn quoted(text: &str) -> Box<str> {
    let line = text.split('\n').next().unwrap_or("");
    if line.is_empty() {
        return "end of line".into();
    }
    let shown: String = line.chars().take(QUOTED_CHARS).collect();
    let more = if shown.len() < line.len() { "…" } else { "" };
    fmt::format(format_args!("{shown:?}{more}")).into()
}
