//! Runs the scripts in `tests/cases/*.test`; a new case is a new file or a few lines in one. The language of the scripts:
//!
//! ```text
//! clear                            # forget all series
//! load 10s                         # one point every 10 s from time 0, in the series notation
//!   up{job="a"} 1 0x3
//! eval 30s up == 0                 # at one time; each expected element on a line of its own, nothing for an empty vector
//!   up{job="a"} 0
//! eval 30s 1 + 1                   # a scalar's line is its value alone
//!   2
//! eval 0s..30s/10s rate(x[20s])    # over a grid: one value per step, `_` where there is none
//!   {} _ 1 1 1
//! fail many_to_many 30s a * b      # the named kind of error
//! reject E104 rate(up)             # the parser's code
//! ordered                          # the next eval's lines are in this order
//! note 30s warning TEXT in EXPR    # a warning or info that holds TEXT
//! ```
//! Values are equal within 1e-12 of their size. `#` begins a comment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a test may read its own files")]
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use promql::eval::{Answer, EvalError, Grid, Options, Value, eval_instant, eval_range};
use promql::labels::{Labels, Matcher};
use promql::parse::{duration_ms, parse, parse_series};
use promql::{Queryable, Sample, SeriesData, notation};

#[derive(Default)]
struct Memory(BTreeMap<Labels, Vec<Sample>>);

impl Queryable for Memory {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        let wanted = |labels: &Labels| matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")));
        let data = self.0.iter().filter(|(labels, _)| wanted(labels)).map(|(labels, samples)| SeriesData {
            labels: labels.clone(),
            samples: samples.iter().copied().filter(|sample| sample.t_ms > start_ms && sample.t_ms <= end_ms).collect(),
        });
        Ok(data.filter(|data| !data.samples.is_empty()).collect())
    }
}

fn time(text: &str) -> i64 {
    match text.strip_prefix('-') {
        Some(text) => -time(text),
        None => duration_ms(text).unwrap_or_else(|| panic!("bad time {text}")),
    }
}

fn load(memory: &mut Memory, interval_ms: i64, line: &str) {
    let at = line.find('}').map_or_else(|| line.find(' ').unwrap_or(line.len()), |at| at + 1);
    let (series, values) = line.split_at(at);
    let labels = parse_series(series).unwrap_or_else(|error| panic!("{series}: {error}"));
    let points = notation::expand(values).unwrap_or_else(|error| panic!("{line}: {error}"));
    let samples = points.into_iter().enumerate().filter_map(|(at, v)| v.map(|v| Sample { t_ms: i64::try_from(at).unwrap() * interval_ms, v }));
    memory.0.entry(labels).or_default().extend(samples);
}

fn run(memory: &Memory, when: &str, text: &str) -> Result<Answer, EvalError> {
    let expr = parse(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    let options = Options::default();
    match when.split_once("..") {
        None => eval_instant(memory, &expr, time(when), &options),
        Some((start, rest)) => {
            let (end, step) = rest.split_once('/').unwrap();
            eval_range(memory, &expr, Grid { start_ms: time(start), end_ms: time(end), step_ms: time(step) }, &options)
        }
    }
}

/// The answer as lines of labels and values, one value per step.
fn lines(answer: &Answer, when: &str) -> Vec<(String, Vec<Option<f64>>)> {
    match &answer.value {
        Value::Scalar(sample) => vec![(String::new(), vec![Some(sample.v)])],
        Value::Text(text) => vec![(format!("{text:?}"), Vec::new())],
        Value::Vector(elements) => elements.iter().map(|element| (element.labels.to_string(), vec![Some(element.sample.v)])).collect(),
        Value::Matrix(series) => {
            let times: Vec<i64> = match when.split_once("..") {
                None => series.iter().flat_map(|one| one.samples.iter().map(|sample| sample.t_ms)).collect(),
                Some((start, rest)) => {
                    let (end, step) = rest.split_once('/').unwrap();
                    Grid { start_ms: time(start), end_ms: time(end), step_ms: time(step) }.times().collect()
                }
            };
            let value = |one: &SeriesData, t_ms| one.samples.iter().find(|sample| sample.t_ms == t_ms).map(|sample| sample.v);
            series.iter().map(|one| (one.labels.to_string(), times.iter().map(|t_ms| value(one, *t_ms)).collect())).collect()
        }
    }
}

fn expected(line: &str) -> (String, Vec<Option<f64>>) {
    let line = line.trim();
    if line.starts_with('"') {
        return (line.to_owned(), Vec::new());
    }
    let is_series = line.starts_with(|c: char| c == '{' || (c.is_alphabetic() && !line.starts_with("NaN") && !line.starts_with("Inf")));
    let end = line.rfind('}').map_or_else(|| line.find(' ').unwrap_or(line.len()), |at| at + 1);
    let at = if is_series { end } else { 0 };
    let (series, values) = line.split_at(at);
    let labels = if is_series { parse_series(series).unwrap_or_else(|error| panic!("{line}: {error}")).to_string() } else { String::new() };
    (labels, notation::expand(values).unwrap_or_else(|error| panic!("{line}: {error}")))
}

fn same(a: &[Option<f64>], b: &[Option<f64>]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| match (a, b) {
            (Some(a), Some(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * a.abs().max(b.abs()),
            (None, None) => true,
            _ => false,
        })
}

struct Script<'a> {
    place: String,
    memory: Memory,
    ordered: bool,
    problems: &'a mut Vec<String>,
}

impl Script<'_> {
    fn command(&mut self, line: &str, body: &[&str]) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "clear" => self.memory = Memory::default(),
            "load" => body.iter().for_each(|series| load(&mut self.memory, time(rest.trim()), series.trim())),
            "ordered" => {
                self.ordered = true;
                return;
            }
            "eval" => {
                let (when, text) = rest.trim().split_once(' ').unwrap();
                match run(&self.memory, when, text) {
                    Ok(answer) => self.compare(lines(&answer, when), body.iter().map(|line| expected(line)).collect(), line),
                    Err(error) => self.problems.push(format!("{}: {line}\n  {error}", self.place)),
                }
            }
            "fail" => {
                let (kind, rest) = rest.trim().split_once(' ').unwrap();
                let (when, text) = rest.trim().split_once(' ').unwrap();
                let found = run(&self.memory, when, text).map_or_else(|error| error.as_str().to_owned(), |answer| format!("{:?}", answer.value));
                if found != kind {
                    self.problems.push(format!("{}: {line}\n  got {found}", self.place));
                }
            }
            "reject" => {
                let (code, text) = rest.trim().split_once(' ').unwrap();
                let found = parse(text).map_or_else(|errors| errors[0].code(), |_| "accepted");
                if found != code {
                    self.problems.push(format!("{}: {line}\n  got {found}", self.place));
                }
            }
            "note" => self.note(rest, line),
            _ => panic!("{}: unknown command {line}", self.place),
        }
        self.ordered = false;
    }

    fn note(&mut self, rest: &str, line: &str) {
        let (when, rest) = rest.trim().split_once(' ').unwrap();
        let (level, rest) = rest.split_once(' ').unwrap();
        let (text, expr) = rest.split_once(" in ").unwrap();
        let notes = run(&self.memory, when, expr).unwrap().notes;
        let found = if level == "warning" { &notes.warnings } else { &notes.infos };
        if !found.iter().any(|note| note.contains(text)) {
            self.problems.push(format!("{}: {line}\n  got {notes:?}", self.place));
        }
    }

    fn compare(&mut self, mut got: Vec<(String, Vec<Option<f64>>)>, mut want: Vec<(String, Vec<Option<f64>>)>, line: &str) {
        if !self.ordered {
            got.sort_by(|a, b| a.0.cmp(&b.0));
            want.sort_by(|a, b| a.0.cmp(&b.0));
        }
        let equal = got.len() == want.len() && got.iter().zip(&want).all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1));
        if !equal {
            self.problems.push(format!("{}: {line}\n  got  {got:?}\n  want {want:?}", self.place));
        }
    }
}

fn run_script(path: &Path, problems: &mut Vec<String>) -> usize {
    let text = fs::read_to_string(path).unwrap();
    let code = |line: &'_ str| {
        line.find(" # ").or_else(|| line.trim_start().starts_with('#').then_some(0)).map_or_else(|| line.to_owned(), |at| line[..at].to_owned())
    };
    let lines: Vec<String> = text.lines().map(code).collect();
    let mut script = Script { place: String::new(), memory: Memory::default(), ordered: false, problems };
    let mut commands = 0;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim_end();
        at += 1;
        if line.is_empty() {
            continue;
        }
        let first = at;
        while lines.get(at).is_some_and(|line| line.starts_with(' ') && !line.trim().is_empty()) {
            at += 1;
        }
        let body: Vec<&str> = lines[first..at].iter().map(String::as_str).collect();
        script.place = format!("{}:{first}", path.file_name().unwrap().to_string_lossy());
        script.command(line, &body);
        commands += 1;
    }
    commands
}

#[test]
fn every_script_gives_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "test")).collect();
    paths.sort();
    let mut problems = Vec::new();
    let commands: usize = paths.iter().map(|path| run_script(path, &mut problems)).sum();
    println!("{commands} commands in {} scripts", paths.len());
    assert!(commands > 0, "no script in {}", folder.display());
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}
