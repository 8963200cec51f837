//! Previews and events as JSON.
//!
//! Owns: the fields of `ofi`, `cvd`, `fusion`, `feature` and `event`. Must not know: how the figures came about.

use clock::Now;

use crate::effect::{Event, EventKind};
use crate::instrument::Instrument;
use crate::kind::RecordKind;
use crate::message::json::{null, number, optional, ratio, signed, text_field, wide, yes_or_no};
use crate::message::{head, own_id};
use crate::preview::cvd::Cvd;
use crate::preview::feature::{BookFigures, MICRO_DIGITS};
use crate::preview::{Bar, PreviewView};

/// Appends one JSON object: what the closed second has of this kind. `now` becomes `ts_ms`, the publishing time.
pub fn encode_preview(kind: RecordKind, view: &PreviewView<'_>, now: Now, out: &mut Vec<u8>) {
    let (instrument, bar) = (view.instrument, view.bar);
    head(kind, instrument, now, out);
    signed("event_ts_ms", Some(bar.end_ms), out);
    signed("start_ts_ms", Some(bar.start_ms), out);
    signed("interval_ms", Some(bar.end_ms - bar.start_ms), out);
    match kind {
        RecordKind::Ofi => ofi(instrument, bar, out),
        RecordKind::Cvd => cvd(instrument, bar.cvd.as_ref(), out),
        RecordKind::Fusion => fusion(bar, out),
        RecordKind::Feature => feature(instrument, bar, out),
        RecordKind::OrderBook | RecordKind::Trade | RecordKind::OrderBookDelta | RecordKind::Event => {}
    }
    out.push(b'}');
}

/// Appends one JSON object: an event of an instrument.
pub fn encode_event(event: &Event, instrument: &Instrument, now: Now, out: &mut Vec<u8>) {
    head(RecordKind::Event, instrument, now, out);
    signed("event_ts_ms", Some(now.wall_ms), out);
    text_field("event", event.kind.as_str(), out);
    match event.kind.reason() {
        "" => null("reason", out),
        reason => text_field("reason", reason, out),
    }
    match event.kind {
        EventKind::TradeGap { from, to } => {
            optional("from", Some(from), out);
            optional("to", Some(to), out);
            optional("missing", Some((to - from).saturating_add(1)), out);
        }
        EventKind::LargeTrade(trade) => {
            number("price", instrument.price, trade.price.0, out);
            number("quantity", instrument.quantity, trade.quantity.0, out);
            wide("notional", instrument.worth_digits(), instrument.worth(trade.price, trade.quantity), out);
            text_field("side", trade.taker_word(), out);
            own_id(&trade, out);
            signed("trade_ts_ms", Some(trade.trade_ts_ms), out);
        }
        _ => {}
    }
    out.push(b'}');
}

fn ofi(instrument: &Instrument, bar: &Bar, out: &mut Vec<u8>) {
    let Some(ofi) = bar.ofi else { return };
    wide("ofi", instrument.quantity.digits(), ofi.value, out);
    optional("changes", Some(ofi.changes), out);
    yes_or_no("complete", ofi.complete, out);
}

fn cvd(instrument: &Instrument, cvd: Option<&Cvd>, out: &mut Vec<u8>) {
    let Some(cvd) = cvd else { return };
    let digits = instrument.quantity.digits();
    wide("cvd", digits, cvd.value(), out);
    wide("change", digits, cvd.change, out);
    wide("bought", digits, cvd.bought, out);
    wide("sold", digits, cvd.sold, out);
    optional("trades", Some(cvd.trades), out);
    signed("since_ts_ms", Some(cvd.since_ms), out);
    text_field("reset", cvd.reset.as_str(), out);
    optional("missing_trades", Some(cvd.missing), out);
    yes_or_no("complete", cvd.complete(), out);
}

fn fusion(bar: &Bar, out: &mut Vec<u8>) {
    let Some(fusion) = bar.fusion else { return };
    ratio("fusion", fusion.value, out);
    ratio("z_ofi", fusion.z_ofi, out);
    ratio("z_cvd", fusion.z_cvd, out);
    optional("samples", Some(fusion.samples), out);
    yes_or_no("warming_up", fusion.warm_up_left > 0, out);
    optional("warm_up_left", Some(fusion.warm_up_left), out);
}

fn feature(instrument: &Instrument, bar: &Bar, out: &mut Vec<u8>) {
    let Some(BookFigures { sequence, mid, spread, microprice, imbalance: [first, five, ten] }) = bar.book else { return };
    let (price, quantity) = (instrument.price.digits(), instrument.quantity.digits());
    optional("sequence", Some(sequence), out);
    wide("mid", price + 1, mid, out);
    wide("spread", price, spread, out);
    match microprice {
        Some(value) => wide("microprice", price + MICRO_DIGITS, value, out),
        None => null("microprice", out),
    }
    ratio("imbalance_1", Some(first), out);
    ratio("imbalance_5", Some(five), out);
    ratio("imbalance_10", Some(ten), out);
    match bar.ofi {
        Some(ofi) => wide("ofi", quantity, ofi.value, out),
        None => null("ofi", out),
    }
    match &bar.cvd {
        Some(cvd) => wide("cvd", quantity, cvd.value(), out),
        None => null("cvd", out),
    }
    optional("trades", Some(bar.trades), out);
    wide("volume", quantity, bar.volume, out);
    yes_or_no("complete", bar.ofi.is_some_and(|ofi| ofi.complete), out);
}
