//! Prices, steps and sizes that look like the real instruments', so that every scale occurs: from BTC to a meme coin with quantities in the billions.

use super::kind::VenueKind;
use super::market::Instrument;

/// The grid an instrument trades on, in whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Preset {
    /// First price, in units of the price's last digit.
    pub price: u64,
    /// Price step, in the same units.
    pub tick: u64,
    /// Fraction digits of prices.
    pub price_decimals: u32,
    /// Fraction digits of quantities.
    pub quantity_decimals: u32,
    /// A usual quantity, in quantity steps.
    pub lots: u64,
    /// The quantity step, in the same units.
    pub lot: u64,
    /// Usual distance of neighbouring levels, in ticks.
    pub gap: u64,
}

/// Base asset and its grid: on spot, then on futures.
const PRESETS: &[(&str, Preset, Preset)] = &[
    ("BTC", preset(6_180_000, 1, 2, 5, 20_000, 20), preset(6_180_020, 10, 2, 3, 500, 3)),
    ("ETH", preset(265_000, 1, 2, 4, 20_000, 8), preset(265_000, 1, 2, 3, 5_000, 4)),
    ("BNB", preset(5_150, 1, 1, 3, 2_000, 1), preset(515_000, 1, 2, 2, 500, 10)),
    ("SOL", preset(15_500, 1, 2, 3, 30_000, 2), preset(155_000, 1, 3, 0, 50, 10)),
    ("XRP", preset(6_100, 1, 4, 0, 2_000, 1), preset(6_100, 1, 4, 1, 20_000, 1)),
    ("DOGE", preset(10_300, 1, 5, 0, 40_000, 2), preset(103_000, 1, 6, 0, 30_000, 10)),
    ("ADA", preset(3_450, 1, 4, 1, 50_000, 1), preset(34_500, 1, 5, 0, 8_000, 3)),
    // Meme coins: prices of a few units in the last digit, quantities in the billions.
    ("PEPE", preset(890, 1, 8, 0, 900_000_000, 1), preset(890, 1, 8, 0, 900_000_000, 1)),
    ("1000PEPE", preset(89_000, 1, 7, 0, 2_000_000, 8), preset(89_000, 1, 7, 0, 2_000_000, 8)),
    ("SHIB", preset(1_410, 1, 8, 0, 300_000_000, 1), preset(1_410, 1, 8, 0, 300_000_000, 1)),
];

const OTHER: Preset = preset(123_450, 1, 4, 2, 30_000, 5);

const fn preset(price: u64, tick: u64, price_decimals: u32, quantity_decimals: u32, lots: u64, gap: u64) -> Preset {
    Preset { price, tick, price_decimals, quantity_decimals, lots, lot: 1, gap }
}

/// The grid of an instrument at a venue.
pub(super) fn preset_of(venue: VenueKind, base: &str, quote: &str) -> Preset {
    let known = PRESETS.iter().find(|(name, _, _)| *name == base);
    let (spot, futures) = known.map_or((OTHER, OTHER), |(_, spot, futures)| (*spot, *futures));
    match venue {
        VenueKind::BinanceSpot | VenueKind::OkxSpot => spot,
        VenueKind::BinanceUsdm => futures,
        // Hundredths of contracts.
        VenueKind::OkxSwap => Preset { quantity_decimals: 2, lots: 4_000, ..futures },
        // Tens of dollars.
        VenueKind::Deribit if quote == "USD" => Preset { quantity_decimals: 0, lots: 500, lot: 10, ..futures },
        VenueKind::Deribit => futures,
    }
}

/// The venue's name of an instrument.
fn symbol_of(venue: VenueKind, base: &str, quote: &str) -> String {
    match venue {
        VenueKind::BinanceSpot | VenueKind::BinanceUsdm => format!("{base}{quote}"),
        VenueKind::OkxSpot => format!("{base}-{quote}"),
        VenueKind::OkxSwap => format!("{base}-{quote}-SWAP"),
        VenueKind::Deribit if quote == "USD" => format!("{base}-PERPETUAL"),
        VenueKind::Deribit => format!("{base}_{quote}-PERPETUAL"),
    }
}

/// An instrument from its `BASE-QUOTE` name.
pub(super) fn instrument_of(venue: VenueKind, name: &str) -> Option<Instrument> {
    let (base, quote) = name.split_once('-').filter(|(base, quote)| !base.is_empty() && !quote.is_empty())?;
    let grid = preset_of(venue, base, quote);
    Some(Instrument {
        symbol: symbol_of(venue, base, quote),
        base: base.to_owned(),
        quote: quote.to_owned(),
        tick_size: decimal(grid.tick, grid.price_decimals, grid.price_decimals),
        step_size: decimal(grid.lot, grid.quantity_decimals, grid.quantity_decimals),
        max_quantity: decimal(max_quantity(base), 0, 8),
        price_decimals: grid.price_decimals,
        quantity_decimals: grid.quantity_decimals,
    })
}

/// Coins in the largest order that is taken, of the real venue's order of magnitude: a reader sizes its numbers by it.
fn max_quantity(base: &str) -> u64 {
    match base {
        "BTC" | "ETH" | "BNB" => 9_000,
        "SOL" => 90_000,
        "PEPE" | "1000PEPE" | "SHIB" => 90_000_000_000,
        _ => 9_000_000,
    }
}

/// A whole number of last-digit units as a decimal string with `shown` fraction digits (at least `decimals`).
pub(super) fn decimal(units: u64, decimals: u32, shown: u32) -> String {
    let scale = 10u64.pow(decimals);
    let padding = "0".repeat(shown.saturating_sub(decimals) as usize);
    if shown == 0 {
        return units.to_string();
    }
    if decimals == 0 {
        return format!("{units}.{padding}");
    }
    format!("{}.{:0width$}{padding}", units / scale, units % scale, width = decimals as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_as_the_venues_do() {
        for (units, decimals, shown, text) in [
            (6_180_001, 2, 8, "61800.01000000"),
            (890, 8, 8, "0.00000890"),
            (5, 0, 0, "5"),
            (5, 0, 8, "5.00000000"),
            (1, 5, 5, "0.00001"),
            (618_002, 1, 1, "61800.2"),
        ] {
            assert_eq!(decimal(units, decimals, shown), text);
        }
    }

    #[test]
    fn a_name_needs_both_assets() {
        assert_eq!(instrument_of(VenueKind::BinanceSpot, "BTC-USDT").unwrap().symbol, "BTCUSDT");
        assert_eq!(instrument_of(VenueKind::BinanceUsdm, "BTC-USDT").unwrap().tick_size, "0.10");
        let largest = |name| instrument_of(VenueKind::BinanceSpot, name).unwrap().max_quantity;
        assert_eq!((largest("BTC-USDT").as_str(), largest("PEPE-USDT").as_str()), ("9000.00000000", "90000000000.00000000"));
        let symbol = |venue, name| instrument_of(venue, name).unwrap().symbol;
        assert_eq!(symbol(VenueKind::OkxSwap, "BTC-USDT"), "BTC-USDT-SWAP");
        assert_eq!(
            (symbol(VenueKind::Deribit, "BTC-USD"), symbol(VenueKind::Deribit, "BTC-USDC")),
            ("BTC-PERPETUAL".into(), "BTC_USDC-PERPETUAL".into())
        );
        for bad in ["BTCUSDT", "-USDT", "BTC-"] {
            assert!(instrument_of(VenueKind::BinanceSpot, bad).is_none(), "{bad}");
        }
    }
}
