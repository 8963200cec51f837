//! Records offered to the sink as the data path offers them, at a rate, and a look at its figures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use collector::clocks::SystemClock;
use collector::config::{self, Config, Environment};
use collector::metrics::Registry;
use collector::sink::{Record, Refusal, Started};
use collector::state::State;

use crate::server::{SOON, Server};

/// A sink that is fed.
pub(crate) struct Feed {
    pub(crate) state: Arc<State>,
    pub(crate) registry: Arc<Registry>,
    started: Started,
    /// By stream: the sequence given last, and what was refused.
    pub(crate) last: Vec<u64>,
    pub(crate) refused: u64,
}

/// When the next record is due. A test that was kept from the processor does not make up for it at once: that would be another load than it says.
struct Pace {
    begun: Instant,
    last: Instant,
    per_second: u32,
    /// What has come of the next record, in millionths.
    millionths: u64,
    offered: u32,
}

/// No more than what comes in this time is due at once.
const BURST: Duration = Duration::from_millis(50);

impl Pace {
    fn of(per_second: u32) -> Self {
        let now = Instant::now();
        Self { begun: now, last: now, per_second, millionths: 0, offered: 0 }
    }

    fn due(&mut self) -> u32 {
        let now = Instant::now();
        let passed = u64::try_from((now - self.last).min(BURST).as_micros()).unwrap();
        self.millionths += passed * u64::from(self.per_second);
        self.last = now;
        let due = self.millionths / 1_000_000;
        self.millionths %= 1_000_000;
        u32::try_from(due).unwrap()
    }
}

/// Two symbols, so four streams; spool and dead letter below `dir`; more keys of `nats`, and behind them of the whole.
pub(crate) fn config(dir: &std::path::Path, url: &str, more: &str) -> Config {
    read(&text(dir, url, more), &Environment::default())
}

/// The same as text.
pub(crate) fn text(dir: &std::path::Path, url: &str, more: &str) -> String {
    format!(
        "venues: [{{name: binance, market: spot, symbols: [A-USDT, B-USDT], previews: []}}]\nspool: {{dir: '{0}/spool'}}\ndead_letter: {{dir: '{0}/deadletter'}}\nnats:\n  url: '{url}'\n{more}\n",
        dir.display()
    )
}

/// A configuration that has nothing wrong with it.
pub(crate) fn read(text: &str, environment: &Environment) -> Config {
    let loaded = config::load("test.yml", text, environment);
    loaded.config.unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.findings))
}

/// A server with JetStream and a sink that publishes to it, its files in a directory of its own; `None` when there is no server.
pub(crate) fn beside_a_server(more: &str) -> Option<(Server, tempfile::TempDir, Feed)> {
    let (server, dir) = (Server::start(true)?, tempfile::tempdir().unwrap());
    let feed = Feed::start(&config(dir.path(), &server.url(), more));
    Some((server, dir, feed))
}

/// Everything that was fed is delivered, once and in order, and nothing was refused.
pub(crate) async fn prove(server: &Server, feed: Feed) {
    feed.until_delivered().await;
    assert_eq!(feed.refused, 0, "{}", feed.figures());
    assert_all(server, &feed.state, &feed.last).await;
    println!("{}", feed.figures());
    feed.stop().await;
}

impl Feed {
    pub(crate) fn start(config: &Config) -> Self {
        let (registry, state) = (Arc::new(Registry::new()), State::new(config, SystemClock::shared()));
        let started = collector::sink::nats::start(config, &state, &registry).unwrap();
        let last = vec![0; state.streams.len()];
        Self { state, registry, started, last, refused: 0 }
    }

    /// Offers one record of a stream.
    fn offer(&mut self, stream: usize) -> Result<(), Refusal> {
        self.last[stream] += 1;
        let sequence = self.last[stream];
        // Bodies of different sizes: one that does not fit shall be followed by one that would.
        let filling = "x".repeat(usize::try_from(sequence * 37 % 400).unwrap());
        let payload = Bytes::from(format!("{{\"sequence\":{sequence},\"filling\":\"{filling}\"}}"));
        let kind = self.state.streams[stream].kind;
        let record = Record { stream, kind, sequence, event_ts_ms: 1_700_000_000_000, payload, offered: self.state.clock.now().mono };
        let outcome = self.started.sink.offer(&record);
        if outcome.is_err() {
            self.last[stream] -= 1;
            self.refused += 1;
        }
        outcome
    }

    /// Offers records of all streams in turn at this rate for this long.
    pub(crate) async fn run(&mut self, per_second: u32, length: Duration) {
        let mut pace = Pace::of(per_second);
        while pace.begun.elapsed() < length {
            self.offer_due(&mut pace, u32::MAX).await;
        }
    }

    /// Offers this many at this rate, however long it takes.
    pub(crate) async fn run_through(&mut self, per_second: u32, records: u32) {
        let mut pace = Pace::of(per_second);
        while pace.offered < records {
            self.offer_due(&mut pace, records).await;
        }
    }

    /// Offers records at this rate until something happens.
    pub(crate) async fn run_until(&mut self, per_second: u32, what: &str, happens: impl Fn(&Self) -> bool) {
        let mut pace = Pace::of(per_second);
        while !happens(self) {
            assert!(pace.begun.elapsed() < SOON, "{what}\n{}", self.figures());
            self.offer_due(&mut pace, u32::MAX).await;
        }
    }

    /// Offers what is due, but no more than `most` in all, and rests a moment.
    async fn offer_due(&mut self, pace: &mut Pace, most: u32) {
        for _ in 0..pace.due().min(most - pace.offered) {
            let _refusals_are_counted = self.offer(pace.offered as usize % self.last.len());
            pace.offered += 1;
        }
        self.started.sink.flush();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    /// The sum of a family's series whose labels contain `label`.
    pub(crate) fn metric(&self, family: &str, label: &str) -> f64 {
        let page = self.registry.render();
        let lines = page.lines().filter(|line| line.starts_with(&format!("{family}{{")) || line.starts_with(&format!("{family} ")));
        lines.filter(|line| line.contains(label)).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    pub(crate) async fn until(&self, what: &str, happens: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + SOON + crate::troubles::outage();
        while !happens(self) {
            assert!(Instant::now() < deadline, "{what}\n{}", self.figures());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Everything offered is secured, and nothing is left in the spool.
    pub(crate) async fn until_delivered(&self) {
        self.until("everything is delivered", |feed| {
            feed.metric("collector_unsecured_records", "") == 0.0
                && feed.metric("collector_spool_records", "") == 0.0
                && feed.metric("collector_sink_queue_length", "nats") == 0.0
                && feed.metric("collector_sink_written_total", "nats") >= feed.last.iter().sum::<u64>() as f64
        })
        .await;
    }

    pub(crate) fn figures(&self) -> String {
        let page = self.registry.render();
        let wanted = [
            "collector_nats_",
            "collector_spool",
            "collector_unsecured",
            "collector_sink_",
            "collector_spills",
            "collector_dead",
            "collector_buffer_l",
            "marketprism_nats_connected",
        ];
        page.lines().filter(|line| wanted.iter().any(|start| line.starts_with(start)) && !line.contains("bucket")).collect::<Vec<_>>().join("\n")
    }

    /// Ends the sink as SIGTERM does.
    pub(crate) async fn stop(self) -> Arc<Registry> {
        drop(self.started.sink);
        if let Some(worker) = self.started.worker {
            tokio::time::timeout(SOON, worker.done).await.expect("the sink ends").unwrap();
        }
        self.registry
    }
}

/// Each stream holds exactly 1..=last, once and in order.
pub(crate) fn assert_exactly_once(stored: &std::collections::BTreeMap<String, Vec<u64>>, subject: &str, last: u64) {
    let found = stored.get(subject).cloned().unwrap_or_default();
    let wanted: Vec<u64> = (1..=last).collect();
    if found != wanted {
        let first = found.iter().zip(&wanted).position(|(found, wanted)| found != wanted).unwrap_or(found.len().min(wanted.len()));
        let around = found.get(first.saturating_sub(3)..(first + 8).min(found.len())).unwrap_or_default();
        panic!("{subject}: {} stored of {last}; differs at {first}: {around:?}", found.len());
    }
}

/// The same for all streams of a feed.
pub(crate) async fn assert_all(server: &Server, state: &State, last: &[u64]) {
    let mut stored = server.stored("ORDERBOOK").await;
    stored.extend(server.stored("TRADE").await);
    for (stream, last) in state.streams.iter().zip(last) {
        assert_exactly_once(&stored, &stream.subject, *last);
    }
}
