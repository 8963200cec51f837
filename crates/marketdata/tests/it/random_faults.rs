//! Hundreds of random fault scripts, with pauses in between: whatever happens, a book is the venue's at its sequence or is not published, and afterwards all is well again.

use marketdata::{EventKind, Output, Pressure, Priority, SyncState, VenueKind};

use crate::market::Dice;
use crate::simulation::{Faults, Simulation, config};

const SCRIPTS: u64 = 80;

/// A script: each fault is off in most, rare in many, frequent in some.
fn script(dice: &mut Dice) -> Faults {
    let mut chance = |most: u64| match dice.below(4) {
        0 | 1 => 0,
        2 => 1 + dice.below(most),
        _ => 1 + dice.below(most * 5),
    };
    Faults {
        drop: chance(10),
        duplicate: chance(20),
        reorder: chance(10),
        malformed: chance(5),
        garbled_levels: chance(5),
        reset: chance(2),
        half_open: chance(1),
        mute_stream: chance(1),
        shutdown: chance(2),
        refuse_connect: chance(100),
        stale_snapshot: chance(60),
        slow_snapshot: chance(60),
        rest_error: chance(60),
        rest_limited: chance(30),
        rest_silence: chance(40),
        malformed_snapshot: chance(60),
        restart: chance(4),
        no_snapshot: chance(100),
    }
}

fn run(kind: VenueKind, seed: u64) -> (u64, u64, usize) {
    let mut dice = Dice(seed);
    let mut wanted = config(kind);
    wanted.tuning.max_age = std::time::Duration::from_secs(20 + dice.below(60));
    wanted.tuning.jitter_seed = seed;
    wanted.overrides = vec![("SOL-USDT".into(), Output { priority: Priority::Low, ..wanted.output })];
    let faults = script(&mut dice);
    let mut simulation = Simulation::new(wanted, dice.roll());
    simulation.faults = faults;
    for _ in 0..8 {
        simulation.run(5);
        simulation.set_pressure(if dice.chance(250) { Pressure::PauseLow } else { Pressure::Normal });
    }
    simulation.set_pressure(Pressure::Normal);
    simulation.faults = Faults::default();
    simulation.run(60);
    for id in [0, 1, 2].map(marketdata::InstrumentId) {
        let status = simulation.venue.status(id).unwrap();
        assert_eq!(status.state, SyncState::Synced, "{id:?}: {status:?}");
        let last = simulation.last_book(id).unwrap();
        let behind = simulation.markets[id.index()].behind(last);
        // The last frame may still be on the wire.
        assert!(behind <= 6, "{id:?}: published {last}, {behind} states behind the venue");
        trades_add_up(&simulation, id);
        resyncs_are_counted(&simulation, id);
    }
    let resyncs = simulation.events.iter().filter(|(_, kind)| matches!(kind, EventKind::Resync(_))).count();
    (simulation.published.0, simulation.published.1, resyncs)
}

/// Every trade of the venue since the first published one either left or is in a named gap.
fn trades_add_up(simulation: &Simulation, id: marketdata::InstrumentId) {
    let counts = simulation.venue.status(id).unwrap().trades;
    let market = &simulation.markets[id.index()];
    let last = simulation.last_trade(id).unwrap();
    assert!(market.last_trade - last <= 6, "{id:?}: trade {last} of {}", market.last_trade);
    assert!(counts.published + counts.missing <= last - market.first_trade + 1, "{counts:?}");
    let told: u64 = simulation
        .events
        .iter()
        .filter(|(who, _)| *who == Some(id))
        .map(|(_, kind)| if let EventKind::TradeGap { from, to } = kind { to - from + 1 } else { 0 })
        .sum();
    assert_eq!(told, counts.missing);
}

/// The figures a shell shows are the events it was told.
fn resyncs_are_counted(simulation: &Simulation, id: marketdata::InstrumentId) {
    let counted: u64 = simulation.venue.status(id).unwrap().resyncs.iter().sum();
    assert_eq!(usize::try_from(counted).unwrap(), simulation.resyncs(id).len());
}

fn run_all(kind: VenueKind) {
    let (mut books, mut trades, mut resyncs) = (0, 0, 0);
    for seed in 0..SCRIPTS {
        let result = std::panic::catch_unwind(|| run(kind, seed));
        let (b, t, r) = result.unwrap_or_else(|_| panic!("{} seed {seed} failed; the reason is above", kind.as_str()));
        books += b;
        trades += t;
        resyncs += r;
    }
    println!("{}: {SCRIPTS} scripts, {books} books and {trades} trades checked, {resyncs} resyncs", kind.as_str());
    assert!(resyncs > 300, "the scripts hardly hurt");
}

#[test]
fn whatever_happens_a_spot_book_is_right_or_not_published() {
    run_all(VenueKind::BinanceSpot);
}

#[test]
fn whatever_happens_a_futures_book_is_right_or_not_published() {
    run_all(VenueKind::BinanceUsdm);
}

#[test]
fn whatever_happens_an_okx_spot_book_is_right_or_not_published() {
    run_all(VenueKind::OkxSpot);
}

#[test]
fn whatever_happens_an_okx_swap_book_is_right_or_not_published() {
    run_all(VenueKind::OkxSwap);
}

#[test]
fn whatever_happens_a_deribit_book_is_right_or_not_published() {
    run_all(VenueKind::Deribit);
}
