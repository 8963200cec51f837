//! jemalloc, through its control interface (jemalloc.net/jemalloc.3.html, "MALLCTL NAMESPACE"). Only typed, safe calls.

use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use tikv_jemalloc_ctl::{Access, AsName, arenas, background_thread, epoch, opt, profiling, stats};

use super::{NoProfile, OptionInForce, Statistics};

/// The name on pages.
pub const NAME: &str = "jemalloc";

/// What `.cargo/config.toml` has compiled in. A wrong name there would be ignored without a word, so it is read back.
const EXPECTED: [(&str, &str); 4] = [("narenas", "2"), ("background_thread", "true"), ("dirty_decay_ms", "1000"), ("muzzy_decay_ms", "0")];

/// The file a profile is written into before it is read.
const FILE: &str = "heap";

/// Where a profile goes on its way.
struct Place {
    directory: PathBuf,
    /// The file's path as jemalloc takes it, with a zero at the end.
    name: &'static [u8],
}

/// What jemalloc holds now; `None` when it does not tell.
pub fn statistics() -> Option<Statistics> {
    // Figures are those of the last epoch.
    epoch::advance().ok()?;
    let figure = |read: tikv_jemalloc_ctl::Result<usize>| read.ok().map(|bytes| bytes as u64);
    Some(Statistics {
        allocated: figure(stats::allocated::read())?,
        active: figure(stats::active::read())?,
        metadata: figure(stats::metadata::read())?,
        resident: figure(stats::resident::read())?,
        mapped: figure(stats::mapped::read())?,
        retained: figure(stats::retained::read())?,
    })
}

/// Allocations so far; `None` when it does not tell. What a thread takes from its own cache is counted when that is next filled or emptied.
pub fn allocations() -> Option<u64> {
    epoch::advance().ok()?;
    // 4096 stands for all arenas.
    let requests = |key: &'static str| -> Option<u64> { key.name().read().ok() };
    Some(requests("stats.arenas.4096.small.nrequests\0")? + requests("stats.arenas.4096.large.nrequests\0")?)
}

/// Gives all free pages back to the system; `false` when an arena refused.
///
/// A decay time of 0 purges an arena at once; then its time is set back. (`arena.<i>.purge` takes no value, and no safe call goes without one.)
pub fn purge() -> bool {
    let Ok(count) = arenas::narenas::read() else { return false };
    let mut purged = false;
    for arena in 0..count {
        let key = format!("arena.{arena}.dirty_decay_ms\0");
        let name = key.as_str().name();
        // An arena that was never used is not there, and holds nothing.
        let Ok(before) = Access::<isize>::read(name) else { continue };
        purged = name.write(0_isize).is_ok();
        if name.write(before).is_err() || !purged {
            return false;
        }
    }
    purged
}

/// The options that matter here, as they are in force.
pub fn options() -> Vec<OptionInForce> {
    let decay = |key: &'static str| -> Option<String> {
        let value: isize = key.name().read().ok()?;
        Some(value.to_string())
    };
    let value_of = |name: &str| match name {
        "narenas" => opt::narenas::read().ok().map(|count| count.to_string()),
        "background_thread" => background_thread::read().ok().map(|on| on.to_string()),
        "dirty_decay_ms" => decay("opt.dirty_decay_ms\0"),
        _ => decay("opt.muzzy_decay_ms\0"),
    };
    let in_force = |(name, expected): (&'static str, &'static str)| {
        let value = value_of(name)?;
        let expected = (value != expected).then_some(expected);
        Some(OptionInForce { name, value, expected })
    };
    let profiling = profiling::prof::read().ok().map(|on| OptionInForce { name: "prof", value: on.to_string(), expected: None });
    EXPECTED.into_iter().filter_map(in_force).chain(profiling).collect()
}

/// The profile of the heap in jemalloc's own format, which `jeprof` reads.
///
/// # Errors
/// When profiling was not started, or its file cannot be written or read.
pub fn heap_profile() -> Result<Vec<u8>, NoProfile> {
    if !profiling::prof::read().unwrap_or(false) {
        return Err(NoProfile::NotStarted);
    }
    let place = Place::of_process();
    let failed = |error: &dyn std::fmt::Display| NoProfile::Failed(error.to_string());
    // Made anew each time and only for this user: whoever made it before us gets nothing.
    DirBuilder::new().mode(0o700).create(&place.directory).map_err(|error| failed(&error))?;
    let dumped = "prof.dump\0".name().write(place.name).map_err(|error| failed(&error));
    let profile = dumped.and_then(|()| fs::read(place.directory.join(FILE)).map_err(|error| failed(&error)));
    // What stays behind makes the next attempt fail, and say so.
    let _stays = fs::remove_dir_all(&place.directory);
    profile
}

// === impl Place ===

impl Place {
    /// Made once: jemalloc takes only names that live as long as the process.
    fn of_process() -> &'static Self {
        static PLACE: OnceLock<Place> = OnceLock::new();
        PLACE.get_or_init(|| {
            let unguessable = RandomState::new().hash_one(std::process::id());
            let directory = std::env::temp_dir().join(format!("collector-heap-{unguessable:016x}"));
            let mut name = directory.join(FILE).into_os_string().into_vec();
            name.push(0);
            Self { directory, name: name.leak() }
        })
    }
}
