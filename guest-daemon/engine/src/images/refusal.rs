//! How a registry's refusal of a pull is told.

use super::reference::Reference;
use crate::error::{Error, Kind};

/// A registry's refusal as dockerd tells it of a pull.
pub(super) fn told(error: Error, target: &Reference) -> Error {
    let text = error.with_causes();
    let name = target.familiar_repository();
    match error.kind() {
        Kind::Forbidden if text.starts_with("denied") => Error::not_found(format!(
            "pull access denied for {name}, repository does not exist or may require 'docker \
             login': {text}"
        )),
        Kind::NotFound if text.starts_with("manifest unknown") => {
            Error::not_found(format!("manifest for {} not found: {text}", target.familiar()))
        }
        Kind::NotFound if text.starts_with("name unknown") => {
            Error::not_found(format!("repository {name} not found: {text}"))
        }
        _ => error,
    }
}
