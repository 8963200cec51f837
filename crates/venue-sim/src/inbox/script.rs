//! Failures on request: the next attempts fail in a named way.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::duration::Span;

/// Failures to come.
#[derive(Debug, Default)]
pub(super) struct Script(Mutex<Vec<FailSpec>>);

/// Some attempts that are to fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailSpec {
    /// Where.
    pub channel: Channel,
    /// How.
    pub action: Action,
    /// How many attempts.
    #[serde(default = "once")]
    pub count: u32,
    /// At which step of a mail; absent: at the recipient.
    #[serde(default)]
    pub stage: Stage,
}

/// Where attempts fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The robot.
    Dingtalk,
    /// The mail server.
    Smtp,
}

/// How an attempt fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The robot answers HTTP 200 with this error code.
    Errcode(i64),
    /// The robot answers this HTTP status with an HTML page, as a gateway does.
    Http(u16),
    /// The mail server answers this code.
    Code(u16),
    /// Nothing is answered for this long; then the connection ends.
    Hang(Span),
    /// The connection is reset.
    Reset,
    /// The message is taken and kept, and the connection is reset before the answer: the sender cannot know.
    ResetAfter,
}

/// The steps of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before the greeting.
    Connect,
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`.
    #[default]
    Rcpt,
    /// After the message's end.
    Data,
}

// === impl Script ===

impl Script {
    /// Adds failures behind those that are there.
    pub(super) fn add(&self, spec: FailSpec) {
        self.specs().push(spec);
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.specs().clear();
    }

    /// Takes the next failure of a channel and step.
    pub(super) fn take(&self, channel: Channel, stage: Stage) -> Option<Action> {
        let mut specs = self.specs();
        specs.retain(|spec| spec.count > 0);
        let spec = specs.iter_mut().find(|spec| spec.channel == channel && (channel == Channel::Dingtalk || spec.stage == stage))?;
        spec.count -= 1;
        Some(spec.action)
    }

    fn specs(&self) -> std::sync::MutexGuard<'_, Vec<FailSpec>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn once() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_taken_in_order_and_run_out() {
        let script = Script::default();
        for text in [
            r#"{"channel":"dingtalk","action":{"errcode":130101},"count":2}"#,
            r#"{"channel":"smtp","action":{"code":451}}"#,
            r#"{"channel":"dingtalk","action":"reset"}"#,
        ] {
            script.add(serde_json::from_str(text).unwrap());
        }
        let next = || script.take(Channel::Dingtalk, Stage::default());
        assert_eq!([next(), next(), next(), next()], [Some(Action::Errcode(130101)), Some(Action::Errcode(130101)), Some(Action::Reset), None]);
        assert_eq!(script.take(Channel::Smtp, Stage::Data), None);
        assert_eq!(script.take(Channel::Smtp, Stage::Rcpt), Some(Action::Code(451)));
    }
}
