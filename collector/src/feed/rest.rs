//! REST over one HTTP client: the one module that knows it. One attempt, a total time limit, a bounded body, few idle connections.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use rustls::ClientConfig;

use super::network::{Reply, Rest, RestFailure};

/// For the whole of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The real client.
#[derive(Clone, Debug)]
pub struct HttpClient(reqwest::Client);

// === impl HttpClient ===

impl HttpClient {
    pub(super) fn new(tls: &ClientConfig) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE / 2)
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self(client))
    }

    async fn fetch(self, url: String, most: usize) -> Result<Reply, RestFailure> {
        let mut response = self.0.get(url).send().await.map_err(failure)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failure)? {
            if body.len() + chunk.len() > most {
                return Err(RestFailure::TooLong(most));
            }
            body.extend_from_slice(&chunk);
        }
        let headers = response.headers();
        Ok(Reply {
            status: response.status().as_u16(),
            retry_after: number(headers, "retry-after").map(Duration::from_secs),
            used_weight: number(headers, "x-mbx-used-weight-1m").and_then(|weight| u32::try_from(weight).ok()),
            body: String::from_utf8(body).unwrap_or_default(),
        })
    }
}

impl Rest for HttpClient {
    fn get(&self, url: String, most: usize) -> LocalBoxFuture<'static, Result<Reply, RestFailure>> {
        Box::pin(self.clone().fetch(url, most))
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn failure(error: reqwest::Error) -> RestFailure {
    if error.is_timeout() {
        return RestFailure::Timeout;
    }
    // The outermost message names only the URL; the cause says what happened.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    RestFailure::Network(cause.to_string())
}
