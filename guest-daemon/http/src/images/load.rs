//! `POST /images/load`.

use engine::images::{LoadImages, Progress};
use futures::StreamExt;

use super::progress;
use crate::error::{self, HttpError};
use crate::extract::Call;
use crate::reply::Reply;
use crate::versions;

pub(crate) async fn load(call: Call) -> Result<Reply, HttpError> {
    let request = LoadImages {
        quiet: call.query.flag_or("quiet", true),
        platform: call.platform(versions::knows_platforms(call.version))?,
    };
    let engine = call.engine();
    Ok(progress(match engine.images.load(call.into_byte_stream(), request).await {
        Ok(steps) => steps,
        // Clients look for it in the stream.
        Err(error) => futures::stream::iter([Progress::Error(error::text(&error))]).boxed(),
    }))
}
