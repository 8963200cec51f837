//! Subscribing within the venue's pace, and reading its answers.
//!
//! Owns: the requests of one connection, their ids and deadlines; a refused request is split until the one stream the venue refuses is alone, so that it
//! takes down no neighbour. Must not know: what a stream carries.

use std::collections::VecDeque;
use std::time::Duration;

use crate::effect::StreamKind;
use crate::instrument::InstrumentId;
use crate::session::{Scene, Step};

type Stream = (InstrumentId, StreamKind);

/// All requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// Not sent yet; together at most the streams of one connection.
    waiting: VecDeque<Vec<Stream>>,
    sent: VecDeque<Request>,
    last_id: u64,
    /// Earliest time of the next request, by the venue's limit on inbound messages.
    next_at: Duration,
}

#[derive(Debug)]
struct Request {
    id: u64,
    streams: Vec<Stream>,
    deadline: Duration,
}

/// What the venue said to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    Refused,
}

// === impl Subscriptions ===

impl Subscriptions {
    /// Queues everything, so many streams to a request.
    pub(super) fn start(&mut self, streams: impl Iterator<Item = Stream>, per_request: usize) {
        let all: Vec<Stream> = streams.collect();
        self.waiting = all.chunks(per_request.max(1)).map(<[Stream]>::to_vec).collect();
        self.sent.clear();
    }

    /// Sends what the pace allows.
    pub(super) fn advance(&mut self, scene: &Scene<'_>, steps: &mut Vec<Step>) {
        let now = scene.now.mono;
        if now < self.next_at {
            return;
        }
        let Some(streams) = self.waiting.pop_front() else { return };
        self.last_id += 1;
        let raw = |id: InstrumentId| scene.catalog.get(id).map_or("", |instrument| &*instrument.raw);
        let names: Vec<String> = streams.iter().map(|&(id, kind)| (scene.dialect.stream)(raw(id), kind)).collect();
        steps.push(Step::Send((scene.dialect.subscribe)(self.last_id, &names)));
        self.sent.push_back(Request { id: self.last_id, streams, deadline: now.saturating_add(scene.tuning.subscribe_timeout) });
        self.next_at = now + Duration::from_secs(1) / scene.dialect.messages_per_second.max(1);
    }

    /// An answer: which streams are now settled, and whether each was refused. One without an id is taken for the oldest request's.
    pub(super) fn answered(&mut self, id: Option<u64>, answer: Answer) -> Vec<(InstrumentId, StreamKind, bool)> {
        let place = match id {
            Some(id) => self.sent.iter().position(|request| request.id == id),
            None => Some(0),
        };
        let Some(mut request) = place.and_then(|place| self.sent.remove(place)) else { return Vec::new() };
        if answer == Answer::Refused && request.streams.len() > 1 {
            let second = request.streams.split_off(request.streams.len() / 2);
            self.waiting.push_back(request.streams);
            self.waiting.push_back(second);
            return Vec::new();
        }
        let refused = answer == Answer::Refused;
        request.streams.into_iter().map(|(id, kind)| (id, kind, refused)).collect()
    }

    /// A request has had no answer in time.
    pub(super) fn overdue(&self, now: Duration) -> bool {
        self.sent.iter().any(|request| now >= request.deadline)
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let send = (!self.waiting.is_empty()).then_some(self.next_at);
        let answer = self.sent.iter().map(|request| request.deadline).min();
        send.into_iter().chain(answer).min()
    }
}
