//! Binance's REST: what a request weighs, and the answers in the venue's words (rest-api.md; USDⓈ-M "Order Book", "Exchange Information").

use serde_json::{Value, json};

use crate::venue::engine::{Ask, RestReply, Trouble};
use crate::venue::kind::VenueKind;
use crate::venue::market::{Instrument, Market};
use crate::venue::wire::{Snapshot, to_json};

/// The number of levels answered for a requested limit and what the request weighs; `None` when the venue refuses the limit.
pub(crate) fn depth_limit(venue: VenueKind, asked: Option<u32>) -> Option<(usize, u32)> {
    if venue == VenueKind::BinanceSpot {
        let limit = asked.unwrap_or(100).min(5000);
        let weight = match limit {
            0 => return None,
            1..=100 => 5,
            101..=500 => 25,
            501..=1000 => 50,
            _ => 250,
        };
        return Some((limit as usize, weight));
    }
    let limit = asked.unwrap_or(500);
    let weight = match limit {
        5 | 10 | 20 | 50 => 2,
        100 => 5,
        500 => 10,
        1000 => 20,
        _ => return None,
    };
    Some((limit as usize, weight))
}

/// What a request weighs.
pub(crate) fn weight(venue: VenueKind, ask: &Ask) -> u32 {
    match ask {
        Ask::ExchangeInfo { .. } if venue == VenueKind::BinanceSpot => 20,
        Ask::Depth { limit, .. } => limit.as_ref().ok().and_then(|&limit| depth_limit(venue, limit)).map_or(1, |(_, weight)| weight),
        _ => 1,
    }
}

/// The answer of `/depth`.
pub(crate) fn depth(venue: VenueKind, mut snapshot: Snapshot, event_ms: i64) -> RestReply {
    let times = (venue == VenueKind::BinanceUsdm).then_some(event_ms);
    snapshot.event_ms = times;
    snapshot.transaction_ms = times;
    RestReply::json(200, to_json(&snapshot))
}

/// The answer of `/exchangeInfo`.
pub(crate) fn exchange_info<'a>(venue: VenueKind, markets: impl Iterator<Item = &'a Market>, (limit, now_ms): (u32, i64)) -> RestReply {
    let list: Vec<Value> = markets.map(|market| symbol_info(venue, &market.instrument)).collect();
    let weight = json!({"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limit});
    RestReply::json(200, json!({"timezone": "UTC", "serverTime": now_ms, "rateLimits": [weight], "exchangeFilters": [], "symbols": list}).to_string())
}

/// A refusal.
pub(crate) fn error(status: u16, code: i32, message: &str) -> RestReply {
    RestReply::json(status, json!({"code": code, "msg": message}).to_string())
}

/// A parameter that was not sent.
pub(crate) fn mandatory(name: &str) -> RestReply {
    error(400, -1102, &format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
}

/// What the venue says when it does not answer.
pub(crate) fn trouble(trouble: Trouble) -> RestReply {
    match trouble {
        Trouble::TooMuch { limit } => {
            let message = format!(
                "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
            );
            error(429, -1003, &message)
        }
        Trouble::Banned { until_ms } => {
            let message =
                format!("Way too much request weight used; IP banned until {until_ms}. Please use WebSocket Streams for live updates to avoid bans.");
            error(418, -1003, &message)
        }
        Trouble::Unknown => error(500, -1000, "An unknown error occurred while processing the request."),
    }
}

fn symbol_info(venue: VenueKind, instrument: &Instrument) -> Value {
    let filters = json!([
        {"filterType": "PRICE_FILTER", "minPrice": instrument.tick_size, "maxPrice": "1000000.00000000", "tickSize": instrument.tick_size},
        {"filterType": "LOT_SIZE", "minQty": instrument.step_size, "maxQty": instrument.max_quantity, "stepSize": instrument.step_size},
    ]);
    let mut info = json!({
        "symbol": instrument.symbol, "status": "TRADING", "baseAsset": instrument.base, "quoteAsset": instrument.quote,
        "baseAssetPrecision": 8, "quotePrecision": 8, "orderTypes": ["LIMIT", "MARKET"], "filters": filters,
    });
    let special = if venue == VenueKind::BinanceSpot {
        json!({"quoteAssetPrecision": 8, "isSpotTradingAllowed": true, "isMarginTradingAllowed": true, "permissions": []})
    } else {
        json!({
            "pair": instrument.symbol, "contractType": "PERPETUAL", "marginAsset": instrument.quote, "underlyingType": "COIN",
            "pricePrecision": instrument.price_decimals, "quantityPrecision": instrument.quantity_decimals,
        })
    };
    if let (Some(info), Value::Object(special)) = (info.as_object_mut(), special) {
        info.extend(special);
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_weights_are_the_manuals() {
        let rows = [
            (VenueKind::BinanceSpot, None, Some((100, 5))),
            (VenueKind::BinanceSpot, Some(500), Some((500, 25))),
            (VenueKind::BinanceSpot, Some(1000), Some((1000, 50))),
            (VenueKind::BinanceSpot, Some(9999), Some((5000, 250))),
            (VenueKind::BinanceUsdm, None, Some((500, 10))),
            (VenueKind::BinanceUsdm, Some(1000), Some((1000, 20))),
            (VenueKind::BinanceUsdm, Some(999), None),
        ];
        for (venue, asked, expected) in rows {
            assert_eq!(depth_limit(venue, asked), expected, "{venue:?} {asked:?}");
        }
    }
}
