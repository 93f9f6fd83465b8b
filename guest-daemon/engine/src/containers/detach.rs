//! The keys with which a client detaches, found across the borders of reads.

use crate::error::{Error, Result};

/// `ctrl-p,ctrl-q`
const DEFAULT: [u8; 2] = [0x10, 0x11];

/// Watches a client's input for the keys.
#[derive(Clone, Debug)]
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    /// How many of the keys have been seen in a row.
    matched: usize,
}

/// What came of some input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// This goes to the process; the beginning of the keys may be held back.
    Pass(Vec<u8>),
    /// The client wants to go; this goes to the process before.
    Detach(Vec<u8>),
}

impl DetachKeys {
    /// `ctrl-a`, `ctrl-[`, single characters, between commas; the default when empty.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self { keys: DEFAULT.to_vec(), matched: 0 });
        }
        let keys: Option<Vec<u8>> = text.split(',').map(key).collect();
        match keys {
            Some(keys) => Ok(Self { keys, matched: 0 }),
            None => Err(Error::invalid(format!("Invalid detach keys ({text}) provided"))),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.keys
    }

    pub(crate) fn scan(&mut self, input: &[u8]) -> Scanned {
        let mut pass = Vec::with_capacity(input.len());
        for byte in input {
            if *byte != self.keys[self.matched] {
                pass.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if *byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return Scanned::Detach(pass);
                }
            } else {
                pass.push(*byte);
            }
        }
        Scanned::Pass(pass)
    }
}

fn key(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [single] => Some(*single),
        _ => match text.strip_prefix("ctrl-")?.as_bytes() {
            [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
            [b'@'] => Some(0),
            [b'['] => Some(27),
            [b'\\'] => Some(28),
            [b']'] => Some(29),
            [b'^'] => Some(30),
            [b'_'] => Some(31),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(bytes: &[u8]) -> Scanned {
        Scanned::Pass(bytes.to_vec())
    }

    #[test]
    fn the_keys_are_found_across_reads_and_do_not_reach_the_process() {
        let mut keys = DetachKeys::parse("").unwrap();
        assert_eq!(keys.scan(b"ls\x10"), pass(b"ls"));
        assert_eq!(keys.scan(b"\x11more"), Scanned::Detach(Vec::new()));
    }

    #[test]
    fn half_of_the_keys_is_ordinary_input_once_something_else_follows() {
        let mut keys = DetachKeys::parse("").unwrap();
        assert_eq!(keys.scan(b"\x10"), pass(b""));
        assert_eq!(keys.scan(b"x"), pass(b"\x10x"));
        assert_eq!(keys.scan(b"\x10\x10"), pass(b"\x10"));
        assert_eq!(keys.scan(b"\x11"), Scanned::Detach(Vec::new()));
    }

    #[test]
    fn keys_can_be_chosen() {
        let mut keys = DetachKeys::parse("ctrl-a,d").unwrap();
        assert_eq!(keys.scan(b"q\x01d"), Scanned::Detach(b"q".to_vec()));
        for bad in ["ctrl-", "ctrl-1", "ab", "a,,b"] {
            assert!(DetachKeys::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn any_input_passes_whole_or_detaches() {
        fuzz::rounds(&["ctrl-p,ctrl-q|\x10\x10\x11", "a,b,a|abab"], |input| {
            let text = String::from_utf8_lossy(input);
            let (keys, typed) = text.split_once('|').unwrap_or((&text, ""));
            if let Ok(mut keys) = DetachKeys::parse(keys) {
                let (Scanned::Pass(bytes) | Scanned::Detach(bytes)) = keys.scan(typed.as_bytes());
                assert!(typed.as_bytes().starts_with(&bytes));
            }
        });
    }
}
