//! Outcomes as JUnit XML, for build servers.

use diagnostics::Lang;
use gotemplate::escape::html;

use super::Outcome;

/// One `<testsuite>` per file, in a `<testsuites>` document.
pub fn junit(files: &[(String, Vec<Outcome>)]) -> String {
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for (file, outcomes) in files {
        let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
        out.push_str(&format!("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\">\n", html(file), outcomes.len()));
        for outcome in outcomes {
            out.push_str(&format!("    <testcase name=\"{}\"", html(&outcome.name)));
            if outcome.passed() {
                out.push_str("/>\n");
                continue;
            }
            out.push_str(">\n");
            for failure in &outcome.failures {
                let text = failure.render(file, Lang::En);
                let first = text.lines().next().unwrap_or_default();
                out.push_str(&format!("      <failure message=\"{}\">{}</failure>\n", html(first), html(&text)));
            }
            out.push_str("    </testcase>\n");
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}
