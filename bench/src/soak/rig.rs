//! The stage of a soak: fake venues, a NATS server that can be killed and stopped, the collector between them.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::deeds::Deed;
use super::look::{Look, Tally};
use super::{Ending, Plan};
use crate::nats::{self, Server};
use crate::process::{Program, free_address, fresh_dir, get, post, signal, wait_until};

/// Resets in a storm.
const RESETS: u32 = 6;
/// A market that is played: exchange, market, the simulator's key and flag, symbols, and the one that comes and goes with the venue's name for it.
struct Market {
    exchange: &'static str,
    market: &'static str,
    key: &'static str,
    flag: &'static str,
    symbols: &'static [&'static str],
    churn: (&'static str, &'static str),
}

const MARKETS: [Market; 5] = [
    Market {
        exchange: "binance",
        market: "spot",
        key: "binance_spot",
        flag: "--spot-walk",
        symbols: &["BTC-USDT", "ETH-USDT", "PEPE-USDT", "SOL-USDT"],
        churn: ("SOL-USDT", "SOLUSDT"),
    },
    Market {
        exchange: "binance",
        market: "perpetual",
        key: "binance_usdm",
        flag: "--usdm-walk",
        symbols: &["BTC-USDT", "ETH-USDT", "1000PEPE-USDT", "SOL-USDT"],
        churn: ("SOL-USDT", "SOLUSDT"),
    },
    Market {
        exchange: "okx",
        market: "spot",
        key: "okx_spot",
        flag: "--okx-spot-walk",
        symbols: &["BTC-USDT", "ETH-USDT", "SOL-USDT"],
        churn: ("SOL-USDT", "SOL-USDT"),
    },
    Market {
        exchange: "okx",
        market: "perpetual",
        key: "okx_swap",
        flag: "--okx-swap-walk",
        symbols: &["BTC-USDT", "ETH-USDT", "SOL-USDT"],
        churn: ("SOL-USDT", "SOL-USDT-SWAP"),
    },
    Market {
        exchange: "deribit",
        market: "perpetual",
        key: "deribit",
        flag: "--deribit-walk",
        symbols: &["BTC-USD", "ETH-USD", "SOL-USDC"],
        churn: ("SOL-USDC", "SOL_USDC-PERPETUAL"),
    },
];

/// What runs.
pub(crate) struct Rig {
    collector: Program,
    nats: Option<Server>,
    _venues: Program,
    markets: Vec<(&'static Market, String)>,
    addresses: Addresses,
    tools: PathBuf,
    dir: PathBuf,
}

struct Addresses {
    nats: String,
    metrics: String,
    health: String,
}

// === impl Rig ===

impl Rig {
    /// Starts everything and waits until every book is in step.
    pub(crate) fn start(plan: &Plan<'_>) -> Result<Self> {
        let dir = fresh_dir("soak")?;
        let wanted: Vec<&Market> = MARKETS.iter().filter(|market| plan.exchanges.iter().any(|name| name == market.exchange)).collect();
        let ports = dir.join("venues.json");
        let mut venues = Command::new(plan.bin_dir.join("venue-sim"));
        venues.args(["run", "--rate", "100", "--ports-file"]).arg(&ports);
        for market in &wanted {
            venues.arg(market.flag).arg(market.symbols.join(","));
        }
        let venues = Program::start("venue-sim", &dir, &mut venues)?;
        wait_until("venue-sim tells its ports", Duration::from_secs(20), || ports.is_file())?;
        let told: Value = serde_json::from_str(&fs::read_to_string(&ports)?)?;
        let mut markets = Vec::new();
        for market in wanted {
            let address = told.pointer(&format!("/{}/address", market.key)).and_then(Value::as_str).context("a port is missing")?;
            markets.push((market, address.to_owned()));
        }
        let nats = nats::start(plan.tools, &dir)?;
        let addresses = Addresses { nats: nats.address.clone(), metrics: free_address()?, health: free_address()? };
        fs::write(dir.join("collector.yml"), config(&markets, &addresses))?;
        let mut collector = Command::new(plan.bin_dir.join("collector"));
        collector.args(["run", "--config", "collector.yml"]).current_dir(&dir);
        let collector = Program::start("collector", &dir, &mut collector)?;
        let rig = Self { collector, nats: Some(nats), _venues: venues, markets, addresses, tools: plan.tools.to_owned(), dir };
        let in_step = wait_until("every book is in step", Duration::from_mins(1), || rig.tally().books_in_step == rig.books());
        in_step.with_context(|| format!("see {}", rig.dir.join("collector.log").display()))?;
        Ok(rig)
    }

    /// Books that are configured.
    pub(crate) fn books(&self) -> usize {
        self.markets.iter().map(|(market, _)| market.symbols.len()).sum()
    }

    /// Does one thing; returns its word for the table.
    pub(crate) fn carry_out(&mut self, deed: Deed, cycle: u32) -> Result<String> {
        match deed {
            Deed::Storm => {
                for _ in 0..RESETS {
                    self.tell("/control/fault", deed.faults())?;
                    sleep(Duration::from_millis(500));
                }
            }
            Deed::Delist => {
                for (market, address) in &self.markets {
                    post(address, &format!("/control/delist?symbol={}", market.churn.1), "")?;
                }
            }
            Deed::Relist => {
                for (market, address) in &self.markets {
                    post(address, &format!("/control/list?instrument={}", market.churn.0), "")?;
                }
            }
            Deed::NatsAway => match &mut self.nats {
                Some(nats) if cycle % 2 == 1 => signal(nats.pid(), "STOP")?,
                _ => self.nats = None,
            },
            Deed::NatsBack => match &self.nats {
                Some(nats) => signal(nats.pid(), "CONT")?,
                None => self.nats = Some(nats::start_at(&self.tools, &self.dir, self.addresses.nats.clone())?),
            },
            Deed::Clear => self.tell("/control/clear", "")?,
            _ => self.tell("/control/fault", deed.faults())?,
        }
        Ok(deed.word().to_owned())
    }

    /// What /proc and the pages say now.
    pub(crate) fn look(&self) -> Result<Look> {
        let process = self.collector.look().with_context(|| format!("see {}", self.dir.join("collector.log").display()))?;
        Look::of(self.collector.pid(), process, self.tally())
    }

    /// Where the logs are.
    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.clone()
    }

    /// Ends the collector as an operator would.
    pub(crate) fn end(mut self) -> Result<Ending> {
        let last = self.tally();
        let health = get(&self.addresses.health, "/health");
        let health = serde_json::from_str::<Value>(&health).ok().and_then(|page| page.get("status")?.as_str().map(str::to_owned)).unwrap_or_default();
        signal(self.collector.pid(), "TERM")?;
        let exit = self.collector.ended_within(Duration::from_secs(20))?;
        let books = self.books();
        Ok(Ending { exit, last, health, books })
    }

    /// Puts a fault into every venue.
    pub(crate) fn fault(&self, faults: &str) -> Result<()> {
        self.tell("/control/fault", faults)
    }

    /// What the metrics page says now.
    pub(crate) fn tally(&self) -> Tally {
        Tally::read(&get(&self.addresses.metrics, "/metrics"))
    }

    /// The same to every venue; the simulator's control path takes it for all of them.
    fn tell(&self, path: &str, body: &str) -> Result<()> {
        let Some((_, address)) = self.markets.first() else { bail!("no exchange to play") };
        post(address, path, body)
    }
}

fn config(markets: &[(&Market, String)], addresses: &Addresses) -> String {
    let mut text = "instruments: {listing_interval: 5s, cleanup_interval: 5s}\nvenues:\n".to_owned();
    for (Market { exchange, market, symbols, .. }, address) in markets {
        let symbols = symbols.join(", ");
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  - {{name: {exchange}, market: {market}, symbols: [{symbols}], ws_url: 'ws://{address}', rest_url: 'http://{address}'}}"
        );
    }
    let Addresses { nats, metrics, health, .. } = addresses;
    let _ = writeln!(text, "nats: {{url: 'nats://{nats}'}}\nrecorder: {{enabled: false}}\nhttp: {{metrics: '{metrics}', health: '{health}'}}");
    text
}
