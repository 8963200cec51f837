//! Streams: what is configured to be collected, and what each thread knows of it.
//!
//! Owns: the table of streams and the atomics that the data path writes and the HTTP thread reads. Must not know: how either works.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use marketdata::{BookCondition, Exchange, MarketType, RecordKind};

use crate::config::{Config, VenueConfig};

/// One configured stream: a kind of data of one symbol at one venue.
#[derive(Debug)]
pub struct Stream {
    /// Who runs the venue.
    pub exchange: Exchange,
    /// Which of its markets.
    pub market_type: MarketType,
    /// `BASE-QUOTE`.
    pub symbol: String,
    /// What of it.
    pub kind: RecordKind,
    /// NATS subject.
    pub subject: String,
    state: AtomicU8,
    condition: AtomicU8,
    /// Monotonic milliseconds of the last good record, plus one; 0: none yet.
    last_mono: AtomicU64,
    /// Unix milliseconds of the last good record.
    last_wall: AtomicU64,
}

/// What is known of a stream, other than its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StreamState {
    /// The venue's instrument list has not come yet.
    Starting,
    /// The venue does not list or not trade this symbol.
    Unknown,
    /// Subscribed, or about to be; no proven book, or no trade yet.
    Waiting,
    /// Good data came, and nothing has gone wrong since.
    Live,
    /// Not collected for a while, as the collector is short of something.
    Paused,
    /// The venue listed it and does not any more, or trades it no more: no longer collected.
    Delisted,
}

// === impl Stream ===

impl Stream {
    /// Every stream of the configuration, in its order: of each symbol the book, the trades, then what is made of them.
    pub fn all_of(config: &Config) -> Vec<Self> {
        let mut all = Vec::new();
        for venue in &config.venues {
            for symbol in &venue.symbols {
                let output = venue.output_of(symbol);
                let leaves = |kind: &RecordKind| match kind {
                    RecordKind::OrderBook => true,
                    RecordKind::Trade => venue.trades,
                    RecordKind::OrderBookDelta => output.delta.is_some(),
                    preview => output.previews.has(*preview),
                };
                let place = (venue.exchange, venue.market_type);
                all.extend(RecordKind::ALL.into_iter().filter(leaves).map(|kind| Self::new(place, symbol, kind)));
            }
        }
        all
    }

    /// Whether its silence means something: those of books and trades. What is made of them is silent when they are, or by nature.
    pub fn is_watched(&self) -> bool {
        self.kind.is_watched()
    }

    fn new((exchange, market_type): (Exchange, MarketType), symbol: &str, kind: RecordKind) -> Self {
        let subject = format!("{}.{}.{}.{symbol}", kind.as_str(), exchange.as_str(), market_type.as_str());
        Self {
            exchange,
            market_type,
            symbol: symbol.to_owned(),
            kind,
            subject,
            state: AtomicU8::new(StreamState::Starting as u8),
            condition: AtomicU8::new(BookCondition::Sound as u8),
            last_mono: AtomicU64::new(0),
            last_wall: AtomicU64::new(0),
        }
    }

    /// Label values in the order exchange, `market_type`, symbol, kind.
    pub fn labels(&self) -> [&str; 4] {
        [self.exchange.as_str(), self.market_type.as_str(), &self.symbol, self.kind.as_str()]
    }

    /// Whether it belongs to this venue.
    pub fn is_of(&self, venue: &VenueConfig) -> bool {
        (self.exchange, self.market_type) == (venue.exchange, venue.market_type)
    }

    /// A good record came.
    pub fn touch(&self, now: clock::Now) {
        self.last_wall.store(u64::try_from(now.wall_ms).unwrap_or(0), Ordering::Relaxed);
        self.last_mono.store(milliseconds(now.mono) + 1, Ordering::Release);
        self.set_state(StreamState::Live);
    }

    /// Changes what is known.
    pub fn set_state(&self, state: StreamState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// What is known.
    pub fn state(&self) -> StreamState {
        let stored = self.state.load(Ordering::Relaxed);
        [StreamState::Unknown, StreamState::Waiting, StreamState::Live, StreamState::Paused, StreamState::Delisted]
            .into_iter()
            .find(|state| *state as u8 == stored)
            .unwrap_or(StreamState::Starting)
    }

    /// Changes what is wrong with the sides of its book.
    pub fn set_condition(&self, condition: BookCondition) {
        self.condition.store(condition as u8, Ordering::Relaxed);
    }

    /// What is wrong with the sides of its book.
    pub fn condition(&self) -> BookCondition {
        BookCondition::ALL.get(usize::from(self.condition.load(Ordering::Relaxed))).copied().unwrap_or_default()
    }

    /// Since the last good record; `None`: none came yet.
    pub fn age(&self, now: clock::Now) -> Option<Duration> {
        let stored = self.last_mono.load(Ordering::Acquire).checked_sub(1)?;
        Some(Duration::from_millis(milliseconds(now.mono).saturating_sub(stored)))
    }

    /// Unix milliseconds of the last good record; 0: none yet.
    pub fn last_ms(&self) -> u64 {
        self.last_wall.load(Ordering::Relaxed)
    }
}

// === impl StreamState ===

impl StreamState {
    /// The word on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Unknown => "unknown_symbol",
            Self::Waiting => "waiting",
            Self::Live => "live",
            Self::Paused => "paused",
            Self::Delisted => "delisted",
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use marketdata::{Instrument, Scale, message};

    use super::*;

    #[test]
    fn the_subject_is_the_one_the_core_writes() {
        let stream = Stream::new((Exchange::Binance, MarketType::Perpetual), "BTC-USDT", RecordKind::Trade);
        let scale = Scale::new(8);
        let instrument = Instrument::new(stream.exchange, stream.market_type, ("BTCUSDT", "BTC-USDT"), (scale, scale));
        let mut subject = Vec::new();
        message::subject(RecordKind::Trade, &instrument, &mut subject);
        assert_eq!(subject, stream.subject.as_bytes());
    }

    #[test]
    fn age_counts_from_the_last_record_and_is_none_before_the_first() {
        let stream = Stream::new((Exchange::Binance, MarketType::Spot), "A-B", RecordKind::OrderBook);
        let start = clock::Now::new(Duration::ZERO, 1_000);
        assert_eq!((stream.age(start), stream.state()), (None, StreamState::Starting));
        stream.touch(start);
        assert_eq!(stream.age(start.later(Duration::from_secs(3))), Some(Duration::from_secs(3)));
        assert_eq!((stream.last_ms(), stream.state()), (1_000, StreamState::Live));
    }
}
