//! Where the checks put what they find.
//!
//! Owns: the list and its order. Must not know: any check.

use diagnostics::{Diagnostic, Place, Severity, Text, closest};

/// What was found in one file so far.
#[derive(Debug)]
pub(crate) struct Findings {
    file: String,
    list: Vec<Diagnostic>,
}

// === impl Findings ===

impl Findings {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), list: Vec::new() }
    }

    /// An error at `place`; the caller may go on and add what was expected and what to do.
    pub(crate) fn error(&mut self, code: &'static str, place: Place, message: Text) -> &mut Diagnostic {
        self.push(Diagnostic::error(code, message).in_file(self.file.clone()).at(place))
    }

    /// A warning at `place`.
    pub(crate) fn warning(&mut self, code: &'static str, place: Place, message: Text) -> &mut Diagnostic {
        self.push(Diagnostic::warning(code, message).in_file(self.file.clone()).at(place))
    }

    /// An error of the file as a whole.
    pub(crate) fn whole(&mut self, code: &'static str, message: Text) -> &mut Diagnostic {
        self.push(Diagnostic::error(code, message).in_file(self.file.clone()))
    }

    fn push(&mut self, found: Diagnostic) -> &mut Diagnostic {
        let at = self.list.len();
        self.list.push(found);
        // The element was pushed in the line above.
        #[expect(clippy::indexing_slicing, reason = "the index of the element just pushed")]
        &mut self.list[at]
    }

    /// The warnings when there is no error, else everything; in the order of the file.
    pub(crate) fn verdict(mut self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        self.list.sort_by_key(|found| found.place.unwrap_or_default());
        if self.list.iter().any(|found| found.severity == Severity::Error) { Err(self.list) } else { Ok(self.list) }
    }
}

/// Adds "did you mean" when one of `known` is near.
pub(crate) fn suggest<'a>(found: &mut Diagnostic, word: &str, known: impl IntoIterator<Item = &'a str>) {
    if let Some(near) = closest(word, known) {
        found.hint = Some(Text::new(format!("did you mean `{near}`?"), format!("是否想写 `{near}`？")));
    }
}

/// Sets what to do.
pub(crate) fn hint(found: &mut Diagnostic, en: &str, zh: &str) {
    found.hint = Some(Text::new(en, zh));
}
