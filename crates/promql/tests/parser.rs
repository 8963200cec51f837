//! Errors with their places, limits, what an expression reads, and that no text makes the parser panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]
use promql::eval::{EvalError, Grid, Limits, Options, eval_instant, eval_range};
use promql::labels::{Labels, Matcher};
use promql::parse::{MAX_DEPTH, MAX_NESTING, MAX_TEXT, ParseErrorKind, inspect, parse};
use promql::{Queryable, Sample, SeriesData};
use proptest::prelude::*;

/// (expression, code, the part that is underlined, what the English message holds)
const ERRORS: &[(&str, &str, &str, &str)] = &[
    ("", "E101", "", "empty"),
    ("up ==", "E101", "", "ends where an expression was expected"),
    ("up = 1", "E101", "=", "an operator or the end"),
    ("sum(up", "E101", "", "\")\""),
    ("up{job=a}", "E101", "a", "a text in quotes"),
    ("up{job?\"a\"}", "E101", "?", "unexpected character"),
    ("up[5 minutes]", "E101", "minutes", "\"]\""),
    ("up > 5mx", "E102", "5mx", "bad number"),
    ("up[0s]", "E102", "0s", "above zero"),
    ("up{job=\"a\\d\"}", "E102", "\"a\\d\"", "escape"),
    ("up == \"a", "E102", "\"a", "not closed"),
    ("rats(up[5m])", "E103", "rats", "unknown function"),
    ("rate(up)", "E104", "up", "argument 1 of rate must be range vector, not instant vector"),
    ("1 + (sum(up[5m]) + 2)", "E104", "up[5m]", "operand of sum"),
    ("round(up, 1, 2)", "E104", "round(up, 1, 2)", "1 to 2 arguments, not 3"),
    ("label_join(up)", "E104", "label_join(up)", "at least 3 arguments, not 1"),
    ("1 > 2", "E104", ">", "bool"),
    ("up and 1", "E105", "and", "not on a scalar"),
    ("up + on(a) group_left(a) up", "E105", "+", "both the on and the group"),
    ("1 + up{job=~\"a(\"}", "E106", "\"a(\"", "parentheses"),
    ("1 + {job=\"\"}", "E106", "{job=\"\"}", "at least one matcher"),
    ("sum(up) offset 5m", "E106", "offset 5m", "must directly follow"),
    ("up offset 5m [5m]", "E106", "[5m]", "before offset"),
    ("mad_over_time(up[5m])", "E108", "mad_over_time", "experimental"),
    ("histogram_sum(up)", "E108", "histogram_sum", "native histograms"),
    ("up[5m + 1m]", "E108", "+", "duration expression"),
];

#[test]
fn every_error_says_what_and_where() {
    for (text, code, part, message) in ERRORS {
        let errors = parse(text).expect_err(text);
        let error = &errors[0];
        assert_eq!((error.code(), &text[error.span.start..error.span.end]), (*code, *part), "{text}: {error}");
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert!(!error.zh().is_empty() && error.zh() != error.to_string(), "{text}: {}", error.zh());
    }
}

#[test]
fn all_type_errors_are_told_in_order() {
    let errors = parse("rate(up) + sum(up[5m]) + abs(1)").expect_err("three errors");
    assert_eq!(errors.iter().map(|error| error.span.start).collect::<Vec<_>>(), [5, 15, 29]);
}

#[test]
fn a_misspelt_function_is_guessed() {
    for (name, near) in
        [("rats", Some("rate")), ("increse", Some("increase")), ("avgovertime", Some("avg_over_time")), ("medain", None), ("xyz", None)]
    {
        let errors = parse(&format!("{name}(up)")).expect_err(name);
        let ParseErrorKind::UnknownFunction { near: found, .. } = &errors[0].kind else { panic!("{name}: {errors:?}") };
        assert_eq!(*found, near, "{name}");
    }
}

#[test]
fn size_and_depth_are_limited_without_exhausting_the_stack() {
    let deep = |open: &str, close: &str, n: usize| format!("{}up{}", open.repeat(n), close.repeat(n));
    let too_deep = [
        deep("(", ")", 20_000),
        deep("sum(", ")", 10_000),
        deep("-", "", 20_000),
        format!("up{}", " + up".repeat(10_000)),
        format!("up{}", " ^ up".repeat(10_000)),
        format!("up{}", "[5m:1m]".repeat(5_000)),
        deep("max_over_time(", "[5m:1m])", 2_000),
    ];
    for text in too_deep {
        let errors = parse(&text).expect_err("too deep");
        assert_eq!(errors[0].code(), "E107", "{}…", &text[..40]);
    }
    assert_eq!(parse(&" ".repeat(MAX_TEXT + 1)).expect_err("too long")[0].code(), "E107");
    // What is allowed is also walked, printed and evaluated on a test's small stack.
    let expr = parse(&format!("up{}", " + on() up".repeat(MAX_DEPTH - 2))).expect("as deep as allowed");
    assert_eq!(expr.height(), MAX_DEPTH - 1);
    assert!(parse(&expr.to_string()).is_ok());
    assert!(eval_instant(&Plenty(1), &expr, 0, &Options::default()).is_ok());
    let nested = parse(&deep("-(", ")", MAX_NESTING / 3)).expect("as deep as allowed");
    assert!(eval_instant(&Plenty(1), &nested, 0, &Options::default()).is_ok());
}

/// One series without labels, with as many samples, a second apart and ending at 0.
struct Plenty(i64);

impl Queryable for Plenty {
    fn select(&self, _: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        let samples = (0..self.0).rev().map(|at| Sample { t_ms: -at * 1000, v: at as f64 });
        Ok(vec![SeriesData {
            labels: Labels::default(),
            samples: samples.filter(|sample| sample.t_ms > start_ms && sample.t_ms <= end_ms).collect(),
        }])
    }
}

struct Broken;

impl Queryable for Broken {
    fn select(&self, _: &[Matcher], _: i64, _: i64) -> Result<Vec<SeriesData>, String> {
        Err("a chunk is torn".to_owned())
    }
}

#[test]
fn an_evaluation_over_its_limits_is_a_named_error() {
    let options = Options { limits: Limits { samples: 100, work: 10_000, steps: 50 }, ..Options::default() };
    let instant = |text: &str, samples| eval_instant(&Plenty(samples), &parse(text).unwrap(), 0, &options);
    let range = |text: &str, step_ms| eval_range(&Plenty(50), &parse(text).unwrap(), Grid { start_ms: -49_000, end_ms: 0, step_ms }, &options);
    assert!(instant("sum_over_time(x[2m])", 100).is_ok());
    assert_eq!(instant("sum_over_time(x[2m])", 101), Err(EvalError::TooManySamples { limit: 100 }));
    assert_eq!(range("sum_over_time(x[50s])", 1000), Err(EvalError::TooMuchWork { limit: 10_000 }));
    assert_eq!(range("x", 900), Err(EvalError::TooManySteps { limit: 50 }));
    assert_eq!(instant("sum_over_time(vector(1)[1m:1s])", 0), Err(EvalError::TooManySteps { limit: 50 }));
    assert_eq!(range("x[5m]", 1000).unwrap_err().as_str(), "not_for_range");
    assert_eq!(range("x", 0), Err(EvalError::BadGrid));
    let broken = eval_instant(&Broken, &parse("x").unwrap(), 0, &options);
    assert_eq!(broken, Err(EvalError::Source("a chunk is torn".to_owned())));
}

#[test]
fn an_expression_tells_what_it_reads() {
    const MINUTE: i64 = 60_000;
    for (text, look_back, names) in [
        ("up", 5 * MINUTE, &["up"][..]),
        ("rate(a[10m]) / b", 10 * MINUTE, &["a", "b"]),
        ("a offset 1h or a", 65 * MINUTE, &["a"]),
        ("max_over_time(rate(a[5m] offset 1m)[1h:1m] offset 2m)", 68 * MINUTE, &["a"]),
        ("a[1h] @ 10", 0, &["a"]),
        ("1 + time()", 0, &[]),
        ("{__name__=~\"a|b\"} + {\"c.d\"}", 5 * MINUTE, &["c.d"]),
    ] {
        let expr = parse(text).unwrap();
        assert_eq!((inspect::look_back_ms(&expr, 5 * MINUTE), inspect::metric_names(&expr)), (look_back, names.to_vec()), "{text}");
    }
    let expr = parse("{__name__=~\"a|b\"} + {job=\"x\", __name__!=\"c\"}").unwrap();
    assert!(inspect::may_read(&expr, "a") && inspect::may_read(&expr, "z") && !inspect::may_read(&expr, "c"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_words_make_the_parser_panic(words in prop::collection::vec(prop::sample::select(vec![
        "up", "sum", "by", "rate", "(", ")", "{", "}", "[", "]", ",", ":", "@", "offset", "5m", "1", "-", "+", "^", "==", "=~", "=", "\"a\"", "`b`", "on",
        "group_left", "bool", "and", "start", "Inf", "#", "\n", "币", "'", "\\", ".", "1e", "0x",
    ]), 0..25)) {
        if let Ok(expr) = parse(&words.join(" ")) {
            let printed = expr.to_string();
            prop_assert_eq!(parse(&printed).map(|expr| expr.to_string()), Ok(printed));
        }
        let _ = parse(&words.concat());
    }

    #[test]
    fn no_pattern_makes_the_translation_panic(pattern in "[a-z\\[\\](){}|*+?\\\\^$.,:0-9QEdwspx-]{0,20}") {
        let _ = promql::regex::compile(&pattern);
    }

    #[test]
    fn no_notation_panics(text in "[0-9x+_. eINaftl-]{0,20}") {
        let _ = promql::notation::expand(&text);
    }
}
