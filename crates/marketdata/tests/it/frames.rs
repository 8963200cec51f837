//! Frames as the venues send them, and as they do not: through a whole venue, which must never panic and never publish what it cannot read.

use std::time::Duration;

use clock::Now;
use marketdata::{ConnId, Effect, EventKind, Input, Instrument, Response, Scale, Side, Venue, VenueConfig, VenueKind};
use proptest::prelude::*;

fn venue(kind: VenueKind) -> (Venue, Now) {
    let mut config = VenueConfig::new(kind);
    config.output.book = marketdata::Publication::EveryUpdate;
    let btc = Instrument::new(kind.exchange(), kind.market_type(), ("BTCUSDT", "BTC-USDT"), (Scale::new(2), Scale::new(3)));
    let mut venue = Venue::new(config, vec![btc]).unwrap();
    let now = Now::new(Duration::from_secs(1), 1_700_000_000_000);
    let mut effects = Vec::new();
    venue.handle(now, Input::Timeout, &mut effects);
    venue.handle(now, Input::Connected { conn: ConnId(1) }, &mut effects);
    (venue, now)
}

fn effects_of(kind: VenueKind, text: &str) -> (Vec<Effect>, Venue) {
    let (mut venue, now) = venue(kind);
    let mut effects = Vec::new();
    venue.handle(now, Input::Frame { conn: ConnId(1), text }, &mut effects);
    (effects, venue)
}

#[test]
fn trades_read_in_raw_and_combined_form_with_fields_of_tomorrow() {
    let rows = [
        r#"{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}"#,
        r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"T":1723161255342,"s":"BTCUSDT","t":3735683259,"p":"61837.63","q":"0.020","X":"MARKET","m":true,"st":1,"ps":"BTCUSDT"}}"#,
        r#" { "data" : { "m" : true, "new" : {"a":[1,[2]],"s":"ETHUSDT"}, "q":"0.02","p":"61837.63","t":3735683259,"s":"BTCUSDT","T":1723161255342,"E":1723161255343,"e":"trade" } , "stream":"x" } "#,
    ];
    for text in rows {
        let (effects, _) = effects_of(VenueKind::BinanceSpot, text);
        let [Effect::Trade(trade)] = effects[..] else { panic!("{text}: {effects:?}") };
        assert_eq!((trade.id, trade.price.0, trade.quantity.0, trade.taker), (3_735_683_259, 6_183_763, 20, Side::Ask), "{text}");
        assert_eq!((trade.trade_ts_ms, trade.event_ts_ms, trade.received_ms), (1_723_161_255_342, 1_723_161_255_343, 1_700_000_000_000));
    }
}

#[test]
fn what_is_not_collected_is_counted_and_what_is_broken_is_kept() {
    // (frame, unknown, malformed)
    let rows = [
        (r#"{"u":400900217,"s":"BTCUSDT","b":"25.35190000","B":"31.21","a":"25.36520000","A":"40.66"}"#, 1, 0),
        (r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1,"a":5,"s":"BTCUSDT","p":"0.001","q":"100","f":1,"l":2,"T":1,"m":true}}"#, 1, 0),
        (r#"{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":1,"T":2,"s":"BTCUSDT","b":"x"}}"#, 1, 0),
        (r#"{"e":"trade","E":1,"s":"OTHERUSDT","t":1,"p":"1","q":"1","T":1,"m":true}"#, 1, 0),
        (r#"{"result":["btcusdt@trade"],"id":"text"}"#, 1, 0),
        (r#"{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"1.234","q":"1","T":1,"m":true}"#, 0, 1),
        (r#"{"e":"trade","E":1,"s":"BTCUSDT","p":"1","q":"1","T":1,"m":true}"#, 0, 1),
        (r#"{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"b":[]}"#, 0, 1),
        (r#"{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"b":[["1","x"]],"a":[]}"#, 0, 1),
        (r#"{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"#, 0, 1),
        ("", 0, 1),
        ("pong", 0, 1),
        ("[]", 0, 1),
        ("{}x", 0, 1),
    ];
    for (text, unknown, malformed) in rows {
        let (effects, venue) = effects_of(VenueKind::BinanceSpot, text);
        let stats = venue.stats();
        assert_eq!((stats.unknown, stats.malformed), (unknown, malformed), "{text}");
        assert_eq!(venue.malformed().map(|kept| &*kept.text).collect::<Vec<_>>(), if malformed == 1 { vec![text] } else { vec![] }, "{text}");
        let told = effects.iter().filter(|effect| matches!(effect, Effect::Event(event) if event.kind == EventKind::Malformed)).count();
        assert_eq!(told as u64, malformed, "{text}");
    }
}

#[test]
fn kept_frames_are_few_and_short() {
    let (mut venue, now) = venue(VenueKind::BinanceSpot);
    let long = "é".repeat(5_000);
    for _ in 0..100 {
        venue.handle(now, Input::Frame { conn: ConnId(1), text: &long }, &mut Vec::new());
    }
    assert_eq!(venue.malformed().len(), marketdata::venue::MALFORMED_KEPT);
    assert!(venue.malformed().all(|kept| kept.text.len() <= marketdata::venue::MALFORMED_BYTES && kept.bytes >= kept.text.len()));
    assert_eq!(venue.stats().malformed, 100);
}

#[test]
fn a_booking_of_nothing_uses_up_its_id_and_is_no_trade() {
    let (mut venue, now) = venue(VenueKind::BinanceUsdm);
    let mut effects = Vec::new();
    for (id, quantity) in [(7, "1.000"), (8, "0.000"), (9, "2.000")] {
        let text = format!(r#"{{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":{id},"p":"1.00","q":"{quantity}","X":"NA","m":false}}"#);
        venue.handle(now, Input::Frame { conn: ConnId(1), text: &text }, &mut effects);
    }
    let ids: Vec<u64> = effects.iter().map(|effect| if let Effect::Trade(trade) = effect { trade.id } else { 0 }).collect();
    assert_eq!(ids, [7, 9], "no gap event");
}

#[test]
fn the_wire_is_the_venues() {
    for (kind, url, weight_url) in [
        (VenueKind::BinanceSpot, "wss://stream.binance.com:9443/stream", "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"),
        (VenueKind::BinanceUsdm, "wss://fstream.binance.com/public/stream", "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000"),
    ] {
        let (mut venue, now) = venue(kind);
        assert_eq!(venue.config().ws_url, kind.default_ws_url());
        let mut effects = Vec::new();
        let mut fresh = Venue::new(VenueConfig::new(kind), venue.instruments().to_vec()).unwrap();
        assert_eq!(fresh.next_timeout(), Some(Duration::ZERO), "the first timeout connects");
        fresh.handle(now, Input::Timeout, &mut effects);
        fresh.handle(now, Input::Connected { conn: ConnId(1) }, &mut effects);
        let send = r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","btcusdt@trade"],"id":1}"#;
        assert!(effects.contains(&Effect::Connect { conn: ConnId(1), url: url.into() }), "{effects:?}");
        assert!(effects.contains(&Effect::Send { conn: ConnId(1), text: send.into() }), "{effects:?}");
        effects.clear();
        let delta = r#"{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"pu":0,"b":[],"a":[]}"#;
        venue.handle(now, Input::Frame { conn: ConnId(1), text: delta }, &mut effects);
        let [Effect::Fetch { url, .. }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(url, weight_url, "the first delta asks for the snapshot");
    }
}

#[test]
fn listings_give_names_scales_and_what_trades() {
    let spot = r#"{"timezone":"UTC","symbols":[
        {"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[
            {"filterType":"PRICE_FILTER","minPrice":"0.01","maxPrice":"1000000.00000000","tickSize":"0.01000000"},
            {"filterType":"LOT_SIZE","minQty":"0.00001","maxQty":"9000.00000000","stepSize":"0.00001000"}]},
        {"symbol":"PEPEUSDT","status":"BREAK","baseAsset":"PEPE","quoteAsset":"USDT","filters":[
            {"filterType":"PRICE_FILTER","maxPrice":"1.00000000","tickSize":"0.00000001"},
            {"filterType":"LOT_SIZE","maxQty":"92141578736.00000000","stepSize":"1.00000000"}]}]}"#;
    let listings = VenueKind::BinanceSpot.parse_listing(spot).unwrap();
    let told: Vec<_> = listings
        .iter()
        .map(|l| (&*l.instrument.raw, &*l.instrument.symbol, l.trading, l.instrument.price.digits(), l.instrument.quantity.digits()))
        .collect();
    assert_eq!(told, [("BTCUSDT", "BTC-USDT", true, 8, 8), ("PEPEUSDT", "PEPE-USDT", false, 8, 5)]);
    assert_eq!(listings[1].instrument.quantity.text(listings[1].instrument.quantity.parse("1000000000000").unwrap()), "1000000000000.00000000");

    let futures = r#"{"symbols":[
        {"symbol":"BTCUSDT","contractType":"PERPETUAL","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","pricePrecision":2,"quantityPrecision":3,
         "filters":[{"filterType":"PRICE_FILTER","maxPrice":"4529764","tickSize":"0.10"},{"filterType":"LOT_SIZE","maxQty":"1000","stepSize":"0.001"}]},
        {"symbol":"BTCUSDT_260327","contractType":"CURRENT_QUARTER","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","pricePrecision":1,"quantityPrecision":3}]}"#;
    let listings = VenueKind::BinanceUsdm.parse_listing(futures).unwrap();
    assert_eq!(listings.len(), 1, "dated contracts are not perpetual");
    let btc = &listings[0].instrument;
    assert_eq!((btc.price.text(btc.price.parse("61510.9").unwrap()), btc.quantity.text(0)), ("61510.90".into(), "0.000".into()));
    assert!(VenueKind::BinanceUsdm.parse_listing("<html>").is_err());
    assert_eq!(
        VenueKind::BinanceSpot.listing_url("http://x/", &["BTC-USDT", "币安人生-USDT"]),
        "http://x/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22,%22%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT%22%5D"
    );
}

#[test]
fn okx_and_deribit_list_names_scales_and_what_quantities_count() {
    let okx = r#"{"code":"0","msg":"","data":[
        {"instType":"SWAP","instId":"BTC-USDT-SWAP","baseCcy":"","quoteCcy":"","ctVal":"0.01","ctMult":"1","ctValCcy":"BTC","ctType":"linear","tickSz":"0.1","lotSz":"0.01","maxLmtSz":"100000000","state":"live"},
        {"instId":"BTC-USD-SWAP","ctVal":"100","ctMult":"1","ctValCcy":"USD","ctType":"inverse","tickSz":"0.1","lotSz":"1","maxLmtSz":"1000000","state":"live"},
        {"instId":"PEPE-USDT-SWAP","ctVal":"10000000","ctMult":"1","ctType":"linear","tickSz":"0.000000001","lotSz":"0.1","maxLmtSz":"1000000","state":"suspend"},
        {"instId":"ODD-USDT-SWAP","ctVal":"","ctMult":"1","tickSz":"0.1","lotSz":"1","state":"live"},
        {"instId":"BTC-USDT-260327","ctVal":"0.01","ctMult":"1","tickSz":"0.1","lotSz":"1","state":"live"}]}"#;
    let told = |kind: VenueKind, body: &str| -> Vec<(String, String, bool, &'static str, u8, u8)> {
        let listings = kind.parse_listing(body).unwrap();
        let of = |l: &marketdata::Listing| {
            let i = &l.instrument;
            (i.raw.to_string(), i.symbol.to_string(), l.trading, i.unit.as_str(), i.price.digits(), i.quantity.digits())
        };
        listings.iter().map(of).collect()
    };
    let row = |raw: &str, symbol: &str, trading, unit, price, quantity| (raw.to_owned(), symbol.to_owned(), trading, unit, price, quantity);
    assert_eq!(
        told(VenueKind::OkxSwap, okx),
        [
            row("BTC-USDT-SWAP", "BTC-USDT", true, "base", 3, 4),
            row("BTC-USD-SWAP", "BTC-USD", true, "quote", 3, 0),
            row("PEPE-USDT-SWAP", "PEPE-USDT", false, "base", 11, 1),
        ],
        "dated contracts are not perpetual, and an entry without a contract's worth is left out"
    );
    let swaps = VenueKind::OkxSwap.parse_listing(okx).unwrap();
    let quantity = |place: usize, size: &str| {
        let instrument = &swaps[place].instrument;
        instrument.parse_quantity(size).map(|quantity| instrument.quantity.text(quantity.0)).unwrap()
    };
    assert_eq!((quantity(0, "415.07"), quantity(1, "3"), quantity(2, "1000000.5")), ("4.1507".into(), "300".into(), "10000005000000".into()));

    let spot = r#"{"code":"0","data":[{"instId":"BTC-USDT","baseCcy":"BTC","quoteCcy":"USDT","ctVal":"","ctMult":"","tickSz":"0.1","lotSz":"0.00000001","maxLmtSz":"9999999999","state":"live"}]}"#;
    assert_eq!(told(VenueKind::OkxSpot, spot), [row("BTC-USDT", "BTC-USDT", true, "base", 3, 8)]);
    assert!(VenueKind::OkxSpot.parse_listing(r#"{"code":"50011","msg":"Too Many Requests","data":[]}"#).is_err());

    let deribit = r#"{"jsonrpc":"2.0","result":[
        {"instrument_name":"BTC-PERPETUAL","base_currency":"BTC","quote_currency":"USD","settlement_period":"perpetual","instrument_type":"reversed","tick_size":0.5,"min_trade_amount":10,"contract_size":10,"is_active":true,"kind":"future"},
        {"instrument_name":"XRP_USDC-PERPETUAL","base_currency":"XRP","quote_currency":"USDC","settlement_period":"perpetual","instrument_type":"linear","tick_size":1e-4,"min_trade_amount":1.0,"contract_size":1.0,"is_active":false},
        {"instrument_name":"BTC-27MAR26","base_currency":"BTC","quote_currency":"USD","settlement_period":"month","instrument_type":"reversed","tick_size":2.5,"min_trade_amount":10,"contract_size":10,"is_active":true}],"usIn":1}"#;
    assert_eq!(
        told(VenueKind::Deribit, deribit),
        [row("BTC-PERPETUAL", "BTC-USD", true, "quote", 3, 2), row("XRP_USDC-PERPETUAL", "XRP-USDC", false, "base", 6, 2)]
    );
    assert!(VenueKind::Deribit.parse_listing(r#"{"error":{"code":-32602}}"#).is_err());
}

#[test]
fn a_venue_that_cannot_work_is_not_built() {
    let good = venue(VenueKind::BinanceSpot).0.instruments().to_vec();
    let config = || VenueConfig::new(VenueKind::BinanceSpot);
    assert_eq!(Venue::new(config(), Vec::new()).unwrap_err().to_string(), "no instruments");
    assert!(Venue::new(config(), [good.clone(), good.clone()].concat()).is_err());
    let mut dotted = good.clone();
    dotted[0].symbol = "BTC.USDT".into();
    assert!(Venue::new(config(), dotted).unwrap_err().to_string().contains("BTC.USDT"));
    assert!(Venue::new(VenueConfig::new(VenueKind::BinanceUsdm), good.clone()).unwrap_err().to_string().contains("not of this venue"));
    let mut deep = config();
    deep.depth = 5_000;
    assert_eq!(Venue::new(deep, good.clone()).unwrap_err().to_string(), "depth 5000 is deeper than a snapshot (1000 levels)");
    let mut none = config();
    none.depth = 0;
    assert_eq!(Venue::new(none, good).unwrap_err().to_string(), "depth must be at least 1");
}

/// Pieces that frames are made of, put together in any order.
fn shards() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just("[["),
        Just("]]"),
        Just("\""),
        Just(","),
        Just(":"),
        Just("\\"),
        Just("é"),
        Just("\"e\":\"depthUpdate\""),
        Just("\"e\":\"trade\""),
        Just("\"s\":\"BTCUSDT\""),
        Just("\"U\":1"),
        Just("\"u\":18446744073709551615"),
        Just("\"pu\":0"),
        Just("\"b\":[[\"1\",\"2\"]]"),
        Just("\"a\":[]"),
        Just("\"data\":"),
        Just("\"code\":1"),
        Just("\"id\":1"),
        Just("\"result\":null"),
        Just("\"t\":18446744073709551615"),
        Just("\"t\":1"),
        Just("\"p\":\"1\""),
        Just("\"q\":\"1\""),
        Just("\"T\":1"),
        Just("\"E\":-1"),
        Just("\"m\":true"),
        // OKX.
        Just("\"arg\":{\"channel\":\"books\",\"instId\":\"BTCUSDT\"}"),
        Just("\"arg\":{\"channel\":\"trades\",\"instId\":\"BTCUSDT\"}"),
        Just("\"action\":\"update\""),
        Just("\"event\":\"error\""),
        Just("\"event\":\"subscribe\""),
        Just("\"data\":[{\"asks\":[],\"bids\":[],\"prevSeqId\":-1,\"seqId\":18446744073709551615}]"),
        Just("\"data\":[{\"tradeId\":\"1\",\"px\":\"1\",\"sz\":\"1\",\"side\":\"buy\",\"ts\":\"1\",\"count\":\"4294967295\"}]"),
        // Deribit.
        Just("\"method\":\"subscription\""),
        Just("\"params\":{\"channel\":\"book.BTCUSDT.100ms\",\"data\":{\"type\":\"change\",\"change_id\":0,\"bids\":[],\"asks\":[]}}"),
        Just("\"params\":{\"channel\":\"trades.BTCUSDT.100ms\",\"data\":[{\"trade_seq\":1}]}"),
        Just("\"result\":[\"book.BTCUSDT.100ms\"]"),
        Just("\"error\":{\"code\":11051}"),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_panics(texts in proptest::collection::vec(prop_oneof![shards(), "\\PC{0,80}"], 1..8)) {
        for kind in VenueKind::ALL {
            let (mut venue, now) = venue(kind);
            let mut effects = Vec::new();
            for text in &texts {
                venue.handle(now, Input::Frame { conn: ConnId(1), text }, &mut effects);
                let asked = effects.iter().find_map(|effect| if let Effect::Fetch { fetch, .. } = effect { Some(*fetch) } else { None });
                if let Some(fetch) = asked {
                    venue.handle(now, Input::Fetched { fetch, response: Response { status: 200, retry_after: None, used_weight: Some(u32::MAX), body: text } }, &mut effects);
                }
            }
            prop_assert!(!effects.iter().any(|effect| matches!(effect, Effect::Book { .. })), "nothing exact can come of shards");
        }
    }
}
