//! The commands beside `run`.
//!
//! Owns: what they print and their exit codes: 0 fine, 1 something was found or failed, 2 wrong use, 78 the configuration cannot be used.

pub mod check;
mod check_rules;
pub mod explain;
pub mod notify;
pub mod query_flags;
pub mod switch;
pub mod test_rules;

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use diagnostics::Lang;

/// The language asked for, else that of the environment.
pub fn language(asked: Option<&str>) -> Lang {
    let environment: Vec<String> = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().filter_map(|name| std::env::var(name).ok()).collect();
    Lang::choose(asked, environment.iter().map(String::as_str))
}

/// The wall clock, for commands that run once.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A number with its English noun: `1 error`, `2 errors`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A line on standard output; a reader that has gone away is no error.
pub fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line on standard error.
pub fn print_error(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
