//! From what is written to what is meant, collecting every error on the way.
//!
//! Codes: `E301` value not understood, `E302` out of limits, `E303` unknown name, `E304` given twice, `E305` nothing to do, `E306` environment
//! variable not understood; `W301` environment variable without effect, `W302` overridden by the environment.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Lang, Place, Text, closest};
use marketdata::{Exchange, MarketType};

use super::environment::{self, Environment};
use super::{Config, HttpConfig, LogConfig, LogFormat, NatsConfig, Publish, QueueConfig, RecorderConfig, VenueConfig, units, written};

/// Venues that can be collected.
const VENUES: [(Exchange, MarketType); 2] = [(Exchange::Binance, MarketType::Spot), (Exchange::Binance, MarketType::Perpetual)];
const EXCHANGES: [Exchange; 3] = [Exchange::Binance, Exchange::Okx, Exchange::Deribit];
const MARKETS: [MarketType; 2] = [MarketType::Spot, MarketType::Perpetual];

const DEPTH: (u32, u32) = (1, 1_000);
const LOG_LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// The smallest room that still holds a few files.
const RECORDER_MIN: u64 = 1 << 20;

/// The configuration (with defaults where something is wrong) and all findings.
pub(super) fn validate(file: &str, written: written::Root, environment: &Environment) -> (Config, Vec<Diagnostic>) {
    let mut reader = Reader { file, environment, findings: Vec::new() };
    let lang = written.lang.and_then(|tag| reader.lang(&tag));
    let venues = reader.venues(written.venues);
    let nats = reader.nats(written.nats);
    let recorder = reader.recorder(written.recorder, nats.is_some());
    let http = reader.http(written.http);
    let log = reader.log(written.log);
    let shutdown_deadline = reader.duration(written.shutdown.deadline, Duration::from_secs(10), (Duration::from_secs(1), Duration::from_mins(10)));
    reader.findings.extend(environment.warnings());
    (Config { lang, venues, nats, recorder, http, log, shutdown_deadline }, reader.findings)
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
        let mut found = Diagnostic::error("E303", message).expected(Text::new(format!("one of {list}"), format!("以下之一：{list}")));
        found.hint = near;
        self.error(place_of(word), found);
    }

    fn venues(&mut self, written: Option<Spanned<Vec<written::Venue>>>) -> Vec<VenueConfig> {
        let place = written.as_ref().map(place_of);
        let venues = written.map(|venues| venues.value).unwrap_or_default();
        if venues.is_empty() {
            let message = Text::new("no venue is configured: there is nothing to collect", "没有配置任何交易所：无事可做");
            let mut found = Diagnostic::error("E305", message).in_file(self.file);
            found.place = place;
            found.hint = Some(Text::new(
                "venues: [{name: binance, market: spot, symbols: [BTC-USDT]}]",
                "例如 venues: [{name: binance, market: spot, symbols: [BTC-USDT]}]",
            ));
            self.findings.push(found);
        }
        let mut seen = BTreeSet::new();
        venues.into_iter().filter_map(|venue| self.venue(venue, &mut seen)).collect()
    }

    fn venue(&mut self, venue: written::Venue, seen: &mut BTreeSet<(Exchange, MarketType)>) -> Option<VenueConfig> {
        let exchange = self.word(&venue.name, ("venue", "交易所"), &EXCHANGES.map(|one| (one.as_str(), one)));
        let market_type = self.word(&venue.market, ("market", "市场"), &MARKETS.map(|one| (one.as_str(), one)));
        let symbols = self.symbols(&venue.symbols);
        let depth = self.number(venue.depth, 100, DEPTH);
        let publish = self.publish(venue.publish);
        let ws_url = self.url(venue.ws_url, &["ws://", "wss://"]);
        let rest_url = self.url(venue.rest_url, &["http://", "https://"]);
        let (exchange, market_type) = (exchange?, market_type?);
        if !VENUES.contains(&(exchange, market_type)) {
            let (name, market) = (exchange.as_str(), market_type.as_str());
            let known = VENUES.map(|(e, m)| format!("{} {}", e.as_str(), m.as_str())).join(", ");
            let message = Text::new(format!("`{name}` `{market}` cannot be collected"), format!("无法采集 `{name}` `{market}`"));
            self.error(
                place_of(&venue.name),
                Diagnostic::error("E303", message).expected(Text::new(format!("one of: {known}"), format!("以下之一：{known}"))),
            );
            return None;
        }
        if !seen.insert((exchange, market_type)) {
            let message = Text::new("this venue and market is configured twice", "该交易所与市场重复配置");
            let hint = Text::new("put all its symbols into one entry", "请把所有交易对写进同一项");
            self.error(place_of(&venue.name), Diagnostic::error("E304", message).hint(hint));
            return None;
        }
        let depth = u16::try_from(depth).unwrap_or(u16::MAX);
        Some(VenueConfig { exchange, market_type, symbols, ws_url, rest_url, depth, publish, trades: venue.trades.unwrap_or(true) })
    }

    fn word<T: Copy>(&mut self, word: &Spanned<String>, what: (&str, &str), known: &[(&str, T)]) -> Option<T> {
        let found = known.iter().find(|(name, _)| *name == word.value).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.unknown(word, what, &names);
        }
        found
    }

    fn symbols(&mut self, written: &Spanned<Vec<Spanned<String>>>) -> Vec<String> {
        if written.value.is_empty() {
            self.error(place_of(written), Diagnostic::error("E305", Text::new("no symbol is listed", "没有列出任何交易对")));
        }
        let mut symbols: Vec<String> = Vec::new();
        for symbol in &written.value {
            if !is_symbol(&symbol.value) {
                let message = Text::new(format!("`{}` is not a symbol", symbol.value), format!("`{}` 不是交易对", symbol.value));
                let expected = Text::new("`BASE-QUOTE` in capitals, as `BTC-USDT`", "大写的 `BASE-QUOTE`，例如 `BTC-USDT`");
                self.error(place_of(symbol), Diagnostic::error("E301", message).expected(expected));
            } else if symbols.contains(&symbol.value) {
                let message = Text::new(format!("symbol `{}` is listed twice", symbol.value), format!("交易对 `{}` 重复", symbol.value));
                self.error(place_of(symbol), Diagnostic::error("E304", message));
            } else {
                symbols.push(symbol.value.clone());
            }
        }
        symbols
    }

    fn publish(&mut self, written: Option<Spanned<String>>) -> Publish {
        let Some(written) = written else { return Publish::DEFAULT };
        if written.value == "every" {
            return Publish::Every;
        }
        let limits = (Duration::from_millis(10), Duration::from_mins(1));
        match units::duration(&written.value) {
            Some(interval) if (limits.0..=limits.1).contains(&interval) => Publish::Conflated(interval),
            _ => {
                let message = Text::new(format!("`{}` is no publication interval", written.value), format!("`{}` 不是发布间隔", written.value));
                let expected = Text::new("`every` (each update) or a duration from `10ms` to `60s`", "`every`（每次更新）或 `10ms` 到 `60s` 的时长");
                self.error(place_of(&written), Diagnostic::error("E301", message).expected(expected));
                Publish::DEFAULT
            }
        }
    }

    fn url(&mut self, written: Option<Spanned<String>>, schemes: &[&str]) -> Option<String> {
        let written = written?;
        let host = schemes.iter().find_map(|scheme| written.value.strip_prefix(scheme));
        if host.is_none_or(|host| host.is_empty() || host.contains(char::is_whitespace)) {
            let message = Text::new(format!("`{}` is not a base URL", written.value), format!("`{}` 不是基础 URL", written.value));
            let list = schemes.iter().map(|scheme| format!("`{scheme}host[:port]`")).collect::<Vec<_>>().join(" / ");
            self.error(place_of(&written), Diagnostic::error("E301", message).expected(Text::same(list)));
        }
        Some(written.value.trim_end_matches('/').to_owned())
    }

    fn number(&mut self, written: Option<Spanned<u32>>, default: u32, (least, most): (u32, u32)) -> u32 {
        let Some(written) = written else { return default };
        if !(least..=most).contains(&written.value) {
            let message = Text::new(format!("{} is out of limits", written.value), format!("{} 超出范围", written.value));
            let expected = Text::new(format!("{least} to {most}"), format!("{least} 到 {most}"));
            self.error(place_of(&written), Diagnostic::error("E302", message).expected(expected));
        }
        written.value.clamp(least, most)
    }

    fn duration(&mut self, written: Option<Spanned<String>>, default: Duration, (least, most): (Duration, Duration)) -> Duration {
        let Some(written) = written else { return default };
        let (en, zh) = (format!("a duration from {least:?} to {most:?}, as `10s`"), format!("{least:?} 到 {most:?} 的时长，例如 `10s`"));
        let (code, message) = match units::duration(&written.value) {
            Some(value) if (least..=most).contains(&value) => return value,
            Some(_) => ("E302", Text::new(format!("`{}` is out of limits", written.value), format!("`{}` 超出范围", written.value))),
            None => ("E301", Text::new(format!("`{}` is not a duration", written.value), format!("`{}` 不是时长", written.value))),
        };
        self.error(place_of(&written), Diagnostic::error(code, message).expected(Text::new(en, zh)));
        default
    }

    fn size(&mut self, written: Option<Spanned<String>>, default: u64, least: u64) -> u64 {
        let Some(written) = written else { return default };
        let (code, message) = match units::size(&written.value) {
            Some(value) if value >= least => return value,
            Some(_) => ("E302", Text::new(format!("`{}` is too small", written.value), format!("`{}` 太小", written.value))),
            None => ("E301", Text::new(format!("`{}` is not a size", written.value), format!("`{}` 不是大小", written.value))),
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

    fn nats(&mut self, written: Option<written::Nats>) -> Option<NatsConfig> {
        let written = written.unwrap_or_default();
        let place = written.url.as_ref().map(place_of);
        let from_file = written.url.map(|url| url.value);
        let queue = self.queue(written.queue);
        let chosen = match self.environment.setting("nats.url") {
            Some((variable, value)) => {
                self.overridden(variable, place.filter(|_| from_file.as_deref() != Some(value)));
                Some((value.to_owned(), None, variable))
            }
            None => from_file.map(|url| (url, place, "nats.url")),
        };
        let (text, place, origin) = chosen?;
        let urls: Vec<String> = text.split(',').map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect();
        let sound = |url: &String| ["nats://", "tls://"].iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        if urls.is_empty() || !urls.iter().all(sound) {
            let message = Text::new(format!("`{text}` ({origin}) is not a list of NATS URLs"), format!("`{text}`（{origin}）不是 NATS 地址列表"));
            let mut found = Diagnostic::error("E301", message).expected(Text::same("nats://host:4222[,nats://host2:4222]"));
            if place.is_some() {
                found = found.in_file(self.file);
                found.place = place;
            }
            self.findings.push(found);
        }
        Some(NatsConfig { urls, queue })
    }

    fn recorder(&mut self, written: Option<written::Recorder>, other_sink: bool) -> Option<RecorderConfig> {
        let enabled = written.as_ref().map_or(!other_sink, |recorder| recorder.enabled.unwrap_or(true));
        let written = written.unwrap_or_default();
        let max_place = written.max_total.as_ref().map(place_of);
        let rotate_place = written.rotate.as_ref().map(place_of);
        let max_total = self.size(written.max_total, 256_000_000, RECORDER_MIN);
        let rotate = self.size(written.rotate, (max_total / 16).max(RECORDER_MIN / 4), RECORDER_MIN / 16);
        if rotate > max_total / 2
            && let Some(place) = rotate_place.or(max_place)
        {
            let message = Text::new("`rotate` is more than half of `max_total`", "`rotate` 超过 `max_total` 的一半");
            let hint = Text::new("the oldest file is removed as a whole: allow for several", "最旧的文件整个删除：请留出多个文件的空间");
            self.error(place, Diagnostic::error("E302", message).hint(hint));
        }
        if !enabled && !other_sink {
            let message = Text::new("neither NATS nor the recorder is on: records would go nowhere", "NATS 与记录器都未启用：数据无处可去");
            let hint = Text::new("set `nats.url`, or `recorder.enabled: true`", "请设置 `nats.url`，或 `recorder.enabled: true`");
            self.findings.push(Diagnostic::error("E305", message).in_file(self.file).hint(hint));
        }
        let dir = written.dir.map_or_else(|| "data/collector".into(), |dir| dir.value.into());
        let queue = self.queue(written.queue);
        enabled.then_some(RecorderConfig { dir, max_total, rotate, queue })
    }

    fn http(&mut self, written: written::Http) -> HttpConfig {
        let grace_place = written.health_grace.as_ref().map(place_of);
        let mut http = HttpConfig {
            health: self.listener(written.health, "http.health", SocketAddr::from(([127, 0, 0, 1], 8087))),
            metrics: self.listener(written.metrics, "http.metrics", SocketAddr::from(([127, 0, 0, 1], 9092))),
            health_grace: self.duration(written.health_grace, Duration::from_mins(2), (Duration::ZERO, Duration::from_hours(1))),
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
            self.findings.push(Diagnostic::error("E304", message).in_file(self.file));
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
                self.error(place_of(&written), Diagnostic::error("E301", message).expected(Text::same(format!("IP:PORT, `{default}`"))));
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

    fn log(&mut self, written: written::Log) -> LogConfig {
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
        LogConfig { filter, format }
    }

    fn log_format(&mut self, written: Option<Spanned<String>>) -> LogFormat {
        let place = written.as_ref().map(place_of);
        let forms = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let mut format = written.and_then(|word| self.word(&word, ("log format", "日志格式"), &forms)).unwrap_or_default();
        if let Some((variable, value)) = self.environment.setting("log.format") {
            match environment::truth(value) {
                Some(true) => format = LogFormat::Json,
                Some(false) => format = LogFormat::Text,
                None => self.bad_variable(variable, value, "0, 1"),
            }
            self.overridden(variable, place);
        }
        format
    }

    fn bad_variable(&mut self, variable: &str, value: &str, expected: &str) {
        let message = Text::new(format!("environment variable `{variable}` is `{value}`"), format!("环境变量 `{variable}` 的值是 `{value}`"));
        self.findings.push(Diagnostic::error("E306", message).expected(Text::same(expected)));
    }

    /// Warns at a key of the file whose value the environment replaces.
    fn overridden(&mut self, variable: &str, place: Option<Place>) {
        if let Some(place) = place {
            let message = Text::new(
                format!("environment variable `{variable}` is set and wins over this value"),
                format!("环境变量 `{variable}` 已设置，优先于此值"),
            );
            self.findings.push(Diagnostic::warning("W302", message).in_file(self.file).at(place));
        }
    }
}

/// `BASE-QUOTE`, each of letters and digits; letters that have a case are upper-case (names need not be ASCII).
fn is_symbol(text: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() && !c.is_lowercase());
    text.split_once('-').is_some_and(|(base, quote)| word(base) && word(quote))
}

/// A level, or a list of `target=level`.
fn is_filter(text: &str) -> bool {
    text.split(',').all(|part| LOG_LEVELS.contains(&part.rsplit('=').next().unwrap_or_default()))
}
