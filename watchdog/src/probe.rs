//! Probes: a GET that succeeds when the answer is 2xx. What a load balancer or an orchestrator would ask.
//!
//! Owns: `probe_success` and its companions, the flip that is urgent. Must not know: what a failed probe leads to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diagnostics::Text;
use promql::labels::Labels;
use rules::Urgency;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Probe;
use crate::metrics::{Registry, list};
use crate::observe::{Sink, Source, named};
use crate::schedule::until_next;
use crate::scrape::root_cause;
use crate::web::view::ProbeView;

/// Longest body that is read to its end, so that the connection can be used again.
const BODY_MAX: usize = 64 << 10;

/// How a probe ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Probed {
    /// Name of the probe.
    pub name: String,
    /// When it began, on the monotonic clock.
    pub begun: Duration,
    /// Whether the answer was 2xx within the time limit.
    pub success: bool,
    /// HTTP status, 0 without an answer.
    pub status: u16,
    /// How long it took.
    pub took: Duration,
    /// Why it failed; empty when it did not.
    pub error: Text,
}

/// Everything a probe task needs besides its probe.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The shared client.
    pub client: reqwest::Client,
    /// Where observations go.
    pub sink: Sink,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Registry>,
    /// Who verifies restarts by it, and the page.
    pub results: mpsc::Sender<Probed>,
}

// === impl Probed ===

impl Probed {
    /// The word of the outcome: label value.
    pub const fn as_str(&self) -> &'static str {
        match (self.success, self.status) {
            (true, _) => "ok",
            (false, 0) => "no_answer",
            (false, _) => "status",
        }
    }

    /// What the page shows.
    pub fn view(&self, probe: &Probe) -> ProbeView {
        ProbeView {
            name: self.name.clone(),
            url: probe.url.clone(),
            ok: Some(self.success),
            seconds: self.took.as_secs_f64(),
            error: self.error.en.clone(),
            error_zh: self.error.zh.clone(),
        }
    }

    fn samples(&self, labels: &Labels) -> Vec<(Labels, f64, Option<i64>)> {
        [
            ("probe_success", if self.success { 1.0 } else { 0.0 }),
            ("probe_duration_seconds", self.took.as_secs_f64()),
            ("probe_http_status_code", f64::from(self.status)),
        ]
        .into_iter()
        .map(|(name, value)| (named(name, labels), value, None))
        .collect()
    }
}

/// Probes on its grid until `stop`; its series end then.
pub async fn run(probe: Probe, around: Surroundings, stop: CancellationToken) {
    let labels = probe.labels.with("probe", &probe.name);
    let mut source = Source::default();
    let mut last: Option<bool> = None;
    loop {
        let wait = until_next(around.clock.now().wall_ms, probe.interval, &probe.name);
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
        let now = around.clock.now();
        let probed = tokio::select! {
            () = stop.cancelled() => break,
            probed = probe_once(&around.client, &probe, now.mono) => probed,
        };
        around.metrics.add(&list::PROBES, &[&probe.name, probed.as_str()], 1.0);
        let mut observation = source.observe(now.wall_ms, probed.samples(&labels));
        if last.is_some_and(|last| last != probed.success) {
            observation.urgency = Urgency::Urgent;
        }
        last = Some(probed.success);
        around.sink.send(observation);
        let _ = around.results.try_send(probed);
    }
    around.sink.send(source.observe(around.clock.now().wall_ms, Vec::new()));
}

/// One probe; `begun` is the present reading of the monotonic clock.
pub async fn probe_once(client: &reqwest::Client, probe: &Probe, begun: Duration) -> Probed {
    let started = Instant::now();
    let answer = tokio::time::timeout(probe.timeout, get(client, &probe.url)).await;
    let (status, error) = match answer {
        Ok(Ok(status)) if (200..300).contains(&status) => (status, Text::default()),
        Ok(Ok(status)) => (status, Text::new(format!("status {status}"), format!("状态码 {status}"))),
        Ok(Err(error)) => (0, Text::new(error.as_str(), format!("连接失败：{error}"))),
        Err(_) => (0, Text::new(format!("no answer within {:?}", probe.timeout), format!("{:?} 内没有应答", probe.timeout))),
    };
    Probed { name: probe.name.clone(), begun, success: error.en.is_empty(), status, took: started.elapsed(), error }
}

async fn get(client: &reqwest::Client, url: &str) -> Result<u16, String> {
    let mut response = client.get(url).send().await.map_err(root_cause)?;
    let status = response.status().as_u16();
    let mut read = 0;
    while let Some(chunk) = response.chunk().await.map_err(root_cause)? {
        read += chunk.len();
        if read > BODY_MAX {
            break;
        }
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::http_client;

    async fn ask(answer: Option<&'static str>) -> Probed {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/health", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0_u8; 1024];
            let _ = socket.read(&mut request).await;
            match answer {
                Some(answer) => drop(socket.write_all(answer.as_bytes()).await),
                None => tokio::time::sleep(Duration::from_mins(1)).await,
            }
        });
        // Only what does not answer is worth a short limit: an answer may take its time on a loaded machine.
        let timeout = if answer.is_some() { Duration::from_mins(1) } else { Duration::from_millis(300) };
        let probe = Probe { name: "p".into(), url, interval: Duration::from_mins(1), timeout, labels: Labels::default() };
        probe_once(&http_client::client(&http_client::tls().unwrap()).unwrap(), &probe, Duration::ZERO).await
    }

    #[tokio::test]
    async fn a_status_of_2xx_is_success_and_a_hang_costs_its_own_limit() {
        let good = ask(Some("HTTP/1.1 204 No Content\r\n\r\n")).await;
        assert_eq!((good.success, good.status, good.as_str()), (true, 204, "ok"));
        let sick = ask(Some("HTTP/1.1 503 Sick\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!((sick.success, sick.status, sick.as_str()), (false, 503, "status"));
        let hung = ask(None).await;
        assert_eq!((hung.success, hung.status, hung.as_str()), (false, 0, "no_answer"));
        assert!(hung.took < Duration::from_secs(30));
    }
}
