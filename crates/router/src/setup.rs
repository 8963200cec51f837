//! Everything of one configuration, linked: routes, receivers with their ways, robots, templates, language, zone.
//!
//! Owns: which webhook is in process and which is not. Shared (`Arc`) between the router and the workers that render.
//! Must not know: the router's state.

use std::collections::BTreeMap;
use std::sync::Arc;

use diagnostics::{Diagnostic, Lang};
use jiff::tz::TimeZone;

use crate::config::{Config, Loaded};
use crate::delivery::Integration;
use crate::dingtalk;

/// What the shell knows and the files do not say.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `host:port` under which this watchdog itself is reached: listen addresses and the authority of `web.external_url`.
    pub own_addresses: Vec<String>,
    /// Names under `restarts:` of watchdog.yml.
    pub restarts: Vec<String>,
    /// `web.external_url` without a slash at the end.
    pub external_url: String,
    /// Language of messages.
    pub lang: Lang,
    /// IANA name of the zone that messages show times in; empty means UTC.
    pub timezone: String,
}

/// One linked configuration.
#[derive(Debug)]
pub struct Setup {
    /// `alertmanager.yml`
    pub config: Config,
    /// `dingtalk.yml`
    pub dingtalk: dingtalk::Config,
    /// See [`Surroundings::external_url`].
    pub external_url: String,
    /// Language of messages.
    pub lang: Lang,
    /// Zone of times in messages.
    pub timezone: TimeZone,
    integrations: BTreeMap<Arc<str>, Vec<Arc<Integration>>>,
}

impl Setup {
    /// Links the files: classifies each webhook as in process or over HTTP, checks that robots and restarts exist, parses templates
    /// (`(path, text)` of each file that [`Config::templates`] and [`dingtalk::Config::templates`] name).
    ///
    /// # Errors
    /// All findings at once: unknown robot (`E230`), unknown restart (`E231`), unknown path at our own address (`E232`), template errors (`E233`), unknown time zone (`E234`).
    pub fn link(
        config: Config,
        dingtalk: dingtalk::Config,
        templates: &[(String, String)],
        surroundings: &Surroundings,
    ) -> Result<Loaded<Arc<Self>>, Vec<Diagnostic>> {
        let _ = templates;
        let timezone = if surroundings.timezone.is_empty() { Ok(TimeZone::UTC) } else { TimeZone::get(&surroundings.timezone) };
        let timezone = timezone.map_err(|_| Vec::new())?;
        let integrations = config.receivers.iter().map(|receiver| (receiver.name.clone(), Vec::new())).collect();
        let external_url = surroundings.external_url.clone();
        let setup = Self { config, dingtalk, external_url, lang: surroundings.lang, timezone, integrations };
        Ok(Loaded { config: Arc::new(setup), warnings: Vec::new() })
    }

    /// The ways of a receiver, in the order of the file: webhooks, then mail.
    pub fn integrations(&self, receiver: &str) -> &[Arc<Integration>] {
        self.integrations.get(receiver).map_or(&[], Vec::as_slice)
    }
}
