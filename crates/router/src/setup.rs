//! Everything of one configuration, linked: routes, receivers with their ways, robots, templates, language, zone.
//!
//! Owns: which webhook is in process and which is not. Shared (`Arc`) between the router and the workers that render.
//! Must not know: the router's state.

use std::collections::BTreeMap;
use std::sync::Arc;

use diagnostics::{Diagnostic, Lang, Place, Text};
use gotemplate::{Functions, TemplateSet, Unknown, functions};
use jiff::tz::TimeZone;

use crate::config::findings::{Findings, suggest};
use crate::config::{Config, Loaded, Receiver, Webhook, url};
use crate::delivery::Integration;
use crate::{dingtalk, message};

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
    alertmanager_templates: TemplateSet,
    dingtalk_templates: TemplateSet,
}

/// What a webhook at our own address means.
enum OwnPath<'a> {
    Robot(&'a str),
    Restart(&'a str),
    Unknown,
}

// === impl Setup ===

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
        let mut findings = Findings::new(&config.file);
        let integrations =
            config.receivers.iter().map(|receiver| (receiver.name.clone(), ways(receiver, (&dingtalk, surroundings), &mut findings))).collect();
        let (alertmanager_templates, dingtalk_templates) = template_sets(templates, &mut findings);
        check_own_templates(&config, &alertmanager_templates, &mut findings);
        let mut found = findings.verdict().err().unwrap_or_default();
        found.extend(check_targets(&dingtalk, &dingtalk_templates));
        let timezone = zone(&surroundings.timezone);
        if timezone.is_none() {
            let name = &surroundings.timezone;
            found.push(Diagnostic::error("E234", Text::new(format!("unknown time zone `{name}`"), format!("未知的时区 `{name}`"))));
        }
        match timezone {
            Some(timezone) if found.is_empty() => {
                let (external_url, lang) = (surroundings.external_url.clone(), surroundings.lang);
                let setup = Self { config, dingtalk, external_url, lang, timezone, integrations, alertmanager_templates, dingtalk_templates };
                Ok(Loaded { config: Arc::new(setup), warnings: Vec::new() })
            }
            _ => Err(found),
        }
    }

    /// The ways of a receiver, in the order of the file: webhooks, then mail.
    pub fn integrations(&self, receiver: &str) -> &[Arc<Integration>] {
        self.integrations.get(receiver).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn alertmanager_templates(&self) -> &TemplateSet {
        &self.alertmanager_templates
    }

    pub(crate) fn dingtalk_templates(&self) -> &TemplateSet {
        &self.dingtalk_templates
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() }
}

/// The integrations of a receiver.
fn ways(receiver: &Receiver, known: (&dingtalk::Config, &Surroundings), findings: &mut Findings) -> Vec<Arc<Integration>> {
    let webhooks = receiver.webhooks.iter().map(|webhook| webhook_way(webhook, known, findings));
    let emails = receiver.emails.iter().map(|email| Integration::Email(Box::new(email.clone())));
    webhooks.chain(emails).map(Arc::new).collect()
}

fn webhook_way(webhook: &Webhook, (dingtalk, surroundings): (&dingtalk::Config, &Surroundings), findings: &mut Findings) -> Integration {
    let over_http = || Integration::Webhook(Box::new(webhook.clone()));
    let Some(path) = webhook.url.inline().and_then(|text| own_path(text, &surroundings.own_addresses)) else {
        return over_http();
    };
    match path {
        OwnPath::Robot(target) => {
            if let Some((name, _)) = dingtalk.targets.get_key_value(target) {
                return Integration::DingTalk { target: name.clone(), send_resolved: webhook.send_resolved, max_alerts: webhook.max_alerts };
            }
            let message = Text::new(format!("dingtalk.yml has no target `{target}`"), format!("dingtalk.yml 中没有 target `{target}`"));
            suggest(findings.error("E230", webhook.place, message), target, dingtalk.targets.keys().map(|name| &**name));
            over_http()
        }
        OwnPath::Restart(name) if surroundings.restarts.iter().any(|one| one == name) => Integration::Restart { name: name.into() },
        OwnPath::Restart(name) => {
            let message = Text::new(format!("watchdog.yml has no restart `{name}`"), format!("watchdog.yml 的 restarts 中没有 `{name}`"));
            suggest(findings.error("E231", webhook.place, message), name, surroundings.restarts.iter().map(String::as_str));
            over_http()
        }
        OwnPath::Unknown => {
            let message = Text::new("this is the watchdog's own address, and the path means nothing there", "这是看门狗自身的地址，但该路径无效");
            findings.error("E232", webhook.place, message).expected = Some(Text::same("/dingtalk/<target>/send | /restart/<name>"));
            over_http()
        }
    }
}

/// What a URL means when it leads to ourselves; `None` when it leads elsewhere.
fn own_path<'a>(text: &'a str, own_addresses: &[String]) -> Option<OwnPath<'a>> {
    let parts = url::parse(text)?;
    let here = |address: &String| url::host_and_port(address, 80).is_some_and(|(host, port)| host == parts.host && port == parts.port);
    if !own_addresses.iter().any(here) {
        return None;
    }
    let mut path = parts.path.trim_matches('/').split('/');
    Some(match (path.next(), path.next(), path.next(), path.next()) {
        (Some("dingtalk"), Some(target), Some("send"), None) => OwnPath::Robot(target),
        (Some("restart"), Some(name), None, None) => OwnPath::Restart(name),
        _ => OwnPath::Unknown,
    })
}

/// Users' template files over our own, once with Alertmanager's functions and once with those of the DingTalk webhook.
/// A file that only the latter's functions can read (sprig) is not an error: it is for robots.
fn template_sets(files: &[(String, String)], findings: &mut Findings) -> (TemplateSet, TemplateSet) {
    let mut alertmanager = message::builtin(functions::alertmanager());
    let mut dingtalk = message::builtin(functions::dingtalk());
    for (path, text) in files {
        let for_mail = alertmanager.parse(path, text);
        if let (Err(_), Err(error)) = (for_mail, dingtalk.parse(path, text)) {
            let place = Place { line: error.line, column: error.column, len: 1 };
            let found = findings.error("E233", place, Text::new(error.message.clone(), format!("模板有误：{}", error.zh())));
            found.file.clone_from(path);
            suggest_function(found, &error, &functions::dingtalk());
        }
    }
    (alertmanager, dingtalk)
}

/// Adds which function may have been meant when a template calls one that nobody has.
fn suggest_function(found: &mut Diagnostic, error: &gotemplate::Error, known: &Functions) {
    if let Some(Unknown::Function(name)) = &error.unknown {
        suggest(found, name, known.names());
    }
}

/// Templates that stand in alertmanager.yml itself.
fn check_own_templates(config: &Config, set: &TemplateSet, findings: &mut Findings) {
    for receiver in &config.receivers {
        for email in &receiver.emails {
            let texts = email.headers.values().chain(&email.html).chain(&email.text).chain([&email.to, &email.from]);
            for text in texts {
                if let Err(error) = set.clone().parse("alertmanager.yml", text) {
                    let name = &receiver.name;
                    let message = Text::new(
                        format!("receiver `{name}`: {} in template `{text}`", error.message),
                        format!("receiver `{name}`：模板 `{text}` 有误：{}", error.zh()),
                    );
                    suggest_function(findings.error("E233", email.place, message), &error, &functions::alertmanager());
                }
            }
        }
    }
}

/// Templates that stand in dingtalk.yml itself.
fn check_targets(config: &dingtalk::Config, set: &TemplateSet) -> Vec<Diagnostic> {
    let mut findings = Findings::new(&config.file);
    for target in config.targets.values() {
        for (text, place) in target.title.iter().chain(&target.text) {
            if let Err(error) = set.clone().parse("dingtalk.yml", text) {
                let found = findings.error("E233", *place, Text::new(error.message.clone(), format!("模板有误：{}", error.zh())));
                suggest_function(found, &error, &functions::dingtalk());
            }
        }
    }
    findings.verdict().err().unwrap_or_default()
}
