//! Platforms as clients send them: a document.

use engine_api::registry::Platform;

use super::decode;
use crate::error::HttpError;

/// `os/architecture/variant`, from what a client sent.
pub(super) fn parse(text: &str) -> Result<String, HttpError> {
    let wrong = |error: &dyn std::fmt::Display| {
        HttpError::invalid(format!("failed to parse platform: {error}"))
    };
    let document = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    let platform: Platform = decode(&document).map_err(|error| wrong(&error.message))?;
    if platform.os.is_empty() || platform.architecture.is_empty() {
        let has_more = !platform.variant.is_empty() || !platform.os_version.is_empty();
        return Err(HttpError::invalid(
            if has_more && platform.os.is_empty() && platform.architecture.is_empty() {
                "optional platform fields provided, but OS and Architecture are missing"
            } else {
                "both OS and Architecture must be provided"
            },
        ));
    }
    let parts = [platform.os, platform.architecture, platform.variant];
    Ok(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_has_a_system_and_an_architecture() {
        let whole = r#"{"os":"linux","architecture":"arm","variant":"v7"}"#;
        assert_eq!(parse(whole).unwrap(), "linux/arm/v7");
        assert_eq!(parse(r#"{"OS":"linux","Architecture":"arm64"}"#).unwrap(), "linux/arm64");
        for (text, message) in [
            (r#"{"os":"linux"}"#, "both OS and Architecture must be provided"),
            (
                r#"{"variant":"v7"}"#,
                "optional platform fields provided, but OS and Architecture are missing",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().message, message);
        }
        assert!(parse("linux/arm64").unwrap_err().message.starts_with("failed to parse platform"));
    }
}
