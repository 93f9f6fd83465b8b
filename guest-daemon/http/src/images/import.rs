//! `POST /images/create`: with `fromSrc` a root filesystem comes from a web server or, with `-`, is
//! the body; with `fromImage` it is a pull.

use engine::images::{ImportImage, Progress};
use http::StatusCode;

use super::{progress, pull};
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::stream::json_lines;
use crate::versions;

pub(crate) async fn import(call: Call) -> Result<Reply, HttpError> {
    if !call.query.text("fromImage").is_empty() {
        return pull::pull(call).await;
    }
    let source = call.query.text("fromSrc").to_owned();
    let message = match call.query.text("message") {
        "" => format!("Imported from {source}"),
        text => text.to_owned(),
    };
    let request = ImportImage {
        reference: reference(call.query.text("repo"), call.query.text("tag")),
        message,
        changes: call.query.all("changes"),
        platform: versions::pull_platform(call.version, call.query.text("platform")).to_owned(),
    };
    let engine = call.engine();
    if source != "-" {
        return Ok(progress(engine.images.import_from(&source, request).await?));
    }
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
