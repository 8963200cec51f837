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
    simulation.set_pressure(Pressure::PauseLow);
    simulation.run(10);
    let status = simulation.venue.status(LOW).unwrap();
    assert!(status.paused && status.state == SyncState::Idle && status.levels == (0, 0), "nothing of it is held: {status:?}");
    assert!(simulation.venue.book(LOW).is_none() && simulation.venue.book(InstrumentId(0)).is_some());
    simulation.set_pressure(Pressure::Normal);
    since(&simulation);
    simulation.run(10);
    assert_eq!(since(&simulation).1, 10);
    assert!(simulation.venue.book(LOW).is_some(), "resynchronised: {:?}", simulation.venue.status(LOW));
    let told: Vec<String> = simulation.venue_events().into_iter().filter(|line| line.starts_with("pressure")).collect();
    assert_eq!(told, ["pressure shed_preview", "pressure widen_conflation", "pressure pause_low", "pressure normal"]);
    let of_low: Vec<EventKind> = simulation.events.iter().filter(|(who, _)| *who == Some(LOW)).map(|(_, kind)| *kind).collect();
    let paused = of_low.iter().position(|kind| *kind == EventKind::Paused(Reason::Pressure)).unwrap();
    assert_eq!(of_low[paused + 1], EventKind::Resumed(Reason::Pressure), "silent while paused: {of_low:?}");
    assert!(of_low[paused + 2..].contains(&EventKind::Synced) && of_low[paused + 2..].iter().any(|kind| matches!(kind, EventKind::TradeGap { .. })));
    assert!(!simulation.events.iter().any(|(who, kind)| *who != Some(LOW) && matches!(kind, EventKind::Paused(_))));
}
