//! Filters: a map of lists or, from many clients, a map of maps of booleans.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::HttpError;

pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, Vec<String>>, HttpError> {
    if text.is_empty() {
        return Ok(BTreeMap::new());
    }
    let invalid = || HttpError::invalid("invalid filter");
    let document: Value = serde_json::from_str(text).map_err(|_| invalid())?;
    let filters = match &document {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(filters) => filters,
        _ => return Err(invalid()),
    };
    filters
        .iter()
        .map(|(name, values)| Ok((name.clone(), list(values).ok_or_else(invalid)?)))
        .collect()
}

fn list(values: &Value) -> Option<Vec<String>> {
    match values {
        Value::Null => Some(Vec::new()),
        Value::Array(values) => {
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
        }
        // The booleans say nothing: dockerd looks at the names only.
        Value::Object(values) => {
            values.values().all(Value::is_boolean).then(|| values.keys().cloned().collect())
        }
        _ => None,
    }
}
