//! Records whose fate is not known: sent, and no acknowledgement came. A stream knows the id of a record again for its `duplicate_window` only, so before
//! one that is older is sent a second time, the stream is asked for the last record it holds of the subject: records of a subject are stored in their
//! order, so what was sent before that one is there as well, and is not sent again.
//!
//! Owns: the questions and their answers. Must not know: how bytes travel, what is done with a record that is not there.
//! Source: the JetStream API reference (docs.nats.io, "JetStream wire API"): `$JS.API.STREAM.MSG.GET.<stream>`, answered by the stream's leader.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use marketdata::RecordKind;
use serde::Deserialize;
use serde_json::json;

use super::NAME;
use super::ack::ApiError;
use super::desk::Desk;
use super::meters::id_prefix;
use crate::metrics::catalogue as names;
use crate::sink::outbox::Id;

/// An answer is waited for this long,
const PATIENCE: Duration = Duration::from_secs(2);
/// and a question put this often. A user who may publish and may not read the stream gets no answer at all.
const TIMES: u32 = 3;
/// Error code of the API: the stream holds no such message.
const NO_MESSAGE: u32 = 10037;
/// Error code of the API: there is no such stream, so it holds nothing.
const NO_STREAM: u32 = 10059;

/// What is being asked.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Number of the next question; none is used twice, so a late answer finds nobody.
    next: u64,
    questions: BTreeMap<u64, Question>,
    /// Answers about records in the spool, by place of the kind: they are used when all questions of the kind are answered, with one look at the disk.
    answers: BTreeMap<usize, BTreeMap<String, Option<Id>>>,
}

#[derive(Debug)]
struct Question {
    kind: RecordKind,
    subject: String,
    asker: Asker,
    asked: Duration,
    times: u32,
}

/// Whose records are in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    /// Those of a lane, in memory.
    Lane(usize),
    /// Those of the kind's spool.
    Spool,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// The last record stored; none when there is none, or it is not one of a collector.
    Last(Option<Id>),
    /// Nothing that helps.
    Nothing,
}

#[derive(Deserialize)]
struct Answer<'a> {
    error: Option<ApiError>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    /// Base64.
    #[serde(borrow)]
    hdrs: Option<&'a str>,
}

// === impl Doubts ===

impl Doubts {
    /// The connection is gone: its answers will not come.
    pub(super) fn disconnected(&mut self) {
        self.questions.clear();
        self.answers.clear();
    }

    /// Whether the spool of a kind waits for answers.
    pub(super) fn asks_for_spool(&self, kind: RecordKind) -> bool {
        self.questions.values().any(|question| question.asker == Asker::Spool && question.kind == kind)
    }

    fn ask(&mut self, kind: RecordKind, subject: &str, asker: Asker) {
        let question = Question { kind, subject: subject.to_owned(), asker, asked: Duration::ZERO, times: 0 };
        self.questions.insert(self.next, question);
        self.next += 1;
    }
}

// === impl Desk: doubt ===

impl Desk {
    /// Asks about the lanes whose records may be stored already.
    pub(super) fn ask_about_lanes(&mut self) {
        while let Some(place) = self.outbox.next_doubt() {
            if let (Some(lane), Some(out)) = (self.outbox.lanes().get(place), self.outs.get(place)) {
                self.doubts.ask(lane.kind, &out.subject, Asker::Lane(place));
            }
        }
    }

    /// Asks about a subject in the spool of a kind, and at once about all others that wait there: one look at the disk then serves them all.
    pub(super) fn ask_about_spool(&mut self, kind: RecordKind, subject: &str) {
        self.doubts.ask(kind, subject, Asker::Spool);
        for (lane, out) in self.outbox.lanes().iter().zip(&self.outs) {
            if lane.kind == kind && lane.backlog > 0 && out.subject != subject {
                self.doubts.ask(kind, &out.subject, Asker::Spool);
            }
        }
    }

    /// Puts the questions that are new, or were not answered in time.
    pub(super) fn put_questions(&mut self, now: Duration) {
        let mut given_up = Vec::new();
        for (number, question) in &mut self.doubts.questions {
            if question.times > 0 && now.saturating_sub(question.asked) < PATIENCE {
                continue;
            }
            if question.times == TIMES {
                given_up.push(*number);
                continue;
            }
            let Some(keeper) = self.keepers.iter().find(|keeper| keeper.config().kind == question.kind) else { continue };
            (question.asked, question.times) = (now, question.times + 1);
            let body = json!({ "last_by_subj": question.subject }).to_string().into_bytes();
            self.requests.push((format!("$JS.API.STREAM.MSG.GET.{}", keeper.config().name), format!("l{number}"), body));
        }
        for number in given_up {
            self.learned(number, Told::Nothing, now);
        }
    }

    /// The answer to a question.
    pub(super) fn answered_about(&mut self, number: u64, payload: &[u8], now: Duration) {
        let Some(question) = self.doubts.questions.get(&number) else { return };
        match read(payload, &question.subject) {
            // An error that may pass: it is asked again when its time has come.
            Told::Nothing => {}
            told @ Told::Last(_) => self.learned(number, told, now),
        }
    }

    fn learned(&mut self, number: u64, told: Told, now: Duration) {
        let Some(question) = self.doubts.questions.remove(&number) else { return };
        let outcome = match told {
            Told::Last(_) => "answered",
            Told::Nothing => "unanswered",
        };
        self.meters.registry.counter(&names::NATS_DOUBTS, &[question.kind.as_str(), outcome]).inc();
        if told == Told::Nothing {
            tracing::warn!(
                sink = NAME,
                event = "doubt_unanswered",
                subject = question.subject,
                "the stream does not say what it holds (may this user use $JS.API.STREAM.MSG.GET?): records sent before are sent again, and may be there twice"
            );
        }
        let last = match told {
            Told::Last(last) => last,
            Told::Nothing => None,
        };
        match question.asker {
            Asker::Lane(place) => self.settle_lane(place, last, now),
            Asker::Spool => {
                self.doubts.answers.entry(question.kind.index()).or_default().insert(question.subject, last);
                if !self.doubts.asks_for_spool(question.kind)
                    && let Some(answers) = self.doubts.answers.remove(&question.kind.index())
                    && let Some(shelf) = self.store.shelf(question.kind)
                {
                    shelf.settle(&answers);
                }
            }
        }
    }

    fn settle_lane(&mut self, place: usize, last: Option<Id>, now: Duration) {
        let Self { outbox, meters, outs, store, .. } = self;
        outbox.settle(place, last, |record| {
            meters.held(record.kind);
            super::desk::arrived((meters, outs, store), record, now);
        });
    }
}

/// Reads an answer about a subject.
fn read(payload: &[u8], subject: &str) -> Told {
    match serde_json::from_slice(payload) {
        Ok(Answer { error: Some(ApiError { err_code: NO_MESSAGE | NO_STREAM, .. }), .. }) => Told::Last(None),
        Ok(Answer { error: None, message: Some(message) }) => Told::Last(message.hdrs.and_then(|headers| id_in(headers, subject))),
        _ => Told::Nothing,
    }
}

/// The id in a message's headers; `None` when it has none of ours.
fn id_in(headers: &str, subject: &str) -> Option<Id> {
    let headers = String::from_utf8(STANDARD.decode(headers).ok()?).ok()?;
    let id = headers.lines().find_map(|line| line.strip_prefix("Nats-Msg-Id:"))?;
    let (sequence, event_ts_ms) = id.trim().strip_prefix(&id_prefix(subject))?.split_once(':')?;
    Some((sequence.parse().ok()?, event_ts_ms.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(headers: &str) -> String {
        json!({"type": "io.nats.jetstream.api.v1.stream_msg_get_response",
               "message": {"subject": "trade.a.b.C-D", "seq": 9, "hdrs": STANDARD.encode(headers), "data": "e30=", "time": "2026-11-21T20:00:00Z"}})
        .to_string()
    }

    #[test]
    fn each_answer_says_what_is_there_or_that_nothing_is_known() {
        let error = |err_code: u32| json!({"error": {"code": 404, "err_code": err_code, "description": "no"}}).to_string();
        let cases = [
            (message("NATS/1.0\r\nNats-Msg-Id: trade:a:b:C-D:120:-5\r\n\r\n"), Told::Last(Some((120, -5)))),
            (message("NATS/1.0\r\nNats-Msg-Id: somebody-else\r\n\r\n"), Told::Last(None)),
            (message("NATS/1.0\r\nNats-Msg-Id: trade:a:b:OTHER:120:5\r\n\r\n"), Told::Last(None)),
            (message("NATS/1.0\r\nOther: x\r\n\r\n"), Told::Last(None)),
            (json!({"message": {"subject": "trade.a.b.C-D", "seq": 9, "data": "e30="}}).to_string(), Told::Last(None)),
            (error(NO_MESSAGE), Told::Last(None)),
            (error(NO_STREAM), Told::Last(None)),
            (error(10008), Told::Nothing),
            ("{}".to_owned(), Told::Nothing),
            (String::new(), Told::Nothing),
        ];
        for (answer, told) in cases {
            assert_eq!(read(answer.as_bytes(), "trade.a.b.C-D"), told, "{answer}");
        }
    }
}
