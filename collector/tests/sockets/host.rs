//! Two markets of one exchange at one host: what one of them spends or is refused holds for the other.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use venue_sim::venue::config::{FeedConfig, LimitsConfig, VenueConfig, WalkConfig};
use venue_sim::{FaultKind, FaultSpec};

use crate::place::{OKX_SPOT, OKX_SWAP, Place};
use crate::world::{Capture, Collector, SOON, Venues, config};

/// Between two connections to OKX, as the collector does it: three a second are allowed to an address.
const SPACING: Duration = Duration::from_millis(500);
/// How long the venue wants no REST request.
const PAUSE: u32 = 5;

/// Where two simulated venues are one host: `/spot` and `/swap` lead to them.
struct Host {
    address: std::net::SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    accepting: tokio::task::JoinHandle<()>,
}

/// A request, of REST or for a WebSocket.
#[derive(Clone, Debug)]
struct Asked {
    at: Instant,
    place: usize,
    is_websocket: bool,
}

const PREFIXES: [&str; 2] = ["/spot", "/swap"];

impl Host {
    async fn before(venues: [String; 2]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Asked>>>::default());
        let noted = Arc::clone(&asked);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, venues.clone(), Arc::clone(&noted)));
            }
        });
        Self { address, asked, accepting }
    }

    fn asked(&self, place: usize, is_websocket: bool) -> Vec<Instant> {
        let all = self.asked.lock().unwrap();
        all.iter().filter(|asked| asked.place == place && asked.is_websocket == is_websocket).map(|asked| asked.at).collect()
    }

    /// The longest time in which this place was not asked over REST.
    fn longest_pause(&self, place: usize) -> Duration {
        self.asked(place, false).windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection: its first request says where it leads; one of REST ends it.
async fn pass(mut client: TcpStream, venues: [String; 2], asked: Arc<Mutex<Vec<Asked>>>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let (place, path) = PREFIXES.iter().enumerate().find_map(|(place, prefix)| Some((place, head.strip_prefix(&format!("GET {prefix}"))?)))?;
    let is_websocket = head.to_ascii_lowercase().contains("upgrade: websocket");
    asked.lock().unwrap().push(Asked { at: Instant::now(), place, is_websocket });
    let head = format!("GET {path}");
    let head = if is_websocket { head } else { head.replacen("\r\n", "\r\nConnection: close\r\n", 1) };
    let mut venue = TcpStream::connect(&venues[place]).await.ok()?;
    venue.write_all(head.as_bytes()).await.ok()?;
    tokio::io::copy_bidirectional(&mut client, &mut venue).await.ok()?;
    Some(())
}

fn venue(place: &Place) -> VenueConfig {
    let feed = FeedConfig::Walk(WalkConfig { changes_per_second: 100, ..WalkConfig::new(&place.symbols, 5) });
    let limits = LimitsConfig { history_events: Some(1_000_000), ..LimitsConfig::default() };
    VenueConfig { limits, ..VenueConfig::new(place.kind, feed) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_markets_of_one_host_share_its_connections_and_its_pause() {
    let places = [OKX_SPOT, OKX_SWAP];
    let venues = Venues::start(places.iter().map(venue).collect(), vec![]).await;
    let host = Host::before(places.each_ref().map(|place| venues.handle(place.kind).address().rest.replace("http://", ""))).await;
    let entries: Vec<String> = [0, 1]
        .map(|at| {
            let (Place { market, symbols, .. }, prefix, address) = (&places[at], PREFIXES[at], host.address);
            let symbols = symbols.join(", ");
            format!(
                "{{name: okx, market: {market}, symbols: [{symbols}], ws_url: 'ws://{address}{prefix}', rest_url: 'http://{address}{prefix}', publish: 50ms}}"
            )
        })
        .into();
    let (capture, begun) = (Capture::default(), Instant::now());
    let collector = Collector::start(config(&entries, "instruments: {listing_interval: 1s}"), vec![Box::new(capture.clone())]);
    for place in &places {
        collector.wait_for(&place.synced(), 1.0).await;
    }
    // Whichever was second has waited for the other.
    let mut connected = [host.asked(0, true), host.asked(1, true)].concat();
    connected.sort_unstable();
    for (earlier, at) in (0..).zip(&connected) {
        assert!(*at - begun >= SPACING * earlier, "{earlier} connections before that of {:?}", *at - begun);
    }
    assert!(connected.len() >= 2);

    // Both ask for the instruments each second, until one of them is told to wait.
    let deadline = Instant::now() + SOON;
    let until = async |what: &str, happens: &dyn Fn() -> bool| {
        while !happens() {
            assert!(Instant::now() < deadline, "{what}\n{}", collector.troubles().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until("the swaps are asked for", &|| host.asked(1, false).len() > 2).await;
    let limited = FaultSpec { retry_after: Some(PAUSE), ..FaultSpec::once(FaultKind::Rest429) };
    venues.handle(OKX_SPOT.kind).inject(limited).await;
    let paused = Duration::from_secs(u64::from(PAUSE) - 1);
    until("the other market waits too", &|| host.longest_pause(1) > paused).await;
    // The streams have nothing to do with it.
    for place in &places {
        assert_eq!(place.resyncs(&collector).await, 0.0, "{}", collector.troubles().await);
        assert_eq!(collector.metric(&place.event("connected")).await, 1.0, "{}", collector.troubles().await);
    }
    capture.more_books(20).await;
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}
