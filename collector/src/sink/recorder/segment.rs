//! The form of a recording: gzip members one after another (RFC 1952), each of whole lines and each saying its own length.
//!
//! Owns: packing a member, finding where the last whole one ends. Must not know: what a line is, where files are.
//! Any gzip reads such a file. The length stands in an extra field `TM`, so that the end of a file that a crash has torn is found without unpacking it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Everything before the packed bytes: ten fixed ones, the length of the extra field, its name and size, the member's length.
const HEAD: usize = 20;
/// gzip, deflate, with an extra field; no time; unknown system; eight bytes of extra field; `TM` of four bytes.
const MAGIC: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'T', b'M', 4, 0];
/// Checksum and size of what was packed.
const TAIL: usize = 8;

/// Packs lines; kept, because its tables are large.
#[derive(Debug)]
pub(crate) struct Packer(Compress);

// === impl Packer ===

impl Packer {
    pub(crate) fn new() -> Self {
        // Neighbouring books differ little: a fast level finds nearly all of it (docs/collector.md has figures).
        Self(Compress::new(Compression::new(LEVEL), false))
    }

    /// The lines as one member.
    pub(crate) fn member(&mut self, lines: &[u8]) -> io::Result<Vec<u8>> {
        let mut member = Vec::with_capacity(HEAD + lines.len() / 4 + TAIL);
        member.extend_from_slice(&MAGIC);
        member.extend_from_slice(&[0; HEAD - MAGIC.len()]);
        self.0.reset();
        loop {
            let read = usize::try_from(self.0.total_in()).unwrap_or(usize::MAX);
            let rest = lines.get(read..).unwrap_or_default();
            match self.0.compress_vec(rest, &mut member, FlushCompress::Finish).map_err(io::Error::other)? {
                Status::StreamEnd => break,
                Status::Ok | Status::BufError => member.reserve(lines.len() / 4 + 64),
            }
        }
        let mut crc = Crc::new();
        crc.update(lines);
        member.extend_from_slice(&crc.sum().to_le_bytes());
        member.extend_from_slice(&crc.amount().to_le_bytes());
        let length = u32::try_from(member.len()).map_err(io::Error::other)?;
        if let Some(place) = member.get_mut(MAGIC.len()..HEAD) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        Ok(member)
    }
}

const LEVEL: u32 = 3;

/// Where the last whole member ends, and the size of the file.
pub(crate) fn sound_length(file: &File) -> io::Result<(u64, u64)> {
    let size = file.metadata()?.len();
    let (mut sound, mut last) = (0, 0);
    while let Some(length) = length_at(file, sound, size)? {
        last = sound;
        sound += length;
    }
    // A length may be on disk before what it announces: the last member must also unpack.
    if sound > last && !unpacks(file, last, sound)? {
        sound = last;
    }
    Ok((sound, size))
}

/// The length of the member that begins there, if it is one of ours and the file holds all of it.
fn length_at(file: &File, at: u64, size: u64) -> io::Result<Option<u64>> {
    if at + (HEAD + TAIL) as u64 > size {
        return Ok(None);
    }
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, at)?;
    let Some((magic, length)) = head.split_first_chunk::<{ MAGIC.len() }>() else { return Ok(None) };
    let length = length.first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    Ok((*magic == MAGIC && length >= (HEAD + TAIL) as u64 && at + length <= size).then_some(length))
}

fn unpacks(file: &File, from: u64, to: u64) -> io::Result<bool> {
    let mut member = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
    file.read_exact_at(&mut member, from)?;
    Ok(io::copy(&mut flate2::read::GzDecoder::new(member.as_slice()), &mut io::sink()).is_ok())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn members_are_plain_gzip_and_a_torn_end_is_found_at_every_byte() {
        let mut packer = Packer::new();
        let members: Vec<Vec<u8>> =
            ["one\n", "two two two two two\n", "three\n"].iter().map(|text| packer.member(text.as_bytes()).unwrap()).collect();
        let all = members.concat();
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(all.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo two two two two\nthree\n");
        let ends: Vec<u64> = members
            .iter()
            .scan(0, |at, member| {
                *at += member.len() as u64;
                Some(*at)
            })
            .collect();
        for size in 0..=all.len() {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&all[..size]).unwrap();
            let whole = ends.iter().copied().filter(|end| *end <= size as u64).max().unwrap_or(0);
            assert_eq!(sound_length(&file).unwrap(), (whole, size as u64));
        }
        // The right size, but what was to be written has not reached the disk.
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&all[..all.len() - 6]).unwrap();
        file.write_all(&[0; 6]).unwrap();
        assert_eq!(sound_length(&file).unwrap().0, ends[1]);
    }

    #[test]
    fn what_cannot_be_packed_is_kept_whole() {
        let noise: Vec<u8> = (0..200_000_u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        let member = Packer::new().member(&noise).unwrap();
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(member.as_slice()).read_to_end(&mut back).unwrap();
        assert_eq!(back, noise);
    }
}
