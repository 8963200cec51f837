//! A Binance Spot look-alike that sends depth messages as fast as the client reads, or at a rate: encoded once, only ids and times are written anew.
//!
//! Owns: the load that collectors are compared under. Books stay plausible (bids below, asks above a fixed middle), so no client has reason to resynchronise.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Symbols of the load, with the middle of their books in hundredths.
pub(crate) const SYMBOLS: [(&str, &str, i64); 4] =
    [("BTCUSDT", "BTC-USDT", 6_000_000), ("ETHUSDT", "ETH-USDT", 300_000), ("SOLUSDT", "SOL-USDT", 15_000), ("BNBUSDT", "BNB-USDT", 60_000)];
/// Changed levels of a message, half of them bids.
pub(crate) const LEVELS: usize = 10;
/// Messages encoded once and sent round and round.
const ENCODED: usize = 4_000;
/// Update ids that one message stands for.
const IDS: u64 = 10;
/// First update id of every symbol; all have ten digits.
const FIRST_ID: u64 = 1_000_000_000;
/// Messages a second while clients synchronise, and after the load.
const IDLE_RATE: f64 = 200.0;
/// Messages written with one call at full speed.
const BURST: usize = 64;

/// How fast messages go out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As fast as the client reads.
    Full,
    /// One by one, this many a second.
    Rate(u32),
}

/// A running venue: one address for WebSocket and REST.
#[derive(Debug)]
pub(crate) struct Venue {
    pub(crate) address: String,
    load: Arc<Load>,
}

#[derive(Debug, Default)]
struct Load {
    /// Messages of the load still to be sent, and how fast.
    order: Mutex<Option<(u64, Pace)>>,
    sent: AtomicU64,
    busy: AtomicBool,
    /// Last update id by symbol.
    ids: [AtomicU64; SYMBOLS.len()],
    /// When the message with this id was written, for the first symbol: (id, nanoseconds since the start).
    stamps: Mutex<Vec<(u64, u64)>>,
    stamping: AtomicBool,
}

/// Encoded frames, and where in them ids and times stand.
struct Encoded {
    bytes: Vec<u8>,
    frames: Vec<Frame>,
}

struct Frame {
    start: usize,
    end: usize,
    symbol: usize,
    event_time: usize,
    first: usize,
    last: usize,
}

// === impl Venue ===

impl Venue {
    /// Listens on a free port; serves until the process ends.
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let load = Arc::new(Load::default());
        load.ids.iter().for_each(|id| id.store(FIRST_ID, Ordering::Relaxed));
        let served = Arc::clone(&load);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let load = Arc::clone(&served);
                thread::spawn(move || answer(stream, &load));
            }
        });
        Ok(Self { address, load })
    }

    /// Sends this many messages now; returns when the last is written to the socket.
    pub(crate) fn send(&self, messages: u64, pace: Pace) {
        self.load.busy.store(true, Ordering::Relaxed);
        *self.load.order.lock().unwrap_or_else(PoisonError::into_inner) = Some((messages, pace));
        while self.load.busy.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Messages written so far to all clients.
    pub(crate) fn sent(&self) -> u64 {
        self.load.sent.load(Ordering::Relaxed)
    }

    /// From now on remembers when each message of the first symbol is written.
    pub(crate) fn stamp(&self) {
        self.load.stamping.store(true, Ordering::Relaxed);
    }

    /// The remembered times: last update id, and when it was written, as unix nanoseconds.
    pub(crate) fn stamps(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut *self.load.stamps.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Unix nanoseconds.
pub(crate) fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}

/// Serves one connection: REST requests, or an upgrade to WebSocket.
fn answer(stream: TcpStream, load: &Load) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (mut path, mut key) = (String::new(), None);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("GET ") {
                rest.split(' ').next().unwrap_or_default().clone_into(&mut path);
            } else if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("sec-websocket-key")
            {
                key = Some(value.trim().to_owned());
            }
        }
        if let Some(key) = key {
            let accept = derive_accept_key(key.as_bytes());
            write!(stream, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
                .ok()?;
            return serve(reader, stream, (&path, load));
        }
        let body = if path.contains("/depth") { snapshot(&path, load) } else { exchange_info() };
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
    }
}

/// Acknowledges a subscription where the path does not name the streams, then sends for ever.
fn serve(mut reader: BufReader<TcpStream>, mut stream: TcpStream, (path, load): (&str, &Load)) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    if !path.contains("streams=") {
        let text = text_frame(&mut reader)?;
        let id: String = text.rsplit_once("\"id\":")?.1.chars().take_while(char::is_ascii_digit).collect();
        let ack = format!("{{\"result\":null,\"id\":{id}}}");
        stream.write_all(&[0x81, u8::try_from(ack.len()).ok()?]).ok()?;
        stream.write_all(ack.as_bytes()).ok()?;
    }
    thread::spawn(move || {
        let mut ignored = [0; 1024];
        while reader.read(&mut ignored).is_ok_and(|read| read > 0) {}
    });
    let mut encoded = Encoded::new(path.starts_with("/stream"));
    let mut at = 0;
    loop {
        let order = load.order.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((messages, pace)) = order {
            run(&mut encoded, &mut at, &mut stream, (load, messages, pace))?;
            load.busy.store(false, Ordering::Relaxed);
        }
        encoded.send(&mut at, 1, &mut stream, load)?;
        thread::sleep(Duration::from_secs_f64(1.0 / IDLE_RATE));
    }
}

fn run(encoded: &mut Encoded, at: &mut usize, stream: &mut TcpStream, (load, messages, pace): (&Load, u64, Pace)) -> Option<()> {
    let start = Instant::now();
    let mut done = 0;
    while done < messages {
        let due = match pace {
            Pace::Full => messages,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of messages")]
            Pace::Rate(rate) => (start.elapsed().as_secs_f64() * f64::from(rate)) as u64,
        };
        match pace {
            Pace::Full => {
                let burst = BURST.min(usize::try_from(messages - done).unwrap_or(BURST));
                encoded.send(at, burst, stream, load)?;
                done += burst as u64;
            }
            Pace::Rate(_) if done < due.min(messages) => {
                encoded.send(at, 1, stream, load)?;
                done += 1;
            }
            Pace::Rate(_) => thread::sleep(Duration::from_micros(20)),
        }
    }
    Some(())
}

// === impl Encoded ===

impl Encoded {
    fn new(combined: bool) -> Self {
        let mut dice = Dice(7);
        let (mut bytes, mut frames) = (Vec::new(), Vec::new());
        for n in 0..ENCODED {
            let symbol = n % SYMBOLS.len();
            let Some((raw, _, middle)) = SYMBOLS.get(symbol).copied() else { continue };
            let mut text = String::new();
            if combined {
                let _ = write!(text, "{{\"stream\":\"{}@depth@100ms\",\"data\":", raw.to_lowercase());
            }
            let _ = write!(text, "{{\"e\":\"depthUpdate\",\"E\":1700000000000,\"s\":\"{raw}\",\"U\":1000000001,\"u\":1000000010,\"b\":[");
            side(&mut text, middle, -1, &mut dice);
            text.push_str("],\"a\":[");
            side(&mut text, middle, 1, &mut dice);
            text.push_str(if combined { "]}}" } else { "]}" });
            let start = bytes.len();
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            bytes.extend_from_slice(&[0x81, 126]);
            bytes.extend_from_slice(&length.to_be_bytes());
            let body = bytes.len();
            let place = |key: &str| body + text.find(key).map_or(0, |found| found + key.len());
            let (event_time, first, last) = (place("\"E\":"), place("\"U\":"), place("\"u\":"));
            bytes.extend_from_slice(text.as_bytes());
            frames.push(Frame { start, end: bytes.len(), symbol, event_time, first, last });
        }
        Self { bytes, frames }
    }

    /// Writes the next `count` frames with one call, fewer at the end of the encoded ones.
    fn send(&mut self, at: &mut usize, count: usize, stream: &mut TcpStream, load: &Load) -> Option<()> {
        let mut left = count;
        while left > 0 {
            let until = (*at + left).min(self.frames.len());
            let now_ms = unix_ns() / 1_000_000;
            let frames = self.frames.get(*at..until)?;
            for frame in frames {
                let last = load.ids.get(frame.symbol)?.fetch_add(IDS, Ordering::Relaxed) + IDS;
                digits(self.bytes.get_mut(frame.event_time..frame.event_time + 13)?, now_ms);
                digits(self.bytes.get_mut(frame.first..frame.first + 10)?, last - IDS + 1);
                digits(self.bytes.get_mut(frame.last..frame.last + 10)?, last);
                if frame.symbol == 0 && load.stamping.load(Ordering::Relaxed) {
                    load.stamps.lock().unwrap_or_else(PoisonError::into_inner).push((last, unix_ns()));
                }
            }
            let bytes = self.bytes.get(frames.first()?.start..frames.last()?.end)?;
            stream.write_all(bytes).ok()?;
            load.sent.fetch_add(frames.len() as u64, Ordering::Relaxed);
            left -= frames.len();
            *at = until % self.frames.len();
        }
        Some(())
    }
}

/// Half of a message's levels: within 200 ticks of the middle, every tenth removed.
fn side(text: &mut String, middle: i64, direction: i64, dice: &mut Dice) {
    for n in 0..LEVELS / 2 {
        let price = middle + direction * (1 + dice.roll(200));
        let quantity = if dice.roll(10) == 0 { 0 } else { 1 + dice.roll(900_000_000) };
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(text, "{comma}[\"{}.{:02}000000\",\"{}.{:08}\"]", price / 100, price % 100, quantity / 100_000_000, quantity % 100_000_000);
    }
}

/// 1,000 levels a side around the middle, at the last id that was sent.
fn snapshot(path: &str, load: &Load) -> String {
    let place = SYMBOLS.iter().position(|(raw, ..)| path.contains(raw)).unwrap_or(0);
    let (middle, id) = (SYMBOLS.get(place).map_or(0, |symbol| symbol.2), load.ids.get(place).map_or(0, |id| id.load(Ordering::Relaxed)));
    let levels = |direction: i64| {
        let level = |n: i64| {
            let price = middle + direction * n;
            format!("[\"{}.{:02}000000\",\"1.50000000\"]", price / 100, price % 100)
        };
        (1..=1_000).map(level).collect::<Vec<_>>().join(",")
    };
    format!("{{\"lastUpdateId\":{id},\"bids\":[{}],\"asks\":[{}]}}", levels(-1), levels(1))
}

fn exchange_info() -> String {
    let symbols: Vec<String> = SYMBOLS
        .iter()
        .map(|(raw, symbol, _)| {
            let (base, quote) = symbol.split_once('-').unwrap_or((symbol, ""));
            format!(
                "{{\"symbol\":\"{raw}\",\"status\":\"TRADING\",\"baseAsset\":\"{base}\",\"baseAssetPrecision\":8,\"quoteAsset\":\"{quote}\",\"quotePrecision\":8,\"filters\":[{{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"0.01000000\",\"maxPrice\":\"1000000.00000000\",\"tickSize\":\"0.01000000\"}},{{\"filterType\":\"LOT_SIZE\",\"minQty\":\"0.00000001\",\"maxQty\":\"9000.00000000\",\"stepSize\":\"0.00000001\"}}]}}"
            )
        })
        .collect();
    format!("{{\"timezone\":\"UTC\",\"serverTime\":{},\"symbols\":[{}]}}", unix_ns() / 1_000_000, symbols.join(","))
}

/// One masked text frame of at most 64 KB.
fn text_frame(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = [0; 2];
    reader.read_exact(&mut head).ok()?;
    let mut length = usize::from(head[1] & 0x7f);
    if length == 126 {
        let mut long = [0; 2];
        reader.read_exact(&mut long).ok()?;
        length = usize::from(u16::from_be_bytes(long));
    }
    let (mut mask, mut body) = ([0; 4], vec![0; length]);
    reader.read_exact(&mut mask).ok()?;
    reader.read_exact(&mut body).ok()?;
    for (byte, key) in body.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= key;
    }
    String::from_utf8(body).ok()
}

/// Writes a number over all of `place`, which has as many digits.
fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// The same numbers in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        i64::try_from((z ^ (z >> 31)) >> 1).unwrap_or(0) % sides.max(1)
    }
}
