//! A trade's own name at its venue, where that is not the number that counts the instrument's trades.

use std::fmt;

/// Part of a JSON string as it came, escapes included, so that it may be written into JSON as it is. Held in place: a trade is made without allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TradeName {
    bytes: [u8; Self::MOST],
    length: u8,
}

// === impl TradeName ===

impl TradeName {
    /// Longest name that is held: Deribit's are up to about 20 (`SOL_USDC-12345678`).
    pub const MOST: usize = 31;

    /// None: the trade's number is its name.
    pub const NONE: Self = Self { bytes: [0; Self::MOST], length: 0 };

    /// Of this text; `None` when it is longer than [`MOST`](Self::MOST).
    pub fn of(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::MOST];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, length: u8::try_from(text.len()).ok()? })
    }

    /// The name, if the trade has one besides its number.
    pub fn text(&self) -> Option<&str> {
        let bytes = self.bytes.get(..usize::from(self.length)).filter(|bytes| !bytes.is_empty())?;
        std::str::from_utf8(bytes).ok()
    }
}

impl fmt::Debug for TradeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_whole_or_not_at_all() {
        assert_eq!(TradeName::of("ETH-34066").and_then(|name| name.text().map(str::to_owned)).as_deref(), Some("ETH-34066"));
        assert_eq!((TradeName::of(""), TradeName::NONE.text()), (Some(TradeName::NONE), None));
        assert!(TradeName::of(&"9".repeat(TradeName::MOST)).is_some() && TradeName::of(&"9".repeat(TradeName::MOST + 1)).is_none());
    }
}
