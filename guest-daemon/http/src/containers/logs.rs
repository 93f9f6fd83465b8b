//! `GET /containers/{id}/logs`.

use bytes::Bytes;
use engine::containers::LogOptions;
use engine::streams::{Output, Stream};
use futures::StreamExt;

use crate::error::{self, HttpError};
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::stream::mux;
use crate::versions;

pub(crate) async fn logs(call: Call) -> Result<Reply, HttpError> {
    let now = call.engine().system.now();
    let options = LogOptions {
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
        follow: call.query.flag("follow"),
        since: call.query.time("since", now)?,
        until: call.query.time("until", now)?,
        // `all` and whatever else is not a number.
        tail: call.query.text("tail").parse().ok(),
        timestamps: call.query.flag("timestamps"),
        details: call.query.flag("details"),
    };
    if !options.stdout && !options.stderr {
        return Err(HttpError::invalid("Bad parameters: you must choose at least one stream"));
    }
    let (tty, lines) = call.engine().containers.logs(&call.name, options).await?;
    let frames = lines.map(move |line| {
        let output = line.unwrap_or_else(|error| broken(&error));
        Ok::<_, std::convert::Infallible>(mux::encode(output, tty))
    });
    Ok(reply::stream(versions::stream_media_type(call.version, tty), frames))
}

/// The head is out: the log itself is the only place left to say so.
fn broken(error: &engine::Error) -> Output {
    let text = error::text(error);
    tracing::warn!(error = text, "reading a log failed");
    Output { stream: Stream::Stderr, data: Bytes::from(format!("Error grabbing logs: {text}\n")) }
}
