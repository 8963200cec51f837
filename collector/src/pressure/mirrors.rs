//! Structures whose owners show them under names of their own: the same figures once more as `collector_structure_*`, so that the search for leaks
//! and `/debug/memory` see every structure in one form.

use crate::metrics::{Bound, Registry, Spec, Structure, catalogue as names, whole};

/// Where the figures of a structure come from; several series of a family are added up.
struct Mirror {
    name: &'static str,
    length: Option<&'static Spec>,
    bytes: Option<&'static Spec>,
    bound: Unit,
}

/// The family of the bound, and what it counts.
enum Unit {
    Bytes(&'static Spec),
    DiskBytes(&'static Spec),
}

static MIRRORS: [Mirror; 2] = [
    Mirror {
        name: "spool",
        length: Some(&names::SPOOL_RECORDS),
        bytes: Some(&names::SPOOL_BYTES),
        bound: Unit::DiskBytes(&names::SPOOL_BYTES_LIMIT),
    },
    Mirror { name: "recorder_buffer", length: None, bytes: Some(&names::RECORDER_BUFFERED), bound: Unit::Bytes(&names::RECORDER_BUFFER_LIMIT) },
];

/// Copies the figures of every structure that is there.
pub(super) fn refresh(registry: &Registry) {
    for mirror in &MIRRORS {
        let sum = |spec: Option<&Spec>| -> Option<usize> {
            let series = registry.values(spec?);
            (!series.is_empty()).then(|| series.iter().map(|(_, value)| usize::try_from(whole(*value)).unwrap_or(usize::MAX)).sum())
        };
        let (length, bytes) = (sum(mirror.length), sum(mirror.bytes));
        if length.is_none() && bytes.is_none() {
            continue;
        }
        let bound = match mirror.bound {
            Unit::Bytes(spec) => sum(Some(spec)).map(Bound::Bytes),
            Unit::DiskBytes(spec) => sum(Some(spec)).map(Bound::DiskBytes),
        };
        Structure::register(registry, mirror.name, bound.unwrap_or(Bound::Open)).set(length.unwrap_or(0), bytes.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_structure_that_is_there_is_mirrored_with_its_bound_and_one_that_is_not_is_absent() {
        let registry = Registry::new();
        for (kind, records) in [("orderbook", 3.0), ("trade", 4.0)] {
            registry.gauge(&names::SPOOL_RECORDS, &[kind]).set(records);
        }
        registry.gauge(&names::SPOOL_BYTES, &[]).set(900.0);
        registry.gauge(&names::SPOOL_BYTES_LIMIT, &[]).set(1_000.0);
        refresh(&registry);
        refresh(&registry);
        let all = Structure::all(&registry);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!((all[0].name.as_str(), all[0].length, all[0].bytes, all[0].bound), ("spool", 7, 900, Bound::DiskBytes(1_000)));
    }
}
