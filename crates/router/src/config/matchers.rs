//! Matchers of a route or inhibit rule: `match`, `match_re` and `matchers` together.

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Place, Text};

use super::check::{bad_label, deprecated, is_classic_name};
use super::findings::{Findings, hint};
use super::scalars::{Pairs, Words, each};
use crate::matcher::{MatchOp, Matcher, Note, parse};

/// The three keys under which one side's matchers are written.
pub(super) struct Parts<'a> {
    prefix: &'static str,
    equal: Option<&'a Spanned<Pairs>>,
    regex: Option<&'a Spanned<Pairs>>,
    list: Option<&'a Spanned<Words>>,
}

// === impl Parts ===

impl<'a> Parts<'a> {
    /// `prefix` is what stands before `match`, `match_re`, `matchers` in the keys' names.
    pub(super) fn new(
        prefix: &'static str,
        equal: Option<&'a Spanned<Pairs>>,
        regex: Option<&'a Spanned<Pairs>>,
        list: Option<&'a Spanned<Words>>,
    ) -> Self {
        Self { prefix, equal, regex, list }
    }

    pub(super) fn is_empty(&self) -> bool {
        let no_pairs = |pairs: Option<&Spanned<Pairs>>| pairs.is_none_or(|pairs| pairs.value.0.is_empty());
        no_pairs(self.equal) && no_pairs(self.regex) && self.list.is_none_or(|list| each(list).is_empty())
    }
}

/// All matchers, with a finding for each that cannot be read.
pub(super) fn of(parts: &Parts<'_>, findings: &mut Findings) -> Vec<Matcher> {
    let mut out = Vec::new();
    for (pairs, key, op) in [(parts.equal, "match", MatchOp::Equal), (parts.regex, "match_re", MatchOp::Regex)] {
        if let Some(pairs) = pairs {
            deprecated(findings, place_of(pairs), &format!("{}{key}", parts.prefix), &format!("{}matchers", parts.prefix));
            out.extend(from_pairs(&pairs.value, op, findings));
        }
    }
    for (text, place) in parts.list.map(each).unwrap_or_default() {
        out.extend(from_text(text, place, findings));
    }
    out.sort();
    out
}

fn from_pairs(pairs: &Pairs, op: MatchOp, findings: &mut Findings) -> Vec<Matcher> {
    let mut out = Vec::new();
    for (name, value) in &pairs.0 {
        if !is_classic_name(&name.value) {
            bad_label(findings, place_of(name), &name.value);
            continue;
        }
        match Matcher::new(&name.value, op, &value.value) {
            Ok(matcher) => out.push(matcher),
            Err(said) => bad_pattern(findings, place_of(value), &said),
        }
    }
    out
}

fn bad_pattern(findings: &mut Findings, place: Place, said: &str) {
    findings.error("E220", place, Text::new(format!("bad regular expression: {said}"), format!("正则表达式有误：{said}")));
}

/// The matchers in one text, notes on its syntax as warnings.
fn from_text(text: &str, place: Place, findings: &mut Findings) -> Vec<Matcher> {
    let parsed = match parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let message = Text::new(format!("bad matcher `{text}`: {error}"), format!("匹配条件 `{text}` 有误：{error}"));
            let found = findings.error("E219", place, message);
            hint(found, "write label=\"value\", !=, =~ or !~", "写法：label=\"value\"，或 !=、=~、!~");
            return Vec::new();
        }
    };
    match parsed.note {
        Some(Note::ClassicOnly) => {
            let message = Text::new(format!("`{text}` is only valid in the classic matcher syntax"), format!("`{text}` 只符合旧版匹配语法"));
            hint(findings.warning("W202", place, message), "put the value in double quotes", "请把值放在双引号中");
        }
        Some(Note::Disagreement) => {
            let message = Text::new(
                format!("`{text}` means different things in the classic and the UTF-8 matcher syntax; the classic meaning is used"),
                format!("`{text}` 在旧版与 UTF-8 匹配语法中含义不同；按旧版处理"),
            );
            hint(findings.warning("W203", place, message), "double the backslashes", "请把反斜杠写成两个");
        }
        None => {}
    }
    parsed.matchers
}
