//! Reading a container's log.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::error::{Result, StoreError};

/// One line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogEntry {
    /// The text as the process wrote it.
    pub text: Vec<u8>,
    pub stderr: bool,
    /// Nanoseconds since 1970.
    pub unix_nanos: i64,
    /// What the container's log options add, by name.
    pub attributes: Vec<(String, String)>,
    /// Where the next entry begins.
    pub next: u64,
}

/// Reads entries of either form one after the other, from a file that may be growing.
pub struct LogReader {
    file: Box<dyn BufRead + Send>,
    position: u64,
    line: Vec<u8>,
}

/// Longer ones are damage: a text has at most 16 KiB, six times that when it is escaped.
const LONGEST_LINE: usize = 4 << 20;

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    attrs: Attributes,
    #[serde(default)]
    time: String,
}

type Attributes = std::collections::BTreeMap<String, String>;

impl LogReader {
    /// `None` when there is no file.
    pub(super) fn open(path: &Path, position: u64) -> Result<Option<Self>> {
        Self::open_with(path, position, |mut file| {
            file.seek(SeekFrom::Start(position))?;
            Ok(Box::new(BufReader::with_capacity(32 * 1024, file)))
        })
    }

    pub(super) fn open_compressed(path: &Path, position: u64) -> Result<Option<Self>> {
        Self::open_with(path, position, |file| {
            let mut content = BufReader::new(MultiGzDecoder::new(file));
            io::copy(&mut (&mut content).take(position), &mut io::sink())?;
            Ok(Box::new(content))
        })
    }

    fn open_with(
        path: &Path,
        position: u64,
        prepare: impl FnOnce(File) -> io::Result<Box<dyn BufRead + Send>>,
    ) -> Result<Option<Self>> {
        match File::open(path).and_then(prepare) {
            Ok(file) => Ok(Some(Self { file, position, line: Vec::new() })),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => {
                Err(StoreError::Io { doing: format!("read log {}", path.display()), source })
            }
        }
    }

    /// Where the next entry begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next whole entry, if there is one yet. Lines that cannot be read are passed over.
    pub fn next_entry(&mut self) -> Result<Option<LogEntry>> {
        loop {
            // A line that is not complete stays in `line` until it is.
            let room = (LONGEST_LINE - self.line.len()) as u64;
            (&mut self.file)
                .take(room)
                .read_until(b'\n', &mut self.line)
                .map_err(StoreError::io("read a log"))?;
            let whole = self.line.ends_with(b"\n");
            if !whole && self.line.len() < LONGEST_LINE {
                return Ok(None);
            }
            self.position += self.line.len() as u64;
            let entry = parse(&self.line, self.position);
            self.line.clear();
            if entry.is_some() {
                return Ok(entry);
            }
        }
    }
}

fn parse(line: &[u8], next: u64) -> Option<LogEntry> {
    let mut entry = if line.first() == Some(&b'{') { json(line) } else { compact(line) }?;
    entry.next = next;
    Some(entry)
}

fn json(line: &[u8]) -> Option<LogEntry> {
    let line = serde_json::from_slice::<Line>(line).ok()?;
    let time = line.time.parse::<jiff::Timestamp>();
    let nanos = time.map_or(0, jiff::Timestamp::as_nanosecond);
    Some(LogEntry {
        text: line.log.into_bytes(),
        stderr: line.stream == "stderr",
        unix_nanos: i64::try_from(nanos).unwrap_or(i64::MAX),
        attributes: line.attrs.into_iter().collect(),
        next: 0,
    })
}

fn compact(line: &[u8]) -> Option<LogEntry> {
    let (kind, rest) = line.split_first()?;
    let (stderr, whole) = match kind {
        b'o' => (false, true),
        b'e' => (true, true),
        b'O' => (false, false),
        b'E' => (true, false),
        _ => return None,
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unix_nanos = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    let mut rest = &rest[digits..];
    let mut attributes = Attributes::new();
    if rest.first() == Some(&b'{') {
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter();
        attributes = values.next()?.ok()?;
        rest = &rest[values.byte_offset()..];
    }
    let text = rest.strip_prefix(b" ")?;
    let text = if whole { text } else { text.strip_suffix(b"\n")? };
    Some(LogEntry {
        text: text.to_vec(),
        stderr,
        unix_nanos,
        attributes: attributes.into_iter().collect(),
        next: 0,
    })
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader").field("position", &self.position).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tail::Tail;
    use super::super::{LogEncoder, LogForm};
    use super::*;

    fn entries(path: &Path) -> Vec<LogEntry> {
        let mut reader = LogReader::open(path, 0).unwrap().unwrap();
        std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
    }

    #[test]
    fn entries_of_both_forms_come_back_as_written_and_damage_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let attributes = [("env".to_owned(), "a {b} c".to_owned())].into();
        for (form, text) in [
            (LogForm::Json, "one {\"x\"}\n".as_bytes()),
            (LogForm::Compact, b"one \xff{}\n".as_slice()),
        ] {
            let encoder = LogEncoder::new(form, &attributes);
            let mut lines = Vec::new();
            encoder.at(1_000_000_001).line(&mut lines, text, false);
            lines.extend_from_slice(b"\0\0\0 not a line\n{\nO\ne12\n");
            encoder.at(2_000_000_000).line(&mut lines, b"two", true);
            lines.extend_from_slice(b"{\"log\":\"thr");
            std::fs::write(&path, &lines).unwrap();
            let seen = entries(&path);
            let texts: Vec<_> = seen.iter().map(|entry| entry.text.as_slice()).collect();
            assert_eq!(texts, [text, b"two"]);
            assert_eq!((seen[0].stderr, seen[0].unix_nanos), (false, 1_000_000_001));
            assert_eq!((seen[1].stderr, seen[1].unix_nanos), (true, 2_000_000_000));
            assert_eq!(seen[1].attributes, [("env".to_owned(), "a {b} c".to_owned())]);
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_held_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut text = vec![b'x'; LONGEST_LINE + 10];
        text.extend_from_slice(b"\no1 y\n");
        std::fs::write(&path, &text).unwrap();
        let seen = entries(&path);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].next, text.len() as u64);
    }

    #[test]
    fn a_damaged_log_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut lines = Vec::new();
        for form in [LogForm::Json, LogForm::Compact] {
            let encoder = LogEncoder::new(form, &[("a".to_owned(), "b".to_owned())].into());
            encoder.at(1_000_000_000).line(&mut lines, b"one\n", false);
            encoder.at(253_402_300_799_999_999_999).line(&mut lines, b"\xff\0two", true);
        }
        fuzz::rounds(&[lines.repeat(3)], |bytes| {
            std::fs::write(&path, bytes).unwrap();
            let tail = Tail::open(&path, &path.with_extension("gz")).unwrap().unwrap();
            let (begin, most) = tail.position(2).unwrap();
            let mut reader = LogReader::open(&path, begin).unwrap().unwrap();
            let read = std::iter::from_fn(|| reader.next_entry().unwrap()).count();
            assert!(read <= most && most <= 2, "{read} of {most}");
            entries(&path);
        });
    }
}
