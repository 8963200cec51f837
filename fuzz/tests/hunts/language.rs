//! What a user asks: expressions, patterns, templates, series of rule tests.
use fuzz::{Bound, Target, shape};
use gotemplate::{Env, TemplateSet, Value, functions};
use promql::Sample;
use promql::eval::{Grid, Limits, Options, eval_instant, eval_range};
use promql::labels::Labels;
use promql::series::{Ceilings, Store};

use crate::{hunt, seeds};

const EXPRESSION_WORDS: &[&str] = &[
    "sum",
    "by",
    "without",
    "(",
    ")",
    "[5m]",
    "[1h:30s]",
    "offset",
    "@",
    "start()",
    "end()",
    "{",
    "}",
    "=~\"",
    "!=\"",
    "\"",
    "'",
    "`",
    "and",
    "or",
    "unless",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "==",
    ">",
    "^",
    "%",
    "-",
    "+",
    "*",
    "/",
    "atan2",
    "rate",
    "topk",
    "quantile",
    "count_values",
    "histogram_quantile",
    "label_replace",
    "absent",
    "timestamp",
    "up",
    "_total",
    "1e3",
    "0x1f",
    "Inf",
    "NaN",
    "5m30s",
    "#",
    "\n",
    ",",
    "\\u00e9",
    "step()",
    "max(",
    "<sum>",
];

/// Two metrics over ten minutes, one of them with buckets.
fn store() -> Store {
    let mut store = Store::new(Ceilings::default());
    for second in 0..40 {
        for (at, bound) in ["0.1", "1", "+Inf"].into_iter().enumerate() {
            let sample = Sample { t_ms: second * 15_000, v: (second * 3) as f64 * at as f64 };
            for labels in [[("__name__", "h_bucket"), ("le", bound), ("job", "a")], [("__name__", "up"), ("instance", bound), ("job", "b")]] {
                store.append_to(&Labels::from_pairs(labels), sample).unwrap();
            }
        }
    }
    store
}

#[test]
fn promql() {
    let store = store();
    let options = Options { limits: Limits { samples: 5_000, work: 50_000, steps: 50 }, ..Options::default() };
    let run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let expr = match promql::parse::parse(&text) {
            Ok(expr) => expr,
            Err(errors) => return shape(&errors[0].to_string(), &[errors.len()]),
        };
        // What is printed means the same: it prints as itself.
        let printed = expr.to_string();
        let again = promql::parse::parse(&printed).unwrap_or_else(|errors| panic!("{printed} is refused: {}", errors[0]));
        assert_eq!(again.to_string(), printed);
        let instant = eval_instant(&store, &expr, 600_000, &options);
        let range = eval_range(&store, &expr, Grid { start_ms: 300_000, end_ms: 600_000, step_ms: 60_000 }, &options);
        let words = [instant.as_ref().err(), range.as_ref().err()].map(|error| error.map_or("", promql::eval::EvalError::as_str)).concat();
        let counts = [&instant, &range].map(|answer| answer.as_ref().map_or(0, |answer| usize::try_from(answer.cost.work).unwrap()));
        shape(&words, &counts)
    };
    let seeds = seeds(&[
        "sum by (job) (rate(up[5m])) > bool 0.5",
        "histogram_quantile(0.9, sum without (job) (h_bucket)) / on (le) group_left (job) up offset 1m",
        "max_over_time(sum(up)[5m:30s] @ end()) unless absent({job=~\"a|b\"})",
        "label_replace(up, \"x\", \"$1-${y}\", \"job\", \"(?P<y>.*)\") and topk(2, -up ^ 2)",
        "count_values(\"v\", up) or vector(1) * time() atan2 scalar(up)",
    ]);
    hunt(&Target { name: "promql", seeds, words: EXPRESSION_WORDS, memory: Bound { base: 16 << 20, each: 4_096 }, run: &run }, 6_000);
}

#[test]
fn patterns() {
    const WORDS: &[&str] = &[
        "(",
        ")",
        "(?i)",
        "(?P<n>",
        "(?:",
        "[",
        "]",
        "[^",
        "[:alpha:]",
        "\\d",
        "\\pL",
        "\\Q",
        "\\E",
        "\\x{10ffff}",
        "\\b",
        "{2,5}",
        "{1000}",
        "*",
        "+?",
        "|",
        ".",
        "^",
        "$",
        "\\C",
        "\\z",
        "\\1",
        "$1",
        "${n}",
        "币",
        "-",
    ];
    let run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let translated = promql::regex::translate(&text);
        match (promql::regex::compile(&text), promql::regex::compile_search(&text)) {
            (Ok(whole), Ok(part)) => {
                assert!(translated.is_ok());
                let texts = ["", "a", "binance-spot 12\n币", &text];
                let mut out = String::new();
                for captures in texts.iter().filter_map(|text| part.captures(text)) {
                    promql::regex::expand(&text, &captures, &mut out);
                }
                let hits = texts.iter().map(|text| usize::from(whole.is_match(text))).sum();
                // What matches whole is found in parts.
                assert!(texts.iter().all(|text| !whole.is_match(text) || part.is_match(text)));
                shape("", &[hits, out.len()])
            }
            (whole, part) => shape(&[whole.err(), part.err()].map(|error| error.map(|error| error.to_string()).unwrap_or_default()).concat(), &[]),
        }
    };
    let seeds = seeds(&["a(b|c)*d", "(?i:[a-z0-9_]{2,8})-(?P<n>\\d+)$", "[[:alpha:]\\]^-]+\\Q.*\\E", "^(?s:.*)\\pN|$1${n}$$"]);
    hunt(&Target { name: "patterns", seeds, words: WORDS, memory: Bound { base: 32 << 20, each: 65_536 }, run: &run }, 800);
}

#[test]
fn templates() {
    const WORDS: &[&str] = &[
        "{{",
        "}}",
        "{{-",
        "-}}",
        "if",
        "else",
        "end",
        "range",
        "with",
        "define \"x\"",
        "template \"x\"",
        "$labels.job",
        "$value",
        "$x :=",
        "|",
        "humanize",
        "printf \"%5.2f\"",
        "\"",
        "`",
        "'a'",
        ".",
        "(",
        ")",
        "/*",
        "*/",
        "index",
        "len",
        "slice",
        "eq",
        "1e3",
        "0x1F",
        "nil",
        "break",
        "continue",
        "block",
        "%v",
        "%[2]*d",
    ];
    let data = Value::strings([("job", "collector"), ("instance", "h:1")]);
    let run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let mut set = TemplateSet::new(functions::prometheus()).with_variables(&["labels", "value"]);
        if let Err(error) = set.parse("t", &text) {
            return shape(&error.to_string(), &[]);
        }
        match set.render("t", &data, &Env::at_ms(1_700_000_000_000)) {
            Ok(text) => shape("", &[text.len()]),
            Err(error) => shape(&error.to_string(), &[]),
        }
    };
    let seeds = seeds(&[
        "{{ $labels.instance }} is at {{ $value | humanizePercentage }}",
        "{{ range $i, $v := . }}{{ if eq $i \"job\" }}{{ $v | toUpper | printf \"%-10s|%q\" }}{{ else }}{{ continue }}{{ end }}{{ end }}",
        "{{ define \"x\" }}{{ with $y := .job }}{{- $y -}}{{ end }}{{ end }}{{ template \"x\" . }}{{/* c */}}{{ printf \"%[2]*[1]d\" 3 8 }}",
    ]);
    hunt(&Target { name: "templates", seeds, words: WORDS, memory: Bound { base: 32 << 20, each: 4_096 }, run: &run }, 6_000);
}

#[test]
fn series_of_rule_tests() {
    const WORDS: &[&str] = &["_", "_x", "x", "+", "-", "stale", " ", "NaN", "Inf", "1+1x", "0x100", "{{schema:0}}", "e"];
    let run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let values = promql::notation::expand(&text);
        let series = promql::parse::parse_series(&text);
        shape(
            &[values.as_ref().err().map(ToString::to_string), series.as_ref().err().map(|error| error.code().to_owned())]
                .map(Option::unwrap_or_default)
                .concat(),
            &[values.map_or(0, |values| values.len()), series.map_or(0, |labels| labels.len())],
        )
    };
    let seeds = seeds(&["0+10x100 stale _x3 5", "1 2 -3.5e2x4 NaN", "up{job=\"a\", instance=\"b\"}"]);
    hunt(&Target { name: "series of rule tests", seeds, words: WORDS, memory: Bound { base: 64 << 20, each: 4_096 }, run: &run }, 6_000);
}
