//! Sizes of the process's own structures: each owner registers a handle and keeps it true; pages, metrics and the search for leaks read it.

use super::catalogue as names;
use super::{Gauge, Registry, whole};

/// The handle of one structure. Cloning shares the cells.
#[derive(Clone, Debug)]
pub struct Structure {
    length: Gauge,
    bytes: Gauge,
}

/// How large a structure may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// This many entries.
    Entries(usize),
    /// This many bytes.
    Bytes(usize),
    /// This many bytes on disk; filling them is what it is for, not a leak.
    DiskBytes(usize),
    /// As large as what it mirrors: its owner bounds that, not this.
    Open,
}

/// What a structure has told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// Name.
    pub name: String,
    /// Entries.
    pub length: u64,
    /// Bytes, as far as its owner knows them.
    pub bytes: u64,
    /// Bound.
    pub bound: Bound,
}

// === impl Structure ===

impl Structure {
    /// A structure that shows itself under this name; one that is registered again is the same one.
    pub fn register(registry: &Registry, name: &str, bound: Bound) -> Self {
        match bound {
            Bound::Entries(most) => registry.gauge(&names::STRUCTURE_BOUND, &[name, ENTRIES]).set_count(most),
            Bound::Bytes(most) => registry.gauge(&names::STRUCTURE_BOUND, &[name, BYTES]).set_count(most),
            Bound::DiskBytes(most) => registry.gauge(&names::STRUCTURE_BOUND, &[name, DISK_BYTES]).set_count(most),
            Bound::Open => {}
        }
        Self { length: registry.gauge(&names::STRUCTURE_LENGTH, &[name]), bytes: registry.gauge(&names::STRUCTURE_BYTES, &[name]) }
    }

    /// As large as it is now.
    pub fn set(&self, length: usize, bytes: usize) {
        self.length.set_count(length);
        self.bytes.set_count(bytes);
    }

    /// Every structure that is registered, by name.
    pub fn all(registry: &Registry) -> Vec<Size> {
        let bytes = registry.values(&names::STRUCTURE_BYTES);
        let bounds = registry.values(&names::STRUCTURE_BOUND);
        let bound_of = |name: &str| {
            let of_unit = |unit| find(&bounds, &[name, unit]).map(|most| usize::try_from(whole(most)).unwrap_or(usize::MAX));
            let in_memory = of_unit(ENTRIES).map(Bound::Entries).or_else(|| of_unit(BYTES).map(Bound::Bytes));
            in_memory.or_else(|| of_unit(DISK_BYTES).map(Bound::DiskBytes)).unwrap_or(Bound::Open)
        };
        let mut all: Vec<Size> = registry
            .values(&names::STRUCTURE_LENGTH)
            .into_iter()
            .filter_map(|(labels, length)| {
                let name = labels.into_iter().next()?;
                let bytes = whole(find(&bytes, &[&name]).unwrap_or(0.0));
                Some(Size { bound: bound_of(&name), length: whole(length), bytes, name })
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

/// Unit of a bound: entries.
const ENTRIES: &str = "entries";
/// Unit of a bound: bytes.
const BYTES: &str = "bytes";
/// Unit of a bound: bytes on disk.
const DISK_BYTES: &str = "disk_bytes";

fn find(series: &[(Vec<String>, f64)], labels: &[&str]) -> Option<f64> {
    series.iter().find(|(known, _)| known == labels).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_registered_is_read_back_with_its_bound() {
        let registry = Registry::new();
        Structure::register(&registry, "queue", Bound::Entries(10)).set(3, 300);
        Structure::register(&registry, "spool", Bound::Bytes(1_000)).set(1, 900);
        Structure::register(&registry, "queue", Bound::Entries(10)).set(4, 400);
        let size = |name: &str, length, bytes, bound| Size { name: name.to_owned(), length, bytes, bound };
        // The registry's own list is a structure too.
        let all: Vec<Size> = Structure::all(&registry).into_iter().filter(|size| size.name != "metric_series").collect();
        assert_eq!(all, [size("queue", 4, 400, Bound::Entries(10)), size("spool", 1, 900, Bound::Bytes(1_000))]);
        assert!(registry.render().contains("collector_structure_bound{structure=\"spool\",unit=\"bytes\"} 1000\n"));
    }
}
