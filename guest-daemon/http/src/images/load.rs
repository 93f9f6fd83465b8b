//! `POST /images/load`.

use engine::images::Progress;
use futures::StreamExt;

use super::progress;
use crate::error::{self, HttpError};
use crate::extract::Call;
use crate::reply::Reply;

pub(crate) async fn load(call: Call) -> Result<Reply, HttpError> {
    let quiet = call.query.flag_or("quiet", false);
    let engine = call.engine();
    Ok(progress(match engine.images.load(call.into_byte_stream(), quiet).await {
        Ok(steps) => steps,
        // Clients look for it in the stream.
        Err(error) => futures::stream::iter([Progress::Error(error::text(&error))]).boxed(),
    }))
}
