//! Restarts: one task that owns every arbiter, and does what they decide.
//!
//! Owns: the order "on disk first, then act", the handles to processes, the children. Must not know: when a restart is right (`process::restart` does).

mod child;
mod evidence;
mod outcome;
mod service;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use process::Identity;
use process::restart::{Cause, Input, Request, Running};
use router::notification::Notification;
use tokio::sync::{mpsc, oneshot};

pub use service::run;

use crate::clock::Clock;
use crate::config::Restart;
use crate::inspect::Inspector;
use crate::metrics::Registry;
use crate::routing;
use crate::web::{Board, Switch};

/// Messages that may wait for the task; above, looks and probes are dropped (the next one tells the same) and wishes are answered with "try again".
pub const INBOX: usize = 256;

/// The name of a person's wish in reports.
const BY_HAND: &str = "operator";

/// What the task is told.
#[derive(Debug)]
pub enum Message {
    /// A restart is wanted. The answer is given once the wish is on disk.
    Ask {
        /// Name under `restarts:`.
        name: String,
        /// Why.
        request: Request,
        /// `false`: there is no such restart.
        answer: oneshot::Sender<bool>,
    },
    /// A person holds restarts, or releases them. The answer is given once that is on disk.
    Switch {
        /// Name under `restarts:`.
        name: String,
        /// To what.
        to: Switch,
        /// `false`: there is no such restart.
        answer: oneshot::Sender<bool>,
    },
    /// These incidents are over.
    Settled(BTreeSet<String>),
    /// What inspection sees of the process of this name.
    Looked(String, Option<Running>),
    /// A probe ended.
    Probed {
        /// Its name.
        name: String,
        /// When it began, on the monotonic clock.
        begun: Duration,
        /// Its result.
        success: bool,
    },
    /// The configuration changed.
    Configure(Vec<Restart>),
    /// Something this task asked for is done.
    Done(String, Input),
    /// The watched process of this restart has ended.
    Exited(String, Identity),
}

/// Whether an expression has a result now; `None` when it cannot be told.
pub type Progress = Arc<dyn Fn(String) -> BoxFuture<'static, Option<bool>> + Send + Sync>;

/// What the task needs.
#[derive(Clone)]
pub struct Surroundings {
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Registry>,
    /// Where state, evidence and output of children go.
    pub data_dir: PathBuf,
    /// The thread that looks at processes.
    pub inspector: Inspector,
    /// Where outcomes go to be told.
    pub outcomes: mpsc::Sender<routing::Input>,
    /// Evaluates `verify.expr`.
    pub progress: Progress,
    /// The page.
    pub board: Arc<Board>,
    /// Language of outcome messages.
    pub lang: diagnostics::Lang,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

/// The wish that a notification means: one incident for each firing alert.
pub fn request_of(notification: &Notification) -> Option<Request> {
    let firing: Vec<_> = notification.firing().collect();
    let first = firing.first()?;
    Some(Request {
        incidents: firing.iter().map(|alert| incident(&alert.fingerprint.to_string(), alert.starts_at)).collect(),
        alert: first.labels.value(router::labels::ALERTNAME).to_owned(),
        cause: Cause::Alert,
        labels: first.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    })
}

/// The wish of a person.
pub fn request_by_hand(wall_ms: i64) -> Request {
    let incidents = BTreeSet::from([format!("{BY_HAND}@{wall_ms}")]);
    Request { incidents, alert: BY_HAND.to_owned(), cause: Cause::Operator, labels: BTreeMap::new() }
}

/// The name of an incident: an alert and when it began. The same after our own death, as both are restored.
pub fn incident(fingerprint: &str, starts_at_ms: i64) -> String {
    format!("{fingerprint}@{starts_at_ms}")
}
