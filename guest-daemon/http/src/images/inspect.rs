//! `GET /images/{name}/json`. An image is of one platform here: a list of manifests, which a client
//! may ask for, is only known to stores of several, as with dockerd.

use super::{convert, to_value};
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn inspect(call: Call) -> Result<Reply, HttpError> {
    let platform = call.platform(versions::knows_inspect_platform(call.version))?;
    if !platform.is_empty() && call.query.flag("manifests") {
        return Err(HttpError::invalid(
            "conflicting options: manifests and platform options cannot both be set",
        ));
    }
    let images = &call.engine().images;
    images.check_platform(&call.name, &platform)?;
    let image = images.inspect(&call.name)?;
    let mut document = to_value(&convert::inspect(&image))?;
    versions::image_inspect(call.version, &mut document);
    Ok(reply::ok(&document))
}
