//! Seconds of OKX and Deribit as they were: OKX's checksums of 2022 over the best 25 levels are true of every book, Deribit's changes chain without a gap.
//!
//! OKX had no `seqId` then; one is written into each message, as the venue does since.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use clock::Now;
use marketdata::{BookView, ConnId, Effect, EventKind, Input, Instrument, InstrumentId, Publication, Scale, Side, Venue, VenueConfig, VenueKind};
use serde_json::Value;

use crate::recordings::read;

/// What a run brought.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    books: usize,
    compared: usize,
    trades: usize,
    resyncs: usize,
    gaps: usize,
    warnings: usize,
    malformed: u64,
}

struct Replay {
    venue: Venue,
    count: Count,
    /// Books published by the last frame.
    published: Vec<InstrumentId>,
}

impl Replay {
    fn new(kind: VenueKind, names: &[&str], scales: (Scale, Scale)) -> Self {
        let mut config = VenueConfig::new(kind);
        config.output.book = Publication::EveryUpdate;
        config.tuning.subscribe_timeout = Duration::from_hours(1); // the answers in the recording are to another's requests
        let instruments = names.iter().map(|name| Instrument::new(kind.exchange(), kind.market_type(), (name, name), scales));
        let venue = Venue::new(config, instruments.collect()).unwrap();
        Self { venue, count: Count::default(), published: Vec::new() }
    }

    fn input(&mut self, now: Now, input: Input<'_>) {
        let mut effects = Vec::new();
        self.venue.handle(now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Connect { conn, .. } => self.input(now, Input::Connected { conn }),
                Effect::Book { instrument } => {
                    self.count.books += 1;
                    self.published.push(instrument);
                }
                Effect::Trade(_) => self.count.trades += 1,
                Effect::Event(event) => match event.kind {
                    EventKind::Resync(_) => self.count.resyncs += 1,
                    EventKind::TradeGap { .. } => self.count.gaps += 1,
                    EventKind::UnknownLevel => self.count.warnings += 1,
                    _ => {}
                },
                _ => {}
            }
        }
    }

    /// Plays `SECONDS: JSON` lines; `each` sees every frame with the books it brought.
    fn play(&mut self, text: &str, mut form: impl FnMut(&str) -> String, mut each: impl FnMut(&str, &[BookView<'_>], &mut Count)) {
        let received = text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
        for (at, frame) in received.filter_map(|line| line.split_once(": ")) {
            let (seconds, fraction) = at.split_once('.').unwrap();
            let ms: i64 = format!("{seconds}{fraction:0<3.3}").parse().unwrap();
            let now = Now::new(Duration::from_millis(u64::try_from(ms).unwrap() % 100_000_000), ms);
            while self.venue.next_timeout().is_some_and(|due| due <= now.mono) {
                self.input(now, Input::Timeout);
            }
            assert!(self.published.is_empty(), "time alone publishes nothing");
            let frame = form(frame);
            self.input(now, Input::Frame { conn: ConnId(1), text: &frame });
            let published = std::mem::take(&mut self.published);
            let views: Vec<BookView<'_>> = published.iter().map(|id| self.venue.book(*id).unwrap()).collect();
            each(&frame, &views, &mut self.count);
        }
        self.count.malformed = self.venue.stats().malformed;
    }
}

/// CRC-32 (IEEE), bit by bit.
fn crc32(text: &str) -> i32 {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    (!crc).cast_signed()
}

/// OKX's rule: best bid, best ask, second bid, …; where one side ends the other goes on alone.
fn checksum(view: &BookView<'_>) -> i32 {
    let text = |side| {
        let of =
            |level: marketdata::Level| format!("{}:{}", view.instrument.price.text(level.price.0), view.instrument.quantity.text(level.quantity.0));
        view.levels(side).take(25).map(of).collect::<Vec<String>>()
    };
    let (bids, asks) = (text(Side::Bid), text(Side::Ask));
    let pairs = (0..25).flat_map(|place| [bids.get(place), asks.get(place)]).flatten();
    crc32(&pairs.map(String::as_str).collect::<Vec<_>>().join(":"))
}

#[test]
fn okx_books_have_the_checksums_the_venue_sent() {
    let Some(text) = read("okx_20220513.txt.gz") else { return };
    let names = ["BTC-USD-220527", "UNI-USD-SWAP", "BTC-USDT"];
    let scales = (Scale::new(4).showing(0), Scale::new(8).showing(0));
    let mut replay = Replay::new(VenueKind::OkxSpot, &names, scales);
    let mut ids: HashMap<String, i64> = HashMap::new();
    let numbered = |frame: &str| {
        if !frame.contains("\"checksum\":") {
            return frame.to_owned();
        }
        let symbol = serde_json::from_str::<Value>(frame).unwrap()["arg"]["instId"].as_str().unwrap().to_owned();
        let last = ids.entry(symbol).or_insert(-1);
        let previous = std::mem::replace(last, if *last < 0 { 1_000 } else { *last + 7 });
        frame.replace("\"checksum\":", &format!("\"prevSeqId\":{previous},\"seqId\":{last},\"checksum\":"))
    };
    replay.play(&text, numbered, |frame, views, count| {
        for view in views {
            let sent = serde_json::from_str::<Value>(frame).unwrap()["data"][0]["checksum"].as_i64().unwrap();
            assert_eq!(i64::from(checksum(view)), sent, "{} at {}", view.instrument.symbol, view.stamp.sequence);
            assert!(view.complete());
            count.compared += 1;
        }
    });
    println!("okx: {:?}", replay.count);
    // The venue itself holds 400 levels of the deepest of the three, no more and no fewer: it tells what leaves and enters.
    let deepest = replay.venue.status(InstrumentId(2)).unwrap();
    assert_eq!(deepest.levels, (400, 400));
    assert_eq!(replay.count, Count { books: 290, compared: 290, trades: 74, resyncs: 0, gaps: 0, warnings: 0, malformed: 0 });
}

/// Both sides by price as text without its point, as another would keep them.
#[derive(Default)]
struct Plain([BTreeMap<u64, (String, String)>; 2]);

impl Plain {
    fn hear(&mut self, data: &Value) {
        for (side, name) in [(0, "bids"), (1, "asks")] {
            if data["type"] == "snapshot" {
                self.0[side].clear();
            }
            for row in data[name].as_array().unwrap() {
                let price = format!("{:.4}", row[1].as_f64().unwrap());
                let key = price.replace('.', "").parse().unwrap();
                if row[0] == "delete" {
                    assert!(self.0[side].remove(&key).is_some());
                } else {
                    self.0[side].insert(key, (price, format!("{:.1}", row[2].as_f64().unwrap())));
                }
            }
        }
    }
}

#[test]
fn deribit_books_are_what_their_changes_add_up_to() {
    let Some(text) = read("deribit_20210722.txt.gz") else { return };
    let asked = text.lines().find(|line| line.contains("public/subscribe")).unwrap().split_once(": ").unwrap().1;
    let asked: Value = serde_json::from_str(asked).unwrap();
    let channels: Vec<&str> = asked["params"]["channels"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let names: Vec<&str> = channels.iter().filter_map(|name| name.strip_prefix("book.")?.strip_suffix(".raw")).collect();
    assert_eq!(names.len(), 10);
    let mut replay = Replay::new(VenueKind::Deribit, &names, (Scale::new(4), Scale::new(1)));
    let mut plain: HashMap<String, Plain> = HashMap::new();
    replay.play(&text, str::to_owned, |frame, views, count| {
        let frame: Value = serde_json::from_str(frame).unwrap();
        let data = &frame["params"]["data"];
        if !frame["params"]["channel"].as_str().is_some_and(|channel| channel.starts_with("book.")) {
            return;
        }
        let side = plain.entry(data["instrument_name"].as_str().unwrap().to_owned()).or_default();
        side.hear(data);
        for view in views {
            for (which, place) in [(Side::Bid, 0), (Side::Ask, 1)] {
                let text = |level: marketdata::Level| (view.instrument.price.text(level.price.0), view.instrument.quantity.text(level.quantity.0));
                let held: Vec<(String, String)> = view.levels(which).map(text).collect();
                let levels = side.0[place].values().cloned();
                let expected: Vec<(String, String)> = if place == 0 { levels.rev().take(100).collect() } else { levels.take(100).collect() };
                assert_eq!(held, expected, "{} at {}", view.instrument.symbol, view.stamp.sequence);
            }
            count.compared += 1;
        }
    });
    println!("deribit: {:?}", replay.count);
    assert_eq!(replay.count, Count { books: 44, compared: 44, ..Count::default() });
}
