//! What can go wrong with a template, in Go's words, with the place.

mod chinese;

use std::fmt;

/// When a template failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The text is not a template.
    Parse,
    /// The template could not be carried out on this data.
    Execute,
}

/// A name that a template uses and nobody has defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Of a function.
    Function(String),
    /// Of a variable, with its `$`.
    Variable(String),
}

/// A template's failure; `Display` is the text Go prints for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// Parsing or executing.
    pub stage: Stage,
    /// Name the text was parsed under.
    pub template: String,
    /// Byte offset in that text.
    pub offset: usize,
    /// 1-based line.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
    /// 0-based column in bytes: what Go prints.
    pub byte_column: usize,
    /// The template that was executing, and the piece of text at fault; empty while parsing.
    pub context: Option<(String, String)>,
    /// What is wrong.
    pub message: String,
    /// The name that was not known, if that is what is wrong.
    pub unknown: Option<Unknown>,
}

// === impl Error ===

impl Error {
    /// A parse error at byte `offset` of `text`.
    pub(crate) fn parse(template: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let (line, column, byte_column) = position(text, offset);
        Self {
            stage: Stage::Parse,
            template: template.to_owned(),
            offset,
            line,
            column,
            byte_column,
            context: None,
            message: message.into(),
            unknown: None,
        }
    }

    /// An error that belongs to no place in a text: an unknown template name, a limit.
    pub(crate) fn whole(stage: Stage, template: &str, message: impl Into<String>) -> Self {
        Self {
            stage,
            template: template.to_owned(),
            offset: 0,
            line: 1,
            column: 1,
            byte_column: 0,
            context: None,
            message: message.into(),
            unknown: None,
        }
    }

    /// The same, about a name that is not known.
    pub(crate) fn about(mut self: Box<Self>, unknown: Unknown) -> Box<Self> {
        self.unknown = Some(unknown);
        self
    }

    /// What is wrong in Chinese; Go's own words where there is no better.
    pub fn zh(&self) -> String {
        chinese::of(&self.message).unwrap_or_else(|| self.message.clone())
    }

    /// An execution error at byte `offset` of `text`, in the piece `at`, while `executing` ran.
    pub(crate) fn execute(template: &str, text: &str, offset: usize, context: (String, String), message: String) -> Self {
        Self { stage: Stage::Execute, context: Some(context), ..Self::parse(template, text, offset, message) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { template, line, byte_column, message, .. } = self;
        match (&self.context, self.stage) {
            (Some((executing, at)), _) => write!(f, "template: {template}:{line}:{byte_column}: executing {executing:?} at <{at}>: {message}"),
            (None, Stage::Parse) => write!(f, "template: {template}:{line}: {message}"),
            (None, Stage::Execute) => write!(f, "template: {template}: {message}"),
        }
    }
}

/// 1-based line, 1-based column in characters, 0-based column in bytes.
fn position(text: &str, offset: usize) -> (usize, usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = text.get(..offset).unwrap_or_default();
    let last = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, last.chars().count() + 1, last.len())
}
