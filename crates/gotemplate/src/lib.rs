//! Go's text/template, as rule annotations and notification templates need it.
//!
//! Owns: the template language (<https://pkg.go.dev/text/template>), Go's `fmt` verbs and time layouts, the function tables of
//! Prometheus's annotations ("Template reference") and of Alertmanager's and the DingTalk webhook's messages.
//! Must not know: rules, alerts, receivers, clocks. What depends on the moment or on a store is asked from a [`Host`].
//!
//! # Layout
//! [`Value`] is what flows, [`TemplateSet`] is what is parsed, [`Functions`] is what may be called, [`Env`] is the moment of a rendering.
//! ```
//! use gotemplate::{Env, TemplateSet, Value, functions};
//! let mut set = TemplateSet::new(functions::prometheus());
//! set.parse("summary", "{{ .instance }} is {{ 1536.0 | humanize1024 }}").unwrap();
//! let data = Value::strings([("instance", "md-1")]);
//! assert_eq!(set.render("summary", &data, &Env::at_ms(0)).unwrap(), "md-1 is 1.5ki");
//! ```
#![forbid(unsafe_code)]

mod ast;
mod builtins;
mod env;
mod error;
pub mod escape;
mod exec;
pub mod format;
pub mod functions;
mod kv;
mod lex;
mod literal;
mod parse;
mod set;
pub mod time;
mod value;

pub use env::{Env, Escape, Host, Limits, NoHost};
pub use error::{Error, Stage, Unknown};
pub use functions::{Arity, Functions};
pub use kv::{Kv, pairs};
pub use set::TemplateSet;
pub use value::{Map, Object, Struct, Value};
