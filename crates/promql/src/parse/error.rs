//! What can be wrong with an expression, in English and Chinese, with a stable code and a hint. Must not know: files and lines; a caller turns the span into them.
use super::ast::{Span, ValueType};

/// One error of an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.kind.en())]
pub struct ParseError {
    /// Where, in bytes of the expression's text.
    pub span: Span,
    /// What.
    pub kind: ParseErrorKind,
}

/// The kinds of error. Texts inside are quoted from the expression, shortened where they are long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// Nothing but blanks and comments.
    Empty,
    /// The text or the tree is larger than the parser takes.
    TooLarge {
        /// `bytes` or `levels`
        what: &'static str,
        /// The most that is taken.
        limit: usize,
    },
    /// A character that begins nothing.
    BadCharacter(char),
    /// A text that is not closed on its line.
    UnterminatedString,
    /// An escape that Go's strings do not have, or bytes that are not UTF-8.
    BadEscape(String),
    /// Digits that are neither number nor duration.
    BadNumber(String),
    /// A duration that is out of range, zero where it must not be, or in the wrong order.
    BadDuration(String),
    /// A time that an `@` modifier cannot hold.
    BadTime(String),
    /// One thing was found where another was needed.
    Unexpected {
        /// What was found, as written; empty at the end.
        found: String,
        /// What was needed: words of the grammar, or a symbol.
        expected: Expected,
    },
    /// A regular expression that RE2 would not take.
    BadPattern {
        /// As written.
        pattern: String,
        /// Why.
        why: String,
    },
    /// `foo{__name__="bar"}`
    NameTwice,
    /// A selector that all series would match.
    SelectsEverything,
    /// `offset`, `@` or a range behind something that cannot have one.
    MisplacedModifier {
        /// `offset`, `@` or `[…]`
        modifier: &'static str,
    },
    /// The same modifier twice.
    RepeatedModifier {
        /// `offset` or `@`
        modifier: &'static str,
    },
    /// A name followed by `(` that is no function.
    UnknownFunction {
        /// As written.
        name: String,
        /// A function with a similar name.
        near: Option<&'static str>,
    },
    /// Too few or too many arguments.
    ArgumentCount {
        /// Function or aggregation.
        name: &'static str,
        /// The fewest.
        min: usize,
        /// The most; `None` is any number.
        max: Option<usize>,
        /// As written.
        found: usize,
    },
    /// A value of another type was needed.
    WrongType {
        /// For what: `argument 1 of rate`.
        place: String,
        /// The type that is needed; `None` is scalar or instant vector.
        expected: Option<ValueType>,
        /// The type that is there.
        found: ValueType,
    },
    /// `bool` behind something that is no comparison.
    BoolWithoutComparison,
    /// A comparison of two scalars needs `bool`.
    ScalarComparisonNeedsBool,
    /// A set operator with a scalar.
    SetOperatorWithScalar(&'static str),
    /// `on`, `ignoring` or `group_…` with a scalar.
    MatchingWithScalar,
    /// `group_left` or `group_right` with a set operator.
    GroupWithSetOperator(&'static str),
    /// A label in both `on` and `group_…`.
    LabelInOnAndGroup(String),
    /// A label name that is not one.
    BadLabelName(String),
    /// Right in some Prometheus, but not evaluated here.
    Unsupported {
        /// As written.
        what: String,
        /// Why not.
        why: Unsupported,
    },
}

/// Why something that Prometheus knows is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// Prometheus itself has it only behind a feature flag.
    Experimental,
    /// It works on native histograms, and series hold floats only.
    NativeHistogram,
}

/// What a place of the grammar needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A symbol or keyword, as it is written.
    Symbol(&'static str),
    /// The start of an expression.
    Expression,
    /// An operator or the end.
    Operator,
    /// A label name.
    Label,
    /// `=`, `!=`, `=~` or `!~`
    MatchOperator,
    /// A text in quotes.
    String,
    /// A duration.
    Duration,
    /// A number, `start()` or `end()`.
    Time,
}

// === impl ParseError ===

impl ParseError {
    pub(super) fn new(span: Span, kind: ParseErrorKind) -> Self {
        Self { span, kind }
    }

    /// The message in Chinese (the English one is its `Display`).
    pub fn zh(&self) -> String {
        self.kind.zh()
    }

    /// The stable code of the kind.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// What to do about it, in English and Chinese.
    pub fn hint(&self) -> Option<(String, String)> {
        self.kind.hint()
    }
}

// === impl ParseErrorKind ===

impl ParseErrorKind {
    /// The stable code: `E101` syntax, `E102` literals, `E103` unknown function, `E104` types and arguments, `E105` matching, `E106` selectors, `E107` sizes,
    /// `E108` not evaluated here.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty | Self::BadCharacter(_) | Self::Unexpected { .. } => "E101",
            Self::UnterminatedString | Self::BadEscape(_) | Self::BadNumber(_) | Self::BadDuration(_) | Self::BadTime(_) => "E102",
            Self::UnknownFunction { .. } => "E103",
            Self::ArgumentCount { .. } | Self::WrongType { .. } | Self::BoolWithoutComparison | Self::ScalarComparisonNeedsBool => "E104",
            Self::SetOperatorWithScalar(_) | Self::MatchingWithScalar | Self::GroupWithSetOperator(_) | Self::LabelInOnAndGroup(_) => "E105",
            Self::BadPattern { .. }
            | Self::NameTwice
            | Self::SelectsEverything
            | Self::MisplacedModifier { .. }
            | Self::RepeatedModifier { .. }
            | Self::BadLabelName(_) => "E106",
            Self::TooLarge { .. } => "E107",
            Self::Unsupported { .. } => "E108",
        }
    }

    /// The message in English.
    pub fn en(&self) -> String {
        match self {
            Self::Empty => "the expression is empty".into(),
            Self::TooLarge { what, limit } => format!("the expression has more than {limit} {what}"),
            Self::BadCharacter(c) => format!("unexpected character {c:?}"),
            Self::UnterminatedString => "the quoted text is not closed".into(),
            Self::BadEscape(text) => format!("bad escape {text} in a quoted text"),
            Self::BadNumber(text) => format!("bad number or duration {text:?}"),
            Self::BadDuration(text) => {
                format!("bad duration {text:?}: it must be above zero and within 292 years, its units in the order y w d h m s ms")
            }
            Self::BadTime(text) => format!("the time {text} is out of bounds for @"),
            Self::Unexpected { found, expected } if found.is_empty() => format!("the expression ends where {} was expected", expected.en()),
            Self::Unexpected { found, expected } => format!("unexpected {found:?}, expected {}", expected.en()),
            Self::BadPattern { pattern, why } => format!("bad regular expression {pattern:?}: {why}"),
            Self::NameTwice => "the metric name is set twice".into(),
            Self::SelectsEverything => "the selector needs at least one matcher that does not match an empty value".into(),
            Self::MisplacedModifier { modifier: "[…]" } => "a range must directly follow a selector, before offset and @".into(),
            Self::MisplacedModifier { modifier } => format!("{modifier} must directly follow a selector, a range or a subquery"),
            Self::RepeatedModifier { modifier } => format!("{modifier} is set more than once"),
            Self::UnknownFunction { name, .. } => format!("unknown function {name:?}"),
            Self::ArgumentCount { name, min, max, found } => format!("{name} takes {} arguments, not {found}", count(*min, *max, ["at least", "to"])),
            Self::WrongType { place, expected, found } => {
                format!("{place} must be {}, not {}", expected.map_or("scalar or instant vector", ValueType::as_str), found.as_str())
            }
            Self::BoolWithoutComparison => "bool can only follow a comparison operator".into(),
            Self::ScalarComparisonNeedsBool => "a comparison of two scalars needs the bool modifier".into(),
            Self::SetOperatorWithScalar(op) => format!("{op} works on two instant vectors, not on a scalar"),
            Self::MatchingWithScalar => "on, ignoring and group modifiers need an instant vector on both sides".into(),
            Self::GroupWithSetOperator(op) => format!("no group_left or group_right with {op}"),
            Self::LabelInOnAndGroup(label) => format!("label {label:?} is in both the on and the group clause"),
            Self::BadLabelName(name) => format!("{name:?} is not a label name"),
            Self::Unsupported { what, why: Unsupported::Experimental } => format!("{what} is experimental in Prometheus and not evaluated here"),
            Self::Unsupported { what, why: Unsupported::NativeHistogram } => format!("{what} needs native histograms, which are not kept here"),
        }
    }

    /// The message in Chinese.
    pub fn zh(&self) -> String {
        match self {
            Self::Empty => "表达式为空".into(),
            Self::TooLarge { what: "bytes", limit } => format!("表达式超过 {limit} 字节"),
            Self::TooLarge { limit, .. } => format!("表达式嵌套超过 {limit} 层"),
            Self::BadCharacter(c) => format!("无法识别的字符 {c:?}"),
            Self::UnterminatedString => "引号没有闭合".into(),
            Self::BadEscape(text) => format!("引号中的转义 {text} 无效"),
            Self::BadNumber(text) => format!("数字或时长 {text:?} 无效"),
            Self::BadDuration(text) => format!("时长 {text:?} 无效：必须大于零、不超过 292 年，单位按 y w d h m s ms 的顺序"),
            Self::BadTime(text) => format!("@ 的时间 {text} 超出范围"),
            Self::Unexpected { found, expected } if found.is_empty() => format!("表达式提前结束，此处应为{}", expected.zh()),
            Self::Unexpected { found, expected } => format!("此处不应出现 {found:?}，应为{}", expected.zh()),
            Self::BadPattern { pattern, why } => format!("正则表达式 {pattern:?} 无效：{why}"),
            Self::NameTwice => "指标名设置了两次".into(),
            Self::SelectsEverything => "选择器至少需要一个不匹配空值的条件".into(),
            Self::MisplacedModifier { modifier: "[…]" } => "区间必须紧跟选择器，写在 offset 和 @ 之前".into(),
            Self::MisplacedModifier { modifier } => format!("{modifier} 必须紧跟选择器、区间或子查询"),
            Self::RepeatedModifier { modifier } => format!("{modifier} 设置了多次"),
            Self::UnknownFunction { name, .. } => format!("未知函数 {name:?}"),
            Self::ArgumentCount { name, min, max, found } => format!("{name} 需要 {} 个参数，写了 {found} 个", count(*min, *max, ["至少", "到"])),
            Self::WrongType { place, expected, found } => {
                format!("{place} 应为{}，却是{}", expected.map_or("标量或瞬时向量", ValueType::zh), found.zh())
            }
            Self::BoolWithoutComparison => "bool 只能跟在比较运算符之后".into(),
            Self::ScalarComparisonNeedsBool => "两个标量的比较必须加 bool".into(),
            Self::SetOperatorWithScalar(op) => format!("{op} 的两边都必须是瞬时向量，不能是标量"),
            Self::MatchingWithScalar => "on、ignoring 和 group 修饰符要求两边都是瞬时向量".into(),
            Self::GroupWithSetOperator(op) => format!("{op} 不能使用 group_left 或 group_right"),
            Self::LabelInOnAndGroup(label) => format!("标签 {label:?} 同时出现在 on 和 group 中"),
            Self::BadLabelName(name) => format!("{name:?} 不是标签名"),
            Self::Unsupported { what, why: Unsupported::Experimental } => format!("{what} 在 Prometheus 中属于实验功能，此处不支持"),
            Self::Unsupported { what, why: Unsupported::NativeHistogram } => format!("{what} 需要原生直方图，此处不保存原生直方图"),
        }
    }

    /// What to do about it, in English and Chinese.
    pub fn hint(&self) -> Option<(String, String)> {
        let pair = |en: &str, zh: &str| Some((en.to_owned(), zh.to_owned()));
        match self {
            Self::UnknownFunction { near: Some(near), .. } => Some((format!("did you mean `{near}`?"), format!("是否想写 `{near}`？"))),
            Self::ScalarComparisonNeedsBool => pair("write for example 1 > bool 0", "例如写成 1 > bool 0"),
            Self::SelectsEverything => pair("add the metric name", "请加上指标名"),
            Self::Unexpected { found, expected: Expected::Operator } if found == "=" => pair("equality of values is ==", "比较相等请用 =="),
            Self::WrongType { expected: Some(ValueType::RangeVector), found: ValueType::InstantVector, .. } => {
                pair("add a range, for example [5m]", "请加上区间，例如 [5m]")
            }
            Self::WrongType { expected: Some(ValueType::InstantVector), found: ValueType::RangeVector, .. } => {
                pair("remove the range, or put a function such as rate() around it", "请去掉区间，或套上 rate() 之类的函数")
            }
            _ => None,
        }
    }
}

// === impl Expected ===

impl Expected {
    fn en(self) -> String {
        match self {
            Self::Symbol(symbol) => format!("{symbol:?}"),
            Self::Expression => "an expression".into(),
            Self::Operator => "an operator or the end".into(),
            Self::Label => "a label name".into(),
            Self::MatchOperator => "one of = != =~ !~".into(),
            Self::String => "a text in quotes".into(),
            Self::Duration => "a duration such as 5m".into(),
            Self::Time => "a unix time, start() or end()".into(),
        }
    }

    fn zh(self) -> String {
        match self {
            Self::Symbol(symbol) => format!(" {symbol:?}"),
            Self::Expression => "表达式".into(),
            Self::Operator => "运算符或结尾".into(),
            Self::Label => "标签名".into(),
            Self::MatchOperator => " = != =~ !~ 之一".into(),
            Self::String => "带引号的文本".into(),
            Self::Duration => "时长，例如 5m".into(),
            Self::Time => " unix 时间、start() 或 end()".into(),
        }
    }
}

fn count(min: usize, max: Option<usize>, [at_least, to]: [&str; 2]) -> String {
    match max {
        None => format!("{at_least} {min}"),
        Some(max) if max == min => min.to_string(),
        Some(max) => format!("{min} {to} {max}"),
    }
}
