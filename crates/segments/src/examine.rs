//! What the bytes of a segment file hold: sound frames, a torn tail, damage in between. Must not know: files, repairs.
use std::ops::Range;

use crate::frame::{FILE_HEADER_BYTES, FRAME_HEADER_BYTES, Found, file_header, has_file_header, read_frame, read_header};

/// What the bytes of a segment file hold.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    /// The frames in order, each whole and undamaged.
    pub(crate) frames: Vec<(u64, Range<usize>)>,
    /// Where the sound bytes end, if only the tail is missing.
    pub(crate) sound_end: usize,
    pub(crate) torn_bytes: usize,
    pub(crate) damaged_bytes: usize,
    /// Above every number that may have been given out.
    pub(crate) next: u64,
}

/// Reads what the bytes of a segment hold. Sound frames after a damaged place are found again.
pub(crate) fn examine(bytes: &[u8], first: u64) -> Examined {
    let mut found = Examined { next: first, ..Examined::default() };
    let mut at = 0;
    if has_file_header(bytes, first) {
        at = FILE_HEADER_BYTES;
        found.sound_end = at;
    }
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or(&[]);
        match read_frame(rest) {
            Found::Frame { sequence, payload } if sequence >= found.next => {
                let end = at + FRAME_HEADER_BYTES + payload.len();
                found.frames.push((sequence, at + FRAME_HEADER_BYTES..end));
                found.next = sequence.saturating_add(1);
                at = end;
                found.sound_end = end;
            }
            // The payload never came: a write that was cut short. Its number may have been seen.
            Found::Cut => {
                found.torn_bytes = rest.len();
                found.next = found.next.saturating_add(1);
                break;
            }
            // A kill leaves less than a header; a loss of power may leave zeros that were never written.
            Found::BadHeader if rest.len() < FRAME_HEADER_BYTES || rest.iter().all(|byte| *byte == 0) => {
                found.torn_bytes = rest.len();
                break;
            }
            _ => {
                let end = next_frame(bytes, at + 1, found.next);
                found.damaged_bytes += end - at;
                // However many records stood there, their numbers are not given out again.
                found.next = found.next.saturating_add((end - at).div_ceil(FRAME_HEADER_BYTES) as u64);
                if let Some((sequence, _)) = frame_at(bytes, end) {
                    found.next = found.next.min(sequence);
                }
                at = end;
            }
        }
    }
    found
}

/// The place of the next sound frame numbered `next` or higher from `from` on; the end if there is none.
fn next_frame(bytes: &[u8], from: usize, next: u64) -> usize {
    let sound = |at: &usize| {
        frame_at(bytes, *at).is_some_and(|(sequence, _)| sequence >= next)
            && bytes.get(*at..).is_some_and(|rest| matches!(read_frame(rest), Found::Frame { .. }))
    };
    (from..bytes.len()).find(sound).unwrap_or(bytes.len())
}

fn frame_at(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    read_header(bytes.get(at..)?.first_chunk()?).map(|(sequence, length, _)| (sequence, length))
}

// === impl Examined ===

impl Examined {
    /// Bytes of a file with only the sound frames.
    pub(crate) fn sound_bytes(&self) -> u64 {
        let frames: usize = self.frames.iter().map(|(_, payload)| payload.len() + FRAME_HEADER_BYTES).sum();
        (FILE_HEADER_BYTES + frames) as u64
    }

    /// Whether the bytes hold damage beside a torn tail.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged_bytes > 0
    }

    /// The bytes of a file with only the sound frames of `bytes`, from which this was read.
    pub(crate) fn sound_copy(&self, bytes: &[u8], first: u64) -> Vec<u8> {
        let mut copy = file_header(first).to_vec();
        for (_, payload) in &self.frames {
            copy.extend(bytes.get(payload.start - FRAME_HEADER_BYTES..payload.end).unwrap_or(&[]));
        }
        copy
    }
}
