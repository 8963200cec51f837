//! No allocation per steady message: counted, not believed.
#![expect(clippy::unwrap_used, reason = "a test, all of it")]
#![allow(unsafe_code, reason = "a counting allocator cannot be written without; it only counts and passes on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write as _;
use std::time::Duration;

use clock::Now;
use marketdata::message::encode_trade;
use marketdata::message::text::BookText;
use marketdata::{ConnId, Effect, Input, Instrument, InstrumentId, Publication, Response, Scale, Venue, VenueConfig, VenueKind};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting touches no memory of the caller and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A shell that encodes what it is told to publish, in reused buffers.
struct Shell {
    venue: Venue,
    effects: Vec<Effect>,
    body: Vec<u8>,
    text: BookText,
    published: u64,
}

impl Shell {
    fn feed(&mut self, now: Now, input: Input<'_>) {
        self.venue.handle(now, input, &mut self.effects);
        for effect in self.effects.drain(..) {
            self.body.clear();
            match effect {
                Effect::Book { instrument } => self.text.encode(&self.venue.book(instrument).unwrap(), now, &mut self.body),
                Effect::Trade(trade) => encode_trade(&trade, self.venue.instrument(trade.instrument).unwrap(), now, &mut self.body),
                _ => continue,
            }
            self.published += 1;
        }
    }
}

/// How a venue writes a delta and a trade.
struct Form {
    kind: VenueKind,
    raw: &'static str,
    /// Everything before and behind the rows of bids and of asks, with `ID` and `BEFORE` for the ids.
    delta: [&'static str; 3],
    /// The quote around numbers.
    quote: &'static str,
    /// What a row begins with.
    row: &'static str,
    trade: &'static str,
    /// What makes the book exact before the first delta (11).
    first: &'static str,
}

const BINANCE: Form = Form {
    kind: VenueKind::BinanceSpot,
    raw: "BTCUSDT",
    delta: [
        r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":ID,"T":ID,"s":"BTCUSDT","U":ID,"u":ID,"pu":BEFORE,"b":["#,
        r#"],"a":["#,
        "]}}",
    ],
    quote: "\"",
    row: "",
    trade: r#"{"e":"trade","E":ID,"T":ID,"s":"BTCUSDT","t":ID,"p":"1000.25","q":"0.020","m":true}"#,
    first: r#"{"result":null,"id":1}"#,
};

const OKX: Form = Form {
    kind: VenueKind::OkxSpot,
    raw: "BTC-USDT",
    delta: [
        r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"bids":["#,
        r#"],"asks":["#,
        r#"],"ts":"ID","checksum":0,"prevSeqId":BEFORE,"seqId":ID}]}"#,
    ],
    quote: "\"",
    row: "",
    trade: r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"ID","px":"1000.25","sz":"0.020","side":"buy","ts":"ID","count":"1"}]}"#,
    first: r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"bids":[["900.00","1.000"]],"asks":[["1100.50","1.000"]],"ts":"10","prevSeqId":-1,"seqId":10}]}"#,
};

const DERIBIT: Form = Form {
    kind: VenueKind::Deribit,
    raw: "BTC-PERPETUAL",
    delta: [
        r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.100ms","data":{"type":"change","timestamp":ID,"prev_change_id":BEFORE,"instrument_name":"BTC-PERPETUAL","change_id":ID,"bids":["#,
        r#"],"asks":["#,
        "]}}}",
    ],
    quote: "",
    row: "\"change\",",
    trade: r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"trades.BTC-PERPETUAL.100ms","data":[{"trade_seq":ID,"trade_id":"ID","timestamp":ID,"price":1000.25,"instrument_name":"BTC-PERPETUAL","direction":"sell","amount":0.02}]}}"#,
    first: r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.100ms","data":{"type":"snapshot","timestamp":10,"change_id":10,"bids":[["new",900.0,1.0]],"asks":[["new",1100.5,1.0]]}}}"#,
};

impl Form {
    /// Writes `pattern` with the ids in it.
    fn fill(pattern: &str, id: u64, text: &mut String) {
        for (place, part) in pattern.split("BEFORE").enumerate() {
            if place > 0 {
                write!(text, "{}", id - 1).unwrap();
            }
            for (place, part) in part.split("ID").enumerate() {
                if place > 0 {
                    write!(text, "{id}").unwrap();
                }
                text.push_str(part);
            }
        }
    }

    fn delta(&self, id: u64, text: &mut String) {
        text.clear();
        let (quote, row) = (self.quote, self.row);
        Self::fill(self.delta[0], id, text);
        for step in 0..10u64 {
            let comma = if step == 0 { "" } else { "," };
            write!(text, "{comma}[{row}{quote}{}.00{quote},{quote}{}.000{quote}]", 1_000 - (id * 7 + step * 13) % 300, (id + step) % 5).unwrap();
        }
        Self::fill(self.delta[1], id, text);
        write!(text, "[{row}{quote}{}.50{quote},{quote}{}.000{quote}]", 1_001 + id % 300, id % 3).unwrap();
        Self::fill(self.delta[2], id, text);
    }
}

fn steady(form: &Form, publication: Publication) {
    let kind = form.kind;
    let mut config = VenueConfig::new(kind);
    config.output.book = publication;
    config.tuning.subscribe_timeout = Duration::from_hours(1); // nobody answers
    let btc = Instrument::new(kind.exchange(), kind.market_type(), (form.raw, "BTC-USDT"), (Scale::new(2), Scale::new(3)));
    let mut shell =
        Shell { venue: Venue::new(config, vec![btc]).unwrap(), effects: Vec::new(), body: Vec::new(), text: BookText::default(), published: 0 };
    let mut now = Now::new(Duration::from_secs(1), 1_700_000_000_000);
    let conn = ConnId(1);
    let mut text = String::with_capacity(4_096);
    shell.feed(now, Input::Timeout);
    shell.feed(now, Input::Connected { conn });
    shell.feed(now, Input::Frame { conn, text: form.first });
    form.delta(11, &mut text);
    shell.feed(now, Input::Frame { conn, text: &text });
    let body = r#"{"lastUpdateId":10,"bids":[["900.00","1.000"]],"asks":[["1100.50","1.000"]]}"#;
    let response = Response { status: 200, retry_after: None, used_weight: None, body };
    shell.feed(now, Input::Fetched { fetch: marketdata::FetchId(1), response });
    assert!(shell.venue.book(InstrumentId(0)).is_some());

    let (mut before, mut published) = (0, 0);
    for id in 12..5_012u64 {
        if id == 2_012 {
            // Vectors have grown to what this stream needs.
            (before, published) = (ALLOCATIONS.with(Cell::get), shell.published);
        }
        now = now.later(Duration::from_millis(7));
        form.delta(id, &mut text);
        shell.feed(now, Input::Frame { conn, text: &text });
        text.clear();
        Form::fill(form.trade, id, &mut text);
        shell.feed(now, Input::Frame { conn, text: &text });
        while shell.venue.next_timeout().is_some_and(|at| at <= now.mono) {
            shell.feed(now, Input::Timeout);
        }
    }
    let made = ALLOCATIONS.with(Cell::get) - before;
    assert!(shell.published - published > 3_060, "{} published", shell.published);
    assert_eq!(made, 0, "{} {publication:?}: allocations in 6,000 messages", kind.as_str());
}

#[test]
fn steady_messages_allocate_nothing() {
    let usdm = Form { kind: VenueKind::BinanceUsdm, ..BINANCE };
    for form in [BINANCE, usdm, OKX, DERIBIT] {
        steady(&form, Publication::EveryUpdate);
        steady(&form, Publication::Conflated(Duration::from_millis(100)));
    }
}
