//! Recovery: how long every book takes to be in step again after each kind of fault, and the spool to be empty after NATS was away.
//!
//! One fault after the other hits all venues at once; the page is looked at every few milliseconds. A fault that takes no book out of step says so.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::deeds::Deed;
use super::rig::Rig;
use super::{Plan, look::Tally};

/// A fault as the simulator's control endpoint takes it, what is meant by it, and for how long it is looked for what it does.
type Case = (&'static str, &'static str, u64);

const CASES: [Case; 12] = [
    ("a lost update", r#"[{"kind":"drop_diff"}]"#, 4),
    ("an update twice", r#"[{"kind":"duplicate_diff"}]"#, 4),
    ("two updates swapped", r#"[{"kind":"reorder_diff"}]"#, 4),
    ("a frame that cannot be read", r#"[{"kind":"malformed_frame"}]"#, 4),
    ("connections reset", r#"[{"kind":"tcp_reset"}]"#, 8),
    ("a frame cut by the end of its connection", r#"[{"kind":"cut_frame"}]"#, 8),
    ("connections closed in order", r#"[{"kind":"close"}]"#, 8),
    ("an end that was announced", r#"[{"kind":"server_shutdown","for":"2s"}]"#, 8),
    ("reset, and new connections refused for 2 s", r#"[{"kind":"refuse_connect","for":"2s"},{"kind":"tcp_reset"}]"#, 15),
    ("a lost update, REST answers 500 twice", r#"[{"kind":"drop_diff"},{"kind":"rest_500","count":2}]"#, 12),
    ("a lost update, REST takes 1 s", r#"[{"kind":"drop_diff"},{"kind":"rest_slow","delay":"1s"}]"#, 8),
    ("connections half-open for 3 s", r#"[{"kind":"half_open","for":"3s"}]"#, 10),
];
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);
/// How long NATS is away.
const AWAY: Duration = Duration::from_secs(5);
/// For anything to be well again, at most.
const PATIENCE: Duration = Duration::from_mins(2);

/// When books were out of step, after the fault.
#[derive(Debug, Default)]
struct Seen {
    /// Books out of step at the most.
    books: usize,
    first: Option<Duration>,
    /// All are in step again.
    back: Option<Duration>,
}

/// Runs all cases and prints the table.
pub(crate) fn run(plan: &Plan<'_>) -> Result<()> {
    let mut rig = Rig::start(plan)?;
    println!("recovery: {} books on all venues, every fault hits all of them at once", rig.books());
    println!("  {:<46} {:>17} {:>14} {:>16}", "fault", "books out of step", "first after ms", "all back after ms");
    for (word, faults, seconds) in CASES {
        rig.fault(faults)?;
        let seen = watch(&rig, Duration::from_secs(seconds))?;
        let ms = |time: Option<Duration>| time.map_or_else(|| "–".to_owned(), |time| time.as_millis().to_string());
        println!("  {word:<46} {:>17} {:>14} {:>16}", seen.books, ms(seen.first), ms(seen.back));
        rig.carry_out(Deed::Clear, 0)?;
        wait(&rig, |tally, books| tally.books_in_step == books).context("books do not come back")?;
        sleep(Duration::from_secs(2));
    }
    for (word, cycle) in [("killed", 0), ("stopped", 1)] {
        rig.carry_out(Deed::NatsAway, cycle)?;
        sleep(AWAY);
        let spooled = rig.tally().spooled;
        rig.carry_out(Deed::NatsBack, cycle)?;
        let took = wait(&rig, |tally, _| tally.spooled == 0.0 && tally.nats_connected > 0.0).context("the spool is not drained")?;
        println!("  NATS {word} for {} s: {spooled:.0} records in the spool, drained {} ms after it was back", AWAY.as_secs(), took.as_millis());
        sleep(Duration::from_secs(3));
    }
    let dir = rig.dir();
    rig.end()?;
    fs::remove_dir_all(dir)?;
    Ok(())
}

/// Looks for what the fault does for `length`, and until it is over.
fn watch(rig: &Rig, length: Duration) -> Result<Seen> {
    let (begun, mut seen) = (Instant::now(), Seen::default());
    while begun.elapsed() < length || seen.first.is_some() && seen.back.is_none() {
        let out = rig.books().saturating_sub(rig.tally().books_in_step);
        let at = begun.elapsed();
        seen.books = seen.books.max(out);
        if out > 0 {
            seen.first.get_or_insert(at);
            seen.back = None;
        } else if seen.first.is_some() {
            seen.back.get_or_insert(at);
        }
        anyhow::ensure!(at < PATIENCE, "{out} books are still out of step");
        sleep(LOOK);
    }
    Ok(seen)
}

/// Waits for the page to say so; how long it took.
fn wait(rig: &Rig, holds: impl Fn(&Tally, usize) -> bool) -> Result<Duration> {
    let begun = Instant::now();
    while !holds(&rig.tally(), rig.books()) {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "not within {} s", PATIENCE.as_secs());
        sleep(LOOK);
    }
    Ok(begun.elapsed())
}
