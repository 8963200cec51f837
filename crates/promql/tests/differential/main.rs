//! The same data and the same expressions given to a real Prometheus and to this crate: equal within 1e-9, or both an error.
//!
//! Data goes in over remote write, so that stale markers are the real ones. Expressions come from a seeded generator: the same ones every time.
//! `TIDEMARK_EXPRESSIONS` sets how many (2000), `TIDEMARK_SEED` where they begin.
//!
//! Where the two are known to differ, the generator does not go, or [`compare`] says so:
//! * dates of NaN and of times beyond any calendar: NaN here, what the processor makes of the cast there;
//! * `histogram_fraction` inside the lowest bucket: Prometheus 3.5 answers NaN, later ones as we do (its issue 17367);
//! * a parameter of `topk` or `quantile` that changes from step to step: Prometheus 3.5 takes the first step's, later ones each step's as we do;
//! * the last digits of trigonometric functions of huge numbers, of variances of large and nearly equal ones (sums are corrected here), and of values that
//!   `count_values` turns into labels;
//! * which of equal values `topk` keeps;
//! * a subquery in a range query: an error of its inner expression counts here only if its step lies in some window.
//!
//! Needs `target/tools/bin/prometheus` (`make tools`); `SKIP_TOOLS=1` prints what was not run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a test may talk to a process and read its environment")]

mod data;
mod dice;
mod generate;
mod oracle;
mod patterns;
mod promtool;
mod server;

use std::collections::BTreeMap;

use promql::eval::{Answer, Grid, Options, Value, eval_instant, eval_range};
use promql::parse::parse;

use data::Memory;
use dice::Dice;
use server::{Reply, Server};

/// What is asked.
struct Question {
    text: String,
    grid: Grid,
    instant: bool,
}

/// Labels as one text, and values by time.
type Series = BTreeMap<String, BTreeMap<i64, f64>>;

fn ask_us(memory: &Memory, question: &Question) -> Result<Series, String> {
    let expr = parse(&question.text).map_err(|errors| format!("parse: {}", errors[0]))?;
    let options = Options::default();
    let answer = if question.instant {
        eval_instant(memory, &expr, question.grid.start_ms, &options)
    } else {
        eval_range(memory, &expr, question.grid, &options)
    };
    answer.map(|answer| series_of(&answer)).map_err(|error| error.to_string())
}

fn series_of(answer: &Answer) -> Series {
    match &answer.value {
        Value::Scalar(sample) => BTreeMap::from([("{}".to_owned(), BTreeMap::from([(sample.t_ms, sample.v)]))]),
        Value::Vector(elements) => {
            elements.iter().map(|element| (element.labels.to_string(), BTreeMap::from([(element.sample.t_ms, element.sample.v)]))).collect()
        }
        Value::Matrix(series) => {
            series.iter().map(|one| (one.labels.to_string(), one.samples.iter().map(|sample| (sample.t_ms, sample.v)).collect())).collect()
        }
        Value::Text(text) => BTreeMap::from([(text.clone(), BTreeMap::new())]),
    }
}

fn near(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-6)
}

fn equal(a: &Series, b: &Series) -> bool {
    let same_points =
        |a: &BTreeMap<i64, f64>, b: &BTreeMap<i64, f64>| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && near(*a.1, *b.1));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same_points(a.1, b.1))
}

fn compare(question: &Question, ours: &Result<Series, String>, theirs: &Reply) -> Option<String> {
    let between_windows = !question.instant && question.text.contains(':');
    match (ours, theirs) {
        (Ok(_), Reply::Error(error)) if between_windows && error.starts_with("execution: ") => None,
        (Ok(a), Reply::Series(b)) if equal(a, b) => None,
        (Err(_), Reply::Error(_)) => None,
        (Ok(ours), Reply::Series(theirs)) => Some(first_difference(ours, theirs)),
        (ours, theirs) => {
            let short = |text: String| text.chars().take(300).collect::<String>();
            Some(format!("  ours   {}\n  theirs {}", short(format!("{ours:?}")), short(format!("{theirs:?}"))))
        }
    }
}

fn first_difference(ours: &Series, theirs: &Series) -> String {
    let labels: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for labels in labels {
        let (a, b) = (ours.get(labels), theirs.get(labels));
        let points = |side: Option<&BTreeMap<i64, f64>>| side.into_iter().flat_map(BTreeMap::keys).copied().collect::<Vec<i64>>();
        for t_ms in points(a).into_iter().chain(points(b)) {
            let (a, b) = (a.and_then(|a| a.get(&t_ms)), b.and_then(|b| b.get(&t_ms)));
            if !matches!((a, b), (Some(a), Some(b)) if near(*a, *b)) {
                return format!("  {labels} at {t_ms}: ours {a:?}, theirs {b:?}");
            }
        }
    }
    String::new()
}

fn questions(seed: u64, count: u64) -> impl Iterator<Item = Question> {
    (seed..seed + count).map(|seed| {
        let mut dice = Dice::new(seed);
        let text = generate::expression(&mut dice);
        let instant = dice.one_in(2);
        // Often on the samples' own times, or a millisecond behind them: there the edges of windows show.
        let offset_ms = if dice.one_in(2) { dice.between(-60, 1100) * 1000 } else { dice.between(-4, 73) * 15_000 };
        let start_ms = data::START_MS + offset_ms + dice.pick(&[0, 0, 0, 1]);
        let step_ms = dice.pick(&[1000, 15_000, 7000, 60_000, 100]);
        let end_ms = if instant { start_ms } else { start_ms + dice.between(0, 25) * step_ms };
        Question { text, grid: Grid { start_ms, end_ms, step_ms }, instant }
    })
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn every_expression_has_prometheus_s_answer() {
    let Some(server) = Server::start() else { return };
    let memory = data::memory();
    server.write(&memory);
    let (mut failed, mut both_failed, mut empty) = (Vec::new(), 0, 0);
    let count = number("TIDEMARK_EXPRESSIONS", 2000);
    for question in questions(number("TIDEMARK_SEED", 1), count) {
        let ours = ask_us(&memory, &question);
        let theirs = server.ask(&question.text, question.grid, question.instant);
        both_failed += usize::from(ours.is_err());
        empty += usize::from(ours.as_ref().is_ok_and(BTreeMap::is_empty));
        if let Some(difference) = compare(&question, &ours, &theirs) {
            failed.push(format!("{} at {:?}\n{difference}", question.text, question.grid));
        }
    }
    println!("{count} expressions: {} differ, {both_failed} are errors on both sides, {empty} are empty", failed.len());
    assert!(empty + both_failed < usize::try_from(count).unwrap() / 2, "the generator asks too little");
    let shown: Vec<&str> = failed.iter().take(12).map(String::as_str).collect();
    assert!(failed.is_empty(), "{} of {count} differ\n{}", failed.len(), shown.join("\n"));
}

#[test]
fn what_one_rejects_the_other_rejects() {
    let Some(server) = Server::start() else { return };
    let grid = Grid { start_ms: data::START_MS, end_ms: data::START_MS, step_ms: 1000 };
    let mut differ = Vec::new();
    for text in oracle::expressions(0) {
        let ours = parse(&text).map(|expr| expr.to_string()).map_err(|errors| errors[0].to_string());
        let theirs = match server.ask(&text, grid, true) {
            Reply::Error(error) if error.starts_with("bad_data") => Err(error),
            reply => Ok(reply),
        };
        if ours.is_ok() != theirs.is_ok() {
            differ.push(format!("{text}\n  ours   {ours:?}\n  theirs {theirs:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
