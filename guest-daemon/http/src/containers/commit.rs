//! `POST /commit`.

use engine::containers::Commit;
use engine_api::container::CommitResponse;
use engine_api::container_config::ContainerConfig;
use http::StatusCode;

use super::convert::config;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn commit(mut call: Call) -> Result<Reply, HttpError> {
    // Clients send null or an empty document when they want the container's own.
    let given: Option<ContainerConfig> = call.json_or_default().await?;
    let config = given.filter(|given| *given != ContainerConfig::default());
    let query = &call.query;
    let request = Commit {
        repository: query.text("repo").to_owned(),
        tag: query.text("tag").to_owned(),
        author: query.text("author").to_owned(),
        comment: query.text("comment").to_owned(),
        pause: query.flag_or("pause", true),
        changes: query.all("changes"),
        config: config.map(config::from_api),
    };
    let id = call.engine().containers.commit(query.text("container"), request).await?;
    Ok(reply::json(StatusCode::CREATED, &CommitResponse { id }))
}
