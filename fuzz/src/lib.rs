//! The hunt for inputs that a reader cannot bear: it panics, takes too much memory or too long, or breaks a promise that the target checks.
//!
//! Owns: mutation of seeds from a number, the corpus of inputs that were answered in a new way, judging a run, making what was found small.
//! Must not know: what is read; the targets are in `tests/hunts`.
//!
//! It runs on a stable compiler as an ordinary test, and a number gives the same hunt every time. `TIDEMARK_FUZZ_SECONDS` hunts for longer,
//! `TIDEMARK_FUZZ_SEED` elsewhere; a run that kills the process (a stack that overflows) leaves its input in the directory that `TIDEMARK_FUZZ_TRACE` names.
#![forbid(unsafe_code)]

mod mutate;
mod shape;

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Once;
use std::time::{Duration, Instant};

use mutate::Mutator;
pub use shape::shape;

/// Something that reads bytes nobody vouches for.
pub struct Target<'t> {
    /// Its name in findings.
    pub name: &'static str,
    /// Inputs that are as they should be, or nearly.
    pub seeds: Vec<Vec<u8>>,
    /// What the grammar is made of.
    pub words: &'static [&'static str],
    /// The most memory that one run may hold at once.
    pub memory: Bound,
    /// Reads an input. What it gives stands for the way it answered ([`shape`]): an input that is answered in a new way is kept and mutated further.
    /// A broken promise is a panic.
    pub run: &'t dyn Fn(&[u8]) -> u64,
}

/// The most bytes of memory for an input.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// For any.
    pub base: usize,
    /// For each byte of it.
    pub each: usize,
}

/// What counts the memory of this thread: only an allocator can.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// Starts anew.
    pub reset: fn(),
    /// The most bytes held at once since then, beside what was held before.
    pub peak: fn() -> usize,
}

/// How long and where to hunt.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Inputs to try, unless `length` says otherwise.
    pub runs: u64,
    /// Hunts for so long instead.
    pub length: Option<Duration>,
    /// What the mutations come from.
    pub seed: u64,
    /// The directory where each input is written before it is tried, under the target's name.
    pub trace: Option<PathBuf>,
}

/// What a hunt without a finding did.
#[derive(Clone, Copy, Debug)]
pub struct Hunted {
    /// Inputs tried.
    pub runs: u64,
    /// Inputs that were answered in a new way.
    pub shapes: usize,
    /// The most memory that a run held.
    pub peak: usize,
}

/// An input that the target cannot bear, made as small as can be.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The target.
    pub target: &'static str,
    /// The input.
    pub input: Vec<u8>,
    /// What happened.
    pub trouble: Trouble,
    /// Which run it was, from 0, of the hunt with this seed.
    pub at: (u64, u64),
}

/// What happened to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It panicked with this message.
    Panic(String),
    /// It held so many bytes, over its bound.
    Memory {
        /// Bytes held.
        held: usize,
        /// The bound.
        bound: usize,
    },
    /// It took so long.
    Slow(Duration),
}

/// The longest input.
const MAX_INPUT: usize = 16 << 10;

/// Inputs kept, at the most.
const MAX_CORPUS: usize = 2_048;

/// A run that takes longer, on the busiest machine, is stuck.
const MAX_TIME: Duration = Duration::from_secs(20);

/// Bytes of an input that are shown.
const SHOWN: usize = 1_000;

/// Runs that may be spent on making a finding small.
const SHRINKING_RUNS: usize = 2_000;

thread_local! {
    /// Whether a panic of this thread is a finding and not a failure.
    static HUNTING: Cell<bool> = const { Cell::new(false) };
}

// === impl Plan ===

impl Plan {
    /// So many runs, unless the environment says otherwise.
    pub fn from_environment(runs: u64) -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
        Self {
            runs,
            length: number("TIDEMARK_FUZZ_SECONDS").map(Duration::from_secs),
            seed: number("TIDEMARK_FUZZ_SEED").unwrap_or(1),
            trace: std::env::var_os("TIDEMARK_FUZZ_TRACE").map(PathBuf::from),
        }
    }
}

// === impl Target ===

impl Target<'_> {
    /// Tries the seeds and then what becomes of them.
    ///
    /// # Errors
    /// The first finding.
    pub fn hunt(&self, plan: &Plan, gauge: Gauge) -> Result<Hunted, Box<Finding>> {
        let start = Instant::now();
        let mut mutator = Mutator::new(plan.seed, self.words);
        let mut corpus: Vec<Vec<u8>> = self.seeds.clone();
        let mut shapes = HashSet::new();
        let mut hunted = Hunted { runs: 0, shapes: 0, peak: 0 };
        loop {
            let over = plan.length.map_or(hunted.runs >= plan.runs, |length| start.elapsed() >= length);
            let seed = self.seeds.get(usize::try_from(hunted.runs).unwrap_or(usize::MAX));
            if over && seed.is_none() {
                return Ok(hunted);
            }
            let input = seed.cloned().unwrap_or_else(|| mutator.next(&corpus, MAX_INPUT));
            if let Some(path) = &plan.trace {
                // Without the file there is only less to look at.
                let _written = std::fs::write(path.join(self.name), &input);
            }
            match self.judge(&input, gauge) {
                Err(trouble) => {
                    let (input, trouble) = self.shrunk(input, trouble, gauge);
                    return Err(Box::new(Finding { target: self.name, input, trouble, at: (hunted.runs, plan.seed) }));
                }
                Ok((shape, peak)) => {
                    hunted.peak = hunted.peak.max(peak);
                    if shapes.insert(shape) {
                        hunted.shapes += 1;
                        if seed.is_none() && corpus.len() < MAX_CORPUS {
                            corpus.push(input);
                        }
                    }
                }
            }
            hunted.runs += 1;
        }
    }

    /// The shape of the answer, and the memory it took.
    fn judge(&self, input: &[u8], gauge: Gauge) -> Result<(u64, usize), Trouble> {
        say_nothing_of_findings();
        let start = Instant::now();
        (gauge.reset)();
        HUNTING.set(true);
        let answer = catch_unwind(AssertUnwindSafe(|| (self.run)(input)));
        HUNTING.set(false);
        let (peak, took) = ((gauge.peak)(), start.elapsed());
        let shape = answer.map_err(|payload| {
            let text = payload.downcast_ref::<String>().cloned().or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Trouble::Panic(text.unwrap_or_default())
        })?;
        let bound = self.memory.base.saturating_add(self.memory.each.saturating_mul(input.len()));
        if peak > bound {
            return Err(Trouble::Memory { held: peak, bound });
        }
        if took > MAX_TIME { Err(Trouble::Slow(took)) } else { Ok((shape, peak)) }
    }

    /// The input without what the trouble does not need.
    fn shrunk(&self, mut input: Vec<u8>, mut trouble: Trouble, gauge: Gauge) -> (Vec<u8>, Trouble) {
        let (mut runs, mut step) = (0, input.len().div_ceil(2));
        while step > 0 && !matches!(trouble, Trouble::Slow(_)) {
            let mut at = 0;
            while at < input.len() && runs < SHRINKING_RUNS {
                let mut shorter = input.clone();
                shorter.drain(at..(at + step).min(input.len()));
                runs += 1;
                match self.judge(&shorter, gauge) {
                    Err(again) if std::mem::discriminant(&again) == std::mem::discriminant(&trouble) => (input, trouble) = (shorter, again),
                    _ => at += step,
                }
            }
            step /= 2;
        }
        (input, trouble)
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).field("seeds", &self.seeds.len()).finish_non_exhaustive()
    }
}

// === impl Finding ===

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (run, seed) = self.at;
        let shown = self.input.get(..SHOWN).unwrap_or(&self.input);
        write!(
            f,
            "{}: {:?} in run {run} of TIDEMARK_FUZZ_SEED={seed}, with {} bytes: b\"{}\"",
            self.target,
            self.trouble,
            self.input.len(),
            shown.escape_ascii()
        )
    }
}

/// A panic that is a finding is told with its input, and once.
fn say_nothing_of_findings() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !HUNTING.get() {
                before(info);
            }
        }));
    });
}
