//! The log: lines to standard error through a bounded queue and a thread of its own, so that a pipe nobody reads never holds up the data path.

mod repeats;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use self::repeats::Repeats;
use crate::config::{LogConfig, LogFormat};
use crate::metrics::{Bound, Counter, Registry, Structure, catalogue as names};

/// Lines that may wait; further ones are dropped and counted.
const WAITING: usize = 1_024;
/// How often it is looked for repeats to tell.
const TICK: Duration = Duration::from_secs(1);
/// At the end, for what still waits.
const LAST: Duration = Duration::from_millis(500);

/// Keeps the log going; dropping it writes what waits.
#[derive(Debug)]
pub struct Log {
    lines: SyncSender<Line>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    End,
}

/// What the subscriber writes a line into.
#[derive(Clone, Debug)]
struct Entrance {
    lines: SyncSender<Line>,
    waiting: Arc<Waiting>,
    dropped: Counter,
}

/// Lines that wait, and their bytes; shown by who adds as by who takes, as the thread may be held up by who does not read.
#[derive(Debug)]
struct Waiting {
    lines: AtomicUsize,
    bytes: AtomicUsize,
    size: Structure,
}

/// Starts the log of this process.
///
/// # Errors
/// When the filter does not parse, the thread cannot start, or there is a log already.
pub fn start(config: &LogConfig, registry: &Registry) -> anyhow::Result<Log> {
    let (lines, incoming) = sync_channel(WAITING);
    let waiting = Arc::new(Waiting::new(Structure::register(registry, "log_queue", Bound::Entries(WAITING))));
    let taken = Arc::clone(&waiting);
    // As long-lived as the subscriber, which is the process's.
    let repeats: &'static Repeats =
        Box::leak(Box::new(Repeats::new(config.repeat_limit, config.repeat_interval, registry.counter(&names::LOG_SUPPRESSED, &[]))));
    let thread =
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write_all((&incoming, &taken), io::stderr(), || tell_repeats(repeats)))?;
    let log = Log { lines: lines.clone(), thread: Some(thread) };
    let entrance = Entrance { lines, waiting, dropped: registry.counter(&names::LOG_DROPPED, &[]) };
    let filter = EnvFilter::try_new(&config.filter)?;
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(entrance);
    let layer = match config.format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter.and(repeats))).try_init().map_err(|error| anyhow::anyhow!("log: {error}"))?;
    // The usual hook writes to standard error itself, and would wait there for whoever does not read it.
    std::panic::set_hook(Box::new(|panic| tracing::error!(event = "panic", "{panic}")));
    Ok(log)
}

/// Says what was held back in intervals that are over.
fn tell_repeats(repeats: &Repeats) {
    for repeats::Summary { words, suppressed } in repeats.end(Instant::now()) {
        let seconds = repeats.interval().as_secs();
        tracing::warn!(target: repeats::TARGET, event = "suppressed", suppressed, "{suppressed} more like this in {seconds} s: {words}");
    }
}

// === impl Log ===

impl Drop for Log {
    fn drop(&mut self) {
        let deadline = Instant::now() + LAST;
        // Full means that nobody reads: what waits is not worth the wait.
        if self.lines.try_send(Line::End).is_err() {
            return;
        }
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

// === impl Entrance ===

impl Write for Entrance {
    /// The subscriber writes each line as a whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Counted before it is sent: the other end may take it, and subtract, at once.
        self.waiting.add(line.len());
        if self.lines.try_send(Line::Text(line.to_vec())).is_err() {
            self.waiting.subtract(line.len());
            self.dropped.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Waiting ===

impl Waiting {
    const fn new(size: Structure) -> Self {
        Self { lines: AtomicUsize::new(0), bytes: AtomicUsize::new(0), size }
    }

    fn add(&self, bytes: usize) {
        let (lines, before) = (self.lines.fetch_add(1, Ordering::Relaxed), self.bytes.fetch_add(bytes, Ordering::Relaxed));
        self.size.set(lines + 1, before + bytes);
    }

    fn subtract(&self, bytes: usize) {
        let (lines, before) = (self.lines.fetch_sub(1, Ordering::Relaxed), self.bytes.fetch_sub(bytes, Ordering::Relaxed));
        self.size.set(lines.saturating_sub(1), before.saturating_sub(bytes));
    }
}

impl<'a> MakeWriter<'a> for Entrance {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn write_all((incoming, waiting): (&Receiver<Line>, &Waiting), mut to: impl Write, tick: impl Fn()) {
    let mut ticked = Instant::now();
    loop {
        match incoming.recv_timeout(TICK.saturating_sub(ticked.elapsed())) {
            Ok(Line::Text(line)) => {
                // There is no other place to say that the log cannot be written.
                drop(to.write_all(&line));
                waiting.subtract(line.len());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Line::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
        if ticked.elapsed() >= TICK {
            ticked = Instant::now();
            tick();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_find_the_queue_full_are_counted_and_never_wait() {
        let (lines, incoming) = sync_channel(2);
        let registry = Registry::new();
        let waiting = Arc::new(Waiting::new(Structure::register(&registry, "log_queue", Bound::Entries(2))));
        let mut entrance = Entrance { lines: lines.clone(), waiting: Arc::clone(&waiting), dropped: Counter::default() };
        for n in 0..5 {
            entrance.write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        assert_eq!(entrance.dropped.get(), 3);
        let size = || Structure::all(&registry).into_iter().find(|size| size.name == "log_queue").map(|size| (size.length, size.bytes));
        assert_eq!(size(), Some((2, 14)));
        drop((entrance, lines));
        let mut written = Vec::new();
        write_all((&incoming, &waiting), &mut written, || {});
        assert_eq!(size(), Some((0, 0)));
        assert_eq!(String::from_utf8(written).unwrap(), "line 0\nline 1\n");
    }
}
