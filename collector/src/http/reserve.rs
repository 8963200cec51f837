//! Descriptors kept open for the time when there are none left: one is closed so that a connection can be accepted, or `/proc` read.

use std::fs::File;

use crate::metrics::Gauge;

/// How many are kept.
pub(super) const RESERVE: usize = 8;

/// The descriptors; each is an open `/dev/null`.
#[derive(Debug)]
pub(super) struct Reserve {
    held: Vec<File>,
    shown: Gauge,
}

// === impl Reserve ===

impl Reserve {
    pub(super) fn new(shown: Gauge) -> Self {
        let mut reserve = Self { held: Vec::with_capacity(RESERVE), shown };
        reserve.restore();
        reserve
    }

    /// Gives one descriptor back to the process; `false` when none is left to give.
    pub(super) fn lend(&mut self) -> bool {
        let lent = self.held.pop().is_some();
        self.shown.set_count(self.held.len());
        lent
    }

    /// Takes back what can be had.
    pub(super) fn restore(&mut self) {
        while self.held.len() < RESERVE {
            match File::open("/dev/null") {
                Ok(file) => self.held.push(file),
                Err(_) => break,
            }
        }
        self.shown.set_count(self.held.len());
    }
}
