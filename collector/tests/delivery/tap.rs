//! The heartbeat and `collector tap`, with a real server and the real program.

use std::process::{Child, Command, Stdio};

use serde_json::Value;
use venue_sim::venue::config::{FeedConfig, VenueConfig, VenuesConfig, WalkConfig};
use venue_sim::{CancellationToken, VenueKind, run_venues};

use crate::server::Server;

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = (self.0.kill(), self.0.wait());
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What `collector tap` says with these arguments: exit code, standard output.
async fn tap(arguments: Vec<String>) -> (Option<i32>, String) {
    let output = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_collector")).env_clear().arg("tap").args(arguments).stdin(Stdio::null()).output().unwrap()
    });
    let output = output.await.unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_heartbeat_and_the_data_are_seen_by_tap() {
    let Some(mut server) = Server::start(false) else { return };
    let stop = CancellationToken::new();
    let feed = FeedConfig::Walk(WalkConfig::new(&["BTC-USDT"], 5));
    let venues = VenuesConfig { venues: vec![VenueConfig::new(VenueKind::BinanceSpot, feed)], faults: vec![] };
    let venues = run_venues(venues, stop.clone()).await.unwrap();
    let address = venues.venue(VenueKind::BinanceSpot).unwrap().address();
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "venues: [{{name: binance, market: spot, symbols: [BTC-USDT], ws_url: '{}', rest_url: '{}'}}]\nnats: {{url: '{}', mode: core}}\n\
         http: {{health: '127.0.0.1:{}', metrics: '127.0.0.1:{}'}}\n",
        address.ws,
        address.rest,
        server.url(),
        free_port(),
        free_port()
    );
    std::fs::write(dir.path().join("collector.yml"), text).unwrap();
    let file = dir.path().join("collector.yml").display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_collector"));
    let collector = command.current_dir(dir.path()).env_clear().arg("run").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = collector.id();
    let _running = Running(collector);

    let options = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (code, trades) = tap(options(&["trade.>", "--count", "3", "--raw", "--config", &file])).await;
    assert_eq!((code, trades.lines().count()), (Some(0), 3));
    assert!(trades.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["symbol"] == "BTC-USDT"), "{trades}");
    let (code, beat) = tap(options(&["health.collector.*", "--count", "1", "--server", &server.url()])).await;
    let (subject, body) = beat.trim_end().split_once(' ').unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    println!("{beat}");
    assert_eq!(code, Some(0));
    assert!(subject.ends_with(&format!("-{pid}")), "{subject}");
    assert_eq!((&body["pid"], &body["active_managers"], &body["exchanges"][0]), (&Value::from(pid), &Value::from(1), &Value::from("binance")));

    // A server that is started again is found again.
    let mut command = Command::new(env!("CARGO_BIN_EXE_collector"));
    command.env_clear().args(["tap", "trade.>", "--raw", "--count", "40", "--server", &server.url()]);
    let mut tap_over = Running(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(tap_over.0.stdout.take().unwrap()));
    assert!(lines.next().unwrap().unwrap().starts_with('{'));
    server.kill();
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    server.run();
    let after = tokio::task::spawn_blocking(move || lines.map_while(Result::ok).count()).await.unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut tap_over.0.stderr.take().unwrap(), &mut said).unwrap();
    println!("{said}");
    assert_eq!((after, tap_over.0.wait().unwrap().code()), (39, Some(0)), "{said}");
    assert!(said.contains("waiting for the server") && said.contains("# back after"), "{said}");

    let (code, _) = tap(options(&["x", "--server", &format!("nats://127.0.0.1:{}", free_port())])).await;
    assert_eq!(code, Some(69), "a server that is not there");
    stop.cancel();
}
