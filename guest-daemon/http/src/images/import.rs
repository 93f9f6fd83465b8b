//! `POST /images/create`: with `fromSrc=-` the body is a root filesystem; with `fromImage` it is a
//! pull.

use engine::images::{ImportImage, Progress};
use http::StatusCode;

use super::pull;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::stream::json_lines;

pub(crate) async fn import(call: Call) -> Result<Reply, HttpError> {
    if !call.query.text("fromImage").is_empty() {
        return pull::pull(call).await;
    }
    if call.query.text("fromSrc") != "-" {
        return Err(HttpError::unbuilt("importing from a URL"));
    }
    let request = ImportImage {
        reference: reference(call.query.text("repo"), call.query.text("tag")),
        message: call.query.text("message").to_owned(),
        changes: call.query.all("changes"),
        platform: call.query.text("platform").to_owned(),
    };
    let engine = call.engine();
    let id = engine.images.import(call.into_byte_stream(), request).await?;
    let done = Progress::Message { id: String::new(), text: id };
    Ok(reply::bytes(StatusCode::OK, reply::JSON, json_lines::encode(done)))
}

/// The name may come with its tag or beside it.
fn reference(repository: &str, tag: &str) -> String {
    if repository.is_empty() || tag.is_empty() {
        repository.to_owned()
    } else {
        format!("{repository}:{tag}")
    }
}
