//! API versions: the path's prefix, the oldest and the newest that are answered.

use std::fmt;

use crate::error::HttpError;

pub(crate) const OLDEST: ApiVersion = ApiVersion::new(1, 24);
pub(crate) const OLDEST_TEXT: &str = "1.24";
pub(crate) const NEWEST: ApiVersion = ApiVersion::new(1, 51);
pub(crate) const NEWEST_TEXT: &str = "1.51";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion {
    major: u32,
    minor: u32,
}

impl ApiVersion {
    pub(crate) const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Some(Self::new(number(major)?, number(minor)?))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Splits `/v1.47/info` into `1.47` and `/info`; a path without a version is left as it is.
pub(crate) fn split(path: &str) -> (Option<&str>, &str) {
    let Some(rest) = path.strip_prefix("/v") else { return (None, path) };
    let Some(end) = rest.find('/') else { return (None, path) };
    let (version, path_after) = rest.split_at(end);
    let is_version =
        !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_version { (Some(version), path_after) } else { (None, path) }
}

/// The version to answer in; without one asked for it is the newest.
pub(crate) fn negotiate(asked: Option<&str>) -> Result<ApiVersion, HttpError> {
    let Some(text) = asked else { return Ok(NEWEST) };
    let version = ApiVersion::parse(text)
        .ok_or_else(|| HttpError::invalid(format!("invalid API version {text}")))?;
    if version < OLDEST {
        return Err(HttpError::invalid(format!(
            "client version {text} is too old. Minimum supported API version is {OLDEST}, please \
             upgrade your client to a newer version"
        )));
    }
    if version > NEWEST {
        return Err(HttpError::invalid(format!(
            "client version {text} is too new. Maximum supported API version is {NEWEST}"
        )));
    }
    Ok(version)
}

fn number(text: &str) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_prefix_is_taken_off_the_path() {
        assert_eq!(split("/v1.47/containers/json"), (Some("1.47"), "/containers/json"));
        assert_eq!(split("/v1.24/_ping"), (Some("1.24"), "/_ping"));
    }

    #[test]
    fn a_path_that_only_looks_versioned_is_left_alone() {
        for path in ["/volumes", "/volumes/v1", "/version", "/v1.47", "/info"] {
            assert_eq!(split(path), (None, path));
        }
    }

    #[test]
    fn no_version_means_the_newest() {
        assert_eq!(negotiate(None), Ok(NEWEST));
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(ApiVersion::new(1, 9) < ApiVersion::new(1, 24));
        assert_eq!(negotiate(Some("1.32")), Ok(ApiVersion::new(1, 32)));
    }

    #[test]
    fn too_new_and_too_old_are_refused_in_dockers_words() {
        let too_new = negotiate(Some("1.99")).unwrap_err();
        assert_eq!(too_new.status.as_u16(), 400);
        assert_eq!(
            too_new.message,
            "client version 1.99 is too new. Maximum supported API version is 1.51"
        );
        assert_eq!(
            negotiate(Some("1.12")).unwrap_err().message,
            "client version 1.12 is too old. Minimum supported API version is 1.24, please \
             upgrade your client to a newer version"
        );
    }

    #[test]
    fn the_texts_are_the_numbers() {
        assert_eq!(OLDEST.to_string(), OLDEST_TEXT);
        assert_eq!(NEWEST.to_string(), NEWEST_TEXT);
    }
}
