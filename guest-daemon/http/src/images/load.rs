//! `POST /images/load`.

use engine::images::Progress;
use futures::StreamExt;

use crate::error::{self, HttpError};
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::stream::json_lines;

pub(crate) async fn load(call: Call) -> Result<Reply, HttpError> {
    let quiet = call.query.flag_or("quiet", false);
    let engine = call.engine();
    let progress = match engine.images.load(call.into_byte_stream(), quiet).await {
        Ok(progress) => progress,
        // Clients look for it in the stream.
        Err(error) => futures::stream::iter([Progress::Error(error::text(&error))]).boxed(),
    };
    let lines = progress.map(|step| Ok::<_, std::convert::Infallible>(json_lines::encode(step)));
    Ok(reply::stream(reply::JSON, lines))
}
