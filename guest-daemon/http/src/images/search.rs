//! `GET /images/search`.

use engine::images::SearchImages;
use engine::ports::Found;
use engine_api::registry::SearchResult;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn search(call: Call) -> Result<Reply, HttpError> {
    let limit = call.query.number("limit").map_err(|error| HttpError {
        message: format!("invalid limit specified: {}", error.message),
        ..error
    })?;
    let request = SearchImages {
        term: call.query.text("term").to_owned(),
        limit: limit.unwrap_or(0),
        filters: call.filters()?,
        credentials: call.credentials(),
    };
    let found = call.engine().images.search(&request).await?;
    Ok(reply::ok(&found.into_iter().map(result).collect::<Vec<_>>()))
}

fn result(found: Found) -> SearchResult {
    SearchResult {
        star_count: found.stars,
        is_official: found.official,
        name: found.name,
        is_automated: false,
        description: found.description,
    }
}
