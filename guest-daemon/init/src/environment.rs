//! The daemon's environment: the variables that its owner gave it, checked.

/// Set by init itself.
const RESERVED: &[&str] = &["HOME", "PATH"];

/// Takes `KEY=VALUE` apart. Returns the variables, the last of each name, and why the others are
/// left out; that never shows a value, which may be secret.
pub fn variables(entries: &[String]) -> (Vec<(&str, &str)>, Vec<String>) {
    let mut variables: Vec<(&str, &str)> = Vec::new();
    let mut refused = Vec::new();
    for entry in entries {
        let Some((name, value)) = entry.split_once('=') else {
            refused.push("it is not KEY=VALUE".to_owned());
            continue;
        };
        if !is_name(name) {
            refused.push(format!("{name:?} is not a variable's name"));
        } else if RESERVED.contains(&name) {
            refused.push(format!("{name} is the machine's own"));
        } else if value.contains('\0') {
            refused.push(format!("the value of {name} contains a null byte"));
        } else {
            variables.retain(|(known, _)| *known != name);
            variables.push((name, value));
        }
    }
    (variables, refused)
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_name_counts_and_what_is_no_variable_is_told_without_its_value() {
        let entries = [
            "HTTPS_PROXY=http://a",
            "HTTPS_PROXY=http://b=c",
            "EMPTY=",
            "PATH=/secret",
            "1X=secret",
            "secret",
            "N=a\0b",
        ]
        .map(str::to_owned);
        let (variables, refused) = variables(&entries);
        assert_eq!(variables, [("HTTPS_PROXY", "http://b=c"), ("EMPTY", "")]);
        assert_eq!(refused.len(), 4);
        assert!(refused.iter().all(|text| !text.contains("secret")), "{refused:?}");
    }
}
