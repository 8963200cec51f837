//! One fault at a time: each ends in one named reason, and in right books (the simulation checks every book that leaves).

use std::time::Duration;

use marketdata::{EventKind, InstrumentId, Publication, StreamKind, SyncState, VenueConfig, VenueKind};

use crate::simulation::{Faults, Simulation, config};

const BTC: InstrumentId = InstrumentId(0);
const ALL: [InstrumentId; 3] = [BTC, InstrumentId(1), InstrumentId(2)];

/// A simulation whose books are all exact, with the events so far forgotten.
fn running(config: VenueConfig) -> Simulation {
    let mut simulation = Simulation::new(config, 42);
    simulation.run(10);
    well(&simulation);
    simulation.events.clear();
    simulation
}

/// Every book is exact and has just been published.
fn well(simulation: &Simulation) {
    for id in ALL {
        let status = simulation.venue.status(id).unwrap();
        assert_eq!(status.state, SyncState::Synced, "{id:?}");
        let last = simulation.last_book(id).unwrap();
        let behind = simulation.markets[id.index()].behind(last);
        assert!(behind <= 6, "{id:?}: published {last}, {behind} states behind");
    }
}

/// Runs with one kind of fault until it has struck, then without.
fn strike(simulation: &mut Simulation, faults: Faults, struck: impl Fn(&Simulation) -> bool) {
    simulation.faults = faults;
    for _ in 0..300 {
        simulation.run(1);
        if struck(simulation) {
            break;
        }
    }
    simulation.faults = Faults::default();
    simulation.run(60);
    well(simulation);
}

fn any_resync(simulation: &Simulation) -> bool {
    ALL.iter().any(|id| !simulation.resyncs(*id).is_empty())
}

/// All resync words, sorted, once each.
fn resync_words(simulation: &Simulation) -> Vec<&'static str> {
    let mut words: Vec<&str> = ALL.iter().flat_map(|id| simulation.resyncs(*id)).collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn both(check: impl Fn(VenueKind)) {
    VenueKind::ALL.into_iter().for_each(check);
}

#[test]
fn each_fault_of_the_stream_has_its_word() {
    let rows: [(&str, Faults, &[&str]); 5] = [
        ("drop", Faults { drop: 20, ..Faults::default() }, &["gap"]),
        ("reorder", Faults { reorder: 20, ..Faults::default() }, &["gap"]),
        ("garbled levels", Faults { garbled_levels: 20, ..Faults::default() }, &["malformed"]),
        ("reset", Faults { reset: 20, ..Faults::default() }, &["closed"]),
        ("half open", Faults { half_open: 20, ..Faults::default() }, &["silent"]),
    ];
    both(|kind| {
        for (name, faults, words) in &rows {
            let mut wanted = config(kind);
            // Silence of everything must be found by the bound on the connection, not by a replacement.
            wanted.tuning.replace_backoff.0 = Duration::from_mins(10);
            wanted.tuning.book_silence.stale_after = Duration::from_secs(40);
            wanted.tuning.trade_silence.stale_after = Duration::from_secs(40);
            let mut simulation = running(wanted);
            strike(&mut simulation, faults.clone(), any_resync);
            assert_eq!(resync_words(&simulation), *words, "{} {name}", kind.as_str());
        }
    });
}

#[test]
fn one_missing_delta_is_one_resync_of_one_instrument() {
    both(|kind| {
        let mut simulation = running(config(kind));
        simulation.swallow_delta(BTC);
        simulation.run(10);
        assert_eq!(simulation.resyncs(BTC), ["gap"]);
        assert!(ALL[1..].iter().all(|id| simulation.resyncs(*id).is_empty()), "no neighbour is touched");
        assert_eq!(simulation.venue.status(BTC).unwrap().resyncs.iter().sum::<u64>(), 1);
        well(&simulation);
    });
}

#[test]
fn duplicates_change_nothing() {
    both(|kind| {
        let mut simulation = running(config(kind));
        simulation.faults = Faults { duplicate: 1_000, ..Faults::default() };
        simulation.run(20);
        assert!(resync_words(&simulation).is_empty());
        assert!(simulation.venue.status(BTC).unwrap().trades.duplicates > 0);
        well(&simulation);
    });
}

#[test]
fn a_crossed_book_is_rebuilt_under_that_name() {
    let mut simulation = running(config(VenueKind::BinanceSpot));
    let next = simulation.markets[0].told() + 1;
    simulation.inject(&format!(r#"{{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":{next},"u":{next},"b":[["9999.00","1.000"]],"a":[]}}"#));
    simulation.run(10);
    assert_eq!(simulation.resyncs(BTC), ["crossed"]);
    well(&simulation);
}

#[test]
fn rest_trouble_delays_the_first_book_and_is_named() {
    let rows: [(&str, Faults); 5] = [
        ("status", Faults { rest_error: 700, ..Faults::default() }),
        ("rate_limited", Faults { rest_limited: 700, ..Faults::default() }),
        ("snapshot_too_old", Faults { stale_snapshot: 900, ..Faults::default() }),
        ("malformed", Faults { malformed_snapshot: 700, ..Faults::default() }),
        ("timeout", Faults { rest_silence: 1_000, ..Faults::default() }),
    ];
    both(|kind| {
        for (word, faults) in &rows {
            let mut wanted = config(kind);
            wanted.tuning.buffer.deltas = 1_000; // room for half a minute without a snapshot
            let mut simulation = Simulation::new(wanted, 7);
            simulation.faults = Faults { refuse_connect: 1_000, ..Faults::default() };
            simulation.run(5); // so that the markets have a past that can be served stale
            // Where books come with the stream REST is asked only when none comes.
            simulation.faults = Faults { no_snapshot: 1_000, ..faults.clone() };
            simulation.run(30);
            simulation.faults = Faults::default();
            simulation.run(30);
            well(&simulation);
            let words: Vec<&str> = ALL.iter().flat_map(|id| simulation.words(*id, |kind| matches!(kind, EventKind::SnapshotRetry(_)))).collect();
            assert!(words.contains(word), "{}: {word} not in {words:?}", kind.as_str());
            assert!(resync_words(&simulation).is_empty(), "a first book that is late is no resync");
        }
    });
}

#[test]
fn deltas_that_wait_too_long_for_a_snapshot_start_anew_under_that_name() {
    // Where books come with the stream it is subscribed anew before that.
    for kind in [VenueKind::BinanceSpot, VenueKind::BinanceUsdm] {
        let mut simulation = Simulation::new(config(kind), 11);
        simulation.faults = Faults { rest_error: 1_000, ..Faults::default() };
        simulation.run(30);
        assert_eq!(resync_words(&simulation), ["buffer_overflow"]);
        assert!(simulation.venue.status(BTC).unwrap().buffered <= config(kind).tuning.buffer.deltas);
        simulation.faults = Faults::default();
        simulation.run(30);
        well(&simulation);
    }
}

#[test]
fn a_limit_is_obeyed_for_as_long_as_the_venue_says() {
    let mut simulation = Simulation::new(config(VenueKind::BinanceSpot), 3);
    simulation.faults = Faults { rest_limited: 1_000, ..Faults::default() };
    simulation.run(60);
    // Every answer is a pause of 1 to 5 s, in which nothing is sent: at most the requests under way share one.
    assert!(simulation.fetches <= 4 * 60, "{} requests", simulation.fetches);
    assert!(simulation.venue_events().iter().any(|event| event.starts_with("rest_limited")));
}

#[test]
fn a_stream_that_dies_alone_is_named_and_its_connection_replaced_without_a_gap() {
    both(|kind| {
        let mut simulation = running(config(kind));
        simulation.mute((0, StreamKind::Book));
        simulation.run(40);
        let words = simulation.words(BTC, |kind| matches!(kind, EventKind::Stale(_)));
        assert_eq!(words, ["orderbook"]);
        assert!(simulation.venue_events().contains(&"hand_over_started no_data".to_owned()));
        assert!(simulation.venue_events().contains(&"hand_over_done".to_owned()));
        assert!(resync_words(&simulation).is_empty(), "its neighbours never stopped");
        well(&simulation);
    });
}

#[test]
fn the_server_s_farewell_and_old_age_hand_over_without_a_gap() {
    both(|kind| {
        for (name, age) in [("server_shutdown", 3_600), ("age_limit", 15)] {
            let mut wanted = config(kind);
            wanted.tuning.max_age = Duration::from_secs(age);
            let mut simulation = running(wanted);
            if name == "server_shutdown" {
                // Deribit closes without a word.
                let Some(farewell) = simulation.wire_form.farewell() else { continue };
                simulation.inject(&farewell);
            }
            simulation.run(12);
            let events = simulation.venue_events();
            let started = format!("hand_over_started {name}");
            assert_eq!(
                events.iter().map(String::as_str).collect::<Vec<_>>(),
                [&started, "connected", &format!("disconnected {name}"), "hand_over_done"]
            );
            assert!(resync_words(&simulation).is_empty());
            for id in ALL {
                let trades = simulation.venue.status(id).unwrap().trades;
                assert_eq!((trades.gaps, trades.missing), (0, 0), "{id:?}: no trade fell between the two connections");
            }
            assert_eq!(simulation.open_conns().len(), 1, "the old connection is closed");
            well(&simulation);
        }
    });
}

#[test]
fn a_farewell_is_not_forgotten_when_the_replacement_cannot_connect() {
    let mut simulation = running(config(VenueKind::BinanceSpot));
    simulation.faults = Faults { refuse_connect: 1_000, ..Faults::default() };
    simulation.inject(r#"{"e":"serverShutdown","E":1770123456789}"#);
    simulation.run(10);
    simulation.faults = Faults::default();
    simulation.run(20);
    assert_eq!(simulation.venue_events().last().map(String::as_str), Some("hand_over_done"));
    assert!(resync_words(&simulation).is_empty());
    well(&simulation);
}

#[test]
fn a_refused_stream_takes_down_no_neighbour() {
    both(|kind| {
        let mut simulation = Simulation::new(config(kind), 5);
        simulation.refuse((1, StreamKind::Book));
        simulation.run(20);
        let eth = InstrumentId(1);
        assert_eq!(simulation.words(eth, |kind| matches!(kind, EventKind::Refused(_))), ["orderbook"]);
        let status = simulation.venue.status(eth).unwrap();
        assert_eq!((status.state, status.refused), (SyncState::Idle, [true, false]));
        for id in [BTC, InstrumentId(2)] {
            assert_eq!(simulation.venue.status(id).unwrap().state, SyncState::Synced);
        }
        assert!(simulation.last_trade(eth).is_some(), "its trades come all the same");
    });
}

#[test]
fn trades_missing_over_a_reset_are_told_from_and_to() {
    let mut simulation = running(config(VenueKind::BinanceSpot));
    let before = simulation.last_trade(BTC).unwrap();
    let conn = simulation.open_conns()[0];
    simulation.faults = Faults { refuse_connect: 1_000, ..Faults::default() };
    simulation.reset(conn);
    simulation.run(20);
    simulation.faults = Faults::default();
    simulation.run(30);
    let gaps: Vec<EventKind> =
        simulation.events.iter().filter(|(id, kind)| *id == Some(BTC) && matches!(kind, EventKind::TradeGap { .. })).map(|(_, kind)| *kind).collect();
    let [EventKind::TradeGap { from, to }] = gaps[..] else { panic!("one gap, not {gaps:?}") };
    assert!(from <= before + 3 && to > from, "{from}-{to} after {before}");
    well(&simulation);
}

#[test]
fn conflation_lets_the_newest_book_out_at_its_pace() {
    both(|kind| {
        let mut wanted = config(kind);
        wanted.output.book = Publication::Conflated(Duration::from_secs(1));
        let mut simulation = running(wanted);
        let (before, _) = simulation.published;
        simulation.run(60);
        let books = simulation.published.0 - before;
        assert!((170..=183).contains(&books), "three books a second for a minute, not {books}");
        well(&simulation);
    });
}

#[test]
fn a_quiet_market_is_published_from_its_snapshot_and_said_to_be_unconfirmed() {
    let mut simulation = Simulation::new(config(VenueKind::BinanceSpot), 9);
    simulation.frozen = true;
    simulation.run(8);
    assert_eq!(simulation.published.0, 3, "one book each");
    assert!(!simulation.venue.book(BTC).unwrap().confirmed);
    let silent = simulation.words(BTC, |kind| matches!(kind, EventKind::NoFirstData(_)));
    assert_eq!(silent, ["orderbook"], "acknowledged but silent is said");
    simulation.frozen = false;
    simulation.run(20);
    assert!(simulation.venue.book(BTC).unwrap().confirmed);
    assert!(resync_words(&simulation).is_empty());
    well(&simulation);
}

#[test]
fn a_silent_stream_is_subscribed_anew_before_its_connection_is_replaced() {
    both(|kind| {
        let mut simulation = running(config(kind));
        simulation.renewal_helps = true;
        simulation.mute((0, StreamKind::Book));
        simulation.run(30);
        let words = |of: fn(&EventKind) -> bool| simulation.words(BTC, of);
        assert_eq!(words(|kind| matches!(kind, EventKind::Renewed(_))), ["orderbook"], "{}", kind.as_str());
        assert_eq!(words(|kind| matches!(kind, EventKind::Fresh(_))), ["orderbook"]);
        assert!(simulation.venue_events().is_empty(), "no connection was touched: {:?}", simulation.venue_events());
        assert!(ALL[1..].iter().all(|id| simulation.resyncs(*id).is_empty()), "no neighbour was");
        well(&simulation);
    });
}

#[test]
fn a_gap_where_books_come_with_the_stream_is_one_subscription_anew() {
    for kind in [VenueKind::OkxSpot, VenueKind::OkxSwap, VenueKind::Deribit] {
        let mut simulation = running(config(kind));
        let (fetches, requests) = (simulation.fetches, simulation.requests);
        simulation.swallow_delta(BTC);
        simulation.run(10);
        assert_eq!(simulation.resyncs(BTC), ["gap"], "{}", kind.as_str());
        assert_eq!((simulation.requests.0 - requests.0, simulation.requests.1 - requests.1), (1, 1));
        assert_eq!(simulation.fetches, fetches, "REST is not asked");
        well(&simulation);
    }
}

#[test]
fn ids_that_restart_are_followed_and_said() {
    for kind in [VenueKind::OkxSpot, VenueKind::OkxSwap] {
        let mut simulation = running(config(kind));
        simulation.faults = Faults { restart: 300, ..Faults::default() };
        simulation.run(5);
        simulation.faults = Faults::default();
        simulation.run(5);
        let told = simulation.events.iter().filter(|(_, kind)| matches!(kind, EventKind::SequenceReset { from, to } if to < from)).count();
        assert!(told > 3, "{told}");
        assert!(resync_words(&simulation).is_empty());
        well(&simulation);
    }
}

#[test]
fn a_stream_without_a_snapshot_is_joined_over_rest() {
    for kind in [VenueKind::OkxSpot, VenueKind::OkxSwap, VenueKind::Deribit] {
        let mut simulation = Simulation::new(config(kind), 21);
        simulation.faults = Faults { no_snapshot: 1_000, ..Faults::default() };
        simulation.run(20);
        assert!(simulation.fetches >= 3, "{} fetched {} times", kind.as_str(), simulation.fetches);
        well(&simulation);
        simulation.swallow_delta(BTC);
        simulation.run(20);
        assert_eq!(simulation.resyncs(BTC), ["gap"]);
        well(&simulation);
    }
}

#[test]
fn instruments_come_and_go_and_come_back() {
    both(|kind| {
        let mut wanted = config(kind);
        wanted.tuning.streams_per_connection = 4; // two instruments a connection
        let mut simulation = running(wanted);
        assert_eq!(simulation.open_conns().len(), 2);
        simulation.retire(InstrumentId(2));
        simulation.run(5);
        assert_eq!(simulation.open_conns().len(), 1, "a connection that carries nothing is closed");
        assert_eq!(simulation.venue_events(), ["disconnected unused"]);
        simulation.retire(BTC);
        simulation.run(5);
        let status = simulation.venue.status(BTC).unwrap();
        assert_eq!((status.state, status.levels, status.silent), (SyncState::Idle, (0, 0), [false, false]));
        assert!(simulation.published.0 > 0);
        let (before, unknown) = (simulation.last_book(BTC), simulation.venue.stats().unknown);
        simulation.run(30);
        assert_eq!(simulation.last_book(BTC), before, "nothing is published of it");
        assert_eq!(simulation.venue.stats().unknown, unknown, "nothing comes of it");
        for place in [0, 2] {
            let id = simulation.adopt(place);
            assert_eq!(id.index(), place, "it keeps its id");
        }
        simulation.run(10);
        assert_eq!(simulation.open_conns().len(), 2);
        assert!(resync_words(&simulation).is_empty());
        well(&simulation);
    });
}
