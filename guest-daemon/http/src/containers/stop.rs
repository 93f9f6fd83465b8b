//! `POST /containers/{id}/stop`.

use super::acted;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::Reply;

pub(crate) async fn stop(call: Call) -> Result<Reply, HttpError> {
    let timeout = call.query.number("t")?;
    let signal = call.query.get("signal").filter(|signal| !signal.is_empty());
    Ok(acted(call.engine().containers.stop(&call.name, signal, timeout).await?))
}
