//! From tokens to a tree.

use std::collections::BTreeSet;

use super::TemplateError;
use super::functions;
use super::lexer::{Kind, Place, Token};

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipeline),
    If { condition: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    With { value: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    Range { values: Pipeline, body: Vec<Node>, otherwise: Vec<Node> },
    Break,
    Continue,
}

/// `$a, $b := command | command`
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) variables: Vec<String>,
    /// The variables are new; otherwise they are there already.
    pub(super) declares: bool,
    pub(super) commands: Vec<Command>,
}

#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) operands: Vec<Operand>,
}

#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) kind: OperandKind,
    /// `.A.B` after the operand.
    pub(super) fields: Vec<String>,
    pub(super) place: Place,
}

#[derive(Clone, Debug)]
pub(super) enum OperandKind {
    Dot,
    /// Its name; empty for the data as a whole.
    Variable(String),
    Literal(serde_json::Value),
    Function(String),
    Pipeline(Box<Pipeline>),
}

/// What ends a list of nodes.
enum Ending {
    Template,
    End,
    Else,
    /// `else if` and `else with`: the word, to go on with.
    ElseOf(String),
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    /// For what is found missing at the end.
    last: Place,
    /// Those that can be seen here.
    variables: Vec<String>,
    loops: usize,
}

pub(super) fn parse(tokens: Vec<Token>) -> Result<Vec<Node>, TemplateError> {
    let last = tokens.last().map(|token| token.place.clone()).unwrap_or(start());
    let tokens = tokens.into_iter().peekable();
    let mut parser = Parser { tokens, last, variables: vec![String::new()], loops: 0 };
    match parser.list()? {
        (nodes, Ending::Template) => Ok(nodes),
        (_, Ending::End) => Err(parser.error("unexpected {{end}}")),
        (_, Ending::Else | Ending::ElseOf(_)) => Err(parser.error("unexpected {{else}}")),
    }
}

fn start() -> Place {
    Place { line: 1, column: 0 }
}

impl Parser {
    fn list(&mut self) -> Result<(Vec<Node>, Ending), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(token) = self.tokens.next() {
            self.last = token.place;
            match token.kind {
                Kind::Text(text) => nodes.push(Node::Text(text)),
                _ => match self.action()? {
                    Ok(node) => nodes.push(node),
                    Err(end) => return Ok((nodes, end)),
                },
            }
        }
        Ok((nodes, Ending::Template))
    }

    /// What is between `{{` and `}}`: a node, or the end of a list of them.
    fn action(&mut self) -> Result<Result<Node, Ending>, TemplateError> {
        let keyword = match self.tokens.peek().map(|token| &token.kind) {
            Some(Kind::Word(word)) => word.clone(),
            _ => String::new(),
        };
        match keyword.as_str() {
            "if" | "with" | "range" => {
                self.tokens.next();
                self.block(&keyword).map(Ok)
            }
            "end" => {
                self.tokens.next();
                self.close("end")?;
                Ok(Err(Ending::End))
            }
            "else" => {
                self.tokens.next();
                match self.tokens.peek().map(|token| &token.kind) {
                    Some(Kind::Word(word)) if word == "if" || word == "with" => {
                        let word = word.clone();
                        self.tokens.next();
                        Ok(Err(Ending::ElseOf(word)))
                    }
                    _ => {
                        self.close("else")?;
                        Ok(Err(Ending::Else))
                    }
                }
            }
            "break" | "continue" => {
                self.tokens.next();
                if self.loops == 0 {
                    return Err(self.error(&format!("{{{{{keyword}}}}} outside {{{{range}}}}")));
                }
                self.close(&keyword)?;
                Ok(Ok(if keyword == "break" { Node::Break } else { Node::Continue }))
            }
            _ => {
                let pipeline = self.pipeline("command")?;
                self.close("command")?;
                Ok(Ok(Node::Action(pipeline)))
            }
        }
    }

    /// From after the keyword to its `end`.
    fn block(&mut self, keyword: &str) -> Result<Node, TemplateError> {
        let visible = self.variables.len();
        let head = self.pipeline(keyword)?;
        self.close(keyword)?;
        let is_range = keyword == "range";
        self.loops += usize::from(is_range);
        let (then, end) = self.list()?;
        self.loops -= usize::from(is_range);
        let otherwise = match end {
            Ending::End => Vec::new(),
            Ending::Else => match self.list()? {
                (nodes, Ending::End) => nodes,
                (_, Ending::Template) => return Err(self.error("unexpected EOF")),
                (_, Ending::Else | Ending::ElseOf(_)) => {
                    return Err(self.error("expected end; found {{else}}"));
                }
            },
            // `else if` has no end of its own: what follows is its block, up to our end.
            Ending::ElseOf(word) if word == keyword => vec![self.block(&word)?],
            Ending::ElseOf(word) => {
                return Err(self.error(&format!("unexpected <{word}> in {keyword}")));
            }
            Ending::Template => return Err(self.error("unexpected EOF")),
        };
        self.variables.truncate(visible);
        Ok(match keyword {
            "if" => Node::If { condition: head, then, otherwise },
            "with" => Node::With { value: head, then, otherwise },
            _ => Node::Range { values: head, body: then, otherwise },
        })
    }

    fn pipeline(&mut self, context: &str) -> Result<Pipeline, TemplateError> {
        let (variables, declares) = self.assignment(context)?;
        let mut commands = vec![self.command(context)?];
        while matches!(self.tokens.peek().map(|token| &token.kind), Some(Kind::Pipe)) {
            self.tokens.next();
            commands.push(self.command("command")?);
        }
        for command in commands.iter().skip(1) {
            let first = command.operands.first();
            if first.is_some_and(|first| matches!(first.kind, OperandKind::Literal(_))) {
                let what = "non executable command in pipeline stage 2";
                return Err(self.error(what));
            }
        }
        if declares {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipeline { variables, declares, commands })
    }

    /// `$a :=`, `$a =`, and for `range` also `$a, $b :=`.
    fn assignment(&mut self, context: &str) -> Result<(Vec<String>, bool), TemplateError> {
        let mut ahead = self.tokens.clone();
        let mut variables = Vec::new();
        loop {
            let Some(Token { kind: Kind::Variable(name, fields), .. }) = ahead.next() else {
                return Ok((Vec::new(), false));
            };
            if name.is_empty() || !fields.is_empty() {
                return Ok((Vec::new(), false));
            }
            variables.push(name);
            let declares = match ahead.next().map(|token| token.kind) {
                Some(Kind::Comma) if context == "range" && variables.len() == 1 => continue,
                Some(Kind::Declare) => true,
                Some(Kind::Assign) => false,
                _ => return Ok((Vec::new(), false)),
            };
            self.tokens = ahead;
            if let Some(unknown) = variables.iter().find(|name| !self.variables.contains(name))
                && !declares
            {
                return Err(self.error(&format!("undefined variable \"${unknown}\"")));
            }
            return Ok((variables, declares));
        }
    }

    fn command(&mut self, context: &str) -> Result<Command, TemplateError> {
        let mut operands = Vec::new();
        while let Some(operand) = self.operand()? {
            operands.push(operand);
        }
        if operands.is_empty() {
            return Err(self.error(&format!("missing value for {context}")));
        }
        Ok(Command { operands })
    }

    fn operand(&mut self) -> Result<Option<Operand>, TemplateError> {
        let Some(token) = self.tokens.peek().cloned() else { return Ok(None) };
        let (kind, mut fields) = match token.kind {
            Kind::Pipe | Kind::Right | Kind::Close => return Ok(None),
            Kind::Field(fields) => (OperandKind::Dot, fields),
            Kind::Literal(value) => (OperandKind::Literal(value), Vec::new()),
            Kind::Variable(name, fields) if self.variables.contains(&name) => {
                (OperandKind::Variable(name), fields)
            }
            Kind::Variable(name, _) => {
                return Err(self.error(&format!("undefined variable \"${name}\"")));
            }
            Kind::Word(name) if functions::NAMES.contains(&name.as_str()) => {
                (OperandKind::Function(name), Vec::new())
            }
            Kind::Word(name) => {
                return Err(self.error(&format!("function {name:?} not defined")));
            }
            Kind::Left => {
                self.tokens.next();
                let inner = self.pipeline("parenthesized pipeline")?;
                if !matches!(self.tokens.peek().map(|token| &token.kind), Some(Kind::Right)) {
                    return Err(self.error("unclosed left paren"));
                }
                (OperandKind::Pipeline(Box::new(inner)), Vec::new())
            }
            Kind::Text(_) | Kind::Open | Kind::Declare | Kind::Assign | Kind::Comma => {
                return Err(self.error("unexpected token in operand"));
            }
        };
        self.tokens.next();
        // `(…).A`: the field belongs to the operand if there is no blank between.
        if let Some(Token { kind: Kind::Field(more), apart: false, .. }) = self.tokens.peek()
            && matches!(kind, OperandKind::Pipeline(_))
        {
            fields.extend(more.iter().cloned());
            self.tokens.next();
        }
        Ok(Some(Operand { kind, fields, place: token.place }))
    }

    fn close(&mut self, context: &str) -> Result<(), TemplateError> {
        match self.tokens.next() {
            Some(Token { kind: Kind::Close, .. }) => Ok(()),
            _ => Err(self.error(&format!("unexpected token in {context}"))),
        }
    }

    fn error(&self, what: &str) -> TemplateError {
        TemplateError::Syntax { line: self.last.line, what: what.to_owned() }
    }
}

impl std::fmt::Display for Operand {
    /// As it stands in the template.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            OperandKind::Dot if self.fields.is_empty() => f.write_str(".")?,
            OperandKind::Dot => {}
            OperandKind::Variable(name) => write!(f, "${name}")?,
            OperandKind::Literal(value) => write!(f, "{value}")?,
            OperandKind::Function(name) => f.write_str(name)?,
            OperandKind::Pipeline(_) => f.write_str("(...)")?,
        }
        self.fields.iter().try_for_each(|field| write!(f, ".{field}"))
    }
}

/// See [`super::Template::fields`].
pub(super) fn fields(nodes: &[Node]) -> Option<BTreeSet<&str>> {
    let mut found = BTreeSet::new();
    nodes.iter().try_for_each(|node| of_node(node, &mut found))?;
    Some(found)
}

fn of_node<'a>(node: &'a Node, found: &mut BTreeSet<&'a str>) -> Option<()> {
    match node {
        Node::Text(_) | Node::Break | Node::Continue => Some(()),
        Node::Action(pipeline) => of_pipeline(pipeline, found),
        Node::If { condition: head, then, otherwise }
        | Node::With { value: head, then, otherwise }
        | Node::Range { values: head, body: then, otherwise } => {
            of_pipeline(head, found)?;
            then.iter().chain(otherwise).try_for_each(|node| of_node(node, found))
        }
    }
}

fn of_pipeline<'a>(pipeline: &'a Pipeline, found: &mut BTreeSet<&'a str>) -> Option<()> {
    for operand in pipeline.commands.iter().flat_map(|command| &command.operands) {
        match (&operand.kind, operand.fields.first()) {
            (OperandKind::Dot, Some(field)) => {
                found.insert(field);
            }
            (OperandKind::Variable(name), Some(field)) if name.is_empty() => {
                found.insert(field);
            }
            (OperandKind::Dot, None) => return None,
            (OperandKind::Variable(name), None) if name.is_empty() => return None,
            (OperandKind::Variable(_) | OperandKind::Literal(_) | OperandKind::Function(_), _) => {}
            (OperandKind::Pipeline(inner), _) => of_pipeline(inner, found)?,
        }
    }
    Some(())
}
