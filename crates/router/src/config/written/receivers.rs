//! Receivers as written.

use std::collections::BTreeMap;

use diagnostics::yaml::Spanned;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::payload::Payload;
use crate::config::scalars::{Pairs, Word};

/// One receiver. The integrations of other vendors are accepted and not delivered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"receiver\"")]
pub struct Receiver {
    pub name: Word,
    #[serde(default)]
    pub labels: Option<IgnoredAny>,
    #[serde(default)]
    pub webhook_configs: Vec<Spanned<Webhook>>,
    #[serde(default)]
    pub email_configs: Vec<Spanned<Email>>,
    #[serde(default)]
    pub discord_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub incidentio_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub jira_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub mattermost_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub msteams_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub msteamsv2_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub opsgenie_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub pagerduty_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub pushover_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub rocketchat_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub slack_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub sns_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub telegram_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub victorops_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub webex_configs: Vec<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub wechat_configs: Vec<Spanned<IgnoredAny>>,
}

/// One of `webhook_configs`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"webhook_config\"")]
pub struct Webhook {
    pub send_resolved: Option<bool>,
    pub url: Option<Word>,
    pub url_file: Option<Word>,
    pub http_config: Option<Spanned<Http>>,
    pub max_alerts: usize,
    pub timeout: Option<Word>,
    pub payload: Option<Payload>,
}

/// One of `email_configs`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"email_config\"")]
pub struct Email {
    pub send_resolved: bool,
    pub to: Option<Word>,
    pub from: Option<Word>,
    pub smarthost: Option<Word>,
    pub hello: Option<String>,
    pub auth_username: Option<String>,
    pub auth_password: Option<Word>,
    pub auth_password_file: Option<Word>,
    pub auth_secret: Option<Word>,
    pub auth_secret_file: Option<Word>,
    pub auth_identity: Option<String>,
    pub require_tls: Option<bool>,
    pub tls_config: Option<Spanned<Tls>>,
    pub force_implicit_tls: Option<bool>,
    pub headers: Option<Pairs>,
    pub html: Option<String>,
    pub text: Option<String>,
    pub threading: Option<Threading>,
}

/// `threading` of a mail.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"email_config\"")]
pub struct Threading {
    pub enabled: bool,
    pub thread_by_date: Option<Word>,
}

/// `http_config`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"http_config\"")]
pub struct Http {
    pub basic_auth: Option<Spanned<BasicAuth>>,
    pub authorization: Option<Spanned<Authorization>>,
    pub oauth2: Option<Spanned<OAuth2>>,
    pub bearer_token: Option<Word>,
    pub bearer_token_file: Option<Word>,
    pub enable_http2: Option<bool>,
    pub proxy_url: Option<Word>,
    pub no_proxy: Option<String>,
    pub proxy_from_environment: bool,
    pub proxy_connect_header: Option<IgnoredAny>,
    pub follow_redirects: Option<bool>,
    pub tls_config: Option<Spanned<Tls>>,
    pub http_headers: BTreeMap<String, Header>,
}

/// `basic_auth`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"http_config\"")]
pub struct BasicAuth {
    pub username: Option<Word>,
    pub username_file: Option<Word>,
    pub password: Option<Word>,
    pub password_file: Option<Word>,
}

/// `authorization`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"http_config\"")]
pub struct Authorization {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub credentials: Option<Word>,
    pub credentials_file: Option<Word>,
}

/// `oauth2`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"oauth2\"")]
pub struct OAuth2 {
    pub client_id: String,
    pub client_secret: Option<Word>,
    pub client_secret_file: Option<Word>,
    pub scopes: Vec<String>,
    pub token_url: Option<Word>,
    pub endpoint_params: BTreeMap<String, String>,
    pub tls_config: Option<Spanned<Tls>>,
    pub proxy_url: Option<Word>,
    pub no_proxy: Option<String>,
    pub proxy_from_environment: bool,
    pub proxy_connect_header: Option<IgnoredAny>,
}

/// `tls_config`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"tls_config\"")]
pub struct Tls {
    pub ca: Option<Word>,
    pub ca_file: Option<Word>,
    pub cert: Option<Word>,
    pub cert_file: Option<Word>,
    pub key: Option<Word>,
    pub key_file: Option<Word>,
    pub server_name: Option<String>,
    pub insecure_skip_verify: bool,
    pub min_version: Option<Word>,
    pub max_version: Option<Word>,
}

/// One of `http_headers`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "keys of Alertmanager's documentation, \"http_config\"")]
pub struct Header {
    pub values: Vec<String>,
    pub secrets: Vec<String>,
    pub files: Vec<String>,
}
