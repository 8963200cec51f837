//! Files that are written once and read by key: entries, then an index of them. Must not know: what keys and bodies mean, which files there are.
//!
//! ```text
//! file header, frames numbered from 1 (see `frame`), trailer (20): place of the index frame u64, CRC32C of these 8 bytes u32, "TIDEBLK1"
//! entry frame: 0u8, from i64, to i64, key length u32, key, body
//! index frame: 1u8, first number u64, tag u64, then per entry: from i64, to i64, place u64, frame length u32, key length u32, key
//! ```
//! Every entry carries its key, so that a file whose index is damaged is still read by going through its frames.
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::disk::{AppendFile, Disk};
use crate::examine::examine;
use crate::frame::{FILE_HEADER_BYTES, FRAME_HEADER_BYTES, Found, file_header, read_frame, write_frame};

const MAGIC: &[u8; 8] = b"TIDEBLK1";
const TRAILER_BYTES: u64 = 20;
/// The number of the first frame.
const FIRST: u64 = 1;
const ENTRY: u8 = 0;
const INDEX: u8 = 1;
/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// A stretch of time, both ends included; the unit is the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The oldest.
    pub from: i64,
    /// The newest.
    pub to: i64,
}

/// What a block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockMeta {
    /// Its number; blocks with numbers from `first` on are in it and need not be there any more.
    pub number: u64,
    /// The lowest number it stands for.
    pub first: u64,
    /// The user's own.
    pub tag: u64,
    /// What its entries span together.
    pub span: Span,
}

/// A block on disk. Holds no file open and nothing of its contents.
#[derive(Debug)]
pub struct Block {
    path: PathBuf,
    meta: BlockMeta,
    bytes: u64,
    index_at: u64,
}

/// The entries of a block, read from its index.
#[derive(Debug)]
pub struct BlockIndex {
    file: File,
    payload: Vec<u8>,
}

/// One entry, as the index tells of it.
#[derive(Clone, Copy, Debug)]
pub struct BlockEntry<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// What it spans.
    pub span: Span,
    at: u64,
    frame_bytes: u32,
}

/// Writes a block; nothing of it is found before [`finish`](Self::finish).
#[derive(Debug)]
pub struct BlockWriter<'d> {
    disk: &'d dyn Disk,
    path: PathBuf,
    file: Box<dyn AppendFile>,
    buffer: Vec<u8>,
    /// Bytes written, the buffer included.
    written: u64,
    sequence: u64,
    index: Vec<u8>,
    span: Option<Span>,
}

// === impl Span ===

impl Span {
    /// The stretch from the older of both beginnings to the newer of both ends.
    pub fn with(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }
}

// === impl BlockWriter ===

impl<'d> BlockWriter<'d> {
    /// Begins the file beside `path`.
    ///
    /// # Errors
    /// The system's.
    pub fn create(disk: &'d dyn Disk, path: &Path) -> io::Result<Self> {
        let mut file = disk.open(&beside(path))?;
        file.truncate(0)?;
        let buffer = file_header(FIRST).to_vec();
        Ok(Self { disk, path: path.into(), file, written: FILE_HEADER_BYTES as u64, buffer, sequence: FIRST, index: Vec::new(), span: None })
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// The system's.
    pub fn push(&mut self, key: &[u8], span: Span, body: &[u8]) -> io::Result<()> {
        let mut payload = Vec::with_capacity(key.len() + body.len() + 24);
        payload.push(ENTRY);
        payload.extend(span.from.to_le_bytes());
        payload.extend(span.to.to_le_bytes());
        payload.extend(length(key.len())?.to_le_bytes());
        payload.extend(key);
        payload.extend(body);
        let at = self.written;
        let frame_bytes = length(self.frame(&payload)?)?;
        self.index.extend(span.from.to_le_bytes());
        self.index.extend(span.to.to_le_bytes());
        self.index.extend(at.to_le_bytes());
        self.index.extend(frame_bytes.to_le_bytes());
        self.index.extend(length(key.len())?.to_le_bytes());
        self.index.extend(key);
        self.span = Some(self.span.map_or(span, |all| all.with(span)));
        Ok(())
    }

    /// Writes a frame; its bytes.
    fn frame(&mut self, payload: &[u8]) -> io::Result<usize> {
        let before = self.buffer.len();
        write_frame(&mut self.buffer, self.sequence, payload);
        self.sequence += 1;
        let bytes = self.buffer.len() - before;
        self.written += bytes as u64;
        if self.buffer.len() >= BUFFER_BYTES {
            self.file.append(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(bytes)
    }

    /// Ends the file, brings it to the disk and gives it its name. No entry: no block, and no file.
    ///
    /// # Errors
    /// The system's; there is then no block, or (when only the last step failed) one that is perhaps not yet on the disk.
    pub fn finish(mut self, number: u64, first: u64, tag: u64) -> io::Result<Option<Block>> {
        let Some(span) = self.span else {
            self.disk.remove(&beside(&self.path))?;
            return Ok(None);
        };
        let index_at = self.written;
        let mut payload = vec![INDEX];
        payload.extend(first.to_le_bytes());
        payload.extend(tag.to_le_bytes());
        payload.extend(std::mem::take(&mut self.index));
        self.frame(&payload)?;
        self.buffer.extend(index_at.to_le_bytes());
        self.buffer.extend(crc32c::crc32c(&index_at.to_le_bytes()).to_le_bytes());
        self.buffer.extend(MAGIC);
        self.file.append(&self.buffer)?;
        self.file.sync()?;
        self.disk.rename(&beside(&self.path), &self.path)?;
        self.disk.sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
        let bytes = self.written + TRAILER_BYTES;
        Ok(Some(Block { path: self.path, meta: BlockMeta { number, first, tag, span }, bytes, index_at }))
    }
}

// === impl Block ===

impl Block {
    /// Finds a block's end and reads its index once.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::InvalidData`] when trailer or index are damaged or missing.
    pub fn open(path: &Path, number: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut trailer = [0; 20];
        file.read_exact_at(&mut trailer, bytes.checked_sub(TRAILER_BYTES).ok_or_else(|| damaged(path))?)?;
        let index_at = index_place(&trailer).filter(|at| *at < bytes).ok_or_else(|| damaged(path))?;
        let span = Span { from: i64::MAX, to: i64::MIN };
        let mut block = Self { path: path.into(), meta: BlockMeta { number, first: number, tag: 0, span }, bytes, index_at };
        let index = block.index()?;
        let (first, tag) = index.head().ok_or_else(|| damaged(path))?;
        let span = index.entries().map(|entry| entry.span).reduce(Span::with).ok_or_else(|| damaged(path))?;
        block.meta = BlockMeta { number, first, tag, span };
        Ok(block)
    }

    /// What it says of itself.
    pub fn meta(&self) -> BlockMeta {
        self.meta
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of its file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads its index.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn index(&self) -> io::Result<BlockIndex> {
        let file = File::open(&self.path)?;
        let end = self.bytes.saturating_sub(TRAILER_BYTES);
        let mut frame = vec![0; usize::try_from(end.saturating_sub(self.index_at)).unwrap_or(0)];
        file.read_exact_at(&mut frame, self.index_at)?;
        match read_frame(&frame) {
            Found::Frame { payload, .. } if payload.first() == Some(&INDEX) => {
                let payload = payload.to_vec();
                Ok(BlockIndex { file, payload })
            }
            _ => Err(damaged(&self.path)),
        }
    }

    /// Reads everything once.
    ///
    /// # Errors
    /// As [`open`](Self::open), also when an entry is damaged.
    pub fn verify(&self) -> io::Result<()> {
        let index = self.index()?;
        index.entries().try_for_each(|entry| index.body(&entry).map(drop))
    }
}

// === impl BlockIndex ===

impl BlockIndex {
    fn head(&self) -> Option<(u64, u64)> {
        let (first, rest) = self.payload.get(1..)?.split_first_chunk()?;
        let (tag, _) = rest.split_first_chunk()?;
        Some((u64::from_le_bytes(*first), u64::from_le_bytes(*tag)))
    }

    /// The entries in the order in which they were written.
    pub fn entries(&self) -> impl Iterator<Item = BlockEntry<'_>> {
        let mut rest = self.payload.get(17..).unwrap_or(&[]);
        std::iter::from_fn(move || {
            let (entry, after) = index_entry(rest)?;
            rest = after;
            Some(entry)
        })
    }

    /// The body of an entry.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::InvalidData`] when it is damaged.
    pub fn body(&self, entry: &BlockEntry<'_>) -> io::Result<Vec<u8>> {
        let mut frame = vec![0; entry.frame_bytes as usize];
        self.file.read_exact_at(&mut frame, entry.at)?;
        let found = if let Found::Frame { payload, .. } = read_frame(&frame) { parts(payload) } else { None };
        let sound = found.filter(|(key, ..)| *key == entry.key);
        sound.map(|(_, _, body)| body.to_vec()).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a damaged entry"))
    }
}

/// Writes the sound entries of a damaged block as `copy`; how many, and the bytes that were no sound entry. `numbers` are its lowest and highest; the tag is taken from the index when that is sound.
pub(crate) fn rescue(disk: &dyn Disk, damaged: &Path, copy: &Path, numbers: (u64, u64)) -> io::Result<(u64, u64)> {
    let bytes = fs::read(damaged)?;
    let examined = examine(&bytes, FIRST);
    let payloads = || examined.frames.iter().filter_map(|(_, place)| bytes.get(place.clone()));
    let head = payloads().find(|payload| payload.first() == Some(&INDEX)).and_then(|payload| {
        let (first, rest) = payload.get(1..)?.split_first_chunk()?;
        Some((u64::from_le_bytes(*first), u64::from_le_bytes(*rest.first_chunk()?)))
    });
    let mut writer = BlockWriter::create(disk, copy)?;
    let mut kept = 0;
    for (key, span, body) in payloads().filter_map(parts) {
        writer.push(key, span, body)?;
        kept += 1;
    }
    let sound: usize = payloads().map(|payload| FRAME_HEADER_BYTES + payload.len()).sum();
    let (first, number) = numbers;
    writer.finish(number, first, head.map_or(0, |(_, tag)| tag))?;
    Ok((kept, (bytes.len() as u64).saturating_sub((FILE_HEADER_BYTES + sound) as u64 + TRAILER_BYTES)))
}

/// Key, span and body of an entry's payload.
fn parts(payload: &[u8]) -> Option<(&[u8], Span, &[u8])> {
    let rest = payload.strip_prefix(&[ENTRY])?;
    let (from, rest) = rest.split_first_chunk()?;
    let (to, rest) = rest.split_first_chunk()?;
    let (key_bytes, rest) = rest.split_first_chunk()?;
    let (key, body) = rest.split_at_checked(u32::from_le_bytes(*key_bytes) as usize)?;
    Some((key, Span { from: i64::from_le_bytes(*from), to: i64::from_le_bytes(*to) }, body))
}

fn index_entry(rest: &[u8]) -> Option<(BlockEntry<'_>, &[u8])> {
    let (from, rest) = rest.split_first_chunk()?;
    let (to, rest) = rest.split_first_chunk()?;
    let (at, rest) = rest.split_first_chunk()?;
    let (frame_bytes, rest) = rest.split_first_chunk()?;
    let (key_bytes, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_bytes) as usize)?;
    let span = Span { from: i64::from_le_bytes(*from), to: i64::from_le_bytes(*to) };
    Some((BlockEntry { key, span, at: u64::from_le_bytes(*at), frame_bytes: u32::from_le_bytes(*frame_bytes) }, rest))
}

fn index_place(trailer: &[u8; 20]) -> Option<u64> {
    let (place, rest) = trailer.split_first_chunk::<8>()?;
    let (check, magic) = rest.split_first_chunk()?;
    (magic == MAGIC && crc32c::crc32c(place) == u32::from_le_bytes(*check)).then(|| u64::from_le_bytes(*place))
}

fn length(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

fn damaged(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: damaged", path.display()))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(crate::atomic::ENDING);
    path.with_file_name(name)
}
