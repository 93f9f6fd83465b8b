//! `HEAD`, `GET` and `PUT /containers/{id}/archive`: `docker cp`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::containers::{ExtractArchive, PathStat};
use engine_api::container::PathStat as ApiPathStat;
use http::{HeaderValue, StatusCode};

use super::convert::path_stat;
use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

const STAT_HEADER: &str = "x-docker-container-path-stat";

pub(crate) async fn head(call: Call) -> Result<Reply, HttpError> {
    let stat = call.engine().containers.stat_path(&call.name, path(&call)?).await?;
    with_stat(reply::empty(StatusCode::OK), &stat)
}

/// Not compressed, whatever the client would take: between a machine and its host that only
/// costs time.
pub(crate) async fn get(call: Call) -> Result<Reply, HttpError> {
    let (stat, archive) = call.engine().containers.archive(&call.name, path(&call)?).await?;
    with_stat(reply::stream(reply::TAR, archive), &stat)
}

pub(crate) async fn put(call: Call) -> Result<Reply, HttpError> {
    let request = ExtractArchive {
        path: path(&call)?.to_owned(),
        keep_kinds: call.query.flag("noOverwriteDirNonDir"),
        copy_owner: call.query.flag("copyUIDGID"),
    };
    let (engine, name) = (call.engine(), call.name.clone());
    engine.containers.extract(&name, request, call.into_byte_stream()).await?;
    Ok(reply::empty(StatusCode::OK))
}

fn path(call: &Call) -> Result<&str, HttpError> {
    match call.query.text("path") {
        "" => Err(HttpError::invalid("bad parameter: pathcannot be empty")),
        path => Ok(path),
    }
}

fn with_stat(mut reply: Reply, stat: &PathStat) -> Result<Reply, HttpError> {
    let document: ApiPathStat = path_stat::to_api(stat);
    let header = serde_json::to_vec(&document)
        .ok()
        .and_then(|json| HeaderValue::try_from(STANDARD.encode(json)).ok())
        .ok_or_else(|| HttpError::internal("the path's facts could not be encoded"))?;
    reply.headers_mut().insert(STAT_HEADER, header);
    Ok(reply)
}
