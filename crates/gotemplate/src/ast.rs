//! The parsed form of a template. Every node knows its span of the text, for error messages.

use std::sync::Arc;

/// A range of bytes of the parsed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Text after trimming.
    Text(Span),
    /// `{{ pipeline }}`
    Action(Pipe),
    /// `{{ if }}`
    If(Branch),
    /// `{{ with }}`
    With(Branch),
    /// `{{ range }}`
    Range(Branch),
    /// `{{ template "name" pipeline }}`, also the call that a `block` stands for; the span is the name's.
    Template {
        name: Arc<str>,
        pipe: Option<Pipe>,
        span: Span,
    },
    Break,
    Continue,
}

#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) then: Vec<Node>,
    /// `else`; an `else if` is one nested node.
    pub(crate) otherwise: Vec<Node>,
}

#[derive(Clone, Debug)]
pub(crate) struct Pipe {
    /// Variables set from the value, with their `$`.
    pub(crate) variables: Vec<Box<str>>,
    /// `=` rather than `:=`.
    pub(crate) assign: bool,
    pub(crate) commands: Vec<Command>,
    pub(crate) span: Span,
}

/// Operands separated by blanks; the first is called if it can be.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) operands: Vec<Operand>,
}

/// A term and the fields taken of it.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    pub(crate) term: Term,
    pub(crate) fields: Vec<Box<str>>,
    /// Where Go says an operand is: at its first field after the term, if it has one.
    pub(crate) at: usize,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    Function(Box<str>),
    /// With its `$`.
    Variable(Box<str>),
    Pipe(Box<Pipe>),
}
