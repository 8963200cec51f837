//! The venue's instrument list: which configured symbols exist, and a word on those that do not.
//!
//! A symbol that is not listed is said with the nearest names and marked; it takes down nothing else.

use std::time::Duration;

use diagnostics::closest;
use marketdata::{Instrument, Listing, Response, VenueKind};

use super::Shared;
use super::network::{Reply, RestFailure};
use crate::config::VenueConfig;
use crate::metrics::catalogue as names;
use crate::stream::StreamState;

/// The whole list of Binance Spot is over ten megabytes.
const WHOLE_MOST: usize = 64 << 20;
/// A list narrowed to the wanted symbols.
const NARROW_MOST: usize = 8 << 20;
/// Waits between attempts: first, and at most.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

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

/// The list, tried until it comes and knows at least one of the wanted symbols; `None`: told to stop.
pub(super) async fn instruments(kind: VenueKind, config: &VenueConfig, shared: &Shared) -> Option<Found> {
    let rest_url = config.rest_url.as_deref().unwrap_or(kind.default_rest_url());
    let mut wait = WAIT.0;
    loop {
        let fetched = tokio::select! {
            () = shared.stop.cancelled() => return None,
            fetched = when_allowed(shared, (kind, rest_url), &config.symbols) => fetched,
        };
        let pause = match fetched {
            Ok(found) => {
                tell(kind, config, &found, shared);
                if !found.instruments.is_empty() {
                    return Some(found);
                }
                WAIT.1
            }
            Err((trouble, failure, retry_after)) => {
                if let Some(RestFailure::Connect(error)) = failure {
                    let labels = [config.exchange.as_str(), config.market_type.as_str(), error.hop.as_str(), error.cause.as_str()];
                    shared.registry.counter(&names::REST_CONNECT_FAILURES, &labels).inc();
                    shared.state.reached((config.exchange, config.market_type), Some((error.hop, error.cause)));
                }
                tracing::warn!(venue = kind.as_str(), url = rest_url, "{trouble}");
                shared.registry.counter(&names::ERRORS, &[config.exchange.as_str(), "instruments", "listing"]).inc();
                retry_after.unwrap_or(wait)
            }
        };
        tokio::select! {
            () = shared.stop.cancelled() => return None,
            () = tokio::time::sleep(pause) => wait = (wait * 2).min(WAIT.1),
        }
    }
}

fn tell(kind: VenueKind, config: &VenueConfig, found: &Found, shared: &Shared) {
    for unknown in &found.unknown {
        unknown.tell(kind, shared);
    }
    for stream in shared.state.streams.iter().filter(|stream| stream.is_of(config)) {
        let known = found.instruments.iter().any(|instrument| *instrument.symbol == *stream.symbol);
        stream.set_state(if known { StreamState::Waiting } else { StreamState::Unknown });
    }
}

/// Why there is no list: in words, how the way to the venue failed, and when it says that it may be asked again.
pub(super) type Trouble = (String, Option<RestFailure>, Option<Duration>);

/// Fetches the list, but not while the exchange wants to hear nothing from this address.
async fn when_allowed(shared: &Shared, venue: (VenueKind, &str), symbols: &[String]) -> Result<Found, Trouble> {
    let (from, now) = (shared.allowances.asks_from(venue.0, venue.1), shared.state.clock.now().mono);
    tokio::time::sleep(from.saturating_sub(now)).await;
    fetch(shared, venue, symbols).await
}

/// Fetches the list; narrowed first, and as a whole when that names a symbol the venue refuses. A pause that the answer imposes is heeded by all
/// venues at this host.
pub(super) async fn fetch(shared: &Shared, (kind, rest_url): (VenueKind, &str), symbols: &[String]) -> Result<Found, Trouble> {
    let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let rest = &*shared.network.rest;
    let narrow = rest.get(kind.listing_url(rest_url, &names), NARROW_MOST).await;
    let reply = match narrow {
        // Binance answers 400 when one of the symbols does not exist.
        Ok(Reply { status: 400, .. }) => rest.get(kind.listing_url(rest_url, &[]), WHOLE_MOST).await,
        other => other,
    };
    if let Ok(Reply { status, retry_after, used_weight, .. }) = &reply {
        let response = Response { status: *status, retry_after: *retry_after, used_weight: *used_weight, body: "" };
        shared.allowances.heed(shared.state.clock.now(), (kind, rest_url), &response);
    }
    match reply {
        Ok(reply) if reply.status == 200 => {
            let listings = kind.parse_listing(&reply.body).map_err(|error| (format!("instrument list: {error}"), None, None))?;
            Ok(choose(listings, symbols))
        }
        Ok(reply) => Err((format!("instrument list: status {}", reply.status), None, reply.retry_after)),
        Err(failure) => Err((format!("instrument list: {failure}"), Some(failure), None)),
    }
}

// === impl Unknown ===

impl Unknown {
    /// Says it in the log, with the nearest name, and counts it.
    pub(super) fn tell(&self, kind: VenueKind, shared: &Shared) {
        let near = self.near.as_deref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let (what, code) = if self.halted { ("is listed but not traded now", "symbol_halted") } else { ("is not listed", "symbol_unknown") };
        tracing::error!(venue = kind.as_str(), symbol = self.symbol, "symbol {} {what}{near}", self.symbol);
        shared.registry.counter(&names::ERRORS, &[kind.exchange().as_str(), "instruments", code]).inc();
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
        let names = (&*symbol.replace('-', ""), symbol);
        let instrument = Instrument::new(Exchange::Binance, MarketType::Spot, names, (Scale::new(8), Scale::new(8)));
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
