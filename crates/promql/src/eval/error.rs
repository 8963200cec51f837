//! Why an evaluation has no answer. A wrong expression was refused by the parser; these depend on the data.
use crate::parse::ValueType;

/// Why an evaluation failed. `Display` is English; [`EvalError::zh`] is Chinese; [`EvalError::as_str`] is the word for logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The store could not answer.
    #[error("cannot read series: {0}")]
    Source(String),
    /// Over [`Limits::samples`](super::Limits).
    #[error("the query would hold more than {limit} samples")]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// Over [`Limits::work`](super::Limits).
    #[error("the query would take more than {limit} units of work")]
    TooMuchWork {
        /// The limit.
        limit: u64,
    },
    /// Over [`Limits::steps`](super::Limits).
    #[error("the query has more than {limit} steps")]
    TooManySteps {
        /// The limit.
        limit: i64,
    },
    /// The asker's time is up ([`Queryable::given_up`](crate::Queryable::given_up)).
    #[error("query timed out in expression evaluation")]
    TimedOut,
    /// A step that is not above zero, or an end before the start.
    #[error("the step must be above zero and the end not before the start")]
    BadGrid,
    /// A range evaluation of a range vector or a string.
    #[error("a range query needs a scalar or an instant vector, not a {}", found.as_str())]
    NotForRange {
        /// The type of the expression.
        found: ValueType,
    },
    /// Two elements on the "one" side share the matching labels.
    #[error(
        "duplicate series for the match group {group} on the {side} side: {first} and {second}; many-to-many matching is not allowed: matching labels must be unique on one side"
    )]
    ManyToMany {
        /// The labels that match.
        group: String,
        /// `left` or `right`
        side: &'static str,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// Several elements match one without `group_left` or `group_right`.
    #[error("multiple matches for labels {group}: many-to-one matching must be explicit (group_left/group_right)")]
    ImplicitManyToOne {
        /// The labels that match.
        group: String,
    },
    /// The labels of a grouped match are not unique.
    #[error("multiple matches for labels: {labels} appears twice; grouping labels must ensure unique matches")]
    GroupedTwice {
        /// The labels of the result.
        labels: String,
    },
    /// Two elements of a vector would have the same labels.
    #[error("the vector cannot contain two series with the same labels {labels}")]
    SameLabels {
        /// The labels.
        labels: String,
    },
    /// A pattern, a label name or a count that was computed or given as text is not one.
    #[error("invalid {what} {found:?}")]
    BadParameter {
        /// What it should be.
        what: &'static str,
        /// What it is.
        found: String,
    },
}

// === impl EvalError ===

impl EvalError {
    /// The name of the kind: for logs, metrics and tests.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::TooManySamples { .. } => "too_many_samples",
            Self::TooMuchWork { .. } => "too_much_work",
            Self::TooManySteps { .. } => "too_many_steps",
            Self::TimedOut => "timed_out",
            Self::BadGrid => "bad_grid",
            Self::NotForRange { .. } => "not_for_range",
            Self::ManyToMany { .. } => "many_to_many",
            Self::ImplicitManyToOne { .. } => "implicit_many_to_one",
            Self::GroupedTwice { .. } => "grouped_twice",
            Self::SameLabels { .. } => "same_labels",
            Self::BadParameter { .. } => "bad_parameter",
        }
    }

    /// The message in Chinese.
    pub fn zh(&self) -> String {
        match self {
            Self::Source(why) => format!("无法读取时间序列：{why}"),
            Self::TooManySamples { limit } => format!("查询占用的样本会超过 {limit} 个"),
            Self::TooMuchWork { limit } => format!("查询的工作量会超过 {limit} 个单位"),
            Self::TooManySteps { limit } => format!("查询的步数超过 {limit}"),
            Self::TimedOut => "查询在求值过程中超时".into(),
            Self::BadGrid => "步长必须大于零，且结束时间不得早于开始时间".into(),
            Self::NotForRange { found } => format!("区间查询需要标量或瞬时向量，而不是{}", found.zh()),
            Self::ManyToMany { group, side, first, second } => {
                let side = if *side == "left" { "左" } else { "右" };
                format!("{side}侧的匹配组 {group} 有重复序列：{first} 与 {second}；不允许多对多匹配：至少一侧的匹配标签必须唯一")
            }
            Self::ImplicitManyToOne { group } => format!("标签 {group} 有多个匹配：多对一匹配必须写明 group_left 或 group_right"),
            Self::GroupedTwice { labels } => format!("匹配结果 {labels} 出现两次：分组标签必须保证结果唯一"),
            Self::SameLabels { labels } => format!("向量中不能有两个标签相同的序列 {labels}"),
            Self::BadParameter { what, found } => format!("参数无效（{what}）：{found:?}"),
        }
    }
}
