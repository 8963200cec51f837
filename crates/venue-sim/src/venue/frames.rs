//! What an event looks like on each venue's wire.

use super::deal::Deal;
use super::deribit;
use super::kind::VenueKind;
use super::market::{Market, StreamEvent};
use super::okx;
use super::okx::frames::Checksum;
use super::replay::aggregate_of;
use super::wire::{TRADE, Trade, to_json};

/// A change of a book.
pub(super) fn depth(venue: VenueKind, event: &StreamEvent, checksum: Checksum) -> String {
    match venue {
        VenueKind::BinanceSpot | VenueKind::BinanceUsdm => to_json(&event.update),
        VenueKind::OkxSpot | VenueKind::OkxSwap => okx::frames::update(event, checksum),
        VenueKind::Deribit => deribit::frames::change(event),
    }
}

/// The book as the first message of a subscription, where the venue sends one.
pub(super) fn snapshot(venue: VenueKind, market: &Market, null_previous: bool) -> Option<String> {
    let symbol = &market.instrument.symbol;
    match venue {
        VenueKind::BinanceSpot | VenueKind::BinanceUsdm => None,
        VenueKind::OkxSpot | VenueKind::OkxSwap => Some(okx::frames::snapshot(symbol, &market.snapshot(usize::MAX), market.event_ms)),
        VenueKind::Deribit => Some(deribit::frames::snapshot(symbol, &market.snapshot(usize::MAX), (market.event_ms, null_previous))),
    }
}

/// A message of a kind that nobody knows.
pub(super) fn unknown(venue: VenueKind, symbol: &str, event_ms: i64) -> String {
    match venue {
        VenueKind::BinanceSpot | VenueKind::BinanceUsdm => {
            format!("{{\"e\":\"somethingNew\",\"E\":{event_ms},\"s\":\"{symbol}\",\"payload\":[1,{{}}]}}")
        }
        VenueKind::OkxSpot | VenueKind::OkxSwap => okx::frames::unknown(symbol, event_ms),
        VenueKind::Deribit => deribit::frames::unknown(symbol, event_ms),
    }
}

/// A trade's messages: what follows the symbol in the stream's name, and the text. Deribit's are gathered first (`deribit::frames::trades`).
pub(super) fn trades(venue: VenueKind, deal: &Deal) -> Vec<(&'static str, String)> {
    match venue {
        VenueKind::BinanceSpot | VenueKind::BinanceUsdm => binance_trades(venue, deal),
        VenueKind::OkxSpot | VenueKind::OkxSwap => okx::frames::trades(deal),
        VenueKind::Deribit => vec![("@trades.100ms", deribit::frames::trades(&deal.symbol, std::slice::from_ref(deal)))],
    }
}

fn binance_trades(venue: VenueKind, deal: &Deal) -> Vec<(&'static str, String)> {
    let spot = venue == VenueKind::BinanceSpot;
    let mut all = Vec::new();
    for (id, quantity) in &deal.fills {
        let trade = Trade {
            e: TRADE,
            event_ms: deal.ms,
            trade_ms: deal.ms,
            s: deal.symbol.clone(),
            t: *id,
            p: deal.price.clone(),
            q: quantity.clone(),
            order_type: (!spot).then_some("MARKET".into()),
            m: deal.buyer_is_maker,
            best_match: spot.then_some(true),
        };
        all.push(("@trade", to_json(&trade)));
        all.push(("@aggTrade", aggregate_of(&trade)));
    }
    all
}
