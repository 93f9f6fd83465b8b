//! A machine's name: also a host name, a directory and a certificate's name.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The longest label of a host name.
const LONGEST: usize = 63;

/// Letters, digits, `-` and `.`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MachineName(String);

impl MachineName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MachineName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        let good = text.bytes().all(allowed)
            && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if !good {
            return Err(Error::InvalidName { name: text.to_owned() });
        }
        if text.len() > LONGEST {
            return Err(Error::LongName { length: text.len(), longest: LONGEST });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_host_names() {
        for good in ["a", "0", "dev", "Dev-2.example", &"x".repeat(63)] {
            assert!(good.parse::<MachineName>().is_ok(), "{good}");
        }
        for bad in
            ["", "-dev", ".dev", "de_v", "de v", "dév", "../x", "a/b", "a\n", &"x".repeat(64)]
        {
            assert!(bad.parse::<MachineName>().is_err(), "{bad:?}");
        }
    }
}
