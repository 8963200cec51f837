//! Tokens into templates (<https://pkg.go.dev/text/template>, "Actions", "Pipelines", "Variables", "Nested template definitions").

use std::sync::Arc;

use crate::ast::{Branch, Command, Node, Operand, Pipe, Span, Term};
use crate::error::{Error, Unknown};
use crate::format::quote;
use crate::functions::Functions;
use crate::lex::{Kind, Token, tokens};
use crate::literal::{character, number, unquote};

/// Control structures and parentheses inside one another, at most.
const NESTING_MAX: usize = 100;

/// The templates one text defines: its own (first) and those of `define` and `block`.
pub(crate) type Definitions = Vec<(Arc<str>, Vec<Node>)>;

/// What a text may refer to.
pub(crate) struct Scope<'a> {
    pub(crate) functions: &'a Functions,
    /// Variables that exist before the text begins, without their `$`.
    pub(crate) variables: &'a [&'a str],
}

struct Parser<'a> {
    name: &'a str,
    text: &'a str,
    tokens: Vec<Token<'a>>,
    at: usize,
    functions: &'a Functions,
    /// Variables in scope, with their `$`.
    variables: Vec<String>,
    nesting: usize,
    /// Whether `break` and `continue` have a range to act on.
    in_range: bool,
    defined: Definitions,
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    End,
    Else,
    Eof,
}

type Parsed<T> = Result<T, Box<Error>>;

/// Parses `text`, to be known as `name`.
pub(crate) fn parse(name: &str, text: &str, scope: &Scope<'_>) -> Parsed<Definitions> {
    let variables = std::iter::once("$".to_owned()).chain(scope.variables.iter().map(|v| format!("${v}"))).collect();
    let mut parser =
        Parser { name, text, tokens: tokens(text), at: 0, functions: scope.functions, variables, nesting: 0, in_range: false, defined: Vec::new() };
    let (root, stop) = parser.list(true)?;
    match stop {
        Stop::Eof => {}
        Stop::End => return Err(parser.fail_at(parser.at.saturating_sub(2), "unexpected {{end}}")),
        Stop::Else => return Err(parser.fail_at(parser.at.saturating_sub(1), "unexpected {{else}}")),
    }
    let mut all: Definitions = vec![(name.into(), root)];
    all.append(&mut parser.defined);
    Ok(all)
}

// === impl Parser ===

impl<'a> Parser<'a> {
    fn peek(&self) -> &Kind<'a> {
        self.tokens.get(self.at).map_or(&Kind::End, |token| &token.kind)
    }

    fn span(&self) -> Span {
        let end = Span { start: self.text.len(), end: self.text.len() };
        self.tokens.get(self.at).map_or(end, |token| token.span)
    }

    fn next(&mut self) -> (Kind<'a>, Span) {
        let found = (self.peek().clone(), self.span());
        self.at += 1;
        found
    }

    fn before_end(&self) -> usize {
        self.tokens.get(self.at.saturating_sub(1)).map_or(0, |token| token.span.end)
    }

    fn fail_at(&self, token: usize, message: &str) -> Box<Error> {
        let offset = self.tokens.get(token).map_or(self.text.len(), |token| token.span.start);
        Box::new(Error::parse(self.name, self.text, offset, message))
    }

    /// An error at the token that was read last.
    fn fail(&self, message: impl AsRef<str>) -> Box<Error> {
        self.fail_at(self.at.saturating_sub(1), message.as_ref())
    }

    fn undefined(&self, variable: &str) -> Box<Error> {
        self.fail(format!("undefined variable {}", quote(variable))).about(Unknown::Variable(variable.to_owned()))
    }

    fn unexpected(&self, found: &Kind<'_>, context: &str) -> Box<Error> {
        match found {
            Kind::Bad(problem) => self.fail(problem),
            _ => self.fail(format!("unexpected {} in {context}", self.shown(found))),
        }
    }

    /// A token as an error shows it.
    fn shown(&self, kind: &Kind<'_>) -> String {
        if *kind == Kind::End {
            return "EOF".to_owned();
        }
        if let Kind::Word(word) = kind
            && is_keyword(word)
        {
            return format!("<{word}>");
        }
        let span = self.tokens.get(self.at.saturating_sub(1)).map_or(Span { start: 0, end: 0 }, |token| token.span);
        let text = self.text.get(span.start..span.end).unwrap_or_default();
        if text.chars().count() > 10 { format!("{}...", quote(&text.chars().take(10).collect::<String>())) } else { quote(text) }
    }

    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(self.fail(format!("nested more than {NESTING_MAX} deep")));
        }
        let done = work(self)?;
        self.nesting -= 1;
        Ok(done)
    }

    /// Nodes up to `{{end}}`, `{{else` or the end of the text.
    fn list(&mut self, top: bool) -> Parsed<(Vec<Node>, Stop)> {
        let mut nodes = Vec::new();
        loop {
            match self.next() {
                (Kind::Text, span) => nodes.push(Node::Text(span)),
                (Kind::Open, _) => match self.action(top)? {
                    Found::Node(node) => nodes.push(node),
                    Found::Nothing => {}
                    Found::Stop(stop) => return Ok((nodes, stop)),
                },
                (Kind::End, _) if top => return Ok((nodes, Stop::Eof)),
                (Kind::End, _) => return Err(self.fail("unexpected EOF")),
                (found, _) => return Err(self.unexpected(&found, "input")),
            }
        }
    }

    fn action(&mut self, top: bool) -> Parsed<Found> {
        let Kind::Word(word) = self.peek().clone() else { return self.plain_action() };
        let start = self.at;
        self.at += 1;
        let node = match word {
            "if" => Node::If(self.branch("if")?),
            "with" => Node::With(self.branch("with")?),
            "range" => Node::Range(self.branch("range")?),
            "template" => self.template_call()?,
            "block" => self.block()?,
            "define" if top && self.nesting == 0 => {
                self.define()?;
                return Ok(Found::Nothing);
            }
            "define" => return Err(self.fail("unexpected <define> in command")),
            "break" | "continue" if *self.peek() == Kind::Close && !self.functions.knows(word) => {
                self.at += 1;
                if !self.in_range {
                    return Err(self.fail_at(start, &format!("{{{{{word}}}}} outside {{{{range}}}}")));
                }
                if word == "break" { Node::Break } else { Node::Continue }
            }
            "end" => {
                self.close("end")?;
                return Ok(Found::Stop(Stop::End));
            }
            "else" => return Ok(Found::Stop(Stop::Else)),
            _ => {
                self.at = start;
                return self.plain_action();
            }
        };
        Ok(Found::Node(node))
    }

    fn plain_action(&mut self) -> Parsed<Found> {
        let pipe = self.pipeline("command")?;
        self.close("command")?;
        Ok(Found::Node(Node::Action(pipe)))
    }

    fn close(&mut self, context: &str) -> Parsed<()> {
        match self.next() {
            (Kind::Close, _) => Ok(()),
            (found, _) => Err(self.unexpected(&found, context)),
        }
    }

    /// `if`, `with` or `range`, its keyword having been read, up to its `end`.
    fn branch(&mut self, context: &'static str) -> Parsed<Branch> {
        let known = self.variables.len();
        let branch = self.deeper(|parser| {
            let pipe = parser.pipeline(context)?;
            parser.close(context)?;
            let outer_range = parser.in_range;
            parser.in_range |= context == "range";
            let (then, stop) = parser.list(false)?;
            parser.in_range = outer_range;
            let otherwise = if stop == Stop::Else { parser.otherwise(context)? } else { Vec::new() };
            Ok(Branch { pipe, then, otherwise })
        })?;
        self.variables.truncate(known);
        Ok(branch)
    }

    /// What follows `{{else`: a list, or for `else if` and `else with` another branch that shares our `end`.
    fn otherwise(&mut self, context: &'static str) -> Parsed<Vec<Node>> {
        let chained = matches!((context, self.peek()), ("if", Kind::Word("if")) | ("with", Kind::Word("with")));
        if chained {
            self.at += 1;
            let branch = self.branch(context)?;
            return Ok(vec![if context == "if" { Node::If(branch) } else { Node::With(branch) }]);
        }
        self.close("else")?;
        let (nodes, stop) = self.list(false)?;
        if stop == Stop::Else {
            return Err(self.fail("expected end; found {{else}}"));
        }
        Ok(nodes)
    }

    fn template_name(&mut self, context: &str) -> Parsed<Arc<str>> {
        match self.next() {
            (Kind::Quoted(text), _) => Ok(unquote(text).ok_or_else(|| self.fail("invalid syntax"))?.into()),
            (Kind::Raw(text), _) => Ok(text.into()),
            (found, _) => Err(self.unexpected(&found, context)),
        }
    }

    fn template_call(&mut self) -> Parsed<Node> {
        let span = self.span();
        let name = self.template_name("template clause")?;
        let pipe = if *self.peek() == Kind::Close { None } else { Some(self.pipeline("template clause")?) };
        self.close("template clause")?;
        Ok(Node::Template { name, pipe, span })
    }

    fn define(&mut self) -> Parsed<()> {
        let name = self.template_name("define clause")?;
        self.close("define clause")?;
        self.definition(name, "define clause")
    }

    fn block(&mut self) -> Parsed<Node> {
        let span = self.span();
        let name = self.template_name("block clause")?;
        let pipe = self.pipeline("block clause")?;
        self.close("block clause")?;
        self.definition(name.clone(), "block clause")?;
        Ok(Node::Template { name, pipe: Some(pipe), span })
    }

    /// The body of a `define` or `block`: it sees no variable but its own `$`.
    fn definition(&mut self, name: Arc<str>, context: &str) -> Parsed<()> {
        let outside = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let outer_range = std::mem::take(&mut self.in_range);
        let (body, stop) = self.deeper(|parser| parser.list(false))?;
        if stop == Stop::Else {
            return Err(self.fail(format!("unexpected {{{{else}}}} in {context}")));
        }
        self.variables = outside;
        self.in_range = outer_range;
        self.add(name, body)
    }

    fn add(&mut self, name: Arc<str>, body: Vec<Node>) -> Parsed<()> {
        let existing = self.defined.iter().position(|(have, _)| *have == name);
        let Some(at) = existing else {
            self.defined.push((name, body));
            return Ok(());
        };
        let replace = self.defined.get(at).is_none_or(|(_, have)| is_blank(self.text, have));
        if replace {
            self.defined.remove(at);
            self.defined.push((name, body));
        } else if !is_blank(self.text, &body) {
            return Err(self.fail(format!("template: multiple definition of template {}", quote(&name))));
        }
        Ok(())
    }

    /// Declarations, then commands separated by `|`; ends before `}}` or `)`.
    fn pipeline(&mut self, context: &str) -> Parsed<Pipe> {
        self.deeper(|parser| {
            let start = parser.span().start;
            let (variables, assign) = parser.declarations(context)?;
            let mut commands = Vec::new();
            loop {
                match parser.peek() {
                    Kind::Close | Kind::RightParen => break,
                    _ => commands.push(parser.command(context)?),
                }
            }
            parser.check_commands(&commands, context)?;
            if !assign {
                parser.variables.extend(variables.iter().map(ToString::to_string));
            }
            Ok(Pipe { variables, assign, commands, span: Span { start, end: parser.before_end() } })
        })
    }

    /// `$x :=`, `$x =`, and for range `$i, $x :=`; nothing when the pipeline only begins with a variable.
    fn declarations(&mut self, context: &str) -> Parsed<(Vec<Box<str>>, bool)> {
        let start = self.at;
        let mut names: Vec<Box<str>> = Vec::new();
        while let Kind::Variable(name) = *self.peek() {
            self.at += 1;
            names.push(name.into());
            match self.peek() {
                Kind::Declare => {
                    self.at += 1;
                    return Ok((names, false));
                }
                Kind::Assign => {
                    self.at += 1;
                    let unknown = names.iter().find(|name| !self.variables.iter().any(|have| **have == ***name));
                    return match unknown {
                        Some(name) => Err(self.undefined(name)),
                        None => Ok((names, true)),
                    };
                }
                Kind::Comma if context == "range" && names.len() < 2 => {
                    self.at += 1;
                    if !matches!(self.peek(), Kind::Variable(_) | Kind::Close | Kind::RightParen) {
                        return Err(self.fail("range can only initialize variables"));
                    }
                }
                Kind::Comma => return Err(self.fail(format!("too many declarations in {context}"))),
                _ => break,
            }
        }
        self.at = start;
        Ok((Vec::new(), false))
    }

    fn check_commands(&self, commands: &[Command], context: &str) -> Parsed<()> {
        if commands.is_empty() {
            return Err(self.fail_at(self.at, &format!("missing value for {context}")));
        }
        for (at, command) in commands.iter().enumerate().skip(1) {
            let callable = command
                .operands
                .first()
                .is_some_and(|first| !first.fields.is_empty() || matches!(first.term, Term::Function(_) | Term::Variable(_) | Term::Pipe(_)));
            if !callable {
                return Err(self.fail(format!("non executable command in pipeline stage {}", at + 1)));
            }
        }
        Ok(())
    }

    /// Operands up to `|`, `}}` or `)`.
    fn command(&mut self, context: &str) -> Parsed<Command> {
        let mut operands = Vec::new();
        loop {
            operands.push(self.operand(context)?);
            match self.peek() {
                Kind::Close | Kind::RightParen => break,
                Kind::Pipe => {
                    self.at += 1;
                    if matches!(self.peek(), Kind::Close | Kind::RightParen) {
                        return Err(self.fail_at(self.at, &format!("missing value for {context}")));
                    }
                    break;
                }
                _ if self.tokens.get(self.at).is_some_and(|token| token.spaced) => {}
                _ => {
                    let (found, _) = self.next();
                    return Err(self.unexpected(&found, "operand"));
                }
            }
        }
        Ok(Command { operands })
    }

    fn operand(&mut self, context: &str) -> Parsed<Operand> {
        let (found, span) = self.next();
        let (term, mut fields) = match found {
            Kind::Word(word) => (self.word(word)?, Vec::new()),
            Kind::Field(name) => (Term::Dot, vec![Box::from(name)]),
            Kind::Dot => (Term::Dot, Vec::new()),
            Kind::Variable(name) if self.variables.iter().any(|have| have == name) => (Term::Variable(name.into()), Vec::new()),
            Kind::Variable(name) => return Err(self.undefined(name)),
            Kind::Number(text) => (number(text).ok_or_else(|| self.fail(format!("bad number syntax: {}", quote(text))))?, Vec::new()),
            Kind::Char(text) => (character(text).ok_or_else(|| self.fail(format!("malformed character constant: {text}")))?, Vec::new()),
            Kind::Quoted(text) => (Term::Str(unquote(text).ok_or_else(|| self.fail("invalid syntax"))?.into()), Vec::new()),
            Kind::Raw(text) => (Term::Str(text.into()), Vec::new()),
            Kind::LeftParen => (self.parenthesised()?, Vec::new()),
            Kind::Pipe => return Err(self.fail(format!("missing value for {context}"))),
            other => return Err(self.unexpected(&other, context)),
        };
        let mut at = span.start;
        while let Some(Token { kind: Kind::Field(name), spaced: false, span: field }) = self.tokens.get(self.at) {
            at = if at == span.start { field.start } else { at };
            fields.push(Box::from(*name));
            self.at += 1;
        }
        let constant = matches!(term, Term::Bool(_) | Term::Nil | Term::Int(_) | Term::Float(_) | Term::Str(_));
        if constant && !fields.is_empty() {
            let text = self.text.get(span.start..span.end).unwrap_or_default();
            return Err(self.fail(format!("unexpected . after term {}", quote(text))));
        }
        Ok(Operand { term, fields, at, span: Span { start: span.start, end: self.before_end() } })
    }

    fn word(&mut self, word: &str) -> Parsed<Term> {
        match word {
            "true" => Ok(Term::Bool(true)),
            "false" => Ok(Term::Bool(false)),
            "nil" => Ok(Term::Nil),
            _ if is_keyword(word) => Err(self.fail(format!("unexpected <{word}> in operand"))),
            _ if self.functions.knows(word) => Ok(Term::Function(word.into())),
            _ => Err(self.fail(format!("function {} not defined", quote(word))).about(Unknown::Function(word.to_owned()))),
        }
    }

    fn parenthesised(&mut self) -> Parsed<Term> {
        let pipe = self.pipeline("parenthesized pipeline")?;
        match self.next() {
            (Kind::RightParen, _) => Ok(Term::Pipe(Box::new(pipe))),
            (found, _) => Err(self.unexpected(&found, "parenthesized pipeline")),
        }
    }
}

/// What an action turned out to be.
enum Found {
    Node(Node),
    /// A definition.
    Nothing,
    Stop(Stop),
}

fn is_keyword(word: &str) -> bool {
    matches!(word, "if" | "else" | "end" | "range" | "with" | "define" | "template" | "block" | "nil")
}

/// Nothing but white space (Go: such a definition does not replace another).
pub(crate) fn is_blank(text: &str, nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(span) if text.get(span.start..span.end).unwrap_or_default().trim().is_empty()))
}
