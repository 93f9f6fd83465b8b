//! Sparse files in the PAX form, as GNU tar and bsdtar write them: what is no hole stands together,
//! and a map says where each part belongs.

use std::io::{self, Read};
use std::vec::IntoIter;

use crate::tar_entry::bad;

const BLOCK: usize = 512;
/// Parts of one file.
const MOST_PARTS: usize = 64 * 1024;

/// What the headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sparse {
    /// With the holes.
    pub(crate) size: u64,
    /// Offsets and lengths in turn; forms 0.0 and 0.1.
    numbers: Vec<u64>,
    /// The map stands before the content; form 1.0.
    in_content: bool,
}

impl Sparse {
    /// Takes in a PAX header of the family `GNU.sparse.`, without that.
    pub(crate) fn header(&mut self, key: &[u8], value: &str) -> io::Result<()> {
        match key {
            b"major" => self.in_content = number(value)? == 1,
            b"size" | b"realsize" => self.size = number(value)?,
            b"map" => self.numbers = value.split(',').map(number).collect::<io::Result<_>>()?,
            b"offset" | b"numbytes" => self.numbers.push(number(value)?),
            _ => {}
        }
        Ok(())
    }

    /// The file's content with its holes.
    pub(crate) fn fill<R: Read>(&self, mut content: R) -> io::Result<Filled<R>> {
        let numbers = match self.in_content {
            true => map_before(&mut content)?,
            false => self.numbers.clone(),
        };
        let mut end = 0;
        let mut parts = Vec::new();
        for pair in numbers.chunks(2) {
            let &[offset, length] = pair else { return Err(bad("a sparse file's map is odd")) };
            let after = offset.checked_add(length).filter(|after| *after <= self.size);
            let (Some(after), true) = (after, offset >= end) else {
                return Err(bad("a sparse file's map is not in order"));
            };
            end = after;
            parts.push((offset, length));
        }
        Ok(Filled { content, parts: parts.into_iter(), part: (0, 0), at: 0, size: self.size })
    }
}

fn number(text: &str) -> io::Result<u64> {
    text.trim().parse().map_err(|_| bad("a sparse file's map has something else than numbers"))
}

/// How many parts there are, then offset and length of each: a number a line, in whole blocks.
fn map_before(content: &mut impl Read) -> io::Result<Vec<u64>> {
    let (mut numbers, mut wanted, mut line) = (Vec::new(), None, String::new());
    while wanted.is_none_or(|wanted| numbers.len() < wanted) {
        let mut block = [0; BLOCK];
        content.read_exact(&mut block)?;
        for byte in block {
            if wanted.is_some_and(|wanted| numbers.len() == wanted) {
                break;
            }
            if byte != b'\n' {
                line.push(char::from(byte));
                continue;
            }
            let found = number(&line)?;
            line.clear();
            match wanted {
                Some(_) => numbers.push(found),
                None if found <= MOST_PARTS as u64 => {
                    wanted = usize::try_from(found).ok().map(|parts| 2 * parts);
                }
                None => return Err(bad("a sparse file has too many parts")),
            }
        }
        if line.len() > BLOCK {
            return Err(bad("a sparse file's map has no lines"));
        }
    }
    Ok(numbers)
}

/// A stream with zeros where the holes are.
#[derive(Debug)]
pub(crate) struct Filled<R> {
    content: R,
    parts: IntoIter<(u64, u64)>,
    /// Offset and length of the part that is next, or under way.
    part: (u64, u64),
    at: u64,
    size: u64,
}

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.part.0 + self.part.1 {
            self.part = self.parts.next().unwrap_or((self.size, 0));
            if self.part.0 >= self.size {
                break;
            }
        }
        let (begin, length) = self.part;
        let is_hole = self.at < begin;
        let end = if is_hole { begin } else { begin + length };
        let most = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = if is_hole {
            buffer[..most].fill(0);
            most
        } else {
            self.content.read(&mut buffer[..most])?
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)], content: &[u8]) -> io::Result<Vec<u8>> {
        let mut sparse = Sparse::default();
        for (key, value) in headers {
            sparse.header(key.as_bytes(), value)?;
        }
        let mut whole = Vec::new();
        sparse.fill(content)?.read_to_end(&mut whole)?;
        Ok(whole)
    }

    fn with_map(map: &str, content: &[u8]) -> Vec<u8> {
        let mut whole = map.as_bytes().to_vec();
        whole.resize(map.len().next_multiple_of(BLOCK), 0);
        whole.extend(content);
        whole
    }

    #[test]
    fn every_form_is_read() {
        let whole = b"\0\0ab\0\0\0cd\0";
        let listed = [
            ("size", "10"),
            ("offset", "2"),
            ("numbytes", "2"),
            ("offset", "7"),
            ("numbytes", "2"),
        ];
        assert_eq!(read(&listed, b"abcd").unwrap(), whole);
        assert_eq!(read(&[("size", "10"), ("map", "2,2,7,2")], b"abcd").unwrap(), whole);
        let before = [("major", "1"), ("minor", "0"), ("realsize", "10")];
        let content = with_map("3\n2\n2\n7\n2\n10\n0\n", b"abcd");
        assert_eq!(read(&before, &content).unwrap(), whole);
        assert_eq!(read(&before, &with_map("0\n", b"")).unwrap(), [0; 10]);
        assert!(read(&before[..1], &with_map("0\n", b"")).unwrap().is_empty());
    }

    #[test]
    fn maps_that_lie_are_refused() {
        for map in ["2,2,1,2", "2,20", "2", "x", "18446744073709551615,2"] {
            read(&[("size", "10"), ("map", map)], b"abcd").unwrap_err();
        }
        read(&[("size", "10"), ("map", "2,5")], b"abcd").unwrap_err();
        let before = [("major", "1"), ("realsize", "10")];
        for map in ["1\n2\n", "99999999\n", "a\n", "-1\n", &"1".repeat(2000)] {
            read(&before, &with_map(map, b"")).unwrap_err();
        }
    }

    #[test]
    fn damaged_maps_are_read_or_refused() {
        let seed = with_map("2\n2\n2\n7\n2\n", b"abcd");
        fuzz::rounds(&[seed], |bytes| {
            drop(read(&[("major", "1"), ("realsize", "10")], bytes));
        });
    }
}
