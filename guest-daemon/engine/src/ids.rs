//! Names for what has none: 64 hex digits.

use rand::RngCore;

/// A new id. Never all digits in its first twelve, so that it cannot be taken for a number.
pub(crate) fn new_id() -> String {
    loop {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if id[..12].bytes().any(|digit| !digit.is_ascii_digit()) {
            return id;
        }
    }
}

/// The first twelve digits, as people see them.
pub(crate) fn short(id: &str) -> &str {
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

/// Whether this can be the beginning of an id.
pub(crate) fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
