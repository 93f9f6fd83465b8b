//! `POST /images/{name}/tag`.

use http::StatusCode;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn tag(call: Call) -> Result<Reply, HttpError> {
    let (repository, tag) = (call.query.text("repo"), call.query.text("tag"));
    call.engine().images.tag(&call.name, repository, tag).await?;
    Ok(reply::empty(StatusCode::CREATED))
}
