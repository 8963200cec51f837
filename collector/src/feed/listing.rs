//! The venue's instrument list at the start: which configured symbols exist, and a word on those that do not.
//!
//! A symbol that is not listed is said with the nearest names and marked; it takes down nothing else.

use std::time::Duration;

use diagnostics::closest;
use marketdata::{Instrument, Listing, VenueKind};

use super::network::{Reply, Rest, RestFailure};

/// The whole list of Binance Spot is over ten megabytes.
const WHOLE_MOST: usize = 64 << 20;
/// A list narrowed to the wanted symbols.
const NARROW_MOST: usize = 8 << 20;

/// What the list says of the wanted symbols.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Those that are traded, in the wanted order.
    pub(super) instruments: Vec<Instrument>,
    /// Those that are not.
    pub(super) unknown: Vec<Unknown>,
}

/// A wanted symbol that cannot be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    pub(super) symbol: String,
    /// Listed, but not traded now.
    pub(super) halted: bool,
    pub(super) near: Option<String>,
}

/// Fetches the list; narrowed first, and as a whole when that names a symbol the venue refuses.
pub(super) async fn fetch(rest: &dyn Rest, kind: VenueKind, rest_url: &str, symbols: &[String]) -> Result<Found, (String, Option<Duration>)> {
    let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let narrow = rest.get(kind.listing_url(rest_url, &names), NARROW_MOST).await;
    let reply = match narrow {
        // Binance answers 400 when one of the symbols does not exist.
        Ok(Reply { status: 400, .. }) => rest.get(kind.listing_url(rest_url, &[]), WHOLE_MOST).await,
        other => other,
    };
    match reply {
        Ok(reply) if reply.status == 200 => {
            let listings = kind.parse_listing(&reply.body).map_err(|error| (format!("instrument list: {error}"), None))?;
            Ok(choose(listings, symbols))
        }
        Ok(reply) => Err((format!("instrument list: status {}", reply.status), reply.retry_after)),
        Err(RestFailure::Timeout) => Err(("instrument list: no answer in time".to_owned(), None)),
        Err(other) => Err((format!("instrument list: {other}"), None)),
    }
}

fn choose(listings: Vec<Listing>, symbols: &[String]) -> Found {
    let mut found = Found { instruments: Vec::new(), unknown: Vec::new() };
    for symbol in symbols {
        match listings.iter().find(|listing| *listing.instrument.symbol == **symbol) {
            Some(listing) if listing.trading => found.instruments.push(listing.instrument.clone()),
            Some(_) => found.unknown.push(Unknown { symbol: symbol.clone(), halted: true, near: None }),
            None => {
                let near = closest(symbol, listings.iter().map(|listing| &*listing.instrument.symbol)).map(str::to_owned);
                found.unknown.push(Unknown { symbol: symbol.clone(), halted: false, near });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use marketdata::{Exchange, MarketType, Scale};

    use super::*;

    fn listing(symbol: &str, trading: bool) -> Listing {
        let (price, quantity) = (Scale::new(8), Scale::new(8));
        let instrument = Instrument {
            exchange: Exchange::Binance,
            market_type: MarketType::Spot,
            raw: symbol.replace('-', "").into(),
            symbol: symbol.into(),
            price,
            quantity,
        };
        Listing { instrument, trading }
    }

    #[test]
    fn an_unknown_symbol_is_named_with_its_neighbour_and_the_others_stay() {
        let listings = vec![listing("ETH-USDT", true), listing("BTC-USDT", true), listing("LUNA-USDT", false)];
        let found = choose(listings, &["BTC-USDT".into(), "EHT-USDT".into(), "LUNA-USDT".into(), "ETH-USDT".into()]);
        let symbols: Vec<&str> = found.instruments.iter().map(|instrument| &*instrument.symbol).collect();
        assert_eq!(symbols, ["BTC-USDT", "ETH-USDT"]);
        let swapped = Unknown { symbol: "EHT-USDT".into(), halted: false, near: Some("ETH-USDT".into()) };
        assert_eq!(found.unknown, [swapped, Unknown { symbol: "LUNA-USDT".into(), halted: true, near: None }]);
    }
}
