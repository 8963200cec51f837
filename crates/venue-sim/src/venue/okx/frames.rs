//! OKX's pushes: books chained by `prevSeqId` → `seqId`, trades. Times are strings, levels `[price, size, "0", orders]`, sizes of swaps count contracts.

use std::fmt::Write as _;

use crate::venue::deal::Deal;
use crate::venue::market::StreamEvent;
use crate::venue::wire::{Level, Snapshot};

/// What stands in the field that is dead since 2026-06-23.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// `0`, as in production.
    Zero,
    /// The field is not there.
    Absent,
    /// A number that means nothing.
    Wrong,
}

/// A change of a book.
pub(crate) fn update(event: &StreamEvent, checksum: Checksum) -> String {
    let update = &event.update;
    let previous = update.previous_id.unwrap_or(update.last_id);
    book((&update.s, "update"), (&update.b, &update.a), &tail(update.event_ms, checksum, &previous.to_string(), update.last_id))
}

/// The first message of a subscription.
pub(crate) fn snapshot(symbol: &str, snapshot: &Snapshot, event_ms: i64) -> String {
    book((symbol, "snapshot"), (&snapshot.bids, &snapshot.asks), &tail(event_ms, Checksum::Zero, "-1", snapshot.last_update_id))
}

/// A trade on `trades` (fills of one order at one price are one) and on `trades-all` (each fill).
pub(crate) fn trades(deal: &Deal) -> Vec<(&'static str, String)> {
    let merged = format!(",\"count\":\"{}\",\"source\":\"0\",\"seqId\":{}", deal.fills.len(), deal.update_id);
    let last = deal.fills.last().map_or(0, |(id, _)| *id);
    let mut all = vec![("@trades", trade(deal, "trades", (last, &deal.quantity), &merged))];
    all.extend(deal.fills.iter().map(|(id, quantity)| ("@trades-all", trade(deal, "trades-all", (*id, quantity), ",\"source\":\"0\""))));
    all
}

/// A push of a channel that nobody knows.
pub(crate) fn unknown(symbol: &str, event_ms: i64) -> String {
    format!("{{\"arg\":{{\"channel\":\"something-new\",\"instId\":\"{symbol}\"}},\"data\":[{{\"ts\":\"{event_ms}\",\"payload\":[1,{{}}]}}]}}")
}

fn trade(deal: &Deal, channel: &str, (id, quantity): (u64, &str), rest: &str) -> String {
    let Deal { symbol, price, ms, .. } = deal;
    let side = if deal.buyer_is_maker { "sell" } else { "buy" };
    format!(
        "{{\"arg\":{{\"channel\":\"{channel}\",\"instId\":\"{symbol}\"}},\"data\":[{{\"instId\":\"{symbol}\",\"tradeId\":\"{id}\",\"px\":\"{price}\",\"sz\":\"{quantity}\",\"side\":\"{side}\",\"ts\":\"{ms}\"{rest}}}]}}"
    )
}

fn book((symbol, action): (&str, &str), (bids, asks): (&[Level], &[Level]), tail: &str) -> String {
    let mut text = format!("{{\"arg\":{{\"channel\":\"books\",\"instId\":\"{symbol}\"}},\"action\":\"{action}\",\"data\":[{{\"asks\":[");
    levels(&mut text, asks);
    text.push_str("],\"bids\":[");
    levels(&mut text, bids);
    text.push_str("],");
    text.push_str(tail);
    text.push_str("}]}");
    text
}

fn tail(event_ms: i64, checksum: Checksum, previous: &str, id: u64) -> String {
    let checksum = match checksum {
        Checksum::Zero => "\"checksum\":0,",
        Checksum::Absent => "",
        Checksum::Wrong => "\"checksum\":-855196043,",
    };
    format!("\"ts\":\"{event_ms}\",{checksum}\"prevSeqId\":{previous},\"seqId\":{id}")
}

/// Levels as they stand in books: the third field is dead, the fourth a number of orders.
pub(super) fn levels(text: &mut String, levels: &[Level]) {
    for (at, (price, size)) in levels.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let (size, orders) = if size.bytes().all(|b| b == b'0' || b == b'.') { ("0", 0) } else { (size.as_str(), 1 + size.len() % 7) };
        // Writing to a string does not fail.
        let _ = write!(text, "{comma}[\"{price}\",\"{size}\",\"0\",\"{orders}\"]");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: &str, size: &str) -> Level {
        (price.to_owned(), size.to_owned())
    }

    #[test]
    fn a_snapshot_reads_as_the_manual_shows_it() {
        let book = Snapshot {
            last_update_id: 123456,
            event_ms: None,
            transaction_ms: None,
            bids: vec![level("8476.97", "256")],
            asks: vec![level("8476.98", "415")],
        };
        assert_eq!(
            snapshot("BTC-USDT", &book, 1_597_026_383_085),
            r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":[["8476.98","415","0","4"]],"bids":[["8476.97","256","0","4"]],"ts":"1597026383085","checksum":0,"prevSeqId":-1,"seqId":123456}]}"#
        );
    }

    #[test]
    fn merged_fills_are_one_trade_with_the_last_id() {
        let fills = vec![(7, "1".to_owned()), (8, "2".to_owned())];
        let deal = Deal { symbol: "BTC-USDT".into(), price: "9.5".into(), quantity: "3".into(), fills, update_id: 4, buyer_is_maker: true, ms: 1 };
        let all = trades(&deal);
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["@trades", "@trades-all", "@trades-all"]);
        let merged: serde_json::Value = serde_json::from_str(&all[0].1).unwrap();
        assert_eq!(
            (&merged["data"][0]["tradeId"], &merged["data"][0]["count"], &merged["data"][0]["side"]),
            (&"8".into(), &"2".into(), &"sell".into())
        );
    }
}
