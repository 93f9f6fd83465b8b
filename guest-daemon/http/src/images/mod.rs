//! `/images`, one file per verb.

pub(crate) mod convert;
pub(crate) mod distribution;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod prune;
mod pull;
pub(crate) mod push;
pub(crate) mod remove;
pub(crate) mod save;
pub(crate) mod search;
pub(crate) mod tag;

use engine::images::Progress;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::Serialize;
use serde_json::Value;

use crate::error::HttpError;
use crate::reply::{self, Reply};
use crate::stream::json_lines;

fn to_value<T: Serialize>(document: &T) -> Result<Value, HttpError> {
    serde_json::to_value(document).map_err(|error| HttpError::internal(error.to_string()))
}

/// Progress as it comes.
fn progress(steps: BoxStream<'static, Progress>) -> Reply {
    let lines = steps.map(|step| Ok::<_, std::convert::Infallible>(json_lines::encode(step)));
    reply::stream(reply::JSON, lines)
}
