//! Update ids: which delta joins which state.
//!
//! Owns: each venue's continuity rule as a pure function. Must not know: books, buffers, time.

/// The ids of one delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateIds {
    /// First update in it: Binance `U`. Venues without one repeat `last`.
    pub first: u64,
    /// Last update in it: Binance `u`, OKX `seqId`, Deribit `change_id`.
    pub last: u64,
    /// The last update of the delta before it: Binance futures `pu`, OKX `prevSeqId`, Deribit `prev_change_id`.
    pub previous: Option<u64>,
}

/// How a venue chains its deltas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Binance Spot: ids count every update of the symbol, a delta covers `U..=u`.
    Range,
    /// Binance USDⓈ-M: ids are shared by all symbols, so only `pu` says which delta came before; `U` says nothing.
    Previous,
    /// OKX and Deribit: each delta names the one before it. Ids are not consecutive, and OKX's fall after a maintenance: only equality says anything.
    Chain,
}

/// What to do with a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It continues the state: apply it.
    Joins,
    /// It continues the state and moves nothing: the stream is alive (OKX sends such after a minute without a change).
    Alive,
    /// The state already has all of it: ignore it.
    Old,
    /// Something between the state and it is missing.
    Gap,
}

// === impl UpdateIds ===

impl UpdateIds {
    /// Those of a snapshot: nothing is known of what came before it.
    pub const fn of_snapshot(id: u64) -> Self {
        Self { first: id, last: id, previous: None }
    }

    /// Whether the venue has begun to count anew in this delta (OKX: `seqId < prevSeqId`, once, after a maintenance).
    pub const fn restarts(self) -> bool {
        matches!(self.previous, Some(previous) if self.last < previous)
    }
}

// === impl Rule ===

impl Rule {
    /// Whether `delta` may be the first one applied to a snapshot with id `snapshot` that did not come with the stream. [`Verdict::Gap`] means the
    /// snapshot is too old.
    ///
    /// Spot: "the first processed event should have U <= lastUpdateId AND u >= lastUpdateId" was corrected in 2025; precisely the delta must hold
    /// update `L + 1`: U ≤ L+1 ≤ u (recordings contain U == L+1).
    /// Futures: the documented U ≤ L ≤ u rejects deltas that join (observed: first delta with pu == L). As `pu` is this symbol's previous final id,
    /// pu ≤ L ≤ u is a superset without gaps; u == L changes nothing, and the next delta then has pu == L.
    /// OKX ("REST-anchored", changelog of February 2026), Deribit: prevSeqId ≤ L < seqId; a delta that names L as its predecessor joins whatever its id.
    pub const fn after_snapshot(self, snapshot: u64, delta: UpdateIds) -> Verdict {
        match self {
            Rule::Range if delta.last <= snapshot => Verdict::Old,
            Rule::Range if delta.first <= snapshot.saturating_add(1) => Verdict::Joins,
            Rule::Previous if delta.last < snapshot => Verdict::Old,
            Rule::Previous | Rule::Chain => match delta.previous {
                Some(previous) if previous == snapshot => Verdict::Joins,
                _ if matches!(self, Rule::Chain) && delta.last <= snapshot => Verdict::Old,
                Some(previous) if previous <= snapshot => Verdict::Joins,
                _ => Verdict::Gap,
            },
            Rule::Range => Verdict::Gap,
        }
    }

    /// Whether `delta` continues a state whose last applied delta was `before`.
    ///
    /// Spot (rest-api.md, "How to manage a local order book correctly", step 6): u < id → ignore; U > id+1 → gap; else apply. An overlap U ≤ id < u is
    /// applied: quantities are absolute.
    /// Futures: pu must equal the previous u. A repeated delta (after a reconnect) has u ≤ id and is ignored.
    /// Chain: prevSeqId must equal the last seqId. An id that does not rise says nothing: "seqId ≤ last: old" would swallow everything after a restart
    /// of the ids. Only the very same delta once more is old.
    pub const fn next(self, before: UpdateIds, delta: UpdateIds) -> Verdict {
        let last = before.last;
        match self {
            Rule::Range => self.after_snapshot(last, delta),
            Rule::Previous => match delta.previous {
                Some(previous) if previous == last && delta.last >= last => Verdict::Joins,
                _ if delta.last <= last => Verdict::Old,
                _ => Verdict::Gap,
            },
            Rule::Chain => match (delta.previous, before.previous) {
                (Some(previous), _) if previous == last && delta.last == last => Verdict::Alive,
                (Some(previous), _) if previous == last => Verdict::Joins,
                (Some(previous), Some(same)) if previous == same && delta.last == last => Verdict::Old,
                _ => Verdict::Gap,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Alive, Gap, Joins, Old};

    const fn spot(first: u64, last: u64) -> UpdateIds {
        UpdateIds { first, last, previous: None }
    }

    const fn chain(previous: u64, last: u64) -> UpdateIds {
        UpdateIds { first: last, last, previous: Some(previous) }
    }

    const fn futures(previous: u64, first: u64, last: u64) -> UpdateIds {
        UpdateIds { first, last, previous: Some(previous) }
    }

    #[test]
    fn the_first_delta_after_a_snapshot() {
        let rows = [
            // Spot, snapshot 100.
            (Rule::Range, spot(90, 99), Old, "wholly before"),
            (Rule::Range, spot(90, 100), Old, "ends at the snapshot"),
            (Rule::Range, spot(95, 105), Joins, "straddles"),
            (Rule::Range, spot(100, 101), Joins, "begins at the snapshot"),
            (Rule::Range, spot(101, 101), Joins, "U == L+1, seen in recordings"),
            (Rule::Range, spot(101, 120), Joins, "U == L+1, longer"),
            (Rule::Range, spot(102, 120), Gap, "101 is missing: the snapshot is too old"),
            // Futures, snapshot 100; U has no meaning.
            (Rule::Previous, futures(80, 81, 99), Old, "wholly before"),
            (Rule::Previous, futures(80, 85, 100), Joins, "u == L: changes nothing, the next has pu == L"),
            (Rule::Previous, futures(90, 97, 110), Joins, "L between pu and u, U <= L"),
            (Rule::Previous, futures(90, 105, 110), Joins, "L between pu and U: other symbols' ids lie there"),
            (Rule::Previous, futures(100, 107, 110), Joins, "pu == L, which the documented rule would refuse"),
            (Rule::Previous, futures(101, 107, 110), Gap, "L below pu: the snapshot is too old"),
            (Rule::Previous, spot(107, 110), Gap, "no pu at all"),
            // Chains, snapshot 100 over REST.
            (Rule::Chain, chain(80, 90), Old, "wholly before"),
            (Rule::Chain, chain(80, 100), Old, "ends at the snapshot"),
            (Rule::Chain, chain(90, 110), Joins, "straddles: the venue gathers for 100 ms"),
            (Rule::Chain, chain(100, 110), Joins, "names the snapshot"),
            (Rule::Chain, chain(100, 100), Joins, "names the snapshot and moves nothing"),
            (Rule::Chain, chain(100, 3), Joins, "names the snapshot and restarts the ids"),
            (Rule::Chain, chain(101, 110), Gap, "the snapshot is too old"),
            (Rule::Chain, spot(105, 110), Gap, "names nothing"),
        ];
        for (rule, delta, verdict, why) in rows {
            assert_eq!(rule.after_snapshot(100, delta), verdict, "{rule:?} {delta:?}: {why}");
        }
    }

    #[test]
    fn every_later_delta() {
        let rows = [
            // Spot, last applied u = 100.
            (Rule::Range, spot(101, 105), Joins, "the next"),
            (Rule::Range, spot(102, 105), Gap, "101 is missing"),
            (Rule::Range, spot(96, 100), Old, "a duplicate"),
            (Rule::Range, spot(90, 95), Old, "an older one"),
            (Rule::Range, spot(99, 103), Joins, "an overlap: quantities are absolute"),
            // Futures, last applied u = 100.
            (Rule::Previous, futures(100, 150, 160), Joins, "the next; U jumps by design"),
            (Rule::Previous, futures(100, 100, 100), Joins, "an event that moves no id"),
            (Rule::Previous, futures(99, 101, 160), Gap, "pu is not our last"),
            (Rule::Previous, futures(120, 150, 160), Gap, "one between is missing"),
            (Rule::Previous, futures(80, 85, 100), Old, "a duplicate"),
            (Rule::Previous, futures(70, 75, 80), Old, "an older one"),
            (Rule::Previous, futures(100, 80, 90), Old, "ends before us whatever it claims"),
            (Rule::Previous, spot(101, 105), Gap, "no pu at all"),
        ];
        for (rule, delta, verdict, why) in rows {
            assert_eq!(rule.next(UpdateIds::of_snapshot(100), delta), verdict, "{rule:?} {delta:?}: {why}");
        }
    }

    #[test]
    fn a_chain_is_followed_by_equality_alone() {
        // The example of OKX's guide: snapshot 10, 10→15, 15→15 (alive), 15→3 (the ids restart), 3→5.
        let mut state = UpdateIds::of_snapshot(10);
        for (delta, verdict, restarts) in
            [(chain(10, 15), Joins, false), (chain(15, 15), Alive, false), (chain(15, 3), Joins, true), (chain(3, 5), Joins, false)]
        {
            assert_eq!((Rule::Chain.next(state, delta), delta.restarts()), (verdict, restarts), "{delta:?} after {state:?}");
            if verdict == Joins {
                state = delta;
            }
        }
        let rows = [
            (chain(3, 5), Old, "the very same once more"),
            (chain(2, 5), Gap, "another delta with the same id"),
            (chain(3, 4), Gap, "a lower id is no sign of age: a restart may have been missed"),
            (chain(4, 9), Gap, "one between is missing"),
            (chain(0, 9), Gap, "0 is an id, not an absence"),
            (spot(5, 6), Gap, "names nothing"),
        ];
        for (delta, verdict, why) in rows {
            assert_eq!(Rule::Chain.next(state, delta), verdict, "{delta:?}: {why}");
        }
    }
}
