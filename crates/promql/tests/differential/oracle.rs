//! The parser beside promql-parser 0.11, the other one in Rust, and beside itself: what it prints, it reads back to the same text.
use promql::parse::parse;

use crate::dice::Dice;
use crate::generate;

/// Where promql-parser is known to be wrong, or to know more than is evaluated here. (Expression, why)
const KNOWN: &[(&str, &str)] = &[
    ("1_000", "it knows no underscores in numbers"),
    (r"`\d`", "it unescapes raw strings"),
    (r"up{job=~`\d`}", "it unescapes raw strings"),
    (r"up{job=~`\z`}", "it unescapes raw strings"),
    (r#"up + on("") up"#, "it takes an empty label name"),
    ("up + on(a:b) up", "it refuses colons that Prometheus takes in label lists"),
    ("sum by (a:b) (up)", "it refuses colons that Prometheus takes in label lists"),
    ("up + on(anchored) up", "it reserves anchored and smoothed"),
    ("sum by (anchored) (up)", "it reserves anchored and smoothed"),
    ("anchored", "it reserves anchored and smoothed"),
    ("up + on(smoothed) up", "it reserves anchored and smoothed"),
    ("sum by (smoothed) (up)", "it reserves anchored and smoothed"),
    ("smoothed", "it reserves anchored and smoothed"),
    (r#"up{job=~"a)|(b"}"#, "it anchors before it parses the pattern"),
    (r#"up{job=~"a**"}"#, "the syntax of its patterns is that of the regex crate"),
    (r#"up{job=~"a{2000}"}"#, "the syntax of its patterns is that of the regex crate"),
    (r#"up{job=~"(?x)a"}"#, "the syntax of its patterns is that of the regex crate"),
    ("up[0]", "it takes a range of zero when it is a plain number"),
    ("up[+5m]", "it knows no sign in a range"),
    ("up[+ 5m:+1m]", "it knows no sign in a range"),
    ("up[++5m]", "it knows no sign in a range"),
    ("up @ 1e30", "it does not see that the time overflows"),
    (r#"sort_by_label(up, "a")"#, "it knows experimental functions"),
    ("limitk(1, up)", "it knows experimental functions"),
    ("limit_ratio(0.5, up)", "it knows experimental functions"),
    ("double_exponential_smoothing(up[5m], 0.5, 0.5)", "it knows experimental functions"),
    ("mad_over_time(up[5m])", "it knows experimental functions"),
    ("info(up)", "it knows experimental functions"),
];

fn lines() -> Vec<String> {
    let lines = include_str!("syntax.txt").lines().filter(|line| !line.is_empty() && !line.starts_with("## "));
    lines.map(|line| line.replace("\\n", "\n")).collect()
}

/// The expressions of `syntax.txt` and of the generator.
pub(crate) fn expressions(generated: u64) -> Vec<String> {
    let generated = (1..=generated).map(|seed| generate::expression(&mut Dice::new(seed)));
    lines().into_iter().chain(generated).collect()
}

#[test]
fn promql_parser_accepts_what_we_accept() {
    let mut differ = Vec::new();
    for text in expressions(3000) {
        let (ours, theirs) = (parse(&text), promql_parser::parser::parse(&text));
        let known = KNOWN.iter().any(|(known, _)| *known == text);
        if (ours.is_ok() != theirs.is_ok()) != known {
            let ours = ours.map(|expr| expr.to_string()).map_err(|errors| errors[0].to_string());
            differ.push(format!("{text}\n  known  {known}\n  ours   {ours:?}\n  theirs {:?}", theirs.map(|expr| expr.to_string())));
        }
    }
    assert!(differ.is_empty(), "{} differ\n{}", differ.len(), differ.join("\n"));
}

#[test]
fn a_printed_expression_reads_back_to_itself() {
    for text in expressions(3000) {
        let Ok(expr) = parse(&text) else { continue };
        let printed = expr.to_string();
        let again = parse(&printed).unwrap_or_else(|errors| panic!("{text} is printed as {printed}, which is refused: {}", errors[0]));
        assert_eq!(printed, again.to_string(), "of {text}");
    }
}

#[test]
fn every_place_lies_in_the_text_and_children_in_their_parents() {
    for text in expressions(3000) {
        match parse(&text) {
            Ok(expr) => promql::parse::inspect::walk(&expr, &mut |node| {
                assert!(text.get(node.span.start..node.span.end).is_some_and(|part| !part.is_empty()), "{text}: {:?}", node.span);
                for child in node.children() {
                    assert!(node.span.start <= child.span.start && child.span.end <= node.span.end, "{text}: {:?} in {:?}", child.span, node.span);
                }
            }),
            Err(errors) => {
                for error in errors {
                    assert!(error.span.start <= error.span.end && text.get(error.span.start..error.span.end).is_some(), "{text}: {error:?}");
                }
            }
        }
    }
}
