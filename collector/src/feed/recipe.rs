//! What a venue's core was made of, in a form that can be written down: with it and the same input, it does the same again.

use std::time::Duration;

use marketdata::{
    FusionConfig, Instrument, MarketType, Multiplier, Output, Priority, Publication, RecordKind, RecordKinds, Scale, Tuning, Unit, Venue,
    VenueConfig, VenueKind,
};
use serde::{Deserialize, Serialize};

/// The configuration and instruments of a core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recipe {
    pub(crate) kind: String,
    ws_url: String,
    rest_url: String,
    depth: usize,
    trades: bool,
    seed: u64,
    /// Weights of ofi and cvd, half-life in ms, warm-up in seconds.
    fusion: (f64, f64, u64, u32),
    /// All that were wanted, also those that the venue does not list yet.
    pub(crate) symbols: Vec<String>,
    instruments: Vec<Item>,
}

/// An instrument and what leaves of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    raw: String,
    symbol: String,
    /// Digits of prices and of quantities.
    digits: (u8, u8),
    multiplier: (i64, u8),
    inverse: bool,
    /// Milliseconds; 0: every update.
    publish: u64,
    delta: Option<u64>,
    previews: Vec<String>,
    large_trade: Option<u64>,
    low_priority: bool,
}

// === impl Recipe ===

impl Recipe {
    /// Of a core as it is, of which these symbols were wanted.
    pub(crate) fn of(venue: &Venue, symbols: &[String]) -> Self {
        let config = venue.config();
        let fusion = &config.fusion;
        Self {
            kind: config.kind.as_str().to_owned(),
            ws_url: config.ws_url.clone(),
            rest_url: config.rest_url.clone(),
            depth: config.depth,
            trades: config.trades,
            seed: config.tuning.jitter_seed,
            fusion: (fusion.ofi, fusion.cvd, u64::try_from(fusion.half_life.as_millis()).unwrap_or(u64::MAX), fusion.warm_up),
            symbols: symbols.to_vec(),
            instruments: venue.instruments().iter().map(|instrument| Item::of(instrument, config.output_of(&instrument.symbol))).collect(),
        }
    }

    /// The venue it is of, if it is one that is known.
    pub(crate) fn venue_kind(&self) -> Option<VenueKind> {
        VenueKind::ALL.into_iter().find(|kind| kind.as_str() == self.kind)
    }

    /// Publishes otherwise than it did.
    pub(crate) fn publish(&mut self, book: Option<Publication>, depth: Option<usize>) {
        for item in &mut self.instruments {
            item.publish = book.map_or(item.publish, milliseconds);
        }
        self.depth = depth.unwrap_or(self.depth);
    }

    /// The core's configuration and instruments.
    pub(crate) fn made(&self, kind: VenueKind) -> (VenueConfig, Vec<Instrument>) {
        let (exchange, market_type) = (kind.exchange(), kind.market_type());
        let instruments = self.instruments.iter().map(|item| item.instrument((exchange, market_type)));
        let (ofi, cvd, half_life, warm_up) = self.fusion;
        let config = VenueConfig {
            kind,
            ws_url: self.ws_url.clone(),
            rest_url: self.rest_url.clone(),
            depth: self.depth,
            overrides: self.instruments.iter().map(|item| (item.symbol.as_str().into(), item.output())).collect(),
            fusion: FusionConfig { ofi, cvd, half_life: Duration::from_millis(half_life), warm_up },
            trades: self.trades,
            tuning: Tuning { jitter_seed: self.seed, ..Tuning::of(kind) },
            ..VenueConfig::new(kind)
        };
        (config, instruments.collect())
    }
}

// === impl Item ===

impl Item {
    pub(super) fn of(instrument: &Instrument, output: &Output) -> Self {
        Self {
            raw: instrument.raw.to_string(),
            symbol: instrument.symbol.to_string(),
            digits: (instrument.price.digits(), instrument.quantity.digits()),
            multiplier: instrument.multiplier.parts(),
            inverse: instrument.unit == Unit::Quote,
            publish: milliseconds(output.book),
            delta: output.delta.map(milliseconds),
            previews: output.previews.iter().map(|kind| kind.as_str().to_owned()).collect(),
            large_trade: output.large_trade,
            low_priority: output.priority == Priority::Low,
        }
    }

    pub(super) fn instrument(&self, (exchange, market_type): (marketdata::Exchange, MarketType)) -> Instrument {
        let scales = (Scale::new(self.digits.0), Scale::new(self.digits.1));
        let plain = Instrument::new(exchange, market_type, (&self.raw, &self.symbol), scales);
        let unit = if self.inverse { Unit::Quote } else { Unit::Base };
        Instrument { multiplier: Multiplier::of(self.multiplier.0, self.multiplier.1), unit, ..plain }
    }

    fn output(&self) -> Output {
        let known = RecordKind::ALL.into_iter().filter(|kind| self.previews.iter().any(|word| word == kind.as_str()));
        Output {
            book: publication(self.publish),
            delta: self.delta.map(publication),
            previews: known.fold(RecordKinds::NONE, RecordKinds::with),
            large_trade: self.large_trade,
            priority: if self.low_priority { Priority::Low } else { Priority::Normal },
        }
    }
}

fn milliseconds(publication: Publication) -> u64 {
    match publication {
        Publication::EveryUpdate => 0,
        Publication::Conflated(interval) => u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
    }
}

fn publication(milliseconds: u64) -> Publication {
    if milliseconds == 0 { Publication::EveryUpdate } else { Publication::Conflated(Duration::from_millis(milliseconds)) }
}
