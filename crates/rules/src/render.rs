//! Labels and annotations of alerts as texts (Prometheus documentation, "Template reference").

use gotemplate::{Env, Error, Functions, Host, TemplateSet, Value, functions};
use promql::eval::{self, Options};
use promql::labels::Labels;
use promql::{Queryable, parse};

use crate::model::Field;

/// What a rendering may ask for beside its data.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) source: &'a dyn Queryable,
    pub(crate) options: &'a Options,
    pub(crate) external_labels: &'a Labels,
    pub(crate) external_url: &'a str,
}

/// The element of the expression that a text is about.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// Labels of the element, `__name__` included: `$labels`.
    pub(crate) labels: &'a Labels,
    pub(crate) value: f64,
    /// Time of the evaluation, unix milliseconds.
    pub(crate) at_ms: i64,
}

struct QueryHost<'a> {
    around: Surroundings<'a>,
    at_ms: i64,
}

/// Stands in for the store where a template is only tried: a query that can be parsed has one element.
struct TrialHost;

/// The variables that every text of a rule has, without `$`.
pub(crate) const VARIABLES: [&str; 4] = ["labels", "externalLabels", "externalURL", "value"];

/// What `.` holds in every text of a rule.
pub(crate) const FIELDS: [&str; 4] = ["Labels", "ExternalLabels", "ExternalURL", "Value"];

/// How the error about a field begins that is not there.
pub(crate) const NO_FIELD: &str = "can't evaluate field ";

/// How an error begins that does not depend on what the alert is about.
const CERTAIN: [&str; 5] = [NO_FIELD, "wrong number of args", "wrong type for value", "can't give argument to non-function", "error calling query: "];

/// The functions a rule's texts may call; patterns are read as RE2.
pub(crate) fn table() -> Functions {
    let mut table = functions::prometheus();
    table.insert("match", gotemplate::Arity::exactly(2), |_, args| {
        let [pattern, text] = texts(args)?;
        Ok(Value::Bool(promql::regex::compile_search(pattern).map_err(|e| e.to_string())?.is_match(text)))
    });
    table.insert("reReplaceAll", gotemplate::Arity::exactly(3), |_, args| {
        let [pattern, replacement, text] = texts(args)?;
        let pattern = promql::regex::compile_search(pattern).map_err(|e| e.to_string())?;
        let mut out = String::new();
        let mut end = 0;
        for captures in pattern.captures_iter(text) {
            let Some(whole) = captures.get(0) else { continue };
            out.push_str(text.get(end..whole.start()).unwrap_or_default());
            promql::regex::expand(replacement, &captures, &mut out);
            end = whole.end();
        }
        out.push_str(text.get(end..).unwrap_or_default());
        Ok(Value::from(out))
    });
    table
}

fn texts<const N: usize>(args: &[Value]) -> Result<[&str; N], String> {
    let mut found = [""; N];
    for (slot, arg) in found.iter_mut().zip(args) {
        *slot = arg.as_str().ok_or_else(|| format!("wrong type for value; expected string; got {}", arg.type_name()))?;
    }
    Ok(found)
}

// === impl Field ===

impl Field {
    /// `text` of the rule `rule`, as a template if it has any action.
    ///
    /// # Errors
    /// The first thing that keeps it from being a template.
    pub(crate) fn new(rule: &str, text: &str, functions: &Functions) -> Result<Self, Box<Error>> {
        let mut field = Self { text: text.to_owned(), template: None };
        if text.contains("{{") {
            let mut set = TemplateSet::new(functions.clone()).with_variables(&VARIABLES);
            set.parse(&template_name(rule), text)?;
            field.template = Some(set);
        }
        Ok(field)
    }

    /// The text for `subject`; a template that fails gives a text that says so, as in Prometheus.
    pub(crate) fn render(&self, rule: &str, subject: Subject<'_>, around: Surroundings<'_>) -> String {
        let Some(set) = &self.template else { return self.text.clone() };
        let name = template_name(rule);
        let host = QueryHost { around, at_ms: subject.at_ms };
        let data = data(subject, around.external_labels, around.external_url);
        let env = Env::at_ms(subject.at_ms).with_host(&host);
        set.render(&name, &data, &env).unwrap_or_else(|error| format!("<error expanding template: error executing template {name}: {error}>"))
    }

    /// Why the template will fail whatever the alert is about, if it will: found by carrying it out once.
    pub(crate) fn trial(&self, rule: &str) -> Option<Box<Error>> {
        let set = self.template.as_ref()?;
        let labels = Labels::default();
        let data = data(Subject { labels: &labels, value: 0.0, at_ms: 0 }, &labels, "http://localhost");
        let error = set.render(&template_name(rule), &data, &Env::at_ms(0).with_host(&TrialHost)).err()?;
        CERTAIN.iter().any(|begin| error.message.starts_with(begin)).then_some(error)
    }
}

/// What a text is carried out on.
fn data(subject: Subject<'_>, external_labels: &Labels, external_url: &str) -> Value {
    Value::record(
        // What Go calls the type, as users see it in messages.
        "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }",
        FIELDS.into_iter().zip([
            Value::strings(subject.labels.iter()),
            Value::strings(external_labels.iter()),
            Value::str(external_url),
            Value::Float(subject.value),
        ]),
    )
}

fn template_name(rule: &str) -> String {
    format!("__alert_{rule}")
}

// === impl TrialHost ===

impl Host for TrialHost {
    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        match name {
            "query" => Some(parsed(args.first().and_then(Value::as_str).unwrap_or_default()).map(|_| Value::list([sample(&Labels::default(), 0.0)]))),
            "externalURL" | "pathPrefix" => Some(Ok(Value::str(""))),
            _ => None,
        }
    }
}

// === impl QueryHost ===

impl Host for QueryHost<'_> {
    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        match name {
            "query" => Some(self.query(args.first().and_then(Value::as_str).unwrap_or_default())),
            "externalURL" => Some(Ok(Value::str(self.around.external_url))),
            "pathPrefix" => Some(Ok(Value::str(path_of(self.around.external_url)))),
            _ => None,
        }
    }
}

impl QueryHost<'_> {
    /// The samples of an instant query at the time of the evaluation.
    fn query(&self, text: &str) -> Result<Value, String> {
        let expr = parsed(text)?;
        let answer = eval::eval_instant(self.around.source, &expr, self.at_ms, self.around.options).map_err(|error| error.to_string())?;
        match answer.value {
            eval::Value::Vector(elements) => Ok(Value::list(elements.iter().map(|element| sample(&element.labels, element.sample.v)))),
            eval::Value::Scalar(one) => Ok(Value::list([sample(&Labels::default(), one.v)])),
            eval::Value::Text(text) => Ok(Value::list([sample(&Labels::from_pairs([("__value__", text.as_str())]), f64::NAN)])),
            eval::Value::Matrix(_) => Err("query result is not a vector or scalar".to_owned()),
        }
    }
}

fn parsed(text: &str) -> Result<parse::Expr, String> {
    parse::parse(text).map_err(|errors| errors.first().map(ToString::to_string).unwrap_or_default())
}

fn sample(labels: &Labels, value: f64) -> Value {
    Value::record("template.sample", [("Labels", Value::strings(labels.iter())), ("Value", Value::Float(value))])
}

/// The path of a URL, without a slash at its end.
fn path_of(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = after_scheme.find('/').and_then(|at| after_scheme.get(at..)).unwrap_or_default();
    path.trim_end_matches('/')
}
