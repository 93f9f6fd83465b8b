//! `GET /containers/{id}/stats`: one document, or one a second.

use futures::StreamExt;

use super::convert::stats::to_api;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn stats(call: Call) -> Result<Reply, HttpError> {
    let containers = call.engine().containers.clone();
    let one_shot = call.query.flag("one-shot");
    if !call.query.flag_or("stream", true) {
        return Ok(reply::ok(&to_api(containers.stats(&call.name, one_shot).await?)));
    }
    let samples = containers.stats_stream(&call.name)?;
    if one_shot {
        return Err(HttpError::invalid("cannot have stream=true and one-shot=true"));
    }
    Ok(reply::stream(reply::JSON, samples.map(|sample| reply::json_line(&to_api(sample)))))
}
