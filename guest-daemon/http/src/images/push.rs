//! `POST /images/{name}/push`.

use engine::images::PushImage;

use super::progress;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::Reply;
use crate::versions;

pub(crate) async fn push(call: Call) -> Result<Reply, HttpError> {
    let request = PushImage {
        name: call.name.clone(),
        tag: call.query.text("tag").to_owned(),
        platform: call.platform(versions::knows_push_platform(call.version))?,
        credentials: call.credentials(),
    };
    Ok(progress(call.engine().images.push(request).await?))
}
