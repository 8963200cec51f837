//! Questions about series over HTTP, answered on threads of their own beside the alert path.
//!
//! Owns: how many are answered at once, how many wait, how long each may take. Must not know: HTTP, what an expression means (`promql`).
//! The rule engine only hands out a snapshot, which costs it a pointer a series; a query that takes too long or too much is an error for its asker alone.

mod past;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use promql::series::Snapshot;
use tokio::sync::{mpsc, oneshot};

use crate::alerting::Question;
use crate::metrics::{Registry, list};
use crate::storage::History;
pub use past::Past;

/// Queries that may wait; above, one is refused.
pub const WAITING: usize = 32;
/// Steps of a subquery.
pub const STEPS: i64 = 100_000;
/// How much lower than the alert path the kernel ranks the threads.
const NICE: i32 = 5;

/// Bounds of queries over HTTP; flags of `watchdog run` with Prometheus's names set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Queries answered at once (`--query.max-concurrency`).
    pub at_once: usize,
    /// The longest a query may take, its wait included, whatever its asker grants it (`--query.timeout`).
    pub within: Duration,
    /// Samples a query may hold, 16 bytes each (`--query.max-samples`).
    pub samples: usize,
    /// How far back a sample counts for a query that does not say otherwise (`--query.lookback-delta`).
    pub lookback: Duration,
}

/// The series as they are at one moment.
#[derive(Debug)]
pub struct Present {
    /// In steady time.
    pub series: Snapshot,
    /// What is added to a steady time to show it in the wall clock's.
    pub offset_ms: i64,
    /// Steady time from which on memory has everything.
    pub whole_from_ms: i64,
}

/// The way to the threads.
#[derive(Debug)]
pub struct Queries {
    jobs: SyncSender<Job>,
    /// Jobs handed over and not yet done.
    open: Arc<AtomicUsize>,
    engine: mpsc::Sender<Question>,
    history: Arc<History>,
    metrics: Arc<Registry>,
    limits: Limits,
}

/// Why a query was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// [`WAITING`] others wait.
    #[error("too many queries: {WAITING} wait already")]
    Full,
    /// Its time was up before its turn came.
    #[error("query timed out in query queue")]
    TimedOut,
    /// The watchdog is ending, or the query broke off.
    #[error("the query was not answered")]
    Stopped,
}

struct Job(Box<dyn FnOnce() + Send>);

/// Tells the thread, when the asker goes, that nobody waits any more.
struct Asker(Arc<AtomicBool>);

// === impl Limits ===

impl Default for Limits {
    /// A small machine's: beside Prometheus's 20 at once, 50 million samples and 2 minutes.
    fn default() -> Self {
        Self { at_once: 2, within: Duration::from_secs(30), samples: 4_000_000, lookback: Duration::from_mins(5) }
    }
}

// === impl Refused ===

impl Refused {
    /// The reason's name in the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TimedOut => "timed_out",
            Self::Stopped => "stopped",
        }
    }
}

// === impl Queries ===

impl Queries {
    /// Starts the threads; they end with the last handle.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(engine: mpsc::Sender<Question>, limits: Limits, (history, metrics): (Arc<History>, Arc<Registry>)) -> std::io::Result<Self> {
        let (jobs, inbox) = sync_channel(WAITING);
        let inbox = Arc::new(Mutex::new(inbox));
        for number in 0..limits.at_once {
            let inbox = inbox.clone();
            std::thread::Builder::new().name(format!("query-{number}")).spawn(move || work(&inbox))?;
        }
        metrics.set(&list::QUEUE_CAPACITY, &["queries"], (WAITING + limits.at_once) as f64);
        Ok(Self { jobs, open: Arc::default(), engine, history, metrics, limits })
    }

    /// The bounds in force.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Runs `work` on one of the threads over the series of this moment.
    ///
    /// # Errors
    /// See [`Refused`]; counted.
    pub async fn ask<T: Send + 'static>(&self, within: Duration, work: impl FnOnce(&Past) -> T + Send + 'static) -> Result<T, Refused> {
        let started = Instant::now();
        let answer = self.run(started + within.min(self.limits.within), work).await;
        let outcome = answer.as_ref().err().map_or("answered", |refused| refused.as_str());
        self.metrics.add(&list::QUERIES, &[outcome], 1.0);
        self.metrics.set(&list::QUERY_SECONDS, &[], started.elapsed().as_secs_f64());
        answer
    }

    async fn run<T: Send + 'static>(&self, deadline: Instant, work: impl FnOnce(&Past) -> T + Send + 'static) -> Result<T, Refused> {
        let _open = Open::new(&self.open, &self.metrics);
        let (to, from) = oneshot::channel();
        self.engine.try_send(Question::Series(to)).map_err(|_| Refused::Full)?;
        let present = tokio::time::timeout_at(deadline.into(), from).await.map_err(|_| Refused::TimedOut)?.map_err(|_| Refused::Stopped)?;
        let asker = Asker(Arc::default());
        let past = Past::new(present, (self.history.clone(), self.limits.samples), (deadline, asker.0.clone()));
        let (answer, answered) = oneshot::channel();
        let job = Job(Box::new(move || {
            if !promql::Queryable::given_up(&past) {
                // Who asked may have gone.
                let _ = answer.send(work(&past));
            }
        }));
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Full,
            TrySendError::Disconnected(_) => Refused::Stopped,
        })?;
        // A second more than the job has: it then says itself what it was doing when the time was up.
        match tokio::time::timeout_at((deadline + Duration::from_secs(1)).into(), answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) if Instant::now() >= deadline => Err(Refused::TimedOut),
            Ok(Err(_)) => Err(Refused::Stopped),
            Err(_) => Err(Refused::TimedOut),
        }
    }
}

/// One query under way, counted.
struct Open<'a>(&'a AtomicUsize, &'a Registry);

impl<'a> Open<'a> {
    fn new(open: &'a AtomicUsize, metrics: &'a Registry) -> Self {
        let now = open.fetch_add(1, Ordering::Relaxed) + 1;
        metrics.set(&list::QUEUE_LENGTH, &["queries"], now as f64);
        Self(open, metrics)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let left = self.0.fetch_sub(1, Ordering::Relaxed).saturating_sub(1);
        self.1.set(&list::QUEUE_LENGTH, &["queries"], left as f64);
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

fn work(inbox: &Mutex<Receiver<Job>>) {
    // Where the kernel refuses it, queries compete as equals.
    let _ = rustix::process::nice(NICE);
    loop {
        let job = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job(job)) = job else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a query broke off; its asker is told, the next is answered");
        }
    }
}

#[cfg(test)]
mod tests {
    use promql::Queryable;
    use promql::series::{Ceilings, Store};

    use super::*;

    const LIMITS: Limits = Limits { at_once: 2, within: Duration::from_secs(30), samples: 1_000, lookback: Duration::from_mins(5) };

    fn queries() -> Arc<Queries> {
        let (to, mut from) = mpsc::channel(WAITING * 2);
        tokio::spawn(async move {
            while let Some(question) = from.recv().await {
                if let Question::Series(answer) = question {
                    let _ = answer.send(Present { series: Store::new(Ceilings::default()).snapshot(), offset_ms: 0, whole_from_ms: 0 });
                }
            }
        });
        Arc::new(Queries::start(to, LIMITS, (Arc::default(), Arc::default())).unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn more_than_may_wait_is_refused_and_the_others_are_answered() {
        let queries = queries();
        let (go, gate) = std::sync::mpsc::sync_channel::<()>(LIMITS.at_once + WAITING);
        let gate = Arc::new(Mutex::new(gate));
        let ask = || {
            let (queries, gate) = (queries.clone(), gate.clone());
            tokio::spawn(async move { queries.ask(LIMITS.within, move |_| gate.lock().unwrap().recv().unwrap_or(())).await })
        };
        let asked: Vec<_> = (0..LIMITS.at_once + WAITING + 3).map(|_| ask()).collect();
        // A thread may take its first job late, and then another one finds no place.
        while queries.metrics.get(&list::QUERIES, &["full"]).unwrap_or(0.0) < 3.0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(go);
        let (mut refused, mut answered) = (0, 0);
        for answer in asked {
            match answer.await.unwrap() {
                Err(Refused::Full) => refused += 1,
                Ok(()) => answered += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(refused >= 3 && answered >= WAITING, "{refused} {answered}");
        assert_eq!(queries.metrics.get(&list::QUEUE_LENGTH, &["queries"]), Some(0.0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_query_hears_that_its_time_is_up_and_one_that_breaks_harms_no_other() {
        let queries = queries();
        let patient = |past: &Past| {
            while !past.given_up() {
                std::thread::sleep(Duration::from_millis(1));
            }
            "gave up"
        };
        assert_eq!(queries.ask(Duration::from_millis(20), patient).await, Ok("gave up"));
        for _ in 0..=LIMITS.at_once {
            let broken: Result<(), Refused> = queries.ask(LIMITS.within, |_| std::panic::panic_any("a flaw")).await;
            assert_eq!(broken, Err(Refused::Stopped));
        }
        assert_eq!(queries.ask(LIMITS.within, |_| 7).await, Ok(7));
    }
}
