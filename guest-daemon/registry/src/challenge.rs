//! What a registry asks for before it answers: the header `WWW-Authenticate`.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use crate::failure::Failure;

/// More of anything is passed over.
const LONGEST_HEADER: usize = 8 * 1024;
const MOST_CHALLENGES: usize = 8;
const MOST_PARAMETERS: usize = 16;

/// A scheme and its parameters, names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Challenge {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }
}

/// The one to answer: a token is better than a password.
pub(crate) fn preferred(headers: &HeaderMap) -> Option<Challenge> {
    let all = parse_all(headers);
    let with = |scheme: &str| all.iter().find(|challenge| challenge.scheme == scheme).cloned();
    with("bearer").filter(|bearer| !bearer.get("realm").is_empty()).or_else(|| with("basic"))
}

/// What a challenge says about the token that was sent.
pub(crate) fn error(headers: &HeaderMap) -> Option<Failure> {
    let all = parse_all(headers);
    let bearer = all.iter().find(|challenge| challenge.scheme == "bearer")?;
    let code = match bearer.get("error") {
        "invalid_token" => "UNAUTHORIZED",
        "insufficient_scope" => "DENIED",
        _ => return None,
    };
    Some(Failure::refused(code, bearer.get("error_description")))
}

fn parse_all(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    let mut all: Vec<Challenge> =
        values.filter_map(|value| value.to_str().ok()).flat_map(parse).collect();
    all.truncate(MOST_CHALLENGES);
    all
}

/// `Bearer realm="https://…",service="x", Basic realm="y"`
fn parse(header: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    if header.len() > LONGEST_HEADER {
        return found;
    }
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() || found.len() > MOST_CHALLENGES {
            return found;
        }
        let word = word.to_ascii_lowercase();
        rest = after.trim_start_matches([' ', '\t']);
        let Some(value) = rest.strip_prefix('=') else {
            found.push(Challenge { scheme: word, ..Challenge::default() });
            continue;
        };
        let Some((value, after)) = value_of(value.trim_start_matches([' ', '\t'])) else {
            return found;
        };
        rest = after;
        let Some(challenge) = found.last_mut() else { return found };
        if challenge.parameters.len() < MOST_PARAMETERS {
            // Of two with one name the first counts.
            challenge.parameters.entry(word).or_insert(value);
        }
    }
}

fn token(text: &str) -> (&str, &str) {
    let is_token =
        |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
    text.split_at(text.find(|letter| !is_token(letter)).unwrap_or(text.len()))
}

/// A token or a quoted string, and what follows it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = token(text);
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(scheme: &str, parameters: &[(&str, &str)]) -> Challenge {
        let parameters =
            parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Challenge { scheme: scheme.to_owned(), parameters }
    }

    #[test]
    fn challenges_of_real_registries_are_understood() {
        assert_eq!(
            parse(
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#
            ),
            [of(
                "bearer",
                &[
                    ("realm", "https://auth.docker.io/token"),
                    ("service", "registry.docker.io"),
                    ("scope", "repository:a/b:pull,push"),
                ]
            )]
        );
        assert_eq!(parse(r#"Basic realm="a \"b\"""#), [of("basic", &[("realm", r#"a "b""#)])]);
        assert_eq!(
            parse(r#"Basic realm=x, BEARER Realm = "y" , Service=z"#),
            [of("basic", &[("realm", "x")]), of("bearer", &[("realm", "y"), ("service", "z")])]
        );
    }

    #[test]
    fn a_token_is_preferred_to_a_password() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, "Basic realm=x".parse().unwrap());
        headers.append(WWW_AUTHENTICATE, "Bearer realm=\"https://t/\"".parse().unwrap());
        assert_eq!(preferred(&headers).unwrap().scheme, "bearer");
        assert_eq!(preferred(&HeaderMap::new()), None);
    }

    #[test]
    fn hostile_headers_end_the_reading_and_nothing_else() {
        for header in [
            "",
            "=",
            "Bearer",
            "Bearer realm",
            "Bearer realm=",
            "Bearer realm=\"",
            "Bearer realm=\"\\",
            "Bearer realm=\"x",
            ",,,,",
            "Bearer ,=,=,",
            "\u{e9}\u{e9}",
            "Bearer realm=\u{e9}",
            "a=b",
        ] {
            parse(header);
        }
        assert!(parse(&"Bearer realm=x,".repeat(10_000)).is_empty());
        let many = parse(&"Basic ".repeat(1000));
        assert!(many.len() <= MOST_CHALLENGES + 1);
        let parameters = (0..500).map(|n| format!("p{n}=x,")).collect::<String>();
        assert_eq!(parse(&format!("Basic {parameters}"))[0].parameters.len(), MOST_PARAMETERS);
        let first = parse("Bearer realm=first,realm=second");
        assert_eq!(first[0].get("realm"), "first");
    }

    #[test]
    fn damaged_headers_are_read_and_bounded() {
        let seeds = [
            br#"Bearer realm="https://auth.example/token",service="reg",scope="repository:a:pull""#
                .to_vec(),
            br#"Basic realm="a \"b\"", Negotiate, Bearer realm=x,error=invalid_token"#.to_vec(),
        ];
        fuzz::rounds(&seeds, |bytes| {
            let found = parse(&String::from_utf8_lossy(bytes));
            assert!(found.len() <= MOST_CHALLENGES + 1);
            assert!(found.iter().all(|one| one.parameters.len() <= MOST_PARAMETERS));
        });
    }
}
