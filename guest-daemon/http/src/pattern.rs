//! Matching paths: `{name}` is one segment, `{name..}` one or more (image names have slashes).

/// The name in the path if it matches the pattern; empty if the pattern has none.
pub(crate) fn matches(pattern: &str, path: &str) -> Option<String> {
    let Some(open) = pattern.find('{') else {
        return (pattern == path).then(String::new);
    };
    let close = open + pattern[open..].find('}')?;
    let spans_segments = pattern[open..close].ends_with("..");
    let name = path.strip_prefix(&pattern[..open])?.strip_suffix(&pattern[close + 1..])?;
    if name.is_empty() || (name.contains('/') && !spans_segments) {
        return None;
    }
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_pattern_matches_itself_only() {
        assert_eq!(matches("/info", "/info"), Some(String::new()));
        assert_eq!(matches("/info", "/info/"), None);
        assert_eq!(matches("/info", "/infos"), None);
    }

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(matches("/containers/{name}/json", "/containers/web/json"), some("web"));
        assert_eq!(matches("/containers/{name}/json", "/containers/a/b/json"), None);
        assert_eq!(matches("/containers/{name}/json", "/containers//json"), None);
        assert_eq!(matches("/volumes/{name}", "/volumes/v1"), some("v1"));
        assert_eq!(matches("/volumes/{name}", "/volumes/v1/x"), None);
    }

    #[test]
    fn an_image_name_may_have_slashes() {
        let name = "127.0.0.1:5000/team/app:1";
        let path = format!("/images/{name}/json");
        assert_eq!(matches("/images/{name..}/json", &path), some(name));
        assert_eq!(matches("/images/{name..}", "/images/foo/bar:1"), some("foo/bar:1"));
        assert_eq!(matches("/images/{name..}/json", "/images/json"), None);
    }

    fn some(name: &str) -> Option<String> {
        Some(name.to_owned())
    }
}
