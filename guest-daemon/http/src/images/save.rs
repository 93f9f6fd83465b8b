//! `GET /images/{name}/get` and `GET /images/get?names=…`.

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn save(call: Call) -> Result<Reply, HttpError> {
    let names = [call.name.clone()];
    archive(&call, &names).await
}

pub(crate) async fn save_several(call: Call) -> Result<Reply, HttpError> {
    let names = call.query.all("names");
    archive(&call, &names).await
}

async fn archive(call: &Call, names: &[String]) -> Result<Reply, HttpError> {
    let platform = call.platform(versions::knows_platforms(call.version))?;
    Ok(reply::stream(reply::TAR, call.engine().images.save(names, &platform).await?))
}
