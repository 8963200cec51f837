//! Alertmanager's routing as a core: alerts in, deliveries out.
//!
//! Owns: `alertmanager.yml` and `dingtalk.yml`, the route tree, groups and their timers, inhibition, time intervals, silences, the notification log,
//! delivery policy (retry, robot buckets, digest, size limits), what a message says, why an alert was or was not sent.
//! Must not know: sockets, files, clocks, rules, processes. A shell feeds `(now, input)`, performs [`Effects`] and reports back.
//!
//! The way of an alert: [`Router::receive`] → [`Router::turn`] → [`Effects`] (persist, then deliver) → [`Router::delivered`].
//! The way of a configuration: [`config::load`] and [`dingtalk::load`] → [`Setup::link`] → [`Router::new`] or [`Router::reload`].
#![forbid(unsafe_code)]

pub mod alert;
pub mod config;
pub mod delivery;
mod digest;
pub mod dingtalk;
mod effects;
pub mod explain;
pub mod inhibit;
pub mod interval;
pub mod labels;
pub mod mail;
pub mod matcher;
mod message;
pub mod notification;
mod re2;
pub mod record;
pub mod route;
mod router;
mod setup;
pub mod silence;
pub mod time;
pub mod view;
mod webhook;

pub use effects::{Effects, Event, EventKind, Received};
pub use message::words::half;
pub use router::{Announcement, ChannelExplanation, Explanation, HandOverError, Limits, Load, Notice, RouteExplanation, Router};
pub use setup::{Setup, Surroundings};
pub use webhook::WebhookRequest;
