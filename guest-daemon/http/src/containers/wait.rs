//! `POST /containers/{id}/wait`: the head at once, the answer when the condition holds.

use bytes::Bytes;
use engine::containers::{WaitCondition, WaitResult};
use engine_api::container::{WaitError, WaitResponse};
use futures::FutureExt;
use http::StatusCode;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, BoxError, Reply};
use crate::versions;

pub(crate) async fn wait(call: Call) -> Result<Reply, HttpError> {
    let manners = versions::wait_manners(call.version);
    let condition = match manners.knows_conditions {
        true => condition(call.query.text("condition"))?,
        false => WaitCondition::NotRunning,
    };
    let result = call.engine().containers.wait(&call.name, condition)?;
    let tells_errors = manners.tells_removal_errors || condition != WaitCondition::Removed;
    let line = result.map(move |result| match result {
        // An empty answer is the only way to tell such a client.
        Ok(result) if !tells_errors && !result.error.is_empty() => Ok(Bytes::new()),
        Ok(result) => reply::json_line(&to_api(result)).map_err(BoxError::from),
        Err(error) => Err(BoxError::from(error)),
    });
    if manners.head_at_once {
        return Ok(reply::stream(reply::JSON, futures::stream::once(line)));
    }
    let line = line.await.map_err(|error| HttpError::internal(error.to_string()))?;
    Ok(reply::bytes(StatusCode::OK, reply::JSON, line))
}

fn condition(text: &str) -> Result<WaitCondition, HttpError> {
    match text {
        "" | "not-running" => Ok(WaitCondition::NotRunning),
        "next-exit" => Ok(WaitCondition::NextExit),
        "removed" => Ok(WaitCondition::Removed),
        other => Err(HttpError::invalid(format!("invalid condition: {other:?}"))),
    }
}

fn to_api(result: WaitResult) -> WaitResponse {
    WaitResponse {
        error: (!result.error.is_empty()).then_some(WaitError { message: result.error }),
        status_code: i64::from(result.code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_have_dockers_names() {
        assert_eq!(condition(""), Ok(WaitCondition::NotRunning));
        assert_eq!(condition("next-exit"), Ok(WaitCondition::NextExit));
        assert_eq!(condition("removed"), Ok(WaitCondition::Removed));
        assert_eq!(condition("later").unwrap_err().message, "invalid condition: \"later\"");
    }

    #[test]
    fn an_error_is_only_there_when_there_is_one() {
        let of = |error: &str| to_api(WaitResult { code: 42, error: error.to_owned() });
        assert_eq!(serde_json::to_string(&of("")).unwrap(), r#"{"StatusCode":42}"#);
        assert_eq!(
            serde_json::to_string(&of("no")).unwrap(),
            r#"{"Error":{"Message":"no"},"StatusCode":42}"#
        );
    }
}
