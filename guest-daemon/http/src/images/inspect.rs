//! `GET /images/{name}/json`.

use super::{convert, to_value};
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn inspect(call: Call) -> Result<Reply, HttpError> {
    let image = call.engine().images.inspect(&call.name)?;
    let mut document = to_value(&convert::inspect(&image))?;
    versions::image_inspect(call.version, &mut document);
    Ok(reply::ok(&document))
}
