//! Every kind of record as the documents show it: made by the code that makes them.
// Always true here; it tells clippy that helper functions are test code too.
#![cfg(test)]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use clock::Now;
use marketdata::preview::cvd::{Cvd, CvdReset};
use marketdata::preview::feature::BookFigures;
use marketdata::preview::fusion::Fusion;
use marketdata::preview::ofi::Ofi;
use marketdata::{
    Bar, Book, BookDelta, BookView, DeltaForm, DepthBounds, Event, EventKind, Exchange, Instrument, InstrumentId, Level, MarketType, PreviewView,
    Price, Quantity, Reason, RecordKind, Scale, Side, Stamp, Trade, message,
};

const NOW: Now = Now::new(Duration::from_secs(1), 1_723_161_256_012);

fn instrument() -> Instrument {
    let (exchange, market_type) = (Exchange::Binance, MarketType::Spot);
    Instrument::new(exchange, market_type, ("BTCUSDT", "BTC-USDT"), (Scale::new(2), Scale::new(5)))
}

fn level(price: i64, quantity: i64) -> Level {
    Level { price: Price(price), quantity: Quantity(quantity) }
}

const STAMP: Stamp = Stamp {
    sequence: 50_093_239_202,
    first: Some(50_093_239_189),
    previous: None,
    event_ts_ms: Some(1_723_161_255_208),
    received_ms: 1_723_161_255_300,
};

const TRADE: Trade = Trade {
    name: marketdata::message::TradeName::NONE,
    instrument: InstrumentId(0),
    id: 3_735_683_259,
    covers: 1,
    price: Price(6_183_764),
    quantity: Quantity(250_000),
    taker: Side::Bid,
    trade_ts_ms: 1_723_161_255_342,
    event_ts_ms: 1_723_161_255_343,
    received_ms: 1_723_161_255_400,
};

fn bar() -> Bar {
    Bar {
        start_ms: 1_723_161_255_000,
        end_ms: 1_723_161_256_000,
        ofi: Some(Ofi { value: -127_500, changes: 31, complete: true }),
        cvd: Some(Cvd {
            bought: 98_765_432,
            sold: 97_531_001,
            change: 225_000,
            trades: 41_207,
            missing: 0,
            since_ms: 1_723_161_600_000 - 86_400_000,
            reset: CvdReset::Midnight,
        }),
        fusion: Some(Fusion { value: Some(0.731), z_ofi: Some(-0.412), z_cvd: Some(1.874), samples: 3_600, warm_up_left: 0 }),
        book: Some(BookFigures {
            sequence: 50_093_239_202,
            mid: 61_837_635,
            spread: 1,
            microprice: Some(61_837_633_712),
            imbalance: [0.258, -0.031, 0.102],
        }),
        trades: 7,
        volume: 275_000,
    }
}

/// One record of each shape: its kind, what to say of it, its body.
fn records() -> Vec<(RecordKind, &'static str, String)> {
    let instrument = instrument();
    let text = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    };
    let mut book = Book::new(DepthBounds { most: 10, kept: 10 });
    book.load(&[level(6_183_763, 54_698), level(6_183_762, 100_000)], &[level(6_183_764, 32_250), level(6_183_799, 2_000)], 2);
    let view = BookView { instrument: &instrument, book: &book, depth: 2, stamp: STAMP, confirmed: true };
    let head = message::Head::new(RecordKind::OrderBookDelta, &instrument);
    let delta = BookDelta {
        instrument: &instrument,
        head: &head,
        stamp: STAMP,
        previous: Some(50_093_239_188),
        form: DeltaForm::Delta,
        depth: 2,
        complete: true,
        bids: &[level(6_183_763, 54_698), level(6_183_700, 0)],
        asks: &[],
    };
    let event = |kind| Event { instrument: Some(InstrumentId(0)), kind };
    let (bar, gap, large) = (bar(), event(EventKind::TradeGap { from: 3_735_683_250, to: 3_735_683_258 }), event(EventKind::LargeTrade(TRADE)));
    let resync = event(EventKind::Resync(Reason::Gap));
    let preview = PreviewView { instrument: &instrument, bar: &bar };
    let of = |kind: RecordKind| text(&|out| message::encode_preview(kind, &preview, NOW, out));
    vec![
        (RecordKind::OrderBook, "", text(&|out| message::encode_book(&view, NOW, out))),
        (RecordKind::Trade, "", text(&|out| message::encode_trade(&TRADE, &instrument, NOW, out))),
        (RecordKind::OrderBookDelta, "", text(&|out| message::encode_delta(&delta, NOW, out))),
        (RecordKind::Ofi, "", of(RecordKind::Ofi)),
        (RecordKind::Cvd, "", of(RecordKind::Cvd)),
        (RecordKind::Fusion, "", of(RecordKind::Fusion)),
        (RecordKind::Feature, "", of(RecordKind::Feature)),
        (RecordKind::Event, " (`resync`)", text(&|out| message::encode_event(&resync, &instrument, NOW, out))),
        (RecordKind::Event, " (`trade_gap`)", text(&|out| message::encode_event(&gap, &instrument, NOW, out))),
        (RecordKind::Event, " (`large_trade`)", text(&|out| message::encode_event(&large, &instrument, NOW, out))),
    ]
}

/// The fields of an object, broken into lines.
fn wrapped(json: &str) -> String {
    let mut lines = String::new();
    let (mut line, mut inside) = (String::new(), 0usize);
    for c in json.chars() {
        line.push(c);
        match c {
            '[' => inside += 1,
            ']' => inside -= 1,
            ',' if inside == 0 && line.len() > 110 => {
                writeln!(lines, "{line}").unwrap();
                line = " ".to_owned();
            }
            _ => {}
        }
    }
    writeln!(lines, "{line}").unwrap();
    lines
}

fn markdown() -> String {
    let mut out = String::new();
    for (kind, more, json) in records() {
        serde_json::from_str::<serde_json::Value>(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        writeln!(out, "`{}.binance.spot.BTC-USDT`{more}\n\n```json\n{}```\n", kind.as_str(), wrapped(&json)).unwrap();
    }
    out
}

#[test]
fn every_record_is_shown_as_it_is() {
    for file in ["collector.md", "collector.zh-CN.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let (begin, end) = ("<!-- begin records -->\n", "<!-- end records -->");
        let (before, rest) = text.split_once(begin).unwrap_or_else(|| panic!("docs/{file} has no {begin}"));
        let (found, after) = rest.split_once(end).unwrap();
        if found != markdown() {
            assert!(
                std::env::var_os("UPDATE_DOCS").is_some(),
                "docs/{file}: the records are not the code's; run UPDATE_DOCS=1 cargo test -p collector --test records"
            );
            std::fs::write(&path, format!("{before}{begin}{}{end}{after}", markdown())).unwrap();
        }
    }
}

#[test]
fn every_kind_is_shown() {
    let shown: Vec<RecordKind> = records().iter().map(|(kind, ..)| *kind).collect();
    assert!(RecordKind::ALL.iter().all(|kind| shown.contains(kind)));
}
