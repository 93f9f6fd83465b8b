//! How an entry looks on the disk. Both forms are one line an entry, so that everything else is
//! the same for both:
//!
//! ```text
//! {"log":"text\n","stream":"stdout","attrs":{…},"time":"…"}    Docker's json-file
//! o1700000000000000000{…} text                                 compact: the bytes as they came
//! ```
//!
//! In the compact form the first letter is the stream (`o`, `e`; `O`, `E` when the text had no
//! newline of its own), then nanoseconds since 1970, the attributes if there are any, a space.

use std::collections::BTreeMap;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    Json,
    Compact,
}

/// Encodes the entries of one container.
#[derive(Clone, Debug)]
pub struct LogEncoder {
    form: LogForm,
    /// A JSON object, or empty.
    attributes: String,
}

/// An encoder at a moment.
#[derive(Debug)]
pub struct Stamped<'a> {
    encoder: &'a LogEncoder,
    time: String,
}

impl LogEncoder {
    /// Every entry carries the attributes.
    pub fn new(form: LogForm, attributes: &BTreeMap<String, String>) -> Self {
        let attributes = if attributes.is_empty() {
            String::new()
        } else {
            serde_json::to_string(attributes).unwrap_or_default()
        };
        Self { form, attributes }
    }

    pub fn at(&self, unix_nanos: i128) -> Stamped<'_> {
        let time = match self.form {
            LogForm::Json => {
                jiff::Timestamp::from_nanosecond(unix_nanos).unwrap_or_default().to_string()
            }
            LogForm::Compact => unix_nanos.to_string(),
        };
        Stamped { encoder: self, time }
    }
}

impl Stamped<'_> {
    /// Adds one line of the file: `text` with its newline if it had one, and with no other.
    pub fn line(&self, into: &mut Vec<u8>, text: &[u8], stderr: bool) {
        match self.encoder.form {
            LogForm::Json => self.json(into, text, stderr),
            LogForm::Compact => self.compact(into, text, stderr),
        }
    }

    fn json(&self, into: &mut Vec<u8>, text: &[u8], stderr: bool) {
        into.extend_from_slice(b"{\"log\":\"");
        for chunk in text.utf8_chunks() {
            chunk.valid().chars().for_each(|character| json_character(into, character));
            if !chunk.invalid().is_empty() {
                into.extend_from_slice(b"\\ufffd");
            }
        }
        into.extend_from_slice(b"\",\"stream\":\"");
        into.extend_from_slice(if stderr { b"stderr" } else { b"stdout" });
        if !self.encoder.attributes.is_empty() {
            into.extend_from_slice(b"\",\"attrs\":");
            into.extend_from_slice(self.encoder.attributes.as_bytes());
            into.extend_from_slice(b",\"time\":\"");
        } else {
            into.extend_from_slice(b"\",\"time\":\"");
        }
        into.extend_from_slice(self.time.as_bytes());
        into.extend_from_slice(b"\"}\n");
    }

    fn compact(&self, into: &mut Vec<u8>, text: &[u8], stderr: bool) {
        let whole = text.ends_with(b"\n");
        into.push(match (stderr, whole) {
            (false, true) => b'o',
            (true, true) => b'e',
            (false, false) => b'O',
            (true, false) => b'E',
        });
        into.extend_from_slice(self.time.as_bytes());
        into.extend_from_slice(self.encoder.attributes.as_bytes());
        into.push(b' ');
        into.extend_from_slice(text);
        if !whole {
            into.push(b'\n');
        }
    }
}

/// As Go's encoder for logs does it.
fn json_character(into: &mut Vec<u8>, character: char) {
    match character {
        '"' => into.extend_from_slice(b"\\\""),
        '\\' => into.extend_from_slice(b"\\\\"),
        '\n' => into.extend_from_slice(b"\\n"),
        '\r' => into.extend_from_slice(b"\\r"),
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
            into.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
        }
        other => into.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    fn line(encoder: &LogEncoder, text: &[u8]) -> String {
        let mut line = Vec::new();
        encoder.at(1_714_979_289 * SECOND + SECOND / 10).line(&mut line, text, true);
        String::from_utf8_lossy(&line).into_owned()
    }

    #[test]
    fn a_line_is_encoded_as_docker_does() {
        let mut encoder = LogEncoder::new(LogForm::Json, &BTreeMap::new());
        assert_eq!(
            line(&encoder, b"a \"b\" <c>\x1b\t\xff\n"),
            "{\"log\":\"a \\\"b\\\" \\u003cc\\u003e\\u001b\\u0009\\ufffd\\n\",\
             \"stream\":\"stderr\",\"time\":\"2024-05-06T07:08:09.1Z\"}\n"
        );
        encoder.attributes = "{\"a\":\"b\"}".to_owned();
        assert_eq!(
            line(&encoder, b"x"),
            "{\"log\":\"x\",\"stream\":\"stderr\",\"attrs\":{\"a\":\"b\"},\
             \"time\":\"2024-05-06T07:08:09.1Z\"}\n"
        );
    }

    #[test]
    fn the_compact_form_says_whether_the_text_had_a_newline() {
        let encoder = LogEncoder::new(LogForm::Compact, &BTreeMap::new());
        assert_eq!(line(&encoder, b"x\n"), "e1714979289100000000 x\n");
        assert_eq!(line(&encoder, b"x"), "E1714979289100000000 x\n");
    }
}
