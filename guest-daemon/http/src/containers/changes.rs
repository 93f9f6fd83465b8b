//! `GET /containers/{id}/changes`.

use engine::containers::ChangeKind;
use engine_api::container::Change;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn changes(call: Call) -> Result<Reply, HttpError> {
    let changes = call.engine().containers.changes(&call.name).await?;
    let changes: Vec<Change> = changes
        .into_iter()
        .map(|change| Change {
            path: change.path.to_string_lossy().into_owned(),
            kind: match change.kind {
                ChangeKind::Modified => 0,
                ChangeKind::Added => 1,
                ChangeKind::Deleted => 2,
            },
        })
        .collect();
    // None are null, not an empty list.
    Ok(reply::ok(&Some(changes).filter(|changes| !changes.is_empty())))
}
