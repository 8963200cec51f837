//! Carrying out a template: control structures and output. Values are worked out in [`eval`].

mod eval;

use crate::ast::{Branch, Node, Pipe, Span};
use crate::env::{Env, Escape};
use crate::error::{Error, Stage};
use crate::escape;
use crate::format::{print_value, quote};
use crate::set::{Template, TemplateSet};
use crate::value::Value;

/// Control structures, parentheses and templates inside one another, at most: what the stack of a small thread bears.
const NESTING_MAX: usize = 300;

/// One rendering.
struct Run<'a> {
    set: &'a TemplateSet,
    env: &'a Env<'a>,
    /// The template that is executing, and its name.
    template: &'a Template,
    name: &'a str,
    out: String,
    /// Innermost last, with their `$`.
    variables: Vec<(&'a str, Value)>,
    steps: usize,
    templates_deep: usize,
    nesting: usize,
}

/// What the nodes after this one shall do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

/// Whether the value of a condition becomes the dot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cursor {
    Kept,
    Moved,
}

type Done<T> = Result<T, Box<Error>>;

/// Renders one template of `set`.
pub(crate) fn execute(set: &TemplateSet, (name, template): (&str, &Template), data: &Value, env: &Env<'_>) -> Done<String> {
    let mut variables = vec![("$", data.clone())];
    let names: Vec<(String, Value)> = set.variables().iter().map(|name| (format!("${name}"), prelude(data, name))).collect();
    variables.extend(names.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let mut run = Run { set, env, template, name, out: String::new(), variables, steps: 0, templates_deep: 0, nesting: 0 };
    run.walk(data, &template.nodes)?;
    Ok(run.out)
}

/// The field of `data` that the predeclared variable `name` stands for.
fn prelude(data: &Value, name: &str) -> Value {
    let mut field = name.to_owned();
    if let Some(first) = field.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    match data {
        Value::Object(object) => object.field(&field).unwrap_or_default(),
        Value::Map(map) => map.get(&field),
        _ => Value::Nil,
    }
}

// === impl Run ===

impl<'a> Run<'a> {
    /// An error in the piece of text at `span`, placed at byte `at`.
    fn fail(&self, at: usize, span: Span, message: impl Into<String>) -> Box<Error> {
        let piece = self.template.text.get(span.start..span.end).unwrap_or_default();
        let context = (self.name.to_owned(), piece.split_whitespace().collect::<Vec<_>>().join(" "));
        Box::new(Error::execute(&self.template.parsed_as, &self.template.text, at, context, message.into()))
    }

    /// An error of a `template` action, which Go shows in full and places at the name.
    fn fail_in_call(&self, name: &str, (pipe, span): (Option<&Pipe>, Span), message: String) -> Box<Error> {
        let argument = pipe.and_then(|pipe| self.template.text.get(pipe.span.start..pipe.span.end)).map(|text| format!(" {}", text.trim()));
        let context = (self.name.to_owned(), format!("{{{{template {}{}}}}}", quote(name), argument.unwrap_or_default()));
        Box::new(Error::execute(&self.template.parsed_as, &self.template.text, span.start, context, message))
    }

    fn step(&mut self) -> Done<()> {
        self.steps += 1;
        if self.steps > self.env.limits.steps {
            return Err(self.over(format!("exceeded {} steps", self.env.limits.steps)));
        }
        Ok(())
    }

    fn over(&self, message: String) -> Box<Error> {
        Box::new(Error::whole(Stage::Execute, self.name, message))
    }

    fn write(&mut self, text: &str) -> Done<()> {
        if self.out.len() + text.len() > self.env.limits.output {
            return Err(self.over(format!("exceeded {} bytes of output", self.env.limits.output)));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn enter(&mut self) -> Done<()> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(self.over(format!("nested more than {NESTING_MAX} deep")));
        }
        Ok(())
    }

    fn walk(&mut self, dot: &Value, nodes: &'a [Node]) -> Done<Flow> {
        self.enter()?;
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(dot, node)?;
            if flow != Flow::On {
                break;
            }
        }
        self.nesting -= 1;
        Ok(flow)
    }

    fn node(&mut self, dot: &Value, node: &'a Node) -> Done<Flow> {
        self.step()?;
        match node {
            Node::Text(span) => {
                let template = self.template;
                self.write(template.text.get(span.start..span.end).unwrap_or_default())?;
            }
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.print(&value)?;
                }
            }
            Node::If(branch) => return self.branch(dot, branch, Cursor::Kept),
            Node::With(branch) => return self.branch(dot, branch, Cursor::Moved),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template { name, pipe, span } => self.call_template(dot, name, (pipe.as_ref(), *span))?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn print(&mut self, value: &Value) -> Done<()> {
        let text = if matches!(value, Value::Nil) { "<no value>".to_owned() } else { print_value(value) };
        match (self.env.escape, value) {
            (Escape::Text, _) | (Escape::Html, Value::Html(_)) => self.write(&text),
            (Escape::Html, _) => self.write(&escape::html(&text)),
        }
    }

    /// `if`, or when the cursor moves `with`.
    fn branch(&mut self, dot: &Value, branch: &'a Branch, cursor: Cursor) -> Done<Flow> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = match (value.is_true(), cursor) {
            (true, Cursor::Moved) => self.walk(&value, &branch.then)?,
            (true, Cursor::Kept) => self.walk(dot, &branch.then)?,
            (false, _) => self.walk(dot, &branch.otherwise)?,
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn range(&mut self, dot: &Value, branch: &'a Branch) -> Done<Flow> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let items: Box<dyn Iterator<Item = (Value, Value)>> = match value.data() {
            Value::List(items) => Box::new((0..items.len()).map(move |at| (Value::from(at), items.get(at).cloned().unwrap_or_default()))),
            Value::Map(map) => Box::new(map.entries.clone().into_iter().map(|(key, item)| (Value::Str(key), item))),
            Value::Int(count) => Box::new((0..count.max(0)).map(|at| (Value::Int(at), Value::Int(at)))),
            Value::Nil => Box::new(std::iter::empty()),
            _ => {
                let span = branch.pipe.span;
                return Err(self.fail(span.start, span, format!("range can't iterate over {}", print_value(&value))));
            }
        };
        let mut any = false;
        for (index, item) in items {
            any = true;
            let inner = self.variables.len();
            self.set_loop_variables(&branch.pipe, index, &item);
            let flow = self.walk(&item, &branch.then)?;
            self.variables.truncate(inner);
            if flow == Flow::Break {
                break;
            }
        }
        let flow = if any { Flow::On } else { self.walk(dot, &branch.otherwise)? };
        self.variables.truncate(mark);
        Ok(flow)
    }

    /// One variable is the element; of two the first is the index.
    fn set_loop_variables(&mut self, pipe: &'a Pipe, index: Value, item: &Value) {
        let values = if pipe.variables.len() > 1 { vec![index, item.clone()] } else { vec![item.clone()] };
        for (name, value) in pipe.variables.iter().zip(values) {
            if pipe.assign { self.assign(name, value) } else { self.variables.push((name, value)) }
        }
    }

    fn assign(&mut self, name: &str, value: Value) {
        if let Some(found) = self.variables.iter_mut().rev().find(|(have, _)| *have == name) {
            found.1 = value;
        }
    }

    fn call_template(&mut self, dot: &Value, name: &'a str, (pipe, span): (Option<&'a Pipe>, Span)) -> Done<()> {
        let Some(template) = self.set.get(name) else {
            return Err(self.fail_in_call(name, (pipe, span), format!("template {} not defined", quote(name))));
        };
        if self.templates_deep >= self.env.limits.depth {
            return Err(self.fail_in_call(name, (pipe, span), format!("exceeded maximum template depth ({})", self.env.limits.depth)));
        }
        let data = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Nil,
        };
        // A template sees no variable of its caller but its own `$`.
        let outside = (self.template, self.name, std::mem::replace(&mut self.variables, vec![("$", data.clone())]));
        (self.template, self.name) = (template, name);
        self.templates_deep += 1;
        self.walk(&data, &template.nodes)?;
        self.templates_deep -= 1;
        (self.template, self.name, self.variables) = outside;
        Ok(())
    }
}
