//! What was found wrong, and the readers of single values that find it.

use std::collections::BTreeSet;
use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Place, Text as Bilingual, closest};

use crate::config::text;
use crate::config::written::{Text, Unsupported};

/// Findings of one file.
pub(super) struct Findings {
    file: String,
    found: Vec<Diagnostic>,
}

// === impl Findings ===

impl Findings {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    /// In the order of the file.
    pub(super) fn into_vec(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|found| found.place);
        self.found
    }

    pub(super) fn add(&mut self, place: Place, finding: Diagnostic) {
        self.found.push(finding.in_file(&self.file).at(place));
    }

    /// A duration above zero.
    pub(super) fn positive(&mut self, written: Option<&Text>, default: Duration) -> Duration {
        let read = self.duration(written, default);
        match written {
            Some(written) if read.is_zero() => {
                let message = Bilingual::new("the duration must be above zero", "时长必须大于零");
                self.add(place_of(written), Diagnostic::error("E302", message));
                default
            }
            _ => read,
        }
    }

    /// A duration, zero included.
    pub(super) fn duration(&mut self, written: Option<&Text>, default: Duration) -> Duration {
        let Some(written) = written else { return default };
        text::duration(&written.value).unwrap_or_else(|| {
            let message = Bilingual::new(format!("`{}` is not a duration", written.value), format!("`{}` 不是时长", written.value));
            self.add(place_of(written), Diagnostic::error("E302", message).expected(Bilingual::same("15s, 1m30s, 500ms")));
            default
        })
    }

    /// A number of bytes.
    pub(super) fn size(&mut self, written: Option<&Text>, default: u64) -> u64 {
        let Some(written) = written else { return default };
        text::size(&written.value).unwrap_or_else(|| {
            let message = Bilingual::new(format!("`{}` is not a size", written.value), format!("`{}` 不是大小", written.value));
            self.add(place_of(written), Diagnostic::error("E303", message).expected(Bilingual::same("16MB, 1GB")));
            default
        })
    }

    pub(super) fn http_url(&mut self, written: &Text) {
        let host = written.value.strip_prefix("http://").or_else(|| written.value.strip_prefix("https://"));
        let good = host.is_some_and(|host| !host.is_empty() && !host.starts_with('/')) && reqwest::Url::parse(&written.value).is_ok();
        if !good {
            self.unknown_value("E304", written, ("http://HOST[:PORT]/PATH", "http://主机[:端口]/路径"));
        }
    }

    pub(super) fn unknown_value(&mut self, code: &'static str, written: &Text, (en, zh): (&str, &str)) {
        let message = Bilingual::new(format!("`{}` cannot be used here", written.value), format!("此处不能使用 `{}`", written.value));
        let mut found = Diagnostic::error(code, message).expected(Bilingual::new(en, zh));
        // A list of words, not a description.
        let words: Vec<&str> = en.split(", ").flat_map(|part| part.split(" or ")).map(|word| word.trim_matches('`')).collect();
        let near = closest(&written.value, words.iter().copied()).filter(|_| words.iter().all(|word| !word.contains(' ')));
        if let Some(near) = near {
            found = found.hint(Bilingual::new(format!("did you mean `{near}`?"), format!("是否想写 `{near}`？")));
        }
        self.add(place_of(written), found);
    }

    pub(super) fn contradiction(&mut self, written: &Text, en: &str, zh: &str) {
        self.conflict(place_of(written), en, zh);
    }

    /// Settings of one entry that exclude each other.
    pub(super) fn conflict(&mut self, place: Place, en: &str, zh: &str) {
        self.add(place, Diagnostic::error("E307", Bilingual::new(en, zh)));
    }

    /// Names that must differ; the second of a pair is pointed at.
    pub(super) fn unique<'a>(&mut self, names: impl Iterator<Item = &'a Text>) {
        let mut seen = BTreeSet::new();
        for name in names {
            let good = !name.value.is_empty() && name.value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            if !good {
                let message = Bilingual::new(format!("`{}` is not a name", name.value), format!("`{}` 不是有效的名称", name.value));
                self.add(
                    place_of(name),
                    Diagnostic::error("E311", message).expected(Bilingual::new("letters, digits, `-`, `_`, `.`", "字母、数字、`-`、`_`、`.`")),
                );
            }
            if !seen.insert(name.value.as_str()) {
                let message = Bilingual::new(format!("the name `{}` is used twice", name.value), format!("名称 `{}` 重复", name.value));
                self.add(place_of(name), Diagnostic::error("E305", message));
            }
        }
    }

    /// A name that must be among those of another section.
    pub(super) fn reference<'a>(&mut self, written: &Text, section: &str, known: impl IntoIterator<Item = &'a str>) {
        let known: Vec<&str> = known.into_iter().collect();
        if known.contains(&written.value.as_str()) {
            return;
        }
        let message = Bilingual::new(format!("`{section}` has no `{}`", written.value), format!("`{section}` 中没有 `{}`", written.value));
        let found = Diagnostic::error("E306", message);
        let found = match closest(&written.value, known) {
            Some(near) => found.hint(Bilingual::new(format!("did you mean `{near}`?"), format!("是否想写 `{near}`？"))),
            None => found.hint(Bilingual::new(format!("add it under `{section}:`"), format!("请在 `{section}:` 下添加"))),
        };
        self.add(place_of(written), found);
    }

    pub(super) fn missing(&mut self, place: Place, en: &str, zh: &str) {
        self.add(place, Diagnostic::error("E301", Bilingual::new(en, zh)));
    }

    pub(super) fn no_condition(&mut self, place: Place) {
        self.missing(
            place,
            "nothing here names a process; give `exe`, `argv`, `listen` or `pidfile`",
            "未指明任何进程；请填写 `exe`、`argv`、`listen` 或 `pidfile`",
        );
    }

    pub(super) fn unsupported(&mut self, key: &str, value: &Unsupported) {
        if let Some(value) = value {
            self.not_supported_yet(key, place_of(value));
        }
    }

    /// A switch that this version knows only as off.
    pub(super) fn not_switched_on(&mut self, key: &str, value: Option<&Spanned<bool>>) {
        if let Some(value) = value.filter(|value| value.value) {
            self.not_supported_yet(key, place_of(value));
        }
    }

    pub(super) fn not_supported_yet(&mut self, key: &str, place: Place) {
        let message = Bilingual::new(
            format!("`{key}` is known to Prometheus, but not to this version"),
            format!("`{key}` 是 Prometheus 的配置项，但此版本尚不支持"),
        );
        let hint = Bilingual::new("remove it, or keep a Prometheus beside for it", "请删除，或保留 Prometheus 来处理它");
        self.add(place, Diagnostic::error("E308", message).hint(hint));
    }
}

/// The place of a section's entry.
pub(super) fn place<T>(entry: &Spanned<T>) -> Place {
    place_of(entry)
}
