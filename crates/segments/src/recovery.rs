//! What a segment file holds after a crash or a flaw of the disk, and how the directory is made sound again. Must not know: appending, readers.
use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::atomic::write_atomic;
use crate::disk::Disk;
use crate::examine::examine;
use crate::frame::FILE_HEADER_BYTES;

/// The ending of a segment file's name; before it stand twenty digits, its first record's number.
const ENDING: &str = ".seg";

/// What a file set aside is called after, before its number.
const CORRUPT: &str = ".corrupt-";

/// Files set aside that are kept, per directory; the oldest go first.
const MAX_QUARANTINED: usize = 4;

/// What opening found wrong and did about it; nothing of it kept the log from opening.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Each thing found, in order of file.
    pub troubles: Vec<Trouble>,
}

/// One thing wrong with a file.
#[derive(Debug)]
pub enum Trouble {
    /// The last write was cut short; those bytes, which no fsync had confirmed, were cut off.
    TornTail {
        /// The file.
        file: PathBuf,
        /// Bytes cut off.
        bytes: u64,
    },
    /// Damaged bytes within a file: it was set aside, its good records were kept.
    Quarantined {
        /// The file as it was called.
        file: PathBuf,
        /// What it is called now.
        aside: PathBuf,
        /// Records kept.
        kept: u64,
        /// Damaged bytes.
        damaged_bytes: u64,
    },
    /// The file could not be read or repaired; what of it can be read is used, and it is not written again.
    Unrepaired {
        /// The file.
        file: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

/// A segment file as recovery left it.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    /// The number after its last record.
    pub(crate) next: u64,
    pub(crate) records: u64,
    /// Its sound bytes.
    pub(crate) bytes: u64,
    /// Whether its sound bytes are all there is.
    pub(crate) appendable: bool,
}

// === impl Recovery ===

impl Recovery {
    /// Whether every file was as it should be.
    pub fn is_clean(&self) -> bool {
        self.troubles.is_empty()
    }
}

// === impl Trouble ===

impl Trouble {
    /// The trouble's name in logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::TornTail { .. } => "torn_tail",
            Self::Quarantined { .. } => "quarantined",
            Self::Unrepaired { .. } => "unrepaired",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TornTail { file, bytes } => write!(f, "{}: torn tail of {bytes} bytes cut off", file.display()),
            Self::Quarantined { file, aside, kept, damaged_bytes } => {
                write!(f, "{}: {damaged_bytes} damaged bytes; set aside as {}, {kept} records kept", file.display(), aside.display())
            }
            Self::Unrepaired { file, error } => write!(f, "{}: could not be repaired: {error}", file.display()),
        }
    }
}

/// The path of the segment whose first record is `first`.
pub(crate) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}{ENDING}"))
}

/// Makes every segment of the directory sound; the segments in order.
pub(crate) fn recover(dir: &Path, disk: &dyn Disk) -> io::Result<(VecDeque<Segment>, Recovery)> {
    let mut recovery = Recovery::default();
    finish_interrupted_repairs(dir, disk)?;
    let mut firsts: Vec<u64> = names(dir)?.iter().filter_map(|name| segment_number(name)).collect();
    firsts.sort_unstable();
    let segments = firsts.into_iter().filter_map(|first| recover_segment(dir, disk, first, &mut recovery)).collect();
    drop_old_quarantine(dir, disk)?;
    Ok((segments, recovery))
}

/// A repair writes the sound copy first, then sets the damaged file aside, then gives the copy its name. A copy without a file of its name was
/// interrupted before the last step; beside a file it is unfinished. Files that were being replaced atomically are unfinished as well.
fn finish_interrupted_repairs(dir: &Path, disk: &dyn Disk) -> io::Result<()> {
    for name in names(dir)? {
        if name.ends_with(crate::atomic::ENDING) {
            disk.remove(&dir.join(&name)).ok();
        }
        let Some(first) = name.strip_suffix(".copy").and_then(segment_number) else { continue };
        let (copy, file) = (dir.join(&name), segment_path(dir, first));
        let outcome = if file.exists() { disk.remove(&copy) } else { disk.rename(&copy, &file) };
        // What cannot be changed on a read-only disk is left as it is.
        outcome.ok();
    }
    Ok(())
}

fn recover_segment(dir: &Path, disk: &dyn Disk, first: u64, recovery: &mut Recovery) -> Option<Segment> {
    let file = segment_path(dir, first);
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) => {
            recovery.troubles.push(Trouble::Unrepaired { file, error });
            return None;
        }
    };
    let examined = examine(&bytes, first);
    let records = examined.frames.len() as u64;
    let mut segment = Segment { first, next: examined.next, records, bytes: examined.sound_end as u64, appendable: true };
    let repaired = if examined.damaged_bytes > 0 {
        quarantine(dir, disk, &file, &examined.sound_copy(&bytes, first)).map(|aside| {
            segment.bytes = examined.sound_bytes();
            let damaged_bytes = examined.damaged_bytes as u64;
            Some(Trouble::Quarantined { file: file.clone(), aside, kept: segment.records, damaged_bytes })
        })
    } else if examined.torn_bytes > 0 {
        let cut = disk.open(&file).and_then(|mut open| open.truncate(examined.sound_end as u64).and_then(|()| open.sync()));
        cut.map(|()| Some(Trouble::TornTail { file: file.clone(), bytes: examined.torn_bytes as u64 }))
    } else {
        Ok(None)
    };
    segment.appendable = repaired.is_ok() && segment.bytes >= FILE_HEADER_BYTES as u64;
    recovery.troubles.extend(repaired.unwrap_or_else(|error| Some(Trouble::Unrepaired { file, error })));
    Some(segment)
}

/// Sets a damaged file aside and, when `copy` holds anything, puts that in its place; the new name of the damaged one.
fn quarantine(dir: &Path, disk: &dyn Disk, file: &Path, copy: &[u8]) -> io::Result<PathBuf> {
    let beside = with_ending(file, ".copy");
    write_atomic(disk, &beside, copy)?;
    let aside = set_aside(disk, file)?;
    disk.rename(&beside, file)?;
    disk.sync_dir(dir)?;
    Ok(aside)
}

/// Renames a damaged file to `….corrupt-N`, N higher than any in the directory, so that the numbers tell which came first.
pub(crate) fn set_aside(disk: &dyn Disk, file: &Path) -> io::Result<PathBuf> {
    let taken = names(file.parent().unwrap_or(Path::new(".")))?;
    let number = taken.iter().filter_map(|name| quarantine_number(name)).max().map_or(1, |highest| highest.saturating_add(1));
    let aside = with_ending(file, &format!("{CORRUPT}{number}"));
    disk.rename(file, &aside)?;
    Ok(aside)
}

fn quarantine_number(name: &str) -> Option<u64> {
    name.rsplit_once(CORRUPT)?.1.parse().ok()
}

fn with_ending(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    file.with_file_name(name)
}

pub(crate) fn drop_old_quarantine(dir: &Path, disk: &dyn Disk) -> io::Result<()> {
    let numbered = |name: String| quarantine_number(&name).map(|number| (number, name));
    let mut aside: Vec<(u64, String)> = names(dir)?.into_iter().filter_map(numbered).collect();
    aside.sort_unstable();
    let surplus = aside.len().saturating_sub(MAX_QUARANTINED);
    for (_, name) in aside.iter().take(surplus) {
        // A file that cannot be removed today is tried again at the next opening.
        disk.remove(&dir.join(name)).ok();
    }
    Ok(())
}

pub(crate) fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(ENDING)?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}
