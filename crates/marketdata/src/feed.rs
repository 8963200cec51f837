//! Frames: a venue's text as borrowed fields, without an allocation.
//!
//! Owns: the shapes all venues' messages are reduced to, and the rows of level arrays. Must not know: what a delta does to a book, which instrument a
//! symbol is. Unknown fields are skipped, unknown kinds are [`Frame::Other`]; only a known kind that cannot be read is [`Malformed`].

pub(crate) mod cursor;

use thiserror::Error;

use crate::book::Side;
use crate::feed::cursor::Cursor;
use crate::sequence::UpdateIds;

/// A text that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// What was wrong.
    pub what: &'static str,
    /// Where.
    pub at: usize,
}

/// One message of a venue.
#[derive(Clone, Copy, Debug)]
pub enum Frame<'a> {
    /// Changes of a book.
    Delta(DeltaFrame<'a>),
    /// A trade.
    Trade(TradeFrame<'a>),
    /// A request was accepted.
    Ack {
        /// The request's id.
        id: u64,
    },
    /// A request was refused.
    Refused {
        /// The request's id, where the venue repeats it.
        id: Option<u64>,
    },
    /// The venue will close this connection soon.
    Shutdown,
    /// A kind that is not collected.
    Other,
}

/// Changes of a book, absolute quantities.
#[derive(Clone, Copy, Debug)]
pub struct DeltaFrame<'a> {
    /// The venue's symbol.
    pub symbol: &'a str,
    /// Where it belongs in the sequence.
    pub ids: UpdateIds,
    /// The venue's event time, unix ms.
    pub event_ts_ms: Option<i64>,
    /// `[price, quantity]` rows.
    pub bids: Rows<'a>,
    /// `[price, quantity]` rows.
    pub asks: Rows<'a>,
}

/// A whole book down to a limit.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotFrame<'a> {
    /// The last update in it.
    pub id: u64,
    /// The venue's event time, unix ms; Binance spot gives none.
    pub event_ts_ms: Option<i64>,
    /// `[price, quantity]` rows, best first.
    pub bids: Rows<'a>,
    /// `[price, quantity]` rows, best first.
    pub asks: Rows<'a>,
}

/// A trade.
#[derive(Clone, Copy, Debug)]
pub struct TradeFrame<'a> {
    /// The venue's symbol.
    pub symbol: &'a str,
    /// The venue's id.
    pub id: u64,
    /// Price as text.
    pub price: &'a str,
    /// Quantity as text.
    pub quantity: &'a str,
    /// Side of the taker.
    pub taker: Side,
    /// When it happened, unix ms.
    pub trade_ts_ms: i64,
    /// When the venue sent it, unix ms.
    pub event_ts_ms: i64,
}

/// The text of an array of arrays of scalars, checked only when it is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rows<'a>(&'a str);

// === impl Rows ===

impl<'a> Rows<'a> {
    /// Wraps the text of an array, brackets included; an empty text is no rows.
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Calls `each` with the first two scalars of every row (further ones are skipped), strings without their quotes.
    pub fn each<E: From<Malformed>>(self, mut each: impl FnMut(&'a str, &'a str) -> Result<(), E>) -> Result<(), E> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut cursor = Cursor::new(self.0);
        cursor.expect(b'[')?;
        if cursor.eat(b']') {
            return Ok(cursor.end()?);
        }
        loop {
            cursor.expect(b'[')?;
            let first = cursor.scalar()?;
            cursor.expect(b',')?;
            let second = cursor.scalar()?;
            while cursor.eat(b',') {
                cursor.scalar()?;
            }
            cursor.expect(b']')?;
            each(first, second)?;
            if !cursor.eat(b',') {
                break;
            }
        }
        cursor.expect(b']')?;
        Ok(cursor.end()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, Malformed> {
        let mut rows = Vec::new();
        Rows::new(text).each(|a, b| {
            rows.push((a.to_owned(), b.to_owned()));
            Ok::<(), Malformed>(())
        })?;
        Ok(rows)
    }

    #[test]
    fn rows_of_every_venue_read() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(read("[]").unwrap(), []);
        assert_eq!(read("").unwrap(), []);
        assert_eq!(read(r#"[["1.0","2"],["3","4.5"]]"#).unwrap(), [pair("1.0", "2"), pair("3", "4.5")]);
        assert_eq!(read(r#"[["8476.98","415","0","13"]]"#).unwrap(), [pair("8476.98", "415")], "OKX rows have four");
        assert_eq!(read("[[42500.0,1e3]]").unwrap(), [pair("42500.0", "1e3")], "Deribit writes bare numbers");
        assert_eq!(read("[ [ \"1\" , \"2\" ] ]").unwrap(), [pair("1", "2")]);
    }

    #[test]
    fn anything_else_is_malformed() {
        for text in ["[", "]", "[[]]", r#"[["1"]]"#, r#"[["1","2"]"#, r#"[["1","2"],]"#, r#"[["1","2"]]x"#, r#"[["1,"2"]]"#, "{}", r#"[["1",["2"]]]"#]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
