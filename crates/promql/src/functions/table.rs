//! The table of signatures.
use crate::parse::ValueType::{self, InstantVector, RangeVector, Scalar, String};

/// A function's signature.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Types of the arguments; the last one repeats when there may be more.
    pub args: &'static [ValueType],
    /// The fewest arguments.
    pub min_args: usize,
    /// The most; `None` is any number.
    pub max_args: Option<usize>,
    /// The type of the result.
    pub returns: ValueType,
    /// Which it is.
    pub kind: FunctionKind,
}

/// Every function that is evaluated, named as in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the function of the same name in Prometheus's documentation")]
pub enum FunctionKind {
    Abs,
    Absent,
    AbsentOverTime,
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    AvgOverTime,
    Ceil,
    Changes,
    Clamp,
    ClampMax,
    ClampMin,
    Cos,
    Cosh,
    CountOverTime,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    DaysInMonth,
    Deg,
    Delta,
    Deriv,
    Exp,
    Floor,
    HistogramFraction,
    HistogramQuantile,
    Hour,
    Idelta,
    Increase,
    Irate,
    LabelJoin,
    LabelReplace,
    LastOverTime,
    Ln,
    Log10,
    Log2,
    MaxOverTime,
    MinOverTime,
    Minute,
    Month,
    Pi,
    PredictLinear,
    PresentOverTime,
    QuantileOverTime,
    Rad,
    Rate,
    Resets,
    Round,
    Scalar,
    Sgn,
    Sin,
    Sinh,
    Sort,
    SortDesc,
    Sqrt,
    StddevOverTime,
    StdvarOverTime,
    SumOverTime,
    Tan,
    Tanh,
    Time,
    Timestamp,
    Vector,
    Year,
}

/// Functions that Prometheus 3 evaluates only with `--enable-feature=promql-experimental-functions` or another flag.
pub(super) const EXPERIMENTAL: &[&str] = &[
    "double_exponential_smoothing",
    "end",
    "first_over_time",
    "histogram_quantiles",
    "holt_winters",
    "info",
    "mad_over_time",
    "max_of",
    "min_of",
    "range",
    "sort_by_label",
    "sort_by_label_desc",
    "start",
    "step",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

/// Functions that see nothing but native histograms.
pub(super) const NATIVE_HISTOGRAM: &[&str] = &["histogram_avg", "histogram_count", "histogram_stddev", "histogram_stdvar", "histogram_sum"];

use FunctionKind as F;

/// Every function, sorted by name.
pub(super) static FUNCTIONS: &[Function] = &[
    vector("abs", F::Abs),
    vector("absent", F::Absent),
    range("absent_over_time", F::AbsentOverTime),
    vector("acos", F::Acos),
    vector("acosh", F::Acosh),
    vector("asin", F::Asin),
    vector("asinh", F::Asinh),
    vector("atan", F::Atan),
    vector("atanh", F::Atanh),
    range("avg_over_time", F::AvgOverTime),
    vector("ceil", F::Ceil),
    range("changes", F::Changes),
    fixed("clamp", F::Clamp, &[InstantVector, Scalar, Scalar]),
    fixed("clamp_max", F::ClampMax, &[InstantVector, Scalar]),
    fixed("clamp_min", F::ClampMin, &[InstantVector, Scalar]),
    vector("cos", F::Cos),
    vector("cosh", F::Cosh),
    range("count_over_time", F::CountOverTime),
    date("day_of_month", F::DayOfMonth),
    date("day_of_week", F::DayOfWeek),
    date("day_of_year", F::DayOfYear),
    date("days_in_month", F::DaysInMonth),
    vector("deg", F::Deg),
    range("delta", F::Delta),
    range("deriv", F::Deriv),
    vector("exp", F::Exp),
    vector("floor", F::Floor),
    fixed("histogram_fraction", F::HistogramFraction, &[Scalar, Scalar, InstantVector]),
    fixed("histogram_quantile", F::HistogramQuantile, &[Scalar, InstantVector]),
    date("hour", F::Hour),
    range("idelta", F::Idelta),
    range("increase", F::Increase),
    range("irate", F::Irate),
    Function { min_args: 3, max_args: None, ..fixed("label_join", F::LabelJoin, &[InstantVector, String, String, String]) },
    fixed("label_replace", F::LabelReplace, &[InstantVector, String, String, String, String]),
    range("last_over_time", F::LastOverTime),
    vector("ln", F::Ln),
    vector("log10", F::Log10),
    vector("log2", F::Log2),
    range("max_over_time", F::MaxOverTime),
    range("min_over_time", F::MinOverTime),
    date("minute", F::Minute),
    date("month", F::Month),
    Function { returns: Scalar, ..fixed("pi", F::Pi, &[]) },
    fixed("predict_linear", F::PredictLinear, &[RangeVector, Scalar]),
    range("present_over_time", F::PresentOverTime),
    fixed("quantile_over_time", F::QuantileOverTime, &[Scalar, RangeVector]),
    vector("rad", F::Rad),
    range("rate", F::Rate),
    range("resets", F::Resets),
    Function { min_args: 1, ..fixed("round", F::Round, &[InstantVector, Scalar]) },
    Function { returns: Scalar, ..vector("scalar", F::Scalar) },
    vector("sgn", F::Sgn),
    vector("sin", F::Sin),
    vector("sinh", F::Sinh),
    vector("sort", F::Sort),
    vector("sort_desc", F::SortDesc),
    vector("sqrt", F::Sqrt),
    range("stddev_over_time", F::StddevOverTime),
    range("stdvar_over_time", F::StdvarOverTime),
    range("sum_over_time", F::SumOverTime),
    vector("tan", F::Tan),
    vector("tanh", F::Tanh),
    Function { returns: Scalar, ..fixed("time", F::Time, &[]) },
    vector("timestamp", F::Timestamp),
    fixed("vector", F::Vector, &[Scalar]),
    date("year", F::Year),
];

const fn fixed(name: &'static str, kind: FunctionKind, args: &'static [ValueType]) -> Function {
    Function { name, args, min_args: args.len(), max_args: Some(args.len()), returns: InstantVector, kind }
}

const fn vector(name: &'static str, kind: FunctionKind) -> Function {
    fixed(name, kind, &[InstantVector])
}

const fn range(name: &'static str, kind: FunctionKind) -> Function {
    fixed(name, kind, &[RangeVector])
}

/// A function of a date: of the values of a vector, or of the evaluation time when it has no argument.
const fn date(name: &'static str, kind: FunctionKind) -> Function {
    Function { min_args: 0, ..fixed(name, kind, &[InstantVector]) }
}
