//! What the threads share besides metrics: streams, the pulse of the data loop, the phase of life, pressure, conditions. Atomics only; the one
//! lock, around the list of runtimes, is taken when a thread starts and when a page is made, never by the data loop at work.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use marketdata::{Exchange, MarketType};
use tokio::runtime::Handle;

use crate::clocks::SharedClock;
use crate::conditions::Conditions;
use crate::config::Config;
use crate::feed::{Cause, Hop};
use crate::kept_frames::KeptFrames;
use crate::pressure::Controls;
use crate::sink::Streams;
use crate::sink::nats::CoreOut;
use crate::stream::Stream;

/// The data loop gives a sign of life this often.
pub const TICK: Duration = Duration::from_millis(100);

/// Written by the data thread, read by the HTTP thread.
#[derive(Debug)]
pub struct State {
    /// The shell's clock; its monotonic zero is the start of the process.
    pub clock: SharedClock,
    /// The configured streams.
    pub streams: Streams,
    /// Pressure and its steps; written by the watch on the control thread.
    pub pressure: Controls,
    /// What is not as it should be although data flows; written by whoever knows it.
    pub conditions: Conditions,
    /// Monotonic milliseconds of the data loop's last tick.
    pulse: AtomicU64,
    phase: AtomicU8,
    reach: Reach,
    runtimes: Mutex<Vec<(&'static str, Handle)>>,
    /// Loops of the data thread that are alive: a runtime does not count the tasks that stay on one thread.
    loops: AtomicUsize,
    /// Frames that could not be read; written by the data loop.
    pub kept_frames: KeptFrames,
    /// For small messages of the program itself over the sink's NATS connection; set when there is one.
    pub core_out: OnceLock<CoreOut>,
}

/// A loop of the data thread, for as long as it lives.
#[derive(Debug)]
pub struct AliveLoop<'a>(&'a AtomicUsize);

/// Why each venue could not be reached at the last attempt, in the order of the configuration.
#[derive(Debug)]
struct Reach(Vec<((Exchange, MarketType), AtomicU16)>);

/// Phase of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Before the data loop has ticked.
    Starting,
    /// Collecting.
    Running,
    /// Asked to stop; draining.
    Stopping,
}

// === impl State ===

impl State {
    /// For the streams of this configuration.
    pub fn new(config: &Config, clock: SharedClock) -> Arc<Self> {
        let streams = Arc::new(Stream::all_of(config));
        let reach = Reach(config.venues.iter().map(|venue| ((venue.exchange, venue.market_type), AtomicU16::new(0))).collect());
        Arc::new(Self {
            clock,
            streams,
            pressure: Controls::default(),
            conditions: Conditions::default(),
            pulse: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Starting as u8),
            reach,
            runtimes: Mutex::default(),
            loops: AtomicUsize::new(0),
            kept_frames: KeptFrames::default(),
            core_out: OnceLock::new(),
        })
    }

    /// Notes how the last attempt to reach a venue ended; `None`: it succeeded.
    pub fn reached(&self, venue: (Exchange, MarketType), trouble: Option<(Hop, Cause)>) {
        if let Some(stored) = self.reach.of(venue) {
            stored.store(trouble.map_or(0, |(hop, cause)| ((hop as u16 + 1) << 8) | cause as u16), Ordering::Relaxed);
        }
    }

    /// Why the last attempt to reach a venue failed; `None`: it did not.
    pub fn unreached(&self, venue: (Exchange, MarketType)) -> Option<(Hop, Cause)> {
        let [hop, cause] = self.reach.of(venue)?.load(Ordering::Relaxed).to_be_bytes();
        Some((*Hop::ALL.get(usize::from(hop).checked_sub(1)?)?, *Cause::ALL.get(usize::from(cause))?))
    }

    /// The data loop is alive.
    pub fn beat(&self) {
        self.pulse.store(milliseconds(self.clock.now().mono), Ordering::Relaxed);
    }

    /// For how long the data loop is overdue; zero while it keeps its pace.
    pub fn stall(&self) -> Duration {
        let since = milliseconds(self.clock.now().mono).saturating_sub(self.pulse.load(Ordering::Relaxed));
        // One tick late is the timer's own grain.
        Duration::from_millis(since).saturating_sub(TICK * 2)
    }

    /// The tasks of this runtime are to be counted.
    pub fn count_tasks_of(&self, name: &'static str, runtime: Handle) {
        self.runtimes.lock().unwrap_or_else(PoisonError::into_inner).push((name, runtime));
    }

    /// Counts a loop of the data thread until the result is dropped.
    pub fn loop_begins(&self) -> AliveLoop<'_> {
        self.loops.fetch_add(1, Ordering::Relaxed);
        AliveLoop(&self.loops)
    }

    /// Tasks alive now: the data thread's loops, and what each runtime has besides.
    pub fn tasks(&self) -> Vec<(&'static str, usize)> {
        let runtimes = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = runtimes.iter().map(|(name, runtime)| (*name, runtime.metrics().num_alive_tasks()));
        [("loops", self.loops.load(Ordering::Relaxed))].into_iter().chain(alive).collect()
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The phase.
    pub fn phase(&self) -> Phase {
        let stored = self.phase.load(Ordering::Relaxed);
        [Phase::Running, Phase::Stopping].into_iter().find(|phase| *phase as u8 == stored).unwrap_or(Phase::Starting)
    }
}

// === impl Reach ===

impl Reach {
    fn of(&self, venue: (Exchange, MarketType)) -> Option<&AtomicU16> {
        self.0.iter().find(|(known, _)| *known == venue).map(|(_, stored)| stored)
    }
}

// === impl AliveLoop ===

impl Drop for AliveLoop<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Phase ===

impl Phase {
    /// The word on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
