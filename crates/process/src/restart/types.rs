//! What goes into the arbiter and what comes out. Reasons are words: the same in log, metric, page, message and test.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use crate::identity::Identity;

/// Who starts the process again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// We do: the process is our child, or was our former self's.
    Child,
    /// Its supervisor does; we signal the process that we found and wait for another.
    Signal,
}

/// How a target is restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Who starts it again.
    pub method: Method,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// At most this long for gathering evidence before the SIGTERM.
    pub evidence_within: Duration,
    /// At most this long from SIGKILL to the end of the process; over it the process is stuck in the kernel.
    pub gone_within: Duration,
    /// What makes a restart a success.
    pub verify: Verify,
    /// What keeps restarts from doing harm.
    pub guard: Guard,
}

/// What must be seen of the new process before the restart counts as a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verify {
    /// Deadline, from the moment the old process was gone.
    pub within: Duration,
    /// A probe must succeed.
    pub probe: bool,
    /// Data must progress.
    pub progress: bool,
}

/// Limits on restarts. Waits are measured on the monotonic clock; over the program's own restart on the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// A process younger than this is left alone.
    pub min_uptime: Duration,
    /// After an attempt, at least this long until the next; doubles with each attempt in a row.
    pub cooldown: Duration,
    /// The doubling ends here.
    pub cooldown_max: Duration,
    /// Attempts an hour.
    pub per_hour: u32,
    /// Attempts a day.
    pub per_day: u32,
    /// A process that ran this long after a restart ends the row.
    pub reset_after: Duration,
}

/// Why a restart is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// An alert was delivered to the restart receiver.
    Alert,
    /// The process (a child) has ended by itself.
    Exit,
    /// No process was there when the program first looked (method child).
    FirstStart,
    /// A person asked; guards are skipped, single flight is not.
    Operator,
}

/// One wish for a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What it is about; each incident is served once. For an alert: its fingerprint and start.
    pub incidents: BTreeSet<String>,
    /// Name of the alert, or of the cause, for messages.
    pub alert: String,
    /// Why.
    pub cause: Cause,
    /// Labels of the alert: who is told of it is told of the outcome.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// A process that inspection sees alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Which one.
    pub identity: Identity,
    /// How long it has run.
    pub uptime: Duration,
    /// A core is being written: it must not be killed now.
    pub core_dumping: bool,
}

/// What the shell knows of the new process's health; `None` where it was not looked at since the process started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The process this is about.
    pub of: Identity,
    /// The probe's last result after its start.
    pub probe: Option<bool>,
    /// Whether data progressed after its start.
    pub progress: Option<bool>,
}

/// The two signals of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// SIGTERM
    Term,
    /// SIGKILL
    Kill,
}

/// Why a signal was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalError {
    /// The process with this identity is no more; nothing was signalled.
    Gone,
    /// Not permitted.
    Denied,
}

/// What the arbiter is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Somebody wants a restart.
    Ask(Request),
    /// These incidents are over: a restart that still waits for a guard is not needed on their account.
    Settled(BTreeSet<String>),
    /// What inspection sees; `None`: no process matches.
    Seen(Option<Running>),
    /// The process with this identity has ended.
    Exited(Identity),
    /// The evidence is gathered, or gathering failed.
    EvidenceDone,
    /// What became of an [`Effect::Signal`].
    Signalled(Signal, Result<(), SignalError>),
    /// What became of an [`Effect::Start`].
    Started(Result<Running, String>),
    /// Health of the process, whenever it is looked at.
    Health(Health),
    /// The outcome of this attempt was handed on ([`Effect::Tell`] was done).
    Told(u64),
    /// No restarts until released.
    Hold,
    /// Restarts again.
    Release,
    /// A deadline may have passed (see [`super::Arbiter::next_wake`]).
    Tick,
}

/// What the shell shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this over the previous state of the target, on disk before the effects that follow.
    Persist(Box<Saved>),
    /// Gather evidence about this process, within the policy's deadline, then [`Input::EvidenceDone`].
    Evidence(Identity),
    /// Send this signal to exactly this process (pidfd, start compared), then [`Input::Signalled`].
    Signal(Identity, Signal),
    /// Start the program, then [`Input::Started`].
    Start,
    /// Tell people, logs and metrics; for an outcome ([`Stage::is_outcome`]), then [`Input::Told`].
    Tell(Box<Report>),
}

/// A restart under way, as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Number of the attempt, counted up for ever; 0 for the first start.
    pub attempt: u64,
    /// Why, and which incidents it serves; incidents that begin meanwhile join.
    pub request: Request,
    /// The process to be ended; `None` when there was none.
    pub old: Option<Identity>,
    /// How far it came.
    pub step: Step,
    /// When the attempt began, unix milliseconds.
    pub begun_ms: i64,
    /// When this step began, unix milliseconds.
    pub step_ms: i64,
}

/// Steps that survive the program's own death.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Decided; nothing was done to the process yet.
    Decided,
    /// SIGTERM was sent.
    Terminating,
    /// SIGKILL is being sent.
    Killing,
    /// The old process is gone, a new one is being started.
    Starting,
    /// Waiting for proof that the new process works; `None`: waiting for the supervisor to start it.
    Verifying(Option<Identity>),
}

/// All that must survive: written as one record, the last one wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Past attempts and served incidents.
    pub ledger: Ledger,
    /// The restart under way.
    pub intent: Option<Intent>,
    /// A wish that waits for a guard.
    pub waiting: Option<Request>,
    /// Held by a person.
    pub held: bool,
    /// The process that was last seen, to be adopted again.
    pub process: Option<Identity>,
    /// Outcomes that were decided, and not yet handed on.
    #[serde(default)]
    pub untold: Vec<Report>,
}

/// Which guard makes a restart wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// The process is younger than `min_uptime`.
    MinUptime,
    /// The last attempt is nearer than the cooldown.
    Cooldown,
    /// The attempts of the last hour are used up.
    PerHour,
    /// The attempts of the last day are used up.
    PerDay,
}

/// Why a wish was turned down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Every incident was served by an earlier restart.
    AlreadyServed,
    /// Held by a person.
    Held,
    /// No process to signal; its supervisor has to start it.
    NotRunning,
}

/// Why a restart failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The signal was not permitted.
    SignalDenied,
    /// The process outlived SIGKILL (stuck in the kernel); it is left alone.
    NotGone,
    /// The program could not be started.
    StartFailed(String),
    /// No new process within the deadline.
    NoNewProcess,
    /// The new process ended before it was verified.
    DiedAgain,
    /// The probe did not succeed within the deadline.
    ProbeFailed,
    /// Data did not progress within the deadline.
    NoProgress,
}

/// What happened, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the restart target.
    pub target: String,
    /// Number of the attempt; 0 when there was none.
    pub attempt: u64,
    /// Why, and for which incidents.
    pub request: Request,
    /// What happened.
    pub stage: Stage,
    /// The process before.
    pub old: Option<Identity>,
    /// The process after.
    pub new: Option<Identity>,
    /// Since the attempt began.
    pub took: Duration,
}

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The restart begins.
    Begun,
    /// This program died during a restart and goes on with it.
    Resumed,
    /// The wish joined the restart under way.
    Joined,
    /// A guard makes it wait this long.
    Waiting(Wait, Duration),
    /// The incidents ended before a waiting restart began.
    Cancelled,
    /// Turned down.
    Refused(Refusal),
    /// The new process is verified.
    Verified,
    /// It failed; the duration tells when it will be tried again, if it will.
    Failed(Failure, Option<Duration>),
}

// === impl Cause ===

impl Cause {
    /// The word in logs, metrics and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Exit => "exit",
            Self::FirstStart => "first_start",
            Self::Operator => "operator",
        }
    }
}

// === impl Signal ===

impl Signal {
    /// The name of the signal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Term => "SIGTERM",
            Self::Kill => "SIGKILL",
        }
    }
}

// === impl Step ===

impl Step {
    /// The word in logs and on the page.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Terminating => "terminating",
            Self::Killing => "killing",
            Self::Starting => "starting",
            Self::Verifying(_) => "verifying",
        }
    }
}

// === impl Stage ===

impl Stage {
    /// The kind of outcome: the label value `outcome`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Resumed => "resumed",
            Self::Joined => "joined",
            Self::Waiting(..) => "waiting",
            Self::Cancelled => "cancelled",
            Self::Refused(_) => "refused",
            Self::Verified => "verified",
            Self::Failed(..) => "failed",
        }
    }

    /// The named reason: the label value `reason`; empty where there is none.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Waiting(wait, _) => wait.as_str(),
            Self::Refused(refusal) => refusal.as_str(),
            Self::Failed(failure, _) => failure.as_str(),
            Self::Begun | Self::Resumed | Self::Joined | Self::Cancelled | Self::Verified => "",
        }
    }

    /// Whether this ends an attempt; such a report is kept until it was handed on.
    pub const fn is_outcome(&self) -> bool {
        matches!(self, Self::Verified | Self::Failed(..))
    }

    /// Whether people who got the alert want to hear of it: the beginning is in the alert itself, joins and repeats change nothing.
    pub const fn is_news(&self) -> bool {
        matches!(
            self,
            Self::Waiting(Wait::PerHour | Wait::PerDay, _) | Self::Refused(Refusal::Held | Refusal::NotRunning) | Self::Verified | Self::Failed(..)
        )
    }
}

// === impl Wait ===

impl Wait {
    /// The word in logs, metrics and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MinUptime => "min_uptime",
            Self::Cooldown => "cooldown",
            Self::PerHour => "per_hour",
            Self::PerDay => "per_day",
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// The word in logs, metrics and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyServed => "already_served",
            Self::Held => "held",
            Self::NotRunning => "not_running",
        }
    }
}

// === impl Failure ===

impl Failure {
    /// The word in logs, metrics and messages.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::SignalDenied => "signal_denied",
            Self::NotGone => "not_gone",
            Self::StartFailed(_) => "start_failed",
            Self::NoNewProcess => "no_new_process",
            Self::DiedAgain => "died_again",
            Self::ProbeFailed => "probe_failed",
            Self::NoProgress => "no_progress",
        }
    }

    /// Whether another attempt can help: not where the process cannot be signalled or ended at all.
    pub(super) const fn may_be_retried(&self) -> bool {
        !matches!(self, Self::SignalDenied | Self::NotGone)
    }
}
