//! The router's files, read and linked: `alertmanager.yml`, its templates, `dingtalk.yml`.
//!
//! Owns: reading them from disk, secrets of `dingtalk.yml` from the environment. Must not know: what they mean; `crates/router` does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use diagnostics::{Diagnostic, Place, Text};
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
    let routes = findings.read(path).and_then(|(name, text)| accept(router::config::load(&name, &text), &mut findings));
    let robots = match &config.dingtalk_file {
        Some(path) => findings.read(path).and_then(|(name, text)| robots(&name, &text, &mut findings)),
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

fn accept<T>(loaded: Result<router::config::Loaded<T>, Vec<Diagnostic>>, findings: &mut Findings) -> Option<T> {
    match loaded {
        Ok(loaded) => {
            findings.list.extend(loaded.warnings);
            Some(loaded.config)
        }
        Err(found) => {
            findings.list.extend(found);
            None
        }
    }
}

/// The robots of dingtalk.yml. Findings point into the file as written: the expanded text holds secrets.
fn robots(file: &str, text: &str, findings: &mut Findings) -> Option<dingtalk::Config> {
    let Expanded { text: expanded, missing, empty } = with_environment(text, |name| std::env::var(name).ok());
    let loaded = dingtalk::load(file, &expanded).map_err(|found| found.into_iter().map(|one| with_empty(one, &empty)).collect());
    if missing.is_empty() {
        return accept(loaded, findings);
    }
    // What else is wrong on the line of a missing variable is that it is missing.
    let other = |found: &Diagnostic| found.place.is_none_or(|at| missing.iter().all(|(_, place)| place.line != at.line));
    findings.list.extend(loaded.map_or_else(|found| found, |loaded| loaded.warnings).into_iter().filter(other));
    findings.list.extend(missing.iter().map(|(name, place)| unset(name).in_file(file).at(*place)));
    None
}

/// A finding on the line of a variable that is set to nothing is most likely because of that.
fn with_empty(found: Diagnostic, empty: &[(String, Place)]) -> Diagnostic {
    let because = empty.iter().find(|(_, place)| found.place.is_some_and(|at| at.line == place.line));
    match because {
        Some((name, _)) => {
            found.hint(Text::new(format!("the environment variable {name} is set, but empty"), format!("环境变量 {name} 已设置，但内容为空")))
        }
        None => found,
    }
}

fn unset(name: &str) -> Diagnostic {
    let message = Text::new(format!("the environment variable {name} is not set"), format!("环境变量 {name} 没有设置"));
    Diagnostic::error("E312", message).hint(Text::new(
        format!("set it before the start (export {name}='…'), or give a file instead: url_file, secret_file"),
        format!("请在启动前设置（export {name}='…'），或改用文件：url_file、secret_file"),
    ))
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
    files.iter().filter_map(|path| findings.read(path)).collect()
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

fn directory(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A file with the environment's values in it; variables with the places where they are named.
#[derive(Debug, Default)]
struct Expanded {
    text: String,
    /// Not set: these stay as they are written.
    missing: Vec<(String, Place)>,
    /// Set to nothing.
    empty: Vec<(String, Place)>,
}

/// `${NAME}` replaced by the environment's value, comments excepted.
fn with_environment(text: &str, value_of: impl Fn(&str) -> Option<String>) -> Expanded {
    let mut out = Expanded::default();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let at = text.len() - after.len() - "${".len();
        out.text.push_str(before);
        rest = after;
        let named = after.split_once('}').filter(|(name, _)| is_variable(name) && !in_comment(text.get(..at).unwrap_or_default()));
        let Some((name, tail)) = named else {
            out.text.push_str("${");
            continue;
        };
        let written = || (name.to_owned(), Place::of_offset(text, at, name.len() + "${}".len()));
        match value_of(name) {
            Some(value) if value.is_empty() => out.empty.push(written()),
            Some(value) => out.text.push_str(&value),
            None => {
                out.missing.push(written());
                out.text.extend(["${", name, "}"]);
            }
        }
        rest = tail;
    }
    out.text.push_str(rest);
    out
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether what follows `before` is in a YAML comment: a `#` at the start of the line or behind a blank.
fn in_comment(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.starts_with('#') || line.contains(" #") || line.contains("\t#")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_those_without_a_value_are_named_with_their_place() {
        let value_of = |name: &str| [("SET", "value"), ("EMPTY", "")].iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let text = "# ${NONE}\nurl: ${SET}/${MISSING}/${EMPTY} # ${NONE}\nkeep: ${not a name} ${\n";
        let expanded = with_environment(text, value_of);
        assert_eq!(expanded.text, text.replace("${SET}", "value").replace("${EMPTY}", ""));
        assert_eq!(expanded.missing, [("MISSING".to_owned(), Place { line: 2, column: 13, len: 10 })]);
        assert_eq!(expanded.empty, [("EMPTY".to_owned(), Place { line: 2, column: 24, len: 8 })]);
    }
}
