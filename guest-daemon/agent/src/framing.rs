//! Cutting the host's bytes into requests.
//!
//! Requests are JSON objects one after another; a line end after each is usual but not required.
//! The byte 0xFF, which no JSON has, says: forget what you have not understood yet.

use serde_json::Value;

/// A request that is longer is refused.
const REQUEST_BYTES: usize = 64 * 1024;
const RESET: u8 = 0xFF;

/// What was cut out.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    Request(Value),
    /// Why something was thrown away.
    Garbage(&'static str),
}

#[derive(Debug, Default)]
pub(crate) struct Framing {
    buffer: Vec<u8>,
    /// The rest of an overlong request is being thrown away, up to a line end.
    skipping: bool,
}

impl Framing {
    /// Adds bytes and returns what is complete now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut segments = bytes.split(|byte| *byte == RESET);
        if let Some(first) = segments.next() {
            self.extend(first, &mut frames);
        }
        for segment in segments {
            self.buffer.clear();
            self.skipping = false;
            self.extend(segment, &mut frames);
        }
        frames
    }

    fn extend(&mut self, mut bytes: &[u8], frames: &mut Vec<Frame>) {
        if self.skipping {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
            bytes = &bytes[end + 1..];
            self.skipping = false;
        }
        self.buffer.extend(bytes);
        loop {
            let mut values = serde_json::Deserializer::from_slice(&self.buffer).into_iter();
            match values.next() {
                None => {
                    self.buffer.clear();
                    return;
                }
                Some(Ok(value)) => {
                    let used = values.byte_offset();
                    self.buffer.drain(..used);
                    frames.push(Frame::Request(value));
                }
                Some(Err(error)) if error.is_eof() => {
                    if self.buffer.len() > REQUEST_BYTES {
                        self.buffer.clear();
                        self.skipping = true;
                        frames.push(Frame::Garbage("the request is too long"));
                    }
                    return;
                }
                Some(Err(_)) => {
                    frames.push(Frame::Garbage("the request is not JSON"));
                    match self.buffer.iter().position(|byte| *byte == b'\n') {
                        Some(end) => drop(self.buffer.drain(..=end)),
                        None => {
                            self.buffer.clear();
                            self.skipping = true;
                            return;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_are_cut_out_wherever_the_bytes_are_split() {
        let text = b"{\"execute\":\"a\"}\n{\"execute\":\"b\"}{\"execute\":\"c\"}\n";
        for split in 0..text.len() {
            let mut framing = Framing::default();
            let mut frames = framing.push(&text[..split]);
            frames.extend(framing.push(&text[split..]));
            let wanted = ["a", "b", "c"].map(|name| Frame::Request(json!({ "execute": name })));
            assert_eq!(frames, wanted, "split at {split}");
        }
    }

    #[test]
    fn a_reset_forgets_half_a_request() {
        let mut framing = Framing::default();
        assert_eq!(framing.push(b"{\"exec"), []);
        assert_eq!(framing.push(b"\xff{\"a\":1}"), [Frame::Request(json!({"a": 1}))]);
    }

    #[test]
    fn garbage_costs_its_line_and_no_more() {
        let mut framing = Framing::default();
        assert_eq!(
            framing.push(b"nonsense\n{\"a\":1}\n"),
            [Frame::Garbage("the request is not JSON"), Frame::Request(json!({"a": 1}))]
        );
    }

    #[test]
    fn an_endless_request_is_thrown_away() {
        let mut framing = Framing::default();
        let mut refused = 0;
        framing.push(b"{\"a\":\"");
        for _ in 0..100 {
            refused += framing.push(&[b'x'; 4096]).len();
            assert!(framing.buffer.len() <= REQUEST_BYTES + 4096);
        }
        assert_eq!(refused, 1);
        assert_eq!(framing.push(b"\"}\n{\"b\":2}\n"), [Frame::Request(json!({"b": 2}))]);
    }

    #[test]
    fn any_bytes_keep_the_buffer_bounded() {
        let seeds = ["{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":7}}\n{}"];
        let mut framing = Framing::default();
        fuzz::rounds(&seeds, |bytes| {
            for part in bytes.chunks(7) {
                drop(framing.push(part));
                assert!(framing.buffer.len() <= REQUEST_BYTES + 7);
            }
        });
    }
}
