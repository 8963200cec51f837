//! `nats`, `spool`, `dead_letter`: who takes the records, and where they wait when nobody does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Text};
use marketdata::RecordKind;

use super::super::delivery::without_login;
use super::super::{Access, DeadLetterConfig, Delivery, Discard, LoginFile, NatsConfig, SpoolConfig, Storage, StreamConfig, written};
use super::Reader;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// With or without acknowledgement, as written.
#[derive(Clone, Copy)]
enum Mode {
    JetStream,
    Core,
}

// === impl Reader ===

impl Reader<'_> {
    pub(super) fn nats(&mut self, written: Option<written::Nats>) -> Option<NatsConfig> {
        let written = written.unwrap_or_default();
        let place = written.url.as_ref().map(place_of);
        let from_file = written.url.map(|url| url.value);
        let queue = self.queue(written.queue);
        let delivery = self.delivery(written.mode, written.streams);
        let certificate = self.certificate(written.cert_file, written.key_file);
        let login = self.login_file(written.nkey_file, written.credentials_file);
        let in_flight = self.number(written.in_flight, 1_024, (1, 65_536)) as usize;
        let accept_within = self.duration(written.accept_within, SECOND, (Duration::from_millis(50), SECOND * 60));
        let ack_timeout = self.duration(written.ack_timeout, SECOND * 5, (Duration::from_millis(100), SECOND * 300));
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
            let shown = urls.iter().map(|url| without_login(url)).collect::<Vec<_>>().join(",");
            let message = Text::new(format!("`{shown}` ({origin}) is not a list of NATS URLs"), format!("`{shown}`（{origin}）不是 NATS 地址列表"));
            let mut found = Diagnostic::error("E501", message).expected(Text::same("nats://host:4222[,nats://host2:4222]"));
            if place.is_some() {
                found = found.in_file(self.file);
                found.place = place;
            }
            self.findings.push(found);
        }
        let access = Access { urls, ca_file: written.ca_file.map(|file| file.value.into()), certificate, login };
        Some(NatsConfig { access, delivery, in_flight, accept_within, ack_timeout, queue })
    }

    /// Our certificate needs its key, and the other way round.
    fn certificate(&mut self, certificate: Option<Spanned<String>>, key: Option<Spanned<String>>) -> Option<(PathBuf, PathBuf)> {
        let (lonely, missing) = match (certificate, key) {
            (Some(certificate), Some(key)) => return Some((certificate.value.into(), key.value.into())),
            (None, None) => return None,
            (Some(certificate), None) => (certificate, "key_file"),
            (None, Some(key)) => (key, "cert_file"),
        };
        let message =
            Text::new(format!("`{missing}` is missing: a certificate and its key go together"), format!("缺少 `{missing}`：证书与私钥必须同时给出"));
        self.error(place_of(&lonely), Diagnostic::error("E501", message).expected(Text::same("cert_file: client.pem, key_file: client.key")));
        None
    }

    /// An nkey, or credentials.
    fn login_file(&mut self, nkey: Option<Spanned<String>>, credentials: Option<Spanned<String>>) -> Option<LoginFile> {
        if let (Some(_), Some(second)) = (&nkey, &credentials) {
            let message = Text::new("`nkey_file` and `credentials_file` exclude each other", "`nkey_file` 与 `credentials_file` 只能给出一个");
            let hint = Text::new("a credentials file holds the JWT and the nkey of one user", "credentials 文件同时包含用户的 JWT 与 nkey");
            self.error(place_of(second), Diagnostic::error("E501", message).hint(hint));
        }
        let file = |path: Spanned<String>| PathBuf::from(path.value);
        credentials.map(file).map(LoginFile::Credentials).or_else(|| nkey.map(file).map(LoginFile::Nkey))
    }

    fn delivery(&mut self, mode: Option<Spanned<String>>, streams: written::Streams) -> Delivery {
        let modes = [("jetstream", Mode::JetStream), ("core", Mode::Core)];
        let place = mode.as_ref().map(place_of);
        let mode = mode.and_then(|word| self.word(&word, ("mode", "模式"), &modes));
        let mut names = BTreeSet::new();
        let written::Streams { orderbook, trade, orderbook_delta } = streams;
        let all = [(RecordKind::OrderBook, orderbook), (RecordKind::Trade, trade), (RecordKind::OrderBookDelta, orderbook_delta)];
        let streams = all.into_iter().map(|(kind, written)| self.stream(kind, written, &mut names)).collect();
        if let (Some(Mode::Core), Some(place)) = (mode, place) {
            let message = Text::new("core NATS acknowledges nothing: loss is possible", "core NATS 没有确认机制：可能丢失数据");
            let hint = Text::new("`mode: jetstream` delivers each authoritative record exactly once", "`mode: jetstream` 保证权威数据恰好送达一次");
            self.findings.push(Diagnostic::warning("W503", message).in_file(self.file).at(place).hint(hint));
        }
        match mode {
            Some(Mode::Core) => Delivery::Core,
            Some(Mode::JetStream) | None => Delivery::JetStream(streams),
        }
    }

    fn stream(&mut self, kind: RecordKind, written: written::Stream, names: &mut BTreeSet<String>) -> StreamConfig {
        let default = StreamConfig::default_of(kind);
        let name = written.name.map_or(default.name, |name| {
            // What the server takes as a stream's name, and a file system as a directory's.
            let sound = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if name.value.is_empty() || !name.value.chars().all(sound) {
                let message = Text::new(format!("`{}` is not a stream's name", name.value), format!("`{}` 不是流的名字", name.value));
                let expected = Text::new("letters, digits, `_`, `-`", "字母、数字、`_`、`-`");
                self.error(place_of(&name), Diagnostic::error("E501", message).expected(expected));
            } else if names.contains(&name.value) {
                let message = Text::new(format!("stream `{}` is given twice", name.value), format!("流 `{}` 重复", name.value));
                self.error(place_of(&name), Diagnostic::error("E504", message));
            }
            name.value
        });
        names.insert(name.clone());
        let storages = [("file", Storage::File), ("memory", Storage::Memory)];
        let discards = [("old", Discard::Old), ("new", Discard::New)];
        let storage = written.storage.and_then(|word| self.word(&word, ("storage", "存储"), &storages)).unwrap_or(default.storage);
        let discard = written.discard.and_then(|word| self.word(&word, ("discard policy", "丢弃策略"), &discards)).unwrap_or(default.discard);
        let max_bytes = self.size(written.max_bytes, default.max_bytes, 1 << 10);
        let max_age = self.duration(written.max_age, default.max_age, (SECOND, DAY * 3_650));
        // The server refuses a window longer than the messages live.
        let duplicate_window = self.duration(written.duplicate_window, default.duplicate_window.min(max_age), (SECOND, max_age));
        let replicas = self.number(written.replicas, default.replicas, (1, 5));
        StreamConfig { kind, name, storage, discard, max_bytes, max_age, duplicate_window, replicas }
    }

    pub(super) fn spool(&mut self, written: written::Store) -> SpoolConfig {
        let default = SpoolConfig::default();
        SpoolConfig {
            dir: written.dir.map_or(default.dir, |dir| dir.value.into()),
            max_total: self.size(written.max_total, default.max_total, 4 << 20),
            max_age: self.duration(written.max_age, default.max_age, (SECOND, DAY * 365)),
        }
    }

    pub(super) fn dead_letter(&mut self, written: written::Store) -> DeadLetterConfig {
        let default = DeadLetterConfig::default();
        DeadLetterConfig {
            dir: written.dir.map_or(default.dir, |dir| dir.value.into()),
            max_total: self.size(written.max_total, default.max_total, 1 << 16),
            max_age: self.duration(written.max_age, default.max_age, (SECOND, DAY * 365)),
        }
    }
}
