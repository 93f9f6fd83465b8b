//! Variables in the text of instructions, as a Dockerfile has them.

use crate::error::{Error, Result};

/// Replaces `$NAME`, `${NAME}`, `${NAME:-otherwise}` and `${NAME:+instead}` from an environment;
/// a backslash takes the meaning from the character after it.
pub(super) fn expand(text: &str, env: &[String]) -> Result<String> {
    let (mut expanded, mut rest) = (String::new(), text);
    while let Some(place) = rest.find(['$', '\\']) {
        expanded.push_str(&rest[..place]);
        let mark = rest.as_bytes()[place];
        rest = &rest[place + 1..];
        if mark == b'\\' {
            let mut after = rest.chars();
            expanded.extend(after.next());
            rest = after.as_str();
        } else {
            rest = variable(rest, env, &mut expanded)?;
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// What follows a `$`; returns the text after it.
pub(super) fn variable<'a>(text: &'a str, env: &[String], into: &mut String) -> Result<&'a str> {
    if let Some(inner) = text.strip_prefix('{') {
        let (inside, after) = inner.split_once('}').ok_or_else(|| wrong(text))?;
        let end = name_length(inside);
        let (name, modifier) = inside.split_at(end);
        let value = value_of(name, env).filter(|value| !value.is_empty());
        match (modifier.get(..2), value) {
            _ if end == 0 => return Err(wrong(text)),
            (None, value) if modifier.is_empty() => into.push_str(value.unwrap_or_default()),
            (Some(":-"), Some(value)) => into.push_str(value),
            (Some(":-"), None) | (Some(":+"), Some(_)) => into.push_str(&modifier[2..]),
            (Some(":+"), None) => {}
            _ => return Err(wrong(text)),
        }
        return Ok(after);
    }
    let (name, after) = text.split_at(name_length(text));
    match name {
        "" => into.push('$'),
        name => into.push_str(value_of(name, env).unwrap_or_default()),
    }
    Ok(after)
}

fn name_length(text: &str) -> usize {
    let is_name = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    match text.bytes().next() {
        Some(first) if first.is_ascii_digit() => 1,
        _ => text.bytes().take_while(|byte| is_name(*byte)).count(),
    }
}

fn value_of<'a>(name: &str, env: &'a [String]) -> Option<&'a str> {
    env.iter().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
}

fn wrong(text: &str) -> Error {
    Error::invalid(format!("failed to process \"${text}\": unsupported modifier in substitution"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_take_their_values() {
        let env = ["A=1".to_owned(), "AB=2".to_owned(), "EMPTY=".to_owned()];
        for (text, expanded) in [
            ("$A/$AB/${A}B", "1/2/1B"),
            ("$NONE|${NONE:-else}|${A:-else}", "|else|1"),
            ("${A:+there}|${NONE:+there}|${EMPTY:-else}", "there||else"),
            ("\\$A costs 5$", "$A costs 5$"),
        ] {
            assert_eq!(expand(text, &env).unwrap(), expanded, "{text}");
        }
        for bad in ["${A", "${}", "${A:?x}", "${A-b}"] {
            assert!(expand(bad, &env).is_err(), "{bad}");
        }
    }
}
