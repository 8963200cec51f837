//! Named templates, parsed together and rendered by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ast::Node;
use crate::env::Env;
use crate::error::{Error, Stage};
use crate::exec;
use crate::functions::Functions;
use crate::parse::{Scope, is_blank, parse};
use crate::value::Value;

/// One defined template: its nodes, and the text their spans point into.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// Name the text was parsed under, for messages.
    pub(crate) parsed_as: Arc<str>,
    pub(crate) text: Arc<str>,
    pub(crate) nodes: Arc<[Node]>,
}

/// Templates that may call one another; cheap to clone.
#[derive(Clone, Debug)]
pub struct TemplateSet {
    functions: Functions,
    templates: Arc<BTreeMap<Arc<str>, Template>>,
    variables: Vec<&'static str>,
}

// === impl TemplateSet ===

impl TemplateSet {
    /// An empty set whose templates may call `functions`.
    pub fn new(functions: Functions) -> Self {
        Self { functions, templates: Arc::default(), variables: Vec::new() }
    }

    /// The same, with variables that every text may use without declaring them (Prometheus's `$labels`, `$value`, …).
    /// Their values are the data's fields of the same name with a capital first letter, as Prometheus's prelude defines them.
    #[must_use]
    pub fn with_variables(mut self, names: &[&'static str]) -> Self {
        self.variables = names.to_vec();
        self
    }

    /// Parses `text` as template `name`, with what it defines; later definitions replace earlier ones, blank ones do not.
    ///
    /// # Errors
    /// The first thing that keeps the text from being a template; the set is unchanged then.
    pub fn parse(&mut self, name: &str, text: &str) -> Result<(), Box<Error>> {
        let defined = parse(name, text, &Scope { functions: &self.functions, variables: &self.variables })?;
        let (parsed_as, text): (Arc<str>, Arc<str>) = (name.into(), text.into());
        let templates = Arc::make_mut(&mut self.templates);
        for (name, nodes) in defined {
            // A file that only defines others must not blank the template it is named after.
            if is_blank(&text, &nodes) && templates.contains_key(&name) {
                continue;
            }
            templates.insert(name, Template { parsed_as: parsed_as.clone(), text: text.clone(), nodes: nodes.into() });
        }
        Ok(())
    }

    /// Whether `name` is defined.
    pub fn defines(&self, name: &str) -> bool {
        self.templates.contains_key(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.templates.keys().map(|name| &**name)
    }

    /// The text of template `name` on `data`.
    ///
    /// # Errors
    /// An unknown name, or where and why the template could not be carried out.
    pub fn render(&self, name: &str, data: &Value, env: &Env<'_>) -> Result<String, Box<Error>> {
        match self.templates.get(name) {
            Some(template) => exec::execute(self, (name, template), data, env),
            None => Err(Box::new(Error::whole(Stage::Execute, name, format!("no template {} in this set", crate::format::quote(name))))),
        }
    }

    /// The text of `text`, a template of its own that may call those of the set, on `data`.
    ///
    /// # Errors
    /// What [`parse`](Self::parse) and [`render`](Self::render) say; `name` stands for the text in messages.
    pub fn render_text(&self, name: &str, text: &str, data: &Value, env: &Env<'_>) -> Result<String, Box<Error>> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let mut own = self.clone();
        Arc::make_mut(&mut own.templates).remove(name);
        own.parse(name, text)?;
        own.render(name, data, env)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Template> {
        self.templates.get(name)
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    pub(crate) fn variables(&self) -> &[&'static str] {
        &self.variables
    }
}
