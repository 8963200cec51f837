//! What templates may call: Go's builtins in every table, and the tables of Prometheus, Alertmanager and the DingTalk webhook.

mod alertmanager;
mod arguments;
mod encode;
mod humanize;
mod prometheus;
mod sprig;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::{Env, Value};

pub(crate) use arguments::{WRONG_TYPE, text};
pub use humanize::{humanize, humanize_duration, humanize_percentage, humanize_timestamp, humanize1024};

/// How many arguments a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arity {
    /// At least.
    pub min: usize,
    /// At most.
    pub max: usize,
}

type Call = Arc<dyn Fn(&Env<'_>, &[Value]) -> Result<Value, String> + Send + Sync>;

#[derive(Clone)]
enum Entry {
    Here {
        arity: Arity,
        call: Call,
    },
    /// Answered by the [`Host`](crate::Host) of the rendering.
    Hosted,
}

/// A table of functions; cheap to clone.
#[derive(Clone, Default)]
pub struct Functions(Arc<BTreeMap<&'static str, Entry>>);

/// Functions of rule annotations ("Template reference" of the Prometheus documentation).
/// `query`, `now`, `externalURL` and `pathPrefix` are asked from the host; `now` falls back to the rendering's time.
pub fn prometheus() -> Functions {
    let mut table = Functions::builtin();
    prometheus::add(&mut table);
    table
}

/// Functions of Alertmanager's notification templates ("Notification template reference").
pub fn alertmanager() -> Functions {
    let mut table = Functions::builtin();
    alertmanager::add(&mut table);
    table
}

/// Functions of the DingTalk webhook's templates: Alertmanager's, `markdown`, and sprig's common ones for text, lists, numbers and times.
pub fn dingtalk() -> Functions {
    let mut table = alertmanager();
    sprig::add(&mut table);
    table
}

// === impl Arity ===

impl Arity {
    /// Exactly `count`.
    pub const fn exactly(count: usize) -> Self {
        Self { min: count, max: count }
    }

    /// `count` or more.
    pub const fn at_least(count: usize) -> Self {
        Self { min: count, max: usize::MAX }
    }

    /// `min` to `max`.
    pub const fn between(min: usize, max: usize) -> Self {
        Self { min, max }
    }

    /// What is wrong with `got` arguments for `name`, in Go's words.
    fn check(self, name: &str, got: usize) -> Result<(), String> {
        if got < self.min && self.max > self.min {
            return Err(format!("wrong number of args for {name}: want at least {} got {got}", self.min));
        }
        if got < self.min || got > self.max {
            return Err(format!("wrong number of args for {name}: want {} got {got}", self.max));
        }
        Ok(())
    }
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The function was not reached: its name or the number of arguments is wrong.
    Unfit(String),
    /// The function says no.
    Failed(String),
}

// === impl Functions ===

impl Functions {
    /// Go's builtins only.
    pub fn builtin() -> Self {
        let mut table = Self::default();
        crate::builtins::add(&mut table);
        table
    }

    /// Adds or replaces a function. Its error is shown as `error calling NAME: TEXT`.
    pub fn insert(&mut self, name: &'static str, arity: Arity, call: impl Fn(&Env<'_>, &[Value]) -> Result<Value, String> + Send + Sync + 'static) {
        Arc::make_mut(&mut self.0).insert(name, Entry::Here { arity, call: Arc::new(call) });
    }

    /// Adds a name that the [`Host`](crate::Host) of the rendering answers.
    pub fn declare(&mut self, name: &'static str) {
        Arc::make_mut(&mut self.0).insert(name, Entry::Hosted);
    }

    /// Whether a template may call `name`.
    pub fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub(crate) fn call(&self, name: &str, env: &Env<'_>, args: &[Value]) -> Result<Value, CallError> {
        match self.0.get(name) {
            Some(Entry::Here { arity, call }) => {
                arity.check(name, args.len()).map_err(CallError::Unfit)?;
                call(env, args).map_err(CallError::Failed)
            }
            Some(Entry::Hosted) => match env.host.call(name, args) {
                Some(answer) => answer.map_err(CallError::Failed),
                None => Err(CallError::Failed(format!("{name} is not available here"))),
            },
            None => Err(CallError::Unfit(format!("{name:?} is not a defined function"))),
        }
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
