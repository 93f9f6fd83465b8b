//! Go's `text/template`, as far as `--format` needs it, on JSON values.
//!
//! Known: text, trimming (`{{-`, `-}}`), comments, `if`/`else if`/`else`, `range` (also with
//! `else`, `break`, `continue`), `with`, variables, pipelines, parentheses, and the functions in
//! [`functions`]. Not known: named templates and methods. Messages are worded as Go words them,
//! because scripts and their authors know those.

mod evaluate;
mod functions;
mod lexer;
mod parser;
mod printf;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::Value;

pub(crate) use functions::pretty;
use parser::Node;

/// A template that was understood.
#[derive(Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
}

/// What a field that is not there means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Prints `<no value>`, as for a Go map.
    NoValue,
    /// An error, as for a Go struct.
    Error,
}

/// Why there is no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// The template is not one.
    #[error("template: :{line}: {what}")]
    Syntax { line: usize, what: String },
    /// It does not fit the data. `at` is the part of the template it happened in.
    #[error("template: :{line}:{column}: executing \"\" at <{at}>: {what}")]
    Execution { line: usize, column: usize, at: String, what: String },
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(Self { nodes: parser::parse(lexer::tokens(text)?)? })
    }

    pub(crate) fn render(&self, data: &Value, missing: Missing) -> Result<String, TemplateError> {
        evaluate::render(&self.nodes, data, missing)
    }

    /// The names of the fields it looks at, or `None` if it may look at all of them. There may be
    /// some among them that it looks for elsewhere.
    pub(crate) fn fields(&self) -> Option<BTreeSet<&str>> {
        parser::fields(&self.nodes)
    }
}
