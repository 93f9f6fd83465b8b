//! `GET /containers/{id}/top`.

use engine_api::container::TopResponse;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn top(call: Call) -> Result<Reply, HttpError> {
    let top = call.engine().containers.top(&call.name, call.query.text("ps_args")).await?;
    Ok(reply::ok(&TopResponse { processes: top.processes, titles: top.titles }))
}
