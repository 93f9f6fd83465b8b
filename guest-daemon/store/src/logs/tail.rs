//! Finding the last entries of a file.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{Result, StoreError};

/// A file whose end is looked for.
pub(super) enum Tail {
    Plain(File),
    Compressed(File),
}

impl Tail {
    /// The plain file, or else the compressed one.
    pub(super) fn open(plain: &Path, compressed: &Path) -> Result<Option<Self>> {
        let doing = || format!("read log {}", plain.display());
        if let Some(file) = open(plain).map_err(StoreError::io(doing()))? {
            return Ok(Some(Self::Plain(file)));
        }
        Ok(open(compressed).map_err(StoreError::io(doing()))?.map(Self::Compressed))
    }

    /// Where the last `count` entries begin, and how many there are at most.
    pub(super) fn position(&self, count: usize) -> Result<(u64, usize)> {
        let found = match self {
            Self::Plain(file) => from_the_end(file, count),
            Self::Compressed(file) => from_the_start(file, count),
        };
        found.map_err(StoreError::io("read a log"))
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn from_the_end(file: &File, count: usize) -> io::Result<(u64, usize)> {
    let length = file.metadata()?.len();
    if count == 0 {
        return Ok((length, 0));
    }
    let (mut end, mut seen) = (length, 0);
    let mut block = vec![0; 32 * 1024];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..usize::try_from(end - start).unwrap_or(0)];
        file.read_exact_at(part, start)?;
        for (place, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            // The newline that ends the file begins nothing.
            if start + place as u64 + 1 == length {
                continue;
            }
            seen += 1;
            if seen == count {
                return Ok((start + place as u64 + 1, count));
            }
        }
        end = start;
    }
    Ok((0, if length == 0 { 0 } else { seen + 1 }))
}

/// Twice over a compressed file: first to count, then to find.
fn from_the_start(file: &File, count: usize) -> io::Result<(u64, usize)> {
    let mut entries = 0;
    newlines(file, |_| {
        entries += 1;
        true
    })?;
    let skipped = entries - count.min(entries);
    if skipped == 0 {
        return Ok((0, entries));
    }
    let (mut position, mut seen) = (0, 0);
    newlines(file, |after| {
        seen += 1;
        position = after;
        seen < skipped
    })?;
    Ok((position, entries - skipped))
}

/// Tells the place after each newline, as long as that is wanted.
fn newlines(mut file: &File, mut found: impl FnMut(u64) -> bool) -> io::Result<()> {
    file.rewind()?;
    let mut content = BufReader::new(MultiGzDecoder::new(file));
    let mut block = vec![0; 32 * 1024];
    let mut position = 0;
    loop {
        let count = content.read(&mut block)?;
        if count == 0 {
            return Ok(());
        }
        for (place, _) in block[..count].iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            if !found(position + place as u64 + 1) {
                return Ok(());
            }
        }
        position += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_last_entries_are_found_in_plain_and_in_compressed_files() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, packed) = (folder.path().join("log"), folder.path().join("log.gz"));
        let text = b"a\nbb\nccc\n";
        let mut encoder = flate2::write::GzEncoder::new(
            File::create(&packed).unwrap(),
            flate2::Compression::fast(),
        );
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap();
        let nothing = folder.path().join("nothing");
        std::fs::write(&plain, text).unwrap();
        for (plain, packed) in [(&plain, &nothing), (&nothing, &packed)] {
            let tail = Tail::open(plain, packed).unwrap().unwrap();
            assert_eq!(tail.position(2).unwrap(), (2, 2));
            assert_eq!(tail.position(3).unwrap(), (0, 3));
            assert_eq!(tail.position(9).unwrap(), (0, 3));
            assert_eq!(tail.position(0).unwrap(), (9, 0));
        }
        assert!(Tail::open(&nothing, &nothing).unwrap().is_none());
    }
}
