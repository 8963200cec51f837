//! A test file as it is written, checked: all that is wrong in one run.

use std::collections::BTreeMap;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Place, Text};
use promql::labels::Labels;
use promql::notation::{NotationError, expand};
use promql::parse::{duration_ms, parse_series};

use super::{AlertCase, ExpectedAlert, ExprCase, Input, Test, TestFile};
use crate::check::UnknownKeys;
use crate::document::{Document, Fields, Node, Written};

const FILE_KEYS: &[&str] = &["rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"];
const TEST_KEYS: &[&str] =
    &["name", "interval", "start_timestamp", "input_series", "alert_rule_test", "promql_expr_test", "external_labels", "external_url"];

pub(super) fn read(file: &str, text: &str, unknown_keys: UnknownKeys) -> Result<TestFile, Vec<Diagnostic>> {
    let mut reader = Reader { document: Document::new(file, text, unknown_keys) };
    let read = reader.file();
    match read {
        Some(read) if reader.document.found.is_empty() => Ok(read),
        _ => Err(reader.document.found),
    }
}

struct Reader<'t> {
    document: Document<'t>,
}

// === impl Reader ===

impl Reader<'_> {
    fn error(&mut self, code: &'static str, message: Text, place: Place) {
        self.document.say(Diagnostic::error(code, message), place);
    }

    fn file(&mut self) -> Option<TestFile> {
        let tree = self.document.tree()?;
        let fields = self.document.fields(&tree, FILE_KEYS)?;
        let evaluation_interval_ms = self.duration(fields, "evaluation_interval").filter(|ms| *ms > 0).unwrap_or(60_000);
        let rule_files =
            self.document.list(fields.get("rule_files")).iter().filter_map(|node| self.document.text(node)).map(|text| (text.text, text.place));
        let rule_files = rule_files.collect();
        let group_eval_order = self.group_order(fields);
        let fuzzy_compare = fields.get("fuzzy_compare").and_then(|node| self.document.text(node)).is_some_and(|text| text.text == "true");
        let tests = self.document.list(fields.get("tests")).iter().filter_map(|node| self.test(node, evaluation_interval_ms)).collect();
        Some(TestFile { file: self.document.file.to_owned(), rule_files, evaluation_interval_ms, group_eval_order, fuzzy_compare, tests })
    }

    fn group_order(&mut self, fields: Fields<'_>) -> Vec<String> {
        let mut order: Vec<String> = Vec::new();
        for node in self.document.list(fields.get("group_eval_order")) {
            let Some(name) = self.document.text(node) else { continue };
            if order.contains(&name.text) {
                let message = Text::new(format!("group `{}` is named twice", name.text), format!("规则组 `{}` 出现了两次", name.text));
                self.error("E130", message, name.place);
            }
            order.push(name.text);
        }
        order
    }

    fn test(&mut self, node: &Spanned<Node>, evaluation_interval_ms: i64) -> Option<Test> {
        let fields = self.document.fields(node, TEST_KEYS)?;
        let text =
            |reader: &mut Self, key: &str| fields.get(key).and_then(|node| reader.document.text(node)).map(|text| text.text).unwrap_or_default();
        Some(Test {
            name: text(self, "name"),
            place: place_of(node),
            interval_ms: self.duration(fields, "interval").filter(|ms| *ms > 0).unwrap_or(evaluation_interval_ms),
            start_ms: self.start(fields).unwrap_or(0),
            input: self.document.list(fields.get("input_series")).iter().filter_map(|node| self.input(node)).collect(),
            alerts: self.document.list(fields.get("alert_rule_test")).iter().filter_map(|node| self.alert_case(node)).collect(),
            exprs: self.document.list(fields.get("promql_expr_test")).iter().filter_map(|node| self.expr_case(node)).collect(),
            external_labels: Labels::from_pairs(self.map(fields, "external_labels").iter().map(|(name, value)| (name.as_str(), value.as_str()))),
            external_url: text(self, "external_url"),
        })
    }

    fn duration(&mut self, fields: Fields<'_>, key: &str) -> Option<i64> {
        let text = fields.get(key).and_then(|node| self.document.text(node))?;
        let read = duration_ms(&text.text);
        if read.is_none() {
            let message = Text::new(format!("`{key}` is not a duration: {:?}", text.text), format!("`{key}` 不是有效的时长：{:?}", text.text));
            self.error("E112", message, text.place);
        }
        read
    }

    fn start(&mut self, fields: Fields<'_>) -> Option<i64> {
        let text = fields.get("start_timestamp").and_then(|node| self.document.text(node))?;
        let read = unix_ms(&text.text).or_else(|| gotemplate::time::rfc3339_ms(&text.text));
        if read.is_none() {
            let message = Text::new(format!("not a time: {:?}", text.text), format!("不是有效的时间：{:?}", text.text));
            let expected = Text::new("unix seconds, or 2024-03-05T07:08:09Z", "unix 秒数，或 2024-03-05T07:08:09Z");
            self.document.say(Diagnostic::error("E130", message).expected(expected), text.place);
        }
        read
    }

    fn map(&mut self, fields: Fields<'_>, key: &str) -> BTreeMap<String, String> {
        self.document.texts(fields.get(key)).into_iter().map(|(name, value)| (name.text, value.text)).collect()
    }

    fn required(&mut self, fields: Fields<'_>, key: &str) -> Option<Written> {
        let text = fields.get(key).and_then(|node| self.document.text(node));
        if text.is_none() {
            let message = Text::new(format!("missing key `{key}`"), format!("缺少键 `{key}`"));
            self.error("E003", message, Place { len: 1, ..fields.place });
        }
        text
    }

    fn input(&mut self, node: &Spanned<Node>) -> Option<Input> {
        let fields = self.document.fields(node, &["series", "values"])?;
        let (series, values) = (self.required(fields, "series"), self.required(fields, "values"));
        let labels = self.series(&series?);
        let values = values?;
        match expand(&values.text) {
            Ok(expanded) => Some(Input { labels: labels?, values: expanded }),
            Err(error) => {
                let (NotationError::BadItem { span, .. } | NotationError::NativeHistogram { span } | NotationError::TooLong { span }) = &error;
                let place = values.inside(self.document.source, span.start, span.end - span.start);
                self.error("E131", Text::new(error.to_string(), format!("无法读取序列的值：{error}")), place);
                None
            }
        }
    }

    fn series(&mut self, text: &Written) -> Option<Labels> {
        match parse_series(&text.text) {
            Ok(labels) => Some(labels),
            Err(error) => {
                let place = text.inside(self.document.source, error.span.start, 1);
                self.error(error.code(), Text::new(error.to_string(), error.zh()), place);
                None
            }
        }
    }

    fn alert_case(&mut self, node: &Spanned<Node>) -> Option<AlertCase> {
        let fields = self.document.fields(node, &["eval_time", "alertname", "exp_alerts"])?;
        let at_ms = self.duration(fields, "eval_time").unwrap_or(0);
        let alertname = self.required(fields, "alertname")?;
        let mut expected = Vec::new();
        for node in self.document.list(fields.get("exp_alerts")) {
            let Some(alert) = self.document.fields(node, &["exp_labels", "exp_annotations"]) else { continue };
            let mut labels = self.map(alert, "exp_labels");
            labels.insert("alertname".to_owned(), alertname.text.clone());
            let annotations = self.map(alert, "exp_annotations").into_iter().collect();
            expected.push(ExpectedAlert { labels: labels.into_iter().collect(), annotations });
        }
        Some(AlertCase { place: alertname.place, at_ms, alertname: alertname.text, expected })
    }

    fn expr_case(&mut self, node: &Spanned<Node>) -> Option<ExprCase> {
        let fields = self.document.fields(node, &["expr", "eval_time", "exp_samples"])?;
        let at_ms = self.duration(fields, "eval_time").unwrap_or(0);
        let query = self.required(fields, "expr")?;
        let mut expected = Vec::new();
        for node in self.document.list(fields.get("exp_samples")) {
            expected.extend(self.sample(node));
        }
        Some(ExprCase { place: query.place, at_ms, query: query.text, expected })
    }

    fn sample(&mut self, node: &Spanned<Node>) -> Option<(Labels, f64)> {
        let fields = self.document.fields(node, &["labels", "value", "histogram"])?;
        if let Some(place) = fields.get("histogram").and(fields.key_place("histogram")) {
            self.error("E108", Text::new("native histograms are not kept here", "此处不保存原生直方图"), place);
        }
        let labels = match fields.get("labels").and_then(|node| self.document.text(node)) {
            Some(text) if !text.text.trim().is_empty() => self.series(&text)?,
            _ => Labels::default(),
        };
        let Some(text) = fields.get("value").and_then(|node| self.document.text(node)) else { return Some((labels, 0.0)) };
        let value = number(&text.text);
        if value.is_none() {
            let message = Text::new(format!("not a number: {:?}", text.text), format!("不是数字：{:?}", text.text));
            self.error("E130", message, text.place);
        }
        Some((labels, value?))
    }
}

/// A YAML number, with its own words for the infinities and NaN.
fn number(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        ".inf" | "+.inf" | "inf" | "+inf" => Some(f64::INFINITY),
        "-.inf" | "-inf" => Some(f64::NEG_INFINITY),
        ".nan" | "nan" => Some(f64::NAN),
        plain => plain.replace('_', "").parse().ok(),
    }
}

/// Milliseconds of unix seconds, perhaps with a fraction.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn unix_ms(text: &str) -> Option<i64> {
    let seconds: f64 = text.parse().ok()?;
    (seconds.abs() < 1e13).then(|| (seconds * 1000.0).round() as i64)
}
