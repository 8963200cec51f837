//! Which format a page is in, by its `Content-Type`. Must not know: HTTP clients, `Accept` headers of a target.

/// The format of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4 (and 1.0.0, which adds UTF-8 names).
    Text,
    /// OpenMetrics text 1.0.
    OpenMetrics,
}

/// A `Content-Type` that is no text exposition: an HTML page, JSON, protobuf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("content type {found:?} is no metrics page; expected text/plain or application/openmetrics-text")]
pub struct UnsupportedContentType {
    /// The header as received.
    pub found: Box<str>,
}

impl Format {
    /// What a scraper says it can read, the richer format first.
    pub const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
        text/plain;version=0.0.4;q=0.3,*/*;q=0.1";

    /// The format a `Content-Type` header names; parameters other than the media type do not change the grammar.
    ///
    /// # Errors
    /// Any other media type, or none: as Prometheus 3 does, such a page is a failed scrape unless the configuration names a fallback.
    pub fn from_content_type(header: &str) -> Result<Self, UnsupportedContentType> {
        let media_type = header.split(';').next().unwrap_or("").trim();
        if media_type.eq_ignore_ascii_case("text/plain") {
            Ok(Self::Text)
        } else if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            Ok(Self::OpenMetrics)
        } else {
            Err(UnsupportedContentType { found: header.chars().take(100).collect::<String>().into() })
        }
    }

    /// The `Content-Type` to serve a page of this format with.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}
