//! `GET /plugins`: there are none. `docker inspect X` asks for one when nothing else is called X.

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn list(call: Call) -> Result<Reply, HttpError> {
    drop(call);
    let none: [&str; 0] = [];
    Ok(reply::ok(&none))
}

pub(crate) async fn inspect(call: Call) -> Result<Reply, HttpError> {
    Err(HttpError::not_found(format!("plugin {:?} not found", call.name)))
}
