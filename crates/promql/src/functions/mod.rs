//! The functions of the language: their signatures here, what they compute in the modules below. Prometheus documentation, "Functions", without the experimental ones.
//!
//! Owns: names, types, numerical definitions. Must not know: the store, the tree, the evaluation's order.
pub(crate) mod histogram;
pub(crate) mod numeric;
pub(crate) mod pointwise;
pub(crate) mod range;
mod table;

pub use table::{Function, FunctionKind};

/// Whether a name is a function that is evaluated here.
#[derive(Clone, Copy, Debug)]
pub enum Availability {
    /// It is.
    Known(&'static Function),
    /// Prometheus has it behind a feature flag.
    Experimental,
    /// It works on native histograms only.
    NativeHistogram,
    /// No such function.
    Unknown {
        /// One with a similar name.
        near: Option<&'static str>,
    },
}

/// Finds a function by its name; names are case sensitive.
pub fn lookup(name: &str) -> Availability {
    if let Some(function) = table::FUNCTIONS.iter().find(|function| function.name == name) {
        return Availability::Known(function);
    }
    if table::EXPERIMENTAL.contains(&name) {
        return Availability::Experimental;
    }
    if table::NATIVE_HISTOGRAM.contains(&name) {
        return Availability::NativeHistogram;
    }
    Availability::Unknown { near: nearest(name) }
}

/// The names of all functions that are evaluated.
pub fn names() -> impl Iterator<Item = &'static str> {
    table::FUNCTIONS.iter().map(|function| function.name)
}

/// The function or aggregation whose name differs least from `name`, if by no more than a third of its letters; of several the one that begins most alike.
fn nearest(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let allowed = (lower.len() / 3).clamp(1, 3);
    let aggregations = crate::parse::AggregateOp::ALL.into_iter().map(crate::parse::AggregateOp::as_str);
    let candidates = names().chain(aggregations).map(|candidate| (edits(&lower, candidate), candidate));
    let alike = |candidate: &str| lower.bytes().zip(candidate.bytes()).take_while(|(a, b)| a == b).count();
    candidates
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, candidate)| (*edits, std::cmp::Reverse(alike(candidate))))
        .map(|(_, candidate)| candidate)
}

/// How many slips of the hand lead from `a` to `b`: one for two neighbours that changed places, else Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let wrong: Vec<(usize, (u8, u8))> = a.bytes().zip(b.bytes()).enumerate().filter(|(_, (x, y))| x != y).take(3).collect();
    if let [(i, (x, y)), (j, (v, w))] = *wrong
        && a.len() == b.len()
        && j == i + 1
        && (x, y) == (w, v)
    {
        return 1;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = replaced.min(*cell + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_understood_and_strangers_are_not() {
        for (written, meant) in [
            ("raet", "rate"),
            ("rat", "rate"),
            ("Rate", "rate"),
            ("sumx", "sum"),
            ("increse", "increase"),
            ("dleta", "delta"),
            ("clampmin", "clamp_min"),
        ] {
            assert_eq!(nearest(written), Some(meant), "{written}");
        }
        assert_eq!(nearest("severity"), None);
    }
}
