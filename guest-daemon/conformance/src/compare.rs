//! Finds the differences between two documents, and those that are accepted.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use serde_json::Value;

/// One place where two documents differ.
#[derive(Debug, PartialEq)]
pub(crate) struct Difference {
    /// A JSON pointer.
    pub(crate) place: String,
    pub(crate) shown: String,
}

/// Every difference, deepest places first named.
pub(crate) fn differences(ours: &Value, theirs: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(String::new(), Some(ours), Some(theirs), &mut found);
    found
}

fn walk(place: String, ours: Option<&Value>, theirs: Option<&Value>, found: &mut Vec<Difference>) {
    match (ours, theirs) {
        (Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
            let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for name in names {
                walk(format!("{place}/{name}"), ours.get(name), theirs.get(name), found);
            }
        }
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                walk(format!("{place}/{index}"), Some(ours), Some(theirs), found);
            }
        }
        (ours, theirs) if ours != theirs => {
            let show = |value: Option<&Value>| value.map_or("absent".to_owned(), Value::to_string);
            let shown = format!("ours {}, dockerd's {}", show(ours), show(theirs));
            found.push(Difference { place, shown });
        }
        _ => {}
    }
}

/// The differences that are as they should be.
#[derive(Debug)]
pub(crate) struct Accepted {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    topics: String,
    places: String,
    seen: AtomicBool,
}

impl Accepted {
    /// Lines of a topic and a place, in both of which `*` stands for anything. The lines with `#`
    /// above them say why; a line without such words is not accepted.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut entries = Vec::new();
        let mut explained = false;
        for line in text.lines() {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                [] => explained = false,
                [first, ..] if first.starts_with('#') => explained = true,
                [topics, places] if explained => entries.push(Entry {
                    topics: topics.to_owned(),
                    places: places.to_owned(),
                    seen: AtomicBool::new(false),
                }),
                [_, _] => bail!("an accepted difference without a reason: {line}"),
                _ => bail!("not a topic and a place: {line}"),
            }
        }
        Ok(Self { entries })
    }

    /// Whether this difference is among them.
    pub(crate) fn has(&self, topic: &str, place: &str) -> bool {
        let fitting = |entry: &&Entry| fits(&entry.topics, topic) && fits(&entry.places, place);
        let entry = self.entries.iter().find(fitting);
        entry.inspect(|entry| entry.seen.store(true, Ordering::Relaxed)).is_some()
    }

    /// Lines that fitted nothing so far.
    pub(crate) fn unseen(&self) -> impl Iterator<Item = String> {
        let unseen = self.entries.iter().filter(|entry| !entry.seen.load(Ordering::Relaxed));
        unseen.map(|entry| format!("{} {}", entry.topics, entry.places))
    }
}

/// Whether a pattern with `*` for anything covers the whole text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    (0..=rest.len()).any(|at| rest.is_char_boundary(at) && fits(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Accepted, differences};

    #[test]
    fn an_absent_member_a_null_and_an_empty_list_are_three_things() {
        let ours = json!({"a": null, "b": [], "c": {"d": 1}});
        let theirs = json!({"b": null, "c": {"d": 1}});
        let places: Vec<_> = differences(&ours, &theirs).into_iter().map(|d| d.place).collect();
        assert_eq!(places, ["/a", "/b"]);
    }

    #[test]
    fn a_difference_is_accepted_only_with_a_reason() {
        let accepted = Accepted::parse("# because\ninspect:* /Host*/Cgroup\n").unwrap();
        assert!(accepted.has("inspect:created", "/HostConfig/Cgroup"));
        assert!(!accepted.has("inspect:created", "/HostConfig/CgroupParent"));
        assert!(Accepted::parse("info /Name").is_err());
        let two = Accepted::parse("# because\ninfo /Name\ninfo /ID\n").unwrap();
        assert!(two.has("info", "/ID"));
        assert_eq!(two.unseen().collect::<Vec<_>>(), ["info /Name"]);
    }
}
