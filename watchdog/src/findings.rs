//! Everything that was found in the files of one configuration, and their texts to point into.

use std::collections::BTreeMap;

use diagnostics::{Diagnostic, Format, Lang, Severity, render_all};

/// Findings over several files.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// In the order of the files, within a file in the order of its lines.
    pub list: Vec<Diagnostic>,
    /// Text of each file that was read, by its name in the findings.
    pub sources: BTreeMap<String, String>,
}

// === impl Findings ===

impl Findings {
    /// Adds findings in one file.
    pub fn add(&mut self, file: &str, text: &str, found: impl IntoIterator<Item = Diagnostic>) {
        self.sources.insert(file.to_owned(), text.to_owned());
        self.list.extend(found);
    }

    /// Whether any of them keeps the configuration from being used.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|found| found.severity == Severity::Error)
    }

    /// As a person, a program or a code review reads them.
    pub fn render(&self, lang: Lang, format: Format) -> String {
        render_all(&self.list, |file| self.sources.get(file).map(String::as_str), lang, format)
    }
}
