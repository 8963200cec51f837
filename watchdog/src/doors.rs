//! What may be asked over HTTP, handed to the task that owns it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use router::HandOverError;
use router::notification::parse_payload_v4;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::metrics::Registry;
use crate::restarts::{self, Message};
use crate::routing;
use crate::web::{Actions, Reply, Switch};

/// A wish to read the configuration again, answered with what was wrong.
pub type ReloadWish = oneshot::Sender<Result<(), String>>;

/// The ways to the tasks.
#[derive(Debug)]
pub struct Doors {
    /// Counters.
    pub metrics: Arc<Registry>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Whether the engines run.
    pub ready: AtomicBool,
    /// Who reloads.
    pub reload: mpsc::Sender<ReloadWish>,
    /// The router.
    pub router: mpsc::Sender<routing::Input>,
    /// Restarts.
    pub restarts: mpsc::Sender<Message>,
}

// === impl Doors ===

impl Doors {
    async fn hand_over(&self, target: &str, body: &[u8]) -> Reply {
        let notification = match parse_payload_v4(body) {
            Ok(notification) => notification,
            Err(error) => return reply(400, format!("not an Alertmanager payload: {error}\n")),
        };
        let (answer, answered) = oneshot::channel();
        if self.router.send(routing::Input::HandOver(target.to_owned(), Box::new(notification), answer)).await.is_err() {
            return reply(503, "the router has stopped\n");
        }
        match answered.await {
            Ok(Ok(())) => reply(200, "OK\n"),
            Ok(Err(error @ HandOverError::UnknownTarget(_))) => reply(404, format!("{error}\n")),
            Ok(Err(error @ HandOverError::Full)) => reply(503, format!("{error}\n")),
            Err(_) => reply(503, "the router has stopped\n"),
        }
    }

    /// A payload asks on behalf of its firing alerts; an empty body is a person's wish.
    async fn ask_for_restart(&self, name: &str, body: &[u8]) -> Reply {
        let request = if body.is_empty() {
            Some(restarts::request_by_hand(self.clock.now().wall_ms))
        } else {
            match parse_payload_v4(body) {
                Ok(notification) => restarts::request_of(&notification),
                Err(error) => return reply(400, format!("not an Alertmanager payload: {error}\n")),
            }
        };
        let Some(request) = request else { return reply(200, "no firing alert: nothing to do\n") };
        let (answer, answered) = oneshot::channel();
        if self.restarts.send(Message::Ask { name: name.to_owned(), request, answer }).await.is_err() {
            return reply(503, "restarts have stopped\n");
        }
        match answered.await {
            Ok(true) => reply(200, "accepted; the guards decide\n"),
            Ok(false) => reply(404, format!("there is no restart named {name}\n")),
            Err(_) => reply(503, "restarts have stopped\n"),
        }
    }
}

impl Doors {
    async fn switch_restarts(&self, name: &str, to: Switch) -> Reply {
        let (answer, answered) = oneshot::channel();
        if self.restarts.send(Message::Switch { name: name.to_owned(), to, answer }).await.is_err() {
            return reply(503, "restarts have stopped\n");
        }
        match (answered.await, to) {
            (Ok(true), Switch::Hold) => reply(200, format!("restarts of {name} are held until released\n")),
            (Ok(true), Switch::Release) => reply(200, format!("restarts of {name} are released\n")),
            (Ok(false), _) => reply(404, format!("there is no restart named {name}\n")),
            (Err(_), _) => reply(503, "restarts have stopped\n"),
        }
    }
}

impl Actions for Doors {
    fn metrics(&self) -> String {
        crate::itself::measure(&self.metrics);
        self.metrics.render()
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn reload(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.reload.send(answer).await.map_err(|_| "the watchdog is ending".to_owned())?;
            answered.await.map_err(|_| "the watchdog is ending".to_owned())?
        })
    }

    fn dingtalk<'a>(&'a self, target: &'a str, body: &'a [u8]) -> BoxFuture<'a, Reply> {
        Box::pin(self.hand_over(target, body))
    }

    fn restart<'a>(&'a self, name: &'a str, body: &'a [u8]) -> BoxFuture<'a, Reply> {
        Box::pin(self.ask_for_restart(name, body))
    }

    fn switch<'a>(&'a self, name: &'a str, to: Switch) -> BoxFuture<'a, Reply> {
        Box::pin(self.switch_restarts(name, to))
    }
}

fn reply(status: u16, text: impl Into<String>) -> Reply {
    Reply { status, text: text.into() }
}
