//! Writing a file without taking room for its zeros: a few bytes of an archive can stand for
//! terabytes of them.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::room::Allowance;

/// What file systems keep as one.
const BLOCK: usize = 4096;
const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Writes all of `content` to an empty file; returns its length.
pub(crate) fn copy(content: &mut impl Read, file: &File) -> io::Result<u64> {
    let mut buffer = [0; 16 * BLOCK];
    let (mut at, mut end_of_data) = (0, 0);
    let mut allowance = Allowance::default();
    loop {
        let length = fill(content, &mut buffer)?;
        for data in data_within(&buffer[..length]) {
            allowance.take(file, data.len() as u64)?;
            end_of_data = at + data.end as u64;
            file.write_all_at(&buffer[data.clone()], at + data.start as u64)?;
        }
        at += length as u64;
        if length < buffer.len() {
            break;
        }
    }
    if end_of_data < at {
        file.set_len(at)?;
    }
    Ok(at)
}

/// Fills the buffer, unless the stream ends before.
fn fill(content: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The parts that are more than zeros.
fn data_within(buffer: &[u8]) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (number, block) in buffer.chunks(BLOCK).enumerate() {
        let begin = number * BLOCK;
        if *block == ZEROS[..block.len()] {
            continue;
        }
        match parts.last_mut() {
            Some(last) if last.end == begin => last.end += block.len(),
            _ => parts.push(begin..begin + block.len()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn zeros_take_no_room_and_are_read_all_the_same() {
        let mut content = vec![0; 300_000];
        content[100_000] = 7;
        content[299_999] = 8;
        for length in [0, 1, 4096, 65_536, 65_537, 200_000, 300_000] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f");
            let file = File::create(&path).unwrap();
            let copied = copy(&mut &content[..length], &file).unwrap();
            assert_eq!(copied, length as u64);
            assert_eq!(std::fs::read(&path).unwrap(), content[..length], "{length}");
            let blocks = file.metadata().unwrap().blocks() * 512;
            assert!(blocks <= 3 * BLOCK as u64, "{length} bytes take {blocks}");
        }
    }
}
