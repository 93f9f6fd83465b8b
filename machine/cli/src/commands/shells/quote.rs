//! A value, written so that a shell takes it as it is.

/// In double quotes, what is `special` in them marked `with` a character.
pub(super) fn double_quoted(value: &str, special: &str, with: char) -> String {
    format!("\"{}\"", escape(value, special, with))
}

/// People write `eval $(…)` without quotes: what we print is split at blanks and put together again
/// with one blank each. So blanks that follow each other are marked singly, outside of the quotes.
pub(super) fn posix(value: &str) -> String {
    let quoted = double_quoted(value, "\\\"$`", '\\');
    let mut text = String::with_capacity(quoted.len());
    let mut rest = quoted.as_str();
    while let Some(begin) = rest.find([' ', '\t']) {
        let run = rest[begin..].chars().take_while(|c| [' ', '\t'].contains(c)).count();
        let (before, from) = rest.split_at(begin);
        let (blanks, after) = from.split_at(run);
        text.push_str(before);
        if blanks == " " {
            text.push(' ');
        } else {
            let marked: String = blanks.chars().map(|blank| format!("\\{blank}")).collect();
            text.push_str(&format!("\"{marked}\""));
        }
        rest = after;
    }
    text + rest
}

/// A plain value in quotes; in tcsh nothing can be marked there, so of others each character is
/// marked that could mean something. This also survives being split at blanks.
pub(super) fn tcsh(value: &str) -> String {
    let is_plain = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "/:._-+=@%,".contains(c);
    if value.chars().all(is_plain) {
        return format!("\"{value}\"");
    }
    value.chars().fold(String::new(), |mut text, c| {
        if !is_plain(c) {
            text.push('\\');
        }
        text.push(c);
        text
    })
}

/// cmd has quotes around the whole assignment, and nothing against percent signs.
pub(super) fn cmd(name: &str, value: &str) -> String {
    if value.contains(['&', '|', '<', '>', '^', '(', ')']) {
        format!("SET \"{name}={value}\"")
    } else {
        format!("SET {name}={value}")
    }
}

pub(super) fn elvish(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

pub(super) fn python(value: &str) -> String {
    format!("\"{}\"", escape(value, "\\\"", '\\').replace('\n', "\\n"))
}

/// Quotes only where they are needed: not every reader of such files knows them.
pub(super) fn dotenv(value: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !"\"'`\\$#".contains(c);
    if value.chars().all(is_plain) {
        value.to_owned()
    } else if value.contains('\'') {
        double_quoted(value, "\\\"$`", '\\')
    } else {
        format!("'{value}'")
    }
}

fn escape(value: &str, special: &str, with: char) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        if special.contains(c) {
            escaped.push(with);
        }
        escaped.push(c);
    }
    escaped
}
