//! `POST /containers/{id}/stop`.

use super::acted;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::Reply;
use crate::versions;

pub(crate) async fn stop(call: Call) -> Result<Reply, HttpError> {
    let timeout = call.query.number("t")?;
    let signal = versions::stop_signal(call.version, call.query.get("signal"));
    Ok(acted(call.engine().containers.stop(&call.name, signal, timeout).await?))
}
