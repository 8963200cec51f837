//! Receivers: webhooks and mail with the defaults of `global`, others named as not delivered.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Place, Text};

use super::check::duration;
use super::findings::{Findings, hint};
use super::scalars::Word;
use super::written::{self, Global};
use super::{Email, HttpConfig, Receiver, Secret, SecretSource, Webhook, http, url};

/// All receivers in the order of the file.
pub(super) fn all(written: &[Spanned<written::Receiver>], global: &Global, findings: &mut Findings) -> Vec<Receiver> {
    let mut names = BTreeSet::new();
    let default_http = global.http_config.as_ref().map(|config| http::config(config, findings)).unwrap_or_default();
    let mut out = Vec::new();
    for receiver in written {
        let name = &receiver.value.name;
        if name.value.is_empty() {
            findings.error("E208", place_of(name), Text::new("a receiver's name is empty", "receiver 名称为空"));
        } else if !names.insert(name.value.clone()) {
            let message = Text::new(format!("receiver `{}` is defined twice", name.value), format!("receiver `{}` 重复定义", name.value));
            findings.error("E206", place_of(name), message);
        }
        out.push(one(&receiver.value, global, &default_http, findings));
    }
    out
}

fn one(written: &written::Receiver, global: &Global, default_http: &HttpConfig, findings: &mut Findings) -> Receiver {
    let webhooks = written.webhook_configs.iter().map(|config| webhook(config, default_http, findings)).collect();
    let emails = written.email_configs.iter().map(|config| email(config, global, findings)).collect();
    let mut undelivered = Vec::new();
    for (key, place) in others(written) {
        undelivered.push(key);
        let message = Text::new(
            format!("receiver `{}`: `{key}` is not delivered by Tidemark", written.name.value),
            format!("receiver `{}`：Tidemark 不投递 `{key}`", written.name.value),
        );
        hint(
            findings.warning("W201", place, message),
            "alerts routed here do not arrive this way; use webhook_configs or email_configs",
            "发往此处的告警不会以该方式送达；请使用 webhook_configs 或 email_configs",
        );
    }
    Receiver { name: written.name.value.as_str().into(), webhooks, emails, undelivered }
}

/// The integrations that are accepted and not delivered, with the place of the first of each kind.
fn others(written: &written::Receiver) -> Vec<(&'static str, Place)> {
    let all = [
        ("discord_configs", &written.discord_configs),
        ("incidentio_configs", &written.incidentio_configs),
        ("jira_configs", &written.jira_configs),
        ("mattermost_configs", &written.mattermost_configs),
        ("msteams_configs", &written.msteams_configs),
        ("msteamsv2_configs", &written.msteamsv2_configs),
        ("opsgenie_configs", &written.opsgenie_configs),
        ("pagerduty_configs", &written.pagerduty_configs),
        ("pushover_configs", &written.pushover_configs),
        ("rocketchat_configs", &written.rocketchat_configs),
        ("slack_configs", &written.slack_configs),
        ("sns_configs", &written.sns_configs),
        ("telegram_configs", &written.telegram_configs),
        ("victorops_configs", &written.victorops_configs),
        ("webex_configs", &written.webex_configs),
        ("wechat_configs", &written.wechat_configs),
    ];
    all.iter().filter_map(|(key, list)| list.first().map(|first| (*key, place_of(first)))).collect()
}

fn webhook(written: &Spanned<written::Webhook>, default_http: &HttpConfig, findings: &mut Findings) -> Webhook {
    let config = &written.value;
    let place = config.url.as_ref().map_or_else(|| place_of(written), place_of);
    let url = match (&config.url, &config.url_file) {
        (Some(url), None) => {
            check_url(url, findings);
            SecretSource::Inline(Secret::new(url.value.clone()))
        }
        (None, Some(file)) => SecretSource::File(file.value.as_str().into()),
        (given, _) => {
            let text = if given.is_some() {
                Text::new("`url` and `url_file` exclude each other", "`url` 与 `url_file` 只能写一个")
            } else {
                Text::new("a webhook needs `url` or `url_file`", "webhook 需要 `url` 或 `url_file`")
            };
            findings.error("E216", place, text);
            SecretSource::Inline(Secret::new(""))
        }
    };
    Webhook {
        url,
        send_resolved: config.send_resolved.unwrap_or(true),
        max_alerts: config.max_alerts,
        timeout: config.timeout.as_ref().map(|word| duration(Some(word), std::time::Duration::ZERO, findings)).filter(|timeout| !timeout.is_zero()),
        http: config.http_config.as_ref().map_or_else(|| default_http.clone(), |own| http::config(own, findings)),
        payload: config.payload.clone(),
        place,
    }
}

fn check_url(word: &Word, findings: &mut Findings) {
    let templated = word.value.contains("{{");
    if !templated && url::parse(&word.value).is_none() {
        let message = Text::new("this is not an http or https URL", "不是 http 或 https 的 URL");
        hint(findings.error("E221", place_of(word), message), "write http://HOST:PORT/PATH", "写法：http://主机:端口/路径");
    }
}

/// A secret or the file that holds it; both is a finding.
pub(super) fn secret(inline: Option<&Word>, file: Option<&Word>, key: &str, findings: &mut Findings) -> Option<SecretSource> {
    match (inline, file) {
        (Some(_), Some(file)) => {
            let message = Text::new(format!("`{key}` and `{key}_file` exclude each other"), format!("`{key}` 与 `{key}_file` 只能写一个"));
            findings.error("E217", place_of(file), message);
            None
        }
        (Some(inline), None) => Some(SecretSource::Inline(Secret::new(inline.value.clone()))),
        (None, Some(file)) => Some(SecretSource::File(file.value.as_str().into())),
        (None, None) => None,
    }
}

fn email(written: &Spanned<written::Email>, global: &Global, findings: &mut Findings) -> Email {
    let config = &written.value;
    let text = |own: &Option<String>, default: &Option<String>| own.clone().or_else(|| default.clone()).unwrap_or_default();
    let to = required(config.to.as_ref(), None, "to", place_of(written), findings);
    let from = required(config.from.as_ref(), global.smtp_from.as_ref(), "from", place_of(written), findings);
    let host = required(config.smarthost.as_ref(), global.smtp_smarthost.as_ref(), "smarthost", place_of(written), findings);
    let own_secret =
        [&config.auth_password, &config.auth_password_file, &config.auth_secret, &config.auth_secret_file].iter().any(|key| key.is_some());
    let password =
        if own_secret { (&config.auth_password, &config.auth_password_file) } else { (&global.smtp_auth_password, &global.smtp_auth_password_file) };
    let cram = if own_secret { (&config.auth_secret, &config.auth_secret_file) } else { (&global.smtp_auth_secret, &global.smtp_auth_secret_file) };
    let hello = text(&config.hello, &global.smtp_hello);
    Email {
        send_resolved: config.send_resolved,
        to,
        from,
        smarthost: smarthost(&host, config.smarthost.as_ref().or(global.smtp_smarthost.as_ref()), findings),
        hello: if hello.is_empty() { "localhost".to_owned() } else { hello },
        auth_username: text(&config.auth_username, &global.smtp_auth_username),
        auth_password: secret(password.0.as_ref(), password.1.as_ref(), "auth_password", findings),
        auth_secret: secret(cram.0.as_ref(), cram.1.as_ref(), "auth_secret", findings),
        auth_identity: text(&config.auth_identity, &global.smtp_auth_identity),
        require_tls: config.require_tls.or(global.smtp_require_tls).unwrap_or(true),
        force_implicit_tls: config.force_implicit_tls.or(global.smtp_force_implicit_tls),
        tls: config.tls_config.as_ref().or(global.smtp_tls_config.as_ref()).map(|tls| http::tls(&tls.value, findings)).unwrap_or_default(),
        headers: headers(config, findings),
        html: config.html.clone(),
        text: config.text.clone(),
        threading: threading(config, findings),
        place: place_of(written),
    }
}

fn required(own: Option<&Word>, default: Option<&Word>, key: &str, place: Place, findings: &mut Findings) -> String {
    let value = own.or(default).map(|word| word.value.clone()).unwrap_or_default();
    if value.is_empty() {
        let global = if key == "to" { String::new() } else { format!(", here or as `smtp_{key}` in global") };
        let zh_global = if key == "to" { String::new() } else { format!("（写在此处，或写成 global 中的 `smtp_{key}`）") };
        findings.error("E214", place, Text::new(format!("mail needs `{key}`{global}"), format!("邮件缺少 `{key}`{zh_global}")));
    }
    value
}

fn smarthost(text: &str, word: Option<&Word>, findings: &mut Findings) -> (String, u16) {
    let parts =
        text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))).filter(|(host, port)| !host.is_empty() && *port > 0);
    match (parts, word) {
        (Some((host, port)), _) => (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port),
        (None, Some(word)) if !text.is_empty() => {
            let message = Text::new(format!("`{text}` is not HOST:PORT"), format!("`{text}` 不是 主机:端口"));
            hint(findings.error("E224", place_of(word), message), "write smtp.example.com:587", "写法：smtp.example.com:587");
            (String::new(), 0)
        }
        _ => (String::new(), 0),
    }
}

/// Header templates under their canonical names.
fn headers(config: &written::Email, findings: &mut Findings) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (name, value) in config.headers.iter().flat_map(|pairs| &pairs.0) {
        if out.insert(canonical(&name.value), value.value.clone()).is_some() {
            let message =
                Text::new(format!("header `{}` is given twice", canonical(&name.value)), format!("邮件头 `{}` 重复", canonical(&name.value)));
            findings.error("E215", place_of(name), message);
        }
    }
    out
}

/// A header's name as MIME writes it: `reply-to` → `Reply-To`.
fn canonical(name: &str) -> String {
    let mut up = true;
    let case = |c: char| {
        let out = if up { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        up = c == '-';
        out
    };
    name.chars().map(case).collect()
}

fn threading(config: &written::Email, findings: &mut Findings) -> Option<bool> {
    let threading = config.threading.as_ref().filter(|threading| threading.enabled)?;
    match threading.thread_by_date.as_ref().map_or("daily", |word| word.value.as_str()) {
        "daily" => Some(true),
        "none" => Some(false),
        other => {
            let place = threading.thread_by_date.as_ref().map(place_of).unwrap_or_default();
            let message = Text::new(format!("`{other}` is not a value of thread_by_date"), format!("`{other}` 不是 thread_by_date 的取值"));
            findings.error("E225", place, message).expected = Some(Text::same("daily | none"));
            None
        }
    }
}
