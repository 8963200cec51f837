//! The router's task: alerts in, messages out, in the order "on disk, then sent".
//!
//! Owns: the turn and its timer, the journal of the router, starting deliveries and giving their outcome back exactly once, the end in order.
//! Must not know: routes (`crates/router`), how a message is carried (`deliver`), when a restart is right (`restarts`).

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use router::alert::PostedAlert;
use router::delivery::{Delivery, DeliveryId, Integration, Outcome};
use router::notification::Notification;
use router::record::Record;
use router::{Announcement, Effects, HandOverError, Limits, Router, Setup};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::journal::Journal;
use crate::metrics::{Registry, list};
use crate::restarts::{self, Message};
use crate::web::Board;
use crate::web::view::DeliveryView;

/// Batches and outcomes that may wait for the task.
pub const INBOX: usize = 256;
/// Messages the page shows.
const SHOWN: usize = 100;
/// At the end, messages under way get this long to be answered for.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Carries messages; what tests replace.
pub trait Deliver: Send + Sync + std::fmt::Debug {
    /// One attempt, within its own time limit. Never fails otherwise than by its outcome.
    fn deliver(&self, setup: Arc<Setup>, delivery: Delivery, now_ms: i64) -> BoxFuture<'static, Outcome>;
}

/// A configuration of the router with what carries its messages.
#[derive(Clone, Debug)]
pub struct Routes {
    /// Routes, receivers, templates.
    pub setup: Arc<Setup>,
    /// The carrier; secret files are relative to this configuration.
    pub deliver: Arc<dyn Deliver>,
}

/// What the task is told.
#[derive(Debug)]
pub enum Input {
    /// Alerts of the rule engine.
    Alerts(Vec<PostedAlert>),
    /// News that is told once: the outcome of a restart.
    Announce(Box<Announcement>),
    /// A delivery ended.
    Delivered(Box<DeliveryView>, DeliveryId, Outcome),
    /// Another Alertmanager hands a notification over for a robot; answered once it is on disk.
    HandOver(String, Box<Notification>, oneshot::Sender<Result<(), HandOverError>>),
    /// Another configuration; `None`: alerts are only shown.
    Configure(Option<Routes>),
}

/// What the task needs.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Registry>,
    /// Where the journal lives.
    pub data_dir: PathBuf,
    /// Who restarts.
    pub restarts: mpsc::Sender<Message>,
    /// The page.
    pub board: Arc<Board>,
}

struct Task {
    around: Surroundings,
    inbox: mpsc::Sender<Input>,
    journal: Journal,
    /// State of before, until a first configuration comes that can use it.
    restored: Vec<Record>,
    engine: Option<(Router, Arc<dyn Deliver>)>,
    next: Option<Duration>,
    shown: VecDeque<DeliveryView>,
    under_way: usize,
    /// Answers that wait for the records of the next turn to be on disk.
    answers: Vec<oneshot::Sender<Result<(), HandOverError>>>,
}

/// Runs until `stop`, then waits a little for messages under way, so that their outcome is on disk.
///
/// # Errors
/// When no thread can be had for the journal.
pub async fn run(
    routes: Option<Routes>,
    around: Surroundings,
    inbox: (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    stop: CancellationToken,
) -> std::io::Result<()> {
    let (journal, restored) = Journal::open("router", around.data_dir.join("router"), around.metrics.clone())?;
    let (to, mut from) = inbox;
    let mut task = Task { around, inbox: to, journal, restored, engine: None, next: None, shown: VecDeque::new(), under_way: 0, answers: Vec::new() };
    task.configure(routes);
    loop {
        task.turn().await;
        let wait = task.next.unwrap_or(Duration::from_hours(1));
        tokio::select! {
            () = stop.cancelled() => break,
            input = from.recv() => match input {
                Some(input) => task.take(input),
                None => break,
            },
            () = tokio::time::sleep(wait) => {}
        }
        // What else has come meanwhile belongs to the same turn and the same fsync.
        while let Ok(input) = from.try_recv() {
            task.take(input);
        }
    }
    task.end(&mut from).await;
    Ok(())
}

// === impl Task ===

impl Task {
    fn configure(&mut self, routes: Option<Routes>) {
        let now = self.around.clock.now();
        match (routes, &mut self.engine) {
            (Some(routes), Some((router, deliver))) => {
                router.reload(now, routes.setup);
                *deliver = routes.deliver;
            }
            (Some(routes), none) => {
                let router = Router::new(routes.setup, Limits::default(), std::mem::take(&mut self.restored), now);
                *none = Some((router, routes.deliver));
            }
            (None, Some((router, _))) => {
                tracing::warn!("the configuration names no alertmanager.config_file any more: alerts are only shown");
                self.restored = router.snapshot(now);
                self.engine = None;
            }
            (None, None) => tracing::warn!("no alertmanager.config_file: alerts are only shown"),
        }
    }

    fn take(&mut self, input: Input) {
        let now = self.around.clock.now();
        match input {
            Input::Alerts(alerts) => {
                let Some((router, _)) = &mut self.engine else { return };
                for (at, error) in router.receive(now, &alerts).refused {
                    tracing::error!(%error, labels = ?alerts.get(at).map(|alert| &alert.labels), "an alert was refused");
                }
            }
            Input::Announce(news) => {
                let Some((router, _)) = &mut self.engine else { return };
                let messages = router.announce(now, &news);
                tracing::info!(news = news.id, messages, "announced");
            }
            Input::Delivered(view, id, outcome) => {
                self.under_way = self.under_way.saturating_sub(1);
                self.show(*view, &outcome);
                if let Some((router, _)) = &mut self.engine {
                    router.delivered(now, id, outcome);
                }
            }
            Input::HandOver(target, notification, answer) => {
                let taken = match &mut self.engine {
                    Some((router, _)) => router.hand_over(now, &target, *notification),
                    None => Err(HandOverError::UnknownTarget(target)),
                };
                match taken {
                    Ok(()) => self.answers.push(answer),
                    // The peer has gone when this fails.
                    Err(error) => drop(answer.send(Err(error))),
                }
            }
            Input::Configure(routes) => self.configure(routes),
        }
    }

    /// Turns until nothing more is due: each turn's records on disk, then its deliveries.
    async fn turn(&mut self) {
        loop {
            let started = Instant::now();
            let Some((router, _)) = &mut self.engine else { return };
            let effects = router.turn(self.around.clock.now());
            self.around.metrics.observe(&list::TURN_SECONDS, &["router"], started.elapsed());
            let more = effects.more;
            self.perform(effects).await;
            if !more {
                break;
            }
            tokio::task::yield_now().await;
        }
        for answer in self.answers.drain(..) {
            drop(answer.send(Ok(())));
        }
        self.measure();
    }

    async fn perform(&mut self, effects: Effects) {
        self.next = effects.next;
        self.journal.append(&effects.persist).await;
        if self.journal.wants_snapshot()
            && let Some((router, _)) = &self.engine
        {
            let state = router.snapshot(self.around.clock.now());
            self.journal.snapshot(&state).await;
        }
        for event in effects.events {
            self.around.metrics.add(&list::ROUTER_EVENTS, &[event.kind.as_str()], 1.0);
            tracing::info!(event = event.kind.as_str(), subject = event.subject, detail = event.detail, "router");
        }
        for delivery in effects.deliveries {
            self.start(delivery);
        }
    }

    fn start(&mut self, delivery: Delivery) {
        let Some((router, deliver)) = &self.engine else { return };
        self.under_way += 1;
        let view = Box::new(view_of(&delivery));
        let (id, inbox, clock) = (delivery.id, self.inbox.clone(), self.around.clock.clone());
        let attempt = if let Integration::Restart { name } = &*delivery.integration {
            ask_for_restart(name.to_string(), delivery.notification, self.around.restarts.clone())
        } else {
            deliver.deliver(router.setup().clone(), delivery, clock.now().wall_ms)
        };
        tokio::spawn(async move {
            // A task of its own, so that even a panic in a carrier ends in an outcome.
            let outcome = tokio::spawn(attempt).await.unwrap_or_else(|error| Outcome::retry(format!("the attempt broke off: {error}")));
            // The router's task has ended when nobody listens.
            let _ = inbox.send(Input::Delivered(Box::new(DeliveryView { at_ms: clock.now().wall_ms, ..*view }), id, outcome)).await;
        });
    }

    fn show(&mut self, mut view: DeliveryView, outcome: &Outcome) {
        self.around.metrics.add(&list::DELIVERIES, &[&view.integration, outcome.as_str()], 1.0);
        outcome.as_str().clone_into(&mut view.outcome);
        view.error = match outcome {
            Outcome::Ok => String::new(),
            Outcome::Retry { reason, .. } | Outcome::Throttled { reason, .. } | Outcome::Permanent { reason } => reason.clone(),
        };
        if view.error.is_empty() {
            tracing::info!(
                receiver = view.receiver,
                way = view.integration,
                alerts = view.alerts,
                status = view.status,
                attempt = view.attempt,
                "delivered"
            );
        } else {
            tracing::warn!(
                receiver = view.receiver,
                way = view.integration,
                alerts = view.alerts,
                outcome = view.outcome,
                error = view.error,
                attempt = view.attempt,
                "not delivered"
            );
        }
        self.shown.truncate(SHOWN - 1);
        self.shown.push_front(view);
        self.around.board.deliveries.store(Arc::new(self.shown.iter().cloned().collect()));
    }

    fn measure(&self) {
        let metrics = &self.around.metrics;
        metrics.set(&list::QUEUE_LENGTH, &["router"], self.inbox.max_capacity().saturating_sub(self.inbox.capacity()) as f64);
        let Some((router, _)) = &self.engine else { return };
        let (load, limits) = (router.load(), router.limits());
        for (what, held) in [
            ("alerts", load.alerts),
            ("firing", load.firing),
            ("groups", load.groups),
            ("silences", load.silences),
            ("log", load.log),
            ("in_flight", load.in_flight),
            ("queued", load.queued),
        ] {
            metrics.set(&list::ROUTER_LOAD, &[what], held as f64);
        }
        for (what, most) in [("alerts", limits.alerts), ("silences", limits.silences), ("queued", limits.queued), ("in_flight", limits.in_flight)] {
            metrics.set(&list::ROUTER_LIMIT, &[what], most as f64);
        }
    }

    /// Messages under way are waited for a little; whatever is not answered for then is sent again after the next start.
    async fn end(mut self, from: &mut mpsc::Receiver<Input>) {
        let deadline = tokio::time::Instant::now() + LAST_WAIT;
        while let Ok(input) = from.try_recv() {
            self.take(input);
        }
        while self.under_way > 0 {
            match tokio::time::timeout_at(deadline, from.recv()).await {
                Ok(Some(input)) => self.take(input),
                Ok(None) | Err(_) => break,
            }
        }
        if let Some((router, _)) = &mut self.engine {
            let effects = router.turn(self.around.clock.now());
            self.journal.append(&effects.persist).await;
        }
    }
}

/// Asks for the restart; delivered once the wish is on disk.
fn ask_for_restart(name: String, notification: Notification, restarts: mpsc::Sender<Message>) -> BoxFuture<'static, Outcome> {
    Box::pin(async move {
        let Some(request) = restarts::request_of(&notification) else { return Outcome::Ok };
        let (answer, answered) = oneshot::channel();
        if restarts.send(Message::Ask { name: name.clone(), request, answer }).await.is_err() {
            return Outcome::retry("restarts have stopped");
        }
        match answered.await {
            Ok(true) => Outcome::Ok,
            Ok(false) => Outcome::Permanent { reason: format!("there is no restart named {name}") },
            Err(_) => Outcome::retry("restarts have stopped"),
        }
    })
}

fn view_of(delivery: &Delivery) -> DeliveryView {
    let notification = &delivery.notification;
    let mut names: Vec<&str> = notification.alerts.iter().map(|alert| alert.labels.value(router::labels::ALERTNAME)).collect();
    names.dedup();
    DeliveryView {
        at_ms: 0,
        receiver: delivery.receiver.to_string(),
        integration: delivery.integration.as_str().to_owned(),
        status: match notification.status {
            router::notification::Status::Firing => "firing".to_owned(),
            router::notification::Status::Resolved => "resolved".to_owned(),
        },
        reason: notification.reason.as_str().to_owned(),
        alerts: names.join(", "),
        outcome: String::new(),
        error: String::new(),
        attempt: delivery.attempt,
    }
}
