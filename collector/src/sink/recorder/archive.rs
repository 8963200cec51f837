//! The recorder's files: `<dir>/<kind>/<exchange>.<market_type>/<symbol>/<YYYY-MM-DD>/<UTC start>-<n>.ndjson.gz`.
//!
//! Owns: their names, which one a stream writes now, how much all take, the removal of the oldest, what a crash left at the end of one.
//! Must not know: when something is written, what a line says. The [`Disk`] is a seam: tests put a slow or full one behind it.

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::segment;
use crate::utc;

/// Files that are kept at most, so that the list of them is bounded; then the oldest is removed.
pub(crate) const FILES_MOST: usize = 10_000;
const ENDING: &str = ".ndjson.gz";

/// What the recorder does to files.
pub(crate) trait Disk: Send + Sync {
    /// Appends to the file, beginning it (and its directories) if it must not be there yet. On failure nothing is left of the attempt, if that can be had.
    fn append(&self, path: &Path, begin: bool, bytes: &[u8]) -> io::Result<()>;
    /// What was written is on the disk.
    fn settle(&self, path: &Path) -> io::Result<()>;
    /// Removes the file, and its directory when it was the last.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The real one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealDisk;

/// Bounds of files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of all.
    pub(crate) total: u64,
    /// Bytes of one.
    pub(crate) file: u64,
    /// From the begin of one to the begin of the next, milliseconds.
    pub(crate) age_ms: i64,
    /// Directories between the root and a file.
    pub(crate) depth: usize,
}

/// The files, shared by the writers.
pub(crate) struct Archive<D> {
    disk: D,
    root: PathBuf,
    bounds: Bounds,
    index: Mutex<Index>,
}

/// What is known of all files.
#[derive(Debug, Default)]
struct Index {
    /// Oldest first.
    files: VecDeque<Entry>,
    bytes: u64,
    /// By stream: the file it writes now.
    open: Vec<Option<Open>>,
    /// Numbers the files of this run.
    running: u64,
}

#[derive(Debug)]
struct Entry {
    started: i64,
    path: PathBuf,
    bytes: u64,
}

#[derive(Clone, Debug)]
struct Open {
    path: PathBuf,
    day: i64,
    started: i64,
    bytes: u64,
}

/// Where a chunk goes: its stream and that stream's directory below the root, its day, unix ms now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination<'a> {
    pub(crate) stream: usize,
    pub(crate) dir: &'a str,
    pub(crate) day: i64,
    pub(crate) now_ms: i64,
}

/// What writing led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turnover {
    /// A file was finished.
    pub(crate) rotated: bool,
    /// Old files that were removed.
    pub(crate) removed: u64,
    /// Old files that could not be.
    pub(crate) stuck: u64,
}

/// What a crash had left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Files whose end was cut.
    pub(crate) torn: u64,
    /// Bytes that were cut off.
    pub(crate) bytes: u64,
}

// === impl RealDisk ===

impl Disk for RealDisk {
    fn append(&self, path: &Path, begin: bool, bytes: &[u8]) -> io::Result<()> {
        if begin && let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new().append(true).create_new(begin).open(path)?;
        let before = file.metadata()?.len();
        file.write_all(bytes).inspect_err(|_| {
            // A member cut short would hide those after it; if this fails too, the file is left as it is and not written again.
            let _left_as_it_is = file.set_len(before);
        })
    }

    fn settle(&self, path: &Path) -> io::Result<()> {
        OpenOptions::new().append(true).open(path)?.sync_data()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)?;
        if let Some(dir) = path.parent() {
            // It stays while other files are in it.
            let _not_empty = fs::remove_dir(dir);
        }
        Ok(())
    }
}

// === impl Archive ===

impl<D: Disk> Archive<D> {
    /// The files below `root`, of which those that a crash can have torn are made whole.
    pub(crate) fn open(disk: D, root: PathBuf, bounds: Bounds, streams: usize) -> io::Result<(Self, Recovered)> {
        let mut files = Vec::new();
        walk(&root, bounds.depth, &mut files)?;
        let recovered = recover(&mut files)?;
        files.sort_by(|one, other| (one.started, &one.path).cmp(&(other.started, &other.path)));
        let bytes = files.iter().map(|file| file.bytes).sum();
        let index = Index { files: files.into(), bytes, open: vec![None; streams], running: 0 };
        Ok((Self { disk, root, bounds, index: Mutex::new(index) }, recovered))
    }

    /// Appends a member; a stream's members come one at a time.
    pub(crate) fn write(&self, to: Destination<'_>, member: &[u8]) -> io::Result<Turnover> {
        let size = member.len() as u64;
        let mut turnover = Turnover::default();
        let open = self.lock().open.get(to.stream).cloned().flatten();
        let fits = |open: &Open| open.day == to.day && open.bytes + size <= self.bounds.file && to.now_ms - open.started < self.bounds.age_ms;
        let current = match open {
            Some(open) if fits(&open) => Some(open),
            Some(old) => {
                self.close(to.stream);
                self.disk.settle(&old.path)?;
                turnover.rotated = true;
                None
            }
            None => None,
        };
        self.make_room(size, &mut turnover);
        // Room may have been made by removing this very file.
        let current = current.filter(|_| self.lock().open.get(to.stream).is_some_and(Option::is_some));
        let path = current.as_ref().map_or_else(|| self.new_path(to), |open| open.path.clone());
        match self.disk.append(&path, current.is_none(), member) {
            Ok(()) => {
                self.lock().grew(to, path, size);
                Ok(turnover)
            }
            Err(error) => {
                // The next attempt begins a new file.
                self.close(to.stream);
                Err(error)
            }
        }
    }

    /// Finishes all files.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let open: Vec<Open> = self.lock().open.iter_mut().filter_map(Option::take).collect();
        open.iter().try_for_each(|open| self.disk.settle(&open.path))
    }

    /// Removes what is over the bounds.
    pub(crate) fn tidy(&self) -> Turnover {
        let mut turnover = Turnover::default();
        self.make_room(0, &mut turnover);
        turnover
    }

    /// Files, and their bytes.
    pub(crate) fn size(&self) -> (usize, u64) {
        let index = self.lock();
        (index.files.len(), index.bytes)
    }

    fn make_room(&self, size: u64, turnover: &mut Turnover) {
        loop {
            let Some(oldest) = self.lock().over(self.bounds.total.saturating_sub(size)) else { return };
            match self.disk.remove(&oldest) {
                Ok(()) => turnover.removed += 1,
                Err(_) => turnover.stuck += 1,
            }
        }
    }

    fn new_path(&self, to: Destination<'_>) -> PathBuf {
        let mut index = self.lock();
        index.running += 1;
        let name = format!("{}-{:06}{ENDING}", utc::stamp(to.now_ms), index.running);
        [&self.root, Path::new(to.dir), Path::new(&utc::day(to.day)), Path::new(&name)].iter().collect()
    }

    fn close(&self, stream: usize) {
        if let Some(open) = self.lock().open.get_mut(stream) {
            *open = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        // The index is consistent between any two statements: a panic elsewhere does not spoil it.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Index ===

impl Index {
    /// The oldest file, taken out, while there is more than allowed.
    fn over(&mut self, most: u64) -> Option<PathBuf> {
        if self.bytes <= most && self.files.len() <= FILES_MOST {
            return None;
        }
        let oldest = self.files.pop_front()?;
        self.bytes -= oldest.bytes;
        for open in &mut self.open {
            if open.as_ref().is_some_and(|open| open.path == oldest.path) {
                *open = None;
            }
        }
        Some(oldest.path)
    }

    fn grew(&mut self, to: Destination<'_>, path: PathBuf, size: u64) {
        self.bytes += size;
        match self.files.iter_mut().rev().find(|entry| entry.path == path) {
            Some(entry) => entry.bytes += size,
            None => self.files.push_back(Entry { started: to.now_ms, path: path.clone(), bytes: size }),
        }
        let Some(open) = self.open.get_mut(to.stream) else { return };
        match open {
            Some(open) => open.bytes += size,
            None => *open = Some(Open { path, day: to.day, started: to.now_ms, bytes: size }),
        }
    }
}

/// All files of ours, so many directories down.
fn walk(dir: &Path, depth: usize, files: &mut Vec<Entry>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() && depth > 0 {
            walk(&path, depth - 1, files)?;
        } else if kind.is_file() && depth == 0 {
            let started = entry.file_name().to_str().and_then(|name| utc::of_stamp(name.strip_suffix(ENDING)?.split('-').next()?));
            if let Some(started) = started {
                files.push(Entry { started, path, bytes: entry.metadata()?.len() });
            }
        }
    }
    Ok(())
}

/// Cuts torn ends off. Only the newest file of a stream can have one: the others were finished before the next was begun.
fn recover(files: &mut [Entry]) -> io::Result<Recovered> {
    let mut recovered = Recovered::default();
    let symbol_of = |entry: &Entry| entry.path.ancestors().nth(2).map(Path::to_path_buf);
    files.sort_by(|one, other| (symbol_of(one), one.started, &one.path).cmp(&(symbol_of(other), other.started, &other.path)));
    for place in 0..files.len() {
        let (this, rest) = files.split_at_mut(place + 1);
        let Some(this) = this.last_mut() else { continue };
        if rest.first().is_some_and(|next| symbol_of(next) == symbol_of(this)) {
            continue;
        }
        let file = OpenOptions::new().read(true).write(true).open(&this.path)?;
        let (sound, size) = segment::sound_length(&file)?;
        if sound < size {
            file.set_len(sound)?;
            this.bytes = sound;
            recovered.torn += 1;
            recovered.bytes += size - sound;
        }
    }
    Ok(recovered)
}
