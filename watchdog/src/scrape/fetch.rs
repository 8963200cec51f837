//! One GET of a page, within its bounds: redirects, credentials, the decoded body.
//!
//! Owns: what is sent to whom. Credentials and configured headers go to the target's own origin only, wherever a redirect leads.
//! Must not know: what a page means.

use axum::body::Bytes;
use promql::exposition::Format;
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Response, StatusCode, Url};

use super::ScrapeError;
use crate::http_client::Client;
use crate::targets::Target;

/// Redirects that are followed in a row, as Go's client does.
const REDIRECTS: usize = 10;

/// A page as it came.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) body: Bytes,
    pub(super) format: Format,
}

/// The page, decoded; `expected` is about how long it will be.
pub(super) async fn fetch(client: &Client, target: &Target, expected: usize) -> Result<Fetched, ScrapeError> {
    let response = follow(client, target).await?;
    if response.status() != StatusCode::OK {
        return Err(ScrapeError::Status(response.status().as_u16()));
    }
    let format = format(&response, target)?;
    Ok(Fetched { body: body(response, target.job.limits.body_size, expected).await?, format })
}

async fn follow(client: &Client, target: &Target) -> Result<Response, ScrapeError> {
    let own: Url = target.url.parse().map_err(|error| ScrapeError::Setup(format!("no URL: {error}")))?;
    let mut url = own.clone();
    for _ in 0..=REDIRECTS {
        let mut request = client.http().get(url.clone()).header(ACCEPT, &target.job.accept);
        request = request.header("X-Prometheus-Scrape-Timeout-Seconds", target.timeout.as_secs_f64().to_string());
        if url.origin() == own.origin() {
            request = client.identified(request, &target.job.http, &target.job.base).await.map_err(ScrapeError::Setup)?;
        }
        let response = request.send().await.map_err(connection)?;
        let next = response.headers().get(LOCATION).filter(|_| response.status().is_redirection() && target.job.http.follow_redirects);
        let Some(next) = next else { return Ok(response) };
        url = next.to_str().ok().and_then(|place| url.join(place).ok()).ok_or_else(|| ScrapeError::Redirect("to what is no URL".to_owned()))?;
    }
    Err(ScrapeError::Redirect(format!("more than {REDIRECTS} in a row")))
}

fn format(response: &Response, target: &Target) -> Result<Format, ScrapeError> {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (Format::from_content_type(content_type), target.job.fallback) {
        (Ok(format), _) => Ok(format),
        (Err(_), Some(format)) => Ok(format),
        (Err(error), None) => Err(ScrapeError::NotExposition(error.to_string())),
    }
}

/// The body, decoded, as long as it stays within `limit`. One that came in one piece is used as it came.
async fn body(mut response: Response, limit: u64, expected: usize) -> Result<Bytes, ScrapeError> {
    let whole = response.content_length();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(connection)? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(ScrapeError::BodyTooLarge(limit));
        }
        if body.is_empty() {
            if whole == Some(chunk.len() as u64) {
                return Ok(chunk);
            }
            body.reserve(expected);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

fn connection(error: reqwest::Error) -> ScrapeError {
    if error.is_builder() {
        return ScrapeError::Setup(super::root_cause(error));
    }
    ScrapeError::Connection(super::root_cause(error))
}
