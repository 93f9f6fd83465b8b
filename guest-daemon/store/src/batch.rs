//! Parts of a stream on their way from one thread to another. Handing on wakes a thread, which can
//! cost more than what is handed on; what waits takes memory.

use bytes::Bytes;

/// Bytes of a batch. The last part may be larger.
const BYTES: usize = 128 * 1024;
/// Parts of a batch, however small they are.
const PARTS: usize = 256;
/// Batches that may wait between two threads.
pub const WAITING: usize = 2;

/// Collects parts until they are worth handing on.
#[derive(Debug, Default)]
pub struct Batch {
    parts: Vec<Bytes>,
    bytes: usize,
}

impl Batch {
    /// All there is, when this part makes it enough.
    pub fn add(&mut self, part: Bytes) -> Option<Vec<Bytes>> {
        self.bytes += part.len();
        self.parts.push(part);
        (self.bytes >= BYTES || self.parts.len() >= PARTS).then(|| self.take())
    }

    /// All there is.
    pub fn take(&mut self) -> Vec<Bytes> {
        self.bytes = 0;
        std::mem::take(&mut self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_in_bytes_and_in_parts() {
        for (size, parts) in [(BYTES, 1), (BYTES / 4, 4), (1, PARTS), (0, PARTS)] {
            let mut batch = Batch::default();
            for _ in 0..2 {
                for _ in 1..parts {
                    assert_eq!(batch.add(Bytes::from(vec![0; size])), None);
                }
                let full = batch.add(Bytes::from(vec![0; size])).unwrap();
                assert_eq!(full.len(), parts);
            }
            assert!(batch.take().is_empty());
        }
    }
}
