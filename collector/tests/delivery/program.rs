//! A whole outage, with a stop in the middle of it, and what an operator does with the spool then.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::server::Server;
use crate::world::{World, check, stored};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_costs_little_memory_and_a_stop_in_it_costs_nothing() {
    let Some(mut server) = Server::start(true) else { return };
    let world = World::start(&server.url(), "").await;
    let outage = crate::troubles::outage();
    let run = world.run();
    world.until("records are acknowledged", |world| world.metric("collector_sink_written_total") > 8_000.0);
    let before = run.resident();
    let (written, begun) = (world.metric("collector_sink_accepted_total"), Instant::now());
    server.kill();
    let mut peak = before;
    while begun.elapsed() < outage {
        tokio::time::sleep(Duration::from_millis(200)).await;
        peak = peak.max(run.resident());
    }
    let rate = (world.metric("collector_sink_accepted_total") - written) / begun.elapsed().as_secs_f64();
    let waiting = world.metric("collector_spool_records");
    println!("outage of {} s at {rate:.0} records/s: RSS {before:.1} → {peak:.1} MB, {waiting} records in the spool", outage.as_secs());
    assert!(peak - before < 8.0, "RSS grew from {before} to {peak} MB");
    // Stopped in the middle of it, started again, and only then the server comes back.
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), Some(0));
    let (code, said) = world.command(&["spool", "ls"]);
    assert!(code == Some(0) && said.contains("trade.binance.spot.BTC-USDT\t"), "{code:?} {said}");
    let (code, said) = world.command(&["spool", "purge", "--stream", "trade"]);
    assert!(code == Some(1) && said.contains("--yes"), "{code:?} {said}");
    let run = world.run();
    world.until("the spool grows", |world| world.metric("collector_spooled_total") > 100.0);
    assert_eq!(world.caught().len(), 0, "an orderly stop catches nothing");
    let (code, said) = world.command(&["spool", "ls"]);
    assert!(code == Some(0) && said.contains("trade.binance.spot.BTC-USDT\t"), "looking is allowed meanwhile: {code:?} {said}");
    for verb in [&["spool", "replay"][..], &["spool", "purge", "--yes"]] {
        let (code, said) = world.command(verb);
        assert!(code == Some(69) && said.contains("E515") && said.contains("in use by another process"), "{code:?} {said}");
    }
    server.run();
    world.until("the spool is being drained", |world| world.metric("collector_spool_drained_total") > 0.0);
    let (begun, accepted, drained) = (Instant::now(), world.metric("collector_sink_accepted_total"), world.metric("collector_spool_drained_total"));
    world.until("the spool is drained", |world| {
        world.metric("collector_spool_records") == 0.0 && world.metric("collector_sink_written_total") > waiting
    });
    let took = begun.elapsed().as_secs_f64();
    let (accepted, drained) = (world.metric("collector_sink_accepted_total") - accepted, world.metric("collector_spool_drained_total") - drained);
    println!("drained {:.0} records/s beside {:.0} arriving: {:.1} times, {took:.1} s", drained / took, accepted / took, drained / accepted);
    server.kill();
    let spooled = world.metric("collector_spooled_total");
    world.until("the spool fills", |world| world.metric("collector_spooled_total") > spooled + 100.0);
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), Some(0));
    // What is left can be sent without a collector.
    server.run();
    let (code, said) = world.command(&["spool", "replay", "--lang", "zh"]);
    assert!(code == Some(0) && said.contains("全部已发送并确认"), "{code:?} {said}");
    assert!(world.command(&["spool", "ls"]).1.contains(" 0 records of 0 subjects"));
    let stored = stored(&server).await;
    // The one gap of a subject is the time between the two runs.
    for (subject, gaps) in check(&stored) {
        assert!(gaps.len() <= 1, "{subject}: {gaps:?}");
    }
}
