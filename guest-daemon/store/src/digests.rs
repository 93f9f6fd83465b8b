//! Digests: what a content is known by. The store itself names things by sha256; registries and
//! layouts may use other algorithms.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// Calculates the digest of what it is given.
#[derive(Clone, Debug)]
pub enum Digester {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Digester {
    /// For the algorithm of this digest. What names none that is known gets the store's own.
    pub fn like(digest: &str) -> Self {
        match algorithm_of(digest) {
            "sha512" => Self::Sha512(Sha512::new()),
            "sha384" => Self::Sha384(Sha384::new()),
            _ => Self::default(),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// `algorithm:hex` of all there was.
    pub fn digest(self) -> String {
        match self {
            Self::Sha256(hasher) => format!("sha256:{}", hex::encode(hasher.finalize())),
            Self::Sha384(hasher) => format!("sha384:{}", hex::encode(hasher.finalize())),
            Self::Sha512(hasher) => format!("sha512:{}", hex::encode(hasher.finalize())),
        }
    }
}

impl Default for Digester {
    fn default() -> Self {
        Self::Sha256(Sha256::new())
    }
}

/// The digest of some bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    let mut digester = Digester::default();
    digester.update(bytes);
    digester.digest()
}

/// Whether these bytes are what a digest is for.
pub fn is_of(digest: &str, bytes: &[u8]) -> bool {
    let mut digester = Digester::like(digest);
    digester.update(bytes);
    digester.digest() == digest
}

/// Whether this is an algorithm and as many lower-case hex digits as it has, so that it can be part
/// of a path.
pub fn is_digest(text: &str) -> bool {
    let kinds = [("sha256", 64), ("sha384", 96), ("sha512", 128)];
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        kinds.contains(&(algorithm, hex.len()))
            && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// The same for what the store names by it.
pub(crate) fn is_own(text: &str) -> bool {
    algorithm_of(text) == "sha256" && is_digest(text)
}

/// `sha256`
pub(crate) fn algorithm_of(digest: &str) -> &str {
    digest.split_once(':').map_or("", |(algorithm, _)| algorithm)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: [&str; 3] = [
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha384:38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51\
         ad2f14898b95b",
        "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8\
         318d2877eec2f63b931bd47417a81a538327af927da3e",
    ];

    #[test]
    fn a_content_is_compared_in_the_algorithm_of_its_digest() {
        for digest in EMPTY {
            assert!(is_digest(digest) && is_of(digest, b""), "{digest}");
            assert!(!is_of(digest, b"x"), "{digest}");
            assert_eq!(is_own(digest), digest.starts_with("sha256:"));
        }
        assert_eq!(digest_of(b""), EMPTY[0]);
    }

    #[test]
    fn what_could_be_another_path_is_no_digest() {
        let short = EMPTY[2].replace("sha512", "sha256");
        let upper = EMPTY[0].replace("e3", "E3");
        for text in ["", "sha256", "sha256:", "sha256:../../etc/passwd", "md5:00", &short, &upper] {
            assert!(!is_digest(text) && !is_of(text, b""), "{text}");
        }
    }
}
