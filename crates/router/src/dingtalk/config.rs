//! `dingtalk.yml`: the `targets:` of prometheus-webhook-dingtalk 2.1, as written and validated.
//!
//! Ours besides: `url_file` and `secret_file`, so that the file itself holds no secret.
//! Codes: E241 no target, E242 bad target name, E243 URL missing, given twice or not a URL, E244 secret given twice, E245 bad number to mention,
//! E246 environment variable not set (the shell replaces `${NAME}` before this module sees the text, and leaves it where there is no such variable).
//! W241 key without effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Place, Text};
use serde::Deserialize;

use crate::config::findings::{Findings, hint};
use crate::config::scalars::Word;
use crate::config::{Loaded, Secret, SecretSource, url};

/// A validated `dingtalk.yml`.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Path as the user gave it.
    pub file: String,
    /// Globs of template files, relative to the configuration file.
    pub templates: Vec<String>,
    /// Robots by name.
    pub targets: BTreeMap<Arc<str>, Target>,
}

/// One robot.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its name.
    pub name: Arc<str>,
    /// URL with the access token.
    pub url: SecretSource,
    /// Key of the signature, `SEC…`.
    pub secret: Option<SecretSource>,
    /// `mention.all`
    pub mention_all: bool,
    /// `mention.mobiles`
    pub mention_mobiles: Vec<String>,
    /// Title template of the file, with where it is written; `None`: our default.
    pub title: Option<(String, Place)>,
    /// Text template of the file; `None`: our default.
    pub text: Option<(String, Place)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenFile {
    timeout: Option<Word>,
    no_builtin_template: Option<Spanned<bool>>,
    template: Option<Word>,
    templates: Vec<Word>,
    default_message: Option<WrittenMessage>,
    targets: BTreeMap<String, Spanned<WrittenTarget>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenMessage {
    title: Option<Word>,
    text: Option<Word>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenTarget {
    url: Option<Word>,
    url_file: Option<Word>,
    secret: Option<Word>,
    secret_file: Option<Word>,
    mention: Option<WrittenMention>,
    message: Option<WrittenMessage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenMention {
    all: bool,
    mobiles: Vec<Word>,
}

/// Reads and checks `dingtalk.yml`.
///
/// # Errors
/// All errors of form (codes `E001`–`E006`) and of meaning (codes `E24x`), each with its place.
pub fn load(file: &str, text: &str) -> Result<Loaded<Config>, Vec<Diagnostic>> {
    let (written, misread) = diagnostics::yaml::read_all::<WrittenFile>(file, text);
    let Some(written) = written else { return Err(misread) };
    let mut findings = Findings::new(file);
    without_effect(&written, &mut findings);
    if written.targets.is_empty() {
        hint(
            findings.whole("E241", Text::new("no `targets`: no robot to send to", "缺少 `targets`：没有可发送的机器人")),
            "add `targets: {NAME: {url: …}}`",
            "请添加 `targets: {名称: {url: …}}`",
        );
    }
    let default = written.default_message.unwrap_or_default();
    let targets = written.targets.iter().map(|(name, one)| (name.as_str().into(), target(name, one, &default, &mut findings))).collect();
    let templates = written.template.iter().chain(&written.templates).map(|glob| glob.value.clone()).collect();
    let verdict = findings.verdict();
    if !misread.is_empty() {
        return Err(crate::config::in_order(misread, verdict.err()));
    }
    let warnings = verdict?;
    Ok(Loaded { config: Config { file: file.to_owned(), templates, targets }, warnings })
}

fn without_effect(written: &WrittenFile, findings: &mut Findings) {
    let timeout = written.timeout.as_ref().map(|word| ("timeout", place_of(word)));
    let builtin = written.no_builtin_template.as_ref().map(|flag| ("no_builtin_template", place_of(flag)));
    for (key, place) in [timeout, builtin].into_iter().flatten() {
        let message = Text::new(format!("`{key}` has no effect in Tidemark"), format!("`{key}` 在 Tidemark 中不起作用"));
        findings.warning("W241", place, message);
    }
}

fn target(name: &str, written: &Spanned<WrittenTarget>, default: &WrittenMessage, findings: &mut Findings) -> Target {
    let place = place_of(written);
    if !is_target_name(name) {
        let message = Text::new(format!("`{name}` is not a target's name"), format!("`{name}` 不是合法的 target 名称"));
        findings.error("E242", place, message).expected =
            Some(Text::new("a letter, then letters, digits, - or _", "以字母开头，由字母、数字、- 或 _ 组成"));
    }
    let own = &written.value;
    let message = own.message.clone().unwrap_or_default();
    let worded = |own: Option<Word>, default: &Option<Word>| own.or_else(|| default.clone()).map(|word| (word.value.clone(), place_of(&word)));
    let mention = own.mention.as_ref();
    Target {
        name: name.into(),
        url: robot_url(own, place, findings),
        secret: robot_secret(own, findings),
        mention_all: mention.is_some_and(|mention| mention.all),
        mention_mobiles: mention.map(|mention| mobiles(&mention.mobiles, findings)).unwrap_or_default(),
        title: worded(message.title, &default.title),
        text: worded(message.text, &default.text),
    }
}

/// `^[a-zA-Z][a-zA-Z0-9\-_]*$`
fn is_target_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn robot_url(own: &WrittenTarget, place: Place, findings: &mut Findings) -> SecretSource {
    let nothing = SecretSource::Inline(Secret::new(""));
    match (&own.url, &own.url_file) {
        (Some(word), None) if is_unset(word, "url", findings) => nothing,
        (Some(word), None) if url::parse(&word.value).is_some() => SecretSource::Inline(Secret::new(word.value.clone())),
        (None, Some(file)) => SecretSource::File(file.value.as_str().into()),
        (Some(word), None) => {
            let message = Text::new("this is not an http or https URL", "不是 http 或 https 的 URL");
            hint(
                findings.error("E243", place_of(word), message),
                "write https://oapi.dingtalk.com/robot/send?access_token=…",
                "写法：https://oapi.dingtalk.com/robot/send?access_token=…",
            );
            nothing
        }
        (None, None) => {
            findings.error("E243", place, Text::new("a target needs `url` or `url_file`", "target 需要 `url` 或 `url_file`"));
            nothing
        }
        (Some(_), Some(file)) => {
            findings.error("E243", place_of(file), Text::new("`url` and `url_file` exclude each other", "`url` 与 `url_file` 只能写一个"));
            nothing
        }
    }
}

fn robot_secret(own: &WrittenTarget, findings: &mut Findings) -> Option<SecretSource> {
    match (&own.secret, &own.secret_file) {
        (Some(_), Some(file)) => {
            let message = Text::new("`secret` and `secret_file` exclude each other", "`secret` 与 `secret_file` 只能写一个");
            findings.error("E244", place_of(file), message);
            None
        }
        (Some(secret), None) if is_unset(secret, "secret", findings) => None,
        (Some(secret), None) => Some(SecretSource::Inline(Secret::new(secret.value.clone()))).filter(|_| !secret.value.is_empty()),
        (None, Some(file)) => Some(SecretSource::File(file.value.as_str().into())),
        (None, None) => None,
    }
}

/// Whether a value is still the name of a variable, `${NAME}`, which is a finding.
fn is_unset(word: &Word, key: &str, findings: &mut Findings) -> bool {
    let Some(name) = word.value.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else { return false };
    let message = Text::new(format!("the environment variable {name} is not set"), format!("环境变量 {name} 没有设置"));
    hint(
        findings.error("E246", place_of(word), message),
        &format!("set it, or write `{key}_file` with the path of a file that holds the value"),
        &format!("请设置该变量，或用 `{key}_file` 指定存放该值的文件"),
    );
    true
}

fn mobiles(words: &[Word], findings: &mut Findings) -> Vec<String> {
    for word in words {
        let digits = word.value.trim_start_matches('+');
        if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit() || c == '-') {
            let message = Text::new(format!("`{}` is not a mobile number", word.value), format!("`{}` 不是手机号", word.value));
            findings.error("E245", place_of(word), message).expected =
                Some(Text::new("digits, abroad as +CC-NUMBER", "数字；境外号码写作 +国家码-号码"));
        }
    }
    words.iter().map(|word| word.value.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_old_program_loads() {
        let text = "timeout: 5s\ntemplates: [a.tmpl]\ndefault_message: {title: T, text: X}\ntargets:\n  ops:\n    url: https://oapi.dingtalk.com/robot/send?access_token=abc\n    secret: SECx\n    mention: {all: true, mobiles: ['13800000000', 13900000000]}\n  dev: {url: 'http://h/x', message: {title: own}}\n";
        let loaded = load("d.yml", text).unwrap();
        let ops = &loaded.config.targets["ops"];
        assert_eq!(ops.mention_mobiles, ["13800000000", "13900000000"]);
        assert_eq!(ops.title.as_ref().map(|(title, _)| title.as_str()), Some("T"));
        let dev = &loaded.config.targets["dev"];
        assert_eq!((dev.title.as_ref().unwrap().0.as_str(), dev.text.as_ref().unwrap().0.as_str()), ("own", "X"));
        assert_eq!(loaded.warnings.len(), 1);
        assert!(!format!("{ops:?}").contains("abc"), "a token is never shown");
    }

    #[test]
    fn all_errors_are_told_at_once() {
        let text = "targets:\n  1x: {}\n  a: {url: nonsense, secret: a, secret_file: b}\n  b: {url: 'http://h', mention: {mobiles: [bob]}}\n";
        let found: Vec<_> = load("d.yml", text).unwrap_err().iter().map(|one| (one.code, one.place.unwrap().line)).collect();
        assert_eq!(found, [("E242", 2), ("E243", 2), ("E243", 3), ("E244", 3), ("E245", 4)]);
        assert_eq!(load("d.yml", "").unwrap_err()[0].code, "E241");
    }
}
