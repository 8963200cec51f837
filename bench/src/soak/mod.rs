//! The soak: the collector for minutes or hours between fake venues and a real NATS server, while everything around it goes wrong.
//!
//! A cycle of two minutes holds every deed once (`deeds`) and ends in calm. The first cycles are the warm-up; what the collector holds in the calm
//! after them is the base. It fails on the limits of the original specification (`verdict`): peak, descriptors, growth, and whatever does not
//! come back to its base.

mod deeds;
mod look;
pub(crate) mod recovery;
mod rig;
mod verdict;

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use deeds::Deed;
use look::{Look, Tally};
use rig::Rig;

/// Length of a cycle of deeds: after the last one there is time for the longest wait before a new connection, which is a minute.
pub(crate) const CYCLE: Duration = Duration::from_mins(2);
/// The end of a cycle, in which nothing is done.
const CALM: Duration = Duration::from_secs(12);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// Rows that are printed at most, beside those in which something was done.
const ROWS: u32 = 120;

/// What to soak.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// Directory with collector and venue-sim.
    pub(crate) bin_dir: &'a Path,
    /// Directory with the real nats-server.
    pub(crate) tools: &'a Path,
    /// Length of the whole.
    pub(crate) length: Duration,
    /// Exchanges to play.
    pub(crate) exchanges: &'a [String],
}

/// What is kept of the looks.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// Looks at calm moments, with their cycle, from 0.
    pub(crate) calm: Vec<(u32, Look)>,
    /// MB at the peak of all.
    pub(crate) peak_mb: f64,
    /// The most descriptors of all.
    pub(crate) descriptors: usize,
    /// Series of symbols before anything was done.
    pub(crate) of_symbols: usize,
}

/// Runs the soak and prints table and verdict.
pub(crate) fn run(plan: &Plan<'_>) -> Result<()> {
    let cycles = u32::try_from(plan.length.as_secs() / CYCLE.as_secs()).unwrap_or(u32::MAX);
    if cycles < 2 {
        bail!("a soak has at least {} minutes: one cycle to warm up, one to measure", CYCLE.as_secs() / 30);
    }
    let warm_up = cycles.div_ceil(4).min(10);
    let mut rig = Rig::start(plan)?;
    println!("soak: {} books, {cycles} cycles of {} s, the first {warm_up} to warm up", rig.books(), CYCLE.as_secs());
    println!("{}", look::HEADER);
    let began = Instant::now();
    let (mut course, mut done) = (Course::default(), 0);
    let print_every = (plan.length / ROWS).max(LOOK * 2);
    let mut printed: Option<Duration> = None;
    let (script, mut messages) = (deeds::script(), look::Meter::default());
    course.of_symbols = rig.look()?.tally.of_symbols;
    while began.elapsed() < CYCLE * cycles {
        let at = began.elapsed();
        let cycle = u32::try_from(at.as_secs() / CYCLE.as_secs()).unwrap_or(u32::MAX);
        let within = at.saturating_sub(CYCLE * cycle);
        let mut words = Vec::new();
        // Deeds are counted through all cycles, so that a slow look delays one and skips none.
        while let Some((due, deed)) = script.get(done % script.len()).map(|(due, deed)| (CYCLE * round(done, &script) + *due, *deed))
            && due <= at
        {
            words.push(rig.carry_out(deed, round(done, &script))?);
            done += 1;
        }
        let look = rig.look()?;
        if !words.is_empty() || printed.is_none_or(|last| at >= last + print_every) {
            println!("{}", look.row(at, messages.rate(at, look.tally.messages), &words.join(", ")));
            printed = Some(at);
        }
        course.take(look, (within >= CYCLE.saturating_sub(CALM)).then_some(cycle));
        sleep(LOOK.saturating_sub(began.elapsed().saturating_sub(at)));
    }
    let dir = rig.dir();
    let ending = rig.end()?;
    verdict::judge(&course, (warm_up, cycles), &ending).with_context(|| format!("logs are in {}", dir.display()))?;
    fs::remove_dir_all(dir)?;
    Ok(())
}

// === impl Course ===

impl Course {
    fn take(&mut self, look: Look, calm: Option<u32>) {
        self.peak_mb = self.peak_mb.max(look.process.peak_mb);
        self.descriptors = self.descriptors.max(look.descriptors);
        self.calm.extend(calm.map(|cycle| (cycle, look)));
    }

    /// The looks in the calm of a cycle.
    fn of(&self, cycle: u32) -> Vec<&Look> {
        self.calm.iter().filter(|(at, _)| *at == cycle).map(|(_, look)| look).collect()
    }
}

fn round(done: usize, script: &[(Duration, Deed)]) -> u32 {
    u32::try_from(done / script.len()).unwrap_or(u32::MAX)
}

/// How the collector ended.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Exit code after SIGTERM, `None` when it had to be killed.
    pub(crate) exit: Option<i32>,
    /// The last page, before the end.
    pub(crate) last: Tally,
    /// `/health` at the end: status code and word.
    pub(crate) health: String,
    /// Books there should be.
    pub(crate) books: usize,
}
