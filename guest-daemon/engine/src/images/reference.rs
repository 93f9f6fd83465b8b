//! Names of images, as Docker understands them: `busybox` is `docker.io/library/busybox:latest`.

use engine_store::digests::is_digest;

use crate::error::{Error, Result};
use crate::ids;

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// A name in its full form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    pub tag: Option<String>,
    /// `sha256:…`, or of another algorithm.
    pub digest: Option<String>,
}

impl Reference {
    /// `[domain/]path[:tag][@digest]`
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() == 64 && ids::is_hex(text) {
            return Err(Error::invalid(format!(
                "invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) if is_digest(digest) => (name, Some(digest.to_owned())),
            Some(_) => return Err(invalid()),
            None => (text, None),
        };
        let (domain, rest) = split_domain(name);
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if is_tag(tag) => (path, Some(tag.to_owned())),
            Some(_) => return Err(invalid()),
            None => (rest, None),
        };
        let domain = if domain == LEGACY_DOMAIN { DEFAULT_DOMAIN } else { domain };
        let path = if domain == DEFAULT_DOMAIN && !path.contains('/') {
            format!("{OFFICIAL}{path}")
        } else {
            path.to_owned()
        };
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(Error::invalid(format!(
                "invalid reference format: repository name ({path}) must be lowercase"
            )));
        }
        if !path.split('/').all(is_component) || !is_domain(domain) {
            return Err(invalid());
        }
        if domain.len() + 1 + path.len() > LONGEST_NAME {
            return Err(Error::invalid(
                "invalid reference format: repository name must not be more than 255 characters",
            ));
        }
        Ok(Self { domain: domain.to_owned(), path, tag, digest })
    }

    /// With `latest` when it names neither a tag nor a digest.
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    pub fn with_tag(mut self, tag: &str) -> Result<Self> {
        if !is_tag(tag) {
            return Err(Error::invalid("invalid tag format"));
        }
        self.tag = Some(tag.to_owned());
        self.digest = None;
        Ok(self)
    }

    /// `docker.io`
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// `library/busybox`
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `docker.io/library/busybox`
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// `busybox`
    pub fn familiar_repository(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.repository();
        }
        self.path
            .strip_prefix(OFFICIAL)
            .filter(|bare| !bare.contains('/'))
            .unwrap_or(&self.path)
            .to_owned()
    }

    /// `docker.io/library/busybox:latest`; what names are stored under.
    pub fn canonical(&self) -> String {
        self.repository() + &self.suffix()
    }

    /// `busybox:latest`
    pub fn familiar(&self) -> String {
        self.familiar_repository() + &self.suffix()
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map_or_else(String::new, |tag| format!(":{tag}"));
        let digest = self.digest.as_ref().map_or_else(String::new, |digest| format!("@{digest}"));
        tag + &digest
    }
}

fn invalid() -> Error {
    Error::invalid("invalid reference format")
}

/// The first part is a registry if it looks like a host.
fn split_domain(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_DOMAIN, name),
    }
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !domain.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let port_fits =
        port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_fits = match address {
        Some(address) => address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'),
        None => host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }),
    };
    port_fits && host_fits
}

/// Lower-case letters and digits, with `.`, `_`, `__` or hyphens between them.
fn is_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !bytes.first().is_some_and(alphanumeric) || !bytes.last().is_some_and(alphanumeric) {
        return false;
    }
    bytes.split(alphanumeric).all(|separator| {
        matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-')
    })
}

fn is_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    tag.len() <= LONGEST_TAG
        && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_completed_as_docker_does() {
        for (text, canonical, familiar) in [
            ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
            ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("index.docker.io/u/x", "docker.io/u/x:latest", "u/x:latest"),
            ("u/x:y", "docker.io/u/x:y", "u/x:y"),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            ("127.0.0.1:5000/t", "127.0.0.1:5000/t:latest", "127.0.0.1:5000/t:latest"),
            ("[::1]:5000/t:1", "[::1]:5000/t:1", "[::1]:5000/t:1"),
            ("ghcr.io/a/b/c_d", "ghcr.io/a/b/c_d:latest", "ghcr.io/a/b/c_d:latest"),
            ("Host/x", "Host/x:latest", "Host/x:latest"),
            ("a--b/c__d", "docker.io/a--b/c__d:latest", "a--b/c__d:latest"),
        ] {
            let reference = Reference::parse(text).unwrap().or_latest();
            assert_eq!(reference.canonical(), canonical, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
        }
    }

    #[test]
    fn a_digest_takes_the_place_of_latest() {
        let text = format!("busybox@sha256:{HEX}");
        let reference = Reference::parse(&text).unwrap().or_latest();
        assert_eq!(reference.familiar(), text);
        assert_eq!(reference.tag, None);
    }

    #[test]
    fn what_is_no_name_is_refused_in_dockers_words() {
        for text in
            ["", "a//b", "-a", "a-", "a:", "a:b:c", "a@sha256:12", "a_", "a___b", "a..b", "x y"]
        {
            let error = Reference::parse(text).unwrap_err().to_string();
            assert_eq!(error, "invalid reference format", "{text}");
        }
        assert_eq!(
            Reference::parse("Busybox").unwrap_err().to_string(),
            "invalid reference format: repository name (library/Busybox) must be lowercase"
        );
        assert_eq!(
            Reference::parse(HEX).unwrap_err().to_string(),
            format!("invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings")
        );
        assert!(Reference::parse(&"a".repeat(256)).is_err());
        assert!(Reference::parse("a").unwrap().with_tag("!").is_err());
    }

    #[test]
    fn what_was_understood_is_understood_again_in_its_full_form() {
        let digest = format!("a.test/b__c/d-e@sha256:{}", "0123456789abcdef".repeat(4));
        let seeds =
            ["busybox", "docker.io/library/a:latest", "localhost:5000/a/b:v1.0-rc_2", &digest];
        fuzz::text_rounds(&seeds, |text| {
            if let Ok(reference) = Reference::parse(text) {
                assert_eq!(Reference::parse(&reference.canonical()).unwrap(), reference);
            }
        });
    }
}
