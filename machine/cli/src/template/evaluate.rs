//! From a tree and data to text.

use serde_json::Value;

use super::parser::{Command, Node, Operand, OperandKind, Pipeline};
use super::{Missing, TemplateError, functions};

struct Evaluation<'a> {
    data: &'a Value,
    missing: Missing,
    variables: Vec<(String, Value)>,
    text: String,
}

/// How a list of nodes was left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

pub(super) fn render(
    nodes: &[Node],
    data: &Value,
    missing: Missing,
) -> Result<String, TemplateError> {
    let mut evaluation = Evaluation { data, missing, variables: Vec::new(), text: String::new() };
    evaluation.list(nodes, data)?;
    Ok(evaluation.text)
}

impl Evaluation<'_> {
    fn list(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        let visible = self.variables.len();
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.variables.truncate(visible);
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, TemplateError> {
        match node {
            Node::Text(text) => self.text.push_str(text),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.text.push_str(&functions::printed(&value));
                }
            }
            Node::If { condition, then, otherwise } => {
                let visible = self.variables.len();
                let value = self.pipeline(condition, dot)?;
                let nodes = if functions::is_true(&value) { then } else { otherwise };
                let flow = self.list(nodes, dot)?;
                self.variables.truncate(visible);
                return Ok(flow);
            }
            Node::With { value, then, otherwise } => {
                let visible = self.variables.len();
                let value = self.pipeline(value, dot)?;
                let flow = if functions::is_true(&value) {
                    self.list(then, &value)?
                } else {
                    self.list(otherwise, dot)?
                };
                self.variables.truncate(visible);
                return Ok(flow);
            }
            Node::Range { values, body, otherwise } => {
                return self.range(values, body, otherwise, dot);
            }
        }
        Ok(Flow::On)
    }

    fn range(
        &mut self,
        values: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<Flow, TemplateError> {
        let visible = self.variables.len();
        let plain = Pipeline { variables: Vec::new(), ..values.clone() };
        let over = self.pipeline(&plain, dot)?;
        let elements: Vec<(Value, Value)> = match over {
            Value::Array(elements) => {
                (0_u64..).zip(elements).map(|(index, value)| (index.into(), value)).collect()
            }
            Value::Object(fields) => {
                fields.into_iter().map(|(key, value)| (key.into(), value)).collect()
            }
            Value::Number(count) => {
                (0..count.as_u64().unwrap_or_default()).map(|n| (n.into(), n.into())).collect()
            }
            Value::Null => Vec::new(),
            Value::Bool(_) | Value::String(_) => {
                let what = format!("range can't iterate over {}", functions::printed(&over));
                return Err(first(values, what));
            }
        };
        if elements.is_empty() {
            return self.list(otherwise, dot);
        }
        for (key, value) in elements {
            match values.variables.as_slice() {
                [] => {}
                [one] => self.set(one, value.clone(), values.declares),
                [one, two, ..] => {
                    self.set(one, key, values.declares);
                    self.set(two, value.clone(), values.declares);
                }
            }
            let flow = self.list(body, &value)?;
            self.variables.truncate(visible);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, value, dot)?);
        }
        let value = value.unwrap_or_default();
        if let Some(name) = pipeline.variables.first() {
            self.set(name, value.clone(), pipeline.declares);
        }
        Ok(value)
    }

    /// `before` is the result of the command to the left, the last argument of this one.
    fn command(
        &mut self,
        command: &Command,
        before: Option<Value>,
        dot: &Value,
    ) -> Result<Value, TemplateError> {
        let Some((head, rest)) = command.operands.split_first() else { return Ok(Value::Null) };
        let OperandKind::Function(name) = &head.kind else {
            if let Some(extra) = rest.first() {
                return Err(error(extra, format!("can't give argument to non-function {head}")));
            }
            if before.is_some() {
                return Err(error(head, format!("can't give argument to non-function {head}")));
            }
            return self.operand(head, dot);
        };
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            let value = self.operand(operand, dot)?;
            // These two look no further than they must.
            let decided = match name.as_str() {
                "and" => !functions::is_true(&value),
                "or" => functions::is_true(&value),
                _ => false,
            };
            if decided {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(before);
        functions::call(name, &arguments).map_err(|what| error(head, what))
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        let value = match &operand.kind {
            OperandKind::Dot => dot.clone(),
            OperandKind::Variable(name) if name.is_empty() => self.data.clone(),
            OperandKind::Variable(name) => {
                let variable = self.variables.iter().rev().find(|(known, _)| known == name);
                variable.map(|(_, value)| value.clone()).unwrap_or_default()
            }
            OperandKind::Literal(value) => value.clone(),
            OperandKind::Function(name) => {
                functions::call(name, &[]).map_err(|what| error(operand, what))?
            }
            OperandKind::Pipeline(inner) => {
                let visible = self.variables.len();
                let value = self.pipeline(inner, dot)?;
                self.variables.truncate(visible);
                value
            }
        };
        operand.fields.iter().try_fold(value, |value, field| self.field(operand, value, field))
    }

    fn field(&self, operand: &Operand, value: Value, field: &str) -> Result<Value, TemplateError> {
        match value {
            Value::Object(mut fields) => match (fields.remove(field), self.missing) {
                (Some(value), _) => Ok(value),
                (None, Missing::NoValue) => Ok(Value::Null),
                (None, Missing::Error) => {
                    Err(error(operand, format!("can't evaluate field {field}")))
                }
            },
            Value::Null => {
                Err(error(operand, format!("nil pointer evaluating interface {{}}.{field}")))
            }
            other => {
                let kind = functions::kind(&other);
                Err(error(operand, format!("can't evaluate field {field} in type {kind}")))
            }
        }
    }

    fn set(&mut self, name: &str, value: Value, declares: bool) {
        let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        match known {
            Some((_, old)) if !declares => *old = value,
            Some(_) | None => self.variables.push((name.to_owned(), value)),
        }
    }
}

fn first(pipeline: &Pipeline, what: String) -> TemplateError {
    let operand = pipeline.commands.first().and_then(|command| command.operands.first());
    match operand {
        Some(operand) => error(operand, what),
        None => TemplateError::Syntax { line: 1, what },
    }
}

fn error(operand: &Operand, what: String) -> TemplateError {
    let (line, column) = (operand.place.line, operand.place.column);
    TemplateError::Execution { line, column, at: operand.to_string(), what }
}
