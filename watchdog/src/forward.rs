//! Alerts handed over to Alertmanagers (`alerting.alertmanagers`), as Prometheus does: to each of them, in batches, from a bounded queue.
//!
//! Owns: the wire (`POST /api/v2/alerts`), the queues. A batch that an Alertmanager does not take is dropped and counted: the rule engine sends every alert again
//! within a minute. Must not know: rules, routes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use promql::labels::Labels;
use promql::relabel::{self, Rule};
use reqwest::header::CONTENT_TYPE;
use router::alert::PostedAlert;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::config::job::Alertmanager;
use crate::http_client::{Client, Clients, Settings};
use crate::metrics::{Registry, list};
use crate::scrape::root_cause;
use crate::targets::files::Files;
use crate::targets::{ADDRESS, discovered};

/// Alerts that may wait for one Alertmanager, as Prometheus's `alertmanager.notification-queue-capacity`; above, new ones are dropped and counted.
const QUEUE: usize = 10_000;
/// Alerts in one request, as Prometheus's `alertmanager.notification-batch-size`.
const BATCH: usize = 256;
/// Batches and configurations that may wait for the task.
pub const INBOX: usize = 64;
/// Files that list Alertmanagers are read again this often.
const REFRESH: Duration = Duration::from_mins(1);
/// Labels that say how an Alertmanager is reached (Prometheus documentation, "Configuration", `<alertmanager_config>`).
const SCHEME: &str = "__scheme__";
const PATH: &str = "__alerts_path__";

/// What the task is told.
#[derive(Debug)]
pub enum Input {
    /// Alerts of the rule engine.
    Alerts(Arc<Vec<PostedAlert>>),
    /// A configuration that comes into force.
    Configure(Arc<Config>),
}

/// One Alertmanager that is sent to.
#[derive(Clone, Debug, PartialEq)]
struct Receiver {
    url: String,
    settings: Settings,
    config: Arc<Alertmanager>,
}

/// The tasks that send, one for each Alertmanager.
#[derive(Debug)]
struct Forward {
    metrics: Arc<Registry>,
    clients: Clients,
    alertmanagers: Vec<Arc<Alertmanager>>,
    relabel: Vec<Rule>,
    files: Files,
    running: BTreeMap<String, Running>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Running {
    queue: mpsc::Sender<String>,
    receiver: watch::Sender<(Receiver, Result<Client, String>)>,
    stop: CancellationToken,
}

/// Runs until `stop`.
pub async fn run(metrics: Arc<Registry>, mut inbox: mpsc::Receiver<Input>, stop: CancellationToken) {
    let mut forward = Forward {
        metrics,
        clients: Clients::default(),
        alertmanagers: Vec::new(),
        relabel: Vec::new(),
        files: Files::default(),
        running: BTreeMap::new(),
        stop: stop.clone(),
    };
    let mut refresh = tokio::time::interval(REFRESH);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            input = inbox.recv() => match input {
                Some(Input::Alerts(alerts)) => forward.offer(&alerts),
                Some(Input::Configure(config)) => forward.configure(&config),
                None => return,
            },
            _ = refresh.tick() => forward.sync(),
        }
    }
}

// === impl Forward ===

impl Forward {
    fn configure(&mut self, config: &Config) {
        self.alertmanagers = config.alertmanagers.iter().cloned().map(Arc::new).collect();
        self.relabel.clone_from(&config.alert_relabel);
        self.sync();
    }

    /// Lets run what configuration and files list now.
    fn sync(&mut self) {
        let wrong = self.files.read(self.alertmanagers.iter().flat_map(|one| &one.discovery.files));
        for error in &wrong {
            tracing::warn!(error, "a file that lists Alertmanagers cannot be used; those it listed stay");
        }
        let mut before = std::mem::take(&mut self.running);
        let receivers = self.receivers();
        self.clients.keep(&receivers.iter().map(|receiver| receiver.settings.clone()).collect::<Vec<_>>());
        for receiver in receivers {
            let url = receiver.url.clone();
            let running = self.start(receiver, before.remove(&url));
            self.running.insert(url, running);
        }
        for gone in before.into_values() {
            gone.stop.cancel();
        }
    }

    fn receivers(&self) -> Vec<Receiver> {
        let mut found = BTreeMap::new();
        for config in &self.alertmanagers {
            let listed = self.files.groups(&config.discovery.files);
            let settings = Settings::new(&config.http, &config.base, true);
            for url in discovered(&config.discovery, &listed).filter_map(|labels| url(config, &labels)) {
                found.insert(url.clone(), Receiver { url, settings: settings.clone(), config: Arc::clone(config) });
            }
        }
        found.into_values().collect()
    }

    fn start(&mut self, receiver: Receiver, known: Option<Running>) -> Running {
        let client = self.clients.get(&receiver.settings);
        if let Some(running) = known {
            if running.receiver.borrow().0 != receiver {
                // Its task runs until it is told to stop.
                let _ = running.receiver.send((receiver, client));
            }
            return running;
        }
        let (queue, waiting) = mpsc::channel(QUEUE);
        let stop = self.stop.child_token();
        let (assigned, assignment) = watch::channel((receiver, client));
        tokio::spawn(send_all(waiting, assignment, self.metrics.clone(), stop.clone()));
        Running { queue, receiver: assigned, stop }
    }

    fn offer(&self, alerts: &[PostedAlert]) {
        if self.running.is_empty() {
            return;
        }
        for alert in alerts.iter().filter_map(|alert| on_the_wire(alert, &self.relabel)) {
            for running in self.running.values() {
                if running.queue.try_send(alert.clone()).is_err() {
                    self.metrics.add(&list::QUEUE_DROPPED, &["forward"], 1.0);
                }
            }
        }
    }
}

/// Where an Alertmanager takes alerts; `None` when relabelling drops it or leaves no URL.
fn url(config: &Alertmanager, labels: &Labels) -> Option<String> {
    let defaults = [(SCHEME.to_owned(), config.scheme.clone()), (PATH.to_owned(), format!("{}/api/v2/alerts", config.path_prefix))];
    let own = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let labels = relabel::apply(&Labels::from_pairs(defaults.into_iter().chain(own)), &config.discovery.relabel)?;
    let get = |name: &str| labels.get(name).unwrap_or_default();
    let url = format!("{}://{}{}", get(SCHEME), get(ADDRESS), get(PATH));
    url.parse::<reqwest::Url>().inspect_err(|error| tracing::warn!(url, %error, "this is no Alertmanager")).ok().map(String::from)
}

/// An alert as the API reads it, relabelled; `None` when relabelling drops it.
fn on_the_wire(alert: &PostedAlert, rules: &[Rule]) -> Option<String> {
    let labels = relabel::apply(&Labels::from_pairs(alert.labels.iter()), rules)?;
    let texts = |pairs: &mut dyn Iterator<Item = (&str, &str)>| -> BTreeMap<String, String> {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let time = |ms: Option<i64>| ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).map(|time| time.to_string());
    let value = serde_json::json!({
        "labels": texts(&mut labels.iter()),
        "annotations": texts(&mut alert.annotations.iter()),
        "startsAt": time(alert.starts_at),
        "endsAt": time(alert.ends_at),
        "generatorURL": alert.generator_url,
    });
    Some(value.to_string())
}

/// Sends what waits for one Alertmanager until `stop`.
async fn send_all(
    mut waiting: mpsc::Receiver<String>,
    assigned: watch::Receiver<(Receiver, Result<Client, String>)>,
    metrics: Arc<Registry>,
    stop: CancellationToken,
) {
    let mut batch = Vec::new();
    loop {
        batch.clear();
        tokio::select! {
            () = stop.cancelled() => return,
            count = waiting.recv_many(&mut batch, BATCH) => if count == 0 { return },
        }
        let (receiver, client) = assigned.borrow().clone();
        let outcome = match client {
            Ok(client) => post(&client, &receiver, format!("[{}]", batch.join(","))).await,
            Err(reason) => Err(reason),
        };
        let word = if outcome.is_ok() { "ok" } else { "failed" };
        metrics.add(&list::FORWARDED, &[&receiver.url, word], batch.len() as f64);
        if let Err(reason) = outcome {
            tracing::warn!(
                url = receiver.url,
                alerts = batch.len(),
                reason,
                "an Alertmanager did not take alerts; they are sent again within a minute"
            );
        }
    }
}

/// One batch, within the time limit.
async fn post(client: &Client, receiver: &Receiver, body: String) -> Result<(), String> {
    let config = &receiver.config;
    let request = client.http().post(&receiver.url).timeout(config.timeout).header(CONTENT_TYPE, "application/json").body(body);
    let request = client.identified(request, &config.http, &config.base).await?;
    let response = request.send().await.map_err(root_cause)?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let said: String = response.text().await.unwrap_or_default().chars().take(200).collect();
    Err(format!("status {}: {}", status.as_u16(), said.trim()))
}

#[cfg(test)]
mod tests {
    use promql::relabel::{Action, Draft};

    use super::*;

    #[test]
    fn an_alert_is_relabelled_and_written_as_the_api_reads_it() {
        let alert = PostedAlert {
            labels: router::labels::Labels::from_pairs([("alertname", "Down"), ("replica", "a")]),
            annotations: router::labels::Labels::from_pairs([("summary", "it \"is\" down")]),
            starts_at: Some(1_700_000_000_250),
            ends_at: None,
            generator_url: "http://w/graph".to_owned(),
        };
        let rule = |action, regex: &str| Rule::new(Draft { action, regex: Some(regex.to_owned()), ..Draft::default() }).unwrap();
        let written: serde_json::Value = serde_json::from_str(&on_the_wire(&alert, &[rule(Action::LabelDrop, "replica")]).unwrap()).unwrap();
        assert_eq!(
            written,
            serde_json::json!({
                "labels": {"alertname": "Down"}, "annotations": {"summary": "it \"is\" down"},
                "startsAt": "2023-11-14T22:13:20.25Z", "endsAt": null, "generatorURL": "http://w/graph",
            })
        );
        let nothing =
            Rule::new(Draft { action: Action::Keep, source_labels: vec!["alertname".into()], regex: Some("Up".into()), ..Draft::default() });
        assert_eq!(on_the_wire(&alert, &[nothing.unwrap()]), None);
    }

    #[test]
    fn an_alertmanager_is_where_its_labels_say() {
        let rule = Draft { source_labels: vec![ADDRESS.into()], regex: Some("b.*".into()), action: Action::Drop, ..Draft::default() };
        let mut config = Alertmanager {
            discovery: crate::config::job::Discovery::default(),
            scheme: "https".into(),
            path_prefix: "/am".into(),
            timeout: Duration::from_secs(1),
            http: router::config::HttpConfig::default(),
            base: std::path::PathBuf::new(),
        };
        config.discovery.relabel = vec![Rule::new(rule).unwrap()];
        let at = |address: &str| url(&config, &Labels::from_pairs([(ADDRESS, address)]));
        assert_eq!((at("a:9093").as_deref(), at("b:9093")), (Some("https://a:9093/am/api/v2/alerts"), None));
    }
}
