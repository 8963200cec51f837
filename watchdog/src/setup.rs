//! The router's files, read and linked: `alertmanager.yml`, its templates, `dingtalk.yml`.
//!
//! Owns: reading them from disk, secrets of `dingtalk.yml` from the environment. Must not know: what they mean; `crates/router` does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use diagnostics::{Diagnostic, Text};
use router::config::{Config as Routes, SecretSource};
use router::{Setup, Surroundings, dingtalk};

use crate::config::Config;
use crate::findings::Findings;
use crate::patterns::expand;

/// A linked configuration of the router, and what its author should still hear.
#[derive(Debug)]
pub struct Linked {
    /// For the router and the workers that render.
    pub setup: Arc<Setup>,
    /// Warnings.
    pub findings: Findings,
    /// Directory that secret files of `alertmanager.yml` are relative to.
    pub base: PathBuf,
}

/// Reads and links everything that `watchdog.yml` names for the router; `None` when it names no `alertmanager.yml`.
///
/// # Errors
/// Every finding in every file.
pub fn load(config: &Config) -> Result<Option<Linked>, Findings> {
    let Some(path) = &config.alertmanager_file else { return Ok(None) };
    let mut findings = Findings::default();
    let routes = read(path, &mut findings).and_then(|text| accept(router::config::load(&name(path), &text), path, &text, &mut findings));
    let robots = match &config.dingtalk_file {
        Some(path) => read(path, &mut findings).and_then(|text| {
            // Findings point into the file as written: the expanded text holds secrets.
            accept(dingtalk::load(&name(path), &with_environment(&text)), path, &text, &mut findings)
        }),
        None => Some(dingtalk::Config::default()),
    };
    let (Some(routes), Some(mut robots)) = (routes, robots) else { return Err(findings) };
    let base = directory(path);
    config.dingtalk_file.iter().for_each(|path| anchor_secrets(&mut robots, &directory(path)));
    let templates = read_templates(&routes, &robots, (&base, config.dingtalk_file.as_deref()), &mut findings);
    if findings.has_errors() {
        return Err(findings);
    }
    match Setup::link(routes, robots, &templates, &surroundings(config)) {
        Ok(linked) => {
            findings.list.extend(linked.warnings);
            Ok(Some(Linked { setup: linked.config, findings, base }))
        }
        Err(found) => {
            findings.list.extend(found);
            Err(findings)
        }
    }
}

fn surroundings(config: &Config) -> Surroundings {
    let external_url = config.external_url();
    let authority = external_url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let mut own_addresses = vec![config.web.listen.to_string(), authority.to_owned()];
    if config.web.listen.ip().is_loopback() || config.web.listen.ip().is_unspecified() {
        own_addresses.extend([format!("127.0.0.1:{}", config.web.listen.port()), format!("localhost:{}", config.web.listen.port())]);
    }
    Surroundings {
        own_addresses,
        restarts: config.restarts.iter().map(|restart| restart.name.clone()).collect(),
        external_url,
        lang: config.lang,
        timezone: config.timezone.iana_name().unwrap_or_default().to_owned(),
    }
}

/// The text of a file; a finding when it cannot be read.
fn read(path: &Path, findings: &mut Findings) -> Option<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            findings.add(&name(path), &text, []);
            Some(text)
        }
        Err(error) => {
            let name = name(path);
            let text = Text::new(format!("cannot read {name}: {error}"), format!("无法读取 {name}：{error}"));
            findings.list.push(Diagnostic::error("E310", text).in_file(name));
            None
        }
    }
}

fn accept<T>(loaded: Result<router::config::Loaded<T>, Vec<Diagnostic>>, path: &Path, text: &str, findings: &mut Findings) -> Option<T> {
    match loaded {
        Ok(loaded) => {
            findings.add(&name(path), text, loaded.warnings);
            Some(loaded.config)
        }
        Err(found) => {
            findings.add(&name(path), text, found);
            None
        }
    }
}

fn read_templates(
    routes: &Routes,
    robots: &dingtalk::Config,
    (base, dingtalk_file): (&Path, Option<&Path>),
    findings: &mut Findings,
) -> Vec<(String, String)> {
    let robots_base = dingtalk_file.map(directory).unwrap_or_default();
    let patterns = routes.templates.iter().map(|pattern| base.join(pattern)).chain(robots.templates.iter().map(|pattern| robots_base.join(pattern)));
    let files: Vec<PathBuf> = patterns.flat_map(|pattern| expand(&pattern)).collect();
    files.iter().filter_map(|path| read(path, findings).map(|text| (name(path), text))).collect()
}

/// Secret files of robots are relative to dingtalk.yml, not to alertmanager.yml as all others.
fn anchor_secrets(robots: &mut dingtalk::Config, base: &Path) {
    let sources = robots.targets.values_mut().flat_map(|target| [Some(&mut target.url), target.secret.as_mut()]).flatten();
    for source in sources {
        if let SecretSource::File(path) = source {
            *path = std::path::absolute(base.join(&path)).unwrap_or_else(|_| base.join(&path));
        }
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn directory(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// `${NAME}` replaced by the environment's value; an unset one stays as it is, so that the check of the URL names it.
fn with_environment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let known = after.split_once('}').and_then(|(name, tail)| std::env::var(name).ok().map(|value| (value, tail)));
        if let Some((value, tail)) = known {
            out.push_str(&value);
            rest = tail;
        } else {
            out.push_str("${");
            rest = after;
        }
    }
    out.push_str(rest);
    out
}
