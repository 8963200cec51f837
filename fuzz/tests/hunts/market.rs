//! What venues send: frames, snapshots, lists of instruments.
use std::time::Duration;

use clock::Now;
use fuzz::{Bound, Target, shape};
use marketdata::{ConnId, Effect, FetchId, Input, Instrument, Response, Scale, Venue, VenueConfig, VenueKind};

use crate::{hunt, seeds};

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "\"b\":[",
    "\"a\":[",
    "\"bids\":[",
    "\"asks\":[",
    "[\"900.00\",\"1.000\"]",
    "\"U\":",
    "\"u\":",
    "\"pu\":",
    "\"s\":",
    "\"e\":\"depthUpdate\"",
    "\"data\":",
    "\"action\":\"update\"",
    "\"seqId\":",
    "\"prevSeqId\":",
    "\"type\":\"change\"",
    "\"change_id\":",
    "\"method\":\"subscription\"",
    "\"id\":1",
    "\"result\":null",
    "\"error\":{\"code\":",
    "\\u00e9",
    "1e999",
    "0.000000000000000001",
    "-0",
];

/// What the venue's symbol for the one instrument is.
fn raw(kind: VenueKind) -> &'static str {
    match kind {
        VenueKind::BinanceSpot | VenueKind::BinanceUsdm => "BTCUSDT",
        VenueKind::OkxSpot => "BTC-USDT",
        VenueKind::OkxSwap => "BTC-USDT-SWAP",
        VenueKind::Deribit => "BTC-PERPETUAL",
    }
}

/// The input is two frames with a snapshot between them, parted by line feeds.
fn feed(kind: VenueKind, input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let instrument = Instrument::new(kind.exchange(), kind.market_type(), (raw(kind), "BTC-USDT"), (Scale::new(2), Scale::new(3)));
    let mut venue = Venue::new(VenueConfig::new(kind), vec![instrument]).unwrap();
    let (conn, mut now) = (ConnId(1), Now::new(Duration::from_secs(1), 1_700_000_000_000));
    let (mut effects, mut words) = (Vec::new(), String::new());
    venue.handle(now, Input::Timeout, &mut effects);
    venue.handle(now, Input::Connected { conn }, &mut effects);
    let parts = text.split('\n').chain(std::iter::repeat("")).take(3);
    for (at, part) in parts.enumerate() {
        now = now.later(Duration::from_millis(200));
        let response = Response { status: 200, retry_after: None, used_weight: None, body: part };
        let told = if at == 1 { Input::Fetched { fetch: FetchId(1), response } } else { Input::Frame { conn, text: part } };
        venue.handle(now, told, &mut effects);
        venue.handle(now, Input::Timeout, &mut effects);
    }
    for effect in effects {
        if let Effect::Event(event) = effect {
            words += event.kind.as_str();
        }
    }
    shape(&words, &[])
}

#[test]
fn frames() {
    for kind in VenueKind::ALL {
        let seeds = seeds(&[
            "{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":11,\"T\":11,\"s\":\"BTCUSDT\",\"U\":11,\"u\":11,\"pu\":10,\"b\":[[\"900.00\",\"2.000\"]],\"a\":[]}}\n{\"lastUpdateId\":10,\"bids\":[[\"900.00\",\"1.000\"]],\"asks\":[[\"1100.50\",\"1.000\"]]}\n{\"e\":\"trade\",\"E\":12,\"T\":12,\"s\":\"BTCUSDT\",\"t\":12,\"p\":\"1000.25\",\"q\":\"0.020\",\"m\":true}",
            "{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"snapshot\",\"data\":[{\"bids\":[[\"900.00\",\"1.000\"]],\"asks\":[[\"1100.50\",\"1.000\"]],\"ts\":\"10\",\"prevSeqId\":-1,\"seqId\":10}]}\n\n{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"update\",\"data\":[{\"bids\":[],\"asks\":[[\"1100.50\",\"0\"]],\"ts\":\"11\",\"checksum\":0,\"prevSeqId\":10,\"seqId\":11}]}",
            "{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{\"channel\":\"book.BTC-PERPETUAL.100ms\",\"data\":{\"type\":\"snapshot\",\"timestamp\":10,\"change_id\":10,\"bids\":[[\"new\",900.0,1.0]],\"asks\":[[\"new\",1100.5,1.0]]}}}\n\n{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{\"channel\":\"book.BTC-PERPETUAL.100ms\",\"data\":{\"type\":\"change\",\"timestamp\":11,\"prev_change_id\":10,\"instrument_name\":\"BTC-PERPETUAL\",\"change_id\":11,\"bids\":[[\"change\",900.0,2.0]],\"asks\":[]}}}",
        ]);
        let run = |input: &[u8]| feed(kind, input);
        hunt(&Target { name: kind.as_str(), seeds, words: WORDS, memory: Bound { base: 1 << 20, each: 512 }, run: &run }, 2_000);
    }
}

#[test]
fn listings() {
    for kind in VenueKind::ALL {
        let seeds = seeds(&[
            "{\"symbols\":[{\"symbol\":\"BTCUSDT\",\"status\":\"TRADING\",\"contractType\":\"PERPETUAL\",\"baseAsset\":\"BTC\",\"quoteAsset\":\"USDT\",\"filters\":[{\"filterType\":\"PRICE_FILTER\",\"tickSize\":\"0.01\"},{\"filterType\":\"LOT_SIZE\",\"stepSize\":\"0.001\"}]}]}",
            "{\"code\":\"0\",\"data\":[{\"instId\":\"BTC-USDT\",\"instType\":\"SPOT\",\"baseCcy\":\"BTC\",\"quoteCcy\":\"USDT\",\"tickSz\":\"0.1\",\"lotSz\":\"0.001\",\"state\":\"live\",\"ctVal\":\"0.01\",\"ctMult\":\"1\"}]}",
            "{\"result\":[{\"instrument_name\":\"BTC-PERPETUAL\",\"is_active\":true,\"kind\":\"future\",\"settlement_period\":\"perpetual\",\"tick_size\":0.5,\"min_trade_amount\":10.0,\"base_currency\":\"BTC\",\"quote_currency\":\"USD\"}]}",
        ]);
        let run = |input: &[u8]| match kind.parse_listing(&String::from_utf8_lossy(input)) {
            Ok(listed) => shape("listed", &[listed.len()]),
            Err(error) => shape(&error.to_string(), &[]),
        };
        hunt(&Target { name: kind.as_str(), seeds, words: WORDS, memory: Bound { base: 64 << 10, each: 512 }, run: &run }, 2_000);
    }
}
