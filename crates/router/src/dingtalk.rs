//! DingTalk custom robots: `dingtalk.yml`, the message, the signature, the reply.
//!
//! Owns: what is sent to a robot and what its answer means. Must not know: HTTP.

mod config;
mod message;
mod reply;
mod sign;

pub use config::{Config, Target, load};
pub use message::Message;
pub use reply::{Judgement, PENALTY, classify};
pub use sign::{sign, signed_url};
