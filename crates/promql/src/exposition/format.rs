//! Which format a page is in, by its `Content-Type`. Must not know: HTTP clients, `Accept` headers of a target.

/// The format of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4 (and 1.0.0, which adds UTF-8 names).
    Text,
    /// OpenMetrics text 1.0.
    OpenMetrics,
}

/// A protocol that a scraper may ask for, as `scrape_protocols` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `PrometheusProto`: known, but neither asked for nor read.
    Proto,
    /// `PrometheusText0.0.4`
    Text004,
    /// `PrometheusText1.0.0`
    Text100,
    /// `OpenMetricsText0.0.1`
    OpenMetrics001,
    /// `OpenMetricsText1.0.0`
    OpenMetrics100,
}

/// A `Content-Type` that is no text exposition: an HTML page, JSON, protobuf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("content type {found:?} is no metrics page; expected text/plain or application/openmetrics-text")]
pub struct UnsupportedContentType {
    /// The header as received.
    pub found: Box<str>,
}

// === impl Protocol ===

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 5] = [Self::Proto, Self::Text004, Self::Text100, Self::OpenMetrics001, Self::OpenMetrics100];

    /// What is asked for unless the configuration says otherwise, as in Prometheus.
    pub const DEFAULT: [Self; 4] = [Self::OpenMetrics100, Self::OpenMetrics001, Self::Text100, Self::Text004];

    /// The word in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proto => "PrometheusProto",
            Self::Text004 => "PrometheusText0.0.4",
            Self::Text100 => "PrometheusText1.0.0",
            Self::OpenMetrics001 => "OpenMetricsText0.0.1",
            Self::OpenMetrics100 => "OpenMetricsText1.0.0",
        }
    }

    /// The protocol of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str() == word)
    }

    /// The format in which it writes a page, if it is text.
    pub fn format(self) -> Option<Format> {
        match self {
            Self::Proto => None,
            Self::Text004 | Self::Text100 => Some(Format::Text),
            Self::OpenMetrics001 | Self::OpenMetrics100 => Some(Format::OpenMetrics),
        }
    }

    fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Proto => None,
            Self::Text004 => Some("text/plain;version=0.0.4"),
            Self::Text100 => Some("text/plain;version=1.0.0;escaping=allow-utf-8"),
            Self::OpenMetrics001 => Some("application/openmetrics-text;version=0.0.1"),
            Self::OpenMetrics100 => Some("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8"),
        }
    }

    /// The `Accept` header that asks for these, the first the most. At most nine count.
    pub fn accept(wanted: &[Self]) -> String {
        let types = wanted.iter().filter_map(|protocol| protocol.media_type()).take(Self::ALL.len());
        let listed: Vec<String> = types.zip((1..=6).rev()).map(|(media_type, weight)| format!("{media_type};q=0.{weight}")).collect();
        format!("{},*/*;q=0.1", listed.join(","))
    }
}

// === impl Format ===

impl Format {
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
