//! Outcomes as JUnit XML, for build servers.

use std::fmt::{self, Write};

use diagnostics::Lang;
use gotemplate::escape::html;

use super::Outcome;

/// One `<testsuite>` per file, in a `<testsuites>` document.
pub fn junit(files: &[(String, Vec<Outcome>)]) -> String {
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for (file, outcomes) in files {
        // Writing to a String cannot fail.
        let _ = suite(&mut out, file, outcomes);
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(out: &mut String, file: &str, outcomes: &[Outcome]) -> fmt::Result {
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    writeln!(out, "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\">", html(file), outcomes.len())?;
    for outcome in outcomes {
        write!(out, "    <testcase name=\"{}\"", html(&outcome.name))?;
        if outcome.passed() {
            writeln!(out, "/>")?;
            continue;
        }
        writeln!(out, ">")?;
        for failure in &outcome.failures {
            let text = failure.render(file, Lang::En);
            let first = text.lines().next().unwrap_or_default();
            writeln!(out, "      <failure message=\"{}\">{}</failure>", html(first), html(&text))?;
        }
        writeln!(out, "    </testcase>")?;
    }
    writeln!(out, "  </testsuite>")
}
