//! What a replay brought, for people and for programs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What a replay brought.
#[derive(Debug, Default)]
pub struct Summary {
    /// Lines read.
    pub lines: u64,
    /// Lines that are no input of any form that is known.
    pub not_understood: u64,
    /// Files that end in the middle.
    pub torn: u64,
    /// Input that the core did not ask for, and lines that the capture had lost.
    pub missing: u64,
    /// Venues, runs of the collector.
    pub runs: Vec<String>,
    /// Records by kind.
    pub records: BTreeMap<&'static str, u64>,
    /// Events by word and reason.
    pub events: BTreeMap<String, u64>,
    /// Trades that were missing.
    pub trades_missing: u64,
    /// Frames that could not be read; frames of kinds that are not collected.
    pub frames: (u64, u64),
    /// Each instrument, as `exchange.market_type.symbol`, and the state of its book at the end.
    pub states: Vec<(String, &'static str)>,
    /// Books had no ids and were given some: a message that is missing in them cannot be noticed.
    pub unnumbered: bool,
    /// First and last unix ms, of all runs.
    pub span: Option<(i64, i64)>,
    /// How long the runs took when they were recorded, together.
    pub seconds: f64,
}

// === impl Summary ===

impl Summary {
    /// Whether everything that was recorded was there and understood.
    pub const fn is_whole(&self) -> bool {
        self.not_understood == 0 && self.torn == 0 && self.missing == 0
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let list = |counts: &mut dyn Iterator<Item = (&str, u64)>| {
            let all: Vec<String> = counts.map(|(word, count)| format!("{word} {count}")).collect();
            if all.is_empty() { "none".to_owned() } else { all.join(", ") }
        };
        let mut lines = vec![
            format!(
                "replayed {} lines, {:.1} s of {}",
                self.lines,
                self.seconds,
                if self.runs.is_empty() { "nothing".to_owned() } else { self.runs.join(", ") }
            ),
            format!("records: {}", list(&mut self.records.iter().map(|(kind, count)| (*kind, *count)))),
            format!(
                "resyncs {}, trades missing {}, frames malformed {}, of other kinds {}",
                self.resyncs(),
                self.trades_missing,
                self.frames.0,
                self.frames.1
            ),
            format!("events: {}", list(&mut self.events.iter().map(|(word, count)| (word.as_str(), *count)))),
        ];
        lines.extend(self.states.iter().map(|(symbol, state)| format!("{symbol}: {state}")));
        if self.unnumbered {
            lines.push("the books have no ids in the recording: a message that is missing could not be noticed".to_owned());
        }
        if !self.is_whole() {
            let (torn, strange, missing) = (self.torn, self.not_understood, self.missing);
            lines.push(format!("not whole: {torn} torn files, {strange} lines not understood, {missing} inputs missing or without a place"));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "lines": self.lines, "runs": self.runs, "span_ms": self.span, "seconds": self.seconds, "records": self.records, "events": self.events,
            "resyncs": self.resyncs(), "trades_missing": self.trades_missing, "malformed": self.frames.0, "other_frames": self.frames.1,
            "states": self.states.iter().cloned().collect::<BTreeMap<_, _>>(),
            "torn": self.torn, "not_understood": self.not_understood, "missing": self.missing, "numbered": !self.unnumbered, "whole": self.is_whole(),
        })
    }

    fn resyncs(&self) -> u64 {
        self.events.iter().filter(|(word, _)| word.starts_with("resync")).map(|(_, count)| count).sum()
    }
}
