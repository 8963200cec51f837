//! The status page: one look in an incident. Rendered on the server, readable without scripts.
//!
//! Owns: what is on the page and in which order: verdict, alerts, restarts, messages, targets, streams, rules. Must not know: engines.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use diagnostics::Lang;

use super::view::{Board, DeliveryView, ProbeView, ProcessView, ReloadView, RestartView, RuleView, StorageView, StreamView, TargetView};
use super::words::Words;
use super::{Link, WebOptions};

/// A stream without data for this long is shown as stale.
const STALE_AFTER_MS: i64 = 60_000;
/// Streams shown one by one; with more, only stale ones and the count are.
const STREAMS_SHOWN: usize = 64;

/// Everything the template needs.
#[derive(Template)]
#[template(path = "page.html")]
pub(super) struct Page {
    words: Words,
    lang_code: &'static str,
    version: &'static str,
    links: Vec<Link>,
    targets: Arc<Vec<TargetView>>,
    probes: Arc<Vec<ProbeView>>,
    processes: Arc<Vec<ProcessView>>,
    streams: Vec<StreamGroup>,
    stale_streams: usize,
    rules: Vec<RuleView>,
    deliveries: Arc<Vec<DeliveryView>>,
    restarts: Arc<Vec<RestartView>>,
    held: Arc<Vec<String>>,
    reload: Arc<ReloadView>,
    storage: Arc<StorageView>,
}

/// Streams of one market.
#[derive(Debug)]
pub(super) struct StreamGroup {
    title: String,
    cells: Vec<StreamView>,
}

// === impl Page ===

impl Page {
    /// The page of `board` at `now_ms`, in `lang`.
    pub(super) fn new(board: &Board, options: &WebOptions, lang: Lang, now_ms: i64) -> Self {
        let streams = board.streams.load_full();
        Self {
            words: Words { lang, zone: options.timezone.clone(), now_ms },
            lang_code: if lang == Lang::Zh { "zh-CN" } else { "en" },
            version: env!("CARGO_PKG_VERSION"),
            links: options.links.clone(),
            targets: board.targets.load_full(),
            probes: board.probes.load_full(),
            processes: board.processes.load_full(),
            stale_streams: streams.iter().filter(|stream| is_stale(stream, now_ms)).count(),
            streams: group_streams(&streams, now_ms),
            rules: board.rules(),
            deliveries: board.deliveries.load_full(),
            restarts: board.restarts.load_full(),
            held: board.held.load_full(),
            reload: board.reload.load_full(),
            storage: board.storage.load_full(),
        }
    }

    /// The sentence on top.
    fn verdict(&self) -> String {
        let down = self.targets.iter().filter(|target| target.up == Some(false)).count();
        let firing: usize = self.rules.iter().map(|rule| rule.alerts.iter().filter(|alert| alert.state == "firing").count()).sum();
        if down + firing + self.stale_streams == 0 {
            return self.words.t("Everything is in order", "一切正常").to_owned();
        }
        match self.words.lang {
            Lang::En => format!("{firing} alerts firing, {down} targets down, {} streams stale", self.stale_streams),
            Lang::Zh => format!("{firing} 条告警触发，{down} 个目标不可用，{} 个数据流停滞", self.stale_streams),
        }
    }

    /// The verdict's colour.
    fn verdict_class(&self) -> &'static str {
        let critical = self.rules.iter().any(|rule| rule.severity == "critical" && rule.state == "firing");
        let any = self.stale_streams > 0
            || self.rules.iter().any(|rule| rule.state == "firing")
            || self.targets.iter().any(|target| target.up == Some(false));
        if critical {
            "bad"
        } else if any {
            "warn"
        } else {
            "good"
        }
    }

    /// Rules with alerts first, then those that cannot alarm, then the rest in their order.
    fn ordered_rules(&self) -> Vec<&RuleView> {
        let mut rules: Vec<&RuleView> = self.rules.iter().collect();
        let rank = |rule: &RuleView| match rule.state.as_str() {
            "firing" => 0,
            "pending" => 1,
            _ if !rule.error.is_empty() => 2,
            _ if !rule.missing.is_empty() => 3,
            _ => 4,
        };
        rules.sort_by_key(|rule| rank(rule));
        rules
    }

    fn stream_class(&self, stream: &StreamView) -> &'static str {
        if is_stale(stream, self.words.now_ms) { "bad" } else { "good" }
    }

    fn open_sockets(process: &ProcessView) -> String {
        process.sockets.iter().map(|(state, number)| format!("{state} {number}")).collect::<Vec<_>>().join(", ")
    }
}

fn is_stale(stream: &StreamView, now_ms: i64) -> bool {
    now_ms - stream.last_ms > STALE_AFTER_MS
}

/// Streams by market, in order of their names; when there are many, only the stale ones are listed.
fn group_streams(streams: &[StreamView], now_ms: i64) -> Vec<StreamGroup> {
    let mut groups: BTreeMap<String, Vec<StreamView>> = BTreeMap::new();
    let few = streams.len() <= STREAMS_SHOWN;
    for stream in streams.iter().filter(|stream| few || is_stale(stream, now_ms)).take(STREAMS_SHOWN) {
        groups.entry(format!("{} · {} {}", stream.process, stream.exchange, stream.market_type)).or_default().push(stream.clone());
    }
    groups.into_iter().map(|(title, cells)| StreamGroup { title, cells }).collect()
}
