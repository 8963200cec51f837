//! Diagnostics as a person, a program or a code review reads them.

use std::fmt::Write as _;

use crate::{Diagnostic, Lang, Severity};

/// Output form of `check`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// With source line and caret, for a terminal.
    #[default]
    Text,
    /// One JSON object a line: code, severity, file, line, column, `message_en`, `message_zh`, expected, hint, both also with `_zh`.
    Json,
    /// Workflow commands (`::error file=…`) that a code host shows beside the line.
    Github,
}

/// One diagnostic in the given form; `source` is the text of the file, when it is at hand. Ends with a newline.
pub fn render(diagnostic: &Diagnostic, source: Option<&str>, lang: Lang, format: Format) -> String {
    match format {
        Format::Text => as_text(diagnostic, source, lang),
        Format::Json => as_json(diagnostic),
        Format::Github => as_github(diagnostic, lang),
    }
}

/// All of them in order; `source_of` gives the text of a file by the name in the diagnostic.
pub fn render_all<'a>(diagnostics: &[Diagnostic], source_of: impl Fn(&str) -> Option<&'a str>, lang: Lang, format: Format) -> String {
    diagnostics.iter().map(|one| render(one, source_of(&one.file), lang, format)).collect()
}

fn severity_word(severity: Severity, lang: Lang) -> &'static str {
    match (severity, lang) {
        (Severity::Error, Lang::En) => "error",
        (Severity::Error, Lang::Zh) => "错误",
        (Severity::Warning, Lang::En) => "warning",
        (Severity::Warning, Lang::Zh) => "警告",
    }
}

fn location(diagnostic: &Diagnostic) -> String {
    match (diagnostic.file.is_empty(), diagnostic.place) {
        (true, _) => String::new(),
        (false, None) => format!("{}: ", diagnostic.file),
        (false, Some(place)) => format!("{}:{}:{}: ", diagnostic.file, place.line, place.column),
    }
}

fn as_text(diagnostic: &Diagnostic, source: Option<&str>, lang: Lang) -> String {
    let word = severity_word(diagnostic.severity, lang);
    let mut out = format!("{}{word}[{}]: {}\n", location(diagnostic), diagnostic.code, diagnostic.message.get(lang));
    if let (Some(place), Some(source)) = (diagnostic.place, source)
        && let Some(line) = source.lines().nth(place.line.saturating_sub(1))
    {
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let (before, marked) = split_at_column(line, place.column, place.len);
        let padding: String = before.chars().map(blank_like).collect();
        let underline = "^".repeat(marked.chars().map(width).sum::<usize>().max(1));
        let _ = writeln!(out, "{margin} |\n{number} | {line}\n{margin} | {padding}{underline}");
    }
    if let Some(expected) = &diagnostic.expected {
        let label = if lang == Lang::Zh { "应为" } else { "expected" };
        let _ = writeln!(out, "  = {label}: {}", expected.get(lang));
    }
    if let Some(hint) = &diagnostic.hint {
        let label = if lang == Lang::Zh { "建议" } else { "help" };
        let _ = writeln!(out, "  = {label}: {}", hint.get(lang));
    }
    out
}

/// The text before `column`, and the marked text of at most `len` characters from there.
fn split_at_column(line: &str, column: usize, len: usize) -> (String, String) {
    let before: String = line.chars().take(column.saturating_sub(1)).collect();
    let marked: String = line.chars().skip(column.saturating_sub(1)).take(len.max(1)).collect();
    (before, marked)
}

/// Blanks as wide as `c`, so that the caret stands under its character; a tab stays a tab.
fn blank_like(c: char) -> &'static str {
    match (c, width(c)) {
        ('\t', _) => "\t",
        (_, 2) => "  ",
        _ => " ",
    }
}

/// Terminal columns of a character: East Asian wide forms take two.
fn width(c: char) -> usize {
    let wide = matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd);
    if wide { 2 } else { 1 }
}

fn as_json(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.place.unwrap_or_default();
    let mut out = serde_json::json!({
        "code": diagnostic.code,
        "severity": severity_word(diagnostic.severity, Lang::En),
        "file": diagnostic.file,
        "line": place.line,
        "column": place.column,
        "message_en": diagnostic.message.en,
        "message_zh": diagnostic.message.zh,
        "expected": diagnostic.expected.as_ref().map(|text| &text.en),
        "expected_zh": diagnostic.expected.as_ref().map(|text| &text.zh),
        "hint": diagnostic.hint.as_ref().map(|text| &text.en),
        "hint_zh": diagnostic.hint.as_ref().map(|text| &text.zh),
    })
    .to_string();
    out.push('\n');
    out
}

fn as_github(diagnostic: &Diagnostic, lang: Lang) -> String {
    let place = diagnostic.place.unwrap_or_default();
    let mut message = format!("{} {}", diagnostic.code, diagnostic.message.get(lang));
    for more in [&diagnostic.expected, &diagnostic.hint].into_iter().flatten() {
        message.push('\n');
        message.push_str(more.get(lang));
    }
    let message = message.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let word = severity_word(diagnostic.severity, Lang::En);
    format!("::{word} file={},line={},col={}::{message}\n", diagnostic.file, place.line.max(1), place.column.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Place, Text};

    fn sample() -> Diagnostic {
        Diagnostic::error("E012", Text::new("unknown key `lables`", "未知的键 `lables`"))
            .in_file("rules/a.yml")
            .at(Place { line: 2, column: 3, len: 6 })
            .hint(Text::new("did you mean `labels`?", "是否想写 `labels`？"))
    }

    #[test]
    fn text_points_at_the_column() {
        let shown = render(&sample(), Some("- alert: A\n  lables: {}\n"), Lang::En, Format::Text);
        assert_eq!(
            shown,
            "rules/a.yml:2:3: error[E012]: unknown key `lables`\n  |\n2 |   lables: {}\n  |   ^^^^^^\n  = help: did you mean `labels`?\n"
        );
    }

    #[test]
    fn the_caret_stands_under_the_character_after_wide_text() {
        let at = Diagnostic::error("E001", Text::same("x")).in_file("f").at(Place { line: 1, column: 4, len: 1 });
        let shown = render(&at, Some("名: !"), Lang::Zh, Format::Text);
        assert!(shown.contains("1 | 名: !\n  |     ^\n"), "{shown}");
    }

    #[test]
    fn json_and_github_keep_to_one_line() {
        let json = render(&sample(), None, Lang::Zh, Format::Json);
        assert_eq!(json.lines().count(), 1);
        assert!(json.contains("\"line\":2") && json.contains("未知的键"), "{json}");
        let github = render(&sample(), None, Lang::En, Format::Github);
        assert_eq!(github, "::error file=rules/a.yml,line=2,col=3::E012 unknown key `lables`%0Adid you mean `labels`?\n");
    }
}
