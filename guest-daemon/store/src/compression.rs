//! Compression, told by the first bytes and never by a name.

use std::io::{self, BufRead, BufReader, Read};

/// What registries call a layer that is compressed in this way.
pub(crate) const GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// What `xz -9` needs, and a little more. A stream can claim to need gigabytes.
const XZ_MEMORY_KIB: u32 = 72 << 10;
/// How far back zstd may refer, as a power of two, which is also what reading takes in memory.
/// Its levels up to 19 need no more than 8 MiB.
const LARGEST_WINDOW_LOG: u32 = 24;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Compression {
    /// Reads a stream unpacked that is so compressed.
    pub(crate) fn open<'a>(
        self,
        reader: impl BufRead + Send + 'a,
    ) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::None => Box::new(reader),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
            Self::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(reader, true, XZ_MEMORY_KIB)),
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(reader)?;
                decoder.window_log_max(LARGEST_WINDOW_LOG)?;
                Box::new(decoder)
            }
        })
    }

    /// What a layer so compressed is called, where registries know it.
    pub(crate) fn media_type(self) -> Option<&'static str> {
        match self {
            Self::None | Self::Bzip2 | Self::Xz => None,
            Self::Gzip => Some(GZIP),
            Self::Zstd => Some("application/vnd.oci.image.layer.v1.tar+zstd"),
        }
    }
}

/// Tells how a stream is compressed; it is then read from its beginning.
pub(crate) fn sniff<R: Read>(reader: R) -> io::Result<(Compression, impl BufRead + use<R>)> {
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
    Ok((detect(&first), io::Cursor::new(first).chain(reader)))
}

/// Reads a stream unpacked, whatever it is packed with.
pub(crate) fn decompress<'a>(
    reader: impl Read + Send + 'a,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let (compression, reader) = sniff(reader)?;
    compression.open(reader)
}

pub(crate) fn detect(first: &[u8]) -> Compression {
    match first {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [b'B', b'Z', b'h', ..] => Compression::Bzip2,
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Compression::Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "hello\n", and the same with a dictionary that would take 4 GiB.
    const BZIP2: &[u8] = b"BZh91AY&SY\xc1\xc0\x80\xe2\x00\x00\x01A\x00\x00\x10\x02D\xa0\x000\xcd\x00\xc3F)\x97\x17rE8P\x90\xc1\xc0\x80\xe2";
    const XZ: &[u8] = b"\xfd7zXZ\x00\x00\x01i\x22\xde6\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00\x05hello\x0a\x00\x00\x00 0:6\x00\x01\x1a\x06\xc5\xea\xc8y\x90B\x99\x0d\x01\x00\x00\x00\x00\x01YZ";
    const GREEDY: &[u8] = b"\xfd7zXZ\x00\x00\x01i\x22\xde6\x02\x00!\x01(\x00\x00\x00\xe6\xa0\x11\xb3\x01\x00\x05hello\x0a\x00\x00\x00 0:6\x00\x01\x1a\x06\xc5\xea\xc8y\x90B\x99\x0d\x01\x00\x00\x00\x00\x01YZ";

    fn read(packed: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        decompress(packed)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn streams_are_told_by_their_beginning() {
        for packed in [BZIP2, XZ, b"hello\n".as_slice()] {
            assert_eq!(read(packed).unwrap(), "hello\n");
        }
        assert_eq!(read(b"BZ").unwrap(), "BZ", "too short for anything else");
    }

    #[test]
    fn a_stream_may_not_ask_for_gigabytes() {
        let error = read(GREEDY).unwrap_err();
        assert!(error.to_string().contains("memory"), "{error}");
    }
}
