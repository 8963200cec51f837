//! The files of the demo: the shipped rules and routes with shorter intervals, and configurations that point at this machine's free ports.
//!
//! Owns: a directory that is removed at the end. Must not know: processes, timeline.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use venue_sim::port::Port;

/// Where everything of one run stands.
#[derive(Debug)]
pub(super) struct Stage {
    /// Directory of this run; removed when the stage is dropped.
    pub dir: PathBuf,
    /// Address of the watchdog's page.
    pub web: String,
    /// Collector: /metrics.
    pub collector_metrics: String,
    /// Collector: /health and /status.
    pub collector_health: String,
    /// The sick program.
    pub sick: String,
    /// Kept from everybody else while their programs are restarted.
    _reserved: Vec<Port>,
    keep: bool,
}

/// Addresses that other programs of the demo have told.
#[derive(Clone, Debug)]
pub(super) struct Venues {
    /// `HOST:PORT` of Binance Spot.
    pub spot: String,
    /// `HOST:PORT` of Binance USDⓈ-M.
    pub usdm: String,
    /// `HOST:PORT` of the DingTalk robot.
    pub robot: String,
    /// `HOST:PORT` of the mail server.
    pub mail: String,
    /// Symbols of both venues, as `BTC-USDT`.
    pub symbols: Vec<String>,
}

/// Signing secret of the inbox's robot; not a secret of anybody.
pub(super) const ROBOT_SECRET: &str = "SECdemo0000000000000000";

// === impl Stage ===

impl Stage {
    /// An empty directory and free ports; `web` is the address asked for the page.
    pub(super) fn new(web: &str, keep: bool) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("tidemark-demo-{}", std::process::id()));
        fs::create_dir_all(dir.join("rules")).with_context(|| format!("cannot create {}", dir.display()))?;
        fs::create_dir_all(dir.join("alertmanager"))?;
        let mut reserved = Vec::new();
        let mut free = || -> Result<String> {
            let port = Port::reserve().context("no free loopback port")?;
            let address = port.address().to_string();
            reserved.push(port);
            Ok(address)
        };
        let web = if web.ends_with(":0") { free()? } else { web.to_owned() };
        TcpListener::bind(&web).with_context(|| format!("the page needs {web}, which is taken; choose another: --web 127.0.0.1:9100"))?;
        let (collector_metrics, collector_health, sick) = (free()?, free()?, free()?);
        Ok(Self { dir, web, collector_metrics, collector_health, sick, _reserved: reserved, keep })
    }

    /// Writes all configurations; `root` is the directory with the shipped `rules/` and `alertmanager/`.
    pub(super) fn write(&self, root: &Path, bin_dir: &Path, venues: &Venues) -> Result<()> {
        self.write_rules(&root.join("rules"))?;
        self.write_routes(&root.join("alertmanager"), &venues.mail)?;
        fs::write(self.dir.join("collector.yml"), self.collector(venues))?;
        fs::write(self.dir.join("watchdog.yml"), self.watchdog(bin_dir, &venues.robot))?;
        Ok(())
    }

    /// The shipped rules; only durations are shortened.
    fn write_rules(&self, from: &Path) -> Result<()> {
        let files = fs::read_dir(from).with_context(|| format!("no shipped rules in {}; run the demo in the project's directory", from.display()))?;
        for path in files.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ending| ending == "yml")) {
            let text = fs::read_to_string(&path)?;
            let text = text.replace("for: 15s", "for: 3s").replace("for: 1m", "for: 3s").replace("[5m]", "[20s]").replace("> 60\n", "> 10\n");
            fs::write(self.dir.join("rules").join(path.file_name().unwrap_or_default()), text)?;
        }
        Ok(())
    }

    /// The shipped routes with shorter waits, one more restart receiver for the second process, and one that mails.
    fn write_routes(&self, from: &Path, mail: &str) -> Result<()> {
        let text = fs::read_to_string(from.join("alertmanager.yml")).with_context(|| format!("no alertmanager.yml in {}", from.display()))?;
        let text = text.replace(": 10s", ": 2s").replace("127.0.0.1:9099", &self.web);
        let text = text.replace("  routes:\n", &format!("  routes:\n{MAIL_ROUTE}{LEGACY_ROUTE}"));
        let text = text.replace("inhibit_rules:\n", &format!("{}{}inhibit_rules:\n", mail_receiver(mail), legacy_receiver(&self.web)));
        fs::write(self.dir.join("alertmanager/alertmanager.yml"), text)?;
        fs::copy(from.join("dingtalk.yml"), self.dir.join("alertmanager/dingtalk.yml"))?;
        Ok(())
    }

    fn collector(&self, venues: &Venues) -> String {
        let symbols = venues.symbols.join(", ");
        let Venues { spot, usdm, .. } = venues;
        let Self { dir, collector_metrics, collector_health, .. } = self;
        format!(
            "lang: zh\n\
             venues:\n  \
               - {{name: binance, market: spot, symbols: [{symbols}], ws_url: 'ws://{spot}', rest_url: 'http://{spot}'}}\n  \
               - {{name: binance, market: perpetual, symbols: [{symbols}], ws_url: 'ws://{usdm}', rest_url: 'http://{usdm}'}}\n\
             recorder: {{dir: '{}/recorded', flush: 500ms}}\n\
             http: {{metrics: '{collector_metrics}', health: '{collector_health}'}}\n",
            dir.display()
        )
    }

    fn watchdog(&self, bin_dir: &Path, robot: &str) -> String {
        let (dir, bin) = (self.dir.display(), bin_dir.display());
        let Self { web, collector_metrics, collector_health, sick, .. } = self;
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s, external_labels: {{host: demo}}}}\n\
             lang: zh\n\
             timezone: Asia/Shanghai\n\
             data_dir: {dir}/watchdog\n\
             rule_files: [{dir}/rules/*.yml]\n\
             scrape_configs:\n  \
               - job_name: collector\n    \
                 static_configs:\n      \
                   - {{targets: ['{collector_metrics}'], labels: {{process: collector}}}}\n      \
                   - {{targets: ['{sick}'], labels: {{process: legacy-collector}}}}\n\
             probes:\n  \
               - {{name: collector-health, url: 'http://{collector_health}/health', interval: 1s, timeout: 900ms}}\n  \
               - {{name: legacy-health, url: 'http://{sick}/health', interval: 1s, timeout: 900ms}}\n\
             processes:\n  \
               - {{name: collector, match: {{argv: [run, '{dir}/collector.yml']}}}}\n  \
               - {{name: legacy-collector, match: {{argv: [sick, '{sick}']}}}}\n\
             restarts:\n  \
               - name: collector\n    process: collector\n    method: child\n    \
                 command: ['{bin}/collector', run, --config, '{dir}/collector.yml']\n    {GUARDS}    \
                 verify: {{probe: collector-health, expr: 'min(collector_stream_last_data_timestamp_seconds{{process=\"collector\"}}) > time() - 5', within: 30s}}\n  \
               - name: legacy\n    process: legacy-collector\n    method: child\n    \
                 command: ['{bin}/venue-sim', sick, --listen, '{sick}']\n    {GUARDS}    \
                 verify: {{probe: legacy-health, within: 30s}}\n\
             alertmanager: {{config_file: {dir}/alertmanager/alertmanager.yml}}\n\
             dingtalk: {{config_file: {dir}/alertmanager/dingtalk.yml}}\n\
             web: {{listen: '{web}', links: [{{title: '收件箱 / inbox', url: 'http://{robot}'}}]}}\n"
        )
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// Short, so that a restart is seen within the demo's minute and a half.
const GUARDS: &str = "grace: 3s\n    guard: {min_uptime: 5s, cooldown: 5s, per_hour: 10, per_day: 50}\n";

const LEGACY_ROUTE: &str = "    - matchers: ['alertname=~\"CollectorDown|CollectorHung\"', 'process=\"legacy-collector\"']\n      receiver: restart-legacy\n      group_by: [process]\n      group_wait: 0s\n      continue: true\n";

/// What is worth a mail besides.
const MAIL_ROUTE: &str = "    - matchers: ['alertname=\"CollectorHung\"']\n      receiver: mail\n      continue: true\n";

fn mail_receiver(server: &str) -> String {
    format!(
        "  - name: mail\n    email_configs:\n      - {{to: oncall@example.com, from: watchdog@example.com, smarthost: '{server}', require_tls: false, send_resolved: true}}\n"
    )
}

fn legacy_receiver(web: &str) -> String {
    format!("  - name: restart-legacy\n    webhook_configs:\n      - url: http://{web}/restart/legacy\n        send_resolved: false\n")
}
