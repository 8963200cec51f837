//! The tree of an expression: what was written, with the place of every part. Must not know: text, tokens, evaluation.
use super::operator::{AggregateOp, BinaryOp};
use crate::functions::Function;
use crate::labels::Matcher;

/// A half-open range of bytes in the text of the expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// The four types of the language (Prometheus documentation, "Expression language data types").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// One number.
    Scalar,
    /// One sample per series, all of one time.
    InstantVector,
    /// A stretch of samples per series.
    RangeVector,
    /// A text.
    String,
}

/// An expression that parsed and whose types are right: only [`parse`](super::parse) makes one.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
    height: usize,
}

/// The kinds of expression.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A number, or a duration in seconds.
    Number(f64),
    /// A text in quotes, unescaped.
    Text(String),
    /// `name{label="value"} offset 5m @ 0`
    Instant(Selector),
    /// `name[5m]`
    Range(RangeSelector),
    /// `expr[1h:1m]`
    Subquery(Subquery),
    /// `-expr`, `+expr`
    Unary {
        /// The sign.
        sign: Sign,
        /// What it applies to.
        operand: Box<Expr>,
    },
    /// `a + b`
    Binary(Box<Binary>),
    /// `sum by (job) (expr)`
    Aggregate(Box<Aggregate>),
    /// `rate(expr)`
    Call(Call),
    /// `(expr)`
    Paren(Box<Expr>),
}

/// The sign of a unary expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// Which series, and when.
#[derive(Clone, Debug)]
pub struct Selector {
    /// Number of this selector in its expression, from 0, unique among selectors and subqueries.
    pub id: usize,
    /// The metric name when it was written before the braces (it is also among `matchers`).
    pub name: Option<String>,
    /// All conditions, the one on `__name__` included.
    pub matchers: Vec<Matcher>,
    /// The modifiers behind it.
    pub shift: Shift,
}

/// `selector[5m]`
#[derive(Clone, Debug)]
pub struct RangeSelector {
    /// Which series; its `shift` moves the whole window.
    pub selector: Selector,
    /// Length of the window in milliseconds, above zero.
    pub range_ms: i64,
}

/// `expr[range:step]`
#[derive(Clone, Debug)]
pub struct Subquery {
    /// Number among selectors and subqueries of the expression.
    pub id: usize,
    /// What is evaluated at each step.
    pub expr: Box<Expr>,
    /// Length of the window in milliseconds, above zero.
    pub range_ms: i64,
    /// Step in milliseconds; `None` is the default step of the evaluation.
    pub step_ms: Option<i64>,
    /// The modifiers behind it.
    pub shift: Shift,
}

/// `offset` and `@`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// How far back, in milliseconds; negative looks ahead.
    pub offset_ms: i64,
    /// A fixed time instead of the evaluation's.
    pub at: Option<At>,
}

/// The time of an `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Unix milliseconds.
    Time(i64),
    /// `start()`: the first step of a range query, or the time of an instant one.
    Start,
    /// `end()`: the last step.
    End,
}

/// `lhs op rhs`
#[derive(Clone, Debug)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Where the operator stands.
    pub op_span: Span,
    /// Left operand.
    pub lhs: Expr,
    /// Right operand.
    pub rhs: Expr,
    /// Whether a comparison yields 0 or 1 (`bool`) instead of filtering.
    pub returns_bool: bool,
    /// How the elements of two vectors find each other.
    pub matching: Matching,
}

/// How elements of two vectors are matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// Which labels must agree.
    pub labels: MatchLabels,
    /// Which side may have several elements per match.
    pub group: Group,
    /// Labels that `group_left` or `group_right` copies from the "one" side.
    pub include: Vec<String>,
}

/// Which labels must agree for two elements to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchLabels {
    /// Exactly these.
    On(Vec<String>),
    /// All but these and the metric name.
    Ignoring(Vec<String>),
}

/// Which side of a match may have several elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// Neither.
    #[default]
    OneToOne,
    /// `group_left`: the left side.
    Left,
    /// `group_right`: the right side.
    Right,
}

/// `op by (labels) (param, expr)`
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// The operator.
    pub op: AggregateOp,
    /// The first argument of `topk`, `bottomk`, `quantile`, `count_values`.
    pub param: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// Over which labels.
    pub grouping: Grouping,
}

/// Which labels survive an aggregation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Exactly these (none when nothing was written).
    By(Vec<String>),
    /// All but these and the metric name.
    Without(Vec<String>),
}

/// `function(args)`
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called.
    pub function: &'static Function,
    /// Where its name stands.
    pub name_span: Span,
    /// Its arguments, as many and of the types its signature asks.
    pub args: Vec<Expr>,
}

// === impl Span ===

impl Span {
    /// From `start` to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of `self` to the end of `last`.
    #[must_use]
    pub fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }
}

// === impl ValueType ===

impl ValueType {
    /// The words of Prometheus's messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::InstantVector => "instant vector",
            Self::RangeVector => "range vector",
            Self::String => "string",
        }
    }

    /// The same in Chinese.
    pub fn zh(self) -> &'static str {
        match self {
            Self::Scalar => "标量",
            Self::InstantVector => "瞬时向量",
            Self::RangeVector => "区间向量",
            Self::String => "字符串",
        }
    }
}

// === impl Expr ===

impl Expr {
    pub(super) fn new(kind: ExprKind, span: Span) -> Self {
        let height = 1 + kind.children().map(|child| child.height).max().unwrap_or(0);
        Self { kind, span, height }
    }

    /// Levels of the tree: 1 for a leaf, at most [`MAX_DEPTH`](super::MAX_DEPTH).
    pub fn height(&self) -> usize {
        self.height
    }

    /// The type of its value.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::Text(_) => ValueType::String,
            ExprKind::Instant(_) | ExprKind::Aggregate(_) => ValueType::InstantVector,
            ExprKind::Range(_) | ExprKind::Subquery(_) => ValueType::RangeVector,
            ExprKind::Unary { operand, .. } | ExprKind::Paren(operand) => operand.value_type(),
            ExprKind::Call(call) => call.function.returns,
            ExprKind::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::InstantVector,
            },
        }
    }

    /// The expression without parentheses around it.
    pub fn unwrapped(&self) -> &Self {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// Its direct parts, in the order they are written.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        self.kind.children()
    }
}

// === impl ExprKind ===

impl ExprKind {
    fn children(&self) -> impl Iterator<Item = &Expr> {
        let (list, pair): (&[Expr], [Option<&Expr>; 2]) = match self {
            Self::Number(_) | Self::Text(_) | Self::Instant(_) | Self::Range(_) => (&[], [None, None]),
            Self::Subquery(subquery) => (&[], [Some(&subquery.expr), None]),
            Self::Unary { operand, .. } | Self::Paren(operand) => (&[], [Some(operand), None]),
            Self::Binary(binary) => (&[], [Some(&binary.lhs), Some(&binary.rhs)]),
            Self::Aggregate(aggregate) => (&[], [aggregate.param.as_ref(), Some(&aggregate.expr)]),
            Self::Call(call) => (&call.args, [None, None]),
        };
        list.iter().chain(pair.into_iter().flatten())
    }
}

// === impl MatchLabels ===

impl Default for MatchLabels {
    fn default() -> Self {
        Self::Ignoring(Vec::new())
    }
}

impl MatchLabels {
    /// The labels as written.
    pub fn names(&self) -> &[String] {
        match self {
            Self::On(names) | Self::Ignoring(names) => names,
        }
    }
}

// === impl Grouping ===

impl Default for Grouping {
    fn default() -> Self {
        Self::By(Vec::new())
    }
}
