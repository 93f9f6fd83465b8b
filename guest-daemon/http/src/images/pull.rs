//! `POST /images/create?fromImage=…`.

use engine::images::PullImage;

use super::progress;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::Reply;
use crate::versions;

pub(crate) async fn pull(call: Call) -> Result<Reply, HttpError> {
    let request = PullImage {
        name: call.query.text("fromImage").to_owned(),
        tag: call.query.text("tag").to_owned(),
        platform: versions::pull_platform(call.version, call.query.text("platform")).to_owned(),
        credentials: call.credentials(),
    };
    Ok(progress(call.engine().images.pull(request).await?))
}
