//! What a validated configuration says of delivery: NATS, its streams, what may wait in memory, and where the rest goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use marketdata::RecordKind;

use super::QueueConfig;

/// Where and how NATS is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsConfig {
    /// How the servers are reached.
    pub access: Access,
    /// With or without acknowledgement.
    pub delivery: Delivery,
    /// Records that may be under way without an answer.
    pub in_flight: usize,
    /// A record that is not acknowledged within this time goes to the spool: what a SIGKILL can catch is no older.
    pub accept_within: Duration,
    /// An answer that does not come within this time counts as lost.
    pub ack_timeout: Duration,
    /// Bounds of the queue between the data path and the sink's thread.
    pub queue: QueueConfig,
}

/// Servers, how we know them, and how they know us.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Server URLs, tried in turn; one may hold a password.
    pub urls: Vec<String>,
    /// Authorities (PEM) trusted for `tls://` besides Mozilla's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate chain and its key (PEM).
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Who we are, where no URL says it.
    pub login: Option<LoginFile>,
}

/// A file that says who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginFile {
    /// The seed of a user's nkey.
    Nkey(PathBuf),
    /// A user's JWT and seed, as `nsc` writes them.
    Credentials(PathBuf),
}

/// Whether somebody acknowledges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Core NATS: connected subscribers receive, nobody acknowledges, loss is possible.
    Core,
    /// Authoritative kinds go to these streams and are acknowledged; the others go over core NATS.
    JetStream(Vec<StreamConfig>),
}

/// A JetStream stream that takes all records of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Which kind; the stream's subjects are `<kind>.>`.
    pub kind: RecordKind,
    /// Its name.
    pub name: String,
    /// Where the server keeps it.
    pub storage: Storage,
    /// What a full stream does.
    pub discard: Discard,
    /// Bytes it may take.
    pub max_bytes: u64,
    /// How old a message may become.
    pub max_age: Duration,
    /// For how long it remembers message ids.
    pub duplicate_window: Duration,
    /// Servers that keep it.
    pub replicas: u32,
}

/// Where a server keeps a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// On disk.
    File,
    /// In memory.
    Memory,
}

/// What a full stream does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// Removes its oldest messages.
    Old,
    /// Refuses new ones.
    New,
}

/// Two marks of one measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// From here on everything is sent at once.
    pub high: usize,
    /// From here on memory is relieved: previews to the dead letter, authoritative records to the spool.
    pub emergency: usize,
}

/// How much may wait in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// Records of one symbol, by [`RecordKind::index`].
    pub records: [Bounds; RecordKind::ALL.len()],
    /// Payload bytes of everything.
    pub bytes: Bounds,
    /// A preview that is older is dropped.
    pub preview_max_age: Duration,
    /// Let the marks of a symbol follow its measured rate: as many records as come in this time, within a quarter and all of what is configured.
    pub adapt: Option<Duration>,
}

/// The spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// Its directory; one below it for each kind.
    pub dir: PathBuf,
    /// Bytes it may take, over all kinds; then the oldest file goes, loudly.
    pub max_total: u64,
    /// How old a record may become in it.
    pub max_age: Duration,
}

/// The dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterConfig {
    /// Its directory; one below it for each kind.
    pub dir: PathBuf,
    /// Bytes its files may take; then the oldest goes.
    pub max_total: u64,
    /// How old a file may become.
    pub max_age: Duration,
}

// === impl Access ===

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let urls: Vec<String> = self.urls.iter().map(|url| without_login(url)).collect();
        let Self { ca_file, certificate, login, .. } = self;
        f.debug_struct("Access").field("urls", &urls).field("ca_file", ca_file).field("certificate", certificate).field("login", login).finish()
    }
}

/// URLs as they may be shown.
pub(super) fn without_login(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    match rest.rsplit_once('@') {
        Some((_, place)) if scheme.is_empty() => format!("…@{place}"),
        Some((_, place)) => format!("{scheme}://…@{place}"),
        None => url.to_owned(),
    }
}

// === impl LoginFile ===

impl LoginFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Nkey(path) | Self::Credentials(path) => path,
        }
    }
}

// === impl StreamConfig ===

impl StreamConfig {
    /// The kinds that have a stream.
    pub const KINDS: [RecordKind; 3] = [RecordKind::OrderBook, RecordKind::Trade, RecordKind::OrderBookDelta];

    /// 2 GiB and 48 h as the old system's stream had, duplicates known for 2 minutes, on disk, one server, oldest messages removed.
    pub fn default_of(kind: RecordKind) -> Self {
        Self {
            kind,
            name: kind.as_str().to_ascii_uppercase(),
            storage: Storage::File,
            discard: Discard::Old,
            max_bytes: 2 << 30,
            max_age: Duration::from_hours(48),
            duplicate_window: Duration::from_mins(2),
            replicas: 1,
        }
    }
}

// === impl Buffers ===

impl Buffers {
    /// The old collector's marks for a kind.
    pub const fn default_of(kind: RecordKind) -> Bounds {
        match kind {
            RecordKind::Trade => Bounds { high: 20_000, emergency: 40_000 },
            RecordKind::OrderBook | RecordKind::OrderBookDelta => Bounds { high: 12_000, emergency: 24_000 },
            RecordKind::Ofi | RecordKind::Cvd | RecordKind::Feature => Bounds { high: 8_000, emergency: 16_000 },
            RecordKind::Fusion | RecordKind::Event => Bounds { high: 5_000, emergency: 10_000 },
        }
    }

    /// The marks of a kind.
    pub fn of(&self, kind: RecordKind) -> Bounds {
        self.records.get(kind.index()).copied().unwrap_or(Self::default_of(kind))
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            records: RecordKind::ALL.map(Self::default_of),
            bytes: Bounds { high: 2 << 20, emergency: 4 << 20 },
            preview_max_age: Duration::from_mins(1),
            adapt: None,
        }
    }
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { dir: "data/spool".into(), max_total: 1_000_000_000, max_age: Duration::from_hours(24) }
    }
}

impl Default for DeadLetterConfig {
    fn default() -> Self {
        Self { dir: "data/deadletter".into(), max_total: 64_000_000, max_age: Duration::from_hours(168) }
    }
}
