//! Everything of one configuration read, checked and linked, or every reason why not. Nothing is started and no port is opened here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rules::{CheckOptions, RuleSet, RuleSource};

use crate::config::{self, Config};
use crate::findings::Findings;
use crate::patterns::expand;
use crate::queries::Limits;
use crate::reload;
use crate::setup::{self, Linked};

/// A configuration that can be put to work.
#[derive(Debug)]
pub struct Prepared {
    /// `watchdog.yml`.
    pub config: Arc<Config>,
    /// Rules of every rule file.
    pub rules: RuleSet,
    /// Routes, robots and templates; `None`: alerts are only shown.
    pub routes: Option<Linked>,
    /// Warnings of all files.
    pub findings: Findings,
    /// Every file that belongs to it, as patterns.
    pub patterns: Vec<PathBuf>,
    /// What the command line says besides the files.
    pub flags: Flags,
}

/// What the command line says besides the files; it changes with the next start only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags {
    /// The listen address, which wins over the file's.
    pub listen: Option<SocketAddr>,
    /// Bounds of queries.
    pub query: Limits,
}

/// Reads and checks everything that `path` names.
///
/// # Errors
/// All findings of all files.
pub fn prepare(path: &Path) -> Result<Prepared, Findings> {
    prepare_with(path, Flags::default())
}

/// The same with flags of the command line.
///
/// # Errors
/// All findings of all files.
pub fn prepare_with(path: &Path, flags: Flags) -> Result<Prepared, Findings> {
    let mut findings = Findings::default();
    let loaded = match config::load(path) {
        Ok(loaded) => loaded,
        Err((found, source)) => {
            findings.add(&source.name, &source.text, found);
            return Err(findings);
        }
    };
    findings.add(&loaded.source.name, &loaded.source.text, loaded.warnings);
    let mut config = loaded.config;
    config.web.listen = flags.listen.unwrap_or(config.web.listen);
    config.query = flags.query;
    for path in config.certificates() {
        // What it says is read again when a client is made; here it is only a file that must be there, and whose change is a change of the configuration.
        findings.read(&path);
    }
    let rules = rules_of(&config, &mut findings);
    let routes = match setup::load(&config) {
        Ok(routes) => {
            if let Some(linked) = &routes {
                merge(&mut findings, &linked.findings);
            }
            routes
        }
        Err(found) => {
            merge(&mut findings, &found);
            None
        }
    };
    if findings.has_errors() {
        return Err(findings);
    }
    let templates: Vec<PathBuf> =
        routes.iter().flat_map(|linked| linked.setup.config.templates.iter().map(|pattern| linked.base.join(pattern))).collect();
    let patterns = reload::patterns(&config, &templates);
    Ok(Prepared { config: Arc::new(config), rules, routes, findings, patterns, flags })
}

/// The rules of every rule file; what is wrong with them goes to the findings.
fn rules_of(config: &Config, findings: &mut Findings) -> RuleSet {
    let files = config.rule_files.iter().flat_map(|pattern| expand(pattern));
    let texts: Vec<(String, String)> = files.filter_map(|path| findings.read(&path)).collect();
    let sources: Vec<RuleSource<'_>> = texts.iter().map(|(file, text)| RuleSource { file, text }).collect();
    let scrape_interval_ms = i64::try_from(config.global.scrape_interval.as_millis()).ok();
    let checked = rules::check(&sources, &CheckOptions { scrape_interval_ms, ..CheckOptions::default() });
    findings.list.extend(checked.diagnostics);
    checked.rules
}

fn merge(into: &mut Findings, from: &Findings) {
    into.list.extend(from.list.iter().cloned());
    into.sources.extend(from.sources.iter().map(|(file, text)| (file.clone(), text.clone())));
}
