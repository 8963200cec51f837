//! JetStream's answers to a publication. Must not know: sockets, records.
//!
//! Source: nats-server, `server/jetstream_errors.json` (codes) and ADR-22 (the shape of a publish acknowledgement).

use serde::Deserialize;

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    /// The stream holds it.
    Stored,
    /// The stream held it already: the same message id came within the window.
    Duplicate,
    /// It was not stored.
    Refused(Reason),
}

/// Why a publication was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No stream listens to the subject, or JetStream is not there.
    NoStream,
    /// The stream is full and discards new messages.
    StreamFull,
    /// The server lacks memory or disk.
    Resources,
    /// The stream's or the server's limit for one message.
    TooLarge,
    /// The stream cannot take anything now: no leader, sealed, offline, read-only disk.
    Unavailable,
    /// No answer within the time.
    NoAnswer,
    /// Something else.
    Other,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<ApiError>,
    seq: Option<u64>,
    #[serde(default)]
    duplicate: bool,
}

/// An error of the JetStream interface.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct ApiError {
    pub(super) code: u16,
    pub(super) err_code: u32,
    pub(super) description: String,
}

// === impl Ack ===

impl Ack {
    /// Reads an answer. Nothing is allocated for one that is no error.
    pub(super) fn read(status: Option<u16>, payload: &[u8]) -> Self {
        if status == Some(503) {
            return Self::Refused(Reason::NoStream);
        }
        // A plain one is told by its two ends: the server writes an error first, and what is unusual last.
        if payload.starts_with(b"{\"stream\":") && ends_with_sequence(payload) {
            return Self::Stored;
        }
        match serde_json::from_slice(payload) {
            Ok(Answer { error: Some(error), .. }) => Self::Refused(Reason::of(&error)),
            Ok(Answer { error: None, seq: Some(_), duplicate: true }) => Self::Duplicate,
            Ok(Answer { error: None, seq: Some(_), .. }) => Self::Stored,
            _ => Self::Refused(Reason::Other),
        }
    }
}

// === impl Reason ===

impl Reason {
    /// The word in metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NoStream => "no_stream",
            Self::StreamFull => "stream_full",
            Self::Resources => "resources",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
            Self::NoAnswer => "no_answer",
            Self::Other => "refused",
        }
    }

    /// Whether sending it again can never help.
    pub(crate) const fn is_final(self) -> bool {
        matches!(self, Self::TooLarge)
    }

    /// Whether a stream that had this reason for one record may take the one behind it.
    pub(crate) const fn may_take_the_next(self) -> bool {
        // No answer came in time, for a server that was away for a while: it has refused nothing.
        !matches!(self, Self::NoAnswer)
    }

    fn of(error: &ApiError) -> Self {
        match error.err_code {
            10054 => Self::TooLarge,
            10023 | 10028 | 10047 => Self::Resources,
            10077 if error.description.contains("maximum") => Self::StreamFull,
            10077 => Self::Unavailable,
            10039 | 10076 => Self::NoStream,
            10008 | 10009 | 10109 | 10118 => Self::Unavailable,
            _ if error.code == 503 => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

/// Whether an answer ends in `"seq":<digits>}`.
fn ends_with_sequence(payload: &[u8]) -> bool {
    let Some(rest) = payload.strip_suffix(b"}") else { return false };
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && rest.get(..rest.len() - digits).is_some_and(|rest| rest.ends_with(b"\"seq\":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_one_meaning_each() {
        let error = |code: u32, status: u16, text: &str| {
            format!("{{\"error\":{{\"code\":{status},\"err_code\":{code},\"description\":\"{text}\"}},\"stream\":\"TRADE\",\"seq\":0}}")
        };
        for (status, payload, expected) in [
            (None, "{\"stream\":\"TRADE\",\"seq\":7}".to_owned(), Ack::Stored),
            (None, "{\"stream\":\"TRADE\",\"domain\":\"hub\",\"seq\":7}".to_owned(), Ack::Stored),
            (None, "{\"stream\":\"TRADE\", \"seq\": 7, \"domain\": \"hub\"}".to_owned(), Ack::Stored),
            (None, "{\"stream\":\"TRADE\",\"seq\":7,\"duplicate\": true}".to_owned(), Ack::Duplicate),
            (None, "{\"stream\":\"TRADE\"}".to_owned(), Ack::Refused(Reason::Other)),
            (Some(503), String::new(), Ack::Refused(Reason::NoStream)),
            (None, error(10077, 503, "maximum bytes exceeded"), Ack::Refused(Reason::StreamFull)),
            (None, error(10077, 503, "write: no space left on device"), Ack::Refused(Reason::Unavailable)),
            (None, error(10054, 400, "message size exceeds maximum allowed"), Ack::Refused(Reason::TooLarge)),
            (None, error(10047, 500, "insufficient storage resources available"), Ack::Refused(Reason::Resources)),
            (None, error(10109, 400, "invalid operation on sealed stream"), Ack::Refused(Reason::Unavailable)),
            (None, "hello".to_owned(), Ack::Refused(Reason::Other)),
        ] {
            assert_eq!(Ack::read(status, payload.as_bytes()), expected, "{payload}");
        }
    }
}
