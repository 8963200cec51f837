//! From what is written to what is meant, collecting every error on the way.
//!
//! Codes: `E501` value not understood, `E502` out of limits, `E503` unknown name, `E504` given twice, `E505` nothing to do, `E506` environment
//! variable not understood; `W501` environment variable without effect, `W502` overridden by the environment.

mod buffers;
mod delivery;
mod outputs;
mod pressure;
mod service;
mod sinks;
mod venues;

use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Lang, Place, Text, closest};

use super::environment::{self, Environment};
use super::{Config, QueueConfig, proxy, units, written};

/// The configuration (with defaults where something is wrong) and all findings.
pub(super) fn validate(file: &str, written: written::Root, environment: &Environment) -> (Config, Vec<Diagnostic>) {
    let mut reader = Reader { file, environment, findings: Vec::new() };
    let lang = written.lang.and_then(|tag| reader.lang(&tag));
    let listing = reader.listing(written.instruments);
    let venues = reader.venues(written.venues, listing);
    let nats = reader.nats(written.nats);
    let buffers = reader.buffers(written.buffers);
    let spool = reader.spool(written.spool);
    let dead_letter = reader.dead_letter(written.dead_letter);
    let recorder = reader.recorder(written.recorder, nats.is_some());
    let http = reader.http(written.http);
    let log = reader.log(written.log);
    let shutdown_deadline = reader.duration(written.shutdown.deadline, Duration::from_secs(10), (Duration::from_secs(1), Duration::from_mins(10)));
    reader.environment_proxies();
    let pressure = reader.pressure(written.pressure);
    let gather = reader.duration(written.gather, Duration::from_millis(2), (Duration::ZERO, Duration::from_millis(10)));
    reader.findings.extend(environment.warnings());
    (Config { lang, venues, nats, buffers, spool, dead_letter, recorder, http, log, shutdown_deadline, pressure, gather }, reader.findings)
}

/// Reads parts and remembers what was wrong.
struct Reader<'a> {
    file: &'a str,
    environment: &'a Environment,
    findings: Vec<Diagnostic>,
}

// === impl Reader ===

impl Reader<'_> {
    /// An error at `place` of the file.
    fn error(&mut self, place: Place, error: Diagnostic) {
        self.findings.push(error.in_file(self.file).at(place));
    }

    fn lang(&mut self, tag: &Spanned<String>) -> Option<Lang> {
        let lang = Lang::from_tag(&tag.value);
        if lang.is_none() {
            self.unknown(tag, ("language", "语言"), &["zh", "en"]);
        }
        lang
    }

    /// A word that is none of `known`.
    fn unknown(&mut self, word: &Spanned<String>, what: (&str, &str), known: &[&str]) {
        let list = known.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
        let near =
            closest(&word.value, known.iter().copied()).map(|near| Text::new(format!("did you mean `{near}`?"), format!("是否想写 `{near}`？")));
        let message = Text::new(format!("unknown {} `{}`", what.0, word.value), format!("未知的{} `{}`", what.1, word.value));
        let mut found = Diagnostic::error("E503", message).expected(Text::new(format!("one of {list}"), format!("以下之一：{list}")));
        found.hint = near;
        self.error(place_of(word), found);
    }

    fn word<T: Copy>(&mut self, word: &Spanned<String>, what: (&str, &str), known: &[(&str, T)]) -> Option<T> {
        let found = known.iter().find(|(name, _)| *name == word.value).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.unknown(word, what, &names);
        }
        found
    }

    fn number(&mut self, written: Option<Spanned<u32>>, default: u32, (least, most): (u32, u32)) -> u32 {
        let Some(written) = written else { return default };
        if !(least..=most).contains(&written.value) {
            let message = Text::new(format!("{} is out of limits", written.value), format!("{} 超出范围", written.value));
            let expected = Text::new(format!("{least} to {most}"), format!("{least} 到 {most}"));
            self.error(place_of(&written), Diagnostic::error("E502", message).expected(expected));
        }
        written.value.clamp(least, most)
    }

    fn duration(&mut self, written: Option<Spanned<String>>, default: Duration, (least, most): (Duration, Duration)) -> Duration {
        let Some(written) = written else { return default };
        let (en, zh) = (format!("a duration from {least:?} to {most:?}, as `10s`"), format!("{least:?} 到 {most:?} 的时长，例如 `10s`"));
        let (code, message) = match units::duration(&written.value) {
            Some(value) if (least..=most).contains(&value) => return value,
            Some(_) => ("E502", Text::new(format!("`{}` is out of limits", written.value), format!("`{}` 超出范围", written.value))),
            None => ("E501", Text::new(format!("`{}` is not a duration", written.value), format!("`{}` 不是时长", written.value))),
        };
        self.error(place_of(&written), Diagnostic::error(code, message).expected(Text::new(en, zh)));
        default
    }

    fn size(&mut self, written: Option<Spanned<String>>, default: u64, least: u64) -> u64 {
        let Some(written) = written else { return default };
        let (code, message) = match units::size(&written.value) {
            Some(value) if value >= least => return value,
            Some(_) => ("E502", Text::new(format!("`{}` is too small", written.value), format!("`{}` 太小", written.value))),
            None => ("E501", Text::new(format!("`{}` is not a size", written.value), format!("`{}` 不是大小", written.value))),
        };
        let expected = Text::new(format!("at least {least} bytes, as `256MB` or `16MiB`"), format!("至少 {least} 字节，例如 `256MB` 或 `16MiB`"));
        self.error(place_of(&written), Diagnostic::error(code, message).expected(expected));
        default
    }

    fn queue(&mut self, written: written::Queue) -> QueueConfig {
        let records = self.number(written.records, u32::try_from(QueueConfig::DEFAULT.records).unwrap_or(u32::MAX), (16, 1_000_000));
        let bytes = self.size(written.bytes, QueueConfig::DEFAULT.bytes as u64, 64 << 10);
        QueueConfig { records: records as usize, bytes: usize::try_from(bytes).unwrap_or(usize::MAX) }
    }

    /// Proxies of the environment that cannot be used; their logins are not shown.
    fn environment_proxies(&mut self) {
        let bad = environment::PROXIES.iter().filter_map(|name| Some((*name, self.environment.get(name)?))).filter(|(_, url)| !proxy::is_proxy(url));
        for (name, url) in bad.collect::<Vec<_>>() {
            self.bad_variable(name, &proxy::without_login(url), &proxy::SCHEMES.map(|scheme| format!("{scheme}host:port")).join(", "));
        }
    }

    fn bad_variable(&mut self, variable: &str, value: &str, expected: &str) {
        let message = Text::new(format!("environment variable `{variable}` is `{value}`"), format!("环境变量 `{variable}` 的值是 `{value}`"));
        self.findings.push(Diagnostic::error("E506", message).expected(Text::same(expected)));
    }

    /// Warns at a key of the file whose value the environment replaces.
    fn overridden(&mut self, variable: &str, place: Option<Place>) {
        if let Some(place) = place {
            let message = Text::new(
                format!("environment variable `{variable}` is set and wins over this value"),
                format!("环境变量 `{variable}` 已设置，优先于此值"),
            );
            self.findings.push(Diagnostic::warning("W502", message).in_file(self.file).at(place));
        }
    }
}
