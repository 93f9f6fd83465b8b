//! Compression, told by the first bytes and never by a name.

use std::io::{self, BufRead, BufReader, Read};

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Reads a stream unpacked, whatever it is packed with.
pub(crate) fn decompress<'a>(
    reader: impl Read + Send + 'a,
) -> io::Result<(Compression, Box<dyn Read + Send + 'a>)> {
    let mut reader = BufReader::with_capacity(64 * 1024, reader);
    let mut first = Vec::new();
    // A short first read must not hide the magic number.
    while first.len() < 6 {
        let mut byte = [0];
        match reader.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => first.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let compression = detect(&first)?;
    let whole = io::Cursor::new(first).chain(reader);
    Ok(match compression {
        Compression::None => (compression, Box::new(whole)),
        Compression::Gzip => {
            (compression, Box::new(flate2::bufread::MultiGzDecoder::new(whole.buffered())))
        }
        Compression::Zstd => (compression, Box::new(zstd::Decoder::with_buffer(whole.buffered())?)),
    })
}

fn detect(first: &[u8]) -> io::Result<Compression> {
    let unsupported = |name: &str| {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("archives compressed with {name} are not supported"),
        ))
    };
    match first {
        [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Compression::Zstd),
        [b'B', b'Z', b'h', ..] => unsupported("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => unsupported("xz"),
        _ => Ok(Compression::None),
    }
}

trait Buffered: BufRead + Sized {
    fn buffered(self) -> Self {
        self
    }
}

impl<T: BufRead> Buffered for T {}
