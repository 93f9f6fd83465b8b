//! Writing a container's log in Docker's json-file format: one object a line.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Result, StoreError};

/// Appends to a log, and rotates it when that was asked for.
#[derive(Debug)]
pub struct LogWriter {
    path: PathBuf,
    file: File,
    length: u64,
    rotation: Rotation,
}

/// When a new file is begun, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes; `None` is never.
    pub max_size: Option<u64>,
    /// Files, the current one among them; at least 1.
    pub max_files: u32,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_size: None, max_files: 1 }
    }
}

impl LogWriter {
    /// Opens or makes the file. A last line that a crash cut short is removed.
    pub fn open(path: &Path, rotation: Rotation) -> Result<Self> {
        let doing = || format!("open log {}", path.display());
        let file = open_file(path).map_err(StoreError::io(doing()))?;
        let length = file.metadata().map_err(StoreError::io(doing()))?.len();
        let mut writer = Self { path: path.to_owned(), file, length, rotation };
        let whole = writer.whole_lines()?;
        if whole < length {
            writer.truncate(whole)?;
        }
        Ok(writer)
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends whole lines.
    pub fn append(&mut self, lines: &[u8]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let result = self.file.write_all(lines);
        if result.is_err() {
            // Half a line must not be glued to the next one.
            drop(self.file.set_len(self.length));
        } else {
            self.length += lines.len() as u64;
        }
        result.map_err(StoreError::io(format!("write log {}", self.path.display())))
    }

    /// Takes back everything after `length`.
    pub fn truncate(&mut self, length: u64) -> Result<()> {
        self.file
            .set_len(length)
            .map_err(StoreError::io(format!("truncate log {}", self.path.display())))?;
        self.length = length;
        Ok(())
    }

    /// Begins a new file if this one is full; `true` if it did.
    pub fn rotate_if_full(&mut self) -> Result<bool> {
        if self.rotation.max_size.is_none_or(|most| self.length < most) {
            return Ok(false);
        }
        let doing = || format!("rotate log {}", self.path.display());
        for number in (1..self.rotation.max_files).rev() {
            let from =
                if number == 1 { self.path.clone() } else { rotated(&self.path, number - 1) };
            if from.exists() {
                fs::rename(&from, rotated(&self.path, number)).map_err(StoreError::io(doing()))?;
            }
        }
        if self.rotation.max_files <= 1 {
            // Readers keep the old file.
            fs::remove_file(&self.path).map_err(StoreError::io(doing()))?;
        }
        self.file = open_file(&self.path).map_err(StoreError::io(doing()))?;
        self.length = 0;
        Ok(true)
    }

    /// The end of the last whole line.
    fn whole_lines(&self) -> Result<u64> {
        let mut end = self.length;
        let mut block = vec![0; 4096];
        while end > 0 {
            let start = end.saturating_sub(block.len() as u64);
            let part = &mut block[..usize::try_from(end - start).unwrap_or(0)];
            self.file
                .read_exact_at(part, start)
                .map_err(StoreError::io(format!("read log {}", self.path.display())))?;
            if let Some(place) = part.iter().rposition(|byte| *byte == b'\n') {
                return Ok(start + place as u64 + 1);
            }
            end = start;
        }
        Ok(0)
    }
}

fn open_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)
}

/// The length of a log as far as its lines are whole, 0 without one; what a crash cut short is
/// removed.
pub fn length(path: &Path) -> Result<u64> {
    if !path.exists() {
        return Ok(0);
    }
    LogWriter::open(path, Rotation::default()).map(|writer| writer.length())
}

/// The place of an older file of a rotated log.
pub fn rotated(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Adds one line of the file: `text` with its newline if it had one.
pub fn encode_line(into: &mut Vec<u8>, text: &[u8], stderr: bool, time: &str) {
    into.extend_from_slice(b"{\"log\":\"");
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            encode_character(into, character);
        }
        if !chunk.invalid().is_empty() {
            into.extend_from_slice(b"\\ufffd");
        }
    }
    into.extend_from_slice(b"\",\"stream\":\"");
    into.extend_from_slice(if stderr { b"stderr" } else { b"stdout" });
    into.extend_from_slice(b"\",\"time\":\"");
    into.extend_from_slice(time.as_bytes());
    into.extend_from_slice(b"\"}\n");
}

fn encode_character(into: &mut Vec<u8>, character: char) {
    match character {
        '"' => into.extend_from_slice(b"\\\""),
        '\\' => into.extend_from_slice(b"\\\\"),
        '\n' => into.extend_from_slice(b"\\n"),
        '\r' => into.extend_from_slice(b"\\r"),
        '\t' => into.extend_from_slice(b"\\t"),
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
            into.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
        }
        other => into.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_encoded_as_docker_does() {
        let mut line = Vec::new();
        encode_line(&mut line, b"a \"b\" <c>\x1b\xff\n", true, "2024-05-06T07:08:09.1Z");
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"log\":\"a \\\"b\\\" \\u003cc\\u003e\\u001b\\ufffd\\n\",\"stream\":\"stderr\",\
             \"time\":\"2024-05-06T07:08:09.1Z\"}\n"
        );
    }

    #[test]
    fn a_line_cut_short_by_a_crash_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "{\"log\":\"a\\n\"}\n{\"lo").unwrap();
        let writer = LogWriter::open(&path, Rotation::default()).unwrap();
        assert_eq!(writer.length(), 14);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"log\":\"a\\n\"}\n");
    }

    #[test]
    fn a_full_log_is_rotated_and_only_so_many_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let rotation = Rotation { max_size: Some(4), max_files: 2 };
        let mut writer = LogWriter::open(&path, rotation).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            writer.rotate_if_full().unwrap();
            writer.append(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(fs::read_to_string(rotated(&path, 1)).unwrap(), "two\n");
        assert!(!rotated(&path, 2).exists());
    }
}
