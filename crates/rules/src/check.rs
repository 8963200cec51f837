//! Rule files: as written, then validated (Prometheus documentation, "Recording rules", "Alerting rules"). Everything that is wrong is said in one run.

mod duplicates;
mod rule;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use diagnostics::yaml::Spanned;
use diagnostics::{Diagnostic, Place, Severity, Text};
use gotemplate::Functions;

use crate::document::{Document, Fields, Node, Written};
use crate::lint;
use crate::model::{Field, Group, Rule, RuleSet};
use crate::render;

/// A rule file: its name for messages and its text.
#[derive(Clone, Copy, Debug)]
pub struct RuleSource<'t> {
    /// Name or path as the user gave it; a group's identity is this and its name.
    pub file: &'t str,
    /// The text.
    pub text: &'t str,
}

/// How strictly to look.
#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// Unknown keys are accepted (`--ignore-unknown-fields`).
    pub unknown_keys: UnknownKeys,
    /// Which warnings are looked for.
    pub lints: Lints,
    /// Time between two scrapes, for the lint on short ranges, milliseconds.
    pub scrape_interval_ms: Option<i64>,
    /// Metric names that exist (`--online`), for the lint on metrics that nobody exposes.
    pub known_metrics: Option<BTreeSet<String>>,
}

/// What to do about keys that are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownKeys {
    /// Report each.
    #[default]
    Refuse,
    /// Ignore them.
    Ignore,
}

/// Which warnings are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lints {
    /// All.
    #[default]
    All,
    /// Duplicate rules only (promtool's default).
    Duplicates,
    /// None.
    None,
}

/// What was read, and what is to be said of it.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The rules without an error; to be put to use only when [`is_usable`](Self::is_usable).
    pub rules: RuleSet,
    /// Errors and warnings, by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// Rules read per file, also wrong ones, in the order of the files.
    pub counts: Vec<usize>,
}

/// Reads and checks rule files.
pub fn check(sources: &[RuleSource<'_>], options: &CheckOptions) -> Checked {
    let functions = render::table();
    let mut checked = Checked::default();
    for source in sources {
        let mut reader = Reader { document: Document::new(source.file, source.text, options.unknown_keys), functions: &functions, options, rules: 0 };
        let groups = reader.groups();
        let mut found = reader.document.found;
        found.sort_by_key(|one| (one.place, one.code));
        checked.counts.push(reader.rules);
        checked.diagnostics.append(&mut found);
        checked.rules.groups.extend(groups.into_iter().map(Arc::new));
    }
    if options.lints != Lints::None {
        checked.diagnostics.extend(duplicates::find(&checked.rules));
    }
    checked
}

/// Reads one file.
struct Reader<'t> {
    document: Document<'t>,
    functions: &'t Functions,
    options: &'t CheckOptions,
    rules: usize,
}

const GROUP_KEYS: &[&str] = &["name", "interval", "query_offset", "limit", "labels", "rules"];

// === impl Checked ===

impl Checked {
    /// Whether nothing found is an error.
    pub fn is_usable(&self) -> bool {
        self.diagnostics.iter().all(|found| found.severity != Severity::Error)
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn error(&mut self, code: &'static str, message: Text, place: Place) {
        self.document.say(Diagnostic::error(code, message), place);
    }

    fn groups(&mut self) -> Vec<Group> {
        let first = first_document(self.document.source);
        if first.len() < self.document.source.len() {
            let place = Place::of_offset(self.document.source, first.len(), 3);
            let message = Text::new("only the first YAML document is used", "只使用第一个 YAML 文档");
            self.document.say(Diagnostic::warning("W110", message), place);
            self.document.source = first;
        }
        let Some(tree) = self.document.tree() else { return Vec::new() };
        if matches!(tree.value, Node::Null) {
            return Vec::new();
        }
        let Some(fields) = self.document.fields(&tree, &["groups"]) else { return Vec::new() };
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut groups = Vec::new();
        for node in self.document.list(fields.get("groups")) {
            if let Some(group) = self.group(node) {
                if let Some(line) = names.insert(group.0.name.clone(), group.1.line) {
                    let message = Text::new(
                        format!("group `{}` is defined twice, first in line {line}", group.0.name),
                        format!("规则组 `{}` 重复定义，首次定义在第 {line} 行", group.0.name),
                    );
                    self.error("E110", message, group.1);
                }
                groups.push(group.0);
            }
        }
        groups
    }

    /// A group and the place of its name; `None` when it has none, having said so.
    fn group(&mut self, node: &Spanned<Node>) -> Option<(Group, Place)> {
        let fields = self.document.fields(node, GROUP_KEYS)?;
        let name = fields.get("name").and_then(|node| self.document.text(node)).filter(|name| !name.text.is_empty());
        if name.is_none() {
            let place = fields.key_place("name").unwrap_or(Place { len: 1, ..fields.place });
            self.error("E110", Text::new("the group has no name", "规则组没有名称"), place);
        }
        // Zero stands for the default, as in Prometheus.
        let interval_ms = self.duration(fields, "interval").filter(|ms| *ms > 0);
        let query_offset_ms = self.duration(fields, "query_offset");
        let limit = self.limit(fields);
        let labels = self.labels(fields);
        let mut rules: Vec<Arc<Rule>> = Vec::new();
        for node in self.document.list(fields.get("rules")) {
            self.rules += 1;
            rules.extend(self.rule(node, &labels).map(Arc::new));
        }
        let (name, place) = name.map_or_else(|| (String::new(), fields.place), |name| (name.text, name.place));
        let digest = digest(&name, (interval_ms, query_offset_ms, limit), &rules);
        Some((Group { file: self.document.file.into(), name, interval_ms, query_offset_ms, limit, rules, digest }, place))
    }

    fn duration(&mut self, fields: Fields<'_>, key: &str) -> Option<i64> {
        let text = fields.get(key).and_then(|node| self.document.text(node))?;
        let read = promql::parse::duration_ms(&text.text);
        if read.is_none() {
            let message = Text::new(format!("`{key}` is not a duration: {:?}", text.text), format!("`{key}` 不是有效的时长：{:?}", text.text));
            let expected = Text::new("such as 30s, 5m or 1h30m", "例如 30s、5m 或 1h30m");
            self.document.say(Diagnostic::error("E112", message).expected(expected), text.place);
        }
        read
    }

    fn limit(&mut self, fields: Fields<'_>) -> usize {
        let Some(text) = fields.get("limit").and_then(|node| self.document.text(node)) else { return 0 };
        let read = text.text.parse::<i64>().map(|limit| usize::try_from(limit).unwrap_or(0));
        read.unwrap_or_else(|_| {
            let message = Text::new(format!("`limit` is not a whole number: {:?}", text.text), format!("`limit` 不是整数：{:?}", text.text));
            self.error("E117", message, text.place);
            0
        })
    }

    /// A name that Prometheus takes since 3.0, but that must be quoted wherever it is used.
    fn unusual_name(&mut self, name: &Written) {
        if self.options.lints == Lints::All {
            let message = Text::new(
                format!("{:?} must be written in quotes wherever it is used, and older tools refuse it", name.text),
                format!("{:?} 在使用处必须加引号，旧工具会拒绝它", name.text),
            );
            self.document.say(Diagnostic::warning("W121", message), name.place);
        }
    }

    /// Names and texts under `labels`, the names checked.
    fn labels(&mut self, fields: Fields<'_>) -> Vec<(Written, Written)> {
        let labels = self.document.texts(fields.get("labels"));
        for (name, _) in &labels {
            if name.text.is_empty() || name.text == promql::labels::METRIC_NAME {
                let message = Text::new(format!("{:?} is not a label name", name.text), format!("{:?} 不是有效的标签名", name.text));
                self.error("E115", message, name.place);
            } else if !promql::labels::is_label_name(&name.text) {
                self.unusual_name(name);
            }
        }
        labels
    }
}

/// The text up to a second document.
fn first_document(source: &str) -> &str {
    let mut at = 0;
    let mut content = false;
    for line in source.split_inclusive('\n') {
        let word = line.trim_end();
        let marks = word == "---" || word.starts_with("--- ");
        if (marks && content) || word == "..." {
            return source.get(..at).unwrap_or(source);
        }
        content |= !marks && !word.is_empty() && !word.starts_with('#') && !word.starts_with('%');
        at += line.len();
    }
    source
}

/// A number that is equal for groups that behave alike (FNV-1a over their text).
fn digest(name: &str, (interval, offset, limit): (Option<i64>, Option<i64>, usize), rules: &[Arc<Rule>]) -> u64 {
    let texts = |fields: &BTreeMap<String, Field>| fields.iter().map(|(name, field)| (name.clone(), field.text.clone())).collect::<Vec<_>>();
    let mut parts = vec![format!("{name:?}{interval:?}{offset:?}{limit}")];
    parts.extend(rules.iter().map(|rule| match &**rule {
        Rule::Alert(rule) => {
            let times = (rule.for_ms, rule.keep_firing_for_ms);
            format!("alert{:?}{:?}{times:?}{:?}{:?}", rule.name, rule.query, texts(&rule.labels), texts(&rule.annotations))
        }
        Rule::Record(rule) => format!("record{:?}{:?}{:?}", rule.name, rule.query, rule.labels),
    }));
    parts.concat().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Adds what the lints found.
fn say_lints(document: &mut Document<'_>, found: Vec<lint::Finding>, expr: &Written) {
    for finding in found {
        let place = match finding.at {
            lint::At::Expr(span) => {
                expr.inside(document.source, span.start, expr.text.get(span.start..span.end).map_or(1, |text| text.chars().count()))
            }
            lint::At::Place(place) => place,
        };
        let mut diagnostic = Diagnostic::warning(finding.code, finding.message);
        diagnostic.hint = finding.hint;
        document.say(diagnostic, place);
    }
}
