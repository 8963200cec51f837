//! The heartbeat and `collector tap`, with a real server and the real program.

use std::process::{Command, Stdio};

use serde_json::Value;
use venue_sim::port::Port;

use crate::server::Server;
use crate::world::{Run, World};

const TRADES: &str = "trade.binance.spot.BTC-USDT";

/// `collector tap` with these arguments, beside the configuration of this world.
fn tap(world: &World, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_collector"));
    command.current_dir(world.dir.path()).env_clear().arg("tap").args(arguments).stdin(Stdio::null());
    command
}

/// What it says: exit code, standard output.
fn said(mut tap: Command) -> (Option<i32>, String) {
    let output = tap.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_heartbeat_and_the_data_are_seen_by_tap() {
    let Some(server) = Server::start(false) else { return };
    let world = World::start(&server.url(), "  mode: core").await;
    let run = world.run();
    let (code, trades) = said(tap(&world, &[TRADES, "--count", "3", "--raw"]));
    assert_eq!((code, trades.lines().count()), (Some(0), 3));
    assert!(trades.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["symbol"] == "BTC-USDT"), "{trades}");
    let (code, beat) = said(tap(&world, &["health.collector.*", "--count", "1", "--server", &server.url()]));
    let (subject, body) = beat.trim_end().split_once(' ').unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    println!("{beat}");
    assert_eq!(code, Some(0));
    assert!(subject.ends_with(&format!("-{}", run.id())), "{subject}");
    assert_eq!((&body["pid"], &body["active_managers"], &body["exchanges"][0]), (&Value::from(run.id()), &Value::from(1), &Value::from("binance")));
    let (code, _) = said(tap(&world, &["x", "--server", &format!("nats://{}", Port::reserve().unwrap().address())]));
    assert_eq!(code, Some(69), "a server that is not there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tap_finds_a_server_again_that_was_started_again() {
    let Some(mut server) = Server::start(false) else { return };
    let world = World::start(&server.url(), "  mode: core").await;
    let _run = world.run();
    let file = |name: &str| std::fs::File::create(world.dir.path().join(name)).unwrap();
    let read = |name: &str| std::fs::read_to_string(world.dir.path().join(name)).unwrap();
    // As many as come before the server is killed, and some more.
    let mut command = tap(&world, &[TRADES, "--raw", "--count", "600"]);
    let tap = Run::of(command.stdout(file("out")).stderr(file("err")).spawn().unwrap());
    world.until("trades come", |_| read("out").starts_with('{'));
    server.kill();
    world.until("tap waits", |_| read("err").contains("waiting for the server"));
    let before = read("out").lines().count();
    server.run();
    world.until("it is back", |_| read("err").contains("# back after"));
    assert_eq!((tap.wait(), read("out").lines().count()), (Some(0), 600), "{}", read("err"));
    println!("{before} trades before the server was killed\n{}", read("err"));
    assert!(before < 600);
}
