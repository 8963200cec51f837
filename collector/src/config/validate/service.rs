//! `http` and `log`: what surrounds the collecting.

use std::net::SocketAddr;
use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Text};

use super::super::environment::truth;
use super::super::{HttpConfig, LogConfig, LogFormat, written};
use super::Reader;

const LOG_LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

// === impl Reader ===

impl Reader<'_> {
    pub(super) fn http(&mut self, written: written::Http) -> HttpConfig {
        let grace_place = written.health_grace.as_ref().map(place_of);
        let mut http = HttpConfig {
            health: self.listener(written.health, "http.health", SocketAddr::from(([127, 0, 0, 1], 8087))),
            metrics: self.listener(written.metrics, "http.metrics", SocketAddr::from(([127, 0, 0, 1], 9092))),
            health_grace: self.duration(written.health_grace, Duration::from_mins(2), (Duration::ZERO, Duration::from_hours(1))),
            token_file: written.token_file.map(|file| file.value).filter(|file| !file.is_empty()).map(Into::into),
        };
        if let Some((variable, value)) = self.environment.setting("http.health_grace") {
            match value.parse::<u64>() {
                Ok(seconds) if seconds <= 3_600 => http.health_grace = Duration::from_secs(seconds),
                _ => self.bad_variable(variable, value, "0 to 3600 (seconds)"),
            }
            self.overridden(variable, grace_place);
        }
        if http.health == http.metrics && http.health.port() != 0 {
            let message = Text::new(
                format!("`http.health` and `http.metrics` are both {}", http.health),
                format!("`http.health` 与 `http.metrics` 同为 {}", http.health),
            );
            self.findings.push(Diagnostic::error("E504", message).in_file(self.file));
        }
        http
    }

    /// A listen address; the environment may change its port.
    fn listener(&mut self, written: Option<Spanned<String>>, key: &str, default: SocketAddr) -> SocketAddr {
        let place = written.as_ref().map(place_of);
        let mut address = default;
        if let Some(written) = written {
            if let Ok(parsed) = written.value.parse() {
                address = parsed;
            } else {
                let message = Text::new(format!("`{}` is not an address to listen on", written.value), format!("`{}` 不是监听地址", written.value));
                self.error(place_of(&written), Diagnostic::error("E501", message).expected(Text::same(format!("IP:PORT, `{default}`"))));
            }
        }
        if let Some((variable, value)) = self.environment.setting(key) {
            match value.parse() {
                Ok(port) => address.set_port(port),
                Err(_) => self.bad_variable(variable, value, "0 to 65535"),
            }
            self.overridden(variable, place);
        }
        address
    }

    pub(super) fn log(&mut self, written: written::Log) -> LogConfig {
        let level_place = written.level.as_ref().map(place_of);
        let mut filter = "info".to_owned();
        if let Some(level) = written.level {
            if is_filter(&level.value) {
                filter = level.value;
            } else {
                self.unknown(&level, ("log level", "日志级别"), &LOG_LEVELS);
            }
        }
        if let Some((variable, value)) = self.environment.setting("log.level") {
            // The old collector took Python's names.
            let value = match value.to_ascii_lowercase().as_str() {
                "warning" => "warn".to_owned(),
                "critical" | "fatal" => "error".to_owned(),
                other => other.to_owned(),
            };
            if is_filter(&value) {
                filter = value;
            } else {
                self.bad_variable(variable, &value, &LOG_LEVELS.join(", "));
            }
            self.overridden(variable, level_place);
        }
        let format = self.log_format(written.format);
        let repeat_limit = self.number(written.repeat_limit, 20, (1, 1_000_000));
        let repeat_interval = self.duration(written.repeat_interval, Duration::from_mins(1), (Duration::from_secs(1), Duration::from_hours(1)));
        LogConfig { filter, format, repeat_limit, repeat_interval }
    }

    fn log_format(&mut self, written: Option<Spanned<String>>) -> LogFormat {
        let place = written.as_ref().map(place_of);
        let forms = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let mut format = written.and_then(|word| self.word(&word, ("log format", "日志格式"), &forms)).unwrap_or_default();
        if let Some((variable, value)) = self.environment.setting("log.format") {
            match truth(value) {
                Some(true) => format = LogFormat::Json,
                Some(false) => format = LogFormat::Text,
                None => self.bad_variable(variable, value, "0, 1"),
            }
            self.overridden(variable, place);
        }
        format
    }
}

/// A level, or a list of `target=level`.
fn is_filter(text: &str) -> bool {
    text.split(',').all(|part| LOG_LEVELS.contains(&part.rsplit('=').next().unwrap_or_default()))
}
