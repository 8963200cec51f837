//! Giving up comfort step by step, and taking it back.

use marketdata::{EventKind, InstrumentId, Output, Pressure, Priority, Reason, SyncState, VenueKind};

use crate::simulation::{Simulation, config};

const LOW: InstrumentId = InstrumentId(2);

fn steady() -> Simulation {
    let mut wanted = config(VenueKind::BinanceSpot);
    wanted.overrides = vec![("SOL-USDT".into(), Output { priority: Priority::Low, ..wanted.output })];
    let mut simulation = Simulation::new(wanted, 11);
    simulation.run(10);
    simulation
}

#[test]
fn each_step_gives_up_what_it_says_and_normal_takes_it_all_back() {
    let mut simulation = steady();
    let mut before = (simulation.published.0, simulation.followers[0].seconds.0);
    let mut since = |simulation: &Simulation| {
        let now = (simulation.published.0, simulation.followers[0].seconds.0);
        let made = (now.0 - before.0, now.1 - before.1);
        before = now;
        made
    };
    simulation.run(10);
    let (every, seconds) = since(&simulation);
    assert_eq!(seconds, 10);
    simulation.set_pressure(Pressure::ShedPreview);
    simulation.run(10);
    let shed = since(&simulation);
    assert!(shed.1 == 0 && shed.0 > every / 2, "{shed:?} of {every}: books go on");
    simulation.set_pressure(Pressure::WidenConflation);
    simulation.run(10);
    let wide = since(&simulation);
    assert!(wide.0 > every / 3, "at one frame in 200 ms, conflation to 100 ms holds little back: {wide:?}");
    let requests = simulation.requests;
    simulation.set_pressure(Pressure::PauseLow);
    simulation.run(10);
    assert_eq!(simulation.requests, (requests.0, requests.1 + 1), "it is unsubscribed");
    let status = simulation.venue.status(LOW).unwrap();
    assert!(status.paused && status.state == SyncState::Idle && status.levels == (0, 0), "nothing of it is held: {status:?}");
    assert!(simulation.venue.book(LOW).is_none() && simulation.venue.book(InstrumentId(0)).is_some());
    simulation.set_pressure(Pressure::Normal);
    since(&simulation);
    simulation.run(10);
    assert_eq!(since(&simulation).1, 10);
    assert!(simulation.venue.book(LOW).is_some(), "resynchronised: {:?}", simulation.venue.status(LOW));
    assert_eq!(simulation.requests, (requests.0 + 1, requests.1 + 1), "and subscribed again");
    let told: Vec<String> = simulation.venue_events().into_iter().filter(|line| line.starts_with("pressure")).collect();
    assert_eq!(told, ["pressure shed_preview", "pressure widen_conflation", "pressure pause_low", "pressure normal"]);
    let of_low: Vec<EventKind> = simulation.events.iter().filter(|(who, _)| *who == Some(LOW)).map(|(_, kind)| *kind).collect();
    let paused = of_low.iter().position(|kind| *kind == EventKind::Paused(Reason::Pressure)).unwrap();
    assert_eq!(of_low[paused + 1], EventKind::Resumed(Reason::Pressure), "silent while paused: {of_low:?}");
    assert!(of_low[paused + 2..].contains(&EventKind::Synced) && of_low[paused + 2..].iter().any(|kind| matches!(kind, EventKind::TradeGap { .. })));
    assert!(!simulation.events.iter().any(|(who, kind)| *who != Some(LOW) && matches!(kind, EventKind::Paused(_))));
}

#[test]
fn a_connection_of_paused_instruments_alone_is_closed_and_comes_back() {
    for kind in VenueKind::ALL {
        let mut wanted = config(kind);
        wanted.output.priority = Priority::Low;
        wanted.overrides = vec![("SOL-USDT".into(), Output { priority: Priority::Normal, ..wanted.output })];
        wanted.tuning.streams_per_connection = 4; // two instruments on the first connection, one on the second
        let mut simulation = Simulation::new(wanted, 12);
        simulation.run(10);
        assert_eq!(simulation.venue.stats().connections, 2, "{}", kind.as_str());
        let at = simulation.events.len();
        simulation.set_pressure(Pressure::PauseLow);
        simulation.run(60);
        assert_eq!(simulation.venue.stats().connections, 1, "{}: the load is really gone", kind.as_str());
        let of_paused: Vec<_> = simulation.events[at..].iter().filter(|(who, _)| who.is_some_and(|id| id != LOW)).collect();
        assert_eq!(of_paused.len(), 2, "{}: nobody waits for what is paused: {of_paused:?}", kind.as_str());
        assert!(simulation.events[at..].iter().any(|(_, kind)| matches!(kind, EventKind::Disconnected(_, Reason::Pressure))));
        let last = [0, 1].map(|place| simulation.venue.status(InstrumentId(place)).unwrap().last_data[0]);
        assert!(last.iter().all(Option::is_some), "{}: when data last came is still known", kind.as_str());
        simulation.set_pressure(Pressure::Normal);
        simulation.run(10);
        for place in 0..3 {
            assert!(simulation.venue.book(InstrumentId(place)).is_some(), "{} {place}", kind.as_str());
        }
    }
}

#[test]
fn a_pause_that_ends_at_once_leaves_nothing_unsubscribed() {
    for kind in VenueKind::ALL {
        let mut wanted = config(kind);
        wanted.overrides = vec![("SOL-USDT".into(), Output { priority: Priority::Low, ..wanted.output })];
        let mut simulation = Simulation::new(wanted, 13);
        simulation.run(10);
        for _ in 0..3 {
            simulation.set_pressure(Pressure::PauseLow);
            simulation.set_pressure(Pressure::Normal);
        }
        simulation.set_pressure(Pressure::PauseLow);
        simulation.run(1);
        simulation.set_pressure(Pressure::Normal);
        simulation.run(20);
        let books = simulation.published.0;
        simulation.run(10);
        assert!(simulation.venue.book(LOW).is_some() && simulation.published.0 > books, "{}: {:?}", kind.as_str(), simulation.venue.status(LOW));
        let silent =
            simulation.events.iter().filter(|(who, kind)| *who == Some(LOW) && matches!(kind, EventKind::NoFirstData(_) | EventKind::Stale(_)));
        assert_eq!(silent.count(), 0, "{}", kind.as_str());
    }
}

#[test]
fn what_is_delisted_or_listed_during_a_pause_is_neither_forgotten_nor_followed_too_early() {
    let mut simulation = steady();
    simulation.set_pressure(Pressure::PauseLow);
    simulation.run(2);
    simulation.retire(LOW);
    let told = simulation.events.len();
    simulation.set_pressure(Pressure::Normal);
    simulation.run(5);
    assert!(simulation.events[told..].iter().all(|(who, _)| *who != Some(LOW)), "what is no more is neither paused nor resumed");
    simulation.set_pressure(Pressure::PauseLow);
    let (told, requests) = (simulation.events.len(), simulation.requests.0);
    assert_eq!(simulation.adopt(LOW.index()), LOW);
    simulation.run(5);
    assert_eq!(simulation.requests.0, requests, "not subscribed while the pause lasts");
    let of_low: Vec<EventKind> = simulation.events[told..].iter().filter(|(who, _)| *who == Some(LOW)).map(|(_, kind)| *kind).collect();
    assert_eq!(of_low, [EventKind::Paused(Reason::Pressure)]);
    simulation.set_pressure(Pressure::Normal);
    simulation.run(10);
    assert!(simulation.venue.book(LOW).is_some(), "{:?}", simulation.venue.status(LOW));
}
