//! `collector spool ls|replay|purge`: what waits on disk for NATS. Anybody may look, also while a collector runs; to send or remove it the collector must not
//! run: it holds the spool's lock, and drains it by itself.
//!
//! Owns: what is printed. Must not know: how the spool is kept, how records travel.

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
use crate::config::{Config, Environment, SpoolConfig, StreamConfig};
use crate::metrics::{Registry, catalogue as names};
use crate::sink;
use crate::sink::spool::{Spool, is_there, look_at};
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
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List what waits, by subject; nothing is changed, and a collector may run
    Ls {
        /// Only this kind
        #[arg(long, value_enum)]
        stream: Option<Kind>,
    },
    /// Send everything to NATS and wait until it is acknowledged
    Replay {
        /// Give up after this many seconds; what is left stays in the spool
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        within: u64,
    },
    /// Remove what waits, for good
    Purge {
        /// Only this kind
        #[arg(long, value_enum)]
        stream: Option<Kind>,
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
    /// Sequence and event time of the first and of the last one.
    first: (u64, i64),
    last: (u64, i64),
}

// === impl Verb ===

impl Verb {
    fn needs_nats(&self) -> bool {
        matches!(self, Self::Replay { .. })
    }
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
    // With a directory no configuration is needed, but to send.
    let (spool, whole, lang) = match (arguments.verb.needs_nats(), arguments.dir) {
        (false, Some(dir)) => (SpoolConfig { dir, ..SpoolConfig::default() }, None, lang),
        (_, dir) => {
            let (whole, lang) = read(&arguments.config, asked, environment);
            let Some(mut whole) = whole else { return exit_config() };
            whole.spool.dir = dir.unwrap_or(whole.spool.dir);
            (whole.spool.clone(), Some(whole), lang)
        }
    };
    if !is_there(&spool.dir) {
        let dir = spool.dir.display();
        say(Text::new(format!("{dir}: no spool\n"), format!("{dir}：没有 spool\n")).get(lang));
        return ExitCode::SUCCESS;
    }
    match arguments.verb {
        Verb::Ls { stream } => list(&spool.dir, stream.map(Kind::of_record), lang),
        Verb::Purge { stream, yes } => match Spool::open(&spool) {
            Ok(spool) => purge(spool, stream.map(Kind::of_record), yes, lang),
            Err(error) => taken(&error, lang),
        },
        Verb::Replay { within } => whole.map_or_else(exit_config, |config| replay(&config, Duration::from_secs(within), lang)),
    }
}

fn read(path: &Path, asked: Option<&str>, environment: &Environment) -> (Option<Config>, Lang) {
    let file = File::read(path, asked, environment);
    if file.loaded.config.is_none() {
        complain(&file.shown(Format::Text));
    }
    (file.loaded.config, file.lang)
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

fn list(dir: &Path, kind: Option<RecordKind>, lang: Lang) -> ExitCode {
    let (mut waiting, mut torn) = (BTreeMap::<String, Waiting>::new(), false);
    for kind in StreamConfig::KINDS.into_iter().filter(|one| kind.is_none_or(|kind| kind == *one)) {
        let looked = look_at(dir, kind, |entry| {
            let first = || Waiting { first: (entry.sequence, entry.event_ts_ms), ..Waiting::default() };
            let row = waiting.entry(entry.subject.clone()).or_insert_with(first);
            row.records += 1;
            row.bytes += entry.payload().len() as u64;
            row.last = (entry.sequence, entry.event_ts_ms);
        });
        match looked {
            Ok(0) => {}
            Ok(damaged) => {
                torn = true;
                let kind = kind.as_str();
                complain(Text::new(format!("{kind}: {damaged} pieces are damaged\n"), format!("{kind}：{damaged} 处已损坏\n")).get(lang));
            }
            Err(error) => return taken(&error, lang),
        }
    }
    let mut text = String::new();
    for (subject, Waiting { records, bytes, first, last }) in &waiting {
        let (from, to) = (utc::rfc3339(first.1), utc::rfc3339(last.1));
        text.extend([format!("{subject}\t{records}\t{}..{}\t{from}..{to}\t{bytes} B\n", first.0, last.0)]);
    }
    let (records, bytes) = waiting.values().fold((0, 0), |(records, bytes), row| (records + row.records, bytes + row.bytes));
    let (dir, subjects) = (dir.display(), waiting.len());
    let total = Text::new(
        format!("{dir}: {records} records of {subjects} subjects wait, {bytes} bytes\n"),
        format!("{dir}：{subjects} 个主题共 {records} 条记录在等待，{bytes} 字节\n"),
    );
    say(&text);
    say(total.get(lang));
    if torn { ExitCode::FAILURE } else { ExitCode::SUCCESS }
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
    // What hinders it, as that the server cannot be reached, is said by the sink's own log.
    let log = crate::logging::start(&config.log, &registry);
    let started = match sink::nats::start(config, &state, &registry) {
        Ok(started) => started,
        Err(error) => return taken(&error, lang),
    };
    // Shown from the opening of the spool on.
    let left = || registry.values(&names::SPOOL_RECORDS).iter().map(|(_, records)| *records).sum::<f64>();
    let (found, begun, mut told) = (left(), Instant::now(), Instant::now());
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
    drop(log);
    if remaining > 0.0 {
        let text = Text::new(
            format!("{remaining} of {found} records are left: NATS did not take them in time; they stay in the spool\n"),
            format!("{found} 条记录中剩余 {remaining} 条：NATS 未能及时接收，仍保存在 spool 中\n"),
        );
        complain(text.get(lang));
        return ExitCode::FAILURE;
    }
    let text = Text::new(format!("{found} records: everything was sent and acknowledged\n"), format!("{found} 条记录：全部已发送并确认\n"));
    say(text.get(lang));
    ExitCode::SUCCESS
}
