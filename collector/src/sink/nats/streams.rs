//! The JetStream streams that records go to: made when they are missing, compared with the configuration when they are there, never changed.
//!
//! Owns: the requests, the comparison, the named findings. Must not know: sockets; a shell sends the request and hands in the answer.
//! Source: the JetStream API reference (docs.nats.io, "JetStream wire API"): `$JS.API.STREAM.INFO|CREATE.<name>`, `$JS.API.STREAM.NAMES`.

use std::time::Duration;

use serde_json::{Value, json};

use super::ack::ApiError;
use crate::config::{Discard, Storage, StreamConfig};

/// An answer is waited for this long.
const PATIENCE: Duration = Duration::from_secs(3);
/// After trouble, it is asked again.
const AGAIN: Duration = Duration::from_secs(5);
/// After a refusal.
const SUSPECT: Duration = Duration::from_secs(1);

/// What is known of one stream.
#[derive(Debug)]
pub(super) struct Keeper {
    config: StreamConfig,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be asked at this time.
    Due(Duration),
    /// Asked at that time.
    Asked(Step, Duration),
    Ready,
}

/// The request that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Info,
    Create,
    /// Which stream has our subjects?
    Names,
}

/// What an answer told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The stream can be used. `selective`: it may refuse one message and take the next, so that only one of a subject may be under way.
    Ready {
        /// Whether it was made just now.
        created: bool,
        /// See above.
        selective: bool,
        /// For how long it knows message ids again.
        duplicate_window: Duration,
    },
    /// A setting of the existing stream is not the configured one; it is left as it is.
    Differs {
        /// The setting's name in the stream's configuration.
        setting: &'static str,
        /// As the stream has it.
        found: String,
        /// As configured.
        configured: String,
    },
    /// The stream cannot be used.
    Unusable(Trouble),
}

/// Why a stream cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The server (or the account) has no JetStream.
    NoJetStream,
    /// It does not listen to our subjects.
    OtherSubjects(String),
    /// Another stream listens to them.
    Overlap(String),
    /// It does not acknowledge.
    NoAck,
    /// It is sealed.
    Sealed,
    /// The server refused to make or show it.
    Refused(String),
    /// The server did not answer.
    NoAnswer,
}

// === impl Keeper ===

impl Keeper {
    pub(super) fn new(config: StreamConfig) -> Self {
        Self { config, state: State::Due(Duration::ZERO) }
    }

    /// The stream.
    pub(super) fn config(&self) -> &StreamConfig {
        &self.config
    }

    /// A new connection: what was known may not hold.
    pub(super) fn forget(&mut self) {
        self.state = State::Due(Duration::ZERO);
    }

    /// It refused a message: it is looked at again in a second.
    pub(super) fn suspect(&mut self, now: Duration) {
        self.state = State::Due(now + SUSPECT);
    }

    /// It is looked at again at once, and takes records meanwhile.
    pub(super) fn look_again(&mut self, now: Duration) {
        if self.state == State::Ready {
            self.state = State::Due(now);
        }
    }

    /// The request that is due, if one is: its subject and body.
    pub(super) fn ask(&mut self, now: Duration) -> Option<(String, Vec<u8>)> {
        match self.state {
            State::Due(at) if now >= at => Some(self.request(Step::Info, now)),
            _ => None,
        }
    }

    /// Notices that an answer does not come.
    pub(super) fn overdue(&mut self, now: Duration) -> Option<Finding> {
        match self.state {
            State::Asked(_, at) if now.saturating_sub(at) >= PATIENCE => Some(self.unusable(Trouble::NoAnswer, now)),
            _ => None,
        }
    }

    /// Takes an answer: what it told, and the next request if it leads to one.
    pub(super) fn answer(&mut self, status: Option<u16>, payload: &[u8], now: Duration) -> (Vec<Finding>, Option<(String, Vec<u8>)>) {
        let State::Asked(step, _) = self.state else { return (Vec::new(), None) };
        if status == Some(503) {
            return (vec![self.unusable(Trouble::NoJetStream, now)], None);
        }
        let answer: Value = serde_json::from_slice(payload).unwrap_or_default();
        let error: Option<ApiError> = answer.get("error").and_then(|error| serde_json::from_value(error.clone()).ok());
        let trouble = match (step, error) {
            (Step::Info, Some(ApiError { err_code: 10059, .. })) => return (Vec::new(), Some(self.request(Step::Create, now))),
            // Made by another client since we asked (10058), or one with our subjects stands in the way (10065).
            (Step::Create, Some(ApiError { err_code: 10058, .. })) => return (Vec::new(), Some(self.request(Step::Info, now))),
            (Step::Create, Some(ApiError { err_code: 10065, .. })) => return (Vec::new(), Some(self.request(Step::Names, now))),
            (Step::Names, None) => Trouble::Overlap(answer.pointer("/streams/0").and_then(Value::as_str).unwrap_or("?").to_owned()),
            (_, Some(ApiError { err_code: 10039 | 10076, .. })) => Trouble::NoJetStream,
            (_, Some(error)) => Trouble::Refused(error.description),
            (_, None) => return (self.examine(&answer, step == Step::Create, now), None),
        };
        (vec![self.unusable(trouble, now)], None)
    }

    fn request(&mut self, step: Step, now: Duration) -> (String, Vec<u8>) {
        self.state = State::Asked(step, now);
        let name = &self.config.name;
        match step {
            Step::Info => (format!("$JS.API.STREAM.INFO.{name}"), Vec::new()),
            Step::Create => (format!("$JS.API.STREAM.CREATE.{name}"), wanted(&self.config).to_string().into_bytes()),
            Step::Names => {
                ("$JS.API.STREAM.NAMES".to_owned(), json!({"subject": format!("{}.>", self.config.kind.as_str())}).to_string().into_bytes())
            }
        }
    }

    fn unusable(&mut self, trouble: Trouble, now: Duration) -> Finding {
        self.state = State::Due(now + AGAIN);
        Finding::Unusable(trouble)
    }

    /// Compares the stream with the configuration.
    fn examine(&mut self, answer: &Value, created: bool, now: Duration) -> Vec<Finding> {
        let found = answer.get("config").unwrap_or(&Value::Null);
        let subjects: Vec<&str> = found.get("subjects").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let flag = |name: &str| found.get(name).and_then(Value::as_bool).unwrap_or(false);
        if !subjects.iter().any(|subject| covers(subject, self.config.kind.as_str())) {
            return vec![self.unusable(Trouble::OtherSubjects(subjects.join(", ")), now)];
        }
        if flag("no_ack") {
            return vec![self.unusable(Trouble::NoAck, now)];
        }
        if flag("sealed") {
            return vec![self.unusable(Trouble::Sealed, now)];
        }
        self.state = State::Ready;
        let wanted = wanted(&self.config);
        let differs = |setting: &&'static str| {
            let (found, configured) = (found.get(*setting).unwrap_or(&Value::Null), wanted.get(*setting).unwrap_or(&Value::Null));
            (found != configured).then(|| Finding::Differs { setting, found: found.to_string(), configured: configured.to_string() })
        };
        let mut findings: Vec<Finding> = SETTINGS.iter().filter_map(differs).collect();
        let replicated = found.get("num_replicas").and_then(Value::as_u64).is_some_and(|replicas| replicas > 1);
        let clustered = answer.pointer("/cluster/name").is_some();
        let selective = found.get("discard") == Some(&json!("new")) || replicated || clustered;
        let duplicate_window = Duration::from_nanos(found.get("duplicate_window").and_then(Value::as_u64).unwrap_or(0));
        findings.push(Finding::Ready { created, selective, duplicate_window });
        findings
    }
}

/// Settings that are compared, as the API names them.
const SETTINGS: [&str; 7] = ["retention", "storage", "discard", "max_bytes", "max_age", "duplicate_window", "num_replicas"];

/// The configuration a stream is made with.
fn wanted(config: &StreamConfig) -> Value {
    json!({
        "name": config.name,
        "subjects": [format!("{}.>", config.kind.as_str())],
        "retention": "limits",
        "storage": match config.storage { Storage::File => "file", Storage::Memory => "memory" },
        "discard": match config.discard { Discard::Old => "old", Discard::New => "new" },
        "max_bytes": config.max_bytes,
        "max_age": nanoseconds(config.max_age),
        "duplicate_window": nanoseconds(config.duplicate_window),
        "num_replicas": config.replicas,
    })
}

/// The unit of durations in the API.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Whether a stream's subject takes everything of this kind.
fn covers(subject: &str, kind: &str) -> bool {
    subject == ">" || subject.strip_prefix(kind).is_some_and(|rest| rest == ".>" || rest == ".*.*.*")
}

// === impl Trouble ===

impl Trouble {
    /// The word in metrics and logs.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::NoJetStream => "no_jetstream",
            Self::OtherSubjects(_) => "other_subjects",
            Self::Overlap(_) => "overlap",
            Self::NoAck => "no_ack",
            Self::Sealed => "sealed",
            Self::Refused(_) => "refused",
            Self::NoAnswer => "no_answer",
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoJetStream => f.write_str(
                "the server has no JetStream (start it with -js), or the account may not use it; `nats.mode: core` does without, with loss possible",
            ),
            Self::OtherSubjects(subjects) => write!(f, "the stream exists with other subjects ({subjects}): give another `name`, or mend the stream"),
            Self::Overlap(name) => write!(f, "the stream {name} already has these subjects: use its name, or mend it"),
            Self::NoAck => f.write_str("the stream has `no_ack`: nothing it takes is confirmed"),
            Self::Sealed => f.write_str("the stream is sealed"),
            Self::Refused(text) => write!(f, "the server refuses: {text}"),
            Self::NoAnswer => f.write_str("the server does not answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use marketdata::RecordKind;

    use super::*;

    fn keeper() -> Keeper {
        Keeper::new(StreamConfig::default_of(RecordKind::Trade))
    }

    fn error(err_code: u32) -> Vec<u8> {
        json!({"error": {"code": 400, "err_code": err_code, "description": "no"}}).to_string().into_bytes()
    }

    fn info(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut answer = json!({"config": wanted(&StreamConfig::default_of(RecordKind::Trade))});
        change(&mut answer);
        answer.to_string().into_bytes()
    }

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn a_missing_stream_is_made_and_is_ready() {
        let mut keeper = keeper();
        assert_eq!(keeper.ask(NOW).unwrap().0, "$JS.API.STREAM.INFO.TRADE");
        assert!(keeper.ask(NOW).is_none(), "one request at a time");
        let (findings, next) = keeper.answer(None, &error(10059), NOW);
        let (subject, body) = next.unwrap();
        assert_eq!((findings.as_slice(), subject.as_str()), (&[][..], "$JS.API.STREAM.CREATE.TRADE"));
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["subjects"], json!(["trade.>"]));
        assert_eq!(
            keeper.answer(None, &info(|_| {}), NOW).0,
            [Finding::Ready { created: true, selective: false, duplicate_window: Duration::from_mins(2) }]
        );
        assert!(keeper.ask(NOW + AGAIN * 9).is_none());
        keeper.forget();
        assert!(keeper.ask(NOW).is_some());
    }

    #[test]
    fn an_existing_stream_with_other_settings_is_used_and_each_difference_named() {
        let mut keeper = keeper();
        keeper.ask(NOW);
        let answer = info(|answer| {
            answer["config"]["max_bytes"] = json!(1000);
            answer["config"]["discard"] = json!("new");
            answer["config"]["duplicate_window"] = json!(1_000_000_000);
        });
        let differs = |setting, found: &str, configured: String| Finding::Differs { setting, found: found.to_owned(), configured };
        assert_eq!(
            keeper.answer(None, &answer, NOW).0,
            [
                differs("discard", "\"new\"", "\"old\"".to_owned()),
                differs("max_bytes", "1000", StreamConfig::default_of(RecordKind::Trade).max_bytes.to_string()),
                differs("duplicate_window", "1000000000", "120000000000".to_owned()),
                Finding::Ready { created: false, selective: true, duplicate_window: Duration::from_secs(1) },
            ]
        );
    }

    #[test]
    fn what_cannot_be_used_is_named_and_asked_again_later() {
        let subjects = |subjects: Value| info(|answer| answer["config"]["subjects"] = subjects);
        for (status, answer, trouble) in [
            (Some(503), Vec::new(), Trouble::NoJetStream),
            (None, error(10039), Trouble::NoJetStream),
            (None, error(10000), Trouble::Refused("no".to_owned())),
            (None, subjects(json!(["trade.binance.>"])), Trouble::OtherSubjects("trade.binance.>".to_owned())),
            (None, info(|answer| answer["config"]["no_ack"] = json!(true)), Trouble::NoAck),
            (None, info(|answer| answer["config"]["sealed"] = json!(true)), Trouble::Sealed),
        ] {
            let mut keeper = keeper();
            keeper.ask(NOW);
            assert_eq!(keeper.answer(status, &answer, NOW).0, [Finding::Unusable(trouble)]);
            assert!(keeper.ask(NOW).is_none() && keeper.ask(NOW + AGAIN).is_some());
            assert_eq!(keeper.overdue(NOW + AGAIN * 2), Some(Finding::Unusable(Trouble::NoAnswer)));
        }
    }

    #[test]
    fn the_stream_in_the_way_is_named() {
        let mut keeper = keeper();
        keeper.ask(NOW);
        keeper.answer(None, &error(10059), NOW);
        let (_, next) = keeper.answer(None, &error(10065), NOW);
        assert_eq!(next.unwrap().0, "$JS.API.STREAM.NAMES");
        let answer = json!({"streams": ["MARKET_DATA"]}).to_string();
        assert_eq!(keeper.answer(None, answer.as_bytes(), NOW).0, [Finding::Unusable(Trouble::Overlap("MARKET_DATA".to_owned()))]);
    }

    #[test]
    fn a_wider_subject_covers_and_a_neighbour_does_not() {
        assert!(covers(">", "trade") && covers("trade.>", "trade") && covers("trade.*.*.*", "trade"));
        assert!(!covers("trade.binance.>", "trade") && !covers("trades.>", "trade") && !covers("orderbook.>", "orderbook_delta"));
    }
}
