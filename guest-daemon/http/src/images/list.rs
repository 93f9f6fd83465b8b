//! `GET /images/json`.

use engine::images::ListImages;

use super::{convert, to_value};
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::versions;

pub(crate) async fn list(call: Call) -> Result<Reply, HttpError> {
    let mut filters = call.filters()?;
    versions::image_filters(call.version, call.query.text("filter"), &mut filters);
    let request = ListImages {
        all: call.query.flag("all"),
        shared_size: versions::counts_shared_size(call.version, call.query.flag("shared-size")),
        filters,
    };
    let mut images = Vec::new();
    for image in call.engine().images.list(&request)? {
        let mut summary = to_value(&convert::summary(&image))?;
        versions::image_summary(call.version, &mut summary);
        images.push(summary);
    }
    Ok(reply::ok(&images))
}
