//! Expressions that are right by construction: each is built for the type its place needs.
use crate::data::START_MS;
use crate::dice::Dice;

const SELECTORS: &[&str] = &[
    "requests_total",
    r#"requests_total{job="a"}"#,
    r#"requests_total{code=~"2..",instance!="y"}"#,
    r#"requests_total{job=~"a|b",code="500"}"#,
    "cpu",
    "cpu",
    r#"cpu{instance="x"}"#,
    r#"{__name__=~"cpu|open_fds"}"#,
    "open_fds",
    r#"open_fds{job!~"c.*"}"#,
    "up",
    "up",
    "odd",
    r#"odd{kind=~"inf|zero|tiny"}"#,
    "once",
    r#"early{job="a"}"#,
    "job_info",
    "flat",
    "at_seconds",
    "latency_seconds_bucket",
    r#"{"renamed.metric"}"#,
    r#"{__name__=~".+",job="a"}"#,
    "nothing_here",
    r#"nothing{job="a",x=~"y"}"#,
];
const LABELS: &[&str] = &["job", "instance", "code", "le", "kind", "version", "__name__", "absent_label"];
const RANGES: &[&str] = &["1m", "45s", "2m", "5m", "30s", "14s", "10m", "15001ms"];
const UNARY: &[&str] = &[
    "abs",
    "ceil",
    "floor",
    "exp",
    "ln",
    "log2",
    "log10",
    "sqrt",
    "sgn",
    "deg",
    "rad",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "sort",
    "sort_desc",
    "timestamp",
    "absent",
    "round",
];
/// Of finite times only: what Go makes of the date of NaN depends on the processor.
const DATES: &[&str] = &["day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"];
const OVER_RANGE: &[&str] = &[
    "rate",
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "changes",
    "resets",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "last_over_time",
    "present_over_time",
    "absent_over_time",
];

/// An expression of any type that a query may have.
pub(crate) fn expression(dice: &mut Dice) -> String {
    match dice.between(0, 9) {
        0 => scalar(dice, 3),
        _ => vector(dice, 3),
    }
}

fn modifiers(dice: &mut Dice) -> String {
    let mut text = String::new();
    if dice.one_in(6) {
        text += dice.pick(&[" offset 1m", " offset -30s", " offset 7s", " offset 1h"]);
    }
    if dice.one_in(10) {
        let at = START_MS / 1000 + dice.between(-10, 900);
        text += &dice.pick(&[format!(" @ {at}"), format!(" @ {at}.5"), " @ start()".to_owned(), " @ end()".to_owned()]);
    }
    text
}

fn selector(dice: &mut Dice) -> String {
    let selector = dice.pick(SELECTORS);
    selector.to_owned() + &modifiers(dice)
}

fn range(dice: &mut Dice, depth: u32) -> String {
    if depth > 0 && dice.one_in(4) {
        let step = dice.pick(&["", "10s", "30s", "7s", "1m"]);
        return format!("({})[{}:{step}]{}", vector(dice, depth - 1), dice.pick(RANGES), modifiers(dice));
    }
    format!("{}[{}]{}", dice.pick(SELECTORS), dice.pick(RANGES), modifiers(dice))
}

fn scalar(dice: &mut Dice, depth: u32) -> String {
    if depth == 0 || dice.one_in(2) {
        return (dice.pick(&["0", "1", "-1", "2.5", "0.9", "Inf", "-Inf", "NaN", "1e3", "10", "pi()", "time()", "0x10", "1m30s"])).to_owned();
    }
    match dice.between(0, 3) {
        0 => format!("scalar({})", vector(dice, depth - 1)),
        1 => format!("-({})", scalar(dice, depth - 1)),
        _ => {
            let op = dice.pick(&["+", "-", "*", "/", "%", "^", "atan2", "== bool", "!= bool", "> bool", "< bool", ">= bool", "<= bool"]);
            format!("({} {op} {})", scalar(dice, depth - 1), scalar(dice, depth - 1))
        }
    }
}

fn labels(dice: &mut Dice) -> String {
    let count = dice.between(0, 3);
    let list: Vec<&str> = (0..count).map(|_| dice.pick(LABELS)).collect();
    format!("({})", list.join(", "))
}

fn vector(dice: &mut Dice, depth: u32) -> String {
    if depth == 0 {
        return selector(dice);
    }
    match dice.between(0, 15) {
        0 => selector(dice),
        1 if dice.one_in(6) => format!("{}({})", dice.pick(&["sin", "cos", "tan"]), selector(dice)),
        1 | 2 => format!("{}({})", dice.pick(UNARY), vector(dice, depth - 1)),
        3..=5 => format!("{}({})", dice.pick(OVER_RANGE), range(dice, depth - 1)),
        6..=8 => aggregate(dice, depth - 1),
        9 => with_scalar(dice, depth - 1),
        10 | 11 => two_vectors(dice, depth - 1),
        12 => with_arguments(dice, depth - 1),
        13 => format!("-{}", selector(dice)),
        14 => histogram(dice),
        _ => format!("vector({})", scalar(dice, depth - 1)),
    }
}

fn aggregate(dice: &mut Dice, depth: u32) -> String {
    let grouping = match dice.between(0, 2) {
        0 => String::new(),
        1 => format!(" by {}", labels(dice)),
        _ => format!(" without {}", labels(dice)),
    };
    let inner = vector(dice, depth);
    match dice.between(0, 12) {
        0 => format!("quantile{grouping} ({}, {inner})", scalar(dice, 0)),
        // Of values that are exact on both sides: the last digit of a computed one would be another label.
        1 => {
            let exact = dice.pick(&["requests_total", "up", "open_fds", "odd", "requests_total / 4", "-up", "{__name__=~\"up|flat\"}"]);
            format!("count_values{grouping} (\"{}\", {exact})", dice.pick(&["value", "job", "some.label", "__name__"]))
        }
        // Which of equal elements is kept is nobody's promise: the data rarely has equal ones here.
        2 => format!("{}{grouping} ({}, cpu)", dice.pick(&["topk", "bottomk"]), dice.pick(&["1", "2", "3", "100", "0", "-1", "NaN", "1.9", "Inf"])),
        _ => format!("{}{grouping} ({inner})", dice.pick(&["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"])),
    }
}

fn operator(dice: &mut Dice) -> &'static str {
    dice.pick(&["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "== bool", "> bool", "<= bool"])
}

fn with_scalar(dice: &mut Dice, depth: u32) -> String {
    let (vector, scalar, op) = (vector(dice, depth), scalar(dice, depth.min(1)), operator(dice));
    if dice.one_in(2) { format!("({vector} {op} {scalar})") } else { format!("({scalar} {op} {vector})") }
}

fn two_vectors(dice: &mut Dice, depth: u32) -> String {
    let (a, b) = (vector(dice, depth), vector(dice, depth));
    let matching = match dice.between(0, 3) {
        0 => format!(" on {}", labels(dice)),
        1 => format!(" ignoring {}", labels(dice)),
        _ => String::new(),
    };
    if dice.one_in(3) {
        return format!("({a} {}{matching} {b})", dice.pick(&["and", "or", "unless"]));
    }
    if dice.one_in(3) {
        // The classic join, which has an answer more often than chance would give one.
        let (group, include) = (dice.pick(&["group_left", "group_right"]), labels(dice));
        let (left, right) = if group == "group_left" { ("requests_total", "job_info") } else { ("job_info", "requests_total") };
        return format!("({left} {} on (job) {group} {include} {right})", operator(dice));
    }
    let group = if matching.is_empty() || dice.one_in(2) {
        String::new()
    } else {
        format!(" {} {}", dice.pick(&["group_left", "group_right"]), labels(dice))
    };
    format!("({a} {}{matching}{group} {b})", operator(dice))
}

fn with_arguments(dice: &mut Dice, depth: u32) -> String {
    let inner = vector(dice, depth);
    let number = scalar(dice, depth.min(1));
    match dice.between(0, 9) {
        0 => format!("clamp({inner}, {number}, {})", scalar(dice, 0)),
        1 => format!("clamp_min({inner}, {number})"),
        2 => format!("clamp_max({inner}, {number})"),
        3 => format!("round({inner}, {number})"),
        4 => format!("quantile_over_time({number}, {})", range(dice, depth)),
        5 | 6 => format!("predict_linear({}, {number})", range(dice, depth)),
        7 => {
            let (target, source) = (dice.pick(LABELS), dice.pick(LABELS));
            let (pattern, replacement) =
                dice.pick(&[("(.*)", "x-$1"), ("a|b", "$0"), ("(?P<n>.)(.*)", "${n}$2$3"), ("", "empty"), ("[abc]", ""), (".*", "$$1")]);
            format!("label_replace({inner}, \"{target}\", \"{replacement}\", \"{source}\", \"{pattern}\")")
        }
        8 => format!("label_join({inner}, \"{}\", \"-\", \"job\", \"{}\")", dice.pick(LABELS), dice.pick(LABELS)),
        _ => {
            let times = dice.pick(&["", "at_seconds", "requests_total", "-at_seconds", "cpu * 1e7", "vector(time())", "at_seconds % 1e9"]);
            format!("{}({times})", dice.pick(DATES))
        }
    }
}

fn histogram(dice: &mut Dice) -> String {
    let buckets = match dice.between(0, 4) {
        0 => "latency_seconds_bucket".to_owned(),
        1 => "rate(latency_seconds_bucket[2m])".to_owned(),
        2 => format!("sum by (le{}) (rate(latency_seconds_bucket[5m]))", dice.pick(&["", ", job"])),
        3 => r#"latency_seconds_bucket{le!="+Inf"}"#.to_owned(),
        _ => r#"latency_seconds_bucket{le!="-1"}"#.to_owned(),
    };
    if dice.one_in(3) {
        // Not inside the lowest bucket, where Prometheus 3.5 answers NaN (its issue 17367, mended since).
        let (low, high) = (dice.pick(&["-Inf", "0.1", "0.3", "NaN", "2"]), dice.pick(&["0.1", "0.5", "0.7", "3", "Inf"]));
        return format!("histogram_fraction({low}, {high}, {buckets})");
    }
    format!("histogram_quantile({}, {buckets})", dice.pick(&["0.5", "0.9", "0.99", "0", "1", "-1", "2", "NaN", "0.01"]))
}
