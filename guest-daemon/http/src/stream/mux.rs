//! Standard output and error on one stream: 8 bytes before each piece say whose it is and how
//! long. With a terminal there is only one stream and nothing in front.

use bytes::{BufMut, Bytes, BytesMut};
use engine::streams::{Output, Stream};

/// The piece as the client reads it.
pub(crate) fn encode(output: Output, tty: bool) -> Bytes {
    if tty {
        return output.data;
    }
    let mut framed = BytesMut::with_capacity(output.data.len() + 8);
    // A length has four bytes; nothing reads 4 GiB at once, but a wrong length would break all
    // that follows.
    for piece in output.data.chunks(MAX_PAYLOAD) {
        framed.put_u8(match output.stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        });
        framed.put_bytes(0, 3);
        framed.put_u32(u32::try_from(piece.len()).unwrap_or(u32::MAX));
        framed.put_slice(piece);
    }
    framed.freeze()
}

const MAX_PAYLOAD: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_the_stream_and_the_length() {
        assert_eq!(&encode(output(Stream::Stdout, "hi\n"), false)[..], b"\x01\0\0\0\0\0\0\x03hi\n");
        assert_eq!(&encode(output(Stream::Stderr, "no"), false)[..], b"\x02\0\0\0\0\0\0\x02no");
        let long = encode(output(Stream::Stdout, &"x".repeat(0x01_02_03)), false);
        assert_eq!(long[..8], [1, 0, 0, 0, 0, 1, 2, 3]);
    }

    #[test]
    fn a_terminal_is_not_framed() {
        assert_eq!(&encode(output(Stream::Stdout, "hi"), true)[..], b"hi");
    }

    #[test]
    fn nothing_is_no_frame() {
        assert!(encode(output(Stream::Stdout, ""), false).is_empty());
    }

    fn output(stream: Stream, data: &str) -> Output {
        Output { stream, data: Bytes::copy_from_slice(data.as_bytes()) }
    }
}
