//! What a WebSocket request's path means at a venue: which class of streams, wrapped or not, and the streams it already names.

use super::config::Manners;
use super::deribit;
use super::kind::{Route, VenueKind};
use super::okx;
use super::okx::talk::Endpoint;
use super::session::{Session, Talk};
use crate::hex_escapes;

/// The session a path asks for; `None`: the venue has no such path. `number` is different for each connection.
pub(super) fn session_of(venue: VenueKind, (path, query): (&str, Option<&str>), manners: &Manners, number: u64) -> Option<Session> {
    let okx = |endpoint| Session::new(Talk::Okx(okx::talk::Talk::new(endpoint, number, manners.requests_per_hour)));
    match (venue, path) {
        (VenueKind::BinanceSpot, _) => binance(Route::Every, path, query),
        (VenueKind::BinanceUsdm, _) => match (path.strip_prefix("/public"), path.strip_prefix("/market")) {
            (Some(rest), _) => binance(Route::Public, rest, query),
            (None, Some(rest)) => binance(Route::Market, rest, query),
            // Unrouted paths carry what /public carries.
            (None, None) => binance(Route::Public, path, query),
        },
        (VenueKind::OkxSpot | VenueKind::OkxSwap, "/ws/v5/public") => Some(okx(Endpoint::Public)),
        (VenueKind::OkxSpot | VenueKind::OkxSwap, "/ws/v5/business") => Some(okx(Endpoint::Business)),
        (VenueKind::Deribit, "/ws/api/v2" | "/ws/api/v2/") => {
            Some(Session::new(Talk::Deribit(deribit::talk::Talk::new(manners.credits, manners.short_heartbeats))))
        }
        (VenueKind::OkxSpot | VenueKind::OkxSwap | VenueKind::Deribit, _) => None,
    }
}

fn binance(route: Route, rest: &str, query: Option<&str>) -> Option<Session> {
    if rest == "/stream" || rest == "/stream/" {
        let names = query.and_then(|query| parameter(query, "streams")).map(|list| list.split('/').map(str::to_owned).collect::<Vec<_>>());
        return Some(Session::binance(route, true, names.unwrap_or_default()));
    }
    let names = rest.strip_prefix("/ws")?;
    let names = names.strip_prefix('/').or_else(|| names.is_empty().then_some(""))?;
    let names = percent_decoded(names);
    Some(Session::binance(route, false, names.split('/').filter(|name| !name.is_empty()).map(str::to_owned)))
}

/// A parameter of a query string, decoded.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map(|(_, value)| percent_decoded(value))
}

/// Undoes percent encoding; what is not valid stays as it is. Stream lists may be encoded, symbols need not be ASCII.
fn percent_decoded(text: &str) -> String {
    String::from_utf8(hex_escapes::decode(text, b'%')).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_the_manuals_say() {
        use VenueKind::{BinanceSpot, BinanceUsdm};
        type Row<'a> = (VenueKind, &'a str, Option<&'a str>, Route, bool, &'a [&'a str]);
        let rows: &[Row<'_>] = &[
            (BinanceSpot, "/ws", None, Route::Every, false, &[]),
            (BinanceSpot, "/ws/btcusdt@trade", None, Route::Every, false, &["btcusdt@trade"]),
            (BinanceSpot, "/stream", Some("streams=a@trade/b@depth"), Route::Every, true, &["a@trade", "b@depth"]),
            (BinanceSpot, "/stream", Some("timeUnit=x&streams=a%40trade%2Fb%40depth"), Route::Every, true, &["a@trade", "b@depth"]),
            (BinanceUsdm, "/public/ws/a@depth", None, Route::Public, false, &["a@depth"]),
            (BinanceUsdm, "/market/stream", Some("streams=a@aggTrade"), Route::Market, true, &["a@aggTrade"]),
            (BinanceUsdm, "/ws/a@aggTrade", None, Route::Public, false, &["a@aggTrade"]),
        ];
        for (venue, path, query, route, combined, streams) in rows {
            let session = session_of(*venue, (path, *query), &Manners::default(), 1).unwrap();
            let names: Vec<_> = session.streams.iter().map(String::as_str).collect();
            assert_eq!((session.route(), names.as_slice()), (Some((*route, *combined)), *streams), "{path}");
        }
        for path in ["/", "/wsx", "/api/v3/depth"] {
            assert!(session_of(BinanceSpot, (path, None), &Manners::default(), 1).is_none(), "{path}");
        }
        for (venue, path, known) in [
            (VenueKind::OkxSpot, "/ws/v5/public", true),
            (VenueKind::OkxSwap, "/ws/v5/business", true),
            (VenueKind::OkxSpot, "/ws/v5/private", false),
            (VenueKind::Deribit, "/ws/api/v2", true),
            (VenueKind::Deribit, "/ws", false),
        ] {
            assert_eq!(session_of(venue, (path, None), &Manners::default(), 1).is_some(), known, "{path}");
        }
    }

    #[test]
    fn symbols_need_not_be_ascii() {
        assert_eq!(percent_decoded("%E5%B8%81usdt@depth"), "币usdt@depth");
        assert_eq!(percent_decoded("100%"), "100%");
    }
}
