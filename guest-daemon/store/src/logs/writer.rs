//! Writing a container's log: appending whole entries, and rotation.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::compress;
use super::files::{LogFiles, compressed, numbered};
use crate::error::{Result, StoreError};
use crate::room;

/// Appends to a log, and rotates it when that was asked for.
#[derive(Debug)]
pub struct LogWriter {
    files: Arc<LogFiles>,
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
    /// Older files are compressed.
    pub compress: bool,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_size: None, max_files: 1, compress: false }
    }
}

impl LogWriter {
    /// Opens or makes the file. A last entry that a crash cut short is removed.
    pub fn open(files: Arc<LogFiles>, rotation: Rotation) -> Result<Self> {
        let path = files.path();
        let doing = || format!("open log {}", path.display());
        if let Some(folder) = path.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o710).create(folder);
            made.map_err(StoreError::io(doing()))?;
        }
        let file = open_file(path).map_err(StoreError::io(doing()))?;
        let length = file.metadata().map_err(StoreError::io(doing()))?.len();
        let mut writer = Self { files, file, length, rotation };
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
        let result = room::check_file(&self.file, lines.len() as u64)
            .and_then(|()| self.file.write_all(lines));
        if result.is_err() {
            // Half a line must not be glued to the next one.
            drop(self.file.set_len(self.length));
        } else {
            self.length += lines.len() as u64;
        }
        result.map_err(StoreError::io(format!("write log {}", self.files.path().display())))
    }

    /// Takes back everything after `length`.
    pub fn truncate(&mut self, length: u64) -> Result<()> {
        self.file
            .set_len(length)
            .map_err(StoreError::io(format!("truncate log {}", self.files.path().display())))?;
        self.length = length;
        Ok(())
    }

    /// Whether so many bytes more are enough for a file.
    pub fn is_full_with(&self, more: u64) -> bool {
        self.rotation.max_size.is_some_and(|most| self.length + more >= most)
    }

    /// Begins a new file if this one is full; `true` if it did.
    pub fn rotate_if_full(&mut self) -> Result<bool> {
        if !self.is_full_with(0) {
            return Ok(false);
        }
        let (files, rotation) = (Arc::clone(&self.files), self.rotation);
        let path = files.path();
        compress::wait(&numbered(path, 1));
        let doing = || format!("rotate log {}", path.display());
        let moved = || move_on(path, rotation.max_files).and_then(|()| open_file(path));
        self.file = files.rotate(|| moved().map_err(StoreError::io(doing())))?;
        self.length = 0;
        if rotation.compress && rotation.max_files > 1 {
            compress::begin(numbered(path, 1));
        }
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
                .map_err(StoreError::io(format!("read log {}", self.files.path().display())))?;
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

/// Makes room for a new file under the log's name. Readers keep the files they have open.
fn move_on(path: &Path, max_files: u32) -> std::io::Result<()> {
    let gone = |path: &Path| match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let oldest = numbered(path, max_files - 1);
    if max_files > 1 {
        gone(&compressed(&oldest))?;
    }
    gone(&oldest)?;
    for number in (1..max_files).rev() {
        let (from, to) = (numbered(path, number - 1), numbered(path, number));
        for (from, to) in [(compressed(&from), compressed(&to)), (from, to)] {
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_short_by_a_crash_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "{\"log\":\"a\\n\"}\n{\"lo").unwrap();
        let files = LogFiles::new(path.clone());
        assert_eq!(files.length().unwrap(), 14);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"log\":\"a\\n\"}\n");
    }

    /// Writes each text to a file of its own.
    fn write(files: &Arc<LogFiles>, rotation: Rotation, texts: &[&str]) -> LogWriter {
        let mut writer = LogWriter::open(Arc::clone(files), rotation).unwrap();
        for text in texts {
            writer.rotate_if_full().unwrap();
            writer.append(format!("o1 {text}\n").as_bytes()).unwrap();
        }
        writer
    }

    fn texts(files: &LogFiles, (mut generation, mut position): (u64, u64)) -> Vec<String> {
        let mut texts = Vec::new();
        while generation <= files.newest() {
            let reader = files.open(generation, position).unwrap();
            if let Some(mut reader) = reader {
                while let Some(entry) = reader.next_entry().unwrap() {
                    texts.push(String::from_utf8(entry.text).unwrap());
                }
            }
            (generation, position) = (generation + 1, 0);
        }
        texts
    }

    #[test]
    fn a_full_log_is_rotated_and_only_so_many_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for compress in [false, true] {
            let path = folder.path().join(format!("log-{compress}"));
            let files = LogFiles::new(path.clone());
            let rotation = Rotation { max_size: Some(1), max_files: 3, compress };
            write(&files, rotation, &["one", "two", "three", "four"]);
            compress::wait(&numbered(&path, 1));
            let oldest = files.oldest().unwrap();
            assert_eq!(texts(&files, (oldest, 0)), ["two\n", "three\n", "four\n"]);
            assert_eq!(numbered(&path, 1).exists(), !compress);
            assert_eq!(compressed(&numbered(&path, 2)).exists(), compress);
            assert_eq!(texts(&files, files.tail(2).unwrap()), ["three\n", "four\n"]);
            assert_eq!(texts(&files, files.tail(0).unwrap()), [""; 0]);
        }
    }

    #[test]
    fn a_log_of_one_file_begins_anew_when_it_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let files = LogFiles::new(folder.path().join("log"));
        let rotation = Rotation { max_size: Some(1), ..Rotation::default() };
        write(&files, rotation, &["one", "two"]);
        assert_eq!(texts(&files, (files.oldest().unwrap(), 0)), ["two\n"]);
    }

    #[test]
    fn a_generation_stays_the_same_file_while_the_log_rotates() {
        let folder = tempfile::tempdir().unwrap();
        let files = LogFiles::new(folder.path().join("log"));
        let rotation = Rotation { max_size: Some(1), max_files: 5, compress: true };
        let first = files.newest();
        let mut writer = write(&files, rotation, &["one"]);
        for _ in 0..3 {
            writer.rotate_if_full().unwrap();
            writer.append(b"o1 more\n").unwrap();
            let mut reader = files.open(first, 0).unwrap().unwrap();
            assert_eq!(reader.next_entry().unwrap().unwrap().text, b"one\n");
        }
    }
}
