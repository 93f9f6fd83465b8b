//! `POST /volumes/create`.

use engine_api::volume::VolumeCreateRequest;
use http::StatusCode;

use super::convert;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn create(mut call: Call) -> Result<Reply, HttpError> {
    let request: VolumeCreateRequest = call.json().await?;
    let volume = call.engine().volumes.create(convert::from_api(request)).await?;
    Ok(reply::json(StatusCode::CREATED, &convert::to_api(volume)))
}
