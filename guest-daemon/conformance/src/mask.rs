//! Takes out of a document what differs from run to run: ids, times, addresses.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// What is replaced in texts, in this order.
const TEXTS: &[(&str, &str)] = &[
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
    (r"\b(sha256:)?[0-9a-f]{64}\b", "<id>"),
    (r"\b[0-9a-f]{12}\b", "<short id>"),
    (r"\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b", "<mac>"),
    (r"\b172\.17\.0\.\d+\b", "<address>"),
    (r"\b\d+ (seconds?|minutes?)|Less than a second|About a minute", "<while>"),
];

/// Members that are texts of the moment.
const MOMENTS: &[&str] = &["execDuration"];

/// Members that are numbers of the moment, wherever they stand.
const NUMBERS: &[&str] = &["Created", "Pid", "time", "timeNano"];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    TEXTS.iter().filter_map(|(pattern, shown)| Some((Regex::new(pattern).ok()?, *shown))).collect()
});

/// The document with placeholders, also for where the engine keeps its files.
pub(crate) fn mask(value: &mut Value, data_root: &str) {
    match value {
        Value::String(text) => *text = mask_text(&text.replace(data_root, "<root>")),
        Value::Array(items) => {
            items.iter_mut().for_each(|item| mask(item, data_root));
        }
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                let positive = member.as_i64().is_some_and(|number| number > 0);
                if positive && NUMBERS.contains(&name.as_str()) {
                    *member = Value::from("<number>");
                }
                if MOMENTS.contains(&name.as_str()) {
                    *member = Value::from("<while>");
                }
                if name == "Mounts"
                    && let Some(mounts) = member.as_array_mut()
                {
                    // dockerd shows them in any order.
                    mounts.sort_by_key(|mount| mount["Destination"].to_string());
                }
                mask(member, data_root);
            }
            // Names of members are ids, too: those of the containers of a network.
            *members = std::mem::take(members)
                .into_iter()
                .map(|(name, member)| (mask_text(&name), member))
                .collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The year 1 is "never", and images have the same ids and times everywhere.
fn mask_text(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, shown) in PATTERNS.iter() {
        let replaced = pattern.replace_all(&text, |found: &regex::Captures<'_>| {
            let kept = ["0001-", "2026-01-01", "sha256:"];
            if kept.iter().any(|prefix| found[0].starts_with(prefix)) {
                found[0].to_owned()
            } else {
                (*shown).to_owned()
            }
        });
        text = replaced.into_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::mask;

    #[test]
    fn what_differs_from_run_to_run_is_taken_out_and_the_rest_stays() {
        let id = "0123456789abcdef".repeat(4);
        let mut document = json!({
            "Id": id, "Image": format!("sha256:{id}"), "At": "2026-02-03T04:05:06.7Z",
            "Never": "0001-01-01T00:00:00Z", "Pid": 12, "Created": 0, "Status": "Up 3 seconds",
            "Path": "/var/lib/docker/x",
        });
        mask(&mut document, "/var/lib/docker");
        let wanted = json!({
            "Id": "<id>", "Image": format!("sha256:{id}"), "At": "<time>",
            "Never": "0001-01-01T00:00:00Z", "Pid": "<number>", "Created": 0, "Status": "Up <while>",
            "Path": "<root>/x",
        });
        assert_eq!(document, wanted);
    }
}
