//! `venue-sim demo`: the main job on one machine, offline, for somebody who has just cloned the project.
//!
//! Owns: the order of the show. It starts the same binaries that are shipped, on the shipped rules and routes with shorter intervals; nothing in
//! the collector or the watchdog knows that it is a demo. Must not know: how those work inside; it looks only at what a user sees.

mod cast;
mod stage;
mod story;
mod watch;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use cast::Cast;
use stage::{ROBOT_SECRET, Stage, Venues};
use story::{COLLECTOR, DEADLINE, Expected, HANG_AFTER, LEGACY, TROUBLE_AFTER, expectations};
use watch::Watch;

/// How often the demo looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long programs may take to tell their ports.
const PORTS_WITHIN: Duration = Duration::from_mins(1);

/// Options of the demo.
#[derive(Args, Clone, Debug)]
pub(crate) struct DemoArgs {
    /// End by itself: exit 0 when all was seen, else 1 with what was missing
    #[arg(long)]
    check: bool,
    /// Directory with the binaries collector, watchdog and venue-sim
    #[arg(long, default_value = "target/lean")]
    bin_dir: PathBuf,
    /// Directory with the shipped rules/ and alertmanager/
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Address of the page
    #[arg(long, default_value = "127.0.0.1:9099")]
    web: String,
    /// Recordings to replay instead of a random walk
    #[arg(long, default_value = "../shared/recordings")]
    recordings: PathBuf,
    /// Leave the directory of this run behind
    #[arg(long)]
    keep: bool,
}

/// What happened to the two sick processes, and when.
#[derive(Debug, Default)]
struct Course {
    data_at: Option<Instant>,
    first_pids: Option<(i32, i32)>,
    stopped: bool,
    hung: bool,
}

/// Runs the demo until Ctrl-C, or with `--check` until all was seen.
///
/// # Errors
/// When a program cannot start or ends by itself, or, with `--check`, when something was not seen in time.
pub(crate) async fn run(args: DemoArgs) -> Result<()> {
    let bin_dir = args.bin_dir.canonicalize().with_context(|| format!("no directory {}; build first: make demo-build", args.bin_dir.display()))?;
    let stage = Stage::new(&args.web, args.keep)?;
    let mut cast = Cast::new(&stage.dir)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let show = perform(&args, &bin_dir, &stage, &mut cast);
    let result = tokio::select! {
        result = show => result,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    say("stopping everything / 正在停止所有程序");
    cast.stop();
    result
}

async fn perform(args: &DemoArgs, bin_dir: &Path, stage: &Stage, cast: &mut Cast) -> Result<()> {
    let venues = start_world(args, bin_dir, stage, cast).await?;
    stage.write(&args.root, bin_dir, &venues)?;
    let url = format!("http://{}/robot/send?access_token=demo", venues.robot);
    let mut watchdog = Command::new(bin_dir.join("watchdog"));
    watchdog.args(["run", "--config"]).arg(stage.dir.join("watchdog.yml")).env("DINGTALK_URL", url).env("DINGTALK_SECRET", ROBOT_SECRET);
    cast.start("watchdog", &mut watchdog)?;
    announce(stage, &venues);
    watch_it_happen(args, stage, cast, Watch::new(stage, &venues)?).await
}

/// Starts what stands for the outside world: the venues and the inbox.
async fn start_world(args: &DemoArgs, bin_dir: &Path, stage: &Stage, cast: &mut Cast) -> Result<Venues> {
    let program = bin_dir.join("venue-sim");
    let (venue_ports, inbox_ports) = (stage.dir.join("venues.json"), stage.dir.join("inbox.json"));
    let (mut venues, mut inbox) = (Command::new(&program), Command::new(&program));
    venues.arg("run").arg("--ports-file").arg(&venue_ports);
    let symbols = watch::add_driver(&mut venues, &args.recordings);
    cast.start("venues", &mut venues)?;
    inbox.args(["inbox", "--secret", ROBOT_SECRET]).arg("--ports-file").arg(&inbox_ports);
    cast.start("inbox", &mut inbox)?;
    let (venues, inbox) = (told_ports(cast, &venue_ports).await?, told_ports(cast, &inbox_ports).await?);
    Ok(Venues {
        spot: text(&venues, "/binance_spot/address")?,
        usdm: text(&venues, "/binance_usdm/address")?,
        robot: text(&inbox, "/http")?,
        mail: text(&inbox, "/smtp")?,
        symbols,
    })
}

/// The JSON that a program writes once it listens.
async fn told_ports(cast: &mut Cast, file: &Path) -> Result<serde_json::Value> {
    let deadline = Instant::now() + PORTS_WITHIN;
    loop {
        if let Some(told) = std::fs::read_to_string(file).ok().and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(told);
        }
        cast.check()?;
        if Instant::now() > deadline {
            bail!("{} was not written within {PORTS_WITHIN:?}", file.display());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn text(ports: &serde_json::Value, pointer: &str) -> Result<String> {
    ports.pointer(pointer).and_then(serde_json::Value::as_str).map(str::to_owned).with_context(|| format!("no {pointer} in {ports}"))
}

fn announce(stage: &Stage, venues: &Venues) {
    say(&format!("page / 页面     http://{}", stage.web));
    say(&format!("inbox / 收件箱  http://{}", venues.robot));
    say(&format!(
        "{} s after the first data: the collector is stopped dead (SIGSTOP), {LEGACY} starts to leak / 首批数据 {} 秒后：采集进程被冻结，旧采集器开始泄漏",
        TROUBLE_AFTER.as_secs(),
        TROUBLE_AFTER.as_secs()
    ));
    say(&format!(
        "{} s after the first data: {LEGACY} hangs / 首批数据 {} 秒后：旧采集器卡死；随后应看到告警、重启与恢复",
        HANG_AFTER.as_secs(),
        HANG_AFTER.as_secs()
    ));
    say(&format!("rules to edit / 可编辑的规则  {}", stage.dir.join("rules/collector.yml").display()));
    say("Ctrl-C ends everything / 按 Ctrl-C 结束");
}

async fn watch_it_happen(args: &DemoArgs, stage: &Stage, cast: &mut Cast, mut watch: Watch) -> Result<()> {
    let start = Instant::now();
    let mut course = Course::default();
    let mut missing = expectations();
    loop {
        cast.check()?;
        watch.look().await;
        let (seen, rest): (Vec<_>, Vec<_>) = missing.into_iter().partition(|one| is_seen(one, &watch, stage, &course));
        missing = rest;
        for one in &seen {
            say(&format!("{:>3} s  ✓ {}", start.elapsed().as_secs(), one.seen()));
        }
        make_trouble(&mut course, &watch, stage, &missing).await;
        if missing.is_empty() && args.check {
            say("all of it was seen / 全部通过");
            return Ok(());
        }
        if args.check && start.elapsed() > DEADLINE {
            for one in &missing {
                say(&format!("MISSING: {}", one.missing()));
            }
            bail!("{} of {} were not seen within {} s", missing.len(), expectations().len(), DEADLINE.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn is_seen(expected: &Expected, watch: &Watch, stage: &Stage, course: &Course) -> bool {
    let changed = |words: &[&str], before: Option<i32>| cast::find(words).is_some_and(|now| before.is_some_and(|pid| pid != now.pid));
    match expected {
        Expected::DataFlows => watch.all_streams_have_data(),
        Expected::Fired(alert, process) => watch.fired(alert, process),
        Expected::Mailed(alert, process) => watch.mailed(alert, process),
        Expected::Resolved(alert, process) => watch.resolved(alert, process),
        Expected::Restarted(process) => watch.restarted(process),
        Expected::NewProcess(COLLECTOR) => course.stopped && changed(&collector_words(stage), course.first_pids.map(|pids| pids.0)),
        Expected::NewProcess(_) => course.hung && changed(&sick_words(stage), course.first_pids.map(|pids| pids.1)),
        Expected::BooksExact => course.stopped && watch.restarted(COLLECTOR) && watch.books_exact(),
    }
}

/// Does what the announcement promised, when its time has come.
async fn make_trouble(course: &mut Course, watch: &Watch, stage: &Stage, missing: &[Expected]) {
    if course.data_at.is_none() && !missing.contains(&Expected::DataFlows) {
        course.data_at = Some(Instant::now());
    }
    let Some(data_at) = course.data_at else { return };
    if !course.stopped && data_at.elapsed() > TROUBLE_AFTER {
        // Whoever is being restarted, or too busy to take an order, is asked again at the next look.
        let (Some(collector), Some(sick)) = (cast::find(&collector_words(stage)), cast::find(&sick_words(stage))) else { return };
        if !watch.sicken(r#"{"leak_fds_per_s": 10, "close_wait": 12}"#).await {
            return;
        }
        course.first_pids = Some((collector.pid, sick.pid));
        cast::signal(collector.pid, Signal::SIGSTOP);
        course.stopped = true;
        say("      ✗ the collector is stopped (SIGSTOP), the old one leaks / 采集进程已冻结，旧采集器开始泄漏");
    }
    if course.stopped && !course.hung && data_at.elapsed() > HANG_AFTER && watch.sicken(r#"{"hang": true, "ignore_sigterm": true}"#).await {
        course.hung = true;
        say("      ✗ the old collector hangs and ignores SIGTERM / 旧采集器卡死且忽略 SIGTERM");
    }
}

fn collector_words(stage: &Stage) -> [&str; 3] {
    ["collector", "run", stage.dir.to_str().unwrap_or_default()]
}

fn sick_words(stage: &Stage) -> [&str; 3] {
    ["venue-sim", "sick", &stage.sick]
}

/// A line for the one who watches.
#[expect(clippy::print_stdout, reason = "the demo's output is its product")]
fn say(line: &str) {
    println!("{line}");
}
