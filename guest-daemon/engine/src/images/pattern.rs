//! Patterns for names, as Go's `path.Match` has them: `*` and `?` stop at a slash, `[a-z]` and
//! `[^a-z]` are sets, and a backslash takes the meaning from the character after it.

use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Literal(char),
    Set { but: bool, ranges: Vec<(char, char)> },
}

/// A pattern that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            parts.push(match character {
                '*' => Part::Any,
                '?' => Part::One,
                '[' => set(&mut rest)?,
                '\\' => Part::Literal(rest.next().ok_or_else(wrong)?),
                other => Part::Literal(other),
            });
        }
        Ok(Self(parts))
    }

    /// In one way or another. As `*` stops at a slash, only the last one ever has to give more.
    pub(super) fn fits(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut part, mut place) = (0, 0);
        let mut last: Option<(usize, usize)> = None;
        loop {
            match (self.0.get(part), text.get(place)) {
                (None, None) => return true,
                (Some(Part::Any), _) => {
                    last = Some((part, place));
                    part += 1;
                    continue;
                }
                (Some(wanted), Some(found)) if wanted.takes(*found) => {
                    part += 1;
                    place += 1;
                    continue;
                }
                _ => {}
            }
            match last {
                Some((star, start)) if text.get(start).is_some_and(|skipped| *skipped != '/') => {
                    last = Some((star, start + 1));
                    (part, place) = (star + 1, start + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Part {
    fn takes(&self, found: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => found != '/',
            Self::Literal(wanted) => *wanted == found,
            Self::Set { but, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&found)) != *but
            }
        }
    }
}

/// What follows a `[`.
fn set(rest: &mut std::str::Chars<'_>) -> Result<Part> {
    let mut ahead = rest.clone();
    let but = ahead.next() == Some('^');
    if but {
        *rest = ahead;
    }
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.as_str().starts_with(']') {
            rest.next();
            return Ok(Part::Set { but, ranges });
        }
        let low = member(rest)?;
        let high = match rest.as_str().strip_prefix('-') {
            Some(_) => {
                rest.next();
                member(rest)?
            }
            None => low,
        };
        ranges.push((low, high));
    }
}

fn member(rest: &mut std::str::Chars<'_>) -> Result<char> {
    match rest.next() {
        None | Some('-' | ']') => Err(wrong()),
        Some('\\') => rest.next().ok_or_else(wrong),
        Some(other) => Ok(other),
    }
}

fn wrong() -> Error {
    Error::invalid("syntax error in pattern")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).unwrap().fits(text)
    }

    #[test]
    fn patterns_are_those_of_a_shell_within_one_folder() {
        for (pattern, text) in [
            ("busybox", "busybox"),
            ("busy*", "busybox"),
            ("*", ""),
            ("*/*", "me/app"),
            ("b?sy[a-c]ox", "busybox"),
            ("[^a]*x", "busybox"),
            ("a*b*c", "aXbXbXc"),
            ("a\\*b", "a*b"),
            ("*:latest", "busybox:latest"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("busy", "busybox"),
            ("busy*", "me/busybox"),
            ("busy*", "busy/box"),
            ("?", "/"),
            ("*b*", "a/b"),
            ("[a-c]", "d"),
            ("a*b", "ab/b"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["[", "[]", "[a", "[a-", "[-a]", "a\\", "[^"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn damaged_patterns_are_understood_or_refused() {
        fuzz::text_rounds(&["*[a-z]?", "[^a\\]]*b", "me/*:1"], |text| {
            if let Ok(pattern) = Pattern::parse(text) {
                pattern.fits("me/busybox:latest");
            }
        });
    }

    #[test]
    fn many_stars_cost_no_more_than_a_few() {
        assert!(!fits(&"*a".repeat(100), &"b".repeat(255)));
        assert!(!fits(&"a*".repeat(100), &"a".repeat(99)));
        assert!(!fits(&("*a".repeat(100) + "c"), &"a".repeat(255)));
    }
}
