//! Disks that refuse: full, and read-only. The program runs in a mount namespace of its own, with a small file system for its data.

use std::process::Command;

use rustix::process::Signal;

use crate::server::Server;
use crate::world::{Run, World, check, stored};

/// Room in memory for an outage.
const ROOMY: &str = "buffers: {bytes: {high: 16MiB, emergency: 64MiB}}";

/// Whether this machine lets a test have mounts of its own.
fn has_namespaces() -> bool {
    let tried = Command::new("unshare").args(["-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status();
    let works = tried.is_ok_and(|status| status.success());
    if !works {
        println!("not run: no mount namespaces for this user");
    }
    works
}

/// Lets the program write to its data.
fn make_writable(run: &Run, world: &World) {
    let (pid, data) = (run.id().to_string(), world.dir.path().join("data"));
    let mut command = Command::new("nsenter");
    command.args(["-t", &pid, "-U", "-m", "--preserve-credentials", "mount", "-o", "remount,rw"]).arg(data);
    assert!(command.status().unwrap().success());
}

/// Health says that the disk refuses.
fn is_degraded(world: &World) {
    world.until("health is told", |world| {
        let health = world.health();
        health.contains("\"status\":\"degraded\"") && health.contains("disk_refuses")
    });
}

async fn delivered(world: &World, server: &Server, run: Run) {
    world
        .until("the spool is drained", |world| world.metric("collector_spool_drained_total") > 0.0 && world.metric("collector_spool_records") == 0.0);
    // About what comes in a second.
    world.until("what is in memory is sent", |world| world.metric("collector_unsecured_records") < 2_000.0);
    world.until("health is well again", |world| !world.health().contains("disk_refuses"));
    for kind in ["orderbook", "trade"] {
        let dropped = world.metric_with("collector_sink_dropped_total", &format!("kind=\"{kind}\""));
        assert_eq!(dropped, 0.0, "nothing of {kind} was lost");
    }
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), Some(0));
    for (subject, gaps) in check(&stored(server).await) {
        assert!(gaps.is_empty(), "{subject}: {gaps:?}");
    }
}

/// A program whose data lie on a file system with these options, and whose server has just gone away; `None` where that cannot be.
async fn in_an_outage(options: &str) -> Option<(Server, World, Run)> {
    let mut server = Server::start(true)?;
    if !has_namespaces() {
        return None;
    }
    let world = World::start(&server.url(), ROOMY).await;
    let run = world.run_with_data(options);
    world.until("records are acknowledged", |world| world.metric("collector_nats_acks_total") > 100.0);
    server.kill();
    Some((server, world, run))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_nothing_is_lost_while_memory_has_room() {
    let Some((mut server, world, run)) = in_an_outage("size=1m,rw").await else { return };
    world.until("the disk is full", |world| world.metric("collector_spool_errors_total") > 0.0);
    is_degraded(&world);
    assert!(world.log().contains("No space left on device"), "{}", world.log());
    server.run();
    delivered(&world, &server, run).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_disk_is_used_as_soon_as_it_can_be_written() {
    let Some((mut server, world, run)) = in_an_outage("size=64m,ro").await else { return };
    world.until("the disk refuses", |world| world.metric("collector_spool_errors_total") > 2.0);
    assert!(world.log().contains("Read-only file system"), "{}", world.log());
    is_degraded(&world);
    make_writable(&run, &world);
    world.until("the spool fills", |world| world.metric("collector_spooled_total") > 2_000.0);
    server.run();
    delivered(&world, &server, run).await;
}
