//! `POST /containers/{id}/wait`: the head at once, the answer when the condition holds.

use engine::containers::{WaitCondition, WaitResult};
use engine_api::container::{WaitError, WaitResponse};
use futures::FutureExt;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, BoxError, Reply};

pub(crate) async fn wait(call: Call) -> Result<Reply, HttpError> {
    let condition = condition(call.query.text("condition"))?;
    let result = call.engine().containers.wait(&call.name, condition)?;
    let line = result.map(|result| match result {
        Ok(result) => reply::json_line(&to_api(result)).map_err(BoxError::from),
        Err(error) => Err(BoxError::from(error)),
    });
    Ok(reply::stream(reply::JSON, futures::stream::once(line)))
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
