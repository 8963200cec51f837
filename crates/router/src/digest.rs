//! Names made from content: the first bytes of a SHA-256, as hex. Equal content gives an equal name in any run of the process.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// A name of `bytes` bytes (two digits each) for the parts, which are kept apart from one another.
pub(crate) fn name_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>, bytes: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let mut out = String::with_capacity(2 * bytes);
    for byte in hash.finalize().iter().take(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_apart() {
        assert_eq!(name_of([b"ab".as_slice()], 12).len(), 24);
        assert_ne!(name_of([b"ab".as_slice(), b"c".as_slice()], 12), name_of([b"a".as_slice(), b"bc".as_slice()], 12));
    }
}
