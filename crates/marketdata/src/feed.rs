//! Frames: a venue's text as borrowed fields, without an allocation.
//!
//! Owns: the shapes all venues' messages are reduced to, and the rows of level arrays. Must not know: what a delta does to a book, which instrument a
//! symbol is. Unknown fields are skipped, unknown kinds are [`Frame::Other`]; only a known kind that cannot be read is [`Malformed`].

pub(crate) mod cursor;
pub(crate) mod plain;

use thiserror::Error;

use crate::book::Side;
use crate::effect::StreamKind;
use crate::feed::cursor::Cursor;
use crate::price::Scale;
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

/// One record of a venue's message; a message may hold several.
#[derive(Clone, Copy, Debug)]
pub enum Frame<'a> {
    /// Changes of a book.
    Delta(DeltaFrame<'a>),
    /// A whole book that came with its stream: what follows it continues it.
    Snapshot {
        /// The venue's symbol.
        symbol: &'a str,
        /// The book.
        book: SnapshotFrame<'a>,
    },
    /// A trade.
    Trade(TradeFrame<'a>),
    /// One stream of a request was subscribed.
    Subscribed {
        /// The request's id, where the venue repeats it.
        id: Option<u64>,
        /// The venue's symbol.
        symbol: &'a str,
        /// Which of its streams.
        kind: StreamKind,
    },
    /// One stream of a request was unsubscribed.
    Unsubscribed {
        /// The venue's symbol.
        symbol: &'a str,
        /// Which of its streams.
        kind: StreamKind,
    },
    /// A request was carried out: all of it, or at venues that name the streams ([`Frame::Subscribed`]) those that were named before.
    Ack {
        /// The request's id.
        id: u64,
    },
    /// A request was not carried out.
    Refused {
        /// The request's id, where the venue repeats it.
        id: Option<u64>,
        /// Whether it may be tried again.
        refusal: Refusal,
    },
    /// The venue asks whether we are there, and wants an answer.
    Challenge,
    /// The venue will close this connection soon.
    Shutdown,
    /// A sign of life that says nothing else.
    Alive,
    /// A kind that is not collected.
    Other,
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Something in the request does not exist or is not allowed.
    Never,
    /// The venue cannot do it now.
    Later,
    /// We ask too much; the venue ends the connection.
    TooMuch,
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
    /// Rows.
    pub bids: Rows<'a>,
    /// Rows.
    pub asks: Rows<'a>,
}

/// A whole book down to a limit.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotFrame<'a> {
    /// The last update in it.
    pub id: u64,
    /// The venue's event time, unix ms; Binance spot gives none.
    pub event_ts_ms: Option<i64>,
    /// Rows, best first.
    pub bids: Rows<'a>,
    /// Rows, best first.
    pub asks: Rows<'a>,
}

/// A trade.
#[derive(Clone, Copy, Debug)]
pub struct TradeFrame<'a> {
    /// The venue's symbol.
    pub symbol: &'a str,
    /// The number that counts the instrument's trades.
    pub id: u64,
    /// The venue's own id, where that is another thing.
    pub name: Option<&'a str>,
    /// How many of the venue's ids it stands for, its own the last of them; 1 where fills are not merged.
    pub covers: u32,
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
pub struct Rows<'a> {
    text: &'a str,
    with_actions: bool,
}

/// What a row says it does to its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sets the absolute quantity, 0 removes; all that most venues say.
    Set,
    /// The level was not there (Deribit `new`).
    New,
    /// The level was there (Deribit `change`).
    Change,
    /// The level was there and goes (Deribit `delete`); its quantity is read as 0.
    Delete,
}

// === impl Rows ===

impl<'a> Rows<'a> {
    /// `[[price, quantity, …], …]`: wraps the text of an array, brackets included; an empty text is no rows.
    pub const fn new(text: &'a str) -> Self {
        Self { text, with_actions: false }
    }

    /// `[[action, price, quantity, …], …]`.
    pub const fn with_actions(text: &'a str) -> Self {
        Self { text, with_actions: true }
    }

    /// Calls `each` with the numbers of every row at these scales, in one pass over the text, where all rows are as most venues write them:
    /// `["digits.digits","digits.digits"…]`. `None`: they are not, or `each` gave up; some may have been told then, and [`each`](Self::each) tells all.
    pub(crate) fn each_plain(self, (first, second): (Scale, Scale), mut each: impl FnMut(i64, i64) -> Option<()>) -> Option<()> {
        let mut rest = self.text.as_bytes().strip_prefix(b"[").filter(|_| !self.with_actions)?;
        loop {
            let (one, after) = first.read_quoted(rest.strip_prefix(b"[\"")?)?;
            let (two, mut after) = second.read_quoted(after.strip_prefix(b",\"")?)?;
            while let Some(further) = after.strip_prefix(b",\"") {
                let end = further.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
                after = further.get(end..)?.strip_prefix(b"\"")?;
            }
            each(one, two)?;
            rest = match after {
                [b']', b',', rows @ ..] => rows,
                [b']', b']'] => return Some(()),
                _ => return None,
            };
        }
    }

    /// Calls `each` with action, price and quantity of every row (further scalars are skipped), strings without their quotes.
    pub fn each<E: From<Malformed>>(self, mut each: impl FnMut(Action, &'a str, &'a str) -> Result<(), E>) -> Result<(), E> {
        if self.text.is_empty() {
            return Ok(());
        }
        let mut cursor = Cursor::new(self.text);
        cursor.expect(b'[')?;
        if cursor.eat(b']') {
            return Ok(cursor.end()?);
        }
        loop {
            cursor.expect(b'[')?;
            let action = if self.with_actions { Action::read(&mut cursor)? } else { Action::Set };
            let first = cursor.scalar()?;
            cursor.expect(b',')?;
            let second = cursor.scalar()?;
            while cursor.eat(b',') {
                cursor.scalar()?;
            }
            cursor.expect(b']')?;
            each(action, first, if action == Action::Delete { "0" } else { second })?;
            if !cursor.eat(b',') {
                break;
            }
        }
        cursor.expect(b']')?;
        Ok(cursor.end()?)
    }
}

// === impl Action ===

impl Action {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let action = match cursor.scalar()? {
            "new" => Action::New,
            "change" => Action::Change,
            "delete" => Action::Delete,
            _ => return Err(Malformed { what: "unknown action of a level", at: 0 }),
        };
        cursor.expect(b',')?;
        Ok(action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, Malformed> {
        let mut rows = Vec::new();
        Rows::new(text).each(|action, a, b| {
            assert_eq!(action, Action::Set);
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
    fn plain_rows_are_read_in_one_pass_and_others_left_to_the_other_reader() {
        let scales = (Scale::new(2), Scale::new(3));
        for (text, expected) in [
            (r#"[["1.25","2"],["3","4.500"]]"#, Some(vec![(125, 2_000), (300, 4_500)])),
            (r#"[["8476.98","415","0","13"]]"#, Some(vec![(847_698, 415_000)])),
            ("[]", None),
            ("", None),
            (r#"[["1.255","2"]]"#, None),
            (r#"[["1","2"]"#, None),
            (r#"[["1","2"]]x"#, None),
            (r#"[["1","2"],]"#, None),
            (r#"[["1","2","a\"]"]]"#, None),
            ("[[1,2]]", None),
        ] {
            let mut rows = Vec::new();
            let outcome = Rows::new(text).each_plain(scales, |price, quantity| {
                rows.push((price, quantity));
                Some(())
            });
            assert_eq!(outcome.map(|()| rows), expected, "{text}");
        }
        assert_eq!(Rows::with_actions(r#"[["1","2"]]"#).each_plain(scales, |_, _| Some(())), None);
        assert_eq!(Rows::new(r#"[["1","2"]]"#).each_plain(scales, |_, _| None), None);
    }

    #[test]
    fn rows_with_actions_read() {
        let mut rows = Vec::new();
        Rows::with_actions(r#"[["new",42500.0,1000.0],["change",42499.5,9.5e2],["delete",42501.0,0.0]]"#)
            .each(|action, price, quantity| {
                rows.push((action, price, quantity));
                Ok::<(), Malformed>(())
            })
            .unwrap();
        assert_eq!(rows, [(Action::New, "42500.0", "1000.0"), (Action::Change, "42499.5", "9.5e2"), (Action::Delete, "42501.0", "0")]);
        for text in [r#"[["gone",1.0,2.0]]"#, "[[1.0,2.0]]", r#"[["new",1.0]]"#] {
            assert!(Rows::with_actions(text).each(|_, _, _| Ok::<(), Malformed>(())).is_err(), "{text}");
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for text in ["[", "]", "[[]]", r#"[["1"]]"#, r#"[["1","2"]"#, r#"[["1","2"],]"#, r#"[["1","2"]]x"#, r#"[["1,"2"]]"#, "{}", r#"[["1",["2"]]]"#]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
