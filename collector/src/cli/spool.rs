//! `collector spool ls|replay|purge`: what waits on disk for NATS, for the operator of a collector that does not run.
//!
//! Owns: what is printed. Must not know: how the spool is kept, how records travel. A running collector holds the spool's lock and drains it by itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use diagnostics::{Diagnostic, Format, Lang, Text, render_all};
use marketdata::RecordKind;

use super::{EXIT_UNAVAILABLE, File, complain, exit_config, languages, say};
use crate::clocks::SystemClock;
use crate::config::{Config, Environment, SpoolConfig};
use crate::metrics::{Registry, catalogue as names};
use crate::sink;
use crate::sink::spool::Spool;
use crate::state::State;
use crate::utc;

/// A line of progress this often.
const PROGRESS: Duration = Duration::from_secs(2);

/// Everything after `collector spool`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    /// Configuration file: where the spool is, and for replay where NATS is
    #[arg(long, global = true, value_name = "FILE", default_value = "collector.yml")]
    config: PathBuf,
    /// Directory of the spool (default: `spool.dir` of the configuration)
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Only this kind
    #[arg(long, global = true, value_enum)]
    stream: Option<Kind>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List what waits, by subject
    Ls,
    /// Send everything to NATS and wait until it is acknowledged
    Replay {
        /// Give up after this many seconds; what is left stays in the spool
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        within: u64,
    },
    /// Remove what waits, for good
    Purge {
        /// Really
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Orderbook,
    Trade,
    #[value(name = "orderbook_delta")]
    OrderbookDelta,
}

/// What waits of one subject.
#[derive(Default)]
struct Waiting {
    records: u64,
    bytes: u64,
    sequences: (u64, u64),
    event_ms: (i64, i64),
}

// === impl Kind ===

impl Kind {
    fn of_record(self) -> RecordKind {
        match self {
            Self::Orderbook => RecordKind::OrderBook,
            Self::Trade => RecordKind::Trade,
            Self::OrderbookDelta => RecordKind::OrderBookDelta,
        }
    }
}

pub(super) fn run(arguments: Arguments, asked: Option<&str>, environment: &Environment) -> ExitCode {
    let lang = Lang::choose(asked, languages(environment));
    let kind = arguments.stream.map(Kind::of_record);
    match arguments.verb {
        Verb::Replay { within } => {
            let (file, lang) = read(&arguments.config, asked, environment);
            let Some(mut config) = file else { return exit_config() };
            config.spool.dir = arguments.dir.unwrap_or(config.spool.dir);
            replay(&config, Duration::from_secs(within), lang)
        }
        Verb::Ls | Verb::Purge { .. } => {
            // With a directory no configuration is needed.
            let config = match arguments.dir {
                Some(dir) => SpoolConfig { dir, ..SpoolConfig::default() },
                None => match read(&arguments.config, asked, environment).0 {
                    Some(config) => config.spool,
                    None => return exit_config(),
                },
            };
            let spool = match open(&config, lang) {
                Ok(spool) => spool,
                Err(code) => return code,
            };
            match arguments.verb {
                Verb::Purge { yes } => purge(spool, kind, yes, lang),
                _ => list(&spool, kind, lang),
            }
        }
    }
}

fn read(path: &Path, asked: Option<&str>, environment: &Environment) -> (Option<Config>, Lang) {
    let file = File::read(path, asked, environment);
    if file.loaded.config.is_none() {
        complain(&file.shown(Format::Text));
    }
    (file.loaded.config, file.lang)
}

/// The spool, if nobody else has it.
fn open(config: &SpoolConfig, lang: Lang) -> Result<Spool, ExitCode> {
    let dir = config.dir.display();
    if !config.dir.is_dir() {
        say(Text::new(format!("{dir}: no spool\n"), format!("{dir}：没有 spool\n")).get(lang));
        return Err(ExitCode::SUCCESS);
    }
    Spool::open(config).map_err(|error| taken(&error, lang))
}

fn taken(error: &dyn std::fmt::Display, lang: Lang) -> ExitCode {
    let message = Text::new(format!("cannot use the spool: {error}"), format!("无法使用 spool：{error}"));
    let hint = Text::new(
        "a running collector has it and drains it by itself: see collector_spool_records on /metrics, or stop it first",
        "运行中的采集器持有它并会自动排空：见 /metrics 的 collector_spool_records，或先停止采集器",
    );
    complain(&render_all(&[Diagnostic::error("E515", message).hint(hint)], |_| None, lang, Format::Text));
    ExitCode::from(EXIT_UNAVAILABLE)
}

fn list(spool: &Spool, kind: Option<RecordKind>, lang: Lang) -> ExitCode {
    let mut waiting: BTreeMap<String, Waiting> = BTreeMap::new();
    for shelf in spool.shelves().iter().filter(|shelf| kind.is_none_or(|kind| shelf.kind() == kind)) {
        let damaged = shelf.look(u64::MAX, |_, entry| {
            let row = waiting.entry(entry.subject.clone()).or_insert_with(|| Waiting {
                sequences: (entry.sequence, entry.sequence),
                event_ms: (entry.event_ts_ms, entry.event_ts_ms),
                ..Waiting::default()
            });
            row.records += 1;
            row.bytes += entry.payload().len() as u64;
            (row.sequences.1, row.event_ms.1) = (entry.sequence, entry.event_ts_ms);
        });
        if damaged > 0 {
            let kind = shelf.kind().as_str();
            complain(Text::new(format!("{kind}: {damaged} records are damaged\n"), format!("{kind}：{damaged} 条记录已损坏\n")).get(lang));
        }
    }
    let mut text = String::new();
    for (subject, row) in &waiting {
        let (from, to) = (utc::rfc3339(row.event_ms.0), utc::rfc3339(row.event_ms.1));
        let Waiting { records, bytes, sequences, .. } = row;
        text.extend([format!("{subject}\t{records}\t{}..{}\t{from}..{to}\t{bytes} B\n", sequences.0, sequences.1)]);
    }
    let records: u64 = waiting.values().map(|row| row.records).sum();
    let (bytes, dir) = (spool.bytes(), spool.dir().display());
    let total = Text::new(
        format!("{dir}: {records} records of {} subjects wait, {bytes} bytes on disk\n", waiting.len()),
        format!("{dir}：{} 个主题共 {records} 条记录在等待，占用 {bytes} 字节\n", waiting.len()),
    );
    say(&text);
    say(total.get(lang));
    ExitCode::SUCCESS
}

fn purge(mut spool: Spool, kind: Option<RecordKind>, really: bool, lang: Lang) -> ExitCode {
    let mut removed = 0;
    for kind in spool.shelves().iter().map(sink::spool::Shelf::kind).filter(|one| kind.is_none_or(|kind| kind == *one)).collect::<Vec<_>>() {
        let Some(shelf) = spool.shelf(kind) else { continue };
        let (done, next) = shelf.span();
        removed += next - done;
        if really && let Err(error) = shelf.give_up(next).and_then(|()| shelf.save(Duration::MAX)) {
            complain(&format!("{}: {error}\n", kind.as_str()));
            return ExitCode::FAILURE;
        }
    }
    if really {
        say(Text::new(format!("{removed} records removed\n"), format!("已删除 {removed} 条记录\n")).get(lang));
        return ExitCode::SUCCESS;
    }
    let warning = Text::new(
        format!("{removed} records would be lost for good; give --yes to remove them\n"),
        format!("{removed} 条记录将永久丢失；确认删除请加 --yes\n"),
    );
    complain(warning.get(lang));
    ExitCode::FAILURE
}

/// Runs the sink alone, until nothing waits.
fn replay(config: &Config, within: Duration, lang: Lang) -> ExitCode {
    if config.nats.is_none() {
        complain(Text::new("`nats.url` is not configured\n", "没有配置 `nats.url`\n").get(lang));
        return exit_config();
    }
    let (registry, state) = (Arc::new(Registry::new()), State::new(config, SystemClock::shared()));
    let started = match sink::nats::start(config, &state, &registry) {
        Ok(started) => started,
        Err(error) => return taken(&error, lang),
    };
    let left = || registry.values(&names::SPOOL_RECORDS).iter().map(|(_, records)| *records).sum::<f64>();
    let (begun, mut told) = (Instant::now(), Instant::now());
    // The figures come with the sink's first look at its spool.
    std::thread::sleep(Duration::from_millis(200));
    while left() > 0.0 && begun.elapsed() < within {
        std::thread::sleep(Duration::from_millis(50));
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            say(Text::new(format!("{} records wait\n", left()), format!("剩余 {} 条记录\n", left())).get(lang));
        }
    }
    let remaining = left();
    drop(started.sink);
    if let Some(worker) = started.worker {
        // Its end writes how far the spool is drained.
        let _ended = worker.thread.join();
    }
    if remaining > 0.0 {
        let text = Text::new(
            format!("{remaining} records are left: NATS did not take them in time; they stay in the spool\n"),
            format!("剩余 {remaining} 条记录：NATS 未能及时接收，仍保存在 spool 中\n"),
        );
        complain(text.get(lang));
        return ExitCode::FAILURE;
    }
    say(Text::new("everything was sent and acknowledged\n", "全部已发送并确认\n").get(lang));
    ExitCode::SUCCESS
}
