//! The tasks and the queues between them.
//!
//! ```text
//! scrapes, probes, looks, itself ─→ observations ─→ alerting ─→ routing ─→ deliveries
//!                  └─→ views ─→ restarts ←──────────────────────┘ (Ask)
//!                                  └─→ routing (outcome as an alert)
//! ```
//! Owns: bounds of the queues, the order of the end. Must not know: what goes through them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use promql::series::Ceilings;
use rules::RuleSet;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::engine_options;
use crate::alerting::{self, Question};
use crate::clock::Clock;
use crate::config::Config;
use crate::doors::{Doors, ReloadWish};
use crate::http_client;
use crate::inspect::{Inspector, Outlets};
use crate::metrics::{Registry, list};
use crate::observe::Sink;
use crate::restarts::{self, Message, Progress};
use crate::routing::{self, Routes};
use crate::sources::Sources;
use crate::web::{Actions, Board, Link, Site, WebOptions};
use crate::{itself, probe, scrape, views};

/// How long the rule engine may take to write its last state.
const RULES_WITHIN: Duration = Duration::from_secs(6);

/// Everything that runs.
pub(super) struct Assembly {
    /// Counters.
    pub(super) metrics: Arc<Registry>,
    /// The page.
    pub(super) board: Arc<Board>,
    /// What is asked over HTTP.
    pub(super) doors: Arc<Doors>,
    sources: Sources,
    questions: mpsc::Sender<Question>,
    router: mpsc::Sender<routing::Input>,
    restarts: mpsc::Sender<Message>,
    configs: mpsc::Sender<Arc<Config>>,
    tasks: JoinSet<(&'static str, std::io::Result<()>)>,
    stops: Stops,
}

/// The end comes in this order.
struct Stops {
    /// Sources, page, views.
    intake: CancellationToken,
    /// The rule engine.
    rules: CancellationToken,
    /// Router and restarts.
    rest: CancellationToken,
}

/// Starts everything; `listener` is the page's.
pub(super) fn start(
    config: &Arc<Config>,
    (rules, routes): (RuleSet, Option<Routes>),
    listener: TcpListener,
    (clock, reload): (Arc<dyn Clock>, mpsc::Sender<ReloadWish>),
) -> anyhow::Result<Assembly> {
    let metrics = Arc::new(Registry::default());
    metrics.set(&list::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    let board = Arc::new(Board::default());
    let stops = Stops { intake: CancellationToken::new(), rules: CancellationToken::new(), rest: CancellationToken::new() };
    let client = http_client::client(&http_client::tls()?)?;
    let (sink, observations) = Sink::new(alerting::OBSERVATIONS, metrics.clone());
    let (question, questions) = mpsc::channel(alerting::QUESTIONS);
    let (route, routed) = mpsc::channel(routing::INBOX);
    let (ask, asked) = mpsc::channel(restarts::INBOX);
    metrics.set(&list::QUEUE_CAPACITY, &["restarts"], restarts::INBOX as f64);
    let (views_to, views_from, configs) = inboxes();
    let inspector = Inspector::start(Outlets { sink: sink.clone(), looks: views_to.1, clock: clock.clone(), metrics: metrics.clone() })
        .context("inspection thread")?;
    let doors = Arc::new(Doors {
        metrics: metrics.clone(),
        clock: clock.clone(),
        ready: AtomicBool::new(false),
        reload,
        router: route.clone(),
        restarts: ask.clone(),
    });

    let mut tasks = JoinSet::new();
    let around = alerting::Surroundings {
        clock: clock.clone(),
        metrics: metrics.clone(),
        data_dir: config.data_dir.clone(),
        router: route.clone(),
        restarts: ask.clone(),
        board: board.clone(),
    };
    let begin = alerting::Start { rules, options: engine_options(config), ceilings: ceilings(config) };
    tasks.spawn(named("rules", alerting::run(begin, around, observations, questions, stops.rules.clone())));

    let around = routing::Surroundings {
        clock: clock.clone(),
        metrics: metrics.clone(),
        data_dir: config.data_dir.clone(),
        restarts: ask.clone(),
        board: board.clone(),
    };
    tasks.spawn(named("router", routing::run(routes, around, (route.clone(), routed), stops.rest.clone())));

    let around = restarts_surroundings(config, (&clock, &metrics, &board), (&inspector, &route, &question));
    tasks.spawn(named("restarts", restarts::run(config.restarts.clone(), around, (ask.clone(), asked), stops.rest.clone())));

    let (shown, to_restarts, stop) = (board.clone(), ask.clone(), stops.intake.clone());
    tasks.spawn(named("views", async move {
        views::run(shown, views_from, to_restarts, stop).await;
        Ok(())
    }));
    let (interval, instance, stop) = (config.global.scrape_interval, config.web.listen.to_string(), stops.intake.clone());
    let around = (clock.clone(), metrics.clone(), sink.clone());
    tasks.spawn(named("itself", async move {
        itself::run(interval, instance, around, stop).await;
        Ok(())
    }));
    let site = Site { board: board.clone(), actions: doors.clone() as Arc<dyn Actions>, options: web_options(config)?, now_ms: wall_ms };
    tasks.spawn(named("page", crate::web::serve(listener, site, stops.intake.clone())));

    let scrape =
        scrape::Surroundings { client: client.clone(), sink: sink.clone(), clock: clock.clone(), metrics: metrics.clone(), views: views_to.0 };
    let probe = probe::Surroundings { client, sink, clock, metrics: metrics.clone(), results: views_to.2 };
    let mut sources = Sources::new(scrape, probe, inspector, stops.intake.clone());
    sources.apply(config);
    // The queue is new and holds one: this does not fail.
    let _ = configs.try_send(config.clone());
    Ok(Assembly { metrics, board, doors, sources, questions: question, router: route, restarts: ask, configs, tasks, stops })
}

// === impl Assembly ===

impl Assembly {
    /// Puts another configuration in force.
    pub(super) async fn configure(&mut self, config: &Arc<Config>, (rules, routes): (RuleSet, Option<Routes>)) {
        // A task that has ended is told of by `first_to_end`.
        let _ = self.questions.send(Question::Configure(rules, Box::new(engine_options(config)))).await;
        let _ = self.router.send(routing::Input::Configure(routes)).await;
        let _ = self.restarts.send(Message::Configure(config.restarts.clone())).await;
        let _ = self.configs.send(config.clone()).await;
        self.sources.apply(config);
    }

    /// Waits until a task ends that should not.
    pub(super) async fn first_to_end(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok((name, Ok(())))) => anyhow!("the task `{name}` has ended"),
            Some(Ok((name, Err(error)))) => anyhow!(error).context(format!("the task `{name}` has failed")),
            Some(Err(error)) => anyhow!(error).context("a task has failed"),
            None => anyhow!("every task has ended"),
        }
    }

    /// Ends in order: nothing new comes in, the rule engine writes its state, the router answers for messages under way.
    pub(super) async fn end(mut self) {
        self.stops.intake.cancel();
        self.sources.ended().await;
        self.stops.rules.cancel();
        // The router hears the last of the rule engine, or ends without it when that takes too long or has ended before.
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if told(ended) == "rules" {
                    break;
                }
            }
        };
        let in_time = tokio::time::timeout(RULES_WITHIN, ended).await.is_ok();
        tracing::debug!(in_time, "the rule engine has ended");
        self.stops.rest.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            told(ended);
        }
    }
}

fn told(ended: Result<(&'static str, std::io::Result<()>), tokio::task::JoinError>) -> &'static str {
    match ended {
        Ok((name, Err(error))) => {
            tracing::error!(task = name, %error, "ended with an error");
            name
        }
        Ok((name, Ok(()))) => name,
        Err(error) => {
            tracing::error!(%error, "a task broke off");
            ""
        }
    }
}

async fn named(name: &'static str, task: impl Future<Output = std::io::Result<()>>) -> (&'static str, std::io::Result<()>) {
    (name, task.await)
}

type ViewSenders = (
    mpsc::Sender<(crate::web::view::TargetView, Vec<crate::web::view::StreamView>)>,
    mpsc::Sender<crate::inspect::Looked>,
    mpsc::Sender<probe::Probed>,
);

fn inboxes() -> (ViewSenders, views::Inboxes, mpsc::Sender<Arc<Config>>) {
    let (scrapes_to, scrapes) = mpsc::channel(views::INBOX);
    let (looks_to, looks) = mpsc::channel(views::INBOX);
    let (probes_to, probes) = mpsc::channel(views::INBOX);
    let (configs_to, configs) = mpsc::channel(1);
    ((scrapes_to, looks_to, probes_to), views::Inboxes { scrapes, looks, probes, configs }, configs_to)
}

fn restarts_surroundings(
    config: &Config,
    (clock, metrics, board): (&Arc<dyn Clock>, &Arc<Registry>, &Arc<Board>),
    (inspector, router, questions): (&Inspector, &mpsc::Sender<routing::Input>, &mpsc::Sender<Question>),
) -> restarts::Surroundings {
    let questions = questions.clone();
    let progress: Progress = Arc::new(move |expr| {
        let questions = questions.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            questions.send(Question::HasResult(expr, answer)).await.ok()?;
            answered.await.ok()?
        })
    });
    let shown = board.clone();
    restarts::Surroundings {
        clock: clock.clone(),
        metrics: metrics.clone(),
        data_dir: config.data_dir.clone(),
        inspector: inspector.clone(),
        outcomes: router.clone(),
        progress,
        views: Arc::new(move |views| shown.restarts.store(Arc::new(views))),
        lang: config.lang,
    }
}

fn ceilings(config: &Config) -> Ceilings {
    Ceilings { memory_bytes: usize::try_from(config.storage.memory_limit).unwrap_or(usize::MAX), ..Ceilings::default() }
}

fn web_options(config: &Config) -> anyhow::Result<WebOptions> {
    let token = config
        .web
        .token_file
        .as_ref()
        .map(|path| std::fs::read_to_string(path).with_context(|| format!("web.token_file {}", path.display())))
        .transpose()?;
    Ok(WebOptions {
        lang: config.lang,
        timezone: config.timezone.clone(),
        token: token.map(|token| token.trim().into()),
        trust_loopback: config.web.trust_loopback,
        links: config.web.links.iter().map(|(title, url)| Link { title: title.clone(), url: url.clone() }).collect(),
    })
}

/// The wall clock of the page, which shows times and decides nothing.
fn wall_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
