//! What a template can call, and how values look.

use std::cmp::Ordering;

use serde::Serialize as _;
use serde_json::Value;

use super::printf;

/// All of them.
pub(super) const NAMES: [&str; 24] = [
    "and",
    "eq",
    "ge",
    "gt",
    "index",
    "join",
    "json",
    "le",
    "len",
    "lower",
    "lt",
    "ne",
    "not",
    "or",
    "pad",
    "prettyjson",
    "print",
    "printf",
    "println",
    "slice",
    "split",
    "title",
    "truncate",
    "upper",
];

/// The result, or what is wrong.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let call = Call { name, arguments };
    match name {
        // Decided already but for the last.
        "and" | "or" => Ok(call.some(1)?.last().cloned().unwrap_or_default()),
        "not" => Ok((!is_true(call.one()?)).into()),
        "len" => length(call.one()?).map_err(|what| call.failed(&what)),
        "index" => {
            let (value, keys) = call.first_and_rest(1)?;
            keys.iter().try_fold(value.clone(), index).map_err(|what| call.failed(&what))
        }
        "slice" => {
            let (value, bounds) = call.first_and_rest(1)?;
            slice(value, bounds).map_err(|what| call.failed(&what))
        }
        "eq" => {
            let (value, others) = call.first_and_rest(2)?;
            Ok(others.iter().any(|other| compare(value, other) == Some(Ordering::Equal)).into())
        }
        "ne" => {
            let (a, b) = call.two()?;
            Ok((compare(a, b) != Some(Ordering::Equal)).into())
        }
        "lt" | "le" | "gt" | "ge" => {
            let (a, b) = call.two()?;
            let order =
                compare(a, b).ok_or_else(|| call.failed("incompatible types for comparison"))?;
            Ok(match name {
                "lt" => order.is_lt(),
                "le" => order.is_le(),
                "gt" => order.is_gt(),
                _ => order.is_ge(),
            }
            .into())
        }
        "print" => Ok(joined(arguments).into()),
        "println" => {
            let words: Vec<String> = arguments.iter().map(nested).collect();
            Ok(format!("{}\n", words.join(" ")).into())
        }
        "printf" => match call.first_and_rest(1)? {
            (Value::String(format), rest) => Ok(printf::printf(format, rest).into()),
            _ => Err("expected string as the format".to_owned()),
        },
        _ => on_text(&call),
    }
}

/// Those that Docker's programs add to Go's.
fn on_text(call: &Call<'_>) -> Result<Value, String> {
    Ok(match call.name {
        "json" => call.one()?.to_string().into(),
        "prettyjson" => pretty(call.one()?).into(),
        "join" => {
            let (list, between) = call.two()?;
            return join(list, between).map_err(|what| call.failed(&what));
        }
        "split" => {
            let (text, by) = call.two()?;
            printed(text).split(&printed(by)).map(Value::from).collect()
        }
        "lower" => printed(call.one()?).to_lowercase().into(),
        "upper" => printed(call.one()?).to_uppercase().into(),
        "title" => title(&printed(call.one()?)).into(),
        "truncate" => {
            let (text, length) = call.two()?;
            let length = usize::try_from(length.as_u64().unwrap_or_default()).unwrap_or(usize::MAX);
            printed(text).chars().take(length).collect::<String>().into()
        }
        "pad" => match call.some(3)? {
            [text, before, after] => {
                let blanks = |count: &Value| {
                    let count = usize::try_from(count.as_u64().unwrap_or_default());
                    " ".repeat(count.unwrap_or_default().min(printf::WIDEST))
                };
                format!("{}{}{}", blanks(before), printed(text), blanks(after)).into()
            }
            more => return Err(call.wrong_number("3", more.len())),
        },
        name => return Err(format!("{name:?} is not a defined function")),
    })
}

/// A function and what it is called with.
struct Call<'a> {
    name: &'a str,
    arguments: &'a [Value],
}

impl<'a> Call<'a> {
    fn one(&self) -> Result<&'a Value, String> {
        match self.arguments {
            [one] => Ok(one),
            others => Err(self.wrong_number("1", others.len())),
        }
    }

    fn two(&self) -> Result<(&'a Value, &'a Value), String> {
        match self.arguments {
            [first, second] => Ok((first, second)),
            others => Err(self.wrong_number("2", others.len())),
        }
    }

    fn some(&self, least: usize) -> Result<&'a [Value], String> {
        let got = self.arguments.len();
        if got >= least {
            return Ok(self.arguments);
        }
        Err(self.wrong_number(&format!("at least {least}"), got))
    }

    fn first_and_rest(&self, least: usize) -> Result<(&'a Value, &'a [Value]), String> {
        let none = || self.wrong_number("at least 1", 0);
        self.some(least)?.split_first().ok_or_else(none)
    }

    fn wrong_number(&self, want: &str, got: usize) -> String {
        format!("wrong number of args for {}: want {want} got {got}", self.name)
    }

    fn failed(&self, what: &str) -> String {
        format!("error calling {}: {what}", self.name)
    }
}

/// As `{{ . }}` prints it.
pub(super) fn printed(value: &Value) -> String {
    if value.is_null() { "<no value>".to_owned() } else { nested(value) }
}

/// As it is printed within a list or a map.
pub(super) fn nested(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(nested).collect();
            format!("[{}]", values.join(" "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}:{}", nested(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
    }
}

pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// The name of its type in Go.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

pub(crate) fn pretty(value: &Value) -> String {
    let mut text = Vec::new();
    let four_blanks = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, four_blanks);
    // A value made of text keys is always JSON, and memory takes every byte.
    let _always_json = value.serialize(&mut serializer);
    String::from_utf8_lossy(&text).into_owned()
}

fn length(value: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.len(),
        Value::Object(fields) => fields.len(),
        Value::Null => return Err("len of nil pointer".to_owned()),
        Value::Bool(_) | Value::Number(_) => return Err(format!("len of type {}", kind(value))),
    }
    .into())
}

fn index(value: Value, key: &Value) -> Result<Value, String> {
    match (&value, key) {
        (Value::Object(fields), Value::String(key)) => {
            Ok(fields.get(key).cloned().unwrap_or_default())
        }
        (Value::Array(values), Value::Number(at)) => {
            let found = at.as_u64().and_then(|at| values.get(usize::try_from(at).ok()?));
            found.cloned().ok_or_else(|| format!("index out of range: {at}"))
        }
        (Value::Null, _) => Err("index of untyped nil".to_owned()),
        (Value::Object(_) | Value::Array(_), key) => {
            Err(format!("cannot index {} with type {}", kind(&value), kind(key)))
        }
        (value, _) => Err(format!("can't index item of type {}", kind(value))),
    }
}

fn slice(value: &Value, bounds: &[Value]) -> Result<Value, String> {
    let length = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.len(),
        other => return Err(format!("can't slice item of type {}", kind(other))),
    };
    let bound = |at: usize, or: usize| match bounds.get(at) {
        None => Ok(or),
        Some(bound) => {
            let bound = bound.as_u64().and_then(|bound| usize::try_from(bound).ok());
            bound.ok_or_else(|| "cannot index slice/array with that type".to_owned())
        }
    };
    let (begin, end) = (bound(0, 0)?, bound(1, length)?);
    let out_of_range = || format!("index out of range: {end}");
    match value {
        Value::String(text) => text.get(begin..end).map(Value::from).ok_or_else(out_of_range),
        Value::Array(values) => {
            values.get(begin..end).map(|part| part.to_vec().into()).ok_or_else(out_of_range)
        }
        _ => Ok(Value::Null),
    }
}

fn join(list: &Value, between: &Value) -> Result<Value, String> {
    match (list, between) {
        (Value::Array(values), Value::String(between)) => {
            let values: Vec<String> = values.iter().map(nested).collect();
            Ok(values.join(between).into())
        }
        (Value::Null, _) => Ok("".into()),
        (other, _) => Err(format!("wrong type for value; expected a list; got {}", kind(other))),
    }
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (a, b) => (a == b).then_some(Ordering::Equal),
    }
}

/// Blanks only between two that are no texts, as Go does it.
fn joined(values: &[Value]) -> String {
    let mut text = String::new();
    let mut before: Option<&Value> = None;
    for value in values {
        if before.is_some_and(|before| !before.is_string() && !value.is_string()) {
            text.push(' ');
        }
        text.push_str(&nested(value));
        before = Some(value);
    }
    text
}

fn title(text: &str) -> String {
    let mut begins = true;
    text.chars()
        .flat_map(|c| {
            let upper = begins;
            begins = !c.is_alphanumeric();
            if upper { c.to_uppercase().collect::<Vec<_>>() } else { vec![c] }
        })
        .collect()
}
