//! The log: lines to standard error through a bounded queue and a thread of its own, so that a pipe nobody reads never holds up the data path.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogConfig, LogFormat};
use crate::metrics::Counter;

/// Lines that may wait; further ones are dropped and counted.
const WAITING: usize = 1_024;
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
    dropped: Counter,
}

/// Starts the log of this process.
///
/// # Errors
/// When the filter does not parse, the thread cannot start, or there is a log already.
pub fn start(config: &LogConfig, dropped: Counter) -> anyhow::Result<Log> {
    let (lines, waiting) = sync_channel(WAITING);
    let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&waiting, io::stderr()))?;
    let log = Log { lines: lines.clone(), thread: Some(thread) };
    let builder =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::try_new(&config.filter)?).with_ansi(false).with_writer(Entrance { lines, dropped });
    let started = match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("log: {error}"))?;
    Ok(log)
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
        if self.lines.try_send(Line::Text(line.to_vec())).is_err() {
            self.dropped.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Entrance {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn write_all(waiting: &Receiver<Line>, mut to: impl Write) {
    while let Ok(Line::Text(line)) = waiting.recv() {
        // There is no other place to say that the log cannot be written.
        let _nowhere_to_say = to.write_all(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_find_the_queue_full_are_counted_and_never_wait() {
        let (lines, waiting) = sync_channel(2);
        let mut entrance = Entrance { lines: lines.clone(), dropped: Counter::default() };
        for n in 0..5 {
            entrance.write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        assert_eq!(entrance.dropped.get(), 3);
        drop((entrance, lines));
        let mut written = Vec::new();
        write_all(&waiting, &mut written);
        assert_eq!(String::from_utf8(written).unwrap(), "line 0\nline 1\n");
    }
}
