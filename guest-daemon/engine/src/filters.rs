//! What filters of all lists have in common.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

pub(crate) type Filters = BTreeMap<String, Vec<String>>;

/// Refuses filters that nobody knows.
pub(crate) fn check(filters: &Filters, known: &[&str]) -> Result<()> {
    match filters.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(Error::invalid(format!("invalid filter '{unknown}'"))),
        None => Ok(()),
    }
}

/// Whether a filter is absent, or any of its values fits.
pub(crate) fn any(filters: &Filters, key: &str, fits: impl Fn(&str) -> bool) -> bool {
    match filters.get(key) {
        None => true,
        Some(values) if values.is_empty() => true,
        Some(values) => values.iter().any(|value| fits(value)),
    }
}

/// Whether every value of a filter fits.
pub(crate) fn all(filters: &Filters, key: &str, fits: impl Fn(&str) -> bool) -> bool {
    filters.get(key).is_none_or(|values| values.iter().all(|value| fits(value)))
}

/// `key` or `key=value` against labels; all given must be there.
pub(crate) fn labels(filters: &Filters, key: &str, labels: &BTreeMap<String, String>) -> bool {
    all(filters, key, |wanted| match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    })
}

/// `label` and `label!` of a prune: what has a label of the latter stays.
pub(crate) fn labels_to_prune(filters: &Filters, found: &BTreeMap<String, String>) -> bool {
    labels(filters, "label", found)
        && !(filters.get("label!").is_some_and(|values| !values.is_empty())
            && labels(filters, "label!", found))
}

/// `until` of a prune, in nanoseconds since 1970.
pub(crate) fn until(filters: &Filters, now: i128) -> Result<Option<i128>> {
    match filters.get("until").map(Vec::as_slice) {
        None | Some([]) => Ok(None),
        Some([value]) => moment(value, now).map(Some),
        Some(_) => Err(Error::invalid("more than one until filter specified")),
    }
}

/// A time, or how long ago, in nanoseconds since 1970.
pub(crate) fn moment(value: &str, now: i128) -> Result<i128> {
    crate::time::moment(value, now).ok_or_else(|| {
        Error::invalid(format!("failed to parse value as time or duration: \"{value}\""))
    })
}

/// The truth value of a filter such as `dangling=true`; `None` when it is absent.
pub(crate) fn truth(filters: &Filters, key: &str) -> Result<Option<bool>> {
    let Some(values) = filters.get(key) else { return Ok(None) };
    let says = |words: [&str; 2]| values.iter().any(|value| words.contains(&value.as_str()));
    match (says(["1", "true"]), says(["0", "false"])) {
        (true, false) => Ok(Some(true)),
        (false, true) => Ok(Some(false)),
        _ if values.is_empty() => Err(Error::invalid(format!("invalid filter '{key}'"))),
        _ => Err(Error::invalid(format!("invalid filter '{key}=[{}]'", values.join(" ")))),
    }
}
