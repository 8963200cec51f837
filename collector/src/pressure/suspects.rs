//! Which of the process's own structures look like a leak: those that rose at each of the last looks, and those that stand over their bound.
//!
//! Pure: sizes in, names out. What a size is, and how often one looks, is not known here.

use std::collections::BTreeMap;

use crate::metrics::{Bound, Size};

/// Rises in a row that make a suspect.
pub(super) const RISES: u32 = 6;

/// What was seen of each structure.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    rows: BTreeMap<String, Row>,
}

/// Why a structure is suspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suspicion {
    /// It rose at each of the last `RISES` looks.
    KeepsRising,
    /// It is larger than it may be.
    OverBound,
}

#[derive(Clone, Debug)]
struct Row {
    last: Size,
    rises: u32,
}

// === impl Ledger ===

impl Ledger {
    /// One look at all structures; those that are gone are forgotten.
    pub fn look(&mut self, sizes: Vec<Size>) {
        let mut before = std::mem::take(&mut self.rows);
        for size in sizes {
            let rises = before.remove(&size.name).map_or(0, |row| if rose(&row.last, &size) { row.rises.saturating_add(1) } else { 0 });
            self.rows.insert(size.name.clone(), Row { last: size, rises });
        }
    }

    /// The suspects of the last look, by name.
    pub fn suspects(&self) -> Vec<(&str, Suspicion)> {
        let of = |row: &Row| {
            if over_bound(&row.last) { Some(Suspicion::OverBound) } else { (row.rises >= RISES).then_some(Suspicion::KeepsRising) }
        };
        self.rows.iter().filter_map(|(name, row)| Some((name.as_str(), of(row)?))).collect()
    }

    /// Rises in a row of a structure.
    pub fn rises(&self, name: &str) -> u32 {
        self.rows.get(name).map_or(0, |row| row.rises)
    }
}

// === impl Suspicion ===

impl Suspicion {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeepsRising => "keeps_rising",
            Self::OverBound => "over_bound",
        }
    }
}

fn rose(before: &Size, now: &Size) -> bool {
    let on_disk = matches!(now.bound, Bound::DiskBytes(_));
    !on_disk && now.length >= before.length && now.bytes >= before.bytes && (now.length > before.length || now.bytes > before.bytes)
}

fn over_bound(size: &Size) -> bool {
    match size.bound {
        Bound::Entries(most) => size.length > most as u64,
        Bound::Bytes(most) | Bound::DiskBytes(most) => size.bytes > most as u64,
        Bound::Open => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(name: &str, length: u64, bound: Bound) -> Size {
        Size { name: name.to_owned(), length, bytes: length * 16, bound }
    }

    #[test]
    fn six_rises_in_a_row_make_a_suspect_and_one_fall_clears_it() {
        let mut ledger = Ledger::default();
        for n in 0..6 {
            ledger.look(vec![size("grows", n, Bound::Open), size("spool", n, Bound::DiskBytes(1_000)), size("steady", 5, Bound::Open)]);
            assert!(ledger.suspects().is_empty(), "{n} rises are not enough");
        }
        ledger.look(vec![size("grows", 6, Bound::Open), size("spool", 6, Bound::DiskBytes(1_000)), size("steady", 5, Bound::Open)]);
        assert_eq!((ledger.suspects(), ledger.rises("grows")), (vec![("grows", Suspicion::KeepsRising)], 6));
        ledger.look(vec![size("grows", 5, Bound::Open)]);
        assert_eq!((ledger.suspects(), ledger.rises("grows")), (vec![], 0));
    }

    #[test]
    fn over_the_bound_is_a_suspect_at_once_and_a_structure_that_is_gone_is_forgotten() {
        let mut ledger = Ledger::default();
        ledger.look(vec![size("queue", 11, Bound::Entries(10)), size("full", 10, Bound::Entries(10)), size("bytes", 2, Bound::Bytes(31))]);
        assert_eq!(ledger.suspects(), [("bytes", Suspicion::OverBound), ("queue", Suspicion::OverBound)]);
        ledger.look(vec![]);
        assert!(ledger.suspects().is_empty() && ledger.rises("queue") == 0);
    }
}
