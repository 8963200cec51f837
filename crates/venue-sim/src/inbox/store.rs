//! The bounded list of what came.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Number, from 1.
    pub seq: u64,
    /// When it came, RFC 3339.
    pub time: String,
    /// When it came, ms since 1970.
    pub time_ms: i64,
    /// What it is.
    #[serde(flatten)]
    pub content: Content,
}

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// From a robot.
    Dingtalk {
        /// Token in the URL: which robot.
        token: String,
        /// `text`, `markdown`, `link`, `actionCard`, `feedCard`.
        msgtype: String,
        /// Title: the banner on a phone.
        title: String,
        /// Text; markdown for `markdown` and `actionCard`.
        text: String,
        /// Mentioned mobile numbers, user ids, and `all`.
        at: Vec<String>,
    },
    /// A mail.
    Mail {
        /// Envelope sender.
        from: String,
        /// Envelope recipients.
        to: Vec<String>,
        /// Subject, decoded.
        subject: String,
        /// Text part, decoded.
        body: String,
        /// HTML part, decoded; empty if there is none.
        html: String,
    },
}

/// The list.
#[derive(Debug)]
pub(super) struct Store {
    keep: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    messages: VecDeque<Message>,
}

// === impl Store ===

impl Store {
    /// Keeps the last `keep` messages.
    pub(super) fn new(keep: usize) -> Self {
        Self { keep: keep.max(1), kept: Mutex::new(Kept::default()) }
    }

    /// Adds a message with the time of now.
    pub(super) fn add(&self, content: Content) {
        let now = jiff::Timestamp::now();
        let mut kept = self.kept();
        kept.next += 1;
        let message = Message { seq: kept.next, time: format!("{now:.3}"), time_ms: now.as_millisecond(), content };
        kept.messages.push_back(message);
        if kept.messages.len() > self.keep {
            kept.messages.pop_front();
        }
    }

    /// All kept messages, oldest first.
    pub(super) fn all(&self) -> Vec<Message> {
        self.kept().messages.iter().cloned().collect()
    }

    /// Forgets all; numbers go on.
    pub(super) fn clear(&self) {
        self.kept().messages.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere does not make a list of messages unfit to be shown.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_numbers_go_on() {
        let store = Store::new(2);
        for n in 0..3 {
            store.add(Content::Mail { from: n.to_string(), to: vec![], subject: String::new(), body: String::new(), html: String::new() });
        }
        assert_eq!(store.all().iter().map(|m| m.seq).collect::<Vec<_>>(), [2, 3]);
    }
}
