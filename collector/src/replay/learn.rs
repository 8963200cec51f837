//! Of what a recording of raw frames is: which venue, which instruments, how many digits their numbers have. Nobody wrote it down, so it is told from
//! the frames themselves.
//!
//! Owns: what the frames' outer form says. Must not know: how a book is made (the core reads the same frames again).

use std::collections::BTreeMap;
use std::io;

use marketdata::{Instrument, MarketType, Output, Publication, Scale, Unit, VenueConfig, VenueKind};
use serde_json::Value;

use super::lines::{Said, read};

/// Lines that are looked at.
pub(super) const LOOK: usize = 2_000;
/// Digits after the point that are held, where there is room for them: later frames may be finer than the first.
const HELD: u8 = 8;
/// Digits of an `i64`, with room for the sum of many orders.
const ROOM: u8 = 16;
/// Currencies that prices are in; the longest that fits ends a name of Binance.
const QUOTES: [&str; 10] = ["USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "BTC", "ETH", "BNB", "EUR"];

/// What a recording is of.
#[derive(Debug)]
pub(super) struct Learned {
    pub(super) config: VenueConfig,
    pub(super) instruments: Vec<Instrument>,
    /// Whether its books say where they stand: OKX's did not before it numbered its updates.
    pub(super) numbered: bool,
}

/// A message of one instrument.
struct Message<'a> {
    kind: VenueKind,
    raw: &'a str,
    numbered: bool,
    /// Price and quantity, as they are written.
    numbers: Vec<(&'a Value, &'a Value)>,
}

/// Digits before and after the point, of price and of quantity.
type Digits = [(u8, u8); 2];

// === impl Learned ===

impl Learned {
    /// Looks at the first lines, up to where the recording is torn; `None`: there is no book or trade of a venue that is known among them.
    pub(super) fn from(lines: impl Iterator<Item = io::Result<String>>) -> Option<Self> {
        let mut seen: BTreeMap<String, Digits> = BTreeMap::new();
        let (mut kind, mut numbered) = (None, true);
        for line in lines.take(LOOK).map_while(Result::ok) {
            let Some(Said::Frame(_, frame)) = read(&line) else { continue };
            let Ok(frame) = serde_json::from_str::<Value>(frame) else { continue };
            let Some(message) = [binance, okx, deribit].into_iter().find_map(|read| read(&frame)) else {
                // A snapshot over REST does not say of what it is; in a recording of one instrument it is of that one.
                if let (Some(digits), Some(numbers)) = (seen.values_mut().next(), rows(&frame, ["bids", "asks"], 0)) {
                    widen(digits, numbers);
                }
                continue;
            };
            // One venue a recording; of OKX's two, the one that has everything but spot.
            kind = Some(match kind {
                Some(VenueKind::OkxSwap) if message.kind == VenueKind::OkxSpot => VenueKind::OkxSwap,
                _ => message.kind,
            });
            numbered &= message.numbered;
            let digits = seen.entry(message.raw.to_owned()).or_default();
            widen(digits, message.numbers);
        }
        kind.map(|kind| Self::of(kind, &seen, numbered))
    }

    fn of(kind: VenueKind, seen: &BTreeMap<String, Digits>, numbered: bool) -> Self {
        let instruments = seen.iter().map(|(raw, [price, quantity])| {
            let (market_type, symbol, unit) = named(kind, raw);
            let plain = Instrument::new(kind.exchange(), market_type, (raw, &symbol), (scale(*price), scale(*quantity)));
            Instrument { unit, ..plain }
        });
        let plain = VenueConfig::new(kind);
        let output = Output { book: Publication::EveryUpdate, ..plain.output };
        Self { config: VenueConfig { output, ..plain }, instruments: instruments.collect(), numbered }
    }

    /// Whether another recording goes on with this one.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        let names = |learned: &Self| learned.instruments.iter().map(|instrument| instrument.raw.clone()).collect::<Vec<_>>();
        (self.config.kind, names(self)) == (other.config.kind, names(other))
    }
}

fn binance(frame: &Value) -> Option<Message<'_>> {
    let data = frame.get("data").unwrap_or(frame);
    if data.get("e")?.as_str()? != "depthUpdate" {
        return None;
    }
    let kind = if data.get("pu").is_some() { VenueKind::BinanceUsdm } else { VenueKind::BinanceSpot };
    Some(Message { kind, raw: data.get("s")?.as_str()?, numbered: true, numbers: rows(data, ["b", "a"], 0)? })
}

fn okx(frame: &Value) -> Option<Message<'_>> {
    let raw = frame.get("arg")?.get("instId")?.as_str()?;
    let element = frame.get("data")?.as_array()?.first()?;
    let kind = if named(VenueKind::OkxSpot, raw).0 == MarketType::Spot { VenueKind::OkxSpot } else { VenueKind::OkxSwap };
    match frame.get("arg")?.get("channel")?.as_str()? {
        "books" => Some(Message { kind, raw, numbered: element.get("seqId").is_some(), numbers: rows(element, ["bids", "asks"], 0)? }),
        "trades" => Some(Message { kind, raw, numbered: true, numbers: vec![(element.get("px")?, element.get("sz")?)] }),
        _ => None,
    }
}

fn deribit(frame: &Value) -> Option<Message<'_>> {
    let params = frame.get("params")?;
    let (channel, rest) = params.get("channel")?.as_str()?.split_once('.')?;
    let (raw, _interval) = rest.rsplit_once('.')?;
    let data = params.get("data")?;
    let numbers = match channel {
        "book" => rows(data, ["bids", "asks"], 1)?,
        "trades" => data.as_array()?.iter().filter_map(|trade| Some((trade.get("price")?, trade.get("amount")?))).collect(),
        _ => return None,
    };
    Some(Message { kind: VenueKind::Deribit, raw, numbered: true, numbers })
}

/// Price and quantity of every level, which stand from this place on in a row.
fn rows<'a>(book: &'a Value, sides: [&str; 2], place: usize) -> Option<Vec<(&'a Value, &'a Value)>> {
    let mut all = Vec::new();
    for side in sides {
        all.extend(book.get(side)?.as_array()?.iter().filter_map(|level| Some((level.get(place)?, level.get(place + 1)?))));
    }
    Some(all)
}

fn widen(digits: &mut Digits, numbers: Vec<(&Value, &Value)>) {
    for (price, quantity) in numbers {
        for (known, number) in digits.iter_mut().zip([price, quantity]) {
            let text = number.as_str().map_or_else(|| number.to_string(), str::to_owned);
            let (whole, fraction) = parts(&text);
            *known = (known.0.max(whole), known.1.max(fraction));
        }
    }
}

/// Digits before and after the point: `12.50` has two of each, `6.55e-6` eight after it.
fn parts(number: &str) -> (u8, u8) {
    let (number, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let count = |digits: usize, more: i64| u8::try_from(i64::try_from(digits).unwrap_or(0).saturating_add(more).clamp(0, 18)).unwrap_or(18);
    (count(whole.trim_start_matches('-').len(), exponent), count(fraction.len(), -exponent))
}

fn scale((whole, fraction): (u8, u8)) -> Scale {
    Scale::new(HELD.min(ROOM.saturating_sub(whole)).max(fraction)).showing(fraction)
}

/// What an instrument is, by its name alone: market, our symbol (the venue's own where it is of a kind that is not collected), what its sizes count.
fn named(kind: VenueKind, raw: &str) -> (MarketType, String, Unit) {
    match kind {
        VenueKind::BinanceSpot | VenueKind::BinanceUsdm => {
            let (pair, market) = match raw.split_once('_') {
                Some(_) => (raw.to_owned(), MarketType::Futures),
                None => (pair_of(raw), kind.market_type()),
            };
            (market, pair, Unit::Base)
        }
        // `BTC-USDT`, `BTC-USDT-SWAP`, `BTC-USD-220527`, `BTC-USD-220527-30000-C`.
        VenueKind::OkxSpot | VenueKind::OkxSwap => match (raw.strip_suffix("-SWAP"), raw.matches('-').count()) {
            (Some(pair), _) => (MarketType::Perpetual, pair.to_owned(), Unit::Contracts),
            (None, 0 | 1) => (MarketType::Spot, raw.to_owned(), Unit::Base),
            (None, 2) => (MarketType::Futures, raw.to_owned(), Unit::Contracts),
            (None, _) => (MarketType::Options, raw.to_owned(), Unit::Contracts),
        },
        // `BTC-PERPETUAL`, `BTC_USDC-PERPETUAL`, `BTC-24SEP21`, `BTC-24SEP21-8000-P`.
        VenueKind::Deribit => match (raw.strip_suffix("-PERPETUAL"), raw.matches('-').count()) {
            (Some(pair), _) if pair.contains('_') => (MarketType::Perpetual, pair.replace('_', "-"), Unit::Base),
            (Some(base), _) => (MarketType::Perpetual, format!("{base}-USD"), Unit::Quote),
            (None, 0) => (MarketType::Spot, raw.replace('_', "-"), Unit::Base),
            (None, 1) if raw.contains('_') => (MarketType::Futures, raw.to_owned(), Unit::Base),
            (None, 1) => (MarketType::Futures, raw.to_owned(), Unit::Quote),
            (None, _) => (MarketType::Options, raw.to_owned(), Unit::Base),
        },
    }
}

/// `BTCUSDT` as `BTC-USDT`.
fn pair_of(raw: &str) -> String {
    let quote = QUOTES.into_iter().filter(|quote| raw.len() > quote.len() && raw.ends_with(quote)).max_by_key(|quote| quote.len());
    quote.and_then(|quote| raw.strip_suffix(quote).map(|base| format!("{base}-{quote}"))).unwrap_or_else(|| raw.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(lines: &[&str]) -> Option<Learned> {
        Learned::from(lines.iter().map(|line| Ok((*line).to_owned())))
    }

    #[test]
    fn what_it_is_of_is_told_from_the_frames() {
        // Line, venue, market, symbol, unit, shown digits of price and quantity, whether its books are numbered.
        let rows = [
            (
                r#"5 {"stream":"pepeusdt@depth","data":{"e":"depthUpdate","s":"PEPEUSDT","b":[["0.00001234","5"]],"a":[]}}"#,
                ("binance_spot", "spot", "PEPE-USDT", Unit::Base, (8, 0), true),
            ),
            (
                r#"5 {"e":"depthUpdate","s":"BTCUSDC","pu":1,"b":[],"a":[["61800.30","3.330"]]}"#,
                ("binance_usdm", "perpetual", "BTC-USDC", Unit::Base, (2, 3), true),
            ),
            (
                r#"5.5: {"arg":{"channel":"books","instId":"UNI-USD-SWAP"},"action":"snapshot","data":[{"asks":[["4.9","1","0","1"]],"bids":[],"checksum":7}]}"#,
                ("okx_swap", "perpetual", "UNI-USD", Unit::Contracts, (1, 0), false),
            ),
            (
                r#"5.5: {"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"px":"30000.1","sz":"0.5"}]}"#,
                ("okx_spot", "spot", "BTC-USDT", Unit::Base, (1, 1), true),
            ),
            (
                r#"5.5: {"method":"subscription","params":{"channel":"book.BTC-24SEP21-8000-P.raw","data":{"bids":[["new",0.0015,3.0]],"asks":[["new",6.5e-3,3.0]]}}}"#,
                ("deribit", "options", "BTC-24SEP21-8000-P", Unit::Base, (4, 1), true),
            ),
            (
                r#"5 {"params":{"channel":"trades.BTC-PERPETUAL.100ms","data":[{"price":42500.5,"amount":10.0}]}}"#,
                ("deribit", "perpetual", "BTC-USD", Unit::Quote, (1, 1), true),
            ),
        ];
        for (line, expected) in rows {
            let learned = learned(&["1 {\"other\":1}", "2 not json", line]).unwrap();
            let instrument = &learned.instruments[0];
            let (market, symbol, unit) = (instrument.market_type.as_str(), &*instrument.symbol, instrument.unit);
            let shown = (instrument.price.shown(), instrument.quantity.shown());
            assert_eq!((learned.config.kind.as_str(), market, symbol, unit, shown, learned.numbered), expected, "{line}");
        }
        assert!(learned(&["1 {\"other\":1}", "hello"]).is_none());
    }

    #[test]
    fn digits_are_counted_as_they_are_written() {
        for (text, expected) in [("12.50", (2, 2)), ("-3", (1, 0)), ("6.55e-6", (0, 8)), ("1E3", (4, 0)), ("x", (1, 0))] {
            assert_eq!(parts(text), expected, "{text}");
        }
        assert_eq!(scale((13, 2)), Scale::new(3).showing(2), "a very large number leaves room for few decimals");
    }
}
