//! Subscribing within the venue's pace, and reading its answers.
//!
//! Owns: the requests of one connection, their ids, deadlines and budget; a refused request is split until the one stream the venue refuses is alone,
//! so that it takes down no neighbour; a renewal is an unsubscription whose answer brings the subscription. Must not know: what a stream carries.

use std::collections::VecDeque;
use std::time::Duration;

use crate::effect::StreamKind;
use crate::feed::Refusal;
use crate::instrument::InstrumentId;
use crate::session::{Scene, Step};
use crate::venue::Tuning;
use crate::venue::allowance::Dialing;
use crate::venue::budget::Budget;
use crate::venue::dialect::{Answers, Dialect};

type Stream = (InstrumentId, StreamKind);

/// All requests of one connection.
#[derive(Debug)]
pub(super) struct Subscriptions {
    /// Not sent yet; each stream at most once.
    waiting: VecDeque<Request>,
    sent: VecDeque<Sent>,
    last_id: u64,
    /// Earliest time of the next request, by the venue's limit on inbound messages.
    next_at: Duration,
    /// Requests an hour.
    budget: Budget,
    /// What all connections of the address may do together.
    dialing: Dialing,
}

#[derive(Debug)]
struct Request {
    op: Op,
    streams: Vec<Stream>,
    not_before: Duration,
}

#[derive(Debug)]
struct Sent {
    id: u64,
    request: Request,
    deadline: Duration,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Subscribe,
    /// Subscribe what was refused before: if nobody answers, it stays refused.
    TryAgain,
    Unsubscribe,
    /// Unsubscribe, and subscribe again when that is answered.
    Renew,
}

/// What the venue said to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    Refused(Refusal),
}

/// A stream whose subscription is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) instrument: InstrumentId,
    pub(super) kind: StreamKind,
    pub(super) accepted: bool,
}

/// A request that the venue could not carry out now is repeated after this.
const LATER: Duration = Duration::from_secs(5);

// === impl Op ===

impl Op {
    const fn subscribes(self) -> bool {
        matches!(self, Op::Subscribe | Op::TryAgain)
    }
}

// === impl Subscriptions ===

impl Subscriptions {
    pub(super) fn new(dialect: &Dialect, dialing: Dialing) -> Self {
        let budget = Budget::new(dialect.limits.requests_per_hour, Duration::from_hours(1));
        Self { waiting: VecDeque::new(), sent: VecDeque::new(), last_id: 0, next_at: Duration::ZERO, budget, dialing }
    }

    /// Queues subscriptions, so many streams to a request.
    pub(super) fn add(&mut self, streams: impl Iterator<Item = Stream>, tuning: &Tuning) {
        let all: Vec<Stream> = streams.collect();
        for streams in all.chunks(tuning.streams_per_request.max(1)) {
            self.queue(Op::Subscribe, streams.to_vec());
        }
    }

    /// Subscribes one stream that was refused, unless that is about to happen.
    pub(super) fn try_again(&mut self, stream: Stream) {
        if !self.is_pending(stream) {
            self.queue(Op::TryAgain, vec![stream]);
        }
    }

    /// Unsubscribes one stream and subscribes it again, unless it is about to be subscribed.
    pub(super) fn renew(&mut self, stream: Stream) {
        if !self.is_pending(stream) {
            self.queue(Op::Renew, vec![stream]);
        }
    }

    /// Unsubscribes streams for good.
    pub(super) fn remove(&mut self, streams: Vec<Stream>) {
        for request in &mut self.waiting {
            request.streams.retain(|stream| !streams.contains(stream));
        }
        self.waiting.retain(|request| !request.streams.is_empty());
        // An instrument that was paused has none.
        if !streams.is_empty() {
            self.queue(Op::Unsubscribe, streams);
        }
    }

    /// An id for a request that is not about streams; its answer is nothing to wait for.
    pub(super) const fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Sends what pace and budget allow.
    pub(super) fn advance(&mut self, scene: &Scene<'_>, steps: &mut Vec<Step>) {
        let now = scene.now.mono;
        if now < self.next_at {
            return;
        }
        let Some(place) = self.waiting.iter().position(|request| request.not_before <= now) else { return };
        // Of the two budgets neither is spent unless both have room.
        if self.dialing.request_at() > now || !self.budget.take(now, 1) || !self.dialing.request(now) {
            return;
        }
        let Some(mut request) = self.waiting.remove(place) else { return };
        let wire = &scene.dialect.wire;
        let raw = |id: InstrumentId| scene.catalog.get(id).map_or("", |instrument| &*instrument.raw);
        let id = self.fresh_id();
        let text = loop {
            let names: Vec<String> = request.streams.iter().map(|&(id, kind)| (wire.stream)(raw(id), kind)).collect();
            let text = if request.op.subscribes() { (wire.subscribe)(id, &names) } else { (wire.unsubscribe)(id, &names) };
            if text.len() <= scene.dialect.limits.request_bytes || request.streams.len() < 2 {
                break text;
            }
            let rest = request.streams.split_off(request.streams.len() / 2);
            self.waiting.push_front(Request { op: request.op, streams: rest, not_before: now });
        };
        steps.push(Step::Send(text));
        self.sent.push_back(Sent { id, request, deadline: now.saturating_add(scene.tuning.subscribe_timeout) });
        self.next_at = now + Duration::from_secs(1) / scene.dialect.limits.messages_per_second.max(1);
    }

    /// An answer to a whole request: calls `decided` with what it decides. One without an id is taken for the oldest request's.
    pub(super) fn answered(&mut self, scene: &Scene<'_>, id: Option<u64>, answer: Answer, mut decided: impl FnMut(Decided)) {
        let place = match id {
            Some(id) => self.sent.iter().position(|sent| sent.id == id),
            None => (!self.sent.is_empty()).then_some(0),
        };
        let Some(Sent { mut request, .. }) = place.and_then(|place| self.sent.remove(place)) else { return };
        // Streams that are acknowledged by name have left the request when they were named.
        let accepted = answer == Answer::Accepted && scene.dialect.wire.answers != Answers::Listed;
        match (request.op, answer) {
            (Op::Unsubscribe, _) => {}
            (Op::Renew, _) => self.queue_first(Op::Subscribe, request.streams),
            (Op::Subscribe | Op::TryAgain, Answer::Refused(Refusal::Later)) => {
                request.not_before = scene.now.mono.saturating_add(LATER);
                self.waiting.push_back(request);
            }
            (Op::Subscribe, Answer::Refused(_)) if request.streams.len() > 1 => {
                let second = request.streams.split_off(request.streams.len() / 2);
                self.queue(Op::Subscribe, request.streams);
                self.queue(Op::Subscribe, second);
            }
            (Op::Subscribe | Op::TryAgain, _) => {
                request.streams.into_iter().for_each(|(instrument, kind)| decided(Decided { instrument, kind, accepted }));
            }
        }
    }

    /// One stream was acknowledged by name: whether as a subscription that was awaited, be it one of a request that was refused for another's sake.
    pub(super) fn subscribed(&mut self, id: Option<u64>, stream: Stream) -> bool {
        // Deribit lists what it has unsubscribed in the same form.
        if self.sent.iter().any(|sent| Some(sent.id) == id && !sent.request.op.subscribes()) {
            return false;
        }
        let take = |request: &mut Request| {
            let place = request.streams.iter().position(|other| request.op.subscribes() && *other == stream)?;
            Some(request.streams.swap_remove(place))
        };
        let found = self.sent.iter_mut().map(|sent| &mut sent.request).chain(&mut self.waiting).any(|request| take(request).is_some());
        self.waiting.retain(|request| !request.streams.is_empty());
        found
    }

    /// One stream was acknowledged as unsubscribed.
    pub(super) fn unsubscribed(&mut self, stream: Stream) {
        let of = |sent: &&mut Sent| !sent.request.op.subscribes() && sent.request.streams.contains(&stream);
        let Some(sent) = self.sent.iter_mut().find(of) else { return };
        sent.request.streams.retain(|other| *other != stream);
        if sent.request.op == Op::Renew {
            self.queue_first(Op::Subscribe, vec![stream]);
        }
    }

    /// Forgets requests whose streams have all been acknowledged one by one, where nothing else ends them.
    pub(super) fn forget_done(&mut self, dialect: &Dialect) {
        if dialect.wire.answers == Answers::Each {
            self.sent.retain(|sent| !sent.request.streams.is_empty());
        }
    }

    /// Whether a request has had no answer in time; streams that were refused before are given to `refused` instead.
    pub(super) fn overdue(&mut self, now: Duration, mut refused: impl FnMut(Stream)) -> bool {
        self.sent.retain(|sent| {
            let given_up = now >= sent.deadline && sent.request.op == Op::TryAgain;
            if given_up {
                sent.request.streams.iter().copied().for_each(&mut refused);
            }
            !given_up
        });
        self.sent.iter().any(|sent| now >= sent.deadline)
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let ready = self.waiting.iter().map(|request| request.not_before).min();
        let send = ready.map(|at| at.max(self.next_at).max(self.budget.available_at(1)).max(self.dialing.request_at()));
        let answer = self.sent.iter().map(|sent| sent.deadline).min();
        send.into_iter().chain(answer).min()
    }

    fn is_pending(&self, stream: Stream) -> bool {
        self.sent
            .iter()
            .map(|sent| &sent.request)
            .chain(&self.waiting)
            .any(|request| request.op != Op::Unsubscribe && request.streams.contains(&stream))
    }

    fn queue(&mut self, op: Op, streams: Vec<Stream>) {
        self.waiting.push_back(Request { op, streams, not_before: Duration::ZERO });
    }

    fn queue_first(&mut self, op: Op, streams: Vec<Stream>) {
        self.waiting.push_front(Request { op, streams, not_before: Duration::ZERO });
    }
}
