//! A layer's frame: its tar without the content of its files, in the order of the stream. The
//! frame and the unpacked files together are the tar again, byte for byte.
//!
//! ```text
//! frame = zstd(MARK part* END)
//! part  = BYTES length bytes                     what stands in the tar
//!       | FILE size checksum inode length path   the content of a file that is in the layer
//! ```
//!
//! Numbers have seven bits a byte, the lowest first; the checksum has four bytes.
//!
//! **Invariant:** a content is known by the inode that it had when it was unpacked, as its name may
//! be another's by the end of the archive (see [`crate::aside`]).

use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What every frame begins with; another form gets another one.
pub(crate) const MARK: &[u8; 4] = b"tfr1";
pub(crate) const END: u8 = 0;
pub(crate) const BYTES: u8 = 1;
pub(crate) const FILE: u8 = 2;
/// How far back the compression refers, as a power of two: what writing and reading take in
/// memory.
pub(crate) const WINDOW_LOG: u32 = 19;

/// What is not found under a shorter path than this cannot be opened.
pub(crate) const PATH_LIMIT: usize = 4096;

/// The content of a file of the layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// Below the layer's root, through no link.
    pub path: PathBuf,
    pub size: u64,
    pub checksum: u32,
    pub inode: u64,
}

/// What comes next in the tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// So many bytes, which follow.
    Bytes(u64),
    File(Content),
    End,
}

pub(crate) fn put_number(into: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f).to_le_bytes()[0];
        number >>= 7;
        if number == 0 {
            into.push(low);
            return;
        }
        into.push(low | 0x80);
    }
}

pub(crate) fn read_mark(frame: &mut impl Read) -> io::Result<()> {
    let mut mark = [0; MARK.len()];
    frame.read_exact(&mut mark)?;
    if mark == *MARK { Ok(()) } else { Err(damaged()) }
}

pub(crate) fn read_part(frame: &mut impl Read) -> io::Result<Part> {
    Ok(match byte(frame)? {
        END => Part::End,
        BYTES => Part::Bytes(number(frame)?),
        FILE => {
            let size = number(frame)?;
            let mut checksum = [0; 4];
            frame.read_exact(&mut checksum)?;
            let inode = number(frame)?;
            let length = Some(number(frame)?).filter(|length| *length < PATH_LIMIT as u64);
            let mut path = Vec::new();
            frame.take(length.ok_or_else(damaged)?).read_to_end(&mut path)?;
            let path = PathBuf::from(std::ffi::OsString::from_vec(path));
            Part::File(Content { path, size, checksum: u32::from_le_bytes(checksum), inode })
        }
        _ => return Err(damaged()),
    })
}

fn number(frame: &mut impl Read) -> io::Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte(frame)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(damaged())
}

fn byte(frame: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    frame.read_exact(&mut byte)?;
    Ok(byte[0])
}

pub(crate) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the record of a layer's archive is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_are_read_as_they_were_written() {
        for wanted in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, wanted);
            let mut rest = bytes.as_slice();
            assert_eq!(number(&mut rest).unwrap(), wanted);
            assert!(rest.is_empty());
        }
        number(&mut [0x80; 10].as_slice()).unwrap_err();
        number(&mut [0x80].as_slice()).unwrap_err();
    }

    #[test]
    fn damaged_parts_are_read_or_refused() {
        let mut file = vec![FILE];
        put_number(&mut file, 300);
        file.extend(7_u32.to_le_bytes());
        put_number(&mut file, 1 << 40);
        put_number(&mut file, 6);
        file.extend(b"bin/sh");
        let path = PathBuf::from("bin/sh");
        let content = Content { path, size: 300, checksum: 7, inode: 1 << 40 };
        assert_eq!(read_part(&mut file.as_slice()).unwrap(), Part::File(content));
        fuzz::rounds(&[file], |bytes| drop(read_part(&mut &*bytes)));
    }
}
