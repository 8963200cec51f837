//! The order of the series held, by their labels: what a selection comes out in. Must not know: matchers, samples.
//!
//! Comparing label sets is most of what a small selection costs, so each slot has its rank among all and a selection sorts numbers. Ranks are given when a writer
//! has time for it ([`Order::settle`]); until then a new series is compared by its labels.
use crate::labels::Labels;

/// The rank of a slot that is empty.
const EMPTY: u32 = u32::MAX;

/// The rank of a series that has none yet.
const FRESH: u32 = u32::MAX - 1;

/// Ranks by slot; four bytes a series.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    ranks: Vec<u32>,
    /// Slots whose rank is [`FRESH`], each once.
    fresh: Vec<u32>,
}

// === impl Order ===

impl Order {
    /// Notes that a slot has got a series.
    pub(super) fn insert(&mut self, slot: u32) {
        let at = slot as usize;
        if self.ranks.len() <= at {
            self.ranks.resize(at + 1, EMPTY);
        }
        if let Some(rank) = self.ranks.get_mut(at)
            && *rank != FRESH
        {
            *rank = FRESH;
            self.fresh.push(slot);
        }
    }

    /// Notes that a slot has lost its series.
    pub(super) fn remove(&mut self, slot: u32) {
        // One that is still in the list of fresh ones is found empty there.
        if let Some(rank) = self.ranks.get_mut(slot as usize).filter(|rank| **rank != FRESH) {
            *rank = EMPTY;
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.fresh.is_empty()
    }

    /// Gives every series a rank; `labels_of` says what a slot holds.
    pub(super) fn settle<'l>(&mut self, labels_of: impl Fn(u32) -> Option<&'l Labels>) {
        let mut fresh: Vec<(&Labels, u32)> = Vec::with_capacity(self.fresh.len());
        for slot in self.fresh.drain(..) {
            match (labels_of(slot), self.ranks.get_mut(slot as usize)) {
                (Some(labels), _) => fresh.push((labels, slot)),
                (None, Some(rank)) => *rank = EMPTY,
                (None, None) => {}
            }
        }
        fresh.sort_unstable();
        let ranked = self.by_rank();
        let mut rank = 0;
        let mut place = |slot: u32| {
            if let Some(place) = self.ranks.get_mut(slot as usize) {
                *place = rank;
                rank += 1;
            }
        };
        let mut rest = ranked.as_slice();
        for (labels, slot) in fresh {
            // Few are new among many: the way to each is looked for, not walked.
            let before = rest.partition_point(|slot| labels_of(*slot).is_none_or(|held| held < labels));
            let (passed, later) = rest.split_at_checked(before).unwrap_or((rest, &[]));
            for earlier in passed {
                place(*earlier);
            }
            place(slot);
            rest = later;
        }
        for slot in rest {
            place(*slot);
        }
        self.fresh.shrink_to(64);
    }

    /// The slots that have a rank, in order. Ranks were given from 0 on, so that each lies below the number of slots.
    fn by_rank(&self) -> Vec<u32> {
        let mut slots = vec![EMPTY; self.ranks.len()];
        for (slot, rank) in (0..).zip(&self.ranks).filter(|(_, rank)| **rank < FRESH) {
            if let Some(place) = slots.get_mut(*rank as usize) {
                *place = slot;
            }
        }
        slots.retain(|slot| *slot != EMPTY);
        slots
    }

    /// Puts slots into the order of their labels.
    pub(super) fn sort<'l>(&self, slots: &mut [u32], labels_of: impl Fn(u32) -> Option<&'l Labels>) {
        let rank = |slot: u32| self.ranks.get(slot as usize).copied().unwrap_or(FRESH);
        if self.is_settled() || slots.iter().all(|slot| rank(*slot) != FRESH) {
            return slots.sort_unstable_by_key(|slot| rank(*slot));
        }
        slots.sort_unstable_by(|a, b| match (rank(*a), rank(*b)) {
            (a, b) if a != FRESH && b != FRESH => a.cmp(&b),
            _ => Option::cmp(&labels_of(*a), &labels_of(*b)),
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes, goes and is settled in between, slots sort as their labels do.
        #[test]
        fn slots_sort_as_their_labels(steps in prop::collection::vec((0..12_u32, 0..40_u32, 0..4_u8), 0..200)) {
            let mut held: Vec<Option<Labels>> = vec![None; 12];
            let mut order = Order::default();
            for (slot, name, action) in steps {
                let place = &mut held[slot as usize];
                let taken = Labels::from_pairs([("n", name.to_string())]);
                if action == 0 {
                    order.settle(|slot| held[slot as usize].as_ref());
                } else if place.take().is_some() {
                    order.remove(slot);
                } else if !held.contains(&Some(taken.clone())) {
                    held[slot as usize] = Some(taken);
                    order.insert(slot);
                }
                let labels_of = |slot: u32| held[slot as usize].as_ref();
                let mut slots: Vec<u32> = (0..12).filter(|slot| labels_of(*slot).is_some()).collect();
                let mut want = slots.clone();
                want.sort_by_key(|slot| labels_of(*slot));
                order.sort(&mut slots, labels_of);
                prop_assert_eq!(slots, want);
            }
        }
    }
}
