//! `/images`, one file per verb.

pub(crate) mod convert;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod remove;
pub(crate) mod save;
pub(crate) mod tag;

use serde::Serialize;
use serde_json::Value;

use crate::error::HttpError;

fn to_value<T: Serialize>(document: &T) -> Result<Value, HttpError> {
    serde_json::to_value(document).map_err(|error| HttpError::internal(error.to_string()))
}
