//! A text that is no YAML: the reader's words, told as the mistake that a person made, at its own place and with what to do.
//!
//! The words are those of the pinned reader. `tests/yaml` has a file for each kind, so that a reader with other words does not go unseen.
//! Must not know: what any key means.

use super::open::{Open, open_at};
use crate::{Diagnostic, Place, Text};

/// Escapes inside double quotes (YAML 1.2.2, 5.7).
const ESCAPES: &str = "0abt\tnvfre \"/\\N_LPxuU\n\r";

/// What is needed to tell a mistake: what the reader said, where, and the file.
struct Look<'t> {
    said: &'t str,
    place: Place,
    text: &'t str,
    at: usize,
    open: Open,
}

/// The finding behind what the reader `said` at `place` of `text`; one that is not known shows the reader's words.
pub(super) fn mistake(said: &str, place: Option<Place>, text: &str) -> Diagnostic {
    let Some(place) = place else { return unknown(said) };
    let at = super::entry::offset(text, place).unwrap_or(text.len());
    let look = Look { said, place, text, at, open: open_at(text, at) };
    let kinds = [
        Look::character,
        Look::tab,
        Look::escape,
        Look::after_quote,
        Look::quote,
        Look::bracket,
        Look::reference,
        Look::comment,
        Look::colon,
        Look::indentation,
    ];
    kinds.iter().find_map(|kind| kind(&look)).unwrap_or_else(|| unknown(said).at(place))
}

fn unknown(said: &str) -> Diagnostic {
    error(&format!("this is not YAML: “{said}”"), &format!("此处不是合法的 YAML（解析器原文：“{said}”）"))
}

fn error(en: &str, zh: &str) -> Diagnostic {
    Diagnostic::error("E001", Text::new(en, zh))
}

fn quote_it(found: Diagnostic) -> Diagnostic {
    found.hint(Text::new("put the whole value into quotes: '…'", "请用引号括住整个值：'…'"))
}

// === impl Look ===

impl Look<'_> {
    fn says(&self, any: &[&str]) -> bool {
        any.iter().any(|words| self.said.contains(words))
    }

    /// A finding at byte `at`.
    fn at(&self, at: usize, found: Diagnostic) -> Diagnostic {
        found.at(Place::of_offset(self.text, at, 1))
    }

    /// Number and text of the line of the place.
    fn line(&self) -> &str {
        self.text.lines().nth(self.place.line.saturating_sub(1)).unwrap_or_default()
    }

    /// The last line before it that says something: its first byte, and its text.
    fn line_before(&self) -> Option<(usize, &str)> {
        let mut start = 0;
        let mut found = None;
        for line in self.text.split_inclusive('\n').take(self.place.line.saturating_sub(1)) {
            if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
                found = Some((start, line.trim_end()));
            }
            start += line.len();
        }
        found
    }

    fn character(&self) -> Option<Diagnostic> {
        let rest = self.text.get(self.at..).filter(|_| self.says(&["unexpected character"]))?;
        if let Some((at, c)) = rest.char_indices().take_while(|(_, c)| *c != '\n').find(|(_, c)| c.is_control() && !matches!(c, '\t' | '\r')) {
            let shown = c.escape_unicode();
            let found = error(&format!("a control character ({shown})"), &format!("控制字符（{shown}）"));
            return Some(self.at(self.at + at, found.hint(Text::new("remove it", "请删除"))));
        }
        let shown = rest.chars().next().map(|c| if c == '`' { "'`'".to_owned() } else { format!("`{c}`") })?;
        Some(quote_it(error(&format!("a value cannot begin with {shown}"), &format!("值不能以 {shown} 开头"))).at(self.place))
    }

    /// A tab where indentation is; the reader stops before it, or a line above.
    fn tab(&self) -> Option<Diagnostic> {
        let near = self.place.line.saturating_sub(1);
        let start: usize = self.text.split_inclusive('\n').take(near).map(str::len).sum();
        let mut at = start;
        for line in self.text.get(start..)?.split_inclusive('\n').take(2).filter(|_| self.says(&["tabs ", "tab cannot", "a tab"])) {
            let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
            if let Some(tab) = line.get(..indent)?.find('\t') {
                let found = error("a tab in the indentation", "缩进中有制表符（Tab）");
                return Some(
                    self.at(
                        at + tab,
                        found.hint(Text::new("indent with spaces; YAML allows no tabs there", "请用空格缩进；YAML 不允许用制表符缩进")),
                    ),
                );
            }
            at += line.len();
        }
        None
    }

    fn escape(&self) -> Option<Diagnostic> {
        if !self.says(&["escape character", "hexadecimal number", "surrogate", "character escape code"]) {
            return None;
        }
        let mut chars = self.text.get(self.at..)?.char_indices().skip(1);
        let (at, c) = loop {
            if chars.next()?.1 == '\\' {
                let (at, c) = chars.next()?;
                if !ESCAPES.contains(c) || matches!(c, 'x' | 'u' | 'U') {
                    break (at - 1, c);
                }
            }
        };
        let found = error(&format!("`\\{c}` is no escape inside double quotes"), &format!("双引号内没有 `\\{c}` 这种转义"));
        let hint = Text::new(
            format!("use single quotes, inside which a backslash is itself; or write `\\\\{c}`"),
            format!("请改用单引号（其中反斜杠不转义），或写成 `\\\\{c}`"),
        );
        let mut place = Place::of_offset(self.text, self.at + at, 2);
        place.len = 2;
        Some(found.hint(hint).at(place))
    }

    fn after_quote(&self) -> Option<Diagnostic> {
        let found = || error("text behind the closing quote", "收尾引号之后还有文字");
        self.says(&["trailing content after"]).then(|| quote_it(found()).at(self.place))
    }

    /// A quote that is opened before the place and not closed until there.
    fn quote(&self) -> Option<Diagnostic> {
        let of_quotes = self.says(&["quote", "unexpected eof", "document indicator"]);
        let (c, at) = self.open.quote.or_else(|| open_at(self.text, self.text.len()).quote).filter(|_| of_quotes)?;
        let found = error(&format!("this {c} is not closed"), &format!("此处的引号 {c} 没有闭合"));
        let hint = match c {
            '\'' => Text::new("close it with ' ; a ' inside is written twice: ''", "请用 ' 闭合；值中的 ' 写成两个：''"),
            _ => Text::new("close it with \" ; a \" inside is written \\\"", "请用 \" 闭合；值中的 \" 写成 \\\""),
        };
        Some(self.at(at, found.hint(hint)))
    }

    fn bracket(&self) -> Option<Diagnostic> {
        if self.says(&["misplaced bracket", "mismatched bracket"]) {
            let c = self.text.get(self.at..)?.chars().next()?;
            if self.says(&["mismatched"]) {
                let found = error(&format!("this `{c}` is closed by a bracket of another kind"), &format!("此处的 `{c}` 被另一种括号闭合"));
                return Some(found.hint(Text::new("`[` is closed by `]`, `{` by `}`", "`[` 用 `]` 闭合，`{` 用 `}` 闭合")).at(self.place));
            }
            let found = error(&format!("this `{c}` closes nothing that is open"), &format!("此处的 `{c}` 没有与之对应的开括号"));
            return Some(found.hint(Text::new("remove it, or open it before", "请删除它，或补上开括号")).at(self.place));
        }
        let of_colons = self.says(&["':'", "mapping values", "block sequence entries", "inside a block", "invalid indentation"]);
        let of_brackets = self.says(&["expected ','", "flow", "bracket"]);
        let open =
            self.open.brackets.last().copied().or_else(|| open_at(self.text, self.text.len()).brackets.last().copied().filter(|_| of_brackets));
        let (c, at) = open.filter(|_| of_colons || of_brackets)?;
        let close = if c == '[' { ']' } else { '}' };
        if Place::of_offset(self.text, at, 1).line < self.place.line || self.says(&["EOF", "unclosed"]) {
            let found = error(&format!("this `{c}` is not closed"), &format!("此处的 `{c}` 没有闭合"));
            let hint = (
                format!("close it with `{close}`; a value that begins with `{c}` needs quotes"),
                format!("请用 `{close}` 闭合；以 `{c}` 开头的值需要加引号"),
            );
            return Some(self.at(at, found.hint(Text::new(hint.0, hint.1))));
        }
        let found = error(&format!("a `,` or the closing `{close}` is missing before this"), &format!("此处之前缺少 `,` 或收尾的 `{close}`"));
        Some(quote_hint_of_braces(found).at(self.place))
    }

    fn reference(&self) -> Option<Diagnostic> {
        let rest = self.text.get(self.at..)?;
        if self.says(&["unknown anchor"]) {
            let name: String = rest.chars().take_while(|c| !c.is_whitespace() && !matches!(c, ',' | ']' | '}')).collect();
            let found = error(&format!("`{name}` refers to an anchor that is not there"), &format!("`{name}` 引用的锚点不存在"));
            let hint = Text::new(
                "anchors are set with `&name`; a value that begins with `*` needs quotes",
                "锚点用 `&name` 定义；以 `*` 开头的值需要加引号",
            );
            let place = Place { len: name.chars().count(), ..self.place };
            return Some(found.hint(hint).at(place));
        }
        if self.says(&["anchor or alias"]) {
            let c = rest.chars().find(|c| matches!(c, '*' | '&')).unwrap_or('*');
            return Some(
                quote_it(error(
                    &format!("`{c}` begins an alias or an anchor, and no name follows"),
                    &format!("`{c}` 表示别名或锚点，但其后没有名称"),
                ))
                .at(self.place),
            );
        }
        if self.says(&["merge value"]) {
            let found = error("`<<` takes a mapping, or a list of mappings", "`<<` 的值应为映射或映射列表");
            return Some(found.hint(Text::new("give it an alias of one: `<<: *name`", "请写成别名：`<<: *name`")).at(self.place));
        }
        None
    }

    fn comment(&self) -> Option<Diagnostic> {
        if self.says(&["comments must be separated"]) {
            let hint = Text::new("put a space before `#`, or the `#` inside the quotes", "请在 `#` 前加空格，或将 `#` 放进引号内");
            return Some(error("a comment begins right behind a value", "注释紧跟在值之后").hint(hint).at(self.place));
        }
        if !self.says(&["block scalar, did not find"]) {
            return None;
        }
        // `> 0` behind a value in braces is read as the start of a folded text.
        let value = self.line().split_once(": ").map(|(_, value)| value.trim_start()).filter(|value| value.starts_with(['{', '[']));
        let Some(c) = value.and_then(|value| value.chars().next()) else {
            let hint = Text::new("begin the text in the next line, indented deeper", "请从下一行开始写文本，并缩进更深");
            return Some(error("text behind `|` or `>` in the same line", "`|` 或 `>` 之后同一行还有文字").hint(hint).at(self.place));
        };
        Some(
            quote_it(error(&format!("a value that begins with `{c}` goes on behind its end"), &format!("以 `{c}` 开头的值在闭合之后还有内容")))
                .at(self.place),
        )
    }

    /// A colon too many, a colon too few, or one without its space.
    fn colon(&self) -> Option<Diagnostic> {
        if !self.says(&["mapping values are not", "':'", "simple key"]) {
            return None;
        }
        let before: String = self.line().chars().take(self.place.column.saturating_sub(1)).collect();
        if before.contains(": ") {
            return Some(quote_it(error("a second `: ` inside a value", "值中又出现了 `: `")).at(self.place));
        }
        let (start, line) = match self.line_before() {
            Some(above) if self.says(&["mapping values"]) => above,
            _ => (self.text.split_inclusive('\n').take(self.place.line.saturating_sub(1)).map(str::len).sum(), self.line()),
        };
        let indent = line.len() - line.trim_start().len();
        let content = line.trim_start();
        let key = |at: usize, found: Diagnostic| Some(self.at(start + at, found));
        if let Some(at) = line.find('：') {
            return key(at, error("a full-width colon", "全角冒号").hint(Text::new("write `:` and a space", "请写半角 `:` 加空格")));
        }
        if content.starts_with('-') && !content.starts_with("- ") && content.len() > 1 {
            return key(indent, error("no space behind `-`", "`-` 之后没有空格").hint(Text::new("write `- ` before an item", "列表项前请写 `- `")));
        }
        if let Some(at) = line.find(':').filter(|at| line.get(at + 1..).is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '))) {
            return key(at, error("no space behind `:`", "`:` 之后没有空格").hint(Text::new("write `key: value`", "请写成 `键: 值`")));
        }
        if !line.contains(':') {
            return key(indent, error("no `:` in this line", "这一行没有 `:`").hint(Text::new("write `key: value`", "请写成 `键: 值`")));
        }
        Some(
            indented(error(
                "this line is indented deeper than the key above, so that it goes on with its value",
                "这一行比上面的键缩进更深，因此被当作上一行值的延续",
            ))
            .at(self.place),
        )
    }

    fn indentation(&self) -> Option<Diagnostic> {
        let said = ["expected '-'", "did not find expected key", "invalid indentation", "wrongly indented", "block sequence entries", "indentation"];
        self.says(&said).then(|| indented(error("this line is indented unlike those it belongs to", "这一行的缩进与同级的行不一致")).at(self.place))
    }
}

fn indented(found: Diagnostic) -> Diagnostic {
    found.hint(Text::new("keys of one mapping, and the `-` of one list, begin in the same column", "同一映射的键、同一列表的 `-` 应从同一列开始"))
}

fn quote_hint_of_braces(found: Diagnostic) -> Diagnostic {
    found.hint(Text::new(
        "a value that holds `{`, `}`, `[`, `]` or `,` needs quotes inside brackets",
        "括号内的值若含 `{`、`}`、`[`、`]` 或 `,`，需要加引号",
    ))
}
