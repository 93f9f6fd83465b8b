//! `printf`, with the verbs that make sense for JSON.

use serde_json::Value;

use super::functions::{kind, nested};

/// Wider than any column; a template must not fill the memory.
pub(super) const WIDEST: usize = 1000;

#[derive(Default)]
struct Verb {
    left: bool,
    plus: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
}

/// What is wrong with a verb stands in the text, as in Go.
pub(super) fn printf(format: &str, arguments: &[Value]) -> String {
    let mut text = String::new();
    let mut arguments = arguments.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = chars.next_if(|c| "-+0# ".contains(*c)) {
            match flag {
                '-' => verb.left = true,
                '+' => verb.plus = true,
                '0' => verb.zeros = true,
                _ => {}
            }
        }
        verb.width = number(&mut chars).unwrap_or_default();
        if chars.next_if_eq(&'.').is_some() {
            verb.precision = Some(number(&mut chars).unwrap_or_default());
        }
        match chars.next() {
            None => text.push_str("%!(NOVERB)"),
            Some('%') => text.push('%'),
            Some(letter) => match arguments.next() {
                Some(value) => text.push_str(&verb.apply(letter, value)),
                None => text.push_str(&format!("%!{letter}(MISSING)")),
            },
        }
    }
    let extra: Vec<String> =
        arguments.map(|value| format!("{}={}", kind(value), nested(value))).collect();
    if !extra.is_empty() {
        text.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    text
}

fn number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<usize> {
    let mut number = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        let sum = number.unwrap_or(0_usize).saturating_mul(10).saturating_add(digit as usize);
        number = Some(sum.min(WIDEST));
    }
    number
}

impl Verb {
    fn apply(&self, letter: char, value: &Value) -> String {
        let bad = || format!("%!{letter}({}={})", kind(value), nested(value));
        let plain = match (letter, value) {
            ('v', value) => nested(value),
            ('s', Value::String(text)) => self.cut(text),
            ('s', Value::Array(_) | Value::Object(_)) => nested(value),
            ('q', Value::String(text)) => format!("{text:?}"),
            ('t', Value::Bool(value)) => value.to_string(),
            ('d', Value::Number(n)) if n.is_i64() || n.is_u64() => n.to_string(),
            ('x' | 'X', Value::Number(n)) => match n.as_i64() {
                Some(n) if letter == 'x' => format!("{n:x}"),
                Some(n) => format!("{n:X}"),
                None => return bad(),
            },
            ('x', Value::String(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            ('f' | 'F', Value::Number(n)) => {
                let precision = self.precision.unwrap_or(6);
                format!("{:.precision$}", n.as_f64().unwrap_or_default())
            }
            ('e' | 'g', Value::Number(n)) => n.to_string(),
            ('T', value) => kind(value).to_owned(),
            _ => return bad(),
        };
        self.pad(plain, value.is_number())
    }

    fn cut(&self, text: &str) -> String {
        text.chars().take(self.precision.unwrap_or(usize::MAX)).collect()
    }

    fn pad(&self, mut text: String, is_number: bool) -> String {
        if is_number && self.plus && !text.starts_with('-') {
            text.insert(0, '+');
        }
        let missing = self.width.saturating_sub(text.chars().count());
        if self.left {
            text.push_str(&" ".repeat(missing));
        } else if self.zeros && is_number {
            let sign = usize::from(text.starts_with(['-', '+']));
            text.insert_str(sign, &"0".repeat(missing));
        } else {
            text.insert_str(0, &" ".repeat(missing));
        }
        text
    }
}
