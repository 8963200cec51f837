//! One client's connection as the venue sees it: its subscriptions, and what the venue says to its messages. No I/O: text in, answers out.
//! How each venue talks is in its own module; here is what they have in common.

use std::collections::BTreeSet;

use super::binance;
use super::deribit;
use super::engine::{Ask, Moment, ToConnection};
use super::fault::FaultKind;
use super::kind::{Route, StreamKind};
use super::okx;

/// A connection's subscriptions and manners.
#[derive(Debug)]
pub struct Session {
    /// Internal stream names: `btcusdt@trade` at Binance, `BTC-USDT@books` at OKX, `BTC-PERPETUAL@book.100ms` at Deribit.
    pub streams: BTreeSet<String>,
    talk: Talk,
}

/// How the venue talks.
#[derive(Debug)]
pub(super) enum Talk {
    Binance(binance::talk::Talk),
    Okx(okx::talk::Talk),
    Deribit(deribit::talk::Talk),
}

/// What a venue's manners may ask of the venue.
pub(super) struct Desk<'a> {
    /// Whether a symbol is listed.
    pub lists: &'a dyn Fn(&str) -> bool,
    /// Whether a fault of a kind strikes for a symbol.
    pub strikes: &'a mut dyn FnMut(FaultKind, &str) -> bool,
    /// Now.
    pub now: Moment,
}

/// What follows from a client's message.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// What the client gets, in order.
    pub replies: Vec<Reply>,
    /// Streams that were added.
    pub added: Vec<String>,
}

/// One thing a client gets.
#[derive(Debug)]
pub(super) enum Reply {
    /// This text.
    Text(String),
    /// The answer to a question about the markets, asked over the socket.
    Asked(Ask),
    /// Something else happens to its connection.
    Order(ToConnection),
}

// === impl Session ===

impl Session {
    /// A new Binance connection, with the streams its path names.
    pub(super) fn binance(route: Route, combined: bool, streams: impl IntoIterator<Item = String>) -> Self {
        Self { streams: streams.into_iter().collect(), talk: Talk::Binance(binance::talk::Talk { route, combined }) }
    }

    /// A new connection that subscribes by messages.
    pub(super) fn new(talk: Talk) -> Self {
        Self { streams: BTreeSet::new(), talk }
    }

    /// Answers one message.
    pub(super) fn answer(&mut self, text: &str, desk: Desk<'_>) -> Answer {
        match &mut self.talk {
            Talk::Binance(talk) => talk.answer(&mut self.streams, text),
            Talk::Okx(talk) => talk.answer(&mut self.streams, text, desk),
            Talk::Deribit(talk) => talk.answer(&mut self.streams, text, desk),
        }
    }

    /// Whether streams of a kind flow on this connection. Where they do not, Binance acknowledges a subscription all the same and stays silent.
    pub fn carries(&self, kind: StreamKind) -> bool {
        match &self.talk {
            Talk::Binance(talk) => talk.route.carries(kind),
            // Those refuse a subscription that the path does not carry.
            Talk::Okx(_) | Talk::Deribit(_) => true,
        }
    }

    /// Whether events are wrapped with their stream's name.
    pub fn wraps(&self) -> bool {
        matches!(&self.talk, Talk::Binance(talk) if talk.combined)
    }

    /// The notice of an announced end, where the venue has one.
    pub fn farewell(&self, now_ms: i64) -> Option<String> {
        match &self.talk {
            Talk::Binance(talk) => {
                let event = format!("{{\"e\":\"serverShutdown\",\"E\":{now_ms}}}");
                Some(if talk.combined { wrap("!serverShutdown", &event) } else { event })
            }
            Talk::Okx(talk) => Some(talk.notice()),
            Talk::Deribit(_) => None,
        }
    }

    /// Route and wrapping, of Binance connections.
    #[cfg(test)]
    pub(super) fn route(&self) -> Option<(Route, bool)> {
        match &self.talk {
            Talk::Binance(talk) => Some((talk.route, talk.combined)),
            Talk::Okx(_) | Talk::Deribit(_) => None,
        }
    }
}

// === impl Answer ===

impl Answer {
    /// One text.
    pub(super) fn text(text: String) -> Self {
        Self { replies: vec![Reply::Text(text)], added: Vec::new() }
    }

    /// Nothing but an order to the connection.
    pub(super) fn order(order: ToConnection) -> Self {
        Self { replies: vec![Reply::Order(order)], added: Vec::new() }
    }
}

/// An event with its stream's name around it.
pub(super) fn wrap(stream: &str, data: &str) -> String {
    format!("{{\"stream\":\"{stream}\",\"data\":{data}}}")
}
