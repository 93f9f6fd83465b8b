//! From text to tokens.

use super::TemplateError;

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) place: Place,
    /// There is a blank before it: `.A .B` are two operands, `.A.B` is one.
    pub(super) apart: bool,
}

/// A place in the template, counted as Go counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Text(String),
    Open,
    Close,
    /// `.`, and `.A.B` with its names.
    Field(Vec<String>),
    /// `$name.A.B`; the name is empty for `$`.
    Variable(String, Vec<String>),
    /// A keyword or a function.
    Word(String),
    Literal(serde_json::Value),
    Pipe,
    Left,
    Right,
    Declare,
    Assign,
    Comma,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, TemplateError> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    let mut trim = false;
    while lexer.at < text.len() {
        trim = lexer.text_and_action(trim)?;
    }
    Ok(lexer.tokens)
}

impl<'a> Lexer<'a> {
    /// Text up to an action and the action; whether blanks after it are to go.
    fn text_and_action(&mut self, trim_before: bool) -> Result<bool, TemplateError> {
        let rest = self.rest();
        let end = rest.find("{{").unwrap_or(rest.len());
        let (text, rest) = rest.split_at(end);
        let trim_after = rest.strip_prefix("{{-").is_some_and(starts_blank);
        let mut shown = text;
        if trim_before {
            shown = shown.trim_start();
        }
        if trim_after {
            shown = shown.trim_end();
        }
        if !shown.is_empty() {
            self.push(Kind::Text(shown.to_owned()), false);
        }
        self.at += text.len();
        if rest.is_empty() {
            return Ok(false);
        }
        self.action(if trim_after { 3 } else { 2 })
    }

    fn action(&mut self, opening: usize) -> Result<bool, TemplateError> {
        let begin = self.at;
        self.at += opening;
        if self.rest().trim_start().starts_with("/*") {
            return self.comment();
        }
        let place = self.place_of(begin);
        self.tokens.push(Token { kind: Kind::Open, place, apart: false });
        let mut parentheses = 0_usize;
        loop {
            let before = self.at;
            self.at = self.text.len() - self.rest().trim_start().len();
            let apart = self.at > before;
            let rest = self.rest();
            let trims = apart && rest.starts_with("-}}");
            if trims || rest.starts_with("}}") {
                if parentheses > 0 {
                    return Err(self.error("unclosed left paren"));
                }
                self.push(Kind::Close, apart);
                self.at += if trims { 3 } else { 2 };
                return Ok(trims);
            }
            let Some(first) = rest.chars().next() else {
                return Err(self.error_at(begin, "unclosed action"));
            };
            match first {
                '(' => parentheses += 1,
                ')' if parentheses == 0 => return Err(self.error("unexpected right paren")),
                ')' => parentheses -= 1,
                _ => {}
            }
            let (kind, length) = self.token(first)?;
            self.push(kind, apart);
            self.at += length;
        }
    }

    fn comment(&mut self) -> Result<bool, TemplateError> {
        let Some(end) = self.rest().find("*/") else {
            return Err(self.error("unclosed comment"));
        };
        let rest = &self.rest()[end + 2..];
        let closing = rest.trim_start();
        let (trims, length) = match (closing.starts_with("-}}"), closing.starts_with("}}")) {
            (true, _) if starts_blank(rest) => (true, 3),
            (_, true) => (false, 2),
            _ => return Err(self.error("comment ends before closing delimiter")),
        };
        self.at = self.text.len() - closing.len() + length;
        Ok(trims)
    }

    fn token(&self, first: char) -> Result<(Kind, usize), TemplateError> {
        let rest = self.rest();
        let second = rest.chars().nth(1);
        match first {
            '|' => Ok((Kind::Pipe, 1)),
            '(' => Ok((Kind::Left, 1)),
            ')' => Ok((Kind::Right, 1)),
            ',' => Ok((Kind::Comma, 1)),
            ':' if second == Some('=') => Ok((Kind::Declare, 2)),
            '=' => Ok((Kind::Assign, 1)),
            '"' => self.quoted(),
            '`' => match rest[1..].find('`') {
                Some(end) => Ok((Kind::Literal(rest[1..=end].into()), end + 2)),
                None => Err(self.error("unterminated raw quoted string")),
            },
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number(),
            '.' => {
                let length = chain(rest);
                Ok((Kind::Field(names(&rest[..length])), length.max(1)))
            }
            '$' => {
                let name = word(&rest[1..]);
                let length = 1 + name.len();
                let fields = chain(&rest[length..]);
                let kind = Kind::Variable(name.to_owned(), names(&rest[length..length + fields]));
                Ok((kind, length + fields))
            }
            c if c.is_ascii_digit() || "+-".contains(c) => self.number(),
            c if c.is_alphabetic() || c == '_' => {
                let name = word(rest);
                let kind = match name {
                    "true" => Kind::Literal(true.into()),
                    "false" => Kind::Literal(false.into()),
                    "nil" => Kind::Literal(serde_json::Value::Null),
                    name => Kind::Word(name.to_owned()),
                };
                Ok((kind, name.len()))
            }
            '}' => Err(self.error("unexpected \"}\" in operand")),
            c => Err(self.error(&format!("unexpected bad character U+{:04X} '{c}'", u32::from(c)))),
        }
    }

    /// A string in double quotes, with Go's escapes as far as JSON has them.
    fn quoted(&self) -> Result<(Kind, usize), TemplateError> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.char_indices().skip(1).take_while(|(_, c)| *c != '\n').find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let Some((end, _)) = end else {
            return Err(self.error("unterminated quoted string"));
        };
        let literal = rest[..=end].replace('\t', "\\t");
        match serde_json::from_str::<String>(&literal) {
            Ok(text) => Ok((Kind::Literal(text.into()), end + 1)),
            Err(_) => Err(self.error("invalid syntax")),
        }
    }

    fn number(&self) -> Result<(Kind, usize), TemplateError> {
        let rest = self.rest();
        let length =
            rest.find(|c: char| !c.is_alphanumeric() && !".+-_".contains(c)).unwrap_or(rest.len());
        let text = &rest[..length];
        let plain = text.strip_prefix('+').unwrap_or(text);
        let number = match plain.parse::<i64>() {
            Ok(number) => Some(number.into()),
            Err(_) => plain.parse().ok().and_then(serde_json::Number::from_f64),
        };
        match number {
            Some(number) => Ok((Kind::Literal(serde_json::Value::Number(number)), length)),
            None => Err(self.error(&format!("bad number syntax: {text:?}"))),
        }
    }

    fn push(&mut self, kind: Kind, apart: bool) {
        let place = self.place_of(self.at);
        self.tokens.push(Token { kind, place, apart });
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn place_of(&self, at: usize) -> Place {
        let before = &self.text[..at];
        let line_begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place { line: 1 + before.matches('\n').count(), column: at - line_begin }
    }

    fn error(&self, what: &str) -> TemplateError {
        self.error_at(self.at, what)
    }

    fn error_at(&self, at: usize, what: &str) -> TemplateError {
        TemplateError::Syntax { line: self.place_of(at).line, what: what.to_owned() }
    }
}

fn starts_blank(text: &str) -> bool {
    text.starts_with(char::is_whitespace)
}

/// The letters, digits and underscores with which a text begins.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// How long `.A.B.C` is; 0 for a dot alone.
fn chain(text: &str) -> usize {
    let mut length = 0;
    while let Some(rest) = text[length..].strip_prefix('.') {
        let name = word(rest);
        if name.is_empty() {
            break;
        }
        length += 1 + name.len();
    }
    length
}

fn names(chain: &str) -> Vec<String> {
    chain.split('.').skip(1).map(str::to_owned).collect()
}
