//! No allocation per steady message, from the frame to the sink: counted, not believed.
//!
//! The network is a stand-in that lends frames as a WebSocket does; it counts on the data thread itself, between two frames.
#![allow(unsafe_code, reason = "a counting allocator cannot be written without; it only counts and passes on to the system's")]
// Always true here; it tells clippy that helper functions are test code too.
#![cfg(test)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use collector::clocks::SystemClock;
use collector::config::{self, Environment};
use collector::feed::{ConnectError, Connector, Link, Network, Reply, Rest, RestFailure, Wire};
use collector::http::Listeners;
use collector::metrics::Registry;
use collector::sink::{Record, Refusal, Sink, Started};
use collector::state::State;
use collector::{Deps, Outcome};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio_util::sync::CancellationToken;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has none left to count in.
    let _ending = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting touches no memory of the caller and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Frames before counting begins, and those counted.
const WARM_UP: usize = 6_000;
const COUNTED: usize = 20_000;
/// What the clock may bring in a second, however many messages there are.
const PER_SECOND: u64 = 50;

/// What the data thread found, for the test.
#[derive(Debug, Default)]
struct Findings {
    allocations: AtomicU64,
    milliseconds: AtomicU64,
    records: AtomicU64,
    done: AtomicU64,
}

/// The venue: a connector, its one link, and REST.
#[derive(Clone)]
struct Venue {
    frames: Rc<Vec<String>>,
    findings: Arc<Findings>,
}

struct Stream {
    venue: Venue,
    acks: VecDeque<String>,
    ack: String,
    next: usize,
    before: (u64, u64),
    since: Instant,
}

impl Connector for Venue {
    fn connect(&self, _url: String) -> LocalBoxFuture<'static, Result<Box<dyn Link>, ConnectError>> {
        let stream = Stream { venue: self.clone(), acks: VecDeque::new(), ack: String::new(), next: 0, before: (0, 0), since: Instant::now() };
        async { Ok(Box::new(stream) as Box<dyn Link>) }.boxed_local()
    }
}

impl Link for Stream {
    fn send(&mut self, text: String) -> Result<(), String> {
        let request: serde_json::Value = serde_json::from_str(&text).unwrap();
        self.acks.push_back(format!(r#"{{"result":null,"id":{}}}"#, request["id"]));
        Ok(())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Wire<'_>> {
        if let Some(ack) = self.acks.pop_front() {
            self.ack = ack;
            return Poll::Ready(Wire::Text(&self.ack));
        }
        let records = self.venue.findings.records.load(Ordering::Relaxed);
        // Nothing more before the first frame has brought the snapshot.
        if self.next == 1 && records == 0 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let allocations = ALLOCATIONS.with(Cell::get);
        if self.next == WARM_UP {
            self.before = (allocations, records);
            self.since = Instant::now();
        } else if self.next == WARM_UP + COUNTED {
            let findings = &self.venue.findings;
            findings.milliseconds.store(u64::try_from(self.since.elapsed().as_millis()).unwrap(), Ordering::Relaxed);
            findings.allocations.store(allocations - self.before.0, Ordering::Relaxed);
            findings.done.store(records - self.before.1, Ordering::Release);
        }
        // A pause after every few frames, as between packets: timers have their turn.
        self.next += 1;
        if self.next.is_multiple_of(16) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.venue.frames.get(self.next) {
            Some(frame) => Poll::Ready(Wire::Text(frame)),
            None => Poll::Pending,
        }
    }

    fn close(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        async {}.boxed_local()
    }
}

impl Rest for Venue {
    fn get(&self, url: String, _most: usize) -> LocalBoxFuture<'static, Result<Reply, RestFailure>> {
        let body = if url.contains("exchangeInfo") {
            r#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[
                {"filterType":"PRICE_FILTER","minPrice":"0.01000000","maxPrice":"1000000.00000000","tickSize":"0.01000000"},
                {"filterType":"LOT_SIZE","minQty":"0.00001000","maxQty":"9000.00000000","stepSize":"0.00001000"}]}]}"#
                .to_owned()
        } else {
            let side = |of: &dyn Fn(u64) -> String| (0..200).map(|step| format!(r#"["{}","1.00000000"]"#, of(step))).collect::<Vec<_>>().join(",");
            let (bids, asks) = (side(&|step| format!("{}.00000000", 60_000 - step)), side(&|step| format!("{}.50000000", 60_000 + step)));
            format!(r#"{{"lastUpdateId":1000,"bids":[{bids}],"asks":[{asks}]}}"#)
        };
        async { Ok(Reply { status: 200, body, ..Reply::default() }) }.boxed_local()
    }
}

/// A sink that holds some records for a while, as a queue does.
struct Queue {
    held: RefCell<VecDeque<Record>>,
    findings: Arc<Findings>,
}

impl Sink for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn offer(&mut self, record: &Record) -> Result<(), Refusal> {
        let held = self.held.get_mut();
        if held.len() == held.capacity() {
            held.pop_front();
        }
        held.push_back(record.clone());
        self.findings.records.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A depth update and a trade in turn, pre-encoded.
fn frames() -> Vec<String> {
    let frame = |n: u64| {
        let trades = (n + 1) / 4;
        if n % 4 == 3 {
            return format!(
                r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":{trades},"p":"60000.25000000","q":"0.02000000","T":1723161255342,"m":{},"M":true}}}}"#,
                n % 8 == 3
            );
        }
        let id = 1_001 + n - trades;
        let level = |step: u64, price: u64, tail: &str| format!(r#"["{price}.{tail}","{}.{:05}000"]"#, (n + step) % 3, (n * 7_919 + step) % 100_000);
        let bids: Vec<String> = (0..5).map(|step| level(step, 60_000 - (n * 7 + step * 13) % 120, "00000000")).collect();
        let asks: Vec<String> = (0..5).map(|step| level(step, 60_000 + (n * 11 + step * 17) % 120, "50000000")).collect();
        format!(
            r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":{id},"u":{id},"b":[{}],"a":[{}]}}}}"#,
            bids.join(","),
            asks.join(",")
        )
    };
    let mut all = Vec::with_capacity(WARM_UP + COUNTED + 1);
    let mut n = 0;
    while all.len() <= WARM_UP + COUNTED {
        // The link passes over every sixteenth place.
        let skipped = all.len().is_multiple_of(16);
        all.push(if skipped { String::new() } else { frame(n) });
        n += u64::from(!skipped);
    }
    all
}

fn steady(output: &str, least: u64) {
    let text = format!("venues: [{{name: binance, market: spot, symbols: [BTC-USDT], {output}}}]\n");
    let config = config::load("test.yml", &text, &Environment::default()).config.unwrap_or_else(|| panic!("{text}"));
    let findings = Arc::new(Findings::default());
    let registry = Arc::new(Registry::new());
    let state = State::new(&config, SystemClock::shared());
    let listeners = Listeners { health: TcpListener::bind("127.0.0.1:0").unwrap(), metrics: TcpListener::bind("127.0.0.1:0").unwrap() };
    let seen = Arc::clone(&findings);
    let network = Box::new(move |_: &_| {
        let venue = Venue { frames: Rc::new(frames()), findings: Arc::clone(&seen) };
        Ok(Network { connector: Rc::new(venue.clone()), rest: Rc::new(venue) })
    });
    let sink = Queue { held: RefCell::new(VecDeque::with_capacity(100)), findings: Arc::clone(&findings) };
    let sinks = vec![Started { sink: Box::new(sink), worker: None }];
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let deps = Deps { registry, state, listeners, network, sinks };
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(collector::run(config, stopped, deps))
    });
    let deadline = Instant::now() + Duration::from_mins(1);
    while findings.done.load(Ordering::Acquire) == 0 {
        assert!(Instant::now() < deadline, "{output}: {findings:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    stop.cancel();
    assert_eq!(thread.join().unwrap().unwrap(), Outcome::Clean);
    let (allocations, records) = (findings.allocations.load(Ordering::Relaxed), findings.done.load(Ordering::Relaxed));
    let seconds = findings.milliseconds.load(Ordering::Relaxed) / 1_000 + 1;
    println!("{output}: {allocations} allocations in {COUNTED} frames, {records} records, {seconds} s");
    assert!(records >= least, "{output}: {records} records");
    // Figures are copied once a second, by the clock, and may allocate a little; 20,000 messages must not.
    assert!(allocations <= PER_SECOND * seconds, "{output}: {allocations} in {COUNTED} frames and {seconds} s");
}

#[test]
fn steady_messages_allocate_nothing_from_frame_to_sink() {
    steady("publish: 10ms", 4_600);
    steady("publish: every, delta: every, previews: [ofi, cvd, fusion, feature, event]", 30_000);
}
