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
}

/// What to do with a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It continues the state: apply it.
    Joins,
    /// The state already has all of it: ignore it.
    Old,
    /// Something between the state and it is missing.
    Gap,
}

// === impl Rule ===

impl Rule {
    /// Whether `delta` may be the first one applied to a snapshot with id `snapshot`. [`Verdict::Gap`] means the snapshot is too old.
    ///
    /// Spot: "the first processed event should have U <= lastUpdateId AND u >= lastUpdateId" was corrected in 2025; precisely the delta must hold
    /// update `L + 1`: U ≤ L+1 ≤ u (recordings contain U == L+1).
    /// Futures: the documented U ≤ L ≤ u rejects deltas that join (observed: first delta with pu == L). As `pu` is this symbol's previous final id,
    /// pu ≤ L ≤ u is a superset without gaps; u == L changes nothing, and the next delta then has pu == L.
    pub const fn after_snapshot(self, snapshot: u64, delta: UpdateIds) -> Verdict {
        match self {
            Rule::Range if delta.last <= snapshot => Verdict::Old,
            Rule::Range if delta.first <= snapshot.saturating_add(1) => Verdict::Joins,
            Rule::Previous if delta.last < snapshot => Verdict::Old,
            Rule::Previous => match delta.previous {
                Some(previous) if previous <= snapshot => Verdict::Joins,
                _ => Verdict::Gap,
            },
            Rule::Range => Verdict::Gap,
        }
    }

    /// Whether `delta` continues a state whose last applied delta ended at `last`.
    ///
    /// Spot (rest-api.md, "How to manage a local order book correctly", step 6): u < id → ignore; U > id+1 → gap; else apply. An overlap U ≤ id < u is
    /// applied: quantities are absolute.
    /// Futures: pu must equal the previous u. A repeated delta (after a reconnect) has u ≤ id and is ignored.
    pub const fn next(self, last: u64, delta: UpdateIds) -> Verdict {
        match self {
            Rule::Range => self.after_snapshot(last, delta),
            Rule::Previous => match delta.previous {
                Some(previous) if previous == last && delta.last >= last => Verdict::Joins,
                _ if delta.last <= last => Verdict::Old,
                _ => Verdict::Gap,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Gap, Joins, Old};

    const fn spot(first: u64, last: u64) -> UpdateIds {
        UpdateIds { first, last, previous: None }
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
            assert_eq!(rule.next(100, delta), verdict, "{rule:?} {delta:?}: {why}");
        }
    }
}
