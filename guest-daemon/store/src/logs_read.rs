//! Reading a container's log.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Result, StoreError};

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The text as the process wrote it.
    pub text: Vec<u8>,
    pub stderr: bool,
    /// Nanoseconds since 1970.
    pub unix_nanos: i64,
    /// Where the next entry begins.
    pub next: u64,
}

/// Reads entries one after the other, from a file that may be growing.
#[derive(Debug)]
pub struct LogReader {
    file: BufReader<File>,
    position: u64,
    line: Vec<u8>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    time: String,
}

impl LogReader {
    /// `None` when there is no file.
    pub fn open(path: &Path, position: u64) -> Result<Option<Self>> {
        let doing = || format!("read log {}", path.display());
        let file = match File::open(path) {
            Ok(file) => file,
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Io { doing: doing(), source }),
        };
        let mut file = BufReader::with_capacity(32 * 1024, file);
        file.seek(SeekFrom::Start(position)).map_err(StoreError::io(doing()))?;
        Ok(Some(Self { file, position, line: Vec::new() }))
    }

    /// Where the next entry begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next whole entry, if there is one yet. Lines that cannot be read are passed over.
    pub fn next_entry(&mut self) -> Result<Option<LogEntry>> {
        loop {
            // A line that is not complete stays in `line` until it is.
            let length = self
                .file
                .read_until(b'\n', &mut self.line)
                .map_err(StoreError::io("read a log"))?;
            if length == 0 || !self.line.ends_with(b"\n") {
                return Ok(None);
            }
            self.position += self.line.len() as u64;
            let parsed = serde_json::from_slice::<Line>(&self.line);
            self.line.clear();
            if let Ok(line) = parsed {
                let time = line.time.parse::<jiff::Timestamp>();
                let nanos = time.map_or(0, jiff::Timestamp::as_nanosecond);
                return Ok(Some(LogEntry {
                    text: line.log.into_bytes(),
                    stderr: line.stream == "stderr",
                    unix_nanos: i64::try_from(nanos).unwrap_or(i64::MAX),
                    next: self.position,
                }));
            }
        }
    }
}

/// Where the last `count` entries of a file begin, and how many there are at most.
pub fn tail_offset(path: &Path, count: usize) -> Result<(u64, usize)> {
    let doing = || format!("read log {}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok((0, 0)),
        Err(source) => return Err(StoreError::Io { doing: doing(), source }),
    };
    let length = file.metadata().map_err(StoreError::io(doing()))?.len();
    if count == 0 {
        return Ok((length, 0));
    }
    let (mut end, mut seen) = (length, 0);
    let mut block = vec![0; 32 * 1024];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..usize::try_from(end - start).unwrap_or(0)];
        file.read_exact_at(part, start).map_err(StoreError::io(doing()))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container_logs::encode_line;

    #[test]
    fn entries_come_back_as_written_and_damage_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut lines = Vec::new();
        encode_line(&mut lines, b"one\n", false, "1970-01-01T00:00:01Z");
        lines.extend_from_slice(b"\0\0\0 not a line\n");
        encode_line(&mut lines, b"two", true, "1970-01-01T00:00:02Z");
        lines.extend_from_slice(b"{\"log\":\"thr");
        std::fs::write(&path, &lines).unwrap();
        let mut reader = LogReader::open(&path, 0).unwrap().unwrap();
        let one = reader.next_entry().unwrap().unwrap();
        assert_eq!((one.text.as_slice(), one.stderr), (b"one\n".as_slice(), false));
        let two = reader.next_entry().unwrap().unwrap();
        assert_eq!((two.text.as_slice(), two.unix_nanos), (b"two".as_slice(), 2_000_000_000));
        assert_eq!(reader.next_entry().unwrap(), None);
    }

    #[test]
    fn the_last_entries_are_found_from_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "a\nbb\nccc\n").unwrap();
        assert_eq!(tail_offset(&path, 2).unwrap(), (2, 2));
        assert_eq!(tail_offset(&path, 3).unwrap(), (0, 3));
        assert_eq!(tail_offset(&path, 9).unwrap(), (0, 3));
        assert_eq!(tail_offset(&path, 0).unwrap(), (9, 0));
    }

    #[test]
    fn a_damaged_log_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut lines = Vec::new();
        encode_line(&mut lines, b"one\n", false, "1970-01-01T00:00:01Z");
        encode_line(&mut lines, b"\xff\0two", true, "9999-12-31T23:59:59.999999999Z");
        fuzz::rounds(&[lines.repeat(3)], |bytes| {
            std::fs::write(&path, bytes).unwrap();
            let (begin, most) = tail_offset(&path, 2).unwrap();
            let mut reader = LogReader::open(&path, begin).unwrap().unwrap();
            let read = std::iter::from_fn(|| reader.next_entry().unwrap()).count();
            assert!(read <= most && most <= 2, "{read} of {most}");
            let mut reader = LogReader::open(&path, 0).unwrap().unwrap();
            while reader.next_entry().unwrap().is_some() {}
        });
    }
}
