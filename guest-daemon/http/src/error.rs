//! Failures as answers: the engine's kinds become statuses, the text becomes `{"message": …}`.

use std::error::Error as _;

use engine::Kind;
use engine_api::error::ErrorResponse;
use http::StatusCode;

use crate::reply::{self, Reply};

/// A failure with its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl HttpError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message: message.into() }
    }

    /// `what` in the plural or as a gerund: `pushing images`.
    pub(crate) fn unbuilt(what: &str) -> Self {
        Self {
            status: StatusCode::NOT_IMPLEMENTED,
            message: format!("{what} is not implemented yet"),
        }
    }

    /// What everything about Swarm answers on a node that is in none.
    pub(crate) fn no_swarm() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: "This node is not a swarm manager. Use \"docker swarm init\" or \"docker \
                      swarm join\" to connect this node to swarm and try again."
                .to_owned(),
        }
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            message: format!("request body is larger than {limit} bytes"),
        }
    }

    pub(crate) fn into_reply(self) -> Reply {
        reply::json(self.status, &ErrorResponse { message: self.message })
    }
}

impl From<engine::Error> for HttpError {
    fn from(error: engine::Error) -> Self {
        Self { status: status(error.kind()), message: text(&error) }
    }
}

/// The failure and its causes in one line. A cause that only repeats what was said is left out.
pub(crate) fn text(error: &engine::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::InvalidArgument => StatusCode::BAD_REQUEST,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_status() {
        let of = |kind| HttpError::from(engine::Error::new(kind, "x")).status.as_u16();
        assert_eq!(of(Kind::NotFound), 404);
        assert_eq!(of(Kind::Conflict), 409);
        assert_eq!(of(Kind::InvalidArgument), 400);
        assert_eq!(of(Kind::Unauthorized), 401);
        assert_eq!(of(Kind::Forbidden), 403);
        assert_eq!(of(Kind::TooManyRequests), 429);
        assert_eq!(of(Kind::Unavailable), 503);
        assert_eq!(of(Kind::Unimplemented), 501);
        assert_eq!(of(Kind::Internal), 500);
    }

    #[test]
    fn the_causes_follow_the_text_once() {
        let cause = std::io::Error::other("disk full");
        let error = engine::Error::internal("layer could not be written", cause);
        assert_eq!(HttpError::from(error).message, "layer could not be written: disk full");
        let cause = std::io::Error::other("disk full");
        let error = engine::Error::internal("writing: disk full: unknown", cause);
        assert_eq!(HttpError::from(error).message, "writing: disk full: unknown");
    }
}
