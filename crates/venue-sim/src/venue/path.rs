//! What a WebSocket request's path means at a venue: which class of streams, wrapped or not, and the streams it already names.

use super::kind::{Route, VenueKind};
use super::session::Session;
use crate::hex_escapes;

/// The session a path asks for; `None`: the venue has no such path.
pub(super) fn session_of(venue: VenueKind, path: &str, query: Option<&str>) -> Option<Session> {
    let (route, rest) = match venue {
        VenueKind::BinanceSpot => (Route::Every, path),
        VenueKind::BinanceUsdm => match (path.strip_prefix("/public"), path.strip_prefix("/market")) {
            (Some(rest), _) => (Route::Public, rest),
            (None, Some(rest)) => (Route::Market, rest),
            // Unrouted paths carry what /public carries.
            (None, None) => (Route::Public, path),
        },
    };
    if rest == "/stream" || rest == "/stream/" {
        let names = query.and_then(|query| parameter(query, "streams")).map(|list| list.split('/').map(str::to_owned).collect::<Vec<_>>());
        return Some(Session::new(route, true, names.unwrap_or_default()));
    }
    let names = rest.strip_prefix("/ws")?;
    let names = names.strip_prefix('/').or_else(|| names.is_empty().then_some(""))?;
    let names = percent_decoded(names);
    Some(Session::new(route, false, names.split('/').filter(|name| !name.is_empty()).map(str::to_owned)))
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
            let session = session_of(*venue, path, *query).unwrap();
            let names: Vec<_> = session.streams.iter().map(String::as_str).collect();
            assert_eq!((session.route, session.combined, names.as_slice()), (*route, *combined, *streams), "{path}");
        }
        for path in ["/", "/wsx", "/api/v3/depth"] {
            assert!(session_of(BinanceSpot, path, None).is_none(), "{path}");
        }
    }

    #[test]
    fn symbols_need_not_be_ascii() {
        assert_eq!(percent_decoded("%E5%B8%81usdt@depth"), "币usdt@depth");
        assert_eq!(percent_decoded("100%"), "100%");
    }
}
