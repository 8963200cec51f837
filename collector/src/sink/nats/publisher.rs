//! The sink at work, by two threads: its own hears what the server says, connects, and does everything that takes time; the data thread, after each
//! turn of its own, hands over what it has offered, straight to the socket when nothing stands in the way, so that a record waits for no other thread.
//!
//! One lock is around all of it. The data thread only tries it: if the sink's thread is at work just then, or something is left to be done, that thread is
//! called instead. What both take from the queue they take in its order. Owns: the order of these steps, the end of the thread. Must not know: what is
//! decided ([`desk`](super::desk)), how bytes travel.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::core_out::CoreIn;
use super::desk::Desk;
use super::link::{Event, Link};
use super::{NAME, wire};
use crate::clocks::SharedClock;
use crate::gather::Gather;
use crate::sink::{Inlet, Outlet, Record, Refusal, Sink};

/// Records taken from the queue at a time.
const TAKE: usize = 256;
/// Records of a turn for which there is always room: what a batch of frames brings, several times.
const TURN: usize = 512;
/// What time brings is looked at this often.
const TICK: Duration = Duration::from_millis(25);
/// At the end: for what is under way to be acknowledged,
const LAST_CHANCE: Duration = Duration::from_secs(3);
/// and for a server that is away to come back: what is left then is spooled.
const GRACE: Duration = Duration::from_millis(500);
/// What the data thread has sent is noted by the sink's own within this, unless it is the only record that is not answered. Longer than that thread rests
/// where many answers come: it is not called for what it does anyway.
const UNNOTED: Duration = Duration::from_millis(5);
/// Enough is this part of the high mark: more would only wait.
const PRESSED: usize = 8;
/// A server that has answered nothing for this long is not waited for: one that syncs its disk answers again before. Nor is a disk.
const PROGRESS: Duration = Duration::from_millis(500);

/// What both threads share.
pub(super) struct Post {
    publisher: Mutex<Publisher>,
    /// Calls the sink's thread.
    bell: Notify,
    /// See [`Sink::is_pressed`].
    pressed: AtomicBool,
    /// So many bytes that wait are enough.
    enough: usize,
    /// When something left last, in milliseconds.
    progress: AtomicU64,
    clock: SharedClock,
}

/// The data thread's side.
pub(super) struct Entrance {
    /// None only while it is dropped: the queue must be closed before the bell is rung for it.
    inlet: Option<Inlet>,
    post: Arc<Post>,
    /// Offered in this turn of the data path, and their bytes. They go straight to the desk, or to the queue when the sink's thread is at work.
    turn: Vec<Record>,
    bytes: usize,
}

/// What is behind the lock.
pub(super) struct Publisher {
    link: Link,
    /// Messages of the program itself.
    core: CoreIn,
    desk: Desk,
    clock: SharedClock,
    outlet: Outlet,
    /// Reused between takings.
    batch: Vec<Record>,
    /// When the queue was closed.
    closing: Option<Duration>,
    /// When the marks were written last.
    noted: Duration,
    progress: Progress,
    gather: Arc<Gather>,
}

/// What has left so far, and when it last did.
#[derive(Default)]
struct Progress {
    /// Publications answered.
    answered: u64,
    /// Records in the spool.
    spooled: u64,
    at: Duration,
}

// === impl Entrance ===

impl Entrance {
    pub(super) fn new(inlet: Inlet, post: Arc<Post>) -> Self {
        Self { inlet: Some(inlet), post, turn: Vec::new(), bytes: 0 }
    }

    /// What is left of this turn waits in the queue.
    fn queue(&mut self) {
        let Some(inlet) = &self.inlet else { return };
        for record in self.turn.drain(..) {
            inlet.put(&record);
        }
    }
}

impl Sink for Entrance {
    fn name(&self) -> &'static str {
        NAME
    }

    fn offer(&mut self, record: &Record) -> Result<(), Refusal> {
        self.offer_whole(record.clone())
    }

    fn offer_whole(&mut self, record: Record) -> Result<(), Refusal> {
        self.inlet.as_ref().map_or(Err(Refusal::Closed), |inlet| inlet.admit(&record, (self.turn.len(), self.bytes)))?;
        self.bytes += record.payload.len();
        self.turn.push(record);
        Ok(())
    }

    fn flush(&mut self) {
        let needed = match self.post.publisher.try_lock() {
            Ok(mut publisher) => {
                let needed = publisher.pass(&mut self.turn);
                self.post.press(&publisher);
                needed
            }
            Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => true,
        };
        self.bytes = 0;
        // Before the bell: the sink's thread takes what is in the queue.
        if !self.turn.is_empty() {
            self.queue();
            // A thread that has lost the processor in the middle of its work takes nothing for a while, and cannot say so.
            if self.inlet.as_ref().is_some_and(|inlet| inlet.bytes() >= self.post.enough) && self.post.leaves() {
                self.post.pressed.store(true, Ordering::Relaxed);
            }
        }
        self.turn.shrink_to(TURN);
        if needed {
            self.post.bell.notify_one();
        }
    }

    fn is_pressed(&self) -> bool {
        self.post.pressed.load(Ordering::Relaxed)
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.queue();
        self.inlet = None;
        self.post.bell.notify_one();
    }
}

// === impl Post ===

impl Post {
    pub(super) fn new(publisher: Publisher) -> Arc<Self> {
        let (enough, clock) = (publisher.enough(), Arc::clone(&publisher.clock));
        let (pressed, progress) = (AtomicBool::new(false), AtomicU64::new(0));
        Arc::new(Self { publisher: Mutex::new(publisher), bell: Notify::new(), pressed, enough, progress, clock })
    }

    fn lock(&self) -> MutexGuard<'_, Publisher> {
        // A data thread that panicked in here has left nothing half done that the next turn does not mend.
        self.publisher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn press(&self, publisher: &Publisher) {
        self.progress.store(milliseconds(publisher.progress.at), Ordering::Relaxed);
        self.pressed.store(publisher.waits() >= self.enough && self.leaves(), Ordering::Relaxed);
    }

    /// Whether something has left of late.
    fn leaves(&self) -> bool {
        milliseconds(self.clock.now().mono).saturating_sub(self.progress.load(Ordering::Relaxed)) < milliseconds(PROGRESS)
    }

    /// The sink's thread: runs until the queue is closed and everything is secured or given up.
    pub(super) async fn run(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ticked = tokio::select! {
                _ = ticks.tick() => true,
                () = self.bell.notified() => false,
                () = std::future::poll_fn(|cx| self.lock().poll(cx)) => false,
            };
            let mut publisher = self.lock();
            if ticked {
                publisher.tick();
            }
            publisher.turn();
            self.press(&publisher);
            if publisher.is_done() {
                publisher.desk.finish();
                return;
            }
        }
    }
}

// === impl Publisher ===

impl Publisher {
    pub(super) fn new((link, core): (Link, CoreIn), desk: Desk, (clock, gather): (SharedClock, Arc<Gather>), outlet: Outlet) -> Self {
        let batch = Vec::with_capacity(TAKE);
        Self { link, core, desk, clock, outlet, batch, closing: None, noted: Duration::ZERO, progress: Progress::default(), gather }
    }

    /// The data thread's turn: what it has offered goes to the socket, as far as that takes no time. `true`: the sink's thread is needed, as it is when
    /// anything is left of `turn`.
    fn pass(&mut self, turn: &mut Vec<Record>) -> bool {
        let idle = self.desk.outbox.under_way() == 0;
        let mut whole = self.take();
        // Nothing overtakes what waits in the queue.
        if whole && self.closing.is_none() && self.desk.has_room() {
            self.desk.take(turn);
        }
        whole &= turn.is_empty();
        let now = self.clock.now().mono;
        let Some(connection) = self.link.open() else { return true };
        self.desk.send_fresh(connection, now);
        // An error comes again where it is dealt with.
        let written = connection.write_now().is_ok_and(|()| connection.unwritten() == 0);
        // The answer to a record that is alone calls the other thread soon enough.
        let noted = idle || now.saturating_sub(self.noted) < UNNOTED;
        !(whole && written && noted)
    }

    /// One turn of the sink's thread: hear, take, send, and let the socket take it at once.
    fn turn(&mut self) {
        let now = self.clock.now().mono;
        if let Some(connection) = self.link.open()
            && let Err(error) = self.desk.hear(connection, now)
        {
            self.lose(&error);
        }
        while !self.take() && self.desk.has_room() {}
        if !self.desk.has_room() {
            self.tick();
        }
        self.desk.store.note();
        self.noted = now;
        self.note_progress(now);
        let Some(connection) = self.link.open() else { return };
        self.desk.send(connection, now);
        if let Err(error) = connection.write_now() {
            self.lose(&error);
        }
    }

    /// Takes records from the queue; whether none is left there.
    fn take(&mut self) -> bool {
        if self.closing.is_some() || !self.desk.has_room() {
            return self.outlet.is_empty();
        }
        if !self.outlet.take_ready(&mut self.batch, TAKE) {
            self.closing = Some(self.clock.now().mono);
        }
        self.desk.take(&mut self.batch);
        self.outlet.is_empty()
    }

    fn note_progress(&mut self, now: Duration) {
        let Desk { answered, spooled, .. } = self.desk;
        self.gather.took(answered - self.progress.answered);
        if (answered, spooled) != (self.progress.answered, self.progress.spooled) {
            self.progress = Progress { answered, spooled, at: now };
        }
    }

    /// Bytes that wait.
    fn waits(&self) -> usize {
        self.desk.outbox.held().bytes + self.outlet.bytes()
    }

    /// So many bytes wait where the server, or the spool, takes less than comes. The spool counts because it takes what a server that has stopped leaves:
    /// without it reading would go on until all marks are reached.
    fn enough(&self) -> usize {
        self.desk.relief.bytes().high / PRESSED
    }

    /// Waits for the connection, or a message of the program itself.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ready = false;
        while let Poll::Ready(Some((subject, body))) = self.core.messages.poll_recv(cx) {
            if let Some(connection) = self.link.open() {
                wire::post(&subject, &body, connection.outbound());
            }
            ready = true;
        }
        if let Poll::Ready(event) = self.link.poll(cx) {
            self.note(&event);
            ready = true;
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Opened => {
                if let Some(connection) = self.link.open() {
                    self.desk.connected(connection);
                    self.core.connected(true);
                }
            }
            Event::Lost => self.disconnected(),
            Event::Progress | Event::Nothing => {}
        }
    }

    fn tick(&mut self) {
        self.desk.tick();
        let now = self.clock.now().mono;
        if let Some(Err(error)) = self.link.open().map(|connection| connection.watch(now)) {
            self.lose(&error);
        }
    }

    fn lose(&mut self, error: &io::Error) {
        self.link.lose(error);
        self.disconnected();
    }

    fn disconnected(&mut self) {
        self.desk.disconnected();
        self.core.connected(false);
    }

    /// Whether nothing is left to do, or to wait for.
    fn is_done(&self) -> bool {
        let waited = |since: Duration| self.clock.now().mono.saturating_sub(since) >= if self.desk.linked { LAST_CHANCE } else { GRACE };
        self.closing.is_some_and(|since| self.desk.outbox.held().records == 0 || waited(since))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
