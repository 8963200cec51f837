//! Many short lives of the program, each ended by SIGTERM or SIGKILL at another moment of a run of 2,000 records a second, with the server there, away, or
//! lost on the way: every accepted record is stored once and in order, and what a kill caught is named at the next start and not much.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;

use crate::server::Server;
use crate::wire::Wire;
use crate::world::{Caught, World, check, marks, stored};

/// What a kill may catch of one stream: what came within `accept_within` and one write to a slow disk.
const CAUGHT_MOST: u64 = 2_500;

/// Lives; `TIDEMARK_LIVES=200` for a long run.
fn lives() -> u64 {
    std::env::var("TIDEMARK_LIVES").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// Moments without a pattern, the same in each run: splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) % most
    }
}

/// What the server does in a life.
#[derive(Clone, Copy, Debug)]
enum Scene {
    /// It is there: sending, and draining what an earlier life has left.
    There,
    /// It goes away on the way: spooling.
    Lost,
    /// It is away from the start, and comes back on the way: spooling, then draining.
    Back,
    /// Killed before anything is known of it.
    Early,
}

/// What is known of all lives.
#[derive(Default)]
struct Story {
    named: Vec<Caught>,
    /// By subject: how far each life had secured.
    secured: BTreeMap<String, Vec<u64>>,
}

impl Story {
    async fn live(&mut self, world: &World, server: &mut Server, (scene, dice): (Scene, &mut Dice)) {
        let signal = if dice.below(4) == 0 { Signal::TERM } else { Signal::KILL };
        if matches!(scene, Scene::Back) {
            server.kill();
        }
        let run = world.run();
        match scene {
            Scene::Early => {}
            Scene::There => world.until("records are acknowledged", |world| world.metric("collector_nats_acks_total") > 100.0),
            Scene::Lost => {
                world.until("records are acknowledged", |world| world.metric("collector_nats_acks_total") > 100.0);
                server.kill();
            }
            Scene::Back => {
                world.until("the spool fills", |world| world.metric("collector_spooled_total") > 1_000.0);
                server.run();
            }
        }
        tokio::time::sleep(Duration::from_millis(dice.below(1_500))).await;
        let named = world.caught();
        run.signal(signal);
        if signal == Signal::TERM {
            let code = run.wait();
            // Before its handlers are there, SIGTERM ends a process as it always did.
            assert!(code == Some(0) || (code.is_none() && matches!(scene, Scene::Early)), "{code:?}");
        } else {
            drop(run);
        }
        self.named.extend(named);
        for (subject, taken, secured) in marks(&world.spool()) {
            assert!(signal == Signal::KILL || matches!(scene, Scene::Early) || taken == secured, "{subject}: an orderly end leaves nothing");
            if secured > 0 {
                self.secured.entry(subject).or_default().push(secured);
            }
        }
        if !server.is_running() {
            server.run();
        }
    }

    fn judge(&self, stored: &BTreeMap<String, Vec<u64>>) {
        let gaps = check(stored);
        let count: usize = stored.values().map(Vec::len).sum();
        println!(
            "{count} records of {} subjects stored once and in order; {} gaps; caught by kills: {:?}",
            stored.len(),
            gaps.values().map(Vec::len).sum::<usize>(),
            self.named.iter().map(|caught| caught.records).collect::<Vec<_>>()
        );
        for (subject, secured) in &self.secured {
            let stored = &stored[subject];
            // A trade that was secured is there. A conflated book may be one that the stream had from an earlier life.
            let lost: Vec<&u64> = secured.iter().filter(|sequence| stored.binary_search(sequence).is_err()).collect();
            assert!(lost.is_empty(), "{subject}: secured and not stored: {lost:?}");
            // Within a life ids of trades have no gap: there are no more gaps than times between two lives.
            let gaps = gaps.get(subject).map_or(0, Vec::len);
            assert!(gaps <= secured.len(), "{subject}: {gaps} gaps in {} lives", secured.len());
        }
        for caught in &self.named {
            assert!(caught.records <= CAUGHT_MOST && caught.after <= caught.through, "{}: {} records", caught.subject, caught.records);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_at_many_points_it_loses_nothing_accepted_and_names_what_was_caught() {
    let Some(mut server) = Server::start(true) else { return };
    let world = World::start(&server.url(), "").await;
    let (mut story, mut dice) = (Story::default(), Dice(1));
    for life in 0..lives() {
        let scene = [Scene::There, Scene::Lost, Scene::Back, Scene::There, Scene::Early][usize::try_from(life % 5).unwrap()];
        story.live(&world, &mut server, (scene, &mut dice)).await;
    }
    // The last life ends in order, with everything delivered.
    let run = world.run();
    world.until("records are acknowledged", |world| world.metric("collector_nats_acks_total") > 300.0);
    world.until("the spool is drained", |world| world.metric("collector_spool_records") == 0.0);
    story.named.extend(world.caught());
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), Some(0));
    for (subject, taken, secured) in marks(&world.spool()) {
        assert_eq!(taken, secured, "{subject}: an orderly end leaves nothing");
    }
    story.judge(&stored(&server).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_drains_unheard_it_stores_nothing_twice_after_the_stream_has_forgotten() {
    let Some(mut server) = Server::start(true) else { return };
    let wire = Wire::to(server.port).await;
    let world = World::start(&wire.url(), "  streams: {trade: {duplicate_window: 1s}, orderbook: {duplicate_window: 1s}}").await;
    let run = world.run();
    world.until("records are acknowledged", |world| world.metric("collector_nats_acks_total") > 100.0);
    server.kill();
    world.until("the spool fills", |world| world.metric("collector_spooled_total") > 4_000.0);
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), Some(0));
    server.run();
    // Some acknowledgements of the drain arrive, and then none.
    wire.lose_after(60_000);
    let run = world.run();
    world.until("it drains", |world| world.metric("collector_spool_drained_total") > 50.0);
    world.until("nobody hears the server", |_| wire.is_deaf());
    tokio::time::sleep(Duration::from_millis(300)).await;
    run.signal(Signal::KILL);
    drop(run);
    wire.cut();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let run = world.run();
    world.until("the spool is drained", |world| world.metric("collector_nats_acks_total") > 100.0 && world.metric("collector_spool_records") == 0.0);
    println!("{} records were there already", world.metric("collector_nats_held_total"));
    assert!(world.metric("collector_nats_held_total") > 0.0, "some were there already");
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), Some(0));
    check(&stored(&server).await);
}
