//! No allocation per steady message: counted, not believed.
#![expect(clippy::unwrap_used, reason = "a test, all of it")]
#![allow(unsafe_code, reason = "a counting allocator cannot be written without; it only counts and passes on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write as _;
use std::time::Duration;

use clock::Now;
use marketdata::message::{encode_book, encode_trade};
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
    published: u64,
}

impl Shell {
    fn feed(&mut self, now: Now, input: Input<'_>) {
        self.venue.handle(now, input, &mut self.effects);
        for effect in self.effects.drain(..) {
            self.body.clear();
            match effect {
                Effect::Book { instrument } => encode_book(&self.venue.book(instrument).unwrap(), now, &mut self.body),
                Effect::Trade(trade) => encode_trade(&trade, self.venue.instrument(trade.instrument).unwrap(), now, &mut self.body),
                _ => continue,
            }
            self.published += 1;
        }
    }
}

fn delta(id: u64, text: &mut String) {
    text.clear();
    write!(
        text,
        r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{id},"T":{id},"s":"BTCUSDT","U":{id},"u":{id},"pu":{},"b":["#,
        id - 1
    )
    .unwrap();
    for step in 0..10u64 {
        let comma = if step == 0 { "" } else { "," };
        write!(text, r#"{comma}["{}.00","{}.000"]"#, 1_000 - (id * 7 + step * 13) % 300, (id + step) % 5).unwrap();
    }
    write!(text, r#"],"a":[["{}.50","{}.000"]]}}}}"#, 1_001 + id % 300, id % 3).unwrap();
}

fn steady(kind: VenueKind, publication: Publication) {
    let mut config = VenueConfig::new(kind);
    config.output.book = publication;
    let (exchange, market_type) = (kind.exchange(), kind.market_type());
    let btc = Instrument::new(exchange, market_type, ("BTCUSDT", "BTC-USDT"), (Scale::new(2), Scale::new(3)));
    let mut shell = Shell { venue: Venue::new(config, vec![btc]).unwrap(), effects: Vec::new(), body: Vec::new(), published: 0 };
    let mut now = Now::new(Duration::from_secs(1), 1_700_000_000_000);
    let conn = ConnId(1);
    let mut text = String::with_capacity(4_096);
    shell.feed(now, Input::Timeout);
    shell.feed(now, Input::Connected { conn });
    shell.feed(now, Input::Frame { conn, text: r#"{"result":null,"id":1}"# });
    delta(11, &mut text);
    shell.feed(now, Input::Frame { conn, text: &text });
    let body = r#"{"lastUpdateId":10,"bids":[["900.00","1.000"]],"asks":[["1100.50","1.000"]]}"#;
    let response = Response { status: 200, retry_after: None, used_weight: None, body };
    shell.feed(now, Input::Fetched { fetch: marketdata::FetchId(1), response });
    assert!(shell.venue.book(InstrumentId(0)).is_some());

    let (mut before, mut published) = (0, 0);
    for id in 12..8_012u64 {
        if id == 3_012 {
            // Vectors have grown to what this stream needs.
            (before, published) = (ALLOCATIONS.with(Cell::get), shell.published);
        }
        now = now.later(Duration::from_millis(7));
        delta(id, &mut text);
        shell.feed(now, Input::Frame { conn, text: &text });
        text.clear();
        write!(text, r#"{{"e":"trade","E":{id},"T":{id},"s":"BTCUSDT","t":{id},"p":"1000.25","q":"0.020","m":true}}"#).unwrap();
        shell.feed(now, Input::Frame { conn, text: &text });
        while shell.venue.next_timeout().is_some_and(|at| at <= now.mono) {
            shell.feed(now, Input::Timeout);
        }
    }
    let made = ALLOCATIONS.with(Cell::get) - before;
    assert!(shell.published - published > 5_100, "{} published", shell.published);
    assert_eq!(made, 0, "{} {publication:?}: allocations in 10,000 messages", kind.as_str());
}

#[test]
fn steady_messages_allocate_nothing() {
    for kind in [VenueKind::BinanceSpot, VenueKind::BinanceUsdm] {
        steady(kind, Publication::EveryUpdate);
        steady(kind, Publication::Conflated(Duration::from_millis(100)));
    }
}
