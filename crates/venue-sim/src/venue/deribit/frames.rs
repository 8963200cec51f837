//! Deribit's notifications: books as actions (`new`, `change`, `delete`), trades in arrays.

use std::fmt::Write as _;

use super::number;
use crate::venue::deal::Deal;
use crate::venue::market::StreamEvent;
use crate::venue::wire::{Level, Snapshot};

/// Length of the time over which trades are gathered, ms.
pub(crate) const TRADES_MS: i64 = 100;

/// A change of a book.
pub(crate) fn change(event: &StreamEvent) -> String {
    let update = &event.update;
    let previous = update.previous_id.unwrap_or_default();
    let head = format!(
        "\"type\":\"change\",\"timestamp\":{},\"prev_change_id\":{previous},\"instrument_name\":\"{}\",\"change_id\":{}",
        update.event_ms, update.s, update.last_id
    );
    book(&update.s, &head, (&actions(&update.b, &event.held.bids), &actions(&update.a, &event.held.asks)))
}

/// The first notification of a subscription. `previous` stands where no earlier change can be named: the field is absent, or null.
pub(crate) fn snapshot(symbol: &str, snapshot: &Snapshot, (event_ms, null_previous): (i64, bool)) -> String {
    let previous = if null_previous { "\"prev_change_id\":null," } else { "" };
    let id = snapshot.last_update_id;
    let head = format!("\"type\":\"snapshot\",\"timestamp\":{event_ms},{previous}\"instrument_name\":\"{symbol}\",\"change_id\":{id}");
    book(symbol, &head, (&actions(&snapshot.bids, &[]), &actions(&snapshot.asks, &[])))
}

/// Several trades, as one notification of `trades.….100ms`.
pub(crate) fn trades(symbol: &str, deals: &[Deal]) -> String {
    let mut text = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{{\"channel\":\"trades.{symbol}.100ms\",\"data\":[");
    let fills = deals.iter().flat_map(|deal| deal.fills.iter().map(move |(id, quantity)| (deal, id, quantity)));
    for (at, (deal, id, quantity)) in fills.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let (price, amount) = (number(&deal.price), number(quantity));
        let direction = if deal.buyer_is_maker { "sell" } else { "buy" };
        // Of another count than `trade_seq`; only those of the oldest instrument are plain digits.
        let of = symbol.split_once('-').filter(|_| symbol != "BTC-PERPETUAL").map_or_else(String::new, |(of, _)| format!("{of}-"));
        let trade_id = format!("{of}{}", id + 400_000_000);
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{comma}{{\"trade_seq\":{id},\"trade_id\":\"{trade_id}\",\"timestamp\":{},\"tick_direction\":2,\"price\":{price},\"mark_price\":{price},\"instrument_name\":\"{symbol}\",\"index_price\":{price},\"direction\":\"{direction}\",\"contracts\":1.0,\"amount\":{amount}}}",
            deal.ms
        );
    }
    text.push_str("]}}");
    text
}

/// The same change, and with it the deletion of a level that was never there.
pub(crate) fn with_unknown_delete(mut event: StreamEvent) -> StreamEvent {
    event.update.b.push(("0.5".to_owned(), "0".to_owned()));
    event.held.bids.push(true);
    event
}

/// A notification that nobody knows.
pub(crate) fn unknown(symbol: &str, event_ms: i64) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"something_new\",\"params\":{{\"instrument_name\":\"{symbol}\",\"timestamp\":{event_ms},\"payload\":[1,{{}}]}}}}"
    )
}

fn book(symbol: &str, head: &str, (bids, asks): (&str, &str)) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{{\"channel\":\"book.{symbol}.100ms\",\"data\":{{{head},\"bids\":[{bids}],\"asks\":[{asks}]}}}}}}"
    )
}

/// Levels as actions; `held` says whether the price had a level before. A level that came and went in between is not told.
fn actions(levels: &[Level], held: &[bool]) -> String {
    let mut text = String::new();
    for (at, (price, quantity)) in levels.iter().enumerate() {
        let gone = quantity.bytes().all(|b| b == b'0' || b == b'.');
        let action = match (held.get(at).copied().unwrap_or(false), gone) {
            (false, true) => continue,
            (true, true) => "delete",
            (true, false) => "change",
            (false, false) => "new",
        };
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}[\"{action}\",{},{}]", number(price), number(quantity));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_new_then_changed_then_deleted() {
        let level = |quantity: &str| (String::from("42500.50"), quantity.to_owned());
        let rows = [
            ("10", false, "[\"new\",42500.5,10.0]"),
            ("20", true, "[\"change\",42500.5,20.0]"),
            ("0", true, "[\"delete\",42500.5,0.0]"),
            ("0", false, ""),
        ];
        for (quantity, held, text) in rows {
            assert_eq!(actions(&[level(quantity)], &[held]), text);
        }
    }

    #[test]
    fn a_snapshot_has_no_previous_change() {
        let book = Snapshot { last_update_id: 9, event_ms: None, transaction_ms: None, bids: vec![("1".into(), "10".into())], asks: vec![] };
        assert_eq!(
            snapshot("BTC-PERPETUAL", &book, (7, false)),
            r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.100ms","data":{"type":"snapshot","timestamp":7,"instrument_name":"BTC-PERPETUAL","change_id":9,"bids":[["new",1.0,10.0]],"asks":[]}}}"#
        );
        assert!(snapshot("BTC-PERPETUAL", &book, (7, true)).contains("\"prev_change_id\":null,"));
    }
}
