//! Rule files, alert states and the engine that turns observations into alerts, with Prometheus's meanings.
//!
//! Owns: reading and checking rule files, when a group runs, what state an alert is in, which alerts are to be sent.
//! Must not know: where samples come from, who gets an alert, files, sockets, clocks.
//!
//! # Layout, in the order of the data
//! [`check()`] reads rule files into a [`RuleSet`] or says everything that is wrong with them; [`RuleEngine`] takes an [`Observation`] at a time,
//! and at each [`turn`](RuleEngine::turn) evaluates what is due and hands out [`Effects`]: alerts for the router, records to make durable.
//! [`unittest`] runs promtool's rule tests on the same engine; [`explain`] says what each code means.
#![forbid(unsafe_code)]

mod alert;
mod check;
mod document;
mod effects;
mod engine;
mod evaluate;
pub mod explain;
mod group;
mod lint;
mod model;
mod observation;
mod record;
mod render;
mod scalar;
mod schedule;
mod timeline;
pub mod unittest;
mod view;

pub use alert::AlertState;
pub use check::{CheckOptions, Checked, Lints, RuleSource, UnknownKeys, check};
pub use effects::{Alert, Effects, Event, Figures, Iteration};
pub use engine::{EngineLimits, EngineOptions, Needs, RuleEngine};
pub use model::{AlertRule, Field, Group, RecordRule, Rule, RuleSet};
pub use observation::{Observation, Observed, Page, Urgency};
pub use record::{AlertRecord, Record, RuleKey};
pub use timeline::Shown;
pub use view::{AlertView, GroupView, Health, MissingSeries, RuleKind, RuleState, RuleView};
