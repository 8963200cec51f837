//! The blocks of a directory: which there are, adding, joining, removing, and setting damaged ones aside. Must not know: what they hold, who reads them.
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::block::{Block, BlockEntry, BlockIndex, BlockWriter, Span, rescue};
use crate::disk::Disk;
use crate::recovery::{Recovery, Trouble, drop_old_quarantine, names, set_aside};

const ENDING: &str = ".blk";
/// The ending of a copy of what is sound in a damaged block, before it takes its place.
const COPY: &str = ".rescue";

/// The blocks of a directory, oldest first.
#[derive(Debug)]
pub struct BlockDir {
    dir: PathBuf,
    disk: Box<dyn Disk>,
    blocks: Vec<Arc<Block>>,
    next: u64,
}

// === impl BlockDir ===

impl BlockDir {
    /// Opens the directory (made when absent). Unfinished files are removed; a block whose index is damaged is set aside and what is sound of it is kept.
    ///
    /// # Errors
    /// When the directory cannot be made or listed.
    pub fn open(disk: Box<dyn Disk>, dir: &Path) -> io::Result<(Self, Recovery)> {
        fs::create_dir_all(dir)?;
        let mut recovery = Recovery::default();
        let mut found = Vec::new();
        for name in names(dir)? {
            if name.ends_with(crate::atomic::ENDING) || name.ends_with(COPY) {
                // What cannot be removed today is tried again at the next opening.
                disk.remove(&dir.join(&name)).ok();
            }
            found.extend(range_of(&name));
        }
        // A block that stands for others comes before them.
        found.sort_unstable_by_key(|(first, number)| (*first, std::cmp::Reverse(*number)));
        let next = found.iter().map(|(_, number)| number + 1).max().unwrap_or(1);
        let mut blocks = Self { dir: dir.into(), disk, blocks: Vec::new(), next };
        for (first, number) in found {
            let path = blocks.path(first, number);
            match Block::open(&path, number) {
                Ok(block) => blocks.take(block),
                Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                    recovery.troubles.push(blocks.set_right(&path, number));
                }
                Err(error) => recovery.troubles.push(Trouble::Unrepaired { file: path, error }),
            }
        }
        drop_old_quarantine(dir, &*blocks.disk)?;
        Ok((blocks, recovery))
    }

    fn path(&self, first: u64, number: u64) -> PathBuf {
        self.dir.join(format!("{first:020}-{number:020}{ENDING}"))
    }

    /// Adds a block; those it stands for go, and it goes itself when another stands for it.
    fn take(&mut self, block: Block) {
        let covers = |wide: &Block, narrow: &Block| {
            wide.path() != narrow.path() && wide.meta().first <= narrow.meta().first && wide.meta().number >= narrow.meta().number
        };
        if self.blocks.iter().any(|other| covers(other, &block)) {
            // One left over is removed at the next opening.
            self.disk.remove(block.path()).ok();
            return;
        }
        for old in self.blocks.iter().filter(|old| covers(&block, old)) {
            self.disk.remove(old.path()).ok();
        }
        self.blocks.retain(|old| !covers(&block, old) && old.path() != block.path());
        let at = self.blocks.partition_point(|old| old.meta().number < block.meta().number);
        self.blocks.insert(at, Arc::new(block));
    }

    /// Every block, oldest first.
    pub fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }

    /// Bytes of all blocks.
    pub fn bytes(&self) -> u64 {
        self.blocks.iter().map(|block| block.bytes()).sum()
    }

    /// Writes a block of these entries, in order, with the user's tag; whether there was anything to write.
    ///
    /// # Errors
    /// The system's; there is then no such block.
    pub fn add<'e>(&mut self, tag: u64, entries: impl IntoIterator<Item = (&'e [u8], Span, Vec<u8>)>) -> io::Result<bool> {
        let number = self.next;
        let path = self.path(number, number);
        let written = (|| {
            let mut writer = BlockWriter::create(&*self.disk, &path)?;
            for (key, span, body) in entries {
                writer.push(key, span, &body)?;
            }
            writer.finish(number, number, tag)
        })();
        self.settle(&path, written)
    }

    /// Joins blocks that stand next to each other, `first` to `last` by number, into one; bodies of one key are joined in the order of the blocks.
    ///
    /// # Errors
    /// The system's, and a damaged entry; everything then stands as before.
    pub fn join(&mut self, first: u64, last: u64) -> io::Result<bool> {
        let within = |block: &&Arc<Block>| (first..=last).contains(&block.meta().number);
        let sources: Vec<Arc<Block>> = self.blocks.iter().filter(within).cloned().collect();
        let indexes = sources.iter().map(|block| block.index()).collect::<io::Result<Vec<BlockIndex>>>()?;
        let mut by_key: BTreeMap<&[u8], Vec<(usize, BlockEntry<'_>)>> = BTreeMap::new();
        for (at, index) in indexes.iter().enumerate() {
            for entry in index.entries() {
                by_key.entry(entry.key).or_default().push((at, entry));
            }
        }
        let meta = |block: Option<&Arc<Block>>| block.map(|block| block.meta());
        let (Some(oldest), Some(newest)) = (meta(sources.first()), meta(sources.last())) else { return Ok(false) };
        if oldest.number == newest.number {
            return Ok(false);
        }
        // The newest of them gives it number and tag.
        let path = self.path(oldest.first, newest.number);
        let written = (|| {
            let mut writer = BlockWriter::create(&*self.disk, &path)?;
            for (key, parts) in &by_key {
                let mut body = Vec::new();
                let mut span = Span { from: i64::MAX, to: i64::MIN };
                for (at, entry) in parts {
                    body.extend(indexes.get(*at).map(|index| index.body(entry)).transpose()?.unwrap_or_default());
                    span = span.with(entry.span);
                }
                writer.push(key, span, &body)?;
            }
            writer.finish(newest.number, oldest.first, newest.tag)
        })();
        self.settle(&path, written)
    }

    fn settle(&mut self, path: &Path, written: io::Result<Option<Block>>) -> io::Result<bool> {
        match written {
            Ok(Some(block)) => {
                self.next = self.next.max(block.meta().number + 1);
                self.take(block);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => {
                let mut name = path.file_name().unwrap_or_default().to_owned();
                name.push(crate::atomic::ENDING);
                // A file left over is removed at the next opening.
                self.disk.remove(&path.with_file_name(name)).ok();
                Err(error)
            }
        }
    }

    /// Removes the oldest block.
    ///
    /// # Errors
    /// The system's.
    pub fn remove_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.blocks.first() else { return Ok(()) };
        match self.disk.remove(oldest.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                self.blocks.remove(0);
                Ok(())
            }
        }
    }

    /// Looks at a block that is said to be damaged: sets it aside and keeps what is sound of it. None when it is sound, or gone.
    pub fn repair(&mut self, number: u64) -> Option<Trouble> {
        let block = self.blocks.iter().find(|block| block.meta().number == number)?;
        let path = block.path().to_owned();
        match block.verify() {
            Ok(()) => None,
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => Some(self.set_right(&path, number)),
            Err(error) => Some(Trouble::Unrepaired { file: path, error }),
        }
    }

    fn set_right(&mut self, file: &Path, number: u64) -> Trouble {
        let first = file.file_name().and_then(|name| range_of(name.to_str()?)).map_or(number, |(first, _)| first);
        let repaired = (|| {
            let copy = file.with_extension(COPY.trim_start_matches('.'));
            let (kept, damaged_bytes) = rescue(&*self.disk, file, &copy, (first, number))?;
            let aside = set_aside(&*self.disk, file)?;
            self.blocks.retain(|block| block.path() != file);
            if kept > 0 {
                self.disk.rename(&copy, file)?;
                self.disk.sync_dir(&self.dir)?;
                let block = Block::open(file, number)?;
                self.take(block);
            }
            drop_old_quarantine(&self.dir, &*self.disk)?;
            Ok(Trouble::Quarantined { file: file.into(), aside, kept, damaged_bytes })
        })();
        repaired.unwrap_or_else(|error: io::Error| Trouble::Unrepaired { file: file.into(), error })
    }
}

/// The lowest and the highest number of the blocks in a file of this name.
fn range_of(name: &str) -> Option<(u64, u64)> {
    let (first, number) = name.strip_suffix(ENDING)?.split_once('-')?;
    Some((first.parse().ok()?, number.parse().ok()?))
}
