//! Everything that was found in the files of one configuration, and their texts to point into.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::path::Path;

use diagnostics::{Diagnostic, Format, Lang, Place, Severity, Text, render_all};

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

    /// As a person, a program or a code review reads them.
    pub fn render(&self, lang: Lang, format: Format) -> String {
        render_all(&self.list, |file| self.sources.get(file).map(String::as_str), lang, format)
    }
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
