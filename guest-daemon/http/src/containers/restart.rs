//! `POST /containers/{id}/restart`.

use http::StatusCode;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn restart(call: Call) -> Result<Reply, HttpError> {
    let timeout = call.query.number("t")?;
    let signal = versions::stop_signal(call.version, call.query.get("signal"));
    call.engine().containers.restart(&call.name, signal, timeout).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
