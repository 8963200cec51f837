//! `alertmanager.yml` as written: every key that Alertmanager 0.34 knows, none that it does not.
//!
//! Owns: the form only. Must not know: what a value means (that is `check`).

use diagnostics::yaml::Spanned;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::scalars::{Pairs, Word, Words};
pub use receivers::{Authorization, BasicAuth, Email, Header, Http, OAuth2, Receiver, Threading, Tls, Webhook};

mod receivers;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"Configuration\"")]
pub struct Config {
    #[serde(default)]
    pub global: Option<Global>,
    #[serde(default)]
    pub templates: Vec<Word>,
    #[serde(default)]
    pub route: Option<Spanned<Route>>,
    #[serde(default)]
    pub receivers: Vec<Spanned<Receiver>>,
    #[serde(default)]
    pub inhibit_rules: Vec<Spanned<InhibitRule>>,
    #[serde(default)]
    pub time_intervals: Vec<NamedInterval>,
    #[serde(default)]
    pub mute_time_intervals: Option<Spanned<Vec<NamedInterval>>>,
    #[serde(default)]
    pub tracing: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub event_recorder: Option<Spanned<IgnoredAny>>,
}

/// `global`: defaults for receivers. The vendors' defaults are accepted and not used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"Configuration\"")]
pub struct Global {
    pub resolve_timeout: Option<Word>,
    pub http_config: Option<Spanned<Http>>,
    pub smtp_from: Option<Word>,
    pub smtp_smarthost: Option<Word>,
    pub smtp_hello: Option<String>,
    pub smtp_auth_username: Option<String>,
    pub smtp_auth_password: Option<Word>,
    pub smtp_auth_password_file: Option<Word>,
    pub smtp_auth_secret: Option<Word>,
    pub smtp_auth_secret_file: Option<Word>,
    pub smtp_auth_identity: Option<String>,
    pub smtp_require_tls: Option<bool>,
    pub smtp_tls_config: Option<Spanned<Tls>>,
    pub smtp_force_implicit_tls: Option<bool>,
    pub slack_api_url: Option<IgnoredAny>,
    pub slack_api_url_file: Option<IgnoredAny>,
    pub slack_app_token: Option<IgnoredAny>,
    pub slack_app_token_file: Option<IgnoredAny>,
    pub slack_app_url: Option<IgnoredAny>,
    pub pagerduty_url: Option<IgnoredAny>,
    pub opsgenie_api_url: Option<IgnoredAny>,
    pub opsgenie_api_key: Option<IgnoredAny>,
    pub opsgenie_api_key_file: Option<IgnoredAny>,
    pub wechat_api_url: Option<IgnoredAny>,
    pub wechat_api_secret: Option<IgnoredAny>,
    pub wechat_api_secret_file: Option<IgnoredAny>,
    pub wechat_api_corp_id: Option<IgnoredAny>,
    pub victorops_api_url: Option<IgnoredAny>,
    pub victorops_api_key: Option<IgnoredAny>,
    pub victorops_api_key_file: Option<IgnoredAny>,
    pub telegram_api_url: Option<IgnoredAny>,
    pub telegram_bot_token: Option<IgnoredAny>,
    pub telegram_bot_token_file: Option<IgnoredAny>,
    pub webex_api_url: Option<IgnoredAny>,
    pub rocketchat_api_url: Option<IgnoredAny>,
    pub rocketchat_token: Option<IgnoredAny>,
    pub rocketchat_token_file: Option<IgnoredAny>,
    pub rocketchat_token_id: Option<IgnoredAny>,
    pub rocketchat_token_id_file: Option<IgnoredAny>,
    pub mattermost_webhook_url: Option<IgnoredAny>,
    pub mattermost_webhook_url_file: Option<IgnoredAny>,
    pub jira_api_url: Option<IgnoredAny>,
}

/// A node of the route tree.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"Routing-related settings\"")]
pub struct Route {
    pub receiver: Option<Word>,
    pub group_by: Option<Spanned<Words>>,
    #[serde(rename = "continue")]
    pub continues: Option<Spanned<bool>>,
    #[serde(rename = "match")]
    pub match_equal: Option<Spanned<Pairs>>,
    pub match_re: Option<Spanned<Pairs>>,
    pub matchers: Option<Spanned<Words>>,
    pub group_wait: Option<Word>,
    pub group_interval: Option<Word>,
    pub repeat_interval: Option<Word>,
    pub mute_time_intervals: Option<Spanned<Words>>,
    pub active_time_intervals: Option<Spanned<Words>>,
    pub labels: Option<Spanned<Pairs>>,
    pub routes: Vec<Spanned<Route>>,
}

/// One of `inhibit_rules`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"inhibit_rule\"")]
pub struct InhibitRule {
    pub name: Option<String>,
    pub source_match: Option<Spanned<Pairs>>,
    pub source_match_re: Option<Spanned<Pairs>>,
    pub source_matchers: Option<Spanned<Words>>,
    pub target_match: Option<Spanned<Pairs>>,
    pub target_match_re: Option<Spanned<Pairs>>,
    pub target_matchers: Option<Spanned<Words>>,
    pub equal: Option<Spanned<Words>>,
}

/// One of `time_intervals`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"time_interval\"")]
pub struct NamedInterval {
    pub name: Word,
    #[serde(default)]
    pub time_intervals: Vec<Interval>,
}

/// One alternative of a named interval.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"time_interval\"")]
pub struct Interval {
    pub times: Vec<Times>,
    pub weekdays: Vec<Word>,
    pub days_of_month: Vec<Word>,
    pub months: Vec<Word>,
    pub years: Vec<Word>,
    pub location: Option<Word>,
}

/// A span within a day.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"time_interval\"")]
pub struct Times {
    pub start_time: Word,
    pub end_time: Word,
}
