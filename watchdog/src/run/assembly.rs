//! The tasks and the queues between them.
//!
//! ```text
//! scrapes, probes, looks, itself ─→ observations ─→ alerting ─→ routing ─→ deliveries
//!                  └─→ views ─→ restarts ←──────────────────────┘ (Ask)
//!                                  └─→ routing (outcome as an alert)
//! ```
//! Owns: bounds of the queues, the order of the end. Must not know: what goes through them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use promql::series::Ceilings;
use rules::{Observation, RuleSet};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::engine_options;
use crate::alerting::{self, Question};
use crate::clock::Clock;
use crate::config::Config;
use crate::doors::{Doors, ReloadWish};
use crate::forward;
use crate::http_client;
use crate::inspect::{Inspector, Outlets};
use crate::metrics::{Registry, list};
use crate::observe::Sink;
use crate::queries::Queries;
use crate::restarts::{self, Message, Progress};
use crate::routing::{self, Routes};
use crate::sources::Sources;
use crate::storage::History;
use crate::web::api::{self, Api, Facts};
use crate::web::{Actions, Board, Link, Site, WebOptions};
use crate::{itself, probe, scrape, views};

/// The number of the first scrape target among the sources that number their series; [`itself`] is the one before.
const FIRST_SOURCE: u64 = itself::SOURCE + 1;

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
    /// What the API shows.
    pub(super) facts: Arc<Facts>,
    sources: Sources,
    ways: Ways,
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

/// What most tasks need.
pub(super) struct Base {
    /// The configuration at the start.
    pub(super) config: Arc<Config>,
    /// Clocks.
    pub(super) clock: Arc<dyn Clock>,
    /// Counters.
    pub(super) metrics: Arc<Registry>,
    /// The page.
    pub(super) board: Arc<Board>,
    /// What the API shows.
    pub(super) facts: Arc<Facts>,
    /// Series on disk, for readers.
    pub(super) history: Arc<History>,
}

/// The ways to the tasks that decide.
#[derive(Clone)]
struct Ways {
    questions: mpsc::Sender<Question>,
    router: mpsc::Sender<routing::Input>,
    restarts: mpsc::Sender<Message>,
    forward: mpsc::Sender<forward::Input>,
}

/// The other ends.
struct Ends {
    observations: mpsc::Receiver<Observation>,
    questions: mpsc::Receiver<Question>,
    router: mpsc::Receiver<routing::Input>,
    restarts: mpsc::Receiver<Message>,
    forward: mpsc::Receiver<forward::Input>,
}

/// Starts everything; `listener` is the page's, `reload` leads to who reloads.
pub(super) async fn start(
    base: Base,
    engines: (RuleSet, Option<Routes>),
    listener: TcpListener,
    reload: mpsc::Sender<ReloadWish>,
) -> anyhow::Result<Assembly> {
    base.metrics.set(&list::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    let stops = Stops { intake: CancellationToken::new(), rules: CancellationToken::new(), rest: CancellationToken::new() };
    let (sink, ways, ends) = queues(&base.metrics);
    let (views_to, views_from, configs) = inboxes();
    let outlets = Outlets { sink: sink.clone(), looks: views_to.looks, clock: base.clock.clone(), metrics: base.metrics.clone() };
    let inspector = Inspector::start(outlets).context("inspection thread")?;
    let doors = Arc::new(Doors {
        metrics: base.metrics.clone(),
        clock: base.clock.clone(),
        ready: AtomicBool::new(false),
        reload,
        router: ways.router.clone(),
        restarts: ways.restarts.clone(),
    });
    let mut tasks = JoinSet::new();
    start_engines(&mut tasks, &base, (&ways, ends), (engines, &inspector, &stops));
    let (shown, restarts, stop) = (base.board.clone(), ways.restarts.clone(), stops.intake.clone());
    tasks.spawn(named("views", async move {
        views::run(shown, views_from, restarts, stop).await;
        Ok(())
    }));
    let (interval, instance, stop) = (base.config.global.scrape_interval, base.config.web.listen.to_string(), stops.intake.clone());
    let around = (base.clock.clone(), base.metrics.clone(), sink.clone());
    tasks.spawn(named("itself", async move {
        itself::run(interval, instance, around, stop).await;
        Ok(())
    }));
    let site = site(&base, &ways, doors.clone() as Arc<dyn Actions>)?;
    tasks.spawn(named("page", crate::web::serve(listener, site, stops.intake.clone())));

    let (client, clock, metrics) = (http_client::client(&http_client::tls()?)?, base.clock, base.metrics);
    let scrape = scrape::Surroundings {
        sink: sink.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        views: views_to.scrapes,
        board: base.board.clone(),
        sources: Arc::new(AtomicU64::new(FIRST_SOURCE)),
    };
    let probe = probe::Surroundings { client, sink, clock, metrics: metrics.clone(), results: views_to.probes };
    let mut sources = Sources::new(scrape, (probe, inspector), views_to.targets, stops.intake.clone());
    sources.apply(&base.config).await;
    // This queue, too, is new.
    let _ = ways.forward.try_send(forward::Input::Configure(Arc::clone(&base.config)));
    // The queue is new and holds one: this does not fail.
    let _ = configs.try_send(base.config);
    Ok(Assembly { metrics, board: base.board, doors, facts: base.facts, sources, ways, configs, tasks, stops })
}

/// What is served over HTTP.
fn site(base: &Base, ways: &Ways, actions: Arc<dyn Actions>) -> anyhow::Result<Site> {
    let queries = Queries::start(ways.questions.clone(), base.config.query, (base.history.clone(), base.metrics.clone())).context("query threads")?;
    let api = Api { queries, facts: base.facts.clone(), board: base.board.clone(), now_ms: wall_ms, started_ms: wall_ms() };
    let more = api::routes(Arc::new(api));
    Ok(Site {
        board: base.board.clone(),
        actions,
        options: web_options(&base.config)?,
        now_ms: wall_ms,
        more,
        metrics: base.metrics.clone(),
        longest: base.config.query.within,
    })
}

/// Rule engine, router, restarts: the tasks that decide.
fn start_engines(
    tasks: &mut JoinSet<(&'static str, std::io::Result<()>)>,
    base: &Base,
    (ways, ends): (&Ways, Ends),
    ((rules, routes), inspector, stops): ((RuleSet, Option<Routes>), &Inspector, &Stops),
) {
    let (clock, metrics, board, data_dir) = (&base.clock, &base.metrics, &base.board, &base.config.data_dir);
    let around = alerting::Surroundings {
        clock: clock.clone(),
        metrics: metrics.clone(),
        data_dir: data_dir.clone(),
        router: ways.router.clone(),
        forward: ways.forward.clone(),
        restarts: ways.restarts.clone(),
        board: board.clone(),
        history: base.history.clone(),
    };
    let bounds = alerting::Bounds { retention: base.config.storage.retention, size: base.config.storage.size };
    let begin = alerting::Start { rules, options: engine_options(&base.config), ceilings: ceilings(&base.config), bounds };
    tasks.spawn(named("rules", on_a_thread("rules", alerting::run(begin, around, ends.observations, ends.questions, stops.rules.clone()))));

    let around = routing::Surroundings {
        clock: clock.clone(),
        metrics: metrics.clone(),
        data_dir: data_dir.clone(),
        restarts: ways.restarts.clone(),
        board: board.clone(),
    };
    tasks.spawn(named("router", routing::run(routes, around, (ways.router.clone(), ends.router), stops.rest.clone())));

    let (metrics, stop) = (metrics.clone(), stops.rest.clone());
    tasks.spawn(named("forward", async move {
        forward::run(metrics, ends.forward, stop).await;
        Ok(())
    }));

    let around = restarts_surroundings(base, inspector, ways);
    tasks.spawn(named("restarts", restarts::run(base.config.restarts.clone(), around, (ways.restarts.clone(), ends.restarts), stops.rest.clone())));
}

// === impl Assembly ===

impl Assembly {
    /// Puts another configuration in force.
    pub(super) async fn configure(&mut self, config: &Arc<Config>, (rules, routes): (RuleSet, Option<Routes>)) {
        // A task that has ended is told of by `first_to_end`.
        let _ = self.ways.questions.send(Question::Configure(rules, Box::new(engine_options(config)))).await;
        let _ = self.ways.router.send(routing::Input::Configure(routes)).await;
        let _ = self.ways.restarts.send(Message::Configure(config.restarts.clone())).await;
        let _ = self.ways.forward.send(forward::Input::Configure(Arc::clone(config))).await;
        let _ = self.configs.send(config.clone()).await;
        self.sources.apply(config).await;
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

/// Runs a task that computes on a thread of its own: neither does a large page or a question keep it waiting, nor does it keep others.
async fn on_a_thread(name: &'static str, task: impl Future<Output = std::io::Result<()>> + Send + 'static) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // When nobody waits any more the program is ending.
        let _ = ended.send(runtime.block_on(task));
    })?;
    end.await.unwrap_or_else(|_| Err(std::io::Error::other("it broke off")))
}

async fn named(name: &'static str, task: impl Future<Output = std::io::Result<()>>) -> (&'static str, std::io::Result<()>) {
    (name, task.await)
}

/// Ends of the queues that sources fill for the page.
struct ViewSenders {
    targets: mpsc::Sender<Vec<crate::web::view::TargetView>>,
    scrapes: mpsc::Sender<(crate::web::view::TargetView, Vec<crate::web::view::StreamView>)>,
    looks: mpsc::Sender<crate::inspect::Looked>,
    probes: mpsc::Sender<probe::Probed>,
}

fn inboxes() -> (ViewSenders, views::Inboxes, mpsc::Sender<Arc<Config>>) {
    let (targets_to, targets) = mpsc::channel(1);
    let (scrapes_to, scrapes) = mpsc::channel(views::INBOX);
    let (looks_to, looks) = mpsc::channel(views::INBOX);
    let (probes_to, probes) = mpsc::channel(views::INBOX);
    let (configs_to, configs) = mpsc::channel(1);
    let senders = ViewSenders { targets: targets_to, scrapes: scrapes_to, looks: looks_to, probes: probes_to };
    (senders, views::Inboxes { targets, scrapes, looks, probes, configs }, configs_to)
}

fn queues(metrics: &Arc<Registry>) -> (Sink, Ways, Ends) {
    let (sink, observations) = Sink::new(alerting::OBSERVATIONS, metrics.clone());
    let (questions_to, questions) = mpsc::channel(alerting::QUESTIONS);
    let (router_to, router) = mpsc::channel(routing::INBOX);
    let (restarts_to, restarts) = mpsc::channel(restarts::INBOX);
    let (forward_to, forward) = mpsc::channel(forward::INBOX);
    metrics.set(&list::QUEUE_CAPACITY, &["router"], routing::INBOX as f64);
    metrics.set(&list::QUEUE_CAPACITY, &["restarts"], restarts::INBOX as f64);
    let ways = Ways { questions: questions_to, router: router_to, restarts: restarts_to, forward: forward_to };
    (sink, ways, Ends { observations, questions, router, restarts, forward })
}

fn restarts_surroundings(base: &Base, inspector: &Inspector, ways: &Ways) -> restarts::Surroundings {
    let questions = ways.questions.clone();
    let progress: Progress = Arc::new(move |expr| {
        let questions = questions.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            questions.send(Question::HasResult(expr, answer)).await.ok()?;
            answered.await.ok()?
        })
    });
    restarts::Surroundings {
        clock: base.clock.clone(),
        metrics: base.metrics.clone(),
        data_dir: base.config.data_dir.clone(),
        inspector: inspector.clone(),
        outcomes: ways.router.clone(),
        progress,
        board: base.board.clone(),
        lang: base.config.lang,
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
