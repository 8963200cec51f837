//! Buffers of payloads, used again once all sinks are done with them: a steady record costs no allocation.
//!
//! Owns: two sizes of buffers, each a bounded ring. Must not know: what a payload is. A record holds its own buffer and no other's, so one that waits
//! long (a spooled instrument, a slow sink) keeps nothing but itself.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// The buffers of the data thread.
#[derive(Debug)]
pub(crate) struct Payloads {
    small: Ring,
    large: Ring,
}

/// Buffers of one size, the one used longest ago first: records mostly leave in the order in which they came.
#[derive(Debug)]
struct Ring {
    buffers: VecDeque<BytesMut>,
    size: usize,
    most: usize,
}

/// Trades, deltas, previews, events.
const SMALL: (usize, usize) = (1 << 10, 1_024);
/// Books of 100 levels a side.
const LARGE: (usize, usize) = (8 << 10, 64);

// === impl Payloads ===

impl Payloads {
    pub(crate) const fn new() -> Self {
        Self { small: Ring::new(SMALL), large: Ring::new(LARGE) }
    }

    /// A copy that sinks may keep as long as they like.
    pub(crate) fn copy(&mut self, payload: &[u8]) -> Bytes {
        let ring = if payload.len() <= self.small.size { &mut self.small } else { &mut self.large };
        if payload.len() > ring.size { Bytes::copy_from_slice(payload) } else { ring.copy(payload) }
    }

    /// Gives the buffers back that are not in use.
    pub(crate) fn trim(&mut self) {
        self.small.buffers = VecDeque::new();
        self.large.buffers = VecDeque::new();
    }

    /// Bytes of the buffers it keeps at most.
    pub(crate) fn bytes(&self) -> usize {
        self.small.buffers.len() * self.small.size + self.large.buffers.len() * self.large.size
    }
}

// === impl Ring ===

impl Ring {
    const fn new((size, most): (usize, usize)) -> Self {
        Self { buffers: VecDeque::new(), size, most }
    }

    fn copy(&mut self, payload: &[u8]) -> Bytes {
        // Succeeds when nobody holds what was cut from it, and then without allocating.
        if self.buffers.front_mut().is_some_and(|oldest| oldest.try_reclaim(self.size))
            && let Some(mut oldest) = self.buffers.pop_front()
        {
            let cut = cut(&mut oldest, payload);
            self.buffers.push_back(oldest);
            return cut;
        }
        if self.buffers.len() >= self.most {
            // One that is held for long does not stand in the way of the others.
            self.buffers.rotate_left(1);
            return Bytes::copy_from_slice(payload);
        }
        let mut buffer = BytesMut::with_capacity(self.size);
        let cut = cut(&mut buffer, payload);
        self.buffers.push_back(buffer);
        cut
    }
}

fn cut(buffer: &mut BytesMut, payload: &[u8]) -> Bytes {
    buffer.extend_from_slice(payload);
    buffer.split().freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_again_when_its_record_is_gone_and_never_before() {
        let mut payloads = Payloads::new();
        let first = payloads.copy(b"first");
        let second = payloads.copy(b"second");
        let at = first.as_ptr();
        assert_eq!((&first[..], &second[..]), (&b"first"[..], &b"second"[..]));
        assert_ne!(at, second.as_ptr());
        drop(first);
        let third = payloads.copy(b"third");
        assert_eq!((&second[..], &third[..], third.as_ptr()), (&b"second"[..], &b"third"[..], at));
        assert_eq!(payloads.bytes(), 2 * SMALL.0);
    }

    #[test]
    fn what_waits_long_is_bounded_by_itself_and_so_are_the_buffers() {
        let mut payloads = Payloads::new();
        let waiting: Vec<Bytes> = (0..SMALL.1 + 100).map(|n| payloads.copy(n.to_string().as_bytes())).collect();
        assert_eq!(payloads.bytes(), SMALL.0 * SMALL.1);
        assert!(waiting.iter().enumerate().all(|(n, bytes)| bytes[..] == *n.to_string().as_bytes()));
        let (middle, huge) = (payloads.copy(&[7; 5_000]), payloads.copy(&vec![8; 50_000]));
        assert_eq!((middle.len(), huge.len(), payloads.bytes()), (5_000, 50_000, SMALL.0 * SMALL.1 + LARGE.0));
        payloads.trim();
        assert_eq!((payloads.bytes(), &waiting[3][..]), (0, &b"3"[..]));
    }
}
