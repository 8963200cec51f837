//! The series notation beside a real promtool: both take a text or both refuse it, and expand it to as many points of the same sum.
use std::path::Path;
use std::process::Command;

use promql::{is_stale, notation};

const NOTATIONS: &[&str] = &[
    "1 2 -3",
    "0+10x3",
    "5-2x2",
    "-1-1x2",
    "7x2",
    "7x0",
    "_ _x3 1",
    "_x0 1",
    "_x1 1",
    "1 stale 2",
    "stale stale",
    "stalex1",
    "NaNx2",
    "Infx2",
    "+Infx2",
    "-stale",
    "StAlE",
    "NaN",
    "nan",
    "NAN",
    "+NaN",
    "-NaN",
    "Inf",
    "inf",
    "+Inf",
    "-Inf",
    "1e3 1e-2+1e-2x1",
    "1e3x1",
    "  1   2 ",
    "1 x",
    "1 2+3",
    "1x-1",
    "_x",
    "0x1f",
    "1 +2 3",
    "+1+1x2",
    "1+-1x2",
    "1--1x2",
    "1_000",
    "1_000x1",
    "1_",
    ".5x1",
    "5.x1",
    "0x",
    "1X2",
    "1 1 1e999",
    "0x10",
    "1+1x1.5",
    "1 -",
    "-",
    "_ _",
    "__",
    "1m",
    "1h30m",
    "1+Infx2",
    "1x2x3",
    "0b1",
    "010",
    "08",
    "1,2",
    "_x 3",
    "1 x3",
    "1 + 1 x3",
    "1+1 x3",
    "1.5+0.1x5",
    "1e+2+1e+1x2",
    "-.5-.5x3",
    "1e2-1e1x2",
];

#[test]
fn series_expand_as_in_promtool() {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/promtool");
    if !tool.exists() {
        assert!(std::env::var_os("SKIP_TOOLS").is_some(), "no promtool in target/tools/bin: run `make tools`, or set SKIP_TOOLS=1");
        println!("not run: comparison with promtool (SKIP_TOOLS)");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("promtool-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("rules.yml"), "groups: []\n").unwrap();
    let mut differ = Vec::new();
    for text in NOTATIONS {
        let ours = notation::expand(text);
        std::fs::write(folder.join("test.yml"), unit_test(text, ours.as_deref().unwrap_or_default())).unwrap();
        let output = Command::new(&tool).current_dir(&folder).args(["test", "rules", "test.yml"]).output().unwrap();
        if output.status.success() != ours.is_ok() {
            differ.push(format!("{text}: ours {ours:?}, theirs {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// A test file that passes when the series has these points.
fn unit_test(text: &str, points: &[Option<f64>]) -> String {
    let samples: Vec<f64> = points.iter().flatten().copied().filter(|value| !is_stale(*value)).collect();
    let sum: f64 = samples.iter().sum();
    // promtool finds NaN unequal to the NaN of a test file: a NaN is seen by being unlike itself.
    let (sum_expr, sum) = match sum {
        sum if sum.is_nan() => ("sum_over_time(m[1h]) != bool sum_over_time(m[1h])", "1".to_owned()),
        sum if sum.is_infinite() => ("sum_over_time(m[1h])", if sum > 0.0 { ".inf" } else { "-.inf" }.to_owned()),
        sum => ("sum_over_time(m[1h])", format!("{sum:?}")),
    };
    let expected = |value: String| if samples.is_empty() { "[]".to_owned() } else { format!("[{{labels: '{{}}', value: {value}}}]") };
    let check = |expr: &str, value: String| format!("      - {{expr: '{expr}', eval_time: 50m, exp_samples: {}}}\n", expected(value));
    format!(
        "rule_files: [rules.yml]\nfuzzy_compare: true\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series: [{{series: m, values: '{text}'}}]\n    promql_expr_test:\n{}{}",
        check("count_over_time(m[1h])", samples.len().to_string()),
        check(sum_expr, sum),
    )
}
