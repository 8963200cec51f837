//! `alertmanager.yml`, validated: what the router works with.
//!
//! Owns: the meaning of the file. As written it is in [`written`], the checks that turn one into the other are in `check`.
//! Must not know: how files are read; a shell passes their text, reads the secret files that are named, and expands the template globs.

mod check;
pub(crate) mod findings;
mod http;
mod intervals;
pub(crate) mod masked;
mod matchers;
mod payload;
mod receivers;
mod routes;
pub mod scalars;
pub(crate) mod url;
pub mod written;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use diagnostics::{Diagnostic, Place};

pub use http::{Auth, HttpConfig, OAuth2, TlsConfig};
pub use payload::Payload;

use crate::inhibit::InhibitRule;
use crate::interval::TimeInterval;
use crate::route::RouteTree;

/// A validated `alertmanager.yml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Path as the user gave it.
    pub file: String,
    /// Text of the file with every secret replaced by `<secret>`: what `/api/v2/status` shows and amtool loads.
    pub original: String,
    /// How long an alert without an end is taken as firing after its last post.
    pub resolve_timeout: Duration,
    /// Globs of template files, relative to the configuration file.
    pub templates: Vec<String>,
    /// The tree.
    pub routes: RouteTree,
    /// In the order of the file.
    pub receivers: Vec<Receiver>,
    /// In the order of the file.
    pub inhibit_rules: Vec<InhibitRule>,
    /// By name.
    pub intervals: BTreeMap<String, Vec<TimeInterval>>,
}

/// A configuration that can be used, and what its author should still hear.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The configuration.
    pub config: T,
    /// Warnings, in the order of the file.
    pub warnings: Vec<Diagnostic>,
}

/// One receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Its name.
    pub name: Arc<str>,
    /// `webhook_configs`
    pub webhooks: Vec<Webhook>,
    /// `email_configs`
    pub emails: Vec<Email>,
    /// Keys of integrations that Tidemark accepts and does not deliver (`slack_configs`, …); each was a warning.
    pub undelivered: Vec<&'static str>,
}

/// One entry of `webhook_configs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Where to.
    pub url: SecretSource,
    /// Whether resolved alerts are sent.
    pub send_resolved: bool,
    /// Alerts in one message at most; 0 means all.
    pub max_alerts: usize,
    /// Time for one attempt; `None`: the worker's own.
    pub timeout: Option<Duration>,
    /// How to connect.
    pub http: HttpConfig,
    /// A body of the user's own, in place of the standard one.
    pub payload: Option<Payload>,
    /// Where the URL is written.
    pub place: Place,
}

/// One entry of `email_configs`, with the defaults of `global` filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    /// Whether resolved alerts are sent.
    pub send_resolved: bool,
    /// Comma-separated addresses.
    pub to: String,
    /// Sender.
    pub from: String,
    /// `(host, port)` of the mail server.
    pub smarthost: (String, u16),
    /// Name we greet with.
    pub hello: String,
    /// User name; empty: no authentication.
    pub auth_username: String,
    /// For PLAIN and LOGIN.
    pub auth_password: Option<SecretSource>,
    /// For CRAM-MD5.
    pub auth_secret: Option<SecretSource>,
    /// For PLAIN; usually empty.
    pub auth_identity: String,
    /// Whether STARTTLS is demanded where TLS is not implicit.
    pub require_tls: bool,
    /// Implicit TLS: `None` means by port (465).
    pub force_implicit_tls: Option<bool>,
    /// TLS settings.
    pub tls: TlsConfig,
    /// Header templates by canonical name; without `Subject`, `To`, `From` the defaults are used.
    pub headers: BTreeMap<String, String>,
    /// HTML body template; `None`: our default. Empty: no HTML part.
    pub html: Option<String>,
    /// Text body template; `None`: our default (Alertmanager has none). Empty: no text part.
    pub text: Option<String>,
    /// Where the entry stands.
    pub place: Place,
    /// Threading of messages of one group: `Some(true)` a thread a day, `Some(false)` one thread, `None` off.
    pub threading: Option<bool>,
}

/// A secret in memory: never shown by `Debug` or `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A secret, or the file that holds it (read by the shell at each use, blanks at the end trimmed).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In the configuration itself.
    Inline(Secret),
    /// In this file, relative to the configuration file.
    File(PathBuf),
}

/// Reads and checks `alertmanager.yml`.
///
/// # Errors
/// All errors of form (codes `E001`–`E006`) and of meaning (codes `E2xx`), each with its place.
pub fn load(file: &str, text: &str) -> Result<Loaded<Config>, Vec<Diagnostic>> {
    let (written, misread) = diagnostics::yaml::read_all::<written::Config>(file, text);
    let Some(written) = written else { return Err(misread) };
    let checked = check::check(file, text, &written);
    if misread.is_empty() { checked } else { Err(in_order(misread, checked.err())) }
}

/// Errors of form and of meaning, in the order of the file. What is said of no place is that something is missing: it may be what could not be read.
pub(crate) fn in_order(mut form: Vec<Diagnostic>, meaning: Option<Vec<Diagnostic>>) -> Vec<Diagnostic> {
    form.extend(meaning.unwrap_or_default().into_iter().filter(|found| found.place.is_some()));
    form.sort_by_key(|found| found.place);
    form
}

// === impl Secret ===

impl Secret {
    /// A secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

// === impl SecretSource ===

impl SecretSource {
    /// The text when it is in the configuration itself.
    pub fn inline(&self) -> Option<&str> {
        match self {
            Self::Inline(secret) => Some(secret.reveal()),
            Self::File(_) => None,
        }
    }
}

// === impl Config ===

impl Config {
    /// The receiver of this name.
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| &*receiver.name == name)
    }
}
