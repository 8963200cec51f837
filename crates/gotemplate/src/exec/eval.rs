//! Pipelines, commands, operands, fields and methods into values.

use super::{Done, Run};
use crate::ast::{Command, Operand, Pipe, Span, Term};
use crate::functions::{CallError, WRONG_TYPE};
use crate::time::{duration_method, time_method};
use crate::value::Value;

/// Where a function is named, and where the whole command stands.
#[derive(Clone, Copy)]
struct Called {
    name: Span,
    whole: Span,
}

// === impl Run ===

impl<'a> Run<'a> {
    /// The value of a pipeline; its variables are set, except that `range` sets its own for every element.
    pub(super) fn pipeline(&mut self, dot: &Value, pipe: &'a Pipe) -> Done<Value> {
        self.enter()?;
        let mut value: Option<Value> = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value)?);
        }
        let value = value.unwrap_or_default();
        for name in &pipe.variables {
            if pipe.assign { self.assign(name, value.clone()) } else { self.variables.push((name, value.clone())) }
        }
        self.nesting -= 1;
        Ok(value)
    }

    /// The value of a command; `last` is what the pipe brings, its last argument.
    fn command(&mut self, dot: &Value, command: &'a Command, last: Option<Value>) -> Done<Value> {
        self.step()?;
        let Some((first, rest)) = command.operands.split_first() else { return Ok(Value::Nil) };
        if let (Term::Function(name), true) = (&first.term, first.fields.is_empty()) {
            let end = rest.last().map_or(first.span.end, |operand| operand.span.end);
            let span = Called { name: first.span, whole: Span { start: first.span.start, end } };
            if matches!(&**name, "and" | "or") {
                return self.short_circuit(dot, (name, span), (rest, last));
            }
            let args = self.arguments(dot, rest, last)?;
            return self.call(name, span, &args);
        }
        if !first.fields.is_empty() {
            let receiver = self.term(dot, first)?;
            let args = self.arguments(dot, rest, last)?;
            return self.fields(receiver, first, &args);
        }
        if !rest.is_empty() || last.is_some() {
            let shown = self.template.text.get(first.span.start..first.span.end).unwrap_or_default().to_owned();
            return Err(self.fail(first.at, first.span, format!("can't give argument to non-function {shown}")));
        }
        if matches!(first.term, Term::Nil) {
            return Err(self.fail(first.at, first.span, "nil is not a command"));
        }
        self.term(dot, first)
    }

    fn arguments(&mut self, dot: &Value, operands: &'a [Operand], last: Option<Value>) -> Done<Vec<Value>> {
        let mut args = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            args.push(self.operand(dot, operand)?);
        }
        args.extend(last);
        Ok(args)
    }

    /// `and` and `or`: arguments after the deciding one are not evaluated.
    fn short_circuit(&mut self, dot: &Value, (name, span): (&str, Called), (operands, last): (&'a [Operand], Option<Value>)) -> Done<Value> {
        let mut value = None;
        for operand in operands {
            let found = self.operand(dot, operand)?;
            if found.is_true() == (name == "or") {
                return Ok(found);
            }
            value = Some(found);
        }
        match last.or(value) {
            Some(value) => Ok(value),
            None => Err(self.fail(span.name.start, span.name, format!("wrong number of args for {name}: want at least 1 got 0"))),
        }
    }

    fn call(&mut self, name: &str, span: Called, args: &[Value]) -> Done<Value> {
        self.step()?;
        let set = self.set;
        set.functions().call(name, self.env, args).map_err(|error| match error {
            CallError::Unfit(text) => self.fail(span.name.start, span.name, text),
            CallError::Failed(text) if text.starts_with(WRONG_TYPE) => self.fail(span.whole.start, span.whole, text),
            CallError::Failed(text) => self.fail(span.whole.start, span.whole, format!("error calling {name}: {text}")),
        })
    }

    /// An operand as an argument.
    fn operand(&mut self, dot: &Value, operand: &'a Operand) -> Done<Value> {
        self.step()?;
        let value = self.term(dot, operand)?;
        if operand.fields.is_empty() { Ok(value) } else { self.fields(value, operand, &[]) }
    }

    fn term(&mut self, dot: &Value, operand: &'a Operand) -> Done<Value> {
        match &operand.term {
            Term::Dot => Ok(dot.clone()),
            Term::Nil => Ok(Value::Nil),
            Term::Bool(v) => Ok(Value::Bool(*v)),
            Term::Int(v) => Ok(Value::Int(*v)),
            Term::Float(v) => Ok(Value::Float(*v)),
            Term::Str(text) => Ok(Value::Str(text.clone())),
            Term::Function(name) => self.call(name, Called { name: operand.span, whole: operand.span }, &[]),
            Term::Variable(name) => {
                let found = self.variables.iter().rev().find(|(have, _)| *have == &**name);
                Ok(found.map(|(_, value)| value.clone()).unwrap_or_default())
            }
            Term::Pipe(pipe) => self.pipeline(dot, pipe),
        }
    }

    /// The fields of an operand one after another; arguments go to the last.
    fn fields(&mut self, receiver: Value, operand: &'a Operand, args: &[Value]) -> Done<Value> {
        let mut value = receiver;
        let count = operand.fields.len();
        for (at, name) in operand.fields.iter().enumerate() {
            let args = if at + 1 == count { args } else { &[] };
            value = self.field(&value, name, args).map_err(|text| self.fail(operand.at, operand.span, text))?;
        }
        Ok(value)
    }

    /// A method, a field or a map's entry.
    fn field(&self, receiver: &Value, name: &str, args: &[Value]) -> Result<Value, String> {
        let called = match receiver {
            Value::Object(object) => object.method(name, args),
            Value::Time(time) => time_method(time, name, args, &self.env.local),
            Value::Duration(nanos) => duration_method(*nanos, name, args),
            Value::List(items) if name == "Join" => Some(Ok(join(items, args))),
            _ => None,
        };
        if let Some(result) = called {
            return result.map_err(|text| if text.starts_with(WRONG_TYPE) { text } else { format!("error calling {name}: {text}") });
        }
        let found = match receiver {
            Value::Nil => return Err(format!("nil pointer evaluating interface {{}}.{name}")),
            Value::Object(object) => object.field(name),
            _ => None,
        };
        let found = found.or_else(|| if let Value::Map(map) = receiver.data() { Some(map.get(name)) } else { None });
        match found {
            Some(_) if !args.is_empty() => Err(format!("{name} is not a method but has arguments")),
            Some(value) => Ok(value),
            None => Err(format!("can't evaluate field {name} in type {}", receiver.type_name())),
        }
    }
}

/// `Join` of a list of strings.
fn join(items: &[Value], args: &[Value]) -> Value {
    let separator = args.first().and_then(Value::as_str).unwrap_or_default();
    let parts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
    Value::from(parts.join(separator))
}
