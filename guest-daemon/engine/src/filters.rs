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

/// The truth value of a filter such as `dangling=true`; `None` when it is absent.
pub(crate) fn truth(filters: &Filters, key: &str) -> Result<Option<bool>> {
    let Some(values) = filters.get(key) else { return Ok(None) };
    let mut found = None;
    for value in values {
        let truth = match value.as_str() {
            "1" | "true" | "True" | "TRUE" | "t" | "T" => true,
            "0" | "false" | "False" | "FALSE" | "f" | "F" => false,
            _ => return Err(Error::invalid(format!("invalid filter '{key}={value}'"))),
        };
        if found.is_some_and(|other| other != truth) {
            return Err(Error::invalid(format!("invalid filter '{key}={values:?}'")));
        }
        found = Some(truth);
    }
    Ok(found)
}
