//! Regular expressions beside Go's: the same patterns are refused, the rest match the same values with the same groups.
use promql::eval::Grid;
use promql::parse::parse;
use promql::regex::{PatternError, compile};

use crate::data::{self, Memory};
use crate::dice::Dice;
use crate::server::{Reply, Server};
use crate::{Question, Series, ask_us, equal};

const PIECES: &[&str] = &[
    "a",
    "b",
    "ab",
    ".",
    "-",
    ",",
    "é",
    "币",
    "(",
    "(?:",
    "(?i)",
    "(?i:",
    "(?s:",
    "(?-s:",
    "(?U:",
    "(?P<n>",
    ")",
    ")",
    "|",
    "*",
    "+",
    "?",
    "*?",
    "{2}",
    "{1,2}",
    "{,2}",
    "{2,}",
    "{",
    "}",
    "{x}",
    "[",
    "]",
    "[a-c]",
    "[^a]",
    "[]a]",
    "[a&&b]",
    "[a-]",
    "[[:alpha:]]",
    "[[:^digit:]]",
    "[[:x]",
    r"[\w-,]",
    r"[^\d]",
    r"\d",
    r"\D",
    r"\w",
    r"\W",
    r"\s",
    r"\S",
    r"\b",
    r"\B",
    "^",
    "$",
    r"\A",
    r"\z",
    r"\Z",
    r"\Qa.b\E",
    r"\.",
    r"\/",
    r"\_",
    r"\<",
    r"\>",
    r"\x41",
    r"\x{e9}",
    r"\101",
    r"\1",
    r"\pL",
    r"\p{Greek}",
    r"\PN",
    r"\t",
    r"\a",
    r"\q",
    "~",
    "#",
    " ",
    "&&",
    "--",
    "<",
    ">",
    "\"",
    "'",
    "/",
];
const VALUES: &[&str] = &[
    "", "a", "b", "ab", "abab", "A", "a.b", "aab", "1", "a1", "é", "币", "Ω", "a b", "-", ",", "{", "a{x}", "x{,2}", "]", "[", "~", "<a>", "a/b",
    "\t", "&", "_", "#",
];

/// `label_replace` shows whether a pattern matches a value, and its groups.
fn question(dice: &mut Dice) -> (String, String) {
    let pattern: String = (0..dice.between(1, 6)).map(|_| dice.pick(PIECES)).collect();
    let value = dice.pick(VALUES);
    let text = format!("label_replace(label_replace(vector(1), \"value\", {value:?}, \"\", \"\"), \"hit\", \"<$0|$1|$n>\", \"value\", {pattern:?})");
    (text, pattern)
}

/// Patterns that are refused here and taken there, and why.
fn is_known(pattern: &str) -> bool {
    // `label_replace` puts its brackets around the pattern before it is parsed, so that `)(` becomes right; a matcher's pattern is parsed alone.
    let unbalanced = matches!(compile(pattern), Err(PatternError::Parentheses));
    // In Go a repetition reaches over a group of flags to what stands before it.
    unbalanced || ["(?i)*", "(?i)+", "(?i)?", "(?i){"].iter().any(|repeated_flags| pattern.contains(repeated_flags))
}

#[test]
fn patterns_match_as_in_prometheus() {
    let Some(server) = Server::start() else { return };
    let memory = Memory(std::collections::BTreeMap::new());
    let grid = Grid { start_ms: data::START_MS, end_ms: data::START_MS, step_ms: 1 };
    let (mut differ, mut refused) = (Vec::new(), 0);
    let count = 3000;
    for seed in 1..=count {
        let (text, pattern) = question(&mut Dice::new(seed));
        assert!(parse(&text).is_ok(), "{text}");
        let ours: Result<Series, String> = ask_us(&memory, &Question { text: text.clone(), grid, instant: true });
        let theirs = server.ask(&text, grid, true);
        refused += usize::from(ours.is_err());
        let same = match (&ours, &theirs) {
            (Ok(a), Reply::Series(b)) => equal(a, b),
            (Err(_), Reply::Error(_)) => true,
            _ => false,
        };
        if !same && !is_known(&pattern) {
            differ.push(format!("{pattern}   in {text}\n  ours   {ours:?}\n  theirs {theirs:?}"));
        }
    }
    println!("{count} patterns: {} differ, {refused} are refused", differ.len());
    assert!(differ.is_empty(), "{} of {count} differ\n{}", differ.len(), differ.join("\n"));
}
