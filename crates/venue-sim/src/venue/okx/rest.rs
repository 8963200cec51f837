//! OKX's REST: instruments, books, and refusals in the venue's words (v5 "Get instruments", "Get order book", "Error Code").

use serde_json::{Value, json};

use super::{contract, frames};
use crate::venue::engine::{RestReply, Trouble};
use crate::venue::kind::VenueKind;
use crate::venue::market::{Instrument, Market};
use crate::venue::wire::Snapshot;

/// A request to OKX, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OkxAsk {
    /// `/public/time`.
    Time,
    /// `/public/instruments`.
    Instruments {
        /// `instType`.
        kind: Option<String>,
        /// `instId`; absent: all.
        symbol: Option<String>,
    },
    /// `/market/books` and `/market/books-full`.
    Books {
        /// `instId`.
        symbol: Option<String>,
        /// `sz`.
        size: Option<usize>,
        /// `source=0` was sent: the answer carries `seqId`.
        anchored: bool,
        /// The full book: levels of three fields.
        full: bool,
    },
}

// === impl OkxAsk ===

impl OkxAsk {
    /// Name for counts.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Instruments { .. } => "instruments",
            Self::Books { full: false, .. } => "books",
            Self::Books { full: true, .. } => "books-full",
        }
    }

    /// The symbol that faults go by.
    pub(crate) fn symbol(&self) -> &str {
        match self {
            Self::Books { symbol: Some(symbol), .. } => symbol,
            _ => "",
        }
    }
}

/// The answer of `/public/instruments`.
pub(crate) fn instruments<'a>(venue: VenueKind, kind: Option<&str>, symbol: Option<&str>, markets: impl Iterator<Item = &'a Market>) -> RestReply {
    let Some(kind) = kind else { return error(400, "50014", "Parameter instType can not be empty.") };
    if !["SPOT", "SWAP", "FUTURES", "MARGIN", "OPTION"].contains(&kind) {
        return error(400, "51000", "Parameter instType error");
    }
    let here = if venue == VenueKind::OkxSpot { "SPOT" } else { "SWAP" };
    let wanted = |market: &&Market| kind == here && symbol.is_none_or(|symbol| symbol == market.instrument.symbol);
    let list: Vec<Value> = markets.filter(wanted).map(|market| instrument(&market.instrument, here)).collect();
    if list.is_empty() && symbol.is_some() {
        return error(200, "51001", "Instrument ID doesn't exist.");
    }
    data(&json!(list))
}

/// The answer of `/market/books` and `/market/books-full`.
pub(crate) fn books(snapshot: &Snapshot, event_ms: i64, ask: &OkxAsk) -> RestReply {
    let OkxAsk::Books { anchored, full, .. } = ask else { return data(&json!([])) };
    let mut sides = [String::new(), String::new()];
    for (text, levels) in sides.iter_mut().zip([&snapshot.asks, &snapshot.bids]) {
        if *full {
            let three: Vec<_> = levels.iter().map(|(price, size)| [price.as_str(), size.as_str(), "1"]).collect();
            *text = json!(three).to_string();
        } else {
            text.push('[');
            frames::levels(text, levels);
            text.push(']');
        }
    }
    let [asks, bids] = sides;
    let sequence = if *anchored { format!(",\"seqId\":{}", snapshot.last_update_id) } else { String::new() };
    RestReply::json(200, format!("{{\"code\":\"0\",\"msg\":\"\",\"data\":[{{\"asks\":{asks},\"bids\":{bids},\"ts\":\"{event_ms}\"{sequence}}}]}}"))
}

/// A good answer.
pub(crate) fn data(data: &Value) -> RestReply {
    RestReply::json(200, json!({"code": "0", "msg": "", "data": data}).to_string())
}

/// A refusal.
pub(crate) fn error(status: u16, code: &str, message: &str) -> RestReply {
    RestReply::json(status, json!({"code": code, "msg": message, "data": []}).to_string())
}

/// What the venue says when it does not answer.
pub(crate) fn trouble(trouble: Trouble) -> RestReply {
    match trouble {
        Trouble::TooMuch { .. } => error(429, "50011", "Too Many Requests"),
        // The venue has no 418; what is asked for by a fault is sent all the same.
        Trouble::Banned { .. } => error(418, "50011", "Too Many Requests"),
        Trouble::Unknown => error(500, "50001", "Service temporarily unavailable. Please try again later."),
    }
}

fn instrument(instrument: &Instrument, kind: &str) -> Value {
    let Instrument { symbol, base, quote, tick_size, step_size, max_quantity, .. } = instrument;
    let mut entry = json!({
        "instType": kind, "instId": symbol, "uly": "", "instFamily": "", "baseCcy": "", "quoteCcy": "", "settleCcy": "", "ctVal": "", "ctMult": "",
        "ctValCcy": "", "ctType": "", "tickSz": tick_size, "lotSz": step_size, "minSz": step_size, "maxLmtSz": max_quantity, "state": "live",
    });
    let special = if kind == "SPOT" {
        json!({"baseCcy": base, "quoteCcy": quote})
    } else {
        let (value, currency) = contract(base, quote);
        let inverse = quote == "USD";
        let family = format!("{base}-{quote}");
        json!({
            "uly": family, "instFamily": family, "settleCcy": if inverse { base } else { quote }, "ctVal": value, "ctMult": "1",
            "ctValCcy": currency, "ctType": if inverse { "inverse" } else { "linear" },
        })
    };
    if let (Some(entry), Value::Object(special)) = (entry.as_object_mut(), special) {
        entry.extend(special);
    }
    entry
}
