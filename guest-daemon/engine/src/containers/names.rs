//! Names of containers: which are allowed, and made-up ones.

use rand::seq::IndexedRandom;

use crate::error::{Error, Result};

const ADJECTIVES: [&str; 60] = [
    "able", "amber", "ample", "arctic", "bold", "brave", "breezy", "bright", "calm", "candid",
    "clever", "cosmic", "crisp", "daring", "deft", "eager", "earnest", "fair", "fleet", "fond",
    "frosty", "gentle", "glad", "golden", "grand", "happy", "hardy", "honest", "humble", "jolly",
    "keen", "kind", "lively", "loyal", "lucid", "mellow", "merry", "modest", "nimble", "noble",
    "patient", "placid", "plucky", "polite", "proud", "quick", "quiet", "radiant", "serene",
    "sharp", "silent", "sincere", "steady", "sunny", "swift", "tender", "upbeat", "vivid", "warm",
    "witty",
];

const SURNAMES: [&str; 60] = [
    "abel",
    "ampere",
    "anning",
    "archimedes",
    "banach",
    "bardeen",
    "bohr",
    "boole",
    "born",
    "brahmagupta",
    "cantor",
    "carson",
    "cauchy",
    "chandrasekhar",
    "curie",
    "darwin",
    "dirac",
    "easley",
    "einstein",
    "erdos",
    "euclid",
    "euler",
    "faraday",
    "fermat",
    "fermi",
    "feynman",
    "franklin",
    "galileo",
    "galois",
    "gauss",
    "germain",
    "goodall",
    "hamilton",
    "hawking",
    "herschel",
    "hilbert",
    "hopper",
    "hypatia",
    "joliot",
    "kepler",
    "knuth",
    "kovalevskaya",
    "lamarr",
    "leavitt",
    "lovelace",
    "maxwell",
    "meitner",
    "mendel",
    "mirzakhani",
    "newton",
    "noether",
    "pascal",
    "pasteur",
    "planck",
    "ramanujan",
    "ride",
    "sagan",
    "shannon",
    "turing",
    "wu",
];

/// `adjective_surname`; with a digit from the third attempt on.
pub(super) fn made_up(attempt: u32) -> String {
    let mut random = rand::rng();
    let adjective = ADJECTIVES.choose(&mut random).unwrap_or(&"able");
    let surname = SURNAMES.choose(&mut random).unwrap_or(&"abel");
    if attempt < 3 {
        format!("{adjective}_{surname}")
    } else {
        format!("{adjective}_{surname}{}", rand::random_range(0..=attempt))
    }
}

/// The name without its slash, if it is one.
pub(super) fn checked(name: &str) -> Result<&str> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    if is_allowed(bare) {
        return Ok(bare);
    }
    Err(Error::invalid(format!(
        "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, for containers and volumes.
pub(crate) fn is_allowed(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.len() > 1
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_dockers_rule() {
        for good in ["ab", "/web", "a.b-c_d", "0x"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "_a", "a b", "a/b", "ä1", "-x"] {
            assert!(checked(bad).is_err(), "{bad}");
        }
        assert!(is_allowed(&made_up(0)) && is_allowed(&made_up(9)));
    }
}
