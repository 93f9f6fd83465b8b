//! Reads lines of bounded length; everything on the other end may be hostile or broken.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Longer than anything QEMU or a guest of ours says.
pub(crate) const LONGEST_LINE: usize = 1 << 20;

/// Reads up to `delimiter` and returns what stood before it, or `None` at the end of the stream.
pub(crate) async fn read_until<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    delimiter: u8,
) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok(None);
        }
        if let Some(end) = available.iter().position(|byte| *byte == delimiter) {
            line.extend_from_slice(&available[..end]);
            reader.consume(end + 1);
            return Ok(Some(line));
        }
        let taken = available.len();
        line.extend_from_slice(available);
        reader.consume(taken);
        if line.len() > LONGEST_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
        }
    }
}
