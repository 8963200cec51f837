//! Everything that was found in the files of one configuration, and their texts to point into.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::path::Path;

use diagnostics::{Diagnostic, Format, Lang, Place, Severity, Text, render_all};

use crate::redact::{SHOWN, redacted_in_place};

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

    /// Name and text of a file to find things in; `None` after a finding that says why it cannot be read.
    pub fn read(&mut self, path: &Path) -> Option<(String, String)> {
        let name = path.display().to_string();
        match text_of(path, &name) {
            Ok(text) => {
                self.add(&name, &text, []);
                Some((name, text))
            }
            Err(found) => {
                self.list.push(*found);
                None
            }
        }
    }

    /// Whether any of them keeps the configuration from being used.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|found| found.severity == Severity::Error)
    }

    /// As a person, a program or a code review reads them, on a terminal, in the log or on the page: without the secrets of the files.
    pub fn render(&self, lang: Lang, format: Format) -> String {
        let shown: BTreeMap<&str, String> = self.sources.iter().map(|(file, text)| (file.as_str(), redacted_in_place(text))).collect();
        let list: Vec<Diagnostic> = self.list.iter().map(|found| self.without_secrets(found, &shown)).collect();
        render_all(&list, |file| shown.get(file).map(String::as_str), lang, format)
    }

    /// The finding with what it quotes of a secret covered.
    fn without_secrets(&self, found: &Diagnostic, shown: &BTreeMap<&str, String>) -> Diagnostic {
        let written = line(self.sources.get(&found.file), found.place);
        let shown = line(shown.get(found.file.as_str()), found.place);
        // A value that is quoted as it is written may also come from the environment, which is in no line.
        let secret = |word: &str| !shown.contains(word) && (found.code == "E004" || written.contains(word));
        let cover = |text: &str| -> String {
            let words = text.split('`').enumerate();
            words.map(|(at, word)| if at % 2 == 1 && secret(word) { SHOWN } else { word }).collect::<Vec<_>>().join("`")
        };
        Diagnostic { message: Text::new(cover(&found.message.en), cover(&found.message.zh)), ..found.clone() }
    }
}

fn line(text: Option<&String>, place: Option<Place>) -> &str {
    place.and_then(|place| text?.lines().nth(place.line.checked_sub(1)?)).unwrap_or_default()
}

/// The text of the file at `path`, which is called `name`.
///
/// # Errors
/// One finding `E310`: it cannot be read, or it is no text.
pub fn text_of(path: &Path, name: &str) -> Result<String, Box<Diagnostic>> {
    let bytes = std::fs::read(path).map_err(|error| Box::new(unreadable(name, &error)))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        let message = Text::new(
            format!("not a text file: byte {at}, on line {line}, is not UTF-8"),
            format!("不是文本文件：第 {line} 行（字节 {at}）不是 UTF-8"),
        );
        Box::new(Diagnostic::error("E310", message).in_file(name).at(Place { line, column: 1, len: 0 }))
    })
}

fn unreadable(name: &str, error: &Error) -> Diagnostic {
    let found = |en: &str, zh: &str| Diagnostic::error("E310", Text::new(en, zh)).in_file(name);
    match error.kind() {
        ErrorKind::NotFound => found("there is no such file", "文件不存在")
            .hint(Text::new("paths in a configuration are relative to the file that names them", "配置中的路径相对于写有该路径的文件")),
        ErrorKind::IsADirectory => found("this is a directory, not a file", "这是目录，不是文件").hint(Text::new(
            format!("name its files: {}/*.yml", name.trim_end_matches('/')),
            format!("请写出其中的文件：{}/*.yml", name.trim_end_matches('/')),
        )),
        ErrorKind::PermissionDenied => found("this user may not read it", "当前用户无权读取"),
        _ => found(&format!("cannot be read: {error}"), &format!("无法读取：{error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_shown_without_the_secrets_beside_it() {
        let text = "basic_auth: {password: [hunter2], username: a}\nurl: https://u:hunter2@h/\nbearer_token: 'hunter2\n  hunter2\nport: many\n";
        let mut findings = Findings::default();
        let found =
            |line: usize, message: &str| Diagnostic::error("E004", Text::same(message)).in_file("w.yml").at(Place { line, column: 1, len: 1 });
        let list =
            [found(1, "found `[hunter2]`"), found(2, "`https://u:hunter2@h/` is none"), found(3, "x"), found(4, "x"), found(5, "found `many`")];
        findings.add("w.yml", text, list);
        let shown = findings.render(Lang::En, Format::Text);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("5 | port: many") && shown.contains("found `many`") && shown.contains("password: <secret>, username: a"), "{shown}");
    }
}
