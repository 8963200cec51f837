//! Ids for the books of OKX as it sent them in 2022, without `seqId` and `prevSeqId`: each follows the last.
//! So a book is made of them, but a message that is missing cannot be noticed; the summary says so.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The last id of each instrument.
#[derive(Debug, Default)]
pub(super) struct Numbering(BTreeMap<String, u64>);

/// Where the ids are put: a book's last field was this.
const CHECKSUM: &str = "\"checksum\":";
/// What stands around an instrument's name.
const NAME: (&str, char) = ("\"instId\":\"", '"');

// === impl Numbering ===

impl Numbering {
    /// The frame with ids, if it is a book without.
    pub(super) fn put<'a>(&mut self, frame: &'a str) -> Cow<'a, str> {
        let book = frame.contains("\"channel\":\"books\"") && !frame.contains("\"seqId\":");
        let name = frame.split_once(NAME.0).and_then(|(_, rest)| rest.split_once(NAME.1)).map(|(name, _)| name);
        let (Some(name), Some((before, after))) = (name.filter(|_| book), frame.split_once(CHECKSUM)) else { return Cow::Borrowed(frame) };
        let last = self.0.entry(name.to_owned()).or_default();
        let previous = if frame.contains("\"action\":\"snapshot\"") { "-1".to_owned() } else { last.to_string() };
        *last += 1;
        Cow::Owned(format!("{before}\"prevSeqId\":{previous},\"seqId\":{last},{CHECKSUM}{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_are_numbered_one_by_one_and_everything_else_is_left_alone() {
        let book = |name: &str, action: &str| {
            format!(r#"{{"arg":{{"channel":"books","instId":"{name}"}},"action":"{action}","data":[{{"asks":[],"bids":[],"checksum":-5}}]}}"#)
        };
        let mut numbering = Numbering::default();
        let mut ids = |name, action| {
            let frame: serde_json::Value = serde_json::from_str(&numbering.put(&book(name, action))).unwrap();
            (frame["data"][0]["prevSeqId"].as_i64().unwrap(), frame["data"][0]["seqId"].as_i64().unwrap())
        };
        assert_eq!([ids("A", "snapshot"), ids("A", "update"), ids("B", "snapshot"), ids("A", "update")], [(-1, 1), (1, 2), (-1, 1), (2, 3)]);
        for other in
            [r#"{"arg":{"channel":"trades","instId":"A"},"data":[]}"#, "pong", &book("A", "update").replace("\"bids\"", "\"seqId\":5,\"bids\"")]
        {
            assert_eq!(numbering.put(other), other);
        }
    }
}
