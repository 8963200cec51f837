//! What a user sees: the inbox, the collector's own pages, the recorded books beside the venue's own.
//!
//! Owns: the looks and what was seen so far. Must not know: processes, timeline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::stage::{Stage, Venues};

/// Symbols of the random walk.
const WALK_SYMBOLS: [&str; 3] = ["BTC-USDT", "ETH-USDT", "PEPE-USDT"];
/// Books that have to agree before "exact" is said.
const EXACT_BOOKS: usize = 20;
/// How long one look may take.
const LOOK_WITHIN: Duration = Duration::from_millis(900);

/// The looks at one run of the demo.
#[derive(Debug)]
pub(super) struct Watch {
    http: reqwest::Client,
    inbox: String,
    sick: String,
    metrics: String,
    venues: BTreeMap<&'static str, String>,
    recorded: PathBuf,
    streams: usize,
    messages: Vec<Seen>,
    mails: Vec<Seen>,
    fresh_streams: usize,
    exact_books: usize,
    wrong_book: Option<String>,
}

/// A message as a person in the chat, or the reader of a mail, sees it.
#[derive(Debug)]
struct Seen {
    title: String,
    text: String,
}

// === impl Seen ===

impl Seen {
    fn of(message: &Value, parts: [&str; 2]) -> Self {
        let [title, text] = parts.map(|name| message[name].as_str().unwrap_or_default().to_owned());
        Self { title, text }
    }

    fn tells(&self, alert: &str, process: &str) -> bool {
        self.text.contains(alert) && self.text.contains(&format!("process={process}"))
    }

    fn announces_restart_of(&self, process: &str) -> bool {
        ["已重启", "Restarted"].iter().any(|word| self.title.ends_with(&format!("{word} {process}")))
    }

    fn is_resolved(&self) -> bool {
        self.title.contains("已恢复") || self.title.contains("Resolved")
    }
}

// === impl Watch ===

impl Watch {
    pub(super) fn new(stage: &Stage, venues: &Venues) -> Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            http: reqwest::Client::builder().timeout(LOOK_WITHIN).no_proxy().build().context("no HTTP client")?,
            inbox: venues.robot.clone(),
            sick: stage.sick.clone(),
            metrics: stage.collector_metrics.clone(),
            venues: BTreeMap::from([("spot", venues.spot.clone()), ("perpetual", venues.usdm.clone())]),
            recorded: stage.dir.join("recorded"),
            streams: venues.symbols.len() * 2 * 2,
            messages: Vec::new(),
            mails: Vec::new(),
            fresh_streams: 0,
            exact_books: 0,
            wrong_book: None,
        })
    }

    /// Looks once at everything; what cannot be reached now was not seen now.
    pub(super) async fn look(&mut self) {
        if let Some(list) = self.get(&format!("http://{}/messages", self.inbox)).await.and_then(|text| serde_json::from_str::<Value>(&text).ok()) {
            let (mails, messages) = list.as_array().into_iter().flatten().partition::<Vec<_>, _>(|message| message["subject"].is_string());
            self.messages = messages.into_iter().map(|message| Seen::of(message, ["title", "text"])).collect();
            self.mails = mails.into_iter().map(|mail| Seen::of(mail, ["subject", "html"])).collect();
        }
        if let Some(page) = self.get(&format!("http://{}/metrics", self.metrics)).await {
            let fresh = |line: &&str| line.starts_with("collector_stream_last_data_timestamp_seconds{") && !line.ends_with(" 0");
            self.fresh_streams = page.lines().filter(fresh).count();
        }
        self.compare_books().await;
    }

    /// Makes the sick program do as told; whether it said so. An order may be given twice.
    pub(super) async fn sicken(&self, orders: &'static str) -> bool {
        let order = self.http.post(format!("http://{}/control", self.sick)).header("content-type", "application/json").body(orders);
        order.send().await.is_ok_and(|answer| answer.status().is_success())
    }

    pub(super) fn all_streams_have_data(&self) -> bool {
        self.fresh_streams >= self.streams
    }

    pub(super) fn fired(&self, alert: &str, process: &str) -> bool {
        self.messages.iter().any(|message| message.tells(alert, process) && !message.is_resolved())
    }

    pub(super) fn mailed(&self, alert: &str, process: &str) -> bool {
        self.mails.iter().any(|mail| mail.text.contains(alert) && mail.text.contains(process))
    }

    pub(super) fn resolved(&self, alert: &str, process: &str) -> bool {
        self.messages.iter().any(|message| message.tells(alert, process) && message.is_resolved())
    }

    pub(super) fn restarted(&self, process: &str) -> bool {
        self.messages.iter().any(|message| message.announces_restart_of(process))
    }

    /// Enough books compared and none wrong.
    pub(super) fn books_exact(&self) -> bool {
        self.wrong_book.is_none() && self.exact_books >= EXACT_BOOKS
    }

    async fn get(&self, url: &str) -> Option<String> {
        self.http.get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()
    }

    /// Compares the newest recorded book of each instrument with the venue's own after the same update.
    async fn compare_books(&mut self) {
        for book in newest_books(&self.recorded) {
            let text = |key: &str| book.get(key).and_then(Value::as_str);
            let update = book.get("last_update_id").and_then(Value::as_u64);
            let (Some(u), Some(raw), Some(market)) = (update, text("symbol"), text("market_type")) else {
                continue;
            };
            let Some(venue) = self.venues.get(market) else { continue };
            let symbol = raw.replace('-', "");
            let Some(truth) = self.get(&format!("http://{venue}/control/state?symbol={symbol}&u={u}&limit=100")).await else { continue };
            let Ok(truth) = serde_json::from_str::<Value>(&truth) else { continue };
            if sides_agree(&book, &truth) {
                self.exact_books += 1;
            } else {
                self.wrong_book = Some(format!("{market} {raw} at {u}"));
            }
        }
    }
}

/// Adds the driver to the command that starts the venues: the recordings if they are there, else a random walk. Returns the symbols.
pub(super) fn add_driver(venues: &mut Command, recordings: &Path) -> Vec<String> {
    let recorded = |name: &str| recordings.join(name);
    let (spot, usdm) = (recorded("binance_spot_btcusdt_20240808.gz"), recorded("binance_usdm_btcusdt_20240808.gz"));
    if spot.is_file() && usdm.is_file() {
        venues.arg("--spot-replay").arg(spot).arg("--usdm-replay").arg(usdm).args(["--speed", "1", "--loop", "--retime"]);
        return vec!["BTC-USDT".to_owned()];
    }
    let symbols = WALK_SYMBOLS.join(",");
    venues.args(["--spot-walk", &symbols, "--usdm-walk", &symbols]);
    WALK_SYMBOLS.map(str::to_owned).to_vec()
}

/// The best levels of both sides are equal, number by number.
fn sides_agree(book: &Value, truth: &Value) -> bool {
    ["bids", "asks"].iter().all(|side| {
        let (ours, theirs) = (levels(&book[side]), levels(&truth[side]));
        let shared = ours.len().min(theirs.len());
        shared > 0 && ours.get(..shared) == theirs.get(..shared)
    })
}

/// Price and quantity of each level without trailing zeros.
fn levels(side: &Value) -> Vec<(String, String)> {
    let number = |value: &Value| value.as_str().map(plain).unwrap_or_default();
    side.as_array().into_iter().flatten().map(|level| (number(&level[0]), number(&level[1]))).collect()
}

fn plain(number: &str) -> String {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.').to_owned() } else { number.to_owned() }
}

/// The last complete order-book record of each instrument in the newest record files.
fn newest_books(dir: &Path) -> Vec<Value> {
    let mut files = Vec::new();
    collect_files(&dir.join("orderbook"), &mut files);
    files.sort();
    // <venue>/<symbol>/<day>/<start>: of each symbol the last in order is the newest.
    let newest: BTreeMap<PathBuf, PathBuf> = files.into_iter().filter_map(|file| Some((file.parent()?.parent()?.to_path_buf(), file))).collect();
    newest.values().filter_map(|file| serde_json::from_str(&last_line(file)).ok()).collect()
}

fn collect_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect_files(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The last line of a packed file, as far as it can be unpacked: it is being written.
fn last_line(file: &Path) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(open) = std::fs::File::open(file) {
        let _as_far_as_it_goes = flate2::read::MultiGzDecoder::new(open).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).lines().next_back().unwrap_or_default().to_owned()
}
